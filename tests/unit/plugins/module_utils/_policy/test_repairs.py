# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test suggested repairs of trust policies: IAM can store them, the workload can use them, and others get no access."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.grammar.storable import (
    storability,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    policy_size,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.check import check_policy
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.repair import drafts
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import (
    check_trust,
    pod_identity_inquiry,
    prepare_trust,
)

ACCOUNT = "111122223333"
CLUSTER = f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/my-cluster"
OTHER_CLUSTER = f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/other"
KNOWN = Subject(cluster_arn=CLUSTER, namespace="default", service_account="my-service-account")
UNTAGGED = replace(KNOWN, session_tags=False)
SERVICE = {"Service": "pods.eks.amazonaws.com"}
BOTH = ["sts:AssumeRole", "sts:TagSession"]
CALLER = "aws:PrincipalServiceName"
IN_CLUSTER = "aws:RequestTag/eks-cluster-arn"
IN_NAMESPACE = "aws:RequestTag/kubernetes-namespace"
NAMED = "aws:RequestTag/kubernetes-service-account"
OIDC = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/A"}
IRSA = {"Effect": "Allow", "Principal": OIDC, "Action": "sts:AssumeRoleWithWebIdentity"}
WORKLOAD = {IN_CLUSTER: CLUSTER, IN_NAMESPACE: "default", NAMED: "my-service-account"}
OURS = {
    "Sid": "AllowEksAuthToAssumeRoleForPodIdentity",
    "Effect": "Allow",
    "Principal": SERVICE,
    "Action": BOTH,
    "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT, **WORKLOAD}},
}


def allow(equals=None, **more):
    condition = {"Condition": {"StringEquals": equals}} if equals else {}
    return {"Effect": "Allow", "Principal": SERVICE, "Action": BOTH, **condition, **more}


def deny(condition=None, principal=SERVICE, **more):
    rest = {"Condition": condition} if condition else {}
    return {"Effect": "Deny", "Principal": principal, "Action": "sts:*", **rest, **more}


def policy(*statements, version="2012-10-17"):
    return {"Version": version, "Statement": list(statements)}


def outline(suggestions):
    return [
        (list(suggestion.edits), list(suggestion.also_lets_in), suggestion.storable.answer)
        for suggestion in suggestions
    ]


ADD = "Add a statement for this workload alone."
EVERYONE = "every workload of every cluster in the account"

# Each item has a name, a document, the statements of the first suggestion, and the outlines of all suggestions.
REPAIRS = [
    (
        "an action is missing, for everyone",
        policy(allow(Action="sts:AssumeRole")),
        [allow(Action="sts:AssumeRole"), OURS],
        [
            ([ADD], [], "yes"),
            (["Add sts:TagSession to the actions of Statement 1."], [EVERYONE], "yes"),
        ],
    ),
    (
        "an action is missing, for this workload",
        policy(allow(WORKLOAD, Action="sts:AssumeRole")),
        [allow(WORKLOAD, Action=BOTH)],
        [(["Add sts:TagSession to the actions of Statement 1."], [], "yes")],
    ),
    (
        "an action is left out",
        policy({**allow(WORKLOAD), "Action": None, "NotAction": ["sts:TagSession", "sts:SetContext"]}),
        [
            {
                **allow(WORKLOAD),
                "Action": [
                    "sts:AssumeRole",
                    "sts:AssumeRoleWithSAML",
                    "sts:AssumeRoleWithWebIdentity",
                    "sts:SetSourceIdentity",
                    "sts:TagSession",
                ],
            }
        ],
        [
            (
                [
                    "List the actions of Statement 1: IAM rejects NotAction in a trust policy.",
                    "Add sts:TagSession to the actions of Statement 1.",
                ],
                [],
                "yes",
            )
        ],
    ),
    (
        "an action is misspelt",
        policy(allow(WORKLOAD, Action=["sts:AssumeRole", "sts:TagSessions"])),
        [allow(WORKLOAD)],
        [
            (
                [
                    "Remove sts:TagSessions from Statement 1, because IAM rejects it.",
                    "Add sts:TagSession to the actions of Statement 1.",
                ],
                [],
                "yes",
            )
        ],
    ),
    (
        "operators without keys",
        policy({**allow(WORKLOAD), "Condition": {"StringEquals": WORKLOAD, "StringLike": {}, "Bool": {}}}),
        [allow(WORKLOAD)],
        [
            (
                [
                    "Remove StringLike, which has no condition key, and Bool, which has no condition key, from"
                    " Statement 1."
                ],
                [],
                "yes",
            )
        ],
    ),
    (
        "an operator without keys",
        policy({**allow(WORKLOAD), "Condition": {"StringEquals": WORKLOAD, "StringLike": {}}}),
        [allow(WORKLOAD)],
        [(["Remove StringLike, which has no condition key, from Statement 1."], [], "yes")],
    ),
    (
        "a name is missing in a list for this cluster and namespace",
        policy(allow({IN_CLUSTER: CLUSTER, IN_NAMESPACE: "default", NAMED: ["a", "b"]})),
        [allow({IN_CLUSTER: CLUSTER, IN_NAMESPACE: "default", NAMED: ["a", "b", "my-service-account"]})],
        [([f"Add 'my-service-account' to StringEquals {NAMED} of Statement 1."], [], "yes")],
    ),
    (
        "lists are split, not crossed",
        policy(
            allow({IN_CLUSTER: CLUSTER, IN_NAMESPACE: ["payments", "default"], NAMED: ["checkout", "web"]})
        ),
        None,
        [
            ([ADD], [], "yes"),
            (
                [f"Add 'my-service-account' to StringEquals {NAMED} of Statement 1."],
                ["service account my-service-account of namespace payments"],
                "yes",
            ),
        ],
    ),
    (
        "the cluster's own service stays",
        policy(allow(Principal={"Service": "eks.amazonaws.com"}, Action="sts:AssumeRole")),
        [allow(Principal={"Service": "eks.amazonaws.com"}, Action="sts:AssumeRole"), OURS],
        [([ADD], [], "yes")],
    ),
    (
        "a misspelt service means nobody",
        policy(allow(Principal={"Service": "pods.eks.amazonaws.com.cn"})),
        [OURS],
        [
            (
                [
                    "Remove Statement 1, which has only pods.eks.amazonaws.com.cn: the service of EKS Pod Identity is"
                    " pods.eks.amazonaws.com.",
                    ADD,
                ],
                [],
                "yes",
            ),
            (
                ["Replace pods.eks.amazonaws.com.cn with pods.eks.amazonaws.com in Statement 1."],
                [EVERYONE],
                "yes",
            ),
        ],
    ),
    (
        "a misspelt service with conditions for this workload",
        policy(allow(WORKLOAD, Principal={"Service": ["ec2.amazonaws.com", "pod.eks.amazonaws.com"]})),
        [allow(WORKLOAD, Principal={"Service": ["ec2.amazonaws.com", "pods.eks.amazonaws.com"]})],
        [
            (
                ["Replace pod.eks.amazonaws.com with pods.eks.amazonaws.com in Statement 1."],
                [],
                "yes",
            )
        ],
    ),
    (
        "a Deny of everyone leaves out this workload alone",
        policy(allow(), deny(principal={"AWS": "*"}, Sid="Stop", Action=BOTH)),
        [
            allow(),
            deny({"StringNotEquals": {IN_CLUSTER: CLUSTER}}, {"AWS": "*"}, Sid="Stop", Action=BOTH),
            deny(
                {"StringNotEquals": {IN_NAMESPACE: "default"}}, {"AWS": "*"}, Sid="StopUnless1", Action=BOTH
            ),
            deny(
                {"StringNotEquals": {NAMED: "my-service-account"}},
                {"AWS": "*"},
                Sid="StopUnless2",
                Action=BOTH,
            ),
        ],
        [
            (
                [
                    "Exclude this workload from Statement 2 (Sid 'Stop'), which becomes 3 statements, one for each of"
                    f" {IN_CLUSTER}, {IN_NAMESPACE}, {NAMED}."
                ],
                [],
                "yes",
            )
        ],
    ),
    (
        "other callers could give themselves the tags",
        policy(allow(Principal={**SERVICE, "AWS": ACCOUNT}), deny(principal={"AWS": "*"}, Action=BOTH)),
        [
            allow(Principal={**SERVICE, "AWS": ACCOUNT}),
            deny({"StringNotEquals": {CALLER: SERVICE["Service"]}}, {"AWS": "*"}, Action=BOTH),
            deny({"StringNotEquals": {IN_CLUSTER: CLUSTER}}, {"AWS": "*"}, Action=BOTH),
            deny({"StringNotEquals": {IN_NAMESPACE: "default"}}, {"AWS": "*"}, Action=BOTH),
            deny({"StringNotEquals": {NAMED: "my-service-account"}}, {"AWS": "*"}, Action=BOTH),
        ],
        [
            (
                [
                    "Exclude this workload from Statement 2, which becomes 4 statements, one for each of"
                    f" {CALLER}, {IN_CLUSTER}, {IN_NAMESPACE}, {NAMED}."
                ],
                [],
                "yes",
            )
        ],
    ),
    (
        "a Deny keeps its exceptions",
        policy(
            allow(),
            deny({"StringNotEquals": {IN_NAMESPACE: ["payments"]}}, Action=BOTH),
        ),
        [
            allow(),
            deny({"StringNotEquals": {IN_NAMESPACE: ["payments"], IN_CLUSTER: CLUSTER}}, Action=BOTH),
            deny({"StringNotEquals": {IN_NAMESPACE: ["payments", "default"]}}, Action=BOTH),
            deny({"StringNotEquals": {IN_NAMESPACE: ["payments"], NAMED: "my-service-account"}}, Action=BOTH),
        ],
        [
            (
                [
                    f"Exclude this workload from Statement 2, which becomes 3 statements, one for each of {IN_CLUSTER},"
                    f" {IN_NAMESPACE}, {NAMED}."
                ],
                [],
                "yes",
            ),
            (
                [f"Add 'default' to StringNotEquals {IN_NAMESPACE} of Statement 2."],
                ["every service account of namespace default in every cluster in the account"],
                "yes",
            ),
        ],
    ),
    (
        "a Deny of a list that has the workload's namespace",
        policy(allow(), deny({"StringEquals": {IN_NAMESPACE: ["kube-system", "default"]}}, Action=BOTH)),
        [
            allow(),
            deny(
                {
                    "StringEquals": {IN_NAMESPACE: ["kube-system", "default"]},
                    "StringNotEquals": {IN_CLUSTER: CLUSTER},
                },
                Action=BOTH,
            ),
            deny({"StringEquals": {IN_NAMESPACE: "kube-system"}}, Action=BOTH),
            deny(
                {
                    "StringEquals": {IN_NAMESPACE: ["kube-system", "default"]},
                    "StringNotEquals": {NAMED: "my-service-account"},
                },
                Action=BOTH,
            ),
        ],
        [
            (
                [
                    f"Exclude this workload from Statement 2, which becomes 3 statements, one for each of {IN_CLUSTER},"
                    f" {IN_NAMESPACE}, {NAMED}."
                ],
                [],
                "yes",
            )
        ],
    ),
    (
        "a Deny of this service account in two namespaces",
        policy(
            allow(),
            deny(
                {"StringEquals": {IN_NAMESPACE: ["kube-system", "default"], NAMED: "my-service-account"}},
                Action=BOTH,
            ),
        ),
        [
            allow(),
            deny(
                {
                    "StringEquals": {IN_NAMESPACE: ["kube-system", "default"], NAMED: "my-service-account"},
                    "StringNotEquals": {IN_CLUSTER: CLUSTER},
                },
                Action=BOTH,
            ),
            deny(
                {"StringEquals": {IN_NAMESPACE: "kube-system", NAMED: "my-service-account"}},
                Action=BOTH,
            ),
        ],
        [
            (
                [
                    f"Exclude this workload from Statement 2, which becomes 2 statements, one for each of {IN_CLUSTER},"
                    f" {IN_NAMESPACE}."
                ],
                [],
                "yes",
            )
        ],
    ),
    (
        "a Deny of this workload alone",
        policy(allow(), deny({"StringEquals": WORKLOAD}, Action=BOTH)),
        [allow()],
        [(["Remove Statement 2, which applies to this workload only."], [], "yes")],
    ),
    (
        "the Sids are not unique",
        policy(allow(WORKLOAD, Sid="A"), {**IRSA, "Sid": "A"}),
        [allow(WORKLOAD, Sid="A"), {**IRSA, "Sid": "A2"}],
        [(["Change the Sid of Statement 2 (Sid 'A') to 'A2': Sids must be unique."], [], "unknown")],
    ),
    (
        "an action of another service",
        policy(allow(WORKLOAD, Action=[*BOTH, "s3:GetObject"])),
        [allow(WORKLOAD, Action=BOTH)],
        [(["Remove s3:GetObject from Statement 1, because IAM rejects it."], [], "yes")],
    ),
    (
        "only an action of another service",
        policy(allow(WORKLOAD), allow(Action="s3:GetObject")),
        [allow(WORKLOAD)],
        [(["Remove Statement 2, which has only s3:GetObject."], [], "yes")],
    ),
    (
        "another service's actions are left out",
        policy({**allow(WORKLOAD), "Action": None, "NotAction": ["iam:*", "sts:AssumeRoleWith*"]}),
        [
            {
                **allow(WORKLOAD),
                "Action": ["sts:AssumeRole", "sts:SetContext", "sts:SetSourceIdentity", "sts:TagSession"],
            }
        ],
        [(["List the actions of Statement 1: IAM rejects NotAction in a trust policy."], [], "yes")],
    ),
    (
        "NotPrincipal with Allow",
        policy(allow(WORKLOAD), {"Effect": "Allow", "NotPrincipal": {"AWS": ACCOUNT}, "Action": BOTH}),
        [allow(WORKLOAD)],
        [(["Remove Statement 2: NotPrincipal with Allow grants nothing, and IAM rejects it."], [], "yes")],
    ),
    (
        "NotPrincipal with Deny",
        policy(
            allow(WORKLOAD),
            {
                "Effect": "Deny",
                "NotPrincipal": {
                    **SERVICE,
                    "AWS": [f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:role/my-role"],
                },
                "Action": BOTH,
            },
        ),
        [
            allow(WORKLOAD),
            {
                "Effect": "Deny",
                "Action": BOTH,
                "Principal": {"AWS": "*"},
                "Condition": {
                    "StringNotEquals": {
                        CALLER: ["pods.eks.amazonaws.com"],
                        "aws:PrincipalAccount": [ACCOUNT],
                    },
                    "ArnNotEquals": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:role/my-role"]},
                },
            },
        ],
        [(["Replace the NotPrincipal of Statement 2, which IAM rejects, with conditions."], [], "yes")],
    ),
    (
        "a principal that cannot be",
        policy(allow(WORKLOAD), allow(Principal={"AWS": ["my-role", ACCOUNT]}, Action="sts:AssumeRole")),
        [allow(WORKLOAD), allow(Principal={"AWS": ACCOUNT}, Action="sts:AssumeRole")],
        [(["Remove my-role from Statement 2: IAM rejects it."], [], "yes")],
    ),
    (
        "a principal of a partition that does not exist",
        policy(allow(WORKLOAD), allow(Principal={"AWS": f"arn:aws-x:iam::{ACCOUNT}:root"})),
        [allow(WORKLOAD)],
        [
            (
                [f"Remove Statement 2, which has only arn:aws-x:iam::{ACCOUNT}:root: IAM rejects it."],
                [],
                "yes",
            )
        ],
    ),
]


def without_none(document):
    """Return a document without the statement elements whose value is None."""
    statements = [
        {name: value for name, value in statement.items() if value is not None}
        for statement in document["Statement"]
    ]
    return {**document, "Statement": statements}


@pytest.mark.parametrize("case", REPAIRS, ids=lambda case: case[0])
def test_repairs_are_ordered_by_width(case):
    _name, document, statements, expected = case
    found = check_policy(without_none(document), KNOWN)
    assert found.verdict.usable == "no"
    assert outline(found.suggestions) == expected
    if statements is not None:
        assert found.suggestions[0].trust_policy == without_none(policy(*statements))
    assert found.as_dict()["suggested_trust_policy"] == found.suggestions[0].trust_policy


@pytest.mark.parametrize("count", [2, 30])
def test_work_is_not_quadratic_in_statements(count):
    """Check that only a few repairs are tried, the narrowest first, although each of the statements could be repaired."""
    further = [allow({IN_NAMESPACE: f"n{n}"}, Action="sts:AssumeRole") for n in range(count)]
    trust = prepare_trust(policy(*further, allow(WORKLOAD, Action="sts:AssumeRole")))
    tried = list(drafts(trust.document, trust.rules, pod_identity_inquiry(KNOWN)))
    assert len(tried) <= 8
    narrow = [f"Add sts:TagSession to the actions of Statement {count + 1}."]
    assert outline(check_policy(trust, KNOWN).suggestions)[0] == (
        narrow,
        [],
        "unknown" if count > 2 else "yes",
    )


def test_removes_null_elements():
    document = {**policy({**allow(WORKLOAD), "Sid": None}), "Id": None}
    (repair,) = check_policy(document, KNOWN).suggestions
    assert repair.trust_policy == policy(allow(WORKLOAD))
    assert repair.edits == (
        "Remove the Id, which is null.",
        "Remove the Sid, which is null, from Statement 1.",
    )


def test_new_sid_is_unique():
    found = check_policy(policy({**IRSA, "Sid": OURS["Sid"]}), KNOWN)
    assert found.suggestions[0].trust_policy["Statement"][1] == {**OURS, "Sid": OURS["Sid"] + "2"}


def test_findings_on_repaired_policy():
    narrow, wide = check_policy(policy(IRSA, allow(Action="sts:AssumeRole")), KNOWN).suggestions
    assert [finding.code for finding in narrow.findings] == ["TRUST_IRSA_LEFTOVER"]
    assert [finding.code for finding in wide.findings] == ["TRUST_IRSA_LEFTOVER", "TRUST_WIDE"]


def test_repairs_without_session_tags_allow_all_workloads():
    (suggestion,) = check_policy(policy(IRSA), UNTAGGED).suggestions
    assert suggestion.trust_policy["Statement"][1]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT}
    }
    assert suggestion.edits == ("Add a statement for the known values of this workload.",)
    assert suggestion.also_lets_in == ("every workload of every cluster in the account",)


def test_unknown_values_are_not_conditions():
    found = check_policy(policy(IRSA), replace(KNOWN, service_account=None))
    assert found.suggestions[0].also_lets_in == ("every service account of namespace default in the cluster",)


@pytest.mark.parametrize("account", [ACCOUNT, None])
def test_cluster_name_replaces_unknown_arn(account):
    subject = replace(KNOWN, cluster_arn=None, cluster="my-cluster", account_id=account)
    (suggestion,) = check_policy(policy(IRSA), subject).suggestions
    tags = {
        "aws:RequestTag/eks-cluster-name": "my-cluster",
        IN_NAMESPACE: "default",
        NAMED: "my-service-account",
    }
    source = {"aws:SourceAccount": account} if account else {}
    assert suggestion.trust_policy["Statement"][1]["Condition"] == {"StringEquals": {**source, **tags}}
    # The condition compares only the name of the cluster. A cluster in another region may have the same name.
    namesakes = "every cluster with the name my-cluster in the account"
    assert suggestion.also_lets_in == (
        (f"service account my-service-account of namespace default in {namesakes}",)
        if account
        else ("possibly other callers, which the check cannot rule out",)
    )
    wide = allow({"aws:RequestTag/eks-cluster-name": "my-cluster"}, Action="sts:AssumeRole")
    assert check_policy(policy(wide), subject).suggestions[1].also_lets_in == (
        *([f"every workload of {namesakes}"] if account else []),
        "every workload of the cluster",
    )


@pytest.mark.parametrize(
    ("condition", "principals"),
    [
        ({IN_CLUSTER: CLUSTER}, ["every workload of the cluster"]),
        (
            {IN_CLUSTER: CLUSTER, IN_NAMESPACE: "default"},
            ["every service account of namespace default in the cluster"],
        ),
        (
            {IN_CLUSTER: CLUSTER, NAMED: "my-service-account"},
            ["service account my-service-account of every namespace in the cluster"],
        ),
        (
            {IN_NAMESPACE: "default"},
            ["every service account of namespace default in every cluster in the account"],
        ),
        (
            {NAMED: "my-service-account"},
            ["service account my-service-account of every namespace in every cluster in the account"],
        ),
        (
            {IN_NAMESPACE: "default", NAMED: "my-service-account"},
            ["service account my-service-account of namespace default in every cluster in the account"],
        ),
        (
            {IN_CLUSTER: [CLUSTER, OTHER_CLUSTER], IN_NAMESPACE: "default", NAMED: "my-service-account"},
            [f"service account my-service-account of namespace default in {OTHER_CLUSTER}"],
        ),
    ],
)
def test_principals_allowed_by_wider_repair(condition, principals):
    found = check_policy(policy(allow(condition, Action="sts:AssumeRole")), KNOWN)
    assert outline(found.suggestions) == [
        ([ADD], [], "yes"),
        (["Add sts:TagSession to the actions of Statement 1."], principals, "yes"),
    ]


def test_other_callers_are_admissions():
    principal = {**SERVICE, "AWS": ACCOUNT}
    _narrow, wide = check_policy(
        policy(allow(WORKLOAD, Principal=principal, Action="sts:AssumeRole")), KNOWN
    ).suggestions
    assert wide.also_lets_in == (f"{ACCOUNT}, by sts:TagSession",)


def test_previously_allowed_principals_are_not_admissions():
    everyone = allow(Condition={"StringNotEquals": {IN_NAMESPACE: "default"}})
    (first, *_others) = check_policy(policy(everyone), KNOWN).suggestions
    assert first.also_lets_in == ()


@pytest.mark.parametrize(
    ("condition", "principals"),
    [
        (
            {"StringEquals": {IN_CLUSTER: CLUSTER, IN_NAMESPACE: "dev"}},
            [
                "every service account of namespace default in the cluster",
                "every service account of namespace dev in the cluster",
            ],
        ),
        (
            {"StringLike": {IN_CLUSTER: CLUSTER, IN_NAMESPACE: "dev-*"}},
            [
                "every service account of namespaces dev-* in the cluster",
                "every service account of namespace default in the cluster",
            ],
        ),
        (
            {"StringLike": {IN_CLUSTER: "arn:aws:eks:us-west-2:*:cluster/*", IN_NAMESPACE: "dev"}},
            [
                "every service account of namespace default in clusters arn:aws:eks:us-west-2:*:cluster/*",
                "every service account of namespace dev in clusters arn:aws:eks:us-west-2:*:cluster/*",
                "every service account of namespace default in the cluster",
                "every service account of namespace dev in the cluster",
            ],
        ),
        (
            {"StringEquals": {IN_CLUSTER: CLUSTER, IN_NAMESPACE: ["a", "b", "c", "d", "e"]}},
            [
                *(
                    f"every service account of namespace {name} in the cluster"
                    for name in ("default", *"abc")
                ),
                "possibly other callers, which the check cannot rule out",
            ],
        ),
        (
            {
                "StringEquals": {
                    IN_CLUSTER: CLUSTER,
                    IN_NAMESPACE: ["a", "b"],
                    NAMED: ["my-service-account", "x", "y"],
                }
            },
            [
                "service account x of namespace default",
                "service account y of namespace default",
                *(f"service account {name} of namespace a" for name in ("my-service-account", "x", "y")),
                "3 more groups of workloads in the policy",
            ],
        ),
    ],
    ids=["a name", "a pattern", "clusters", "many names", "many groups"],
)
def test_admissions_from_values_of_document(condition, principals):
    """Check that a suggestion names all principals that it would also allow, here by the values that a condition already has."""
    found = check_policy(policy(allow(Action="sts:AssumeRole", Condition=condition)), KNOWN)
    joined = next(suggestion for suggestion in found.suggestions if len(suggestion.edits) == 2)
    assert sorted(joined.also_lets_in) == sorted(principals)


def test_conditions_with_further_values_are_no_proof():
    like = allow(Action="sts:AssumeRole", Condition={"StringLike": {**WORKLOAD, NAMED: "my-service-accoun?"}})
    _narrow, wide = check_policy(policy(like), KNOWN).suggestions
    assert wide.also_lets_in == ("service accounts my-service-accoun? of namespace default in the cluster",)
    starred = replace(KNOWN, namespace="web*")
    like = allow(Action="sts:AssumeRole", Condition={"StringLike": {**WORKLOAD, IN_NAMESPACE: "web*"}})
    assert check_policy(policy(like), starred).suggestions[-1].also_lets_in != ()
    if_exists = allow(Action="sts:AssumeRole", Condition={"StringEqualsIfExists": WORKLOAD})
    _narrow, wide = check_policy(policy(if_exists), KNOWN).suggestions
    assert wide.also_lets_in == ("every workload without session tags",)


def test_rejected_document_is_not_usable():
    found = check_policy(policy(allow(WORKLOAD, Action=[*BOTH, "s3:GetObject"])), KNOWN)
    assert check_trust(policy(allow(WORKLOAD, Action=[*BOTH, "s3:GetObject"])), KNOWN).usable == "yes"
    assert (found.verdict.usable, found.storable.answer) == ("no", "no")
    (finding,) = found.verdict.findings
    assert (finding.code, finding.severity, finding.statement) == (
        "TRUST_NOT_STORABLE",
        "error",
        "Statement 1",
    )
    assert finding.message == (
        "IAM rejects the document: Statement 1: the action 's3:GetObject' does not belong to AWS STS, and a trust policy"
        " may only have actions that assume a role."
    )
    row = found.as_dict()
    assert [reason["certain"] for reason in row["storable_reasons"]] == [True]


def test_stored_document_is_storable():
    document = policy(allow(Sid="my-sid", Action=["sts:*", "s3:GetObject"]), IRSA)
    found = check_policy(document, KNOWN, stored=True)
    assert (found.verdict.usable, found.storable.answer) == ("yes", "yes")


def test_stored_elements_are_accepted_except_deleted_principals():
    deleted = allow(Principal={"AWS": "AROAEXAMPLEEXAMPLE123"}, Action="sts:AssumeRole")
    document = policy(allow(Sid="my-sid", Action="sts:Get*"))
    assert check_policy(document, KNOWN).suggestions[0].storable.answer == "unknown"
    assert check_policy(document, KNOWN, stored=True).suggestions[0].storable.answer == "yes"
    suggestion = check_policy(policy(deleted), KNOWN, stored=True).suggestions[0]
    assert suggestion.storable.answer == "unknown"


def test_rejected_repairs_are_not_suggested():
    # IAM rejects a wildcard in the ARN of a principal. It is unknown which valid form of this Deny has the intended meaning.
    wildcard = deny(principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}, Action=BOTH)
    found = check_policy(policy(allow(Action="sts:AssumeRole"), wildcard), KNOWN)
    assert (found.verdict.usable, found.storable.answer, found.suggestions) == ("no", "no", ())


def test_input_document_is_unchanged():
    document = policy(allow(Action="sts:AssumeRole"), deny(principal={"AWS": "*"}))
    check_policy(document, KNOWN)
    assert document == policy(allow(Action="sts:AssumeRole"), deny(principal={"AWS": "*"}))


def test_no_repairs_for_role_of_another_account():
    found = check_policy(policy(allow()), replace(KNOWN, role_arn="arn:aws:iam::444455556666:role/r"))
    assert (found.verdict.usable, found.suggestions) == ("no", ())


# Tests with random faults: every suggestion is usable and storable, and the first suggestion allows no other principal.

NAMESPACES = ("default", "payments", "web", "kube-system")
NAMES = ("my-service-account", "checkout", "frontend", "default")
CLUSTERS = (CLUSTER, OTHER_CLUSTER)
KEYS = {IN_CLUSTER: CLUSTERS, IN_NAMESPACE: NAMESPACES, NAMED: NAMES}
MISSPELT = ("pod.eks.amazonaws.com", "pods.eks.amazonaws.com.cn", "pods.eks.us-west-2.amazonaws.com")
SERVICES = (
    "eks.amazonaws.com",
    "ec2.amazonaws.com",
    "eks-fargate-pods.amazonaws.com",
    "lambda.amazonaws.com",
)


def scope(chance, operator="StringEquals"):
    """Return a random condition on session tags that identify a workload, or {}."""
    block = {}
    for key, values in KEYS.items():
        if chance.random() < 0.6:
            some = chance.sample(values, chance.randint(1, min(3, len(values))))
            block[key] = some[0] if len(some) == 1 else some
    return {"Condition": {operator: block}} if block else {}


def missing_action(chance):
    return [allow(Action=chance.choice([*BOTH, "sts:SetSourceIdentity"]), **scope(chance))]


def left_out_action(chance):
    statement = {**allow(**scope(chance)), "NotAction": [chance.choice(BOTH), "sts:SetContext"]}
    return [{name: value for name, value in statement.items() if name != "Action"}]


def other_values(chance):
    return [allow(**scope(chance)) for _index in range(chance.randint(1, 3))]


def wrong_service(chance):
    return [allow(Principal={"Service": chance.choice(SERVICES)}, **scope(chance))]


def misspelt_service(chance):
    names = [chance.choice(MISSPELT), *chance.sample(SERVICES, chance.randint(0, 1))]
    return [allow(Principal={"Service": names}, **scope(chance))]


def other_principal(chance):
    kind = chance.choice([{"AWS": ACCOUNT}, {"AWS": "*"}, {"Federated": "cognito-identity.amazonaws.com"}])
    return [allow(Principal=kind, Action="sts:AssumeRole")]


def no_allow(chance):
    return [deny(chance.choice([None, {"Bool": {"aws:SecureTransport": "false"}}]), Action=BOTH)]


def denied(chance):
    operator = chance.choice(["StringEquals", "StringNotEquals", "StringLike", "StringNotEqualsIfExists"])
    principal = chance.choice([SERVICE, {"AWS": "*"}, {**SERVICE, "AWS": ACCOUNT}])
    block = scope(chance, operator).get("Condition")
    sid = chance.choice([{}, {"Sid": "Stop"}])
    return [allow(**scope(chance)), deny(block, principal, Action=chance.choice([BOTH, BOTH[1]]), **sid)]


def refused(chance):
    broken = [
        [allow(Sid="A"), allow(Sid="A")],
        [allow(Action=[*BOTH, "s3:GetObject"])],
        [{"Effect": "Allow", "NotPrincipal": {"AWS": ACCOUNT}, "Action": BOTH}],
        [allow(), {"Effect": "Deny", "NotPrincipal": {"Service": chance.choice(SERVICES)}, "Action": BOTH}],
        [allow(Principal={**SERVICE, "AWS": "my-role"})],
        [allow(Action="s3:*"), allow(Action="sts:AssumeRole", **scope(chance))],
    ]
    return chance.choice(broken)


def several(chance):
    makers = chance.sample([missing_action, other_values, wrong_service, denied], 2)
    return [
        {**statement, "Sid": f"S{index}"}
        for index, statement in enumerate(statement for maker in makers for statement in maker(chance))
    ]


CLASSES = (
    missing_action,
    left_out_action,
    other_values,
    wrong_service,
    misspelt_service,
    other_principal,
    no_allow,
    denied,
    refused,
    several,
)


def unusable(seed):
    """Return a random trust policy that the workload KNOWN cannot use. ``seed`` also selects the kind of the fault."""
    chance = random.Random(seed)
    make = CLASSES[seed % len(CLASSES)]
    while True:
        document = policy(*make(chance))
        if check_policy(document, KNOWN).verdict.usable == "no":
            return document


def other_workloads():
    """Yield the other workloads that the random trust policies may name, and workloads that none of them names."""
    for cluster, namespace, name in product((*CLUSTERS, CLUSTER + "2"), (*NAMESPACES, "z"), (*NAMES, "z")):
        subject = replace(KNOWN, cluster_arn=cluster, namespace=namespace, service_account=name)
        if subject != KNOWN:
            yield subject
    yield replace(UNTAGGED, namespace="z", service_account="z")


OTHERS = tuple(other_workloads())


@pytest.mark.parametrize("seed", range(200))
def test_suggestions_are_usable_and_first_is_exact(seed):
    document = unusable(seed)
    found = check_policy(document, KNOWN)
    assert found.suggestions
    for suggestion in found.suggestions:
        assert check_trust(suggestion.trust_policy, KNOWN).usable == "yes"
        # A repair that exempts one workload from a Deny needs several statements, so use an increased quota.
        stored = storability(suggestion.trust_policy, "trust", existing={ACCOUNT}, trust_limit=4096)
        assert stored.answer == "yes"
        assert suggestion.storable.answer == "yes" or policy_size(suggestion.trust_policy) > 2048
    assert found.suggestions[0].also_lets_in == ()
    assert [bool(suggestion.also_lets_in) for suggestion in found.suggestions[1:]] == [True] * (
        len(found.suggestions) - 1
    )


@pytest.mark.parametrize("seed", range(0, 200, 7))
def test_admissions_cover_every_other_workload(seed):
    document = unusable(seed)
    allowed = [subject for subject in OTHERS if check_trust(document, subject).usable == "yes"]
    for suggestion in check_policy(document, KNOWN).suggestions:
        newly_allowed = [s for s in OTHERS if check_trust(suggestion.trust_policy, s).usable == "yes"]
        if not suggestion.also_lets_in:
            assert [s for s in newly_allowed if s not in allowed] == []
        # Every workload that the original policy allows is still allowed.
        assert [s for s in allowed if s not in newly_allowed] == []
