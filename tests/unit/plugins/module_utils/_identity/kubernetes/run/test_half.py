# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Kubernetes half as a whole: what it asks of the cluster, in which order, and what it hands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPlan,
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    DryRun,
    KubernetesCluster,
    Listing,
    Query,
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    MANAGED_BY_LABELS,
    OWNER_LABEL,
    Object,
    ObjectName,
    ServiceAccount,
    name_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.restarts import (
    RestartSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection import (
    ProbeSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection_checks import (
    InjectionSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
    job_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.half import (
    HalfRun,
    HalfSettings,
    run_half,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)

CHANGED = {"changes": [{"action": "create"}], "state": "present"}
STALE = build.pod(created=build.BEFORE, injected=False)
LONE = build.pod("lone", created=build.BEFORE, injected=False, owner=None)
AGENTS = {"Pod kube-system": build.read([build.agent()])}
FAILURE = {"workload": "shop/api", "resource": "role", "name": "r", "action": "create"}


def manifest(name: str, namespace: str = "shop") -> Object:
    return {"kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": name}}


def holding(*names: str, **more: Any) -> FakeCluster:
    """A cluster with service accounts of ours in namespace shop."""
    accounts = {
        ObjectName("shop", name): {
            "metadata": {"namespace": "shop", "name": name, "labels": MANAGED_BY_LABELS}
        }
        for name in names
    }
    return FakeCluster(accounts=accounts, **more)


# Requests that look for users of the service accounts that would go.
USERS = [
    f"list {kind} shop"
    for kind in ("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob", "Job")
]
NAMESPACE: Object = {"kind": "Namespace", "metadata": {"name": "batch"}}
PLAN = AccountPlan([NAMESPACE, manifest("api")], [manifest("late", "batch")], [manifest("old")])
ACCOUNT = ServiceAccount(build.KEY, dict(MANAGED_BY_LABELS))
THERE = Preflight({build.KEY: ACCOUNT}, {"shop"})


def run(
    cluster: KubernetesCluster,
    preflight: Preflight = THERE,
    clock: FakeClock | None = None,
    result: dict[str, Any] | None = None,
    steps: list[str] | None = None,
    ending: Ending | None = None,
    **settings: Any,
) -> HalfRun:
    given = build.result(build.row()) if result is None else result
    aws = build.parse_aws_result(given, build.CLUSTER)
    on_step = [].append if steps is None else steps.append
    return run_half(cluster, aws, preflight, HalfSettings(**settings), clock or FakeClock(), on_step, ending)


def after_a_change(**more: Any) -> dict[str, Any]:
    return {**CHANGED, "verification": build.result(build.row()), "cluster_arn": build.ARN, **more}


# Apply and remove


APPLYING = "applying 3 objects and removing 1 object"
LOOKING, READING = "looking at the Pods", "reading the service accounts back"


@pytest.mark.parametrize(
    ("plan", "settings", "expected"),
    [
        pytest.param(
            PLAN, {}, ["looking at what is to be removed", APPLYING, READING, LOOKING], id="a change"
        ),
        pytest.param(
            AccountPlan([manifest("api")]),
            {"verify_pods": False},
            ["applying 1 object", READING],
            id="nothing to remove and no Pods to look at",
        ),
        pytest.param(AccountPlan(), {}, [READING, LOOKING], id="no change"),
        pytest.param(
            PLAN,
            {"check_mode": True},
            [
                "looking at what is to be removed",
                "applying 2 objects and removing 1 object by a dry run",
                LOOKING,
            ],
            id="a plan",
        ),
        pytest.param(
            AccountPlan([manifest("api")]),
            {
                "injection": InjectionSettings(ProbeSettings("image", {}, {}), 60),
                "injects": True,
                "restart": RestartSettings(300, 15),
                "proof": ProofSettings("run", "image", 60, {}, {}),
            },
            [
                "applying 1 object",
                READING,
                LOOKING,
                "trying new Pods by a dry run",
                "restarting what has stale Pods",
                "running the proof in Pods",
            ],
            id="everything",
        ),
    ],
)
def test_who_waits_is_told_each_step_as_it_begins(
    plan: AccountPlan, settings: dict[str, Any], expected: list[str]
) -> None:
    steps: list[str] = []
    cluster = holding("old", trials={"api": [DryRun(build.pod())]})
    run(cluster, Preflight(plan=plan), result=after_a_change(), steps=steps, **settings)
    assert steps == expected


def test_who_waits_for_a_teardown_is_told_that_it_removes() -> None:
    steps: list[str] = []
    run(holding("api"), result=after_a_change(state="absent"), steps=steps)
    assert steps[:2] == ["looking at what is to be removed", "removing 1 object"]


def test_applies_purges_and_then_reads_the_pods() -> None:
    cluster = holding("old")
    half = run(cluster, Preflight(plan=PLAN), result=after_a_change())
    assert cluster.log == [
        "list ServiceAccount shop",
        *USERS,
        "apply batch api late",
        "remove old",
        "list ServiceAccount",
        "list Pod shop",
    ]
    assert half.changed
    assert half.outcome.changes == [
        "apply Namespace batch",
        "apply ServiceAccount shop/api",
        "apply ServiceAccount batch/late",
        "remove ServiceAccount shop/old",
    ]
    # What was just made exists.
    assert [check.status for check in half.outcome.checks[build.KEY]] == ["pass", "pass"]
    assert half.diffs == [{"after": name} for name in ("batch", "api", "late", "old")]


def test_nothing_to_do_costs_no_request() -> None:
    cluster = FakeCluster()
    half = run(cluster, verify_pods=False)
    assert (cluster.log, half.changed, half.outcome.changes) == ([], False, [])
    assert [check.name for check in half.outcome.checks[build.KEY]] == ["service account"]


def test_check_mode_asks_for_nothing_in_a_namespace_that_does_not_exist() -> None:
    cluster = holding("old")
    half = run(cluster, Preflight(plan=PLAN), result={**CHANGED}, check_mode=True)
    assert cluster.log == ["list ServiceAccount shop", *USERS, "apply batch api", "remove old"]
    assert half.outcome.changes[2] == "apply ServiceAccount batch/late"


ROLE_CHANGE = {"action": "update", "resource": "role", "workload": "shop/api"}
NEW_ASSOCIATION = {"action": "create", "resource": "association", "workload": "shop/api"}
RESTART = {"restart": RestartSettings(300, 15)}
DEPLOYMENT = build.read([build.owner()])


@pytest.mark.parametrize(
    ("changes", "plan", "settings", "judged", "found"),
    [
        pytest.param([ROLE_CHANGE], AccountPlan(), {}, ["api", "web"], "association a-1 was", id="a role"),
        pytest.param(
            [NEW_ASSOCIATION], AccountPlan(), {}, ["api", "web"], "the association that this", id="a new one"
        ),
        pytest.param(
            [NEW_ASSOCIATION],
            AccountPlan(),
            RESTART,
            ["api", "web"],
            "the association that this",
            id="a new one, and the owner of its Pods is gone",
        ),
        pytest.param(
            [], AccountPlan([manifest("api")]), {}, ["api", "web"], "association a-1 was", id="labels"
        ),
        pytest.param(
            [ROLE_CHANGE],
            AccountPlan([manifest("new")]),
            {},
            ["api", "web"],
            "association a-1 was",
            id="a service account that is not there",
        ),
    ],
)
def test_check_mode_finds_the_pods_that_a_run_would_find(
    changes: list[dict[str, Any]],
    plan: AccountPlan,
    settings: dict[str, Any],
    judged: list[str],
    found: str,
) -> None:
    rows = [
        build.row(),
        build.row("web"),
        *([build.row("new")] if plan == AccountPlan([manifest("new")]) else []),
    ]
    web = WorkloadKey(build.CLUSTER, "shop", "web")
    there = {build.KEY: ServiceAccount(build.KEY), web: ServiceAccount(web)}
    cluster = FakeCluster({**AGENTS, "Pod shop": build.read([STALE])})
    half = run(
        cluster,
        replace(THERE, plan=plan, accounts=there),
        result=after_a_change(changes=changes, verification=build.result(*rows)),
        check_mode=True,
        **settings,
    )
    assert [key.service_account for key in half.outcome.checks] == judged
    stale = [one.message for one in half.outcome.findings if one.code == "POD_BEFORE_ASSOCIATION"]
    assert [found in message for message in stale] == ([True] if found else [])


@pytest.mark.parametrize(
    ("changes", "pods", "lines", "check", "found"),
    [
        pytest.param([], [STALE], ["restart Deployment shop/web"], None, [], id="nothing else to do"),
        pytest.param(
            [NEW_ASSOCIATION], [STALE], ["restart Deployment shop/web"], None, [], id="a new association"
        ),
        pytest.param(
            [NEW_ASSOCIATION],
            [STALE, LONE],
            ["restart Deployment shop/web"],
            ("fail", "1/1"),
            ["POD_BEFORE_ASSOCIATION"],
            id="a Pod without owner beside it",
        ),
        pytest.param(
            [NEW_ASSOCIATION],
            [LONE],
            [],
            ("fail", "1/1"),
            ["POD_BEFORE_ASSOCIATION"],
            id="a Pod without owner alone",
        ),
    ],
)
def test_check_mode_predicts_restarts(
    changes: list[dict[str, Any]],
    pods: list[Object],
    lines: list[str],
    check: tuple[str, str] | None,
    found: list[str],
) -> None:
    cluster = FakeCluster({**AGENTS, "Pod shop": build.read(pods), "Deployment": DEPLOYMENT})
    result = after_a_change(changes=changes, verification=build.result(build.row()))
    half = run(
        cluster,
        replace(THERE, accounts={build.KEY: ServiceAccount(build.KEY)}),
        result=result,
        check_mode=True,
        **RESTART,
    )
    checks = {one.name: (one.status, one.detail) for one in half.outcome.checks[build.KEY]}
    assert (half.outcome.changes, half.changed) == (lines, bool(lines))
    assert checks.get("pods") == check
    assert [finding.code for finding in half.outcome.findings] == found
    assert not any(entry.startswith("patch") for entry in cluster.log)


@pytest.mark.parametrize(
    ("agents", "more", "judged", "found"),
    [
        pytest.param(build.read([build.agent()]), [], True, [], id="an agent"),
        pytest.param(build.read([]), ["list DaemonSet kube-system"], True, ["AGENT_MISSING"], id="no agent"),
        pytest.param(build.refused("pods"), [], True, ["KUBERNETES_NOT_READABLE"], id="agents unread"),
    ],
)
def test_a_plan_looks_for_an_agent_that_is_not_the_add_on(
    agents: Listing, more: list[str], judged: bool, found: list[str]
) -> None:
    missing = {"code": "AGENT_ADDON_MISSING", "severity": "error", "message": "m", "remedy": "r"}
    verification = build.result(build.row(), findings=[{**missing, "workload": ""}])
    cluster = FakeCluster({"Pod kube-system": agents})
    changes = [{"action": "create", "workload": "shop/api"}]
    half = run(cluster, result=after_a_change(changes=changes, verification=verification), check_mode=True)
    assert cluster.log == ["list Pod shop", "list Pod kube-system", *more]
    assert (half.outcome.judges_agent, [one.code for one in half.outcome.findings]) == (judged, found)


@pytest.mark.parametrize(
    ("cluster", "result"),
    [
        (FakeCluster(), after_a_change(failures=[FAILURE])),
        (FakeCluster(refused={"api": "forbidden: no"}), after_a_change()),
    ],
    ids=["AWS refused", "Kubernetes refused"],
)
def test_a_purge_waits_for_a_run_without_failures(cluster: FakeCluster, result: dict[str, Any]) -> None:
    half = run(cluster, Preflight(plan=PLAN), result=result)
    assert "remove old" not in cluster.log
    assert "remove ServiceAccount shop/old" not in half.outcome.changes


def test_an_object_that_kubernetes_refuses_stops_no_other() -> None:
    half = run(FakeCluster(refused={"batch": "no"}), Preflight(plan=PLAN), result=after_a_change())
    assert half.outcome.changes == ["apply ServiceAccount shop/api", "apply ServiceAccount batch/late"]
    assert half.outcome.failures == [
        {
            "workload": "",
            "resource": "Namespace",
            "name": "batch",
            "action": "apply",
            "error_code": "KUBERNETES_REFUSED",
            "message": "Kubernetes returned 403: no.",
            "remedy": "Resolve that and run again, which applies only the rest.",
        }
    ]


def test_an_unlisted_object_that_kubernetes_keeps_is_a_failure() -> None:
    plan = AccountPlan(unlisted=[manifest("old"), manifest("older")])
    half = run(
        holding("old", "older", refused={"older": "no"}), Preflight(plan=plan), result=after_a_change()
    )
    assert half.outcome.changes == ["remove ServiceAccount shop/old"]
    failures = [(one["action"], one["name"], one["workload"]) for one in half.outcome.failures]
    assert failures == [("remove", "shop/older", "shop/older")]


def test_an_end_before_the_result_leaves_the_changes_unknown() -> None:
    cluster = holding("old", broken="gone")
    half = run(cluster, Preflight(plan=PLAN), result=after_a_change())
    assert (half.outcome.changes, half.outcome.error, list(half.outcome.failures)) == ([], "gone", [])
    assert half.outcome.checks[build.KEY][0].status == "fail"


def kept(name: str = "api", **metadata: object) -> Object:
    return {"metadata": {"namespace": "shop", "name": name, **metadata}}


WANTED: Object = {
    "kind": "ServiceAccount",
    "metadata": {"namespace": "shop", "name": "api", "labels": {"a": "1"}},
}
NOT_KEPT = (
    "Find the other process that manages it (its managedFields, Argo CD, Flux, a webhook), and run again."
)


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ([], "the API server accepted it, but it does not exist: another process deletes it."),
        (
            [kept(labels={"a": "2"})],
            "its labels or annotations differ from the applied ones: another process changes it.",
        ),
        (
            [kept(labels={"a": "1"}, deletionTimestamp=build.AFTER)],
            "it is being deleted, and waits for its finalizers.",
        ),
    ],
    ids=["a conflict that was taken for done, or removed", "changed", "on its way out"],
)
def test_what_is_not_there_after_it_was_applied_is_a_failure(after: list[Object], message: str) -> None:
    cluster = FakeCluster({"ServiceAccount": Listing(after)})
    half = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    assert half.outcome.changes == []
    assert half.outcome.failures == [
        {
            "workload": "shop/api",
            "resource": "ServiceAccount",
            "name": "shop/api",
            "action": "apply",
            "error_code": "SERVICE_ACCOUNT_NOT_KEPT",
            "message": message,
            "remedy": NOT_KEPT,
        }
    ]
    # A service account that is being deleted fails its check.
    is_passing = bool(after) and "being deleted" not in message
    assert half.outcome.checks[build.KEY][0].status == ("pass" if is_passing else "fail")


def test_what_is_there_after_it_was_removed_is_a_failure() -> None:
    cluster = holding("api", undone=frozenset({"api"}))
    half = run(cluster, result={"changes": [], "state": "absent"})
    assert half.outcome.changes == []
    assert [(one["action"], one["name"], one["message"]) for one in half.outcome.failures] == [
        ("remove", "shop/api", "it still exists: another process recreates it.")
    ]


def test_what_waits_for_its_finalizers_is_removed() -> None:
    cluster = FakeCluster(
        {"ServiceAccount": Listing([kept(labels=MANAGED_BY_LABELS, deletionTimestamp=build.AFTER)])}
    )
    half = run(cluster, result={"changes": [], "state": "absent"})
    assert (half.outcome.changes, half.outcome.failures) == (["remove ServiceAccount shop/api"], [])


@pytest.mark.parametrize(
    ("labels", "findings"),
    [
        ({}, []),
        ({**MANAGED_BY_LABELS, OWNER_LABEL: "team-b"}, ["SERVICE_ACCOUNT_OTHER_OWNER"]),
    ],
    ids=["made anew by another", "another owner's by now"],
)
def test_what_is_not_ours_any_more_is_not_removed(labels: dict[str, str], findings: list[str]) -> None:
    cluster = FakeCluster({"ServiceAccount": Listing([kept(labels=labels)])})
    half = run(cluster, result={"changes": [], "state": "absent"})
    assert (cluster.log, half.outcome.changes) == (["list ServiceAccount shop"], [])
    assert [finding.code for finding in half.outcome.findings] == findings


def test_what_is_gone_already_is_no_change() -> None:
    cluster = FakeCluster()
    half = run(cluster, result={"changes": [], "state": "absent"})
    assert (cluster.log, half.outcome.changes, half.changed) == (["list ServiceAccount shop"], [], False)


@pytest.mark.parametrize("purge", [False, True])
def test_nothing_is_removed_that_cannot_be_read_before(purge: bool) -> None:
    cluster = FakeCluster({"ServiceAccount": build.refused("serviceaccounts")})
    if purge:
        plan = AccountPlan(unlisted=[manifest("api")])
        half = run(cluster, Preflight(plan=plan), result=after_a_change(), verify_pods=False)
    else:
        half = run(cluster, result={"changes": [], "state": "absent"})
    assert (cluster.log, half.outcome.changes) == (["list ServiceAccount shop"], [])
    assert half.outcome.failures == [
        {
            "workload": "shop/api",
            "resource": "ServiceAccount",
            "name": "shop/api",
            "action": "remove",
            "error_code": "KUBERNETES_REFUSED",
            "message": "it is kept, as it could not be read immediately before: Kubernetes returned 403: "
            'serviceaccounts is forbidden: User "reader" cannot list resource "serviceaccounts" in API group "" at the '
            "cluster scope.",
            "remedy": "Resolve that and run again, which applies only the rest.",
        }
    ]


def test_what_cannot_be_read_after_it_was_applied_is_unknown() -> None:
    cluster = FakeCluster({"ServiceAccount": build.refused("serviceaccounts")})
    half = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    check = half.outcome.checks[build.KEY][0]
    assert check.status == "unknown"
    assert half.outcome.findings[0].message == (
        "the service account could not be read after it was applied, so its state is unknown: serviceaccounts is "
        'forbidden: User "reader" cannot list resource "serviceaccounts" in API group "" at the cluster scope.'
    )
    # The role may run in any playbook.
    assert half.outcome.findings[0].remedy == "Run the verification, which reads it."
    assert half.outcome.findings[0] in check.findings


def test_a_write_whose_answer_was_lost_is_told_by_what_is_there() -> None:
    cluster = FakeCluster({"ServiceAccount": Listing([kept(labels={"a": "1"})])}, broken="reset")
    half = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    assert (half.outcome.error, half.changed) == ("", True)
    assert half.outcome.changes == ["apply ServiceAccount shop/api"]


class Answering(FakeCluster):
    """Refuses the writes of all objects with one error."""

    error = ApiError(0, "reset")

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        return WriteResult(False, dict.fromkeys(range(len(manifests)), self.error))

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        return WriteResult(False, dict.fromkeys(range(len(manifests)), self.error))


@pytest.mark.parametrize(
    ("error", "done"),
    [(ApiError(0, "reset"), True), (ApiError(500, "etcd"), True), (ApiError(403, "no"), False)],
    ids=["no answer", "500", "refused"],
)
def test_the_lost_answer_of_one_object_is_told_by_what_is_there(error: ApiError, done: bool) -> None:
    cluster = Answering({"ServiceAccount": Listing([kept(labels={"a": "1"})])})
    cluster.error = error
    half = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    assert half.changed is done
    assert half.outcome.changes == (["apply ServiceAccount shop/api"] if done else [])
    assert [one["name"] for one in half.outcome.failures] == ([] if done else ["shop/api"])
    assert half.outcome.checks[build.KEY][0].status == "pass"


@pytest.mark.parametrize("there", [True, False])
def test_the_lost_answer_of_a_removal_is_told_by_what_is_there(there: bool) -> None:
    looks = iter([[kept(labels=MANAGED_BY_LABELS)], [kept(labels=MANAGED_BY_LABELS)] if there else []])

    class Going(Answering):
        def list_objects(self, query: Query) -> Listing:
            return Listing(next(looks) if query.kind == "ServiceAccount" else [])

    half = run(Going(), result={"changes": [], "state": "absent"})
    assert half.outcome.changes == ([] if there else ["remove ServiceAccount shop/api"])
    assert [one["message"] for one in half.outcome.failures] == (["reset."] if there else [])


def test_what_a_purge_waited_for_stays_a_failure() -> None:
    cluster = Answering(
        {"ServiceAccount": Listing([kept(labels={"a": "1"}), kept("old", labels=MANAGED_BY_LABELS)])}
    )
    plan = AccountPlan([WANTED], unlisted=[manifest("old")])
    half = run(cluster, Preflight(plan=plan), result=after_a_change())
    assert [one["name"] for one in half.outcome.failures] == ["shop/api"]


def test_a_namespace_that_was_taken_for_made_and_is_not_there_is_no_change() -> None:
    """kubernetes.core takes a conflict (409) for done."""

    class Missing(FakeCluster):
        def apply(self, manifests: Sequence[Object]) -> WriteResult:
            assert len(manifests) == 2
            return WriteResult(True, {1: ApiError(404, 'namespaces "batch" not found')})

    plan = AccountPlan([NAMESPACE], [manifest("late", "batch")])
    half = run(Missing(), Preflight(plan=plan), result=after_a_change())
    assert half.outcome.changes == []
    assert [one["name"] for one in half.outcome.failures] == ["batch/late"]


def test_a_removal_takes_the_service_accounts_of_the_workloads() -> None:
    cluster = holding("api")
    half = run(cluster, result={"changes": [], "state": "absent"})
    assert cluster.log == ["list ServiceAccount shop", *USERS, "remove api", "list ServiceAccount shop"]
    assert half.outcome.changes == ["remove ServiceAccount shop/api"]


def test_a_removal_that_failed_in_aws_is_a_finding() -> None:
    cluster = FakeCluster()
    half = run(cluster, result={"changes": [], "state": "absent", "failures": [FAILURE]})
    assert (cluster.log, half.outcome.changes) == ([], [])
    assert [finding.code for finding in half.outcome.findings] == ["SERVICE_ACCOUNTS_WAIT"]


def test_a_conflict_of_field_managers_names_the_other_and_the_way_out() -> None:
    class Shared(FakeCluster):
        def apply(self, _manifests: Sequence[Object]) -> WriteResult:
            text = 'Apply failed with 1 conflict: conflict with "helm": .metadata.labels.team'
            return WriteResult(refused={0: ApiError(409, text)})

    plan = AccountPlan([manifest("api")])
    (failure,) = run(Shared(), replace(THERE, plan=plan), result=after_a_change()).outcome.failures
    assert failure["message"] == (
        'Kubernetes returned 409: Apply failed with 1 conflict: conflict with "helm": .metadata.labels.team.'
    )
    assert failure["remedy"] == (
        "Have the other field manager leave that field (its own manifests or values), or leave it out of the workload. "
        "pod_identity_force_conflicts: true takes it over."
    )


# Restarts


class Restarting(FakeCluster):
    """Its stale Pods are gone some looks after the restart."""

    def __init__(self, looks: int) -> None:
        super().__init__({**AGENTS, "Pod shop": build.read([STALE]), "Deployment": DEPLOYMENT})
        self.looks = looks

    def list_objects(self, query: Query) -> Listing:
        listing = super().list_objects(query)
        if any(entry.startswith("patch") for entry in self.log) and query.namespace == "shop":
            self.looks -= 1
            if self.looks < 0 and query.kind == "Pod":
                return build.read([build.pod()])
        return listing


RESTART = {"restart": RestartSettings(timeout=10, settle=15)}


def test_stale_pods_are_restarted_and_looked_at_again() -> None:
    cluster, clock = Restarting(looks=2), FakeClock()
    half = run(cluster, clock=clock, **RESTART)
    assert (half.changed, half.restarts.names, half.warnings) == (True, ["Deployment shop/web"], [])
    assert cluster.log.count("patch web") == 1
    assert clock.slept == [2, 2]
    assert half.outcome.findings == []


def test_a_young_association_is_given_time_before() -> None:
    clock = FakeClock()
    row = build.row(association_created_at=build.NOW.isoformat())
    run(Restarting(looks=0), clock=clock, result=build.result(row), **RESTART)
    assert clock.slept == [15]


def test_pods_that_stay_are_findings_and_a_warning() -> None:
    clock = FakeClock()
    half = run(Restarting(looks=99), clock=clock, **RESTART)
    assert half.warnings == [
        "Restarted Deployment shop/web, but stale Pods still exist after 10 seconds. Check kubectl "
        "rollout status and kubectl get events."
    ]
    assert sum(clock.slept) == 8
    assert [finding.code for finding in half.outcome.findings] == ["POD_BEFORE_ASSOCIATION"]


def test_a_restart_that_is_refused_is_a_failure() -> None:
    cluster, clock = Restarting(looks=99), FakeClock()
    cluster.refused = {"web": "deployments are forbidden"}
    half = run(cluster, clock=clock, **RESTART)
    assert half.outcome.failures == [
        {
            "workload": "",
            "resource": "Deployment",
            "name": "shop/web",
            "action": "restart",
            "error_code": "KUBERNETES_REFUSED",
            "message": "Kubernetes returned 403: deployments are forbidden.",
            "remedy": "For a 403, allow it to the caller: docs/iam-permissions.md has the manifests. Then run again.",
        }
    ]
    assert (half.changed, half.outcome.changes, half.restarts.names, clock.slept) == (False, [], [], [])


def test_a_run_that_restarted_something_says_so() -> None:
    assert run(Restarting(looks=0), **RESTART).outcome.changes == ["restart Deployment shop/web"]


@pytest.mark.parametrize(
    ("kind", "listing", "warning"),
    [
        (
            "Deployment",
            build.read([build.owner(paused=True)]),
            "Deployment shop/web not restarted: it is paused. Resume it, then restart it: kubectl rollout resume "
            "deployment/web -n shop",
        ),
        (
            "StatefulSet",
            build.read([build.owner(updateStrategy={"type": "OnDelete"})]),
            "StatefulSet shop/web not restarted: it replaces Pods only when they are deleted (updateStrategy OnDelete). "
            "Delete web-0, web-1 one by one: kubectl delete pod web-0 -n shop",
        ),
        (
            "DaemonSet",
            build.read([build.owner(updateStrategy={"type": "OnDelete"})]),
            "DaemonSet shop/web not restarted: it replaces Pods only when they are deleted (updateStrategy OnDelete). "
            "Delete web-0, web-1 one by one: kubectl delete pod web-0 -n shop",
        ),
        (
            "StatefulSet",
            build.refused("statefulsets"),
            "StatefulSet shop/web not restarted: it could not be read, so it is not known which Pods it would replace: "
            'statefulsets is forbidden: User "reader" cannot list resource "statefulsets" in API group "" at the cluster '
            "scope. Allow the caller of the Kubernetes API to list statefulsets.apps.",
        ),
        ("Deployment", build.read([build.owner(strategy={"type": "Recreate"})]), ""),
    ],
    ids=["paused", "OnDelete", "OnDelete of a DaemonSet", "not readable", "Recreate"],
)
def test_owners_that_would_not_replace_their_pods_are_named(
    kind: str, listing: Listing, warning: str
) -> None:
    stale = [
        build.pod(f"web-{number}", created=build.BEFORE, injected=False, owner=(kind, "web"))
        for number in range(2)
    ]
    cluster, clock = FakeCluster({**AGENTS, "Pod shop": build.read(stale), kind: listing}), FakeClock()
    half = run(cluster, clock=clock, **RESTART)
    assert ("patch web" in cluster.log) is not bool(warning)
    assert (half.warnings == [warning]) is bool(warning)
    if warning:
        assert (half.changed, half.outcome.changes, clock.slept) == (False, [], [])


OF_DB = {"created": build.BEFORE, "injected": False, "owner": ("StatefulSet", "db")}
PARTITIONED = build.owner("StatefulSet", "db", updateStrategy={"rollingUpdate": {"partition": 2}})
HELD = "replaces no Pod with an ordinal below 2 (partition 2). Delete db-0, db-1 one by one: kubectl delete pod db-0 -n shop"


class Partitioned(FakeCluster):
    """A restart replaces only the third Pod."""

    def list_objects(self, query: Query) -> Listing:
        listing = super().list_objects(query)
        if query.kind == "Pod" and query.namespace == "shop" and "patch db" in self.log:
            return build.read([*listing.items[:2], build.pod("db-2", owner=("StatefulSet", "db"))])
        return listing


def partitioned(*new: str) -> Partitioned:
    pods = [build.pod(f"db-{n}", **OF_DB) for n in range(3) if f"db-{n}" not in new]
    pods += [build.pod(name, owner=("StatefulSet", "db")) for name in new]
    return Partitioned({**AGENTS, "Pod shop": build.read(pods), "StatefulSet": build.read([PARTITIONED])})


def test_pods_below_a_partition_are_named_and_the_others_restarted_once() -> None:
    cluster, clock = partitioned(), FakeClock()
    half = run(cluster, clock=clock, **RESTART)
    assert (half.restarts.names, cluster.log.count("patch db")) == (["StatefulSet shop/db"], 1)
    assert half.warnings == [f"Pods db-0, db-1 of StatefulSet shop/db not restarted: it {HELD}"]
    # What the restart does not replace is not waited for.
    assert clock.slept == []
    assert [finding.remedy for finding in half.outcome.findings] == [f"StatefulSet db {HELD}"]


def test_pods_that_are_new_are_not_restarted_because_of_a_partition() -> None:
    cluster, clock = partitioned("db-2"), FakeClock()
    half = run(cluster, clock=clock, **RESTART)
    assert (half.changed, half.restarts.names, "patch db" in cluster.log) == (False, [], False)
    assert half.warnings == [f"StatefulSet shop/db not restarted: it {HELD}"]


def test_only_owners_whose_pods_stay_are_named_after_a_restart() -> None:
    """The rollout of the Deployment is done, that of the StatefulSet is not."""
    pods = [build.pod(f"db-{n}", **OF_DB) for n in range(3)]

    class Stuck(FakeCluster):
        def list_objects(self, query: Query) -> Listing:
            listing = super().list_objects(query)
            if query.kind == "Pod" and query.namespace == "shop" and "patch web db" in self.log:
                # The Pod of the earlier ReplicaSet is terminating.
                going = build.pod(created=build.BEFORE, injected=False, deleted=True)
                return build.read([going, build.pod("web-7f9-a"), *pods])
            return listing

    lists = {
        **AGENTS,
        "Pod shop": build.read([STALE, *pods]),
        "Deployment": DEPLOYMENT,
        "StatefulSet": build.read([build.owner("StatefulSet", "db")]),
    }
    half = run(Stuck(lists), **RESTART)
    assert half.warnings == [
        "Restarted StatefulSet shop/db, but stale Pods still exist after 10 seconds. Check kubectl rollout status "
        "and kubectl get events."
    ]


def test_a_rollout_that_is_stuck_is_not_begun_anew() -> None:
    """Its new Pods find no place (maxUnavailable 0), so that the earlier ones stay."""
    revision = {"deployment.kubernetes.io/revision": "2"}
    lists = {
        **AGENTS,
        "Pod shop": build.read([STALE]),
        "ReplicaSet": build.read(
            [build.replica_set(revision="1"), build.replica_set("web-7f9d", revision="2")]
        ),
        "Deployment": build.read([build.owner(annotations=revision)]),
    }
    cluster, clock = FakeCluster(lists), FakeClock()
    half = run(cluster, clock=clock, **RESTART)
    assert (half.changed, "patch web" in cluster.log, sum(clock.slept)) == (False, False, 8)
    assert half.warnings == [
        "Deployment shop/web not restarted: a rollout that replaces the stale Pods is under way, but stale Pods still exist "
        "after 10 seconds. Check kubectl rollout status and kubectl get events."
    ]
    assert [finding.remedy for finding in half.outcome.findings] == [
        "Deployment web is already rolling out a newer template, which replaces these Pods. To see its progress: kubectl "
        "rollout status deployment/web -n shop"
    ]


def test_pods_that_cannot_be_listed_are_not_taken_to_be_gone() -> None:
    class Blind(Restarting):
        def list_objects(self, query: Query) -> Listing:
            listing = super().list_objects(query)
            patched = any(entry.startswith("patch") for entry in self.log)
            return build.refused("pods") if patched and query.namespace == "shop" else listing

    half = run(Blind(looks=0), **RESTART)
    assert half.warnings[0].startswith(
        "Restarted Deployment shop/web, but stale Pods still exist after 10 seconds"
    )


@pytest.mark.parametrize("settings", [{}, {**RESTART, "check_mode": True}, {**RESTART, "verify_pods": False}])
def test_nothing_is_restarted_unasked(settings: dict[str, Any]) -> None:
    cluster = Restarting(looks=0)
    run(cluster, **settings)
    assert "patch web" not in cluster.log


# The runtime proof

PROOF = {"proof": ProofSettings("r1", "image", 6), "verify_pods": False}
NAME = job_name(build.KEY, "r1")


def answer(text: str) -> dict[str, Any]:
    pod = build.pod("x", owner=None, labels={"job-name": NAME})
    state = {"terminated": {"exitCode": 0, "message": text}}
    return {**pod, "status": {"containerStatuses": [{"name": "proof", "state": state}]}}


ROLE = build.result(build.row(role_arn="arn:aws:iam::111122223333:role/api"))
SESSION = "arn:aws:sts::111122223333:assumed-role/api/x"


def test_the_proof_runs_a_job_and_removes_it() -> None:
    cluster = FakeCluster({"Pod": build.read([answer(SESSION)])})
    half = run(cluster, result=ROLE, **PROOF)
    assert cluster.log == ["version", f"apply {NAME}", "list Pod shop", f"remove {NAME}"]
    assert (half.jobs, half.changed, half.outcome.findings) == (1, False, [])
    assert [check.name for check in half.outcome.checks[build.KEY]] == ["service account", "proof"]


def test_an_answer_that_does_not_come_is_waited_for_with_a_bound() -> None:
    cluster, clock = FakeCluster(), FakeClock()
    half = run(cluster, clock=clock, result=ROLE, **PROOF)
    assert clock.slept == [2, 2]
    assert [finding.code for finding in half.outcome.findings] == ["PROOF_NOT_STARTED"]
    assert cluster.log[-1] == f"remove {NAME}"


def object_failure(resource: str, name: str, action: str, message: str) -> tuple[str, ...]:
    return (resource, name, action, "KUBERNETES_REFUSED", message)


def refusals(half: HalfRun) -> list[tuple[str, ...]]:
    return [
        (row["resource"], row["name"], row["action"], row["error_code"], row["message"])
        for row in half.outcome.failures
    ]


def test_a_job_that_is_refused_is_not_waited_for() -> None:
    cluster, clock = FakeCluster(refused={NAME: "jobs are forbidden"}), FakeClock()
    half = run(cluster, clock=clock, result=ROLE, **PROOF)
    assert clock.slept == []
    # It is not there, so that it cannot be left.
    message = "Kubernetes returned 403: jobs are forbidden."
    assert refusals(half) == [object_failure("Job", f"shop/{NAME}", "create", message)]
    assert half.outcome.failures[0]["workload"] == "shop/api"
    assert half.outcome.checks[build.KEY][-1].status == "unknown"
    assert half.outcome.findings == []


def test_pods_of_a_job_that_may_not_be_listed_are_a_failure() -> None:
    cluster, clock = FakeCluster({"Pod": build.refused("pods")}), FakeClock()
    half = run(cluster, clock=clock, result=ROLE, **PROOF)
    ((resource, name, action, code, message),) = refusals(half)
    assert (resource, name, action, code) == ("Pods of namespace", "shop", "list", "KUBERNETES_REFUSED")
    assert message.startswith('Kubernetes returned 403: pods is forbidden: User "reader" cannot list')
    assert clock.slept == []
    assert half.outcome.checks[build.KEY][-1].status == "unknown"
    assert half.outcome.findings == []


def test_pods_that_could_not_be_listed_once_are_listed_again() -> None:
    class Shaky(FakeCluster):
        def list_objects(self, query: Query) -> Listing:
            listing = super().list_objects(query)
            return (
                Listing(error=ApiError(0, "connection reset"))
                if self.log.count("list Pod shop") == 1
                else listing
            )

    half = run(Shaky({"Pod": build.read([answer(SESSION)])}), result=ROLE, **PROOF)
    assert (refusals(half), half.outcome.checks[build.KEY][-1].status) == ([], "pass")


def test_a_job_that_could_not_be_removed_is_a_failure() -> None:
    class Sticky(FakeCluster):
        def remove(self, _manifests: Sequence[Object]) -> WriteResult:
            return WriteResult(refused={0: ApiError(403, "jobs are not to be deleted")})

    half = run(Sticky({"Pod": build.read([answer(SESSION)])}), result=ROLE, **PROOF)
    message = "Kubernetes returned 403: jobs are not to be deleted."
    assert refusals(half) == [object_failure("Job", f"shop/{NAME}", "remove", message)]
    assert half.outcome.checks[build.KEY][-1].status == "pass"
    assert "300 seconds after its end" in half.outcome.failures[0]["remedy"]


def test_the_job_is_removed_when_the_run_is_interrupted() -> None:
    class Interrupted(FakeCluster):
        def list_objects(self, _query: Query) -> Listing:
            raise KeyboardInterrupt

    cluster = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        run(cluster, result=ROLE, **PROOF)
    assert cluster.log[-1] == f"remove {NAME}"


@dataclass
class Ending:
    """The end of an interrupted run, with what its removal comes to."""

    removed: WriteResult
    log: list[str] = field(default_factory=list)

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        self.log += [f"remove {name_of(manifest)}" for manifest in manifests]
        return self.removed

    def tell(self, text: str) -> None:
        self.log.append(text)


LEFT = (
    "my-cluster: the run was interrupted, and 1 Job of the runtime proof may still exist (shop/{name}): {reason}. Kubernetes "
    "deletes a Job 300 seconds after its end. To delete them now: kubectl delete jobs -n shop -l "
    "workload-identity/proof=r1"
)


@pytest.mark.parametrize("step", ["list", "apply", "remove"])
@pytest.mark.parametrize(
    ("removed", "reason"),
    [
        (WriteResult(changed=True), ""),
        (WriteResult(refused={0: ApiError(403, "jobs are not to be deleted")}), "jobs are not to be deleted"),
        (WriteResult(error=ApiError(0, "no result within 30 seconds")), "no result within 30 seconds"),
    ],
    ids=["removed", "refused", "too slow"],
)
def test_an_interrupted_proof_removes_its_jobs_or_names_them(
    step: str, removed: WriteResult, reason: str
) -> None:
    class Interrupted(FakeCluster):
        def list_objects(self, query: Query) -> Listing:
            if step == "list":
                raise SystemExit(130)
            return build.read([answer(SESSION)]) if query.kind == "Pod" else Listing()

        def apply(self, manifests: Sequence[Object]) -> WriteResult:
            if step == "apply":
                raise SystemExit(130)
            return super().apply(manifests)

        def remove(self, _manifests: Sequence[Object]) -> WriteResult:
            raise SystemExit(130)

    ending = Ending(removed)
    with pytest.raises(SystemExit):
        run(Interrupted(), result=ROLE, ending=ending, **PROOF)
    message = [LEFT.format(name=NAME, reason=reason)] if reason else []
    assert ending.log == [f"remove shop/{NAME}", *message]


def test_where_no_pod_runs_the_proof_is_skipped() -> None:
    cluster = FakeCluster(version={"gitVersion": "v1.33.0+sandbox"})
    half = run(cluster, result=ROLE, **PROOF)
    assert cluster.log == ["version"]
    assert [finding.code for finding in half.outcome.findings] == ["PROOF_SKIPPED"]


def test_a_given_word_replaces_that_of_the_cluster() -> None:
    cluster = FakeCluster({"Pod": build.read([answer(SESSION)])}, version={"gitVersion": "v1.33.0+sandbox"})
    half = run(cluster, result=ROLE, why_no_proof="", **PROOF)
    assert "version" not in cluster.log
    assert half.outcome.findings == []


@pytest.mark.parametrize(
    ("preflight", "check_mode"),
    [(THERE, True), (Preflight({}, {"shop"}), False)],
    ids=["check mode", "no account"],
)
def test_no_job_runs_without_its_service_account_or_in_check_mode(
    preflight: Preflight, check_mode: bool
) -> None:
    cluster = FakeCluster()
    half = run(cluster, preflight, result=ROLE, check_mode=check_mode, **PROOF)
    assert (half.jobs, [entry for entry in cluster.log if NAME in entry]) == (0, [])


# An API that is not proven to be the cluster's

DIFFERS, UNPROVEN = "KUBERNETES_API_DIFFERS", "KUBERNETES_API_UNKNOWN"
PROBED = InjectionSettings(ProbeSettings("aws-cli", {}, {}), timeout=0)
EKS = {"gitVersion": "v1.33.0-eks-1234567"}


def doubted(code: str, *rows: Any) -> dict[str, Any]:
    finding = {
        "code": code,
        "severity": "warning",
        "workload": "",
        "message": "It is another's.",
        "remedy": "Mend.",
    }
    return build.result(*(rows or (build.row(), build.row("web"))), findings=[finding])


@pytest.mark.parametrize("required", [True, False], ids=["verified", "on the user's word"])
@pytest.mark.parametrize("code", [DIFFERS, UNPROVEN])
@pytest.mark.parametrize(
    ("accounts", "pods"),
    [
        (THERE, [build.pod(injected=True)]),
        (THERE, [STALE]),
        (Preflight(), []),
    ],
    ids=["all well there", "a stale Pod there", "nothing there"],
)
def test_what_another_cluster_shows_says_nothing_of_this_one(
    accounts: Preflight, pods: list[Any], code: str, required: bool
) -> None:
    """Neither what is well there nor what is missing. Nobody is asked for what would not count."""
    cluster = FakeCluster({"Pod shop": build.read(pods), **AGENTS}, version=EKS)
    preflight = replace(accounts, server=ApiServer(required=required))
    half = run(cluster, preflight, result=doubted(code), injection=PROBED, proof=PROOF["proof"])
    assert cluster.log == []
    for checks in half.outcome.checks.values():
        assert [(check.name, check.status, [one.code for one in check.findings]) for check in checks] == [
            (name, "unknown", [code]) for name in ("service account", "agent", "pods", "injection", "proof")
        ]
    assert [(finding.code, finding.message) for finding in half.outcome.findings] == [
        (code, "It is another's.")
    ]
    assert half.outcome.judges_agent is False
    assert half.jobs == 0


def test_what_was_not_asked_for_is_not_unknown() -> None:
    half = run(FakeCluster(), result=doubted(DIFFERS, build.row()), verify_pods=False)
    assert [check.name for check in half.outcome.checks[build.KEY]] == ["service account", "agent"]


@pytest.mark.parametrize(
    ("code", "required", "restarted"),
    [(DIFFERS, False, True), (UNPROVEN, False, True), (DIFFERS, True, False), (UNPROVEN, True, False)],
)
def test_only_on_the_users_word_is_anything_restarted_there(
    code: str, required: bool, restarted: bool
) -> None:
    """The checks stay unknown all the same."""
    preflight = replace(THERE, server=ApiServer(required=required))
    cluster = FakeCluster({"Pod shop": build.read([STALE]), "Deployment": DEPLOYMENT, **AGENTS})
    half = run(cluster, preflight, result=doubted(code, build.row()), restart=RestartSettings())
    assert any(line.startswith("patch") for line in cluster.log) is restarted
    assert half.changed is restarted
    assert {check.status for check in half.outcome.checks[build.KEY]} == {"unknown"}


UNPROVEN_SERVER = (
    "the Kubernetes API of the kubeconfig is not proven to be that of the cluster, as the findings say."
)


@pytest.mark.parametrize(
    ("required", "asked", "left_out"),
    [
        (True, {"restart": RestartSettings()}, "No Pod was restarted"),
        (True, PROOF, "No proof was run"),
        (True, {"restart": RestartSettings(), **PROOF}, "No Pod was restarted and no proof was run"),
        (False, {"restart": RestartSettings(), **PROOF}, "No proof was run"),
        (False, {"restart": RestartSettings()}, ""),
        (True, {}, ""),
        (True, {"check_mode": True, **PROOF}, ""),
    ],
)
def test_what_was_asked_for_and_is_left_out_there_is_said(
    required: bool, asked: dict[str, Any], left_out: str
) -> None:
    preflight = replace(THERE, server=ApiServer(required=required))
    half = run(FakeCluster(AGENTS), preflight, result=doubted(UNPROVEN, build.row()), **asked)
    assert list(half.warnings) == ([f"{left_out}: {UNPROVEN_SERVER}"] if left_out else [])
