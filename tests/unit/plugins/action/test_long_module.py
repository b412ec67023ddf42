# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the action plugins of the modules for many workloads, up to the start of the module."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action.normal import ActionModule as Normal
from ansible_collections.workload_identity.aws.plugins.action.eks_pod_identity import (
    ActionModule as WorkloadsModule,
)

ONE = {"namespace": "default", "service_account": "one", "role": {"name": "r"}}


class Module(WorkloadsModule):
    def __init__(self, arguments: dict[str, Any], environment: dict[str, str] | None = None) -> None:
        self._task = SimpleNamespace(args=arguments, environment=[environment or {}])
        self._templar = SimpleNamespace(template=lambda value: value)
        self._loader = SimpleNamespace()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return a list to which the arguments of each started module are added."""
    seen: list[dict[str, Any]] = []

    def run(self: Any, _tmp: object, _task_vars: object) -> dict[str, Any]:
        seen.append(self._task.args)
        return {"changed": True}

    monkeypatch.setattr(Normal, "run", run)
    return seen


def test_invalid_input_starts_no_module(seen: list[dict[str, Any]]) -> None:
    module = Module({"cluster_name": "c", "workloads": ["x"]})
    assert module.run(task_vars={}) == {
        "changed": False,
        "failed": True,
        "msg": "workloads[0]: must be a mapping, got text. Nothing was changed.",
    }
    assert seen == []


@pytest.mark.parametrize(
    ("arguments", "environment", "region"),
    [
        ({"aws_region": "us-east-1"}, {"AWS_REGION": "eu-west-1"}, "us-east-1"),
        ({}, {"AWS_REGION": "eu-west-1"}, "eu-west-1"),
    ],
)
def test_presets_get_the_region_of_the_task(
    seen: list[dict[str, Any]], arguments: dict[str, str], environment: dict[str, str], region: str
) -> None:
    preset = {"preset": "rds-iam-connect", "with": {"resource_ids": ["db-ABC"], "database_user": "app"}}
    workloads = [{**ONE, "policies": [preset]}]
    options = {"cluster_name": "c", "account_id": "111122223333", "workloads": workloads, **arguments}
    Module(options, environment).run(task_vars={})
    assert seen[0]["workloads"][0]["policies"][0]["with"]["region"] == region
