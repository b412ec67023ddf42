# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorization, enforced only where the sandbox was started with it.

ministack checks signatures and evaluates policies; what it lacks is iam:PassRole for the roles an
EKS request hands over, the ARN of an association as a resource, paths in the ARNs of roles,
iam:PermissionsBoundary as a condition key, and messages that name the resource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from sandbox.aws.eks_state import EksState, association_arn
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Call
from sandbox.aws.operations import route
from sandbox.aws.responses import QUERY_SERVICES, error_response
from sandbox.aws.stock import Stock

_ON_ASSOCIATION = frozenset(f"{verb}PodIdentityAssociation" for verb in ("Describe", "Update", "Delete"))
_ON_ADDON = frozenset(f"{verb}Addon" for verb in ("Describe", "Update", "Delete"))
_ON_TAGGED = frozenset(("TagResource", "UntagResource", "ListTagsForResource"))

_TAGGED = ("arn:aws:eks:", "arn:aws:iam:")


class Authorizer:
    """Asks ministack's evaluator about actions that ministack itself does not ask about."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    def check_pass_role(self, call: Call, role_arn: str, service: str) -> None:
        """``AccessDeniedException`` unless the caller may pass the role to the service."""
        self.check(call, "iam:PassRole", role_arn, {"iam:PassedToService": service})

    def check(
        self,
        call: Call,
        action: str,
        resource: str,
        context: Mapping[str, str | list[str]] | None = None,
    ) -> None:
        """Raise a refusal in the words of the call's service unless the caller may do the action."""
        if not self._stock.auth:
            return
        refused = self._stock.evaluator.enforce(
            self._stock.access_key_id(call.headers, call.query),
            action,
            action.partition(":")[0],
            call.region,
            resource_arn=resource,
            service_context=context,
        )
        if refused is not None:
            explicit = refused.decision == "Deny"
            message = denial(refused.principal_arn, action, resource, explicit=explicit)
            raise ApiError(403, _denied_code(call.service), message)


class Resources:
    """Names the resource an EKS or IAM request acts on, for policies and for messages."""

    def __init__(self, iam: IamState, eks: EksState) -> None:
        self._iam = iam
        self._eks = eks

    def eks(self, method: str, path: str, body: bytes, region: str, account: str) -> str:
        operation, parts = route("eks", method, path, body)
        if operation in _ON_TAGGED:
            return parts[0]
        if operation in _ON_ASSOCIATION:
            return association_arn(account, region, parts[0], parts[1])
        if operation in _ON_ADDON:
            addon = self._eks.stock.addons.get(account, region, f"{parts[0]}/{parts[1]}")
            missing = f"arn:aws:eks:{region}:{account}:addon/{parts[0]}/{parts[1]}/*"
            return missing if addon is None else str(addon["addonArn"])
        if parts:
            return f"arn:aws:eks:{region}:{account}:cluster/{parts[0]}"
        return "*"

    def iam(self, body: bytes, account: str) -> str | None:
        """The ARN of a role or policy; None where ministack's own answer does."""
        form = dict(parse_qsl(body.decode()))
        if name := form.get("RoleName"):
            role = self._iam.role(account, name)
            return str(role["Arn"]) if role else f"arn:aws:iam::{account}:role{form.get('Path', '/')}{name}"
        if form.get("Action") == "CreatePolicy":
            return f"arn:aws:iam::{account}:policy{form.get('Path', '/')}{form['PolicyName']}"
        return None

    def boundary(self, body: bytes, account: str) -> str | None:
        """What iam:PermissionsBoundary says of a request on a role: the one asked for, else the role's."""
        form = dict(parse_qsl(body.decode()))
        if "PermissionsBoundary" in form:
            return form["PermissionsBoundary"]
        role = self._iam.role(account, form.get("RoleName", ""))
        return None if role is None else role["PermissionsBoundary"]

    def tags(self, arn: str) -> Mapping[str, str] | None:
        """The tags of an EKS or IAM resource; None where there is no such resource."""
        _, _, service, region, account, resource = arn.split(":", 5)
        kind, _, path = resource.partition("/")
        name = path.rpartition("/")[2]
        if service == "iam":
            found = self._iam.role(account, name) if kind == "role" else self._iam.policy(account, arn)
            if found is None or found["Arn"] != arn:
                return None
            return {tag["Key"]: tag["Value"] for tag in found["Tags"]}
        cluster = path.partition("/")[0]
        eks = self._eks
        if kind == "podidentityassociation":
            record = eks.associations(account, region, cluster).by_id.get(name)
        elif kind == "addon":
            record = eks.stock.addons.get(account, region, path.rpartition("/")[0])
        else:
            record = eks.stock.clusters.get(account, region, cluster)
        return None if record is None else record["tags"]


def install(stock: Stock, resources: Resources) -> None:
    """Give ministack's enforcement the overlay's resources, their tags, and AWS's messages."""
    stock_resource: Callable[..., str] = stock.actions.extract_resource_arn
    stock_denial: Callable[..., Any] = stock.actions.access_denied_response
    stock_context: Callable[..., dict[str, Any]] = stock.actions.request_tag_context
    stock_tags: Callable[[str], Any] = stock.tagging.resource_tags

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
        if service == "iam" and (found := resources.iam(body, account)) is not None:
            return found
        return stock_resource(service, method, path, headers, body, query, region, account)

    def denied(service: str, action: str, principal: str, request: str, **more: Any) -> Any:
        failed_authentication = bool(more.get("error_code"))
        if failed_authentication or service not in ("eks", "iam", "sts"):
            return stock_denial(service, action, principal, request, **more)
        resource = more.get("resource_arn", "*")
        shown = iam_resource_name(action, resource) if service == "iam" else resource
        explicit = bool(more.get("explicit_deny"))
        message = denial(principal, action, shown, explicit=explicit)
        return error_response(service, ApiError(403, _denied_code(service), message))

    def context(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
        found: dict[str, Any] = stock_context(service, action, body, parameters)
        if service == "iam" and (boundary := resources.boundary(body, stock.account())):
            found["iam:PermissionsBoundary"] = boundary
        return found

    def tags(arn: str) -> Any:
        return resources.tags(arn) if arn.startswith(_TAGGED) else stock_tags(arn)

    stock.tagging.resource_tags = tags
    stock.actions.extract_resource_arn = resource_arn
    stock.actions.access_denied_response = denied
    stock.actions.request_tag_context = context


def _denied_code(service: str) -> str:
    return "AccessDenied" if service in QUERY_SERVICES else "AccessDeniedException"


def denial(principal: str, action: str, resource: str, *, explicit: bool) -> str:
    """AWS's sentence for a denied action. STS gives no reason for an AssumeRole that nothing allows."""
    if action == "sts:AssumeRole" and not explicit:
        return f"User: {principal} is not authorized to perform: {action} on resource: {resource}"
    reason = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}"


def iam_resource_name(action: str, arn: str) -> str:
    """A role or policy as IAM's denials write it: ``role app``, ``policy arn:aws:…``."""
    kind, _, path_and_name = arn.rpartition(":")[2].partition("/")
    name = path_and_name.rpartition("/")[2]
    if kind == "role" and action != "iam:CreateRole":
        return f"role {name}"
    if kind == "policy":
        return f"policy {name}" if action == "iam:CreatePolicy" else f"policy {arn}"
    return arn
