# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read the use of roles from AWS: events from CloudTrail, and the last uses of services and actions from IAM.

Sources: cloudtrail LookupEvents; iam GenerateServiceLastAccessedDetails, GetServiceLastAccessedDetails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from ..._aws.client import Api, response_pages
from ..model.errors import InputError, sentence

# The minimum time between two requests of LookupEvents, in seconds. AWS allows two requests a second for each account and region.
LOOKUP_INTERVAL = 0.5
# The maximum number of events in a response of LookupEvents.
LOOKUP_PAGE = 50
# The maximum time to wait until IAM has created a report of last uses, and the time between two status requests, in seconds.
REPORT_SECONDS = 120
_REPORT_INTERVAL = 1.0


@dataclass
class EventLookup:
    """A reader of CloudTrail events that observes the rate limit of LookupEvents.

    ``remaining`` is the number of requests that the reader may still send. ``sent`` is the number of requests that
    succeeded. ``exhausted`` becomes true if the reader stops because ``remaining`` is 0.

    :arg now: returns a monotonic time in seconds.
    :arg sleep: waits for a number of seconds. It may raise an exception to interrupt the reader.
    """

    api: Api
    remaining: int
    now: Callable[[], float]
    sleep: Callable[[float], None]
    sent: int = 0
    exhausted: bool = False
    _next: float = field(default=0.0, repr=False)

    def records(self, attribute: str, value: str, begin: datetime, end: datetime) -> Iterator[Any]:
        """Yield the CloudTrail events with this attribute value from ``begin`` to ``end``, each as parsed JSON.

        An event that cannot be parsed is yielded unchanged.

        :arg attribute: an attribute key of LookupEvents, such as "EventSource".
        :raises AwsError: when a request fails.
        """
        parameters = {
            "LookupAttributes": [{"AttributeKey": attribute, "AttributeValue": value}],
            "StartTime": begin,
            "EndTime": end,
            "MaxResults": LOOKUP_PAGE,
        }
        pages = response_pages(self.api, "cloudtrail", "LookupEvents", parameters)
        more = True
        while more:
            if self.remaining <= 0:
                self.exhausted = True
                return
            self._wait()
            self.remaining -= 1
            page = next(pages, None)
            if page is None:
                return
            self.sent += 1
            for event in page["Events"]:
                yield _parsed(event.get("CloudTrailEvent"))
            more = bool(page.get("NextToken"))

    def _wait(self) -> None:
        now = self.now()
        if now < self._next:
            self.sleep(self._next - now)
            now = self._next
        self._next = now + LOOKUP_INTERVAL


def _parsed(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@dataclass(frozen=True, slots=True)
class LastUses:
    """The times at which a role last used services and actions, as IAM has recorded them.

    ``times`` has the time of the last use (UTC, in ISO 8601) of each used action and service, by names such as "s3:GetObject" and
    "s3". ``services`` has the prefix, such as "s3", of each service that the policies of the role allow, used or not.
    """

    times: dict[str, str]
    services: frozenset[str]


def read_last_accessed(
    api: Api,
    role_arn: str,
    sleep: Callable[[float], None],
    option: str = "pod_identity_usage_services",
    granularity: Literal["ACTION_LEVEL", "SERVICE_LEVEL"] = "ACTION_LEVEL",
) -> LastUses:
    """Return the times at which a role last used each service and, with ACTION_LEVEL, each action.

    IAM records actions for some services only, and includes denied requests. Uses in the last four hours may be missing.

    :arg sleep: waits for a number of seconds, until the next status request.
    :arg option: the name of the option that requests this data, for messages.
    :raises AwsError: when a request fails.
    :raises InputError: when IAM reports an error, or does not create its report within ``REPORT_SECONDS`` seconds.
    """
    job = api.call("iam", "GenerateServiceLastAccessedDetails", {"Arn": role_arn, "Granularity": granularity})
    parameters = {"JobId": job["JobId"]}
    for _attempt in range(int(REPORT_SECONDS / _REPORT_INTERVAL)):
        first = api.call("iam", "GetServiceLastAccessedDetails", parameters)
        if first["JobStatus"] != "IN_PROGRESS":
            break
        sleep(_REPORT_INTERVAL)
    else:
        reason = f"IAM did not complete it within {REPORT_SECONDS} seconds"
        raise InputError([_no_report(role_arn, reason, option)])
    if first["JobStatus"] != "COMPLETED":
        reason = str(first.get("Error", {}).get("Message") or first["JobStatus"])
        raise InputError([_no_report(role_arn, f"IAM could not create it: {reason}", option)])
    found: dict[str, str] = {}
    services = set()
    for page in response_pages(api, "iam", "GetServiceLastAccessedDetails", parameters):
        for service in page.get("ServicesLastAccessed", ()):
            prefix = str(service["ServiceNamespace"])
            services.add(prefix)
            if time := service.get("LastAuthenticated"):
                found[prefix] = _time(time)
            for action in service.get("TrackedActionsLastAccessed", ()):
                if time := action.get("LastAccessedTime"):
                    found[f"{prefix}:{action['ActionName']}"] = _time(time)
    return LastUses(found, frozenset(services))


def _no_report(role_arn: str, reason: str, option: str) -> str:
    return f"The report of the last uses of role {role_arn} is missing: {sentence(reason)} Run again, or leave out {option}."


def _time(time: datetime) -> str:
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
