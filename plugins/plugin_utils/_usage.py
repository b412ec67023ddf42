# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Read CloudTrail events from files, in up to two processes, and from LookupEvents.

A file is read record by record, and only totals are kept, so that a large file does not need much memory. The result has a
problem for each file that cannot be read, and the other files are still read.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import json
import multiprocessing
import os
import re
import signal
import stat
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.usage import EventLookup
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.events import (
    LOOK_BACK,
    EventError,
    EventTotals,
    UsageScope,
    parse_event_time,
    parse_session,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.sessions import (
    UsageTotals,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import POLL_SECONDS, SIGNALS

# The maximum number of processes that read files.
PROCESSES = 2
# Files of at most this number of bytes in total are read in the process of the task.
_SMALL = 500_000
_CHUNK = 1 << 20
# The maximum size of a record in characters. CloudTrail limits events to 256 KB.
LONGEST_RECORD = 4_000_000
# The maximum number of files that are submitted to the processes and not yet finished.
_AHEAD = 8
# The maximum number of invalid records of a file that are reported one by one.
_MOST_PROBLEMS = 5
_SUFFIXES = (".json", ".json.gz")
# Folders of a trail whose files have no management or data events: digests, insights, and network activity.
_OTHER_FOLDERS = ("CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity")
_SPACE = re.compile(r"[ \t\n\r]*")
_FILE_TIME = re.compile(r"_(\d{8}T\d{4}Z)_")
GET_FILE_AGAIN = "Download the file again, or leave it out of pod_identity_usage_from."
_MEMBERS = ("Records", "Events")


def find_event_files(path: str) -> list[str]:
    """Return the CloudTrail files of a folder and its subfolders in the order of their times, or the path itself if it is a file.

    :raises InputError: when the path does not exist, or the folder cannot be read or has no such file.
    """
    if not os.path.exists(path):
        raise InputError(
            [f"pod_identity_usage_from: {path} does not exist. Name a folder with CloudTrail files."]
        )
    if not os.path.isdir(path):
        return [path]
    errors: list[OSError] = []
    found = []
    for folder, names, files in os.walk(path, onerror=errors.append):
        names[:] = sorted(name for name in names if name not in _OTHER_FOLDERS)
        found += [os.path.join(folder, name) for name in files if name.endswith(_SUFFIXES)]
    if errors:
        problem = (
            f"pod_identity_usage_from: folder {errors[0].filename} cannot be read: {errors[0].strerror}."
        )
        raise InputError([f"{problem} Correct its permissions."])
    if not found:
        raise InputError(
            [
                f"pod_identity_usage_from: {path} has no CloudTrail file. The names of such files end with .json or .json.gz."
            ]
        )
    return sorted(found, key=_file_order)


def _file_order(path: str) -> tuple[str, str]:
    """Return a sort key: the time in the name of a file that CloudTrail delivered, or "", and the path."""
    match = _FILE_TIME.search(os.path.basename(path))
    return match[1] if match else "", path


class FileError(ValueError):
    """The error for a file that cannot be read to its end. The message has the remedy."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, or b"" at the end of the file."""


class _Source:
    """The text of a file, read in pieces. ``position`` is the place in ``text`` at which the next value begins."""

    def __init__(self, path: str, file: _Readable) -> None:
        self.path = path
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._decode = json.JSONDecoder().raw_decode
        self._ended = False
        self._line = 1
        self._records = 0
        self.text = ""
        self.position = 0

    def more(self) -> bool:
        """Read another piece, and drop the text before the position. Return False at the end of the file."""
        if self._ended:
            return False
        try:
            piece = self._file.read(_CHUNK)
            text = self._decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            raise self.error(f"has a byte that is not UTF-8 ({error.reason})") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self.error(f"has invalid or incomplete gzip data ({error})") from error
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror or error}") from error
        self._ended = not piece
        self._line += self.text.count("\n", 0, self.position)
        self.text = self.text[self.position :] + text
        self.position = 0
        return bool(piece)

    def peek(self) -> str:
        """Skip white space, and return the next character, or "" at the end of the file."""
        while True:
            match = _SPACE.match(self.text, self.position)
            self.position = match.end() if match else self.position
            if self.position < len(self.text):
                return self.text[self.position]
            if not self.more():
                return ""

    def value(self) -> Any:
        """Return the next JSON value."""
        self.peek()
        while True:
            try:
                value, self.position = self._decode(self.text, self.position)
            except json.JSONDecodeError as error:
                if len(self.text) - self.position > LONGEST_RECORD:
                    raise self.error(
                        f"is not valid JSON, or is longer than {LONGEST_RECORD:,} characters"
                    ) from error
                if not self.more():
                    line = self._line + self.text.count("\n", 0, error.pos)
                    raise self.error(f"is not valid JSON: {error.msg}", line) from error
            except (RecursionError, ValueError) as error:
                raise self.error(f"is not valid JSON: {error}") from error
            else:
                return value

    def expect(self, characters: str) -> str:
        """Skip one of these characters, and return it."""
        found = self.peek()
        if not found or found not in characters:
            expected = " or ".join(characters)
            raise self.error(
                f"is not valid JSON: expected {expected}, found {found or 'the end of the file'}"
            )
        self.position += 1
        return found

    def list_items(self) -> Iterator[tuple[int, Any]]:
        """Yield the items of the next list with their numbers."""
        self.expect("[")
        if self.peek() == "]":
            self.position += 1
            return
        while True:
            self._records += 1
            yield self._records, self.value()
            if self.expect(",]") == "]":
                return

    def error(self, reason: str, line: int | None = None) -> FileError:
        place = f"record {self._records}, " if self._records else ""
        line = line or self._line + self.text.count("\n", 0, self.position)
        return FileError(f"{self.path} ({place}line {line}) {reason}. {GET_FILE_AGAIN}")


def read_records(path: str) -> Iterator[tuple[int, Any]]:
    """Yield the records of a file with their numbers, which count from 1.

    A file is a mapping with the list ``Records``, as CloudTrail delivers it, a mapping with the list ``Events``, as the command
    ``aws cloudtrail lookup-events`` prints it, or a list of records.

    :raises FileError: when the file cannot be read or is not such a file. The records before the error are yielded.
    """
    with contextlib.ExitStack() as stack:
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise FileError(f"{path} is not a regular file. Leave it out of pod_identity_usage_from.")
            plain = stack.enter_context(open(path, "rb"))
            is_compressed = plain.peek(2)[:2] == b"\x1f\x8b"
            file: _Readable = stack.enter_context(gzip.open(plain)) if is_compressed else plain
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror}. Correct its permissions.") from error
        source = _Source(path, file)
        first = source.peek()
        if first == "[":
            yield from source.list_items()
        elif first == "{":
            yield from _members(source)
        else:
            raise FileError(f"{path} is empty or not JSON. {GET_FILE_AGAIN}")
        if source.peek():
            raise source.error("has further text after the end of its records")


def _members(source: _Source) -> Iterator[tuple[int, Any]]:
    found = False
    source.expect("{")
    while source.peek() != "}":
        name = source.value()
        source.expect(":")
        if name in _MEMBERS and source.peek() == "[":
            found = True
            yield from source.list_items()
        else:
            source.value()
        if source.expect(",}") == "}":
            break
    else:
        source.position += 1
    if not found:
        raise FileError(
            f"{source.path} is not a CloudTrail file: it has no list Records or Events. Leave it out of pod_identity_usage_from."
        )


def scan_file(path: str, scope: UsageScope, cluster: str) -> EventTotals:
    """Add up the events of a file. The problems of the result describe unreadable parts."""
    totals = EventTotals()
    invalid = 0
    try:
        for number, record in read_records(path):
            try:
                totals.add(_event(record), scope, cluster)
            except EventError as error:
                invalid += 1
                if invalid <= _MOST_PROBLEMS:
                    totals.problems.append(f"{path}: record {number} {error}. {GET_FILE_AGAIN}")
    except FileError as error:
        totals.problems.append(str(error))
    if invalid > _MOST_PROBLEMS:
        more = invalid - _MOST_PROBLEMS
        rest = "1 more record is not an event" if more == 1 else f"{more:,} more records are not events"
        totals.problems.append(f"{path}: {rest}. {GET_FILE_AGAIN}")
    return totals


def _event(record: Any) -> Any:
    """Return the event in a record. The output of LookupEvents has each event as JSON text.

    :raises EventError: when that text is not valid JSON.
    """
    text = record.get("CloudTrailEvent") if isinstance(record, dict) else None
    if not isinstance(text, str):
        return record
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EventError(f"has a CloudTrailEvent that is not valid JSON ({error})") from error


def _prepare_process(parent: int) -> None:
    """Restore the default signal handlers in a process that reads files, and end the process when its parent ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    # If the parent was killed, the operating system has assigned another parent to this process.
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


class EventFiles:
    """The processes that read files. Start them before any thread, because a process with several threads must not fork.

    :arg paths: the files to read.
    """

    def __init__(self, paths: Sequence[str], processes: int = PROCESSES) -> None:
        self.paths = paths
        self._pool: ProcessPoolExecutor | None = None
        self._processes = processes

    def __enter__(self) -> EventFiles:
        size = sum(os.path.getsize(path) for path in self.paths if os.path.isfile(path))
        if self._processes > 1 and len(self.paths) > 1 and size > _SMALL:
            pool = ProcessPoolExecutor(
                self._processes,
                multiprocessing.get_context("fork"),
                initializer=_prepare_process,
                initargs=(os.getpid(),),
            )
            self._pool = pool
            # The first call starts all processes.
            pool.submit(os.getpid).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_details: object) -> None:
        if self._pool is None:
            return
        if kind is not None:
            # Do not wait for the files that the processes are reading.
            for child in multiprocessing.active_children():
                child.terminate()
        self._pool.shutdown(cancel_futures=True)

    def scan(self, scope: UsageScope, cluster: str) -> Iterator[EventTotals]:
        """Yield the totals of the files in their order.

        :raises InputError: when a process ended unexpectedly.
        """
        if self._pool is None:
            for path in self.paths:
                yield scan_file(path, scope, cluster)
            return
        waiting: deque[Future[EventTotals]] = deque()
        try:
            for path in self.paths:
                waiting.append(self._pool.submit(scan_file, path, scope, cluster))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise InputError(
                [
                    "pod_identity_usage_from: a process that read the files ended unexpectedly, for example because the "
                    "controller ran out of memory. Free some memory, or analyse fewer files, and run again."
                ]
            ) from error


# CloudTrail does not return the end of a session. AWS STS limits sessions to twelve hours.
_LONGEST_SESSION = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class LookupPeriod:
    """The period for which events are read with LookupEvents."""

    begin: datetime
    end: datetime


def _records_by_day(lookup: EventLookup, name: str, period: LookupPeriod) -> Iterator[Any]:
    """Yield the events with a name, from ``LOOK_BACK`` before the period to its end.

    Each day is a separate list, because the number of pages of a list is limited.
    """
    begin = period.begin - LOOK_BACK
    while begin < period.end:
        end = min(begin + timedelta(days=1), period.end)
        yield from lookup.records("EventName", name, begin, end)
        begin = end


def look_up_events(lookup: EventLookup, totals: UsageTotals, period: LookupPeriod, requests: int) -> None:
    """Add the sessions of the roles in ``totals.scope`` and the events of these sessions, from LookupEvents, to ``totals``.

    :arg requests: the maximum number of requests, for messages.
    :raises AwsError: when a request fails.
    """
    started = EventTotals()
    for name in ("AssumeRole", "AssumeRoleWithWebIdentity"):
        for record in _records_by_day(lookup, name, period):
            if not isinstance(record, dict) or not isinstance(record.get("eventTime"), str):
                started.problems.append(f"LookupEvents returned an invalid {name} event. Run again.")
                continue
            session = parse_session(record, record["eventTime"])
            if session is not None and session.role in totals.scope.roles and session.kind != "other":
                started.sessions.append(session)
    totals.add(started)
    for session in {
        session.access_key: session for session in started.sessions if session.access_key
    }.values():
        part = EventTotals()
        try:
            begin = parse_event_time(session.begin)
        except ValueError:
            continue
        first, last = max(period.begin, begin), min(period.end, begin + _LONGEST_SESSION)
        if first >= last:
            continue
        for record in lookup.records("AccessKeyId", session.access_key, first, last):
            try:
                part.add(record, totals.scope, totals.cluster.name)
            except EventError as error:
                part.problems.append(f"LookupEvents: an event of session {session.name} {error}. Run again.")
        totals.add(part)
    if lookup.exhausted:
        limit = EventTotals()
        limit.problems.append(
            f"LookupEvents has more events than {requests} requests can read. Raise pod_identity_usage_requests (two requests "
            "take a second), analyse fewer days, or use the files of a trail."
        )
        totals.add(limit)
