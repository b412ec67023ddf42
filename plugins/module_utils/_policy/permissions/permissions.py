# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Do these policies allow what a Pod needs?

Identity policies, permissions boundary and session policy of one role. Not looked at, because they
are not the role's: resource policies (which can allow more within an account), service and
resource control policies of the organization (which can deny more).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from ..._findings.text import visible
from ..evaluation.answer import Witness, witness_row
from ..evaluation.evaluate import ALLOWED, CONDITIONAL, EXPLICIT_DENY, Layer, Verdict, evaluate
from ..evaluation.request import NO_MFA, ORG_PATH, Subject, org_keys, session_tags
from ..evaluation.rules import Request, Rule, rules_of
from ..language.context import ABSENT, PRESENT, UNKNOWN, Context, Part, State, Unknown
from ..language.document import parse_policy
from ..language.elements import PolicyError, kind_of
from ..language.match import ARN_PARTS, arn_parts
from ..language.parts import ACCOUNT
from ..language.text import MAX_BITS
from .subject import FactError

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
                        f" or a list of them, got {kind_of(each)}."
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
    keys: dict[str, State | Part] = {
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
    other: State = UNKNOWN if role_tags is None else ABSENT
    return Context(keys, (("aws:principaltag/", other),), UNKNOWN)


def _rules(policy: NamedPolicy, kind: str) -> tuple[Rule, ...]:
    try:
        parsed = parse_policy(policy.document, kind)
    except PolicyError as error:
        raise PolicyError(f"{policy.name}: {error}") from error
    return rules_of(parsed, policy.name)


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
