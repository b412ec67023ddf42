# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The Condition block of a statement, beyond what the parser refuses.

Sources: IAM User Guide, "IAM JSON policy elements: Condition" (key names), "Condition operators", "IAM policy validation
check reference" (invalid condition key format, data types, duplicate keys); IAM's answer to a text that is no date, "The
policy failed legacy parsing".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..language.document import Statement
from ..language.elements import Condition
from ..language.operators import binary, date, family, network, number
from .reasons import Reason, quote

_FORM = {"Numeric": "a number", "Date": "a date", "Ip": "an address or CIDR block", "Binary": "base64"}


def condition_reasons(statement: Statement, block: object) -> Iterator[Reason]:
    """``block`` is the Condition as written."""
    label = statement.label
    for condition in statement.conditions:
        if ":" not in condition.key.strip(":"):
            yield Reason(
                True,
                label,
                f"the condition key {quote(condition.key)} has no service before it",
                "Write it as service:key, such as aws:SourceAccount.",
            )
        yield from _values(label, condition)
    yield from _empty(label, block)
    yield from _spelling(label, block, {condition.operator for condition in statement.conditions})


def _empty(label: str, block: object) -> Iterator[Reason]:
    for operator, keys in block.items() if isinstance(block, Mapping) else ():
        if not keys:
            yield Reason(
                True,
                label,
                f"the condition operator {quote(str(operator))} has no condition keys",
                "Remove the operator, or give it a key.",
            )


def _values(label: str, condition: Condition) -> Iterator[Reason]:
    if not condition.values:
        yield Reason(
            False,
            label,
            f"{condition.operator} {condition.key} has no values; whether IAM stores that is not documented",
            "Give at least one value.",
        )
    kind = family(condition.base)
    for value in condition.values:
        if _has_form(kind, value):
            continue
        # IAM has been seen to refuse texts that are no dates. Of the others the guide only says that they are wrong.
        yield Reason(
            kind == "Date" and "${" not in value,
            label,
            f"{condition.operator} {condition.key} takes {_FORM.get(kind, 'true or false')}, not {quote(value)}",
            "Correct the value, or use a String operator.",
        )


def _has_form(kind: str, value: str) -> bool:
    if kind == "Numeric":
        return number(value) is not None
    if kind == "Date":
        return date(value) is not None
    if kind == "Ip":
        return network(value) is not None
    if kind == "Binary":
        return not binary(value).startswith("not base64")
    if kind in ("Bool", "Null"):
        return value.lower() in ("true", "false")
    return True


def _spelling(label: str, block: object, canonical: set[str]) -> Iterator[Reason]:
    """The parser reads operators in any letter case. That IAM does is not documented."""
    for operator in block if isinstance(block, Mapping) else ():
        folded = [name for name in canonical if name.lower() == str(operator).lower()]
        if folded and str(operator) not in folded:
            yield Reason(
                False,
                label,
                f"whether IAM takes the condition operator {quote(str(operator))} in this letter case is not documented",
                f"Write {folded[0]}.",
            )
