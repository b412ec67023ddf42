# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test verdicts on trust policies for EKS Pod Identity."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import pytest
import yaml
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

# Each case has a name with a reason, a policy, a subject, and whether the subject can use the policy.
CASES = [
    ("the guide's statement: service and both actions", policy(allow()), KNOWN, "yes"),
    ("the guide's statement: nothing to turn on", policy(allow()), NOBODY, "yes"),
    ("no version: no variables, so the version does not count", policy(allow(), version=None), KNOWN, "yes"),
    (
        "a list of services: one of them",
        policy(allow(Principal={"Service": ["ec2.amazonaws.com", "pods.eks.amazonaws.com"]})),
        KNOWN,
        "yes",
    ),
    (
        "two statements: each action by one",
        policy(allow(Action="sts:AssumeRole"), allow(Action="sts:TagSession")),
        KNOWN,
        "yes",
    ),
    ("only AssumeRole: TagSession lacks", policy(allow(Action="sts:AssumeRole")), KNOWN, "no"),
    (
        "only AssumeRole, tags off: EKS asks for both all the same",
        policy(allow(Action="sts:AssumeRole")),
        UNTAGGED,
        "no",
    ),
    ("only TagSession: AssumeRole lacks", policy(allow(Action="sts:TagSession")), KNOWN, "no"),
    (
        "NotAction of others: everything but IAM",
        policy({**without_principal({"Effect": "Allow", "NotAction": "iam:*"}), "Principal": SERVICE}),
        KNOWN,
        "yes",
    ),
    (
        "NotAction of TagSession: TagSession is left out",
        policy({"Effect": "Allow", "NotAction": "sts:Tag*", "Principal": SERVICE}),
        KNOWN,
        "no",
    ),
    ("EC2: another service", policy(allow(Principal={"Service": "ec2.amazonaws.com"})), KNOWN, "no"),
    ("EKS itself: another service", policy(allow(Principal={"Service": "eks.amazonaws.com"})), KNOWN, "no"),
    (
        "the service with a region: no such name",
        policy(allow(Principal={"Service": "pods.eks.us-west-2.amazonaws.com"})),
        KNOWN,
        "no",
    ),
    (
        "the service for China: one name in every partition",
        policy(allow(Principal={"Service": "pods.eks.amazonaws.com.cn"})),
        replace(KNOWN, cluster_arn=CLUSTER.replace("aws:eks:us-west-2", "aws-cn:eks:cn-north-1")),
        "no",
    ),
    (
        "the guide's statement in China: one name in every partition",
        policy(allow()),
        replace(KNOWN, cluster_arn=CLUSTER.replace("aws:eks:us-west-2", "aws-cn:eks:cn-north-1")),
        "yes",
    ),
    ("everyone: services too", policy(allow(Principal="*")), KNOWN, "yes"),
    ("every AWS principal: the same as everyone", policy(allow(Principal={"AWS": "*"})), KNOWN, "yes"),
    (
        "the account: a service is not of the account",
        policy(allow(Principal={"AWS": "111122223333"})),
        KNOWN,
        "no",
    ),
    (
        "every service: IAM has no wildcard for services",
        policy(allow(Principal={"Service": "*"})),
        KNOWN,
        "no",
    ),
    (
        "NotPrincipal with Allow: not supported, grants nothing",
        policy(without_principal(allow(), NotPrincipal={"AWS": "111122223333"})),
        KNOWN,
        "no",
    ),
    (
        "IRSA: another way in",
        policy(
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.example/id/A"},
            }
        ),
        KNOWN,
        "no",
    ),
    (
        "only a Deny: what is not allowed is denied",
        policy(deny(Principal={"AWS": "111122223333"})),
        KNOWN,
        "no",
    ),
    # Policies with Deny statements
    ("Deny for everyone: a Deny wins", policy(allow(), deny(Principal="*")), KNOWN, "no"),
    ("Deny of one action: both are needed", policy(allow(), deny(Action="sts:TagSession")), KNOWN, "no"),
    (
        "Deny of another action: not asked for",
        policy(allow(), deny(Action="sts:AssumeRoleWithSAML")),
        KNOWN,
        "yes",
    ),
    (
        "Deny for the account: does not mean the service",
        policy(allow(), deny(Principal={"AWS": "111122223333"})),
        KNOWN,
        "yes",
    ),
    (
        "Deny for a pattern of other services: the pattern does not match",
        policy(allow(), deny(Principal={"Service": "ec2*"})),
        KNOWN,
        "yes",
    ),
    (
        "Deny for a pattern of services: the pattern matches",
        policy(allow(), deny(Principal={"Service": "pods*"})),
        KNOWN,
        "no",
    ),
    ("Deny for every service: it is one", policy(allow(), deny(Principal={"Service": "*"})), KNOWN, "no"),
    (
        "Deny for a pattern of AWS principals: a service is none",
        policy(allow(), deny(Principal={"AWS": "pods*"})),
        KNOWN,
        "yes",
    ),
    (
        "Deny for others by NotPrincipal: the service is excepted",
        policy(allow(), without_principal(deny(), NotPrincipal=SERVICE)),
        KNOWN,
        "yes",
    ),
    (
        "Deny by NotPrincipal: the service is not excepted",
        policy(allow(), without_principal(deny(), NotPrincipal={"AWS": "111122223333"})),
        KNOWN,
        "no",
    ),
    (
        "Deny by NotAction: both are excepted",
        policy(allow(), {"Effect": "Deny", "Principal": "*", "NotAction": BOTH}),
        KNOWN,
        "yes",
    ),
    (
        "Deny of other namespaces: this one is not other",
        policy(allow(), deny(tag("kubernetes-namespace", "default", "StringNotEquals"))),
        KNOWN,
        "yes",
    ),
    ("Deny of this namespace: a Deny wins", policy(allow(), deny(NAMESPACE)), KNOWN, "no"),
    (
        "Deny of other namespaces, tags off: negated conditions hold when the tag is absent",
        policy(allow(), deny(tag("kubernetes-namespace", "default", "StringNotEquals"))),
        UNTAGGED,
        "no",
    ),
    (
        "Deny without MFA: a service has no MFA, and IfExists holds",
        policy(allow(), deny({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, Principal="*")),
        KNOWN,
        "no",
    ),
    (
        "Deny without MFA, strictly: an absent key is not false",
        policy(allow(), deny({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, Principal="*")),
        KNOWN,
        "yes",
    ),
    (
        "Deny without TLS: STS is TLS only",
        policy(allow(), deny({"Bool": {"aws:SecureTransport": "false"}}, Principal="*")),
        KNOWN,
        "yes",
    ),
    (
        "Deny unless a service: it is one",
        policy(allow(), deny({"Bool": {"aws:PrincipalIsAWSService": "false"}}, Principal="*")),
        KNOWN,
        "yes",
    ),
    (
        "Deny from elsewhere: no address, so it is not in the block",
        policy(allow(), deny({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, Principal="*")),
        KNOWN,
        "no",
    ),
    (
        "Deny without external ID: there is none",
        policy(allow(), deny({"Null": {"sts:ExternalId": "true"}})),
        KNOWN,
        "no",
    ),
    # Policies with conditions on known keys
    ("all four of a workload: all match", policy(allow(SCOPED)), KNOWN, "yes"),
    ("all four, tags off: no tags in the request", policy(allow(SCOPED)), UNTAGGED, "no"),
    (
        "the cluster's name: read from the ARN",
        policy(allow(tag("eks-cluster-name", "my-cluster"))),
        KNOWN,
        "yes",
    ),
    (
        "clusters by pattern: matches part by part",
        policy(allow(tag("eks-cluster-arn", "arn:aws:eks:*:111122223333:cluster/my-*", "ArnLike"))),
        KNOWN,
        "yes",
    ),
    (
        "case of a key: key names are not",
        policy(allow({"StringEquals": {"AWS:requesttag/Kubernetes-Namespace": "default"}})),
        KNOWN,
        "yes",
    ),
    (
        "any tag key: it is among the six",
        policy(allow({"ForAnyValue:StringEquals": {"aws:TagKeys": "kubernetes-namespace"}})),
        KNOWN,
        "yes",
    ),
    (
        "any tag key, tags off: there are none",
        policy(allow({"ForAnyValue:StringEquals": {"aws:TagKeys": "kubernetes-namespace"}})),
        UNTAGGED,
        "no",
    ),
    (
        "only some tag keys: there are six",
        policy(allow({"ForAllValues:StringEquals": {"aws:TagKeys": ["kubernetes-namespace"]}})),
        KNOWN,
        "no",
    ),
    (
        "only known tag keys: all six match",
        policy(allow({"ForAllValues:StringLike": {"aws:TagKeys": ["kubernetes-*", "eks-cluster-*"]}})),
        KNOWN,
        "yes",
    ),
    (
        "only some tag keys, tags off: all of none",
        policy(allow({"ForAllValues:StringEquals": {"aws:TagKeys": ["x"]}})),
        UNTAGGED,
        "yes",
    ),
    (
        "transitive tags: all are transitive",
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
    ),
    ("a tag that EKS does not set: not in the request", policy(allow(tag("team", "x"))), KNOWN, "no"),
    (
        "the account: the cluster's",
        policy(allow({"StringEquals": {"aws:SourceAccount": "111122223333"}})),
        KNOWN,
        "yes",
    ),
    (
        "another account: not the cluster's",
        policy(allow({"StringEquals": {"aws:SourceAccount": "999999999999"}})),
        KNOWN,
        "no",
    ),
    (
        "service name: its own",
        policy(
            allow({"StringEquals": {"aws:PrincipalServiceName": "pods.eks.amazonaws.com"}}, Principal="*")
        ),
        KNOWN,
        "yes",
    ),
    ("is a service: it is", policy(allow({"Bool": {"aws:PrincipalIsAWSService": "true"}})), KNOWN, "yes"),
    (
        "organization of the caller: a service is of no organization",
        policy(allow({"StringEquals": {"aws:PrincipalOrgID": "o-abcd"}})),
        replace(KNOWN, source_org_id="o-abcd"),
        "no",
    ),
    (
        "organization of the source: the cluster's account's",
        policy(allow({"StringEquals": {"aws:SourceOrgID": "o-abcd"}})),
        replace(KNOWN, source_org_id="o-abcd"),
        "yes",
    ),
    (
        "another organization: no match",
        policy(allow({"StringEquals": {"aws:SourceOrgID": "o-abcd"}})),
        replace(KNOWN, source_org_id="o-efgh"),
        "no",
    ),
    (
        "the role's organization: role and cluster share the account",
        policy(allow(ORG)),
        replace(KNOWN, source_org_id="o-abcd"),
        "yes",
    ),
    (
        "the role's organization, old version: the variable is text there",
        policy(allow(ORG), version="2008-10-17"),
        replace(KNOWN, source_org_id="o-abcd"),
        "no",
    ),
    (
        "path in the organization: every path begins so",
        policy(allow({"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-abcd/*"}})),
        replace(KNOWN, source_org_id="o-abcd"),
        "yes",
    ),
    (
        "path in another organization: no path begins so",
        policy(allow({"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-efgh/*"}})),
        replace(KNOWN, source_org_id="o-abcd"),
        "no",
    ),
    (
        "external ID: EKS sends none here",
        policy(allow({"StringEquals": {"sts:ExternalId": "x"}})),
        KNOWN,
        "no",
    ),
    (
        "web identity: no web identity",
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
    ),
    (
        "tag by variable: equals itself",
        policy(allow(tag("kubernetes-namespace", "${aws:RequestTag/kubernetes-namespace}"))),
        KNOWN,
        "yes",
    ),
    ("two workloads: the second statement", policy(allow(OTHER_NAMESPACE), allow(NAMESPACE)), KNOWN, "yes"),
    (
        "association as source: it is the cluster or absent",
        policy(allow({"ArnLike": {"aws:SourceArn": "arn:aws:eks:*:111122223333:podidentityassociation/*"}})),
        KNOWN,
        "no",
    ),
    (
        "another cluster as source: it is this cluster or absent",
        policy(allow({"ArnEquals": {"aws:SourceArn": OTHER_CLUSTER}})),
        KNOWN,
        "no",
    ),
    (
        "this cluster as source, if it is there: both hold",
        policy(allow({"ArnEqualsIfExists": {"aws:SourceArn": CLUSTER}})),
        KNOWN,
        "yes",
    ),
    (
        "Pod name there: there whatever it is",
        policy(allow({"Null": {"aws:RequestTag/kubernetes-pod-name": "false"}})),
        KNOWN,
        "yes",
    ),
    (
        "Pod name there, tags off: no tags",
        policy(allow({"Null": {"aws:RequestTag/kubernetes-pod-name": "false"}})),
        UNTAGGED,
        "no",
    ),
    (
        "any Pod name: every name matches",
        policy(allow(tag("kubernetes-pod-name", "*", "StringLike"))),
        KNOWN,
        "yes",
    ),
    # Policies with conditions that cannot be true together
    (
        "contradiction: no name is both",
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
    ),
    (
        "contradiction of patterns: no name is both",
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
    ),
    (
        "Allow x, Deny all but y: x is not y, which only a proof shows",
        policy(
            allow(tag("kubernetes-pod-name", "x")), deny(tag("kubernetes-pod-name", "y", "StringNotEquals"))
        ),
        KNOWN,
        "conditional",
    ),
    (
        "actions for different Pods: no Pod has both, which only a proof shows",
        policy(
            allow(tag("kubernetes-pod-name", "x"), Action="sts:AssumeRole"),
            allow(tag("kubernetes-pod-name", "y"), Action="sts:TagSession"),
        ),
        KNOWN,
        "conditional",
    ),
    (
        "x or not x: every Pod is one of them, which only a proof shows",
        policy(
            allow(tag("kubernetes-pod-name", "x")), allow(tag("kubernetes-pod-name", "x", "StringNotEquals"))
        ),
        KNOWN,
        "conditional",
    ),
    (
        "another account's cluster, known account: the cluster is of the account",
        policy(allow(tag("eks-cluster-arn", CLUSTER.replace("111122223333", "999999999999")))),
        Subject(account_id="111122223333"),
        "no",
    ),
]

# Each case has a name with a reason, a policy and a subject. trust.yml has the keys that decide, the message and the remedy.
EXPECTED = yaml.safe_load(Path(__file__).with_name("trust.yml").read_text(encoding="utf-8"))
CONDITIONAL = [
    ("namespace: not given", policy(allow(NAMESPACE)), NOBODY),
    ("account: not given", policy(allow({"StringEquals": {"aws:SourceAccount": "111122223333"}})), NOBODY),
    (
        "three of four: the fourth turns",
        policy(allow(SCOPED)),
        Subject(cluster_arn=CLUSTER, namespace="default"),
    ),
    ("Pod name: not given", policy(allow(tag("kubernetes-pod-name", "web-*", "StringLike"))), KNOWN),
    ("Pod UID: a Deny may match", policy(allow(), deny(tag("kubernetes-pod-uid", "u"))), KNOWN),
    ("organization: may be in none", policy(allow(ORG)), KNOWN),
    (
        "source: whether it is set is not documented",
        policy(allow({"ArnLike": {"aws:SourceArn": "arn:aws:eks:*:111122223333:cluster/*"}})),
        KNOWN,
    ),
    (
        "time: time passes",
        policy(allow({"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}})),
        KNOWN,
    ),
    ("tags of the role: not given", policy(allow({"StringEquals": {"aws:ResourceTag/team": "x"}})), KNOWN),
    ("session name: EKS chooses it", policy(allow({"StringLike": {"sts:RoleSessionName": "eks-*"}})), KNOWN),
    (
        "either of two: each may decide",
        policy(allow(tag("kubernetes-pod-name", "a")), allow(tag("kubernetes-pod-uid", "b"))),
        KNOWN,
    ),
    (
        "only what turns: the first Deny cannot match",
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
    ),
]


@pytest.mark.parametrize("case", CASES, ids=itemgetter(0))
def test_verdict(case):
    _name, document, subject, usable = case
    found = check_trust(document, subject)
    codes = {finding.code.value for finding in found.findings}
    assert (found.usable, "TRUST_CONDITIONAL" in codes) == (usable, usable == "conditional")


@pytest.mark.parametrize("case", CONDITIONAL, ids=itemgetter(0))
def test_conditional_verdict_names_the_keys(case):
    name, document, subject = case
    found = check_trust(document, subject)
    (finding,) = [finding for finding in found.findings if finding.code == "TRUST_CONDITIONAL"]
    texts = [" ".join(found.conditional_on), finding.message, finding.remedy]
    assert (found.usable, texts) == ("conditional", EXPECTED["pod_identity"][name])


def test_role_of_another_account_is_unusable():
    found = check_trust(policy(allow()), replace(KNOWN, role_arn="arn:aws:iam::444455556666:role/r"))
    assert found.usable == "no"
    assert found.findings[0].code == "TRUST_ROLE_IN_OTHER_ACCOUNT"
    assert found.findings[0].message == (
        "The role is in account 444455556666, the cluster in 111122223333: EKS rejects a role of"
        " another account, whatever its trust policy allows."
    )
