# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the access during a migration: with EKS Pod Identity at each stage, and with IRSA after a rollback."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Check
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    ROLE_ANNOTATION,
    IrsaAccount,
    Migrant,
    MigrationOptions,
    PodCredentials,
    record_keys,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.migration import (
    MigrationState,
    ReturnPlan,
    expected_stage,
    find_tool,
    find_unproven,
    make_groups,
    plan_migration,
    plan_return,
    planned_statements,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    role_arn,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.plan.test_migration_plan import (
    AGENT_PODS,
    API,
    ASSOCIATED,
    FINISHED,
    HAS_ASSOCIATION,
    IRSA_PODS,
    KEPT,
    MIGRATED,
    OTHER_HOST,
    POD_IDENTITY,
    ROLE,
    WEB,
    Json,
    account,
    association,
    irsa,
    only,
    provider,
    recorded,
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


# Tests of the plan

NOW = datetime(2026, 3, 10, 10, tzinfo=timezone.utc)
HELD_PODS = PodCredentials(irsa=("p",), held={"p": "Pod shop/p: Recreate it."})
# EKS has created the association within the second of the time of AWS.
NEW_ASSOCIATION = {"associations": (association(created_at="2026-03-10T10:00:00.347+00:00"),)}
MOVING_PODS = PodCredentials(irsa=("p",), owners={"p": "Deployment shop/api"})


@pytest.mark.parametrize(
    ("scene", "options", "stage"),
    [
        (state(account(), roles=(MIGRATED,)), {"step": "inventory"}, "irsa"),
        (state(account(), roles=(MIGRATED,)), {}, "restarted"),
        (state(account(), roles=(MIGRATED,), pods=MOVING_PODS), {"step": "associate"}, "associated"),
        (state(account(), roles=(MIGRATED,), pods=HELD_PODS), {}, "associated"),
        (state(account(), roles=(MIGRATED,), pods=HELD_PODS), {"step": "finish", "soak": 0}, "associated"),
        (state(account(), roles=(role(irsa(WEB)),)), {}, "irsa"),
        (state(account(), roles=(MIGRATED,)), {"step": "finish"}, "restarted"),
        (state(account(), roles=(MIGRATED,)), {"step": "finish", "soak": 0}, "finished"),
        (state(account(), roles=(MIGRATED,), **HAS_ASSOCIATION), {"step": "finish"}, "finished"),
        (state(account(), roles=(MIGRATED,), **NEW_ASSOCIATION), {"step": "finish", "soak": 0}, "finished"),
        (state(account(), roles=(MIGRATED,), **HAS_ASSOCIATION), {"step": "finish", "soak": 25}, "restarted"),
        (state(roles=(FINISHED,), **HAS_ASSOCIATION), {"step": "associate"}, "finished"),
    ],
)
def test_plan_names_the_final_stage_of_a_service_account(
    scene: MigrationState, options: dict[str, Any], stage: str
) -> None:
    migrant = only(plan_migration(scene))
    assert expected_stage(migrant, MigrationOptions(**options), NOW) == stage


def moving(name: str, count: int, **more: Any) -> Migrant:
    """Return a service account with a number of Pods with IRSA, which a restart of one Deployment replaces."""
    pods = tuple(f"{name}-{number}" for number in range(count))
    found = PodCredentials(irsa=pods, owners=dict.fromkeys(pods, f"Deployment shop/{name}"))
    return Migrant(replace(API, service_account=name), ROLE, "irsa", **{"pods": found, **more})


HOLD = Finding(Code.MIGRATION_PODS_HELD, "m", "r", API)
BARE = moving("bare", 1, holds=(HOLD,), pods=PodCredentials(irsa=("x",), held={"x": "Pod shop/x: r"}))
MIXED = moving("mixed", 1, holds=(HOLD,))
IDLE = moving("idle", 0)


@pytest.mark.parametrize(
    ("migrants", "options", "groups"),
    [
        pytest.param([], {}, [], id="nothing"),
        pytest.param([moving("a", 3), moving("b", 1)], {}, ["canary b", "group 1 a"], id="fewest Pods first"),
        pytest.param(
            [BARE, moving("a", 3)], {}, ["canary a"], id="a bare Pod is neither canary nor in a group"
        ),
        pytest.param([MIXED, moving("a", 3)], {}, ["canary a", "group 1 mixed"], id="some Pods move"),
        pytest.param([BARE, IDLE], {}, ["canary idle"], id="canary without Pods"),
        pytest.param([BARE], {}, [], id="nothing to restart"),
        pytest.param([IDLE, moving("a", 1)], {}, ["canary a"], id="without Pods there is nothing to restart"),
        pytest.param(
            [moving(name, 1) for name in "abcde"],
            {"canary": 2, "batch": 2},
            ["canary a b", "group 1 c d", "group 2 e"],
            id="sizes",
        ),
        pytest.param([moving("a", 1)], {"canary": 0}, ["group 1 a"], id="no canary"),
        pytest.param(
            [moving("a", 1, since=ASSOCIATED), IDLE, moving("b", 2, since=ASSOCIATED)],
            {"rollback": True},
            ["interrupted idle", "canary a", "group 1 b"],
            id="rollback: without an association first",
        ),
    ],
)
def test_groups_of_a_run(migrants: list[Migrant], options: dict[str, Any], groups: list[str]) -> None:
    found = make_groups(migrants, MigrationOptions(**options))
    assert [
        " ".join([group.name, *(migrant.key.service_account for migrant in group.migrants)])
        for group in found
    ] == groups


def test_trust_policy_for_another_issuer_is_a_blocker() -> None:
    old = irsa(Principal={"Federated": provider(OTHER_HOST)})
    (found,) = plan_migration(state(account(), roles=(role(old), role(irsa(WEB), name="x")))).migrants
    (blocker,) = found.blockers
    assert blocker.message.startswith(
        f"IRSA gives no access to the role today: the trust policy names {OTHER_HOST}, and the issuer of this cluster is "
        "oidc.eks.us-west-2 with the ID EXAMPLE1. Everyone"
    )


@pytest.mark.parametrize(
    ("found", "hint", "tool"),
    [
        (role(), "", ""),
        (role(), "terraform", "Terraform"),
        (role(), "eksctl", "eksctl"),
        (role(tags={"ManagedBy": "Terraform"}), "", "Terraform"),
        (role(tags={"terraform": "true"}), "eksctl", "Terraform"),
        (replace(role(), arn="arn:aws:iam::111122223333:role/terraform/app"), "", "Terraform"),
        (role(tags={"aws:cloudformation:stack-name": "shop"}), "", "CloudFormation (stack shop)"),
        (
            role(tags={"alpha.eksctl.io/cluster-name": "c", "aws:cloudformation:stack-name": "s"}),
            "",
            "eksctl (stack s)",
        ),
    ],
)
def test_tool_of_a_role(found: ObservedRole, hint: str, tool: str) -> None:
    assert find_tool(found, hint) == tool


def test_role_of_another_tool_is_reported_once_with_its_statement() -> None:
    found = role(irsa(API, WEB), tags={"terraform": "true"})
    scene = state(account(), account(WEB), roles=(found,), owner="my-owner")
    first, second = plan_migration(scene).migrants
    [note] = first.notes
    assert (second.notes, note.code, note.severity) == ((), "MIGRATION_ROLE_MANAGED", "warning")
    assert note.message == (
        "Terraform manages role app. Its next deployment would remove the statement for EKS Pod Identity, so that all Pods lose "
        "the role, and the tags that a rollback needs."
    )
    statements = planned_statements(scene, found, [first, second])
    assert [entry["Condition"]["StringEquals"] for entry in statements] == [
        {
            "aws:SourceAccount": ACCOUNT,
            "aws:RequestTag/eks-cluster-arn": CLUSTER_ARN,
            "aws:RequestTag/kubernetes-namespace": "shop",
            "aws:RequestTag/kubernetes-service-account": ["api", "web"],
        }
    ]
    assert note.remedy == (
        f"Before the step associate, add to the trust policy in its source: {json.dumps(statements)}. Add these tags, or have it "
        f"ignore tags that begin with workload-identity/irsa-: {json.dumps(recorded(API, WEB))}. With the step finish, remove "
        f"from its source: {json.dumps([irsa(API, WEB)])}."
    )


# Tests of rollbacks


def back(*accounts: IrsaAccount, **more: Any) -> ReturnPlan:
    """Return the plan of a rollback of all service accounts."""
    options = MigrationOptions(**{"rollback": True, **more.pop("options", {})})
    scene = state(*accounts, options=options, **more)
    return plan_return(scene, plan_migration(scene).migrants)


def with_record(*statements: Json, removed: Json, **more: Any) -> ObservedRole:
    """Return a role whose record names shop/api, with a removed statement, which was the first."""
    return role(*statements, tags=recorded(API, removed=(removed,)), **more)


WITHOUT = IrsaAccount(API)
ENDS = "So the rollback does not touch the service account."


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (with_record(POD_IDENTITY, removed=irsa(API)), None),
        (MIGRATED, None),
        (
            FINISHED,
            "the trust policy does not name an OIDC provider, and the issuer of this cluster is oidc.eks.us-west-2 with the ID "
            "EXAMPLE1",
        ),
        (
            with_record(POD_IDENTITY, removed=irsa(WEB)),
            "its statement is for sub system:serviceaccount:shop:web",
        ),
        (
            role(irsa(API, condition={"StringEquals": {"aws:PrincipalTag/x": "y"}}), POD_IDENTITY),
            "its statement also has conditions on aws:principaltag/x (y)",
        ),
        (
            role(irsa(API), POD_IDENTITY, {**irsa(API), "Effect": "Deny"}),
            "a Deny statement applies, or the statement has conditions that are not met",
        ),
    ],
    ids=["recorded", "not removed", "no statement", "other statement", "further condition", "Deny"],
)
def test_rollback_needs_a_trust_policy_for_irsa(found: ObservedRole, cause: str | None) -> None:
    plan = back(WITHOUT, roles=(found,), pods=AGENT_PODS, **HAS_ASSOCIATION)
    if cause is None:
        assert (plan.findings, [group.name for group in plan.groups]) == ([], ["canary"])
        return
    [finding] = plan.findings
    assert (finding.code, finding.severity) == ("MIGRATION_NOT_TRUSTED", "error")
    assert finding.message == (
        f"after a rollback, the trust policy of role app would not certainly allow shop/api with IRSA: {cause}. {ENDS}"
    )
    assert (plan.groups, plan.kept) == ([], frozenset())


KEPT_A1 = "the rollback keeps association a-1 of shop/api: "
OTHER = role_arn("other")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"records": False}, "no migration has recorded shop/api in the tags of a role."),
        (
            {
                "associations": (association(arn=OTHER),),
                "roles": (with_record(POD_IDENTITY, removed=irsa(API)),),
            },
            f"it has role {OTHER} meanwhile.",
        ),
        (
            {
                "accounts": {API: account(arn=OTHER)},
                "associations": (association(arn=OTHER),),
                "roles": (with_record(removed=irsa(API)), role(POD_IDENTITY, name="other", tags={"a": "b"})),
            },
            "no migration has recorded shop/api in the tags of a role.",
        ),
        (
            {"associations": (association(target_role_arn=OTHER),)},
            "it has settings that no migration sets, such as a target role.",
        ),
        (
            {"associations": (association(session_policy={"Statement": []}),)},
            "it has settings that no migration sets, such as a target role.",
        ),
    ],
)
def test_rollback_does_not_touch_some_associations(more: dict[str, Any], reason: str) -> None:
    plan = back(account(), **{"roles": (MIGRATED,), "pods": AGENT_PODS, **HAS_ASSOCIATION, **more})
    assert [(finding.code, finding.severity, finding.message) for finding in plan.findings] == [
        ("MIGRATION_OTHER_ASSOCIATION", "warning", f"{KEPT_A1}{reason}")
    ]
    assert (plan.groups, plan.kept) == ([], {API})


@pytest.mark.parametrize("is_named", [False, True])
def test_rollback_needs_movable_pods_or_the_name(is_named: bool) -> None:
    pods, roles = replace(HELD_PODS, irsa=(), agent=("p",)), (with_record(POD_IDENTITY, removed=irsa(API)),)
    options = {"only": ("shop/api",)} if is_named else {}
    plan = back(WITHOUT, roles=roles, pods=pods, options=options, **HAS_ASSOCIATION)
    finding = Finding(
        Code.MIGRATION_PODS_HELD,
        "no restart replaces Pod shop/p of shop/api, so the service account stays behind; the others go on.",
        "Resume the rollouts, or end these Pods, and run the rollback again. Or name shop/api in pod_identity_only: then the "
        "rollback deletes its association, and its owner must recreate these Pods within 6 hours.",
        API,
    )
    assert (plan.findings, len(plan.groups)) == (([], 1) if is_named else ([finding], 0))


def test_deleted_service_account_cannot_get_its_annotation() -> None:
    plan = back(roles=(with_record(POD_IDENTITY, removed=irsa(API)),))
    assert [(finding.code, finding.severity, finding.message) for finding in plan.findings] == [
        (
            "MIGRATION_NO_RECORD",
            "warning",
            "service account shop/api does not exist any more, so the rollback cannot restore its annotation.",
        )
    ]
    assert (len(plan.groups), plan.kept) == (1, frozenset())


def test_role_in_two_records_is_not_certain() -> None:
    first = with_record(POD_IDENTITY, removed=irsa(API))
    plan = back(
        accounts={API: WITHOUT}, roles=(first, with_record(POD_IDENTITY, removed=irsa(API), name="second"))
    )
    [finding] = plan.findings
    assert finding.message == (
        "it is not certain with which role shop/api used IRSA: several roles have a record of it."
    )
    assert (plan.groups, plan.kept) == ([], frozenset())


def test_damaged_record_is_an_error_with_the_names() -> None:
    [tag] = record_keys(CLUSTER_ARN, recorded(API))
    plan = back(WITHOUT, roles=(role(POD_IDENTITY, tags={tag: "x"}),), pods=AGENT_PODS, **HAS_ASSOCIATION)
    first = plan.findings[0]
    assert (first.code, first.severity, first.workload) == ("MIGRATION_NO_RECORD", "error", API)
    assert first.message == (
        "the rollback cannot restore the IRSA statements and annotations of role app: its record of the migration is damaged or "
        f"incomplete (tags: {tag}). Associations with the role: shop/api."
    )
    assert first.remedy == (
        "Restore the trust policy yourself: the events CreateRole and UpdateAssumeRolePolicy in CloudTrail have its earlier "
        f"versions. Set the annotation {ROLE_ANNOTATION}: {ROLE} of its service accounts, and delete these tags."
    )
    assert (plan.groups, plan.kept) == ([], frozenset())
    assert not back(roles=(role(POD_IDENTITY, tags={tag: "x"}),), options={"only": ("shop/web",)}).findings


def test_annotation_and_statement_in_the_source_of_a_tool_are_named() -> None:
    managed, found = (
        replace(WITHOUT, managers=("Helm release shop",)),
        with_record(POD_IDENTITY, removed=irsa(API)),
    )
    plan = back(managed, roles=(found,), pods=AGENT_PODS, options={"tool": "terraform"}, **HAS_ASSOCIATION)
    assert [(finding.code, finding.remedy) for finding in plan.findings] == [
        ("MIGRATION_MANAGED_ELSEWHERE", f"Add the annotation to its source now: {ROLE_ANNOTATION}: {ROLE}"),
        (
            "MIGRATION_ROLE_MANAGED",
            f"Before the rollback, add to the trust policy in its source: {json.dumps([irsa(API)])}",
        ),
    ]
    assert len(plan.groups) == 1


EDITED = {
    **POD_IDENTITY,
    "Sid": "EksPodIdentity0123456789ab01234567",
    "Condition": {"StringLike": {"a": "b"}},
}


def test_edited_statement_is_kept() -> None:
    found = role(irsa(API), POD_IDENTITY, EDITED, {**EDITED, "Sid": "EksPodIdentityOfMine"})
    plan = back(WITHOUT, roles=(found,), pods=IRSA_PODS, **HAS_ASSOCIATION)
    assert [(finding.code, finding.severity, finding.message) for finding in plan.findings] == [
        (
            "TRUST_STATEMENT_STAYS",
            "warning",
            "the trust policy of role app keeps statements of this collection that someone edited: "
            "EksPodIdentity0123456789ab01234567.",
        )
    ]
    assert (len(plan.groups), plan.kept) == (1, frozenset())


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
