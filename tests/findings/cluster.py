# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of the embedded Kubernetes: one creates the objects of a test, the Kubernetes part of the role uses the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    parse_response,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    DryRun,
    Listing,
    Query,
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    object_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from sandbox.kube.control import KubeControl
from urllib3 import PoolManager

TOKEN = "administrator-token-0123456789"
READER = "reader-token-0123456789"
AGENTS = "kube-system"
NODE = "ip-10-0-1-5.ec2.internal"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
WAITING = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
AGENT_PODS = f"/api/v1/namespaces/{AGENTS}/pods"
AGENT_SETS = f"/apis/apps/v1/namespaces/{AGENTS}/daemonsets"
PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "Namespace": "namespaces",
    "Pod": "pods",
    "Node": "nodes",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "ReplicaSet": "replicasets",
    "CronJob": "cronjobs",
    "Job": "jobs",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}
AGENT_LABEL = {"app.kubernetes.io/name": "eks-pod-identity-agent"}

Json = dict[str, Any]


class RejectedRequest(Exception):
    """The exception for a request that the API server rejected. ``error`` is the error in its response."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.error = parse_response(status, body)


class Kube:
    """A client of an API server. Requests are from the administrator, unless ``token`` names another user."""

    def __init__(self, endpoint: str, authority: Path, kubeconfig: Path) -> None:
        self.endpoint = endpoint
        self.kubeconfig = kubeconfig
        self.control = KubeControl(endpoint, authority, TOKEN)
        self._pool = PoolManager(ca_certs=str(authority), retries=False)

    def request(self, method: str, path: str, body: object = None, token: str = TOKEN, **query: str) -> Json:
        """Send a request, and return the parsed response. Raise RejectedRequest for an error response."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        response = self._pool.request(
            method,
            f"{self.endpoint}{path}{f'?{urlencode(query)}' if query else ''}",
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
        )
        text = response.data.decode()
        if response.status >= 400:
            raise RejectedRequest(response.status, text)
        result: Json = json.loads(text)
        return result

    def create(self, path: str, body: Json, status: Mapping[str, Any] | None = None) -> Json:
        """Create an object, and then set its status, as a kubelet or a controller would do."""
        created = self.request("POST", path, body)
        if status:
            created = self.request(
                "PATCH", f"{path}/{created['metadata']['name']}/status", {"status": status}
            )
        return created

    def account(self, namespace: str, name: str, **metadata: Any) -> None:
        self.create(
            f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name, **metadata}}
        )

    def node(self, name: str = NODE, **labels: str) -> None:
        self.create("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})

    def agent(self, node: str = NODE, status: Mapping[str, Any] = READY) -> None:
        """Create the Pod of the agent on a node. If the DaemonSet of the agent does not exist, create it as well."""
        if not self.request("GET", AGENT_SETS)["items"]:
            self.daemon_set()
        body = {
            "metadata": {"name": f"eks-pod-identity-agent-{node.split('.')[0]}", "labels": AGENT_LABEL},
            "spec": {"nodeName": node, "containers": [{"name": "agent", "image": "agent"}]},
        }
        self.create(AGENT_PODS, body, status)

    def daemon_set(self, desired: int = 1) -> None:
        template = {
            "metadata": {"labels": AGENT_LABEL},
            "spec": {"containers": [{"name": "agent", "image": "agent"}]},
        }
        body = {
            "metadata": {"name": "eks-pod-identity-agent"},
            "spec": {"selector": {"matchLabels": AGENT_LABEL}, "template": template},
        }
        self.create(AGENT_SETS, body, {"desiredNumberScheduled": desired})

    def delete_agent(self) -> None:
        for path in (AGENT_SETS, AGENT_PODS):
            for item in self.request("GET", path)["items"]:
                self.request("DELETE", f"{path}/{item['metadata']['name']}")

    def allow_reader(self, resources: Mapping[str, Sequence[str]]) -> None:
        """Allow the user "reader" to list resources. ``resources`` has the names of the resources by API group."""
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        rules = [
            {"apiGroups": [group], "resources": list(names), "verbs": ["list"]}
            for group, names in resources.items()
        ]
        self.create(f"{rbac}/clusterroles", {"metadata": {"name": "reader"}, "rules": rules})
        group = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": "readers"}],
        }
        self.create(f"{rbac}/clusterrolebindings", binding)


def object_path(api_version: str, kind: str, namespace: str) -> str:
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    return f"{root}{f'/namespaces/{namespace}' if namespace else ''}/{PLURALS[kind]}"


class KubeCluster:
    """A client of the cluster for the Kubernetes part of the role. Its requests use ``token``.

    Each new Job gets a Pod with the status ``answer``, which a Job controller and a kubelet would provide in a real cluster.
    ``mutate`` changes new Pods, as an additional webhook would.
    """

    def __init__(
        self,
        kube: Kube,
        token: str,
        answer: Mapping[str, Any],
        mutate: Callable[[Json], None] = lambda _pod: None,
    ) -> None:
        self._kube, self._token, self._answer, self._mutate = kube, token, answer, mutate

    def list_objects(self, query: Query) -> Listing:
        selectors = {
            "fieldSelector": ",".join(query.field_selectors),
            "labelSelector": ",".join(query.label_selectors),
        }
        parameters = {name: text for name, text in selectors.items() if text}
        path = object_path(query.api_version, query.kind, query.namespace)
        try:
            return Listing(self._kube.request("GET", path, None, self._token, **parameters)["items"])
        except RejectedRequest as error:
            return Listing(error=error.error)

    def read_version(self) -> Object:
        return self._kube.request("GET", "/version")

    def read_server(self) -> ApiServer:
        return ApiServer(self._kube.endpoint)

    def dry_run_pods(self, manifests: Sequence[Object]) -> Sequence[DryRun]:
        return [self._try(deepcopy(dict(manifest))) for manifest in manifests]

    def _try(self, pod: Json) -> DryRun:
        self._mutate(pod)
        path = object_path("v1", "Pod", object_name(pod).namespace)
        try:
            return DryRun(self._kube.request("POST", path, pod, self._token, dryRun="All"))
        except RejectedRequest as error:
            return DryRun(error=error.error)

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        for manifest in manifests:
            self._make_job(dict(manifest))
        return WriteResult(changed=True)

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        raise NotImplementedError(f"no scenario patches {manifests}")

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        for manifest in manifests:
            namespace, name = object_name(manifest)
            self._kube.request("DELETE", f"{object_path('batch/v1', 'Job', namespace)}/{name}")
        return WriteResult(changed=True)

    def _make_job(self, job: Json) -> None:
        namespace, name = object_name(job)
        template = self._kube.create(object_path("batch/v1", "Job", namespace), job)["spec"]["template"]
        body = {"metadata": {"name": f"{name}-x2x4z", **template["metadata"]}, "spec": template["spec"]}
        self._kube.create(object_path("v1", "Pod", namespace), body, self._answer)


class RestlessClock:
    """A clock that does not wait: in these tests, nothing changes during a pause."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        """Return immediately."""
