# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the artifact of a release: changelog, import into Galaxy, documentation site (`nox -s artifact`)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from run_support import BUILD, DEPENDENCIES, ROOT, reachable

RELEASE = BUILD / "release"
BIN = ROOT / ".venv" / "bin"
RELEASE_BIN = ROOT / ".venv-release" / "bin"
COLLECTIONS = RELEASE / "ansible_collections"
NAME = "workload_identity.aws"
DOCS_HOST = "docs.ansible.com"
# The importer can run ansible-test only in a container, so disable that. The check sanity runs the same tests.
IMPORTER = """\
[galaxy-importer]
check_required_tags = True
require_v1_or_greater = True
run_ansible_test = False
"""
_PROBLEM = re.compile(r"\b(?:WARNING|ERROR|CRITICAL)\b")
# The warnings of Sphinx when it cannot download the index of Ansible's documentation from DOCS_HOST.
# The check docs checks references to other collections.
_OF_ANSIBLE = re.compile(
    r"failed to reach any of the inventories"
    r"|undefined label: '(?!ansible_collections\.workload_identity\.)"
    r"|'envvar' reference target not found: ANSIBLE_"
)


def run(
    *command: str | Path, cwd: Path = RELEASE, env: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """Run a command in the release environment; return its exit code and its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["PATH"] = f"{RELEASE_BIN}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, **(env or {})},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


def problems(code: int, output: list[str]) -> list[str]:
    """Return the warnings and errors of a command, or its whole output if it failed without a warning or error."""
    found = [line for line in output if _PROBLEM.search(line)]
    return output if code and not found else found


def changelog(_tarball: Path, version: str) -> list[str]:
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))[
        "releases"
    ]
    found = problems(*run(BIN / "antsibull-changelog", "lint", cwd=ROOT))
    if version not in releases:
        found.append(f"changelogs/changelog.yaml has no release {version}.")
    released = {name for release in releases.values() for name in release.get("fragments", ())}
    pending = sorted({path.name for path in (ROOT / "changelogs" / "fragments").glob("*.yml")} - released)
    if pending:
        found.append(
            f"No release contains {', '.join(pending)} of changelogs/fragments. Run antsibull-changelog release."
        )
    return found


def import_into_galaxy(tarball: Path, _version: str) -> list[str]:
    settings = RELEASE / "galaxy-importer.cfg"
    settings.write_text(IMPORTER, encoding="utf-8")
    # Ansible finds collections on Python's path, and the importer sets the path of collections itself.
    env = {"GALAXY_IMPORTER_CONFIG": str(settings), "PYTHONPATH": str(RELEASE)}
    return problems(*run(RELEASE_BIN / "python", "-m", "galaxy_importer.main", tarball, env=env))


def documentation_site(tarball: Path, _version: str) -> list[str]:
    env = {"ANSIBLE_COLLECTIONS_PATH": str(RELEASE)}
    site = RELEASE / "site"
    site.mkdir(mode=0o700)
    for command in (
        ("ansible-galaxy", "collection", "install", tarball, "-p", RELEASE, "--offline"),
        (
            "antsibull-docs",
            "sphinx-init",
            "--use-current",
            "--fail-on-error",
            "--dest-dir",
            RELEASE / "site",
            NAME,
        ),
    ):
        code, output = run(*command, env=env)
        if code:
            return output
    found = problems(*run(site / "build.sh", env=env))
    return found if reachable(DOCS_HOST) else [line for line in found if not _OF_ANSIBLE.search(line)]


CHECKS: tuple[tuple[str, Callable[[Path, str], list[str]]], ...] = (
    ("changelog", changelog),
    ("import into Galaxy", import_into_galaxy),
    ("documentation site", documentation_site),
)


def main() -> int:
    shutil.rmtree(RELEASE, ignore_errors=True)
    COLLECTIONS.mkdir(parents=True)
    for namespace in DEPENDENCIES:
        (COLLECTIONS / namespace).symlink_to(ROOT / ".collections" / "ansible_collections" / namespace)
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    code, output = run("ansible-galaxy", "collection", "build", "--output-path", RELEASE, cwd=ROOT)
    if code:
        print("\n".join(output))
        return 1
    tarball = RELEASE / f"{NAME.replace('.', '-')}-{version}.tar.gz"
    failed = False
    for title, check in CHECKS:
        found = check(tarball, version)
        print("\n".join([f"{'FAILED' if found else 'ok    '} {title}", *found]), flush=True)
        failed = failed or bool(found)
    print(f"Artifact: {tarball.relative_to(ROOT)}. Site: build/release/site/build/html/index.html")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
