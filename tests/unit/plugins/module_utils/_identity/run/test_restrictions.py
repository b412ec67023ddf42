# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a run keeps and reports restrictions of a managed role that another tool or a person has added."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    closed,
    closed_for,
    merge_trust,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
)

SERVICE = "pods.eks.amazonaws.com"
# A statement as a person may write it: its keys have another order, and single values are not in lists.
QUARANTINE = {
    "Action": "sts:*",
    "Principal": {"Service": SERVICE},
    "Effect": "Deny",
    "Sid": "Quarantine",
}
OF_ONE_NAMESPACE = {
    **QUARANTINE,
    "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "batch"}},
}
OF_ONE_POD = {
    **QUARANTINE,
    "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-pod-name": "pod-0"}},
}


GIVEN = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Pods",
            "Effect": "Allow",
            "Principal": {"Service": SERVICE},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
    ],
}


def test_merge_keeps_a_closed_role_closed() -> None:
    old = {**GIVEN, "Statement": [*GIVEN["Statement"], QUARANTINE]}
    new = closed({**GIVEN, "Statement": [QUARANTINE]}, CLUSTER_ARN)
    assert merge_trust(old, new, old) == new
    assert merge_trust(old, new, new) == new
    joined = {
        **GIVEN,
        "Statement": [*GIVEN["Statement"], {**GIVEN["Statement"][0], "Sid": "Other", "Condition": {}}],
    }
    assert closed_for(merge_trust(old, new, joined)) == ""


def test_merge_keeps_a_concurrent_deny() -> None:
    old = {**GIVEN, "Statement": [*GIVEN["Statement"], OF_ONE_POD]}
    present = {**old, "Statement": [*old["Statement"], QUARANTINE]}
    for new in (GIVEN, old, {**GIVEN, "Statement": [*old["Statement"], OF_ONE_NAMESPACE]}):
        assert QUARANTINE in merge_trust(old, new, present)["Statement"]
