# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pagination of EKS, with the parameters maxResults and nextToken."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sandbox.aws.model import ApiError, Call

MAX_RESULTS = 100

T = TypeVar("T")


def page(
    call: Call,
    name: str,
    items: Sequence[T],
    order: Callable[[T], str],
    show: Callable[[T], Any],
) -> Mapping[str, Any]:
    """Return a page of a list as ``{name: […], nextToken}``.

    ``items`` must be sorted by ``order``; ``show`` converts an item for the response.
    """
    limit = _limit(call)
    last = _last_key(call)
    start = 0 if last is None else bisect_right(items, last, key=order)
    chosen = items[start : start + limit]
    result: dict[str, Any] = {name: [show(item) for item in chosen]}
    if start + limit < len(items):
        result["nextToken"] = base64.urlsafe_b64encode(order(chosen[-1]).encode()).decode()
    return result


def _limit(call: Call) -> int:
    value = call.query_value("maxResults")
    if value is None:
        return MAX_RESULTS
    if not value.isdigit() or not 1 <= int(value) <= MAX_RESULTS:
        raise ApiError(
            400,
            "InvalidParameterException",
            f"maxResults must be between 1 and {MAX_RESULTS}, but was {value}.",
        )
    return int(value)


def _last_key(call: Call) -> str | None:
    token = call.query_value("nextToken")
    if not token:
        return None
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ApiError(400, "InvalidParameterException", "Invalid nextToken.") from None
