# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test CloudTrail files and LookupEvents, and the error for each kind of invalid input."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.benchmarks.usage_events import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    ISSUER,
    START,
    Session,
    many_events,
    role_arn,
    write_trail,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.usage import (
    LOOKUP_INTERVAL,
    EventLookup,
    read_last_accessed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.events import (
    EventTotals,
    usage_scope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.sessions import (
    AccountName,
    UsageAssociation,
    UsageCluster,
    UsageTotals,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _usage
from ansible_collections.workload_identity.aws.plugins.plugin_utils._usage import (
    GET_FILE_AGAIN,
    EventFiles,
    LookupPeriod,
    find_event_files,
    look_up_events,
    read_records,
    scan_file,
)

SCOPE = usage_scope([role_arn("shared")])
APP = AccountName("shop", "app")
SESSION = Session(1, "shared", "shop", "app")
GET = SESSION.get_object("b", "k")
GOOD = json.dumps({"Records": [SESSION.start(), GET]})
MARK = "PATH"


def scan(folder: Path, content: str | bytes, name: str = "a.json") -> tuple[EventTotals, list[str]]:
    """Write a file with this content, and read its events. Return the totals and the problems, with MARK in place of the path."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    totals = scan_file(str(path), SCOPE, CLUSTER)
    return totals, [problem.replace(str(path), MARK) for problem in totals.problems]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD, id="as CloudTrail delivers it"),
        pytest.param(
            "\ufeff" + json.dumps(json.loads(GOOD), indent=2) + "\n", id="indented, with a byte order mark"
        ),
        pytest.param(json.dumps({"x": [1], **json.loads(GOOD), "y": {}}), id="further members"),
        pytest.param(json.dumps(json.loads(GOOD)["Records"]), id="a list"),
        pytest.param(
            json.dumps(
                {"Events": [{"CloudTrailEvent": json.dumps(item)} for item in json.loads(GOOD)["Records"]]}
            ),
            id="output of aws cloudtrail lookup-events",
        ),
        pytest.param(gzip.compress(GOOD.encode()), id="compressed, whatever its name"),
        pytest.param(
            gzip.compress(GOOD[:50].encode()) + gzip.compress(GOOD[50:].encode()), id="two members of gzip"
        ),
    ],
)
def test_reads_a_file(tmp_path: Path, content: str | bytes) -> None:
    totals, problems = scan(tmp_path, content)
    assert (problems, totals.events, len(totals.sessions), len(totals.calls)) == ([], 2, 1, 1)


@pytest.mark.parametrize("content", ['{"Records": []}', "[]", ' { "Records" : [ ] } '])
def test_reads_an_empty_list(tmp_path: Path, content: str) -> None:
    totals, problems = scan(tmp_path, content)
    assert (problems, totals.events) == ([], 0)


COMPLETE = gzip.compress(GOOD.encode())
START_TEXT = json.dumps(SESSION.start())


@pytest.mark.parametrize(
    ("content", "events", "problem"),
    [
        ("", 0, f"{MARK} is empty or not JSON. {GET_FILE_AGAIN}"),
        ("hello", 0, f"{MARK} is empty or not JSON. {GET_FILE_AGAIN}"),
        (
            "{}",
            0,
            f"{MARK} is not a CloudTrail file: it has no list Records or Events. Leave it out of pod_identity_usage_from.",
        ),
        (
            '{"Records": {}}',
            0,
            f"{MARK} is not a CloudTrail file: it has no list Records or Events. Leave it out of pod_identity_usage_from.",
        ),
        (
            '{"digestS3Object": "x"}',
            0,
            f"{MARK} is not a CloudTrail file: it has no list Records or Events. Leave it out of pod_identity_usage_from.",
        ),
        (
            '{"Records": [' + START_TEXT + ",\n" + START_TEXT + ",\n{]",
            2,
            f"{MARK} (record 3, line 3) is not valid JSON: Expecting property name enclosed in double quotes. {GET_FILE_AGAIN}",
        ),
        (
            '{"Records": [' + START_TEXT + ",",
            1,
            f"{MARK} (record 2, line 1) is not valid JSON: Expecting value. {GET_FILE_AGAIN}",
        ),
        (
            '{"Records": [' + START_TEXT,
            1,
            f"{MARK} (record 1, line 1) is not valid JSON: expected , or ], found the end of the file. {GET_FILE_AGAIN}",
        ),
        (
            GOOD + "x",
            2,
            f"{MARK} (record 2, line 1) has further text after the end of its records. {GET_FILE_AGAIN}",
        ),
        (
            b'{"Records": [' + START_TEXT.encode() + b', "\xff"]}',
            0,
            f"{MARK} (line 1) has a byte that is not UTF-8 (invalid start byte). {GET_FILE_AGAIN}",
        ),
        (
            COMPLETE[:-20],
            0,
            f"{MARK} (line 1) has invalid or incomplete gzip data (Compressed file ended before the end-of-stream marker was "
            f"reached). {GET_FILE_AGAIN}",
        ),
        ('{"Records": [' + "[" * 100_000, 0, "maximum recursion depth exceeded"),
        (
            f'{{"Records": [{START_TEXT}, "x", 1, null]}}',
            1,
            f"{MARK}: record 2 is not a mapping, so it is not an event. {GET_FILE_AGAIN}",
        ),
        (
            f'{{"Records": [{{"eventTime": {"1" * 5000}}}]}}',
            0,
            "Exceeds the limit (4300 digits)",
        ),
        (
            '{"Events": [{"CloudTrailEvent": "{"}]}',
            0,
            f"{MARK}: record 1 has a CloudTrailEvent that is not valid JSON (Expecting property name enclosed in double quotes: "
            f"line 1 column 2 (char 1)). {GET_FILE_AGAIN}",
        ),
    ],
)
def test_broken_files_name_their_place(
    tmp_path: Path, content: str | bytes, events: int, problem: str
) -> None:
    """Check that the problem names the place of the fault, and that the events before this place count."""
    totals, problems = scan(tmp_path, content)
    assert totals.events == events
    assert problems[0] == problem or (problem in problems[0] and not problem.startswith(MARK))


def test_invalid_records_are_counted_and_skipped(tmp_path: Path) -> None:
    records = [*(1 for _index in range(8)), SESSION.start()]
    totals, problems = scan(tmp_path, json.dumps(records))
    assert totals.events == 1
    assert len(problems) == 6
    assert problems[-1] == f"{MARK}: 3 more records are not events. {GET_FILE_AGAIN}"


def test_unterminated_record_needs_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a record that never ends, because a small compressed file can contain gigabytes."""
    monkeypatch.setattr(_usage, "LONGEST_RECORD", 1000)
    monkeypatch.setattr(_usage, "_CHUNK", 500)
    content = gzip.compress(b'{"Records": ["' + b"x" * 10_000_000)
    _totals, problems = scan(tmp_path, content)
    assert problems == [
        f"{MARK} (record 1, line 1) is not valid JSON, or is longer than 1,000 characters. {GET_FILE_AGAIN}"
    ]


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_records_may_span_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(_usage, "_CHUNK", chunk)
    path = tmp_path / "a.json"
    content = {"other": {"a": "é"}, "Records": [{"a": "ü" * 30}, {"b": [1, 2.5, None]}]}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    assert list(read_records(str(path))) == [(1, {"a": "ü" * 30}), (2, {"b": [1, 2.5, None]})]


def test_special_files_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    os.mkfifo(path)
    assert scan_file(str(path), SCOPE, CLUSTER).problems == [
        f"{path} is not a regular file. Leave it out of pod_identity_usage_from."
    ]


def test_finds_files_of_a_trail_in_chronological_order(tmp_path: Path) -> None:
    second, first = write_trail(tmp_path, [], 1), write_trail(tmp_path, [], 0)
    plain = tmp_path / "plain.json"
    plain.write_text("[]")
    for name in ("CloudTrail-Digest", "CloudTrail-Insight"):
        (tmp_path / "AWSLogs" / ACCOUNT / name).mkdir()
        (tmp_path / "AWSLogs" / ACCOUNT / name / "x.json.gz").write_text("")
    (tmp_path / "readme.txt").write_text("")
    assert find_event_files(str(tmp_path)) == [str(plain), str(first), str(second)]
    assert find_event_files(str(plain)) == [str(plain)]


def test_folder_without_trail_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        find_event_files(str(tmp_path))
    assert list(error.value.problems) == [
        f"pod_identity_usage_from: {tmp_path} has no CloudTrail file. The names of such files end with .json or .json.gz."
    ]
    with pytest.raises(InputError) as error:
        find_event_files(str(tmp_path / "missing"))
    assert list(error.value.problems) == [
        f"pod_identity_usage_from: {tmp_path}/missing does not exist. Name a folder with CloudTrail files."
    ]


def new_totals() -> UsageTotals:
    names = {"app": "shared", "batch": "shared", "reports": "reports"}
    associations = [
        UsageAssociation(AccountName("shop", name), role_arn(role)) for name, role in names.items()
    ]
    scope = usage_scope((item.role_arn for item in associations), START, START + timedelta(days=1))
    return UsageTotals(UsageCluster(CLUSTER, CLUSTER_ARN, ISSUER, associations), scope)


def _started(event: Any) -> tuple[str, str]:
    """Return the service account and the access key in an event that starts a session."""
    tags = {tag["key"]: tag["value"] for tag in event["requestParameters"]["tags"]}
    return tags["kubernetes-service-account"], event["responseElements"]["credentials"]["accessKeyId"]


def _access_key(event: Any) -> str:
    return str(event["userIdentity"]["accessKeyId"])


@pytest.mark.parametrize("processes", [1, 2])
def test_number_of_processes_does_not_change_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(_usage, "_SMALL", 0)
    expected: Counter[str] = Counter()
    users: dict[str, str] = {}
    for number, events in enumerate(many_events(6_000)):
        write_trail(tmp_path, events, number, level=1)
        for event in events:
            if event["eventName"] == "AssumeRole":
                user, key = _started(event)
                users[key] = user
            else:
                expected[users.get(_access_key(event), "other")] += 1
    expected.pop("other")
    totals = new_totals()
    with EventFiles(find_event_files(str(tmp_path)), processes) as files:
        for part in files.scan(totals.scope, CLUSTER):
            totals.add(part)
    totals.finish()
    counts: dict[str, int] = {}
    for key, tally in totals.calls.items():
        counts[key.account.name] = counts.get(key.account.name, 0) + tally.count
    assert (totals.read.events, totals.unjoined, totals.read.problems) == (6_000, {}, [])
    assert counts == expected
    for key, tally in totals.calls.items():
        if key.source == "s3.amazonaws.com" and not key.denied:
            assert {arns[1] for arns in tally.resources} == {f"arn:aws:s3:::{key.account.name}-data"}


def test_error_ends_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_usage, "_SMALL", 0)
    paths = [str(write_trail(tmp_path, [SESSION.start()], number)) for number in range(2)]
    files = EventFiles(paths)
    with pytest.raises(KeyboardInterrupt), files:
        raise KeyboardInterrupt
    assert not multiprocessing.active_children()


class FakeCloudTrail:
    """A fake of CloudTrail. It returns two events on a page."""

    def __init__(self, events: Mapping[tuple[str, str], list[Any]]) -> None:
        self.events = events
        self.requests: list[Mapping[str, Any]] = []

    def call(self, _service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert operation == "LookupEvents"
        self.requests.append(parameters)
        [attribute] = parameters["LookupAttributes"]
        found = self.events.get((attribute["AttributeKey"], attribute["AttributeValue"]), [])
        if parameters["StartTime"] >= START + timedelta(hours=18):
            found = []
        begin = int(parameters.get("NextToken", 0))
        page = {"Events": [{"CloudTrailEvent": item} for item in found[begin : begin + 2]]}
        return {**page, "NextToken": str(begin + 2)} if begin + 2 < len(found) else page


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def look_up(
    events: Mapping[tuple[str, str], list[Any]], requests: int = 100
) -> tuple[UsageTotals, FakeCloudTrail, Clock]:
    api, clock, totals = FakeCloudTrail(events), Clock(), new_totals()
    lookup = EventLookup(api, requests, clock, clock.sleep)
    look_up_events(lookup, totals, LookupPeriod(START, START + timedelta(days=1)), requests)
    totals.finish()
    return totals, api, clock


def test_lookup_joins_events_of_sessions() -> None:
    other = Session(2, "another", "shop", "app")
    calls = [SESSION.get_object("b", f"{index}") for index in range(5)]
    totals, api, clock = look_up(
        {
            ("EventName", "AssumeRole"): [json.dumps(SESSION.start()), json.dumps(other.start())],
            ("AccessKeyId", SESSION.access_key): [json.dumps(item) for item in calls],
        }
    )
    assert {(key.account, key.name): tally.count for key, tally in totals.calls.items()} == {
        (APP, "GetObject"): 5
    }
    assert len(api.requests) == 7
    assert clock.time == 100.0 + 6 * LOOKUP_INTERVAL
    assert api.requests[0]["StartTime"] == START - timedelta(hours=6)
    assert (api.requests[4]["StartTime"], api.requests[4]["EndTime"]) == (START, START + timedelta(hours=12))
    assert totals.read.problems == []


def test_lookup_stops_at_the_maximum_of_requests() -> None:
    starts = [json.dumps(Session(index, "shared", "shop", "app").start()) for index in range(9)]
    totals, api, _clock = look_up({("EventName", "AssumeRole"): starts}, requests=2)
    assert len(api.requests) == 2
    assert totals.read.problems == [
        "LookupEvents has more events than 2 requests can read. Raise pod_identity_usage_requests (two requests take a "
        "second), analyse fewer days, or use the files of a trail."
    ]


def test_lookup_reports_invalid_events() -> None:
    totals, _api, _clock = look_up(
        {
            ("EventName", "AssumeRole"): ["{", json.dumps(SESSION.start())],
            ("AccessKeyId", SESSION.access_key): ["[]", json.dumps(GET)],
        }
    )
    assert totals.read.problems == [
        "LookupEvents returned an invalid AssumeRole event. Run again.",
        f"LookupEvents: an event of session {SESSION.name} is not a mapping, so it is not an event. Run again.",
    ]
    assert sum(tally.count for tally in totals.calls.values()) == 1


class FakeReports:
    """A fake of IAM. Each request for a report returns the next of ``statuses``, and then repeats the last one."""

    def __init__(self, statuses: list[str]) -> None:
        self.statuses = statuses

    def call(self, _service: str, operation: str, _parameters: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "GenerateServiceLastAccessedDetails":
            return {"JobId": "1"}
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        actions = [{"ActionName": "GetObject", "LastAccessedTime": START}, {"ActionName": "PutObject"}]
        services = [
            {"ServiceNamespace": "s3", "LastAuthenticated": START, "TrackedActionsLastAccessed": actions},
            {"ServiceNamespace": "sqs"},
        ]
        return {"JobStatus": status, "ServicesLastAccessed": services, "Error": {"Message": "no"}}


def test_last_accessed_details_are_read() -> None:
    clock = Clock()
    api = FakeReports(["IN_PROGRESS", "IN_PROGRESS", "COMPLETED"])
    found = read_last_accessed(api, role_arn("shared"), clock.sleep)
    assert found.times == {"s3": "2026-11-20T00:00:00Z", "s3:GetObject": "2026-11-20T00:00:00Z"}
    assert found.services == {"s3", "sqs"}
    assert clock.time == 102.0


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("FAILED", "IAM could not create it: no"),
        ("IN_PROGRESS", "IAM did not complete it within 120 seconds"),
    ],
)
def test_failed_last_accessed_report_is_an_error(status: str, reason: str) -> None:
    with pytest.raises(InputError) as error:
        read_last_accessed(FakeReports([status]), "arn:r", Clock().sleep)
    assert list(error.value.problems) == [
        f"The report of the last uses of role arn:r is missing: {reason}. Run again, or leave out pod_identity_usage_services."
    ]
