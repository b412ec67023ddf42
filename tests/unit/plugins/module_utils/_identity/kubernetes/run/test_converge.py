# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the Kubernetes part of the role as a whole: its requests, their order, and its result."""

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
    object_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection import (
    InjectionSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
    job_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesRun,
    KubernetesSettings,
    converge_kubernetes,
)
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
    """Return a cluster with these service accounts in the namespace shop, which the collection manages."""
    accounts = {
        ObjectName("shop", name): {
            "metadata": {"namespace": "shop", "name": name, "labels": MANAGED_BY_LABELS}
        }
        for name in names
    }
    return FakeCluster(accounts=accounts, **more)


# The requests that look for objects that use a service account, before it is deleted.
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
) -> KubernetesRun:
    aws_rows = build.result(build.row()) if result is None else result
    aws = build.parse_aws_result(aws_rows, build.CLUSTER)
    on_step = [].append if steps is None else steps.append
    return converge_kubernetes(
        cluster, aws, preflight, KubernetesSettings(**settings), clock or FakeClock(), on_step, ending
    )


def after_a_change(**more: Any) -> dict[str, Any]:
    return {**CHANGED, "verification": build.result(build.row()), "cluster_arn": build.ARN, **more}


# Tests of writes: apply and delete


APPLYING = "applying 3 objects and removing 1 object"
LOOKING, READING = "reading the Pods", "reading back the service accounts"


@pytest.mark.parametrize(
    ("plan", "settings", "expected"),
    [
        pytest.param(PLAN, {}, ["reading the objects to delete", APPLYING, READING, LOOKING], id="changes"),
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
                "reading the objects to delete",
                "applying 2 objects and removing 1 object in a dry run",
                LOOKING,
            ],
            id="check mode",
        ),
        pytest.param(
            AccountPlan([manifest("api")]),
            {
                "injection": InjectionSettings("image"),
                "restart": 300,
                "proof": ProofSettings("run", "image", 60),
            },
            [
                "applying 1 object",
                READING,
                LOOKING,
                "probing new Pods with a dry run",
                "restarting the owners of stale Pods",
                "running the proof in Pods",
            ],
            id="all steps",
        ),
    ],
)
def test_progress_of_a_converge(plan: AccountPlan, settings: dict[str, Any], expected: list[str]) -> None:
    steps: list[str] = []
    cluster = holding("old", trials={"api": [DryRun(build.pod())]})
    run(cluster, Preflight(plan=plan), result=after_a_change(), steps=steps, **settings)
    assert steps == expected


def test_progress_of_a_teardown() -> None:
    steps: list[str] = []
    run(holding("api"), result=after_a_change(state="absent"), steps=steps)
    assert steps[:2] == ["reading the objects to delete", "removing 1 object"]


def test_apply_then_purge_then_read_pods() -> None:
    cluster = holding("old")
    kube_run = run(cluster, Preflight(plan=PLAN), result=after_a_change())
    assert cluster.log == [
        "list ServiceAccount shop",
        *USERS,
        "apply batch api late",
        "remove old",
        "list ServiceAccount",
        "list Pod shop",
    ]
    assert kube_run.changed
    assert kube_run.outcome.changes == [
        "apply Namespace batch",
        "apply ServiceAccount shop/api",
        "apply ServiceAccount batch/late",
        "remove ServiceAccount shop/old",
    ]
    # The objects exist, because the run has just created them.
    assert [check.status for check in kube_run.outcome.checks[build.KEY]] == ["pass", "pass"]
    assert kube_run.diffs == [{"after": name} for name in ("batch", "api", "late", "old")]


def test_empty_plan_sends_no_request() -> None:
    cluster = FakeCluster()
    kube_run = run(cluster, verify_pods=False)
    assert (cluster.log, kube_run.changed, kube_run.outcome.changes) == ([], False, [])
    assert [check.name for check in kube_run.outcome.checks[build.KEY]] == ["service account"]


def test_check_mode_skips_objects_in_new_namespaces() -> None:
    cluster = holding("old")
    kube_run = run(cluster, Preflight(plan=PLAN), result={**CHANGED}, check_mode=True)
    assert cluster.log == ["list ServiceAccount shop", *USERS, "apply batch api", "remove old"]
    assert kube_run.outcome.changes[2] == "apply ServiceAccount batch/late"


ROLE_CHANGE = {"action": "update", "resource": "role", "workload": "shop/api"}
NEW_ASSOCIATION = {"action": "create", "resource": "association", "workload": "shop/api"}
RESTART = {"restart": 300}
DEPLOYMENT = build.read([build.owner()])


@pytest.mark.parametrize(
    ("changes", "plan", "settings", "judged", "found"),
    [
        pytest.param(
            [ROLE_CHANGE], AccountPlan(), {}, ["api", "web"], "association a-1 was", id="changed role"
        ),
        pytest.param(
            [NEW_ASSOCIATION],
            AccountPlan(),
            {},
            ["api", "web"],
            "the association that this",
            id="new association",
        ),
        pytest.param(
            [NEW_ASSOCIATION],
            AccountPlan(),
            RESTART,
            ["api", "web"],
            "the association that this",
            id="new association, deleted owner of the Pods",
        ),
        pytest.param(
            [],
            AccountPlan([manifest("api")]),
            {},
            ["api", "web"],
            "association a-1 was",
            id="changed service account",
        ),
        pytest.param(
            [ROLE_CHANGE],
            AccountPlan([manifest("new")]),
            {},
            ["api", "web"],
            "association a-1 was",
            id="new service account",
        ),
    ],
)
def test_check_mode_reports_stale_pods(
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
    present = {build.KEY: ServiceAccount(build.KEY), web: ServiceAccount(web)}
    cluster = FakeCluster({**AGENTS, "Pod shop": build.read([STALE])})
    kube_run = run(
        cluster,
        replace(THERE, plan=plan, accounts=present),
        result=after_a_change(changes=changes, verification=build.result(*rows)),
        check_mode=True,
        **settings,
    )
    assert [key.service_account for key in kube_run.outcome.checks] == judged
    stale = [
        failure.message for failure in kube_run.outcome.findings if failure.code == "POD_BEFORE_ASSOCIATION"
    ]
    assert [found in message for message in stale] == ([True] if found else [])


@pytest.mark.parametrize(
    ("changes", "pods", "lines", "check", "found"),
    [
        pytest.param([], [STALE], ["restart Deployment shop/web"], None, [], id="no other change"),
        pytest.param(
            [NEW_ASSOCIATION], [STALE], ["restart Deployment shop/web"], None, [], id="a new association"
        ),
        pytest.param(
            [NEW_ASSOCIATION],
            [STALE, LONE],
            ["restart Deployment shop/web"],
            ("fail", "1/1"),
            ["POD_BEFORE_ASSOCIATION"],
            id="new association, and a Pod without owner",
        ),
        pytest.param(
            [NEW_ASSOCIATION],
            [LONE],
            [],
            ("fail", "1/1"),
            ["POD_BEFORE_ASSOCIATION"],
            id="only a Pod without owner",
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
    kube_run = run(
        cluster,
        replace(THERE, accounts={build.KEY: ServiceAccount(build.KEY)}),
        result=result,
        check_mode=True,
        **RESTART,
    )
    checks = {
        failure.name: (failure.status, failure.detail) for failure in kube_run.outcome.checks[build.KEY]
    }
    assert (kube_run.outcome.changes, kube_run.changed) == (lines, bool(lines))
    assert checks.get("pods") == check
    assert [finding.code for finding in kube_run.outcome.findings] == found
    assert not any(entry.startswith("patch") for entry in cluster.log)


@pytest.mark.parametrize(
    ("agents", "more", "judged", "found"),
    [
        pytest.param(build.read([build.agent()]), [], True, [], id="an agent"),
        pytest.param(build.read([]), ["list DaemonSet kube-system"], True, ["AGENT_MISSING"], id="no agent"),
        pytest.param(
            build.refused("pods"), [], True, ["KUBERNETES_NOT_READABLE"], id="agents cannot be read"
        ),
    ],
)
def test_check_mode_finds_agent_without_addon(
    agents: Listing, more: list[str], judged: bool, found: list[str]
) -> None:
    missing = {"code": "AGENT_MISSING", "severity": "error", "message": "m", "remedy": "r"}
    verification = build.result(build.row(), findings=[{**missing, "workload": ""}])
    cluster = FakeCluster({"Pod kube-system": agents})
    changes = [{"action": "create", "workload": "shop/api"}]
    kube_run = run(
        cluster, result=after_a_change(changes=changes, verification=verification), check_mode=True
    )
    assert cluster.log == ["list Pod shop", "list Pod kube-system", *more]
    assert (kube_run.outcome.judges_agent, [failure.code for failure in kube_run.outcome.findings]) == (
        judged,
        found,
    )


@pytest.mark.parametrize(
    ("resource", "name", "found"),
    [
        ("addon", "eks-pod-identity-agent", []),
        ("addon", "aws-ebs-csi-driver", ["AGENT_MISSING"]),
        ("association", "shop/api", ["AGENT_MISSING"]),
    ],
)
def test_check_mode_does_not_miss_an_agent_that_the_run_would_install(
    resource: str, name: str, found: list[str]
) -> None:
    cluster = FakeCluster({"Pod kube-system": build.read([]), "Pod shop": build.read([build.pod()])})
    changes = [{"action": "create", "resource": resource, "name": name, "workload": "shop/api"}]
    kube_run = run(
        cluster,
        result=after_a_change(changes=changes, verification=build.result(build.row())),
        check_mode=True,
    )
    assert [finding.code for finding in kube_run.outcome.findings if "AGENT" in finding.code] == found


@pytest.mark.parametrize(
    ("cluster", "result"),
    [
        (FakeCluster(), after_a_change(failures=[FAILURE])),
        (FakeCluster(refused={"api": "forbidden: no"}), after_a_change()),
    ],
    ids=["AWS rejected", "Kubernetes rejected"],
)
def test_purge_waits_for_a_run_without_failures(cluster: FakeCluster, result: dict[str, Any]) -> None:
    kube_run = run(cluster, Preflight(plan=PLAN), result=result)
    assert "remove old" not in cluster.log
    assert "remove ServiceAccount shop/old" not in kube_run.outcome.changes


def test_other_objects_are_applied_after_a_rejection() -> None:
    kube_run = run(FakeCluster(refused={"batch": "no"}), Preflight(plan=PLAN), result=after_a_change())
    assert kube_run.outcome.changes == ["apply ServiceAccount shop/api", "apply ServiceAccount batch/late"]
    assert kube_run.outcome.failures == [
        {
            "workload": "",
            "resource": "Namespace",
            "name": "batch",
            "action": "apply",
            "error_code": "KUBERNETES_REFUSED",
            "message": "Kubernetes returned 403: no.",
            "remedy": "Resolve the cause and run again, which applies only the remaining changes.",
        }
    ]


def test_rejected_purge_is_a_failure() -> None:
    plan = AccountPlan(removed=[manifest("old"), manifest("older")])
    kube_run = run(
        holding("old", "older", refused={"older": "no"}), Preflight(plan=plan), result=after_a_change()
    )
    assert kube_run.outcome.changes == ["remove ServiceAccount shop/old"]
    failures = [
        (failure["action"], failure["name"], failure["workload"]) for failure in kube_run.outcome.failures
    ]
    assert failures == [("remove", "shop/older", "shop/older")]


def test_write_without_result_has_no_changes() -> None:
    cluster = holding("old", broken="gone")
    kube_run = run(cluster, Preflight(plan=PLAN), result=after_a_change())
    assert (kube_run.outcome.changes, kube_run.outcome.error, list(kube_run.outcome.failures)) == (
        [],
        "gone",
        [],
    )
    assert kube_run.outcome.checks[build.KEY][0].status == "fail"


def service_account(name: str = "api", **metadata: object) -> Object:
    return {"metadata": {"namespace": "shop", "name": name, **metadata}}


WANTED: Object = {
    "kind": "ServiceAccount",
    "metadata": {"namespace": "shop", "name": "api", "labels": {"a": "1"}},
}
NOT_KEPT = (
    "Find the process that changes the service account: check Argo CD, Flux, the webhooks and the managedFields of the "
    "service account. "
    "Then run again."
)


@pytest.mark.parametrize(
    ("items", "status"),
    [
        ([], "fail"),
        ([service_account(labels={"a": "2"})], "pass"),
        ([service_account(labels={"a": "1"}, deletionTimestamp=build.AFTER)], "fail"),
    ],
    ids=["a conflict that counts as success, or deleted", "changed", "terminating"],
)
def test_lost_apply_is_a_failure(items: list[Object], status: str) -> None:
    cluster = FakeCluster({"ServiceAccount": Listing(items)})
    kube_run = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    assert kube_run.outcome.changes == []
    assert kube_run.outcome.failures == [
        {
            "workload": "shop/api",
            "resource": "ServiceAccount",
            "name": "shop/api",
            "action": "apply",
            "error_code": "SERVICE_ACCOUNT_NOT_KEPT",
            "message": "it is missing, is being deleted, or its labels and annotations differ from the applied ones: another "
            "process changes it.",
            "remedy": NOT_KEPT,
        }
    ]
    assert kube_run.outcome.checks[build.KEY][0].status == status


def test_undeleted_service_account_is_a_failure() -> None:
    cluster = holding("api", undone=frozenset({"api"}))
    kube_run = run(cluster, result={"changes": [], "state": "absent"})
    assert kube_run.outcome.changes == []
    assert [
        (failure["action"], failure["name"], failure["message"]) for failure in kube_run.outcome.failures
    ] == [("remove", "shop/api", "it still exists: another process recreates it.")]


def test_terminating_service_account_counts_as_deleted() -> None:
    cluster = FakeCluster(
        {
            "ServiceAccount": Listing(
                [service_account(labels=MANAGED_BY_LABELS, deletionTimestamp=build.AFTER)]
            )
        }
    )
    kube_run = run(cluster, result={"changes": [], "state": "absent"})
    assert (kube_run.outcome.changes, kube_run.outcome.failures) == (["remove ServiceAccount shop/api"], [])


@pytest.mark.parametrize(
    ("labels", "findings"),
    [
        ({}, []),
        ({**MANAGED_BY_LABELS, OWNER_LABEL: "team-b"}, ["SERVICE_ACCOUNT_OTHER_OWNER"]),
    ],
    ids=["recreated by another tool", "taken over by another owner"],
)
def test_service_account_without_our_label_is_kept(labels: dict[str, str], findings: list[str]) -> None:
    cluster = FakeCluster({"ServiceAccount": Listing([service_account(labels=labels)])})
    kube_run = run(cluster, result={"changes": [], "state": "absent"})
    assert (cluster.log, kube_run.outcome.changes) == (["list ServiceAccount shop"], [])
    assert [finding.code for finding in kube_run.outcome.findings] == findings


def test_missing_service_account_is_no_change() -> None:
    cluster = FakeCluster()
    kube_run = run(cluster, result={"changes": [], "state": "absent"})
    assert (cluster.log, kube_run.outcome.changes, kube_run.changed) == (
        ["list ServiceAccount shop"],
        [],
        False,
    )


@pytest.mark.parametrize("purge", [False, True])
def test_failed_recheck_keeps_service_account(purge: bool) -> None:
    cluster = FakeCluster({"ServiceAccount": build.refused("serviceaccounts")})
    if purge:
        plan = AccountPlan(removed=[manifest("api")])
        kube_run = run(cluster, Preflight(plan=plan), result=after_a_change(), verify_pods=False)
    else:
        kube_run = run(cluster, result={"changes": [], "state": "absent"})
    assert (cluster.log, kube_run.outcome.changes) == (["list ServiceAccount shop"], [])
    assert kube_run.outcome.failures == [
        {
            "workload": "shop/api",
            "resource": "ServiceAccount",
            "name": "shop/api",
            "action": "remove",
            "error_code": "KUBERNETES_REFUSED",
            "message": "it is kept, as it could not be read again before the change: Kubernetes returned 403: "
            'serviceaccounts is forbidden: User "reader" cannot list resource "serviceaccounts" in API group "" at the '
            "cluster scope.",
            "remedy": "Resolve the cause and run again, which applies only the remaining changes.",
        }
    ]


def test_failed_read_back_is_unknown() -> None:
    cluster = FakeCluster({"ServiceAccount": build.refused("serviceaccounts")})
    kube_run = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    check = kube_run.outcome.checks[build.KEY][0]
    assert check.status == "unknown"
    assert kube_run.outcome.findings[0].message == (
        "the service account could not be read after the writes, so its state is unknown: serviceaccounts is "
        'forbidden: User "reader" cannot list resource "serviceaccounts" in API group "" at the cluster scope.'
    )
    # The remedy does not name a playbook, because the role may be part of any playbook.
    assert kube_run.outcome.findings[0].remedy == "Run the verification, which reads it."
    assert kube_run.outcome.findings[0] in check.findings


def test_lost_response_is_resolved_by_read_back() -> None:
    cluster = FakeCluster({"ServiceAccount": Listing([service_account(labels={"a": "1"})])}, broken="reset")
    kube_run = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    assert (kube_run.outcome.error, kube_run.changed) == ("", True)
    assert kube_run.outcome.changes == ["apply ServiceAccount shop/api"]


class Answering(FakeCluster):
    """A cluster that rejects every write with the same error."""

    error = ApiError(0, "reset")

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        return WriteResult(False, dict.fromkeys(range(len(manifests)), self.error))

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        return WriteResult(False, dict.fromkeys(range(len(manifests)), self.error))


@pytest.mark.parametrize(
    ("error", "done"),
    [(ApiError(0, "reset"), True), (ApiError(500, "etcd"), True), (ApiError(403, "no"), False)],
    ids=["no response", "500", "rejected"],
)
def test_lost_response_of_one_object_is_resolved_by_read_back(error: ApiError, done: bool) -> None:
    cluster = Answering({"ServiceAccount": Listing([service_account(labels={"a": "1"})])})
    cluster.error = error
    kube_run = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    assert kube_run.changed is done
    assert kube_run.outcome.changes == (["apply ServiceAccount shop/api"] if done else [])
    assert [failure["name"] for failure in kube_run.outcome.failures] == ([] if done else ["shop/api"])
    assert kube_run.outcome.checks[build.KEY][0].status == "pass"


@pytest.mark.parametrize("present", [True, False])
def test_lost_response_of_a_deletion_is_resolved_by_read_back(present: bool) -> None:
    looks = iter(
        [
            [service_account(labels=MANAGED_BY_LABELS)],
            [service_account(labels=MANAGED_BY_LABELS)] if present else [],
        ]
    )

    class Going(Answering):
        def list_objects(self, query: Query) -> Listing:
            return Listing(next(looks) if query.kind == "ServiceAccount" else [])

    kube_run = run(Going(), result={"changes": [], "state": "absent"})
    assert kube_run.outcome.changes == ([] if present else ["remove ServiceAccount shop/api"])
    assert [failure["message"] for failure in kube_run.outcome.failures] == (["reset."] if present else [])


def test_error_before_a_purge_is_a_failure() -> None:
    cluster = Answering(
        {
            "ServiceAccount": Listing(
                [service_account(labels={"a": "1"}), service_account("old", labels=MANAGED_BY_LABELS)]
            )
        }
    )
    plan = AccountPlan([WANTED], removed=[manifest("old")])
    kube_run = run(cluster, Preflight(plan=plan), result=after_a_change())
    assert [failure["name"] for failure in kube_run.outcome.failures] == ["shop/api"]


def test_namespace_with_rejected_service_accounts_is_no_change() -> None:
    """Check that a namespace without successful writes is not reported as created: kubernetes.core treats a conflict (409) as
    success."""

    class Missing(FakeCluster):
        def apply(self, manifests: Sequence[Object]) -> WriteResult:
            assert len(manifests) == 2
            return WriteResult(True, {1: ApiError(404, 'namespaces "batch" not found')})

    plan = AccountPlan([NAMESPACE], [manifest("late", "batch")])
    kube_run = run(Missing(), Preflight(plan=plan), result=after_a_change())
    assert kube_run.outcome.changes == []
    assert [failure["name"] for failure in kube_run.outcome.failures] == ["batch/late"]


def test_removal_deletes_service_accounts_of_workloads() -> None:
    cluster = holding("api")
    kube_run = run(cluster, result={"changes": [], "state": "absent"})
    assert cluster.log == ["list ServiceAccount shop", *USERS, "remove api", "list ServiceAccount shop"]
    assert kube_run.outcome.changes == ["remove ServiceAccount shop/api"]


def test_failed_aws_removal_is_a_finding() -> None:
    cluster = FakeCluster()
    kube_run = run(cluster, result={"changes": [], "state": "absent", "failures": [FAILURE]})
    assert (cluster.log, kube_run.outcome.changes) == ([], [])
    assert [finding.code for finding in kube_run.outcome.findings] == ["SERVICE_ACCOUNT_KEPT"]


def test_field_manager_conflict_has_its_remedy() -> None:
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
        "Remove each conflicting field from the manifests of the other field manager, or from the workload. With "
        "pod_identity_force: true, the run sets it anyway."
    )


# Tests of restarts


class Restarting(FakeCluster):
    """A cluster in which a restart takes a while: ``looks`` reads still return the stale Pods."""

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


RESTART = {"restart": 10}


def test_restarted_pods_are_verified() -> None:
    cluster, clock = Restarting(looks=2), FakeClock()
    kube_run = run(cluster, clock=clock, **RESTART)
    assert (kube_run.changed, kube_run.restarts.names, kube_run.warnings) == (
        True,
        ["Deployment shop/web"],
        [],
    )
    assert cluster.log.count("patch web") == 1
    assert clock.slept == [2, 2]
    assert kube_run.outcome.findings == []


def test_restart_waits_for_association_age() -> None:
    clock = FakeClock()
    row = build.row(association_created_at=build.NOW.isoformat())
    run(Restarting(looks=0), clock=clock, result=build.result(row), **RESTART)
    assert clock.slept == [15]


def test_remaining_stale_pods_are_findings_and_a_warning() -> None:
    clock = FakeClock()
    kube_run = run(Restarting(looks=99), clock=clock, **RESTART)
    assert kube_run.warnings == [
        "Restarted Deployment shop/web, but stale Pods still exist after 10 seconds. Check kubectl "
        "rollout status and kubectl get events."
    ]
    assert sum(clock.slept) == 8
    assert [finding.code for finding in kube_run.outcome.findings] == ["POD_BEFORE_ASSOCIATION"]


def test_rejected_restart_is_a_failure() -> None:
    cluster, clock = Restarting(looks=99), FakeClock()
    cluster.refused = {"web": "deployments are forbidden"}
    kube_run = run(cluster, clock=clock, **RESTART)
    assert kube_run.outcome.failures == [
        {
            "workload": "",
            "resource": "Deployment",
            "name": "shop/web",
            "action": "restart",
            "error_code": "KUBERNETES_REFUSED",
            "message": "Kubernetes returned 403: deployments are forbidden.",
            "remedy": "For a 403, grant the caller that permission: docs/iam-permissions.md has the manifests. Then run again.",
        }
    ]
    assert (kube_run.changed, kube_run.outcome.changes, kube_run.restarts.names, clock.slept) == (
        False,
        [],
        [],
        [],
    )


def test_restart_is_a_change() -> None:
    assert run(Restarting(looks=0), **RESTART).outcome.changes == ["restart Deployment shop/web"]


@pytest.mark.parametrize(
    ("kind", "listing", "warning"),
    [
        (
            "Deployment",
            build.read([build.owner(paused=True)]),
            "Deployment shop/web not restarted: it is paused. Resume it before you restart it: kubectl rollout resume "
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
            "StatefulSet shop/web not restarted: it could not be read, so the Pods that a restart would "
            "replace are unknown: "
            'statefulsets is forbidden: User "reader" cannot list resource "statefulsets" in API group "" at the cluster '
            "scope. Allow the caller of the Kubernetes API to list statefulsets.apps.",
        ),
        ("Deployment", build.read([build.owner(strategy={"type": "Recreate"})]), ""),
    ],
    ids=["paused", "OnDelete", "OnDelete of a DaemonSet", "owner cannot be read", "Recreate"],
)
def test_blocked_owners_are_warnings(kind: str, listing: Listing, warning: str) -> None:
    stale = [
        build.pod(f"web-{number}", created=build.BEFORE, injected=False, owner=(kind, "web"))
        for number in range(2)
    ]
    cluster, clock = FakeCluster({**AGENTS, "Pod shop": build.read(stale), kind: listing}), FakeClock()
    kube_run = run(cluster, clock=clock, **RESTART)
    assert ("patch web" in cluster.log) is not bool(warning)
    assert (kube_run.warnings == [warning]) is bool(warning)
    if warning:
        assert (kube_run.changed, kube_run.outcome.changes, clock.slept) == (False, [], [])


OF_DB = {"created": build.BEFORE, "injected": False, "owner": ("StatefulSet", "db")}
PARTITIONED = build.owner("StatefulSet", "db", updateStrategy={"rollingUpdate": {"partition": 2}})
HELD = "replaces no Pod with an ordinal below 2 (partition 2). Delete db-0, db-1 one by one: kubectl delete pod db-0 -n shop"


class Partitioned(FakeCluster):
    """A cluster with a StatefulSet of which a restart replaces only the third Pod."""

    def list_objects(self, query: Query) -> Listing:
        listing = super().list_objects(query)
        if query.kind == "Pod" and query.namespace == "shop" and "patch db" in self.log:
            return build.read([*listing.items[:2], build.pod("db-2", owner=("StatefulSet", "db"))])
        return listing


def partitioned(*new: str) -> Partitioned:
    pods = [build.pod(f"db-{n}", **OF_DB) for n in range(3) if f"db-{n}" not in new]
    pods += [build.pod(name, owner=("StatefulSet", "db")) for name in new]
    return Partitioned({**AGENTS, "Pod shop": build.read(pods), "StatefulSet": build.read([PARTITIONED])})


def test_pods_below_partition_are_a_warning() -> None:
    cluster, clock = partitioned(), FakeClock()
    kube_run = run(cluster, clock=clock, **RESTART)
    assert (kube_run.restarts.names, cluster.log.count("patch db")) == (["StatefulSet shop/db"], 1)
    assert kube_run.warnings == [f"Pods db-0, db-1 of StatefulSet shop/db not restarted: it {HELD}"]
    # The run does not wait for Pods that a restart does not replace.
    assert clock.slept == []
    assert [finding.remedy for finding in kube_run.outcome.findings] == [f"StatefulSet db {HELD}"]


def test_partition_does_not_restart_new_pods() -> None:
    cluster, clock = partitioned("db-2"), FakeClock()
    kube_run = run(cluster, clock=clock, **RESTART)
    assert (kube_run.changed, kube_run.restarts.names, "patch db" in cluster.log) == (False, [], False)
    assert kube_run.warnings == [f"StatefulSet shop/db not restarted: it {HELD}"]


def test_warning_names_only_owners_with_stale_pods() -> None:
    """Let the rollout of the Deployment complete, but not the rollout of the StatefulSet."""
    pods = [build.pod(f"db-{n}", **OF_DB) for n in range(3)]

    class Stuck(FakeCluster):
        def list_objects(self, query: Query) -> Listing:
            listing = super().list_objects(query)
            if query.kind == "Pod" and query.namespace == "shop" and "patch web db" in self.log:
                # The Pod that the restart has replaced is still terminating.
                terminating = build.pod(created=build.BEFORE, injected=False, deleted=True)
                return build.read([terminating, build.pod("web-7f9-a"), *pods])
            return listing

    lists = {
        **AGENTS,
        "Pod shop": build.read([STALE, *pods]),
        "Deployment": DEPLOYMENT,
        "StatefulSet": build.read([build.owner("StatefulSet", "db")]),
    }
    kube_run = run(Stuck(lists), **RESTART)
    assert kube_run.warnings == [
        "Restarted StatefulSet shop/db, but stale Pods still exist after 10 seconds. Check kubectl rollout status "
        "and kubectl get events."
    ]


def test_stuck_rollout_is_not_restarted() -> None:
    """Simulate a stuck rollout: the new Pods cannot be scheduled, and the earlier Pods remain because maxUnavailable is 0."""
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
    kube_run = run(cluster, clock=clock, **RESTART)
    assert (kube_run.changed, "patch web" in cluster.log, sum(clock.slept)) == (False, False, 8)
    assert kube_run.warnings == [
        "Deployment shop/web not restarted: a rollout that replaces the stale Pods is under way, but stale Pods still exist "
        "after 10 seconds. Check kubectl rollout status and kubectl get events."
    ]
    assert [finding.remedy for finding in kube_run.outcome.findings] == [
        "Deployment web is already rolling out a newer template, which replaces these Pods. To see its progress: kubectl "
        "rollout status deployment/web -n shop"
    ]


def test_failed_pod_list_keeps_waiting() -> None:
    class Blind(Restarting):
        def list_objects(self, query: Query) -> Listing:
            listing = super().list_objects(query)
            patched = any(entry.startswith("patch") for entry in self.log)
            return build.refused("pods") if patched and query.namespace == "shop" else listing

    kube_run = run(Blind(looks=0), **RESTART)
    assert kube_run.warnings == [
        "Restarted Deployment shop/web, but stale Pods may still exist, as the Pods could not be read. Check kubectl rollout "
        "status and kubectl get events."
    ]


@pytest.mark.parametrize("settings", [{}, {**RESTART, "check_mode": True}, {**RESTART, "verify_pods": False}])
def test_no_restart_by_default(settings: dict[str, Any]) -> None:
    cluster = Restarting(looks=0)
    run(cluster, **settings)
    assert "patch web" not in cluster.log


# Tests of the runtime proof

PROOF = {"proof": ProofSettings("r1", "image", 6), "verify_pods": False}
NAME = job_name(build.KEY, "r1")


def answer(text: str) -> dict[str, Any]:
    pod = build.pod("x", owner=None, labels={"job-name": NAME})
    state = {"terminated": {"exitCode": 0, "message": text}}
    return {**pod, "status": {"containerStatuses": [{"name": "proof", "state": state}]}}


ROLE = build.result(build.row(role_arn="arn:aws:iam::111122223333:role/api"))
SESSION = "arn:aws:sts::111122223333:assumed-role/api/x"


def test_proof_runs_and_deletes_its_job() -> None:
    cluster = FakeCluster({"Pod": build.read([answer(SESSION)])})
    kube_run = run(cluster, result=ROLE, **PROOF)
    assert cluster.log == ["version", f"apply {NAME}", "list Pod shop", f"remove {NAME}"]
    assert (kube_run.jobs, kube_run.changed, kube_run.outcome.findings) == (1, False, [])
    assert [check.name for check in kube_run.outcome.checks[build.KEY]] == ["service account", "proof"]


def test_proof_without_result_times_out() -> None:
    cluster, clock = FakeCluster(), FakeClock()
    kube_run = run(cluster, clock=clock, result=ROLE, **PROOF)
    assert clock.slept == [2, 2]
    assert [finding.code for finding in kube_run.outcome.findings] == ["PROOF_NOT_RUN"]
    assert cluster.log[-1] == f"remove {NAME}"


def object_failure(resource: str, name: str, action: str, message: str) -> tuple[str, ...]:
    return (resource, name, action, "KUBERNETES_REFUSED", message)


def refusals(kube_run: KubernetesRun) -> list[tuple[str, ...]]:
    return [
        (row["resource"], row["name"], row["action"], row["error_code"], row["message"])
        for row in kube_run.outcome.failures
    ]


def test_rejected_job_is_not_polled() -> None:
    cluster, clock = FakeCluster(refused={NAME: "jobs are forbidden"}), FakeClock()
    kube_run = run(cluster, clock=clock, result=ROLE, **PROOF)
    assert clock.slept == []
    # The Job was not created, so it need not be deleted.
    message = "Kubernetes returned 403: jobs are forbidden."
    assert refusals(kube_run) == [object_failure("Job", f"shop/{NAME}", "create", message)]
    assert kube_run.outcome.failures[0]["workload"] == "shop/api"
    assert kube_run.outcome.checks[build.KEY][-1].status == "unknown"
    assert kube_run.outcome.findings == []


def test_forbidden_pod_list_of_proof_is_a_failure() -> None:
    cluster, clock = FakeCluster({"Pod": build.refused("pods")}), FakeClock()
    kube_run = run(cluster, clock=clock, result=ROLE, **PROOF)
    ((resource, name, action, code, message),) = refusals(kube_run)
    assert (resource, name, action, code) == ("Pods of namespace", "shop", "list", "KUBERNETES_REFUSED")
    assert message.startswith('Kubernetes returned 403: pods is forbidden: User "reader" cannot list')
    assert clock.slept == []
    assert kube_run.outcome.checks[build.KEY][-1].status == "unknown"
    assert kube_run.outcome.findings == []


def test_failed_pod_list_of_proof_is_retried() -> None:
    class Shaky(FakeCluster):
        def list_objects(self, query: Query) -> Listing:
            listing = super().list_objects(query)
            return (
                Listing(error=ApiError(0, "connection reset"))
                if self.log.count("list Pod shop") == 1
                else listing
            )

    kube_run = run(Shaky({"Pod": build.read([answer(SESSION)])}), result=ROLE, **PROOF)
    assert (refusals(kube_run), kube_run.outcome.checks[build.KEY][-1].status) == ([], "pass")


def test_undeleted_job_is_a_failure() -> None:
    class Sticky(FakeCluster):
        def remove(self, _manifests: Sequence[Object]) -> WriteResult:
            return WriteResult(refused={0: ApiError(403, "jobs are not to be deleted")})

    kube_run = run(Sticky({"Pod": build.read([answer(SESSION)])}), result=ROLE, **PROOF)
    message = "Kubernetes returned 403: jobs are not to be deleted."
    assert refusals(kube_run) == [object_failure("Job", f"shop/{NAME}", "remove", message)]
    assert kube_run.outcome.checks[build.KEY][-1].status == "pass"
    assert "300 seconds after it finishes" in kube_run.outcome.failures[0]["remedy"]


def test_interrupt_deletes_proof_job() -> None:
    class Interrupted(FakeCluster):
        def list_objects(self, _query: Query) -> Listing:
            raise KeyboardInterrupt

    cluster = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        run(cluster, result=ROLE, **PROOF)
    assert cluster.log[-1] == f"remove {NAME}"


@dataclass
class Ending:
    """A fake of the cleanup that an interrupted run does. ``removed`` is the result of each deletion."""

    removed: WriteResult
    log: list[str] = field(default_factory=list)

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        self.log += [f"remove {object_name(manifest)}" for manifest in manifests]
        return self.removed

    def tell(self, text: str) -> None:
        self.log.append(text)


LEFT = (
    "my-cluster: the run was interrupted, and 1 Job of the runtime proof may still exist (shop/{name}): {reason}. Kubernetes "
    "deletes a Job 300 seconds after it finishes. To delete it now: kubectl delete jobs -n shop -l "
    "workload-identity/proof=r1"
)


@pytest.mark.parametrize("step", ["list", "apply", "remove"])
@pytest.mark.parametrize(
    ("removed", "reason"),
    [
        (WriteResult(changed=True), ""),
        (WriteResult(refused={0: ApiError(403, "jobs are not to be deleted")}), "jobs are not to be deleted"),
        (WriteResult(refused={0: ApiError(0, "no result within 30 seconds")}), "no result within 30 seconds"),
    ],
    ids=["deleted", "rejected", "too slow"],
)
def test_interrupted_proof_names_remaining_jobs(step: str, removed: WriteResult, reason: str) -> None:
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


def test_emulator_skips_proof() -> None:
    cluster = FakeCluster(version={"gitVersion": "v1.33.0+sandbox"})
    kube_run = run(cluster, result=ROLE, **PROOF)
    assert cluster.log == ["version"]
    assert [finding.code for finding in kube_run.outcome.findings] == ["PROOF_SKIPPED"]


def test_skip_reason_overrides_cluster_version() -> None:
    cluster = FakeCluster({"Pod": build.read([answer(SESSION)])}, version={"gitVersion": "v1.33.0+sandbox"})
    kube_run = run(cluster, result=ROLE, proof_skip_reason="", **PROOF)
    assert "version" not in cluster.log
    assert kube_run.outcome.findings == []


@pytest.mark.parametrize(
    ("preflight", "check_mode"),
    [(THERE, True), (Preflight({}, {"shop"}), False)],
    ids=["check mode", "no service account"],
)
def test_no_proof_without_service_account_or_in_check_mode(preflight: Preflight, check_mode: bool) -> None:
    cluster = FakeCluster()
    kube_run = run(cluster, preflight, result=ROLE, check_mode=check_mode, **PROOF)
    assert (kube_run.jobs, [entry for entry in cluster.log if NAME in entry]) == (0, [])


# Tests of an API server that may belong to another cluster

DIFFERS, UNPROVEN = "KUBERNETES_API_DIFFERS", "KUBERNETES_API_UNKNOWN"
PROBED = InjectionSettings("aws-cli", timeout=0)
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


@pytest.mark.parametrize("code", [DIFFERS, UNPROVEN])
@pytest.mark.parametrize(
    ("accounts", "pods"),
    [
        (THERE, [build.pod(injected=True)]),
        (THERE, [STALE]),
        (Preflight(), []),
    ],
    ids=["Pods that pass", "a stale Pod", "no Pods"],
)
def test_unproven_api_leaves_checks_unknown(accounts: Preflight, pods: list[Any], code: str) -> None:
    """Check that the run sends no reads to an API server that may belong to another cluster."""
    cluster = FakeCluster({"Pod shop": build.read(pods), **AGENTS}, version=EKS)
    kube_run = run(cluster, accounts, result=doubted(code), injection=PROBED, proof=PROOF["proof"])
    assert cluster.log == []
    for checks in kube_run.outcome.checks.values():
        assert [
            (check.name, check.status, [failure.code for failure in check.findings]) for check in checks
        ] == [
            (name, "unknown", [code]) for name in ("service account", "agent", "pods", "injection", "proof")
        ]
    assert [(finding.code, finding.message) for finding in kube_run.outcome.findings] == [
        (code, "It is another's.")
    ]
    assert kube_run.outcome.judges_agent is False
    assert kube_run.jobs == 0


def test_unproven_api_leaves_disabled_checks_out() -> None:
    kube_run = run(FakeCluster(), result=doubted(DIFFERS, build.row()), verify_pods=False)
    assert [check.name for check in kube_run.outcome.checks[build.KEY]] == ["service account", "agent"]


def test_unproven_api_does_not_restart_pods() -> None:
    cluster = FakeCluster({"Pod shop": build.read([STALE]), "Deployment": DEPLOYMENT, **AGENTS})
    kube_run = run(cluster, THERE, result=doubted(UNPROVEN, build.row()), restart=300)
    assert (cluster.log, kube_run.changed) == ([], False)
