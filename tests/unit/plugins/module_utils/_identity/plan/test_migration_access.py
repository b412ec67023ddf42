# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the access during a migration: with EKS Pod Identity at each stage, and with IRSA after a rollback."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Check
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    trust_tags,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.migration import (
    check_rollback,
    find_rollback_remains,
    find_unproven,
    plan_migration,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.federation import Removed
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.plan.test_migration_plan import (
    AGENT_PODS,
    API,
    CLUSTER,
    FINISHED,
    HAS_ASSOCIATION,
    KEPT,
    MIGRATED,
    POD_IDENTITY,
    ROLE,
    WEB,
    Json,
    account,
    association,
    irsa,
    only,
    role,
    state,
)

ACCESS_REMEDY = (
    f"Apply the service account as a workload with role: {{arn: {ROLE}, extend_trust: true}}, which adds a statement to "
    "the trust policy. Or correct the trust policy yourself."
)
NO_ACCESS = (
    "TRUST_NOT_USABLE",
    "the trust policy of role app does not allow shop/api with EKS Pod Identity, so its Pods get no credentials.",
    ACCESS_REMEDY,
)
PERHAPS = (
    "TRUST_CONDITIONAL",
    "the trust policy of role app allows shop/api with EKS Pod Identity only under further conditions.",
    ACCESS_REMEDY,
)
ORGANIZATION = {"StringEquals": {"aws:SourceOrgID": "o-1"}}


@pytest.mark.parametrize(
    ("statements", "annotated", "stage", "expected"),
    [
        ((irsa(API), POD_IDENTITY), True, "restarted", []),
        ((POD_IDENTITY,), False, "finished", []),
        # The statement for EKS Pod Identity is missing, so the next run repeats the step associate.
        ((irsa(API),), True, "irsa", [NO_ACCESS]),
        ((irsa(WEB),), False, "finished", [NO_ACCESS]),
        (({**POD_IDENTITY, "Condition": ORGANIZATION},), False, "finished", [PERHAPS]),
        ((irsa(API), {**POD_IDENTITY, "Condition": ORGANIZATION}), True, "restarted", [PERHAPS]),
        ((irsa(API), POD_IDENTITY, {**POD_IDENTITY, "Effect": "Deny"}), True, "irsa", [NO_ACCESS]),
    ],
)
def test_stage_needs_a_trust_policy_for_pod_identity(
    statements: tuple[Json, ...], annotated: bool, stage: str, expected: list[tuple[str, str, str]]
) -> None:
    accounts = [account()] if annotated else []
    scene = state(*accounts, associations=(association(),), roles=(role(*statements),), pods=AGENT_PODS)
    migrant = only(plan_migration(scene))
    assert (migrant.stage, migrant.lacks_access) == (stage, expected == [NO_ACCESS])
    assert migrant.blockers == ()
    assert [(str(note.code), note.message, note.remedy) for note in migrant.notes] == expected


def test_last_statement_of_a_trust_policy_is_kept() -> None:
    migrant = only(plan_migration(state(roles=(role(irsa(API)),), **HAS_ASSOCIATION)))
    assert [(str(note.code), note.message, note.remedy) for note in migrant.notes] == [
        NO_ACCESS,
        (
            "MIGRATION_STATEMENT_KEPT",
            f"{KEPT}a trust policy needs at least one statement.",
            "Add a statement for EKS Pod Identity to the trust policy, and run the step finish again.",
        ),
    ]


def test_pods_without_an_association_are_an_error() -> None:
    migrant = only(plan_migration(state(account(), roles=(MIGRATED,), pods=AGENT_PODS)))
    (note,) = migrant.notes
    assert (note.code, note.severity, note.message) == (
        "ASSOCIATION_MISSING",
        "error",
        "Pods p of shop/api use EKS Pod Identity, but there is no association, so EKS refuses them new credentials.",
    )
    assert migrant.blockers == ()


# Tests of rollbacks


def with_record(*statements: Json, removed: Json, **tags: str) -> ObservedRole:
    """Return a role whose tags record that a migration has removed the statement ``removed``, which was the first."""
    record = trust_tags(CLUSTER.arn, [Removed(0, removed)], {})
    return role(*statements, tags={**record, **tags})


@pytest.mark.parametrize(
    ("found", "access"),
    [
        (with_record(POD_IDENTITY, removed=irsa(API)), None),
        (MIGRATED, None),
        (FINISHED, "not allow shop/api with IRSA"),
        (with_record(POD_IDENTITY, removed=irsa(WEB)), "not allow shop/api with IRSA"),
        (
            role(irsa(API, condition={"StringEquals": {"aws:PrincipalTag/x": "y"}}), POD_IDENTITY),
            "not allow shop/api with IRSA",
        ),
        (
            role(irsa(API, condition={"StringEquals": {"aws:SourceIp": "10.0.0.1"}}), POD_IDENTITY),
            "allow shop/api with IRSA only under further conditions",
        ),
    ],
    ids=[
        "recorded",
        "not removed",
        "no record",
        "record of another cluster",
        "other condition",
        "further condition",
    ],
)
def test_rollback_needs_a_trust_policy_for_irsa(found: ObservedRole, access: str | None) -> None:
    scene = state(associations=(association(),), roles=(found,), pods=AGENT_PODS)
    finding = check_rollback(scene, only(plan_migration(scene)))
    assert (finding.message if finding else None) == (
        None
        if access is None
        else f"after a rollback, the trust policy of role app would {access}, so the rollback keeps the association of the "
        "service account."
    )


def test_rollback_leaves_a_damaged_record_to_the_restoration() -> None:
    prefix = next(iter(trust_tags(CLUSTER.arn, [Removed(0, irsa(API))], {})))
    scene = state(
        associations=(association(),), roles=(role(POD_IDENTITY, tags={prefix: "x"}),), pods=AGENT_PODS
    )
    migrant = only(plan_migration(scene))
    assert (check_rollback(scene, migrant), find_rollback_remains(scene, [migrant])) == (None, [])


EDITED = {
    **POD_IDENTITY,
    "Sid": "EksPodIdentity0123456789ab01234567",
    "Condition": {"StringLike": {"a": "b"}},
}


@pytest.mark.parametrize(
    ("found", "associations", "expected"),
    [
        (with_record(POD_IDENTITY, removed=irsa(API)), (), []),
        (
            with_record(POD_IDENTITY, removed=irsa(API, WEB)),
            (),
            [
                (
                    "MIGRATION_NO_RECORD",
                    "a migration has removed the IRSA statement for shop/web from the trust policy of role app. The rollback "
                    "does not restore the annotations of shop/web, because the association that recorded them no longer exists.",
                )
            ],
        ),
        (with_record(POD_IDENTITY, removed=irsa(API, WEB)), (association(WEB),), []),
        (
            with_record(POD_IDENTITY, EDITED, removed=irsa(API)),
            (),
            [
                (
                    "TRUST_STATEMENT_STAYS",
                    "the trust policy of role app keeps statements of this collection that someone edited: "
                    "EksPodIdentity0123456789ab01234567.",
                )
            ],
        ),
        (with_record({**EDITED, "Sid": "EksPodIdentityOfMine"}, removed=irsa(API)), (), []),
    ],
    ids=["complete", "lost record", "other association", "edited statement", "statement of the user"],
)
def test_rollback_warns_of_remaining_changes(
    found: ObservedRole, associations: tuple[ObservedAssociation, ...], expected: list[tuple[str, str]]
) -> None:
    scene = state(associations=(association(), *associations), roles=(found,), pods=AGENT_PODS)
    findings = find_rollback_remains(scene, plan_migration(scene).migrants[:1])
    assert [(str(item.code), item.message) for item in findings] == expected
    assert {item.severity for item in findings} <= {"warning"}


NOT_TESTED = Finding(Code.INJECTION_UNKNOWN, "no answer", "r", API)
NO_TRUST = Finding(Code.TRUST_CONDITIONAL, "under conditions", "r", API)
OLD_POD = Finding(Code.POD_BEFORE_ASSOCIATION, "old", "r", API)
NOT_KNOWN = "it is not known whether new Pods of shop/api get the credentials of the role"
NO_DRY_RUN = f"{NOT_KNOWN}: no dry run tested the injection."
NO_RESULT = f"{NOT_KNOWN}: the runtime proof has no result."


@pytest.mark.parametrize(
    ("checks", "messages"),
    [
        pytest.param([Check("injection", "pass")], [], id="probed"),
        pytest.param([Check("injection", "accepted", findings=(NOT_TESTED,))], [], id="finding is ignored"),
        pytest.param(
            [Check("injection", "pass"), Check("pods", "fail", findings=(OLD_POD,))],
            [],
            id="Pods older than the association",
        ),
        pytest.param([Check("injection", "pass"), Check("proof", "pass")], [], id="proven"),
        pytest.param([Check("injection", "pass"), Check("proof", "skipped")], [], id="no proof is possible"),
        pytest.param(
            [Check("injection", "unknown", findings=(NOT_TESTED,))], ["no answer"], id="probe without result"
        ),
        pytest.param([Check("injection", "warning", findings=(NOT_TESTED,))], ["no answer"], id="warning"),
        pytest.param(
            [Check("injection", "pass"), Check("proof", "unknown")], [NO_RESULT], id="unknown proof"
        ),
        pytest.param(
            [Check("trust", "unknown", findings=(NO_TRUST,)), Check("pods", "fail", findings=(OLD_POD,))],
            ["under conditions"],
            id="not probed because of the trust policy",
        ),
        pytest.param([], [NO_DRY_RUN], id="not probed"),
    ],
)
def test_new_pods_must_be_proven(checks: list[Check], messages: list[str]) -> None:
    assert [finding.message for finding in find_unproven(API, checks)] == messages
