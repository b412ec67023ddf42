# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the reads of service accounts and Pods that use IRSA, and patches of the annotation."""

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
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.irsa import (
    IrsaEstate,
    annotation_patch,
    read_irsa,
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
    """A cluster that records its queries."""

    queries: list[Query] = field(default_factory=list)

    def list_objects(self, query: Query) -> Listing:
        self.queries.append(query)
        return super().list_objects(query)


def sources(estate: IrsaEstate) -> dict[WorkloadKey, PodCredentials]:
    """Return the credentials of the Pods, without their owners."""
    return {key: replace(pods, owners={}, held={}) for key, pods in estate.pods.items()}


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


@pytest.mark.parametrize("annotations", [{}, {ROLE_ANNOTATION: ""}, {AUDIENCE_ANNOTATION: "vault"}])
def test_service_account_without_role_annotation_is_ignored(annotations: Json) -> None:
    estate = read([service_account(annotations=annotations)], [irsa_pod()])
    assert (estate.accounts, estate.pods) == ({}, {})


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
        *(
            pytest.param({}, {}, [(name, annotating())], (f"field manager {name}",), id=name)
            for name in ("HashiCorp", "kubectl", "eksctl", "fleetagent", "OpenAPI-Generator")
        ),
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


# Tests of Pods: from which source they get credentials


def containers(*envs: Mapping[str, str], **more: Any) -> Json:
    return build.pod(
        "a", containers=[build.container(f"c{index}", env=env) for index, env in enumerate(envs)], **more
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
    assert sources(read(pods=pods))[API] == PodCredentials(
        irsa=("a", "c"), agent=("b", "d"), on_host_network=("a", "b")
    )


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
                    {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/a", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "b"}
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
    assert sources(estate) == {API: PodCredentials(templates=variables)}
    # Without the annotation, only a service account with a web identity belongs to the inventory.
    estate = read([service_account(annotations={})], **{kind: build.read([item])})
    found = {API} if WEB_IDENTITY in variables.values() else set()
    assert estate.accounts.keys() == found


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
    assert sources(estate) == {API: PodCredentials(irsa=("a",))}
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


# Tests of patches


@pytest.mark.parametrize("role_arn", [ROLE, None])
def test_patch_sets_or_removes_only_the_annotation_of_the_role(role_arn: str | None) -> None:
    account = IrsaAccount(API, {AUDIENCE_ANNOTATION: "vault"}, version="7")
    assert annotation_patch(account, role_arn) == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "namespace": "shop",
            "name": "api",
            "resourceVersion": "7",
            "annotations": {ROLE_ANNOTATION: role_arn},
        },
    }


# Tests of Pods that a restart replaces, and of others


def bare(name: str = "a", **more: Any) -> Json:
    return irsa_pod(name, **{"owner": None, **more})


def spec_of(kind: str, **spec: Any) -> Json:
    found = build.owner(kind)
    found["spec"] |= spec
    return found


@pytest.mark.parametrize(
    ("pods", "objects", "owners", "held"),
    [
        pytest.param(
            [irsa_pod("web-1")],
            {"Deployment": [build.owner()]},
            {"web-1": "Deployment shop/web"},
            {},
            id="Deployment",
        ),
        pytest.param(
            [bare()],
            {},
            {},
            {
                "a": "Pod shop/a: The Pod has no owner, so recreate it from its manifest. First: kubectl delete pod a -n shop"
            },
            id="no owner",
        ),
        pytest.param(
            [bare(owner=("Job", "load"))],
            {},
            {},
            {
                "a": "Job shop/load: Recreate Job load from its manifest, unless a CronJob creates the next Job. First: kubectl "
                "delete job load -n shop"
            },
            id="Job",
        ),
        pytest.param(
            [irsa_pod("web-1"), irsa_pod("web-2")],
            {"Deployment": [spec_of("Deployment", paused=True)]},
            {},
            dict.fromkeys(
                ("web-1", "web-2"),
                "Deployment shop/web: Deployment web is paused. Resume it before you restart it: kubectl rollout resume "
                "deployment/web -n shop",
            ),
            id="paused",
        ),
        pytest.param(
            [bare("web-0", owner=("StatefulSet", "web")), bare("web-1", owner=("StatefulSet", "web"))],
            {"StatefulSet": [spec_of("StatefulSet", updateStrategy={"rollingUpdate": {"partition": 1}})]},
            {"web-1": "StatefulSet shop/web"},
            {
                "web-0": "StatefulSet shop/web: StatefulSet web replaces no Pod with an ordinal below 1 (partition 1). Delete "
                "web-0: kubectl delete pod web-0 -n shop"
            },
            id="partition",
        ),
        pytest.param(
            [bare("x", owner=("DaemonSet", "web"))],
            {"DaemonSet": [spec_of("DaemonSet", updateStrategy={"type": "OnDelete"})]},
            {},
            {
                "x": "DaemonSet shop/web: DaemonSet web replaces Pods only when they are deleted (updateStrategy OnDelete). "
                "Delete x: kubectl delete pod x -n shop"
            },
            id="OnDelete",
        ),
        pytest.param(
            [bare("x", owner=("DaemonSet", "gone"))],
            {},
            {},
            {
                "x": "DaemonSet shop/gone: DaemonSet gone could not be read, or was deleted, so recreate its Pods yourself"
            },
            id="owner is missing",
        ),
    ],
)
def test_pods_have_an_owner_to_restart_or_a_reason(
    pods: list[Json], objects: dict[str, list[Json]], owners: dict[str, str], held: dict[str, str]
) -> None:
    lists = {"ReplicaSet": [build.replica_set()], **objects}
    listings = {kind: build.read(items) for kind, items in lists.items()}
    found = read([service_account()], pods, **listings).pods[API]
    assert (found.owners, found.held) == (owners, held)


def test_skipped_pod_needs_no_credentials() -> None:
    labels = {"eks.amazonaws.com/skip-pod-identity-webhook": ""}
    found = read([service_account()], [build.pod("a", injected=False, labels=labels)]).pods[API]
    assert (found.none, found.remaining) == ((), ())
