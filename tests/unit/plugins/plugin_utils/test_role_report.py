# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the artifacts of a job."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_report


def test_unreadable_environment_leaves_an_artifact() -> None:
    def fail(*_arguments: Any) -> str:
        raise AnsibleError("'nobody' is undefined")

    task: Any = SimpleNamespace(check_mode=False, template=lambda value: value, region=fail)
    places = {"cluster_name": "green", "region": "eu-central-1"}
    variables = {f"pod_identity_{name}": value for name, value in places.items()}
    result: dict[str, Any] = {}
    everything = {"inventory_hostname": "host", "awx_job_id": 7, **variables}
    _role_report.leave_stopped_report(task, everything, result, "No.", {}, verifies=False)
    assert list(result["ansible_stats"]["data"]) == ["pod_identity_artifact_apply_green_eu_central_1"]


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
