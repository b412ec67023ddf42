# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Shared settings of all reads, and the trust in "it does not exist": none while another response shows the resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

from ..._aws.client import Api
from ..model.changes import NullProgress, Progress
from ..model.cluster import Account, Clusters
from ..model.errors import AwsError
from ..model.observed import ReadFailure
from ..model.targets import Target

MOST_LOOKS = 3
_Found = TypeVar("_Found")
_Whole = TypeVar("_Whole")


def _unless_missing(read: Callable[[], _Found]) -> _Found | None:
    """Return the result of ``read``, or None if the resource does not exist. Raises AwsError for every other error."""
    try:
        return read()
    except AwsError as error:
        if error.missing:
            return None
        raise


def unless_missing_twice(read: Callable[[], _Found]) -> _Found | None:
    """Return None only if a second read also reports the resource as missing."""
    answer = _unless_missing(read)
    return _unless_missing(read) if answer is None else answer


def read_part(read: Callable[[], _Found]) -> _Found:
    """Read a part of a resource that another response has just shown, up to MOST_LOOKS times while AWS reports it as missing:
    replicas of IAM may disagree. Raises AwsError."""
    for _look in range(MOST_LOOKS - 1):
        answer = _unless_missing(read)
        if answer is not None:
            return answer
    return read()


def read_whole(
    first: Callable[[], _Found],
    rest: Callable[[_Found], _Whole],
    witness: Callable[[], object] | None = None,
) -> _Whole | None:
    """Read a resource by several requests: ``first``, then ``rest`` with its result. Return None if it does not exist.

    If only ``rest`` reports it as missing, the two responses are from different moments: repeat ``rest``, then both, at most
    MOST_LOOKS times. With a ``witness``, another request about the resource, a missing ``first`` has to be confirmed, and
    responses that still disagree at the end raise AwsError.
    """
    for _look in range(MOST_LOOKS):
        answer = _unless_missing(first)
        if answer is None:
            if witness is None or not _answers(witness):
                return None
            continue
        whole = unless_missing_twice(partial(rest, answer))
        if whole is not None:
            return whole
    return rest(first()) if witness is not None else None


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except AwsError as error:
        if error.missing:
            return False
        raise
    return True


Observation = TypeVar("Observation")


@dataclass(frozen=True, slots=True)
class Reader:
    """The settings of the reads of a run. ``width`` limits concurrent requests; ``progress`` counts the reads of ``stage``."""

    api: Api
    clusters: Clusters
    width: int
    progress: Progress = field(default_factory=NullProgress)
    stage: str = "read"

    @property
    def account(self) -> Account:
        return self.clusters.account

    def attempt(self, target: Target, read: Callable[[], Observation]) -> Observation | ReadFailure:
        """Return the result of ``read``, or the failure with its target."""
        try:
            return read()
        except AwsError as error:
            return ReadFailure(target, error)
        finally:
            self.progress.done(self.stage)


def answered_at(answer: Mapping[str, Any]) -> datetime | None:
    """Return the time of a response by the clock of AWS, because the local clock may be wrong; None without a date."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
