# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a run keeps and reports restrictions of a managed role that another tool or a person has added."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Verified
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    PurgeScope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    closed,
    closed_for,
    merge_trust,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    OWNED,
    FakeAws,
    agent,
    create_policy,
    desired,
    document,
    engine,
    policy_arn,
    role_arn,
    run,
    run_with_purge,
    workload,
)

DENIED = classify("test:Injected", "AccessDenied", "not authorized")
SERVICE = "pods.eks.amazonaws.com"
ROLE = role_arn("my-role")
# A statement as a person may write it: its keys have another order, and single values are not in lists.
QUARANTINE = {
    "Action": "sts:*",
    "Principal": {"Service": SERVICE},
    "Effect": "Deny",
    "Sid": "Quarantine",
}
OF_ONE_NAMESPACE = {
    **QUARANTINE,
    "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "batch"}},
}
OF_ONE_POD = {
    **QUARANTINE,
    "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-pod-name": "pod-0"}},
}
LIFT = (
    "Find out who added the statement and why (event UpdateAssumeRolePolicy of the role in CloudTrail). To remove the "
    "statement, edit the trust policy of the role."
)


def restricted(spec: Desired, *statements: dict[str, Any], name: str = "my-role") -> FakeAws:
    """Return an account in which a person has added statements to the trust policy of a role."""
    aws = FakeAws()
    run(aws, spec)
    restrict(aws, *statements, name=name)
    return aws


def restrict(aws: FakeAws, *statements: dict[str, Any], name: str = "my-role") -> None:
    trust = json.loads(aws.iam.roles[name]["trust"])
    trust["Statement"].extend(statements)
    aws.iam.roles[name]["trust"] = json.dumps(trust)


def denies(aws: FakeAws, name: str = "my-role") -> list[dict[str, Any]]:
    trust = json.loads(aws.iam.roles[name]["trust"])
    return [statement for statement in trust["Statement"] if statement["Effect"] == "Deny"]


def spelt(statements: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(statement) for statement in statements]


def restriction_messages(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    return [
        (str(finding.workload), finding.severity, finding.message)
        for finding in findings
        if finding.code == "ROLE_RESTRICTED"
    ]


def verified(aws: FakeAws, spec: Desired) -> list[Verified]:
    reads = VerificationReads(agent())
    return verify(spec, engine(aws, spec).observer().observe(spec), reads)


def trust_checks(aws: FakeAws, spec: Desired) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (
            str(workload_.workload.key),
            check.status,
            [(str(finding.code), finding.severity) for finding in check.findings],
        )
        for workload_ in verified(aws, spec)
        for check in workload_.checks
        if check.name == "trust"
    ]


JOINED = desired(workload("app"), workload("web"))


@pytest.mark.parametrize("statement", [QUARANTINE, OF_ONE_NAMESPACE, OF_ONE_POD])
def test_run_keeps_a_deny_unchanged(statement: dict[str, Any]) -> None:
    aws = restricted(desired(workload("app")), statement)
    outcome = run(aws, JOINED)
    assert "trust_policy" in [done.change.target.resource for done in outcome.done]
    assert spelt(denies(aws)) == spelt([statement])
    sent = len(aws.writes)
    assert run(aws, JOINED).done == ()
    assert len(aws.writes) == sent


def test_run_reports_the_deny_and_the_denied_workload() -> None:
    aws = restricted(desired(workload("app")), QUARANTINE)
    outcome = run(aws, desired(workload("app")))
    assert outcome.done == ()
    assert restriction_messages(outcome.findings) == [
        (
            "default/app",
            "error",
            f"Statement 1 (Sid 'Quarantine') of the trust policy of role {ROLE} denies sts:* to {SERVICE}, which prevents "
            "the workload from using the role. This collection did not write that statement, and keeps it.",
        )
    ]
    assert outcome.findings[0].remedy == LIFT


@pytest.mark.parametrize(
    ("statement", "status", "severity", "end"),
    [
        (
            QUARANTINE,
            "fail",
            "error",
            f"denies sts:* to {SERVICE}, which prevents the workload from using the role.",
        ),
        (
            {**QUARANTINE, "Principal": "*"},
            "fail",
            "error",
            "denies sts:* to everyone, which prevents the workload from using the role.",
        ),
        (
            {**QUARANTINE, "Sid": None, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}},
            "fail",
            "error",
            f"denies sts:* to {SERVICE} where StringEquals aws:SourceAccount '{ACCOUNT}', which prevents the workload from "
            "using the role.",
        ),
        (
            OF_ONE_POD,
            "warning",
            "warning",
            f"denies sts:* to {SERVICE} where StringEquals aws:RequestTag/kubernetes-pod-name 'pod-0', which may prevent the "
            "workload from using the role.",
        ),
        (
            OF_ONE_NAMESPACE,
            "pass",
            "info",
            f"denies sts:* to {SERVICE} where StringEquals aws:RequestTag/kubernetes-namespace 'batch', which does not affect "
            "the workload.",
        ),
    ],
)
def test_verification_reports_the_deny_and_its_effect(
    statement: dict[str, Any], status: str, severity: str, end: str
) -> None:
    spec = desired(workload("app"))
    aws = restricted(spec, {name: value for name, value in statement.items() if value is not None})
    assert trust_checks(aws, spec) == [("default/app", status, [("ROLE_RESTRICTED", severity)])]
    (workload_,) = verified(aws, spec)
    (finding,) = workload_.findings
    label = "Statement 2 (Sid 'Quarantine')" if statement["Sid"] else "Statement 2"
    assert finding.statement == label
    assert finding.message == (
        f"{label} of the trust policy of role {ROLE} {end} This collection did not write that statement, and "
        "keeps it."
    )
    assert finding.remedy == LIFT


def test_denies_of_some_sessions_are_warnings() -> None:
    """Use two Deny statements with conditions on the name of the Pod. Together they deny all names; each depends on the name."""
    spec = desired(workload("app"))
    other = {
        "Sid": "Others",
        "Effect": "Deny",
        "Principal": {"Service": SERVICE},
        "Action": "sts:*",
        "Condition": {"StringNotEquals": {"aws:RequestTag/kubernetes-pod-name": "pod-0"}},
    }
    aws = restricted(spec, OF_ONE_POD, other)
    ((workload_, status, findings),) = trust_checks(aws, spec)
    assert (workload_, status) == ("default/app", "warning")
    assert [finding for finding in findings if finding[0] == "ROLE_RESTRICTED"] == [
        ("ROLE_RESTRICTED", "warning")
    ] * 2


def test_unusable_trust_policy_is_reported_with_the_deny() -> None:
    spec = desired(workload("app"))
    aws = restricted(spec)
    aws.iam.roles["my-role"]["trust"] = json.dumps({"Version": "2012-10-17", "Statement": [QUARANTINE]})
    assert trust_checks(aws, spec) == [
        ("default/app", "fail", [("TRUST_NOT_USABLE", "error"), ("ROLE_RESTRICTED", "error")])
    ]


def test_deny_is_reported_for_denied_workloads_only() -> None:
    spec = desired(workload("app"), workload("job", "batch"))
    aws = restricted(spec, OF_ONE_NAMESPACE)
    assert trust_checks(aws, spec) == [
        ("default/app", "pass", [("ROLE_RESTRICTED", "info")]),
        ("batch/job", "fail", [("ROLE_RESTRICTED", "error")]),
    ]
    outcome = run(aws, spec)
    assert [
        (workload_, severity) for workload_, severity, _message in restriction_messages(outcome.findings)
    ] == [("batch/job", "error")]


def test_teardown_deletes_an_unused_restricted_role() -> None:
    spec = desired(workload("app"))
    aws = restricted(spec, QUARANTINE)
    outcome = run(aws, spec, "absent")
    assert outcome.failures == ()
    assert aws.iam.roles == {}


def test_teardown_keeps_the_deny_of_a_kept_role() -> None:
    aws = restricted(JOINED, OF_ONE_NAMESPACE)
    run(aws, desired(workload("app")), "absent")
    assert spelt(denies(aws)) == spelt([OF_ONE_NAMESPACE])
    assert '"app"' not in aws.iam.roles["my-role"]["trust"]


def block_deletion(aws: FakeAws) -> None:
    """Add the role to an instance profile. A teardown keeps such a role."""
    aws.iam.roles["my-role"]["profiles"] = ["profile"]


def test_kept_role_without_users_is_closed_and_keeps_the_deny() -> None:
    """Check that a Deny statement replaces the Allow statements. It names the cluster, so that a later purge finds the role."""
    spec = desired(workload("app"))
    aws = restricted(spec, QUARANTINE)
    block_deletion(aws)
    run(aws, spec, "absent")
    statements = denies(aws)
    assert [statement["Sid"] for statement in statements] == ["Quarantine", "EksPodIdentityNobody"]
    assert spelt(statements[:1]) == spelt([QUARANTINE])
    assert len(json.loads(aws.iam.roles["my-role"]["trust"])["Statement"]) == 2
    run(aws, spec)
    assert spelt(denies(aws)) == spelt([QUARANTINE])


def purge(aws: FakeAws, spec: Desired) -> Run:
    return run_with_purge(engine(aws, spec), spec, PurgeScope(limit=9), check_mode=False)


def test_purge_keeps_the_deny_of_a_kept_role_and_deletes_an_unused_one() -> None:
    aws = restricted(JOINED, OF_ONE_NAMESPACE)
    purge(aws, desired(workload("app")))
    assert spelt(denies(aws)) == spelt([OF_ONE_NAMESPACE])
    assert '"web"' not in aws.iam.roles["my-role"]["trust"]
    aws.eks.associations.clear()
    purge(aws, desired(workload("other", role={"name": "other"})))
    assert list(aws.iam.roles) == ["other"]


GIVEN = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Pods",
            "Effect": "Allow",
            "Principal": {"Service": SERVICE},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
    ],
}


def with_document(*statements: dict[str, Any], **options: Any) -> Desired:
    document = {**GIVEN, "Statement": [*GIVEN["Statement"], *statements]}
    return desired(workload("app", role={"name": "my-role", "trust_policy": document}), **options)


def test_whole_trust_policy_needs_force_to_remove_a_deny() -> None:
    aws = restricted(with_document(), QUARANTINE)
    outcome = run(aws, with_document())
    assert outcome.done == ()
    assert outcome.failures == ()
    assert spelt(denies(aws)) == spelt([QUARANTINE])
    (finding,) = outcome.findings
    assert finding.code == "ROLE_RESTRICTED"
    assert finding.remedy == (
        f"{LIFT} Or set ⟨force⟩: true for one run, which writes role.trust_policy unchanged."
    )
    assert trust_checks(aws, with_document()) == [("default/app", "fail", [("ROLE_RESTRICTED", "error")])]
    forced = run(aws, with_document(force=True))
    assert forced.findings == ()
    assert json.loads(aws.iam.roles["my-role"]["trust"]) == GIVEN


def test_deny_of_the_whole_trust_policy_is_managed() -> None:
    """Let AWS return a Deny statement of role.trust_policy in another form. It is managed until the list omits it."""
    spec = with_document(OF_ONE_NAMESPACE)
    aws = FakeAws()
    run(aws, spec)
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"][1]["Action"] = ["sts:*"]
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)
    outcome = run(aws, spec)
    assert (outcome.done, outcome.findings) == ((), ())
    assert trust_checks(aws, spec) == [("default/app", "pass", [])]
    outcome = run(aws, with_document())
    assert [severity for _workload, severity, _message in restriction_messages(outcome.findings)] == ["info"]
    assert len(denies(aws)) == 1


def test_deny_with_a_duplicate_sid_loses_the_sid() -> None:
    """Check that an unmanaged statement loses its Sid if a managed statement has the same Sid: IAM requires unique ones."""
    aws = restricted(with_document(), {**QUARANTINE, "Sid": "Pods"})
    run(aws, with_document({**OF_ONE_NAMESPACE, "Sid": "Batch"}))
    statements = [statement for statement in denies(aws) if statement.get("Sid") != "Batch"]
    assert statements == [{name: value for name, value in QUARANTINE.items() if name != "Sid"}]


def test_deny_of_an_existing_role_fails_with_its_remedy() -> None:
    aws = restricted(desired(workload("app")), QUARANTINE)
    existing = desired(workload("app", role={"arn": ROLE, "extend_trust": True}, policies=[]))
    outcome = run(aws, existing)
    (failure,) = outcome.failures
    assert failure.error_code == "TRUST_NOT_USABLE"
    assert "Statement 2 (Sid 'Quarantine') denies sts:AssumeRole and sts:TagSession" in failure.message
    assert failure.remedy == LIFT
    assert spelt(denies(aws)) == spelt([QUARANTINE])
    assert trust_checks(aws, existing) == [("default/app", "fail", [("ROLE_RESTRICTED", "error")])]


def test_merge_keeps_a_closed_role_closed() -> None:
    old = {**GIVEN, "Statement": [*GIVEN["Statement"], QUARANTINE]}
    new = closed({**GIVEN, "Statement": [QUARANTINE]}, CLUSTER_ARN)
    assert merge_trust(old, new, old) == new
    assert merge_trust(old, new, new) == new
    joined = {
        **GIVEN,
        "Statement": [*GIVEN["Statement"], {**GIVEN["Statement"][0], "Sid": "Other", "Condition": {}}],
    }
    assert closed_for(merge_trust(old, new, joined)) == ""


def test_merge_keeps_a_concurrent_deny() -> None:
    old = {**GIVEN, "Statement": [*GIVEN["Statement"], OF_ONE_POD]}
    present = {**old, "Statement": [*old["Statement"], QUARANTINE]}
    for new in (GIVEN, old, {**GIVEN, "Statement": [*old["Statement"], OF_ONE_NAMESPACE]}):
        assert QUARANTINE in merge_trust(old, new, present)["Statement"]


def test_managed_statement_changed_to_a_deny_is_kept() -> None:
    """Check that the Deny loses its Sid: the new statement for the workload has the same Sid, and IAM requires unique ones."""
    spec = desired(workload("app"))
    aws = restricted(spec)
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"][0]["Effect"] = "Deny"
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)
    outcome = run(aws, spec)
    assert outcome.failures == ()
    (denied,) = denies(aws)
    assert {**trust["Statement"][0], "Sid": None} == {**denied, "Sid": None}
    assert "Sid" not in denied
    assert [severity for _workload, severity, _message in restriction_messages(outcome.findings)] == ["error"]


DENY_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
MIXED = {
    "Version": "2012-10-17",
    "Statement": [*DENY_ALL["Statement"], *document("s3:GetObject")["Statement"]],
}
AWS_MANAGED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


def with_policy(aws: FakeAws, arn: str, content: dict[str, Any], tags: dict[str, str] | None = None) -> None:
    name = arn.rpartition("/")[2]
    create_policy(aws, name, tags=tags)
    stored = aws.iam.policies.pop(policy_arn(name))
    stored["versions"] = dict.fromkeys(stored["versions"], content)
    aws.iam.policies[arn] = {**stored, "Arn": arn}
    aws.iam.roles["my-role"]["attached"].append(arn)


def kept_policy(role: str, arn: str) -> tuple[str, str]:
    return (
        f"role {role} also has {arn} attached, which only denies requests, and so restricts the role. The "
        "policy is not part of the role's configuration, and is kept.",
        "Find out who restricts the role and why (event AttachRolePolicy of the role in CloudTrail). To remove the policy, "
        f"detach it: aws iam detach-role-policy --role-name {role} --policy-arn {arn}",
    )


@pytest.mark.parametrize("arn", [policy_arn("quarantine"), AWS_MANAGED])
def test_purge_policies_keeps_a_deny_only_policy(arn: str) -> None:
    spec = desired(workload("app"), purge_policies=True)
    aws = restricted(spec)
    with_policy(aws, arn, DENY_ALL)
    outcome = run(aws, spec)
    assert outcome.done == ()
    assert [(finding.severity, finding.message, finding.remedy) for finding in outcome.findings] == [
        ("warning", *kept_policy("my-role", arn))
    ]
    assert arn in aws.iam.roles["my-role"]["attached"]


def test_purge_policies_detaches_other_policies() -> None:
    spec = desired(workload("app"), purge_policies=True)
    aws = restricted(spec)
    with_policy(aws, policy_arn("mixed"), MIXED)
    with_policy(aws, policy_arn("ours"), DENY_ALL, OWNED)
    outcome = run(aws, spec)
    assert aws.iam.roles["my-role"]["attached"] == [policy_arn("my-policy")]
    assert "ROLE_RESTRICTED" not in [finding.code for finding in outcome.findings]


def test_purge_policies_keeps_a_policy_with_an_unreadable_document() -> None:
    spec = desired(workload("app"), purge_policies=True)
    aws = restricted(spec)
    with_policy(aws, AWS_MANAGED, DENY_ALL)
    aws.fail_on("iam:GetPolicy", *[DENIED] * 20)
    outcome = run(aws, spec)
    assert AWS_MANAGED in aws.iam.roles["my-role"]["attached"]
    (finding,) = [finding for finding in outcome.findings if finding.code == "POLICY_ATTACHED_EXTRA"]
    assert (
        "The policy's document could not be read: test:Injected: AccessDenied: not authorized."
        in finding.message
    )


def test_verification_reports_deny_only_policies() -> None:
    spec = desired(workload("app"))
    aws = restricted(spec)
    with_policy(aws, AWS_MANAGED, DENY_ALL)
    aws.iam.roles["my-role"]["inline"] = ["quarantine"]
    observed = engine(aws, spec).observer().observe(spec)
    reads = VerificationReads(
        agent(),
        documents={AWS_MANAGED: DENY_ALL},
        inline={"my-role": {"quarantine": DENY_ALL}},
    )
    (workload_,) = verify(spec, observed, reads)
    restrictions = [finding for finding in workload_.findings if finding.code == "ROLE_RESTRICTED"]
    assert [(finding.severity, finding.message, finding.remedy) for finding in restrictions] == [
        ("warning", *kept_policy("my-role", AWS_MANAGED)),
        (
            "warning",
            "role my-role has the inline policy quarantine, which only denies requests, and so restricts the "
            "role. The policy is not part of the role's configuration, and is kept.",
            "Find out who restricts the role and why (event PutRolePolicy of the role in CloudTrail). To remove the policy, "
            "delete it: aws iam delete-role-policy --role-name my-role --policy-name quarantine",
        ),
    ]


def test_unlisted_boundary_is_kept() -> None:
    spec = desired(workload("app"))
    aws = restricted(spec)
    create_policy(aws, "boundary")
    aws.iam.roles["my-role"]["boundary"] = policy_arn("boundary")
    assert run(aws, spec).done == ()
    assert aws.iam.roles["my-role"]["boundary"] == policy_arn("boundary")
    removed = desired(workload("app", role={"name": "my-role", "permissions_boundary": ""}))
    run(aws, removed)
    assert aws.iam.roles["my-role"]["boundary"] == ""
