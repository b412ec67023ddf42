# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the output of the playbooks: three tasks, none of them skipped, and no deprecations.

The tests use the newest ansible-core, and with CORES=all every installed one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from support import COLLECTIONS, ROOT, Sandbox, environment, run

EXAMPLE = "examples/guide.yml"
PLAYBOOKS = ("site", "verify", "teardown")
# One task checks the hosts, and two tasks are in the role.
TASKS = 3


@dataclass(frozen=True, slots=True)
class Core:
    """A virtual environment with a version of ansible-core, and the collections for that version."""

    name: str
    bin: Path
    collections: Path


def cores() -> list[Core]:
    """Return the newest ansible-core, and with CORES=all in the environment every installed older one."""
    folders = sorted(ROOT.glob(".venv-2.*")) if os.environ.get("CORES") == "all" else []
    older = [
        Core(name, folder / "bin", ROOT / ".cache" / f"collections-{name}")
        for folder in folders
        if (name := folder.name.removeprefix(".venv-"))
    ]
    return [Core("newest", ROOT / ".venv" / "bin", COLLECTIONS), *older]


@pytest.mark.parametrize("core", cores(), ids=lambda core: core.name)
def test_output_of_playbooks(sandbox: Sandbox, tmp_path: Path, core: Core) -> None:
    namespace = tmp_path / "ansible_collections" / "workload_identity"
    namespace.mkdir(parents=True)
    (namespace / "aws").symlink_to(ROOT, target_is_directory=True)
    sandbox.reset()
    env = {
        "ANSIBLE_COLLECTIONS_PATH": f"{tmp_path}:{core.collections}",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_DEPRECATION_WARNINGS": "true",
    }
    for playbook in PLAYBOOKS:
        remote_tmp = tmp_path / playbook
        env |= {"ANSIBLE_KEEP_REMOTE_FILES": "true", "ANSIBLE_REMOTE_TMP": str(remote_tmp)}
        command = (core.bin / "ansible-playbook", f"playbooks/{playbook}.yml", "-e", f"@{EXAMPLE}")
        done = sandbox.run(*command, "-e", "pod_identity_purge=true", env=env)
        assert done.returncode == 0, done.stdout
        assert ("pod_identity_purge has no effect in a" in done.stdout) is (playbook != "site")
        # The deprecated import of ansible.module_utils._text is in amazon.aws 10, not in this collection.
        warnings = re.findall(r"^\[DEPRECATION WARNING\]: (.*)", done.stdout, re.MULTILINE)
        assert [text for text in warnings if "ansible.module_utils._text" not in text] == [], done.stdout
        assert len(re.findall(r"^TASK \[", done.stdout, re.MULTILINE)) == TASKS
        assert re.findall(r"^skipping: .*|.*\.\.\.ignoring", done.stdout, re.MULTILINE) == []
        assert re.search(r"^(Done|Teardown done): 5 changes\.|^WORKLOAD +TRUST", done.stdout, re.MULTILINE), (
            done.stdout
        )
        # The action plugin runs all modules in its process, so Ansible writes no module files.
        assert list(remote_tmp.glob("*/AnsiballZ_*.py")) == []


def test_screens_of_examples(sandbox: Sandbox) -> None:
    """Compare all lines that the task of the role shows with tests/docs/screens.yml."""
    for example in yaml.safe_load(Path(__file__).with_name("screens.yml").read_text(encoding="utf-8")):
        sandbox.reset()
        for options, lines in example["runs"].items():
            playbook, *others = shlex.split(options)
            command = ("ansible-playbook", f"playbooks/{playbook}.yml", "-e", f"@{example['list']}", *others)
            _before, task, *_after = sandbox.run(*command).stdout.split(
                "TASK [workload_identity.aws.pod_identity : "
            )
            assert task.partition("\n")[2].rstrip() == lines.rstrip(), options


def test_plan_is_in_files_without_table(sandbox: Sandbox, tmp_path: Path) -> None:
    """Plan with an IAM role that does not exist, so that the plan fails."""
    sandbox.reset()
    report, junit = tmp_path / "report.json", tmp_path / "report.xml"
    command = ("ansible-playbook", "playbooks/site.yml", "-e", "@examples/existing_role.yml", "--check")
    files = {"pod_identity_report_file": str(report), "pod_identity_junit_file": str(junit)}
    done = sandbox.run(*command, "-e", json.dumps(files))
    assert done.returncode == 2, done.stdout
    assert "WORKLOAD" not in done.stdout
    assert done.stdout.count("Correct the ARN, or set role.name") == 1
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["check_mode"], written["failed"], written["account_id"]) == (True, True, "111122223333")
    assert ElementTree.parse(junit).find("testsuite/testcase/failure") is not None


def test_unwritable_report_file_fails_before_changes(sandbox: Sandbox) -> None:
    sandbox.reset()
    path = Path("nowhere", "report.json")
    done = sandbox.run(
        *("ansible-playbook", "playbooks/site.yml", "-e", f"@{EXAMPLE}"),
        *("-e", f"pod_identity_report_file={path}"),
    )
    assert done.returncode == 2, done.stdout
    reason = f"the folder {ROOT / path.parent} does not exist"
    message = f"pod_identity_report_file {path} cannot be written: {reason}. Nothing was changed."
    assert message in done.stdout
    assert "applying policies" not in done.stdout


UNCHECKED = "is used without checking its certificate: any server at that address gets the token."


@pytest.mark.release
def test_unverified_certificate_is_a_warning(sandbox: Sandbox) -> None:
    """Use the setting that AWX sets for a bearer token credential without a certificate authority."""
    command = ("ansible-playbook", "playbooks/verify.yml", "-e", f"@{EXAMPLE}")
    done = sandbox.run(*command, env={"K8S_AUTH_VERIFY_SSL": "False"})
    assert UNCHECKED in " ".join(done.stdout.split())


INVENTORY = """
all:
  vars: {pod_identity_cluster_name: my-cluster}
  children:
    clusters: {hosts: {blue: {}}}
"""


@pytest.mark.parametrize("core", cores(), ids=lambda core: core.name)
def test_pattern_without_hosts_fails_playbook(tmp_path: Path, core: Core) -> None:
    """Check one case in which Ansible alone would skip the play and succeed. test_play_hosts.py checks all cases."""
    done = play(core, tmp_path, "site", INVENTORY, "-e", "pod_identity_hosts=clusterz")
    assert done.returncode != 0, done.stdout
    assert "pod_identity_hosts is 'clusterz', which matches no host of the inventory." in done.stdout


@pytest.mark.parametrize("core", cores(), ids=lambda core: core.name)
def test_rejects_hosts_variable_of_inventory(tmp_path: Path, core: Core) -> None:
    inventory = INVENTORY.replace("vars: {", "vars: {pod_identity_hosts: clusters, ")
    done = play(core, tmp_path, "site", inventory, "-e", f"@{EXAMPLE}")
    assert done.returncode == 2, done.stdout
    assert (
        "pod_identity_hosts is clusters, and this play runs on localhost. The inventory cannot set the "
        "hosts of a play; set them on the command line: -e pod_identity_hosts=clusters"
    ) in done.stdout


def test_teardown_rejects_state_present(tmp_path: Path) -> None:
    """Set pod_identity_state as an extra variable, which would override the value in the playbook."""
    done = play(cores()[0], tmp_path, "teardown", INVENTORY, "-e", "pod_identity_state=present")
    assert done.returncode != 0, done.stdout
    assert "pod_identity_state is 'present', but this play tears down the workloads." in done.stdout


def play(
    core: Core, folder: Path, playbook: str, inventory: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run a playbook that fails before any request to AWS or Kubernetes."""
    namespace = folder / "ansible_collections" / "workload_identity"
    namespace.mkdir(parents=True)
    (namespace / "aws").symlink_to(ROOT, target_is_directory=True)
    (folder / "inventory.yml").write_text(inventory, encoding="utf-8")
    env = environment(folder, core.collections, home=folder / "home")
    command = (core.bin / "ansible-playbook", f"playbooks/{playbook}.yml", "-i", folder / "inventory.yml")
    return run([*command, *options], ROOT, env)
