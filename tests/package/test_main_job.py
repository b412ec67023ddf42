# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the playbooks of the installed collection, called by their full names.

test_role_variables.py tests them with the lowest supported versions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import CORES, ROOT, VENV, run

GUIDE = ROOT / "examples" / "guide.yml"
CHECKS = {"trust", "attachment", "version", "contents", "association", "service account"}


def recap(output: str) -> dict[str, int]:
    """Return the counts in the recap of the only host, such as {"ok": 15, "changed": 2, …}."""
    line = output.rsplit("PLAY RECAP", 1)[1].strip().splitlines()[1]
    return {name: int(count) for name, count in (part.split("=") for part in line.split(":", 1)[1].split())}


def playbook(name: str, venv: Path, env: Mapping[str, str], cwd: Path) -> str:
    command = [venv / "bin" / "ansible-playbook", f"workload_identity.aws.{name}", "-e", f"@{GUIDE}"]
    return run(command, env, cwd).stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], ""),
        (
            ["-e", "pod_identity_cluster_name=my-cluster", "-e", '{"workloads": []}'],
            "pod_identity_workloads is missing.",
        ),
        (["-e", "pod_identity_cluster_name="], "pod_identity_cluster_name is empty."),
    ],
)
def test_site_names_missing_variables(
    options: list[str], reason: str, installed: Mapping[str, str], tmp_path: Path
) -> None:
    command = [VENV / "bin" / "ansible-playbook", "workload_identity.aws.site", *options]
    with pytest.raises(AssertionError) as failed:
        run(command, installed, tmp_path)
    output = str(failed.value)
    assert ("workloads is set; did you mean pod_identity_workloads?" in output) is ("-e" in options[2:])
    assert "The role needs pod_identity_cluster_name and pod_identity_workloads" in output
    assert re.findall(r"pod_identity_\w+ is (?:missing|empty)\.", output)[:1] == ([reason] if reason else [])


MODULES = """\
- hosts: localhost
  gather_facts: false
  vars:
    workloads:
      - namespace: modules
        service_account: app
        role: {name: modules-app}
        policies: [{arn: "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]
  module_defaults:
    workload_identity.aws.eks_pod_identity: {cluster_name: my-cluster, region: us-west-2}
    workload_identity.aws.eks_pod_identity_info: {cluster_name: my-cluster, region: us-west-2}
  tasks:
    - name: Create what a workload needs, with the list as text
      workload_identity.aws.eks_pod_identity:
        workloads: "{{ workloads | to_json | string }}"
      register: created
    - name: Create it again
      workload_identity.aws.eks_pod_identity:
        workloads: "{{ workloads }}"
      register: unchanged
    - name: Verify it
      workload_identity.aws.eks_pod_identity_info:
        workloads: "{{ workloads }}"
      register: verified
    - name: Create the association
      workload_identity.aws.eks_pod_identity_association:
        cluster_name: my-cluster
        region: us-west-2
        namespace: modules
        service_account: app
        role_arn: "{{ created.workloads[0].role_arn }}"
        tags: {team: a}
      register: associated
    - name: List the associations
      workload_identity.aws.eks_pod_identity_association_info:
        cluster_name: my-cluster
        region: us-west-2
        namespace: modules
      register: listed
    - name: Delete all of it
      workload_identity.aws.eks_pod_identity:
        workloads: "{{ workloads }}"
        state: absent
      register: deleted
    - name: Assert the results
      ansible.builtin.assert:
        that:
          - created is changed
          - unchanged is not changed
          - verified.summary.passed == 1
          - associated is changed
          - listed.associations | map(attribute='service_account') == ['app']
          - deleted is changed
"""


@pytest.mark.parametrize("core", CORES)
def test_modules_work_with_lowest_and_newest_versions(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], sandbox: Mapping[str, str], tmp_path: Path
) -> None:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    (tmp_path / "modules.yml").write_text(MODULES, encoding="utf-8")
    run([venv / "bin" / "ansible-playbook", "modules.yml"], {**env, **sandbox}, tmp_path)


def test_ansible_runner_returns_facts(
    installed: Mapping[str, str], sandbox: Mapping[str, str], tmp_path: Path
) -> None:
    """Run the job with ansible-runner as AWX does: variables are in env/extravars, data of set_stats become artifacts."""
    folder = tmp_path / "job"
    (folder / "env").mkdir(parents=True)
    (folder / "project").mkdir()
    variables = f"{GUIDE.read_text(encoding='utf-8')}\nawx_job_id: 1\n"
    (folder / "env" / "extravars").write_text(variables, encoding="utf-8")
    command = ["run", folder, "-p", "workload_identity.aws.site", "--ident", "first", "--json"]
    run([VENV / "bin" / "ansible-runner", *command], runner_environment(installed, sandbox), tmp_path)
    [(name, report)] = artifacts(folder, "first").items()
    assert name == "pod_identity_artifact_apply_my_cluster_us_west_2_111122223333"
    assert not report["failed"]
    made = [change["resource"] for change in report["changes"]]
    assert made == ["policy", "role", "attachment", "association"]
    [workload] = report["workloads"]
    assert (workload["namespace"], workload["service_account"]) == ("default", "my-service-account")
    assert workload["role_arn"] == "arn:aws:iam::111122223333:role/pod-identity/my-role"
    assert workload["association_id"].startswith("a-")
    assert {check["name"] for check in workload["checks"]} >= CHECKS
    # The policy of the guide names the bucket, but not its objects.
    assert {check["name"] for check in workload["checks"] if check["status"] != "pass"} == {"contents"}


def runner_environment(installed: Mapping[str, str], sandbox: Mapping[str, str]) -> dict[str, str]:
    env = {**installed, **sandbox}
    env["PATH"] = f"{VENV / 'bin'}:{env['PATH']}"
    return env


def artifacts(folder: Path, ident: str) -> dict[str, Any]:
    """Return the data of set_stats, which ansible-runner stores in the events of the job."""
    events = sorted((folder / "artifacts" / ident / "job_events").glob("*-*.json"))
    read = [json.loads(path.read_text(encoding="utf-8")) for path in events]
    [stats] = [event for event in read if event["event"] == "playbook_on_stats"]
    data: dict[str, Any] = stats["event_data"]["artifact_data"]
    return data
