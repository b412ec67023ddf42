# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service-linked roles: made and deleted on request, otherwise the service's own."""

from __future__ import annotations

import json
import uuid

from sandbox.aws import iam_nodes
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_roles import SERVICE_LINKED_PATH, find_role
from sandbox.aws.iam_state import IamState, new_unique_id
from sandbox.aws.model import ApiError, Record
from sandbox.aws.responses import Node

_NAMES = {
    "eks.amazonaws.com": "AmazonEKS",
    "eks-nodegroup.amazonaws.com": "AmazonEKSNodegroup",
    "eks-fargate.amazonaws.com": "AmazonEKSForFargate",
}


class ServiceLinkedRoles:
    """The three operations, one method each. A deletion is done before it is answered."""

    def __init__(self, state: IamState) -> None:
        self._state = state

    def create_service_linked_role(self, form: Form) -> Node:
        service = form.required("AWSServiceName")
        short = _NAMES.get(service, service.partition(".")[0].title())
        name = f"AWSServiceRoleFor{short}"
        if (form.account, name.lower()) in self._state.role_names:
            raise ApiError(
                400,
                "InvalidInput",
                f"Service role name {name} has been taken in this account, please try a different suffix.",
            )
        path = f"{SERVICE_LINKED_PATH}{service}/"
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        role: Record = {
            "RoleName": name,
            "Arn": f"arn:aws:iam::{form.account}:role{path}{name}",
            "RoleId": new_unique_id("AROA"),
            "CreateDate": self._state.clock.iam(),
            "Path": path,
            "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            "Description": form.get("Description"),
            "MaxSessionDuration": 3600,
            "PermissionsBoundary": None,
            "AttachedPolicies": [],
            "InlinePolicies": {},
            "Tags": [],
        }
        self._state.add_role(form.account, role)
        return {"Role": iam_nodes.role_created(role)}

    def delete_service_linked_role(self, form: Form) -> Node:
        role = find_role(self._state, form)
        if not role["Path"].startswith(SERVICE_LINKED_PATH):
            raise ApiError(400, "InvalidInput", f"Role {role['RoleName']} is not a service-linked role.")
        self._state.drop_role(form.account, role)
        return {"DeletionTaskId": f"task{role['Path']}{role['RoleName']}/{uuid.uuid4()}"}

    def get_service_linked_role_deletion_status(self, form: Form) -> Node:
        task = form.required("DeletionTaskId")
        if not task.startswith(f"task{SERVICE_LINKED_PATH}"):
            raise ApiError(404, "NoSuchEntity", f"Deletion task {task} cannot be found.")
        return {"Status": "SUCCEEDED"}
