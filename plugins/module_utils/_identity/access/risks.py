# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the risks in the access of service accounts to AWS (``risk_kinds.py`` describes the kinds of risks)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, TypeAlias

from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.evaluate import ALLOWED
from ..._policy.evaluation.rules import Rule
from ..._policy.permissions.levels import EVERY_SERVICE, Cell, find_possibility
from ..._policy.permissions.permissions import Required, check_permission
from ..._policy.trust.federation import allows_web_identity, parse_issuer, provider_host
from ..._policy.trust.principals import GUESTS, GuestKind
from ..._policy.trust.trust import Width, pod_identity_inquiry, reach
from ..model.access import RoleFacts
from ..model.errors import listed, sentence
from .assumption import Means, RoleGraph, Session
from .effective import AccessTables, Profile
from .estate import AccessEstate, AccessMember, Credential, list_members, make_subject
from .nodes import node_risks
from .risk_kinds import RISK_SEVERITIES, Risk, RiskSeverity
from .unused import RoleVerdict, ServicesVerdict, UseJudge

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

    :arg profiles: the effective permissions of each service account whose role was read, by the ARN of the cluster and the key of
        the service account.
    :arg name: returns the name of a service account for the text of a risk.
    :arg judge: decides whether roles, services and actions are unused; None for a report without these risks.
    """

    estate: AccessEstate
    tables: AccessTables
    profiles: Mapping[tuple[str, WorkloadKey], Profile]
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
        ]
        found += self._unused_risks(self.judge) if self.judge is not None else []
        order = {severity: place for place, severity in enumerate(RISK_SEVERITIES)}
        return sorted(
            found, key=lambda risk: (order[risk.severity], risk.code, -len(risk.members), risk.subject)
        )

    @cached_property
    def _holdings(self) -> list[tuple[Session, tuple[AccessMember, ...]]]:
        """Return a session for each role and profile, with the service accounts that have these permissions.

        The session has the condition keys of the first service account, which give the same decisions for the other ones.
        """
        groups: dict[tuple[str, int], list[AccessMember]] = {}
        for member in self.estate.members:
            profile = self.profiles.get((member.cluster.arn, member.key))
            credential = member.role_credential
            if profile is not None and credential is not None:
                groups.setdefault((credential.effective_arn.lower(), profile.number), []).append(member)
        roles, profiles, graph = self.estate.roles, self.tables.profiles, self.graph
        return [
            (graph.session(roles[arn], profiles[number], members[0].context(roles[arn])), tuple(members))
            for (arn, number), members in groups.items()
        ]

    def _permission_risks(self) -> Iterator[Risk]:
        for session, members in self._holdings:
            arn = session.role.arn
            for code, clause, rules, is_certain, detail in self._clauses(session):
                condition = "" if is_certain else ", under the conditions of the policies"
                text = f"Role {self.estate.label(arn)} {clause}{condition}."
                places = tuple(self.tables.places(rules))
                yield Risk(code, arn, text, members, is_certain, places, (arn,), detail)

    def _clauses(self, session: Session) -> Iterator[_Clause]:
        """Yield the code of each risk of the permissions of a role, with a clause, statements, certainty and details."""
        profile, grant = session.profile, session.grant
        if grant is not None:
            clause = f"can give itself any permission with {grant.action}"
            if _allows_everything(profile.cells):
                clause = "has all actions of all services on all resources"
            yield "ADMINISTRATOR", clause, profile.statements("iam"), grant.is_certain, (grant.action,)
            if grant.is_certain:
                return
        if profile.escalations:
            certain = [entry for entry in profile.escalations if entry.is_certain]
            chosen = certain or profile.escalations
            effects = "; ".join(entry.combination.effect for entry in chosen[:_SHOWN])
            more = f"; and {len(chosen) - _SHOWN} more" if len(chosen) > _SHOWN else ""
            needs = dict.fromkeys(action for entry in chosen for action in entry.combination.needs)
            rules = dict.fromkeys(rule for entry in chosen for rule in entry.rules)
            yield "ESCALATION", f"can {effects}{more}", rules, bool(certain), tuple(needs)
        found = self.graph.paths(session)
        for code, goal in (("PATH_TO_ADMINISTRATOR", "administrators: "), ("ASSUMES_ROLE", "")):
            paths = [path for path in found if (path.session.grant is not None) == bool(goal)]
            if paths:
                names = [" → ".join(map(self.estate.label, path.arns)) for path in paths]
                clause = f"can assume {goal}{listed(names, _SHOWN)}"
                is_certain = any(path.is_certain for path in paths)
                yield (
                    code,
                    clause,
                    profile.statements("sts"),
                    is_certain,
                    tuple(path.arns[-1] for path in paths),
                )
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
            rules = dict.fromkeys(rule for statements in data.values() for rule in statements)
            yield "DATA_OF_ALL", f"can read all {listed(data)}", rules, True, ()
        wide = [cell for cell in profile.cells if cell.everywhere & {"Write", "Permissions management"}]
        if wide:
            services = {cell.service: "services that its policies do not name" for cell in wide}
            names = [title if name == EVERY_SERVICE else name for name, title in services.items()]
            rules = dict.fromkeys(rule for cell in wide for rule in cell.rules)
            clause = f"can change all resources of {listed(names, _SHOWN)}"
            yield "WRITES_EVERYWHERE", clause, rules, True, tuple(names)

    @cached_property
    def means(self) -> Mapping[tuple[str, WorkloadKey], Means]:
        """Return the means of each service account to obtain further permissions."""
        found = {}
        cache: dict[object, Means] = {}
        sessions = {
            (member.cluster.arn, member.key): session
            for session, members in self._holdings
            for member in members
            if member.credentials[0].usable != "no"
        }
        for member in self.estate.members:
            place = member.cluster.arn, member.key
            session, further_roles = sessions.get(place), tuple(self.estate.token_roles(member))
            key = id(session), further_roles
            if key not in cache:
                cache[key] = self.graph.means(session, further_roles)
            found[place] = cache[key]
        return found

    def _role_risks(self) -> Iterator[Risk]:
        for arn, (role, members) in self._users(targets=False).items():
            name = self.estate.label(role.arn)
            for width, affected in self._scopes(role, members).items():
                scope, severity = _TRUST_SCOPES[width]
                text = f"The trust policy of role {name} allows {scope}."
                yield Risk(
                    "TRUST_WIDE",
                    f"{role.arn} {scope}",
                    text,
                    tuple(affected),
                    roles=(role.arn,),
                    raised_as=severity,
                )
            places = self.estate.places.get(arn, [])
            clusters = len({cluster for cluster, _namespace in places})
            texts = {}
            if len(set(places)) > 1:
                scope = f"{clusters} clusters" if clusters > 1 else f"{len(set(places))} namespaces"
                outside = len(places) - len(members)
                hidden = f", {outside} of them not in this report" if outside else ""
                texts["ROLE_SHARED"] = f"{len(places)} service accounts in {scope} use role {name}{hidden}."
            if role.state == "missing":
                users = list_members(self.name, members)
                texts["ROLE_MISSING"] = f"Role {role.arn} does not exist, but {users} would use it."
            if unread := listed(title for _layer, title in role.unread):
                texts["ACCESS_UNKNOWN"] = f"Policies of role {name} could not be read: {unread}."
            elif role.state == "unread":
                texts["ACCESS_UNKNOWN"] = f"Role {role.arn} could not be read."
            for code, text in texts.items():
                yield Risk(code, role.arn, text, tuple(members), roles=(role.arn,))

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
                text = f"The trust policy of role {self.estate.label(role.arn)} allows {title}"
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
        if trust is None:
            return found
        for member in members:
            for entry in member.credentials:
                if entry.association is None or entry.role_arn.lower() != role.arn.lower():
                    continue
                subject = make_subject(
                    member.cluster,
                    member.key,
                    role.arn,
                    not entry.association.disable_session_tags,
                    own_account=True,
                )
                for width in reach(trust.rules, pod_identity_inquiry(subject)):
                    found.setdefault(width, []).append(member)
        return found

    def _member_risks(self) -> Iterator[Risk]:
        unusable: dict[tuple[str, str], list[AccessMember]] = {}
        left: dict[tuple[str, str], list[AccessMember]] = {}
        for member in self.estate.members:
            name = self.name(member)
            associated = next((entry for entry in member.credentials if entry.association), None)
            for entry in member.credentials:
                if entry.kind == "irsa" and associated is not None:
                    continue
                if entry.usable == "no" and self.estate.role(entry.role_arn).state == "read":
                    unusable.setdefault((entry.role_arn, entry.reason), []).append(member)
            by_template = [entry for entry in member.credentials if entry.owner]
            if by_template:
                owners = [f"{entry.owner} ({', '.join(entry.variables)})" for entry in by_template]
                text = f"{name}: Pod templates set credentials: {listed(owners)}."
                detail = tuple(dict.fromkeys(name for entry in by_template for name in entry.variables))
                yield Risk("CREDENTIALS_BY_HAND", _subject(member), text, (member,), detail=detail)
            if associated is not None and not member.exists:
                text = f"{name} does not exist, but its association gives it role {self.estate.label(associated.role_arn)}."
                yield Risk("ACCOUNT_MISSING", _subject(member), text, (member,), roles=(associated.role_arn,))
            if associated is not None and (remainder := self._irsa_left(member, associated)):
                left.setdefault((member.cluster.arn, remainder), []).append(member)
        for (arn, reason), members in unusable.items():
            text = f"{list_members(self.name, members)} cannot use role {self.estate.label(arn)}. {reason}"
            yield Risk("ROLE_UNUSABLE", f"{arn} {members[0].key}", text, tuple(members), roles=(arn,))
        for (arn, remainder), members in left.items():
            text = f"{list_members(self.name, members)}: {remainder}."
            yield Risk("IRSA_LEFT", f"{arn} {remainder}", text, tuple(members))

    def _unused_risks(self, judge: UseJudge) -> Iterator[Risk]:
        period = f"in the last {judge.days} days"
        for role, members, verdict, services in self._uses(judge):
            name = self.estate.label(role.arn)
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
            name = f"role {self.estate.label(role.arn)}"
            if verdict.usage == "unknown" and role.state != "missing":
                doubts.setdefault(f"the role {verdict.reason}", []).append(name)
            if services.unknown and verdict.usage == "used":
                doubts.setdefault(services.unknown, []).append(f"the services of {name}")
            if services.unrecorded:
                unrecorded = f"{listed(services.unrecorded, _SHOWN)} by {name}"
                doubts.setdefault("IAM does not report it", []).append(unrecorded)
        for reason, names in sorted(doubts.items()):
            yield sentence(f"The use of {listed(names, _SHOWN)} is unknown: {reason}")

    def _uses(
        self, judge: UseJudge
    ) -> Iterator[tuple[RoleFacts, tuple[AccessMember, ...], RoleVerdict, ServicesVerdict]]:
        """Yield each role with its service accounts, and the verdicts on its use and on the use of its services."""
        profiles: dict[str, list[Profile]] = {}
        for session, _members in self._holdings:
            profiles.setdefault(session.role.arn.lower(), []).append(session.profile)
        for arn, (role, members) in self._users().items():
            verdict, services, held = judge.judge_role(role), ServicesVerdict(), profiles.get(arn, [])
            if held and verdict.usage != "unused":
                named = {cell.service for profile in held for cell in profile.cells if cell.levels}
                ordered = tuple(sorted(named - {EVERY_SERVICE}))
                services = judge.judge_services(role, partial(_allows_action, held), ordered)
            yield role, tuple(members), verdict, services

    def _users(self, targets: bool = True) -> dict[str, tuple[RoleFacts, list[AccessMember]]]:
        """Return each role, and each target role, with its service accounts, keyed and ordered by its lower-case ARN."""
        found: dict[str, tuple[RoleFacts, list[AccessMember]]] = {}
        for member in self.estate.members:
            arns = {
                arn.lower(): arn
                for entry in member.credentials
                for arn in (entry.role_arn, entry.target_arn if targets else "")
                if arn
            }
            for lower, arn in arns.items():
                found.setdefault(lower, (self.estate.role(arn), []))[1].append(member)
        return dict(sorted(found.items()))

    def _irsa_left(self, member: AccessMember, associated: Credential) -> str:
        """Return a clause about the configuration with which IRSA still works in addition to an association, or "".

        :arg associated: the credentials that the association gives.
        """
        if any(entry.kind == "irsa" for entry in member.credentials):
            return "an IRSA annotation, or the ConfigMap of its webhook, still has a role in addition to the association"
        issuer, role = parse_issuer(member.cluster.issuer), self.estate.role(associated.role_arn)
        if issuer is None or role.trust is None or self.estate.trust(role) is None:
            return ""
        name = member.key.namespace, member.key.service_account
        if allows_web_identity(role.trust, issuer, name) == "no":
            return ""
        return "the trust policy of the role still allows IRSA"


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


def _allows_everything(cells: Sequence[Cell]) -> bool:
    """Return whether a statement certainly allows all actions on all resources, and nothing limits or denies any of them."""
    whole = any(
        rule.allow
        and not rule.tests
        and rule.statement.actions == ("*",)
        and rule.statement.resources == ("*",)
        for cell in cells
        if cell.service == EVERY_SERVICE
        for rule in cell.rules
    )
    return whole and not any(cell.denying or cell.limiting for cell in cells)


def _subject(member: AccessMember) -> str:
    return f"{member.cluster.arn} {member.key}"
