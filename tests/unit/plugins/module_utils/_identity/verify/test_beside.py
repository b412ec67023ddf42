# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that unexpected principals and policies of a role are reported for every workload that uses the role."""

from __future__ import annotations

import json

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Verified
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    begin_reading_agent,
    read_for_verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    FakeAws,
    agent,
    create_policy,
    desired,
    document,
    engine,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

BOTH = desired(workload("app"), workload("web"))
ADMIN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def converged_account(config: Desired = BOTH) -> FakeAws:
    aws = FakeAws()
    run(aws, config)
    return aws


def let_in(aws: FakeAws, principal: object) -> None:
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"].append(
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Sid": "Other"}
    )
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)


def check_results(verified: list[Verified], name: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (
            str(item.workload.key),
            check.status,
            [(str(finding.code), finding.severity) for finding in check.findings],
        )
        for item in verified
        for check in item.checks
        if check.name == name
    ]


def verified(aws: FakeAws, config: Desired = BOTH, **reads: object) -> list[Verified]:
    observed = engine(aws, config).observer().observe(config)
    return verify(config, observed, VerificationReads(agent(), **reads))


@pytest.mark.parametrize(
    ("principal", "status", "severity"),
    [
        ({"AWS": "arn:aws:iam::999988887777:root"}, "fail", "error"),
        ({"AWS": "999988887777"}, "fail", "error"),
        ({"AWS": "arn:aws:sts::999988887777:assumed-role/a/b"}, "fail", "error"),
        ({"AWS": "arn:aws:iam::*:root"}, "fail", "error"),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "pass", "info"),
        ({"AWS": ACCOUNT}, "pass", "info"),
        ({"Service": "ec2.amazonaws.com"}, "pass", "info"),
        ({"AWS": "AROAEXAMPLEEXAMPLE"}, "pass", "info"),
    ],
)
def test_principal_of_another_account_is_an_error(principal: object, status: str, severity: str) -> None:
    aws = converged_account(desired(workload()))
    let_in(aws, principal)
    assert check_results(verified(aws, desired(workload())), "trust") == [
        ("default/app", status, [("TRUST_STATEMENT_FOREIGN", severity)])
    ]


def test_configured_trust_policy_allows_another_account() -> None:
    aws = converged_account(desired(workload()))
    let_in(aws, {"AWS": "999988887777"})
    whole = json.loads(aws.iam.roles["my-role"]["trust"])
    config = desired(workload(role={"name": "my-role", "trust_policy": whole}))
    assert (run(aws, config).done, check_results(verified(aws, config), "trust")) == (
        (),
        [("default/app", "pass", [])],
    )


@pytest.mark.parametrize(
    ("inline", "status", "code"),
    [
        (ADMIN, "fail", ("POLICY_ADMINISTERS", "error")),
        (document(), "warning", ("ROLE_INLINE_POLICY", "warning")),
    ],
)
def test_inline_policy_is_reported_for_every_workload(
    inline: object, status: str, code: tuple[str, str]
) -> None:
    results = verified(converged_account(), inline={"my-role": {"extra": inline}})
    expected = [(f"default/{name}", status, [code]) for name in ("app", "web")]
    assert check_results(results, "attachment") == expected


ROLE = "arn:aws:iam::111122223333:role/*"
ADDRESSES = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}


@pytest.mark.parametrize(
    ("statement", "administers"),
    [
        ({"NotAction": "s3:*", "Resource": "*"}, True),
        ({"Action": "*", "NotResource": "arn:aws:s3:::data"}, True),
        ({"Action": "ia?:*", "Resource": ROLE}, True),
        ({"Action": "iam:AttachRolePolicy", "Resource": "*"}, True),
        ({"Action": "iam:PutRolePolicy", "Resource": role_arn("my-role")}, True),
        ({"Action": "iam:CreatePolicyVersion", "Resource": "arn:aws:iam::*:policy/*"}, True),
        ({"Action": "iam:PutRolePolicy", "Resource": role_arn("other")}, False),
        ({"Action": "iam:PassRole", "Resource": "*"}, False),
        ({"NotAction": ["iam:*", "organizations:*"], "Resource": "*"}, False),
        ({"Action": "*", "Resource": "*", "Condition": ADDRESSES}, False),
    ],
)
def test_policy_with_which_a_role_can_extend_itself_administers(
    statement: dict[str, object], administers: bool
) -> None:
    inline = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    results = verified(
        converged_account(desired(workload())), desired(workload()), inline={"my-role": {"extra": inline}}
    )
    (finding,) = results[0].checks[1].findings
    expected = ("POLICY_ADMINISTERS", "error") if administers else ("ROLE_INLINE_POLICY", "warning")
    assert (finding.code, finding.severity) == expected
    assert ("lets it administer the account" in finding.message) is administers


ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"


LISTED = [
    pytest.param([{"arn": ADMINISTRATOR_ACCESS}], ADMINISTRATOR_ACCESS, id="AWS managed"),
    pytest.param([policy(document=ADMIN)], policy_arn("my-policy"), id="own document"),
]


@pytest.mark.parametrize(
    "role", [{"name": "my-role"}, {"arn": role_arn("my-role")}], ids=["managed", "by ARN"]
)
@pytest.mark.parametrize(("policies", "arn"), LISTED)
def test_listed_policy_of_an_administrator_is_a_warning(
    role: dict[str, str], policies: list[dict[str, object]], arn: str
) -> None:
    config = desired(workload(role=role, policies=policies))
    aws = converged_account(desired(workload(policies=[policy(document=ADMIN)])))
    (result,) = verified(aws, config)
    (finding,) = [item for item in result.findings if item.code == "POLICY_ADMINISTERS"]
    assert (finding.severity, finding.message, finding.remedy) == (
        "warning",
        f"the listed policy {arn} lets role my-role administer the account.",
        "List a policy with only the permissions that the workload needs, or set role.permissions_boundary.",
    )


BOUNDARY = policy_arn("limit")


@pytest.mark.parametrize(
    ("documents", "warns"), [({BOUNDARY: ADMIN}, True), ({BOUNDARY: document("s3:*")}, False), ({}, False)]
)
def test_listed_policy_administers_if_the_boundary_allows_it(
    documents: dict[str, object], warns: bool
) -> None:
    config = desired(workload(policies=[policy(document=ADMIN)], role={"arn": role_arn("my-role")}))
    aws = converged_account(desired(workload(policies=[policy(document=ADMIN)])))
    aws.iam.roles["my-role"]["boundary"] = BOUNDARY
    (result,) = verified(aws, config, documents=documents)
    assert ("POLICY_ADMINISTERS" in [item.code for item in result.findings]) is warns


DENY_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
BY_ARN = desired(workload("app", role={"arn": role_arn("my-role")}, policies=None))


def read_and_verified(aws: FakeAws, config: Desired) -> list[Verified]:
    """Read the account as a verification does, and verify all workloads."""
    aws.replace(
        "eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}}
    )
    observed = engine(aws, config).observer().observe(config)
    agent = begin_reading_agent(aws, observed.cluster)
    return verify(config, observed, read_for_verification(aws, config, observed, 1, agent))


def denied_by_hand(marked: bool) -> FakeAws:
    aws = converged_account(desired(workload("app")))
    role = aws.iam.roles["my-role"]
    role["inline"] = {"hand": "{}"}
    aws.replace("iam:GetRolePolicy", lambda _parameters: {"PolicyDocument": DENY_ALL})
    if not marked:
        role["tags"] = {}
    return aws


@pytest.mark.parametrize(
    ("marked", "config"),
    [(True, desired(workload("app"))), (False, desired(workload("app"))), (False, BY_ARN)],
    ids=["managed", "not tagged as managed", "named by its ARN"],
)
def test_total_deny_is_found_on_any_role(marked: bool, config: Desired) -> None:
    results = read_and_verified(denied_by_hand(marked), config)
    assert check_results(results, "permissions") == [
        ("default/app", "fail", [("PERMISSION_TAKEN_AWAY", "error")])
    ]


@pytest.mark.parametrize("operation", ["iam:ListRolePolicies", "iam:GetRolePolicy"])
def test_unreadable_policy_is_unknown(operation: str) -> None:
    def refused(_parameters: object) -> dict[str, object]:
        raise classify(operation, "AccessDenied", "not authorized")

    aws = denied_by_hand(marked=False)
    aws.replace(operation, refused)
    results = read_and_verified(aws, BY_ARN)
    assert check_results(results, "permissions") == [("default/app", "unknown", [("NOT_READABLE", "error")])]


@pytest.mark.parametrize(
    ("config", "status", "severity", "remedy"),
    [
        (desired(workload("app")), "fail", "error", "List the permissions"),
        (BY_ARN, "pass", "info", "If the workload must administer"),
    ],
    ids=["not tagged as managed", "named by its ARN"],
)
def test_administrator_policy_of_unmanaged_role_is_reported(
    config: Desired, status: str, severity: str, remedy: str
) -> None:
    aws = converged_account(desired(workload("app")))
    role = aws.iam.roles["my-role"]
    arn = create_policy(aws, "admin", "*")
    role |= {"inline": ["hand"], "tags": {}, "attached": [*role["attached"], arn]}
    aws.replace("iam:GetRolePolicy", lambda _parameters: {"PolicyDocument": ADMIN})
    results = read_and_verified(aws, config)
    codes = [("POLICY_ADMINISTERS", severity), ("POLICY_ADMINISTERS", severity)]
    assert check_results(results, "attachment") == [("default/app", status, codes)]
    attached, inline = [item for item in results[0].findings if item.code == "POLICY_ADMINISTERS"]
    assert attached.remedy.endswith(f": aws iam detach-role-policy --role-name my-role --policy-arn {arn}")
    assert inline.remedy.startswith(remedy)
