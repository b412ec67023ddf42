# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which moment a list shows: the present one, or that of a resource version, as far as history goes back."""

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
class Moment:
    """``version`` as of which a list is, and the namespace and name after which its page begins."""

    version: int
    after: Position | None = None


def moment_of(store: Store, resource: str, query: Mapping[str, str]) -> Moment:
    """From ``resourceVersion``, ``resourceVersionMatch``, ``limit`` and ``continue``.

    ApiError 410 for what is forgotten, 504 for what has not been yet, 400 and 422 for what makes no sense.
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
    # A page of a given version is exactly of that one, unless it is said otherwise.
    is_exact = match == EXACT or (not match and version > 0 and query.get("limit", "") not in ("", "0"))
    if not is_exact:
        return Moment(store.version)
    if not store.events.reaches(resource, version):
        raise expired(TOO_OLD)
    return Moment(version)


def objects_at(store: Store, resource: str, version: int) -> list[Json]:
    """What there was of a resource, in order; the history must reach back to ``version``."""
    found = {_place(obj): obj for obj in store.select(resource)}
    for event in reversed(store.events.since(resource, version)):
        if event.previous is None:
            del found[_place(event.obj)]
        else:
            found[_place(event.obj)] = event.previous
    return [found[place] for place in sorted(found)]


def continue_token(version: int, position: Position) -> str:
    token = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": position})
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def _continued(store: Store, resource: str, text: str) -> Moment:
    try:
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        namespace, name = token["start"]
        version = int(token["rv"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise bad_request("continue key is not valid") from None
    position = (str(namespace), str(name))
    if version == LATEST:
        return Moment(store.version, position)
    if not store.events.reaches(resource, version):
        raise expired(TOO_OLD_CONTINUE, {"continue": continue_token(LATEST, position)})
    return Moment(version, position)


def _check_match(version: str, match: str, is_continued: bool) -> None:
    if not match:
        return
    if is_continued:
        why = "Forbidden: resourceVersionMatch is forbidden for continue"
    elif not version:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match not in (EXACT, NOT_OLDER_THAN):
        why = f'Unsupported value: "{match}": supported values: "{EXACT}", "{NOT_OLDER_THAN}", ""'
    elif match == EXACT and version == "0":
        why = f'Forbidden: resourceVersionMatch "{EXACT}" is forbidden for resourceVersion "0"'
    else:
        return
    kind = "FieldValueNotSupported" if why.startswith("Unsupported") else "FieldValueForbidden"
    raise invalid("ListOptions", "meta.k8s.io", "", [Cause("resourceVersionMatch", why, kind)])


def _parse(version: str) -> int:
    if version and not version.isdigit():
        raise bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing'
            f' "{version}": invalid syntax'
        )
    return int(version or 0)


def _place(obj: Json) -> Position:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
