# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks print on each ansible-core here: eight tasks, nothing skipped, no deprecation of ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import COLLECTIONS, ROOT, Sandbox, environment, run

EXAMPLE = "examples/guide.yml"
# The modules that each starts, every one a process of its own.
PLAYBOOKS = ("site", "verify", "teardown")
# The check of the hosts, and the two of the role.
TASKS = 3


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


def end_cores() -> list[Core]:
    """What differs between cores differs between the oldest and the newest; with CORES=all each."""
    newest, *older = cores()
    return [newest, *(older if os.environ.get("CORES") == "all" else older[:1])]


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
    for playbook in PLAYBOOKS:
        started = tmp_path / playbook
        env |= {"ANSIBLE_KEEP_REMOTE_FILES": "true", "ANSIBLE_REMOTE_TMP": str(started)}
        command = (core.bin / "ansible-playbook", f"playbooks/{playbook}.yml", "-e", f"@{EXAMPLE}")
        done = sandbox.run(*command, env=env)
        assert done.returncode == 0, done.stdout
        assert "[DEPRECATION WARNING]" not in done.stdout, done.stdout
        assert len(re.findall(r"^TASK \[", done.stdout, re.MULTILINE)) == TASKS
        assert re.findall(r"^skipping: .*|.*\.\.\.ignoring", done.stdout, re.MULTILINE) == []
        assert re.search(r"^(Done|Teardown done): 5 changes\.|^WORKLOAD +TRUST", done.stdout, re.MULTILINE), (
            done.stdout
        )
        # All of it is done in the process of the task.
        assert list(started.glob("*/AnsiballZ_*.py")) == []


# What IAM, EKS and Kubernetes store that a terminal hides or obeys.
HIDDEN = {
    "pod_identity_cluster_name": "my-cluster",
    "pod_identity_tags": {"team": "a\u2028b"},
    "pod_identity_workloads": [
        {
            "namespace": "default",
            "service_account": "hidden",
            "role": {"name": "hidden", "description": "soft\u00adhyphen"},
            "service_account_annotations": {"note": "a\u202eb\u2066c\u009bd"},
            "policies": [
                {
                    "name": "hidden",
                    "document": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Action": "s3:GetObject",
                                "Resource": "arn:aws:s3:::b/\u0085*",
                            }
                        ],
                    },
                }
            ],
        }
    ],
}


@pytest.mark.parametrize("core", end_cores(), ids=lambda core: core.name)
def test_nothing_that_a_screen_hides_is_printed_at_any_verbosity(
    sandbox: Sandbox, tmp_path: Path, core: Core
) -> None:
    own = tmp_path / "ansible_collections" / "workload_identity"
    own.mkdir(parents=True)
    (own / "aws").symlink_to(ROOT, target_is_directory=True)
    sandbox.reset()
    env = {
        "ANSIBLE_COLLECTIONS_PATH": f"{tmp_path}:{core.collections}",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_INJECT_INVOCATION": "true",
    }
    printed = []
    for playbook, more, code in (
        ("site", {}, 0),
        ("site", {"pod_identity_force_conflicts": True}, 0),
        ("verify", {}, 0),
        (
            "site",
            {"pod_identity_region": "us\u202e-west-2", "pod_identity_report_file": "/no\u202ewhere/x"},
            2,
        ),
        ("site", {"pod_identity_cluster_name": "my\u202e"}, 2),
        ("teardown", {}, 0),
    ):
        extra = tmp_path / "extra.json"
        extra.write_text(json.dumps({**HIDDEN, **more}), encoding="utf-8")
        command = (core.bin / "ansible-playbook", "-vvv", "--diff", f"playbooks/{playbook}.yml")
        done = sandbox.run(*command, "-e", f"@{extra}", env=env)
        assert done.returncode == code, done.stdout
        printed += done.stdout.split("\n")
    assert [line for line in printed if not line.replace("\t", "").isprintable()] == []
    assert any("a\\u202eb" in line for line in printed)


def test_a_plan_has_no_table_and_is_in_the_files(sandbox: Sandbox, tmp_path: Path) -> None:
    """The plan of this example fails: the role is not there."""
    sandbox.reset()
    report, junit = tmp_path / "report.json", tmp_path / "report.xml"
    command = ("ansible-playbook", "playbooks/site.yml", "-e", "@examples/existing_role.yml", "--check")
    files = {"pod_identity_report_file": str(report), "pod_identity_junit_file": str(junit)}
    done = sandbox.run(*command, "-e", json.dumps(files))
    assert done.returncode == 2, done.stdout
    assert "WORKLOAD" not in done.stdout
    assert done.stdout.count("Correct the ARN, or give role.name") == 1
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["check_mode"], written["failed"], written["account_id"]) == (True, True, "111122223333")
    assert ElementTree.parse(junit).find("testsuite/testcase/failure") is not None


def test_a_file_that_cannot_be_written_stops_the_run_before_any_change(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.reset()
    path = tmp_path / "nowhere" / "report.json"
    done = sandbox.run(
        *("ansible-playbook", "playbooks/site.yml", "-e", f"@{EXAMPLE}"),
        *("-e", f"pod_identity_report_file={path}"),
    )
    assert done.returncode == 2, done.stdout
    message = f"pod_identity_report_file {path} cannot be written: the folder {path.parent} does not exist. Nothing was changed."
    assert message in done.stdout
    assert "applying policies" not in done.stdout


def test_the_inventory_of_the_readme_keeps_ansible_quiet(sandbox: Sandbox) -> None:
    assert "`-i localhost,` avoids them" in (ROOT / "README.md").read_text(encoding="utf-8")
    loud = {"ANSIBLE_LOCALHOST_WARNING": "true", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "true"}
    command = ("ansible-playbook", "playbooks/site.yml", "-e", f"@{EXAMPLE}", "--check")
    assert "[WARNING]" in sandbox.run(*command, env=loud).stdout
    done = sandbox.run(*command, "-i", "localhost,", env=loud)
    assert (done.returncode, "[WARNING]" in done.stdout) == (0, False), done.stdout


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_lines_stand_as_they_are_in_either_form_of_results(sandbox: Sandbox, form: str) -> None:
    sandbox.reset()
    command = ("ansible-playbook", "playbooks/verify.yml", "-e", f"@{EXAMPLE}")
    done = sandbox.run(*command, env={"ANSIBLE_CALLBACK_RESULT_FORMAT": form})
    assert done.returncode == 2, done.stdout
    assert re.search(
        r"^Cluster my-cluster, account 111122223333, region us-west-2, as ", done.stdout, re.MULTILINE
    )
    assert "\nVerified: 1 workload; 1 fail.\nWORKLOAD " in done.stdout
    assert (
        len(re.findall(r"^  error ROLE_MISSING default/my-service-account: ", done.stdout, re.MULTILINE)) == 1
    )


def test_a_certificate_that_is_not_checked_is_a_warning(sandbox: Sandbox) -> None:
    """As AWX sets it for a bearer token credential without certificate authority."""
    command = ("ansible-playbook", "playbooks/verify.yml", "-e", f"@{EXAMPLE}")
    said = "is used without checking its certificate: any server at that address gets the token."
    assert said in " ".join(sandbox.run(*command, env={"K8S_AUTH_VERIFY_SSL": "False"}).stdout.split())
    assert said not in " ".join(sandbox.run(*command).stdout.split())


INVENTORY = """
all:
  vars: {pod_identity_cluster_name: my-cluster}
  children:
    clusters: {hosts: {blue: {}}}
"""


@pytest.mark.parametrize("core", end_cores(), ids=lambda core: core.name)
def test_a_pattern_that_matches_no_host_ends_the_playbook(tmp_path: Path, core: Core) -> None:
    """Ansible itself skips the play and ends well. All cases are in test_play_hosts."""
    done = play(core, tmp_path, "site", INVENTORY, "-e", "pod_identity_hosts=clusterz")
    assert done.returncode != 0, done.stdout
    assert "pod_identity_hosts is 'clusterz', which matches no host of the inventory." in done.stdout


def test_a_teardown_that_is_told_to_make_something_ends_the_playbook(tmp_path: Path) -> None:
    """An extra variable would win over the playbook's own."""
    done = play(cores()[0], tmp_path, "teardown", INVENTORY, "-e", "pod_identity_state=present")
    assert done.returncode != 0, done.stdout
    message = "pod_identity_state is 'present', but this play tears down. Leave it out, or run site.yml. Nothing was changed."
    assert message in done.stdout


VERIFY_ONLY = "pod_identity_verify_only"


@pytest.mark.parametrize("core", end_cores(), ids=lambda core: core.name)
@pytest.mark.parametrize(
    ("playbook", "value", "message"),
    [
        # What was to be a verification never makes changes.
        (
            "site",
            "yes",
            f"{VERIFY_ONLY} is true, which is for a fleet; this would make changes. To verify one cluster, use verify.yml, "
            "the playbook or the role's tasks_from.",
        ),
        ("teardown", "true", f"{VERIFY_ONLY} is true, which is for a fleet; this would make changes."),
        ("site", "ture", f"{VERIFY_ONLY} must be true or false, got 'ture'."),
        ("fleet", "ture", f"{VERIFY_ONLY} must be true or false, got 'ture'."),
    ],
)
def test_a_verification_that_is_misspelt_or_misplaced_changes_nothing(
    tmp_path: Path, core: Core, playbook: str, value: str, message: str
) -> None:
    options = ("-e", f"@{EXAMPLE}", "-e", f"{VERIFY_ONLY}={value}")
    done = play(core, tmp_path, playbook, INVENTORY, *options)
    assert done.returncode == 2, done.stdout
    assert message in done.stdout
    assert "Nothing was changed." in done.stdout


@pytest.mark.parametrize("core", end_cores(), ids=lambda core: core.name)
def test_hosts_from_the_inventory_are_refused_instead_of_ignored(tmp_path: Path, core: Core) -> None:
    inventory = INVENTORY.replace("vars: {", "vars: {pod_identity_hosts: clusters, ")
    done = play(core, tmp_path, "site", inventory, "-e", f"@{EXAMPLE}")
    assert done.returncode == 2, done.stdout
    assert (
        "pod_identity_hosts is clusters, and this play runs on localhost. The hosts of a play cannot come from the "
        "inventory; give them on the command line: -e pod_identity_hosts=clusters"
    ) in done.stdout


@pytest.mark.parametrize("core", end_cores(), ids=lambda core: core.name)
def test_what_is_undefined_within_workloads_is_named(tmp_path: Path, core: Core) -> None:
    given = {
        "pod_identity_cluster_name": "my-cluster",
        "pod_identity_workloads": [
            {"namespace": "default", "service_account": "app", "role": {"name": "{{ team }}-role"}}
        ],
    }
    done = play(core, tmp_path, "site", INVENTORY, "-e", json.dumps(given))
    assert done.returncode == 2, done.stdout
    assert "'team' is undefined" in done.stdout
    assert "The role needs" not in done.stdout


def play(
    core: Core, folder: Path, playbook: str, inventory: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """A playbook that ends before it asks anyone."""
    own = folder / "ansible_collections" / "workload_identity"
    own.mkdir(parents=True)
    (own / "aws").symlink_to(ROOT, target_is_directory=True)
    (folder / "inventory.yml").write_text(inventory, encoding="utf-8")
    env = environment(folder, core.collections, home=folder / "home")
    command = (core.bin / "ansible-playbook", f"playbooks/{playbook}.yml", "-i", folder / "inventory.yml")
    return run([*command, *options], ROOT, env)
