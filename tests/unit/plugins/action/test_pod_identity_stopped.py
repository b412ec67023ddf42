# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifact of a role that stopped early: of which cluster, and why."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.workload_identity.aws.plugins.action import pod_identity_stopped

ARN = "arn:aws:eks:us-west-2:111122223333:cluster/blue"
DONE = {"failed": False, "cluster_arn": ARN, "account_id": "111122223333"}
RESULTS = ["preflight", "converged"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def act(variables: dict[str, Any], **environment: str) -> dict[str, Any]:
        action = object.__new__(pod_identity_stopped.ActionModule)
        action._task = SimpleNamespace(check_mode=False, environment=[environment])
        action._templar = SimpleNamespace(template=lambda value: value)
        result: dict[str, Any] = action.run(None, {"inventory_hostname": "host", **variables})
        return result

    monkeypatch.setattr(pod_identity_stopped.ActionBase, "run", lambda *_arguments: {})
    monkeypatch.setattr(
        pod_identity_stopped.ActionModule,
        "validate_argument_spec",
        lambda _self, **_spec: (None, {"results": RESULTS, "message": None, "entry_point": "main"}),
        raising=False,
    )
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    return act


GREEN = {"pod_identity_cluster_name": "green", "pod_identity_region": "eu-central-1"}


@pytest.mark.parametrize(
    ("variables", "key", "failure"),
    [
        (
            {**GREEN, "preflight": {"failed": True, "msg": "No."}},
            "pod_identity_artifact_apply_green_eu_central_1",
            "No.",
        ),
        # An earlier use of the role was for another cluster.
        (
            {**GREEN, "preflight": {"failed": True, "msg": "No."}, "converged": DONE},
            "pod_identity_artifact_apply_green_eu_central_1",
            "No.",
        ),
        (
            {
                "pod_identity_cluster_name": "blue",
                "preflight": {},
                "converged": {**DONE, "failed": True, "msg": "X"},
            },
            "pod_identity_artifact_apply_blue_us_west_2_111122223333",
            "X",
        ),
        (
            {**GREEN, "pod_identity_assume_role_arn": "arn:aws:iam::444455556666:role/fleet"},
            "pod_identity_artifact_apply_green_eu_central_1_444455556666",
            pod_identity_stopped.UNKNOWN,
        ),
        ({}, "pod_identity_artifact_apply_unknown", pod_identity_stopped.UNKNOWN),
    ],
)
def test_the_artifact_is_of_the_cluster_that_was_meant(
    run: Any, variables: dict[str, Any], key: str, failure: str
) -> None:
    data = run(variables)["ansible_stats"]["data"]
    assert set(data) == {key, "pod_identity"}
    assert (data[key]["failure"], data[key]["failed"], data[key]["stopped"]) == (failure, True, True)


def test_a_file_of_an_earlier_run_gives_way(run: Any, tmp_path: Path) -> None:
    """Who gathers reports from files must not take yesterday's success for today's."""
    report, junit = tmp_path / "report.json", tmp_path / "junit.xml"
    for path in (report, junit):
        path.write_text("all is well", encoding="utf-8")
    files = {"pod_identity_report_file": str(report), "pod_identity_junit_file": str(junit)}
    run({**GREEN, **files, "preflight": {"failed": True, "msg": "No kubeconfig."}})
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["failed"], written["stopped"], written["failure"]) == (True, True, "No kubeconfig.")
    assert (written["cluster_name"], written["host"]) == ("green", "host")
    assert 'failures="1"' in junit.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_a_warning(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "report.json"
    result = run({**GREEN, "pod_identity_report_file": str(path)})
    assert result["warnings"] == [f"The report cannot be written to {path}: No such file or directory."]
    assert result["ansible_stats"]["data"]["pod_identity"]


@pytest.mark.parametrize(
    "variables", [{"pod_identity_report": {"failed": True}}, {**GREEN, "pod_identity_artifact": "none"}]
)
def test_after_a_report_and_where_none_is_wanted_there_is_nothing(
    run: Any, variables: dict[str, Any]
) -> None:
    assert run(variables) == {"changed": False}


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_that_of_the_task_rather_than_of_the_shell(
    run: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "us-east-1")
    blue = {"pod_identity_cluster_name": "blue"}
    assert set(run(blue)["ansible_stats"]["data"]) == {
        "pod_identity_artifact_apply_blue_us_east_1",
        "pod_identity",
    }
    data = run(blue, **{name: "eu-central-1"})["ansible_stats"]["data"]
    assert set(data) == {"pod_identity_artifact_apply_blue_eu_central_1", "pod_identity"}


def test_an_environment_that_cannot_be_read_leaves_an_artifact(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> str:
        raise AnsibleError("'nobody' is undefined")

    monkeypatch.setattr(pod_identity_stopped, "region_of_task", fail)
    assert "pod_identity_artifact_apply_green_eu_central_1" in run(GREEN)["ansible_stats"]["data"]
