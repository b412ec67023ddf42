# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Invalid input and failed requests to AWS, as data and as messages: problem, place, cause, remedy. Pure.

``_aws.errors`` converts each failed request to an AwsError. If the texts of several failures differ only in the names of
their resources, the failures have the same cause, and a message shows them as one group.
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
    CONNECTION = "the request or its response was lost"
    DAMAGED = "the response is incomplete, or is not from AWS"
    DENIED = "the caller is not allowed to perform the request"
    EXISTS = "the resource exists already"
    FULL = "a quota is exhausted"
    IN_USE = "the resource is in use, or has changed since it was read"
    MISSING = "the resource does not exist"
    OTHER = "any other error"
    ROLE_NOT_USABLE = "EKS does not find the role, or the trust policy does not allow EKS Pod Identity"
    SERVER = "AWS had an internal error"
    THROTTLED = "AWS limits the rate of requests"


# After an error of these kinds, only another read shows the present state.
_CONFLICTS = frozenset((ErrorKind.DAMAGED, ErrorKind.EXISTS, ErrorKind.IN_USE))
# Operations that create a second resource if the request is repeated. All other requests of this collection can be repeated.
ONCE_ONLY = frozenset(("iam:CreatePolicyVersion",))


class AwsError(Exception):
    """The error of a failed request to AWS.

    ``operation`` is like "iam:CreateRole", or "" if no request failed. ``code`` is the error code of the API, the name of a
    botocore exception, or a code of this collection. ``text`` is the message, in which control characters are escaped.
    ``remedy`` is an instruction for the user. ``outcome_unknown`` is true if the request may have taken effect.
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

    def amended(self, text: str, outcome_unknown: bool, remedy: str = "") -> AwsError:
        """Return a copy of the error with another text and ``outcome_unknown``, and with another remedy unless it is empty."""
        return AwsError(self.operation, self.code, text, self.kind, remedy or self.remedy, outcome_unknown)

    @property
    def missing(self) -> bool:
        return self.kind is ErrorKind.MISSING

    @property
    def denied(self) -> bool:
        return self.kind is ErrorKind.DENIED

    @property
    def conflict(self) -> bool:
        """Return whether the run must read the resources again, because their state is not as expected."""
        return self.kind in _CONFLICTS or self.once_only

    @property
    def once_only(self) -> bool:
        """Return whether the response was lost and a repetition would create a second resource."""
        return self.outcome_unknown and self.operation in ONCE_ONLY


_T = TypeVar("_T")


class InputError(Exception):
    """Invalid user input. ``problems`` has one text for each problem, which includes its place in the input."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


NOT_APPROVED_REMEDY = (
    "Have a new plan approved, or add NOT_APPROVED to pod_identity_ignore to make these changes too."
)


class NotApprovedError(InputError):
    """The error of a run with changes that its approved plan lacks."""


class Problems:
    """A collector of problems in the user input, so that one run reports all of them."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, place: str, text: str) -> None:
        """Add a problem. ``place`` is its place in the input, or "" if the text itself names the option."""
        self.texts.append(f"{place}: {text}" if place else text)

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        """Return the result of ``read``. If ``read`` raises InputError, add its problems and return None."""
        try:
            return read()
        except InputError as error:
            self.texts += error.problems
            return None

    def raise_if_any(self) -> None:
        if self.texts:
            raise InputError(self.texts)


# The maximum number of places that a message shows for one problem.
SHOWN_PLACES = 3
# The maximum number of workloads that a message lists. For a purge, these suffice to recognise an incomplete list of workloads.
SHOWN_UNLISTED = 30


def sentence(text: str) -> str:
    """Add a full stop to a text without final punctuation, which AWS and Kubernetes often omit."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def as_clause(remedy: str) -> str:
    """Return a remedy with its first letter in lower case, for the text after a colon."""
    return remedy[:1].lower() + remedy[1:]


def listed(names: Iterable[str], limit: int = 3) -> str:
    """Join names to a text like "a, b, c and 4 more", with at most ``limit`` names."""
    texts = list(names)
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more


def input_message(error: InputError) -> str:
    """Return the message for invalid input. It adds that nothing was changed, because input is parsed before any change."""
    problems = [visible(problem) for problem in error.problems]
    if len(problems) == 1:
        return f"{sentence(problems[0])} Nothing was changed."
    title = f"{len(problems)} problems in the input; nothing was changed:"
    return "\n- ".join((title, *_grouped(problems)))


def _grouped(problems: Iterable[str]) -> list[str]:
    """Return a line for each place of each problem, or a single line for a problem in more than SHOWN_PLACES places."""
    places: dict[str, list[str]] = {}
    # After "got", a colon belongs to a wrong value, such as {'x': 1}.
    parts = [(p, "", "") if ", got " in p.partition(": ")[0] else p.partition(": ") for p in problems]
    for place, _colon, text in parts:
        places.setdefault(text, []).append(place)
    widespread = {text: names for text, names in places.items() if text and len(names) > SHOWN_PLACES}
    lines = (
        f"{listed(widespread[text], SHOWN_PLACES)}: {text}" if text in widespread else f"{place}{colon}{text}"
        for place, colon, text in parts
    )
    return list(dict.fromkeys(lines))


def aws_failure(error: AwsError, region: str | None, prefix: str = "") -> dict[str, object]:
    """Return an error that ends the run before any change as arguments of fail_json.

    :arg prefix: the prefix of option names, as for ``with_option_names``.
    """
    place = f" (region {region})" if region and region not in error.text else ""
    message = (
        f"{error.operation}{place}: {error.code}: {sentence(error.text)} {error.remedy} Nothing was changed."
    )
    texts = {"msg": message, "error_code": error.code, "remedy": error.remedy}
    return {name: with_option_names(text, prefix) for name, text in texts.items()}


_NAME_MARK = "\0"


def own_names(workloads: Iterable[str], objects: Iterable[str]) -> set[str]:
    """Return the names of the workloads and resources of a failure.

    :arg workloads: each like "namespace/service_account". The result also has the namespace and the service account.
    :arg objects: names or ARNs of the resources. For an ARN, the result also has its last part.
    """
    parts = {part for workload in workloads for part in (workload, *workload.split("/"))}
    return parts.union(*((name, name.rpartition("/")[2]) for name in objects)) - {""}


def _without_names(text: str, names: Sequence[str]) -> str:
    """Replace each of these names in a text by _NAME_MARK, but only as whole words."""
    if not names:
        return text
    return re.sub(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])", _NAME_MARK, text)


def group_by_cause(
    failures: Iterable[_T],
    read_texts: Callable[[_T], tuple[str, ...]],
    read_names: Callable[[_T], Iterable[str]],
) -> list[list[_T]]:
    """Group failures whose texts differ only in the names of their resources.

    Groups are in the order of their first failure.

    :arg read_texts: returns the texts that distinguish causes.
    :arg read_names: returns the names of the resources of a failure.
    """
    # Failures with equal texts are grouped first: such a text may contain names of only one of these failures.
    equal_texts: dict[tuple[str, ...], list[_T]] = {}
    for failure in failures:
        equal_texts.setdefault(read_texts(failure), []).append(failure)
    causes: dict[tuple[str, ...], list[_T]] = {}
    for texts, group in equal_texts.items():
        names = sorted(
            {name for failure in group for name in read_names(failure)}, key=lambda name: (-len(name), name)
        )
        causes.setdefault(tuple(_without_names(text, names) for text in texts), []).extend(group)
    return list(causes.values())
