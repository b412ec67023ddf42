# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set every variable of the role as text, as a command line, an INI inventory or a survey does."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CORES, ROOT, run
from .test_main_job import recap

SPECS = yaml.safe_load((ROOT / "roles/pod_identity/meta/argument_specs.yml").read_text(encoding="utf-8"))
# An empty value of pod_identity_approved is invalid: a run must not apply changes because the name of the plan is missing.
OPTIONS: dict[str, dict[str, Any]] = {
    name: option
    for name, option in SPECS["argument_specs"]["main_variables"]["options"].items()
    if name != "pod_identity_approved"
}
WORKLOADS = [
    {
        "namespace": "default",
        "service_account": "api",
        "role": {"name": "texts"},
        "policies": [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}],
    }
]
# Values for variables that have no default, and for variables whose effect the test checks.
TEXTS = {
    "pod_identity_account_id": "111122223333",
    "pod_identity_cluster_name": "my-cluster",
    "pod_identity_workloads": json.dumps(WORKLOADS),
    "pod_identity_region": "us-west-2",
    "pod_identity_profile": "",
    # The integration target assume_role tests these variables.
    "pod_identity_assume_role_arn": "",
    "pod_identity_assume_role_external_id": "",
    "pod_identity_kubeconfig": "{{ lookup('env', 'KUBECONFIG') }}",
    "pod_identity_kube_context": "",
    # The cluster already has a newer version of the agent.
    "pod_identity_agent": "present",
    "pod_identity_agent_version": ">=v1.3.0",
    "pod_identity_trust_scope": "workload",
    # Only the verification and the teardown have this variable, because a purge refuses it.
    "pod_identity_only": "default/*",
    "pod_identity_owner": "team-a",
    "pod_identity_permissions_boundary": "arn:aws:iam::aws:policy/PowerUserAccess",
    "pod_identity_deadline": "300",
    "pod_identity_tags": '{"stage": "test"}',
    "pod_identity_purge": "true",
    "pod_identity_ignore": '["PROOF_SKIPPED", "POD_PROXY"]',
    "pod_identity_runtime_proof": "yes",
    "pod_identity_restart_stale": "yes",
    "pod_identity_proof_pod": '{"spec": {"tolerations": []}}',
    # Only the verification and the teardown have files with workloads, instead of pod_identity_workloads.
    "pod_identity_workloads_from": "",
}
SITE = "workload_identity.aws.site"


def as_text(name: str, option: Mapping[str, Any]) -> str:
    """Return a value for a variable as text. A variable without a default must be in TEXTS."""
    if name in TEXTS:
        return TEXTS[name]
    default = option["default"]
    return json.dumps(default) if isinstance(default, (bool, dict, list)) else str(default)


@pytest.mark.parametrize("core", CORES)
def test_every_variable_accepts_text(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], sandbox: Mapping[str, str], tmp_path: Path
) -> None:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    env = {**env, **sandbox}
    report = tmp_path / "report.json"
    paths = {"pod_identity_report_file": report, "pod_identity_junit_file": tmp_path / "report.xml"}
    files = tmp_path / "workloads.yml"
    files.write_text(json.dumps(WORKLOADS), encoding="utf-8")
    texts = {
        name: str(paths[name]) if name in paths else as_text(name, option) for name, option in OPTIONS.items()
    }
    del texts["pod_identity_workloads_from"]
    selection = texts.pop("pod_identity_only")
    command = [venv / "bin" / "ansible-playbook", SITE]
    extra = [part for name, text in texts.items() for part in ("-e", f"{name}='{text}'")]
    printed = run([*command, *extra], env, tmp_path).stdout
    assert "Done: 4 changes." in printed
    assert recap(printed)["failed"] == 0
    found = json.loads(report.read_text(encoding="utf-8"))
    assert [(finding["code"], finding["accepted"]) for finding in found["findings"]] == [
        ("PROOF_SKIPPED", True)
    ]

    again = run([*command, *extra], env, tmp_path).stdout
    assert "Done: 0 changes." in again
    assert recap(again)["changed"] == 0

    inventory = tmp_path / "hosts.ini"
    del texts["pod_identity_workloads"]
    texts |= {"pod_identity_workloads_from": str(files), "pod_identity_only": selection}
    lines = [f"{name}={text}" for name, text in texts.items()]
    inventory.write_text("\n".join(["localhost", "[all:vars]", *lines, ""]), encoding="utf-8")
    for name in ("verify", "teardown"):
        command = [venv / "bin" / "ansible-playbook", "-i", inventory, f"workload_identity.aws.{name}"]
        printed = run([*command, "-e", "pod_identity_hosts=localhost"], env, tmp_path).stdout
        assert recap(printed)["failed"] == 0
    assert "Teardown done: 4 changes." in printed


# Extra variables with these names override results of the role, and could hide a failure.
RESULTS = {"pod_identity_result": "", "pod_identity_report": {"failed": False}}
HIDDEN = "\n".join(
    (
        "2 problems in the input; nothing was changed:",
        *(
            f"- {name} is a result of this collection, which an extra variable would override; remove it from the "
            "extra variables."
            for name in sorted(RESULTS)
        ),
    )
)
DROPPED = (
    "-e with {name} has words that belong to no variable, and Ansible would ignore these words. Write "
    "name=value without spaces. Put a value with spaces in a second pair of quotes: -e \"name='a, b'\". Write a list or mapping "
    """as JSON: -e '{{"name": ["a", "b"]}}'."""
)
MISSPELT = (
    "pod_identity_purge_limits is not a variable of this collection; did you mean pod_identity_purge_limit? "
    "Nothing was changed."
)
REFUSED = (
    pytest.param(SITE, ["-e", "pod_identity_purge_limits=3"], MISSPELT, id="extra variable"),
    pytest.param(SITE, ["-e", json.dumps(RESULTS)], HIDDEN, id="results"),
    pytest.param("workload_identity.aws.fleet", ["-e", json.dumps(RESULTS)], HIDDEN, id="results of a fleet"),
    pytest.param(
        "workload_identity.aws.teardown",
        ["-e", "pod_identity_force = false"],
        f"{DROPPED.format(name='pod_identity_force')} Nothing was changed.",
        id="spaces around the sign",
    ),
    pytest.param(
        "workload_identity.aws.report",
        ["-e", "pod_identity_report_files=blue, green"],
        f"{DROPPED.format(name='pod_identity_report_files')} Nothing was changed.",
        id="a list that ends at its space",
    ),
)


def on_cores(cases: Iterable[Any], newest_only: Collection[str]) -> list[Any]:
    """Return the test cases for each ansible-core. The cases that ``newest_only`` names run only on the newest one."""
    return [
        pytest.param(core, *case.values, id=f"{core}-{case.id}")
        for core in CORES
        for case in cases
        if core == CORES[-1] or case.id not in newest_only
    ]


@pytest.mark.parametrize(
    ("core", "playbook", "extra", "message"),
    on_cores(REFUSED, {"results of a fleet", "a list that ends at its space"}),
)
def test_rejects_invalid_variable_with_one_sentence(
    core: str,
    playbook: str,
    extra: list[str],
    message: str,
    cores: Mapping[str, tuple[Path, Mapping[str, str]]],
    tmp_path: Path,
) -> None:
    """Pass misspelt variables, results of the role, and values of -e that Ansible would ignore in part."""
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    texts = {"cluster_name": "my-cluster", "workloads": json.dumps(WORKLOADS)}
    lines = [f"pod_identity_{name}={text}" for name, text in texts.items()]
    (tmp_path / "hosts.ini").write_text("\n".join(["localhost", "[all:vars]", *lines]), encoding="utf-8")
    printed, failed = fail(venv, env, tmp_path, "-i", "hosts.ini", playbook, *extra)
    assert failed["localhost"]["msg"] == message
    # The result does not repeat the failure, or other long values.
    assert set(failed["localhost"]) <= {"assertion", "changed", "evaluated_to", "msg"}
    assert len(printed) < 3000


def fail(
    venv: Path, env: Mapping[str, str], cwd: Path, *arguments: str
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Run a playbook that must fail. Return its output, and by host the result of the failed task."""
    done = subprocess.run(
        [venv / "bin" / "ansible-playbook", *arguments],
        cwd=cwd,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stdout
    fatal = re.findall(r"^fatal: \[(.+?)\]: FAILED! => (.*)$", done.stdout, re.MULTILINE)
    assert len(fatal) == len(dict(fatal))
    return done.stdout, {host: json.loads(result) for host, result in fatal}


# Each host is a test case. All plays contain all hosts: Ansible would stop after a play in which every host fails.
OWN_PLAYS = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: workload_identity.aws.pod_identity}
      when: by == 'include_role'
    - ansible.builtin.include_role: {name: workload_identity.aws.pod_identity, tasks_from: verify}
      when: by == 'tasks_from'
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: workload_identity.aws.pod_identity}
      when: by == 'import_role'
- hosts: all
  gather_facts: false
  roles:
    - role: workload_identity.aws.pod_identity
      when: by == 'roles'
"""
CLUSTER = {"pod_identity_cluster_name": "my-cluster"}
LISTED = {**CLUSTER, "pod_identity_workloads": WORKLOADS}
A_LIST = {**LISTED, "pod_identity_region": ["a"]}
NO_TEXT = "pod_identity_region must be text, got ['a']. Nothing was changed."


# By host: how the play includes the role, the variables of the host, and the beginning of the expected message.
OWN_CASES: dict[str, tuple[str, Mapping[str, object], str]] = {
    **{
        f"a-list-{by}": (by, A_LIST, NO_TEXT) for by in ("include_role", "import_role", "tasks_from", "roles")
    },
    "a-string-for-a-list": (
        "roles",
        {**CLUSTER, "pod_identity_workloads": "api"},
        "pod_identity_workloads line 1: must be a list of workloads, one mapping each. Nothing was changed.",
    ),
    "undefined": (
        "roles",
        {**LISTED, "pod_identity_region": "{{ nowhere }}"},
        "pod_identity_region: 'nowhere' is undefined. Nothing was changed.",
    ),
    "undefined-within": (
        "include_role",
        {**CLUSTER, "pod_identity_workloads": [{**WORKLOADS[0], "tags": {"a": "{{ nowhere }}"}}]},
        "pod_identity_workloads[0] (default/api): 'nowhere' is undefined. Nothing was changed.",
    ),
    "misspelt": ("roles", {**LISTED, "pod_identity_purge_limits": "a"}, MISSPELT),
}


@pytest.mark.parametrize("core", CORES)
def test_custom_play_gets_same_message(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], tmp_path: Path
) -> None:
    """Check that a failure has the message of the role. If Ansible validated the variables, it would print the whole
    specification."""
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    hosts = {
        host: {"ansible_connection": "local", "by": by, **variables}
        for host, (by, variables, _message) in OWN_CASES.items()
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    (tmp_path / "plays.yml").write_text(OWN_PLAYS, encoding="utf-8")
    printed, failed = fail(*cores[core], tmp_path, "-i", "hosts.json", "plays.yml")
    messages = {host: message for host, (_by, _variables, message) in OWN_CASES.items()}
    assert {host: failed[host]["msg"][: len(message)] for host, message in messages.items()} == messages
    assert len(printed) < 3000 * len(messages)
