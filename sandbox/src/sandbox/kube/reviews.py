# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds that are asked and not stored: who am I, may I, what may I."""

from __future__ import annotations

from typing import Any

from sandbox.kube.decode import check_decodable
from sandbox.kube.errors import Cause, invalid
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.rbac import MASTERS, Attributes, Authorizer, User, resource_rules
from sandbox.kube.resources import ResourceType


def review(rtype: ResourceType, body: Any, user: User, authorizer: Authorizer) -> Json:
    """Answers a review: the request with its ``status``."""
    asked = check_decodable(rtype, body if body is not None else {})
    spec: Json = asked.get("spec") or {}
    if rtype.kind == "SelfSubjectReview":
        status: Json = {"userInfo": {"username": user.name, "groups": list(user.groups)}}
    elif rtype.kind == "SelfSubjectRulesReview":
        status = _rules(spec, user, authorizer)
    else:
        if rtype.kind == "SubjectAccessReview":
            user = User(str(spec.get("user", "")), tuple(spec.get("groups") or ()))
        status = _access(rtype, spec, user, authorizer)
    return {
        "kind": rtype.kind,
        "apiVersion": rtype.group_version,
        "metadata": {**(asked.get("metadata") or {}), "creationTimestamp": None},
        **({"spec": spec} if rtype.kind != "SelfSubjectReview" else {}),
        "status": status,
    }


def _access(rtype: ResourceType, spec: Json, user: User, authorizer: Authorizer) -> Json:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes = [Cause("spec.resourceAttributes", f"Invalid value: null: {why}")]
        raise invalid(rtype.kind, rtype.group, "", causes)
    if resource is not None:
        asked = Attributes(
            verb=resource.get("verb", ""),
            group=resource.get("group", ""),
            resource=resource.get("resource", ""),
            subresource=resource.get("subresource", ""),
            namespace=resource.get("namespace", ""),
            name=resource.get("name", ""),
        )
    else:
        asked = Attributes(verb=lookup(path, "verb") or "", path=lookup(path, "path") or "")
    allowed = authorizer.allows(user, asked)
    return {"allowed": True} if allowed else {"allowed": False}


def _rules(spec: Json, user: User, authorizer: Authorizer) -> Json:
    if MASTERS in user.groups:
        everything = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return {"resourceRules": everything, "nonResourceRules": paths, "incomplete": False}
    rules = authorizer.rules(user, spec.get("namespace", "default"))
    resources, urls = resource_rules(rules)
    return {"resourceRules": resources, "nonResourceRules": urls, "incomplete": False}
