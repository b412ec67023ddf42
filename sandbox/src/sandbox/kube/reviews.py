# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication and authorization reviews, which are not stored."""

from __future__ import annotations

from typing import Any

from sandbox.kube.decode import check_decodable
from sandbox.kube.errors import Cause, invalid
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.rbac import MASTERS, Attributes, Authorizer, User, resource_rules
from sandbox.kube.resources import ResourceType


def review(rtype: ResourceType, body: Any, user: User, authorizer: Authorizer) -> Json:
    """Return the review of a request: the request with its ``status``."""
    request = check_decodable(rtype, body if body is not None else {})
    spec: Json = request.get("spec") or {}
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
        "metadata": {**(request.get("metadata") or {}), "creationTimestamp": None},
        **({"spec": spec} if rtype.kind != "SelfSubjectReview" else {}),
        "status": status,
    }


def _access(rtype: ResourceType, spec: Json, user: User, authorizer: Authorizer) -> Json:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        reason = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes = [Cause("spec.resourceAttributes", f"Invalid value: null: {reason}")]
        raise invalid(rtype.kind, rtype.group, "", causes)
    if resource is not None:
        attributes = Attributes(
            verb=resource.get("verb", ""),
            group=resource.get("group", ""),
            resource=resource.get("resource", ""),
            subresource=resource.get("subresource", ""),
            namespace=resource.get("namespace", ""),
            name=resource.get("name", ""),
        )
    else:
        attributes = Attributes(verb=lookup(path, "verb") or "", path=lookup(path, "path") or "")
    return {"allowed": authorizer.allows(user, attributes)}


def _rules(spec: Json, user: User, authorizer: Authorizer) -> Json:
    if MASTERS in user.groups:
        resources_rule = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return {"resourceRules": resources_rule, "nonResourceRules": paths, "incomplete": False}
    rules = authorizer.rules(user, spec.get("namespace", "default"))
    resources, urls = resource_rules(rules)
    return {"resourceRules": resources, "nonResourceRules": urls, "incomplete": False}
