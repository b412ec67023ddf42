# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test artifacts, which jobs pass to later nodes of a workflow. They are written and read as in AWX."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CORES
from .test_inventory import squeezed

OWN, REGION = "111122223333", "us-west-2"
KEY = "pod_identity_artifact_"
BLUE = f"{KEY}apply_my_cluster_{REGION.replace('-', '_')}_{OWN}"
WORKLOADS = [{"namespace": "default", "service_account": "api", "role": {"name": "artifact-test"}}]
# A playbook that copies a variable into a fact, and then into set_stats and into a file.
PASS_ON = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        carried: "{{ lookup('ansible.builtin.vars', name) }}"
    - ansible.builtin.set_stats:
        data:
          carried: "{{ carried }}"
    - ansible.builtin.copy:
        content: "{{ {'carried': carried} | to_json }}"
        dest: "{{ file }}"
        mode: "0600"
"""


class _Dumper(yaml.SafeDumper):
    """A YAML dumper that writes extra variables as AWX writes artifacts: every text has the tag !unsafe."""

    def represent_data(self, data: Any) -> Any:
        if isinstance(data, str):
            return self.represent_scalar("!unsafe", data)
        return super().represent_data(data)


@dataclass(frozen=True)
class Workflow:
    """A workflow: its jobs run in one folder with one version of ansible-core."""

    venv: Path
    env: Mapping[str, str]
    folder: Path

    def job(
        self, playbook: str, extra: Mapping[str, Any], *arguments: str, **env: str
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        """Run a job. Return its process result and its artifacts.

        ``extra`` has extra variables and artifacts of earlier jobs.
        """
        texts = [yaml.dump({name: part}, Dumper=_Dumper) for name, part in extra.items()]
        (self.folder / "extra.yml").write_text("".join(texts), encoding="utf-8")
        command = [self.venv / "bin" / "ansible-playbook", "-i", "hosts.yml", playbook, "-e", "@extra.yml"]
        settings = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_SHOW_CUSTOM_STATS": "true"}
        # ansible-core 2.24 and newer do not set facts as variables. Test that the playbooks do not need them as variables.
        settings["ANSIBLE_INJECT_FACT_VARS"] = "false"
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.folder,
            env={**self.env, **settings, **env},
            check=False,
            capture_output=True,
            text=True,
        )
        stats = [line for line in done.stdout.splitlines() if line.startswith("\tRUN: ")]
        return done, json.loads(stats[0].removeprefix("\tRUN: ")) if stats else {}


@pytest.fixture
def workflow(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], sandbox: Mapping[str, str], tmp_path: Path
) -> Workflow:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    hosts = {"blue": {"pod_identity_cluster_name": "my-cluster"}}
    common = {"pod_identity_workloads": WORKLOADS, "pod_identity_region": REGION}
    inventory = {"clusters": {"hosts": hosts, "vars": common}}
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory), encoding="utf-8")
    (tmp_path / "pass_on.yml").write_text(PASS_ON, encoding="utf-8")
    return Workflow(venv, {**env, **sandbox}, tmp_path)


@pytest.mark.parametrize("core", CORES)
def test_artifact_is_unchanged_in_later_job(workflow: Workflow) -> None:
    extra = {"pod_identity_hosts": "blue"}
    _done, artifacts = workflow.job("workload_identity.aws.site", extra)
    assert set(artifacts) == {BLUE}
    made = artifacts[BLUE]
    assert made["account_id"] == f'"{OWN}"'
    assert [change["name"] for change in made["changes"]] == ["artifact-test", "default/api"]
    assert json.loads(made["changes"][0]["after"])
    assert (made["form"], made["host"], made["failed"], made["failure"]) == ("full", "blue", False, None)
    file = workflow.folder / "carried.json"
    arguments = ("-e", f"name={BLUE}", "-e", f"file={file}")
    for native in ("false", "true"):
        done, again = workflow.job("pass_on.yml", artifacts, *arguments, ANSIBLE_JINJA2_NATIVE=native)
        assert done.returncode == 0, done.stdout
        assert json.loads(file.read_text(encoding="utf-8")) == {"carried": made}
        assert again == {"carried": made}
    # A later job ignores the artifacts of earlier jobs among its variables.
    done, later = workflow.job("workload_identity.aws.verify", {**artifacts, "pod_identity_hosts": "blue"})
    assert done.returncode == 0, done.stdout
    verified = later[BLUE.replace("_apply_", "_verify_")]
    assert (verified["form"], verified["stopped"]) == ("full", False)


@pytest.mark.release
@pytest.mark.parametrize("core", CORES[-1:])
def test_report_reads_files_and_rejects_others(workflow: Workflow) -> None:
    file = workflow.folder / "blue.json"
    extra = {"pod_identity_hosts": "blue", "pod_identity_report_file": str(file)}
    done, _artifacts = workflow.job("workload_identity.aws.site", extra, "--check")
    assert done.returncode == 0, done.stdout
    files = str(workflow.folder / "*.json")
    report = ("workload_identity.aws.report", {"pod_identity_hosts": "blue"})
    done, _artifacts = workflow.job(*report, "--check", "-e", f"pod_identity_report_files={files}")
    assert done.returncode == 0, done.stdout
    assert "1 of 1 cluster planned, 0 failed; nothing was changed." in done.stdout
    done, _artifacts = workflow.job(*report, "-e", f"pod_identity_report_files={files}")
    assert done.returncode == 2
    assert squeezed("The plan has 3 changes that no job reported as done") in squeezed(done.stdout)
    (workflow.folder / "other.json").write_text("[]", encoding="utf-8")
    done, _artifacts = workflow.job(*report, "-e", f"pod_identity_report_files={files}")
    assert done.returncode == 2
    assert squeezed("other.json is not a report from pod_identity_report_file.") in squeezed(done.stdout)
    done, _artifacts = workflow.job(*report)
    assert squeezed("1 of 1 did not report: blue. The reasons are above.") in squeezed(done.stdout)
