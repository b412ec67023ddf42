# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the integration targets on a sandbox: python tools/run_integration.py [TARGET ...]

With CORE=2.16 in the environment, the script uses that version of ansible-core, which tools/setup.py installs (matrix). The
default is the newest version. Without arguments, it runs all targets in two groups at the same time, each group with a separate
sandbox. Each target uses a separate AWS account, because some targets read every association of a cluster and would see the
associations of other targets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from run_support import ROOT, ansible_test_environment, collection_copy, python_version

CORE = os.environ.get("CORE")
VENV = ROOT / (f".venv-{CORE}" if CORE else ".venv")
COLLECTIONS = ROOT / (f".cache/collections-{CORE}" if CORE else ".collections")
SANDBOX = ROOT / ".venv-sandbox" / "bin" / "sandbox"
INSIDE = "--inside-sandbox"
TARGETS = ROOT / "tests" / "integration" / "targets"
GROUPS = 2
# The variables that the targets use, each with the environment variable of the sandbox that has the value.
SETTINGS = {
    "sandbox_endpoint": "AWS_ENDPOINT_URL",
    "sandbox_region": "AWS_REGION",
    "sandbox_secret_key": "AWS_SECRET_ACCESS_KEY",
    "sandbox_kubeconfig": "KUBECONFIG",
}


def main(arguments: list[str]) -> int:
    if arguments[:1] == [INSIDE]:
        _inside, name, *targets = arguments
        return run(prepared_copy(name), targets)
    groups = [arguments] if arguments else split(all_targets())
    with ThreadPoolExecutor(len(groups)) as pool:
        # Each group needs a copy of the collection, because ansible-test empties its output folder before every target.
        codes = list(pool.map(in_sandbox, (f"integration-{index}" for index in range(len(groups))), groups))
    return max(codes)


def in_sandbox(name: str, targets: list[str]) -> int:
    command = [str(SANDBOX), "run", "--", sys.executable, __file__, INSIDE, name, *targets]
    return subprocess.run(command, check=False).returncode


def prepared_copy(name: str) -> Path:
    copy = collection_copy(name, COLLECTIONS)
    config = {setting: os.environ[variable] for setting, variable in SETTINGS.items()}
    # The file is read as YAML, and every JSON text is also YAML.
    (copy / "tests" / "integration" / "integration_config.yml").write_text(
        json.dumps(config, indent=2), encoding="utf-8"
    )
    return copy


def all_targets() -> list[str]:
    """Return all targets except set-up targets, the largest first, so that both groups take about the same time."""
    sizes = {
        path.name: sum(file.stat().st_size for file in path.glob("tasks/*.yml"))
        for path in TARGETS.iterdir()
        if not path.name.startswith("setup_")
    }
    return sorted(sizes, key=lambda name: -sizes[name])


def split(targets: list[str]) -> list[list[str]]:
    return [group for index in range(GROUPS) if (group := targets[index::GROUPS])]


def run(copy: Path, targets: list[str]) -> int:
    """Run targets with one call of ansible-test, and print its output if it fails.

    :arg copy: the copy of the collection.
    :returns: the exit code.
    """
    command = ["ansible-test", "integration", "--local", "--python", python_version(VENV), "--color", "no"]
    done = subprocess.run(
        [VENV / "bin" / command[0], *command[1:], *targets],
        cwd=copy,
        env=ansible_test_environment(VENV, targets[0]),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    verdict = "ok" if done.returncode == 0 else "FAILED"
    print(f"{verdict}: {' '.join(targets)}", flush=True)
    if done.returncode:
        print(done.stdout, flush=True)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
