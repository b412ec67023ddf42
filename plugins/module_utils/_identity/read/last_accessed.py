# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read from IAM when a role last used services and actions.

Sources: iam GenerateServiceLastAccessedDetails, GetServiceLastAccessedDetails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..._aws.client import Api, response_pages
from ..model.errors import InputError, sentence

# The maximum time to wait until IAM has created a report of last uses, and the time between two status requests, in seconds.
REPORT_SECONDS = 120
_REPORT_INTERVAL = 1.0


def read_last_accessed(
    api: Api, role_arn: str, sleep: Callable[[float], None]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the times at which a role last used each service and each action that IAM tracks (see ``RoleUse``).

    IAM tracks few actions that read or write data, and includes denied requests. Uses in the last four hours may be missing. An
    action that is not in the response is not tracked, or was not used: IAM may omit the list of actions in both cases.

    :arg sleep: waits for a number of seconds, until the next status request.
    :raises AwsError: when a request fails.
    :raises InputError: when IAM reports an error, or does not create its report within ``REPORT_SECONDS`` seconds.
    """
    request = {"Arn": role_arn, "Granularity": "ACTION_LEVEL"}
    job = api.call("iam", "GenerateServiceLastAccessedDetails", request)
    parameters = {"JobId": job["JobId"]}
    for _attempt in range(int(REPORT_SECONDS / _REPORT_INTERVAL)):
        first = api.call("iam", "GetServiceLastAccessedDetails", parameters)
        if first["JobStatus"] != "IN_PROGRESS":
            break
        sleep(_REPORT_INTERVAL)
    if first["JobStatus"] != "COMPLETED":
        reason = f"IAM did not complete it within {REPORT_SECONDS} seconds"
        if first["JobStatus"] != "IN_PROGRESS":
            reason = f"IAM could not create it: {first.get('Error', {}).get('Message') or first['JobStatus']}"
        raise InputError(
            [
                f"The report of the last uses of role {role_arn} is missing: {sentence(reason)} Run again, or leave out "
                "pod_identity_audit_unused_days."
            ]
        )
    services: dict[str, str] = {}
    actions: dict[str, str] = {}
    for page in response_pages(api, "iam", "GetServiceLastAccessedDetails", parameters):
        for service in page.get("ServicesLastAccessed", ()):
            prefix = str(service["ServiceNamespace"])
            services[prefix] = _time(service, "LastAuthenticated")
            for action in service.get("TrackedActionsLastAccessed", ()):
                actions[f"{prefix}:{action['ActionName']}"] = _time(action, "LastAccessedTime")
    return services, actions


def _time(row: Mapping[str, Any], name: str) -> str:
    time: datetime | None = row.get(name)
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if time else ""
