# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the reads of the times at which a role last used services and actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.last_accessed import (
    read_last_accessed,
)

USED = datetime(2026, 11, 20, 2, tzinfo=timezone(timedelta(hours=2)))
TIME = "2026-11-20T00:00:00Z"
# The times of services and of actions.
Uses = tuple[dict[str, str], dict[str, str]]


class FakeReports:
    """A fake of IAM. Each request for a report returns the next of ``statuses``, and then repeats the last one.

    Complete reports have ``pages``: the services of each page.
    """

    def __init__(self, statuses: Sequence[str], pages: Sequence[Sequence[Mapping[str, Any]]] = ((),)) -> None:
        self.statuses = list(statuses)
        self.pages = pages
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.slept: list[float] = []

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert service == "iam"
        self.requests.append((operation, parameters))
        if operation == "GenerateServiceLastAccessedDetails":
            return {"JobId": "1"}
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status != "COMPLETED":
            return {"JobStatus": status, **({"Error": {"Message": "no"}} if status == "FAILED" else {})}
        number = int(parameters.get("Marker", 0))
        more = {"IsTruncated": True, "Marker": str(number + 1)} if number + 1 < len(self.pages) else {}
        return {"JobStatus": status, "ServicesLastAccessed": self.pages[number], "IsTruncated": False, **more}

    def read(self) -> Uses:
        return read_last_accessed(self, "arn:r", self.slept.append)


def service(name: str, used: datetime | None = None, **more: Any) -> dict[str, Any]:
    return {"ServiceNamespace": name, **({"LastAuthenticated": used} if used else {}), **more}


# A case has the services of each page, and the expected times.
PAGES: Mapping[str, tuple[Sequence[Sequence[Mapping[str, Any]]], Uses]] = {
    "a service without a use": ([[service("sqs")]], ({"sqs": ""}, {})),
    "a used service without actions": ([[service("sqs", USED)]], ({"sqs": TIME}, {})),
    "used and unused actions": (
        [
            [
                service(
                    "s3",
                    USED,
                    TrackedActionsLastAccessed=[
                        {
                            "ActionName": "CreateBucket",
                            "LastAccessedEntity": "arn:r",
                            "LastAccessedRegion": "us-west-2",
                            "LastAccessedTime": USED,
                        },
                        {"ActionName": "DeleteBucket"},
                    ],
                )
            ]
        ],
        ({"s3": TIME}, {"s3:CreateBucket": TIME, "s3:DeleteBucket": ""}),
    ),
    "several pages": (
        [
            [service("s3", TrackedActionsLastAccessed=[{"ActionName": "CreateBucket"}])],
            [service("sns", TrackedActionsLastAccessed=[{"ActionName": "CreateTopic"}])],
            [service("sqs", USED)],
        ],
        ({"s3": "", "sns": "", "sqs": TIME}, {"s3:CreateBucket": "", "sns:CreateTopic": ""}),
    ),
}


@pytest.mark.parametrize("case", PAGES)
def test_times_of_services_and_actions(case: str) -> None:
    pages, expected = PAGES[case]
    assert FakeReports(["COMPLETED"], pages).read() == expected


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("FAILED", "IAM could not create it: no"),
        ("STOPPED", "IAM could not create it: STOPPED"),
        ("IN_PROGRESS", "IAM did not complete it within 120 seconds"),
    ],
)
def test_incomplete_report_is_an_error(status: str, reason: str) -> None:
    with pytest.raises(InputError) as error:
        FakeReports([status]).read()
    assert error.value.problems == (
        f"The report of the last uses of role arn:r is missing: {reason}. Run again, or leave out "
        "pod_identity_audit_unused_days.",
    )
