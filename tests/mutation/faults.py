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
        "            return Cover.NONE, min(head, self._relaxed.covers(text, wild))",
        "            return Cover.NONE, Cover.NONE",
    ),
    Fault(
        "the parts before a variable do not count",
        "language/resources.py",
        "            cover = min(cover, glob.covers(part, wild))",
        "            cover = Cover.ALL",
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
        "            if symbolic and text[start + hole] == STAR:",
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
        "        return _not(answer) if self._negated else answer\n\n    def _match",
        "        return answer\n\n    def _match",
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
        "            answer = self._unknown(state, context)",
        "            answer = self._absent",
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
        "            texts.add(fold(text) if ignore_case else text)",
        "            texts.add(fold(text))",
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
        "            answer is not None or len(seen) == 2 for answer",
        "            answer is not None or len(seen) >= 1 for answer",
    ),
    Fault(
        "absence is not tried",
        "evaluation/values.py",
        "        if self.state.may_be_absent:\n            states.append(ABSENT)",
        "        if False:\n            states.append(ABSENT)",
    ),
    Fault(
        "aws:SourceArn is certain",
        "evaluation/request.py",
        "            Unknown(choices=(subject.cluster_arn,))",
        "            Unknown(False, choices=(subject.cluster_arn,))",
    ),
    Fault(
        "one action is enough",
        "evaluation/evaluate.py",
        "Answer(all(first))",
        "Answer(any(first))",
    ),
    Fault(
        "no key of a service has several values",
        "evaluation/keys.py",
        '    return not key.startswith("~") and not is_tag(key) and not alone',
        "    return False",
    ),
    Fault(
        "numbers, dates and addresses come several at a time",
        "evaluation/values.py",
        'any(family(test.condition.base) in ("Numeric", "Date", "Ip")',
        "any(family(test.condition.base) in ()",
    ),
    Fault(
        "no value beyond the policy's own is tried",
        "evaluation/values.py",
        "[*listed, _Kind(next(other_than(fitting)), False)]",
        "listed",
    ),
    Fault(
        "a run is at least one character",
        "language/words.py",
        "        more = state | (state & self.runs) << 1",
        "        more = state",
    ),
    Fault(
        "a run in a part of an ARN reaches over colons",
        "language/words.py",
        "                units.append(RUN_IN_PART if inner else RUN)",
        "                units.append(RUN)",
    ),
    Fault(
        "one letter case is enough for IgnoreCase",
        "language/words.py",
        "            units.extend(Unit(spellings(character)) for character in fold(token))",
        "            units.extend(Unit(character) for character in fold(token))",
    ),
    Fault(
        "a short ARN pattern matches",
        "language/words.py",
        "    if len(parts) < ARN_PARTS:\n        return None",
        "    parts.extend([Wild.ANY] for _part in range(ARN_PARTS - len(parts)))",
    ),
    Fault(
        "a short ARN pattern is completed in conditions",
        "language/operators.py",
        "    globs = [ArnGlob(_literals(tokens), complete=False) for tokens in values]",
        "    globs = [ArnGlob(_literals(tokens)) for tokens in values]",
    ),
    Fault(
        "the rest of a text does not count for a part of it",
        "language/words.py",
        "    after = ((),) if extract.place < 0 else ((), (Unit(separator), RUN))",
        "    after = ((),)",
    ),
    Fault(
        "what a key is like does not count",
        "evaluation/values.py",
        "            inside = len(patterns)\n",
        "            pass\n",
    ),
    Fault(
        "a text of the policy is taken for one that it does not name",
        "evaluation/values.py",
        "*([_words(fitting)] if few else [])",
        "",
    ),
    Fault(
        "nothing lies between two numbers",
        "evaluation/typed.py",
        "        if at + 1 < len(points):",
        "        if False:",
    ),
    Fault(
        "nothing lies behind an address block",
        "evaluation/typed.py",
        "for edge in (start, end + 1) if edge < size",
        "for edge in (start,) if edge < size",
    ),
    Fault(
        "what all of a set match is what any does",
        "evaluation/values.py",
        "        tuple(map(all, zip(*filled, strict=True))),",
        "        (),",
    ),
    Fault(
        "one value of each kind at most",
        "evaluation/values.py",
        "        for several in queue:",
        "        for several in ():",
    ),
    Fault(
        "a value that stands for many is all of them",
        "evaluation/search.py",
        "            if isinstance(state, Some) and not self.hold:\n                self.exact = False",
        "            if isinstance(state, Some) and not self.hold:\n                pass",
    ),
    Fault(
        "a comparison of two keys does not hold",
        "evaluation/search.py",
        "        for answer in (True, False):\n            self.step",
        "        for answer in (False,):\n            self.step",
    ),
    Fault(
        "equal is not the opposite of unequal",
        "language/conditions.py",
        "            return assumed if assumed is None or not negated else not assumed",
        "            return assumed",
    ),
    Fault(
        "a statement without a value is dead",
        "evaluation/search.py",
        "        if rule.applies(request, completed) is not False and not (",
        "        if rule.applies(request, completed) is True and not (",
    ),
    Fault(
        "a variable ends anywhere",
        "evaluation/windows.py",
        "    ends = sorted(len(text) - length for length in places(last[::-1], text[::-1]))",
        "    ends = list(range(len(text) + 1))",
    ),
    Fault(
        "the same variable twice may differ",
        "evaluation/windows.py",
        "    if len(spots) > 1:\n        return _repeated(tokens, starts, text, ignore_case, budget)\n",
        "",
    ),
    Fault(
        "the account of an ARN is its region",
        "language/parts.py",
        'ACCOUNT = Extract(":", 4)',
        'ACCOUNT = Extract(":", 3)',
    ),
    Fault(
        "the cluster's name is not part of its ARN",
        "evaluation/request.py",
        '            keys[f"{prefix}eks-cluster-name"] = Part(_CLUSTER, CLUSTER_NAME)',
        "            pass",
    ),
    Fault(
        "a session policy's ARN is completed",
        "evaluation/rules.py",
        '    complete = policy.kind != "session"',
        "    complete = True",
    ),
    Fault(
        "an action without resource needs a lone *",
        "language/resources.py",
        "        return max((glob.covers(service, wild) for glob in self._services), default=Cover.NONE)",
        "        return Cover.NONE",
    ),
    Fault(
        "all of any service is all of this one",
        "language/resources.py",
        "        return max((glob.covers(service, wild) for glob in self._services), default=Cover.NONE)",
        "        return Cover.ALL if self._services else Cover.NONE",
    ),
    Fault(
        "a request without tags has to tag the session",
        "trust/chain.py",
        "    return len(ACTIONS) if subject.session_tags else 1",
        "    return len(ACTIONS)",
    ),
    Fault(
        "digits of other scripts are digits",
        "language/operators.py",
        '_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}',
        '_NUMBER = re.compile(r"[+-]?(?:\\d{1,400}',
    ),
    Fault(
        "a star of a request is any star",
        "language/match.py",
        '_SYMBOLS = {ord("*"): STAR, ord("?"): MARK}',
        "_SYMBOLS: dict[int, str] = {}",
    ),
)
