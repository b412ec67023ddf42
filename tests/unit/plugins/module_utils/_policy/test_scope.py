# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that trust policy statements allow exactly the workloads of their grants, and can be parsed to the same grants."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    covered,
    join_statements,
    merge_trust,
    read_grants,
    trust_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import check_trust
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._policy.grants import grant_for
from hypothesis import strategies as st

ACCOUNT = "111122223333"
CLUSTERS = tuple(f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/{name}" for name in ("one", "two"))
NAMESPACES = ("default", "batch")
SERVICE_ACCOUNTS = ("app", "web", "cron")
EVERYONE = tuple(product(CLUSTERS, NAMESPACES, SERVICE_ACCOUNTS))
FOREIGN: dict[str, Any] = {
    "Sid": "EC2",
    "Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"},
    "Action": "sts:AssumeRole",
}

scopes = st.sampled_from(["workload", "namespace", "cluster", "account", "anyone_in_account"])
grants = st.builds(lambda scope, who: grant_for(scope, ACCOUNT, *who), scopes, st.sampled_from(EVERYONE))


def grant(*parts: str) -> TrustGrant:
    return TrustGrant(ACCOUNT, *parts)


def statements(all_grants: Iterable[TrustGrant]) -> list[Any]:
    found = trust_policy(all_grants)["Statement"]
    assert isinstance(found, list)
    return found


def usable(document: object, cluster: str, namespace: str, service_account: str) -> str:
    subject = Subject(
        cluster_arn=cluster,
        namespace=namespace,
        service_account=service_account,
        account_id=ACCOUNT,
        partition="aws",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/r",
        pod_name="pod",
        pod_uid="uid",
    )
    return check_trust(document, subject).usable


COVERED = {
    "account covers cluster": (grant(CLUSTERS[0]), grant(), True),
    "none covers all": (grant(CLUSTERS[0], "default", "app"), TrustGrant(), True),
    "equal grants": (grant(CLUSTERS[0], "default"), grant(CLUSTERS[0], "default"), True),
    "narrow does not cover wide": (grant(CLUSTERS[0]), grant(CLUSTERS[0], "default"), False),
    "another cluster": (grant(CLUSTERS[0], "default"), grant(CLUSTERS[1]), False),
    "prefix of the name": (grant(CLUSTERS[0], "default", "app"), grant(CLUSTERS[0], "default", "ap"), False),
    "account does not cover everything": (TrustGrant(), grant(), False),
}


@pytest.mark.parametrize(("narrow", "wide", "answer"), COVERED.values(), ids=COVERED)
def test_grant_is_covered_by_a_wider_one(narrow: TrustGrant, wide: TrustGrant, answer: bool) -> None:
    assert covered(narrow, [wide]) is answer


def altered(**changes: object) -> dict[str, Any]:
    statement = copy.deepcopy(statements([grant(CLUSTERS[0], "default", "app")])[0])
    statement.update(changes)
    return {key: value for key, value in statement.items() if value is not None}


OURS = altered()
EQUALS = OURS["Condition"]["StringEquals"]


FOREIGN_STATEMENTS = {
    "another service principal": FOREIGN,
    "another Sid": altered(Sid="EksPodIdentityMine"),
    "no Sid": altered(Sid=None),
    "a Deny": altered(Effect="Deny"),
    "an action is missing": altered(Action="sts:AssumeRole"),
    "one more action": altered(Action=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]),
    "two service principals": altered(Principal={"Service": ["pods.eks.amazonaws.com", "ec2.amazonaws.com"]}),
    "everyone": altered(Principal="*"),
    "one more operator": altered(Condition={"StringEquals": EQUALS, "Bool": {"aws:SecureTransport": "true"}}),
    "one more key": altered(Condition={"StringEquals": {**EQUALS, "aws:SourceOrgId": "o-1"}}),
    "another operator": altered(Condition={"StringLike": EQUALS}),
    "another namespace under the same Sid": altered(
        Condition={"StringEquals": {**EQUALS, "aws:RequestTag/kubernetes-namespace": "x"}}
    ),
    "two namespaces": altered(
        Condition={"StringEquals": {**EQUALS, "aws:RequestTag/kubernetes-namespace": ["default", "b"]}}
    ),
    "no service account": altered(
        Condition={"StringEquals": {**EQUALS, "aws:RequestTag/kubernetes-service-account": []}}
    ),
    "no conditions at all": altered(Condition="x"),
    "no statement": "x",
}


@pytest.mark.parametrize("statement", FOREIGN_STATEMENTS.values(), ids=FOREIGN_STATEMENTS)
def test_different_statements_are_unmanaged(statement: object) -> None:
    document = {"Version": "2012-10-17", "Statement": [statement, OURS]}
    assert read_grants(document) == ({grant(CLUSTERS[0], "default", "app")}, [statement])


def test_merge_adds_and_removes_other_statements() -> None:
    new = {**FOREIGN, "Sid": "New", "Principal": {"Service": "lambda.amazonaws.com"}}
    base, desired, present = (
        {"Version": "2012-10-17", "Statement": found}
        for found in ([FOREIGN, OURS], [FOREIGN, new, OURS], [new, OURS])
    )
    assert merge_trust(base, desired, present) == present
    assert merge_trust(base, desired, {**present, "Statement": [OURS]}) == present
    assert merge_trust(desired, base, desired) == base


def test_added_statement_keeps_a_common_sid() -> None:
    added = {**OURS, "Sid": FOREIGN["Sid"]}
    unnamed = {name: FOREIGN[name] for name in ("Effect", "Principal", "Action")}
    assert join_statements([FOREIGN, "x"], [added]) == [unnamed, "x", added]
