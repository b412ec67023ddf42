# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subresources around Pods: staged logs, eviction, and tokens of service accounts."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from sandbox.kube.deletion import Deleter, parse_delete_options
from sandbox.kube.errors import bad_request, not_found
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import PODS, SERVICE_ACCOUNTS
from sandbox.kube.store import Store, key_of

Logs = Mapping[tuple[str, str, str], str]


def read_log(logs: Logs, pod: Json, query: Mapping[str, str]) -> str:
    """The staged log of a container; ApiError 400 as for a container that has not started."""
    meta = pod["metadata"]
    names = [c["name"] for c in pod["spec"]["containers"]]
    inits = [c["name"] for c in pod["spec"].get("initContainers") or []]
    container = query.get("container", "")
    if not container and len(names) > 1:
        listed = f"choose one of: [{' '.join(names)}]"
        if inits:
            listed += f" or one of the init containers: [{' '.join(inits)}]"
        raise bad_request(f"a container name must be specified for pod {meta['name']}, {listed}")
    container = container or names[0]
    if container not in names + inits:
        raise bad_request(f"container {container} is not valid for pod {meta['name']}")
    place = (meta["namespace"], meta["name"])
    text = logs.get((*place, container), logs.get((*place, "")))
    if text is None:
        raise bad_request(
            f'container "{container}" in pod "{meta["name"]}" is waiting to start: ContainerCreating'
        )
    lines = text.splitlines(keepends=True)
    tail = query.get("tailLines", "")
    return "".join(lines[-int(tail) :] if tail.isdigit() and int(tail) else lines)


def evict(deleter: Deleter, namespace: str, name: str, body: Any, dry_run: bool) -> Json:
    """POST pods/NAME/eviction: no disruption budgets here, so the Pod is deleted."""
    options = parse_delete_options(lookup(body, "deleteOptions") or {}, {}, dry_run)
    deleter.delete(PODS, namespace, name, options)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def issue_token(store: Store, namespace: str, name: str, body: Any) -> Json:
    """POST serviceaccounts/NAME/token: a token of the right shape, which opens nothing."""
    account = store.get(key_of(SERVICE_ACCOUNTS, namespace, name))
    if account is None:
        raise not_found(SERVICE_ACCOUNTS, name)
    spec: Json = lookup(body, "spec") or {}
    audiences = spec.get("audiences") or ["https://kubernetes.default.svc.cluster.local"]
    now = datetime.now(timezone.utc)
    expiry = now + timedelta(seconds=int(spec.get("expirationSeconds") or 3600))
    claims = {
        "aud": audiences,
        "exp": int(expiry.timestamp()),
        "iat": int(now.timestamp()),
        "iss": "https://kubernetes.default.svc.cluster.local",
        "kubernetes.io": {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": account["metadata"]["uid"]},
        },
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }
    header = {"alg": "none", "typ": "JWT"}
    parts = [json.dumps(header), json.dumps(claims), secrets.token_hex(16)]
    token = ".".join(base64.urlsafe_b64encode(p.encode()).decode().rstrip("=") for p in parts)
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": None},
        "spec": {**spec, "audiences": audiences},
        "status": {
            "token": token,
            "expirationTimestamp": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }
