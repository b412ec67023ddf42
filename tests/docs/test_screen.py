# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks print on each ansible-core here: eight tasks, nothing skipped, no deprecation of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import COLLECTIONS, ROOT, Sandbox, environment

EXAMPLE = "examples/guide.yml"
# The modules that each starts, every one a process of its own.
PLAYBOOKS = {
    "site": ["eks_pod_identity", "k8s"],
    "verify": ["eks_pod_identity_info"],
    "teardown": ["eks_pod_identity", "k8s"],
}
MOST_TASKS = 8
# Bytes of what Ansible runs of ours: it packs nothing where it runs itself.
LONGEST_START = 10_000


@dataclass(frozen=True, slots=True)
class Core:
    """An environment with an ansible-core, and the collections that belong to it."""

    name: str
    bin: Path
    collections: Path


def cores() -> list[Core]:
    older = [
        Core(
            folder.name.removeprefix(".venv-"),
            folder / "bin",
            ROOT / ".cache" / f"collections-{folder.name[6:]}",
        )
        for folder in sorted(ROOT.glob(".venv-2.*"))
    ]
    return [Core("current", ROOT / ".venv" / "bin", COLLECTIONS), *older]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("screen")
    sandbox = Sandbox(folder / "state", environment(COLLECTIONS, home=folder / "home"))
    sandbox.up("--kube", "embedded")
    yield sandbox
    sandbox.down()


@pytest.mark.parametrize("core", cores(), ids=lambda core: core.name)
def test_what_a_run_prints(sandbox: Sandbox, tmp_path: Path, core: Core) -> None:
    """The collection itself is found beside those that it depends on."""
    own = tmp_path / "ansible_collections" / "workload_identity"
    own.mkdir(parents=True)
    (own / "aws").symlink_to(ROOT, target_is_directory=True)
    sandbox.reset()
    env = {
        "ANSIBLE_COLLECTIONS_PATH": f"{tmp_path}:{core.collections}",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_DEPRECATION_WARNINGS": "true",
    }
    for playbook, modules in PLAYBOOKS.items():
        started = tmp_path / playbook
        env |= {"ANSIBLE_KEEP_REMOTE_FILES": "true", "ANSIBLE_REMOTE_TMP": str(started)}
        command = (core.bin / "ansible-playbook", f"playbooks/{playbook}.yml", "-e", f"@{EXAMPLE}")
        done = sandbox.run(*command, env=env)
        assert done.returncode == 0, done.stdout
        assert "[DEPRECATION WARNING]" not in done.stdout, done.stdout
        assert len(re.findall(r"^TASK \[", done.stdout, re.MULTILINE)) <= MOST_TASKS
        assert re.findall(r"^skipping: .*|.*\.\.\.ignoring", done.stdout, re.MULTILINE) == []
        assert re.search(r"^(Done: 5 changes\.|WORKLOAD +TRUST)", done.stdout, re.MULTILINE), done.stdout
        files = sorted(started.glob("*/AnsiballZ_*.py"), key=lambda path: path.name)
        assert [path.stem.removeprefix("AnsiballZ_") for path in files] == modules
        packed = [path.stem for path in files if path.stat().st_size > LONGEST_START]
        assert packed == ["AnsiballZ_k8s"] * ("k8s" in modules)
