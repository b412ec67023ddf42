# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of all reads of AWS, and functions that repeat a read if a resource seems to be missing.

IAM and EKS are eventually consistent: a replica of AWS that is not up to date may report an existing resource as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

from ..._aws.client import Api
from ..._aws.transport import begin
from ..model.cluster import Cluster
from ..model.errors import AwsError
from ..model.targets import Failure, Target, read_failure

# The maximum number of attempts to read one resource while responses disagree about its existence.
MAX_READS = 3
_Found = TypeVar("_Found")
_Whole = TypeVar("_Whole")
_R = TypeVar("_R", bound="Reader")


def _catch_missing(read: Callable[[], _Found]) -> _Found | None:
    """Return the result of ``read``, or None if AWS reports the resource as missing. Raises AwsError for any other error."""
    try:
        return read()
    except AwsError as error:
        if error.missing:
            return None
        raise


def none_if_missing(read: Callable[[], _Found]) -> _Found | None:
    """Return the result of ``read``, or None if two reads in a row report the resource as missing."""
    result = _catch_missing(read)
    return _catch_missing(read) if result is None else result


def read_detail(read: Callable[[], _Found]) -> _Found:
    """Read a detail of an existing resource, up to three times while AWS reports it as missing.

    Not every replica of IAM may have the detail yet. Raises AwsError.
    """
    result = none_if_missing(read)
    return result if result is not None else read()


def read_composite(
    head: Callable[[], _Found],
    details: Callable[[_Found], _Whole],
    confirm: Callable[[], object] | None = None,
) -> _Whole | None:
    """Read a resource by several requests: ``head``, then ``details`` with its result.

    Return None if ``head`` reports the resource as missing. If only ``details`` does, the two responses are from different
    times: repeat ``details``, then ``head`` and ``details``. If the responses of MAX_READS attempts disagree, return None or,
    with ``confirm``, the result of one more attempt.

    :arg confirm: another request about the resource, whose result is not None. Unless ``confirm`` is None, this request must also
        report the resource as missing.
    :raises AwsError: if a request fails, or if the additional attempt reports the resource as missing.
    """
    for _attempt in range(MAX_READS):
        result = _catch_missing(head)
        if result is None:
            if confirm is None or _catch_missing(confirm) is None:
                return None
            continue
        whole = none_if_missing(partial(details, result))
        if whole is not None:
            return whole
    return details(head()) if confirm is not None else None


@contextmanager
def early(read: Callable[[], _Found]) -> Iterator[Callable[[], _Found]]:
    """Start a read, and yield a function that returns its result.

    Each further call of that function reads again. The end of the ``with`` block waits for the started read, even if the
    function was not called.
    """
    results = [begin(read)]
    try:
        yield lambda: results.pop()() if results else read()
    finally:
        if results:
            with suppress(AwsError):
                results.pop()()


Observation = TypeVar("Observation")


@dataclass(frozen=True, slots=True)
class Reader:
    """The settings of the reads of a run. ``width`` limits concurrent requests."""

    api: Api
    cluster: Cluster
    width: int

    def knowing(self: _R, renamed: Mapping[str, str]) -> _R:
        """Return a copy that knows the ARNs of resources that exist with another path or letter case (see ``Cluster``)."""
        return replace(self, cluster=replace(self.cluster, renamed={**self.cluster.renamed, **renamed}))


def attempt(target: Target, read: Callable[[], Observation]) -> Observation | Failure:
    """Return the result of ``read``, or a failure for ``target`` if ``read`` raises AwsError."""
    try:
        return read()
    except AwsError as error:
        return read_failure(target, error)


def response_time(response: Mapping[str, Any]) -> datetime | None:
    """Return the time of a response by the clock of AWS, because the local clock may be wrong; None without a date."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
