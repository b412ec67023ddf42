# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test target roles: the role of the association must be allowed to assume the target role, which must trust this role."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.check import (
    check_chain,
    check_policy,
)

EXPECTED = yaml.safe_load(Path(__file__).with_name("trust.yml").read_text(encoding="utf-8"))["target_role"]
ROLE = "arn:aws:iam::111122223333:role/path/my-role"
TARGET = "arn:aws:iam::444455556666:role/my-target-role"
BOTH = ["sts:AssumeRole", "sts:TagSession"]
POD = Subject(
    cluster_arn="arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
    namespace="default",
    service_account="my-service-account",
    role_arn=ROLE,
)
UNTAGGED = replace(POD, session_tags=False)
TAGS = ("Request", "Principal")
EXTERNAL_ID = "us-west-2/111122223333/my-cluster/default/my-service-account"


def policy(principal=ROLE, condition=None, **more):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": BOTH, **more}
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def when(key, value):
    return policy(condition={"StringEquals": {key: value}})


def external_id(value):
    return when("sts:ExternalId", value)


CASES = [
    ("the role", policy(), POD, "yes", "named"),
    ("its account", policy("111122223333"), POD, "yes", "the account means its roles"),
    ("its account's root", policy("arn:aws:iam::111122223333:root"), POD, "yes", "the same"),
    ("everyone", policy("*"), POD, "yes", "everyone"),
    ("another role", policy("arn:aws:iam::111122223333:role/other"), POD, "no", "not this one"),
    (
        "the role without its path",
        policy("arn:aws:iam::111122223333:role/my-role"),
        POD,
        "no",
        "the path is part of the ARN",
    ),
    ("another account", policy("444455556666"), POD, "no", "not the role's account"),
    (
        "EKS Pod Identity",
        policy(Principal={"Service": "pods.eks.amazonaws.com"}),
        POD,
        "no",
        "EKS assumes it through the role",
    ),
    (
        "another session",
        policy("arn:aws:sts::111122223333:assumed-role/my-role/x"),
        POD,
        "no",
        "EKS names each session anew",
    ),
    (
        "with MFA, if it is known",
        policy(condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}),
        POD,
        "conditional",
        "false, or absent in a session that a service began",
    ),
    ("only AssumeRole", policy(Action="sts:AssumeRole"), POD, "no", "both are needed"),
    (
        "only AssumeRole, tags off",
        policy(Action="sts:AssumeRole"),
        UNTAGGED,
        "yes",
        "a request without tags does not tag the session",
    ),
    ("PrincipalArn", policy("*", {"ArnEquals": {"aws:PrincipalArn": ROLE}}), POD, "yes", "the role's ARN"),
    (
        "PrincipalTag",
        when("aws:PrincipalTag/kubernetes-namespace", "default"),
        POD,
        "yes",
        "session tags are tags of the principal",
    ),
    ("RequestTag", when("aws:RequestTag/kubernetes-namespace", "default"), POD, "yes", "and go along"),
    (
        "RequestTag and PrincipalTag",
        policy(condition={"StringEquals": {f"aws:{kind}Tag/kubernetes-pod-name": kind for kind in TAGS}}),
        POD,
        "no",
        "an unknown tag has the same value in both",
    ),
    (
        "RequestTag, tags off",
        when("aws:RequestTag/kubernetes-namespace", "default"),
        UNTAGGED,
        "no",
        "there are none",
    ),
    (
        "ExternalId, tags off",
        external_id(EXTERNAL_ID),
        UNTAGGED,
        "yes",
        "region/account/cluster/namespace/service-account",
    ),
    ("a Deny, tags off", policy(Effect="Deny"), UNTAGGED, "no", "it denies the only action"),
    ("another ExternalId", external_id("x"), UNTAGGED, "no", "not this association's"),
    (
        "ExternalId of unknown",
        external_id(EXTERNAL_ID),
        replace(UNTAGGED, namespace=None),
        "conditional",
        "there, but not known",
    ),
    ("ExternalId with tags", external_id(EXTERNAL_ID), POD, "conditional", "documented for tags off only"),
    (
        "ExternalId with tags, and a tag of the role",
        policy(condition={"StringEquals": {"sts:ExternalId": EXTERNAL_ID, "aws:ResourceTag/team": "x"}}),
        POD,
        "conditional",
        "two unknown keys",
    ),
    ("another ExternalId with tags", external_id("x"), POD, "no", "this association's or none"),
    ("SourceAccount", when("aws:SourceAccount", "111122223333"), POD, "no", "only a service has a source"),
    (
        "not a service",
        policy(condition={"Bool": {"aws:PrincipalIsAWSService": "false"}}),
        POD,
        "yes",
        "a role is no service",
    ),
    ("ResourceAccount", when("aws:ResourceAccount", "444455556666"), POD, "yes", "the target's account"),
    (
        "organization",
        when("aws:PrincipalOrgID", "o-abcd"),
        replace(POD, source_org_id="o-abcd"),
        "yes",
        "the role's account's",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {case[4]}")
def test_trust_of_a_target_role(case):
    _name, document, subject, usable, _why = case
    found = check_chain(document, subject, target_role_arn=TARGET)
    remedies = [finding.remedy for finding in found.findings if finding.code == "TRUST_CONDITIONAL"]
    assert (found.usable, remedies) == (usable, EXPECTED.get(case[0], []))
    checked = check_policy(document, subject, chained=True, target_role_arn=TARGET)
    assert (checked.suggestion is not None) is (usable == "no")
    if checked.suggestion is not None:
        assert check_chain(checked.suggestion.trust_policy, subject, target_role_arn=TARGET).usable == "yes"
        assert checked.suggestion.lets_in.startswith("Only this workload: ")


def test_role_arn_is_required():
    with pytest.raises(
        ValueError, match=r"subject\.role_arn is missing; set it to the ARN of the pod identity role"
    ):
        check_chain(policy(), Subject())
    assert check_chain(policy(), replace(POD, role_arn="my-role"), target_role_arn=TARGET).usable == "no"
