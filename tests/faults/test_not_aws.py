# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test responses from a proxy, and slow responses: the client retries, then raises an error."""

from __future__ import annotations

import time

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import BotoApi
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import Retries
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Clock
from ansible_collections.workload_identity.aws.tests.faults.world import CLUSTER

CALLS = (
    ("iam", "GetRole", {"RoleName": "nobody"}),
    (
        "iam",
        "DetachRolePolicy",
        {"RoleName": "nobody", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
    ),
    ("eks", "DeletePodIdentityAssociation", {"clusterName": CLUSTER, "associationId": "a-1234567890"}),
    ("eks", "UntagResource", {"resourceArn": "arn:aws:eks:us-west-2:1:x/y", "tagKeys": ["a"]}),
    ("sts", "GetCallerIdentity", {}),
)


def create_api(account: Account, seconds: float = 60) -> BotoApi:
    clock = Clock()
    retries = Retries(now=clock.now, sleep=clock.sleep)
    return BotoApi(account.clients.__getitem__, retries, attempt_seconds=seconds)


@pytest.mark.parametrize("kind", ["html200", "empty200"])
@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS)
def test_response_of_proxy_is_named(
    account: Account, kind: str, service: str, operation: str, parameters: dict[str, object]
) -> None:
    account.clean()
    account.control.set_faults([{"operation": f"{service}:{operation}", "kind": kind}])
    with pytest.raises(AwsError) as caught:
        create_api(account).call(service, operation, parameters)
    assert caught.value.code in ("NOT_AWS", "MalformedAnswer")
    assert caught.value.text.endswith("(after 3 attempts)")
    assert "proxy" in caught.value.remedy
    assert caught.value.outcome_unknown


def test_slow_response_times_out(account: Account) -> None:
    account.clean()
    account.control.set_faults([{"operation": "iam:ListRoles", "kind": "trickle", "seconds": 20}])
    began = time.monotonic()
    with pytest.raises(AwsError) as caught:
        create_api(account, 0.3).call("iam", "ListRoles", {})
    assert time.monotonic() - began < 10
    assert (caught.value.code, caught.value.text) == (
        "AnswerTooSlow",
        "no complete response within 0.3 seconds (after 5 attempts)",
    )
