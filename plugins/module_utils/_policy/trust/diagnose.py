# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Explain why a trust policy denies requests to assume a role (``diagnose``), and warn about common mistakes (``lint``).

The findings of ``lint`` do not affect whether a role is usable. They concern misspelt names, statements that remain from IRSA,
and statements that allow every principal of every AWS account. Such a statement is an error, or a warning if conditions or a
Deny limit the accounts of the callers. Source: IAM User Guide, "AWS global condition context keys" and "Available keys for AWS
STS".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding
from ..evaluation.pods import ACTIONS, ASSUME_ROLE, SERVICE, SESSION_TAGS
from ..evaluation.rules import Request, Rule
from ..language.conditions import Test, describe_actual, describe_condition
from ..language.context import Context, Unknown
from ..language.document import Condition, Statement
from ..language.match import compile_glob

# Service principals that are easily confused with pods.eks.amazonaws.com.
_EKS_SERVICES = (
    "eks.amazonaws.com",
    "eks-auth.amazonaws.com",
    "eks-fargate-pods.amazonaws.com",
    "eks-pods.amazonaws.com",
    "eks-nodegroup.amazonaws.com",
)
# The ARN of the OIDC provider of an EKS cluster. Providers of other issuers, such as GitHub, have other uses.
_CLUSTER_PROVIDER = re.compile(r":oidc-provider/oidc[.-]eks\.", re.IGNORECASE)


def lookalikes(statement: Statement) -> tuple[str, ...]:
    """Return the service principals of a statement that are similar, but not equal, to ``pods.eks.amazonaws.com``."""
    names = {
        value: value[:128].lower().strip()
        for kind, value in statement.principals or ()
        if kind == "Service" and value != SERVICE
    }
    return tuple(
        value
        for value, name in names.items()
        if name in _EKS_SERVICES
        or name.startswith("pods.eks.")
        # A ratio above 0.85 means that only a few characters differ.
        or difflib.SequenceMatcher(None, name, SERVICE).ratio() > 0.85
    )


def _cluster_providers(statement: Statement) -> list[str]:
    return [
        value
        for kind, value in statement.principals or ()
        if kind == "Federated" and _CLUSTER_PROVIDER.search(value)
    ]


_EQUAL = frozenset(("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"))
_UNEQUAL = frozenset(
    ("StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotEquals", "ArnNotLike")
)
_ARNS = frozenset(("aws:principalarn", "aws:sourcearn"))
# The condition keys that can limit the AWS accounts of the callers. Tags, session names and user names cannot, because callers in
# any account can choose these values.
_ACCOUNT_KEYS = _ARNS | frozenset(
    (
        "aws:principalaccount",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalservicename",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "sts:externalid",
    )
)


def is_narrowed(rule: Rule, rules: Sequence[Rule]) -> bool:
    """Return whether a condition of the statement, or a Deny statement of the policy, limits the accounts of the callers."""
    if any(_limits_accounts(test.condition, _EQUAL) for test in rule.tests):
        return True
    return any(_denies_others(other) for other in rules if not other.allow)


def _names_everyone(rule: Rule) -> bool:
    return not {("*", "*"), ("AWS", "*")}.isdisjoint(rule.statement.principals or ())


def _denies_others(deny: Rule) -> bool:
    """Return whether a Deny of sts:AssumeRole applies to everyone, or to everyone except certain accounts or callers.

    A Deny with several conditions does not count: it applies only if all of them match, so a caller from another account is not
    denied if one of them does not match.
    """
    actions = {action.lower() for action in deny.statement.actions}
    if deny.statement.not_action or actions.isdisjoint({"*", "sts:*", "sts:assumerole", "sts:assumerole*"}):
        return False
    if deny.statement.not_principal:
        return not deny.tests and not _names_everyone(deny)
    conditions = [test.condition for test in deny.tests]
    if not _names_everyone(deny) or len(conditions) > 1:
        return False
    return all(not condition.quantifier and _limits_accounts(condition, _UNEQUAL) for condition in conditions)


def _limits_accounts(condition: Condition, operators: frozenset[str]) -> bool:
    key = condition.key.lower()
    if key not in _ACCOUNT_KEYS or condition.base not in operators or condition.quantifier == "ForAllValues":
        return False
    # A condition with IfExists also holds if the request does not have the key. So in an Allow it does not limit the callers.
    if condition.if_exists and operators is _EQUAL:
        return False
    return all(_is_specific(value, key in _ARNS) for value in condition.values)


def _is_specific(value: str, arn: bool) -> bool:
    """Return whether a condition value names one account or organization, without a wildcard or policy variable in its ID.

    For example, "o-1/*" and "arn:aws:iam::111122223333:role/*" do, "o-*" does not.
    """
    parts = value.split(":") if arn else re.split("[/:]", value)
    place = 4 if arn else 0
    return "${" not in value and len(parts) > place and not set("*?") & set(parts[place])


def _explain_principal(statement: Statement, request: Request) -> Finding:
    label, caller = statement.label, _name_caller(request)
    kind = "AWS" if request.caller is None or request.caller.service is None else "Service"
    element = f'"Principal": {{"{kind}": "{caller}"}}'
    principals = ", ".join([value for _kind, value in statement.principals or ()][:5])
    similar = ", ".join(lookalikes(statement))
    remedy = f"Add a statement that allows {SERVICE} sts:AssumeRole and sts:TagSession."
    if statement.not_principal:
        text = "uses NotPrincipal with Allow, which IAM does not support: it grants nothing."
        remedy = f"Specify the caller: {element}."
    elif kind == "AWS":
        text = f"trusts {principals}, but the role that assumes the target role is {caller}."
        remedy = f"Add a statement with {element}."
    elif providers := _cluster_providers(statement):
        names = ", ".join(providers[:5])
        text = f"trusts {names} for IAM roles for service accounts (IRSA), not EKS Pod Identity."
        remedy = f"{remedy} Keep {label} until all Pods are migrated."
    elif similar:
        text = (
            f"trusts {similar}; the service of EKS Pod Identity is {SERVICE} in every partition and region."
        )
        remedy = (
            f"Replace {similar} with {SERVICE}. If {similar} must keep access, add a statement that allows {SERVICE} "
            "sts:AssumeRole and sts:TagSession instead."
        )
    elif any(kind == "Service" for kind, _value in statement.principals or ()):
        text = f"trusts {principals}, not {SERVICE}."
    else:
        text = f"trusts {principals}; the service of EKS Pod Identity is {SERVICE}."
        remedy = f"Add a statement with {element}."
    return Finding(Code.TRUST_WRONG_PRINCIPAL, f"{label} {text}", remedy, statement=label)


def _name_caller(request: Request) -> str:
    caller = request.caller
    return str((caller.service or caller.role_arn) if caller else None)


# The condition keys of the requests that assume a role. A similar key in a policy is probably a misspelling of one of them.
_KEYS = (
    *(f"aws:RequestTag/{name}" for name in SESSION_TAGS),
    "aws:TagKeys",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalServiceName",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "sts:ExternalId",
    "sts:RoleSessionName",
    "sts:TransitiveTagKeys",
)
_KNOWN = frozenset(key.lower() for key in _KEYS)


def lint(rules: Sequence[Rule]) -> list[Finding]:
    """Return findings on common mistakes in a trust policy. The findings are the same for every workload."""
    trusted = any(("Service", SERVICE) in (rule.statement.principals or ()) for rule in rules)
    return [finding for rule in rules for finding in _lint_statement(rule, trusted, rules)]


def _lint_statement(rule: Rule, trusted: bool, rules: Sequence[Rule]) -> Iterator[Finding]:
    statement = rule.statement
    label = statement.label
    if rule.allow and _names_everyone(rule) and not statement.not_principal:
        yield _open_to_everyone(rule, is_narrowed(rule, rules))
    if rule.allow and trusted and _cluster_providers(statement):
        yield Finding(
            Code.TRUST_IRSA_LEFTOVER,
            f"{label} still allows IAM roles for service accounts (IRSA) to use the role.",
            f"Remove {label} when no Pod uses IRSA with this role.",
            statement=label,
        )
    if rule.allow and trusted and (similar := lookalikes(statement)):
        yield Finding(
            Code.TRUST_WRONG_PRINCIPAL,
            f"{label} trusts {', '.join(similar)}; the service of EKS Pod Identity is {SERVICE}.",
            "Remove the other service unless another use of the role needs it.",
            statement=label,
            raised_as="warning",
        )
    for test in rule.tests:
        if similar_key := _similar_key(test.key):
            yield Finding(
                Code.TRUST_MISSPELT_KEY,
                f"{label} has a condition on {test.condition.key}, which requests of EKS Pod Identity do not have.",
                f"Did you mean {similar_key}?",
                statement=label,
            )


def _open_to_everyone(rule: Rule, narrowed: bool) -> Finding:
    limits = "; its conditions do not limit the AWS accounts of the callers." if rule.tests else "."
    if narrowed:
        limits = "; only conditions or a Deny limit it."
    return Finding(
        Code.TRUST_OPEN_TO_EVERYONE,
        f"{rule.statement.label} allows every principal of every AWS account, not EKS Pod Identity alone{limits}",
        f'Specify the caller: "Principal": {{"Service": "{SERVICE}"}}. For a target role, specify the role that assumes it.',
        statement=rule.statement.label,
        raised_as="warning" if narrowed else None,
    )


def _similar_key(key: str) -> str | None:
    """Return the key in ``_KEYS`` that a misspelt condition key probably should be, or None.

    :arg key: in lower case.
    """
    if key in _KNOWN or not key.startswith(("aws:requesttag", "aws:source", "sts:", "aws:tag")):
        return None
    near = difflib.get_close_matches(key[:128], _KNOWN, n=1, cutoff=0.9)
    return next((name for name in _KEYS if name.lower() in near), None)


_SEVERITIES: Mapping[str, Severity] = {"yes": "info", "no": "error", "conditional": "warning"}
_TAG_KEYS = ("aws:tagkeys", "sts:transitivetagkeys")


def diagnose(
    rules: Sequence[Rule],
    requests: Sequence[Request],
    context: Context,
    usable: str,
    session_tags: bool,
) -> list[Finding]:
    """Explain why the trust policy denies the requests, or may deny them.

    If the role is usable, the findings have severity "info". They then concern statements that do not apply to this workload.

    :arg requests: the requests to assume the role, in the order of ``ACTIONS``.
    :arg usable: whether the trust policy allows all requests: "yes", "no" or "conditional".
    :arg session_tags: whether the association has session tags.
    """
    severity: Severity = _SEVERITIES[usable]
    findings = list(_denies(rules, requests, context, usable))
    allows = [rule for rule in rules if rule.allow]
    matching = [rule for rule in allows if rule.matches_caller(requests[0].caller)]
    if not matching:
        findings += [_explain_principal(rule.statement, requests[0]) for rule in allows] or [
            Finding(
                Code.TRUST_ACTION_NOT_ALLOWED,
                "The policy has no Allow statement, so every request is denied.",
                f"Add a statement that allows {_name_caller(requests[0])} sts:AssumeRole and sts:TagSession.",
            )
        ]
        return findings
    for request, action in zip(requests, ACTIONS, strict=False):
        granting = [rule for rule in matching if rule.matches_action(request)]
        if not granting:
            findings.append(_missing_action(matching[0], request, action))
        for rule in granting:
            failing = [test for test in rule.tests if test.holds(context) is False]
            findings.extend(
                _failing_condition(rule, test, context, severity, session_tags) for test in failing
            )
            if not failing and rule.applies(request, context) is False:
                findings.append(
                    Finding(
                        Code.TRUST_CONDITION_UNMATCHED,
                        f"{rule.statement.label} never applies{_because(rule)}: no request meets all of these conditions.",
                        "Change the conditions, or add a statement for this workload.",
                        statement=rule.statement.label,
                        raised_as=severity,
                    )
                )
    return list(dict.fromkeys(findings))


def _denies(
    rules: Sequence[Rule], requests: Sequence[Request], context: Context, usable: str
) -> Iterator[Finding]:
    for rule in (rule for rule in rules if not rule.allow):
        answers = {
            action: rule.applies(request, context) for request, action in zip(requests, ACTIONS, strict=False)
        }
        denied = " and ".join(action for action, answer in answers.items() if answer is not False)
        denied += f" to {_name_caller(requests[0])}"
        label = rule.statement.label
        if True in answers.values():
            yield Finding(
                Code.TRUST_EXPLICIT_DENY,
                f"{label} denies {denied}{_because(rule)}. A Deny overrides every Allow.",
                "Narrow or remove the Deny, for example with a condition that excludes this caller.",
                statement=label,
            )
        elif None in answers.values() and usable != "yes":
            yield Finding(
                Code.TRUST_MAY_BE_DENIED,
                f"{label} denies {denied} for some requests{_because(rule)}.",
                "Find out which values the condition keys of the Deny have, or narrow the Deny.",
                statement=label,
            )


def _missing_action(rule: Rule, request: Request, action: str) -> Finding:
    label = rule.statement.label
    if action == ASSUME_ROLE:
        need = "without it the role cannot be assumed"
    elif request.caller is not None and request.caller.service is not None:
        need = "EKS rejects a role without it in the trust policy, even if session tags are disabled"
    else:
        need = "the request has session tags, and AWS denies session tags without this action"
    return Finding(
        Code.TRUST_ACTION_NOT_ALLOWED,
        f"No statement allows {_name_caller(request)} {action}; {need}.",
        f"Add {action} to the actions of {label}.",
        statement=label,
    )


def _failing_condition(
    rule: Rule, test: Test, context: Context, severity: Severity, session_tags: bool
) -> Finding:
    label = rule.statement.label
    condition = test.condition
    state = context.get(test.key)
    example = ", such as aws:SourceAccount" if context.get("aws:sourceaccount") else ""
    tag = test.key.startswith("aws:requesttag/") or test.key in _TAG_KEYS
    if tag and not session_tags:
        reason = "session tags are disabled for this association, so the request has no tags and the statement never matches."
        remedy = f"Enable session tags, or use conditions that do not need them{example}."
    elif not isinstance(state, Unknown) and not state:
        reason = f"requests of this caller never have {condition.key}."
        remedy = f"Remove the condition, or use a key that the request has{example}."
    else:
        reason = f"the request has {describe_actual(test.key, context)}."
        remedy = _condition_remedy(test, context, rule)
    return Finding(
        Code.TRUST_CONDITION_UNMATCHED,
        f"{label} requires {describe_condition(condition)}, but {reason}",
        remedy,
        statement=label,
        raised_as=severity,
    )


def _condition_remedy(test: Test, context: Context, rule: Rule) -> str:
    condition = test.condition
    state = context.get(test.key)
    actual = state if isinstance(state, tuple) else ()
    if rule.literal_variables and any("${" in value for value in condition.values):
        return 'Set "Version": "2012-10-17": in 2008-10-17, ${...} is literal text.'
    if condition.base == "StringEquals" and any(
        glob.literal is None and glob.matches(text)
        for glob in map(compile_glob, condition.values)
        for text in actual
    ):
        return "Use StringLike: StringEquals compares * and ? literally."
    similar = {value.lower() for value in condition.values} & {text.lower() for text in actual}
    if similar and condition.base in ("StringEquals", "StringLike") and not condition.quantifier:
        return "Write the value in the letter case of the request; values are case-sensitive."
    change = "Add the workload's value to" if condition.base in _EQUAL else "Change the condition on"
    return f"{change} {condition.key}, or add a statement for this workload."


def _because(rule: Rule) -> str:
    if not rule.tests:
        return ""
    return ", because of " + " and ".join(describe_condition(test.condition) for test in rule.tests)
