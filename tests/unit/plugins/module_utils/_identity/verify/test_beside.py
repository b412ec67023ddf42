# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role has beside what was asked for is told of every workload that uses it."""

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
    Agent,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    read_for_verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.artifact import (
    junit_text,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Order, perform
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    result_of,
    verified_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    FakeAws,
    desired,
    document,
    engine,
    given_policy,
    role_arn,
    run,
    workload,
)

BOTH = desired(workload("app"), workload("web"))
ADMIN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def settled(wanted: Desired = BOTH) -> FakeAws:
    aws = FakeAws()
    run(aws, wanted)
    return aws


def let_in(aws: FakeAws, principal: object) -> None:
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"].append(
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Sid": "Other"}
    )
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)


def ends(verified: list[Verified], name: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (str(one.workload.key), check.status, [(str(each.code), each.severity) for each in check.findings])
        for one in verified
        for check in one.checks
        if check.name == name
    ]


def verified(aws: FakeAws, wanted: Desired = BOTH, **reads: object) -> list[Verified]:
    return verify(
        wanted,
        engine(aws, wanted).observe(wanted),
        VerificationReads({CLUSTER: Agent("ACTIVE", "v1")}, **reads),
    )


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}])
def test_a_trust_policy_for_everyone_fails_each_workload_of_the_role(principal: object) -> None:
    aws = settled()
    let_in(aws, principal)
    found = verified(aws)
    open_ = [("TRUST_OPEN_TO_EVERYONE", "error")]
    assert ends(found, "trust") == [("default/app", "fail", open_), ("default/web", "fail", open_)]
    (finding,) = found[1].findings
    assert finding.message == (
        f"the trust policy of role {role_arn('my-role')} lets in everyone: Statement 2 (Sid 'Other') allows every principal "
        "of every AWS account, not EKS Pod Identity alone."
    )
    assert (
        finding.remedy == "Remove the statement from the trust policy, or name in it who is to use the role."
    )


def test_a_role_that_is_used_as_it_is_fails_as_well() -> None:
    aws = settled()
    let_in(aws, "*")
    existing = desired(workload("app", role={"arn": role_arn("my-role")}, policies=[]))
    assert ends(verified(aws, existing), "trust") == [
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
def test_principals_of_another_account_are_an_error(principal: object, status: str, severity: str) -> None:
    aws = settled(desired(workload()))
    let_in(aws, principal)
    assert ends(verified(aws, desired(workload())), "trust") == [
        ("default/app", status, [("TRUST_STATEMENT_FOREIGN", severity)])
    ]


def test_another_account_that_the_whole_trust_policy_lists_is_no_finding() -> None:
    aws = settled(desired(workload()))
    let_in(aws, {"AWS": "999988887777"})
    whole = json.loads(aws.iam.roles["my-role"]["trust"])
    listed = desired(workload(role={"name": "my-role", "trust_policy": whole}))
    assert (run(aws, listed).done, ends(verified(aws, listed), "trust")) == (
        (),
        [("default/app", "pass", [])],
    )


def test_both_kinds_are_told_apart() -> None:
    aws = settled(desired(workload()))
    let_in(aws, {"AWS": ["999988887777"], "Service": "ec2.amazonaws.com"})
    (one,) = verified(aws, desired(workload()))
    assert [finding.message for finding in one.findings] == [
        "role my-role also lets in 999988887777 (by the trust policy), which is of another account and was not asked for; "
        "those statements stay.",
        "role my-role also lets in ec2.amazonaws.com (by the trust policy), which was not asked for; those statements stay.",
    ]
    assert one.findings[0].remedy == (
        "Remove them from the trust policy. If the role is meant for that account too, give the whole trust policy as "
        "role.trust_policy; the role accepts it on all workloads with ⟨ignore⟩: [TRUST_STATEMENT_FOREIGN]."
    )


def test_an_attached_policy_of_an_administrator_fails_each_workload_of_the_role() -> None:
    aws = settled()
    arn = given_policy(aws, "admin")
    aws.iam.roles["my-role"]["attached"].append(arn)
    extra = [("POLICY_ATTACHED_EXTRA", "error")]
    assert ends(verified(aws, documents={arn: ADMIN}), "attachment") == [
        ("default/app", "fail", extra),
        ("default/web", "fail", extra),
    ]


@pytest.mark.parametrize(
    ("inline", "status", "severity"), [(ADMIN, "fail", "error"), (document(), "warning", "warning")]
)
def test_an_inline_policy_is_told_of_each_workload_of_the_role(
    inline: object, status: str, severity: str
) -> None:
    found = verified(settled(), inline={"my-role": {"extra": inline}})
    told = [("ROLE_INLINE_POLICY", severity)]
    assert ends(found, "attachment") == [("default/app", status, told), ("default/web", status, told)]


DENY_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
ALLOW_READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
BY_ARN = desired(workload("app", role={"arn": role_arn("my-role")}, policies=None))


def read_and_verified(aws: FakeAws, wanted: Desired) -> list[Verified]:
    """With what a verification itself reads."""
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    observed = engine(aws, wanted).observe(wanted)
    return verify(wanted, observed, read_for_verification(aws, wanted, observed, 1))


def denied_by_hand(marked: bool) -> FakeAws:
    aws = settled(desired(workload("app")))
    role = aws.iam.roles["my-role"]
    role["inline"] = ["hand"]
    aws.replace("iam:GetRolePolicy", lambda _asked: {"PolicyDocument": DENY_ALL})
    if not marked:
        role["tags"] = {}
    return aws


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        pytest.param(True, desired(workload("app")), id="made here"),
        pytest.param(False, desired(workload("app")), id="not marked as made here"),
        pytest.param(False, BY_ARN, id="given by its ARN"),
    ],
)
def test_a_deny_that_leaves_nothing_is_found_on_any_role(marked: bool, wanted: Desired) -> None:
    found = read_and_verified(denied_by_hand(marked), wanted)
    assert ends(found, "permissions") == [("default/app", "fail", [("PERMISSION_NOTHING_LEFT", "error")])]


def test_a_session_policy_that_leaves_nothing_of_a_policy_given_by_its_arn_is_found() -> None:
    aws = FakeAws()
    arn = given_policy(aws, "given", "kms:Decrypt")
    session = {"disable_session_tags": True, "session_policy": DENY_ALL | {"Statement": [ALLOW_READ]}}
    wanted = desired(workload("app", policies=[{"arn": arn}], **session))
    run(aws, wanted)
    found = read_and_verified(aws, wanted)
    assert ends(found, "permissions") == [("default/app", "fail", [("PERMISSION_NOTHING_LEFT", "error")])]


@pytest.mark.parametrize("operation", ["iam:ListRolePolicies", "iam:GetRolePolicy"])
def test_what_a_role_denies_and_cannot_be_read_is_unknown(operation: str) -> None:
    def refused(_asked: object) -> dict[str, object]:
        raise classify(operation, "AccessDenied", "not authorized")

    aws = denied_by_hand(marked=False)
    aws.replace(operation, refused)
    found = read_and_verified(aws, BY_ARN)
    assert ends(found, "permissions") == [("default/app", "unknown", [("NOT_READABLE", "error")])]


@pytest.mark.parametrize(
    ("wanted", "status", "severity", "remedy"),
    [
        pytest.param(desired(workload("app")), "fail", "error", "List what", id="not marked as made here"),
        pytest.param(
            BY_ARN, "pass", "info", "Nothing, where the workload is to administer", id="given by its ARN"
        ),
    ],
)
def test_an_administrator_is_shown_on_a_role_that_is_not_managed_here(
    wanted: Desired, status: str, severity: str, remedy: str
) -> None:
    aws = settled(desired(workload("app")))
    role = aws.iam.roles["my-role"]
    arn = given_policy(aws, "admin", "*")
    role |= {"inline": ["hand"], "tags": {}, "attached": [*role["attached"], arn]}
    aws.replace("iam:GetRolePolicy", lambda _asked: {"PolicyDocument": ADMIN})
    found = read_and_verified(aws, wanted)
    told = [("POLICY_ATTACHED_EXTRA", severity), ("ROLE_INLINE_POLICY", severity)]
    assert ends(found, "attachment") == [("default/app", status, told)]
    attached, inline = [
        one for one in found[0].findings if one.code in ("POLICY_ATTACHED_EXTRA", "ROLE_INLINE_POLICY")
    ]
    assert attached.remedy.endswith(f": aws iam detach-role-policy --role-name my-role --policy-arn {arn}")
    assert inline.remedy.startswith(remedy)


@pytest.mark.parametrize("way", ["check mode", "run", "verification"])
def test_an_administrator_fails_check_mode_run_and_verification_alike(way: str) -> None:
    """The policy that check mode attaches is no error of it; a run or verification does not attach it or has done so."""
    wanted = desired(workload("app"))
    aws = settled(wanted)
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    aws.replace("iam:GetRolePolicy", lambda _asked: {"PolicyDocument": ADMIN})
    role, admin = aws.iam.roles["my-role"], given_policy(aws, "admin", "*")
    role["inline"], role["attached"] = ["hand"], [admin]
    (cluster,) = engine(aws, wanted).clusters.members.values()
    result: dict[str, object] = {"cluster_arn": cluster.arn}
    if way == "verification":
        observed = engine(aws, wanted).observe(wanted)
        result |= verified_result(read_and_verified(aws, wanted), observed, cluster)
    else:
        check_mode = way == "check mode"
        performed = perform(engine(aws, wanted), wanted, Order("present", check_mode, verify=True))
        verification = verified_result(performed.verified or (), performed.observed, cluster)
        result |= {**result_of(performed.run, check_mode), "verification": verification}
    report = make_report(
        parse_aws_result(result, CLUSTER), KubernetesOutcome(), ReportSettings(check_mode=way == "check mode")
    )
    errors = [one["code"] for one in report["findings"] if one["severity"] == "error"]
    detached = ["POLICY_NOT_ATTACHED"] if way == "verification" else []
    assert sorted(errors) == sorted([*detached, "POLICY_ATTACHED_EXTRA", "ROLE_INLINE_POLICY"])
    assert len(report["findings"]) == len(errors)
    case = ElementTree.fromstring(junit_text(report, "error")).find("testsuite/testcase/failure")
    assert case is not None
    assert [line.partition(":")[0] for line in (case.text or "").splitlines()] == errors
    assert (report["failed"], "ROLE_INLINE_POLICY" in report["headline"]) == (True, True)
    assert any("lets it administer the account" in line for line in report["lines"])


def test_a_verification_returns_the_times_of_association_and_role() -> None:
    wanted = desired(workload("app"))
    aws = settled(wanted)
    (association,) = aws.eks.associations.values()
    created = association["createdAt"]
    association["modifiedAt"] = created + timedelta(hours=1)
    aws.iam.roles["my-role"]["CreateDate"] = created + timedelta(hours=2)
    observed = engine(aws, wanted).observe(wanted)
    (cluster,) = engine(aws, wanted).clusters.members.values()
    row = verified_result(read_and_verified(aws, wanted), observed, cluster)["workloads"][0]
    (app,) = parse_aws_result({"workloads": [row]}, CLUSTER).verification.workloads
    assert [app.association_created, app.association_modified, app.role_created] == [
        created,
        created + timedelta(hours=1),
        created + timedelta(hours=2),
    ]
