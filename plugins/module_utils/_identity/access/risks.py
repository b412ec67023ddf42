# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find risks in the access of service accounts. Each kind of risk has a severity, a reason and an instruction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Literal

from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.evaluate import ALLOWED
from ..._policy.evaluation.rules import Rule
from ..._policy.language.context import Context
from ..._policy.permissions.levels import EVERY_SERVICE
from ..._policy.permissions.permissions import Required, check_permission
from ..._policy.trust.federation import federated_statements, parse_issuer
from ..._policy.trust.trust import pod_identity_inquiry, reach
from ..model.access import ClusterFacts, RoleFacts
from ..model.errors import listed, sentence
from .assumption import Administration, RoleGraph, RolePath
from .effective import AccessTables, Profile, StatementPlace
from .estate import AccessEstate, AccessMember, Credential, make_subject, role_name
from .unused import ServicesVerdict, UseJudge

RiskSeverity = Literal["high", "medium", "low"]
RISK_SEVERITIES: Final[Sequence[RiskSeverity]] = ("high", "medium", "low")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RiskKind:
    """A kind of risk, with the text for a person who decides about it."""

    title: str
    severity: RiskSeverity
    reason: str
    remedy: str


RISK_KINDS: Final[Mapping[str, RiskKind]] = {
    "ADMINISTRATOR": RiskKind(
        "The role can administer the account",
        "high",
        "The role has all permissions, or can give itself any permission. Everyone who controls a Pod of the service "
        "account controls the account.",
        "Replace the policy by one with the actions and resources that the workload needs, or add a permissions boundary "
        "that denies changes in IAM.",
    ),
    "ESCALATION": RiskKind(
        "The role can obtain further permissions",
        "high",
        "A combination of its permissions lets the role use the permissions of other roles or users. So its own policies "
        "do not show everything that it can do.",
        "Remove one action of each combination, or limit its resources. Limit iam:PassRole to the roles that the workload "
        "passes, with a condition on iam:PassedToService.",
    ),
    "PATH_TO_ADMINISTRATOR": RiskKind(
        "The role can assume an administrator",
        "high",
        "The role can assume, directly or by other roles, a role that can administer its account.",
        "Remove sts:AssumeRole for the first role of the path, or limit the trust policy of that role to the principals "
        "that need it.",
    ),
    "ASSUMES_ROLE": RiskKind(
        "The role can assume further roles",
        "medium",
        "The service account also has the permissions of these roles, which its own policies do not show.",
        "Check that the workload needs each of these roles. Otherwise limit the resources of sts:AssumeRole.",
    ),
    "TRUST_WIDE": RiskKind(
        "The trust policy allows more than the service account",
        "medium",
        "A person who can create an association or a service account in this scope can use the role.",
        "Limit the statement to the cluster, namespace and service account: docs/trust-scopes.md has the conditions.",
    ),
    "ROLE_SHARED": RiskKind(
        "Several namespaces or clusters share the role",
        "low",
        "Each of these service accounts has the permissions that any of them needs, and CloudTrail shows the same role "
        "for all.",
        "Give each workload its own role, or keep the role if all of them need the same permissions.",
    ),
    "CREDENTIALS_BY_HAND": RiskKind(
        "A Pod template sets its own credentials",
        "high",
        "SDKs prefer these credentials to EKS Pod Identity and IRSA. Access keys do not expire, and this report cannot "
        "show their permissions.",
        "Remove the variables from the template, so that the Pods use the role of the association, and delete the access "
        "key.",
    ),
    "NODE_CREDENTIALS": RiskKind(
        "Pods without credentials can use the role of their node",
        "medium",
        "The SDK of a Pod without credentials uses the role of the node, which all Pods of the node share, if the Pod reaches "
        "the instance metadata service.",
        "Restart Pods that started without the credentials of their service account, and check that the agent runs on their "
        "nodes. Set the hop limit of the instance metadata service to 1, and limit the role to the permissions of a node.",
    ),
    "ROLE_UNUSED": RiskKind(
        "No recent use of the role is recorded",
        "low",
        "Unused permissions have no benefit, and an attacker in a Pod of the workload has them, too.",
        "Check that no rare task, such as a yearly one, needs the role. Then remove the association or annotation, and the role.",
    ),
    "SERVICES_UNUSED": RiskKind(
        "The role does not use services that it may use",
        "low",
        "Unused permissions have no benefit, and an attacker in a Pod of the workload has them, too.",
        "Check that no rare task needs the services, and remove them from the policies. docs/usage.md describes how to find the "
        "used permissions.",
    ),
    "ROLE_UNUSABLE": RiskKind(
        "The service account cannot use its role",
        "medium",
        "The trust policy does not allow the service account, so its Pods get no credentials.",
        "Correct the trust policy, or remove the association or annotation if it is not needed: docs/trust-findings.md "
        "has the causes.",
    ),
    "ROLE_MISSING": RiskKind(
        "The role does not exist",
        "medium",
        "The association or annotation names a role that was deleted. Whoever creates a role of that name gives its "
        "permissions to the service account.",
        "Remove the association or annotation, or create the role again.",
    ),
    "ACCOUNT_MISSING": RiskKind(
        "The service account of an association does not exist",
        "medium",
        "A person who may create a service account of that name in the namespace gets the permissions of the role.",
        "If the workload does not exist any more, delete the association: aws eks delete-pod-identity-association "
        "--cluster-name NAME --association-id ID",
    ),
    "IRSA_LEFT": RiskKind(
        "IRSA is still possible in addition to an association",
        "low",
        "The annotation or the trust policy of the role still allows IRSA. Pods that started before the association use "
        "IRSA. If someone deleted the association, new Pods could use IRSA too, without an error.",
        "To end the migration: ansible-playbook workload_identity.aws.migrate -e pod_identity_cluster_name=NAME "
        "-e pod_identity_migration_step=finish",
    ),
    "DATA_OF_ALL": RiskKind(
        "The role can read the data of all resources",
        "medium",
        "The role can read all secrets, parameters or objects of the account that no other policy protects.",
        "Name the secrets, parameters or buckets that the workload reads.",
    ),
    "WRITES_EVERYWHERE": RiskKind(
        "The role can change all resources of a service",
        "low",
        "A fault of the workload affects resources of other workloads.",
        "Name the resources, or limit them with a condition on a tag.",
    ),
    "ACCESS_UNKNOWN": RiskKind(
        "The permissions are not completely known",
        "low",
        "The role, or some of its policies, could not be read, so the report may show too little.",
        "Allow the caller the permissions in docs/audit.md, or include the account of the role in the report.",
    ),
}


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk of some service accounts. ``is_certain`` is false if it depends on condition keys.

    ``subject`` identifies the risk in later reports, together with its code. ``detail`` has actions, roles or other names.
    ``raised_as`` is the severity if it differs from the severity of its kind.
    """

    code: str
    subject: str
    text: str
    members: tuple[AccessMember, ...]
    is_certain: bool = True
    statements: tuple[StatementPlace, ...] = ()
    roles: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()
    raised_as: RiskSeverity | None = None

    @property
    def severity(self) -> RiskSeverity:
        return self.raised_as or RISK_KINDS[self.code].severity


@dataclass(frozen=True, slots=True)
class _Holding:
    """A role with its permissions, and the service accounts that have them."""

    role: RoleFacts
    profile: Profile
    context: Context
    members: tuple[AccessMember, ...]


@dataclass(frozen=True, slots=True)
class NodeRole:
    """The role of some nodes. ``sources`` are the node groups with the role, or EKS Auto Mode."""

    role: RoleFacts
    sources: tuple[str, ...]
    administers: Administration


# The resources of ``DATA_OF_ALL``: an action, its resource for all, and a word for the data.
_DATA = (
    ("secretsmanager:GetSecretValue", "arn:{partition}:secretsmanager:*:*:secret:*", "secrets"),
    ("ssm:GetParameter", "arn:{partition}:ssm:*:*:parameter/*", "parameters"),
    ("s3:GetObject", "arn:{partition}:s3:::*/*", "objects in all buckets"),
)
# The workloads that a trust policy allows in addition, with the severity, by the code of the finding.
_TRUST_SCOPES: Final[Mapping[Code, tuple[str, RiskSeverity]]] = {
    Code.TRUST_OPEN_TO_EVERYONE: ("everyone", "high"),
    Code.TRUST_ACCOUNT_WIDE: ("every service account of every cluster in the account", "medium"),
    Code.TRUST_ANY_CLUSTER: (
        "the service account of the same name in every cluster of the account",
        "medium",
    ),
    Code.TRUST_CLUSTER_WIDE: ("every service account of the cluster", "low"),
    Code.TRUST_NAMESPACE_WIDE: ("every service account of the namespace", "low"),
}


_ADMINISTRATION: Final[Mapping[Administration, str]] = {
    "yes": ", which can administer the account",
    "depends": ", which can administer the account under the conditions of its policies",
    "no": "",
    "unknown": ", whose permissions are not completely known",
}
_OTHER_NODES = (
    "Self-managed nodes, nodes of Karpenter and own node classes of EKS Auto Mode can have other roles, which EKS does "
    "not show."
)
_FALLBACK = (
    "without credentials use the role of their node if they reach the instance metadata service, which is unknown, because it "
    "depends on the hop limit of the node."
)


@dataclass
class RiskFinder:
    """A finder of the risks of a report.

    :arg judge: decides whether roles and services are unused; None for a report without these risks.
    :arg profiles: the effective permissions of the service accounts that have a role that was read, by cluster ARN and key.
    :arg name: returns the name of a service account for texts.
    """

    estate: AccessEstate
    tables: AccessTables
    profiles: Mapping[tuple[str, WorkloadKey], Profile]
    name: Callable[[AccessMember], str]
    judge: UseJudge | None = None

    def find(self) -> list[Risk]:
        """Return all risks: the most severe first, and then those with the most service accounts."""
        found = [*self._of_permissions(), *self._of_roles(), *self._of_members(), *self._of_nodes()]
        found += self._of_use(self.judge) if self.judge is not None else []
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
            profile = self.tables.profiles[number]
            holdings.append(_Holding(role, profile, members[0].context(role), tuple(members)))
        return holdings

    @cached_property
    def _graph(self) -> RoleGraph:
        return RoleGraph(self.estate, self.tables)

    def _of_permissions(self) -> Iterator[Risk]:
        for holding in self._holdings:
            administrator = self._administrator(holding)
            if administrator is not None:
                yield administrator
            if administrator is None or not administrator.is_certain:
                yield from self._further(holding)

    def _administrator(self, holding: _Holding) -> Risk | None:
        role, name = holding.role, role_name(holding.role.arn)
        everything = next((cell for cell in holding.profile.cells if cell.service == EVERY_SERVICE), None)
        grant = self._graph.self_grant(role, holding.profile, holding.context)
        if grant is None:
            return None
        text = f"Role {name} can give itself any permission with {grant.action}."
        rules: Iterable[Rule] = ()
        if everything is not None and "Permissions management" in everything.everywhere:
            text = f"Role {name} has all actions of all services on all resources."
            rules = everything.rules
        elif (cell := holding.profile.cell("iam")) is not None:
            rules = cell.rules
        if not grant.is_certain:
            text = f"{text[:-1]}, under the conditions of its policies."
        return self._risk("ADMINISTRATOR", holding, text, rules, grant.is_certain, (grant.action,))

    def _further(self, holding: _Holding) -> Iterator[Risk]:
        name = role_name(holding.role.arn)
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
        subject = holding.members[0].subject
        paths = self._graph.paths(holding.role, holding.profile, holding.context, subject)
        yield from self._of_paths(holding, paths)
        data = [
            (word, verdict)
            for action, resource, word in _DATA
            if (verdict := self._ask(holding, action, resource)) is not None
        ]
        if data:
            words = " and ".join(word for word, _rules in data)
            rules = dict.fromkeys(rule for _word, found in data for rule in found)
            yield self._risk("DATA_OF_ALL", holding, f"Role {name} can read all {words}.", rules)
        wide = [
            cell for cell in holding.profile.cells if cell.everywhere & {"Write", "Permissions management"}
        ]
        if wide:
            names = [
                "services without a limit" if cell.service == EVERY_SERVICE else cell.service for cell in wide
            ]
            rules = dict.fromkeys(rule for cell in wide for rule in cell.rules)
            text = f"Role {name} can change all resources of {listed(names, _SHOWN)}."
            yield self._risk("WRITES_EVERYWHERE", holding, text, rules, True, tuple(names))

    def _of_paths(self, holding: _Holding, paths: Sequence[RolePath]) -> Iterator[Risk]:
        name = role_name(holding.role.arn)
        cell = holding.profile.cell("sts")
        rules = cell.rules if cell is not None else ()
        leading = [path for path in paths if path.administers]
        for code, chosen in (
            ("PATH_TO_ADMINISTRATOR", leading),
            ("ASSUMES_ROLE", [path for path in paths if not path.administers]),
        ):
            if not chosen:
                continue
            texts = [" → ".join(role_name(arn) for arn in path.arns) for path in chosen]
            end = ", which can administer the account" if code == "PATH_TO_ADMINISTRATOR" else ""
            is_certain = any(path.is_certain for path in chosen)
            depends = "" if is_certain else " under the conditions of the policies"
            text = f"Role {name} can assume {listed(texts, _SHOWN)}{end}{depends}."
            arns = tuple(path.arns[-1] for path in chosen)
            yield self._risk(code, holding, text, rules, is_certain, arns)

    def _ask(self, holding: _Holding, action: str, resource: str) -> list[Rule] | None:
        """Return the statements that allow an action on all resources, or None if they are not all allowed."""
        arn = resource.format(partition=holding.role.arn.split(":")[1])
        if holding.profile.cell(action.partition(":")[0]) is None:
            return None
        verdict = check_permission(holding.profile.layers, Required(action, arn), holding.context)
        if verdict.decision != ALLOWED:
            return None
        cell = holding.profile.cell(action.partition(":")[0])
        return list(cell.rules) if cell is not None else []

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

    def _of_roles(self) -> Iterator[Risk]:
        users: dict[str, list[AccessMember]] = {}
        for member in self.estate.members:
            for arn in {entry.role_arn.lower(): None for entry in member.credentials if entry.role_arn}:
                users.setdefault(arn, []).append(member)
        for arn, members in sorted(users.items()):
            [spelling, *_others] = _spellings(members[0], arn)
            role = self.estate.role(spelling)
            name = role_name(role.arn)
            for code, affected in self._scopes(role, members).items():
                scope, severity = _TRUST_SCOPES[code]
                text = f"The trust policy of role {name} allows {scope}."
                yield Risk(
                    "TRUST_WIDE",
                    f"{role.arn} {scope}",
                    text,
                    tuple(affected),
                    roles=(role.arn,),
                    raised_as=severity,
                )
            clusters = {member.cluster.arn for member in members}
            places = {(member.cluster.arn, member.key.namespace) for member in members}
            outside = self.estate.outside.get(arn, ())
            clusters |= {cluster for cluster, _namespace in outside}
            places |= {*outside}
            if len(places) > 1:
                kind = "clusters" if len(clusters) > 1 else "namespaces"
                count = len(clusters) if len(clusters) > 1 else len(places)
                hidden = (
                    f", {len(outside)} of them outside of the namespaces of this report" if outside else ""
                )
                total = len(members) + len(outside)
                text = f"{total} service accounts in {count} {kind} use role {name}{hidden}."
                yield Risk("ROLE_SHARED", role.arn, text, tuple(members), roles=(role.arn,))
            if role.state == "missing":
                text = f"Role {role.arn} does not exist, but {_names(self.name, members)} would use it."
                yield Risk("ROLE_MISSING", role.arn, text, tuple(members), roles=(role.arn,))
            if role.state == "unread" or role.unread:
                unread = [title for _layer, title in role.unread]
                kind = f"Policies of role {name} could not be read: {listed(unread)}."
                text = kind if unread else f"Role {role.arn} could not be read."
                yield Risk("ACCESS_UNKNOWN", role.arn, text, tuple(members), roles=(role.arn,))

    def _scopes(self, role: RoleFacts, members: Sequence[AccessMember]) -> dict[Code, list[AccessMember]]:
        """Return the groups of further workloads that a trust policy allows, by the code of ``_TRUST_SCOPES``."""
        found: dict[Code, list[AccessMember]] = {}
        trust = self.estate.trust(role)
        if trust is None:
            return found
        if any(finding.code == Code.TRUST_OPEN_TO_EVERYONE for finding in trust.lints):
            found[Code.TRUST_OPEN_TO_EVERYONE] = list(members)
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
                for finding in reach(trust.rules, pod_identity_inquiry(subject)):
                    if finding.code in _TRUST_SCOPES:
                        found.setdefault(finding.code, []).append(member)
        return found

    def _of_members(self) -> Iterator[Risk]:
        unusable: dict[tuple[str, str], list[AccessMember]] = {}
        left: dict[tuple[str, str], list[AccessMember]] = {}
        for member in self.estate.members:
            name = self.name(member)
            for entry in member.credentials:
                if entry.usable == "no" and self.estate.role(entry.role_arn).state == "read":
                    unusable.setdefault((entry.role_arn, entry.reason), []).append(member)
            by_template = [entry for entry in member.credentials if entry.owner]
            if by_template:
                owners = [f"{entry.owner} ({', '.join(entry.variables)})" for entry in by_template]
                verb = "sets" if len(owners) == 1 else "set"
                text = f"{name}: {listed(owners)} {verb} the credentials of the Pods."
                detail = tuple(dict.fromkeys(name for entry in by_template for name in entry.variables))
                yield Risk("CREDENTIALS_BY_HAND", _subject(member), text, (member,), detail=detail)
            associated = next((entry for entry in member.credentials if entry.association), None)
            if associated is not None and not member.exists:
                text = f"{name} does not exist, but its association gives it role {role_name(associated.role_arn)}."
                yield Risk("ACCOUNT_MISSING", _subject(member), text, (member,), roles=(associated.role_arn,))
            if associated is not None and (remainder := self._irsa_left(member, associated)):
                left.setdefault((member.cluster.arn, remainder), []).append(member)
        for (arn, reason), members in unusable.items():
            text = f"{_names(self.name, members)} cannot use role {role_name(arn)}. {reason}"
            yield Risk("ROLE_UNUSABLE", f"{arn} {members[0].key}", text, tuple(members), roles=(arn,))
        for (arn, remainder), members in left.items():
            text = f"{_names(self.name, members)}: {remainder}."
            yield Risk("IRSA_LEFT", f"{arn} {remainder}", text, tuple(members))

    def _of_nodes(self) -> Iterator[Risk]:
        for part in self.estate.parts:
            if part.cluster is None:
                continue
            members = self._by_cluster.get(part.cluster.arn, ())
            fallen = [member for member in members if member.credentials and member.pods and member.pods.none]
            bare = [member for member in members if not member.credentials]
            roles = self.node_roles(part)
            leading = [entry for entry in roles if entry.administers == "yes"]
            if not (fallen or bare or leading):
                continue
            pods = [pod for member in fallen if member.pods is not None for pod in member.pods.none]
            texts = []
            if fallen:
                count = "1 Pod" if len(pods) == 1 else f"{len(pods)} Pods"
                texts.append(
                    f"{count} of {_names(self.name, fallen)} started without the credentials of the service account."
                )
            if bare:
                texts.append(
                    f"These service accounts have no credentials for AWS: {_names(self.name, bare)}."
                )
            texts.append(f"Pods{'' if texts else f' of cluster {part.name}'} {_FALLBACK}")
            on_host = sum(
                len({*member.pods.none} & {*member.pods.on_host_network}) for member in fallen if member.pods
            )
            if on_host:
                have = "has" if on_host == 1 else "have"
                texts.append(
                    f"{on_host} of these Pods {have} hostNetwork, which the hop limit does not affect."
                )
            texts += _describe_nodes(part, roles)
            yield Risk(
                "NODE_CREDENTIALS",
                part.cluster.arn,
                " ".join(texts),
                (*fallen, *bare),
                roles=tuple(entry.role.arn for entry in roles),
                raised_as="high" if leading else None,
            )

    @cached_property
    def _by_cluster(self) -> Mapping[str, list[AccessMember]]:
        found: dict[str, list[AccessMember]] = {}
        for member in self.estate.members:
            found.setdefault(member.cluster.arn, []).append(member)
        return found

    def node_roles(self, part: ClusterFacts) -> list[NodeRole]:
        """Return the roles of the nodes of a cluster that EKS shows, those that can administer the account first."""
        sources = part.nodes.sources if part.nodes is not None else {}
        found = []
        for arn, titles in sources.items():
            role = self.estate.role(arn)
            found.append(NodeRole(role, titles, self._graph.administers(role)))
        order: Sequence[Administration] = ("yes", "depends", "unknown", "no")
        return sorted(found, key=lambda entry: (order.index(entry.administers), entry.role.arn))

    def _of_use(self, judge: UseJudge) -> Iterator[Risk]:
        for role, members in self._users().values():
            verdict = judge.judge_role(role)
            if verdict.usage == "unused":
                text = f"Role {role_name(role.arn)} {verdict.reason}."
                yield Risk("ROLE_UNUSED", role.arn, text, tuple(members), roles=(role.arn,))
        for role, holders, found in self._services_in_use(judge):
            if found.unused:
                unused = listed(found.unused, _SHOWN)
                text = f"Role {role_name(role.arn)} has not used {unused} in the last {judge.days} days."
                yield Risk("SERVICES_UNUSED", role.arn, text, holders, roles=(role.arn,), detail=found.unused)

    def unknown_uses(self) -> Iterator[str]:
        """Yield a sentence for each reason why it is unknown whether roles or services are unused."""
        if self.judge is None:
            return
        by_reason: dict[str, list[str]] = {}
        for role, _members in self._users().values():
            verdict = self.judge.judge_role(role)
            if role.state != "missing" and verdict.usage == "unknown":
                by_reason.setdefault(verdict.reason, []).append(role_name(role.arn))
        for reason, names in sorted(by_reason.items()):
            subject, verb, pronoun = _role_subject(names)
            yield f"It is unknown whether {subject} {verb} unused, because {pronoun} {reason}."
        services: dict[str, list[str]] = {}
        unrecorded: dict[str, list[str]] = {}
        for role, _holders, found in self._services_in_use(self.judge):
            name = role_name(role.arn)
            if found.unrecorded:
                unrecorded.setdefault(listed(found.unrecorded, _SHOWN), []).append(name)
            if found.unknown and self.judge.judge_role(role).usage == "used":
                services.setdefault(found.unknown, []).append(name)
        for reason, names in sorted(services.items()):
            subject, verb, _pronoun = _role_subject(names)
            yield f"It is unknown which services {subject} {'uses' if verb == 'is' else 'use'}. {sentence(reason)}"
        for missing, names in sorted(unrecorded.items()):
            yield f"IAM does not report the use of {missing}, so it is unknown for {_role_subject(names)[0]}."

    def _services_in_use(
        self, judge: UseJudge
    ) -> Iterator[tuple[RoleFacts, tuple[AccessMember, ...], ServicesVerdict]]:
        """Yield the roles that are not unused, with their service accounts."""
        by_role: dict[str, list[_Holding]] = {}
        for holding in self._holdings:
            by_role.setdefault(holding.role.arn.lower(), []).append(holding)
        for _arn, holdings in sorted(by_role.items()):
            role, profiles = holdings[0].role, [holding.profile for holding in holdings]
            if judge.judge_role(role).usage != "unused":
                members = tuple(member for holding in holdings for member in holding.members)
                named = _named_services(profiles)
                yield role, members, judge.judge_services(role, partial(_allows_service, profiles), named)

    def _users(self) -> dict[str, tuple[RoleFacts, list[AccessMember]]]:
        """Return the roles and target roles of the service accounts by lower-case ARN, with these service accounts."""
        found: dict[str, tuple[RoleFacts, list[AccessMember]]] = {}
        for member in self.estate.members:
            arns = {
                arn.lower(): arn
                for entry in member.credentials
                for arn in (entry.role_arn, entry.target_arn)
                if arn
            }
            for lower, arn in arns.items():
                found.setdefault(lower, (self.estate.role(arn), []))[1].append(member)
        return dict(sorted(found.items()))

    def _irsa_left(self, member: AccessMember, associated: Credential) -> str:
        """Return the remaining parts of IRSA of a service account with an association, or ""."""
        if any(entry.kind == "irsa" for entry in member.credentials):
            return "the annotation of IRSA still exists, in addition to the association"
        issuer = parse_issuer(member.cluster.issuer)
        role = self.estate.role(associated.role_arn)
        if issuer is None or role.trust is None or self.estate.trust(role) is None:
            return ""
        name = member.key.namespace, member.key.service_account
        if any(name in (entry.accounts or ()) for entry in federated_statements(role.trust, issuer)):
            return "the trust policy of the role still has a statement for IRSA"
        return ""


def _describe_nodes(part: ClusterFacts, roles: Sequence[NodeRole]) -> Iterator[str]:
    """Yield sentences about the roles of the nodes of a cluster."""
    if part.nodes is None:
        return
    if roles:
        names = [
            f"{entry.role.arn} ({listed(entry.sources)}){_ADMINISTRATION[entry.administers]}"
            for entry in roles
        ]
        yield f"{'Node role' if len(roles) == 1 else 'Node roles'}: {'; '.join(names)}."
    if part.nodes.unread:
        title = "Further node roles" if roles else "The node roles"
        yield f"{title} could not be read: {part.nodes.unread}."
    elif not roles:
        yield "The cluster has no managed node group, and no role for EKS Auto Mode."
    yield _OTHER_NODES


def _role_subject(names: Sequence[str]) -> tuple[str, str, str]:
    """Return the subject of a sentence about roles, with its verb and pronoun."""
    if len(names) == 1:
        return f"role {names[0]}", "is", "it"
    return f"roles {listed(sorted(names), _SHOWN)}", "are", "each"


def _allows_service(profiles: Sequence[Profile], service: str) -> bool:
    cells = (profile.cell(service) for profile in profiles)
    return any(cell is not None and cell.levels for cell in cells)


def _named_services(profiles: Sequence[Profile]) -> tuple[str, ...]:
    """Return the services with separate access levels."""
    names = {cell.service for profile in profiles for cell in profile.cells if cell.levels}
    return tuple(sorted(names - {EVERY_SERVICE}))


def _spellings(member: AccessMember, arn: str) -> Iterator[str]:
    """Yield a role of a service account in its own letter case."""
    yield from (entry.role_arn for entry in member.credentials if entry.role_arn.lower() == arn)


def _subject(member: AccessMember) -> str:
    return f"{member.cluster.arn} {member.key}"


def _names(name: Callable[[AccessMember], str], members: Sequence[AccessMember]) -> str:
    return listed(map(name, members), 3)
