# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Convert the events of service accounts to actions on resources. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..._policy.permissions.catalogue import Catalogue
from .actions import event_actions
from .events import Tally
from .sessions import AccountName, UsageTotals

# The resource of a use whose event names no resource that the action applies to.
NO_RESOURCE = ""


@dataclass(slots=True)
class ActionUse:
    """The use of an action by a service account, with one role.

    ``resources`` maps each resource to the number of its events and the time of the last one. A resource is an ARN or pattern in
    the syntax of policies, ``*`` for an action without resources, or NO_RESOURCE. ``failed`` counts the events with an error
    other than a denial, ``names`` has the names of the events, and ``message`` is the error message of a denial.
    """

    action: str
    role: str
    count: int = 0
    failed: int = 0
    last: str = ""
    message: str = ""
    names: set[str] = field(default_factory=set)
    resources: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, name: str, tally: Tally, catalogue: Catalogue) -> None:
        self.names.add(name)
        self.count += tally.count
        self.failed += tally.failed
        self.last = max(self.last, tally.last)
        self.message = self.message or tally.message
        for arns, (count, last) in tally.resources.items():
            for resource in fitting_resources(self.action, arns, catalogue):
                known_count, known_last = self.resources.get(resource, (0, ""))
                self.resources[resource] = known_count + count, max(known_last, last)


@dataclass(slots=True)
class AccountUsage:
    """The use of a service account: allowed and denied actions, and events whose action is unknown.

    ``unknown`` maps an event source and event name to the number of events and the time of the last one.
    """

    account: AccountName
    used: dict[tuple[str, str], ActionUse] = field(default_factory=dict)
    denied: dict[tuple[str, str], ActionUse] = field(default_factory=dict)
    unknown: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    events: int = 0
    last: str = ""

    def find_uses(self, role: str) -> list[ActionUse]:
        """Return the use of each action with a role, without denied calls, sorted by action.

        :arg role: a result of ``role_key``.
        """
        return [use for (_action, used_role), use in sorted(self.used.items()) if used_role == role]


def fitting_resources(action: str, arns: Iterable[str], catalogue: Catalogue) -> list[str]:
    """Return the ARNs of an event that its action applies to, ``*`` for an action without resources, or NO_RESOURCE."""
    if not catalogue.has_resources(action):
        return ["*"]
    fitting = [arn for arn in arns if arn != "*" and catalogue.resource_problem(action, arn) is None]
    return fitting or [NO_RESOURCE]


def account_usages(totals: UsageTotals, catalogue: Catalogue) -> dict[AccountName, AccountUsage]:
    """Return the use of each service account that has an association, a session or an event."""
    names = {association.account for association in totals.cluster.associations} | set(totals.sessions)
    names |= {key.account for key in totals.calls}
    found = {name: AccountUsage(name) for name in sorted(names)}
    for key, tally in totals.calls.items():
        usage = found[key.account]
        usage.events += tally.count
        usage.last = max(usage.last, tally.last)
        actions = event_actions(key.source, key.name, key.variant, catalogue)
        if not actions:
            count, last = usage.unknown.get((key.source, key.name), (0, ""))
            usage.unknown[key.source, key.name] = count + tally.count, max(last, tally.last)
        uses = usage.denied if key.denied else usage.used
        for action in actions:
            use = uses.setdefault((action, key.role), ActionUse(action, key.role))
            use.add(key.name, tally, catalogue)
    return found
