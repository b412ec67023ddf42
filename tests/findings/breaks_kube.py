# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Functions that change a correct Kubernetes cluster (``World``), so that a verification has a finding."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.tests.findings.breaks_aws import degrade_addon, delete_addon
from ansible_collections.workload_identity.aws.tests.findings.cluster import READER, WAITING, object_path
from ansible_collections.workload_identity.aws.tests.findings.world import (
    ACCOUNT_NAME,
    NAMESPACE,
    ROLE,
    Json,
    World,
)

ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pod-identity-webhook"
AGENT_URI = "http://169.254.170.23/v1/credentials"

Arrange = Callable[[World], None]


def new_pod(**changes: Any) -> Arrange:
    """Return a function that replaces the Pod. ``changes`` are arguments of ``World.pod``."""
    return lambda world: world.pod(**changes)


def pod_on(node: str, **labels: str) -> Arrange:
    """Return a function that moves the Pod to a new node without an agent."""

    def arrange(world: World) -> None:
        world.kube.node(node, **labels)
        world.pod(node=node)

    return arrange


def environment(**variables: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


PEM = b"-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n"
AUTHORITY = frozenset({hashlib.sha256(b"CERT").hexdigest()})


def api_at(url: str, authorities: frozenset[str] = AUTHORITY, checks_certificate: bool = True) -> Arrange:
    """Return a function that sets the API server in the kubeconfig: its URL, and the hashes of its certificate authorities."""

    def arrange(world: World) -> None:
        world.patch_cluster(
            endpoint="https://abc.eks.amazonaws.com",
            certificateAuthority={"data": base64.b64encode(PEM).decode()},
        )
        world.server = ApiServer(url, authorities, checks_certificate)

    return arrange


def delete_account(world: World) -> None:
    world.kube.request("DELETE", f"{ACCOUNTS}/{ACCOUNT_NAME}")


FINALIZERS = ["example.com/keep"]


def delete_account_with_finalizer(world: World) -> None:
    path = f"{ACCOUNTS}/{ACCOUNT_NAME}"
    world.kube.request("PATCH", path, {"metadata": {"finalizers": FINALIZERS}})
    world.kube.request("DELETE", path)


def delete_namespace(world: World) -> None:
    world.kube.create("/api/v1/namespaces", {"metadata": {"name": "leaving", "finalizers": FINALIZERS}})
    world.kube.request("DELETE", "/api/v1/namespaces/leaving")


def annotate_account(world: World) -> None:
    annotations = {"eks.amazonaws.com/role-arn": f"arn:aws:iam::{world.account}:role/{ROLE}"}
    world.kube.request("PATCH", f"{ACCOUNTS}/{ACCOUNT_NAME}", {"metadata": {"annotations": annotations}})


def pod_before_association(world: World) -> None:
    """Replace the Pod, and date the association one hour later than the Pod."""
    world.pod(injected=False)
    world.date_association(datetime.now(timezone.utc) + timedelta(hours=1))


def changed_under_pod(world: World) -> None:
    world.date_change(datetime.now(timezone.utc) + timedelta(hours=1))


def owned_pod_before_association(kind: str, pod: str, **spec: Any) -> Arrange:
    """Return a function that gives the Pod an owner, and dates the association one hour later than the Pod.

    ``kind`` and ``spec`` describe the owner, whose name is "web".
    """

    def arrange(world: World) -> None:
        world.pod(injected=False, name=pod, ownerReferences=[make_owner(world, kind, **spec)])
        world.date_association(datetime.now(timezone.utc) + timedelta(hours=1))

    return arrange


def pod_of_paused_deployment(world: World) -> None:
    deployment = make_owner(world, "Deployment", paused=True)
    replica_set = make_owner(world, "ReplicaSet", "web-5d8f", deployment)
    world.pod(injected=False, labels={"app": "web"}, ownerReferences=[replica_set])
    world.date_association(datetime.now(timezone.utc) + timedelta(hours=1))


def make_owner(world: World, kind: str, name: str = "web", owner: Json | None = None, **spec: Any) -> Json:
    """Create an object that owns Pods, and return an owner reference to this object."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    created = world.kube.create(
        object_path("apps/v1", kind, NAMESPACE),
        {
            "metadata": {"name": name, "ownerReferences": [owner] if owner else []},
            "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
        },
    )
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": name,
        "uid": created["metadata"]["uid"],
        "controller": True,
    }


def delete_agent(world: World) -> None:
    world.kube.delete_agent()


def delete_agent_and_addon(world: World) -> None:
    delete_addon(world)
    world.kube.delete_agent()


def agent_without_pods(world: World) -> None:
    world.kube.delete_agent()
    world.kube.daemon_set()


def agent_not_ready(world: World) -> None:
    world.kube.delete_agent()
    world.kube.agent(status=WAITING)


def agent_not_ready_and_degraded(world: World) -> None:
    agent_not_ready(world)
    degrade_addon(world)


def agent_not_ready_elsewhere(world: World) -> None:
    world.kube.node("ip-10-0-1-6.ec2.internal")
    world.kube.agent("ip-10-0-1-6.ec2.internal", WAITING)


def read_without_pods(world: World) -> None:
    world.kube.allow_reader({"": ["serviceaccounts"]})
    world.kube_token = READER


def read_without_daemon_sets(world: World) -> None:
    world.kube.allow_reader({"": ["serviceaccounts", "pods", "nodes"]})
    world.kube_token = READER
    world.kube.delete_agent()


def proof(exit_code: int, message: str) -> Arrange:
    """Return a function that makes the container of the runtime proof end with this exit code and message."""
    state = {"exitCode": exit_code, "message": message}
    return lambda world: world.prove({"terminated": state})


def proof_as_role(role: str) -> Arrange:
    """Return a function that makes the runtime proof succeed and report a session of this role of the account."""

    def arrange(world: World) -> None:
        answer = f"arn:aws:sts::{world.account}:assumed-role/{role}/eks-my-cluster-my-pod"
        proof(0, answer)(world)

    return arrange


def proof_without_node(world: World) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    world.prove(condition={**condition, "message": "0/1 nodes are available: 1 Insufficient cpu."})


def with_probe(arrange: Arrange = lambda _world: None) -> Arrange:
    """Return a function that enables the injection probe, after ``arrange`` has changed the cluster."""

    def arrange_probe(world: World) -> None:
        arrange(world)
        world.probes = True

    return arrange_probe


def unknown_to_webhook(world: World) -> None:
    world.kube.control.set_associations([])


def young_association(world: World) -> None:
    """Date the association in the future, so that it is young however long the test takes, and delete the older Pod."""
    unknown_to_webhook(world)
    world.delete_pod()
    world.date_association(datetime.now(timezone.utc) + timedelta(hours=1))


def excluded_namespace(world: World) -> None:
    (webhook,) = world.kube.request("GET", WEBHOOK)["webhooks"]
    names = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [NAMESPACE]}
    webhook["namespaceSelector"] = {"matchExpressions": [names]}
    world.kube.request("PATCH", WEBHOOK, {"webhooks": [webhook]})


def irsa_instead(world: World) -> None:
    annotate_account(world)
    unknown_to_webhook(world)


def policy_adds_skip_label(world: World) -> None:
    def mutate(pod: Json) -> None:
        pod["metadata"]["labels"]["eks.amazonaws.com/skip-pod-identity-webhook"] = "true"

    world.mutate = mutate


def policy_adds_access_keys(world: World) -> None:
    def mutate(pod: Json) -> None:
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        pod["spec"]["containers"][0]["env"] += [{"name": name, "value": "x"} for name in keys]

    world.mutate = mutate


def probe_not_allowed(world: World) -> None:
    world.kube.allow_reader({"": ["serviceaccounts", "pods", "nodes"]})
    world.kube_token = READER
