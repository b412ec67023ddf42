# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Each row of a table is a single line, so lines may be long:
"""Test verdicts on trust policies for EKS Pod Identity. Each case has a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import check_trust

CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
OTHER_CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/other"
KNOWN = Subject(cluster_arn=CLUSTER, namespace="default", service_account="my-service-account")
UNTAGGED = replace(KNOWN, session_tags=False)
NOBODY = Subject()
SERVICE = {"Service": "pods.eks.amazonaws.com"}
BOTH = ["sts:AssumeRole", "sts:TagSession"]


def statement(**more):
    return {"Effect": "Allow", "Principal": SERVICE, "Action": BOTH, **more}


def allow(condition=None, **more):
    return statement(**({"Condition": condition} if condition else {}), **more)


def deny(condition=None, **more):
    return {**allow(condition, **more), "Effect": "Deny"}


def without_principal(statement, **more):
    return {**{key: value for key, value in statement.items() if key != "Principal"}, **more}


def policy(*statements, version="2012-10-17"):
    document = {"Statement": list(statements)}
    return {"Version": version, **document} if version else document


def tag(name, value, operator="StringEquals"):
    return {operator: {f"aws:RequestTag/{name}": value}}


NAMESPACE = tag("kubernetes-namespace", "default")
OTHER_NAMESPACE = tag("kubernetes-namespace", "other")
SCOPED = {
    "StringEquals": {
        "aws:SourceAccount": "111122223333",
        "aws:RequestTag/eks-cluster-arn": CLUSTER,
        "aws:RequestTag/kubernetes-namespace": "default",
        "aws:RequestTag/kubernetes-service-account": "my-service-account",
    }
}
ORG = {"StringEquals": {"aws:SourceOrgId": "${aws:ResourceOrgId}"}}

# Each case has a name, a policy, a subject, whether the subject can use the policy, and a reason.
CASES = [
    ("the guide's statement", policy(allow()), KNOWN, "yes", "service and both actions"),
    ("the guide's statement", policy(allow()), NOBODY, "yes", "nothing to turn on"),
    ("one statement, no list", {"Version": "2012-10-17", "Statement": allow()}, KNOWN, "yes", "same meaning"),
    (
        "no version",
        policy(allow(), version=None),
        KNOWN,
        "yes",
        "no variables, so the version does not count",
    ),
    (
        "a list of services",
        policy(allow(Principal={"Service": ["ec2.amazonaws.com", "pods.eks.amazonaws.com"]})),
        KNOWN,
        "yes",
        "one of them",
    ),
    (
        "two statements",
        policy(allow(Action="sts:AssumeRole"), allow(Action="sts:TagSession")),
        KNOWN,
        "yes",
        "each action by one",
    ),
    (
        "wildcards in actions",
        policy(allow(Action=["sts:Assume*", "sts:?agSession"])),
        KNOWN,
        "yes",
        "both match",
    ),
    (
        "case of actions",
        policy(allow(Action=["STS:assumerole", "sts:TAGSESSION"])),
        KNOWN,
        "yes",
        "actions are case-insensitive",
    ),
    ("sts:*", policy(allow(Action="sts:*")), KNOWN, "yes", "all of sts"),
    ("only AssumeRole", policy(allow(Action="sts:AssumeRole")), KNOWN, "no", "TagSession lacks"),
    (
        "only AssumeRole, tags off",
        policy(allow(Action="sts:AssumeRole")),
        UNTAGGED,
        "no",
        "EKS asks for both all the same",
    ),
    ("only TagSession", policy(allow(Action="sts:TagSession")), KNOWN, "no", "AssumeRole lacks"),
    (
        "NotAction of others",
        policy({**without_principal({"Effect": "Allow", "NotAction": "iam:*"}), "Principal": SERVICE}),
        KNOWN,
        "yes",
        "everything but IAM",
    ),
    (
        "NotAction of TagSession",
        policy({"Effect": "Allow", "NotAction": "sts:Tag*", "Principal": SERVICE}),
        KNOWN,
        "no",
        "TagSession is left out",
    ),
    ("EC2", policy(allow(Principal={"Service": "ec2.amazonaws.com"})), KNOWN, "no", "another service"),
    ("EKS itself", policy(allow(Principal={"Service": "eks.amazonaws.com"})), KNOWN, "no", "another service"),
    (
        "the service with a region",
        policy(allow(Principal={"Service": "pods.eks.us-west-2.amazonaws.com"})),
        KNOWN,
        "no",
        "no such name",
    ),
    (
        "the service for China",
        policy(allow(Principal={"Service": "pods.eks.amazonaws.com.cn"})),
        replace(KNOWN, cluster_arn=CLUSTER.replace("aws:eks:us-west-2", "aws-cn:eks:cn-north-1")),
        "no",
        "one name in every partition",
    ),
    (
        "the guide's statement in China",
        policy(allow()),
        replace(KNOWN, cluster_arn=CLUSTER.replace("aws:eks:us-west-2", "aws-cn:eks:cn-north-1")),
        "yes",
        "one name in every partition",
    ),
    ("everyone", policy(allow(Principal="*")), KNOWN, "yes", "services too"),
    ("every AWS principal", policy(allow(Principal={"AWS": "*"})), KNOWN, "yes", "the same as everyone"),
    (
        "the account",
        policy(allow(Principal={"AWS": "111122223333"})),
        KNOWN,
        "no",
        "a service is not of the account",
    ),
    (
        "every service",
        policy(allow(Principal={"Service": "*"})),
        KNOWN,
        "no",
        "IAM has no wildcard for services",
    ),
    (
        "NotPrincipal with Allow",
        policy(without_principal(allow(), NotPrincipal={"AWS": "111122223333"})),
        KNOWN,
        "no",
        "not supported, grants nothing",
    ),
    (
        "IRSA",
        policy(
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.example/id/A"},
            }
        ),
        KNOWN,
        "no",
        "another way in",
    ),
    (
        "only a Deny",
        policy(deny(Principal={"AWS": "111122223333"})),
        KNOWN,
        "no",
        "what is not allowed is denied",
    ),
    # Policies with Deny statements
    ("Deny for everyone", policy(allow(), deny(Principal="*")), KNOWN, "no", "a Deny wins"),
    ("Deny of one action", policy(allow(), deny(Action="sts:TagSession")), KNOWN, "no", "both are needed"),
    (
        "Deny of another action",
        policy(allow(), deny(Action="sts:AssumeRoleWithSAML")),
        KNOWN,
        "yes",
        "not asked for",
    ),
    (
        "Deny for the account",
        policy(allow(), deny(Principal={"AWS": "111122223333"})),
        KNOWN,
        "yes",
        "does not mean the service",
    ),
    (
        "Deny for a pattern of other services",
        policy(allow(), deny(Principal={"Service": "ec2*"})),
        KNOWN,
        "yes",
        "the pattern does not match",
    ),
    (
        "Deny for others by NotPrincipal",
        policy(allow(), without_principal(deny(), NotPrincipal=SERVICE)),
        KNOWN,
        "yes",
        "the service is excepted",
    ),
    (
        "Deny by NotPrincipal",
        policy(allow(), without_principal(deny(), NotPrincipal={"AWS": "111122223333"})),
        KNOWN,
        "no",
        "the service is not excepted",
    ),
    (
        "Deny by NotAction",
        policy(allow(), {"Effect": "Deny", "Principal": "*", "NotAction": BOTH}),
        KNOWN,
        "yes",
        "both are excepted",
    ),
    (
        "Deny of other namespaces",
        policy(allow(), deny(tag("kubernetes-namespace", "default", "StringNotEquals"))),
        KNOWN,
        "yes",
        "this one is not other",
    ),
    ("Deny of this namespace", policy(allow(), deny(NAMESPACE)), KNOWN, "no", "a Deny wins"),
    (
        "Deny of other namespaces, tags off",
        policy(allow(), deny(tag("kubernetes-namespace", "default", "StringNotEquals"))),
        UNTAGGED,
        "no",
        "negated conditions hold when the tag is absent",
    ),
    (
        "Deny without MFA",
        policy(allow(), deny({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, Principal="*")),
        KNOWN,
        "no",
        "a service has no MFA, and IfExists holds",
    ),
    (
        "Deny without MFA, strictly",
        policy(allow(), deny({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, Principal="*")),
        KNOWN,
        "yes",
        "an absent key is not false",
    ),
    (
        "Deny without TLS",
        policy(allow(), deny({"Bool": {"aws:SecureTransport": "false"}}, Principal="*")),
        KNOWN,
        "yes",
        "STS is TLS only",
    ),
    (
        "Deny unless a service",
        policy(allow(), deny({"Bool": {"aws:PrincipalIsAWSService": "false"}}, Principal="*")),
        KNOWN,
        "yes",
        "it is one",
    ),
    (
        "Deny from elsewhere",
        policy(allow(), deny({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, Principal="*")),
        KNOWN,
        "no",
        "no address, so it is not in the block",
    ),
    (
        "Deny without external ID",
        policy(allow(), deny({"Null": {"sts:ExternalId": "true"}})),
        KNOWN,
        "no",
        "there is none",
    ),
    # Policies with conditions on known keys
    ("all four of a workload", policy(allow(SCOPED)), KNOWN, "yes", "all match"),
    (
        "another service account",
        policy(allow(SCOPED)),
        replace(KNOWN, service_account="other"),
        "no",
        "one of four does not match",
    ),
    (
        "another cluster",
        policy(allow(SCOPED)),
        replace(KNOWN, cluster_arn=OTHER_CLUSTER),
        "no",
        "one of four does not match",
    ),
    ("all four, tags off", policy(allow(SCOPED)), UNTAGGED, "no", "no tags in the request"),
    (
        "the cluster's name",
        policy(allow(tag("eks-cluster-name", "my-cluster"))),
        KNOWN,
        "yes",
        "read from the ARN",
    ),
    (
        "clusters by pattern",
        policy(allow(tag("eks-cluster-arn", "arn:aws:eks:*:111122223333:cluster/my-*", "ArnLike"))),
        KNOWN,
        "yes",
        "matches part by part",
    ),
    (
        "clusters by a short pattern",
        policy(allow(tag("eks-cluster-arn", "arn:aws:eks:*:cluster/my-cluster", "ArnLike"))),
        KNOWN,
        "no",
        "* never crosses a colon",
    ),
    ("another namespace", policy(allow(OTHER_NAMESPACE)), KNOWN, "no", "no match"),
    (
        "namespaces by pattern",
        policy(allow(tag("kubernetes-namespace", "def*", "StringLike"))),
        KNOWN,
        "yes",
        "matches",
    ),
    (
        "a pattern in StringEquals",
        policy(allow(tag("kubernetes-namespace", "def*"))),
        KNOWN,
        "no",
        "no wildcards there",
    ),
    (
        "case of a value",
        policy(allow(tag("kubernetes-namespace", "Default"))),
        KNOWN,
        "no",
        "values are case-sensitive",
    ),
    (
        "case of a key",
        policy(allow({"StringEquals": {"AWS:requesttag/Kubernetes-Namespace": "default"}})),
        KNOWN,
        "yes",
        "key names are not",
    ),
    (
        "IfExists, tags off",
        policy(allow(tag("kubernetes-namespace", "x", "StringEqualsIfExists"))),
        UNTAGGED,
        "yes",
        "holds when the tag is absent",
    ),
    (
        "any tag key",
        policy(allow({"ForAnyValue:StringEquals": {"aws:TagKeys": "kubernetes-namespace"}})),
        KNOWN,
        "yes",
        "it is among the six",
    ),
    (
        "any tag key, tags off",
        policy(allow({"ForAnyValue:StringEquals": {"aws:TagKeys": "kubernetes-namespace"}})),
        UNTAGGED,
        "no",
        "there are none",
    ),
    (
        "only some tag keys",
        policy(allow({"ForAllValues:StringEquals": {"aws:TagKeys": ["kubernetes-namespace"]}})),
        KNOWN,
        "no",
        "there are six",
    ),
    (
        "only known tag keys",
        policy(allow({"ForAllValues:StringLike": {"aws:TagKeys": ["kubernetes-*", "eks-cluster-*"]}})),
        KNOWN,
        "yes",
        "all six match",
    ),
    (
        "only some tag keys, tags off",
        policy(allow({"ForAllValues:StringEquals": {"aws:TagKeys": ["x"]}})),
        UNTAGGED,
        "yes",
        "all of none",
    ),
    (
        "transitive tags",
        policy(
            allow(
                {
                    "ForAllValues:StringLike": {"sts:TransitiveTagKeys": "*"},
                    "Null": {"sts:TransitiveTagKeys": "false"},
                }
            )
        ),
        KNOWN,
        "yes",
        "all are transitive",
    ),
    ("a tag that EKS does not set", policy(allow(tag("team", "x"))), KNOWN, "no", "not in the request"),
    (
        "the account",
        policy(allow({"StringEquals": {"aws:SourceAccount": "111122223333"}})),
        KNOWN,
        "yes",
        "the cluster's",
    ),
    (
        "another account",
        policy(allow({"StringEquals": {"aws:SourceAccount": "999999999999"}})),
        KNOWN,
        "no",
        "not the cluster's",
    ),
    (
        "account as a number",
        policy(allow({"StringEquals": {"aws:SourceAccount": 111122223333}})),
        KNOWN,
        "yes",
        "taken as its text",
    ),
    (
        "service name",
        policy(
            allow({"StringEquals": {"aws:PrincipalServiceName": "pods.eks.amazonaws.com"}}, Principal="*")
        ),
        KNOWN,
        "yes",
        "its own",
    ),
    ("is a service", policy(allow({"Bool": {"aws:PrincipalIsAWSService": "true"}})), KNOWN, "yes", "it is"),
    (
        "organization of the caller",
        policy(allow({"StringEquals": {"aws:PrincipalOrgID": "o-abcd"}})),
        replace(KNOWN, source_org_id="o-abcd"),
        "no",
        "a service is of no organization",
    ),
    (
        "organization of the source",
        policy(allow({"StringEquals": {"aws:SourceOrgID": "o-abcd"}})),
        replace(KNOWN, source_org_id="o-abcd"),
        "yes",
        "the cluster's account's",
    ),
    (
        "another organization",
        policy(allow({"StringEquals": {"aws:SourceOrgID": "o-abcd"}})),
        replace(KNOWN, source_org_id="o-efgh"),
        "no",
        "no match",
    ),
    (
        "the role's organization",
        policy(allow(ORG)),
        replace(KNOWN, source_org_id="o-abcd"),
        "yes",
        "role and cluster share the account",
    ),
    (
        "the role's organization, old version",
        policy(allow(ORG), version="2008-10-17"),
        replace(KNOWN, source_org_id="o-abcd"),
        "no",
        "the variable is text there",
    ),
    (
        "path in the organization",
        policy(allow({"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-abcd/*"}})),
        replace(KNOWN, source_org_id="o-abcd"),
        "yes",
        "every path begins so",
    ),
    (
        "path in another organization",
        policy(allow({"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-efgh/*"}})),
        replace(KNOWN, source_org_id="o-abcd"),
        "no",
        "no path begins so",
    ),
    (
        "external ID",
        policy(allow({"StringEquals": {"sts:ExternalId": "x"}})),
        KNOWN,
        "no",
        "EKS sends none here",
    ),
    (
        "web identity",
        policy(
            allow(
                {
                    "StringEquals": {
                        "oidc.eks.us-west-2.amazonaws.com/id/A:sub": "system:serviceaccount:default:my-service-account"
                    }
                }
            )
        ),
        KNOWN,
        "no",
        "no web identity",
    ),
    (
        "a misspelt key",
        policy(allow({"StringEquals": {"aws:SourceAcount": "111122223333"}})),
        KNOWN,
        "no",
        "no such key",
    ),
    (
        "tag by variable",
        policy(allow(tag("kubernetes-namespace", "${aws:RequestTag/kubernetes-namespace}"))),
        KNOWN,
        "yes",
        "equals itself",
    ),
    (
        "variable of an absent key",
        policy(allow(tag("kubernetes-namespace", "${aws:PrincipalTag/team}"))),
        KNOWN,
        "no",
        "no value",
    ),
    (
        "default of an absent key",
        policy(allow(tag("kubernetes-namespace", "${aws:PrincipalTag/team, 'default'}"))),
        KNOWN,
        "yes",
        "the default",
    ),
    ("two workloads", policy(allow(OTHER_NAMESPACE), allow(NAMESPACE)), KNOWN, "yes", "the second statement"),
    (
        "association as source",
        policy(allow({"ArnLike": {"aws:SourceArn": "arn:aws:eks:*:111122223333:podidentityassociation/*"}})),
        KNOWN,
        "no",
        "it is the cluster or absent",
    ),
    (
        "another cluster as source",
        policy(allow({"ArnEquals": {"aws:SourceArn": OTHER_CLUSTER}})),
        KNOWN,
        "no",
        "it is this cluster or absent",
    ),
    (
        "this cluster as source, if it is there",
        policy(allow({"ArnEqualsIfExists": {"aws:SourceArn": CLUSTER}})),
        KNOWN,
        "yes",
        "both hold",
    ),
    (
        "Pod name there",
        policy(allow({"Null": {"aws:RequestTag/kubernetes-pod-name": "false"}})),
        KNOWN,
        "yes",
        "there whatever it is",
    ),
    (
        "Pod name there, tags off",
        policy(allow({"Null": {"aws:RequestTag/kubernetes-pod-name": "false"}})),
        UNTAGGED,
        "no",
        "no tags",
    ),
    (
        "any Pod name",
        policy(allow(tag("kubernetes-pod-name", "*", "StringLike"))),
        KNOWN,
        "yes",
        "every name matches",
    ),
    # Policies with conditions that cannot be true together
    (
        "contradiction",
        policy(
            allow(
                {
                    "StringEquals": {"aws:RequestTag/kubernetes-pod-name": "a"},
                    "StringLike": {"aws:RequestTag/kubernetes-pod-name": "b*"},
                }
            )
        ),
        KNOWN,
        "no",
        "no name is both",
    ),
    (
        "contradiction of patterns",
        policy(
            allow(
                {
                    "StringLike": {"aws:RequestTag/kubernetes-pod-name": "a*"},
                    "StringNotLike": {"aws:RequestTag/kubernetes-pod-name": "*"},
                }
            )
        ),
        KNOWN,
        "no",
        "no name is both",
    ),
    (
        "Allow x, Deny all but y",
        policy(
            allow(tag("kubernetes-pod-name", "x")), deny(tag("kubernetes-pod-name", "y", "StringNotEquals"))
        ),
        KNOWN,
        "conditional",
        "x is not y, which only a proof shows",
    ),
    (
        "actions for different Pods",
        policy(
            allow(tag("kubernetes-pod-name", "x"), Action="sts:AssumeRole"),
            allow(tag("kubernetes-pod-name", "y"), Action="sts:TagSession"),
        ),
        KNOWN,
        "conditional",
        "no Pod has both, which only a proof shows",
    ),
    (
        "x or not x",
        policy(
            allow(tag("kubernetes-pod-name", "x")), allow(tag("kubernetes-pod-name", "x", "StringNotEquals"))
        ),
        KNOWN,
        "conditional",
        "every Pod is one of them, which only a proof shows",
    ),
    (
        "another account's cluster, known account",
        policy(allow(tag("eks-cluster-arn", CLUSTER.replace("111122223333", "999999999999")))),
        Subject(account_id="111122223333"),
        "no",
        "the cluster is of the account",
    ),
]

# Each case has a name, a policy, a subject, the unknown keys that decide, and a reason.
CONDITIONAL = [
    ("namespace", policy(allow(NAMESPACE)), NOBODY, ["aws:RequestTag/kubernetes-namespace"], "not given"),
    (
        "account",
        policy(allow({"StringEquals": {"aws:SourceAccount": "111122223333"}})),
        NOBODY,
        ["aws:SourceAccount"],
        "not given",
    ),
    (
        "three of four",
        policy(allow(SCOPED)),
        Subject(cluster_arn=CLUSTER, namespace="default"),
        ["aws:RequestTag/kubernetes-service-account"],
        "the fourth turns",
    ),
    (
        "Pod name",
        policy(allow(tag("kubernetes-pod-name", "web-*", "StringLike"))),
        KNOWN,
        ["aws:RequestTag/kubernetes-pod-name"],
        "not given",
    ),
    (
        "Pod UID",
        policy(allow(), deny(tag("kubernetes-pod-uid", "u"))),
        KNOWN,
        ["aws:RequestTag/kubernetes-pod-uid"],
        "a Deny may match",
    ),
    ("organization", policy(allow(ORG)), KNOWN, ["aws:SourceOrgId", "aws:ResourceOrgId"], "may be in none"),
    (
        "source",
        policy(allow({"ArnLike": {"aws:SourceArn": "arn:aws:eks:*:111122223333:cluster/*"}})),
        KNOWN,
        ["aws:SourceArn"],
        "whether it is set is not documented",
    ),
    (
        "time",
        policy(allow({"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}})),
        KNOWN,
        ["aws:CurrentTime"],
        "time passes",
    ),
    (
        "tags of the role",
        policy(allow({"StringEquals": {"aws:ResourceTag/team": "x"}})),
        KNOWN,
        ["aws:ResourceTag/team"],
        "not given",
    ),
    (
        "session name",
        policy(allow({"StringLike": {"sts:RoleSessionName": "eks-*"}})),
        KNOWN,
        ["sts:RoleSessionName"],
        "EKS chooses it",
    ),
    (
        "either of two",
        policy(allow(tag("kubernetes-pod-name", "a")), allow(tag("kubernetes-pod-uid", "b"))),
        KNOWN,
        ["aws:RequestTag/kubernetes-pod-name", "aws:RequestTag/kubernetes-pod-uid"],
        "each may decide",
    ),
    (
        "only what turns",
        policy(
            allow(),
            deny(
                {
                    "StringEquals": {"aws:RequestTag/kubernetes-pod-name": "a"},
                    "StringNotEquals": {"aws:SourceAccount": "111122223333"},
                }
            ),
            deny(tag("kubernetes-pod-uid", "b")),
        ),
        KNOWN,
        ["aws:RequestTag/kubernetes-pod-uid"],
        "the first Deny cannot match",
    ),
]


def case_id(case):
    return f"{case[0]}: {case[4]}"


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_verdict(case):
    _name, document, subject, usable, _why = case
    assert check_trust(document, subject).usable == usable


@pytest.mark.parametrize("case", CONDITIONAL, ids=case_id)
def test_conditional_verdict_has_keys(case):
    _name, document, subject, keys, _why = case
    found = check_trust(document, subject)
    assert (found.usable, list(found.conditional_on)) == ("conditional", keys)


def test_role_of_another_account_is_unusable():
    found = check_trust(policy(allow()), replace(KNOWN, role_arn="arn:aws:iam::444455556666:role/r"))
    assert found.usable == "no"
    assert found.findings[0].code == "TRUST_ROLE_IN_OTHER_ACCOUNT"
    assert found.findings[0].message == (
        "The role is in account 444455556666, the cluster in 111122223333: EKS rejects a role of"
        " another account, whatever its trust policy allows."
    )
