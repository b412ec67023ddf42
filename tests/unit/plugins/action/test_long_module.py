# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the action plugins of the modules for many workloads, up to the start of the module."""

from __future__ import annotations

from datetime import date
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
        return {"changed": True, **self._task.args.get("result", {})}

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


def test_module_gets_plain_workloads_and_output_of_a_crash_is_escaped(seen: list[dict[str, Any]]) -> None:
    statement = {"Effect": "Allow", "Action": ("s3:GetObject",), "Resource": "*"}
    policy = {"name": "p", "document": {"Version": date(2012, 10, 17), "Statement": [statement]}}
    workloads = [{**ONE, "policies": [policy]}]
    module = Module({"cluster_name": "c", "workloads": workloads, "result": {"msg": "\x9b"}})
    assert module.run(task_vars={}) == {"changed": True, "msg": "\x9b"}
    document = {"Version": "2012-10-17", "Statement": [{**statement, "Action": ["s3:GetObject"]}]}
    assert seen[0]["workloads"] == [{**ONE, "policies": [{**policy, "document": document}]}]
    crash = {"msg": "\x9b", "module_stderr": "\x9b"}
    assert Module({"cluster_name": "c", "workloads": workloads, "result": crash}).run(task_vars={}) == {
        "changed": True,
        "msg": "\\x9b",
        "module_stderr": "\\x9b",
    }
