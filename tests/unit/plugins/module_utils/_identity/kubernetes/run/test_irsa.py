# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the reads of service accounts and Pods that use IRSA, patches of the annotations, and the restarts of a rollback."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    Query,
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.irsa import (
    IrsaEstate,
    RollbackRun,
    annotations_patch,
    read_irsa,
    restart_injected,
    unread_findings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    IrsaAccount,
    PodCredentials,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)

Json = dict[str, Any]

ROLE_ANNOTATION, AUDIENCE_ANNOTATION = "eks.amazonaws.com/role-arn", "eks.amazonaws.com/audience"
ROLE = "arn:aws:iam::111122223333:role/app"
TOKEN_FILE = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
IRSA = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": TOKEN_FILE}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
WEB_IDENTITY = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
API = build.KEY
WEB = WorkloadKey(build.CLUSTER, "shop", "web")


@dataclass
class Recorder(FakeCluster):
    """A cluster that records its queries and patches. ``rounds`` has the Pods for each read; the last list repeats."""

    rounds: list[Listing] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    patches: list[Object] = field(default_factory=list)

    def list_objects(self, query: Query) -> Listing:
        self.queries.append(query)
        listing = super().list_objects(query)
        if query.kind == "Pod" and not query.namespace and self.rounds:
            return self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        return listing

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        self.patches += manifests
        return super().patch(manifests)


def service_account(
    name: str = "api",
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    managers: Sequence[tuple[str, Json]] = (),
) -> Json:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "resourceVersion": "7",
            "annotations": {ROLE_ANNOTATION: ROLE} if annotations is None else dict(annotations),
            "labels": dict(labels or {}),
            "managedFields": [{"manager": name, "fieldsV1": fields} for name, fields in managers],
        }
    }


def irsa_pod(name: str = "a", **more: Any) -> Json:
    return build.pod(name, injected=False, containers=[build.container(env=IRSA)], **more)


def template(env: Mapping[str, str], account: str = "api", **more: Any) -> Json:
    return {
        "spec": {
            "serviceAccountName": account,
            "containers": [build.container(env=env), *more.pop("beside", ())],
        }
    }


def owner(kind: str, pod_template: Json, name: str = "web", above: tuple[str, str] | None = None) -> Json:
    metadata: Json = {"namespace": "shop", "name": name}
    if above:
        metadata["ownerReferences"] = build.owned_by(*above)
    spec: Json = {"template": pod_template}
    return {"metadata": metadata, "spec": {"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec}


def config_map(text: str | None) -> Json:
    data = {} if text is None else {"config": text}
    return {"metadata": {"namespace": "kube-system", "name": "pod-identity-webhook"}, "data": data}


def read(
    accounts: Sequence[Json] | None = None,
    pods: Sequence[Json] = (),
    further: Sequence[WorkloadKey] = (),
    **lists: Listing,
) -> IrsaEstate:
    """Return the service accounts and Pods that use IRSA, as read from a cluster. ``lists`` has further objects by kind."""
    found = {
        "ServiceAccount": build.read([service_account()] if accounts is None else accounts),
        "Pod": build.read(pods),
        "Pod kube-system": build.read([build.agent()]),
        "Node": build.read([build.node()]),
        **lists,
    }
    estate = read_irsa(FakeCluster(found), build.CLUSTER, further, FakeClock())
    assert isinstance(estate, IrsaEstate)
    return estate


# Tests of service accounts


@pytest.mark.parametrize(
    ("annotations", "recorded"),
    [
        pytest.param({ROLE_ANNOTATION: ROLE}, {ROLE_ANNOTATION: ROLE}, id="role"),
        pytest.param(
            {
                AUDIENCE_ANNOTATION: "vault",
                ROLE_ANNOTATION: ROLE,
                "eks.amazonaws.com/token-expiration": "600",
                "eks.amazonaws.com/sts-regional-endpoints": "true",
                "team": "pay",
            },
            {ROLE_ANNOTATION: ROLE, AUDIENCE_ANNOTATION: "vault"},
            id="further annotations",
        ),
        pytest.param(
            {ROLE_ANNOTATION: ROLE, AUDIENCE_ANNOTATION: ""}, {ROLE_ANNOTATION: ROLE}, id="empty audience"
        ),
    ],
)
def test_irsa_annotations_are_read(annotations: Json, recorded: Json) -> None:
    estate = read([service_account(annotations=annotations, labels={"team": "pay"})])
    assert estate.accounts == {API: IrsaAccount(API, recorded, (), False, "7")}


@pytest.mark.parametrize("annotations", [{}, {ROLE_ANNOTATION: ""}, {AUDIENCE_ANNOTATION: "vault"}])
def test_service_account_without_role_annotation_is_ignored(annotations: Json) -> None:
    estate = read([service_account(annotations=annotations)], [irsa_pod()])
    assert (estate.accounts, estate.pods) == ({}, {})


def test_known_service_account_without_role_is_read() -> None:
    missing = WorkloadKey(build.CLUSTER, "shop", "gone")
    pods = [irsa_pod("a"), irsa_pod("b", account="gone"), irsa_pod("c", account="web")]
    estate = read([service_account(annotations={}), service_account("web", {})], pods, [API, missing])
    assert estate.accounts == {API: IrsaAccount(API, {}, (), False, "7")}
    assert estate.pods == {API: PodCredentials(irsa=("a",)), missing: PodCredentials(irsa=("b",))}


def annotating(name: str = ROLE_ANNOTATION) -> Json:
    return {"f:metadata": {"f:annotations": {".": {}, f"f:{name}": {}}}}


LABEL = {"f:metadata": {"f:labels": {"f:team": {}}}}


@pytest.mark.parametrize(
    ("annotations", "labels", "managers", "named"),
    [
        pytest.param({}, {}, [], (), id="none"),
        pytest.param({"meta.helm.sh/release-name": "shop"}, {}, [], ("Helm release shop",), id="Helm"),
        pytest.param(
            {"argocd.argoproj.io/tracking-id": "shop:/ServiceAccount:shop/api"},
            {},
            [],
            ("Argo CD application shop",),
            id="Argo CD by annotation",
        ),
        pytest.param(
            {},
            {"argocd.argoproj.io/instance": "shop"},
            [],
            ("Argo CD application shop",),
            id="Argo CD by label",
        ),
        pytest.param(
            {}, {"helm.toolkit.fluxcd.io/name": "shop"}, [], ("Flux HelmRelease shop",), id="Flux with Helm"
        ),
        pytest.param(
            {},
            {"kustomize.toolkit.fluxcd.io/name": "shop"},
            [],
            ("Flux Kustomization shop",),
            id="Flux with Kustomize",
        ),
        pytest.param(
            {"meta.helm.sh/release-name": "shop"},
            {"helm.toolkit.fluxcd.io/name": "flux"},
            [("helm-controller", annotating())],
            ("Flux HelmRelease flux",),
            id="most specific",
        ),
        pytest.param({"meta.helm.sh/release-name": ""}, {}, [], (), id="empty name"),
        pytest.param(
            {},
            {},
            [("kubectl-client-side-apply", annotating())],
            ("field manager kubectl-client-side-apply",),
            id="kubectl apply",
        ),
        pytest.param(
            {},
            {},
            [("Terraform", annotating()), ("pulumi-kubernetes", annotating())],
            ("field manager Terraform", "field manager pulumi-kubernetes"),
            id="two field managers",
        ),
        pytest.param({}, {}, [("helm", LABEL)], (), id="field manager of a label"),
        pytest.param(
            {}, {}, [("helm", annotating(AUDIENCE_ANNOTATION))], (), id="field manager of the audience"
        ),
        pytest.param({}, {}, [("kubectl-annotate", annotating())], (), id="kubectl annotate"),
        pytest.param({}, {}, [("eksctl", annotating())], (), id="eksctl"),
    ],
)
def test_field_managers_of_annotations_are_named(
    annotations: Json, labels: Json, managers: list[tuple[str, Json]], named: tuple[str, ...]
) -> None:
    item = service_account(
        annotations={ROLE_ANNOTATION: ROLE, **annotations}, labels=labels, managers=managers
    )
    account = read([item]).accounts[API]
    assert (account.managers, account.is_addon) == (named, False)


@pytest.mark.parametrize(("manager", "is_addon"), [("eks", True), ("eksctl", False), ("EKS", False)])
def test_field_manager_shows_an_addon(manager: str, is_addon: bool) -> None:
    account = read([service_account(managers=[(manager, LABEL)])]).accounts[API]
    assert account.is_addon is is_addon


# Tests of the webhook's ConfigMap


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        pytest.param(None, {}, id="no configuration"),
        pytest.param("", {}, id="empty"),
        pytest.param("{", {}, id="no JSON"),
        pytest.param("[]", {}, id="no mapping"),
        pytest.param(
            json.dumps({"shop/api": {"RoleARN": ROLE, "Audience": "vault"}, "shop/web": {}}),
            {API: ROLE, WEB: ""},
            id="roles",
        ),
        pytest.param(json.dumps({"shop/api": "x"}), {API: ""}, id="no mapping for a service account"),
    ],
)
def test_webhook_configuration_names_roles(text: str | None, roles: Json) -> None:
    estate = read([], ConfigMap=build.read([config_map(text)]))
    assert estate.configured == roles
    assert estate.accounts == {}


def test_lists_have_selectors() -> None:
    cluster = Recorder({"ServiceAccount": build.read([service_account()])})
    read_irsa(cluster, build.CLUSTER, (), FakeClock())
    by_kind = {(query.kind, query.namespace): query for query in cluster.queries}
    live = ("status.phase!=Succeeded", "status.phase!=Failed")
    assert by_kind["Pod", ""] == Query("v1", "Pod", field_selectors=live)
    assert by_kind["ConfigMap", "kube-system"].field_selectors == ("metadata.name=pod-identity-webhook",)
    assert by_kind["Pod", "kube-system"].label_selectors == (
        "app.kubernetes.io/name in (eks-pod-identity-agent,eks-pod-identity-agent-hybrid,"
        "eks-pod-identity-agent-hybrid-bottlerocket)",
    )
    assert len(cluster.queries) == len(by_kind) == 11


# Tests of Pods: from which source they get credentials


def containers(*envs: Mapping[str, str], **more: Any) -> Json:
    return build.pod(
        "a",
        containers=[build.container(f"c{index}", env=env) for index, env in enumerate(envs)],
        **more,
    )


SKIP = {"eks.amazonaws.com/skip-containers": "c1"}


@pytest.mark.parametrize(
    ("pod", "kinds"),
    [
        pytest.param(irsa_pod(), ["irsa"], id="IRSA"),
        pytest.param(build.pod("a"), ["agent"], id="EKS Pod Identity"),
        pytest.param(build.pod("a", injected=False), ["none"], id="none"),
        pytest.param(containers(KEYS), ["other"], id="access keys"),
        pytest.param(
            containers({**IRSA, "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}), ["other"], id="own token"
        ),
        pytest.param(containers({**build.INJECTED, "AWS_PROFILE": "a"}), ["other"], id="profile"),
        pytest.param(containers(IRSA, {}), ["irsa"], id="IRSA and none"),
        pytest.param(containers({}, {}), ["none"], id="none twice"),
        pytest.param(containers(IRSA, build.INJECTED, KEYS), ["agent", "irsa", "other"], id="three sources"),
        pytest.param(containers(build.INJECTED, IRSA, annotations=SKIP), ["agent"], id="skipped container"),
        pytest.param(
            containers(build.INJECTED, init=[build.container("init", env=IRSA)]),
            ["agent", "irsa"],
            id="init container",
        ),
        pytest.param(irsa_pod(phase="Succeeded"), [], id="finished"),
        pytest.param(irsa_pod(phase="Failed"), [], id="failed"),
        pytest.param(irsa_pod(deleted=True), [], id="terminating"),
        pytest.param(irsa_pod(labels={"workload-identity/proof": "x"}), [], id="runtime proof"),
        pytest.param(irsa_pod(account="web"), [], id="another service account"),
        pytest.param(irsa_pod(namespace="other"), [], id="another namespace"),
        pytest.param(irsa_pod(phase="Pending", node=""), ["irsa"], id="pending"),
    ],
)
def test_pod_has_its_source_of_credentials(pod: Json, kinds: list[str]) -> None:
    credentials = read(pods=[pod]).pods[API]
    names = {kind: getattr(credentials, kind) for kind in ("agent", "irsa", "none", "other")}
    assert {kind: found for kind, found in names.items() if found} == dict.fromkeys(kinds, ("a",))


def test_names_of_pods_are_sorted() -> None:
    pods = [
        irsa_pod("c"),
        irsa_pod("a", hostNetwork=True),
        build.pod("b", hostNetwork=True),
        build.pod("d", hostNetwork=False),
    ]
    assert read(pods=pods).pods[API] == PodCredentials(
        irsa=("a", "c"), agent=("b", "d"), on_host_network=("a", "b")
    )


def test_pod_without_service_account_uses_the_default_one() -> None:
    pod = irsa_pod()
    del pod["spec"]["serviceAccountName"]
    estate = read([service_account("default")], [pod])
    assert estate.pods == {WorkloadKey(build.CLUSTER, "shop", "default"): PodCredentials(irsa=("a",))}


def test_state_has_pods_and_nodes_with_an_agent() -> None:
    state = read(pods=[irsa_pod(), irsa_pod("b", account="web")]).state
    assert state is not None
    assert {key: [pod.name for pod in pods] for key, pods in (state.pods or {}).items()} == {API: ["a"]}
    assert state.has_agent(build.NODE)
    assert not state.has_agent("elsewhere")
    assert list(state.nodes) == [build.NODE]


# Tests of Pod templates that set variables for credentials


@pytest.mark.parametrize(
    ("kind", "item", "variables"),
    [
        pytest.param(
            "Deployment",
            owner("Deployment", template(IRSA)),
            {"Deployment web": WEB_IDENTITY},
            id="Deployment",
        ),
        pytest.param(
            "CronJob", owner("CronJob", template(IRSA)), {"CronJob web": WEB_IDENTITY}, id="CronJob"
        ),
        pytest.param(
            "Job",
            owner("Job", template(IRSA), "load-1", ("CronJob", "load")),
            {"CronJob load": WEB_IDENTITY},
            id="Job of a CronJob",
        ),
        pytest.param(
            "ReplicaSet",
            owner("ReplicaSet", template(IRSA), "web-1", ("Rollout", "web")),
            {"Rollout web": WEB_IDENTITY},
            id="ReplicaSet of an Argo Rollout",
        ),
        pytest.param(
            "ReplicaSet",
            owner("ReplicaSet", template(IRSA), "web-1", ("Deployment", "web")),
            {},
            id="ReplicaSet of a Deployment",
        ),
        pytest.param(
            "StatefulSet",
            owner("StatefulSet", template(KEYS)),
            {"StatefulSet web": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
            id="access keys",
        ),
        pytest.param(
            "DaemonSet",
            owner("DaemonSet", template({}, beside=[build.container("b", env=build.INJECTED)])),
            {
                "DaemonSet web": (
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                )
            },
            id="variables of the agent, second container",
        ),
        pytest.param(
            "Deployment",
            owner(
                "Deployment",
                template(
                    {
                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/a",
                        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "b",
                    }
                ),
            ),
            {
                "Deployment web": (
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                )
            },
            id="variables of another agent",
        ),
        pytest.param("Deployment", owner("Deployment", template({"AWS_ROLE_ARN": ROLE})), {}, id="role only"),
        pytest.param(
            "Deployment", owner("Deployment", template({"AWS_REGION": "eu"})), {}, id="no credentials"
        ),
        pytest.param(
            "Deployment", owner("Deployment", template(IRSA, "web")), {}, id="another service account"
        ),
    ],
)
def test_template_sets_credential_variables(kind: str, item: Json, variables: Json) -> None:
    estate = read(**{kind: build.read([item])})
    assert estate.pods == {API: PodCredentials(templates=variables)}


@pytest.mark.parametrize(("env", "is_chosen"), [(IRSA, True), (KEYS, False), ({}, False)])
def test_web_identity_of_a_template_selects_its_service_account(env: Json, is_chosen: bool) -> None:
    deployments = build.read([owner("Deployment", template(env))])
    estate = read([service_account(annotations={})], [irsa_pod()], Deployment=deployments)
    chosen = {API: IrsaAccount(API, {}, (), False, "7")} if is_chosen else {}
    assert estate.accounts == chosen
    assert list(estate.pods) == list(chosen)


# Tests of lists that fail

DENIED = {
    "Pod kube-system": "pods in namespace kube-system",
    "Node": "nodes",
    "ConfigMap": "configmaps in namespace kube-system",
    "Deployment": "deployments.apps",
    "StatefulSet": "statefulsets.apps",
    "DaemonSet": "daemonsets.apps",
    "ReplicaSet": "replicasets.apps",
    "CronJob": "cronjobs.batch",
    "Job": "jobs.batch",
}


@pytest.mark.parametrize("kind", ["ServiceAccount", "Pod"])
def test_failed_required_list_is_an_error(kind: str) -> None:
    refused = build.refused("items")
    cluster = FakeCluster({"ServiceAccount": build.read([service_account()]), kind: refused})
    assert read_irsa(cluster, build.CLUSTER, (), FakeClock()) == refused.error


@pytest.mark.parametrize(("kind", "resource"), DENIED.items())
def test_failed_optional_list_is_a_warning(kind: str, resource: str) -> None:
    refused = build.refused("items")
    estate = read(pods=[irsa_pod()], **{kind: refused})
    assert estate.errors == {resource: refused.error}
    assert estate.pods == {API: PodCredentials(irsa=("a",))}
    [finding] = unread_findings(estate)
    assert (finding.code, finding.severity, finding.workload) == ("KUBERNETES_NOT_READABLE", "warning", None)
    assert refused.error is not None
    assert (
        finding.message
        == f"{resource} could not be listed, so the inventory may be incomplete: {refused.error.text}"
    )
    assert finding.remedy == (
        f"Allow the caller of the Kubernetes API to list {resource}: docs/migration.md has the manifest."
    )


def test_unavailable_api_server_has_a_remedy() -> None:
    [finding] = unread_findings(read(Node=Listing(error=ApiError(503, "no leader"))))
    assert finding.message == "nodes could not be listed, so the inventory may be incomplete: no leader"
    assert finding.remedy == "Run again when the API server is available."


def test_complete_lists_have_no_finding() -> None:
    assert unread_findings(read()) == []


# Tests of patches


@pytest.mark.parametrize(
    "annotations", [{ROLE_ANNOTATION: ROLE}, {ROLE_ANNOTATION: ROLE, AUDIENCE_ANNOTATION: "vault"}]
)
def test_patches_remove_and_restore_annotations(annotations: dict[str, str]) -> None:
    metadata = {"namespace": "shop", "name": "api", "resourceVersion": "7"}
    start = {"apiVersion": "v1", "kind": "ServiceAccount"}
    account = IrsaAccount(API, annotations, version="7")
    assert annotations_patch(account, dict.fromkeys(annotations)) == {
        **start,
        "metadata": {**metadata, "annotations": dict.fromkeys(annotations)},
    }
    assert annotations_patch(IrsaAccount(API, version="7"), annotations) == {
        **start,
        "metadata": {**metadata, "annotations": annotations},
    }


# Tests of the restarts of a rollback

OWNERS = {
    "ReplicaSet": build.read([build.replica_set()]),
    "Deployment": build.read([build.owner()]),
    "StatefulSet": build.read([build.owner("StatefulSet", "db")]),
    "DaemonSet": build.read([build.owner("DaemonSet", "log")]),
}
INJECTED = build.pod("web-1")
BARE = build.pod("bare", owner=None)
OF_JOB = build.pod("load-x", owner=("Job", "load"))
OF_DATABASE = build.pod("db-0", owner=("StatefulSet", "db"))
REPLACED = irsa_pod("web-2")
BROKEN = ApiError(0, "connection lost")


def roll_back(
    *rounds: Sequence[Json] | Listing, timeout: int = 10, keys: Sequence[WorkloadKey] = (API,), **more: Any
) -> tuple[RollbackRun, Recorder, FakeClock]:
    """Restart the owners of Pods, as a rollback does. ``rounds`` has the Pods for each read."""
    lists = [pods if isinstance(pods, Listing) else build.read(pods) for pods in rounds]
    cluster = Recorder(**{"lists": OWNERS, "rounds": lists, **more})
    clock = FakeClock()
    run = restart_injected(cluster, build.CLUSTER, keys, timeout, clock)
    return replace(run, restarted=[*run.restarted], remaining=[*run.remaining]), cluster, clock


def test_pods_without_pod_identity_need_no_restart() -> None:
    run, cluster, clock = roll_back(
        [REPLACED, build.pod("other", account="web"), build.pod("x", deleted=True)]
    )
    assert run == RollbackRun([], [], [], [])
    assert (cluster.patches, clock.slept) == ([], [])


def test_rollback_waits_until_pods_are_replaced() -> None:
    run, cluster, clock = roll_back([INJECTED], [INJECTED], [INJECTED, REPLACED], [REPLACED])
    assert run == RollbackRun(["Deployment shop/web"], [], [], [])
    assert cluster.patches == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-03-10T12:00:15Z"}}
                }
            },
        }
    ]
    assert clock.slept == [15, 2, 2]


def test_owners_are_restarted_once_and_together() -> None:
    pods = [build.pod("log-1", owner=("DaemonSet", "log")), OF_DATABASE, INJECTED, build.pod("web-3")]
    run, cluster, clock = roll_back(pods, [])
    assert run.restarted == ["DaemonSet shop/log", "Deployment shop/web", "StatefulSet shop/db"]
    assert [line for line in cluster.log if line.startswith("patch")] == ["patch log web db"]
    assert (run.remaining, clock.slept) == ([], [15])


@pytest.mark.parametrize(
    ("pods", "remaining"),
    [
        pytest.param([BARE], ["shop/bare"], id="no owner"),
        pytest.param([OF_JOB], ["shop/load-x"], id="Job"),
        pytest.param(
            [build.pod("x", owner=("ReplicaSet", "solo"), labels={})],
            ["shop/x"],
            id="ReplicaSet without Deployment",
        ),
        pytest.param([OF_JOB, BARE], ["shop/bare", "shop/load-x"], id="sorted"),
    ],
)
def test_pods_that_cannot_be_restarted_remain(pods: list[Json], remaining: list[str]) -> None:
    run, cluster, clock = roll_back(pods)
    assert run == RollbackRun([], remaining, [], [])
    assert (cluster.patches, clock.slept) == ([], [])


def test_wait_ends_if_remaining_pods_cannot_be_restarted() -> None:
    run, _cluster, clock = roll_back([INJECTED, BARE], [INJECTED, BARE], [BARE, REPLACED])
    assert run == RollbackRun(["Deployment shop/web"], ["shop/bare"], [], [])
    assert clock.slept == [15, 2]


def test_wait_ends_after_the_timeout() -> None:
    run, _cluster, clock = roll_back([INJECTED, BARE])
    assert run == RollbackRun(["Deployment shop/web"], ["shop/bare", "shop/web-1"], [], [])
    assert clock.slept == [15, 2, 2, 2, 2]


def test_pods_are_read_once_without_time_to_wait() -> None:
    run, _cluster, clock = roll_back([INJECTED], [REPLACED], timeout=0)
    assert run == RollbackRun(["Deployment shop/web"], [], [], [])
    assert clock.slept == [15]


def failed_restarts(run: RollbackRun) -> list[tuple[str, str, str]]:
    return [(row["action"], row["name"], row["message"]) for row in run.failures]


def test_rejected_restart_of_a_rollback_is_a_failure() -> None:
    run, cluster, clock = roll_back([INJECTED], refused={"web": "no"})
    assert (run.restarted, run.remaining) == ([], ["shop/web-1"])
    assert failed_restarts(run) == [("restart", "shop/web", "Kubernetes returned 403: no.")]
    assert run.failures[0]["remedy"].startswith("For a 403, grant the caller that permission")
    assert clock.slept == [15]
    assert cluster.log.count("list Pod") == 1


def test_rejected_restart_does_not_affect_another_one() -> None:
    run, _cluster, clock = roll_back([INJECTED, OF_DATABASE], [OF_DATABASE], refused={"db": "no"})
    assert run.restarted == ["Deployment shop/web"]
    assert run.remaining == ["shop/db-0"]
    assert failed_restarts(run) == [("restart", "shop/db", "Kubernetes returned 403: no.")]
    # The run does not wait for the Pods of the owner whose restart failed.
    assert clock.slept == [15]


def test_restart_without_response_is_a_failure() -> None:
    run, _cluster, clock = roll_back([INJECTED, OF_DATABASE], broken="connection lost")
    assert (run.restarted, run.remaining) == ([], ["shop/db-0", "shop/web-1"])
    assert [name for _action, name, _message in failed_restarts(run)] == ["shop/web", "shop/db"]
    assert clock.slept == [15]


def test_failed_list_of_pods_is_an_error() -> None:
    run, cluster, _clock = roll_back(Listing(error=BROKEN))
    assert run == RollbackRun([], [], error=BROKEN)
    assert cluster.patches == []


def test_failed_list_while_waiting_is_retried() -> None:
    run, _cluster, clock = roll_back([INJECTED], Listing(error=BROKEN), [REPLACED])
    assert run == RollbackRun(["Deployment shop/web"], [], [], [])
    assert clock.slept == [15, 2]


def test_unreadable_owner_is_not_restarted() -> None:
    lists = {**OWNERS, "Deployment": build.refused("deployments")}
    run, cluster, _clock = roll_back([INJECTED], [], lists=lists)
    assert (run.restarted, run.remaining, cluster.patches) == ([], ["shop/web-1"], [])
    assert run.blocked[0].startswith("Deployment shop/web not restarted: it could not be read")


def test_paused_deployment_is_not_restarted() -> None:
    paused = build.owner()
    paused["spec"]["paused"] = True
    lists = {**OWNERS, "Deployment": build.read([paused])}
    run, cluster, clock = roll_back([INJECTED, OF_DATABASE], [INJECTED], lists=lists)
    assert run.restarted == ["StatefulSet shop/db"]
    assert (run.remaining, len(cluster.patches)) == (["shop/web-1"], 1)
    assert run.blocked == [
        "Deployment shop/web not restarted: it is paused. Resume it before you restart it: kubectl rollout resume "
        "deployment/web -n shop"
    ]
    assert clock.slept == [15]
