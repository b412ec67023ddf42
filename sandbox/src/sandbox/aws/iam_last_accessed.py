# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate the IAM operations that report when a role last accessed services and actions.

The emulator does not record the requests of roles. A test sets the times of access with
:meth:`sandbox.aws.control.AwsControl.patch_role`. A report has the services that the attached and inline policies of the role
allow, and is complete immediately.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.aws.clock import iam_time
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_paging import page
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Record
from sandbox.aws.responses import Node

# The services in the report for a policy that allows all actions. AWS reports several hundred services.
ALL_SERVICES = ("dynamodb", "ec2", "eks", "iam", "s3", "sqs", "sts")


class LastAccessed:
    """The operations for last accessed services. Each operation is a method that returns the result element of the response."""

    def __init__(self, state: IamState) -> None:
        self._state = state
        self._jobs: dict[tuple[str, str], Record] = {}

    def generate_service_last_accessed_details(self, form: Form) -> Node:
        arn = form.required("Arn")
        role = self._state.role(form.account, arn.rpartition("/")[2]) if ":role/" in arn else None
        if role is None or role["Arn"] != arn:
            raise ApiError(404, "NoSuchEntity", f"ARN {arn} is not valid.")
        job = {"role": role["RoleName"], "time": iam_time(), "granularity": form.get("Granularity")}
        identifier = str(uuid.uuid4())
        self._jobs[form.account, identifier] = job
        return {"JobId": identifier}

    def get_service_last_accessed_details(self, form: Form) -> Node:
        identifier = form.required("JobId")
        job = self._jobs.get((form.account, identifier))
        role = self._state.role(form.account, job["role"]) if job is not None else None
        if job is None or role is None:
            raise ApiError(404, "NoSuchEntity", f"Job {identifier} does not exist.")
        has_actions = job["granularity"] == "ACTION_LEVEL"
        times: Mapping[str, str] = role.get("LastAccessed", {})
        services = [(name, name) for name in sorted({*self._services(form.account, role)})]
        return {
            "JobStatus": "COMPLETED",
            "JobType": job["granularity"] or "SERVICE_LEVEL",
            "JobCreationDate": job["time"],
            "JobCompletionDate": job["time"],
            **page(
                form,
                "ServicesLastAccessed",
                services,
                lambda name: _service(name, role["Arn"], times, has_actions),
            ),
        }

    def _services(self, account: str, role: Record) -> Iterator[str]:
        """Yield the prefixes of the services in the Allow statements of a role, with duplicates."""
        documents = [*role["InlinePolicies"].values()]
        for arn in role["AttachedPolicies"]:
            policy = self._state.policy(account, arn)
            if policy is not None:
                documents.append(policy["Versions"][policy["DefaultVersionId"]]["Document"])
        for document in documents:
            statements = json.loads(document)["Statement"]
            for statement in statements if isinstance(statements, list) else [statements]:
                actions = statement.get("Action", []) if statement["Effect"] == "Allow" else []
                for action in actions if isinstance(actions, list) else [actions]:
                    prefix = action.partition(":")[0].lower()
                    yield from ALL_SERVICES if prefix == "*" else (prefix,)


def _service(name: str, arn: str, times: Mapping[str, str], has_actions: bool) -> Mapping[str, Any]:
    used = {}
    if name in times:
        used = {"LastAuthenticated": times[name], "LastAuthenticatedEntity": arn}
    actions = [
        {
            "ActionName": action.partition(":")[2],
            **({"LastAccessedTime": time, "LastAccessedEntity": arn} if time else {}),
        }
        for action, time in sorted(times.items())
        if action.startswith(f"{name}:")
    ]
    return {
        "ServiceName": name,
        "ServiceNamespace": name,
        "TotalAuthenticatedEntities": len(used) // 2,
        **used,
        **({"TrackedActionsLastAccessed": actions} if has_actions and actions else {}),
    }
