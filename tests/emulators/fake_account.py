# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The in-memory fake of AWS, extended with operations that only other tools use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
)

Answer = dict[str, Any]
Call = Callable[[str, str, Mapping[str, Any]], Answer]


def fake_call() -> Call:
    """Return a function that sends requests to a new fake account, including some operations that the fake lacks."""
    aws = FakeAws()
    roles, policies = aws.iam.roles, aws.iam.policies
    other_tools: dict[str, Callable[[Mapping[str, Any]], object]] = {
        "PutRolePolicy": lambda request: roles[request["RoleName"]]["inline"].append(request["PolicyName"]),
        "AddRoleToInstanceProfile": lambda request: roles[request["RoleName"]]["profiles"].append(
            request["InstanceProfileName"]
        ),
        "AttachUserPolicy": lambda request: policies[request["PolicyArn"]]["users"].append(
            request["UserName"]
        ),
        "AttachGroupPolicy": lambda request: policies[request["PolicyArn"]]["groups"].append(
            request["GroupName"]
        ),
        "CreateInstanceProfile": lambda _request: None,
        "CreateUser": lambda _request: None,
        "CreateGroup": lambda _request: None,
    }

    def call(service: str, operation: str, parameters: Mapping[str, Any]) -> Answer:
        if operation in other_tools:
            other_tools[operation](parameters)
            return {}
        return aws.call(service, operation, parameters)

    return call
