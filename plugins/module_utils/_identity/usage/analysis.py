# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Analyse the use of each service account: its permissions, a suggested policy, and the limits of both. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..._policy.language.document import PolicyError
from ..._policy.permissions.catalogue import Catalogue
from ..model.errors import listed, sentence
from .actions import DATA_SERVICES, service_of_source
from .events import role_key
from .grants import ActionGrant, RoleGrants, find_grants, grant_statements
from .sessions import AccountName, SessionCounts, UsageAssociation, UsageTotals, count_unjoined
from .suggestion import PolicySuggestion, SuggestionOptions, suggest_policy
from .totals import AccountUsage, account_usages

NO_GRANTS = "No policy is suggested, and unused permissions are unknown: {reason}"
SHARED = (
    "Role {role} is also the role of {others}. Create a separate role for {account} before you replace the policies of the role, "
    "or use a session policy (pod_identity_usage_form=session_policy)."
)
UNJOINED = (
    "Events of role {role} that cannot be attributed to a service account of this cluster: {count} ({reasons}). If you replace "
    "the policies of the role, the callers in these events can lose permissions."
)
UNCERTAIN = (
    "Sessions without session tags are counted for {account}, because it is the only service account of this cluster that "
    "uses role {role}. If another cluster with a similar name uses this role, its events are included."
)
UNKNOWN_NAMES = (
    "eventName unknown: {names}. It is not known which actions these events need, so a suggested policy does not include these "
    "actions. Look up the actions in the Service Authorization Reference, and add them to the policy."
)
NO_DATA_EVENTS = (
    "The events include no data events of {services}, so they do not show the use of these permissions: {actions}. The suggested "
    "policy {keeps} them. To see their use, switch on data events for the trail."
)
LAST_ACCESSED = (
    "IAM has recorded that role {role} used {actions}, but the events do not show this use. The suggested policy does not allow "
    "these actions. Analyse a longer period."
)
INCOMPLETE = (
    "No policy is suggested, because the events are incomplete: a policy from a part of the events could remove a permission "
    "that is in use. Correct the problems of this report, and run again."
)

# The last use of a role as IAM reports it: times by action, such as "s3:GetObject".
LastAccessed: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AccountReport:
    """The use of a service account.

    ``role_arn`` is the role whose permissions its Pods have: the target role, or else the role; "" without an association.
    ``grants`` has the action patterns that this role grants. ``suggestion`` is None without an association, or if the policies
    of the role are unknown or malformed.
    """

    usage: AccountUsage
    role_arn: str = ""
    sessions: SessionCounts = field(default_factory=SessionCounts)
    grants: Sequence[ActionGrant] = ()
    suggestion: PolicySuggestion | None = None
    notes: Sequence[str] = ()

    @property
    def confidence(self) -> str:
        """Return the kind of evidence that the events belong to this service account, or "" without events.

        "session" means that the tags or the web identity of each session name the service account; "role" means that a session
        has no tags, and that no other service account of the cluster has the role.
        """
        if not self.usage.events:
            return ""
        return "session" if self.sessions.certain else "role"


def data_event_services(totals: UsageTotals) -> frozenset[str]:
    """Return the services with data events in the input."""
    return frozenset(map(service_of_source, totals.read.data_sources)) & frozenset(DATA_SERVICES)


def analyse_accounts(
    totals: UsageTotals,
    catalogue: Catalogue,
    grants: Mapping[AccountName, RoleGrants | str],
    options: SuggestionOptions,
    last_accessed: Mapping[str, LastAccessed],
) -> list[AccountReport]:
    """Return the report of each service account, in the order of their names.

    :arg grants: the policies of the role of each service account with an association, or the reason why they are unknown.
    :arg last_accessed: the last uses of roles by their ARN; empty if they were not read.
    """
    associations = {item.account: item for item in totals.cluster.associations}
    found = []
    for name, usage in account_usages(totals, catalogue).items():
        association = associations.get(name)
        sessions = totals.sessions.get(name) or SessionCounts()
        if association is None:
            reason = f"{name} has no association in this cluster."
            found.append(AccountReport(usage, sessions=sessions, notes=[NO_GRANTS.format(reason=reason)]))
            continue
        found.append(
            _analyse(totals, catalogue, usage, sessions, association, grants[name], options, last_accessed)
        )
    return found


def _analyse(
    totals: UsageTotals,
    catalogue: Catalogue,
    usage: AccountUsage,
    sessions: SessionCounts,
    association: UsageAssociation,
    role_grants: RoleGrants | str,
    options: SuggestionOptions,
    last_accessed: Mapping[str, LastAccessed],
) -> AccountReport:
    role_arn = association.target_role_arn or association.role_arn
    role = role_key(role_arn)
    notes = list(_account_notes(totals, usage, sessions, association))
    if isinstance(role_grants, str):
        notes.append(NO_GRANTS.format(reason=role_grants))
        return AccountReport(usage, role_arn, sessions, notes=notes)
    uses = usage.find_uses(role)
    used = {use.action for use in uses}
    try:
        statements = grant_statements(role_grants.identity)
        granted = list(find_grants(statements, used, options.data_services, catalogue))
        suggestion = suggest_policy(role_grants, uses, options, catalogue)
    except PolicyError as error:
        notes.append(
            NO_GRANTS.format(reason=f"a policy of role {role_arn} is malformed: {sentence(str(error))}")
        )
        return AccountReport(usage, role_arn, sessions, notes=notes)
    if totals.read.problems:
        suggestion = PolicySuggestion(options.form, None, notes=(INCOMPLETE,))
    elif suggestion.document is not None:
        notes += _limits(granted, options)
        notes += _last_accessed_notes(role_arn, granted, last_accessed.get(role_arn, {}))
    return AccountReport(usage, role_arn, sessions, granted, suggestion, notes)


def _account_notes(
    totals: UsageTotals, usage: AccountUsage, sessions: SessionCounts, association: UsageAssociation
) -> list[str]:
    notes = []
    role_arn = association.target_role_arn or association.role_arn
    role = role_key(role_arn)
    other_accounts = [
        str(item.account)
        for item in totals.cluster.associations
        if item.account != association.account
        and role in (role_key(item.role_arn), role_key(item.target_role_arn))
    ]
    if other_accounts and usage.events:
        notes.append(
            SHARED.format(
                role=role_arn, others=listed(sorted(other_accounts), 5), account=association.account
            )
        )
    if not sessions.certain:
        notes.append(UNCERTAIN.format(account=association.account, role=association.role_arn))
    if usage.unknown:
        names = [f"{source} {name}" for source, name in sorted(usage.unknown)]
        notes.append(UNKNOWN_NAMES.format(names=listed(names, 10)))
    return notes


def unjoined_notes(totals: UsageTotals) -> list[str]:
    """Return a note for each role with events that could not be joined with a service account of the cluster."""
    notes = []
    for role, counts in count_unjoined(totals).items():
        reasons = "; ".join(f"{count:,}: {reason.value}" for reason, count in counts.items())
        notes.append(UNJOINED.format(count=f"{sum(counts.values()):,}", role=role, reasons=reasons))
    return notes


def _limits(granted: Sequence[ActionGrant], options: SuggestionOptions) -> list[str]:
    unseen = dict.fromkeys(
        action
        for grant in granted
        # The suggestion has a note about a pattern that is too wide.
        if not (options.keep_unseen and grant.too_wide)
        for action in grant.unseen
        if action.partition(":")[0] in DATA_SERVICES and action.partition(":")[0] not in options.data_services
    )
    if not unseen:
        return []
    services = sorted({action.partition(":")[0] for action in unseen})
    keeps = "keeps" if options.keep_unseen else "does not keep"
    return [
        NO_DATA_EVENTS.format(services=listed(services, 10), actions=listed(sorted(unseen), 5), keeps=keeps)
    ]


def _last_accessed_notes(role_arn: str, granted: Sequence[ActionGrant], accessed: LastAccessed) -> list[str]:
    recorded = sorted(
        {
            f"{action} (last {accessed[action]})"
            for grant in granted
            for action in grant.unused
            if action in accessed
        }
    )
    return [LAST_ACCESSED.format(actions=listed(recorded, 5), role=role_arn)] if recorded else []
