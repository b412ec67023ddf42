# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A last look at whether a role got a user, or a workload its association, since the removal was planned.

IAM has no conditional deletion, so a role that gets a user between this look and the request is lost; the
verification of that user finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..._findings.finding import WorkloadKey
from ..._policy.language.canonical import same_meaning
from ..._policy.trust.statements import read_grants
from ..model.changes import Change
from ..model.errors import AwsError, ErrorKind
from ..model.observed import Observed, ObservedAssociation, ReadFailure, users_of
from ..read.associations import read_associations
from ..read.decode import decode_role
from ..read.reader import Reader
from .journal import Journal


@dataclass(slots=True)
class UseCheck:
    """``observed`` is what the plan was made of, ``journal`` what the run has changed since."""

    reader: Reader
    observed: Observed
    journal: Journal
    users: dict[str, str] = field(default_factory=dict)
    keys: frozenset[WorkloadKey] = frozenset()
    failure: AwsError | None = None

    def look(self, changes: list[Change]) -> None:
        """List the associations again. Those that were known are read again only where a trust policy lets
        in more than single workloads: else it has to change for them first."""
        known = self.observed.associations
        if any(change.requires_unused and self._is_open(change) for change in changes):
            known = {}
        self.users, self.failure = {}, None
        removed = self._removed()
        associations = []
        for result in read_associations(self.reader, (), True, known):
            if isinstance(result, ReadFailure):
                self.failure = result.error
            elif result.association_id not in removed:
                associations.append(result)
        self.users = _users(associations)
        self.keys = frozenset(association.key for association in associations)

    def _removed(self) -> set[object]:
        """The IDs of associations that this run has deleted, which a list that is late may still hold, and of those that it
        deletes after the role has let go of its policies."""
        changes = (*(done.change for done in self.journal.done), *self.journal.plan.changes)
        return {
            (change.before or {}).get("association_id")
            for change in changes
            if change.target.resource == "association" and change.action in ("delete", "replace")
        }

    def refusal(self, change: Change) -> AwsError | None:
        """Why the role of a change must be looked at anew."""
        if self.failure is not None:
            return self.failure
        appeared = sorted(change.unassociated & self.keys)
        if appeared:
            text = (
                f"{appeared[0].cluster} {appeared[0]} has got an association since the purge looked for one."
            )
            return _in_use(change, text)
        if not change.requires_unused:
            return None
        planned = self.observed.roles.get(change.target.name.lower())
        if planned is None:
            return None
        if planned.arn.lower() in self.users:
            return _in_use(
                change, f"{self.users[planned.arn.lower()]} uses role {planned.arn} since it was looked at."
            )
        try:
            answer = self.reader.api.call("iam", "GetRole", {"RoleName": planned.name})
        except AwsError as error:
            return None if error.missing else error
        if same_meaning(decode_role(answer["Role"], ()).trust, planned.trust, "trust"):
            return None
        return _in_use(change, f"the trust policy of role {planned.arn} has changed since it was looked at.")

    def _is_open(self, change: Change) -> bool:
        role = self.observed.roles.get(change.target.name.lower())
        grants, _others = read_grants(role.trust if role is not None else {})
        return not grants or not all(grant.service_account for grant in grants)


def _users(associations: list[ObservedAssociation]) -> dict[str, str]:
    by_key = {association.key: association for association in associations}
    return {arn: f"{keys[0].cluster} {keys[0]}" for arn, keys in users_of(by_key).items()}


def _in_use(change: Change, text: str) -> AwsError:
    call = change.calls[0]
    return AwsError(
        f"{call.service}:{call.operation}",
        "RoleInUse",
        f"{text} Nothing was sent.",
        ErrorKind.IN_USE,
        "Another run is at work on the role. Run again when it has ended.",
    )
