# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the roles that a role can assume, directly or through other roles, and the roles that can administer an account.

A role can assume another role if its own policies and the trust policy of the other role allow it. If both roles are in the same
account and the trust policy names the first role, its identity policies need not allow it. Source: IAM User Guide, "Policy
evaluation logic".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from ..._policy.evaluation.evaluate import ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY
from ..._policy.evaluation.request import Subject
from ..._policy.language.context import UNKNOWN_VALUE, Context
from ..._policy.permissions.escalation import SelfGrant, find_self_grant
from ..._policy.permissions.levels import find_possibility
from ..._policy.permissions.permissions import IDENTITY, Required, check_permission, pod_context
from ..._policy.trust.check import judge_session
from ..model.access import RoleFacts
from ..model.names import is_aws_managed
from .effective import AccessTables, Profile
from .estate import AccessEstate, arn_account

_ASSUME_ROLE = "sts:AssumeRole"
# The result of ``RoleGraph.administers``. "depends" means only with some values of condition keys.
Administration: TypeAlias = Literal["yes", "depends", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class RolePath:
    """A sequence of roles, of which each can assume the next one.

    ``arns`` are the ARNs of the roles after the first one. ``is_certain`` is false if one of these AssumeRole requests may be
    denied. ``administers`` is true if the last role can administer its account, perhaps under conditions, and ``profile`` has its
    permissions.
    """

    arns: tuple[str, ...]
    is_certain: bool
    administers: bool
    profile: Profile


@dataclass
class RoleGraph:
    """The roles of a report as a graph, with an edge from each role to the roles that it can assume.

    The attributes with private names are caches: ``_next`` has the edges, ``_own`` and ``_chained`` the permissions of
    roles by ARN: of sessions without session tags, and of sessions that another role has created.
    """

    estate: AccessEstate
    tables: AccessTables
    _next: dict[tuple[int, str], list[tuple[str, bool]]] = field(default_factory=dict)
    _chained: dict[str, Profile] = field(default_factory=dict)
    _own: dict[str, Profile] = field(default_factory=dict)

    @cached_property
    def _trusting(self) -> Mapping[str, list[RoleFacts]]:
        """Return, for each AWS principal in lower case, the roles whose trust policies name it in an Allow statement."""
        found: dict[str, list[RoleFacts]] = {}
        for role in self.estate.roles.values():
            trust = self.estate.trust(role)
            principals = {
                value.lower()
                for rule in (trust.rules if trust is not None else ())
                if rule.allow
                for kind, value in rule.statement.principals or ()
                if kind in ("AWS", "*")
            }
            for principal in principals:
                found.setdefault(principal, []).append(role)
        return found

    def self_grant(self, role: RoleFacts, profile: Profile, context: Context) -> SelfGrant | None:
        """Return an action with which a role can give itself all permissions, or None.

        :arg profile: the effective permissions of the role.
        :arg context: the condition keys of its requests.
        """
        policies = [arn for arn in role.attached if not is_aws_managed(arn)]
        return find_self_grant(profile.layers, role.arn, policies, context)

    def administers(self, role: RoleFacts) -> Administration:
        """Return whether a session of a role, without session tags, can give the role all permissions.

        The result is "unknown" if the role does not exist, or if the role or its permissions boundary could not be read. It is
        "unknown" instead of "no" if another policy could not be read.
        """
        if role.state != "read":
            return "unknown"
        profile = self._own_profile(role)
        grant = self.self_grant(role, profile, _own_context(role))
        if any(layer == "boundary" for layer, _title in role.unread) or (grant is None and profile.unread):
            return "unknown"
        if grant is None:
            return "no"
        return "yes" if grant.is_certain else "depends"

    def paths(self, role: RoleFacts, profile: Profile, context: Context) -> list[RolePath]:
        """Return a path to each role that a role can assume, directly or through other roles.

        A session chooses its external ID, tags, name, source identity and network itself, so conditions on these make a path
        uncertain. Certain paths take precedence, then short ones. In the result, the paths to administrators are first.

        :arg profile: the effective permissions of the first role.
        :arg context: the condition keys of its requests.
        """
        found: dict[str, RolePath] = {}
        waiting: list[tuple[RoleFacts, Profile, Context, RolePath | None]] = [(role, profile, context, None)]
        while waiting:
            current, permissions, keys, path = waiting.pop(0)
            for arn, is_certain in self._assumable(current, permissions, keys):
                certain = is_certain and (path is None or path.is_certain)
                known = found.get(arn.lower())
                if arn.lower() == role.arn.lower() or (known and (known.is_certain or not certain)):
                    continue
                target, further = self.estate.role(arn), self._chained_profile(arn)
                grant = self.self_grant(target, further, _chained_context(target))
                arns = (*(path.arns if path is not None else ()), target.arn)
                certain = certain and (grant is None or grant.is_certain)
                step = RolePath(arns, certain, grant is not None, further)
                found[arn.lower()] = step
                waiting.append((target, further, _chained_context(target), step))
        return sorted(found.values(), key=lambda path: (not path.administers, not path.is_certain, path.arns))

    def _chained_profile(self, arn: str) -> Profile:
        if arn not in self._chained:
            role = self.estate.role(arn)
            self._chained[arn] = self.tables.profile(role, _chained_context(role))
        return self._chained[arn]

    def _own_profile(self, role: RoleFacts) -> Profile:
        if role.arn not in self._own:
            self._own[role.arn] = self.tables.profile(role, _own_context(role))
        return self._own[role.arn]

    def _assumable(self, role: RoleFacts, profile: Profile, context: Context) -> list[tuple[str, bool]]:
        key = profile.number, role.arn
        if key not in self._next:
            self._next[key] = list(self._find_assumable(role, profile, context))
        return self._next[key]

    def _find_assumable(
        self, role: RoleFacts, profile: Profile, context: Context
    ) -> Iterator[tuple[str, bool]]:
        chosen = context.assume({"aws:sourceidentity": UNKNOWN_VALUE})
        account = arn_account(role.arn)
        named = {target.arn for target in self._trusting.get(role.arn.lower(), ())}
        action = self.tables.index.find(_ASSUME_ROLE.lower())
        names: Sequence[str] = (role.arn.lower(),)
        if find_possibility(profile.layers, action, context, self.tables.index).decision != "no":
            partition = role.arn.split(":")[1]
            names = (*names, "*", account, f"arn:{partition}:iam::{account}:root")
        candidates = {target.arn: target for name in names for target in self._trusting.get(name, ())}
        candidates.pop(role.arn, None)
        for arn, target in candidates.items():
            verdict = check_permission(profile.layers, Required(_ASSUME_ROLE, arn), context)
            decision = verdict.decision
            is_named = arn in named and arn_account(arn) == account
            if decision == IMPLICIT_DENY and is_named and verdict.change == (IDENTITY,):
                decision = ALLOWED
            if decision in (EXPLICIT_DENY, IMPLICIT_DENY):
                continue
            trust = self.estate.trust(target)
            usable = judge_session(trust, role.arn, chosen) if trust is not None else "no"
            if usable != "no":
                yield arn, decision == ALLOWED and usable == "yes"


def _own_subject(role: RoleFacts) -> Subject:
    """Return the caller of requests from a session of a role without session tags."""
    return Subject(account_id=arn_account(role.arn), role_arn=role.arn, session_tags=False)


def _own_context(role: RoleFacts) -> Context:
    return pod_context(_own_subject(role), role.tags)


def _chained_context(role: RoleFacts) -> Context:
    """Return the condition keys of requests from a session that another role has created, with unknown tags."""
    return pod_context(_own_subject(role)).assume({"aws:sourceidentity": UNKNOWN_VALUE})
