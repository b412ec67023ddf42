# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build Kubernetes objects, and results of the run in AWS. By default the objects have no faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    parse_response,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    AwsResult,
    Verification,
    VerifiedWorkload,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result as take_over,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Check

CLUSTER = "my-cluster"
ARN = f"arn:aws:eks:us-west-2:111122223333:cluster/{CLUSTER}"
KEY = WorkloadKey(CLUSTER, "shop", "api")
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=timezone.utc)
ASSOCIATED = "2026-03-10T09:00:00+00:00"
BEFORE = "2026-03-07T12:00:00Z"
AFTER = "2026-03-10T10:00:00Z"
URI = "http://169.254.170.23/v1/credentials"
TOKEN = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"
INJECTED = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": URI, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": TOKEN}
NODE = "ip-10-0-1-5.ec2.internal"
MOUNT = {"name": "eks-pod-identity-token", "mountPath": TOKEN.rpartition("/")[0], "readOnly": True}

Json = dict[str, Any]


def token_volume(audience: str = "pods.eks.amazonaws.com") -> Json:
    token = {"audience": audience, "expirationSeconds": 86400, "path": "eks-pod-identity-token"}
    return {"name": "eks-pod-identity-token", "projected": {"sources": [{"serviceAccountToken": token}]}}


def container(name: str = "app", env: Mapping[str, str] | None = None, **fields: Any) -> Json:
    variables = INJECTED if env is None else env
    return {
        "name": name,
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "volumeMounts": [MOUNT],
        **fields,
    }


def owned_by(kind: str, name: str) -> list[Json]:
    group = {"CronJob": "batch/v1", "Job": "batch/v1", "Rollout": "argoproj.io/v1alpha1"}.get(kind, "apps/v1")
    return [{"apiVersion": group, "kind": kind, "name": name, "uid": "u", "controller": True}]


def pod(
    name: str = "web-6d5f7c9b8-x2x4z",
    *,
    account: str = "api",
    namespace: str = "shop",
    created: str = AFTER,
    node: str = NODE,
    owner: tuple[str, str] | None = ("ReplicaSet", "web-6d5f7c9b8"),
    containers: Sequence[Json] | None = None,
    init: Sequence[Json] = (),
    injected: bool = True,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    phase: str = "Running",
    deleted: bool = False,
    **spec: Any,
) -> Json:
    item: Json = {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "creationTimestamp": created,
            "labels": {"pod-template-hash": "6d5f7c9b8"} if labels is None else dict(labels),
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "serviceAccountName": account,
            "nodeName": node,
            "containers": list(containers or [container(env=None if injected else {})]),
            "initContainers": list(init),
            "volumes": [token_volume()] if injected else [],
            **spec,
        },
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    if owner:
        item["metadata"]["ownerReferences"] = owned_by(*owner)
    if deleted:
        item["metadata"]["deletionTimestamp"] = AFTER
    return item


def agent(node: str = NODE, ready: bool = True) -> Json:
    item = pod(f"eks-pod-identity-agent-{node[-4:]}", namespace="kube-system", node=node)
    item["status"]["conditions"][0]["status"] = "True" if ready else "False"
    return item


def node(name: str = NODE, labels: Mapping[str, str] | None = None) -> Json:
    return {"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", **(labels or {})}}}


def daemon_set(desired: int = 0) -> Json:
    metadata = {"namespace": "kube-system", "name": "eks-pod-identity-agent"}
    return {"metadata": metadata, "status": {"desiredNumberScheduled": desired}}


def replica_set(
    name: str = "web-6d5f7c9b8", owner: tuple[str, str] | None = ("Deployment", "web"), revision: str = ""
) -> Json:
    metadata: Json = {"namespace": "shop", "name": name}
    if revision:
        metadata["annotations"] = {"deployment.kubernetes.io/revision": revision}
        metadata["labels"] = {"pod-template-hash": name.rpartition("-")[2]}
    if owner:
        metadata["ownerReferences"] = owned_by(*owner)
    return {"metadata": metadata}


def owner(
    kind: str = "Deployment",
    name: str = "web",
    *,
    status: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Json:
    """Return an owner of Pods, whose controller has observed the latest template."""
    metadata = {"namespace": "shop", "name": name, "generation": 1, "annotations": dict(annotations or {})}
    return {
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
        "status": {"observedGeneration": 1, **(status or {})},
    }


def row(account: str = "api", **fields: Any) -> Json:
    return {
        "namespace": "shop",
        "service_account": account,
        "association_id": "a-1",
        "association_created_at": ASSOCIATED,
        **fields,
    }


def result(*rows: Json, findings: Sequence[Json] = (), **fields: Any) -> Json:
    """Return a result as the module eks_pod_identity_info returns it."""
    return {"workloads": list(rows), "findings": list(findings), "cluster_arn": ARN, **fields}


def parse_finding(row: Mapping[str, Any], cluster: str) -> Finding:
    code = Code(row["code"])
    key = WorkloadKey(cluster, *row["workload"].split("/")) if row.get("workload") else None
    severity = None if row["severity"] == code.severity else row["severity"]
    return Finding(code, row.get("message", ""), row.get("remedy", ""), key, raised_as=severity)


def with_objects(rows: Mapping[str, Any], cluster: str) -> Json:
    """Return a result with findings and checks in place of their rows. The check of a workload has all findings of its codes."""
    findings = [parse_finding(row, cluster) for row in rows.get("findings") or ()]

    def check(row: Json, key: WorkloadKey) -> Check:
        named = [found for found in findings if found.code in row["codes"]]
        own = tuple(found for found in named if found.workload == key) or tuple(named)
        follows = tuple(parse_finding(follow, cluster) for follow in row.get("follows", ()))
        return Check(row["name"], row["status"], row.get("detail", ""), own, follows)

    workloads = [
        {
            **row,
            "checks": [
                check(item, WorkloadKey(cluster, row["namespace"], row["service_account"]))
                for item in row["checks"]
            ],
        }
        if "checks" in row
        else row
        for row in rows.get("workloads") or ()
    ]
    verified = {"verification": with_objects(rows["verification"], cluster)} if "verification" in rows else {}
    return {**rows, "workloads": workloads, "findings": findings, **verified}


def parse_aws_result(rows: Mapping[str, Any], cluster: str) -> AwsResult:
    return take_over(with_objects(rows, cluster), cluster)


def aws_result(*rows: Json, findings: Sequence[Json] = (), **fields: Any) -> AwsResult:
    return parse_aws_result(result(*rows, findings=findings, **fields), CLUSTER)


def verification(*rows: Json, findings: Sequence[Json] = ()) -> Verification:
    """Return a verification that also has a finding for each code of the checks."""
    codes = [(row, code) for row in rows for check in row.get("checks", ()) for code in check["codes"]]
    named = [
        {"code": code, "severity": "error", "workload": f"{row['namespace']}/{row['service_account']}"}
        for row, code in codes
        if code not in {finding["code"] for finding in findings}
    ]
    return aws_result(*rows, findings=[*findings, *named]).verification


def verified(**fields: Any) -> VerifiedWorkload:
    """Return a verified workload. ``fields`` change the row of the verification."""
    (workload,) = verification(row(**fields)).workloads
    return workload


def read(items: Sequence[Json]) -> Listing:
    return Listing(list(items))


def refused(resource: str) -> Listing:
    body = (
        f'{{"kind":"Status","message":"{resource} is forbidden: User \\"reader\\" cannot list resource '
        f'\\"{resource}\\" in API group \\"\\" at the cluster scope","reason":"Forbidden","code":403}}'
    )
    return Listing(error=parse_response(403, body))
