# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorize requests. Authorization is active only with --auth.

ministack checks signatures and evaluates policies. This module adds the features that ministack does not have:
iam:PassRole for the roles in EKS requests, ARNs of associations, tags of EKS resources, paths in role ARNs, the condition
key iam:PermissionsBoundary, and error messages that name the resource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from sandbox.aws.eks_state import EksState, association_arn
from sandbox.aws.iam_state import IamState
from sandbox.aws.ministack import Ministack
from sandbox.aws.model import ApiError, Call
from sandbox.aws.operations import route
from sandbox.aws.responses import QUERY_SERVICES, error_response

_ON_ASSOCIATION = frozenset(f"{verb}PodIdentityAssociation" for verb in ("Describe", "Update", "Delete"))
_ON_ADDON = frozenset(f"{verb}Addon" for verb in ("Describe", "Update", "Delete"))
_ON_NODEGROUP = frozenset(("DescribeNodegroup", "DeleteNodegroup"))
_ON_TAGGED = frozenset(("TagResource", "UntagResource", "ListTagsForResource"))

_TAGGED = ("arn:aws:eks:", "arn:aws:iam:")


class Authorizer:
    """Additional permission checks, which use the policy evaluator of ministack."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack

    def check_pass_role(self, call: Call, role_arn: str, service: str) -> None:
        """Check iam:PassRole for a role and a service (see :meth:`check`)."""
        self.check(call, "iam:PassRole", role_arn, {"iam:PassedToService": service})

    def check(
        self,
        call: Call,
        action: str,
        resource: str,
        context: Mapping[str, str | list[str]] | None = None,
    ) -> None:
        """Raise the access denied error of the service unless the caller may perform an action.

        Without --auth, do nothing.
        """
        if not self._ministack.auth:
            return
        denial = self._ministack.evaluator.enforce(
            self._ministack.access_key_id(call.headers, call.query),
            action,
            action.partition(":")[0],
            call.region,
            resource_arn=resource,
            service_context=context,
        )
        if denial is not None:
            explicit = denial.decision == "Deny"
            message = denial_message(denial.principal_arn, action, resource, explicit=explicit)
            raise ApiError(403, _denied_code(call.service), message)


class Resources:
    """A lookup of the resource in a request to EKS or IAM: its ARN, permissions boundary and tags."""

    def __init__(self, iam: IamState, eks: EksState) -> None:
        self._iam = iam
        self._eks = eks

    def eks(self, method: str, path: str, body: bytes, region: str, account: str) -> str:
        """Return the ARN of the resource in an EKS request, or "*" if the request names no resource."""
        operation, parts = route("eks", method, path, body)
        if operation in _ON_TAGGED:
            return parts[0]
        if operation in _ON_ASSOCIATION:
            return association_arn(account, region, parts[0], parts[1])
        if operation in _ON_NODEGROUP:
            group = self._eks.ministack.nodegroups.get(account, region, f"{parts[0]}/{parts[1]}")
            missing = f"arn:aws:eks:{region}:{account}:nodegroup/{parts[0]}/{parts[1]}/*"
            return missing if group is None else str(group["nodegroupArn"])
        if operation in _ON_ADDON:
            addon = self._eks.ministack.addons.get(account, region, f"{parts[0]}/{parts[1]}")
            missing = f"arn:aws:eks:{region}:{account}:addon/{parts[0]}/{parts[1]}/*"
            return missing if addon is None else str(addon["addonArn"])
        if parts:
            return f"arn:aws:eks:{region}:{account}:cluster/{parts[0]}"
        return "*"

    def iam(self, body: bytes, account: str) -> str | None:
        """Return the ARN of the role or the new policy in an IAM request.

        Return None for other requests, because ministack determines their ARNs correctly.
        """
        form = dict(parse_qsl(body.decode()))
        if name := form.get("RoleName"):
            role = self._iam.role(account, name)
            return str(role["Arn"]) if role else f"arn:aws:iam::{account}:role{form.get('Path', '/')}{name}"
        if form.get("Action") == "CreatePolicy":
            return f"arn:aws:iam::{account}:policy{form.get('Path', '/')}{form['PolicyName']}"
        return None

    def boundary(self, body: bytes, account: str) -> str | None:
        """Return the value of iam:PermissionsBoundary: the boundary in the request, otherwise the boundary of the role, or
        None.
        """
        form = dict(parse_qsl(body.decode()))
        if "PermissionsBoundary" in form:
            return form["PermissionsBoundary"]
        role = self._iam.role(account, form.get("RoleName", ""))
        return None if role is None else role["PermissionsBoundary"]

    def tags(self, arn: str) -> Mapping[str, str] | None:
        """Return the tags of a resource of EKS, or of a role, user or policy. Without such a resource, they are None or empty."""
        _, _, service, region, account, resource = arn.split(":", 5)
        kind, _, path = resource.partition("/")
        name = path.rpartition("/")[2]
        if service == "iam":
            if kind == "user":
                entity = self._iam.ministack.users.get(account, name)
            else:
                entity = self._iam.role(account, name) if kind == "role" else self._iam.policy(account, arn)
            if entity is None or entity["Arn"] != arn:
                return None
            return {tag["Key"]: tag["Value"] for tag in entity["Tags"]}
        cluster = path.partition("/")[0]
        eks = self._eks
        if kind == "podidentityassociation":
            record = eks.associations(account, region, cluster).by_id.get(name)
        elif kind == "addon":
            record = eks.ministack.addons.get(account, region, path.rpartition("/")[0])
        elif kind == "cluster":
            record = eks.ministack.clusters.get(account, region, cluster)
        else:
            return eks.ministack.eks_tags(arn)
        return None if record is None else record["tags"]


def install(ministack: Ministack, resources: Resources) -> None:
    """Replace functions of ministack, so that its authorization uses the ARNs, tags and messages of this module."""
    original_resource_arn: Callable[..., str] = ministack.actions.extract_resource_arn
    original_denial: Callable[..., Any] = ministack.actions.access_denied_response
    original_context: Callable[..., dict[str, Any]] = ministack.actions.request_tag_context
    original_tags: Callable[[str], Any] = ministack.tagging.resource_tags

    def resource_arn(
        service: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
        region: str,
        account: str,
    ) -> str:
        if service == "eks":
            return resources.eks(method, path, body, region, account)
        if service == "iam" and (arn := resources.iam(body, account)) is not None:
            return arn
        return original_resource_arn(service, method, path, headers, body, query, region, account)

    def denied(service: str, action: str, principal: str, request: str, **options: Any) -> Any:
        failed_authentication = bool(options.get("error_code"))
        if failed_authentication or service not in ("eks", "iam", "sts"):
            return original_denial(service, action, principal, request, **options)
        resource = options.get("resource_arn", "*")
        name = iam_resource_name(action, resource) if service == "iam" else resource
        explicit = bool(options.get("explicit_deny"))
        message = denial_message(principal, action, name, explicit=explicit)
        return error_response(service, ApiError(403, _denied_code(service), message))

    def context(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
        values: dict[str, Any] = original_context(service, action, body, parameters)
        if service == "iam" and (boundary := resources.boundary(body, ministack.account())):
            values["iam:PermissionsBoundary"] = boundary
        return values

    def tags(arn: str) -> Any:
        return resources.tags(arn) if arn.startswith(_TAGGED) else original_tags(arn)

    ministack.tagging.resource_tags = tags
    ministack.actions.extract_resource_arn = resource_arn
    ministack.actions.access_denied_response = denied
    ministack.actions.request_tag_context = context


def _denied_code(service: str) -> str:
    return "AccessDenied" if service in QUERY_SERVICES else "AccessDeniedException"


def denial_message(principal: str, action: str, resource: str, *, explicit: bool) -> str:
    """Return the message of AWS for a denied action.

    For an implicit deny of AssumeRole, the message of STS has no reason.
    """
    if action == "sts:AssumeRole" and not explicit:
        return f"User: {principal} is not authorized to perform: {action} on resource: {resource}"
    reason = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}"


def iam_resource_name(action: str, arn: str) -> str:
    """Return the name of a resource in access denied messages of IAM, such as ``role app`` or ``policy arn:aws:…``, or an ARN."""
    kind, _, path_and_name = arn.rpartition(":")[2].partition("/")
    name = path_and_name.rpartition("/")[2]
    if kind == "role" and action != "iam:CreateRole":
        return f"role {name}"
    if kind == "policy":
        return f"policy {name}" if action == "iam:CreatePolicy" else f"policy {arn}"
    return arn
