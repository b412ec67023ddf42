# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the engine against the embedded AWS, and check the resulting account."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import (
    ATTEMPT_SECONDS,
    RETRIES,
    BotoApi,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import Retries
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    PurgeScope,
    State,
    Workload,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    aws_failure,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    MANAGED_BY_TAG,
    MANAGED_BY_VALUE,
    default_owner,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import Row
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Order,
    apply_order,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    SHOWN_FAILURES,
    build_result,
    failure_message,
    verified_result,
)
from ansible_collections.workload_identity.aws.tests.faults.access import Facets, lost_access, missing_access
from ansible_collections.workload_identity.aws.tests.faults.world import ACCOUNT, CLUSTER, REGION, furnish
from botocore.config import Config
from sandbox.aws.control import AwsControl
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY

Ended = Run | AwsError


CLEAN = "clean"
# Codes of changes that a run did not make, because it ended early.
ENDED = ("INTERRUPTED", "DEADLINE", "INTERNAL_ERROR")
# Codes of failures that name a missing resource, but no request.
NOT_THERE = ("ROLE_MISSING", "POLICY_MISSING")
_REQUEST = re.compile(r"\b(?:iam|eks|sts):[A-Z]\w+")


@dataclass(frozen=True)
class Baseline:
    """A run without faults: its requests in order, the states of the account before and after it, and its check statuses."""

    operations: tuple[str, ...]
    initial: Facets
    goal: Facets
    statuses: Mapping[str, Mapping[str, str]]


class Clock:
    """A clock on which time passes only while the calling thread sleeps. A simulated second takes ``scale`` real seconds."""

    def __init__(self, scale: float = 0) -> None:
        self.pauses: list[float] = []
        self._slept = threading.local()
        self._scale = scale

    def now(self) -> float:
        return float(getattr(self._slept, "seconds", 0))

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._slept.seconds = self.now() + seconds
        if self._scale:
            time.sleep(seconds * self._scale)


@dataclass(frozen=True)
class TaskSpec:
    """The desired state of a run. ``bystanders`` are the keys of other workloads that the result may name."""

    desired: Desired
    state: State = "present"
    purge: bool = False
    bystanders: frozenset[WorkloadKey] = frozenset()
    cluster: str = CLUSTER

    @property
    def owner(self) -> str:
        return self.desired.options.owner


@dataclass(frozen=True)
class TaskOutcome:
    """The result of a run. ``message`` is the failure on the screen. ``cause`` is the code of an early end."""

    spec: TaskSpec
    ended: Ended
    message: str = ""
    verification: Row | None = None
    cause: str = ""

    @property
    def statuses(self) -> dict[str, dict[str, str]]:
        """Return the statuses of the verification, by workload and check."""
        rows = self.verification["workloads"] if self.verification else []
        return {
            f"{row['namespace']}/{row['service_account']}": {
                check.name: check.status for check in row["checks"]
            }
            for row in rows
        }


def create_client(url: str, service: Any) -> Any:
    """Create a client as the modules do: without the retries of botocore."""
    retries: Any = RETRIES
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key=ROOT_SECRET_ACCESS_KEY,
        config=Config(retries=retries, max_pool_connections=16),
    )


@dataclass
class Account:
    """An AWS account that an embedded AWS endpoint emulates.

    The clients call ``before_request`` with the operation before each request. ``saved`` has the names of the saved states.
    """

    url: str
    clients: dict[str, Any] = field(default_factory=dict)
    saved: set[str] = field(default_factory=set)
    before_request: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        for service in ("iam", "eks", "sts"):
            self.clients[service] = create_client(self.url, service)
            self.clients[service].meta.events.register("before-send", self._before_send)

    def _before_send(self, event_name: str, **_event: Any) -> None:
        if self.before_request is not None:
            # event_name is for example "before-send.iam.CreateRole".
            self.before_request(event_name.partition(".")[2].replace(".", ":"))

    @property
    def control(self) -> AwsControl:
        return AwsControl(self.url)

    def clean(self) -> None:
        """Reset the account, so that it has only resources that no run manages, no faults, and counters at zero."""
        if self.restored(CLEAN):
            return
        self.control.reset()
        furnish(self.clients["iam"], self.clients["eks"])
        self.save(CLEAN)

    def save(self, name: str) -> None:
        """Reset the counters, and save the state of the account for other tests."""
        self.control.reset_counters()
        self.control.save(name)
        self.saved.add(name)

    def restored(self, name: str) -> bool:
        """Restore a saved state. Return False if the state was not saved."""
        if name in self.saved:
            self.control.restore(name)
        return name in self.saved

    def run(
        self,
        desired: Desired,
        state: str = "present",
        *,
        width: int = 4,
        clock: Clock | None = None,
        timeout: float = 60,
    ) -> Ended:
        """Run the engine. Return its result, or the AwsError if the cluster could not be read.

        ``width`` is the number of threads.
        """
        clock = clock or Clock()
        retries = Retries(now=clock.now, sleep=clock.sleep)
        api = BotoApi(self.clients.__getitem__, retries)
        wait_policy = WaitPolicy(timeout, clock.now, clock.sleep)
        try:
            cluster = find_cluster(api, CLUSTER, REGION, state)
        except AwsError as error:
            return error
        return Engine(api, cluster, width, wait_policy).run(desired, state, check_mode=False)

    def play(
        self,
        spec: TaskSpec,
        *,
        width: int = 4,
        clock: Clock | None = None,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> TaskOutcome:
        """Run the engine as the module does: with purge, repeated reads until the changes are visible, and verification.

        ``width`` is the number of threads.
        """
        clock = clock or Clock()
        retries = Retries(now=clock.now, sleep=clock.sleep)
        api = BotoApi(self.clients.__getitem__, retries, attempt_seconds=attempt_seconds)
        wait_policy = WaitPolicy(60, clock.now, clock.sleep)
        order = Order(spec.state, verify=True)
        try:
            cluster = find_cluster(api, spec.cluster, REGION, spec.state)
            owner = spec.owner or default_owner(cluster.region, cluster.name)
            desired = replace(
                spec.desired,
                options=replace(spec.desired.options, owner=owner),
                purge=PurgeScope() if spec.purge else None,
            )
            engine = Engine(api, cluster, width, wait_policy)
            done = apply_order(engine, desired, order)
        except AwsError as error:
            return TaskOutcome(spec, error, str(aws_failure(error, REGION)["msg"]))
        message = failure_message(done.run, cluster, build_result(done.run)) if done.run.failures else ""
        verification = (
            verified_result(done.verified, done.observed, cluster) if done.verified is not None else None
        )
        cause = done.guard.cause
        return TaskOutcome(spec, done.run, message, verification, cause.code if cause else "")

    def complete(self, desired: Desired, state: str = "present") -> Run:
        """Run the engine without faults, and expect success."""
        self.control.set_faults([])
        ended = self.run(desired, state)
        assert isinstance(ended, Run), ended
        assert ended.failures == ()
        return ended

    def facets(self) -> Facets:
        """Return the resources of the account by type and name, as changes name them, without IDs and dates."""
        state = self.control.state(ACCOUNT)
        found: Facets = {}
        for name, role in state["roles"].items():
            rest = dict(role)
            for arn in rest.pop("AttachedPolicies"):
                found["attachment", f"{name} {arn}"] = True
            found["trust_policy", name] = _document(rest.pop("AssumeRolePolicyDocument"))
            found["role", name] = _plain(rest)
        for arn, policy in state["policies"].items():
            versions = {name: _document(version["Document"]) for name, version in policy["Versions"].items()}
            found["policy", arn] = {**_plain(policy), "Versions": versions}
        for association in state["associations"].values():
            key = f"{association['namespace']}/{association['serviceAccount']}"
            found["association", key] = _plain(association)
        return found


_FLEETING = (
    "RoleId",
    "PolicyId",
    "CreateDate",
    "UpdateDate",
    "AttachmentCount",
    "associationId",
    "associationArn",
    "createdAt",
    "modifiedAt",
)


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in record.items() if name not in _FLEETING}
    if "Tags" in found:
        found["Tags"] = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    return found


def _document(text: str) -> Any:
    """Parse a policy document and sort its statements."""
    found = json.loads(text)
    found["Statement"].sort(key=lambda statement: json.dumps(statement, sort_keys=True))
    return found


def unversioned(facets: Facets) -> Facets:
    """Return the resources with only the default version of each policy: each of two concurrent runs may add a version."""
    found = dict(facets)
    for (kind, name), value in facets.items():
        if kind == "policy":
            found[kind, name] = _default_only(value)
    return found


def unowned(facets: Facets, initial: Facets) -> list[tuple[str, str]]:
    """Return the resources that did not exist initially, and that do not have the managed-by tag."""
    new = {
        key: value
        for key, value in facets.items()
        if key not in initial and key[0] in ("role", "policy", "association")
    }
    tags = {key: value.get("tags") or value.get("Tags") or {} for key, value in new.items()}
    return [key for key, found in tags.items() if found.get(MANAGED_BY_TAG) != MANAGED_BY_VALUE]


def check_outcome(outcome: TaskOutcome, baseline: Baseline, final: Facets) -> str:
    """Return "well" if the run succeeded, or "named" if it reported failures.

    Raise AssertionError if the run lost a resource or a permission, or if its report is wrong.
    """
    initial, goal, spec, ended = baseline.initial, baseline.goal, outcome.spec, outcome.ended
    assert unowned(final, initial) == []
    surplus = final.keys() - goal.keys() - initial.keys()
    assert not surplus, f"unexpected: {sorted(surplus)}"
    if isinstance(ended, AwsError):
        assert final == initial, differences(final, initial)
        for part in (ended.operation, REGION, ended.code, ended.remedy, "Nothing was changed."):
            assert part, ended
            assert part in outcome.message, outcome.message
        return "named"
    failed = {key for failure in ended.failures for key in failure.workloads}
    workloads = {workload.key for workload in spec.desired.workloads}
    assert failed <= workloads | spec.bystanders
    for failure in ended.failures:
        # A purged policy has no workloads.
        members = (
            spec.purge or failure.workloads,
            failure.target.resource,
            failure.target.full_name,
            failure.action,
        )
        assert all((*members, failure.error_code, failure.message, failure.remedy)), failure
        # The message of a failed request must name the request.
        is_without_request = failure.error_code in ("SKIPPED", *ENDED, *NOT_THERE)
        assert is_without_request or _REQUEST.search(failure.message), failure
    _check_message(outcome, ended)
    named = {(failure.target.resource, failure.target.full_name) for failure in ended.failures}
    unnamed = (initial.keys() & goal.keys()) - final.keys() - named
    assert not unnamed, f"lost {sorted(unnamed)}"
    less = lost_access(initial, goal, final)
    assert not less, f"fewer permissions than in the initial and the goal state: {less}"
    _check_changes(ended, initial, final)
    for key in workloads - failed:
        name = ("association", str(key))
        assert final.get(name) == goal.get(name), f"{key} is reported as done"
    _check_verification(outcome, baseline, final)
    if ended.failures:
        return "named"
    wrong = differences(final, goal)
    assert not wrong, wrong
    return "well"


def _check_message(outcome: TaskOutcome, run: Run) -> None:
    """Check that the message names the account, the region, and the workload, code, cause and remedy of the first failures."""
    causes = [failure for failure in run.failures if failure.error_code != "SKIPPED"]
    if not run.failures:
        assert outcome.message == ""
        return
    assert causes, run.failures
    assert f"(account {ACCOUNT}, region {REGION})" in outcome.message, outcome.message
    # A command in a remedy is on a separate line, so join the lines.
    text = " ".join(outcome.message.split())
    for failure in causes[:SHOWN_FAILURES]:
        workloads = map(str, failure.workloads[:1])
        for part in (*workloads, failure.error_code, failure.message, failure.remedy):
            assert part in text, (part, text)


def _check_verification(outcome: TaskOutcome, baseline: Baseline, final: Facets) -> None:
    """Check that the verification passes no incorrect workload, and fails no correct workload."""
    statuses = outcome.statuses
    if not statuses:
        return
    for workload in outcome.spec.desired.workloads:
        name = str(workload.key)
        found, normal = statuses[name], baseline.statuses[name]
        if all(final.get(key) == baseline.goal.get(key) for key in _pieces(workload, baseline.goal)):
            wrong = {
                check: status
                for check, status in found.items()
                if status not in (normal.get(check), "unknown", "skipped")
            }
            assert not wrong, f"{name} is correct, and verified as {wrong} instead of {normal}"
        elif missing_access(name, baseline.goal, final):
            assert found != normal, f"{name} is not correct, and verified as if it were"


def _pieces(workload: Workload, goal: Facets) -> list[tuple[str, str]]:
    """Return the keys of the resources that a workload uses. Of a shared role, only the workload's own policies are included."""
    assert workload.role is not None
    role = workload.role.name
    policy_names = {spec.arn or spec.name for spec in workload.policies}
    attached = [
        (kind, name)
        for kind, name in goal
        if kind == "attachment"
        and name.split(" ")[0] == role
        and not policy_names.isdisjoint((name.split(" ")[1], name.rpartition("/")[2]))
    ]
    policies = [("policy", name.split(" ")[1]) for _kind, name in attached]
    return [("association", str(workload.key)), ("role", role), ("trust_policy", role), *attached, *policies]


def _check_changes(run: Run, initial: Facets, final: Facets) -> None:
    """Check that a run reports all of its changes and no others. A failed change may be partly applied."""
    reported = {(done.change.target.resource, done.change.target.full_name) for done in run.done}
    # The run may change a policy twice: to add a permission, and later to remove one. The two changes have different results.
    ends = Counter((done.change.target, done.change.action, str(done.change.after)) for done in run.done)
    assert max(ends.values(), default=0) <= 1, "a change is reported twice"
    failed = {(failure.target.resource, failure.target.full_name) for failure in run.failures}
    changed = {key for key in initial.keys() | final.keys() if initial.get(key) != final.get(key)}
    # A trust policy is created and deleted together with its role, so these changes are not reported.
    changed -= {("trust_policy", name) for kind, name in initial.keys() ^ final.keys() if kind == "role"}
    assert not changed - reported - failed, f"not reported: {sorted(changed - reported - failed)}"
    assert not reported - changed, f"reported, but not changed: {sorted(reported - changed)}"


def differences(found: Facets, expected: Facets) -> str:
    """Return a text with a line for each resource that differs from its expected state."""
    keys = sorted(
        key
        for key in found.keys() | expected.keys()
        if not _equivalent(key[0], found.get(key), expected.get(key))
    )
    return "\n".join(f"{key}: {found.get(key)} instead of {expected.get(key)}" for key in keys)


def _equivalent(kind: str, found: Any, expected: Any) -> bool:
    """Return whether a resource is as expected. A policy may have fewer versions than expected, but not more."""
    if kind != "policy" or not found or not expected or len(found["Versions"]) > len(expected["Versions"]):
        return bool(found == expected)
    return _default_only(found) == _default_only(expected)


def _default_only(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    if not policy["DefaultVersionId"]:
        return policy
    return {**policy, "DefaultVersionId": "", "Versions": policy["Versions"][policy["DefaultVersionId"]]}
