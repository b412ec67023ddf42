# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Do these policies allow the requests of a Pod? And which of several workloads can send a request?

Identity policies, permissions boundary and session policy of one role. Not evaluated, because they are not the role's:
resource policies (which can allow more within an account), service and resource control policies of the organization
(which can deny more).

Source for policies that take away everything they grant: IAM User Guide, "Policy evaluation logic": a boundary or session
policy has to allow as well, and a Deny wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.text import visible
from ..evaluation.evaluate import ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY, Layer, Verdict, evaluate
from ..evaluation.request import NO_MFA, ORG_PATH, Subject, org_keys, session_tags
from ..evaluation.rules import CONDITIONAL, Request, Rule, Witness, build_rules, witness_row
from ..grammar.storable import Storability
from ..language.context import ABSENT, ACCOUNT, PRESENT, UNKNOWN_VALUE, Context, KeyState, Part, Unknown
from ..language.document import MAX_BITS, Policy, PolicyError, describe_type, parse_policy
from ..language.match import ARN_PARTS, arn_parts

_CLUSTER = re.compile(r"arn:[a-z0-9-]+:eks:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/[\x21-\x7e]+\Z")
_ACCOUNT = re.compile(r"[0-9]{12}\Z")
_FORMS = (
    ("cluster_arn", _CLUSTER, "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"),
    ("role_arn", _ROLE, "arn:aws:iam::111122223333:role/my-role"),
    ("pod_identity_role_arn", _ROLE, "arn:aws:iam::111122223333:role/my-role"),
    ("cluster_name", re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z"), "my-cluster"),
    ("account_id", _ACCOUNT, "111122223333"),
    ("source_org_id", re.compile(r"o-[a-z0-9]{4,64}\Z"), "o-abcd123456"),
)


class FactError(ValueError):
    """An option that cannot be what it says it is; the text names it and shows the right form."""


def parse_subject(params: Mapping[str, object]) -> Subject:
    """The subject of a module's options. An empty text counts as not given.

    :raises FactError: for a value of the wrong form, or two that contradict each other.
    """
    given = {key: value for key, value in params.items() if value not in (None, "")}
    for name, form, example in _FORMS:
        if name in given and not form.match(str(given[name])):
            raise FactError(f"{name} {given[name]!r} has the wrong form; it is like {example}.")
    cluster, account = given.get("cluster_arn"), given.get("account_id")
    if cluster and account and str(cluster).split(":")[4] != account:
        raise FactError(f"account_id {account} is not the account of cluster_arn {cluster}.")
    named = given.get("cluster_name")
    if cluster and named and str(cluster).rpartition("/")[2] != named:
        raise FactError(f"cluster_name {named} is not the name of cluster_arn {cluster}.")
    texts = {
        name: str(given[name]) if name in given else None
        for name in (
            "cluster_arn",
            "namespace",
            "service_account",
            "account_id",
            "source_org_id",
            "role_arn",
            "pod_name",
            "pod_uid",
        )
    }
    tags = bool(params.get("session_tags", True))
    return Subject(session_tags=tags, cluster=str(named) if named else None, **texts)


IDENTITY = "identity policies"


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A document and what to call it: an ARN, an inline policy's name, or a place in the input."""

    name: str
    document: object


@dataclass(frozen=True, slots=True)
class Required:
    """Something the Pod needs.

    ``resource`` is an ARN, in which ``*`` and ``?`` ask about everything they stand for, or a
    lone ``*`` for actions that have no resource. ``context`` gives condition keys of the request:
    text, number, boolean, a list of them, or None for a key that is certainly absent.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PermissionVerdict:
    """``decision`` is "allowed", "implicit_deny", "explicit_deny" or "conditional"; ``statements``
    are those that decide (policy name, statement); ``change`` the policies that would have to
    change for the answer to be allowed. The witnesses (see ``Answer``) are there only for "conditional",
    ``undecided`` also for "explicit_deny": see ``Verdict``."""

    required: Required
    decision: str
    conditional_on: tuple[str, ...]
    statements: tuple[tuple[str, str, str], ...]
    change: tuple[str, ...]
    message: str
    allowed_when: Witness | None = None
    denied_when: Witness | None = None
    undecided: bool = False

    def as_dict(self) -> dict[str, object]:
        """For a module's result."""
        return {
            "action": self.required.action,
            "resource": self.required.resource,
            "decision": self.decision,
            "conditional_on": list(map(visible, self.conditional_on)),
            "allowed_when": witness_row(self.allowed_when),
            "denied_when": witness_row(self.denied_when),
            "undecided": self.undecided,
            "statements": [
                {"policy": policy, "statement": label, "effect": effect}
                for policy, label, effect in self.statements
            ],
            "change": list(map(visible, self.change)),
            "message": visible(self.message),
        }


def parse_required(items: Sequence[Mapping[str, Any]], context: Mapping[str, object]) -> list[Required]:
    """The items of a module's option, each with the keys of ``context`` beneath its own.

    :raises FactError: naming the item that cannot be asked about.
    """
    required = []
    for place, item in enumerate(items, 1):
        action = str(item["action"]).strip()
        resource = str(item.get("resource") or "*").strip()
        service, colon, name = action.partition(":")
        if action != "*" and not (service and colon and name):
            raise FactError(
                f"required_permissions item {place}: action {action!r} must have the form service:Action, such as"
                " s3:GetObject."
            )
        if resource != "*" and len(arn_parts(resource)) != ARN_PARTS:
            raise FactError(
                f"required_permissions item {place}: resource {resource!r} must be an ARN with its six parts, such"
                " as arn:aws:s3:::my-bucket/my-key, or '*' for an action that has no resource."
            )
        own = {key.lower() for key in item.get("context") or {}}
        shared = {key: value for key, value in context.items() if key.lower() not in own}
        merged = {**shared, **(item.get("context") or {})}
        for key, value in merged.items():
            for each in value if isinstance(value, list | tuple) else (value,):
                if not isinstance(each, str | int | float | bool | NoneType):
                    raise FactError(
                        f"required_permissions item {place}: context {key} must be text, a number, a boolean, null,"
                        f" or a list of them, got {describe_type(each)}."
                    )
                if isinstance(each, int) and each.bit_length() > MAX_BITS:
                    raise FactError(f"required item {place}: context {key} has more than 4,000 digits.")
        required.append(Required(action, resource, merged))
    return required


def permission_layers(
    identity: Sequence[NamedPolicy],
    boundary: NamedPolicy | None = None,
    session: NamedPolicy | None = None,
) -> tuple[Layer, ...]:
    """Prepare a role's policies, once for all questions.

    :raises PolicyError: naming the policy that is malformed.
    """
    layers = [Layer(IDENTITY, tuple(r for p in identity for r in _rules(p, "identity")))]
    if boundary is not None:
        layers.append(Layer(boundary.name, _rules(boundary, "boundary")))
    if session is not None:
        layers.append(Layer(session.name, _rules(session, "session")))
    return tuple(layers)


def check_permission(layers: Sequence[Layer], required: Required, context: Context) -> PermissionVerdict:
    """Judge one item. ``context`` is that of every item (see ``pod_context``)."""
    verdict = evaluate(layers, Request(required.action, required.resource), context_of(required, context))
    statements = tuple((rule.source, rule.statement.label, rule.statement.effect) for rule in verdict.rules)
    change = _change(verdict)
    return PermissionVerdict(
        required,
        verdict.decision,
        verdict.conditional_on,
        statements,
        change,
        _message(required, verdict, statements, change),
        verdict.allowed_when,
        verdict.denied_when,
        verdict.undecided,
    )


def context_of(required: Required, context: Context) -> Context:
    """The keys of the request for one item."""
    return context.assume({key.lower(): key_state(value) for key, value in required.context.items()})


def pod_context(subject: Subject | None = None, role_tags: Mapping[str, str] | None = None) -> Context:
    """The keys of a request that a Pod makes with the role's credentials.

    Without a subject nothing is known of the caller, and every key may have any value. With one,
    the caller is a session of a role: it has the session tags of EKS Pod Identity as
    aws:PrincipalTag, no user name, and was not authenticated with MFA. ``role_tags`` are the role's own tags, of which a
    session tag of the same name takes the place; None when they are not known.
    Source: IAM User Guide, "AWS global condition context keys", the properties of the principal.
    """
    if subject is None:
        return Context()
    organization, path = org_keys(subject.source_org_id)
    role = f"arn:=:iam::{subject.account or '############'}:role/&"
    keys: dict[str, KeyState | Part] = {
        "aws:principaltype": ("AssumedRole",),
        "aws:principalarn": (subject.role_arn,) if subject.role_arn else Unknown(False, shape=role),
        "aws:principalaccount": (subject.account,) if subject.account else Part("aws:principalarn", ACCOUNT),
        ORG_PATH: Unknown(shape="o-+/r-*"),
        "aws:principalorgid": organization,
        "aws:principalorgpaths": path,
        "aws:userid": PRESENT,
        "aws:tokenissuetime": PRESENT,
        "aws:currenttime": PRESENT,
        "aws:epochtime": PRESENT,
        "aws:principalisawsservice": ("false",),
        "aws:multifactorauthpresent": NO_MFA,
    }
    for absent in (
        "aws:username",
        "aws:multifactorauthage",
        "aws:federatedprovider",
        "aws:sourceidentity",
        "aws:principalservicename",
        "aws:principalservicenameslist",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
    ):
        keys[absent] = ABSENT
    for key, value in (role_tags or {}).items():
        keys[f"aws:principaltag/{key.lower()}"] = (value,)
    keys.update(session_tags(subject, "aws:principaltag/"))
    other: KeyState = UNKNOWN_VALUE if role_tags is None else ABSENT
    return Context(keys, (("aws:principaltag/", other),), UNKNOWN_VALUE)


def _rules(policy: NamedPolicy, kind: str) -> tuple[Rule, ...]:
    try:
        parsed = parse_policy(policy.document, kind)
    except PolicyError as error:
        raise PolicyError(f"{policy.name}: {error}") from error
    return build_rules(parsed, policy.name)


def key_state(value: object) -> tuple[str, ...]:
    """The values of a condition key as given in a context; None is a key that is absent."""
    if value is None:
        return ABSENT
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(("true" if item else "false") if isinstance(item, bool) else str(item) for item in items)


def _change(verdict: Verdict) -> tuple[str, ...]:
    if verdict.decision == ALLOWED:
        return ()
    denying = [rule.source for rule in verdict.rules if not rule.allow]
    return tuple(dict.fromkeys([*denying, *verdict.missing]))


def _message(
    required: Required,
    verdict: Verdict,
    statements: Sequence[tuple[str, str, str]],
    change: Sequence[str],
) -> str:
    what = f"{required.action} on {required.resource}"
    where = "; ".join(f"{label} of {policy}" for policy, label, _statement in statements)
    if verdict.decision == ALLOWED:
        return f"{what} is allowed by {where}."
    if verdict.decision == EXPLICIT_DENY:
        return f"{what} is denied by {where}. A Deny wins over every Allow: narrow or remove it."
    if verdict.decision == CONDITIONAL and not verdict.conditional_on:
        return f"{what} is too much to compare with the patterns of the policies. Ask for fewer resources or actions at a time."
    if verdict.decision == CONDITIONAL:
        keys = ", ".join(verdict.conditional_on)
        return f"{what} turns on {keys}, which is not known here: {where}. Give it in context."
    return f"{what} is denied because nothing allows it in: {', '.join(change)}."


NOT_KNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Holder:
    """A workload with the policies of its role. ``unknown`` are policies of which only the name is known, with the layer
    that each belongs to."""

    name: str
    layers: tuple[Layer, ...]
    context: Context
    unknown: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """``decision`` is that of a permission's verdict, or "unknown" when it turns on the policies ``unknown``."""

    name: str
    decision: str
    statements: tuple[tuple[str, str, str], ...]
    conditional_on: tuple[str, ...]
    unknown: tuple[str, ...]
    message: str

    def as_dict(self) -> dict[str, object]:
        """For a result."""
        return {
            "workload": self.name,
            "decision": self.decision,
            "statements": [
                {"policy": policy, "statement": label, "effect": effect}
                for policy, label, effect in self.statements
            ],
            "conditional_on": list(map(visible, self.conditional_on)),
            "unknown": list(map(visible, self.unknown)),
            "message": visible(self.message),
        }


def who_can(holders: Iterable[Holder], required: Required) -> list[Holding]:
    """One row for each, in their order."""
    return [_ask(holder, required) for holder in holders]


def _ask(holder: Holder, required: Required) -> Holding:
    verdict = check_permission(holder.layers, required, holder.context)
    names = tuple(name for _layer, name in holder.unknown)
    if holder.unknown and not _is_settled(verdict.decision, verdict.change, holder.unknown):
        message = (
            f"{required.action} on {required.resource} turns on policies whose content is not known here:"
            f" {', '.join(names)}."
        )
        return Holding(holder.name, NOT_KNOWN, (), (), names, message)
    return Holding(
        holder.name, verdict.decision, verdict.statements, verdict.conditional_on, (), verdict.message
    )


def _is_settled(decision: str, change: Sequence[str], unknown: Sequence[tuple[str, str]]) -> bool:
    """No policy undoes a Deny, and none makes up for what another layer lacks."""
    if decision == EXPLICIT_DENY:
        return True
    return decision == IMPLICIT_DENY and bool(set(change) - {layer for layer, _name in unknown})


_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
# Every resource, as a pattern that overlaps with whatever has an ARN.
_EVERYTHING = "arn:*:*:*:*:*"


def find_what_takes_all(
    granting: Sequence[NamedPolicy],
    others: Sequence[NamedPolicy],
    limits: Sequence[NamedPolicy],
    subject: Subject,
    role_tags: dict[str, str],
) -> list[str]:
    """Names of what keeps every grant of ``granting`` from having any effect; empty when one may have, or none is made.

    ``others`` are further identity policies, of which only what they deny matters. ``limits`` are boundary and session
    policy.
    """
    context = pod_context(subject, role_tags)
    grants = [grant for policy in granting for grant in _grants(_parsed(policy, "identity"))]
    if not grants or None in grants:
        return []
    denying = [
        (policy.name, _as(rule, "Allow"))
        for policy, kind in [
            *((named, "identity") for named in (*granting, *others)),
            *((named, "boundary") for named in limits),
        ]
        for rule in _rules_of(policy, kind)
        if not rule.allow
    ]
    allowing = [
        (policy.name, [_as(rule, "Deny") for rule in _rules_of(policy, "boundary") if rule.allow])
        for policy in limits
    ]
    causes: dict[str, None] = {}
    for grant in filter(None, grants):
        cause = next(
            (name for name, rule in denying if rule.concerns(grant) and rule.applies(grant, context) is True),
            "",
        ) or next(
            (
                name
                for name, rules in allowing
                if not any(
                    rule.concerns(grant) and rule.applies(grant, context) is not False for rule in rules
                )
            ),
            "",
        )
        if not cause:
            return []
        causes[cause] = None
    return list(causes)


def _grants(policy: Policy) -> Iterator[Request | None]:
    """What a policy allows, action by action; None for what cannot be written as one request."""
    for statement in policy.statements:
        if statement.effect != "Allow":
            continue
        if statement.not_action or statement.not_resource or not statement.resources:
            yield None
            continue
        for action in statement.actions:
            for resource in statement.resources:
                pattern = _PLACEHOLDER.sub("*", resource)
                yield Request(action, _EVERYTHING if pattern == "*" else pattern)


def _parsed(policy: NamedPolicy, kind: str) -> Policy:
    return parse_policy(policy.document, kind)


def _rules_of(policy: NamedPolicy, kind: str) -> list[Rule]:
    parsed = _parsed(policy, kind)
    return [Rule(statement, parsed.has_variables, policy.name) for statement in parsed.statements]


def _as(rule: Rule, effect: str) -> Rule:
    """The statement with the other effect: what an Allow leaves open counts for it, and against it as a Deny. So a Deny
    read as Allow says what is certainly denied, and an Allow read as Deny what may be allowed."""
    return Rule(replace(rule.statement, effect=effect), not rule.literal_variables, rule.source)


def refusal_findings(judged: Iterable[tuple[str, Storability]]) -> Iterator[Finding]:
    """One for each reason for which IAM certainly refuses a named document."""
    for name, storability in judged:
        for reason in storability.refusals:
            place = f"{name}: {reason.statement}" if reason.statement else name
            yield Finding(
                Code.PERMISSION_NOT_STORABLE,
                f"IAM refuses the document {place}: {reason.message}.",
                reason.remedy,
                statement=place,
            )
