# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the risks in the access of service accounts to AWS (``risk_kinds.py`` describes the kinds of risks)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Final, TypeAlias

from ..._policy.evaluation.evaluate import ALLOWED
from ..._policy.evaluation.rules import Rule
from ..._policy.language.context import Context
from ..._policy.permissions.levels import EVERY_SERVICE, find_possibility
from ..._policy.permissions.permissions import Required, check_permission
from ..._policy.trust.federation import parse_issuer, provider_host
from ..._policy.trust.principals import GUESTS, GuestKind
from ..._policy.trust.trust import Width, pod_identity_inquiry, reach
from ..model.access import RoleFacts
from ..model.errors import listed, sentence
from .assumption import Means, RoleGraph, Session
from .effective import Profile
from .estate import SHOWN_MEMBERS, AccessEstate, AccessMember, association_subject
from .nodes import node_risks
from .risk_kinds import RISK_SEVERITIES, Risk, RiskSeverity
from .unused import ServicesVerdict, UseJudge, UseVerdict

# A risk of permissions: its code, a clause after the name of the role, the statements, whether it is certain, and details.
_Clause: TypeAlias = tuple[str, str, Iterable[Rule], bool, tuple[str, ...]]
# The maximum number of names in the text of a risk.
_SHOWN = 5


# Rows of the risk DATA_OF_ALL: an action that reads data, the pattern of all its resources, and a noun for the data.
_DATA = (
    ("secretsmanager:GetSecretValue", "arn:{partition}:secretsmanager:*:*:secret:*", "secrets"),
    ("ssm:GetParameter", "arn:{partition}:ssm:*:*:parameter/*", "parameters"),
    ("s3:GetObject", "arn:{partition}:s3:::*/*", "objects in all buckets"),
)
# Principals that a trust policy allows in addition to the workload, and the severity of TRUST_WIDE.
_TRUST_SCOPES: Final[Mapping[Width, tuple[str, RiskSeverity]]] = {
    "account": ("every service account of every cluster in the account", "medium"),
    "namesake": ("the service account of the same name in every cluster of the account", "medium"),
    "cluster": ("every service account of the cluster", "low"),
    "namespace": ("every service account of the namespace", "low"),
}


@dataclass
class RiskFinder:
    """A finder of the risks of a report.

    :arg sessions: the session of each service account whose role was read.
    :arg name: returns the name of a service account for the text of a risk.
    :arg judge: decides whether roles, services and actions are unused; None for a report without these risks.
    """

    estate: AccessEstate
    sessions: Mapping[AccessMember, Session]
    name: Callable[[AccessMember], str]
    graph: RoleGraph
    judge: UseJudge | None = None

    def find(self) -> list[Risk]:
        """Return all risks, ordered by severity (high first), code, number of service accounts (most first) and subject."""
        found = [
            *self._permission_risks(),
            *self._role_risks(),
            *self._guest_risks(),
            *self._member_risks(),
            *node_risks(self.estate, self.graph, self.name),
            *(self._unused_risks(self.judge) if self.judge is not None else ()),
        ]
        return sorted(
            found,
            key=lambda risk: (
                RISK_SEVERITIES.index(risk.severity),
                risk.code,
                -len(risk.members),
                risk.subject,
            ),
        )

    @cached_property
    def _holders(self) -> Mapping[Session, Sequence[AccessMember]]:
        """Return the service accounts of each session.

        A session has the condition keys of the first of them, which give the same decisions for the other ones.
        """
        found: dict[Session, list[AccessMember]] = {}
        for member, session in self.sessions.items():
            found.setdefault(session, []).append(member)
        return found

    def _permission_risks(self) -> Iterator[Risk]:
        for session, members in self._holders.items():
            arn, unread = session.role.arn, listed(title for _layer, title in session.profile.unread)
            reason = f", of which {unread} could not be read" if unread else ""
            for code, clause, rules, is_certain, detail in self._clauses(session):
                condition = "" if is_certain else f", under the conditions of the policies{reason}"
                text = f"Role {self.estate.role_label(arn)} {clause}{condition}."
                yield Risk(
                    code,
                    arn,
                    text,
                    tuple(members),
                    is_certain,
                    tuple(self.estate.tables.places(rules)),
                    (arn,),
                    detail,
                )

    def _clauses(self, session: Session) -> Iterator[_Clause]:
        """Yield the code of each risk of the permissions of a role, with a clause, statements, certainty and details."""
        profile, grant = session.profile, session.grant
        if grant is not None:
            clause = f"can give itself any permission with {grant.action}"
            yield "ADMINISTRATOR", clause, profile.statements("iam"), grant.is_certain, (grant.action,)
            if grant.is_certain:
                # The other risks of permissions follow from this one.
                return
        if profile.escalations:
            effects, is_certain = _mark_conditions(
                (entry.combination.effect, entry.is_certain) for entry in profile.escalations
            )
            more = f"; and {len(effects) - _SHOWN} more" if len(effects) > _SHOWN else ""
            needs = dict.fromkeys(
                action for entry in profile.escalations for action in entry.combination.needs
            )
            clause = f"can {'; '.join(effects[:_SHOWN])}{more}"
            rules = (rule for entry in profile.escalations for rule in entry.rules)
            yield "ESCALATION", clause, rules, is_certain, tuple(needs)
        found = self.graph.paths(session)
        for code, goal in (("PATH_TO_ADMINISTRATOR", "administrators: "), ("ASSUMES_ROLE", "")):
            paths = [path for path in found if (path.session.grant is not None) == bool(goal)]
            if paths:
                names, is_certain = _mark_conditions(
                    (
                        " → ".join(map(self.estate.role_label, path.arns)),
                        path.is_certain and (path.session.grant is None or path.session.grant.is_certain),
                    )
                    for path in paths
                )
                clause, ends = f"can assume {goal}{listed(names, _SHOWN)}", [path.arns[-1] for path in paths]
                yield code, clause, profile.statements("sts"), is_certain, tuple(ends)
        partition = session.role.arn.split(":")[1]
        data = {
            word: profile.statements(action.partition(":")[0])
            for action, resource, word in _DATA
            if check_permission(
                profile.layers, Required(action, resource.format(partition=partition)), session.context
            ).decision
            == ALLOWED
        }
        if data:
            yield "DATA_OF_ALL", f"can read all {listed(data)}", chain(*data.values()), True, ()
        wide = [cell for cell in profile.cells if cell.everywhere & {"Write", "Permissions management"}]
        if wide:
            titles = {EVERY_SERVICE: "services that its policies do not name"}
            names = [titles.get(cell.service, cell.service) for cell in wide]
            yield (
                "WRITES_EVERYWHERE",
                f"can change all resources of {listed(names, _SHOWN)}",
                (rule for cell in wide for rule in cell.rules),
                True,
                tuple(names),
            )

    @cached_property
    def means(self) -> Mapping[AccessMember, Means]:
        """Return the means of each service account to obtain further permissions."""
        found: dict[AccessMember, Means] = {}
        cache: dict[object, Means] = {}
        for member in self.estate.members:
            is_usable = bool(member.credentials) and member.credentials[0].usable != "no"
            session = self.sessions.get(member) if is_usable else None
            further_roles = self.estate.token_roles(member)
            key = session, tuple(further_roles.items())
            if key not in cache:
                cache[key] = self.graph.means(session, further_roles)
            found[member] = cache[key]
        return found

    def _role_risks(self) -> Iterator[Risk]:
        for arn, (role, members) in self._users().items():
            name = self.estate.role_label(role.arn)
            make_risk = partial(Risk, members=tuple(members), roles=(role.arn,))
            for width, affected in self._scopes(role, members).items():
                scope, severity = _TRUST_SCOPES[width]
                yield make_risk(
                    "TRUST_WIDE",
                    f"{role.arn} {scope}",
                    f"The trust policy of role {name} allows {scope}.",
                    members=tuple(affected),
                    raised_as=severity,
                )
            places = self.estate.users_by_role.get(arn, [])
            if len(set(places)) > 1:
                clusters = len({cluster for cluster, _namespace in places})
                scope = f"{clusters} clusters" if clusters > 1 else f"{len(set(places))} namespaces"
                shown = sum(any(arn == entry.role_arn.lower() for entry in m.credentials) for m in members)
                hidden = f", {len(places) - shown} of them not in this report" if len(places) > shown else ""
                yield make_risk(
                    "ROLE_SHARED",
                    role.arn,
                    f"{len(places)} service accounts in {scope} use role {name}{hidden}.",
                )
            if role.state == "missing":
                users = listed(map(self.name, members), SHOWN_MEMBERS)
                yield make_risk(
                    "ROLE_MISSING", role.arn, f"Role {role.arn} does not exist, but {users} would use it."
                )
            profile = self.estate.tables.profile(role, Context())
            if unread := listed(title for _layer, title in profile.unread):
                yield make_risk(
                    "ACCESS_UNKNOWN", role.arn, f"Policies of role {name} could not be read: {unread}."
                )
            elif role.state == "unread":
                yield make_risk("ACCESS_UNKNOWN", role.arn, f"Role {role.arn} could not be read.")

    def _guest_risks(self) -> Iterator[Risk]:
        """Yield the other principals of each trust policy, without the roles and clusters of the report that use the role."""
        issuers = {
            parse_issuer(part.cluster.issuer) for part in self.estate.parts if part.cluster is not None
        }
        for arn, (role, members) in self._users().items():
            bases = {
                entry.role_arn.lower()
                for member in members
                for entry in member.credentials
                if entry.target_arn.lower() == arn
            }
            by_kind: dict[GuestKind, dict[str, None]] = {}
            for guest in self.estate.guests(role):
                issuer = parse_issuer(provider_host(guest.name))
                is_cluster = guest.kind == "oidc" and issuer is not None and issuer in issuers
                if guest.name.lower() not in bases and not is_cluster:
                    by_kind.setdefault(guest.kind, {})[guest.name] = None
            for kind, names in by_kind.items():
                severity, title = GUESTS[kind]
                text = f"The trust policy of role {self.estate.role_label(role.arn)} allows {title}"
                shown = "" if set(names) == {"*"} else f": {listed(names, _SHOWN)}"
                yield Risk(
                    "TRUST_OTHERS",
                    f"{role.arn} {kind}",
                    f"{text}{shown}.",
                    tuple(members),
                    roles=(role.arn,),
                    detail=tuple(names),
                    raised_as=severity,
                )

    def _scopes(self, role: RoleFacts, members: Sequence[AccessMember]) -> dict[Width, list[AccessMember]]:
        """Return the keys of ``_TRUST_SCOPES`` that apply to the trust policy, each with the service accounts concerned."""
        found: dict[Width, list[AccessMember]] = {}
        trust = self.estate.trust(role)
        rules = trust.rules if trust is not None else ()
        associated = [
            (member, entry.association)
            for member in members
            for entry in member.credentials
            if entry.association is not None and entry.role_arn.lower() == role.arn.lower()
        ]
        for member, association in associated:
            inquiry = pod_identity_inquiry(association_subject(member.cluster, association))
            for width in reach(rules, inquiry):
                found.setdefault(width, []).append(member)
        return found

    def _member_risks(self) -> Iterator[Risk]:
        unusable: dict[tuple[str, str], list[AccessMember]] = {}
        for member in self.estate.members:
            name, subject = self.name(member), f"{member.cluster.arn} {member.key}"
            associated = next((entry for entry in member.credentials if entry.association), None)
            for entry in member.credentials:
                has_effect = entry.kind != "irsa" or associated is None
                if has_effect and entry.usable == "no" and self.estate.role(entry.role_arn).state == "read":
                    unusable.setdefault((entry.role_arn, entry.reason), []).append(member)
            if by_template := [entry for entry in member.credentials if entry.owner]:
                owners = [f"{entry.owner} ({', '.join(entry.variables)})" for entry in by_template]
                text = f"{name}: Pod templates set credentials: {listed(owners)}."
                detail = tuple(dict.fromkeys(name for entry in by_template for name in entry.variables))
                yield Risk("CREDENTIALS_BY_HAND", subject, text, (member,), detail=detail)
            if associated is not None and not member.exists:
                text = f"{name} does not exist, but its association gives it role {self.estate.role_label(associated.role_arn)}."
                yield Risk("ACCOUNT_MISSING", subject, text, (member,), roles=(associated.role_arn,))
        for (arn, reason), members in unusable.items():
            text = f"{listed(map(self.name, members), SHOWN_MEMBERS)} cannot use role {self.estate.role_label(arn)}. {reason}"
            yield Risk("ROLE_UNUSABLE", f"{arn} {members[0].key}", text, tuple(members), roles=(arn,))

    def _unused_risks(self, judge: UseJudge) -> Iterator[Risk]:
        period = f"in the last {judge.days} days"
        for role, members, verdict, services in self._uses(judge):
            name = self.estate.role_label(role.arn)
            if verdict.usage == "unused":
                yield Risk(
                    "ROLE_UNUSED", role.arn, f"Role {name} {verdict.reason}.", members, roles=(role.arn,)
                )
            for code, unused, text in (
                ("SERVICES_UNUSED", services.unused, f"Role {name} has not used {{}} {period}."),
                (
                    "ACTIONS_UNUSED",
                    services.actions,
                    f"IAM has recorded no use of {{}} by role {name} {period}.",
                ),
            ):
                if unused:
                    text = text.format(listed(unused, _SHOWN))
                    yield Risk(code, role.arn, text, members, roles=(role.arn,), detail=unused)

    def unknown_uses(self) -> Iterator[str]:
        """Yield sentences that name the roles and services whose use is unknown, with the reasons; none without ``judge``."""
        doubts: dict[str, list[str]] = {}
        for role, _members, verdict, services in self._uses(self.judge) if self.judge is not None else ():
            name = f"role {self.estate.role_label(role.arn)}"
            if verdict.usage == "unknown" and role.state != "missing":
                doubts.setdefault(f"the role {verdict.reason}", []).append(name)
            if services.unknown:
                doubts.setdefault(services.unknown, []).append(f"the services of {name}")
            if services.unrecorded:
                unrecorded = f"{listed(services.unrecorded, _SHOWN)} by {name}"
                doubts.setdefault("IAM does not report it", []).append(unrecorded)
        for reason, names in sorted(doubts.items()):
            yield sentence(f"The use of {listed(names, _SHOWN)} is unknown: {reason}")

    def _uses(
        self, judge: UseJudge
    ) -> Iterator[tuple[RoleFacts, tuple[AccessMember, ...], UseVerdict, ServicesVerdict]]:
        """Yield each role with its service accounts, and the verdicts on its use and on the use of its services."""
        for role, members in self._users().values():
            verdict, services = judge.judge_role(role), ServicesVerdict()
            sessions = filter(None, map(self.sessions.get, members))
            held = {session.profile: None for session in sessions if session.role is role}
            if held and role.use is not None and verdict.usage == "used":
                named = {cell.service for profile in held for cell in profile.cells if cell.levels}
                services = judge.judge_services(
                    role.use, partial(_allows_action, list(held)), tuple(sorted(named - {EVERY_SERVICE}))
                )
            yield role, tuple(members), verdict, services

    def _users(self) -> dict[str, tuple[RoleFacts, list[AccessMember]]]:
        """Return each role, and each target role, with its service accounts, keyed and ordered by its lower-case ARN."""
        found: dict[str, tuple[RoleFacts, list[AccessMember]]] = {}
        for member in self.estate.members:
            arns = [arn for entry in member.credentials for arn in (entry.role_arn, entry.target_arn) if arn]
            for lower, arn in {arn.lower(): arn for arn in arns}.items():
                found.setdefault(lower, (self.estate.role(arn), []))[1].append(member)
        return dict(sorted(found.items()))


def _mark_conditions(entries: Iterable[tuple[str, bool]]) -> tuple[list[str], bool]:
    """Return texts, and whether one of them is certain. Uncertain ones are marked, unless all are uncertain."""
    pairs = list(entries)
    is_certain = any(certain for _text, certain in pairs)
    marks = (f"{text} (under conditions)" if is_certain and not certain else text for text, certain in pairs)
    return list(marks), is_certain


def _allows_action(profiles: Sequence[Profile], name: str) -> bool:
    """Return whether a profile allows, or may allow, an action.

    :arg name: an action such as "s3:CreateBucket", or a service such as "s3" for any of its actions.
    """
    if ":" not in name:
        cells = (profile.cell(name) for profile in profiles)
        return any(cell is not None and cell.levels for cell in cells)
    found = (
        find_possibility(
            profile.layers,
            profile.tables.catalogue.find(name.lower()),
            profile.context,
            profile.tables.catalogue,
        )
        for profile in profiles
    )
    return any(possibility.decision != "no" for possibility in found)
