# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare two policy documents by meaning, and convert findings on policies to rows of module results.

Two documents have the same meaning if they differ only in these points:

* the order of keys, lists and statements, and duplicates;
* a single value instead of a list with that value;
* the letter case of actions, operators and condition keys, and of condition values that are compared case-insensitively;
* Id and Sid;
* spellings of a principal that IAM treats as equal (an account ID and its root ARN; "*" and {"AWS": "*"}).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from ..._findings.finding import Finding
from ..._findings.text import visible
from .document import Policy, Statement, parse_policy

_ROOT = re.compile(r"\Aarn:[a-z0-9-]+:iam::([0-9]{12}):root\Z")
_CASELESS_VALUES = ("Bool", "Null", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase")


def normalise(document: object, kind: str = "identity") -> dict[str, object]:
    """Return a document in a form that is equal for all documents with the same meaning.

    The lists are sorted, and duplicates, the Id and the Sids are removed.

    :arg document: a ``Policy``, dict, JSON text, or URL-encoded JSON text.
    :arg kind: the kind of the policy, as for ``parse_policy``.
    :raises PolicyError: when ``document`` is not a policy of this kind.
    """
    policy = _parse(document, kind)
    forms = {
        json.dumps(form, sort_keys=True): form
        for form in (_canonical_statement(s, str.lower) for s in policy.statements)
    }
    return {"Version": policy.version, "Statement": [forms[key] for key in sorted(forms)]}


def display(document: object, kind: str = "identity") -> dict[str, object]:
    """Return a document in a uniform form for display.

    The form keeps the order of the statements, their Sids, and the letter case of actions and condition keys.

    :arg document: a ``Policy``, dict, JSON text, or URL-encoded JSON text.
    :raises PolicyError: when ``document`` is not a policy of this kind.
    """
    policy = _parse(document, kind)
    statements = [
        {**({"Sid": statement.sid} if statement.sid else {}), **_canonical_statement(statement, str)}
        for statement in policy.statements
    ]
    return {"Version": policy.version, "Statement": statements}


def same_meaning(a: object, b: object, kind: str = "identity") -> bool:
    """Return whether two documents have the same meaning.

    :raises PolicyError: when the documents differ, and at least one of them is not a policy document of this kind.
    """
    return a == b or normalise(a, kind) == normalise(b, kind)


def _parse(document: object, kind: str) -> Policy:
    return document if isinstance(document, Policy) else parse_policy(document, kind)


def _canonical_statement(statement: Statement, fold: Callable[[str], str]) -> dict[str, object]:
    form: dict[str, object] = {"Effect": statement.effect}
    if statement.principals is not None:
        element = "NotPrincipal" if statement.not_principal else "Principal"
        form[element] = _principals(statement.principals)
    form["NotAction" if statement.not_action else "Action"] = _unique(statement.actions, fold)
    if statement.resources is not None:
        element = "NotResource" if statement.not_resource else "Resource"
        form[element] = _unique(statement.resources, str)
    if statement.conditions:
        block: dict[str, dict[str, list[str]]] = {}
        for condition in statement.conditions:
            values = _unique(condition.values, str.lower if condition.base in _CASELESS_VALUES else str)
            block.setdefault(condition.operator, {})[fold(condition.key)] = values
        form["Condition"] = {operator: dict(sorted(block[operator].items())) for operator in sorted(block)}
    return form


def _principals(pairs: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    grouped: dict[str, set[str]] = {}
    for kind, value in pairs:
        if kind == "AWS":
            value = _ROOT.sub(r"\1", value)
        grouped.setdefault("AWS" if kind == "*" else kind, set()).add(value)
    return {kind: sorted(grouped[kind]) for kind in sorted(grouped)}


def _unique(values: Iterable[str], fold: Callable[[str], str]) -> list[str]:
    return sorted({fold(value) for value in values})


def policy_finding_row(finding: Finding) -> dict[str, str]:
    """Return a finding in the result of a module. ``statement`` is empty if the finding does not concern a statement."""
    return {
        "code": finding.code.value,
        "severity": finding.severity,
        "statement": visible(finding.statement),
        "message": visible(finding.message),
        "remedy": visible(finding.remedy),
    }
