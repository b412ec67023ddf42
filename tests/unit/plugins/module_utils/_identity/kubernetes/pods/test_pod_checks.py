# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the checks of Pods: for each state of the cluster, the statuses and the finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pod_checks import (
    verify_pods,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pods import (
    parse_state,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)

RESTART = "Recreate the Pods: kubectl rollout restart deployment/web -n shop"
ONE = "Pod web-6d5f7c9b8-x2x4z of Deployment web"
SKIPPING = {"pod-template-hash": "6d5f7c9b8", "eks.amazonaws.com/skip-pod-identity-webhook": "true"}
LOOK = (
    "kubectl -n kube-system get pods -l 'app.kubernetes.io/name in (eks-pod-identity-agent,"
    "eks-pod-identity-agent-hybrid,eks-pod-identity-agent-hybrid-bottlerocket)' -o wide"
)
STALE_AND_IRSA = {
    "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/old",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
}
REPLICA_SET = build.replica_set()


@dataclass(frozen=True)
class Case:
    """A state of the cluster.

    ``checks`` has two texts of the form "status detail": for the check of the agent, and for the check of the Pods. ``finding``
    has the code, the severity, the message and the remedy.
    """

    name: str
    pods: list[dict[str, Any]]
    checks: tuple[str, str]
    finding: tuple[str, str, str, str] | None
    reads: Mapping[str, Any] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)
    auto_mode: bool = False


def proxy(**env: str) -> dict[str, Any]:
    return build.pod(containers=[build.container(env={**build.INJECTED, **env})])


def proxied(names: str) -> tuple[str, str, str, str]:
    return (
        "POD_PROXY",
        "error",
        f"{ONE} (2 hours old): container app has {names} without a NO_PROXY for the agent, so its SDK may request "
        "credentials from the proxy.",
        f"Add 169.254.170.23 and [fd00:ec2::23] to NO_PROXY and no_proxy in the Pod template. {RESTART}",
    )


def before_association(subject: str, remedy: str, instead: str = "") -> tuple[str, str, str, str]:
    return (
        "POD_BEFORE_ASSOCIATION",
        "error",
        f"{subject}: admitted before association a-1 was created (2026-03-10T09:00:00Z), so EKS Pod Identity was not "
        f"injected{instead}.",
        remedy.replace(
            "Recreate the Pods:", "Run with pod_identity_restart_stale: true, or recreate the Pods by hand:"
        ),
    )


def former(change: str, age: str) -> tuple[str, str, str, str]:
    return (
        "POD_BEFORE_CHANGE",
        "warning",
        f"{ONE} ({age} old): admitted before {change}.",
        f"Wait until then, or apply the change at once as follows. {RESTART}",
    )


def stale(owner: tuple[str, str] | None, **more: Any) -> dict[str, Any]:
    return build.pod("x", created=build.BEFORE, injected=False, owner=owner, **more)


KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
BOTH_KEYS = "container app with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which SDKs prefer"
OWN_URI = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9911/"}
OWN = (
    "container app with AWS_CONTAINER_CREDENTIALS_FULL_URI, but without the URI of the EKS Pod Identity Agent"
)
ON_PURPOSE = (
    "To leave a container out on purpose, name it in the annotation eks.amazonaws.com/skip-containers of the "
    "Pod template."
)


def other_credentials(description: str, change: str, age: str = "2 hours") -> tuple[str, str, str, str]:
    return (
        "POD_OTHER_CREDENTIALS",
        "error",
        f"{ONE} ({age} old): {description}.",
        f"In the Pod template of Deployment web, or in the webhook that changes it, {change}. {ON_PURPOSE}",
    )


def skips_webhook(instead: str = "") -> tuple[str, str, str, str]:
    return (
        "POD_SKIPPED",
        "warning",
        f"{ONE} (2 hours old): skipped by the webhook because of the label eks.amazonaws.com/skip-pod-identity-webhook{instead}.",
        f"If the workload needs the role, remove the label from the Pod template. {RESTART}",
    )


AGENTS = {"agents": build.read([build.agent()])}
NO_AGENTS = {"agents": build.read([])}
CASES = [
    Case("all right", [build.pod()], ("pass", "pass 1"), None),
    Case("no Pods", [], ("pass", "pass 0"), None),
    Case(
        "older than the last change of the association",
        [build.pod(), build.pod("web-6d5f7c9b8-new", created="2026-03-10T11:00:00Z")],
        ("pass", "warning 1/2"),
        former(
            "association a-1 was last changed (2026-03-10T11:00:00Z). Until 2026-03-10T17:00:00Z, SDKs may use the former "
            "role or settings",
            "2 hours",
        ),
        row={"association_modified_at": "2026-03-10T11:00:00.250000+00:00"},
    ),
    Case(
        "a Pod of a recreated association keeps its credentials",
        [build.pod(created=build.BEFORE)],
        ("pass", "warning 1/1"),
        former(
            "association a-1 was last changed (2026-03-10T09:00:00Z). Until 2026-03-10T15:00:00Z, SDKs may use the former "
            "role or settings",
            "3 days",
        ),
        row={"association_modified_at": build.ASSOCIATED},
    ),
    Case(
        "older than its role, which was deleted and created anew",
        [build.pod()],
        ("pass", "warning 1/1"),
        former(
            "the role was created (2026-03-10T11:30:00Z). Until 2026-03-10T17:30:00Z, SDKs may use credentials of the "
            "deleted role, which AWS rejects",
            "2 hours",
        ),
        row={"association_modified_at": build.ASSOCIATED, "role_created_at": "2026-03-10T11:30:00+00:00"},
    ),
    Case(
        "older than a change of six hours ago",
        [build.pod(created=build.BEFORE)],
        ("pass", "pass 1"),
        None,
        row={"association_modified_at": "2026-03-10T06:00:00+00:00"},
    ),
    Case(
        "older than a change of an association that is not right, which is a finding of AWS",
        [build.pod(created=build.BEFORE)],
        ("pass", "pass 1"),
        None,
        row={
            "association_modified_at": build.ASSOCIATED,
            "checks": [{"name": "association", "status": "fail", "codes": ["ASSOCIATION_OTHER_ROLE"]}],
        },
    ),
    Case(
        "Pods that are finished or about to go",
        [stale(None, phase="Succeeded"), stale(None, phase="Failed"), stale(None, deleted=True)],
        ("pass", "pass 0"),
        None,
    ),
    Case(
        "another service account's Pod",
        [build.pod(account="other", injected=False), build.pod(namespace="other", injected=False)],
        ("pass", "pass 0"),
        None,
    ),
    Case(
        "admitted before the association",
        [build.pod(created=build.BEFORE, injected=False)],
        ("pass", "fail 1/1"),
        before_association(f"{ONE} (3 days old)", RESTART),
    ),
    Case(
        "many Pods of a Deployment are one finding",
        [build.pod(f"web-6d5f7c9b8-{n}", created=build.BEFORE, injected=False) for n in "edcba"]
        + [build.pod()],
        ("pass", "fail 5/6"),
        before_association(
            "Pods web-6d5f7c9b8-a, web-6d5f7c9b8-b, web-6d5f7c9b8-c and 2 more of Deployment web (up to 3 days old)",
            RESTART,
        ),
    ),
    Case(
        "before the association, still with IRSA",
        [build.pod(created=build.BEFORE, injected=False, containers=[build.container(env=STALE_AND_IRSA)])],
        ("pass", "fail 1/1"),
        before_association(
            f"{ONE} (3 days old)",
            RESTART,
            "; the role in use is still arn:aws:iam::111122223333:role/old (IRSA)",
        ),
    ),
    Case(
        "left to itself, before the association",
        [build.pod(created=build.BEFORE, injected=False, labels=SKIPPING)],
        ("pass", "warning 1/1"),
        (
            "POD_SKIPPED",
            "warning",
            f"{ONE} (3 days old): skipped by the webhook because of the label eks.amazonaws.com/skip-pod-identity-webhook.",
            f"If the workload needs the role, remove the label from the Pod template. {RESTART}",
        ),
    ),
    Case(
        "left to itself, with IRSA",
        [build.pod(injected=False, labels=SKIPPING, containers=[build.container(env=STALE_AND_IRSA)])],
        ("pass", "warning 1/1"),
        skips_webhook("; the role in use is still arn:aws:iam::111122223333:role/old (IRSA)"),
    ),
    Case(
        "left to itself, with keys, which SDKs prefer to IRSA",
        [
            build.pod(
                injected=False, labels=SKIPPING, containers=[build.container(env={**STALE_AND_IRSA, **KEYS})]
            )
        ],
        ("pass", "warning 1/1"),
        skips_webhook(),
    ),
    Case(
        "the agent's port",
        [build.pod(containers=[{**build.container(), "ports": [{"containerPort": 80, "hostPort": 80}]}])],
        ("pass", "warning 1/1"),
        (
            "POD_HOST_PORT",
            "warning",
            f"{ONE} (2 hours old): container app uses port 80 of its node, where the EKS Pod Identity Agent listens, so "
            f"the container or the agent may not start, or Pods may not reach the agent (node {build.NODE}).",
            f"Give the container another hostPort. {RESTART}",
        ),
    ),
    Case(
        "security groups for Pods",
        [build.pod(annotations={"vpc.amazonaws.com/pod-eni": '[{"eniId":"eni-1"}]'})],
        ("pass", "warning 1/1"),
        (
            "POD_OWN_INTERFACE",
            "warning",
            f"{ONE} (2 hours old): with security groups for Pods. If the VPC CNI enforces them in strict mode, which was not "
            "checked, the EKS Pod Identity Agent cannot be reached.",
            "If the mode is strict, set it to standard, or exclude the Pod from its SecurityGroupPolicy; then recreate "
            "the Pod. To see the mode: kubectl -n kube-system set env daemonset/aws-node --list | grep "
            "POD_SECURITY_GROUP_ENFORCING_MODE",
        ),
    ),
    Case(
        "another port of the node",
        [build.pod(containers=[{**build.container(), "ports": [{"containerPort": 80, "hostPort": 8080}]}])],
        ("pass", "pass 1"),
        None,
    ),
    Case(
        "of a DaemonSet",
        [stale(("DaemonSet", "logs"))],
        ("pass", "fail 1/1"),
        before_association(
            "Pod x of DaemonSet logs (3 days old)",
            "Recreate the Pods: kubectl rollout restart daemonset/logs -n shop",
        ),
    ),
    Case(
        "of a StatefulSet",
        [stale(("StatefulSet", "db"))],
        ("pass", "fail 1/1"),
        before_association(
            "Pod x of StatefulSet db (3 days old)",
            "Recreate the Pods: kubectl rollout restart statefulset/db -n shop",
        ),
    ),
    Case(
        "of a Job",
        [stale(("Job", "import"))],
        ("pass", "fail 1/1"),
        before_association(
            "Pod x of Job import (3 days old)",
            "Recreate Job import from its manifest, unless a CronJob creates the next Job. First: kubectl delete job import "
            "-n shop",
        ),
    ),
    Case(
        "of a ReplicaSet alone",
        [stale(("ReplicaSet", "web"), labels={})],
        ("pass", "fail 1/1"),
        before_association(
            "Pod x of ReplicaSet web (3 days old)",
            "Delete each Pod with this fault, so that ReplicaSet web creates a new one: kubectl delete pod x -n shop",
        ),
    ),
    Case(
        "of something else",
        [stale(("ReplicaSet", "web-6d5f7c9b8"))],
        ("pass", "fail 1/1"),
        before_association(
            "Pod x of Rollout web (3 days old)",
            "Delete each Pod with this fault, so that Rollout web creates a new one: kubectl delete pod x -n shop",
        ),
        reads={"replica_sets": build.read([build.replica_set(owner=("Rollout", "web"))])},
    ),
    Case(
        "of nothing",
        [stale(None)],
        ("pass", "fail 1/1"),
        before_association(
            "Pod x (3 days old)",
            "The Pod has no owner, so recreate it from its manifest. First: kubectl delete pod x -n shop",
        ),
    ),
    Case(
        "owner by the ReplicaSet's ownerReferences",
        [build.pod(created=build.BEFORE, injected=False, labels={})],
        ("pass", "fail 1/1"),
        before_association(f"{ONE} (3 days old)", RESTART),
        reads={"replica_sets": build.read([REPLICA_SET])},
    ),
    Case(
        "admitted after the association without injection",
        [build.pod(injected=False)],
        ("pass", "fail 1/1"),
        (
            "POD_NOT_INJECTED",
            "error",
            f"{ONE} (2 hours old): without the environment and token of EKS Pod Identity, although admitted after the "
            "association.",
            f"Check the cluster's mutating webhooks if new Pods have the same fault. {RESTART}",
        ),
    ),
    Case(
        "no association is no fault of the Pods",
        [build.pod(injected=False)],
        ("pass", "pass 1"),
        None,
        row={"association_id": "", "association_created_at": ""},
    ),
    Case(
        "on Fargate, by the node's label",
        [build.pod(injected=False)],
        ("pass", "fail 1/1"),
        (
            "POD_ON_UNSUPPORTED_NODE",
            "error",
            f"{ONE} (2 hours old): on AWS Fargate, where EKS Pod Identity does not work (node {build.NODE}).",
            "Let the workload run on Linux EC2 nodes (change the Fargate profile's selectors), or use IAM roles for service "
            "accounts for this workload.",
        ),
        reads={"nodes": build.read([build.node(labels={"eks.amazonaws.com/compute-type": "fargate"})])},
    ),
    Case(
        "on Fargate, by the Pod's label before it has a node",
        [build.pod("x", owner=None, node="", labels={"eks.amazonaws.com/fargate-profile": "fp"})],
        ("pass", "fail 1/1"),
        (
            "POD_ON_UNSUPPORTED_NODE",
            "error",
            "Pod x (2 hours old): on AWS Fargate, where EKS Pod Identity does not work.",
            "Let the workload run on Linux EC2 nodes (change the Fargate profile's selectors), or use IAM roles for service "
            "accounts for this workload.",
        ),
    ),
    Case(
        "on Fargate, by the node's name",
        [build.pod("x", owner=None, node="fargate-ip-10-0-1-9.ec2.internal")],
        ("pass", "fail 1/1"),
        (
            "POD_ON_UNSUPPORTED_NODE",
            "error",
            "Pod x (2 hours old): on AWS Fargate, where EKS Pod Identity does not work (node "
            "fargate-ip-10-0-1-9.ec2.internal).",
            "Let the workload run on Linux EC2 nodes (change the Fargate profile's selectors), or use IAM roles for service "
            "accounts for this workload.",
        ),
    ),
    Case(
        "on Windows",
        [build.pod()],
        ("pass", "fail 1/1"),
        (
            "POD_ON_UNSUPPORTED_NODE",
            "error",
            f"{ONE} (2 hours old): on Windows, where EKS Pod Identity does not work (node {build.NODE}).",
            "Use IAM roles for service accounts for this workload, or move it to Linux nodes.",
        ),
        reads={"nodes": build.read([build.node(labels={"kubernetes.io/os": "windows"})])},
    ),
    Case(
        "on Windows, by the Pod's own word",
        [build.pod("x", owner=None, node="", os={"name": "windows"})],
        ("pass", "fail 1/1"),
        (
            "POD_ON_UNSUPPORTED_NODE",
            "error",
            "Pod x (2 hours old): on Windows, where EKS Pod Identity does not work.",
            "Use IAM roles for service accounts for this workload, or move it to Linux nodes.",
        ),
    ),
    Case(
        "no agent in the cluster",
        [build.pod()],
        ("fail", "pass 1"),
        (
            "AGENT_MISSING",
            "error",
            "cluster my-cluster has no EKS Pod Identity Agent (no DaemonSet eks-pod-identity-agent in namespace "
            "kube-system), so no Pod gets credentials.",
            "Install the add-on: apply the workloads with pod_identity_agent: present.",
        ),
        reads={**NO_AGENTS, "daemon_sets": build.read([]), "nodes": build.read([build.node()])},
    ),
    Case(
        "no agent in the cluster, although EKS has the add-on",
        [build.pod()],
        ("fail", "pass 1"),
        (
            "AGENT_MISSING",
            "error",
            "cluster my-cluster has no EKS Pod Identity Agent (no DaemonSet eks-pod-identity-agent in "
            "namespace kube-system), so no Pod gets credentials.",
            "EKS has the add-on, so the Kubernetes API may belong to another cluster, or the DaemonSet was deleted. Compare the "
            "endpoint in the kubeconfig, if you use one, with: aws eks describe-cluster --name my-cluster --query "
            "cluster.endpoint",
        ),
        reads={**NO_AGENTS, "daemon_sets": build.read([]), "nodes": build.read([build.node()])},
        row={"checks": [{"name": "agent", "status": "pass", "detail": "v1.3.4", "codes": []}]},
    ),
    Case(
        "the agent's DaemonSet has no Pods",
        [build.pod()],
        ("fail", "pass 1"),
        (
            "AGENT_NOT_READY",
            "error",
            "the EKS Pod Identity Agent has 0 of 2 desired Pods; no Pod gets credentials.",
            "See the events: kubectl -n kube-system get events --field-selector involvedObject.kind=DaemonSet",
        ),
        reads={**NO_AGENTS, "daemon_sets": build.read([build.daemon_set(2)])},
    ),
    Case(
        "the agent selects no node",
        [],
        ("warning", "pass 0"),
        (
            "AGENT_NOT_READY",
            "warning",
            "DaemonSet eks-pod-identity-agent has no Pods, as it selects no node of the cluster.",
            "If the cluster has nodes, check the DaemonSet's node selector and affinity.",
        ),
        reads={**NO_AGENTS, "daemon_sets": build.read([build.daemon_set()])},
    ),
    Case(
        "no agent is ready",
        [build.pod()],
        ("fail", "pass 1"),
        (
            "AGENT_NOT_READY",
            "error",
            f"no Pod of the EKS Pod Identity Agent is ready, so no Pod gets credentials. Nodes: {build.NODE}.",
            "Describe the Pods of the agent and read their logs ('listen tcp [fd00:ec2::23]:80: bind: cannot assign requested "
            f"address' means that IPv6 is off on the node). To see the Pods of the agent: {LOOK}",
        ),
        reads={"agents": build.read([build.agent(ready=False)])},
    ),
    Case(
        "an agent elsewhere is not ready",
        [build.pod()],
        ("warning", "pass 1"),
        (
            "AGENT_NOT_READY",
            "warning",
            "the EKS Pod Identity Agent is not ready on 1 of its 2 nodes (other), so Pods there get no credentials.",
            "Describe the Pods of the agent and read their logs ('listen tcp [fd00:ec2::23]:80: bind: cannot assign requested "
            f"address' means that IPv6 is off on the node). To see the Pods of the agent: {LOOK}",
        ),
        reads={"agents": build.read([build.agent(), build.agent("other", ready=False)])},
    ),
    Case(
        "the agent on the Pod's node is not ready",
        [build.pod()],
        ("fail", "pass 1"),
        (
            "AGENT_MISSING",
            "error",
            f"{ONE} (2 hours old): on a node where the EKS Pod Identity Agent is not ready (node {build.NODE}).",
            "Check whether taints or node selectors exclude the node. If IPv6 is off on the node, the agent logs 'listen tcp "
            f"[fd00:ec2::23]:80: bind: cannot assign requested address'. To see the nodes of the agent: {LOOK}",
        ),
        reads={"agents": build.read([build.agent(ready=False), build.agent("other")])},
    ),
    Case(
        "no agent on the Pod's node",
        [build.pod()],
        ("fail", "pass 1"),
        (
            "AGENT_MISSING",
            "error",
            f"{ONE} (2 hours old): on a node where the EKS Pod Identity Agent does not run (node {build.NODE}).",
            "Check whether taints or node selectors exclude the node. If IPv6 is off on the node, the agent logs 'listen tcp "
            f"[fd00:ec2::23]:80: bind: cannot assign requested address'. To see the nodes of the agent: {LOOK}",
        ),
        reads={"agents": build.read([build.agent("other")])},
    ),
    Case(
        "Auto Mode has the agent in the node",
        [build.pod()],
        ("pass auto", "pass 1"),
        None,
        reads={
            **NO_AGENTS,
            "daemon_sets": build.read([]),
            "nodes": build.read([build.node(labels={"eks.amazonaws.com/compute-type": "auto"})]),
        },
    ),
    Case(
        "Auto Mode by the cluster's own word, without nodes",
        [],
        ("pass auto", "pass 0"),
        None,
        reads=NO_AGENTS,
        auto_mode=True,
    ),
    Case(
        "a node group beside Auto Mode needs the agent",
        [build.pod()],
        ("fail", "pass 1"),
        (
            "AGENT_MISSING",
            "error",
            f"{ONE} (2 hours old): on a node where the EKS Pod Identity Agent does not run (node {build.NODE}).",
            "Check whether taints or node selectors exclude the node. If IPv6 is off on the node, the agent logs 'listen tcp "
            f"[fd00:ec2::23]:80: bind: cannot assign requested address'. To see the nodes of the agent: {LOOK}",
        ),
        reads={**NO_AGENTS, "nodes": build.read([build.node()])},
        auto_mode=True,
    ),
    Case("proxy", [proxy(HTTP_PROXY="http://proxy:3128")], ("pass", "fail 1/1"), proxied("HTTP_PROXY")),
    Case(
        "proxies in any case, with another NO_PROXY",
        [proxy(https_proxy="http://p", ALL_PROXY="socks5://p", no_proxy="10.0.0.0/8,.svc")],
        ("pass", "fail 1/1"),
        proxied("https_proxy and ALL_PROXY"),
    ),
    Case(
        "proxy with NO_PROXY",
        [proxy(HTTP_PROXY="http://proxy:3128", NO_PROXY="localhost, 169.254.170.23")],
        ("pass", "pass 1"),
        None,
    ),
    Case(
        "proxy of a container that is left out",
        [
            build.pod(
                containers=[build.container(), build.container("squid", {"HTTP_PROXY": "http://p"})],
                annotations={"eks.amazonaws.com/skip-containers": "squid"},
            )
        ],
        ("pass", "warning 1/1"),
        (
            "POD_SKIPPED",
            "warning",
            f"{ONE} (2 hours old): container squid excluded by the annotation eks.amazonaws.com/skip-containers.",
            f"If a container needs the role, remove its name from the annotation in the Pod template. {RESTART}",
        ),
    ),
    Case(
        "containers left out",
        [
            build.pod(
                containers=[build.container(), build.container("metrics", {})],
                init=[build.container("setup", {"HTTP_PROXY": "http://p"})],
                annotations={"eks.amazonaws.com/skip-containers": "metrics, setup"},
            )
        ],
        ("pass", "warning 1/1"),
        (
            "POD_SKIPPED",
            "warning",
            f"{ONE} (2 hours old): containers setup, metrics excluded by the annotation eks.amazonaws.com/skip-containers.",
            f"If a container needs the role, remove its name from the annotation in the Pod template. {RESTART}",
        ),
    ),
    Case(
        "all containers left out",
        [build.pod(injected=False, annotations={"eks.amazonaws.com/skip-containers": "app"})],
        ("pass", "warning 1/1"),
        (
            "POD_SKIPPED",
            "warning",
            f"{ONE} (2 hours old): container app excluded by the annotation eks.amazonaws.com/skip-containers.",
            f"If a container needs the role, remove its name from the annotation in the Pod template. {RESTART}",
        ),
    ),
    Case(
        "keys in the environment",
        [proxy(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="not-a-secret")],
        ("pass", "fail 1/1"),
        other_credentials(BOTH_KEYS, "remove AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from container app"),
    ),
    Case(
        "a web identity beside Pod Identity",
        [proxy(**STALE_AND_IRSA)],
        ("pass", "fail 1/1"),
        other_credentials(
            "container app with AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE (arn:aws:iam::111122223333:role/old), which "
            "SDKs prefer",
            "remove AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE from container app",
        ),
    ),
    Case(
        "credentials of its own beside a sidecar with Pod Identity",
        [build.pod(containers=[build.container(env=OWN_URI), build.container("proxy")])],
        ("pass", "fail 1/1"),
        other_credentials(OWN, "remove AWS_CONTAINER_CREDENTIALS_FULL_URI from container app"),
    ),
    Case(
        "credentials of its own in the only container",
        [build.pod(containers=[build.container(env=OWN_URI)])],
        ("pass", "fail 1/1"),
        other_credentials(OWN, "remove AWS_CONTAINER_CREDENTIALS_FULL_URI from container app"),
    ),
    Case(
        "credentials of its own, before the association: another Pod is no better",
        [build.pod(created=build.BEFORE, injected=False, containers=[build.container(env=OWN_URI)])],
        ("pass", "fail 1/1"),
        other_credentials(OWN, "remove AWS_CONTAINER_CREDENTIALS_FULL_URI from container app", "3 days"),
    ),
    Case(
        "several containers and an init container with other credentials",
        [
            build.pod(
                containers=[build.container(env={**build.INJECTED, **KEYS}), build.container("log", OWN_URI)],
                init=[build.container("setup", {**build.INJECTED, **KEYS})],
            )
        ],
        ("pass", "fail 1/1"),
        other_credentials(
            f"containers setup, app with {BOTH_KEYS.partition(' with ')[2]}; {OWN.replace('app', 'log', 1)}",
            "remove AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from containers setup, app, and remove "
            "AWS_CONTAINER_CREDENTIALS_FULL_URI from container log",
        ),
    ),
    Case(
        "a token for another audience",
        [build.pod(volumes=[build.token_volume("sts.amazonaws.com")])],
        ("pass", "unknown 1/1"),
        (
            "POD_CREDENTIALS_UNKNOWN",
            "warning",
            f"{ONE} (2 hours old): container app with another token from volume eks-pod-identity-token: it is not known whether "
            "SDKs use the role of the association.",
            "In the Pod template of Deployment web, or in the webhook that changes it, remove volume eks-pod-identity-token and "
            "its mount from container app. If the SDKs do use the role of the association, set pod_identity_ignore: "
            f"[POD_CREDENTIALS_UNKNOWN]. {ON_PURPOSE}",
        ),
    ),
    Case(
        "keys in a Pod that nothing owns",
        [build.pod("x", owner=None, containers=[build.container(env={**build.INJECTED, **KEYS})])],
        ("pass", "fail 1/1"),
        (
            "POD_OTHER_CREDENTIALS",
            "error",
            f"Pod x (2 hours old): {BOTH_KEYS}.",
            "In the manifest of Pod x, or in the webhook that changes it, remove AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            f"from container app. {ON_PURPOSE} The Pod has no owner, so recreate it from its manifest. First: kubectl delete "
            "pod x -n shop",
        ),
    ),
    Case(
        "keys in a container that is left out on purpose",
        [
            build.pod(
                containers=[build.container(), build.container("backup", KEYS)],
                annotations={"eks.amazonaws.com/skip-containers": "backup"},
            )
        ],
        ("pass", "warning 1/1"),
        (
            "POD_SKIPPED",
            "warning",
            f"{ONE} (2 hours old): container backup excluded by the annotation eks.amazonaws.com/skip-containers.",
            f"If a container needs the role, remove its name from the annotation in the Pod template. {RESTART}",
        ),
    ),
    Case(
        "a container without injection beside one with it",
        [build.pod(containers=[build.container(), build.container("late", {})])],
        ("pass", "fail 1/1"),
        (
            "POD_NOT_INJECTED",
            "error",
            f"{ONE} (2 hours old): container late without the environment of EKS Pod Identity, which other containers have.",
            "If a container needs no role, name it in the annotation eks.amazonaws.com/skip-containers of the "
            "Pod template. Otherwise find the webhook that adds or changes the container after the EKS webhook: kubectl get "
            "mutatingwebhookconfigurations",
        ),
    ),
    Case(
        "variables from another source",
        [build.pod(containers=[build.container(envFrom=[{"secretRef": {"name": "app-env"}}])])],
        ("pass", "unknown 1/1"),
        (
            "POD_CREDENTIALS_UNKNOWN",
            "warning",
            f"{ONE} (2 hours old): container app with envFrom Secret app-env, which may set variables that SDKs prefer: it is "
            "not known whether SDKs use the role of the association.",
            "In the Pod template of Deployment web, or in the webhook that changes it, remove any credential variables of "
            "Secret app-env, such as AWS_ACCESS_KEY_ID and AWS_PROFILE, from container app. If the SDKs do use the "
            f"role of the association, set pod_identity_ignore: [POD_CREDENTIALS_UNKNOWN]. {ON_PURPOSE}",
        ),
    ),
    Case(
        "other credentials are no fault of a Pod without association",
        [build.pod(containers=[build.container(env=KEYS)])],
        ("pass", "pass 1"),
        None,
        row={"association_id": "", "association_created_at": ""},
    ),
    Case(
        "Pods that may not be read",
        [],
        ("pass", "unknown"),
        (
            "KUBERNETES_NOT_READABLE",
            "error",
            "pods could not be read, so checks that need them are unknown or incomplete: pods is "
            'forbidden: User "reader" '
            "cannot list "
            'resource "pods" in API group "" at the cluster scope',
            "Allow the caller of the Kubernetes API to list pods. To leave Pods out of the verification, set "
            "pod_identity_verify_pods: false.",
        ),
        reads={"pods": build.refused("pods")},
    ),
    Case(
        "agents that may not be read",
        [build.pod()],
        ("unknown", "pass 1"),
        (
            "KUBERNETES_NOT_READABLE",
            "warning",
            "pods in namespace kube-system could not be read, so checks that need them are unknown or incomplete: pods is "
            "forbidden: "
            'User "reader" cannot list resource "pods" in API group "" at the cluster scope',
            "Allow the caller of the Kubernetes API to list pods in namespace kube-system. To leave Pods out of the "
            "verification, set pod_identity_verify_pods: false.",
        ),
        reads={"agents": build.refused("pods")},
    ),
    Case(
        "Pods that are not read any more",
        [],
        ("pass", "unknown"),
        (
            "KUBERNETES_NOT_READABLE",
            "error",
            "pods could not be read, so checks that need them are unknown or incomplete: the deadline of 60 s has passed",
            "Run again with a greater pod_identity_deadline.",
        ),
        reads={"pods": Listing(error=ApiError(0, "the deadline of 60 s has passed"))},
    ),
    Case(
        "Pods of an API server that is not well",
        [],
        ("pass", "unknown"),
        (
            "KUBERNETES_NOT_READABLE",
            "error",
            "pods could not be read, so checks that need them are unknown or incomplete: etcdserver: request timed out",
            "Run again when the API server is available.",
        ),
        reads={"pods": Listing(error=ApiError(500, "etcdserver: request timed out"))},
    ),
    Case(
        "Pods of an API server that does not answer",
        [],
        ("pass", "unknown"),
        (
            "KUBERNETES_NOT_READABLE",
            "error",
            "pods could not be read, so checks that need them are unknown or incomplete: Read timed out.",
            "Check the endpoint in the kubeconfig, and that it can be reached from where Ansible runs: a "
            "private endpoint can be reached only from its VPC or a network that is connected to the VPC. Then "
            "look at firewalls and security groups.",
        ),
        reads={"pods": Listing(error=ApiError(0, "Read timed out."))},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case_has_exactly_its_finding(case: Case) -> None:
    reads = {**AGENTS, "pods": build.read(case.pods), **case.reads}
    state = parse_state(reads, [build.KEY], build.CLUSTER, build.NOW, case.auto_mode)
    verdict = verify_pods([build.verified(**case.row)], state, build.CLUSTER)
    findings = [
        (finding.code.value, finding.severity, finding.message, finding.remedy)
        for finding in verdict.findings
    ]
    assert findings == ([case.finding] if case.finding else [])
    checks = verdict.checks[build.KEY]
    assert {check.name: f"{check.status} {check.detail}".strip() for check in checks} == {
        "agent": case.checks[0],
        "pods": case.checks[1],
    }
    codes = {finding.code.value for check in checks for finding in check.findings}
    assert codes == ({case.finding[0]} if case.finding else set())
    assert verdict.judges_agent
