# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the engine against the embedded AWS, and what the account holds afterwards."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import (
    ATTEMPT_SECONDS,
    RETRIES,
    BotoApi,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import Retries
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import clusters_of
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    State,
    Workload,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    aws_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    MANAGED_BY_TAG,
    MANAGED_BY_VALUE,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import (
    VerificationResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import (
    Engine,
    Order,
    perform,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    SHOWN_FAILURES,
    failure_message,
    verified_result,
)
from ansible_collections.workload_identity.aws.tests.faults.access import Facets, taken, taken_from
from ansible_collections.workload_identity.aws.tests.faults.world import (
    ACCOUNT,
    CLUSTER,
    REGION,
    furnish,
)
from botocore.config import Config
from sandbox.aws.control import AwsControl
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY

Ended = Run | AwsError


CLEAN = "clean"
# Codes of what a run did not come to, for it ended before.
ENDED = ("INTERRUPTED", "DEADLINE", "INTERNAL_ERROR")
# What was asked for says itself that it is not there; the request adds nothing.
NOT_THERE = ("ROLE_MISSING", "POLICY_MISSING")
_REQUEST = re.compile(r"\b(?:iam|eks|sts):[A-Z]\w+")


@dataclass(frozen=True)
class Usual:
    """A task that nothing disturbed: its requests in order, what was there before and after, and what it verified."""

    operations: tuple[str, ...]
    before: Facets
    goal: Facets
    statuses: Mapping[str, Mapping[str, str]]


class Clock:
    """Time that passes, for each thread, only by its sleeping: ``scale`` real seconds a second."""

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
class Asked:
    """What a task asks for; ``bystanders`` are the keys of other workloads that it may have to speak of."""

    desired: Desired
    state: State = "present"
    purge: bool = False
    bystanders: frozenset[WorkloadKey] = frozenset()
    cluster: str = CLUSTER

    @property
    def owner(self) -> str | None:
        return self.desired.options.owner


@dataclass(frozen=True)
class Played:
    """How a task ended. ``message`` is what the user is shown of a failure, ``cause`` what ended it before its time."""

    asked: Asked
    ended: Ended
    message: str = ""
    verification: VerificationResult | None = None
    cause: str = ""

    @property
    def statuses(self) -> dict[str, dict[str, str]]:
        """What the verification says, by workload and check."""
        rows = self.verification["workloads"] if self.verification else []
        return {
            f"{row['namespace']}/{row['service_account']}": {
                check["name"]: check["status"] for check in row["checks"]
            }
            for row in rows
        }


def client_of(url: str, service: Any) -> Any:
    """A client as the modules have it: it sends each request once."""
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
    """One endpoint. ``before_request`` is called before each request of a run is sent, with its operation.

    ``kept`` are the names under which the endpoint remembers what it held.
    """

    url: str
    clients: dict[str, Any] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    before_request: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        for service in ("iam", "eks", "sts"):
            self.clients[service] = client_of(self.url, service)
            self.clients[service].meta.events.register("before-send", self._before_send)

    def _before_send(self, event_name: str, **_event: Any) -> None:
        if self.before_request is not None:
            # "before-send.iam.CreateRole"
            self.before_request(event_name.partition(".")[2].replace(".", ":"))

    @property
    def control(self) -> AwsControl:
        return AwsControl(self.url)

    def clean(self) -> None:
        """Nothing but the things of others, no faults, and counters at zero."""
        if self.restored(CLEAN):
            return
        self.control.reset()
        furnish(self.clients["iam"], self.clients["eks"])
        self.keep(CLEAN)

    def keep(self, name: str) -> None:
        """Remember what is there, for tests that start from it; counters go to zero."""
        self.control.reset_counters()
        self.control.save(name)
        self.kept.add(name)

    def restored(self, name: str) -> bool:
        """Whether what was kept is there again."""
        if name in self.kept:
            self.control.restore(name)
        return name in self.kept

    def run(
        self,
        desired: Desired,
        state: str = "present",
        *,
        width: int = 4,
        clock: Clock | None = None,
        timeout: float = 60,
    ) -> Ended:
        """One run; an AwsError is its result when not even the cluster could be read."""
        clock = clock or Clock()
        retries = Retries(now=clock.now, sleep=clock.sleep)
        api = BotoApi(self.clients.__getitem__, retries)
        wait_policy = WaitPolicy(timeout, clock.now, clock.sleep)
        try:
            cluster = find_cluster(api, CLUSTER, REGION, state)
        except AwsError as error:
            return error
        return Engine(api, clusters_of(cluster), width, wait_policy).run(desired, state, check_mode=False)

    def play(
        self,
        asked: Asked,
        *,
        width: int = 4,
        clock: Clock | None = None,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> Played:
        """What the module makes of one task: a run with its purge, what is seen of it, and its verification."""
        clock = clock or Clock()
        retries = Retries(now=clock.now, sleep=clock.sleep)
        api = BotoApi(self.clients.__getitem__, retries, attempt_seconds=attempt_seconds)
        wait_policy = WaitPolicy(60, clock.now, clock.sleep)
        desired = asked.desired
        scope = PurgeScope(owner=asked.owner) if asked.purge else None
        order = Order(asked.state, verify=True, purge=scope)
        try:
            cluster = find_cluster(api, asked.cluster, REGION, asked.state)
            engine = Engine(api, clusters_of(cluster), width, wait_policy)
            done = perform(engine, desired, order)
        except AwsError as error:
            return Played(asked, error, aws_message(error, REGION))
        message = failure_message(done.run, cluster) if done.run.failures else ""
        verification = (
            verified_result(done.verified, done.observed, cluster) if done.verified is not None else None
        )
        cause = done.guard.cause
        return Played(asked, done.run, message, verification, cause.code if cause else "")

    def complete(self, desired: Desired, state: str = "present") -> Run:
        """A run that nothing disturbs."""
        self.control.set_faults([])
        ended = self.run(desired, state)
        assert isinstance(ended, Run), ended
        assert ended.failures == ()
        return ended

    def facets(self) -> Facets:
        """What the account holds, piece by piece as changes speak of it, without IDs and dates."""
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
    """A policy document; the order of its statements means nothing."""
    found = json.loads(text)
    found["Statement"].sort(key=lambda statement: json.dumps(statement, sort_keys=True))
    return found


def unversioned(facets: Facets) -> Facets:
    """Policies by their default version alone: two who change one at once may both leave a version."""
    found = dict(facets)
    for (kind, name), value in facets.items():
        if kind == "policy":
            found[kind, name] = _in_use(value)
    return found


def unowned(facets: Facets, before: Facets) -> list[tuple[str, str]]:
    """What is new and does not say that it is ours."""
    new = {
        key: value
        for key, value in facets.items()
        if key not in before and key[0] in ("role", "policy", "association")
    }
    tags = {key: value.get("tags") or value.get("Tags") or {} for key, value in new.items()}
    return [key for key, found in tags.items() if found.get(MANAGED_BY_TAG) != MANAGED_BY_VALUE]


def check_outcome(played: Played, usual: Usual, after: Facets) -> str:
    """How a disturbed task ended: "well" or "named". AssertionError when it lost or hid something."""
    before, goal, asked, ended = usual.before, usual.goal, played.asked, played.ended
    assert unowned(after, before) == []
    surplus = after.keys() - goal.keys() - before.keys()
    assert not surplus, f"nobody asked for {sorted(surplus)}"
    if isinstance(ended, AwsError):
        assert after == before, differences(after, before)
        for part in (ended.operation, REGION, ended.code, ended.remedy, "Nothing was changed."):
            assert part, ended
            assert part in played.message, played.message
        return "named"
    failed = {key for failure in ended.failures for key in failure.workloads}
    wanted = {workload.key for workload in asked.desired.workloads}
    assert failed <= wanted | asked.bystanders
    for failure in ended.failures:
        told = (failure.workloads, failure.target.resource, failure.target.full_name, failure.action)
        assert all((*told, failure.error_code, failure.message, failure.remedy)), failure
        # What the failure of a change leaves undone names that change.
        unasked = failure.error_code in ("SKIPPED", *ENDED, *NOT_THERE)
        assert unasked or _REQUEST.search(failure.message), failure
    _check_message(played, ended)
    named = {(failure.target.resource, failure.target.full_name) for failure in ended.failures}
    hidden = (before.keys() & goal.keys()) - after.keys() - named
    assert not hidden, f"lost {sorted(hidden)}"
    # EKS takes a session policy away only with the association: one that could not be made anew is told in full.
    told_in_full = {
        failure.target.full_name
        for failure in ended.failures
        if failure.action == "replace" and failure.partly
    }
    less = {name: lost for name, lost in taken(before, goal, after).items() if name not in told_in_full}
    assert not less, f"fewer permissions than the old and the wanted state give: {less}"
    _check_changes(ended, before, after)
    for key in wanted - failed:
        name = ("association", str(key))
        assert after.get(name) == goal.get(name), f"{key} is said to be done"
    _check_verification(played, usual, after)
    if ended.failures:
        return "named"
    wrong = differences(after, goal)
    assert not wrong, wrong
    return "well"


def _check_message(played: Played, run: Run) -> None:
    """What is shown names workload, account, region, request and what to do."""
    causes = [failure for failure in run.failures if failure.error_code != "SKIPPED"]
    if not run.failures:
        assert played.message == ""
        return
    assert causes, run.failures
    assert f"(account {ACCOUNT}, region {REGION})" in played.message, played.message
    # A command stands on a line of its own.
    shown = " ".join(played.message.split())
    for failure in causes[:SHOWN_FAILURES]:
        for part in (str(failure.workloads[0]), failure.error_code, failure.message, failure.remedy):
            assert part in shown, (part, shown)


def _check_verification(played: Played, usual: Usual, after: Facets) -> None:
    """It neither passes what is not there nor misses what is; what it could not read it says."""
    statuses = played.statuses
    if not statuses:
        return
    for workload in played.asked.desired.workloads:
        name = str(workload.key)
        found, normal = statuses[name], usual.statuses[name]
        if all(after.get(key) == usual.goal.get(key) for key in _pieces(workload, usual.goal)):
            wrong = {
                check: status
                for check, status in found.items()
                if status not in (normal.get(check), "unknown", "skipped")
            }
            assert not wrong, f"{name} is as wanted, and verified as {wrong} instead of {normal}"
        elif taken_from(name, usual.goal, after):
            assert found != normal, f"{name} is not as wanted, and verified as if it were"


def _pieces(workload: Workload, goal: Facets) -> list[tuple[str, str]]:
    """What a workload consists of: of a role that others share, the policies that it asks for itself."""
    assert workload.role is not None
    role = workload.role.name
    asked = {spec.arn or spec.name for spec in workload.policies}
    attached = [
        (kind, name)
        for kind, name in goal
        if kind == "attachment"
        and name.split(" ")[0] == role
        and not asked.isdisjoint((name.split(" ")[1], name.rpartition("/")[2]))
    ]
    policies = [("policy", name.split(" ")[1]) for _kind, name in attached]
    return [("association", str(workload.key)), ("role", role), ("trust_policy", role), *attached, *policies]


def _check_changes(run: Run, before: Facets, after: Facets) -> None:
    """The changes that a run lists are those that were made; a failure may have made its own in part."""
    told = {(done.change.target.resource, done.change.target.full_name) for done in run.done}
    # A policy gains in one step, and loses in another one, when what it gives moves: two changes with different ends.
    ends = Counter((done.change.target, done.change.action, str(done.change.after)) for done in run.done)
    assert max(ends.values(), default=0) <= 1, "a change is told twice"
    failed = {(failure.target.resource, failure.target.full_name) for failure in run.failures}
    made = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    # The trust policy of a role comes and goes with it.
    made -= {("trust_policy", name) for kind, name in before.keys() ^ after.keys() if kind == "role"}
    assert not made - told - failed, f"not told: {sorted(made - told - failed)}"
    assert not told - made, f"told, but not made: {sorted(told - made)}"


def differences(found: Facets, wanted: Facets) -> str:
    """What is not as wanted, a line each; empty where all is."""
    keys = sorted(
        key for key in found.keys() | wanted.keys() if not _alike(key[0], found.get(key), wanted.get(key))
    )
    return "\n".join(f"{key}: {found.get(key)} instead of {wanted.get(key)}" for key in keys)


def _alike(kind: str, found: Any, wanted: Any) -> bool:
    """A policy may have come to its content in fewer steps than usual, each of which is a version; never in more."""
    if kind != "policy" or not found or not wanted or len(found["Versions"]) > len(wanted["Versions"]):
        return bool(found == wanted)
    return _in_use(found) == _in_use(wanted)


def _in_use(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {**policy, "DefaultVersionId": "", "Versions": policy["Versions"][policy["DefaultVersionId"]]}
