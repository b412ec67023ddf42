# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan the migration of service accounts from IRSA to EKS Pod Identity: their stages, and obstacles to their next step. Pure.

An annotation alone must not lead to an association, because everyone who may edit a service account can set an annotation.
Therefore a service account is migrated only if the trust policy of the role allows it to use the role with IRSA.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.evaluate import ALLOWED, CONDITIONAL, Layer
from ..._policy.evaluation.pods import ASSUME_ROLE, Subject
from ..._policy.language.document import document_statements
from ..._policy.permissions.permissions import (
    NamedPolicy,
    permission_layers,
)
from ..._policy.trust.check import check_chain, check_chain_permissions
from ..._policy.trust.federation import (
    DEFAULT_AUDIENCE,
    FederatedStatement,
    Issuer,
    Removed,
    ServiceAccountName,
    allows_web_identity,
    explain_web_identity,
    federated_statements,
    provider_host,
    with_federation,
    without_federation,
)
from ..._policy.trust.statements import MARKED_SID, TrustGrant, read_grants, trust_policy, writer_of
from ..._policy.trust.trust import check_trust
from ..model.associations import ObservedAssociation
from ..model.checks import ACCEPTED, FAIL, PASS, SKIPPED, UNKNOWN, Check
from ..model.cluster import Cluster
from ..model.errors import listed
from ..model.migration import (
    ROLE_ANNOTATION,
    STAGES,
    STEPS,
    IrsaAccount,
    Migrant,
    MigrationGroup,
    MigrationOptions,
    MigrationStage,
    PodCredentials,
    Record,
    RecordError,
    read_record,
    record_tags,
)
from ..model.names import parse_role_arn
from ..model.observed import Document
from ..model.roles import ObservedRole
from .trust import is_allow, read_principals, trust_subject

_POSSIBLE = (ALLOWED, CONDITIONAL)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class MigrationState:
    """The state that a migration starts from.

    ``issuer`` is the OIDC issuer of the cluster.
    ``accounts`` has the service accounts with IRSA.
    ``associations`` has all associations of the cluster.
    ``configured`` has the ARNs of the roles that the ConfigMap of the webhook gives to service accounts.
    ``roles`` has roles of the account by lower-case name. ``complete`` is true if these are all roles of the account.
    ``documents`` has the documents of managed policies by ARN.
    ``pods`` has the credentials that the Pods of each service account use.
    ``owner`` is the owner of the statements that the migration adds.
    """

    cluster: Cluster
    issuer: Issuer
    accounts: Mapping[WorkloadKey, IrsaAccount]
    associations: Mapping[WorkloadKey, ObservedAssociation]
    roles: Mapping[str, ObservedRole]
    documents: Mapping[str, Document] = field(default_factory=dict)
    complete: bool = True
    configured: Mapping[WorkloadKey, str] = field(default_factory=dict)
    pods: Mapping[WorkloadKey, PodCredentials] = field(default_factory=dict)
    options: MigrationOptions = field(default_factory=MigrationOptions)
    owner: str = ""

    def role(self, arn: str) -> ObservedRole | None:
        """Return the role with this ARN, or None if it is not in ``roles``."""
        parts = parse_role_arn(arn)
        role = self.roles.get(parts.name.lower()) if parts else None
        return role if role is not None and role.arn.lower() == arn.lower() else None


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """All service accounts of the migration, in the order of their names.

    ``finished`` are those that no longer need IRSA: migrated, without the annotation, and without Pods that use IRSA.
    """

    migrants: Sequence[Migrant] = ()
    finished: frozenset[ServiceAccountName] = frozenset()


def plan_migration(state: MigrationState) -> MigrationPlan:
    """Return the service accounts of the migration, with their stages and blockers."""
    index = _make_index(state)
    recorded = {WorkloadKey(state.cluster.name, *name) for name in index.recorded}
    keys = {
        *(key for key, found in state.accounts.items() if found.role_arn or key not in state.associations),
        *state.configured,
        *(key for key in recorded if key in state.associations or state.options.rollback),
        *(key for key, found in state.associations.items() if _is_of_migrated_addon(state, found)),
    }
    migrants = [_migrant(state, key, index) for key in sorted(keys)]
    finished = frozenset(
        migrant.name
        for migrant in migrants
        if migrant.stage == "finished"
        and not state.accounts.get(migrant.key, IrsaAccount(migrant.key)).role_arn
    )
    migrants = [_with_trust(migrant, state, finished) for migrant in migrants]
    return MigrationPlan(_with_tools(state, migrants), finished)


def recorded_accounts(cluster_arn: str, roles: Iterable[ObservedRole]) -> dict[ServiceAccountName, list[str]]:
    """Return the service accounts in the records of roles, each with the ARNs of these roles. Damaged records are left out."""
    found: dict[ServiceAccountName, list[str]] = {}
    for role in roles:
        try:
            names = read_record(cluster_arn, role.tags).accounts
        except RecordError:
            continue
        for name in names:
            found.setdefault(name, []).append(role.arn)
    return found


def expected_stage(migrant: Migrant, options: MigrationOptions, now: datetime) -> MigrationStage:
    """Return the stage that a service account reaches in a run without failures."""
    last: MigrationStage = STAGES[STEPS.index(options.step)]
    if migrant.blockers or migrant.has_reached(options.step):
        return migrant.stage
    if migrant.holds and migrant.stage in ("irsa", "associated"):
        return STAGES[min(STAGES.index("associated"), STAGES.index(last))]
    end = soak_end(migrant, options.soak)
    # An association of this run may be newer than the time of AWS, which has whole seconds.
    waits = options.soak > 0 and (migrant.stage == "irsa" or end is None or end > now)
    return "restarted" if last == "finished" and waits else last


def soak_end(migrant: Migrant, hours: int) -> datetime | None:
    """Return the time from which IRSA of a service account may be removed, or None if the age of its association is unknown.

    :arg hours: the minimum age of the association.
    """
    try:
        return datetime.fromisoformat(migrant.since.replace("Z", "+00:00")) + timedelta(hours=hours)
    except ValueError:
        return None


def make_groups(migrants: Sequence[Migrant], options: MigrationOptions) -> list[MigrationGroup]:
    """Return the groups of a run, in their order. The canary has the service accounts with the fewest Pods to replace.

    A restart must replace all of these Pods. If there is no such service account, the canary has service accounts without Pods.
    In a rollback, service accounts without an association come first, because their Pods get no new credentials.
    """
    back = options.rollback
    lost = [migrant for migrant in migrants if back and not migrant.since]
    pods = {
        migrant.key: migrant.pods.agent if back else migrant.pods.remaining
        for migrant in migrants
        if migrant not in lost
    }
    whole = [migrant for migrant in migrants if migrant.key in pods and not migrant.holds]
    ordered = sorted(whole, key=lambda migrant: (not pods[migrant.key], len(pods[migrant.key]), migrant.key))
    canary = {migrant.key for migrant in ordered[: options.canary]}
    rest = [
        migrant
        for migrant in migrants
        if migrant.key in pods
        and migrant.key not in canary
        and (back or migrant.pods.restarts(pods[migrant.key]))
    ]
    parts = [rest[start : start + options.batch] for start in range(0, len(rest), options.batch)]
    groups = [
        MigrationGroup("interrupted", tuple(lost)),
        MigrationGroup("canary", tuple(m for m in migrants if m.key in canary)),
        *(MigrationGroup(f"group {number}", tuple(part)) for number, part in enumerate(parts, 1)),
    ]
    return [group for group in groups if group.migrants]


@dataclass(frozen=True, slots=True)
class _Index:
    """Indexes of the roles of the account.

    ``accounts`` has the roles whose trust policies allow a service account of the cluster with IRSA, by the service account.
    ``targets`` has the roles whose trust policies name a principal, by the principal. ``recorded`` is the result of
    ``recorded_accounts``.
    """

    accounts: dict[ServiceAccountName, list[ObservedRole]] = field(default_factory=dict)
    targets: dict[str, list[ObservedRole]] = field(default_factory=dict)
    recorded: Mapping[ServiceAccountName, Sequence[str]] = field(default_factory=dict)


def account_name(key: WorkloadKey) -> ServiceAccountName:
    return key.namespace, key.service_account


def with_findings(migrant: Migrant, findings: Sequence[Finding]) -> Migrant:
    """Return the service account with further findings: errors as blockers, which prevent its next step, and others as notes.

    :arg findings: findings about Pods. Findings about other service accounts are ignored.
    """
    concerned = [finding for finding in findings if finding.workload == migrant.key]
    errors = [finding for finding in concerned if finding.severity == "error"]
    notes = [finding for finding in concerned if finding.severity != "error"]
    return replace(migrant, blockers=(*migrant.blockers, *errors), notes=(*migrant.notes, *notes))


def find_unproven(key: WorkloadKey, checks: Sequence[Check]) -> list[Finding]:
    """Return the reasons why a run has not proven that new Pods of a service account get the credentials of its role.

    The list is empty if "injection" is among the checks, and if each of the checks "injection" and "proof" has passed, is
    accepted or was skipped.

    :arg checks: all checks of the run for the service account.
    """
    proofs = [check for check in checks if check.name in ("injection", "proof")]
    reason = "the runtime proof has no result"
    open_checks = [check for check in proofs if check.status not in (PASS, ACCEPTED, SKIPPED)]
    if all(check.name != "injection" for check in proofs):
        # A run does not test the injection for a service account with failed or unknown checks in AWS.
        reason = "no dry run tested the injection"
        open_checks = [check for check in checks if check.status in (FAIL, UNKNOWN) and check.name != "pods"]
    elif not open_checks:
        return []
    return [finding for check in open_checks for finding in check.findings] or [
        Finding(
            Code.INJECTION_UNKNOWN,
            f"it is not known whether new Pods of {key} get the credentials of the role: {reason}.",
            f"Check that the service account exists (kubectl get serviceaccount {key.service_account} -n {key.namespace}), "
            "then run again.",
            key,
        )
    ]


def _is_of_migrated_addon(state: MigrationState, association: ObservedAssociation) -> bool:
    """Return whether an association belongs to an add-on, and the role still has an IRSA statement for the service account."""
    role = state.role(association.role_arn)
    if not association.addon or role is None:
        return False
    name = account_name(association.key)
    return any(name in (entry.accounts or ()) for entry in federated_statements(role.trust, state.issuer))


def _migrant(state: MigrationState, key: WorkloadKey, index: _Index) -> Migrant:
    account = state.accounts.get(key, IrsaAccount(key))
    association = state.associations.get(key)
    recorded = index.recorded.get(account_name(key), ())
    role_arn = account.role_arn or state.configured.get(key, "")
    if not role_arn and association is not None:
        listed_arns = [arn for arn in recorded if arn.lower() == association.role_arn.lower()]
        role_arn = association.role_arn if association.addon or listed_arns else ""
    if not role_arn and len(recorded) == 1:
        role_arn = recorded[0]
    role = state.role(role_arn)
    role_arn = role.arn if role is not None else role_arn
    pods = state.pods.get(key, PodCredentials())
    stage: MigrationStage = "irsa"
    trusted = "yes"
    if association is not None and role_arn and association.role_arn.lower() == role_arn.lower():
        subject = trust_subject(state.cluster, key, role_arn, association.disable_session_tags)
        trusted = check_trust(role.trust, subject).usable if role is not None else "yes"
        if trusted != "no" or not account.role_arn:
            stage = "associated" if pods.remaining else "restarted" if account.role_arn else "finished"
    elif association is None and recorded and not account.role_arn and key in state.accounts:
        stage, trusted = "finished", "no"
    disable = association.disable_session_tags if association is not None else False
    notes = [*_account_notes(state, account, pods), *_other_roles(index, key, role_arn)]
    if association is None and (pods.agent or stage == "finished"):
        notes.append(_without_association(key, pods, role_arn))
    elif trusted != "yes" and role is not None:
        notes.append(_access_finding(key, role, trusted))
    if stage == "irsa" and role is not None and (tags_off := _session_tags_off(state, index, key, role)):
        disable = True
        notes.append(tags_off)
    blockers = list(_blockers(state, account, role_arn, role, stage, pods)) if stage != "finished" else []
    moving = pods.agent if state.options.rollback else pods.remaining
    return Migrant(
        key,
        role_arn,
        stage,
        account.audience,
        association.created_at if association is not None else "",
        disable,
        tuple(blockers),
        tuple(notes),
        tuple(_held(key, hold) for hold in pods.holds(moving)),
        pods,
        trusted == "no",
        bool(recorded) and role_arn in ("", *recorded),
    )


def _held(key: WorkloadKey, hold: str) -> Finding:
    name, _colon, remedy = hold.partition(": ")
    return Finding(
        Code.MIGRATION_PODS_HELD,
        f"no restart replaces {name} of {key}, so the service account stays behind; the others go on.",
        remedy,
        key,
    )


def _access_finding(key: WorkloadKey, role: ObservedRole, trusted: str) -> Finding:
    remedy = (
        f"Apply the service account as a workload with role: {{arn: {role.arn}, extend_trust: true}}, which adds a statement to "
        "the trust policy. Or correct the trust policy yourself."
    )
    if trusted == "no":
        text = f"the trust policy of role {role.name} does not allow {key} with EKS Pod Identity, so its Pods get no credentials."
        return Finding(Code.TRUST_NOT_USABLE, text, remedy, key)
    text = f"the trust policy of role {role.name} allows {key} with EKS Pod Identity only under further conditions."
    return Finding(Code.TRUST_CONDITIONAL, text, remedy, key)


def _without_association(key: WorkloadKey, pods: PodCredentials, role_arn: str) -> Finding:
    text = f"Pods {listed(pods.agent, _SHOWN)} of {key} use" if pods.agent else f"a migration moved {key} to"
    return Finding(
        Code.ASSOCIATION_MISSING,
        f"{text} EKS Pod Identity, but there is no association, so EKS refuses new credentials.",
        f"Run the rollback, which restores IRSA. Or apply {key} as a workload with role: {{arn: {role_arn}, extend_trust: "
        "true}.",
        key,
    )


@dataclass(frozen=True, slots=True)
class ReturnPlan:
    """The plan of a rollback.

    ``groups`` return to IRSA, one after the other. ``kept`` are service accounts with an association that the rollback does not
    touch. ``findings`` has the reasons why a service account does not return.
    """

    groups: Sequence[MigrationGroup] = ()
    findings: Sequence[Finding] = ()
    kept: frozenset[WorkloadKey] = frozenset()


def plan_return(state: MigrationState, migrants: Sequence[Migrant]) -> ReturnPlan:
    """Return the plan of a rollback for the selected service accounts."""
    ready, findings = list[Migrant](), [*_damaged_records(state), *_edited_statements(state, migrants)]
    for migrant in migrants:
        if migrant.key not in state.associations and not migrant.is_recorded:
            continue
        reasons = _why_not_back(state, migrant)
        findings += reasons or _back_notes(state, migrant)
        ready += [] if reasons else [migrant]
    kept = frozenset(
        finding.workload
        for finding in findings
        if finding.code != Code.TRUST_STATEMENT_STAYS
        and finding.workload is not None
        and finding.severity == "warning"
    )
    left = kept - {migrant.key for migrant in ready}
    return ReturnPlan(make_groups(ready, state.options), findings, left)


def _why_not_back(state: MigrationState, migrant: Migrant) -> list[Finding]:
    """Return the reasons why a rollback does not touch a service account with an association or a record."""
    key, association = migrant.key, state.associations.get(migrant.key)
    if association is not None and not migrant.is_recorded:
        return [_kept(association, f"no migration has recorded {key} in the tags of a role.")]
    if association is not None and association.role_arn.lower() != migrant.role_arn.lower():
        return [_kept(association, f"it has role {association.role_arn} meanwhile.")]
    # A rollback that fails must be able to create the association again.
    if association is not None and (association.target_role_arn or association.session_policy):
        return [_kept(association, "it has settings that no migration sets, such as a target role.")]
    if finding := check_return(state, migrant):
        return [finding]
    named = state.options.names_exactly(key)
    remedy = (
        f"Resume the rollouts, or end these Pods, and run the rollback again. Or name {key} in "
        "pod_identity_only: then the rollback deletes its association, and its owner must recreate these "
        "Pods within 6 hours."
    )
    return [] if named else [replace(hold, remedy=remedy) for hold in migrant.holds]


def _kept(association: ObservedAssociation, reason: str) -> Finding:
    return Finding(
        Code.MIGRATION_OTHER_ASSOCIATION,
        f"the rollback keeps association {association.association_id} of {association.key}: {reason}",
        "Delete the association yourself if the service account must use IRSA again.",
        association.key,
        raised_as="warning",
    )


def check_return(state: MigrationState, migrant: Migrant) -> Finding | None:
    """Return a finding if a service account might have no access after a rollback, because of its role's trust policy."""
    role = state.role(migrant.role_arn)
    if role is None:
        return Finding(
            Code.MIGRATION_NO_RECORD,
            f"it is not certain with which role {migrant.key} used IRSA: several roles have a record of it.",
            f"Set the annotation {ROLE_ANNOTATION} of the service account yourself. Then run the rollback again.",
            migrant.key,
        )
    trust = with_federation(role.trust, read_record(state.cluster.arn, role.tags).removed)
    answer = allows_web_identity(trust, state.issuer, migrant.name, migrant.audience or DEFAULT_AUDIENCE)
    if answer == "yes":
        return None
    cause = explain_web_identity(trust, state.issuer, migrant.name, migrant.audience or DEFAULT_AUDIENCE)
    return Finding(
        Code.MIGRATION_NOT_TRUSTED,
        f"after a rollback, the trust policy of role {role.name} would not certainly allow {migrant.key} with IRSA: {cause}. So "
        "the rollback does not touch the service account.",
        "Correct the IRSA statement of the trust policy, and run the rollback again.",
        migrant.key,
    )


def _back_notes(state: MigrationState, migrant: Migrant) -> Iterator[Finding]:
    """Warn about a service account that returns, but whose annotation another tool would remove again, or that does not exist."""
    account, key = state.accounts.get(migrant.key), migrant.key
    if account is None:
        yield Finding(
            Code.MIGRATION_NO_RECORD,
            f"service account {key} does not exist any more, so the rollback cannot restore its annotation.",
            f"If you create it again, set the annotation {ROLE_ANNOTATION}: {migrant.role_arn}.",
            key,
            raised_as="warning",
        )
    elif account.managers and not account.role_arn:
        yield Finding(
            Code.MIGRATION_MANAGED_ELSEWHERE,
            f"{account.managers[0]} manages service account {key} and may remove the restored annotation again.",
            f"Add the annotation to its source now: {ROLE_ANNOTATION}: {migrant.role_arn}",
            key,
        )
    role = state.role(migrant.role_arn)
    if (
        role is not None
        and (tool := find_tool(role, state.options.tool))
        and (removed := read_record(state.cluster.arn, role.tags).removed)
    ):
        yield Finding(
            Code.MIGRATION_ROLE_MANAGED,
            f"{tool} manages role {role.name}. Its next deployment may remove the restored IRSA statements, so that all Pods "
            "lose the role.",
            "Before the rollback, add to the trust policy in its source: "
            f"{json.dumps([entry.statement for entry in removed])}",
            key,
        )


def _damaged_records(state: MigrationState) -> Iterator[Finding]:
    for role in state.roles.values():
        try:
            read_record(state.cluster.arn, role.tags)
        except RecordError as error:
            keys = [key for key, found in state.associations.items() if found.role_arn == role.arn]
            names = f"Associations with the role: {listed(map(str, keys), _SHOWN) or 'none'}."
            for key in (
                *filter(state.options.selects, keys),
                *([] if keys or state.options.only else [None]),
            ):
                yield Finding(
                    Code.MIGRATION_NO_RECORD,
                    f"the rollback cannot restore the IRSA statements and annotations of role {role.name}: {error}. {names}",
                    "Restore the trust policy yourself: the events CreateRole and UpdateAssumeRolePolicy in CloudTrail have its "
                    f"earlier versions. Set the annotation {ROLE_ANNOTATION}: {role.arn} of its service accounts, and delete "
                    "these tags.",
                    key,
                )


def _edited_statements(state: MigrationState, migrants: Sequence[Migrant]) -> Iterator[Finding]:
    first = {migrant.role_arn: migrant.key for migrant in reversed(migrants) if migrant.is_recorded}
    for arn, key in sorted(first.items()):
        role = state.role(arn)
        _grants, rest = read_grants(role.trust if role is not None else {"Statement": []})
        sids = [str(entry.get("Sid", "")) for entry in rest if isinstance(entry, Mapping)]
        if edited := [sid for sid in sids if MARKED_SID.fullmatch(sid)]:
            yield Finding(
                Code.TRUST_STATEMENT_STAYS,
                f"the trust policy of role {arn.rpartition('/')[2]} keeps statements of this collection that someone edited: "
                f"{listed(edited, _SHOWN)}.",
                "In the trust policy, remove the statements that no workload needs.",
                key,
            )


def _with_trust(migrant: Migrant, state: MigrationState, finished: Collection[ServiceAccountName]) -> Migrant:
    """Return a finished service account with the stage "restarted" if its IRSA statement still exists and can be removed.

    If the statement must be kept, the stage remains "finished", and a note reports the statement.

    :arg finished: all finished service accounts. A statement that allows only these can be removed.
    """
    role, issuer = state.role(migrant.role_arn), state.issuer
    if migrant.stage != "finished" or role is None:
        return migrant
    name = migrant.name
    _document, removed = without_federation(role.trust, issuer, finished)
    indexes = {entry.index for entry in removed}
    statements = federated_statements(role.trust, issuer)
    if any(entry.index in indexes and name in (entry.accounts or ()) for entry in statements):
        return replace(migrant, stage="restarted")
    audience = migrant.audience or DEFAULT_AUDIENCE
    denies = [entry for entry in document_statements(role.trust) if not is_allow(entry)]
    for entry in statements:
        document = {**role.trust, "Statement": [entry.statement, *denies]}
        if allows_web_identity(document, issuer, name, audience) != "no":
            return replace(migrant, notes=(*migrant.notes, _statement_kept(migrant, role, entry, finished)))
    return migrant


def _statement_kept(
    migrant: Migrant,
    role: ObservedRole,
    entry: FederatedStatement,
    finished: Collection[ServiceAccountName],
) -> Finding:
    unfinished = sorted("/".join(name) for name in (entry.accounts or frozenset()) - frozenset(finished))
    if unfinished and entry.exclusive:
        reason = f"it also allows {listed(unfinished, _SHOWN)}"
        remedy = "Migrate these service accounts, too. Then run the step finish again, which removes the statement."
    elif entry.accounts and entry.exclusive:
        reason = "a trust policy needs at least one statement"
        remedy = "Add a statement for EKS Pod Identity to the trust policy, and run the step finish again."
    else:
        reason = "it matches service accounts by a pattern, or allows other principals"
        remedy = (
            "If no other principal needs the statement, remove it. Otherwise edit it, so that it no longer allows the service "
            "account."
        )
    return Finding(
        Code.MIGRATION_STATEMENT_KEPT,
        f"the trust policy of role {role.name} still allows {migrant.key} with IRSA: the statement is kept, because {reason}.",
        remedy,
        migrant.key,
    )


def _blockers(
    state: MigrationState,
    account: IrsaAccount,
    role_arn: str,
    role: ObservedRole | None,
    stage: MigrationStage,
    pods: PodCredentials,
) -> Iterator[Finding]:
    key, cluster = account.key, state.cluster
    if account.is_addon and stage == "irsa":
        yield Finding(
            Code.MIGRATION_ADDON,
            f"service account {key} belongs to an EKS add-on, so only the add-on can own its association.",
            f"Let pods.eks.amazonaws.com assume role {role_arn or 'ARN'}, and set this role in the add-on with the module "
            f"eks_addon_pod_identity. Then run the step finish. To see the add-ons: aws eks list-addons --cluster-name "
            f"{cluster.name}",
            key,
        )
    elif account.is_addon and account.role_arn:
        yield Finding(
            Code.MIGRATION_ADDON,
            f"service account {key} belongs to an add-on, and EKS has not removed its annotation yet.",
            "If the add-on still has a serviceAccountRoleArn, update the add-on without this field (aws eks update-addon). Then "
            "run the step finish again.",
            key,
        )
    if key in state.configured:
        yield Finding(
            Code.MIGRATION_CONFIG_MAP,
            f"service account {key} gets its role from the ConfigMap pod-identity-webhook in namespace kube-system.",
            "Set the role as the annotation eks.amazonaws.com/role-arn of the service account. Remove the entry of the service "
            "account from the ConfigMap. Then run the migration again.",
            key,
        )
    if pods.templates:
        (owner, names), *_more = pods.templates.items()
        yield Finding(
            Code.MIGRATION_OWN_VARIABLES,
            f"the Pod template of {owner} sets {', '.join(names)} itself, so an association would have no effect on its Pods.",
            f"If the service account lacks the annotation {ROLE_ANNOTATION}, set it first. Then remove these variables from the "
            f"Pod template of {owner}. The EKS webhook sets the variables that the Pods need.",
            key,
        )
    if not role_arn:
        return
    parts = parse_role_arn(role_arn)
    if parts is not None and parts.account_id != cluster.account_id:
        yield Finding(
            Code.MIGRATION_ROLE_NOT_USABLE,
            f"role {role_arn} is in account {parts.account_id}, and an association needs a role of account {cluster.account_id}.",
            f"Create a role in account {cluster.account_id} that may use sts:AssumeRole and sts:TagSession on {role_arn}. Allow "
            f"the new role both actions in the trust policy of {role_arn}. List the service account as a workload with the new "
            f"role and target_role_arn: {role_arn} (docs/accounts.md#target-roles). Restart its Pods, then remove the "
            "annotation.",
            key,
        )
        return
    if role is None:
        yield Finding(
            Code.MIGRATION_ROLE_NOT_USABLE,
            f"role {role_arn} does not exist in account {cluster.account_id}, so {key} cannot use it.",
            "Correct the annotation, or remove it: kubectl annotate serviceaccount "
            f"{key.service_account} {ROLE_ANNOTATION}- -n {key.namespace}"
            if account.role_arn
            else "Create the role, or give the service account another one.",
            key,
        )
        return
    association = state.associations.get(key)
    if association is not None and association.role_arn.lower() != role_arn.lower():
        yield Finding(
            Code.MIGRATION_OTHER_ASSOCIATION,
            f"association {association.association_id} gives {key} role {association.role_arn}, but the IRSA role of {key} "
            f"is {role_arn}. New Pods get the role of the association.",
            "Decide which role is right: correct the annotation, or the association.",
            key,
        )
    if pods.on_host_network and not state.options.names_exactly(key):
        yield Finding(
            Code.MIGRATION_HOST_NETWORK,
            f"Pods {listed(pods.on_host_network, _SHOWN)} of {key} use the network of the node (hostNetwork). Users have "
            "reported that EKS refuses credentials to such Pods.",
            f"To migrate it nevertheless, name it: pod_identity_only={key}. Then check in the log of its "
            "Pods that they get credentials.",
            key,
        )
    yield from _subject_conditions(state, key, role)
    statements = federated_statements(role.trust, state.issuer)
    removed = tuple(Removed(entry.index, entry.statement) for entry in statements)
    try:
        record_tags(state.cluster.arn, Record(frozenset((account_name(key),)), removed), role.tags)
    except RecordError as error:
        yield Finding(
            Code.MIGRATION_NO_RECORD,
            f"a migration of {key} could not be recorded for a rollback: {error}.",
            f"Remove unused tags of role {role.name}.",
            key,
        )
    audience = account.audience or DEFAULT_AUDIENCE
    answer = allows_web_identity(role.trust, state.issuer, account_name(key), audience)
    if stage == "irsa" and answer != "yes":
        # The message does not name the service account, so that the report shows a cause once with all its service accounts.
        yield Finding(
            Code.MIGRATION_NOT_TRUSTED,
            _DISTRUST[answer].format(
                cause=explain_web_identity(role.trust, state.issuer, account_name(key), audience)
            ),
            "If the service account must have the role, correct the trust policy and run again. Or apply it as a workload with "
            "role: {arn: ARN, extend_trust: true}, which adds a statement for EKS Pod Identity.",
            key,
        )


_DISTRUST = {
    "conditional": "IRSA gives the role only under conditions that a statement for EKS Pod Identity would not have: {cause}.",
    "no": "IRSA gives no access to the role today: {cause}. Everyone who may edit a service account can set its annotation, so "
    "the annotation does not prove that the service account may have the role.",
}


def _with_tools(state: MigrationState, migrants: Sequence[Migrant]) -> list[Migrant]:
    """Warn about roles that another tool manages, because its next deployment would undo the changes of the migration."""
    users: dict[str, list[Migrant]] = {}
    for migrant in migrants:
        if not migrant.blockers and migrant.stage != "finished":
            users.setdefault(migrant.role_arn, []).append(migrant)
    notes = {
        concerned[0].key: _managed_role(state, role, tool, concerned)
        for arn, concerned in users.items()
        if (role := state.role(arn)) is not None and (tool := find_tool(role, state.options.tool))
    }
    return [
        replace(migrant, notes=(*migrant.notes, notes[migrant.key])) if migrant.key in notes else migrant
        for migrant in migrants
    ]


# A word in the path or in a tag of a role, and the tool that it shows. An earlier row wins.
_TOOLS = (
    ("eksctl", "eksctl"),
    ("aws:cloudformation:stack-name", "CloudFormation"),
    ("terraform", "Terraform"),
    ("pulumi", "Pulumi"),
    ("crossplane", "Crossplane"),
)
_TOOL_NAMES = {"cloudformation": "CloudFormation", "terraform": "Terraform"}


def find_tool(role: ObservedRole, hint: str) -> str:
    """Return the tool that manages a role, by its path and tags, or else by the hint of the user; "" for no tool."""
    marks = [role.arn.rpartition("/")[0], *(f"{name}={value}" for name, value in role.tags.items())]
    text = "\n".join(marks).lower()
    found = next((name for word, name in _TOOLS if word in text), _TOOL_NAMES.get(hint, hint))
    stack = role.tags.get("aws:cloudformation:stack-name", "")
    return f"{found} (stack {stack})" if found and stack else found


def _managed_role(
    state: MigrationState, role: ObservedRole, tool: str, migrants: Sequence[Migrant]
) -> Finding:
    statements = planned_statements(state, role, migrants)
    names = frozenset(migrant.name for migrant in migrants)
    try:
        record = read_record(state.cluster.arn, role.tags)
        tags = record_tags(state.cluster.arn, replace(record, accounts=record.accounts | names), role.tags)
    except RecordError:
        tags = {}
    extended = {**role.trust, "Statement": [*document_statements(role.trust), *statements]}
    _document, removed = without_federation(extended, state.issuer, names)
    obsolete = json.dumps([entry.statement for entry in removed])
    return Finding(
        Code.MIGRATION_ROLE_MANAGED,
        f"{tool} manages role {role.name}. Its next deployment would remove the statement for EKS Pod Identity, so that all Pods "
        "lose the role, and the tags that a rollback needs.",
        f"Before the step associate, add to the trust policy in its source: {json.dumps(statements)}. Add these tags, or have it "
        f"ignore tags that begin with workload-identity/irsa-: {json.dumps(tags)}."
        + (f" With the step finish, remove from its source: {obsolete}." if removed else ""),
        migrants[0].key,
    )


def planned_statements(
    state: MigrationState, role: ObservedRole, migrants: Sequence[Migrant]
) -> list[object]:
    """Return the statements for EKS Pod Identity that the trust policy of a role will have."""
    cluster = state.cluster
    present, _rest = read_grants(role.trust)
    added = {
        TrustGrant(cluster.account_id, writer=writer_of(state.owner))
        if migrant.disable_session_tags
        else TrustGrant(cluster.account_id, cluster.arn, *migrant.name, writer_of(state.owner, cluster.arn))
        for migrant in migrants
    }
    return list(document_statements(trust_policy(present | added)))


def _subject_conditions(state: MigrationState, key: WorkloadKey, role: ObservedRole) -> Iterator[Finding]:
    """Find permissions policies with conditions on the claims of the token, which EKS Pod Identity does not have."""
    hosts = [
        provider_host(arn).lower() for arn in _providers(role.trust) if state.issuer.matches_provider(arn)
    ]
    names = [
        name
        for name, document in _permission_documents(state, role)
        if any(f"{host}:" in json.dumps(document).lower() for host in hosts)
    ]
    if names:
        yield Finding(
            Code.MIGRATION_NEEDS_CLAIMS,
            f"policies of role {role.name} have conditions on claims of the OIDC token ({hosts[0]}:sub or :aud): "
            f"{listed(names, _SHOWN)}. Requests with EKS Pod Identity do not have these claims.",
            "Keep these policies, because IRSA needs them. Apply the service account as a workload with another role, whose "
            "policies use session tags, such as aws:PrincipalTag/kubernetes-namespace. Restart its Pods, then remove the "
            "annotation.",
            key,
        )


def _other_roles(index: _Index, key: WorkloadKey, role_arn: str) -> Iterator[Finding]:
    """Find further roles that the Pods of a service account may assume with IRSA."""
    names = sorted(
        role.name
        for role in index.accounts.get(account_name(key), ())
        if role.arn.lower() != role_arn.lower()
    )
    if names:
        yield Finding(
            Code.MIGRATION_OTHER_ROLES,
            f"{key} can also assume {listed(names, _SHOWN)} with IRSA. Pods that assume such a role with their token file lose "
            "the file, because EKS Pod Identity gives them another token.",
            "Let these Pods assume such a role with the credentials of their own role, or leave the service account out of "
            "the migration.",
            key,
        )


def _make_index(state: MigrationState) -> _Index:
    index = _Index(recorded=recorded_accounts(state.cluster.arn, state.roles.values()))
    for role in state.roles.values():
        entries = federated_statements(role.trust, state.issuer)
        for name in {name for entry in entries for name in entry.accounts or ()}:
            index.accounts.setdefault(name, []).append(role)
        for entry in document_statements(role.trust):
            for principal in read_principals(entry) if isinstance(entry, Mapping) else ():
                index.targets.setdefault(principal, []).append(role)
    return index


def _providers(trust: Document) -> list[str]:
    return [
        str(arn)
        for statement in document_statements(trust)
        if isinstance(statement, Mapping)
        for arn in read_principals(statement)
        if ":oidc-provider/" in str(arn)
    ]


def _permission_documents(state: MigrationState, role: ObservedRole) -> list[tuple[str, Document]]:
    attached = [(arn, state.documents[arn]) for arn in role.attached if arn in state.documents]
    return [*attached, *(role.inline_documents or {}).items()]


def _session_tags_off(
    state: MigrationState, index: _Index, key: WorkloadKey, role: ObservedRole
) -> Finding | None:
    """Return a finding if Pods may assume further roles that may refuse session tags.

    IRSA sends no session tags. Those of EKS are transitive, so each further role must allow sts:TagSession.
    """
    unread = [
        arn for arn in (*role.attached, role.permissions_boundary) if arn and arn not in state.documents
    ]
    if not state.complete or unread:
        policies = f"policies of role {role.name}"
        unread_text = (
            f"{policies} could not be read ({listed(unread, _SHOWN)})"
            if state.complete
            else f"the {policies} could not be read"
        )
        reason = f"{unread_text}, so it is not known whether Pods of {key} assume further roles"
        return _tags_off(
            key,
            reason,
            "Allow the caller iam:GetAccountAuthorizationDetails, iam:GetPolicy and iam:GetPolicyVersion.",
        )
    documents = _permission_documents(state, role)
    named = {value for _name, document in documents for value in _assumed_roles(document)}
    account_id = state.cluster.account_id
    candidates = {target.arn: target for name in (role.arn, "*") for target in index.targets.get(name, ())}
    if named:
        everyone = (account_id, f"arn:{state.cluster.partition}:iam::{account_id}:root")
        candidates |= {target.arn: target for name in everyone for target in index.targets.get(name, ())}
    targets = [target for target in candidates.values() if target.arn != role.arn]
    layers = _permission_layers(state, role) if targets else ()
    subject = trust_subject(state.cluster, key, role.arn, disabled=False)
    refusing = sorted(target.arn for target in targets if not _accepts_tags(layers, subject, role, target))
    foreign = sorted(value for value in named if _is_foreign(value, account_id))
    remedy = (
        "Allow sts:TagSession in the trust policies of the further roles. After the migration, set disable_session_tags: "
        "false."
    )
    if refusing or foreign:
        names = listed(refusing or foreign, _SHOWN)
        reason = f"role {role.name} may assume {names}, which may refuse session tags (sts:TagSession)"
        return _tags_off(key, reason, remedy)
    return None


def _permission_layers(state: MigrationState, role: ObservedRole) -> Sequence[Layer]:
    boundary = role.permissions_boundary
    limit = NamedPolicy(boundary, state.documents[boundary]) if boundary else None
    return permission_layers(
        [NamedPolicy(name, document) for name, document in _permission_documents(state, role)], limit
    )


def _accepts_tags(
    layers: Sequence[Layer], subject: Subject, role: ObservedRole, target: ObservedRole
) -> bool:
    """Return whether a role can assume another role with session tags, or cannot assume it at all.

    :arg layers: the policies of the role, compiled.
    """
    usable = check_chain(target.trust, subject, target_role_arn=target.arn)
    assume, tag = check_chain_permissions(layers, subject, target.arn, target.trust, role_tags=role.tags)
    # To be on the safe side, a conditional permission counts for sts:AssumeRole, but not for sts:TagSession.
    may_assume = usable.assume_role in _POSSIBLE and assume.decision in _POSSIBLE
    may_tag = usable.tag_session == ALLOWED and tag.decision == ALLOWED
    return may_tag or not may_assume


def _tags_off(key: WorkloadKey, reason: str, remedy: str) -> Finding:
    return Finding(
        Code.MIGRATION_SESSION_TAGS_OFF,
        f"{reason}. IRSA sends no session tags, so the association of {key} gets disable_session_tags: true. Without session "
        "tags, the trust policy cannot distinguish the workloads of the account.",
        remedy,
        key,
    )


def _is_foreign(resource: str, account_id: str) -> bool:
    parts = resource.split(":")
    return len(parts) > 4 and parts[4] not in (account_id, "*", "")


def _assumed_roles(document: Document) -> Iterator[str]:
    """Yield the resources of Allow statements that include sts:AssumeRole; "*" for a statement with NotResource."""
    for statement in document_statements(document):
        if not isinstance(statement, Mapping) or statement.get("Effect") != "Allow":
            continue
        included = _includes_assume_role(statement.get("Action", []))
        if "NotAction" in statement:
            included = not _includes_assume_role(statement["NotAction"])
        if included:
            resources = statement.get("Resource", "*")
            yield from map(str, resources if isinstance(resources, list) else [resources])


def _includes_assume_role(actions: object) -> bool:
    names = actions if isinstance(actions, list) else [actions]
    return any(fnmatchcase(ASSUME_ROLE.lower(), str(name).lower()) for name in names)


def _account_notes(state: MigrationState, account: IrsaAccount, pods: PodCredentials) -> Iterator[Finding]:
    key = account.key
    if account.managers and account.role_arn:
        manager = account.managers[0]
        kept = {
            name: value
            for name, value in account.annotations.items()
            if name != ROLE_ANNOTATION and not name.startswith(_OF_TOOLS)
        }
        yield Finding(
            Code.MIGRATION_MANAGED_ELSEWHERE,
            f"{manager} manages service account {key} and would set the annotation {ROLE_ANNOTATION} again.",
            f"Before the step finish, remove the line {ROLE_ANNOTATION}: {account.role_arn} from its source. The annotations "
            f"there are then: {json.dumps(kept)}",
            key,
        )
    if pods.on_host_network and state.options.names_exactly(key):
        yield Finding(
            Code.MIGRATION_HOST_NETWORK,
            f"Pods {listed(pods.on_host_network, _SHOWN)} of {key} use the network of the node (hostNetwork). Users have "
            "reported that EKS refuses credentials to such Pods.",
            "Check in the log of its Pods that they get credentials.",
            key,
            raised_as="warning",
        )


# Annotations that a tool sets itself.
_OF_TOOLS = ("kubectl.kubernetes.io/", "meta.helm.sh/", "argocd.argoproj.io/")
