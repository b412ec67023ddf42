# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the roles that a role can assume, directly or through other roles, and the roles that can administer an account.

A role can assume another role if its own policies and the trust policy of the other role allow it. If both roles are in the same
account and the trust policy names the first role, its identity policies need not allow it. Source: IAM User Guide, "Policy
evaluation logic".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from ..._policy.evaluation.evaluate import ALLOWED, CONDITIONAL
from ..._policy.evaluation.pods import ASSUME_ROLE, Subject, pod_context
from ..._policy.evaluation.rules import Request
from ..._policy.language.context import UNKNOWN_VALUE, Context
from ..._policy.language.match import ARN_PARTS, Cover, arn_parts
from ..._policy.permissions.escalation import SelfGrant, find_self_grant
from ..._policy.permissions.permissions import Required
from ..._policy.trust.check import check_assumption, judge_session
from ..model.access import ClusterFacts, RoleFacts
from ..model.associations import ObservedAssociation
from ..model.names import is_aws_managed
from .effective import Profile
from .estate import WORST, AccessEstate, Usability, arn_account
from .rules import Access, AccessRule, answer, arn_pattern

# The maximum number of means in an answer.
_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A session of a role that was read. Sessions of a role with equal permissions are one object.

    ``profile`` has its effective permissions, and ``context`` the condition keys of its requests. ``grant`` is an action with
    which the session can give the role all permissions, or None. ``unread`` has texts about roles that were not read, and that
    the session may be able to assume.
    """

    role: RoleFacts
    profile: Profile
    context: Context
    grant: SelfGrant | None
    unread: tuple[str, ...]

    def gains(self) -> Iterator[tuple[str, bool]]:
        """Yield the actions with which the session can obtain permissions without a known limit, and whether this is certain."""
        if self.grant is not None:
            yield self.grant.action, self.grant.is_certain
            return
        for entry in self.profile.escalations:
            yield " and ".join(entry.combination.needs), entry.is_certain


@dataclass(frozen=True, slots=True)
class RolePath:
    """A sequence of roles, of which each can assume the next one.

    ``arns`` are the ARNs of the roles after the first one, and ``session`` is a session of the last role. ``is_certain`` is false
    if one of these AssumeRole requests may be denied.
    """

    arns: tuple[str, ...]
    session: Session
    is_certain: bool


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

    def answer(self, ask: Callable[[Profile], Access], own: Access) -> Access:
        """Return the answer for a role whose own policies allow no request of a question: "obtain", "unknown" or ``own``."""
        answers = {name: ask(profile).answer for name, profile in self.chains.items()}
        found = [*self.unlimited, *(name for name, word in answers.items() if word not in ("unknown", "no"))]
        if found:
            return Access("obtain", tuple(found))
        unknown = [*self.unread, *(name for name, word in answers.items() if word == "unknown")]
        return Access("unknown", tuple(unknown)) if unknown else own


@dataclass
class RoleGraph:
    """The roles of a report as a graph, with an edge from each role to the roles that it can assume.

    The attributes with private names are caches: ``_next`` has the edges, ``_chained`` by ARN the sessions that another role has
    created, and ``_paths`` the results of ``paths``.
    """

    estate: AccessEstate
    _sessions: dict[tuple[str, Profile], Session] = field(default_factory=dict)
    _next: dict[Session, list[tuple[str, bool]]] = field(default_factory=dict)
    _chained: dict[str, Session] = field(default_factory=dict)
    _paths: dict[Session, list[RolePath]] = field(default_factory=dict)

    @cached_property
    def _trusting(self) -> Mapping[str, Mapping[str, RoleFacts]]:
        """Return, for each caller that an Allow statement of a trust policy names, the roles with these policies, by ARN.

        ``_caller_key`` describes the keys.
        """
        found: dict[str, dict[str, RoleFacts]] = {}
        for role in self.estate.roles.values():
            trust = self.estate.trust(role)
            for rule in trust.rules if trust is not None else ():
                for kind, value in (rule.statement.principals or ()) if rule.allow else ():
                    if kind in ("AWS", "*"):
                        found.setdefault(_caller_key(value), {})[role.arn] = role
        return found

    def session(
        self, role: RoleFacts, context: Context, association: ObservedAssociation | None = None
    ) -> Session:
        """Return a session of a role that was read, with the session policy of an association, if there is one."""
        profile = self.estate.tables.profile(role, context, association)
        key = role.arn, profile
        if key not in self._sessions:
            policies = [arn for arn in role.attached if not is_aws_managed(arn)]
            grant = find_self_grant(profile.layers, role.arn, policies, context)
            unread = tuple(dict.fromkeys(self._unread_roles(role, profile)))
            self._sessions[key] = Session(role, profile, context, grant, unread)
        return self._sessions[key]

    def administers(self, role: RoleFacts) -> Usability:
        """Return whether a session of a role, without session tags, can give the role all permissions.

        The result is "unknown" if the role does not exist, or if the role or one of its policies could not be read.
        """
        if role.state != "read":
            return "unknown"
        session = self.session(role, pod_context(_role_caller(role), role.tags))
        if session.profile.unread:
            return "unknown"
        return "no" if session.grant is None else "yes" if session.grant.is_certain else "depends"

    def node_roles(self, part: ClusterFacts) -> dict[str, Usability]:
        """Return the ARNs of the node roles in ``part.nodes``, first the roles that can administer the account."""
        sources = part.nodes.sources if part.nodes is not None else ()
        found = {arn: self.administers(self.estate.role(arn)) for arn in sources}
        return dict(sorted(found.items(), key=lambda item: (-WORST.index(item[1]), item[0])))

    def means(self, session: Session | None, further_roles: Mapping[str, bool]) -> Means:
        """Return the means of a service account to obtain further permissions.

        :arg session: its session, or None if it cannot use its role.
        :arg further_roles: the ARNs of roles that its Pods can use without this session, such as by the token of IRSA, and
            whether this is certain.
        """
        found: list[str] = []
        chains: dict[str, Profile] = {}
        unread: dict[str, None] = {}
        paths: list[RolePath] = []
        if session is not None:
            found += [_under_conditions(*gain) for gain in session.gains()]
            if session.grant is not None:
                return Means(tuple(found))
            paths += self.paths(session)
            unread |= dict.fromkeys(session.unread)
        for arn, is_certain in further_roles.items():
            first = self._chain(arn)
            paths.append(RolePath((arn,), first, is_certain))
            paths += [
                RolePath((arn, *path.arns), path.session, is_certain and path.is_certain)
                for path in self.paths(first)
            ]
        for path in paths:
            name = f"role {' → '.join(map(self.estate.role_label, path.arns))}"
            gains = [is_certain for _actions, is_certain in path.session.gains()]
            if gains:
                found.append(_under_conditions(name, path.is_certain and any(gains)))
            else:
                chains[_under_conditions(name, path.is_certain)] = path.session.profile
                unread |= dict.fromkeys(path.session.unread)
        if len(found) > _SHOWN:
            found = [*found[:_SHOWN], f"{len(found) - _SHOWN} more combinations and roles"]
        return Means(tuple(found)) if found else Means((), chains, tuple(unread))

    def _unread_roles(self, role: RoleFacts, profile: Profile) -> Iterator[str]:
        """Yield texts about roles that were not read, and that sessions of a role may be able to assume.

        A trust policy can allow a role of the same account that has no permissions, so these are all roles of its account unless
        all of them were read. In other accounts, the policies of the role must also allow sts:AssumeRole.
        """
        account, every_role = arn_account(role.arn), _every_role(role)
        if account not in self.estate.complete_accounts:
            yield f"unread roles {every_role.replace('::*:', f'::{account}:')}"
        for pattern in _named_roles(profile, every_role):
            is_read = (
                arn_account(pattern) in self.estate.complete_accounts
                or self.estate.role(pattern).state == "read"
            )
            cover = partial(AccessRule.cover, question=Request(ASSUME_ROLE, pattern))
            if not is_read and answer(profile.rules, cover).answer != "no":
                yield f"unread roles {pattern}"

    def paths(self, start: Session) -> list[RolePath]:
        """Return a path to each role that a session can assume, directly or through other roles.

        A session chooses its external ID, tags, name, source identity and network itself, so conditions on these make a path
        uncertain. Certain paths take precedence, then short ones. So a role with an uncertain path is visited again by a certain
        path, which may make the paths behind it certain, too. In the result, the paths to administrators are first.
        """
        if start not in self._paths:
            found: dict[str, RolePath] = {}
            waiting = [RolePath((), start, True)]
            while waiting:
                path = waiting.pop(0)
                for arn, is_certain in self._assumable(path.session):
                    further = RolePath((*path.arns, arn), self._chain(arn), path.is_certain and is_certain)
                    earlier = found.get(arn)
                    is_better = earlier is None or (further.is_certain and not earlier.is_certain)
                    if is_better and arn != start.role.arn:
                        found[arn] = further
                        waiting.append(further)
            self._paths[start] = sorted(
                found.values(), key=lambda path: (path.session.grant is None, not path.is_certain, path.arns)
            )
        return self._paths[start]

    def _chain(self, arn: str) -> Session:
        """Return a session that another role has created. Its tags and its source identity are unknown."""
        if arn not in self._chained:
            role = self.estate.role(arn)
            context = pod_context(_role_caller(role)).assume({"aws:sourceidentity": UNKNOWN_VALUE})
            self._chained[arn] = self.session(role, context)
        return self._chained[arn]

    def _assumable(self, session: Session) -> list[tuple[str, bool]]:
        """Return the ARN of each role that a session can assume, and whether this is certain."""
        if session in self._next:
            return self._next[session]
        found = self._next[session] = []
        role, profile = session.role, session.profile
        account = arn_account(role.arn)
        named, everyone = (self._trusting.get(name, {}) for name in (_caller_key(role.arn), "*"))
        candidates = {**everyone, **named}
        every = partial(AccessRule.cover, question=Request(ASSUME_ROLE, _every_role(role)))
        if answer(profile.rules, every).answer != "no":
            candidates |= self._trusting.get(account, {})
        chosen = session.context.assume({"aws:sourceidentity": UNKNOWN_VALUE})
        for arn, target in candidates.items():
            trust = self.estate.trust(target)
            usable = judge_session(trust.rules, role.arn, chosen) if trust is not None else "no"
            if usable == "no":
                continue
            required = Required(ASSUME_ROLE, arn)
            verdict = check_assumption(profile.layers, required, session.context, role.arn, trust, chosen)
            if verdict.decision in (ALLOWED, CONDITIONAL):
                found.append((arn, verdict.decision == ALLOWED and usable == "yes"))
        return found


def _named_roles(profile: Profile, every_role: str) -> list[str]:
    """Return the patterns of roles in the identity policies, one for each value of Resource with an Allow of sts:AssumeRole.

    :arg every_role: the pattern of all roles, for NotResource and for the value ``*``.
    """
    single = [
        part
        for rule in profile.rules.layers[0][1]
        for part in (
            (rule,)
            if rule.other_resources
            else (replace(rule, resources=(resource,)) for resource in rule.resources)
        )
        if rule.allow and part.cover(Request(ASSUME_ROLE, every_role)) is not Cover.NONE
    ]
    patterns = ("*" if part.other_resources else arn_pattern(part.resources[0]) for part in single)
    return [every_role if pattern == "*" else pattern for pattern in patterns]


def _under_conditions(name: str, is_certain: bool) -> str:
    return name if is_certain else f"{name} under conditions"


def _caller_key(principal: str) -> str:
    """Return "account/name" for a role or its sessions, the account for all of its principals, and "*" for everyone."""
    parts = arn_parts(principal.lower())
    if len(parts) < ARN_PARTS:
        return principal
    kind, *path = parts[5].split("/")
    names = {"role": path[-1:], "assumed-role": path[:1]}.get(kind, [])
    return "/".join((parts[4], *names))


def _every_role(role: RoleFacts) -> str:
    return f"arn:{role.arn.split(':')[1]}:iam::*:role/*"


def _role_caller(role: RoleFacts) -> Subject:
    """Return the caller of requests from a session of a role without session tags."""
    return Subject(account_id=arn_account(role.arn), role_arn=role.arn, session_tags=False)
