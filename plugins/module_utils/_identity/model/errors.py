# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Invalid input and failed requests to AWS, as data and as messages: problem, place, cause, remedy. Pure.

``_aws.errors`` creates an AwsError when the response arrives. Failures of one cause differ only in the names of their own
objects, and are grouped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TypeVar

from ..._findings.text import visible, visible_sentence, with_option_names


class ErrorKind(Enum):
    """The kind of an AWS error, which decides how a run treats it."""

    BUSY = "another process modifies the resource"
    CONNECTION = "the request or its answer was lost"
    DAMAGED = "the answer cannot be used"
    DENIED = "the caller is not allowed to perform the request"
    EXISTS = "the resource exists already"
    FULL = "a quota leaves no room"
    IN_USE = "something else uses the resource"
    MISSING = "the resource does not exist"
    OTHER = "nothing that a run can act upon"
    ROLE_NOT_USABLE = "EKS does not know the role, or finds that the role does not trust it"
    SERVER = "AWS had an internal error"
    THROTTLED = "AWS limits the rate of requests"


# The same request may succeed when it is sent again.
_TRANSIENT = frozenset((ErrorKind.CONNECTION, ErrorKind.DAMAGED, ErrorKind.SERVER, ErrorKind.THROTTLED))
# After these only a fresh look tells what there is.
_CONFLICTS = frozenset((ErrorKind.DAMAGED, ErrorKind.EXISTS, ErrorKind.IN_USE))
# Sent twice, each of these makes a second thing; every other request is the same when repeated.
ONCE_ONLY = frozenset(("iam:CreatePolicyVersion",))


class AwsError(Exception):
    """A request that AWS refused, or that never got there.

    ``operation`` is in the form "iam:CreateRole". ``code`` is the error code of the API, or the name of
    the client's own error; ``text`` is its message, which may hold anything and is made
    visible. ``remedy`` says what to do about it.
    ``outcome_unknown``: the request may have taken effect all the same.
    """

    def __init__(
        self,
        operation: str,
        code: str,
        text: str,
        kind: ErrorKind,
        remedy: str,
        outcome_unknown: bool = False,
    ) -> None:
        self.operation = operation
        self.code = visible(code)
        self.text = visible_sentence(text)
        self.kind = kind
        self.remedy = remedy
        self.outcome_unknown = outcome_unknown
        super().__init__(f"{operation}: {self.code}: {self.text}")

    def amended(self, text: str, outcome_unknown: bool) -> AwsError:
        """The same error, with what is known of it after several attempts."""
        return AwsError(self.operation, self.code, text, self.kind, self.remedy, outcome_unknown)

    def with_remedy(self, remedy: str) -> AwsError:
        """The same error, with what the caller knows to do about it."""
        return AwsError(self.operation, self.code, self.text, self.kind, remedy, self.outcome_unknown)

    @property
    def transient(self) -> bool:
        return self.kind in _TRANSIENT

    @property
    def missing(self) -> bool:
        return self.kind is ErrorKind.MISSING

    @property
    def denied(self) -> bool:
        return self.kind is ErrorKind.DENIED

    @property
    def conflict(self) -> bool:
        """Whether a fresh look has to tell what there is now."""
        return self.kind in _CONFLICTS or (self.outcome_unknown and self.operation in ONCE_ONLY)


_T = TypeVar("_T")


class InputError(Exception):
    """Input that cannot be used. ``problems`` has one sentence for each place that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Problems:
    """Problems found so far; reading goes on so that one run reports them all."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, place: str, text: str) -> None:
        """A problem at a place; an option of the run has none, as its name says where it is."""
        self.texts.append(f"{place}: {text}" if place else text)

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        """What is read, or None and the problems of its InputError."""
        try:
            return read()
        except InputError as error:
            self.texts += error.problems
            return None

    def raise_if_any(self) -> None:
        if self.texts:
            raise InputError(self.texts)


# Of the places that have one problem.
SHOWN_PLACES = 3
# Of what a purge would remove: enough to see which team's list is not complete.
SHOWN_UNLISTED = 30


def sentence(text: str) -> str:
    """A text that another sentence can follow; AWS and Kubernetes often leave the full stop out."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def as_clause(remedy: str) -> str:
    """A remedy behind a colon. Remedies begin with a verb, so nothing is lost with its capital letter."""
    return remedy[:1].lower() + remedy[1:]


def listed(names: Iterable[str], shown: int = 3) -> str:
    """Like "a, b, c and 4 more"."""
    texts = list(names)
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more


def input_message(error: InputError) -> str:
    """Nothing has been changed when this is shown; it says so."""
    problems = [visible(problem) for problem in error.problems]
    if len(problems) == 1:
        return f"{sentence(problems[0])} Nothing was changed."
    lines = [f"{len(problems)} problems in the input; nothing was changed:"]
    lines += [f"- {problem}" for problem in _grouped(problems)]
    return "\n".join(lines)


def _grouped(problems: Iterable[str]) -> list[str]:
    """Return problems in their order, those of one cause in many places as one."""
    places: dict[str, list[str]] = {}
    parts = [problem.partition(": ") for problem in problems]
    for place, _colon, text in parts:
        places.setdefault(text, []).append(place)
    many = {text: names for text, names in places.items() if text and len(names) > SHOWN_PLACES}
    lines = (
        f"{listed(many[text], SHOWN_PLACES)}: {text}" if text in many else f"{place}{colon}{text}"
        for place, colon, text in parts
    )
    return list(dict.fromkeys(lines))


def aws_message(error: AwsError, region: str | None) -> str:
    """An error that concerns the whole run, met before anything was changed."""
    place = f" (region {region})" if region and region not in error.text else ""
    return (
        f"{error.operation}{place}: {error.code}: {sentence(error.text)} {error.remedy} Nothing was changed."
    )


def aws_failure(error: AwsError, region: str | None, prefix: str = "") -> dict[str, object]:
    """The same as the arguments of fail_json. ``prefix`` is what the caller's options begin with."""
    texts = {"msg": aws_message(error, region), "error_code": error.code, "remedy": error.remedy}
    return {name: with_option_names(text, prefix) for name, text in texts.items()}


_NAME_MARK = "\0"


def own_names(workloads: Iterable[str], objects: Iterable[str]) -> list[str]:
    """Return the names that belong to a failure, the longest first.

    :arg workloads: each like "namespace/service_account".
    :arg objects: names or ARNs of its objects; the last part of an ARN is a name, too.
    """
    names: set[str] = set()
    for workload in workloads:
        names.update((workload, *workload.split("/")))
    for one in objects:
        names.update((one, one.rpartition("/")[2]))
    return sorted(filter(None, names), key=lambda name: (-len(name), name))


def _without_names(text: str, names: Sequence[str]) -> str:
    """Return a text with one mark for each of these names, as whole words."""
    if not names:
        return text
    return re.sub(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])", _NAME_MARK, text)


def group_by_cause(
    failures: Iterable[_T],
    texts_of: Callable[[_T], tuple[str, ...]],
    names_of: Callable[[_T], Sequence[str]],
) -> list[list[_T]]:
    """Group failures whose texts differ in nothing but their own names, in the order of the first of each.

    :arg texts_of: all that tells one cause from another.
    :arg names_of: the names of a failure's own objects.
    """
    # A failure of many workloads may name some of them in a text that is the same for all.
    same: dict[tuple[str, ...], list[_T]] = {}
    for failure in failures:
        same.setdefault(texts_of(failure), []).append(failure)
    causes: dict[tuple[str, ...], list[_T]] = {}
    for texts, group in same.items():
        names = sorted({name for one in group for name in names_of(one)}, key=lambda name: (-len(name), name))
        causes.setdefault(tuple(_without_names(text, names) for text in texts), []).extend(group)
    return list(causes.values())
