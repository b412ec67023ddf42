# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permissions that requests need: actions on resources, with condition keys. They are checked only with --auth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sandbox.aws.model.accounts import Account, Principal
from sandbox.aws.model.errors import Refusal
from sandbox.aws.model.evaluation import ALLOW, DENY, tag_context

_ALWAYS_ALLOWED = frozenset(("sts:GetCallerIdentity", "sts:AssumeRoleWithWebIdentity"))
_NAMES = (
    ("UserName", "user"),
    ("GroupName", "group"),
    ("InstanceProfileName", "instance-profile"),
)
_ARNS = ("PolicyArn", "PolicySourceArn", "OpenIDConnectProviderArn", "Arn")


class Permission(NamedTuple):
    """An action on a resource, with condition keys. ``label`` is the name of the resource in messages."""

    action: str
    resource: str
    context: Mapping[str, Any]
    label: str = ""


class Rights:
    """The permissions of a caller in an account and region."""

    def __init__(self, account: Account, region: str, caller: Principal) -> None:
        self._account = account
        self._region = region
        self._caller = caller

    def check_request(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Check the action of a request, and what its tags and its permissions boundary need besides."""
        action = f"{service}:{operation}"
        if action in _ALWAYS_ALLOWED:
            return
        context = dict(tag_context(_tags(parameters)))
        if service == "iam":
            first = self._of_iam(action, parameters, context)
        elif service in ("eks", "eks-auth"):
            first = Permission(action, self._eks_resource(operation, parameters), context)
        else:
            first = Permission(action, parameters.get("RoleArn", "*"), context)
        if keys := parameters.get("tagKeys") or parameters.get("TagKeys"):
            context["aws:TagKeys"] = list(keys)
        self.check(service, first)
        for further in self._of_creation(service, operation, parameters, first.resource):
            self.check(service, further)

    def check_pass(self, role_arn: str, passed_to: str) -> None:
        self.check("eks", Permission("iam:PassRole", role_arn, {"iam:PassedToService": passed_to}))

    def check(self, service: str, permission: Permission) -> None:
        """Raise the error of a service if the caller does not have a permission."""
        action, resource, context, label = permission
        known = {f"aws:ResourceTag/{key}": value for key, value in self._resource_tags(resource).items()}
        decision = self._caller.decide(action, resource, self._region, {**known, **context})
        if decision != ALLOW:
            text = denial(self._caller.arn, action, label or resource, explicit=decision == DENY)
            raise Refusal("UnauthorizedOperation" if service == "ec2" else "AccessDenied", text, 403)

    def _of_iam(self, action: str, parameters: Mapping[str, Any], context: dict[str, Any]) -> Permission:
        iam, path = self._account.iam, parameters.get("Path", "/")
        if "PolicyArn" in parameters:
            context["iam:PolicyARN"] = parameters["PolicyArn"]
        if name := parameters.get("RoleName"):
            role = iam.roles.get(name.lower())
            boundary = parameters.get("PermissionsBoundary") or (role["boundary"] if role else "")
            if boundary:
                context["iam:PermissionsBoundary"] = boundary
            arn = str(role["Arn"]) if role else iam.arn("role", path, name)
            return Permission(action, arn, context, arn if action == "iam:CreateRole" else f"role {name}")
        if action == "iam:CreatePolicy":
            name = parameters["PolicyName"]
            return Permission(action, iam.arn("policy", path, name), context, f"policy {name}")
        for member, kind in _NAMES:
            if name := parameters.get(member):
                user = iam.users.get(name) if kind == "user" else None
                return Permission(action, str(user["Arn"]) if user else iam.arn(kind, path, name), context)
        arn = next((parameters[name] for name in _ARNS if name in parameters), "*")
        return Permission(action, arn, context, f"policy {arn}" if "PolicyArn" in parameters else arn)

    def _eks_resource(self, operation: str, parameters: Mapping[str, Any]) -> str:
        eks = self._account.eks(self._region)
        if arn := parameters.get("resourceArn"):
            return str(arn)
        cluster = parameters.get("clusterName") or parameters.get("name", "")
        if identifier := parameters.get("associationId"):
            return eks.arn("podidentityassociation", cluster, identifier)
        for member, table, kind in (
            ("addonName", eks.addons, "addon"),
            ("nodegroupName", eks.node_groups, "nodegroup"),
        ):
            if (name := parameters.get(member)) and cluster and not operation.startswith("Create"):
                record = table.get((cluster, name), {})
                return str(record.get(f"{kind}Arn", eks.arn(kind, cluster, name, "*")))
        return eks.arn("cluster", cluster) if cluster and operation != "CreateCluster" else "*"

    def _of_creation(
        self, service: str, operation: str, parameters: Mapping[str, Any], resource: str
    ) -> Iterator[Permission]:
        """Yield the additional permissions of a create request.

        AWS does not document which resource eks:TagResource applies to for a new association. So the caller needs it on both
        the cluster and the association: a policy that is sufficient here is sufficient in AWS.
        """
        context = tag_context(_tags(parameters))
        if service == "iam":
            kind = {"CreateRole": "iam:TagRole", "CreatePolicy": "iam:TagPolicy"}.get(operation)
            if kind and context:
                yield Permission(kind, resource, context)
            if operation == "CreateRole" and (boundary := parameters.get("PermissionsBoundary")):
                named = {"iam:PermissionsBoundary": boundary}
                yield Permission("iam:PutRolePermissionsBoundary", resource, named)
            return
        eks = self._account.eks(self._region)
        cluster = parameters.get("clusterName") or parameters.get("name", "")
        resources = {
            "CreateCluster": [eks.arn("cluster", cluster)],
            "CreatePodIdentityAssociation": [resource, eks.arn("podidentityassociation", cluster, "*")],
            "CreateAddon": [eks.arn("addon", cluster, parameters.get("addonName", ""), "*")],
        }.get(operation, [])
        for each in resources if context else ():
            yield Permission("eks:TagResource", each, context)

    def _resource_tags(self, arn: str) -> Mapping[str, str]:
        """Return the tags of a resource of EKS, or of a role, user or policy."""
        iam = self._account.iam
        if arn.startswith("arn:aws:iam:"):
            user = iam.users.get(arn.rpartition("/")[2])
            entity = (
                iam.role_of(arn) or iam.policies.get(arn) or (user if user and user["Arn"] == arn else None)
            )
            return entity["tags"] if entity else {}
        try:
            tags: Mapping[str, str] = self._account.eks(self._region).tagged(arn)["tags"]
        except Refusal:
            return {}
        return tags


def _tags(parameters: Mapping[str, Any]) -> dict[str, str]:
    listed = {tag["Key"]: tag["Value"] for tag in parameters.get("Tags", ())}
    return {**listed, **parameters.get("tags", {})}


def denial(principal: str, action: str, resource: str, *, explicit: bool) -> str:
    """Return the message of AWS for a denied action. For an implicit deny of AssumeRole, the message of STS has no reason."""
    text = f"User: {principal} is not authorized to perform: {action} on resource: {resource}"
    if explicit:
        return f"{text} with an explicit deny in an identity-based policy"
    return (
        text
        if action == "sts:AssumeRole"
        else f"{text} because no identity-based policy allows the {action} action"
    )
