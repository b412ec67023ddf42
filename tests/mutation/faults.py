# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One-line faults in the policy evaluator, each of which the tests must notice.

Each: the file in plugins/module_utils/_policy, the text to replace (once), and the fault.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """``before`` stands in the file exactly once."""

    name: str
    file: str
    before: str
    after: str


FAULTS = (
    Fault(
        "a Deny does not win",
        "evaluation/query.py",
        "            if applies:\n                return False",
        "            if applies:\n                pass",
    ),
    Fault(
        "an uncertain Deny counts as none",
        "evaluation/query.py",
        "            if applies is None:\n                answer = None\n        for _name",
        "            if applies is None:\n                pass\n        for _name",
    ),
    Fault(
        "a layer without Allow is let through",
        "evaluation/query.py",
        "            if best is False:\n                return False",
        "            if best is False:\n                pass",
    ),
    Fault(
        "an uncertain Allow counts as certain",
        "evaluation/query.py",
        "            if best is None:\n                answer = None",
        "            if best is None:\n                pass",
    ),
    Fault(
        "boundaries are not looked at",
        "permissions/permissions.py",
        "    if boundary is not None:",
        "    if False:",
    ),
    Fault(
        "session policies are not looked at",
        "permissions/permissions.py",
        "    if session is not None:",
        "    if False:",
    ),
    Fault(
        "actions are case-sensitive",
        "evaluation/rules.py",
        "        self.action = action.lower()",
        "        self.action = action",
    ),
    Fault(
        "NotAction is Action",
        "evaluation/rules.py",
        "        return self._turn(cover, self.statement.not_action)",
        "        return cover",
    ),
    Fault(
        "NotResource is Resource",
        "evaluation/rules.py",
        "        negated = self.statement.not_resource",
        "        negated = False",
    ),
    Fault(
        "an Allow needs to cover only part",
        "evaluation/rules.py",
        "        return cover is Cover.ALL if self.allow else cover is not Cover.NONE",
        "        return cover is not Cover.NONE",
    ),
    Fault(
        "a Deny must cover all",
        "evaluation/rules.py",
        "        return cover is Cover.ALL if self.allow else cover is not Cover.NONE",
        "        return cover is Cover.ALL",
    ),
    Fault(
        "an unknown variable matches nothing",
        "language/resources.py",
        "            return Cover.NONE, head",
        "            return Cover.NONE, Cover.NONE",
    ),
    Fault(
        "the parts before a variable do not count",
        "language/resources.py",
        "            head = min(head, glob.covers(part, wild))",
        "            head = Cover.ALL",
    ),
    Fault(
        "only the first condition counts",
        "evaluation/rules.py",
        "            if holds is False:\n                return False",
        "            return holds",
    ),
    Fault(
        "unknown conditions hold",
        "evaluation/rules.py",
        "            if holds is None:\n                answer = None",
        "            if holds is None:\n                pass",
    ),
    Fault(
        "* reaches over colons",
        "language/match.py",
        '        pieces = token.split(":", ARN_PARTS - len(parts))',
        '        pieces = token.split(":", max(0, 2 - len(parts)))',
    ),
    Fault(
        "missing parts of an ARN are empty",
        "language/match.py",
        "        parts.extend([[Wild.ANY] for _index in range(ARN_PARTS - len(parts))])",
        "        parts.extend([[] for _index in range(ARN_PARTS - len(parts))])",
    ),
    Fault(
        "? is also none",
        "language/match.py",
        "            return len(text) == len(first.text) and first.at(text, 0, symbolic)",
        "            return len(text) <= len(first.text)",
    ),
    Fault(
        "chunks may overlap",
        "language/match.py",
        "                start = at + len(chunk.text)",
        "                start = at",
    ),
    Fault(
        "? covers *",
        "language/match.py",
        '            if symbolic and text[start + hole] == "*":',
        "            if False:",
    ),
    Fault(
        "an absent key never holds",
        "language/conditions.py",
        "            self._absent = self._negated and not condition.quantifier",
        "            self._absent = False",
    ),
    Fault(
        "ForAnyValue negated holds on absence",
        "language/conditions.py",
        "            self._absent = self._negated and not condition.quantifier",
        "            self._absent = self._negated",
    ),
    Fault(
        "IfExists does nothing",
        "language/conditions.py",
        '        elif condition.if_exists or condition.quantifier == "ForAllValues":',
        '        elif condition.quantifier == "ForAllValues":',
    ),
    Fault(
        "ForAllValues needs a value",
        "language/conditions.py",
        '        elif condition.if_exists or condition.quantifier == "ForAllValues":',
        "        elif condition.if_exists:",
    ),
    Fault(
        "ForAnyValue is ForAllValues",
        "language/conditions.py",
        '        return _any(each) if quantifier == "ForAnyValue" else _all(each)',
        "        return _all(each)",
    ),
    Fault(
        "ForAllValues is ForAnyValue",
        "language/conditions.py",
        '        return _any(each) if quantifier == "ForAnyValue" else _all(each)',
        "        return _any(each)",
    ),
    Fault(
        "set operators are not negated",
        "language/conditions.py",
        "        return _not(answer) if self._negated else answer\n\n    def _unknown",
        "        return answer\n\n    def _unknown",
    ),
    Fault(
        "Null true means present",
        "language/conditions.py",
        '            self._absent = "true" in self._nulls',
        '            self._absent = "false" in self._nulls',
    ),
    Fault(
        "unknown is absent",
        "language/conditions.py",
        "            return self._unknown(state, context)",
        "            return self._absent",
    ),
    Fault(
        "empty values count in set operators",
        "language/conditions.py",
        "for value in values if value]",
        "for value in values]",
    ),
    Fault(
        "StringEquals has wildcards",
        "language/operators.py",
        '    wildcards = base in ("StringLike", "StringNotLike") or base.startswith("Arn")',
        "    wildcards = True",
    ),
    Fault(
        "values are case-insensitive",
        "language/operators.py",
        "        text = value.lower() if ignore_case else value",
        "        text = value.lower()",
    ),
    Fault(
        "less is less or equal",
        "language/operators.py",
        '    "LessThan": operator.lt,',
        '    "LessThan": operator.le,',
    ),
    Fault("host bits make a block invalid", "language/operators.py", "strict=False", "strict=True"),
    Fault(
        "times without zone are an hour off",
        "language/operators.py",
        "moment.replace(tzinfo=datetime.timezone.utc)",
        "moment.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=1)))",
    ),
    Fault(
        "StringNotLike is StringLike",
        "language/operators.py",
        '        "StringNotLike",\n        "NumericNotEquals"',
        '        "NumericNotEquals"',
    ),
    Fault(
        "an absent variable is unknown",
        "language/template.py",
        "        else:\n            return False",
        "        else:\n            unknown = True",
    ),
    Fault(
        "the default stands in for several values",
        "language/template.py",
        "        elif token.default is not None and not values:",
        "        elif token.default is not None:",
    ),
    Fault(
        "several values make a variable",
        "language/template.py",
        "        elif len(values) == 1:",
        "        elif len(values) >= 1:",
    ),
    Fault(
        "variables work in every version",
        "language/document.py",
        "        return self.version != LEGACY_VERSION",
        "        return True",
    ),
    Fault(
        "key names are case-sensitive",
        "language/conditions.py",
        "        self.key = condition.key.lower()",
        "        self.key = condition.key",
    ),
    Fault(
        "NotPrincipal with Allow grants",
        "language/principals.py",
        "            return not self._allow and not self._listed(caller, widest=False)",
        "            return not self._listed(caller, widest=False)",
    ),
    Fault(
        "everyone means nobody",
        "language/principals.py",
        "        if self._everyone:\n            return True",
        "        if self._everyone:\n            return False",
    ),
    Fault(
        "every service is meant by *",
        "language/principals.py",
        "        return widest and any(",
        "        return any(",
    ),
    Fault(
        "an account does not mean its roles",
        "language/principals.py",
        '                ("AWS", account),\n',
        "",
    ),
    Fault(
        "the first completion is enough",
        "evaluation/search.py",
        "        return all(len(seen) == 2 for seen in self.seen)",
        "        return all(len(seen) >= 1 for seen in self.seen)",
    ),
    Fault(
        "no value beyond the policy's own is tried",
        "evaluation/candidates.py",
        "    return [*texts[: MAX_TEXTS - len(others)], *others]",
        "    return texts or others",
    ),
    Fault("absence is not tried", "evaluation/candidates.py", "    if state.may_be_absent:", "    if False:"),
    Fault(
        "tags are there with session tags off",
        "evaluation/request.py",
        "    if not subject.session_tags:\n        return {}",
        "    if False:\n        return {}",
    ),
    Fault(
        "aws:SourceArn is certain",
        "evaluation/request.py",
        '        "aws:sourcearn": Unknown(\n',
        '        "aws:sourcearn": Unknown(\n            may_be_absent=False,\n',
    ),
    Fault(
        "one action is enough",
        "evaluation/evaluate.py",
        "answers = (*first, False if False in first",
        "answers = (*first, False if True not in first",
    ),
    Fault(
        "no key of a service has several values",
        "evaluation/candidates.py",
        'return "tag/" not in key and not any(',
        "return False and not any(",
    ),
    Fault(
        "numbers, dates and addresses come several at a time",
        "evaluation/candidates.py",
        "family(test.condition.base) in _SINGLE_VALUED",
        "family(test.condition.base) in ()",
    ),
    Fault(
        "what is not documented counts as refused",
        "grammar/storable.py",
        "        return tuple(reason for reason in self.reasons if reason.certain)",
        "        return self.reasons",
    ),
    Fault(
        "refusals are not looked at",
        "grammar/storable.py",
        '        return "no" if self.refusals else "unknown"',
        '        return "unknown"',
    ),
    Fault(
        "Sids need not be unique",
        "grammar/storable.py",
        "    if first is not statement:",
        "    if False:",
    ),
    Fault(
        "a managed policy needs no version",
        "grammar/storable.py",
        '        managed = kind in ("managed", "boundary")',
        "        managed = False",
    ),
    Fault(
        "one good document makes all storable",
        "grammar/storable.py",
        'if word in answers), "yes")',
        'if answers == [word]), "yes")',
    ),
    Fault(
        "services of actions have wildcards",
        "grammar/actions.py",
        "[A-Za-z0-9-]+\\Z",
        "[A-Za-z0-9*-]+\\Z",
    ),
    Fault(
        "trust policies take every action",
        "grammar/actions.py",
        '    if action == "*" or folded.startswith("sts:"):',
        "    if True:",
    ),
    Fault(
        "sts:* is documented",
        "grammar/actions.py",
        "    if folded in TRUST_ACTIONS:",
        '    if folded in TRUST_ACTIONS or folded == "sts:*":',
    ),
    Fault(
        "session policies complete ARNs",
        "grammar/resources.py",
        "    if session and len(parts) < ARN_PARTS:",
        "    if False:",
    ),
    Fault(
        "any text is an account",
        "grammar/resources.py",
        "    if not _ACCOUNT.match(account):",
        "    if False:",
    ),
    Fault(
        "NotPrincipal is stored",
        "grammar/principals.py",
        "    if statement.not_principal:",
        "    if False:",
    ),
    Fault(
        "every account exists",
        "grammar/principals.py",
        '        if account["id"] in known:',
        "        if True:",
    ),
    Fault(
        "what is known to exist is asked about",
        "grammar/principals.py",
        "        if value in known:",
        "        if False:",
    ),
    Fault(
        "a managed policy may have one character more",
        "grammar/sizes.py",
        "MANAGED = 6_144",
        "MANAGED = 6_145",
    ),
    Fault(
        "white space inside of values counts",
        "grammar/sizes.py",
        "            least > limit,",
        "            True,",
    ),
    Fault(
        "every text is a date",
        "grammar/conditions.py",
        "        return date(value) is not None",
        "        return True",
    ),
    Fault(
        "a Deny is exempted by its first pin alone",
        "trust/edits.py",
        "    for operator, key, value in pins:\n        released",
        "    for operator, key, value in pins[:1]:\n        released",
    ),
    Fault(
        "a Deny loses its other exceptions",
        "trust/edits.py",
        "            copies.append(with_condition(present, *negated, [*held, value]))",
        "            copies.append(with_condition(present, *negated, [value]))",
    ),
    Fault(
        "a value takes the place of the others",
        "trust/edits.py",
        "    edited = with_condition(present, operator, key, [*given, value])",
        "    edited = with_condition(present, operator, key, [value])",
    ),
    Fault(
        "the service that others use is renamed",
        "trust/repair.py",
        "if name not in SERVICES]",
        "if True]",
    ),
    Fault(
        "other callers may give themselves the tags",
        "trust/repair.py",
        "            pins.insert(0, remedy.caller)",
        "            pass",
    ),
    Fault(
        "a namespace alone identifies a workload",
        "trust/admission.py",
        "    return all(_asks_for(rule, key, value) for key, value in remedy.identity.items())",
        "    return any(_asks_for(rule, key, value) for key, value in remedy.identity.items())",
    ),
    Fault(
        "one of several values identifies",
        "trust/admission.py",
        "        and set(test.condition.values) == {value}",
        "        and value in test.condition.values",
    ),
    Fault(
        "IfExists identifies",
        "trust/admission.py",
        "not condition.quantifier and not condition.if_exists and not wildcards",
        "not condition.quantifier and not wildcards",
    ),
    Fault(
        "wildcards identify",
        "trust/admission.py",
        "not condition.if_exists and not wildcards",
        "not condition.if_exists",
    ),
    Fault(
        "other callers are nobody",
        "trust/admission.py",
        "    if not (own and not rule.statement.not_principal) and not _asks_for(rule, key, value):",
        "    if False:",
    ),
    Fault(
        "what is not proven is exact",
        "trust/admission.py",
        "    return tuple(dict.fromkeys(found)) or (UNPROVEN,)",
        "    return tuple(dict.fromkeys(found))",
    ),
    Fault(
        "the widest suggestion comes first",
        "trust/suggestions.py",
        "        bool(suggestion.also_lets_in),",
        "        not suggestion.also_lets_in,",
    ),
    Fault(
        "a suggestion need not be usable",
        "trust/suggestions.py",
        "    if not answer.proven or stored",
        "    if stored",
    ),
    Fault(
        "a suggestion need not be stored",
        "trust/suggestions.py",
        ' or stored.answer == "no":',
        ":",
    ),
    Fault(
        "a refused document is usable",
        "trust/check.py",
        '    if judged.answer == "no":',
        "    if False:",
    ),
    Fault(
        "what IAM has is judged again",
        "trust/check.py",
        "    judged = Storability() if stored else storability(",
        "    judged = Storability() if False else storability(",
    ),
    Fault(
        "an addition need not help",
        "permissions/additions.py",
        "    return wanted if evaluate(granted, Request(action, resource), context).allowed else ()",
        "    return wanted",
    ),
    Fault(
        "an unknown policy does not count",
        "permissions/who_can.py",
        "    if holder.unknown and not",
        "    if False and not",
    ),
    Fault(
        "an unknown policy may undo a Deny",
        "permissions/who_can.py",
        "    if decision == EXPLICIT_DENY:\n        return True",
        "    if decision == EXPLICIT_DENY:\n        return False",
    ),
)
