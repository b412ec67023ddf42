# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test verifications and teardowns right after a change, by the clock of AWS: reads may not show the change yet."""

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
    Observed,
    VerificationReads,
    is_new,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.recent_changes import (
    find_possibly_unseen,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import (
    consider_age,
    verify,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    TRUST_BARE,
    FakeAws,
    agent,
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
READS = VerificationReads(agent("ACTIVE", "v1.3.8-eksbuild.2"))


def made(role: timedelta | None = None, association: timedelta | None = None) -> FakeAws:
    """Return an account with two workloads. ``role`` and ``association`` are the ages of the first workload's resources."""
    aws = FakeAws()
    run(aws, WANTED)
    for item in aws.iam.roles.values():
        item["CreateDate"] = OLD
    for item in aws.eks.associations.values():
        item["createdAt"] = item["modifiedAt"] = OLD
    if role is not None:
        aws.iam.roles["my-role"]["CreateDate"] = NOW - role
    if association is not None:
        _association(aws)["modifiedAt"] = NOW - association
    return aws


def _association(aws: FakeAws) -> dict[str, Any]:
    return next(item for item in aws.eks.associations.values() if item["serviceAccount"] == "app")


def look(aws: FakeAws, now: datetime | None = NOW) -> Observed:
    observed = engine(aws, WANTED).observer().observe(WANTED, planning=False)
    return replace(observed, cluster=replace(observed.cluster, answered_at=now))


def verified(aws: FakeAws, now: datetime | None = NOW) -> list[Verified]:
    observed = look(aws, now)
    return consider_age(verify(WANTED, observed, READS), observed)


def statuses(item: Verified) -> dict[str, str]:
    return {check.name: check.status for check in item.checks if check.status != "pass"}


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
def test_missing_part_of_a_young_workload_is_unknown(fault: Callable[[FakeAws], None], code: str) -> None:
    """Check that a failed check of a new workload becomes unknown, but its finding keeps its code and severity."""
    aws = made(**YOUNG)
    fault(aws)
    app, web = verified(aws)
    assert set(statuses(app).values()) == {"unknown"}
    assert {(finding.code, finding.severity) for finding in app.findings} == {(code, "error")}
    assert statuses(web) == {}
    aws = made()
    fault(aws)
    assert set(statuses(verified(aws)[0]).values()) == {"fail"}


# Codes of findings that a stale read can cause.
STALE = {
    Code.ASSOCIATION_MISSING,
    Code.ASSOCIATION_OTHER_ROLE,
    Code.ASSOCIATION_SETTINGS_DIFFER,
    Code.NOT_OWNED,
    Code.POLICY_ATTACHED_EXTRA,
    Code.POLICY_CONTENTS_DIFFER,
    Code.POLICY_MISSING,
    Code.POLICY_NOT_ATTACHED,
    Code.POLICY_SETTINGS_DIFFER,
    Code.ROLE_MISSING,
    Code.ROLE_SETTINGS_DIFFER,
    Code.TARGET_ROLE_MISSING,
    Code.TRUST_NOT_USABLE,
    Code.TRUST_WIDER_THAN_ASKED,
}
DESCRIPTIONS = Path(__file__).resolve().parents[6] / "docs/codes.yml"
VERIFIED = set(map(Code, yaml.safe_load(DESCRIPTIONS.read_text(encoding="utf-8"))["verification"]))


@pytest.mark.parametrize("code", sorted(STALE | VERIFIED))
@pytest.mark.parametrize("severity", ["error", "warning", "info"])
def test_failure_that_a_stale_read_may_explain_is_unknown(code: Code, severity: Severity) -> None:
    """Check that a failed check becomes unknown if a stale read may explain it. Any other status does not change."""
    finding = Finding(code, "it is so.", "Apply the workload.", key(), raised_as=severity)
    observed = look(made(**YOUNG))
    found = [Verified(WANTED.workloads[0], (conclude("trust", finding),))]
    ((check,),) = [subject.checks for subject in consider_age(found, observed)]
    explained = code in STALE
    status = {"error": "fail", "warning": "warning", "info": "pass"}[severity]
    assert check.status == ("unknown" if explained and severity == "error" else status)
    (finding,) = check.findings
    assert (finding.code, finding.severity) == (code, severity)
    assert (
        " It is also possible that AWS does not return the latest change yet: " in finding.message
    ) is explained
    assert finding.remedy == (
        "Run the verification again in 5 minutes. If the finding persists: apply the workload."
        if explained
        else "Apply the workload."
    )


def test_failure_without_age_remains() -> None:
    aws = made(**YOUNG)
    detach(aws)
    observed = look(aws)
    broken = replace(READS, agent=agent("DEGRADED", "v1"))
    app, web = consider_age(verify(WANTED, observed, broken), observed)
    assert statuses(app) == {"attachment": "unknown", "agent": "fail"}
    assert statuses(web) == {"agent": "fail"}


@pytest.mark.parametrize("has_association", [True, False])
def test_age_does_not_explain_role_of_another_account(has_association: bool) -> None:
    """Check that the check of a role in another account still fails, although a new role of this account has the same name."""
    config = desired(workload(role={"arn": "arn:aws:iam::444455556666:role/my-role"}))
    observed = look(made(role=timedelta(seconds=40)))
    if not has_association:
        observed = replace(observed, associations={})
    (app,) = consider_age(verify(config, observed, READS), observed)
    assert (statuses(app)["trust"], statuses(app)["association"]) == ("fail", "fail")
    assert Code.ASSOCIATION_MISSING not in {finding.code for finding in app.findings}
    assert not [finding for finding in app.findings if "latest change" in finding.message]


@pytest.mark.parametrize(
    ("fault", "young", "status"),
    [
        (detach, "role", {"attachment": "unknown"}),
        (detach, "association", {"attachment": "fail"}),
        (delete_role, "association", {"trust": "unknown", "attachment": "unknown"}),
    ],
)
def test_only_a_young_role_explains_a_missing_attachment_of_a_role_by_arn(
    fault: Callable[[FakeAws], None], young: str, status: dict[str, str]
) -> None:
    config = desired(workload(role={"arn": role_arn("my-role")}))
    aws = made(**{young: timedelta(seconds=40)})
    fault(aws)
    observed = look(aws)
    (app,) = consider_age(verify(config, observed, READS), observed)
    assert statuses(app) == status


def removed(aws: FakeAws, config: Desired = WANTED) -> list[tuple[str, str, str, str]]:
    runner = engine(aws, config, "absent")
    runner = replace(runner, cluster=replace(runner.cluster, answered_at=NOW))
    result = runner.run(config, "absent", check_mode=False)
    assert result.failures == ()
    return [
        (str(item.workload), str(item.code), item.message, item.remedy)
        for item in result.findings
        if item.code == "NOT_YET_VISIBLE"
    ]


def test_teardown_reports_possibly_invisible_resources() -> None:
    """Check that a teardown reports resources that may exist although reads do not show them, as after a killed run."""
    aws = made(association=timedelta(seconds=10))
    delete_role(aws)
    delete_policy_alone(aws)
    assert removed(aws) == [
        (
            "default/app",
            "NOT_YET_VISIBLE",
            "this run did not find all resources of default/app, but may have missed some: "
            f"association {'a-' + '1'.zfill(17)} was created or changed 10 s ago, and AWS may still return its former state.",
            "Run again in 5 minutes.",
        )
    ]


def delete_policy_alone(aws: FakeAws) -> None:
    del aws.iam.policies[policy_arn("my-policy")]


def test_teardown_doubts_missing_association_of_a_trusting_role() -> None:
    aws = made(role=timedelta(seconds=10))
    delete_association(aws)
    assert removed(aws) == [
        (
            "default/app",
            "NOT_YET_VISIBLE",
            "this run did not find all resources of default/app, but may have missed some: role my-role was created or changed "
            "10 s ago, and AWS may still return its former state.",
            "Run again in 5 minutes.",
        )
    ]


@pytest.mark.parametrize(
    "role",
    [
        {"name": "my-role", "trust_scope": "namespace"},
        {"name": "my-role", "trust_scope": "account"},
        {"name": "my-role", "trust_policy": TRUST_BARE},
    ],
)
def test_wide_trust_statement_keeps_age_finding(role: dict[str, Any]) -> None:
    """Check that the finding remains if a wide statement allows the workload, because it does not show an earlier teardown."""
    aws = FakeAws()
    config = desired(workload(role=role), workload("web", role=role))
    run(aws, config)
    aws.iam.roles["my-role"]["CreateDate"] = NOW
    for item in aws.eks.associations.values():
        item["createdAt"] = item["modifiedAt"] = OLD
    _unmark(aws, "web")
    delete_association(aws)
    assert [finding[:2] for finding in removed(aws, config)] == [("default/app", "NOT_YET_VISIBLE")]


def _unmark(aws: FakeAws, name: str) -> None:
    for item in aws.eks.associations.values():
        if item["serviceAccount"] == name:
            item["tags"] = {}


@pytest.mark.parametrize(
    ("holder", "seen", "doubted"),
    [
        ("other", None, False),
        ("web", "web", False),
        ("my-role", "web", False),
        ("my-role", "my-role", False),
        ("", None, True),
    ],
)
def test_young_policy_of_another_role_has_no_age_finding(
    holder: str, seen: str | None, doubted: bool
) -> None:
    """Tear down a workload whose new policy is attached to the role ``holder``, or to no role.

    my-role has the trust policy of the role ``seen``, or does not exist if ``seen`` is None.
    """
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
    found = find_possibly_unseen(replace(WANTED, workloads=WANTED.workloads[:1]), observed)
    assert bool(found) is doubted


def test_age_explains_a_check_only_if_it_explains_all_errors() -> None:
    stale = Finding(min(STALE), "it is so.", "Apply it.", key(), raised_as="error")
    both = stale, replace(stale, code=min(VERIFIED - STALE))
    checks = (
        Check("version", "fail", findings=(stale,)),
        Check("trust", "fail", findings=both),
        Check("agent", "fail"),
    )
    (found,) = consider_age([Verified(WANTED.workloads[0], checks)], look(made(**YOUNG)))
    assert [check.status for check in found.checks] == ["unknown", "fail", "fail"]
    # A check without findings follows from the error, which no stale read explains.
    checks = (Check("trust", "fail", findings=both[1:]), Check("attachment", "fail"))
    (found,) = consider_age([Verified(WANTED.workloads[0], checks)], look(made(**YOUNG)))
    assert found.checks == checks


@pytest.mark.parametrize(("seconds", "new"), [(-10, True), (0, True), (299, True), (300, False)])
def test_resource_is_new_for_five_minutes(seconds: int, new: bool) -> None:
    created = (NOW - timedelta(seconds=seconds)).isoformat()
    assert (is_new(created, NOW), is_new(created, None), is_new("", NOW)) == (new, False, False)
