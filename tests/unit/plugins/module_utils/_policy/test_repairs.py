# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the suggested change of a trust policy: the workload can use the role, and no other workload gets access."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.check import check_policy
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import check_trust

ACCOUNT = "111122223333"
CLUSTER = f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/my-cluster"
KNOWN = Subject(cluster_arn=CLUSTER, namespace="default", service_account="my-service-account")
SERVICE = {"Service": "pods.eks.amazonaws.com"}
BOTH = ["sts:AssumeRole", "sts:TagSession"]
IN_CLUSTER = "aws:RequestTag/eks-cluster-arn"
IN_NAMESPACE = "aws:RequestTag/kubernetes-namespace"
NAMED = "aws:RequestTag/kubernetes-service-account"
OIDC = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/A"}
IRSA = {"Effect": "Allow", "Principal": OIDC, "Action": "sts:AssumeRoleWithWebIdentity"}
WORKLOAD = {IN_CLUSTER: CLUSTER, IN_NAMESPACE: "default", NAMED: "my-service-account"}
SID = "AllowEksAuthToAssumeRoleForPodIdentity"
OURS = {
    "Sid": SID,
    "Effect": "Allow",
    "Principal": SERVICE,
    "Action": BOTH,
    "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT, **WORKLOAD}},
}
ADD = f"Add the statement {SID}."
ONLY_WORKLOAD = "Only this workload: requests of pods.eks.amazonaws.com with " + ", ".join(
    f"{key} {value}" for key, value in WORKLOAD.items()
)


def allow(equals=None, **more):
    condition = {"Condition": {"StringEquals": equals}} if equals else {}
    return {"Effect": "Allow", "Principal": SERVICE, "Action": BOTH, **condition, **more}


def deny(condition=None, **more):
    rest = {"Condition": condition} if condition else {}
    return {"Effect": "Deny", "Principal": SERVICE, "Action": "sts:*", **rest, **more}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def except_for(statement, key, *values):
    """Return a Deny that does not apply to requests with one of the values."""
    condition = statement.get("Condition", {})
    more = {**condition.get("StringNotEquals", {}), key: list(values) if len(values) > 1 else values[0]}
    return {**statement, "Condition": {**condition, "StringNotEquals": more}}


ELSEWHERE = {"StringNotEquals": {IN_NAMESPACE: "other"}}
UNLESS_WEB = deny({"StringNotEquals": {NAMED: "web"}}, Action="sts:TagSession")
# A name, a document, the statements of the suggested policy and the edit.
SUGGESTIONS = [
    ("an action is missing", [allow(Action="sts:AssumeRole")], [allow(Action="sts:AssumeRole"), OURS], ADD),
    ("IRSA only", [IRSA], [IRSA, OURS], ADD),
    ("another namespace", [allow({IN_NAMESPACE: "x"})], [allow({IN_NAMESPACE: "x"}), OURS], ADD),
    (
        "the Sid is used",
        [{**IRSA, "Sid": SID}],
        [{**IRSA, "Sid": SID}, {**OURS, "Sid": f"{SID}1"}],
        f"Add the statement {SID}1.",
    ),
    (
        "a Deny for everything",
        [allow(), deny(Sid="No")],
        [
            allow(),
            except_for(deny(Sid="No"), IN_CLUSTER, CLUSTER),
            except_for(deny(Sid="No1"), IN_NAMESPACE, "default"),
            except_for(deny(Sid="No2"), NAMED, "my-service-account"),
        ],
        "Replace Statement 2 (Sid 'No') with 3 statements that exclude this workload.",
    ),
    (
        "an Allow of one action, and a Deny of the other one except for another service account",
        [allow(Action="sts:AssumeRole"), UNLESS_WEB],
        [
            allow(Action="sts:AssumeRole"),
            except_for(UNLESS_WEB, IN_CLUSTER, CLUSTER),
            except_for(UNLESS_WEB, IN_NAMESPACE, "default"),
            except_for(UNLESS_WEB, NAMED, "web", "my-service-account"),
            OURS,
        ],
        f"Replace Statement 2 with 3 statements that exclude this workload; {ADD}",
    ),
    (
        "a Deny for everyone",
        [deny(Principal="*"), allow()],
        [
            except_for(deny(Principal="*"), "aws:PrincipalServiceName", "pods.eks.amazonaws.com"),
            except_for(deny(Principal="*"), IN_CLUSTER, CLUSTER),
            except_for(deny(Principal="*"), IN_NAMESPACE, "default"),
            except_for(deny(Principal="*"), NAMED, "my-service-account"),
            allow(),
        ],
        "Replace Statement 1 with 4 statements that exclude this workload.",
    ),
]


@pytest.mark.parametrize("case", SUGGESTIONS, ids=lambda case: case[0])
def test_suggestion(case):
    _name, statements, suggested, edit = case
    suggestion = check_policy(policy(*statements), KNOWN).suggestion
    assert suggestion is not None
    assert suggestion.as_dict() == {
        "edit": edit,
        "lets_in": f"{ONLY_WORKLOAD}.",
        "statement": suggested[-1] if ADD[:17] in edit else None,
        "trust_policy": policy(*suggested),
        "storable": "unknown" if suggestion.storable.rows else "yes",
        "storable_reasons": suggestion.storable.rows,
    }
    assert check_trust(suggestion.trust_policy, KNOWN).usable == "yes"


# A name, a document and the workload.
NO_SUGGESTIONS = [
    ("usable", [allow()], KNOWN),
    ("two Deny statements", [allow(), deny(), deny(ELSEWHERE)], KNOWN),
    ("two Deny statements for a namespace", [allow(), deny(), deny(ELSEWHERE)], Subject(namespace="default")),
    ("nothing is known", [IRSA], Subject()),
    ("IAM rejects the policy", [allow(Action="s3:GetObject")], KNOWN),
    ("a role of another account", [IRSA], replace(KNOWN, role_arn="arn:aws:iam::444455556666:role/my-role")),
]


@pytest.mark.parametrize("case", NO_SUGGESTIONS, ids=lambda case: case[0])
def test_no_suggestion(case):
    _name, statements, subject = case
    assert check_policy(policy(*statements), subject).suggestion is None


def test_elements_of_a_stored_policy_are_accepted():
    deleted = [{"Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEEXAMPLE12"}, "Action": "sts:AssumeRole"}]
    suggestion = check_policy(policy(*deleted), KNOWN, stored=True).suggestion
    assert suggestion is not None
    # Only the unique ID of a principal that may be deleted remains.
    assert [reason.statement for reason in suggestion.storable.reasons] == ["Statement 1"]
