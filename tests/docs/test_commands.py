# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the commands of the README unchanged, in a copy of the checkout, in the order in which a new user runs them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from run_tests import CHECKS
from support import ROOT, Sandbox, blocks, commands, copy_checkout, environment, link_dependencies, run

README = ROOT / "README.md"
# Commands with separate tests in this file.
MAKE = ("make demo", "make test")
BUILD = "ansible-galaxy collection build"
INSTALL = "ansible-galaxy collection install"
# Tests do not run these commands, because they download from servers.
FROM_SERVERS = ("pip install ", "ansible-galaxy collection install workload_identity.aws")
SITE = "ansible-playbook workload_identity.aws.site -e @workloads.yml"
# The sessions of antsibull-nox.
ANTSIBULL = ("docs-check", "license-check", "extra-checks", "build-import-check", "ee-check")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a new user: a copy of the checkout, an empty collections path, and a running sandbox."""

    checkout: Path
    installed: Path
    elsewhere: Path
    sandbox: Sandbox

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in an unrelated folder, or in the checkout if the command builds, installs or uses the examples."""
        in_checkout = command.startswith((BUILD, INSTALL)) or "examples/" in command
        return self.sandbox.run("bash", "-ec", command, cwd=self.checkout if in_checkout else self.elsewhere)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    copy_checkout(folder / "checkout")
    link_dependencies(folder / "dependencies")
    (folder / "installed").mkdir()
    (folder / "elsewhere").mkdir()
    (workloads,) = blocks(README, "yaml")
    (folder / "elsewhere" / "workloads.yml").write_text(workloads.text, encoding="utf-8")
    env = environment(folder / "installed", folder / "dependencies", home=folder / "home")
    sandbox = Sandbox(env)
    sandbox.up()
    yield Machine(folder / "checkout", folder / "installed", folder / "elsewhere", sandbox)
    sandbox.down()


def ordered() -> list[str]:
    """Return the commands that work offline, without repetitions. The first ones build and install, as the others require."""
    offline = [
        command
        for command in dict.fromkeys(commands(README))
        if command not in MAKE and not command.startswith(FROM_SERVERS)
    ]
    first = [command for command in offline if command.startswith((BUILD, INSTALL))]
    return first + [command for command in offline if command not in first]


def readme_output() -> list[str]:
    (block,) = blocks(README, "text")
    return [" ".join(line.split()) for line in block.text.splitlines() if line]


def screen(output: str) -> list[str]:
    """Return the lines of an output with single spaces, so that the widths of table columns do not matter."""
    return [" ".join(line.split()) for line in output.splitlines()]


def test_readme_has_commands_of_new_user() -> None:
    words = " ".join(commands(README))
    for command in (
        *MAKE,
        BUILD,
        INSTALL,
        ".site",
        "--check --diff",
        ".verify",
        ".teardown",
        "check_permissions",
    ):
        assert command in words


def test_commands_work_in_order(machine: Machine) -> None:
    """Add --offline to the installation, because the dependencies are already in the collections path."""
    outputs: dict[str, str] = {}
    for command in ordered():
        offline = f"{command} --offline" if command.startswith(INSTALL) else command
        done = machine.run(offline)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        outputs[command] = done.stdout
    installed = machine.installed / "ansible_collections/workload_identity/aws"
    assert (installed / "MANIFEST.json").is_file()
    for command in commands(README):
        if command.startswith("pip install -r ~"):
            assert (installed / command.rpartition("/aws/")[2]).is_file()
    assert [line for line in readme_output() if line not in screen(outputs[SITE])] == []


def test_build_output_is_ignored_by_git() -> None:
    ignored = run(["git", "check-ignore", "workload_identity-aws-1.0.0.tar.gz"], ROOT, {})
    assert ignored.returncode == 0, ignored.stdout


def test_workflow_runs_every_check() -> None:
    """Check that no check is only in a tier that nobody runs."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    jobs = workflow["jobs"]
    (run_cores,) = [step["run"] for step in jobs["cores"]["steps"] if "nox -s" in step.get("run", "")]
    checks = {"units" if check.name == "unit" else check.name for check in CHECKS if check.tier != "separate"}
    sessions = {*jobs["full"]["strategy"]["matrix"]["session"], *run_cores.removeprefix("nox -s ").split()}
    assert checks <= sessions
    assert sessions - checks == {"browser", *ANTSIBULL}
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_make_demo_shows_every_step(machine: Machine, tmp_path: Path) -> None:
    """Use the virtual environments of this checkout, so that the demo does not install packages."""
    checkout = tmp_path / "checkout"
    copy_checkout(checkout)
    for name in (".venv", ".venv-sandbox"):
        (checkout / name).symlink_to(ROOT / name, target_is_directory=True)
    link_dependencies(checkout / ".collections")
    namespace = checkout / ".collections" / "ansible_collections" / "workload_identity"
    namespace.mkdir()
    (namespace / "aws").symlink_to(checkout, target_is_directory=True)
    env = {key: value for key, value in machine.sandbox.env.items() if key != "KUBECONFIG"}
    done = run(["make", "demo"], checkout, {**env, "PYTHON": "true"})
    assert done.returncode == 0, done.stdout
    steps = (
        "Plan: 5 changes; nothing was changed.",
        "Done: 5 changes.",
        "Done: 0 changes.",
        "delete role my-role",
    )
    assert [step for step in steps if step not in done.stdout] == []
    assert "Demo completed in" in done.stdout
