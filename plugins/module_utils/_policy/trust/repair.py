# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Edits that may make a trust policy usable for a workload. Each keeps all that the author wrote.

Nothing here decides: suggestions.py evaluates the results, and says of each whom else it lets in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..evaluation.request import ACTIONS, SERVICE
from ..evaluation.rules import Rule
from ..grammar.principals import SERVICES
from ..language.conditions import Test
from ..language.context import Context
from ..language.operators import NEGATED
from .common_mistakes import lookalikes
from .edits import (
    Draft,
    add_actions,
    add_statement,
    add_value,
    as_list,
    draft_of,
    drop_principals,
    exempt,
    find_condition,
    rename_service,
)
from .inquiry import Inquiry
from .mend import mend

_OPEN_ENDED = ("StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnEquals", "ArnLike")
_TRIED = 6
_CLOSED = ("StringNotEquals", "StringNotLike", "ArnNotEquals", "ArnNotLike")


def drafts(document: dict[str, object], rules: tuple[Rule, ...], inquiry: Inquiry) -> Iterator[Draft]:
    """Generate the documents to try, the kinds that are likely to let in the fewest others first.

    Wherever a workload can be let in alone, one of them does. Of the edits of single statements, only the first few are tried.
    """
    mended = mend(draft_of(document), rules)
    bases = [mended]
    exempted = _exempted(mended, rules, inquiry)
    if exempted is not mended:
        bases = [exempted, *_listed(mended, rules, inquiry)]
    for base in bases:
        yield base
        yield add_statement(base, inquiry.remedy)
    edited = [
        draft
        for base in bases
        for draft in (*_completed(base, rules, inquiry), *_renamed(base, rules, inquiry))
    ]
    yield from sorted(edited, key=lambda draft: (_open_parts(draft, inquiry), len(draft.edits)))[:_TRIED]


def _open_parts(draft: Draft, inquiry: Inquiry) -> int:
    """Count the parts of the workload's identity that the edits leave open."""
    return sum(
        place is None or as_list(statement["Condition"][place[0]][place[1]]) != [value]
        for statement in draft.admits
        for key, value in (inquiry.remedy.identity or inquiry.remedy.equals).items()
        for place in (find_condition(statement, "StringEquals", key),)
    )


def _exempted(draft: Draft, rules: Sequence[Rule], inquiry: Inquiry) -> Draft:
    """The workload, and nobody else, left out of every Deny that keeps it out."""
    remedy = inquiry.remedy
    own = set(remedy.principal.items())
    allowed = {pair for rule in rules if rule.allow for pair in rule.statement.principals or ()}
    for rule in _in_the_way(rules, inquiry):
        statement = rule.statement
        pins = [("StringNotEquals", key, value) for key, value in (remedy.identity or remedy.equals).items()]
        # Other callers could give themselves the tags.
        if not pins or (allowed - own and set(statement.principals or ()) - own):
            pins.insert(0, remedy.caller)
        draft = exempt(draft, statement, pins, freed=not remedy.identity) or draft
    return draft


def _listed(draft: Draft, rules: Sequence[Rule], inquiry: Inquiry) -> Iterator[Draft]:
    """The workload's own value beside the exceptions that each Deny in the way makes already: shorter, and wider."""
    for rule in _in_the_way(rules, inquiry):
        choices = (_with_value(draft, rule, test, inquiry.context) for test in rule.tests)
        listed = next((choice for choice in choices if choice is not None), None)
        if listed is None:
            return
        draft = listed
    yield draft


def _in_the_way(rules: Sequence[Rule], inquiry: Inquiry) -> list[Rule]:
    context = inquiry.context
    return [
        rule
        for rule in rules
        if not rule.allow
        and any(rule.speaks_of(r) and rule.applies(r, context) is not False for r in inquiry.needed)
    ]


def _completed(base: Draft, rules: Sequence[Rule], inquiry: Inquiry) -> Iterator[Draft]:
    """A statement that means the caller, with the action or the one value that it lacks."""
    context = inquiry.context
    for rule in rules:
        if not rule.allow or not rule.means_caller(inquiry.needed[0].caller):
            continue
        missing = _missing(rule, inquiry)
        failing = [test for test in rule.tests if test.holds(context) is False]
        if not failing and (completed := add_actions(base, rule.statement, missing)) is not None:
            yield completed
        if len(failing) == 1 and (joined := _with_value(base, rule, failing[0], context)) is not None:
            yield add_actions(joined, rule.statement, missing) or joined


def _renamed(base: Draft, rules: Sequence[Rule], inquiry: Inquiry) -> Iterator[Draft]:
    """Misspelt names of the service corrected, or taken out beside a statement for the workload alone.

    The name of a service that exists is left alone: others may use the role by it.
    """
    if "Service" not in inquiry.remedy.principal:
        return
    for rule in rules:
        wrong = [name for name in lookalikes(rule.statement) if name not in SERVICES]
        if not rule.allow or not wrong:
            continue
        renamed = rename_service(base, rule.statement, wrong, SERVICE)
        if renamed is not None:
            yield add_actions(renamed, rule.statement, _missing(rule, inquiry)) or renamed
        unwanted = [("Service", name) for name in wrong]
        yield add_statement(
            drop_principals(base, rule.statement, unwanted, "it is not the service of EKS Pod Identity"),
            inquiry.remedy,
        )


def _missing(rule: Rule, inquiry: Inquiry) -> list[str]:
    """The actions that a statement does not allow."""
    # One by one in the same order; a request without session tags is the first of them alone.
    pairs = zip(ACTIONS, inquiry.needed, strict=False)
    return [action for action, request in pairs if not rule.means_action(request)]


def _with_value(base: Draft, rule: Rule, test: Test, context: Context) -> Draft | None:
    """The workload's own value beside those that a condition names."""
    condition = test.condition
    state = context.get(test.key)
    open_ended = _CLOSED if condition.base in NEGATED else _OPEN_ENDED
    if condition.base not in open_ended or condition.quantifier or rule.allow is (condition.base in NEGATED):
        return None
    if not isinstance(state, tuple) or len(state) != 1:
        return None
    return add_value(base, rule.statement, (condition.operator, condition.key), state[0], ACTIONS)
