# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test which service accounts a teardown or purge keeps, because Pods or workload templates use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPlan,
    Preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    MANAGED_BY_LABELS,
    Object,
    ObjectName,
    parse_service_account,
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

ABSENT = {"changes": [], "state": "absent"}
IDENTITY = {"namespace": "shop", "name": "api", "uid": "u-1"}
REMAINS = "Then run again, which removes the service account. To delete it anyway: kubectl delete serviceaccount api -n shop"
Json = dict[str, Any]


def entry(manager: str, fields: Json, operation: str = "Update") -> Json:
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def metadata_fields(labels: Sequence[str] = (), annotations: Sequence[str] = ()) -> Json:
    parts = {"f:labels": labels, "f:annotations": annotations}
    return {
        "f:metadata": {
            name: {f"f:{field}": {} for field in fields} for name, fields in parts.items() if fields
        }
    }


def applied(*labels: str, annotations: Sequence[str] = ()) -> Json:
    return entry("workload-identity", metadata_fields(labels, annotations), "Apply")


OURS = applied("app.kubernetes.io/managed-by")


def account(*managed: Json, labels: Mapping[str, str] | None = None, **metadata: Any) -> Object:
    all_labels = {**MANAGED_BY_LABELS, "team": "shop"} if labels is None else labels
    entries = list(managed or [OURS])
    return {"metadata": {**IDENTITY, "labels": dict(all_labels), "managedFields": entries, **metadata}}


def template(**spec: Any) -> Json:
    return {"template": {"spec": {"serviceAccountName": "api", "containers": [build.container()], **spec}}}


def owner(name: str, spec: Json, owned: tuple[str, str] | None = None, **status: Any) -> Json:
    metadata: Json = {"namespace": "shop", "name": name}
    if owned:
        metadata["ownerReferences"] = build.owned_by(*owned)
    return {"metadata": metadata, "spec": spec, "status": status}


FINISHED = {"conditions": [{"type": "Complete", "status": "True"}]}
SUSPENDED, FAILED = {"type": "Suspended", "status": "True"}, {"type": "Failed", "status": "False"}
PROOF = {"workload-identity/proof": "r1"}


def run(
    cluster: FakeCluster, item: Object | None = None, result: Json | None = None, **settings: Any
) -> KubernetesRun:
    """Tear down the workload shop/api. ``item`` is its service account."""
    found = account() if item is None else item
    cluster.accounts = {ObjectName("shop", "api"): found}
    preflight = Preflight({build.KEY: parse_service_account(found, build.CLUSTER)}, {"shop"})
    aws = build.parse_aws_result(result or ABSENT, build.CLUSTER)
    return converge_kubernetes(cluster, aws, preflight, KubernetesSettings(**settings), FakeClock())


def purge(cluster: FakeCluster, item: Object, **settings: Any) -> KubernetesRun:
    """Purge the service account shop/api, which belongs to no workload in the list."""
    cluster.accounts = {ObjectName("shop", "api"): item}
    manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"namespace": "shop", "name": "api"},
    }
    aws = build.parse_aws_result({"changes": [], "state": "present"}, build.CLUSTER)
    preflight = Preflight(plan=AccountPlan(removed=[manifest]))
    return converge_kubernetes(cluster, aws, preflight, KubernetesSettings(**settings), FakeClock())


def writes(cluster: FakeCluster) -> list[str]:
    return [line for line in cluster.log if not line.startswith("list ")]


RS_OF_WEB = {"ReplicaSet": build.read([build.replica_set()])}
CRON_JOB = {"jobTemplate": {"spec": template()}}


@pytest.mark.parametrize(
    ("lists", "users"),
    [
        pytest.param(
            {
                "Pod": build.read([build.pod("web-1"), build.pod("web-2")]),
                "Deployment": build.read([owner("web", template())]),
                **RS_OF_WEB,
            },
            "Deployment web (2 Pods)",
            id="a Deployment with two Pods",
        ),
        pytest.param(
            {"Deployment": build.read([owner("web", {"replicas": 0, **template()})])},
            "Deployment web",
            id="a Deployment with zero replicas",
        ),
        pytest.param(
            {"Pod": build.read([build.pod("web-1")]), **RS_OF_WEB},
            "Deployment web (1 Pod)",
            id="Pods of a Deployment that now names another service account",
        ),
        pytest.param(
            {"Pod": build.read([build.pod("debug", owner=None)])}, "Pod debug", id="a Pod without owner"
        ),
        pytest.param(
            {"Pod": build.read([build.pod("debug", owner=None, deleted=True)])},
            "Pod debug",
            id="a Pod that is terminating",
        ),
        pytest.param(
            {"Pod": build.read([build.pod("r-1", owner=("Rollout", "r"))])},
            "Rollout r (1 Pod)",
            id="a Pod of a custom resource",
        ),
        pytest.param(
            {"StatefulSet": build.read([owner("db", template())])}, "StatefulSet db", id="a StatefulSet"
        ),
        pytest.param(
            {"DaemonSet": build.read([owner("log", template())])}, "DaemonSet log", id="a DaemonSet"
        ),
        pytest.param(
            {"ReplicaSet": build.read([owner("alone", template())])},
            "ReplicaSet alone",
            id="a ReplicaSet without owner",
        ),
        pytest.param(
            {"ReplicaSet": build.read([owner("r-1", template(), ("Rollout", "r"))])},
            "Rollout r",
            id="a ReplicaSet of a custom resource",
        ),
        pytest.param(
            {"CronJob": build.read([owner("nightly", CRON_JOB)])}, "CronJob nightly", id="a CronJob"
        ),
        pytest.param(
            {"Job": build.read([owner("once", template(), conditions=[SUSPENDED, FAILED])])},
            "Job once",
            id="a Job",
        ),
    ],
)
def test_used_service_account_is_kept_with_its_users(lists: dict[str, Listing], users: str) -> None:
    cluster = FakeCluster(lists)
    kube_run = run(cluster)
    assert writes(cluster) == []
    assert (kube_run.outcome.changes, kube_run.outcome.failures, kube_run.changed) == ([], [], False)
    (finding,) = kube_run.outcome.findings
    assert (finding.code, finding.severity, finding.workload) == (
        "SERVICE_ACCOUNT_KEPT",
        "warning",
        build.KEY,
    )
    assert finding.message == f"service account api in namespace shop is kept: it is used by {users}."
    assert (
        finding.remedy
        == f"Delete the objects that use the service account, or give them another service account. {REMAINS}"
    )


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param({"Pod": build.read([build.pod(phase="Succeeded")])}, id="a succeeded Pod"),
        pytest.param({"Pod": build.read([build.pod(phase="Failed")])}, id="a failed Pod"),
        pytest.param(
            {"Pod": build.read([build.pod(account="other")])}, id="a Pod of another service account"
        ),
        pytest.param(
            {"Deployment": build.read([owner("web", template(serviceAccountName="other"))])},
            id="a Deployment of another service account",
        ),
        pytest.param(
            {"ReplicaSet": build.read([owner("web-1", template(), ("Deployment", "web"))])},
            id="an earlier ReplicaSet of a Deployment",
        ),
        pytest.param({"Job": build.read([owner("once", template(), **FINISHED)])}, id="a finished Job"),
        pytest.param(
            {
                "Job": build.read([{**owner("p", template()), "metadata": {**IDENTITY, "labels": PROOF}}]),
                "Pod": build.read([build.pod("p-1", owner=("Job", "p"), labels=PROOF, deleted=True)]),
            },
            id="the runtime proof",
        ),
    ],
)
def test_unused_service_account_is_deleted(lists: dict[str, Listing]) -> None:
    cluster = FakeCluster(lists)
    kube_run = run(cluster)
    assert writes(cluster) == ["remove api"]
    assert (kube_run.outcome.changes, kube_run.outcome.findings) == (["remove ServiceAccount shop/api"], [])


@pytest.mark.parametrize(
    ("managed", "reason", "manager"),
    [
        (
            entry("argocd-controller", metadata_fields(["app.kubernetes.io/instance"]), "Apply"),
            "argocd-controller manages label app.kubernetes.io/instance of the service account",
            "argocd-controller",
        ),
        (
            entry("helm", metadata_fields(annotations=["meta.helm.sh/release-name"])),
            "helm manages annotation meta.helm.sh/release-name of the service account",
            "helm",
        ),
        (
            entry("kustomize-controller", {"f:imagePullSecrets": {'k:{"name":"r"}': {}}}, "Apply"),
            "kustomize-controller manages imagePullSecrets of the service account",
            "kustomize-controller",
        ),
        (
            entry("kubectl-edit", {"f:metadata": {"f:finalizers": {".": {}}}, "f:secrets": {}}),
            "kubectl-edit manages finalizers, secrets of the service account",
            "kubectl-edit",
        ),
    ],
    ids=["Argo CD", "Helm", "Flux", "kubectl"],
)
def test_service_account_of_another_field_manager_is_kept(managed: Json, reason: str, manager: str) -> None:
    cluster = FakeCluster()
    kube_run = run(cluster, account(OURS, managed))
    assert writes(cluster) == []
    (finding,) = kube_run.outcome.findings
    assert finding.message == f"service account api in namespace shop is kept: {reason}."
    assert finding.remedy == f"Have {manager} give up the fields. {REMAINS}"


@pytest.mark.parametrize("purges", [False, True])
def test_forbidden_list_keeps_service_account(purges: bool) -> None:
    lists = {"CronJob": build.refused("cronjobs"), "Pod": build.refused("pods"), "Job": build.refused("jobs")}
    cluster = FakeCluster(lists)
    kube_run = purge(cluster, account(), verify_pods=False) if purges else run(cluster)
    assert (writes(cluster), kube_run.outcome.changes, kube_run.outcome.findings) == ([], [], [])
    assert kube_run.outcome.failures == [
        {
            "workload": "shop/api",
            "resource": "ServiceAccount",
            "name": "shop/api",
            "action": "remove",
            "error_code": "KUBERNETES_REFUSED",
            "message": "it is kept, as it is not known whether pods, cronjobs.batch, jobs.batch use the service account: "
            "Kubernetes returned "
            '403: pods is forbidden: User "reader" cannot list resource "pods" in API group "" at the cluster scope.',
            "remedy": "Allow the caller to list pods, cronjobs.batch, jobs.batch, and run again. docs/iam-permissions.md has the "
            "manifests.",
        }
    ]


# Tests of the removal of labels and annotations that a list has applied


LENDING = "arn:aws:iam::111122223333:role/lending"


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_pods_losing_their_role_are_named(state: str, check_mode: bool) -> None:
    """A teardown or purge deletes the association of a workload with running Pods, also in the plan of check mode."""
    pods = [build.pod("web-1"), build.pod("debug", owner=None), build.pod("old", deleted=True)]
    cluster = FakeCluster({"Pod": build.read(pods)})
    change = {"workload": "shop/api", "resource": "association", "action": "delete"}
    result = {"changes": [{**change, "before": {"role_arn": LENDING}}], "state": state, "workloads": []}
    aws = build.parse_aws_result(result, build.CLUSTER)
    settings = KubernetesSettings(check_mode, verify_pods=False)
    outcome = converge_kubernetes(cluster, aws, Preflight(), settings, FakeClock()).outcome
    assert [(str(finding.code), finding.message) for finding in outcome.findings] == [
        (
            "POD_LOSES_ROLE",
            f"the run deletes the association of shop/api, so its running Pods lose role {LENDING}: web-1 of Deployment web, "
            f"debug. Their present credentials expire within six hours, by {build.NOW + timedelta(hours=6):%Y-%m-%d %H:%M} UTC.",
        )
    ]


def test_unread_pods_leave_the_loss_unknown() -> None:
    cluster = FakeCluster({"Pod": build.refused("pods")})
    change = {"workload": "shop/api", "resource": "association", "action": "delete"}
    aws = build.parse_aws_result({"changes": [change], "state": "absent"}, build.CLUSTER)
    settings = KubernetesSettings(verify_pods=False)
    (finding,) = converge_kubernetes(cluster, aws, Preflight(), settings, FakeClock()).outcome.findings
    assert (str(finding.code), finding.severity) == ("KUBERNETES_NOT_READABLE", "warning")
    assert finding.message.startswith(
        "it is not known whether running Pods of shop/api lose their roles: pods could not be"
    )


@pytest.mark.parametrize(
    ("error", "is_there", "failures"),
    [
        (ApiError(403, "forbidden"), True, ["Kubernetes returned 403: forbidden."]),
        (ApiError(500, "etcd"), True, ["Kubernetes returned 500: etcd."]),
        (ApiError(500, "etcd"), False, []),
        (ApiError(409, "uid mismatch"), False, []),
    ],
    ids=["rejected", "failed", "deleted with a lost response", "deleted service account"],
)
def test_rejected_release_is_a_failure(error: ApiError, is_there: bool, failures: list[str]) -> None:
    class Refusing(FakeCluster):
        def apply(self, _manifests: Sequence[Object]) -> WriteResult:
            if not is_there:
                self.accounts = {}
            return WriteResult(refused={0: error})

    kube_run = run(Refusing(), account(applied("team"), labels={"team": "shop"}))
    assert [(failure["action"], failure["message"]) for failure in kube_run.outcome.failures] == [
        ("release", message) for message in failures
    ]


@pytest.mark.parametrize(
    ("present", "released"),
    [
        ([], False),
        ([account(applied("team"))], False),
        ([account(applied("team"), labels={"team": "a"})], True),
    ],
    ids=["deleted", "got the label of this collection", "unchanged"],
)
def test_service_account_is_released_as_it_is_now(present: list[Object], released: bool) -> None:
    cluster = FakeCluster({"ServiceAccount": build.read(present)})
    run(cluster, account(applied("team"), labels={"team": "shop"}))
    assert writes(cluster) == (["apply api"] if released else [])


def test_restored_fields_are_a_failure() -> None:
    cluster = FakeCluster(undone=frozenset({"api"}))
    kube_run = run(cluster, account(applied("team"), labels={"team": "shop"}))
    assert kube_run.outcome.changes == []
    assert [
        (failure["action"], failure["error_code"], failure["message"])
        for failure in kube_run.outcome.failures
    ] == [
        (
            "release",
            "SERVICE_ACCOUNT_NOT_KEPT",
            "it still has labels or annotations that this collection applied: another process restores them.",
        )
    ]


@pytest.mark.parametrize("purges", [False, True])
def test_used_service_account_keeps_only_ownership_labels(purges: bool) -> None:
    cluster = FakeCluster({"Pod": build.read([build.pod("debug", owner=None)])})
    item = account(applied("team", *MANAGED_BY_LABELS), labels={**MANAGED_BY_LABELS, "team": "a", "x": "y"})
    kube_run = purge(cluster, item, verify_pods=False) if purges else run(cluster, item)
    assert kube_run.outcome.changes == ["release ServiceAccount shop/api"]
    assert cluster.accounts[ObjectName("shop", "api")]["metadata"] == {
        **IDENTITY,
        "labels": MANAGED_BY_LABELS,
    }


def test_failed_recheck_prevents_release() -> None:
    cluster = FakeCluster({"ServiceAccount": build.refused("serviceaccounts")})
    kube_run = run(cluster, account(applied("team"), labels={"team": "shop"}))
    assert (writes(cluster), kube_run.outcome.changes) == ([], [])
    [failure] = kube_run.outcome.failures
    kept = "its applied labels and annotations are kept, as it could not be read again before the change: "
    assert (failure["action"], failure["message"].startswith(kept)) == ("release", True)
