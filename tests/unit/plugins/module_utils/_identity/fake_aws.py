# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sandbox's model of an AWS account, with a log of the requests, and with errors that tests can inject."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from sandbox.aws.model.addons import EksWithAddons
from sandbox.aws.model.eks import ROLE_MISSING
from sandbox.aws.model.errors import Refusal, invalid
from sandbox.aws.model.simulation import IamWithSimulator

ACCOUNT = "111122223333"
REGION = "us-west-2"
CLUSTER = "my-cluster"
OTHER_CLUSTER = "other-cluster"
READS = ("Get", "List", "Describe")
CREATED = datetime(2026, 11, 24, 10, 0, tzinfo=timezone.utc)
ASSOCIATED = datetime(2026, 11, 24, 10, 15, 30, tzinfo=timezone.utc)
BUSY = classify("test:Injected", "ServiceFailure", "Internal failure")


class FakeIam(IamWithSimulator):
    """IAM with resources of one date, and with IDs in order."""

    def __init__(self, account_id: str) -> None:
        super().__init__(account_id)
        self.last = 0

    def now(self) -> datetime:
        return CREATED

    def new_id(self, prefix: str) -> str:
        self.last += 1
        return f"{prefix}{self.last:017d}"

    def last_use(self, _role: Mapping[str, Any]) -> dict[str, Any]:
        """Leave the last use out, so that tests can add it."""
        return {}

    def entity_exists(self, _arn: str) -> bool:
        """Let trust policies name roles and users that the tests do not create."""
        return True

    def state(self) -> dict[str, Any]:
        """Return all roles and policies without IDs, and only the default version of each policy."""
        return {
            "roles": {name: _plain(role) for name, role in sorted(self.roles.items())},
            "policies": {
                arn: {
                    "document": policy["versions"][policy["default"]],
                    "tags": policy["tags"],
                    "description": policy["description"],
                }
                for arn, policy in sorted(self.policies.items())
            },
        }


class FakeEks(EksWithAddons):
    """EKS with resources of one date, and with IDs in order.

    After a change of a role, it rejects ``lag`` requests before it accepts the role. The lag applies to every create and
    update request, even to an update without a role ARN: AWS does not document whether EKS then checks the role of the
    association.
    """

    def __init__(self, iam: FakeIam, account_id: str, region: str, clusters: tuple[str, ...]) -> None:
        super().__init__(iam, account_id, region)
        for name in clusters:
            self.clusters[name] = {"name": name, "arn": self.arn("cluster", name), "status": "ACTIVE"}
        self.page_size = 10**6
        self.lag = 0
        self.waits: dict[str, int] = {}
        self.last = 0

    def now(self) -> datetime:
        return ASSOCIATED

    def new_association_id(self) -> str:
        self.last += 1
        return f"a-{self.last:017d}"

    def state(self) -> list[dict[str, Any]]:
        """Return the associations without their IDs and ARNs."""
        rows = [
            {
                key: value
                for key, value in association.items()
                if key not in ("associationId", "associationArn")
            }
            for association in self.associations.values()
        ]
        return sorted(rows, key=lambda row: (row["clusterName"], row["namespace"], row["serviceAccount"]))

    def role_changed(self, name: str) -> None:
        if self.lag:
            self.waits[name.lower()] = self.lag

    def _trust(self, arn: str) -> str | None:
        role = self.iam.role_of(arn)
        return None if role is None else str(role["trust"])

    def _check_seen(self, arn: str) -> None:
        name = arn.rpartition("/")[2].lower()
        if self.waits.get(name):
            self.waits[name] -= 1
            raise invalid(ROLE_MISSING)


class FakeAws:
    """An AWS account in memory. ``requests`` has every request as a pair of "service:Operation" and the parameters."""

    def __init__(self) -> None:
        self.iam = FakeIam(ACCOUNT)
        self.eks = FakeEks(self.iam, ACCOUNT, REGION, (CLUSTER, OTHER_CLUSTER))
        # The fake EKS of each region.
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._fail_at: dict[int, tuple[AwsError, bool]] = {}
        self._fail_on: dict[str, list[AwsError]] = {}
        self._hooks: dict[str, Callable[[], object]] = {}
        self._answers: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {}
        self._lock = threading.RLock()

    # Tests use these methods.

    @property
    def writes(self) -> list[str]:
        return [name for name, _ in self.requests if not name.split(":")[1].startswith(READS)]

    def parameters(self, name: str) -> list[dict[str, Any]]:
        return [parameters for request, parameters in self.requests if request == name]

    def state(self) -> dict[str, Any]:
        return copy.deepcopy({**self.iam.state(), "associations": self.eks.state()})

    def backup(self) -> tuple[Any, ...]:
        """Return a copy of all resources, for :meth:`restore`."""
        return copy.deepcopy((self.iam.roles, self.iam.policies, self.eks.associations, self.eks.last))

    def restore(self, backup: tuple[Any, ...]) -> None:
        parts = copy.deepcopy(backup)
        self.iam.roles, self.iam.policies, self.eks.associations, self.eks.last = parts

    def fail_at(self, number: int, error: AwsError = BUSY, took_effect: bool = False) -> None:
        """Let the ``number``-th request from now on fail. With ``took_effect``, AWS executes it before it returns the error."""
        self._fail_at = {len(self.requests) + number: (error, took_effect)}

    def fail_on(self, name: str, *errors: AwsError) -> None:
        """Let the next requests of an operation fail, one request for each error. ``name`` is "service:Operation"."""
        self._fail_on[name] = list(errors)

    def before_request(self, name: str, action: Callable[[], object]) -> None:
        """Call ``action`` before the next request of "service:Operation", to simulate a write of another process."""
        self._hooks[name] = action

    def replace(self, name: str, answer: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Let ``answer`` return the response to every request of "service:Operation"."""
        self._answers[name] = answer

    def clear_faults(self) -> None:
        self._fail_at, self._fail_on, self._hooks = {}, {}, {}

    # The engine calls these methods.

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        name = f"{service}:{operation}"
        # Run the action without the lock: it may start a second run, whose threads need the lock.
        if action := self._hooks.pop(name, None):
            action()
        with self._lock:
            self.requests.append((name, copy.deepcopy(dict(parameters))))
            error, took_effect = self._fail_at.get(len(self.requests), (None, False))
            if error is not None and not took_effect:
                raise error
            if self._fail_on.get(name):
                raise self._fail_on[name].pop(0)
            answer = self._answer(service, operation, parameters)
            if error is not None:
                raise error
            return answer

    def pages(
        self, service: str, operation: str, parameters: Mapping[str, Any], *results: str
    ) -> Iterator[Any]:
        answer = self.call(service, operation, parameters)
        found: Any = answer
        for key in results:
            found = found[key]
        yield from found
        if token := answer.get("nextToken"):
            yield from self.pages(service, operation, {**parameters, "nextToken": token}, *results)

    def _answer(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if answer := self._answers.get(f"{service}:{operation}"):
                return answer(parameters)
            if service == "sts":
                arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/session"
                return {"Account": ACCOUNT, "Arn": arn}
            found = getattr(self.iam if service == "iam" else self.eks, operation)(parameters)
        except Refusal as error:
            raise classify(f"{service}:{operation}", error.code, error.text) from error
        if operation in ("CreateRole", "UpdateAssumeRolePolicy"):
            self.eks.role_changed(parameters["RoleName"])
        return copy.deepcopy(dict(found))


def _plain(role: Mapping[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in role.items() if key not in ("RoleId", "CreateDate")}
    return {**fields, "trust": json.loads(role["trust"]), "attached": sorted(role["attached"])}
