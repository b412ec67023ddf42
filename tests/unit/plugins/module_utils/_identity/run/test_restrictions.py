# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restrictions that were set elsewhere on a role of ours are kept and reported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Verified
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Agent,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import run_with_purge
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    closed,
    closed_for,
    merge_trust,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    OWNED,
    FakeAws,
    create_policy,
    desired,
    document,
    engine,
    policy_arn,
    role_arn,
    run,
    workload,
)

DENIED = classify("test:Injected", "AccessDenied", "not authorized")
SERVICE = "pods.eks.amazonaws.com"
ROLE = role_arn("my-role")
# In the spelling of a person: the keys in another order, single values without lists.
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
    "Find out who added the statement and why (event UpdateAssumeRolePolicy of the role in CloudTrail). To lift it, remove it "
    "from the trust policy of the role."
)


def restricted(wanted: Desired, *statements: dict[str, Any], name: str = "my-role") -> FakeAws:
    """An account in which somebody added statements to the trust policy of a role."""
    aws = FakeAws()
    run(aws, wanted)
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


def told(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    return [
        (str(finding.workload), finding.severity, finding.message)
        for finding in findings
        if finding.code == "ROLE_RESTRICTED"
    ]


def verified(aws: FakeAws, wanted: Desired) -> list[Verified]:
    reads = VerificationReads({CLUSTER: Agent("ACTIVE", "v1")})
    return verify(wanted, engine(aws, wanted).observe(wanted), reads)


def trust_checks(aws: FakeAws, wanted: Desired) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (
            str(one.workload.key),
            check.status,
            [(str(finding.code), finding.severity) for finding in check.findings],
        )
        for one in verified(aws, wanted)
        for check in one.checks
        if check.name == "trust"
    ]


JOINED = desired(workload("app"), workload("web"))


@pytest.mark.parametrize("statement", [QUARANTINE, OF_ONE_NAMESPACE, OF_ONE_POD])
def test_a_converge_keeps_a_deny_as_it_was_written(statement: dict[str, Any]) -> None:
    aws = restricted(desired(workload("app")), statement)
    made = run(aws, JOINED)
    assert "trust_policy" in [done.change.target.resource for done in made.done]
    assert spelt(denies(aws)) == spelt([statement])
    sent = len(aws.writes)
    assert run(aws, JOINED).done == ()
    assert len(aws.writes) == sent


def test_a_converge_names_the_deny_and_the_workload_that_it_keeps_out() -> None:
    aws = restricted(desired(workload("app")), QUARANTINE)
    made = run(aws, desired(workload("app")))
    assert made.done == ()
    assert told(made.findings) == [
        (
            "default/app",
            "error",
            f"Statement 2 (Sid 'Quarantine') of the trust policy of role {ROLE} denies sts:* to {SERVICE}, which keeps the "
            "workload out. This collection did not write it, and keeps it.",
        )
    ]
    assert made.findings[0].remedy == LIFT


@pytest.mark.parametrize(
    ("statement", "status", "severity", "end"),
    [
        (QUARANTINE, "fail", "error", f"denies sts:* to {SERVICE}, which keeps the workload out."),
        (
            {**QUARANTINE, "Principal": "*"},
            "fail",
            "error",
            "denies sts:* to everyone, which keeps the workload out.",
        ),
        (
            {**QUARANTINE, "Sid": None, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}},
            "fail",
            "error",
            f"denies sts:* to {SERVICE} where StringEquals aws:SourceAccount '{ACCOUNT}', which keeps the workload out.",
        ),
        (
            OF_ONE_POD,
            "warning",
            "warning",
            f"denies sts:* to {SERVICE} where StringEquals aws:RequestTag/kubernetes-pod-name 'pod-0', which may keep the "
            "workload out.",
        ),
        (
            OF_ONE_NAMESPACE,
            "pass",
            "info",
            f"denies sts:* to {SERVICE} where StringEquals aws:RequestTag/kubernetes-namespace 'batch', which does not concern "
            "the workload.",
        ),
    ],
)
def test_a_verification_names_the_deny_and_what_it_means(
    statement: dict[str, Any], status: str, severity: str, end: str
) -> None:
    wanted = desired(workload("app"))
    aws = restricted(wanted, {name: value for name, value in statement.items() if value is not None})
    assert trust_checks(aws, wanted) == [("default/app", status, [("ROLE_RESTRICTED", severity)])]
    (one,) = verified(aws, wanted)
    (finding,) = one.findings
    label = "Statement 2 (Sid 'Quarantine')" if statement["Sid"] else "Statement 2"
    assert finding.statement == label
    assert finding.message == (
        f"{label} of the trust policy of role {ROLE} {end} This collection did not write it, and keeps it."
    )
    assert finding.remedy == LIFT


def test_two_denies_that_together_leave_nothing_are_errors() -> None:
    """Each turns on the name of the Pod, and no name is left."""
    wanted = desired(workload("app"))
    other = {
        "Sid": "Others",
        "Effect": "Deny",
        "Principal": {"Service": SERVICE},
        "Action": "sts:*",
        "Condition": {"StringNotEquals": {"aws:RequestTag/kubernetes-pod-name": "pod-0"}},
    }
    aws = restricted(wanted, OF_ONE_POD, other)
    assert trust_checks(aws, wanted) == [
        ("default/app", "fail", [("ROLE_RESTRICTED", "error"), ("ROLE_RESTRICTED", "error")])
    ]


def test_a_trust_policy_that_is_not_usable_without_the_deny_either_is_told_as_well() -> None:
    wanted = desired(workload("app"))
    aws = restricted(wanted)
    aws.iam.roles["my-role"]["trust"] = json.dumps({"Version": "2012-10-17", "Statement": [QUARANTINE]})
    assert trust_checks(aws, wanted) == [
        ("default/app", "fail", [("TRUST_NOT_USABLE", "error"), ("ROLE_RESTRICTED", "error")])
    ]


def test_a_deny_names_only_the_workloads_that_it_keeps_out() -> None:
    wanted = desired(workload("app"), workload("job", "batch"))
    aws = restricted(wanted, OF_ONE_NAMESPACE)
    assert trust_checks(aws, wanted) == [
        ("default/app", "pass", [("ROLE_RESTRICTED", "info")]),
        ("batch/job", "fail", [("ROLE_RESTRICTED", "error")]),
    ]
    made = run(aws, wanted)
    assert [(workload_, severity) for workload_, severity, _message in told(made.findings)] == [
        ("batch/job", "error")
    ]


def test_a_teardown_deletes_a_restricted_role_that_nobody_else_uses() -> None:
    wanted = desired(workload("app"))
    aws = restricted(wanted, QUARANTINE)
    made = run(aws, wanted, "absent")
    assert made.failures == ()
    assert aws.iam.roles == {}


def test_a_teardown_keeps_the_deny_of_a_role_that_stays() -> None:
    aws = restricted(JOINED, OF_ONE_NAMESPACE)
    run(aws, desired(workload("app")), "absent")
    assert spelt(denies(aws)) == spelt([OF_ONE_NAMESPACE])
    assert '"app"' not in aws.iam.roles["my-role"]["trust"]


def held_role(aws: FakeAws) -> None:
    """An instance profile, which a removal leaves."""
    aws.iam.roles["my-role"]["profiles"] = ["profile"]


def test_a_role_that_stays_for_nobody_is_closed_beside_the_deny() -> None:
    """The closing statement names the cluster, so that a later purge knows the role."""
    wanted = desired(workload("app"))
    aws = restricted(wanted, QUARANTINE)
    held_role(aws)
    run(aws, wanted, "absent")
    kept = denies(aws)
    assert [statement["Sid"] for statement in kept] == ["Quarantine", "EksPodIdentityNobody"]
    assert spelt(kept[:1]) == spelt([QUARANTINE])
    assert len(json.loads(aws.iam.roles["my-role"]["trust"])["Statement"]) == 2
    run(aws, wanted)
    assert spelt(denies(aws)) == spelt([QUARANTINE])


def purge(aws: FakeAws, wanted: Desired) -> Run:
    return run_with_purge(engine(aws, wanted), wanted, PurgeScope(limit=9), check_mode=False)


def test_a_purge_keeps_the_deny_of_a_role_that_stays_and_takes_a_restricted_one_that_is_unused() -> None:
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


def test_a_whole_trust_policy_takes_no_deny_away_without_force() -> None:
    aws = restricted(with_document(), QUARANTINE)
    made = run(aws, with_document())
    assert made.done == ()
    assert made.failures == ()
    assert spelt(denies(aws)) == spelt([QUARANTINE])
    (finding,) = made.findings
    assert finding.code == "ROLE_RESTRICTED"
    assert finding.remedy == (
        f"{LIFT} Or set ⟨force⟩: true for one run, which writes role.trust_policy unchanged."
    )
    assert trust_checks(aws, with_document()) == [("default/app", "fail", [("ROLE_RESTRICTED", "error")])]
    forced = run(aws, with_document(force=True))
    assert forced.findings == ()
    assert json.loads(aws.iam.roles["my-role"]["trust"]) == GIVEN


def test_a_deny_of_the_whole_trust_policy_is_its_own() -> None:
    """In whatever spelling; one that is left out later counts as set elsewhere, for nobody can tell any more."""
    wanted = with_document(OF_ONE_NAMESPACE)
    aws = FakeAws()
    run(aws, wanted)
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"][1]["Action"] = ["sts:*"]
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)
    made = run(aws, wanted)
    assert (made.done, made.findings) == ((), ())
    assert trust_checks(aws, wanted) == [("default/app", "pass", [])]
    made = run(aws, with_document())
    assert [severity for _workload, severity, _message in told(made.findings)] == ["info"]
    assert len(denies(aws)) == 1


def test_a_deny_with_the_sid_of_another_statement_is_kept_without_it() -> None:
    """IAM takes each Sid once."""
    aws = restricted(with_document(), {**QUARANTINE, "Sid": "Pods"})
    run(aws, with_document({**OF_ONE_NAMESPACE, "Sid": "Batch"}))
    kept = [statement for statement in denies(aws) if statement.get("Sid") != "Batch"]
    assert kept == [{name: value for name, value in QUARANTINE.items() if name != "Sid"}]


def test_a_deny_that_keeps_a_workload_out_of_an_existing_role_is_named_with_its_remedy() -> None:
    aws = restricted(desired(workload("app")), QUARANTINE)
    existing = desired(workload("app", role={"arn": ROLE, "extend_trust": True}, policies=[]))
    made = run(aws, existing)
    (failure,) = made.failures
    assert failure.error_code == "TRUST_NOT_USABLE"
    assert "Statement 2 (Sid 'Quarantine') denies sts:AssumeRole and sts:TagSession" in failure.message
    assert failure.remedy == LIFT
    assert spelt(denies(aws)) == spelt([QUARANTINE])
    assert trust_checks(aws, existing) == [("default/app", "fail", [("ROLE_RESTRICTED", "error")])]


def test_a_role_that_is_closed_stays_closed_in_a_merge() -> None:
    before = {**GIVEN, "Statement": [*GIVEN["Statement"], QUARANTINE]}
    after = closed({**GIVEN, "Statement": [QUARANTINE]}, CLUSTER_ARN)
    assert merge_trust(before, after, before) == after
    assert merge_trust(before, after, after) == after
    joined = {
        **GIVEN,
        "Statement": [*GIVEN["Statement"], {**GIVEN["Statement"][0], "Sid": "Other", "Condition": {}}],
    }
    assert closed_for(merge_trust(before, after, joined)) == ""


def test_a_deny_that_comes_meanwhile_stays_in_a_merge() -> None:
    before = {**GIVEN, "Statement": [*GIVEN["Statement"], OF_ONE_POD]}
    present = {**before, "Statement": [*before["Statement"], QUARANTINE]}
    for after in (GIVEN, before, {**GIVEN, "Statement": [*before["Statement"], OF_ONE_NAMESPACE]}):
        assert QUARANTINE in merge_trust(before, after, present)["Statement"]


def test_a_statement_of_ours_that_somebody_turned_into_a_deny_stays_one() -> None:
    """IAM takes each Sid once, and the Sid is that of the statement that lets the workload in."""
    wanted = desired(workload("app"))
    aws = restricted(wanted)
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"][0]["Effect"] = "Deny"
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)
    made = run(aws, wanted)
    assert made.failures == ()
    (denied,) = denies(aws)
    assert {**trust["Statement"][0], "Sid": None} == {**denied, "Sid": None}
    assert "Sid" not in denied
    assert [severity for _workload, severity, _message in told(made.findings)] == ["error"]


DENY_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
MIXED = {
    "Version": "2012-10-17",
    "Statement": [*DENY_ALL["Statement"], *document("s3:GetObject")["Statement"]],
}
AWS_MANAGED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


def with_policy(aws: FakeAws, arn: str, content: dict[str, Any], tags: dict[str, str] | None = None) -> None:
    name = arn.rpartition("/")[2]
    create_policy(aws, name, tags=tags)
    held = aws.iam.policies.pop(policy_arn(name))
    held["versions"] = dict.fromkeys(held["versions"], content)
    aws.iam.policies[arn] = {**held, "Arn": arn}
    aws.iam.roles["my-role"]["attached"].append(arn)


def left(role: str, arn: str) -> tuple[str, str]:
    return (
        f"role {role} also has {arn} attached, which only denies requests, and so restricts the role. It is not part of its "
        "configuration, and is kept.",
        "Find out who restricts the role and why (event AttachRolePolicy of the role in CloudTrail). To lift it, detach it: aws "
        f"iam detach-role-policy --role-name {role} --policy-arn {arn}",
    )


@pytest.mark.parametrize("arn", [policy_arn("quarantine"), AWS_MANAGED])
def test_a_policy_that_only_denies_is_not_detached_by_purge_policies(arn: str) -> None:
    wanted = desired(workload("app"), purge_policies=True)
    aws = restricted(wanted)
    with_policy(aws, arn, DENY_ALL)
    made = run(aws, wanted)
    assert made.done == ()
    assert [(finding.severity, finding.message, finding.remedy) for finding in made.findings] == [
        ("warning", *left("my-role", arn))
    ]
    assert arn in aws.iam.roles["my-role"]["attached"]


def test_other_policies_are_detached_by_purge_policies() -> None:
    wanted = desired(workload("app"), purge_policies=True)
    aws = restricted(wanted)
    with_policy(aws, policy_arn("mixed"), MIXED)
    with_policy(aws, policy_arn("ours"), DENY_ALL, OWNED)
    made = run(aws, wanted)
    assert aws.iam.roles["my-role"]["attached"] == [policy_arn("my-policy")]
    assert "ROLE_RESTRICTED" not in [finding.code for finding in made.findings]


def test_a_policy_whose_document_cannot_be_read_is_not_detached_by_purge_policies() -> None:
    wanted = desired(workload("app"), purge_policies=True)
    aws = restricted(wanted)
    with_policy(aws, AWS_MANAGED, DENY_ALL)
    aws.fail_on("iam:GetPolicy", *[DENIED] * 20)
    made = run(aws, wanted)
    assert AWS_MANAGED in aws.iam.roles["my-role"]["attached"]
    (finding,) = [finding for finding in made.findings if finding.code == "POLICY_ATTACHED_EXTRA"]
    assert "Its document could not be read: test:Injected: AccessDenied: not authorized." in finding.message


def test_a_verification_names_policies_that_only_deny() -> None:
    wanted = desired(workload("app"))
    aws = restricted(wanted)
    with_policy(aws, AWS_MANAGED, DENY_ALL)
    aws.iam.roles["my-role"]["inline"] = ["quarantine"]
    observed = engine(aws, wanted).observe(wanted)
    reads = VerificationReads(
        {CLUSTER: Agent("ACTIVE", "v1")},
        documents={AWS_MANAGED: DENY_ALL},
        inline={"my-role": {"quarantine": DENY_ALL}},
    )
    (one,) = verify(wanted, observed, reads)
    restrictions = [finding for finding in one.findings if finding.code == "ROLE_RESTRICTED"]
    assert [(finding.severity, finding.message, finding.remedy) for finding in restrictions] == [
        ("warning", *left("my-role", AWS_MANAGED)),
        (
            "warning",
            "role my-role has the inline policy quarantine, which only denies requests, and so restricts the role. It is not "
            "part of its configuration, and is kept.",
            "Find out who restricts the role and why (event PutRolePolicy of the role in CloudTrail). To lift it, delete it: "
            "aws iam delete-role-policy --role-name my-role --policy-name quarantine",
        ),
    ]


def test_a_boundary_that_somebody_set_stays_while_the_list_names_none() -> None:
    wanted = desired(workload("app"))
    aws = restricted(wanted)
    create_policy(aws, "boundary")
    aws.iam.roles["my-role"]["boundary"] = policy_arn("boundary")
    assert run(aws, wanted).done == ()
    assert aws.iam.roles["my-role"]["boundary"] == policy_arn("boundary")
    removed = desired(workload("app", role={"name": "my-role", "permissions_boundary": ""}))
    run(aws, removed)
    assert aws.iam.roles["my-role"]["boundary"] == ""


def test_a_teardown_keeps_a_role_with_a_policy_that_somebody_attached_to_restrict_it() -> None:
    wanted = desired(workload("app"), purge_policies=True)
    aws = restricted(wanted)
    with_policy(aws, AWS_MANAGED, DENY_ALL)
    made = run(aws, wanted, "absent")
    assert aws.iam.roles["my-role"]["attached"] == [AWS_MANAGED]
    assert "ROLE_HOLDS_FOREIGN" in [finding.code for finding in made.findings]
