# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is missing of a workload that was made moments ago, by the clock of AWS, may be invisible yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code, Severity
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import (
    Check,
    Verified,
    conclude,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Agent,
    Observed,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import (
    ObservedPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.young import (
    Young,
    perhaps_unseen,
    youngest,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import (
    consider_age,
    verify,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    REGION,
    TRUST_BARE,
    Clock,
    FakeAws,
    desired,
    document,
    engine,
    key,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)
OLD = NOW - timedelta(days=30)
WANTED = desired(workload(), workload("web", role={"name": "web"}, policies=[policy("web")]))
READS = VerificationReads({CLUSTER: Agent("ACTIVE", "v1.3.8-eksbuild.2")})


def made(role: timedelta | None = None, association: timedelta | None = None) -> FakeAws:
    """Two workloads, one of them with a role or an association that was made so long ago."""
    aws = FakeAws()
    run(aws, WANTED)
    for one in aws.iam.roles.values():
        one["CreateDate"] = OLD
    for one in aws.eks.associations.values():
        one["createdAt"] = one["modifiedAt"] = OLD
    if role is not None:
        aws.iam.roles["my-role"]["CreateDate"] = NOW - role
    if association is not None:
        _association(aws)["modifiedAt"] = NOW - association
    return aws


def _association(aws: FakeAws) -> dict[str, Any]:
    return next(one for one in aws.eks.associations.values() if one["serviceAccount"] == "app")


def look(aws: FakeAws, now: datetime | None = NOW) -> Observed:
    observed = engine(aws, WANTED).observer().observe(WANTED, planning=False)
    return replace(
        observed, clusters=replace(observed.clusters, account=replace(observed.account, answered_at=now))
    )


def verified(aws: FakeAws, now: datetime | None = NOW) -> list[Verified]:
    observed = look(aws, now)
    return consider_age(verify(WANTED, observed, READS), observed)


def statuses(one: Verified) -> dict[str, str]:
    return {check.name: check.status for check in one.checks if check.status != "pass"}


def delete_role(aws: FakeAws) -> None:
    del aws.iam.roles["my-role"]


def delete_association(aws: FakeAws) -> None:
    del aws.eks.associations[_association(aws)["associationId"]]


def delete_policy(aws: FakeAws) -> None:
    del aws.iam.policies[policy_arn("my-policy")]
    aws.iam.roles["my-role"]["attached"] = []


def detach(aws: FakeAws) -> None:
    aws.iam.roles["my-role"]["attached"] = []


def change_policy(aws: FakeAws) -> None:
    aws.iam.policies[policy_arn("my-policy")]["versions"]["v1"] = document("kms:Decrypt")


def close(aws: FakeAws) -> None:
    aws.iam.roles["my-role"]["trust"] = aws.iam.roles["web"]["trust"]


def point_elsewhere(aws: FakeAws) -> None:
    _association(aws)["roleArn"] = role_arn("web")


FAULTS: list[tuple[Callable[[FakeAws], None], str]] = [
    (delete_role, "ROLE_MISSING"),
    (delete_association, "ASSOCIATION_MISSING"),
    (delete_policy, "POLICY_MISSING"),
    (detach, "POLICY_NOT_ATTACHED"),
    (change_policy, "POLICY_CONTENTS_DIFFER"),
    (close, "TRUST_NOT_USABLE"),
    (point_elsewhere, "ASSOCIATION_OTHER_ROLE"),
]
YOUNG = {"role": timedelta(seconds=40), "association": timedelta(seconds=40)}


@pytest.mark.parametrize(("fault", "code"), FAULTS)
def test_what_a_young_workload_lacks_is_unknown(fault: Callable[[FakeAws], None], code: str) -> None:
    """The finding keeps its code and its severity, so that nothing passes by it."""
    aws = made(**YOUNG)
    fault(aws)
    app, web = verified(aws)
    assert set(statuses(app).values()) == {"unknown"}
    assert {(finding.code, finding.severity) for finding in app.findings} == {(code, "error")}
    assert statuses(web) == {}
    aws = made()
    fault(aws)
    assert set(statuses(verified(aws)[0]).values()) == {"fail"}


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(minutes=-10), "unknown"),
        (timedelta(), "unknown"),
        (timedelta(minutes=4, seconds=59), "unknown"),
        (timedelta(minutes=5), "fail"),
        (timedelta(hours=1), "fail"),
    ],
)
def test_it_is_young_for_five_minutes(age: timedelta, status: str) -> None:
    """Something made after the clock was read is as young as can be."""
    aws = made(association=age)
    delete_role(aws)
    assert statuses(verified(aws)[0])["trust"] == status


def test_a_policy_of_aws_makes_no_workload_young() -> None:
    """AWS changes its own policies when it likes."""
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    moment = (NOW - timedelta(seconds=40)).isoformat()
    observed = look(made())
    observed = replace(
        observed,
        policies={
            **observed.policies,
            arn: ObservedPolicy(arn, "AmazonS3ReadOnlyAccess", "v9", changed_at=moment),
            policy_arn("theirs"): ObservedPolicy(policy_arn("theirs"), "theirs", "v9", changed_at=moment),
        },
    )

    def age_by(given: str) -> Young | None:
        return youngest(desired(workload(policies=[{"arn": given}])).workloads[0], observed)

    assert age_by(arn) is None
    assert age_by(policy_arn("theirs")) == Young("policy theirs", timedelta(seconds=40))


def test_without_the_time_of_aws_nothing_is_called_young() -> None:
    aws = made(**YOUNG)
    delete_role(aws)
    assert statuses(verified(aws, None)[0])["trust"] == "fail"


def test_the_message_says_what_is_young_and_when_to_look_again() -> None:
    aws = made(role=timedelta(seconds=40))
    delete_association(aws)
    (finding,) = verified(aws)[0].findings
    assert finding.message == (
        f"cluster {CLUSTER} has no pod identity association for default/app (account {ACCOUNT}, region {REGION}). "
        "Or AWS does not show the last change yet: role my-role was made or changed 40 s ago, and what AWS answers may "
        "be older than that."
    )
    assert finding.remedy == (
        "Run the verification again in 5 minutes. If it says the same: apply the workload, which creates it."
    )


EXPLAINED = {
    Code.ASSOCIATION_MISSING,
    Code.ASSOCIATION_OTHER_ROLE,
    Code.ASSOCIATION_OTHER_TARGET_ROLE,
    Code.ASSOCIATION_SETTINGS_DIFFER,
    Code.NOT_MARKED,
    Code.POLICY_ATTACHED_EXTRA,
    Code.POLICY_CONTENTS_DIFFER,
    Code.POLICY_MISSING,
    Code.POLICY_NOT_ATTACHED,
    Code.POLICY_OTHER_VERSION_DEFAULT,
    Code.POLICY_SETTINGS_DIFFER,
    Code.ROLE_MISSING,
    Code.ROLE_SETTINGS_DIFFER,
    Code.TARGET_ROLE_MISSING,
    Code.TRUST_NOT_USABLE,
    Code.TRUST_WIDER_THAN_ASKED,
}
NOT_EXPLAINED = {
    # No run repairs these, so that one was here moments ago says nothing of them.
    Code.ASSOCIATION_SETTINGS_EXTRA,
    Code.POLICY_DESCRIPTION_DIFFERS,
    Code.ROLE_INLINE_POLICY,
    Code.TRUST_OPEN_TO_EVERYONE,
    Code.TRUST_STATEMENT_FOREIGN,
    Code.TARGET_ROLE_CONDITIONAL,
    Code.TARGET_ROLE_TRUST_NOT_USABLE,
    Code.ASSOCIATION_OWNED_BY_ADDON,
    # They follow from what other checks have found to be as asked for.
    Code.PERMISSION_CONDITIONAL,
    Code.PERMISSION_NOT_CHECKED,
    Code.PERMISSION_DENIED,
    Code.PERMISSION_NOTHING_LEFT,
    Code.PERMISSION_TAKEN_AWAY,
    Code.TARGET_ROLE_NOT_ALLOWED,
    Code.TRUST_CONDITIONAL,
    # The cluster's.
    Code.AGENT_ADDON_DEGRADED,
    Code.AGENT_ADDON_MISSING,
    Code.AGENT_ADDON_WITH_AUTO_MODE,
    Code.CLUSTER_PLATFORM_TOO_OLD,
    # Not read at all.
    Code.NOT_READABLE,
    Code.TARGET_ROLE_NOT_READABLE,
}


def test_each_code_of_a_verification_is_decided() -> None:
    descriptions = Path(__file__).resolve().parents[6] / "docs/codes.yml"
    codes = yaml.safe_load(descriptions.read_text(encoding="utf-8"))["verification"]
    assert codes.keys() <= EXPLAINED | NOT_EXPLAINED
    assert not EXPLAINED & NOT_EXPLAINED


@pytest.mark.parametrize("code", sorted(EXPLAINED | NOT_EXPLAINED))
@pytest.mark.parametrize("severity", ["error", "warning", "info"])
def test_what_a_late_read_can_show(code: Code, severity: Severity) -> None:
    """A failure is not known to be one; what is no failure keeps its status, and says the same of its age."""
    finding = Finding(code, "it is so.", "Apply the workload.", key(), raised_as=severity)
    observed = look(made(**YOUNG))
    found = [Verified(WANTED.workloads[0], (conclude("trust", finding),))]
    ((check,),) = [subject.checks for subject in consider_age(found, observed)]
    # Its error is a policy that administers the account, which no run attached.
    explained = code in EXPLAINED and (code, severity) != (Code.POLICY_ATTACHED_EXTRA, "error")
    before = {"error": "fail", "warning": "warning", "info": "pass"}[severity]
    assert check.status == ("unknown" if explained and severity == "error" else before)
    (after,) = check.findings
    assert (after.code, after.severity) == (code, severity)
    assert (" Or AWS does not show the last change yet: " in after.message) is explained
    assert after.remedy == (
        "Run the verification again in 5 minutes. If it says the same: apply the workload."
        if explained
        else "Apply the workload."
    )


@pytest.mark.parametrize(
    ("cause", "status"), [(Code.ROLE_MISSING, "unknown"), (Code.PERMISSION_DENIED, "fail")]
)
def test_what_follows_is_as_unknown_as_its_cause(cause: Code, status: str) -> None:
    """A warning that the age explains is not what made another check fail."""
    first = conclude("trust", Finding(cause, "it is so.", "Mend it.", key()))
    warned = conclude("contents", Finding(Code.POLICY_SETTINGS_DIFFER, "it is so.", "Mend it.", key()))
    found = [Verified(WANTED.workloads[0], (first, warned, Check("attachment", "fail")))]
    (subject,) = consider_age(found, look(made(**YOUNG)))
    assert statuses(subject) == {"trust": status, "contents": "warning", "attachment": status}


def test_what_age_does_not_explain_stays_a_failure() -> None:
    aws = made(**YOUNG)
    detach(aws)
    observed = look(aws)
    broken = replace(READS, agents={CLUSTER: Agent("DEGRADED", "v1")})
    app, web = consider_age(verify(WANTED, observed, broken), observed)
    assert statuses(app) == {"attachment": "unknown", "agent": "fail"}
    assert statuses(web) == {"agent": "fail"}


def test_no_age_explains_a_role_of_another_account() -> None:
    """Its account is told from what was asked; that a role of its name here is young has nothing to do with it."""
    wanted = desired(workload(role={"arn": "arn:aws:iam::444455556666:role/my-role"}))
    observed = look(made(role=timedelta(seconds=40)))
    (app,) = consider_age(verify(wanted, observed, READS), observed)
    assert statuses(app)["trust"] == "fail"
    assert not [finding for finding in app.findings if "last change" in finding.message]


def test_a_young_association_of_an_addon_is_no_less_of_the_addon() -> None:
    aws = made(**YOUNG)
    _association(aws)["ownerArn"] = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/x/1"
    (finding,) = verified(aws)[0].findings
    assert "visible" not in finding.message


def removed(aws: FakeAws, wanted: Desired = WANTED) -> list[tuple[str, str, str, str]]:
    runner = engine(aws, wanted, "absent")
    runner = replace(
        runner, clusters=replace(runner.clusters, account=replace(runner.clusters.account, answered_at=NOW))
    )
    ended = runner.run(wanted, "absent", check_mode=False)
    assert ended.failures == ()
    return [
        (str(one.workload), str(one.code), one.message, one.remedy)
        for one in ended.findings
        if one.code == "NOT_YET_VISIBLE"
    ]


def test_a_teardown_says_what_it_may_not_see_yet() -> None:
    """As after a run that was killed a moment ago: the association is there, and what it needs is not seen."""
    aws = made(association=timedelta(seconds=10))
    delete_role(aws)
    delete_policy_alone(aws)
    assert removed(aws) == [
        (
            "default/app",
            "NOT_YET_VISIBLE",
            f"role my-role and policy {policy_arn('my-policy')} cannot be seen, so nothing of that is removed. It may be "
            f"there: association {'a-' + '1'.zfill(17)} was made or changed 10 s ago, and what AWS answers may be older "
            "than that.",
            "Run again in 5 minutes.",
        )
    ]


def delete_policy_alone(aws: FakeAws) -> None:
    del aws.iam.policies[policy_arn("my-policy")]


@pytest.mark.parametrize("age", [timedelta(seconds=10), timedelta(days=1)])
def test_a_teardown_of_what_is_whole_or_old_says_nothing_of_it(age: timedelta) -> None:
    assert removed(made(role=age, association=age)) == []
    aws = made()
    delete_association(aws)
    assert removed(aws) == []
    assert aws.state()["associations"] == []
    assert key() not in look(aws).associations


def test_a_teardown_does_not_see_an_association_whose_role_still_lets_it_in() -> None:
    aws = made(role=timedelta(seconds=10))
    delete_association(aws)
    assert removed(aws) == [
        (
            "default/app",
            "NOT_YET_VISIBLE",
            "the association cannot be seen, so nothing of that is removed. It may be there: role my-role was made or "
            "changed 10 s ago, and what AWS answers may be older than that.",
            "Run again in 5 minutes.",
        )
    ]


SHARED = (workload(), workload("web"))


@pytest.mark.parametrize("listed", [SHARED, SHARED[:1]], ids=["all", "those that are gone"])
def test_a_second_teardown_does_not_doubt_the_first(listed: tuple[dict[str, Any], ...]) -> None:
    """The young role is there for another workload, and lets the one that is gone in no more."""
    aws = FakeAws()
    run(aws, desired(*SHARED))
    aws.iam.roles["my-role"]["CreateDate"] = NOW
    for one in aws.eks.associations.values():
        one["createdAt"] = one["modifiedAt"] = NOW
    _unmark(aws, "web")
    wanted = desired(*listed, state="absent")
    assert removed(aws, wanted) == []
    assert [one["serviceAccount"] for one in aws.eks.associations.values()] == ["web"]
    assert list(aws.iam.roles) == ["my-role"]
    assert removed(aws, wanted) == []


@pytest.mark.parametrize(
    "role",
    [
        {"name": "my-role", "trust_scope": "namespace"},
        {"name": "my-role", "trust_scope": "account"},
        {"name": "my-role", "trust_policy": TRUST_BARE},
    ],
)
def test_a_wide_statement_leaves_the_doubt(role: dict[str, Any]) -> None:
    """It lets in the workload that is gone as before, so that it does not show whether a teardown has been here."""
    aws = FakeAws()
    wanted = desired(workload(role=role), workload("web", role=role))
    run(aws, wanted)
    aws.iam.roles["my-role"]["CreateDate"] = NOW
    for one in aws.eks.associations.values():
        one["createdAt"] = one["modifiedAt"] = OLD
    _unmark(aws, "web")
    delete_association(aws)
    assert [finding[:2] for finding in removed(aws, wanted)] == [("default/app", "NOT_YET_VISIBLE")]


def _unmark(aws: FakeAws, name: str) -> None:
    for one in aws.eks.associations.values():
        if one["serviceAccount"] == name:
            one["tags"] = {}


@pytest.mark.parametrize(
    ("holder", "seen", "doubted"),
    [
        ("other", None, []),
        ("web", "web", []),
        ("my-role", "web", []),
        ("my-role", "my-role", ["the association"]),
        ("my-role", None, ["the association and role my-role"]),
        ("", None, ["the association and role my-role"]),
    ],
)
def test_a_young_policy_that_others_hold_says_nothing_of_the_workload(
    holder: str, seen: str | None, doubted: list[str]
) -> None:
    """``seen`` is the role whose trust policy my-role has; None where my-role is not there."""
    observed = look(made())
    arn = policy_arn("my-policy")
    policy = observed.policies[arn]
    assert policy is not None
    policy = replace(policy, changed_at=NOW.isoformat(), attached_to=(f"role {holder}",) if holder else ())
    role, other = observed.roles["my-role"], observed.roles[seen or "web"]
    assert role is not None
    assert other is not None
    observed = replace(
        observed,
        roles={**observed.roles, "my-role": replace(role, trust=other.trust) if seen else None},
        associations={},
        policies={**observed.policies, arn: policy},
    )
    found = perhaps_unseen(replace(WANTED, workloads=WANTED.workloads[:1]), observed)
    assert [one.message.partition(" cannot be seen, ")[0] for one in found] == doubted


def test_a_clock_here_that_is_wrong_changes_nothing() -> None:
    """Only the date of AWS's answer counts: the clock of this machine is never asked."""
    aws = made(**YOUNG)
    caller = {"Account": ACCOUNT, "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/session"}
    headers = {"date": "Wed, 25 Nov 2026 12:00:00 GMT"}
    aws.replace(
        "sts:GetCallerIdentity", lambda _asked: {**caller, "ResponseMetadata": {"HTTPHeaders": headers}}
    )
    assert engine(aws, WANTED, clock=Clock()).clusters.account.answered_at == NOW
