# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the artifact of a role run that stopped early: it names the cluster and the reason."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_report
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_report import leave_stopped_report
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def leave(
        variables: dict[str, Any],
        message: str = "No.",
        facts: dict[str, Any] | None = None,
        **environment: str,
    ) -> dict[str, Any]:
        action: Any = SimpleNamespace(
            _task=SimpleNamespace(check_mode=False, environment=[environment]),
            _templar=SimpleNamespace(template=lambda value: value),
        )
        result: dict[str, Any] = {}
        everything = {"inventory_hostname": "host", "awx_job_id": 7, **variables}
        leave_stopped_report(ActionTask(action), everything, result, message, facts or {}, verifies=False)
        return result

    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    return leave


GREEN = {"pod_identity_cluster_name": "green", "pod_identity_region": "eu-central-1"}


def test_file_of_an_earlier_run_is_replaced(run: Any, tmp_path: Path) -> None:
    """Check that the files of an earlier run are replaced. Otherwise its success would look like the result of this run."""
    report, junit = tmp_path / "report.json", tmp_path / "junit.xml"
    for path in (report, junit):
        path.write_text("all is well", encoding="utf-8")
    files = {"pod_identity_report_file": str(report), "pod_identity_junit_file": str(junit)}
    run({**GREEN, **files}, "No kubeconfig.")
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["failed"], written["stopped"], written["failure"]) == (True, True, "No kubeconfig.")
    assert (written["cluster_name"], written["host"]) == ("green", "host")
    assert 'failures="1"' in junit.read_text(encoding="utf-8")


def test_interrupted_run_reports_its_changes(run: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    change = {"workload": "shop/api", "resource": "role", "name": "api", "action": "create"}
    failure = {**change, "action": "delete", "message": "The run was ended by SIGTERM."}
    facts = {"changes": [change], "failures": [failure]}
    run({**GREEN, "pod_identity_report_file": str(report)}, "Interrupted.", facts)
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["changes"], written["failures"]) == ([change], [failure])
    assert written["summary"]["changes"] == 1


def test_unwritable_file_is_a_warning_unless_the_message_is_about_it(run: Any, tmp_path: Path) -> None:
    variables = {**GREEN, "pod_identity_report_file": str(path := tmp_path / "nowhere" / "report.json")}
    assert "warnings" not in run(variables, f"pod_identity_report_file {path} cannot be written: no folder.")
    result = run(variables)
    assert result["warnings"] == [f"The report cannot be written to {path}: No such file or directory."]
    assert result["ansible_stats"]["data"]


def test_unreadable_environment_leaves_an_artifact(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> str:
        raise AnsibleError("'nobody' is undefined")

    monkeypatch.setattr(ActionTask, "region", fail)
    assert "pod_identity_artifact_apply_green_eu_central_1" in run(GREEN)["ansible_stats"]["data"]


@pytest.mark.parametrize(
    ("variables", "form", "count"),
    [({}, "text", 0), ({}, "data", 0), ({}, "events", 1), ({"awx_job_id": 7}, "text", 1)],
)
def test_artifacts_are_made_only_if_something_reads_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], form: str, count: int
) -> None:
    made: list[None] = []

    def make() -> dict[str, object]:
        made.append(None)
        return {"name": "value"}

    monkeypatch.setattr(_role_report, "output_form", lambda: form)
    data = {"data": {"name": "value"}, "per_host": False, "aggregate": True}
    assert _role_report.job_artifacts(variables, make) == ({"ansible_stats": data} if count else {})
    assert len(made) == count
