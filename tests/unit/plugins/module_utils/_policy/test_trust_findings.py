# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the findings on trust policies for EKS Pod Identity."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import check_trust

CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
SERVICE = {"Service": "pods.eks.amazonaws.com"}
BOTH = ["sts:AssumeRole", "sts:TagSession"]
SERVICES = "ec2 ecs glue rds ssm states"
OURS = {
    "Sid": "AllowEksAuthToAssumeRoleForPodIdentity",
    "Effect": "Allow",
    "Principal": SERVICE,
    "Action": BOTH,
    "Condition": {
        "StringEquals": {
            "aws:SourceAccount": "111122223333",
            "aws:RequestTag/eks-cluster-arn": CLUSTER,
            "aws:RequestTag/kubernetes-namespace": "default",
            "aws:RequestTag/kubernetes-service-account": "my-service-account",
        }
    },
}
KNOWN = Subject(cluster_arn=CLUSTER, namespace="default", service_account="my-service-account")
UNTAGGED = replace(KNOWN, session_tags=False)
OIDC = {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/A"}
GITHUB = {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}
IRSA = {"Effect": "Allow", "Principal": OIDC, "Action": "sts:AssumeRoleWithWebIdentity"}


def allow(**more):
    return {"Effect": "Allow", "Principal": SERVICE, "Action": BOTH, **more}


def equals(**pairs):
    return {
        "StringEquals": {
            f"aws:{key.replace('__', '/').replace('_', '-')}": value for key, value in pairs.items()
        }
    }


def policy(*statements, version="2012-10-17"):
    return {"Version": version, "Statement": list(statements)}


def finding(found, code):
    return next(item for item in found.findings if item.code == code)


ERRORS = [
    (
        policy(allow(Action="sts:AssumeRole")),
        KNOWN,
        "TRUST_ACTION_NOT_ALLOWED",
        "Statement 1",
        "No statement allows pods.eks.amazonaws.com sts:TagSession; EKS rejects a role without it in the trust policy,"
        " even if session tags are disabled.",
        "Add sts:TagSession to the actions of Statement 1.",
    ),
    (
        policy(allow(Action="sts:TagSession", Sid="A")),
        KNOWN,
        "TRUST_ACTION_NOT_ALLOWED",
        "Statement 1 (Sid 'A')",
        "No statement allows pods.eks.amazonaws.com sts:AssumeRole; without it the role cannot be assumed.",
        "Add sts:AssumeRole to the actions of Statement 1 (Sid 'A').",
    ),
    (
        policy(allow(Principal={"Service": [f"{name}.amazonaws.com" for name in SERVICES.split()]})),
        KNOWN,
        "TRUST_WRONG_PRINCIPAL",
        "Statement 1",
        "Statement 1 trusts ec2.amazonaws.com, ecs.amazonaws.com, glue.amazonaws.com, rds.amazonaws.com, ssm.amazonaws.com, not"
        " pods.eks.amazonaws.com.",
        "Add a statement that allows pods.eks.amazonaws.com sts:AssumeRole and sts:TagSession.",
    ),
    (
        policy(allow(Principal={"Service": "eks.amazonaws.com"})),
        KNOWN,
        "TRUST_WRONG_PRINCIPAL",
        "Statement 1",
        "Statement 1 trusts eks.amazonaws.com; the service of EKS Pod Identity is pods.eks.amazonaws.com in every"
        " partition and region.",
        "Replace eks.amazonaws.com with pods.eks.amazonaws.com. If eks.amazonaws.com must keep access, add a statement that"
        " allows pods.eks.amazonaws.com sts:AssumeRole and sts:TagSession instead.",
    ),
    (
        policy(allow(Principal={"AWS": "111122223333"})),
        KNOWN,
        "TRUST_WRONG_PRINCIPAL",
        "Statement 1",
        "Statement 1 trusts 111122223333; the service of EKS Pod Identity is pods.eks.amazonaws.com.",
        'Add a statement with "Principal": {"Service": "pods.eks.amazonaws.com"}.',
    ),
    (
        policy({**IRSA, "Principal": GITHUB}),
        KNOWN,
        "TRUST_WRONG_PRINCIPAL",
        "Statement 1",
        f"Statement 1 trusts {GITHUB['Federated']}; the service of EKS Pod Identity is pods.eks.amazonaws.com.",
        'Add a statement with "Principal": {"Service": "pods.eks.amazonaws.com"}.',
    ),
    (
        policy(IRSA),
        KNOWN,
        "TRUST_WRONG_PRINCIPAL",
        "Statement 1",
        f"Statement 1 trusts {OIDC['Federated']} for IAM roles for service accounts (IRSA), not EKS Pod Identity.",
        "Add a statement that allows pods.eks.amazonaws.com sts:AssumeRole and sts:TagSession. Keep Statement 1"
        " until all Pods are migrated.",
    ),
    (
        policy(allow(), allow(Effect="Deny", Principal="*", Sid="Stop")),
        KNOWN,
        "TRUST_EXPLICIT_DENY",
        "Statement 2 (Sid 'Stop')",
        "Statement 2 (Sid 'Stop') denies sts:AssumeRole and sts:TagSession to pods.eks.amazonaws.com. A Deny overrides"
        " every Allow.",
        "Narrow or remove the Deny, for example with a condition that excludes this caller.",
    ),
    (
        policy({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRoleWithSAML"}),
        KNOWN,
        "TRUST_ACTION_NOT_ALLOWED",
        "",
        "The policy has no Allow statement, so every request is denied.",
        "Add a statement that allows pods.eks.amazonaws.com sts:AssumeRole and sts:TagSession.",
    ),
    (
        policy({"Effect": "Allow", "NotPrincipal": {"AWS": "1"}, "Action": BOTH}),
        KNOWN,
        "TRUST_WRONG_PRINCIPAL",
        "Statement 1",
        "Statement 1 uses NotPrincipal with Allow, which IAM does not support: it grants nothing.",
        'Specify the caller: "Principal": {"Service": "pods.eks.amazonaws.com"}.',
    ),
    (
        policy(allow(Condition=equals(RequestTag__kubernetes_namespace=["a", "b"]))),
        KNOWN,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 requires StringEquals aws:RequestTag/kubernetes-namespace 'a' or 'b', but the request has 'default'.",
        "Add the workload's value to aws:RequestTag/kubernetes-namespace, or add a statement for this workload.",
    ),
    (
        policy(allow(Condition={"StringNotEquals": {"aws:RequestTag/kubernetes-namespace": "default"}})),
        KNOWN,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 requires StringNotEquals aws:RequestTag/kubernetes-namespace 'default', but the request has 'default'.",
        "Change the condition on aws:RequestTag/kubernetes-namespace, or add a statement for this workload.",
    ),
    (
        policy(allow(Condition=equals(RequestTag__kubernetes_namespace="Default"))),
        KNOWN,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 requires StringEquals aws:RequestTag/kubernetes-namespace 'Default', but the request has 'default'.",
        "Write the value in the letter case of the request; values are case-sensitive.",
    ),
    (
        policy(allow(Condition=equals(RequestTag__kubernetes_namespace="def*"))),
        KNOWN,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 requires StringEquals aws:RequestTag/kubernetes-namespace 'def*', but the request has 'default'.",
        "Use StringLike: StringEquals compares * and ? literally.",
    ),
    (
        policy(allow(Condition=equals(RequestTag__kubernetes_namespace="x*"))),
        KNOWN,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 requires StringEquals aws:RequestTag/kubernetes-namespace 'x*', but the request has 'default'.",
        "Add the workload's value to aws:RequestTag/kubernetes-namespace, or add a statement for this workload.",
    ),
    (
        policy(allow(Condition=equals(SourceAccount="${aws:ResourceAccount}")), version="2008-10-17"),
        KNOWN,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 requires StringEquals aws:SourceAccount '${aws:ResourceAccount}', but the request has '111122223333'.",
        'Set "Version": "2012-10-17": in 2008-10-17, ${...} is literal text.',
    ),
    (
        policy(allow(Condition={"StringEquals": {"sts:ExternalId": "x"}})),
        KNOWN,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 requires StringEquals sts:ExternalId 'x', but requests of this caller never have sts:ExternalId.",
        "Remove the condition, or use a key that the request has, such as aws:SourceAccount.",
    ),
    (
        policy(allow(Condition=equals(RequestTag__kubernetes_namespace="default"))),
        UNTAGGED,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 requires StringEquals aws:RequestTag/kubernetes-namespace 'default', but session tags are disabled"
        " for this association, so the request has no tags and the statement never matches.",
        "Enable session tags, or use conditions that do not need them, such as aws:SourceAccount.",
    ),
    (
        policy(
            allow(
                Condition={
                    "StringEquals": {"aws:RequestTag/kubernetes-pod-name": "a"},
                    "StringLike": {"aws:RequestTag/kubernetes-pod-name": "b*"},
                }
            )
        ),
        KNOWN,
        "TRUST_CONDITION_UNMATCHED",
        "Statement 1",
        "Statement 1 never applies, because of StringEquals aws:RequestTag/kubernetes-pod-name 'a' and StringLike"
        " aws:RequestTag/kubernetes-pod-name 'b*': no request meets all of these conditions.",
        "Change the conditions, or add a statement for this workload.",
    ),
]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case[2])
def test_findings_on_unusable_policies(case):
    document, subject, code, statement, message, remedy = case
    found = check_trust(document, subject)
    reported = finding(found, code)
    assert (reported.severity, reported.statement, reported.message, reported.remedy) == (
        "error",
        statement,
        message,
        remedy,
    )
    assert (found.usable, {item.code for item in found.findings} - {"TRUST_WIDE"}) == ("no", {code})


LINTS = [
    (
        policy(allow()),
        KNOWN,
        "TRUST_WIDE",
        "warning",
        "The policy allows every workload of every cluster in the account to use the role once an association refers to it.",
    ),
    (
        policy(allow(Condition=equals(SourceAccount="111122223333"))),
        KNOWN,
        "TRUST_WIDE",
        "warning",
        "The policy allows every workload of every cluster in the account to use the role once an association refers to it.",
    ),
    (
        policy(
            allow(
                Condition=equals(
                    RequestTag__kubernetes_namespace="default",
                    RequestTag__kubernetes_service_account="my-service-account",
                )
            )
        ),
        KNOWN,
        "TRUST_WIDE",
        "warning",
        "The policy allows the same workload of every cluster in the account to use the role once an association refers to it.",
    ),
    (
        policy(allow(Condition=equals(RequestTag__eks_cluster_arn=CLUSTER))),
        KNOWN,
        "TRUST_WIDE",
        "info",
        "The policy allows every workload of the cluster to use the role once an association refers to it.",
    ),
    (
        policy(allow(Condition=equals(RequestTag__eks_cluster_name="my-cluster"))),
        replace(KNOWN, cluster_arn=None, cluster="my-cluster"),
        "TRUST_WIDE",
        "info",
        "The policy allows every workload of the cluster to use the role once an association refers to it.",
    ),
    (
        policy(
            allow(
                Condition=equals(
                    RequestTag__eks_cluster_arn=CLUSTER, RequestTag__kubernetes_namespace="default"
                )
            )
        ),
        KNOWN,
        "TRUST_WIDE",
        "info",
        "The policy allows every service account of the namespace to use the role once an association refers to it.",
    ),
    (
        policy(allow(Principal="*")),
        KNOWN,
        "TRUST_OPEN_TO_EVERYONE",
        "error",
        "Statement 1 allows every principal of every AWS account, not EKS Pod Identity alone.",
    ),
    (
        policy(allow(), IRSA),
        KNOWN,
        "TRUST_IRSA_LEFTOVER",
        "info",
        "Statement 2 still allows IAM roles for service accounts (IRSA) to use the role.",
    ),
    (
        policy(allow(), allow(Principal={"Service": "eks.amazonaws.com"})),
        KNOWN,
        "TRUST_WRONG_PRINCIPAL",
        "warning",
        "Statement 2 trusts eks.amazonaws.com; the service of EKS Pod Identity is pods.eks.amazonaws.com.",
    ),
    (
        policy(allow(), allow(Condition=equals(SourceAcount="1"))),
        KNOWN,
        "TRUST_MISSPELT_KEY",
        "warning",
        "Statement 2 has a condition on aws:SourceAcount, which requests of EKS Pod Identity do not have. "
        "Did you mean aws:SourceAccount?",
    ),
]


@pytest.mark.parametrize("case", LINTS, ids=lambda case: case[2])
def test_lints_do_not_change_verdict(case):
    document, subject, code, severity, message = case
    found = check_trust(document, subject)
    assert found.usable == "yes"
    reported = finding(found, code)
    text = f"{reported.message} {reported.remedy}"
    assert (reported.severity, text[: len(message)]) == (severity, message)
    assert reported.remedy


def test_possible_deny_is_a_warning():
    found = check_trust(
        policy(OURS, allow(Effect="Deny", Condition=equals(RequestTag__kubernetes_pod_name="x"))), KNOWN
    )
    reported = finding(found, "TRUST_MAY_BE_DENIED")
    assert (reported.severity, reported.statement) == ("warning", "Statement 2")
    assert reported.message == (
        "Statement 2 denies sts:AssumeRole and sts:TagSession to pods.eks.amazonaws.com for some requests, because of"
        " StringEquals aws:RequestTag/kubernetes-pod-name 'x'."
    )
