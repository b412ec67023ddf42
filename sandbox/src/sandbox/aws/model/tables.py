# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the services: tables of records that can be copied, clock, identifiers and pages."""

from __future__ import annotations

import base64
import binascii
import copy
import pickle
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, Self, cast

from sandbox.aws.model.errors import Refusal

Answer = dict[str, Any]
Request = Mapping[str, Any]
Tables = dict[str, Any]


def now() -> datetime:
    return datetime.now(timezone.utc)


def random_text(length: int, letters: str = string.ascii_uppercase) -> str:
    return "".join(secrets.choice(letters + string.digits) for _ in range(length))


class Service:
    """A service whose records are in the attributes that ``TABLES`` names."""

    TABLES: ClassVar[tuple[str, ...]] = ()

    def now(self) -> datetime:
        return now()

    def tables(self) -> Tables:
        return {name: getattr(self, name) for name in self.TABLES}

    def set_tables(self, tables: Tables) -> None:
        for name, table in tables.items():
            setattr(self, name, table)

    def seen_with(self, tables: Tables) -> Self:
        """Return a view of the service with other tables."""
        view = copy.copy(self)
        view.set_tables(tables)
        return view


def frozen(tables: Any) -> bytes:
    """Return a copy of tables. Pickle copies them several times as fast as deepcopy."""
    return pickle.dumps(tables)


def thawed(data: bytes) -> Any:
    return pickle.loads(data)


def move_dates(value: Any, by: timedelta) -> None:
    """Move all dates in a table."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in list(items):
        if isinstance(member, datetime):
            value[key] = member + by
        elif isinstance(member, (dict, list)):
            move_dates(member, by)


def page(
    request: Request, name: str, items: Iterable[tuple[str, Any]], show: Callable[[Any], Any], size: int = 100
) -> Answer:
    """Return a page of an IAM list, which begins after the key in the marker.

    ``items`` has pairs of sort key and item. Because the marker has the key of the last item, no item is repeated or
    skipped if others are created or deleted between two pages.
    """
    last = decoded(request["Marker"]) if request.get("Marker") else ""
    rest = sorted((item for item in items if item[0] > last), key=lambda item: item[0])
    limit = int(request.get("MaxItems") or size)
    answer: Answer = {name: [show(item) for _, item in rest[:limit]], "IsTruncated": len(rest) > limit}
    if len(rest) > limit:
        answer["Marker"] = encoded(rest[limit - 1][0])
    return answer


def encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def decoded(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal("ValidationError", f"Invalid Marker: {marker}") from None


def without(answer: Request, *keys: str) -> Answer:
    return {key: value for key, value in answer.items() if key not in keys}


def operation(service: object, name: str) -> Callable[[Request], Answer] | None:
    """Return the method for an operation, or None if the model does not have it."""
    method = (
        getattr(service, name, None) if name[:1].isupper() and name.isalnum() and not name.isupper() else None
    )
    return cast("Callable[[Request], Answer] | None", method)
