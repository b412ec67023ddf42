# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists at an earlier resource version, which are computed from the history of changes; and the continue tokens of lists."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.kube.errors import Cause, bad_request, expired, invalid, too_large_version
from sandbox.kube.jsontree import Json
from sandbox.kube.store import Store

EXACT = "Exact"
NOT_OLDER_THAN = "NotOlderThan"
LATEST = -1
Position = tuple[str, str]
TOO_OLD = "The resourceVersion for the provided list is too old."
TOO_OLD_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list"
    " without the continue parameter, or use the continue token in this response to retrieve the remainder of the"
    " results. Continuing with the provided token results in an inconsistent list - objects that were created,"
    " modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class ListStart:
    """The start of a page: the resource version of the list, and the last object of the previous page or None."""

    version: int
    last: Position | None = None


def parse_list_start(store: Store, resource: str, query: Mapping[str, str]) -> ListStart:
    """Parse the query parameters ``resourceVersion``, ``resourceVersionMatch``, ``limit`` and ``continue``.

    Raise ApiError 410 for a version that is too old, 504 for a future version, 400 or 422 for invalid parameters.
    """
    text, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    _check_match(text, match, bool(query.get("continue")))
    if query.get("continue"):
        if text not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        return _continued(store, resource, query["continue"])
    version = _parse(text)
    if version > store.version:
        raise too_large_version(version, store.version)
    # Without resourceVersionMatch, a list with a limit is at exactly the requested version.
    is_exact = match == EXACT or (not match and version > 0 and query.get("limit", "") not in ("", "0"))
    if not is_exact:
        return ListStart(store.version)
    if not store.events.reaches(resource, version):
        raise expired(TOO_OLD)
    return ListStart(version)


def objects_at(store: Store, resource: str, version: int) -> list[Json]:
    """Return the objects of a resource at an earlier version, sorted by namespace and name."""
    objects = {_position(obj): obj for obj in store.select(resource)}
    for event in reversed(store.events.since(resource, version)):
        if event.previous is None:
            del objects[_position(event.obj)]
        else:
            objects[_position(event.obj)] = event.previous
    return [objects[position] for position in sorted(objects)]


def continue_token(version: int, position: Position) -> str:
    token = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": position})
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def _continued(store: Store, resource: str, text: str) -> ListStart:
    try:
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        namespace, name = token["start"]
        version = int(token["rv"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise bad_request("continue key is not valid") from None
    position = (str(namespace), str(name))
    if version == LATEST:
        return ListStart(store.version, position)
    if not store.events.reaches(resource, version):
        raise expired(TOO_OLD_CONTINUE, {"continue": continue_token(LATEST, position)})
    return ListStart(version, position)


def _check_match(version: str, match: str, is_continued: bool) -> None:
    if not match:
        return
    if is_continued:
        reason = "Forbidden: resourceVersionMatch is forbidden for continue"
    elif not version:
        reason = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match not in (EXACT, NOT_OLDER_THAN):
        reason = f'Unsupported value: "{match}": supported values: "{EXACT}", "{NOT_OLDER_THAN}", ""'
    elif match == EXACT and version == "0":
        reason = f'Forbidden: resourceVersionMatch "{EXACT}" is forbidden for resourceVersion "0"'
    else:
        return
    kind = "FieldValueNotSupported" if reason.startswith("Unsupported") else "FieldValueForbidden"
    raise invalid("ListOptions", "meta.k8s.io", "", [Cause("resourceVersionMatch", reason, kind)])


def _parse(version: str) -> int:
    if version and not version.isdigit():
        raise bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing'
            f' "{version}": invalid syntax'
        )
    return int(version or 0)


def _position(obj: Json) -> Position:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
