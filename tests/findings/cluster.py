# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The embedded Kubernetes: objects to stage, and what kubernetes.core.k8s_info would return of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sandbox.kube.control import KubeControl
from urllib3 import PoolManager

TOKEN = "administrator-token-0123456789"
READER = "reader-token-0123456789"
AGENTS = "kube-system"
NODE = "ip-10-0-1-5.ec2.internal"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
WAITING = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
# By the names of kube_state.RESOURCES.
LISTS = {
    "pods": "/api/v1/namespaces/{namespace}/pods",
    "agents": f"/api/v1/namespaces/{AGENTS}/pods",
    "daemon_sets": f"/apis/apps/v1/namespaces/{AGENTS}/daemonsets",
    "nodes": "/api/v1/nodes",
    "replica_sets": "/apis/apps/v1/namespaces/{namespace}/replicasets",
}
AGENT_LABEL = {"app.kubernetes.io/name": "eks-pod-identity-agent"}

Json = dict[str, Any]


class AssociationError(Exception):
    """A request that the API server denied, in the words of the Kubernetes client."""

    def __init__(self, status: int, reason: str, body: str) -> None:
        super().__init__(f"{status}\nReason: {reason}\nHTTP response body: {body}")


class Kube:
    """One API server. ``token`` is the caller's for reads; what is staged is the administrator's doing."""

    def __init__(self, endpoint: str, authority: Path, kubeconfig: Path) -> None:
        self.endpoint = endpoint
        self.kubeconfig = kubeconfig
        self.control = KubeControl(endpoint, authority, TOKEN)
        self._pool = PoolManager(ca_certs=str(authority), retries=False)

    def ask(self, method: str, path: str, body: object = None, token: str = TOKEN, **query: str) -> Json:
        """The answer of a request. Raises AssociationError."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        response = self._pool.request(
            method,
            f"{self.endpoint}{path}{f'?{urlencode(query)}' if query else ''}",
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
        )
        text = response.data.decode()
        if response.status >= 400:
            raise AssociationError(response.status, response.reason or "", text)
        found: Json = json.loads(text)
        return found

    def make(self, path: str, body: Json, status: Mapping[str, Any] | None = None) -> Json:
        """Create an object, and write its status as a kubelet or controller would."""
        made = self.ask("POST", path, body)
        if status:
            made = self.ask("PATCH", f"{path}/{made['metadata']['name']}/status", {"status": status})
        return made

    def account(self, namespace: str, name: str, **metadata: Any) -> None:
        self.make(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name, **metadata}})

    def node(self, name: str = NODE, **labels: str) -> None:
        self.make("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})

    def agent(self, node: str = NODE, status: Mapping[str, Any] = READY) -> None:
        """The agent's DaemonSet, as far as it is not there yet, and its Pod on a node."""
        sets = LISTS["daemon_sets"]
        if not self.ask("GET", sets)["items"]:
            self.daemon_set()
        body = {
            "metadata": {"name": f"eks-pod-identity-agent-{node.split('.')[0]}", "labels": AGENT_LABEL},
            "spec": {"nodeName": node, "containers": [{"name": "agent", "image": "agent"}]},
        }
        self.make(LISTS["agents"], body, status)

    def daemon_set(self, wanted: int = 1) -> None:
        template = {
            "metadata": {"labels": AGENT_LABEL},
            "spec": {"containers": [{"name": "agent", "image": "agent"}]},
        }
        body = {
            "metadata": {"name": "eks-pod-identity-agent"},
            "spec": {"selector": {"matchLabels": AGENT_LABEL}, "template": template},
        }
        self.make(LISTS["daemon_sets"], body, {"desiredNumberScheduled": wanted})

    def delete_agent(self) -> None:
        for path in (LISTS["daemon_sets"], LISTS["agents"]):
            for item in self.ask("GET", path)["items"]:
                self.ask("DELETE", f"{path}/{item['metadata']['name']}")

    def service_accounts(self) -> list[Json]:
        items: list[Json] = self.ask("GET", "/api/v1/serviceaccounts")["items"]
        return items

    def read(self, name: str, query: Mapping[str, Any], token: str) -> Json:
        """A result of k8s_info: ``resources``, or the words in which it reports a refusal."""
        path = LISTS[name].format(namespace=query["namespace"])
        asked = {"fieldSelector": ",".join(query["field_selectors"])} if name == "pods" else {}
        if name == "agents":
            asked = {"labelSelector": "app.kubernetes.io/name=eks-pod-identity-agent"}
        try:
            return {"resources": self.ask("GET", path, None, token, **asked)["items"], "api_found": True}
        except AssociationError as error:
            return {"msg": f"Exception '{error}' raised while trying to get resource using {asked}"}

    def allow_reader(self, resources: Mapping[str, Sequence[str]]) -> None:
        """Let the reader list ``resources``: their names by API group."""
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        rules = [
            {"apiGroups": [group], "resources": list(names), "verbs": ["list"]}
            for group, names in resources.items()
        ]
        self.make(f"{rbac}/clusterroles", {"metadata": {"name": "reader"}, "rules": rules})
        group = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": "readers"}],
        }
        self.make(f"{rbac}/clusterrolebindings", binding)
