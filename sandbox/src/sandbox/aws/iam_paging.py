# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pagination of IAM, with the parameters MaxItems and Marker and the member IsTruncated."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from heapq import nsmallest
from typing import Any, TypeVar

from sandbox.aws.iam_form import Form
from sandbox.aws.model import ApiError

DEFAULT_ITEMS = 100
MAX_ITEMS = 1000

T = TypeVar("T")


def page(
    form: Form, name: str, items: Iterable[tuple[str, T]], show: Callable[[T], Any]
) -> Mapping[str, Any]:
    """Return a page of a list as ``{name: […], IsTruncated, Marker}``.

    ``items`` has pairs of sort key and item, in any order; ``show`` converts an item for the response. The marker contains
    the key of the last item on the page. So if items are created or deleted between two pages, no remaining item is repeated
    or skipped.
    """
    limit = max_items(form)
    last = marker(form)
    rest = items if last is None else ((key, item) for key, item in items if key > last)
    chosen = nsmallest(limit + 1, rest, key=lambda pair: pair[0])
    result: dict[str, Any] = {name: [show(item) for _, item in chosen[:limit]]}
    result["IsTruncated"] = len(chosen) > limit
    if len(chosen) > limit:
        result["Marker"] = encode(chosen[limit - 1][0])
    return result


def max_items(form: Form) -> int:
    value = form.get("MaxItems")
    if value is None:
        return DEFAULT_ITEMS
    if value.isdigit() and 1 <= int(value) <= MAX_ITEMS:
        return int(value)
    bound = (
        f"less than or equal to {MAX_ITEMS}"
        if value.isdigit() and int(value) > MAX_ITEMS
        else "greater than or equal to 1"
    )
    raise ApiError(
        400,
        "ValidationError",
        f"1 validation error detected: Value '{value}' at 'maxItems' failed to satisfy "
        f"constraint: Member must have value {bound}",
    )


def encode(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def marker(form: Form) -> str | None:
    """Return the key of the last item on the previous page, or None for the first page."""
    value = form.get("Marker")
    if value is None:
        return None
    try:
        return base64.b64decode(value, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ApiError(400, "ValidationError", f"Invalid Marker: {value}") from None
