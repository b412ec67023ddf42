# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    TRUST_BARE,
    TRUST_EC2,
    policy,
    role_arn,
    workload,
)


def differs(kind: str, name: str, field: str) -> str:
    return (
        f"workload default/two (workloads[1]): defines {kind} '{name}' with a different {field} than workload default/one "
        f"(workloads[0]); use the same definition, or rename the {kind}."
    )


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        pytest.param(
            {"role": {"name": "r", "description": "a"}},
            {"role": {"name": "r", "description": "b"}},
            differs("role", "r", "description"),
            id="description",
        ),
        pytest.param(
            {"role": {"name": "r"}},
            {"role": {"name": "r", "path": "/x/"}},
            differs("role", "r", "path"),
            id="path",
        ),
        pytest.param(
            {"role": {"name": "r"}},
            {"role": {"arn": role_arn("r")}},
            differs("role", "r", "arn"),
            id="created role and existing role",
        ),
        pytest.param(
            {"role": {"name": "R"}},
            {"role": {"name": "r"}},
            "workload default/two (workloads[1]): defines role 'r', and workload default/one (workloads[0]) defines 'R': IAM "
            "names that differ only in letter case are the same; use the same spelling, or rename one.",
            id="letter case of a role's name",
        ),
        pytest.param(
            {"role": {"name": "r", "trust_policy": TRUST_BARE}},
            {"role": {"name": "r", "trust_policy": TRUST_EC2}},
            differs("role", "r", "trust_policy"),
            id="trust policy",
        ),
        pytest.param(
            {"role": {"name": "r", "tags": {"a": "1"}}},
            {"role": {"name": "r", "tags": {"a": "2"}}},
            differs("role", "r", "tags"),
            id="tags of a role",
        ),
        pytest.param(
            {"policies": [policy("p", "s3:GetObject")]},
            {"policies": [policy("p", "s3:PutObject")]},
            differs("policy", "p", "document"),
            id="document",
        ),
        pytest.param(
            {"policies": [policy("p", tags={"a": "1"})]},
            {"policies": [policy("p")]},
            differs("policy", "p", "tags"),
            id="tags of a policy",
        ),
    ],
)
def test_different_definitions_fail(first: dict[str, Any], second: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_workloads([workload("one", **first), workload("two", **second)], CLUSTER)
    assert caught.value.problems == (problem,)


def test_rejects_duplicate_service_account() -> None:
    with pytest.raises(InputError) as caught:
        parse_workloads([workload(), workload("other"), workload()], CLUSTER)
    assert caught.value.problems == (
        "workload default/app: is listed twice, in workloads[0] and in workloads[2]; a service account has one association.",
    )
