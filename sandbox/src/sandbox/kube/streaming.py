# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches as streams of JSON lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse

from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import ApiError, bad_request
from sandbox.kube.jsontree import Json
from sandbox.kube.listing import Selection, parse_selection
from sandbox.kube.selectors import FieldSelector, FieldTerm
from sandbox.kube.target import TRUE, Target
from sandbox.kube.watch import bookmark, translate

BOOKMARK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """``since`` None starts with the objects there are; ``seconds`` until the stream ends."""

    since: int | None
    seconds: float
    bookmarks: bool
    initial_events: bool

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> WatchOptions:
        version, timeout = query.get("resourceVersion", ""), query.get("timeoutSeconds", "")
        for name, text in (("resourceVersion", version), ("timeoutSeconds", timeout)):
            if text and not text.isdigit():
                raise bad_request(f'{name}: Invalid value: "{text}": strconv.ParseUint: invalid syntax')
        initial = query.get("sendInitialEvents") in TRUE
        return cls(
            since=None if initial or version in ("", "0") else int(version),
            seconds=float(timeout or 1800),
            bookmarks=query.get("allowWatchBookmarks") in TRUE,
            initial_events=initial,
        )


def watch_response(
    cluster: Cluster,
    target: Target,
    options: WatchOptions,
    query: Mapping[str, str],
) -> Response:
    selection = parse_selection(target.rtype, target.namespace or None, query)
    if target.name:
        term = FieldTerm(("metadata", "name"), target.name, False)
        fields = FieldSelector((*selection.fields.terms, term))
        selection = Selection(target.rtype, selection.namespace, selection.labels, fields)
    if options.since is not None:
        # A version that is too old is refused before the stream begins.
        cluster.store.events.since(target.rtype.qualified, options.since)
    stream = (line(event) async for event in _events(cluster, selection, options))
    return StreamingResponse(stream, media_type="application/json")


def line(event: Json) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


async def _events(cluster: Cluster, selection: Selection, options: WatchOptions) -> AsyncIterator[Json]:
    store, rtype = cluster.store, selection.rtype
    changed = asyncio.Event()
    unsubscribe = store.events.subscribe(changed.set)
    loop = asyncio.get_running_loop()
    end = loop.time() + options.seconds
    mark = loop.time() + BOOKMARK_SECONDS
    kind, version = rtype.kind, rtype.group_version
    try:
        position = store.version if options.since is None else options.since
        if options.since is None:
            for obj in list(selection.objects(store)):
                yield {"type": "ADDED", "object": obj}
        if options.initial_events:
            yield bookmark(kind, version, position, initial_end=True)
        while not store.events.closed:
            changed.clear()
            try:
                news = store.events.since(rtype.qualified, position)
            except ApiError as error:
                yield {"type": "ERROR", "object": error.status()}
                return
            position = store.version
            for event in news:
                seen = translate(event, selection.matches)
                if seen is not None:
                    yield {"type": seen[0], "object": seen[1]}
            now = loop.time()
            if now >= end:
                break
            if options.bookmarks and now >= mark:
                yield bookmark(kind, version, position)
                mark = now + BOOKMARK_SECONDS
            try:
                await asyncio.wait_for(changed.wait(), max(0.0, min(end, mark) - loop.time()))
            except TimeoutError:
                continue
        if options.bookmarks:
            yield bookmark(kind, version, position)
    finally:
        unsubscribe()
