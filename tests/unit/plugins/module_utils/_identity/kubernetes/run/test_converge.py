# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the Kubernetes part of the role as a whole: its requests, their order, and its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPlan,
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_writes import (
    write_plan,
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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import FailureRow
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)

CHANGED = {"changes": [{"action": "create"}], "state": "present"}
STALE = build.pod(created=build.BEFORE, injected=False)
AGENTS = {"Pod kube-system": build.read([build.agent()])}


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


FAILURE = {"workload": "shop/api", "resource": "role", "name": "r", "action": "create"}
NAMESPACE: Object = {"kind": "Namespace", "metadata": {"name": "batch"}}
PLAN = AccountPlan([NAMESPACE, manifest("api")], [manifest("late", "batch")], [manifest("old")])
WEB = replace(build.KEY, service_account="web")
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


RESTART = {"restart": 300}
DEPLOYMENT = build.read([build.owner()])


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


def service_account(name: str = "api", **metadata: object) -> Object:
    return {"metadata": {"namespace": "shop", "name": name, **metadata}}


CONFLICT = 'Apply failed with 1 conflict: conflict with "helm": .metadata.labels.team'
OLD = service_account("old", labels=MANAGED_BY_LABELS)


def rows(failures: Sequence[FailureRow]) -> list[tuple[str, ...]]:
    return [(row["action"], row["name"], row["error_code"], row["message"]) for row in failures]


WANTED: Object = {
    "kind": "ServiceAccount",
    "metadata": {"namespace": "shop", "name": "api", "labels": {"a": "1"}},
}


@pytest.mark.parametrize(
    ("labels", "findings"),
    [({}, []), ({**MANAGED_BY_LABELS, OWNER_LABEL: "team-b"}, ["SERVICE_ACCOUNT_OTHER_OWNER"])],
    ids=["recreated by another tool", "taken over by another owner"],
)
def test_service_account_without_our_label_is_kept(labels: dict[str, str], findings: list[str]) -> None:
    cluster = FakeCluster({"ServiceAccount": Listing([service_account(labels=labels)])})
    kube_run = run(cluster, result={"changes": [], "state": "absent"})
    assert (cluster.log, kube_run.outcome.changes) == (["list ServiceAccount shop"], [])
    assert [finding.code for finding in kube_run.outcome.findings] == findings


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


NOT_KEPT = (
    "it is missing, is being deleted, or its labels and annotations differ from the applied ones: "
    "another process changes it."
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
    outcome = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change()).outcome
    assert (outcome.changes, outcome.checks[build.KEY][0].status) == ([], status)
    assert rows(outcome.failures) == [("apply", "shop/api", "SERVICE_ACCOUNT_NOT_KEPT", NOT_KEPT)]


OWN_ACCOUNT = service_account(labels=MANAGED_BY_LABELS)
RECREATED = "it still exists: another process recreates it."


@pytest.mark.parametrize(
    ("error", "left", "failures"),
    [
        (None, [OWN_ACCOUNT], [("remove", "shop/api", "SERVICE_ACCOUNT_NOT_KEPT", RECREATED)]),
        (None, [service_account(labels=MANAGED_BY_LABELS, deletionTimestamp=build.AFTER)], []),
        (ApiError(0, "reset"), [], []),
        (ApiError(0, "reset"), [OWN_ACCOUNT], [("remove", "shop/api", "KUBERNETES_REFUSED", "reset.")]),
    ],
    ids=["recreated", "terminating", "lost response", "lost request"],
)
def test_deletion_counts_if_the_service_account_is_gone(
    error: ApiError | None, left: list[Object], failures: list[tuple[str, ...]]
) -> None:
    looks = iter([[OWN_ACCOUNT], left])

    class Going(FakeCluster):
        def list_objects(self, query: Query) -> Listing:
            return Listing(next(looks) if query.kind == "ServiceAccount" else [])

        def remove(self, _manifests: Sequence[Object]) -> WriteResult:
            return WriteResult(not error, {0: error} if error else {})

    outcome = run(Going(), result={"changes": [], "state": "absent"}).outcome
    assert (outcome.changes, rows(outcome.failures)) == (
        [] if failures else ["remove ServiceAccount shop/api"],
        failures,
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiError(0, "reset"), ""),
        (ApiError(500, "etcd"), ""),
        (ApiError(403, "no"), "Kubernetes returned 403: no."),
        (ApiError(409, CONFLICT), f"Kubernetes returned 409: {CONFLICT}."),
    ],
    ids=["no response", "server error", "rejected", "another field manager"],
)
def test_applied_labels_prove_only_an_unclear_write(error: ApiError, reason: str) -> None:
    """Respond to a write with an error although the service account then has the labels. Nothing is deleted after an error."""

    class Answering(FakeCluster):
        def apply(self, _manifests: Sequence[Object]) -> WriteResult:
            return WriteResult(False, {0: error})

    cluster = Answering({"ServiceAccount": Listing([service_account(labels={"a": "1"}), OLD])})
    kube_run = run(cluster, Preflight(plan=AccountPlan([WANTED])), result=after_a_change())
    assert kube_run.changed is (not reason)
    assert kube_run.outcome.changes == ([] if reason else ["apply ServiceAccount shop/api"])
    failures = kube_run.outcome.failures
    assert rows(failures) == ([("apply", "shop/api", "KUBERNETES_REFUSED", reason)] if reason else [])
    names_force = any("pod_identity_force: true" in failure["remedy"] for failure in failures)
    assert names_force is (error.status == 409)
    plan = AccountPlan([WANTED], removed=[manifest("old")])
    run(cluster, Preflight(plan=plan), result=after_a_change())
    assert "remove old" not in cluster.log


@pytest.mark.parametrize(
    ("cluster", "result"),
    [
        (holding("old"), after_a_change(failures=[FAILURE])),
        (holding("old", refused={"api": "forbidden: no"}), after_a_change()),
    ],
    ids=["AWS rejected", "Kubernetes rejected"],
)
def test_purge_waits_for_a_run_without_failures(cluster: FakeCluster, result: dict[str, Any]) -> None:
    kube_run = run(cluster, Preflight(plan=PLAN), result=result)
    assert "remove old" not in cluster.log
    assert "remove ServiceAccount shop/old" not in kube_run.outcome.changes


def test_write_without_result_has_no_changes() -> None:
    kube_run = run(holding("old", broken="gone"), Preflight(plan=PLAN), result=after_a_change())
    outcome = kube_run.outcome
    assert (outcome.changes, outcome.error, list(outcome.failures)) == ([], "gone", [])
    assert (kube_run.changed, outcome.checks[build.KEY][0].status) == (False, "fail")


def test_nothing_is_released_after_a_lost_deletion() -> None:
    lost = FakeCluster(broken="gone")
    plan = AccountPlan(removed=[manifest("old")], released=[manifest("theirs")])
    requested, _result, is_cut = write_plan(lost, plan, removes=True, check_mode=False)
    assert (lost.log, requested.released, is_cut) == (["remove old"], (), True)


@pytest.mark.parametrize("check_mode", [False, True])
def test_check_mode_only_sends_dry_runs(check_mode: bool) -> None:
    """A service account in a new namespace cannot be applied in a dry run, and a proof has no dry run."""
    cluster = holding("old")
    result = after_a_change(verification=ROLE)
    run(cluster, replace(THERE, plan=PLAN), result=result, check_mode=check_mode, **PROOF)
    assert f"apply batch api{'' if check_mode else ' late'}" in cluster.log
    assert (f"apply {NAME}" in cluster.log) is not check_mode


def test_namespace_with_rejected_service_accounts_is_no_change() -> None:
    """Check that a namespace without successful writes is not reported as created: kubernetes.core treats a conflict (409) as
    success."""
    refused = FakeCluster(refused={"late": "no"})
    kube_run = run(refused, Preflight(plan=AccountPlan([NAMESPACE], [manifest("late", "batch")])))
    assert kube_run.outcome.changes == []
    assert [row["name"] for row in kube_run.outcome.failures] == ["batch/late"]


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


STILL = (
    "Restarted Deployment shop/web, but stale Pods still exist after 10 seconds. Check kubectl rollout status and kubectl get "
    "events."
)
FORBIDDEN = "Kubernetes returned 403: deployments are forbidden."


@pytest.mark.parametrize(
    ("looks", "refused", "warnings", "failures", "slept"),
    [
        (2, {}, [], [], [10, 2, 2]),
        (99, {}, [STILL], [], [10, 2, 2, 2, 2]),
        (
            99,
            {"web": "deployments are forbidden"},
            [],
            [("restart", "shop/web", "KUBERNETES_REFUSED", FORBIDDEN)],
            [10],
        ),
    ],
    ids=["replaced", "not replaced", "rejected"],
)
def test_restart_waits_for_the_new_pods(
    looks: int,
    refused: dict[str, str],
    warnings: list[str],
    failures: list[tuple[str, ...]],
    slept: list[float],
) -> None:
    cluster, clock = Restarting(looks), FakeClock()
    cluster.refused = refused
    result = build.result(build.row(association_created_at="2026-03-10T11:59:55Z"))
    kube_run = run(cluster, clock=clock, result=result, **RESTART)
    changes = [] if failures else ["restart Deployment shop/web"]
    assert (kube_run.changed, kube_run.outcome.changes) == (not failures, changes)
    assert (kube_run.warnings, rows(kube_run.outcome.failures), clock.slept) == (warnings, failures, slept)
    assert cluster.log.count("patch web") == 1
    stale = [finding.code for finding in kube_run.outcome.findings]
    assert stale == ([] if looks == 2 else ["POD_BEFORE_ASSOCIATION"])
    assert pods_status(kube_run) == ["pass" if looks == 2 else "fail"]


def pods_status(kube_run: KubernetesRun) -> list[str]:
    return [check.status for check in kube_run.outcome.checks[build.KEY] if check.name == "pods"]


@pytest.mark.parametrize(
    ("kind", "listing", "reason"),
    [
        (
            "Deployment",
            build.read([build.owner(paused=True)]),
            "it is paused. Resume it before you restart it: kubectl rollout resume deployment/web -n shop",
        ),
        (
            "Deployment",
            build.read([build.owner(annotations={"deployment.kubernetes.io/revision": "2"})]),
            "a rollout that replaces the stale Pods is under way, but stale Pods still exist after 10 seconds. Check kubectl "
            "rollout status and kubectl get events.",
        ),
        (
            "StatefulSet",
            build.refused("statefulsets"),
            "it could not be read, so the Pods that a restart would replace are unknown: statefulsets is forbidden: User "
            '"reader" cannot list resource "statefulsets" in API group "" at the cluster scope. Allow the caller of the '
            "Kubernetes API to list statefulsets.apps.",
        ),
    ],
    ids=["paused", "rolling", "not readable"],
)
def test_owner_whose_restart_replaces_no_pod_is_a_warning(kind: str, listing: Listing, reason: str) -> None:
    owner = (kind, "web") if kind == "StatefulSet" else ("ReplicaSet", "web-6d5f7c9b8")
    stale = build.pod("web-0", created=build.BEFORE, injected=False, owner=owner)
    sets = build.read([build.replica_set("web-new", revision="2"), build.replica_set(revision="1")])
    cluster = FakeCluster({**AGENTS, "Pod shop": build.read([stale]), "ReplicaSet": sets, kind: listing})
    kube_run = run(cluster, **RESTART)
    assert kube_run.warnings == [f"{kind} shop/web not restarted: {reason}"]
    assert ("patch web" in cluster.log, kube_run.outcome.changes) == (False, [])


@pytest.mark.parametrize(
    ("settings", "changes", "pods"),
    [
        ({}, [], ["fail"]),
        ({**RESTART, "check_mode": True}, ["restart Deployment shop/web"], []),
        ({**RESTART, "verify_pods": False}, [], []),
    ],
)
def test_no_restart_by_default(settings: dict[str, Any], changes: list[str], pods: list[str]) -> None:
    cluster = Restarting(looks=0)
    kube_run = run(cluster, **settings)
    assert "patch web" not in cluster.log
    assert (kube_run.outcome.changes, pods_status(kube_run)) == (changes, pods)


@pytest.mark.parametrize(("settings", "name"), [({}, "api"), (RESTART, "web")])
def test_dry_runs_prefer_workloads_to_restart(settings: dict[str, Any], name: str) -> None:
    stale = build.pod(
        "web-0", account="web", created=build.BEFORE, injected=False, owner=("Deployment", "web")
    )
    cluster = FakeCluster({**AGENTS, "Pod shop": build.read([stale]), "Deployment": DEPLOYMENT})
    cluster.trials = {key: [DryRun(error=ApiError(403, "no"))] for key in ("api", "web")}
    result = build.result(build.row(), build.row("web"))
    accounts = Preflight({key: replace(ACCOUNT, key=key) for key in (build.KEY, WEB)}, {"shop"})
    run(cluster, accounts, result=result, injection=InjectionSettings("image", sample=1), **settings)
    assert [line for line in cluster.log if line.startswith("try")] == [f"try {name}"]


# Tests of the runtime proof

PROOF = {"proof": ProofSettings("r1", "image", 6), "verify_pods": False}
NAME = job_name(build.KEY, "r1")


def answer(text: str, **other: object) -> dict[str, Any]:
    pod = build.pod("x", owner=None, labels={"job-name": NAME})
    state = other or {"terminated": {"exitCode": 0, "message": text}}
    return {**pod, "status": {"containerStatuses": [{"name": "proof", "state": state}]}}


ROLE = build.result(build.row(role_arn="arn:aws:iam::111122223333:role/api"))
SESSION = "arn:aws:sts::111122223333:assumed-role/api/x"


UNREADABLE = [
    (
        "list",
        "shop",
        "KUBERNETES_REFUSED",
        'Kubernetes returned 403: pods is forbidden: User "reader" cannot list resource "pods" in API group "" at the cluster '
        "scope.",
    )
]
PULLING = answer("", waiting={"reason": "ErrImagePull"})


@pytest.mark.parametrize(
    ("pods", "refused", "slept", "status", "failures"),
    [
        pytest.param(build.read([answer(SESSION)]), {}, [], "pass", [], id="answer"),
        pytest.param(build.read([PULLING]), {}, [], "fail", [], id="image that cannot be pulled"),
        pytest.param(build.read([]), {}, [2, 2], "fail", [], id="no Pod"),
        pytest.param(build.refused("pods"), {}, [], "unknown", UNREADABLE, id="Pods not readable"),
        pytest.param(
            Listing(error=ApiError(500, "etcd")),
            {},
            [2, 2],
            "unknown",
            [("list", "shop", "KUBERNETES_REFUSED", "Kubernetes returned 500: etcd.")],
            id="failing list",
        ),
        pytest.param(
            Listing(),
            {NAME: "no"},
            [],
            "unknown",
            [("create", f"shop/{NAME}", "KUBERNETES_REFUSED", "Kubernetes returned 403: no.")],
            id="rejected Job",
        ),
    ],
)
def test_proof_waits_for_a_final_result(
    pods: Listing, refused: dict[str, str], slept: list[float], status: str, failures: list[tuple[str, ...]]
) -> None:
    cluster, clock = FakeCluster({"Pod shop": pods}, refused=refused), FakeClock()
    kube_run = run(cluster, clock=clock, result=ROLE, **PROOF)
    reads = [] if refused else ["list Pod shop"] * (len(slept) + 1)
    assert cluster.log == ["version", f"apply {NAME}", *reads, f"remove {NAME}"]
    [check] = [check for check in kube_run.outcome.checks[build.KEY] if check.name == "proof"]
    assert (check.status, clock.slept, rows(kube_run.outcome.failures)) == (status, slept, failures)


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
    "deletes a Job 300 seconds after it finishes. To delete it now: kubectl delete jobs -n shop -l workload-identity/proof=r1"
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
    [(THERE, [build.pod(injected=True)]), (THERE, [STALE]), (Preflight(), [])],
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
