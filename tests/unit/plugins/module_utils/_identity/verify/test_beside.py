# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that unexpected principals and policies of a role are reported for every workload that uses the role."""

from __future__ import annotations

import json
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesOutcome,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Verified
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Target,
    read_failure,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    read_for_verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.junit import (
    junit_text,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Order,
    apply_order,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    build_result,
    verified_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
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
    return verify(
        config,
        engine(aws, config).observer().observe(config),
        VerificationReads(agent(), **reads),
    )


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}])
def test_public_trust_policy_fails_every_workload(principal: object) -> None:
    aws = converged_account()
    let_in(aws, principal)
    results = verified(aws)
    open_ = [("TRUST_OPEN_TO_EVERYONE", "error")]
    assert check_results(results, "trust") == [("default/app", "fail", open_), ("default/web", "fail", open_)]
    (finding,) = results[1].findings
    assert finding.message == (
        f"the trust policy of role {role_arn('my-role')} allows everyone: Statement 2 (Sid 'Other') allows every principal "
        "of every AWS account, not EKS Pod Identity alone."
    )
    assert finding.remedy == "Remove the statement from the trust policy, or limit it to named principals."


def test_public_trust_policy_of_existing_role_fails() -> None:
    aws = converged_account()
    let_in(aws, "*")
    existing = desired(workload("app", role={"arn": role_arn("my-role")}, policies=[]))
    assert check_results(verified(aws, existing), "trust") == [
        ("default/app", "fail", [("TRUST_OPEN_TO_EVERYONE", "error")])
    ]


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


def test_principals_are_reported_by_account() -> None:
    aws = converged_account(desired(workload()))
    let_in(aws, {"AWS": ["999988887777"], "Service": "ec2.amazonaws.com"})
    (item,) = verified(aws, desired(workload()))
    assert [finding.message for finding in item.findings] == [
        "the trust policy of role my-role also allows principals in other accounts, which are not part of the role's "
        "configuration: 999988887777. Statements that this collection did not write are kept.",
        "the trust policy of role my-role also allows principals that are not part of the role's configuration: "
        "ec2.amazonaws.com. Statements that this collection did not write are kept.",
    ]
    assert item.findings[0].remedy == (
        "Remove those statements from the trust policy. If these principals must use the role, too, set the whole "
        "trust policy as role.trust_policy, or accept the finding for all workloads with pod_identity_ignore: "
        "[TRUST_STATEMENT_FOREIGN] in the Ansible role."
    )


def test_attached_administrator_policy_fails_every_workload() -> None:
    aws = converged_account()
    arn = create_policy(aws, "admin")
    aws.iam.roles["my-role"]["attached"].append(arn)
    extra = [("POLICY_ADMINISTERS", "error")]
    assert check_results(verified(aws, documents={arn: ADMIN}), "attachment") == [
        ("default/app", "fail", extra),
        ("default/web", "fail", extra),
    ]


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
    codes = [code]
    assert check_results(results, "attachment") == [
        ("default/app", status, codes),
        ("default/web", status, codes),
    ]


ROLE = "arn:aws:iam::111122223333:role/*"


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
        (
            {"Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
            False,
        ),
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
FULL_ACCESS = "arn:aws:iam::aws:policy/IAMFullAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
UNREAD = read_failure(
    Target("document", ADMINISTRATOR_ACCESS), classify("iam:GetPolicyVersion", "AccessDenied", "denied")
)


@pytest.mark.parametrize(
    ("arn", "found", "expected"),
    [
        (ADMINISTRATOR_ACCESS, None, ("POLICY_ADMINISTERS", "error")),
        (ADMINISTRATOR_ACCESS, UNREAD, ("POLICY_ADMINISTERS", "error")),
        (FULL_ACCESS, None, ("POLICY_ADMINISTERS", "error")),
        (READ_ONLY, None, ("POLICY_ATTACHED_EXTRA", "warning")),
        (policy_arn("AdministratorAccess"), None, ("POLICY_ATTACHED_EXTRA", "warning")),
    ],
)
def test_managed_policy_of_administrators_is_known_without_its_document(
    arn: str, found: object, expected: tuple[str, str]
) -> None:
    aws = converged_account(desired(workload()))
    aws.iam.roles["my-role"]["attached"].append(arn)
    (result,) = verified(aws, desired(workload()), documents={} if found is None else {arn: found})
    assert [(item.code, item.severity) for item in result.checks[1].findings] == [expected]


NO_IAM = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}
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


@pytest.mark.parametrize(("boundary", "codes"), [(NO_IAM, []), (ADMIN, ["POLICY_ADMINISTERS"])])
def test_boundary_limits_a_listed_policy_of_an_administrator(
    boundary: dict[str, object], codes: list[str]
) -> None:
    limit = policy_arn("limit")
    config = desired(
        workload(role={"name": "my-role", "permissions_boundary": limit}, policies=[policy(document=ADMIN)])
    )
    aws = FakeAws()
    create_policy(aws, "limit")
    run(aws, config)
    (result,) = verified(aws, config, documents={limit: boundary})
    assert [item.code for item in result.checks[1].findings] == codes


DENY_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
ALLOW_READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
BY_ARN = desired(workload("app", role={"arn": role_arn("my-role")}, policies=None))


def read_and_verified(aws: FakeAws, config: Desired) -> list[Verified]:
    """Read the account as a verification does, and verify all workloads."""
    aws.replace(
        "eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}}
    )
    observed = engine(aws, config).observer().observe(config)
    return verify(config, observed, read_for_verification(aws, config, observed, 1))


def denied_by_hand(marked: bool) -> FakeAws:
    aws = converged_account(desired(workload("app")))
    role = aws.iam.roles["my-role"]
    role["inline"] = ["hand"]
    aws.replace("iam:GetRolePolicy", lambda _parameters: {"PolicyDocument": DENY_ALL})
    if not marked:
        role["tags"] = {}
    return aws


@pytest.mark.parametrize(
    ("marked", "config"),
    [
        pytest.param(True, desired(workload("app")), id="managed"),
        pytest.param(False, desired(workload("app")), id="not tagged as managed"),
        pytest.param(False, BY_ARN, id="named by its ARN"),
    ],
)
def test_total_deny_is_found_on_any_role(marked: bool, config: Desired) -> None:
    results = read_and_verified(denied_by_hand(marked), config)
    assert check_results(results, "permissions") == [
        ("default/app", "fail", [("PERMISSION_TAKEN_AWAY", "error")])
    ]


def test_session_policy_without_effect_on_policy_by_arn_is_found() -> None:
    aws = FakeAws()
    arn = create_policy(aws, "given", "kms:Decrypt")
    session = {"disable_session_tags": True, "session_policy": DENY_ALL | {"Statement": [ALLOW_READ]}}
    config = desired(workload("app", policies=[{"arn": arn}], **session))
    run(aws, config)
    results = read_and_verified(aws, config)
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
        pytest.param(
            desired(workload("app")), "fail", "error", "List the permissions", id="not tagged as managed"
        ),
        pytest.param(BY_ARN, "pass", "info", "If the workload must administer", id="named by its ARN"),
    ],
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


@pytest.mark.parametrize("way", ["check mode", "run", "verification"])
def test_administrator_policy_fails_check_mode_run_and_verification(way: str) -> None:
    config = desired(workload("app"))
    aws = converged_account(config)
    aws.replace(
        "eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}}
    )
    aws.replace("iam:GetRolePolicy", lambda _parameters: {"PolicyDocument": ADMIN})
    role, admin = aws.iam.roles["my-role"], create_policy(aws, "admin", "*")
    role["inline"], role["attached"] = ["hand"], [admin]
    cluster = engine(aws, config).cluster
    result: dict[str, object] = {"cluster_arn": cluster.arn}
    if way == "verification":
        observed = engine(aws, config).observer().observe(config)
        result |= verified_result(read_and_verified(aws, config), observed, cluster)
    else:
        check_mode = way == "check mode"
        applied = apply_order(engine(aws, config), config, Order("present", check_mode, verify=True))
        verification = verified_result(applied.verified or (), applied.observed, cluster)
        result |= {**build_result(applied.run, check_mode), "verification": verification}
    report = make_report(
        parse_aws_result(result, CLUSTER), KubernetesOutcome(), ReportSettings(check_mode=way == "check mode")
    )
    errors = [item["code"] for item in report["findings"] if item["severity"] == "error"]
    detached = ["POLICY_NOT_ATTACHED"] if way == "verification" else []
    assert sorted(errors) == sorted([*detached, "POLICY_ADMINISTERS", "POLICY_ADMINISTERS"])
    assert len(report["findings"]) == len(errors)
    case = ElementTree.fromstring(junit_text(report, "error")).find("testsuite/testcase/failure")
    assert case is not None
    assert [line.partition(":")[0] for line in (case.text or "").splitlines()] == errors
    assert (report["failed"], "POLICY_ADMINISTERS (2)" in report["headline"]) == (True, True)
    assert any("lets it administer the account" in line for line in report["lines"])


def test_verification_returns_times_of_association_and_role() -> None:
    config = desired(workload("app"))
    aws = converged_account(config)
    (association,) = aws.eks.associations.values()
    created = association["createdAt"]
    association["modifiedAt"] = created + timedelta(hours=1)
    aws.iam.roles["my-role"]["CreateDate"] = created + timedelta(hours=2)
    observed = engine(aws, config).observer().observe(config)
    cluster = engine(aws, config).cluster
    row = verified_result(read_and_verified(aws, config), observed, cluster)["workloads"][0]
    (app,) = parse_aws_result({"workloads": [row]}, CLUSTER).verification.workloads
    assert [app.association_created, app.association_modified, app.role_created] == [
        created,
        created + timedelta(hours=1),
        created + timedelta(hours=2),
    ]
