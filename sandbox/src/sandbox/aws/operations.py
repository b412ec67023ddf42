# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Determine the API operation of an HTTP request, and the access key, region and service in its signature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]*/([^/]*)/([^/]*)/aws4_request")
_PRESIGNED = re.compile(
    r"X-Amz-Credential=([^/&%]+)(?:/|%2F)[^/&%]*(?:/|%2F)([^/&%]*)(?:/|%2F)([^/&%]*)(?:/|%2F)aws4_request",
    re.IGNORECASE,
)
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")

_CLUSTER = r"/clusters/([^/]+)"
_EKS_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("POST", r"/clusters", "CreateCluster"),
    ("GET", r"/clusters", "ListClusters"),
    ("GET", _CLUSTER, "DescribeCluster"),
    ("DELETE", _CLUSTER, "DeleteCluster"),
    ("POST", _CLUSTER + r"/update-config", "UpdateClusterConfig"),
    ("POST", _CLUSTER + r"/pod-identity-associations", "CreatePodIdentityAssociation"),
    ("GET", _CLUSTER + r"/pod-identity-associations", "ListPodIdentityAssociations"),
    ("GET", _CLUSTER + r"/pod-identity-associations/([^/]+)", "DescribePodIdentityAssociation"),
    ("POST", _CLUSTER + r"/pod-identity-associations/([^/]+)", "UpdatePodIdentityAssociation"),
    ("DELETE", _CLUSTER + r"/pod-identity-associations/([^/]+)", "DeletePodIdentityAssociation"),
    ("POST", _CLUSTER + r"/addons", "CreateAddon"),
    ("GET", _CLUSTER + r"/addons", "ListAddons"),
    ("GET", _CLUSTER + r"/addons/([^/]+)", "DescribeAddon"),
    ("DELETE", _CLUSTER + r"/addons/([^/]+)", "DeleteAddon"),
    ("POST", _CLUSTER + r"/addons/([^/]+)/update", "UpdateAddon"),
    ("GET", r"/addons/supported-versions", "DescribeAddonVersions"),
    ("GET", r"/addons/configuration-schemas", "DescribeAddonConfiguration"),
    ("GET", r"/cluster-versions", "DescribeClusterVersions"),
    ("POST", _CLUSTER + r"/node-groups", "CreateNodegroup"),
    ("GET", _CLUSTER + r"/node-groups", "ListNodegroups"),
    ("GET", _CLUSTER + r"/node-groups/([^/]+)", "DescribeNodegroup"),
    ("DELETE", _CLUSTER + r"/node-groups/([^/]+)", "DeleteNodegroup"),
    ("POST", _CLUSTER + r"/access-entries", "CreateAccessEntry"),
    ("GET", _CLUSTER + r"/access-entries", "ListAccessEntries"),
    ("POST", _CLUSTER + r"/access-entries/(.+)/access-policies", "AssociateAccessPolicy"),
    ("GET", _CLUSTER + r"/access-entries/(.+)/access-policies", "ListAssociatedAccessPolicies"),
    ("GET", _CLUSTER + r"/access-entries/([^/].*)", "DescribeAccessEntry"),
    ("POST", _CLUSTER + r"/access-entries/([^/].*)", "UpdateAccessEntry"),
    ("DELETE", _CLUSTER + r"/access-entries/([^/].*)", "DeleteAccessEntry"),
    ("POST", r"/tags/(.+)", "TagResource"),
    ("GET", r"/tags/(.+)", "ListTagsForResource"),
    ("DELETE", r"/tags/(.+)", "UntagResource"),
)
_EKS_AUTH_ROUTES = (("POST", _CLUSTER + r"/assume-role-for-pod-identity", "AssumeRoleForPodIdentity"),)
_ROUTES = {
    service: tuple((method, re.compile(pattern), name) for method, pattern, name in routes)
    for service, routes in (("eks", _EKS_ROUTES), ("eks-auth", _EKS_AUTH_ROUTES))
}


class Scope(NamedTuple):
    """The access key ID, region and service in the signature of a request."""

    access_key_id: str
    region: str
    service: str


class Route(NamedTuple):
    """The name of an operation without the service, and the variable parts of its path."""

    operation: str
    path_parts: tuple[str, ...] = ()


def signed_scope(headers: Mapping[str, str], query: str = "") -> Scope:
    """Return the scope of the signature in the header Authorization or in a presigned query.

    If the request has no signature, the members of the result are empty.
    """
    match = _CREDENTIAL.search(headers.get("authorization", "")) or _PRESIGNED.search(query)
    return Scope(*match.groups()) if match else Scope("", "", "")


def target(headers: Mapping[str, str]) -> str:
    """Return the operation from the header X-Amz-Target of the JSON protocol, or "" for other protocols."""
    return headers.get("x-amz-target", "").rpartition(".")[2]


def route(service: str, method: str, path: str, parameters: bytes) -> Route:
    """Return the operation of a request, or a Route with the name ``Unknown``.

    ``parameters`` is the body of a request of the Query protocol, or the query string of a request without a body.
    """
    routes = _ROUTES.get(service)
    if routes is None:
        action = _ACTION.search(parameters)
        return Route(action.group(1).decode() if action else "Unknown")
    for route_method, pattern, name in routes:
        if route_method == method and (match := pattern.fullmatch(path)):
            return Route(name, tuple(unquote(part) for part in match.groups()))
    return Route("Unknown")
