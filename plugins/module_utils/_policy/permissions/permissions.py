# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evaluate whether the policies of a role allow the requests of a Pod, and which workloads have a permission.

The evaluation includes the identity policies, the permissions boundary and the session policy. It does not include
resource-based policies, which can allow or deny further requests, or the service control policies and resource control policies
of the organization, which can deny further requests. Source: IAM User Guide, "Policy evaluation logic".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from types import NoneType
from typing import Any

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.text import visible
from ..evaluation.evaluate import (
    ALLOWED,
    CONDITIONAL,
    EXPLICIT_DENY,
    PARTLY_ALLOWED,
    Layer,
    Verdict,
    evaluate,
)
from ..evaluation.pods import NAMESPACE, SERVICE_ACCOUNT, Subject, pod_context
from ..evaluation.rules import Request, build_rules
from ..grammar.storable import Storability
from ..language.context import Context
from ..language.document import (
    MAX_BITS,
    MAX_CHARACTERS,
    Policy,
    PolicyError,
    Statement,
    describe_type,
    parse_policy,
    policy_size,
)
from ..language.match import ARN_PARTS, arn_parts

_CLUSTER = re.compile(r"arn:[a-z0-9-]+:eks:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/[\x21-\x7e]+\Z")
# Options with the pattern of a valid value and an example for messages.
_FORMS = (
    ("cluster_arn", _CLUSTER, "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"),
    ("role_arn", _ROLE, "arn:aws:iam::111122223333:role/my-role"),
    ("pod_identity_role_arn", _ROLE, "arn:aws:iam::111122223333:role/my-role"),
    ("role_name", re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}\Z"), "my-role"),
    ("cluster_name", re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z"), "my-cluster"),
    ("namespace", re.compile(rf"{NAMESPACE.pattern}\Z"), "default"),
    ("service_account", re.compile(rf"(?=.{{1,253}}\Z){SERVICE_ACCOUNT.pattern}\Z"), "my-service-account"),
    ("pod_name", re.compile(rf"(?=.{{1,253}}\Z){SERVICE_ACCOUNT.pattern}\Z"), "web-1"),
    ("pod_uid", re.compile(r"[A-Za-z0-9-]+\Z"), "92bb72e7-6d30-4bb8-a1f9-1d9b6a6a4b3c"),
    ("external_id", re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}\Z"), "my-external-id"),
    ("account_id", re.compile(r"[0-9]{12}\Z"), "111122223333"),
    ("source_org_id", re.compile(r"o-[a-z0-9]{4,64}\Z"), "o-abcd123456"),
)
# The options that are also fields of ``Subject``.
_FACTS = (
    "cluster_arn",
    "namespace",
    "service_account",
    "account_id",
    "source_org_id",
    "role_arn",
    "pod_name",
    "pod_uid",
)


class FactError(ValueError):
    """The error for an invalid value in the input. The message names its place."""


def parse_subject(params: Mapping[str, object]) -> Subject:
    """Parse the options of a module that describe a workload and its association.

    :raises FactError: when a value is empty or malformed, or another option contradicts the cluster ARN.
    """
    texts = {name: str(value) for name, value in params.items() if value is not None}
    for option, form, example in _FORMS:
        if option not in texts or form.match(texts[option]):
            continue
        if not texts[option].strip():
            raise FactError(f"{option} is empty. Set a value such as {example}, or remove the option.")
        raise FactError(f"{option} {texts[option]!r} is not valid; expected a value such as {example}.")
    cluster, name = (texts.get(key) for key in ("cluster_arn", "cluster_name"))
    for option, relation in (("account_id", "the account"), ("pod_identity_role_arn", "in the account")):
        if cluster and option in texts and cluster.split(":")[4] not in texts[option].split(":"):
            raise FactError(f"{option} {texts[option]} is not {relation} of cluster_arn {cluster}.")
    if cluster and name and cluster.rpartition("/")[2] != name:
        raise FactError(f"cluster_name {name} is not the name of cluster_arn {cluster}.")
    return Subject(
        session_tags=bool(params["session_tags"]),
        cluster=name,
        **{key: texts.get(key) for key in _FACTS},
    )


IDENTITY = "identity policies"


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy document with a name for messages: an ARN, the name of an inline policy, or a place in the input."""

    name: str
    document: object


@dataclass(frozen=True, slots=True)
class Required:
    """A permission that the Pod needs.

    ``resource`` is an ARN, or ``*`` for an action without a resource. If the ARN has wildcards, the Pod needs the action on
    all matching resources. ``context`` has the values of condition keys in the request: a text, number or boolean, a list of
    such values, or None for an absent key.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PermissionVerdict:
    """The decision on a required permission.

    ``decision`` is "allowed", "partly_allowed", "implicit_deny", "explicit_deny" or "conditional". ``statements`` has the
    statements that determine the decision, each as the name of the policy, the label of the statement and its effect.
    ``change`` has the names of the policies and layers to change in order to allow the request.
    """

    required: Required
    decision: str
    conditional_on: tuple[str, ...]
    statements: tuple[tuple[str, str, str], ...]
    change: tuple[str, ...]
    message: str

    def as_dict(self) -> dict[str, object]:
        """Return the decision as a dictionary for the module result."""
        return {
            "action": self.required.action,
            "resource": self.required.resource,
            "decision": self.decision,
            "conditional_on": list(map(visible, self.conditional_on)),
            "statements": [
                {"policy": policy, "statement": label, "effect": effect}
                for policy, label, effect in self.statements
            ],
            "change": list(map(visible, self.change)),
            "message": visible(self.message),
        }


def parse_required(
    items: Sequence[Mapping[str, Any]] | None, context: Mapping[str, object] | None
) -> list[Required]:
    """Parse the option required_permissions.

    :arg context: the values of condition keys for all items. The values in an item take precedence.
    :raises FactError: when there are no items, or an action, resource or context is invalid.
    """
    if not items:
        raise FactError("required_permissions is empty. List at least one permission.")
    shared = _parse_context(context)
    required = []
    for place, item in enumerate(items, 1):
        try:
            required.append(parse_permission(item, shared))
        except FactError as error:
            raise FactError(f"required_permissions item {place}: {error}") from error
    return required


def parse_permission(item: Mapping[str, Any], shared: Mapping[str, object]) -> Required:
    """Parse a required permission: a mapping with ``action``, and optionally ``resource`` and ``context``.

    :arg shared: further values of condition keys. The values in the item take precedence.
    :raises FactError: when the action, the resource or the context is invalid.
    """
    action = str(item["action"] or "").strip()
    resource = str(item.get("resource", "*") or "").strip()
    service, colon, name = action.partition(":")
    if action != "*" and not (service and colon and name):
        raise FactError(f"action {action!r} must have the form service:Action, such as s3:GetObject.")
    parts = arn_parts(resource)
    if resource != "*" and (len(parts) != ARN_PARTS or parts[0] != "arn"):
        raise FactError(
            f"resource {resource!r} must be an ARN with its six parts, such as"
            " arn:aws:s3:::my-bucket/my-key, or '*' for an action that has no resource."
        )
    keys = _parse_context(item.get("context", {}))
    names = {key.lower() for key in keys}
    inherited = {key: value for key, value in shared.items() if key.lower() not in names}
    return Required(action, resource, {**inherited, **keys})


def _parse_context(context: Mapping[str, object] | None) -> Mapping[str, object]:
    if context is None:
        raise FactError("context is null. Set condition keys, or remove the option.")
    names: dict[str, str] = {}
    for key, content in context.items():
        if key != key.strip() or not all(key.partition(":")):
            problem = f"{key!r}, which is not a condition key" if key.strip() else "an empty key"
            raise FactError(f"context has {problem}. Write a condition key, such as aws:SourceVpc.")
        other = names.setdefault(key.lower(), key)
        if other != key:
            raise FactError(
                f"context has {other} and {key}, which are the same condition key. Remove one of them."
            )
        if isinstance(content, list | tuple) and (not content or None in content):
            problem = "a list with null" if content else "an empty list"
            raise FactError(
                f"context {key} is {problem}. Set a value, or null if the request does not have the key."
            )
        for value in content if isinstance(content, list | tuple) else (content,):
            if not isinstance(value, str | int | float | bool | NoneType):
                raise FactError(
                    f"context {key} must be text, a number, a boolean, null, or a list of them, got"
                    f" {describe_type(value)}."
                )
            if isinstance(value, int) and value.bit_length() > MAX_BITS:
                raise FactError(f"context {key} has more than 4,000 digits.")
    return context


def permission_layers(
    identity: Sequence[NamedPolicy],
    boundary: NamedPolicy | None = None,
    session: NamedPolicy | None = None,
) -> tuple[Layer, ...]:
    """Compile the policies of a role for ``check_permission``.

    :returns: the layers that must each allow a request: identity policies, permissions boundary, session policy.
    :raises PolicyError: when a policy is malformed. The message begins with the name of the policy.
    """
    limits = [(policy, kind) for policy, kind in ((boundary, "boundary"), (session, "session")) if policy]
    parsed = [
        (policy, _parse_named(policy, kind)) for policy, kind in [(p, "identity") for p in identity] + limits
    ]
    size = sum(policy_size(policy.document) for policy, _parsed in parsed)
    if size > MAX_CHARACTERS:
        raise PolicyError(
            f"{len(parsed)} policies have {size:,} characters together; the maximum is {MAX_CHARACTERS:,}"
        )
    rules = [(policy.name, build_rules(document, policy.name)) for policy, document in parsed]
    identity_rules = tuple(rule for _name, built in rules[: len(identity)] for rule in built)
    return (Layer(IDENTITY, identity_rules), *(Layer(name, built) for name, built in rules[len(identity) :]))


def check_permission(layers: Sequence[Layer], required: Required, context: Context) -> PermissionVerdict:
    """Decide whether the policies of a role allow a required permission.

    :arg layers: the result of ``permission_layers``.
    :arg context: the condition keys of every request (see ``pod_context``).
    """
    verdict = evaluate(
        layers, Request(required.action, required.resource), request_context(required, context)
    )
    statements = tuple((rule.source, rule.statement.label, rule.statement.effect) for rule in verdict.rules)
    change = _change(verdict)
    return PermissionVerdict(
        required,
        verdict.decision,
        verdict.conditional_on,
        statements,
        change,
        _permission_message(required, verdict, statements, change),
    )


def request_context(required: Required, context: Context) -> Context:
    """Add the condition keys of a required permission to ``context``, which has the condition keys of every request."""
    return context.assume({key.lower(): key_state(value) for key, value in required.context.items()})


def _parse_named(policy: NamedPolicy, kind: str) -> Policy:
    try:
        return parse_policy(policy.document, kind)
    except PolicyError as error:
        raise PolicyError(f"{policy.name}: {error}") from error


def key_state(value: object) -> tuple[str, ...]:
    """Convert a value of the option ``context`` to the state of a condition key. None and an empty list mean an absent key."""
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(
        ("true" if item else "false") if isinstance(item, bool) else str(item)
        for item in items
        if item is not None
    )


def _change(verdict: Verdict) -> tuple[str, ...]:
    denying = [rule.source for rule in verdict.rules if not rule.allow]
    return tuple(dict.fromkeys([*denying, *verdict.missing]))


def _permission_message(
    required: Required,
    verdict: Verdict,
    statements: Sequence[tuple[str, str, str]],
    change: Sequence[str],
) -> str:
    permission = f"{required.action} on {required.resource}"
    deciding = "; ".join(f"{label} of {policy}" for policy, label, _statement in statements)
    if verdict.decision == ALLOWED:
        return f"{permission} is allowed by {deciding}."
    if verdict.decision == EXPLICIT_DENY:
        lacking = (
            f" Also, no statement allows {required.action} in {', '.join(verdict.missing)}."
            if verdict.missing
            else ""
        )
        return f"{permission} is denied by {deciding}. A Deny overrides every Allow: narrow or remove each Deny.{lacking}"
    if verdict.decision == PARTLY_ALLOWED:
        granting = "; ".join(
            f"{label} of {policy}" for policy, label, effect in statements if effect == "Allow"
        )
        denying = "; ".join(
            f"{label} of {policy}" for policy, label, effect in statements if effect == "Deny"
        )
        rest = (
            f"{denying} may deny the rest"
            if denying
            else f"no statement allows the rest in {', '.join(change)}"
        )
        return f"{permission} is allowed only in part, by {granting}; {rest}."
    if verdict.decision == CONDITIONAL and not verdict.conditional_on:
        return (
            f"{permission} may be allowed in part or as a whole, by {deciding}: the evaluation cannot compare the patterns of "
            "these statements with the wildcards. Check single actions and resources instead."
        )
    if verdict.decision == CONDITIONAL:
        keys = ", ".join(verdict.conditional_on)
        return f"{permission} depends on unknown values of {keys} in {deciding}. Set the values in the option context."
    return f"{permission} is denied: no statement allows it in {', '.join(change)}."


_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
# The resource of a request for all resources. It cannot be "*", because that means an action without a resource.
_EVERYTHING = "arn:*:*:*:*:*"


def find_denying_policies(
    granting: Sequence[NamedPolicy],
    limits: Sequence[NamedPolicy],
    subject: Subject,
    role_tags: dict[str, str],
) -> list[str]:
    """Find the policies that make all permissions of ``granting`` ineffective, by a Deny or a missing Allow.

    :arg granting: the identity policies with the permissions.
    :arg limits: the permissions boundary and the session policy.
    :returns: the names of the policies, or an empty list if a permission may be effective or ``granting`` has no permissions.
    """
    context = pod_context(subject, role_tags)
    layers = [
        *permission_layers(granting),
        *(replace(permission_layers([limit])[0], name=limit.name) for limit in limits),
    ]
    causes: dict[str, None] = {}
    for grant in (grant for rule in layers[0].rules for grant in _grants(rule.statement)):
        verdict = evaluate(layers, grant, context) if grant is not None else None
        denied = _change(verdict) if verdict is not None and verdict.denied else ()
        cause = next((name for name in denied if name != IDENTITY), None)
        if cause is None:
            return []
        causes[cause] = None
    return list(causes)


def _grants(statement: Statement) -> Iterator[Request | None]:
    """Yield a request for each action and resource that a statement allows.

    The request is None for a statement with NotAction or NotResource, which cannot be expressed as requests.
    """
    if statement.effect == "Allow" and (
        statement.not_action or statement.not_resource or not statement.resources
    ):
        yield None
    elif statement.effect == "Allow":
        for action, resource in product(statement.actions, statement.resources or ()):
            pattern = _PLACEHOLDER.sub("*", resource)
            missing = ARN_PARTS - len(arn_parts(pattern))
            yield Request(action, _EVERYTHING if pattern == "*" else pattern + ":*" * missing)


def refusal_findings(judged: Iterable[tuple[str, Storability]]) -> Iterator[Finding]:
    """Yield a finding for each reason why IAM certainly rejects a document.

    :arg judged: pairs of a document's name and the result of ``storability``.
    """
    for name, storability in judged:
        for reason in storability.refusals:
            place = f"{name}: {reason.statement}" if reason.statement else name
            yield Finding(
                Code.PERMISSION_NOT_STORABLE,
                f"IAM rejects the document {place}: {reason.message}.",
                reason.remedy,
                statement=place,
            )
