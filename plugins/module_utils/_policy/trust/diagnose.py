# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Why a trust policy does not let EKS Pod Identity in: one finding for each thing in the way."""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding
from ..evaluation.request import ACTIONS, ASSUME_ROLE, TAG_SESSION
from ..evaluation.rules import Request, Rule
from ..language.conditions import Test
from ..language.context import Context, Unknown
from ..language.match import Glob
from ..language.phrases import describe_actual, describe_condition
from ..language.template import Wild, tokenize
from .principals import explain_principals, name_caller

_TAG_KEYS = ("aws:tagkeys", "sts:transitivetagkeys")


def diagnose(
    rules: Sequence[Rule],
    requests: Sequence[Request],
    context: Context,
    usable: bool | None,
    session_tags: bool,
) -> list[Finding]:
    """What is in the way of these requests, and for a usable policy what grants nothing."""
    severity: Severity = "info" if usable else "error" if usable is False else "warning"
    findings = _denies(rules, requests, context, usable)
    allows = [rule for rule in rules if rule.allow]
    meant = [rule for rule in allows if rule.means_caller(requests[0].caller)]
    if not meant:
        findings.extend(explain_principals(allows, requests[0]))
        return findings
    for request, action in zip(requests, ACTIONS, strict=False):
        granting = [rule for rule in meant if rule.means_action(request)]
        if not granting:
            findings.append(_missing_action(meant[0], request, action))
        for rule in granting:
            findings.extend(
                _failing_condition(rule, test, context, severity, session_tags)
                for test in rule.tests
                if test.holds(context) is False
            )
    if usable is False and not any(finding.severity == "error" for finding in findings):
        findings.append(
            Finding(
                Code.TRUST_CONTRADICTION,
                "Each condition can be met, but no request meets all of them: for the keys that"
                " are not known here, no value lets both sts:AssumeRole and sts:TagSession"
                " through.",
                "Put both actions in one statement with conditions that can hold together, and"
                " check what the Deny statements leave over.",
            )
        )
    return list(dict.fromkeys(findings))


def _denies(
    rules: Sequence[Rule], requests: Sequence[Request], context: Context, usable: bool | None
) -> list[Finding]:
    findings = []
    for rule in rules:
        if rule.allow:
            continue
        concerned = [request for request in requests if rule.speaks_of(request)]
        answers = {rule.applies(request, context) for request in concerned}
        actions = " and ".join(_action_name(request) for request in concerned)
        if True in answers:
            findings.append(
                Finding(
                    Code.TRUST_EXPLICIT_DENY,
                    f"{rule.statement.label} denies {actions} to {name_caller(concerned[0])}"
                    f"{_because(rule)}. A Deny wins over every Allow.",
                    "Narrow or remove the Deny, for instance by a condition that leaves this caller out.",
                    statement=rule.statement.label,
                )
            )
        elif None in answers and usable is not True:
            findings.append(
                Finding(
                    Code.TRUST_MAY_BE_DENIED,
                    f"{rule.statement.label} denies {actions} to {name_caller(concerned[0])} for some"
                    f" requests{_because(rule)}.",
                    "Give the values that its conditions ask about, or narrow the Deny.",
                    statement=rule.statement.label,
                )
            )
    return findings


def _missing_action(rule: Rule, request: Request, action: str) -> Finding:
    code = Code.TRUST_NO_ASSUME_ROLE if action == ASSUME_ROLE else Code.TRUST_NO_TAG_SESSION
    label = rule.statement.label
    if action == ASSUME_ROLE:
        need = "without it the role cannot be assumed at all"
    elif request.caller is not None and request.caller.service is not None:
        need = "EKS refuses a role whose trust policy lacks it, also when session tags are off"
    else:
        need = "its session carries tags, and a request with tags is denied without it"
    return Finding(
        code,
        f"No statement allows {name_caller(request)} {action}; {need}.",
        f"Add {action} to the actions of {label}.",
        statement=label,
    )


def _failing_condition(
    rule: Rule, test: Test, context: Context, severity: Severity, session_tags: bool
) -> Finding:
    label = rule.statement.label
    condition = test.condition
    wanted = describe_condition(condition)
    actual = describe_actual(test.key, context)
    state = context.get(test.key)
    tag = test.key.startswith("aws:requesttag/") or test.key in _TAG_KEYS
    if tag and not session_tags:
        return Finding(
            Code.TRUST_REQUEST_TAG_WITHOUT_SESSION_TAGS,
            f"{label} asks for {wanted}, but session tags are disabled for this association, so the"
            " request carries no tags and the statement never matches.",
            "Enable session tags, or use conditions that do not need them, such as aws:SourceAccount.",
            statement=label,
            raised_as=severity,
        )
    if not isinstance(state, Unknown) and not state:
        return Finding(
            Code.TRUST_CONDITION_NEVER_PRESENT,
            f"{label} asks for {wanted}, but requests of this caller never carry {condition.key}.",
            "Remove the condition, or use a key that the request has, such as aws:SourceAccount or"
            " aws:RequestTag/kubernetes-namespace.",
            statement=label,
            raised_as=severity,
        )
    code, remedy = _near_miss(test, context, rule)
    return Finding(
        code,
        f"{label} asks for {wanted}, but the request has {actual}.",
        remedy,
        statement=label,
        raised_as=severity,
    )


def _near_miss(test: Test, context: Context, rule: Rule) -> tuple[Code, str]:
    condition = test.condition
    state = context.get(test.key)
    actual = state if isinstance(state, tuple) else ()
    if rule.literal_variables and any("${" in value for value in condition.values):
        return (
            Code.TRUST_VARIABLE_WITHOUT_VERSION,
            'Set "Version": "2012-10-17": under any other, ${...} is literal text.',
        )
    if condition.base == "StringEquals" and any(
        glob.literal is None and glob.matches(text)
        for glob in map(_wild, condition.values)
        for text in actual
    ):
        return (
            Code.TRUST_WILDCARD_IN_STRING_EQUALS,
            "Use StringLike: StringEquals takes * and ? as the characters themselves.",
        )
    if (
        condition.base in ("StringEquals", "StringLike")
        and not condition.quantifier
        and ({value.lower() for value in condition.values} & {text.lower() for text in actual})
    ):
        return (
            Code.TRUST_CONDITION_CASE,
            "Write the value in the letter case that the request has; values are case-sensitive.",
        )
    return (
        Code.TRUST_CONDITION_UNMATCHED,
        f"Add the workload's value to {condition.key}, or add a statement for this workload.",
    )


def _wild(text: str) -> Glob:
    tokens = tokenize(text, variables=False, wildcards=True)
    return Glob(token for token in tokens if isinstance(token, str | Wild))


def _because(rule: Rule) -> str:
    if not rule.tests:
        return ""
    return ", because of " + " and ".join(describe_condition(test.condition) for test in rule.tests)


def _action_name(request: Request) -> str:
    return ASSUME_ROLE if request.action == ASSUME_ROLE.lower() else TAG_SESSION
