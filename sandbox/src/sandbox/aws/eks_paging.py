# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EKS's pages: maxResults and nextToken in, nextToken out."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sandbox.aws.model import ApiError, Call

MOST_RESULTS = 100

T = TypeVar("T")


def page(
    call: Call,
    name: str,
    items: Sequence[T],
    order: Callable[[T], str],
    show: Callable[[T], Any],
) -> Mapping[str, Any]:
    """One page of *items*, which are sorted by *order*, as ``{name: […], nextToken}``."""
    limit = _limit(call)
    after = _after(call)
    start = 0 if after is None else bisect_right(items, after, key=order)
    chosen = items[start : start + limit]
    result: dict[str, Any] = {name: [show(item) for item in chosen]}
    if start + limit < len(items):
        result["nextToken"] = base64.urlsafe_b64encode(order(chosen[-1]).encode()).decode()
    return result


def _limit(call: Call) -> int:
    value = call.query_value("maxResults")
    if value is None:
        return MOST_RESULTS
    if not value.isdigit() or not 1 <= int(value) <= MOST_RESULTS:
        raise ApiError(
            400,
            "InvalidParameterException",
            f"maxResults must be between 1 and {MOST_RESULTS}, but was {value}.",
        )
    return int(value)


def _after(call: Call) -> str | None:
    token = call.query_value("nextToken")
    if not token:
        return None
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ApiError(400, "InvalidParameterException", "Invalid nextToken.") from None
