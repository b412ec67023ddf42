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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal, TypeAlias

from ..._policy.evaluation.evaluate import ALLOWED, CONDITIONAL, IMPLICIT_DENY
from ..._policy.evaluation.request import ASSUME_ROLE, Subject
from ..._policy.evaluation.rules import Request
from ..._policy.language.context import UNKNOWN_VALUE, Context
from ..._policy.language.match import Cover
from ..._policy.permissions.escalation import SelfGrant, find_self_grant
from ..._policy.permissions.permissions import IDENTITY, Required, check_permission, pod_context
from ..._policy.trust.check import judge_session
from ..model.access import RoleFacts
from ..model.names import is_aws_managed
from .effective import AccessTables, Profile
from .estate import AccessEstate, arn_account
from .rules import AccessRule, answer, arn_pattern

# The result of ``RoleGraph.administers``. "depends" means only with some values of condition keys.
Administration: TypeAlias = Literal["yes", "depends", "no", "unknown"]
# The maximum number of means in an answer.
_SHOWN = 5


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


@dataclass(frozen=True, slots=True)
class Means:
    """The means with which a role can obtain permissions that its policies do not give.

    ``unlimited`` has actions and roles with which it can obtain permissions without a known limit. ``chains`` has the permissions
    of the other roles that it can assume, by a text that names the roles on the way. ``unread`` has roles that it may be able to
    assume, and that were not read.
    """

    unlimited: tuple[str, ...] = ()
    chains: Mapping[str, Profile] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


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
    def _trusting(self) -> Mapping[str, Mapping[str, RoleFacts]]:
        """Return, for each caller that an Allow statement of a trust policy names, the roles with these policies, by ARN.

        ``_caller`` describes the keys.
        """
        found: dict[str, dict[str, RoleFacts]] = {}
        for role in self.estate.roles.values():
            trust = self.estate.trust(role)
            for rule in trust.rules if trust is not None else ():
                for kind, value in (rule.statement.principals or ()) if rule.allow else ():
                    if kind in ("AWS", "*"):
                        found.setdefault(_caller(value), {})[role.arn] = role
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
        context = pod_context(_session(role), role.tags)
        if role.arn not in self._own:
            self._own[role.arn] = self.tables.profile(role, context)
        profile = self._own[role.arn]
        grant = self.self_grant(role, profile, context)
        if any(layer == "boundary" for layer, _title in role.unread) or (grant is None and profile.unread):
            return "unknown"
        if grant is None:
            return "no"
        return "yes" if grant.is_certain else "depends"

    def means(self, role: RoleFacts, profile: Profile, context: Context) -> Means:
        """Return the means of a role to obtain further permissions. ``self_grant`` describes the arguments."""
        grant = self.self_grant(role, profile, context)
        if grant is not None:
            return Means((grant.action,))
        found = [" and ".join(entry.combination.needs) for entry in profile.escalations]
        chains: dict[str, Profile] = {}
        unread = dict.fromkeys(self._unread(role, profile))
        for path in self.paths(role, profile, context):
            name = f"role {' → '.join(map(self.estate.label, path.arns))}"
            if path.administers or path.profile.escalations:
                found.append(name)
            else:
                chains[name] = path.profile
                unread |= dict.fromkeys(self._unread(self.estate.role(path.arns[-1]), path.profile))
        if len(found) > _SHOWN:
            found = [*found[:_SHOWN], f"{len(found) - _SHOWN} more combinations and roles"]
        return Means(tuple(found)) if found else Means((), chains, tuple(unread))

    def _unread(self, role: RoleFacts, profile: Profile) -> Iterator[str]:
        """Yield texts about roles that were not read, and that sessions of a role may be able to assume.

        A trust policy can let in a role of the same account that has no permissions, so these are all roles of its account unless
        all of them were read. In other accounts, the policies of the role must also allow sts:AssumeRole.
        """
        account, every_role = arn_account(role.arn), _every_role(role)
        if account not in self.estate.complete:
            yield f"unread roles {every_role.replace('::*:', f'::{account}:')}"
        _layer, allows = profile.rules.layers[0]
        single = [
            part
            for rule in allows
            for part in (
                (rule,)
                if rule.other_resources
                else (replace(rule, resources=(resource,)) for resource in rule.resources)
            )
            if rule.allow and part.cover(Request(ASSUME_ROLE, every_role)) is not Cover.NONE
        ]
        for part in single:
            pattern = "*" if part.other_resources else arn_pattern(part.resources[0])
            pattern = every_role if pattern == "*" else pattern
            is_read = (
                arn_account(pattern) in self.estate.complete or self.estate.role(pattern).state == "read"
            )
            cover = partial(AccessRule.cover, question=Request(ASSUME_ROLE, pattern))
            if not is_read and answer(profile.rules, cover).answer != "no":
                yield f"unread roles {pattern}"

    def paths(self, role: RoleFacts, profile: Profile, context: Context) -> list[RolePath]:
        """Return a path to each role that a role can assume, directly or through other roles.

        A session chooses its external ID, tags, name, source identity and network itself, so conditions on these make a path
        uncertain. Certain paths take precedence, then short ones. In the result, the paths to administrators are first.
        ``self_grant`` describes the arguments.
        """
        found: dict[str, RolePath] = {}
        waiting: list[tuple[RoleFacts, Profile, Context, RolePath | None]] = [(role, profile, context, None)]
        while waiting:
            current, permissions, keys, path = waiting.pop(0)
            number = permissions.number, current.arn
            if number not in self._next:
                self._next[number] = list(self._find_assumable(current, permissions, keys))
            for arn, is_certain in self._next[number]:
                certain = is_certain and (path is None or path.is_certain)
                known = found.get(arn.lower())
                if arn.lower() == role.arn.lower() or (known and (known.is_certain or not certain)):
                    continue
                target = self.estate.role(arn)
                # The tags and the source identity of a session that another role has created are unknown.
                further = pod_context(_session(target)).assume({"aws:sourceidentity": UNKNOWN_VALUE})
                if arn not in self._chained:
                    self._chained[arn] = self.tables.profile(target, further)
                grant = self.self_grant(target, self._chained[arn], further)
                arns = (*(path.arns if path is not None else ()), target.arn)
                certain = certain and (grant is None or grant.is_certain)
                step = RolePath(arns, certain, grant is not None, self._chained[arn])
                found[arn.lower()] = step
                waiting.append((target, step.profile, further, step))
        return sorted(found.values(), key=lambda path: (not path.administers, not path.is_certain, path.arns))

    def _find_assumable(
        self, role: RoleFacts, profile: Profile, context: Context
    ) -> Iterator[tuple[str, bool]]:
        """Yield the ARN of each role that a role can assume, and whether this is certain."""
        account = arn_account(role.arn)
        named, everyone = (self._trusting.get(name, {}) for name in (_caller(role.arn), "*"))
        candidates = {**everyone, **named}
        every = partial(AccessRule.cover, question=Request(ASSUME_ROLE, _every_role(role)))
        if answer(profile.rules, every).answer != "no":
            candidates |= self._trusting.get(account, {})
        candidates.pop(role.arn, None)
        chosen = context.assume({"aws:sourceidentity": UNKNOWN_VALUE})
        for arn, target in candidates.items():
            verdict = check_permission(profile.layers, Required(ASSUME_ROLE, arn), context)
            decision = verdict.decision
            if decision == IMPLICIT_DENY and verdict.change == (IDENTITY,) and arn_account(arn) == account:
                # Within an account, a trust policy that names the role is sufficient. AWS does not document this for "*".
                decision = ALLOWED if arn in named else CONDITIONAL if arn in everyone else decision
            trust = self.estate.trust(target)
            if trust is None or decision not in (ALLOWED, CONDITIONAL):
                continue
            usable = judge_session(trust, role.arn, chosen)
            if usable != "no":
                yield arn, decision == ALLOWED and usable == "yes"


def _caller(principal: str) -> str:
    """Return "account/name" for a role or its sessions, the account for all of its principals, and "*" for everyone."""
    parts = principal.lower().split(":", 5)
    if len(parts) < 6:
        return principal
    kind, *path = parts[5].split("/")
    names = {"role": path[-1:], "assumed-role": path[:1]}.get(kind, [])
    return "/".join((parts[4], *names))


def _every_role(role: RoleFacts) -> str:
    return f"arn:{role.arn.split(':')[1]}:iam::*:role/*"


def _session(role: RoleFacts) -> Subject:
    """Return the caller of requests from a session of a role without session tags."""
    return Subject(account_id=arn_account(role.arn), role_arn=role.arn, session_tags=False)
