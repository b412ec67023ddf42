# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fake AWS of the engine's tests, with what others do in an account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
)

Answer = dict[str, Any]
Call = Callable[[str, str, Mapping[str, Any]], Answer]


def fake_call() -> Call:
    """Requests to a new fake account. What others do there is state in it, and no operation."""
    aws = FakeAws()
    roles, policies = aws.iam.roles, aws.iam.policies
    by_others: dict[str, Callable[[Mapping[str, Any]], object]] = {
        "PutRolePolicy": lambda asked: roles[asked["RoleName"]]["inline"].append(asked["PolicyName"]),
        "AddRoleToInstanceProfile": lambda asked: roles[asked["RoleName"]]["profiles"].append(
            asked["InstanceProfileName"]
        ),
        "AttachUserPolicy": lambda asked: policies[asked["PolicyArn"]]["users"].append(asked["UserName"]),
        "AttachGroupPolicy": lambda asked: policies[asked["PolicyArn"]]["groups"].append(asked["GroupName"]),
        "CreateInstanceProfile": lambda _asked: None,
        "CreateUser": lambda _asked: None,
        "CreateGroup": lambda _asked: None,
    }

    def call(service: str, operation: str, parameters: Mapping[str, Any]) -> Answer:
        if operation in by_others:
            by_others[operation](parameters)
            return {}
        return aws.call(service, operation, parameters)

    return call
