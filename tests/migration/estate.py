# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An estate: service accounts that use IRSA in a cluster of the sandbox, with their roles and Pods, before a migration."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import boto3

Json = dict[str, Any]
CLUSTER, REGION, ACCOUNT = "my-cluster", "us-west-2", "111122223333"
CI = "token.actions.githubusercontent.com"
OTHER_HOST = f"oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
_PLURALS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}
_GROUPS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1"}


class Kubernetes:
    """A client of the sandbox's Kubernetes API, with the token of the administrator."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        self.server, self.token = cluster["server"], config["users"][0]["user"]["token"]
        authority = kubeconfig.parent / "kubernetes" / "ca.crt"
        context = ssl.create_default_context(cafile=str(authority))
        self._opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))

    def send(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Json:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        request = Request(f"{self.server}{path}", data, headers, method=method)
        try:
            with self._opener.open(request, timeout=30) as response:
                return dict(json.load(response))
        except HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def create(
        self, kind: str, namespace: str, metadata: Json, query: str = "?fieldManager=test", **members: Any
    ) -> Json:
        body = {"apiVersion": _GROUPS.get(kind, "v1"), "kind": kind, "metadata": metadata, **members}
        return self.send("POST", f"{_PLURALS[kind].format(namespace)}{query}", body)

    def items(self, path: str) -> list[Json]:
        return list(self.send("GET", path)["items"])


@dataclass(frozen=True)
class Member:
    """A service account of the estate.

    ``works`` is true if its Pods get credentials by IRSA before the migration. ``migrates`` is true if it can be migrated, and
    ``moves`` if restarts replace all of its Pods. ``audience`` is the audience of its tokens.
    """

    namespace: str
    name: str
    role_arn: str
    works: bool = True
    migrates: bool = True
    moves: bool = True
    audience: str = "sts.amazonaws.com"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Estate:
    """The service accounts that use IRSA, and clients that create their roles in AWS and their workloads in Kubernetes."""

    def __init__(self, endpoint: str, kubeconfig: Path) -> None:
        options: Json = {"endpoint_url": endpoint, "region_name": REGION}
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "test"}
        self.iam = boto3.client("iam", **options, **keys)
        self.eks = boto3.client("eks", **options, **keys)
        self.kubernetes = Kubernetes(kubeconfig)
        issuer = self.eks.describe_cluster(name=CLUSTER)["cluster"]["identity"]["oidc"]["issuer"]
        self.host = issuer.removeprefix("https://")
        self.dual_stack = self.host.replace("oidc.eks.", "oidc-eks.").replace(".amazonaws.com/", ".api.aws/")
        self.members: list[Member] = []

    def statement(
        self,
        host: str,
        subjects: str | Sequence[str],
        operator: str = "StringEquals",
        audience: str = "sts.amazonaws.com",
    ) -> Json:
        """Return a trust policy statement for an OIDC provider. ``host`` is the issuer without "https://"."""
        return {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {operator: {f"{host}:sub": subjects, f"{host}:aud": audience}},
        }

    def role(
        self,
        name: str,
        *statements: Json,
        path: str = "/",
        policy: Json | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        trust = {"Version": "2012-10-17", "Statement": list(statements)}
        made = self.iam.create_role(
            RoleName=name,
            Path=path,
            AssumeRolePolicyDocument=json.dumps(trust),
            Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        )
        statement = policy or {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::bucket/*",
        }
        document = {"Version": "2012-10-17", "Statement": [statement]}
        self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        return str(made["Role"]["Arn"])

    def account(
        self,
        name: str,
        arn: str,
        *,
        namespace: str = "shop",
        annotations: Mapping[str, str] | None = None,
        manager: str = "test",
        works: bool = True,
        migrates: bool = True,
        moves: bool = True,
        **members: Any,
    ) -> None:
        metadata = {
            "namespace": namespace,
            "name": name,
            "labels": {"team": "shop"},
            "annotations": {ROLE_ANNOTATION: arn, "example.com/keep": "yes", **(annotations or {})},
        }
        query = f"?fieldManager={quote(manager)}"
        self.kubernetes.create("ServiceAccount", namespace, metadata, query, **members)
        audience = (annotations or {}).get("eks.amazonaws.com/audience", "sts.amazonaws.com")
        self.members.append(Member(namespace, name, arn, works, migrates, moves, audience))

    def owner(
        self,
        kind: str,
        name: str,
        *,
        env: Sequence[Json] = (),
        node: Json | None = None,
        pod: Json | None = None,
        **members: Any,
    ) -> None:
        """Create an owner of Pods, for example a Deployment. The Pods use the service account ``name``.

        ``pod`` has further members of the spec of the Pods, and ``members`` further members of the spec of the owner.
        """
        spec: Json = {
            "serviceAccountName": name,
            "containers": [{"name": "app", "image": "app:1", "env": list(env)}],
            **({"nodeSelector": node} if node else {}),
            **(pod or {}),
        }
        labels = {"app": name}
        body: Json = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            **members,
        }
        if kind == "Pod":
            self.kubernetes.create(kind, "shop", {"namespace": "shop", "name": f"{name}-pod"}, spec=spec)
            return
        if kind == "Job":
            del body["selector"]
            spec["restartPolicy"] = "Never"
        if kind == "StatefulSet":
            body["serviceName"] = name
        self.kubernetes.create(kind, "shop", {"namespace": "shop", "name": name}, spec=body)

    def agent(self, node: str) -> None:
        metadata = {
            "namespace": "kube-system",
            "name": f"eks-pod-identity-agent-{node}",
            "labels": {"app.kubernetes.io/name": "eks-pod-identity-agent"},
        }
        spec = {"nodeName": node, "containers": [{"name": "agent", "image": "agent"}]}
        self.kubernetes.create("Pod", "kube-system", metadata, spec=spec)
        status = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        path = f"/api/v1/namespaces/kube-system/pods/{metadata['name']}/status"
        self.kubernetes.send("PATCH", path, status, "application/merge-patch+json")

    def build(self, ordinary: int) -> None:
        """Create a number of ordinary service accounts, and one service account for each special case."""
        self.kubernetes.create("Namespace", "", {"name": "shop"})
        linux = {"kubernetes.io/os": "linux"}
        for node in ("n1", "n2"):
            self.kubernetes.create("Node", "", {"name": node, "labels": linux})
            self.agent(node)
        fargate = {"eks.amazonaws.com/compute-type": "fargate"}
        self.kubernetes.create("Node", "", {"name": "fargate", "labels": {**linux, **fargate}})
        for number in range(ordinary):
            name = f"app-{number:02d}"
            self.account(name, self.role(name, self.statement(self.host, _subject(name))))
            self.owner("Deployment", name)
        shared = self.role(
            "shared",
            self.statement(OTHER_HOST, _subject("elsewhere")),
            self.statement(self.host, [_subject("one"), _subject("two")]),
            self.statement(CI, "repo:shop/*", "StringLike"),
            path="/team/",
        )
        annotations = {
            "eks.amazonaws.com/token-expiration": "7200",
            "eks.amazonaws.com/audience": "sts.amazonaws.com",
        }
        self.account("one", shared, annotations=annotations, imagePullSecrets=[{"name": "pull"}])
        self.owner("StatefulSet", "one")
        self.account("two", shared)
        self.owner("DaemonSet", "two")
        dual = self.role("dual", self.statement(self.dual_stack, _subject("dual")))
        # The issuer of the sandbox's tokens is self.host, so AWS rejects them for the dual-stack host name of this provider.
        self.account("dual", dual, works=False)
        self.account("idle", self.role("idle", self.statement(self.host, _subject("idle"))))
        helm = self.role("helm", self.statement(self.host, _subject("helm")))
        self.account("helm", helm, annotations={"meta.helm.sh/release-name": "shop"}, manager="helm")
        self.owner("Deployment", "helm")
        pattern = self.role(
            "pattern", self.statement(self.host, "system:serviceaccount:shop:patt*", "StringLike")
        )
        self.account("pattern", pattern)
        self.owner("Deployment", "pattern")
        addon = self.role("addon", self.statement(self.host, [_subject("addon"), _subject("beside")]))
        self.account("addon", addon, manager="eks", migrates=False)
        self.account("beside", addon)
        self.owner("Deployment", "beside")
        target = f"arn:aws:iam::{ACCOUNT}:role/target"
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": target}
        chain = self.role("chain", self.statement(self.host, _subject("chain")), policy=assume)
        self.role("target", {"Effect": "Allow", "Principal": {"AWS": chain}, "Action": "sts:AssumeRole"})
        self.account("chain", chain)
        self.owner("Deployment", "chain")
        own_arn = self.role("own", self.statement(self.host, _subject("own")))
        self.account("own", own_arn, migrates=False)
        env = [
            {"name": "AWS_ROLE_ARN", "value": own_arn},
            {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/token"},
        ]
        self.owner("Deployment", "own", env=env)
        far = self.role("far", self.statement(self.host, _subject("far")))
        self.account("far", far, migrates=False)
        self.owner("Deployment", "far", node=fargate)
        self.account("foreign", "arn:aws:iam::444455556666:role/foreign", works=False, migrates=False)
        self.account("intruder", shared, works=False, migrates=False)

    def build_further(self) -> None:
        """Create a service account for each further special case: Pods that no restart replaces, other tools, and no access."""
        for name, kind, members in (
            ("bare", "Pod", {}),
            ("job", "Job", {}),
            ("paused", "Deployment", {}),
            ("manual", "DaemonSet", {"updateStrategy": {"type": "OnDelete"}}),
            ("part", "StatefulSet", _PARTITION),
        ):
            self.account(name, self.role(name, self.statement(self.host, _subject(name))), moves=False)
            self.owner(kind, name, **members)
        self.account("mixed", self.role("mixed", self.statement(self.host, _subject("mixed"))), moves=False)
        for kind in ("Deployment", "Pod"):
            self.owner(kind, "mixed")
        self.account("node", self.role("node", self.statement(self.host, _subject("node"))), migrates=False)
        self.owner("Deployment", "node", pod={"hostNetwork": True})
        for name, role_options, account_options in (
            ("cloud", {"tags": {"crossplane-name": "shop"}}, {}),
            ("eksctl", {"tags": {"alpha.eksctl.io/cluster-name": CLUSTER}}, {}),
            ("tf", {"path": "/terraform/"}, {"manager": "HashiCorp"}),
            ("fleet", {"tags": {"ManagedBy": "Terraform"}}, {"manager": "fleetagent"}),
            ("client", {}, {"manager": "OpenAPI-Generator"}),
        ):
            role = self.role(name, self.statement(self.host, _subject(name)), **role_options)
            self.account(name, role, **account_options)
            self.owner("Deployment", name)
        custom = {"eks.amazonaws.com/audience": "custom"}
        role = self.role("custom", self.statement(self.host, _subject("custom"), audience="custom"))
        self.account("custom", role, annotations=custom)
        self.owner("Deployment", "custom")
        lost = self.role("lost", self.statement(OTHER_HOST, [_subject("lost"), _subject("old")]))
        limited = self.statement(self.host, _subject("limited"))
        limited["Condition"]["StringEquals"]["aws:RequestedRegion"] = REGION
        for name, role in (
            ("lost", lost),
            ("old", lost),
            ("claim", self.role("claim", self.statement(self.host, _subject("claim"), audience="other"))),
            ("limited", self.role("limited", limited)),
        ):
            self.account(name, role, works=False, migrates=False)

    def pause(self, name: str, is_paused: bool = True) -> None:
        path = f"/apis/apps/v1/namespaces/shop/deployments/{name}"
        patch = {"spec": {"paused": is_paused}}
        self.kubernetes.send("PATCH", path, patch, "application/merge-patch+json")

    def snapshot(self) -> Json:
        """Return the trust policies and tags of all roles, the service accounts, and the names of the associations.

        A trust policy is JSON text, so a comparison also finds a different order of its members.
        """
        accounts = {}
        for item in self.kubernetes.items("/api/v1/serviceaccounts"):
            meta = {
                name: value
                for name, value in item["metadata"].items()
                if name not in ("resourceVersion", "managedFields", "generation")
            }
            accounts[f"{meta['namespace']}/{meta['name']}"] = {**item, "metadata": meta}
        roles = {}
        for page in self.iam.get_paginator("list_roles").paginate():
            for role in page["Roles"]:
                tags = self.iam.list_role_tags(RoleName=role["RoleName"])["Tags"]
                roles[role["RoleName"]] = {
                    "trust": json.dumps(role["AssumeRolePolicyDocument"]),
                    "tags": tags,
                }
        found = self.eks.list_pod_identity_associations(clusterName=CLUSTER, maxResults=100)["associations"]
        names = sorted(f"{item['namespace']}/{item['serviceAccount']}" for item in found)
        return {"accounts": accounts, "roles": roles, "associations": names}

    def trust(self, name: str) -> list[Json]:
        document = self.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        return list(document["Statement"])

    def annotations(self, name: str) -> dict[str, str]:
        item = self.kubernetes.send("GET", f"/api/v1/namespaces/shop/serviceaccounts/{name}")
        return dict(item["metadata"].get("annotations") or {})

    def pods(self) -> list[Json]:
        """Return the Pods in the namespace shop that are not being deleted."""
        return [
            item
            for item in self.kubernetes.items("/api/v1/namespaces/shop/pods")
            if not item["metadata"].get("deletionTimestamp")
        ]


def delete_association(estate: Estate, name: str) -> None:
    found = estate.eks.list_pod_identity_associations(
        clusterName=CLUSTER, serviceAccount=name, namespace="shop"
    )
    (item,) = found["associations"]
    estate.eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=item["associationId"])


# The Pods with the ordinals 0 and 1 are not replaced by a rollout.
_PARTITION = {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}


def _subject(name: str) -> str:
    return f"system:serviceaccount:shop:{name}"
