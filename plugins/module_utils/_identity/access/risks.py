# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the risks in the access of service accounts to AWS (``risk_kinds.py`` describes the kinds of risks)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from operator import itemgetter
from typing import Final

from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.evaluate import ALLOWED
from ..._policy.evaluation.rules import Rule
from ..._policy.language.context import Context
from ..._policy.permissions.levels import EVERY_SERVICE, Cell, find_possibility
from ..._policy.permissions.permissions import Required, check_permission
from ..._policy.trust.federation import federated_statements, parse_issuer, provider_host
from ..._policy.trust.principals import GUESTS, GuestKind
from ..._policy.trust.trust import Width, pod_identity_inquiry, reach
from ..model.access import RoleFacts
from ..model.errors import listed, sentence
from .assumption import Means, RoleGraph, RolePath
from .effective import AccessTables, Profile
from .estate import AccessEstate, AccessMember, Credential, list_members, make_subject, role_name
from .nodes import NodeRoleFinder
from .risk_kinds import RISK_SEVERITIES, Risk, RiskSeverity
from .unused import ServicesVerdict, UseJudge

# The maximum number of names in the text of a risk.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Holding:
    """A role with effective permissions, and the service accounts that have these permissions.

    ``context`` has the condition keys of the first service account. It gives the same decisions for the other service accounts.
    """

    role: RoleFacts
    profile: Profile
    context: Context
    members: tuple[AccessMember, ...]


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
    judge: UseJudge | None = None

    def find(self) -> list[Risk]:
        """Return all risks, ordered by severity (high first), code, number of service accounts (most first) and subject."""
        found = [
            *self._permission_risks(),
            *self._role_risks(),
            *self._guest_risks(),
            *self._member_risks(),
            *self.nodes.risks(),
        ]
        found += self._unused_risks(self.judge) if self.judge is not None else []
        order = {severity: place for place, severity in enumerate(RISK_SEVERITIES)}
        return sorted(
            found, key=lambda risk: (order[risk.severity], risk.code, -len(risk.members), risk.subject)
        )

    @cached_property
    def _holdings(self) -> list[_Holding]:
        groups: dict[tuple[str, int], list[AccessMember]] = {}
        for member in self.estate.members:
            profile = self.profiles.get((member.cluster.arn, member.key))
            credential = member.role_credential
            if profile is not None and credential is not None:
                groups.setdefault((credential.effective_arn.lower(), profile.number), []).append(member)
        holdings = []
        for (arn, number), members in groups.items():
            role = self.estate.roles[arn]
            holdings.append(
                _Holding(role, self.tables.profiles[number], members[0].context(role), tuple(members))
            )
        return holdings

    @cached_property
    def nodes(self) -> NodeRoleFinder:
        """Return the finder of node roles, which shares the caches of this finder."""
        return NodeRoleFinder(self.estate, self._graph, self.name)

    @cached_property
    def _graph(self) -> RoleGraph:
        return RoleGraph(self.estate, self.tables)

    def _permission_risks(self) -> Iterator[Risk]:
        for holding in self._holdings:
            administrator = self._administrator(holding)
            if administrator is not None:
                yield administrator
            if administrator is None or not administrator.is_certain:
                yield from self._further_risks(holding)

    def _paths(self, holding: _Holding) -> list[RolePath]:
        return self._graph.paths(holding.role, holding.profile, holding.context)

    @cached_property
    def means(self) -> Mapping[tuple[str, WorkloadKey], Means]:
        """Return what the service accounts with a role can do to obtain further permissions."""
        found = {}
        for holding in self._holdings:
            means = self._graph.means(holding.role, holding.profile, holding.context)
            found.update({(member.cluster.arn, member.key): means for member in holding.members})
        return found

    def _administrator(self, holding: _Holding) -> Risk | None:
        role, name = holding.role, self.estate.label(holding.role.arn)
        grant = self._graph.self_grant(role, holding.profile, holding.context)
        if grant is None:
            return None
        text = f"Role {name} can give itself any permission with {grant.action}."
        cell = holding.profile.cell("iam")
        rules = cell.rules if cell is not None else ()
        if _allows_everything(holding.profile.cells):
            text = f"Role {name} has all actions of all services on all resources."
        if not grant.is_certain:
            text = f"{text[:-1]}, under the conditions of its policies."
        return self._risk("ADMINISTRATOR", holding, text, rules, grant.is_certain, (grant.action,))

    def _further_risks(self, holding: _Holding) -> Iterator[Risk]:
        name = self.estate.label(holding.role.arn)
        escalations = holding.profile.escalations
        if escalations:
            certain = [entry for entry in escalations if entry.is_certain]
            chosen = certain or escalations
            effects = "; ".join(entry.combination.effect for entry in chosen[:_SHOWN])
            more = f"; and {len(chosen) - _SHOWN} more" if len(chosen) > _SHOWN else ""
            depends = "" if certain else ", under the conditions of its policies"
            needs = dict.fromkeys(action for entry in chosen for action in entry.combination.needs)
            rules = dict.fromkeys(rule for entry in chosen for rule in entry.rules)
            text = f"Role {name} can{depends}: {effects}{more}."
            yield self._risk("ESCALATION", holding, text, rules, bool(certain), tuple(needs))
        yield from self._path_risks(holding, self._paths(holding))
        data = [
            (word, verdict)
            for action, resource, word in _DATA
            if (verdict := self._allowing_rules(holding, action, resource)) is not None
        ]
        if data:
            *first, last = [word for word, _rules in data]
            words = f"{', '.join(first)} and {last}" if first else last
            rules = dict.fromkeys(rule for _word, found in data for rule in found)
            yield self._risk("DATA_OF_ALL", holding, f"Role {name} can read all {words}.", rules)
        wide = [
            cell for cell in holding.profile.cells if cell.everywhere & {"Write", "Permissions management"}
        ]
        if wide:
            names = [
                "the services that its policies do not name"
                if cell.service == EVERY_SERVICE
                else cell.service
                for cell in wide
            ]
            rules = dict.fromkeys(rule for cell in wide for rule in cell.rules)
            text = f"Role {name} can change all resources of {listed(names, _SHOWN)}."
            yield self._risk("WRITES_EVERYWHERE", holding, text, rules, True, tuple(names))

    def _path_risks(self, holding: _Holding, paths: Sequence[RolePath]) -> Iterator[Risk]:
        name = self.estate.label(holding.role.arn)
        cell = holding.profile.cell("sts")
        rules = cell.rules if cell is not None else ()
        leading = [path for path in paths if path.administers]
        for code, chosen in (
            ("PATH_TO_ADMINISTRATOR", leading),
            ("ASSUMES_ROLE", [path for path in paths if not path.administers]),
        ):
            if not chosen:
                continue
            texts = [" → ".join(self.estate.label(arn) for arn in path.arns) for path in chosen]
            goal = ""
            if code == "PATH_TO_ADMINISTRATOR":
                roles, accounts = (
                    ("a role", "its account") if len(chosen) == 1 else ("roles", "their accounts")
                )
                goal = f"{roles} that can administer {accounts}: "
            is_certain = any(path.is_certain for path in chosen)
            depends = "" if is_certain else ", under the conditions of the policies,"
            text = f"Role {name} can{depends} assume {goal}{listed(texts, _SHOWN)}."
            arns = tuple(path.arns[-1] for path in chosen)
            yield self._risk(code, holding, text, rules, is_certain, arns)

    def _allowing_rules(self, holding: _Holding, action: str, resource: str) -> list[Rule] | None:
        """Return the statements that allow actions of the same service, or None unless the action is allowed on all resources.

        :arg action: the action, such as "s3:GetObject".
        :arg resource: the pattern of all resources, with ``{partition}`` for the partition of the role.
        """
        cell = holding.profile.cell(action.partition(":")[0])
        if cell is None:
            return None
        arn = resource.format(partition=holding.role.arn.split(":")[1])
        verdict = check_permission(holding.profile.layers, Required(action, arn), holding.context)
        return list(cell.rules) if verdict.decision == ALLOWED else None

    def _risk(
        self,
        code: str,
        holding: _Holding,
        text: str,
        rules: Iterable[Rule] = (),
        is_certain: bool = True,
        detail: tuple[str, ...] = (),
    ) -> Risk:
        return Risk(
            code,
            holding.role.arn,
            text,
            holding.members,
            is_certain,
            tuple(self.tables.places(rules)),
            (holding.role.arn,),
            detail,
        )

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
            outside = self.estate.outside.get(arn, ())
            places = {*outside, *((member.cluster.arn, member.key.namespace) for member in members)}
            clusters = {cluster for cluster, _namespace in places}
            if len(places) > 1:
                users = f"{len(members) + len(outside)} service accounts"
                scope = f"{len(clusters)} clusters" if len(clusters) > 1 else f"{len(places)} namespaces"
                hidden = (
                    f", {len(outside)} of them outside of the namespaces of this report" if outside else ""
                )
                text = f"{users} in {scope} use role {name}{hidden}."
                yield Risk("ROLE_SHARED", role.arn, text, tuple(members), roles=(role.arn,))
            if role.state == "missing":
                text = f"Role {role.arn} does not exist, but {list_members(self.name, members)} would use it."
                yield Risk("ROLE_MISSING", role.arn, text, tuple(members), roles=(role.arn,))
            if role.state == "unread" or role.unread:
                unread = listed(title for _layer, title in role.unread)
                policies = "A policy" if len(role.unread) == 1 else "Policies"
                text = (
                    f"{policies} of role {name} could not be read: {unread}."
                    if unread
                    else f"Role {role.arn} could not be read."
                )
                yield Risk("ACCESS_UNKNOWN", role.arn, text, tuple(members), roles=(role.arn,))

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
                text = f"The trust policy of role {self.estate.label(role.arn)} lets in {title}"
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
                verb = "sets" if len(owners) == 1 else "set"
                text = f"{name}: {listed(owners)} {verb} credentials for the Pods."
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
        for role, members in self._users().values():
            verdict = judge.judge_role(role)
            if verdict.usage == "unused":
                text = f"Role {self.estate.label(role.arn)} {verdict.reason}."
                yield Risk("ROLE_UNUSED", role.arn, text, tuple(members), roles=(role.arn,))
        for role, holders, found in self._services_in_use(judge):
            name, period = self.estate.label(role.arn), f"in the last {judge.days} days"
            services, actions = listed(found.unused, _SHOWN), listed(found.actions, _SHOWN)
            for code, unused, text in (
                ("SERVICES_UNUSED", found.unused, f"Role {name} has not used {services} {period}."),
                (
                    "ACTIONS_UNUSED",
                    found.actions,
                    f"IAM has recorded no use of {actions} by role {name} {period}.",
                ),
            ):
                if unused:
                    yield Risk(code, role.arn, text, holders, roles=(role.arn,), detail=unused)

    def unknown_uses(self) -> Iterator[str]:
        """Yield sentences that name the roles and services whose use is unknown, with the reasons; none without ``judge``."""
        judge = self.judge
        if judge is None:
            return
        users = self._users().values()
        verdicts = {role.arn: judge.judge_role(role) for role, _members in users if role.state != "missing"}
        unknown = [(verdict.reason, arn) for arn, verdict in verdicts.items() if verdict.usage == "unknown"]
        for reason, names in _by_reason(unknown):
            subject, verb, pronoun = _role_subject(names)
            yield f"It is unknown whether {subject} {verb} unused, because {pronoun} {reason}."
        in_use = [(found, role.arn) for role, _holders, found in self._services_in_use(judge)]
        unread = [(found.unknown, arn) for found, arn in in_use if verdicts[arn].usage == "used"]
        for reason, names in _by_reason(unread):
            subject = _role_subject(names)[0]
            yield f"It is unknown which services and actions are unused by {subject}. {sentence(reason)}"
        for missing, names in _by_reason((listed(found.unrecorded, _SHOWN), arn) for found, arn in in_use):
            yield f"IAM does not report the use of {missing}, so it is unknown for {_role_subject(names)[0]}."

    def _services_in_use(
        self, judge: UseJudge
    ) -> Iterator[tuple[RoleFacts, tuple[AccessMember, ...], ServicesVerdict]]:
        """Yield each role that was read and is not unused, with its service accounts and the services that it does not use."""
        by_role: dict[str, list[_Holding]] = {}
        for holding in self._holdings:
            by_role.setdefault(holding.role.arn.lower(), []).append(holding)
        for _arn, holdings in sorted(by_role.items()):
            role, profiles = holdings[0].role, [holding.profile for holding in holdings]
            if judge.judge_role(role).usage != "unused":
                members = tuple(member for holding in holdings for member in holding.members)
                named = {cell.service for profile in profiles for cell in profile.cells if cell.levels}
                services = tuple(sorted(named - {EVERY_SERVICE}))
                yield role, members, judge.judge_services(role, partial(_allows, profiles), services)

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
        """Return a clause that names the annotation, ConfigMap or statement with which IRSA is still configured, or "".

        :arg associated: the credentials that the association gives.
        """
        if any(entry.kind == "irsa" for entry in member.credentials):
            part = next(part for part in self.estate.parts if part.cluster == member.cluster)
            if (account := part.accounts.get(member.key)) is not None and account.role_arn:
                return "the IRSA annotation still exists, in addition to the association"
            return "the ConfigMap of the IRSA webhook still has a role, in addition to the association"
        issuer = parse_issuer(member.cluster.issuer)
        role = self.estate.role(associated.role_arn)
        if issuer is None or role.trust is None or self.estate.trust(role) is None:
            return ""
        name = member.key.namespace, member.key.service_account
        if any(name in (entry.accounts or ()) for entry in federated_statements(role.trust, issuer)):
            return "the trust policy of the role still has a statement for IRSA"
        return ""


def _by_reason(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Group the names of roles by a reason, ordered by reason and name. Omit roles with the reason "".

    :arg pairs: reasons with the ARNs of roles.
    """
    named = sorted((reason, role_name(arn)) for reason, arn in pairs if reason)
    return [(reason, [name for _reason, name in group]) for reason, group in groupby(named, itemgetter(0))]


def _role_subject(names: Sequence[str]) -> tuple[str, str, str]:
    """Return the subject of a sentence about roles, the matching form of "be", and the matching pronoun."""
    if len(names) == 1:
        return f"role {names[0]}", "is", "it"
    return f"roles {listed(names, _SHOWN)}", "are", "each"


def _allows(profiles: Sequence[Profile], name: str) -> bool:
    """Return whether a profile allows, or may allow, an action.

    :arg name: an action such as "s3:CreateBucket", or a service such as "s3" for any of its actions.
    """
    if ":" not in name:
        cells = (profile.cell(name) for profile in profiles)
        return any(cell is not None and cell.levels for cell in cells)
    found = (
        find_possibility(
            profile.layers, profile.tables.index.find(name.lower()), profile.context, profile.tables.index
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
