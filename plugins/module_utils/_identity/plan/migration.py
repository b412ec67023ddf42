# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan the migration of service accounts from IRSA to EKS Pod Identity: their stages, and obstacles to their next step. Pure.

An annotation alone must not lead to an association, because everyone who may edit a service account can set an annotation.
Therefore a service account is migrated only if the trust policy of the role allows it to use the role with IRSA.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.evaluate import ALLOWED, CONDITIONAL, Layer
from ..._policy.evaluation.request import ASSUME_ROLE, TAG_SESSION, Subject
from ..._policy.language.context import Context
from ..._policy.language.document import document_statements
from ..._policy.permissions.permissions import (
    NamedPolicy,
    Required,
    check_permission,
    permission_layers,
    pod_context,
)
from ..._policy.trust.check import check_chain
from ..._policy.trust.federation import (
    DEFAULT_AUDIENCE,
    FederatedStatement,
    Issuer,
    ServiceAccountName,
    allows_web_identity,
    federated_statements,
    provider_host,
    with_federation,
    without_federation,
)
from ..._policy.trust.statements import MARKED_SID, read_grants
from ..._policy.trust.trust import check_trust, is_usable, prepare_trust
from ..model.associations import ObservedAssociation
from ..model.checks import ACCEPTED, FAIL, PASS, SKIPPED, UNKNOWN, Check
from ..model.cluster import Cluster
from ..model.errors import listed
from ..model.migration import (
    AUDIENCE_ANNOTATION,
    ROLE_ANNOTATION,
    DamagedRecord,
    IrsaAccount,
    Migrant,
    MigrationStage,
    PodCredentials,
    RecordTooLarge,
    annotation_tags,
    grant_tag,
    recorded_annotations,
    recorded_statements,
)
from ..model.names import parse_role_arn
from ..model.observed import Document
from ..model.roles import ObservedRole
from .trust import is_allow, read_principals, trust_subject

_POSSIBLE = (ALLOWED, CONDITIONAL)
# If a role also has this policy, only its permissions boundary and Deny statements limit it.
_EVERYTHING = NamedPolicy(
    "everything",
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
)
_NO_PODS = PodCredentials()
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
    keys = {
        *state.accounts,
        *state.configured,
        *(key for key, found in state.associations.items() if recorded_annotations(found.tags)),
        *(key for key, found in state.associations.items() if _is_of_migrated_addon(state, found)),
    }
    index = _make_index(state)
    migrants = [_migrant(state, key, index) for key in sorted(keys)]
    finished = frozenset(
        account_name(migrant.key)
        for migrant in migrants
        if migrant.stage == "finished" and not _is_annotated(state, migrant.key)
    )
    return MigrationPlan([_with_trust(migrant, state, finished) for migrant in migrants], finished)


@dataclass(frozen=True, slots=True)
class _Index:
    """Two indexes of the roles of the account.

    ``accounts`` has the roles whose trust policies allow a service account of the cluster with IRSA, by the service account.
    ``targets`` has the roles whose trust policies name a principal, by the principal.
    """

    accounts: dict[ServiceAccountName, list[ObservedRole]] = field(default_factory=dict)
    targets: dict[str, list[ObservedRole]] = field(default_factory=dict)


def account_name(key: WorkloadKey) -> ServiceAccountName:
    return key.namespace, key.service_account


def is_half_rolled_back(state: MigrationState, migrant: Migrant) -> bool:
    """Return whether a rollback has deleted the association of a service account, but was interrupted before its last changes.

    The signs are Pods that still use EKS Pod Identity, or the tag with which the role records the migration's trust statement.
    """
    if migrant.stage != "irsa" or migrant.key in state.associations:
        return False
    cluster, role = state.cluster, state.role(migrant.role_arn)
    if role is None:
        return False
    return bool(migrant.pods.agent) or grant_tag(cluster.arn) in role.tags


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


def _is_annotated(state: MigrationState, key: WorkloadKey) -> bool:
    account = state.accounts.get(key)
    return account is not None and bool(account.role_arn)


def _migrant(state: MigrationState, key: WorkloadKey, index: _Index) -> Migrant:
    account = state.accounts.get(key, IrsaAccount(key))
    association = state.associations.get(key)
    recorded = recorded_annotations(association.tags) if association is not None else {}
    annotations = dict(account.annotations) if account.role_arn else recorded
    role_arn = annotations.get(ROLE_ANNOTATION) or state.configured.get(key, "")
    if not role_arn and association is not None and association.addon:
        role_arn = association.role_arn
    pods = state.pods.get(key, _NO_PODS)
    stage: MigrationStage = "irsa"
    role = state.role(role_arn)
    trusted = "yes"
    if association is not None and role_arn and association.role_arn.lower() == role_arn.lower():
        trusted = _usability(state.cluster, association, role) if role is not None else "yes"
        if trusted != "no" or not account.role_arn:
            stage = "associated" if pods.remaining else "restarted" if account.role_arn else "finished"
    role_arn = role.arn if role is not None else role_arn
    disable = association.disable_session_tags if association is not None else False
    notes = [*_notes(account, pods), *_other_roles(index, key, role_arn)]
    if association is None and pods.agent:
        notes.append(_without_association(key, pods))
    if trusted != "yes" and role is not None:
        notes.append(_access_finding(key, role, trusted))
    if stage == "irsa" and role is not None and (tags_off := _session_tags_off(state, index, key, role)):
        disable = True
        notes.append(tags_off)
    blockers = list(_blockers(state, account, role_arn, role, stage, pods)) if stage != "finished" else []
    return Migrant(
        key,
        role_arn,
        stage,
        annotations,
        association.created_at if association is not None and stage != "irsa" else "",
        disable,
        tuple(blockers),
        tuple(notes),
        pods,
        trusted == "no",
    )


def _usability(cluster: Cluster, association: ObservedAssociation, role: ObservedRole) -> str:
    """Return whether the trust policy of the role allows the workload of the association: "yes", "no" or "conditional"."""
    subject = trust_subject(cluster, association.key, role.arn, association.disable_session_tags)
    trust = prepare_trust(role.trust)
    return "yes" if is_usable(trust, subject) else check_trust(trust, subject).usable


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


def _without_association(key: WorkloadKey, pods: PodCredentials) -> Finding:
    return Finding(
        Code.ASSOCIATION_MISSING,
        f"Pods {listed(pods.agent, _SHOWN)} of {key} use EKS Pod Identity, but there is no association, so EKS refuses them "
        "new credentials.",
        "Run the step restart, which creates the association, or the rollback, which restarts the Pods.",
        key,
    )


def check_rollback(state: MigrationState, migrant: Migrant) -> Finding | None:
    """Return a finding if a service account might have no access after a rollback, because of its role's trust policy."""
    role = state.role(migrant.role_arn)
    if role is None:
        return None
    try:
        trust = with_federation(role.trust, recorded_statements(state.cluster.arn, role.tags))
    except DamagedRecord:
        # ``TrustEditor.restore``, which the rollback calls next, reports the damaged tags.
        return None
    audience = migrant.annotations.get(AUDIENCE_ANNOTATION) or DEFAULT_AUDIENCE
    answer = allows_web_identity(trust, state.issuer, account_name(migrant.key), audience)
    if answer == "yes":
        return None
    access = (
        f"not allow {migrant.key} with IRSA"
        if answer == "no"
        else f"allow {migrant.key} with IRSA only under further conditions"
    )
    return Finding(
        Code.MIGRATION_NOT_TRUSTED,
        f"after a rollback, the trust policy of role {role.name} would {access}, so the rollback keeps the association of "
        "the service account.",
        "Correct the IRSA statement of the trust policy, and run the rollback again.",
        migrant.key,
    )


def find_rollback_remains(state: MigrationState, migrants: Iterable[Migrant]) -> list[Finding]:
    """Return warnings about annotations that a rollback does not restore, and statements that it does not remove.

    It does not restore annotations if the association that recorded them is missing, nor remove statements of this collection
    that someone edited.
    """
    first: dict[str, WorkloadKey] = {}
    for migrant in migrants:
        first.setdefault(migrant.role_arn, migrant.key)
    findings = []
    for arn, key in sorted(first.items()):
        role = state.role(arn)
        if role is not None:
            findings += [*_lost_records(state, role), *_edited_statements(role, key)]
    return findings


def _lost_records(state: MigrationState, role: ObservedRole) -> Iterator[Finding]:
    try:
        removed = recorded_statements(state.cluster.arn, role.tags)
    except DamagedRecord:
        return
    trust = {"Statement": [entry.statement for entry in removed]}
    entries = federated_statements(trust, state.issuer)
    present = {account_name(key) for key in (*state.associations, *state.accounts)}
    for namespace, name in sorted({name for entry in entries for name in entry.accounts or ()} - present):
        key = WorkloadKey(state.cluster.name, namespace, name)
        yield Finding(
            Code.MIGRATION_NO_RECORD,
            f"a migration has removed the IRSA statement for {key} from the trust policy of role {role.name}. The rollback does "
            f"not restore the annotations of {key}, because the association that recorded them no longer exists.",
            f"If the service account must use IRSA: kubectl annotate serviceaccount {name} {ROLE_ANNOTATION}={role.arn} "
            f"-n {namespace}",
            key,
            raised_as="warning",
        )


def _edited_statements(role: ObservedRole, key: WorkloadKey) -> Iterator[Finding]:
    _grants, rest = read_grants(role.trust)
    sids = [str(entry.get("Sid", "")) for entry in rest if isinstance(entry, Mapping)]
    if edited := [sid for sid in sids if MARKED_SID.fullmatch(sid)]:
        yield Finding(
            Code.TRUST_STATEMENT_STAYS,
            f"the trust policy of role {role.name} keeps statements of this collection that someone edited: "
            f"{listed(edited, _SHOWN)}.",
            "In the trust policy, remove the statements that no workload needs.",
            key,
            raised_as="warning",
        )


def _with_trust(migrant: Migrant, state: MigrationState, finished: Collection[ServiceAccountName]) -> Migrant:
    """Return a finished service account with the stage "restarted" if its IRSA statement still exists and can be removed.

    If the statement must be kept, the stage remains "finished", and a note reports the statement.

    :arg finished: all finished service accounts. A statement that allows only these can be removed.
    """
    role, issuer = state.role(migrant.role_arn), state.issuer
    if migrant.stage != "finished" or role is None:
        return migrant
    name = account_name(migrant.key)
    _document, removed = without_federation(role.trust, issuer, finished)
    indexes = {entry.index for entry in removed}
    statements = federated_statements(role.trust, issuer)
    if any(entry.index in indexes and name in (entry.accounts or ()) for entry in statements):
        return replace(migrant, stage="restarted")
    audience = migrant.annotations.get(AUDIENCE_ANNOTATION) or DEFAULT_AUDIENCE
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
            f"Remove these variables from the Pod template of {owner}. The EKS webhook sets the variables that the Pods need.",
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
    if stage == "irsa":
        yield from _distrust(state, account, role)
    yield from _subject_conditions(state, key, role)
    try:
        annotation_tags(account.annotations)
    except RecordTooLarge as error:
        yield Finding(
            Code.MIGRATION_NO_RECORD,
            f"the annotations of {key} cannot be recorded for a rollback: {error}.",
            "Use a role with a shorter path, or remove the annotation and the IRSA statement yourself after the step restart.",
            key,
        )


def _distrust(state: MigrationState, account: IrsaAccount, role: ObservedRole) -> Iterator[Finding]:
    key = account.key
    audience = account.audience or DEFAULT_AUDIENCE
    answer = allows_web_identity(role.trust, state.issuer, account_name(key), audience)
    if answer == "yes":
        return
    text = (
        f"the trust policy of role {role.name} does not allow {key} with IRSA, so the service account has no access today. "
        "Everyone who may edit the service account can set its annotation, so the annotation does not prove that the service "
        "account may have the role."
        if answer == "no"
        else f"the trust policy of role {role.name} allows {key} with IRSA only under further conditions, "
        "which a statement for EKS Pod Identity would not have."
    )
    yield Finding(
        Code.MIGRATION_NOT_TRUSTED,
        text,
        "If the service account must not have the role, remove the annotation. Otherwise apply the service account as a "
        "workload. If the access needs conditions, give the role a trust policy of your own.",
        key,
    )


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
            "Use session tags instead, such as aws:PrincipalTag/kubernetes-namespace, then migrate.",
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
    index = _Index()
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
    permissions = _permissions(state, key, role) if targets else None
    refusing = sorted(
        target.arn
        for target in targets
        if permissions is not None and not _accepts_tags(permissions, role, target)
    )
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


@dataclass(frozen=True, slots=True)
class _Permissions:
    """The permissions of a role.

    ``layers`` are its compiled policies and permissions boundary. ``open_layers`` also have a policy that allows everything.
    """

    subject: Subject
    context: Context
    layers: Sequence[Layer]
    open_layers: Sequence[Layer]

    def decide(self, action: str, target: str, is_named: bool = False) -> str:
        """Return the decision about an action on another role.

        :arg is_named: whether the trust policy of the other role names this role. The policies of this role then need not allow
            the action.
        """
        layers = self.open_layers if is_named else self.layers
        return check_permission(layers, Required(action, target), self.context).decision


def _permissions(state: MigrationState, key: WorkloadKey, role: ObservedRole) -> _Permissions:
    subject = trust_subject(state.cluster, key, role.arn, disabled=False)
    boundary = role.permissions_boundary
    limit = NamedPolicy(boundary, state.documents[boundary]) if boundary else None
    policies = [NamedPolicy(name, document) for name, document in _permission_documents(state, role)]
    return _Permissions(
        subject,
        pod_context(subject, role.tags),
        permission_layers(policies, limit),
        permission_layers([*policies, _EVERYTHING], limit),
    )


def _accepts_tags(permissions: _Permissions, role: ObservedRole, target: ObservedRole) -> bool:
    """Return whether a role can assume another role with session tags, or cannot assume it at all.

    If the trust policy of the other role names the role itself, the policies of the role do not have to allow the action; they
    must only not deny it. Source: IAM User Guide, "Policy evaluation logic".
    """
    subject, decide = permissions.subject, permissions.decide
    trust = check_chain(target.trust, subject, target_role_arn=target.arn)
    direct = check_chain(_only_for(target.trust, {role.arn}), subject, target_role_arn=target.arn)
    # IAM does not document whether the principal "*" counts as such a name.
    perhaps = check_chain(_only_for(target.trust, {role.arn, "*"}), subject, target_role_arn=target.arn)
    # To be on the safe side, a conditional permission counts for sts:AssumeRole, but not for sts:TagSession.
    may_assume = trust.assume_role in _POSSIBLE and (
        decide(ASSUME_ROLE, target.arn) in _POSSIBLE
        or (perhaps.assume_role in _POSSIBLE and decide(ASSUME_ROLE, target.arn, is_named=True) in _POSSIBLE)
    )
    may_tag = trust.tag_session == ALLOWED and (
        decide(TAG_SESSION, target.arn) == ALLOWED
        or (direct.tag_session == ALLOWED and decide(TAG_SESSION, target.arn, is_named=True) == ALLOWED)
    )
    return may_tag or not may_assume


def _only_for(trust: Document, names: Collection[str]) -> Document:
    """Return a trust policy with only its Deny statements, and the statements that have one of these principals."""
    statements = [
        entry
        for entry in document_statements(trust)
        if isinstance(entry, Mapping)
        and (entry.get("Effect") == "Deny" or read_principals(entry) & set(names))
    ]
    # A policy needs at least one statement. This one has no effect on the actions to evaluate.
    placeholder = {"Effect": "Deny", "Principal": "*", "Action": "sts:GetFederationToken"}
    return {**trust, "Statement": statements or [placeholder]}


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


def _notes(account: IrsaAccount, pods: PodCredentials) -> Iterator[Finding]:
    key = account.key
    if account.managers and account.role_arn:
        manager = account.managers[0]
        yield Finding(
            Code.MIGRATION_MANAGED_ELSEWHERE,
            f"{manager} manages service account {key} and would set the annotation {ROLE_ANNOTATION} again.",
            f"Before the step finish, remove the annotation from the source of {manager}, such as the values of a chart.",
            key,
        )
    if pods.on_host_network:
        yield Finding(
            Code.MIGRATION_HOST_NETWORK,
            f"Pods {listed(pods.on_host_network, _SHOWN)} of {key} use the network of the node (hostNetwork). Users have "
            "reported that EKS refuses credentials to such Pods.",
            "Migrate this service account alone first, and check in the log of its Pods that they get credentials.",
            key,
        )
