# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the artifacts of a job."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_report


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
