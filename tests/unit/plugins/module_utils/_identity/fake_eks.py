# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake of the Pod Identity associations of EKS in memory, with the validation of EKS.

tests/emulators compares its responses with the sandbox.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_iam import (
    FakeIam,
    as_list,
    refusal,
)

Answer = dict[str, Any]
SERVICE = "pods.eks.amazonaws.com"
ACTIONS = {"sts:assumerole", "sts:tagsession"}
SESSION_POLICY_SIZE = 2048
ROLE_MISSING = "Role provided in the request does not exist"
IDENTITY = ("clusterName", "namespace", "serviceAccount")
SUMMARY = (*IDENTITY, "associationId", "associationArn", "ownerArn")
CREATED = datetime(2026, 11, 24, 10, 15, 30, tzinfo=timezone.utc)
ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:.+/)?([^/]+)")


class FakeEks:
    """EKS in memory. After a change of a role, it rejects ``lag`` requests before it accepts the role.

    The lag applies to every create and update request, even to an update without a role ARN: AWS does not document whether EKS
    then checks the role of the association.
    """

    def __init__(self, iam: FakeIam, account_id: str, region: str, clusters: tuple[str, ...]) -> None:
        self.iam = iam
        self.account_id = account_id
        self.region = region
        self.clusters = dict.fromkeys(clusters, "ACTIVE")
        # Fields that DescribeCluster returns in addition to name, ARN and status.
        self.details: dict[str, Any] = {}
        self.associations: dict[str, Answer] = {}
        # The maximum number of associations on a page of a list. 0 means no limit.
        self.page_size = 0
        self.lag = 0
        self.waits: dict[str, int] = {}
        self.last = 0

    def state(self) -> list[Answer]:
        """Return the associations without their IDs and ARNs."""
        rows = [
            {
                key: value
                for key, value in association.items()
                if key not in ("associationId", "associationArn")
            }
            for association in self.associations.values()
        ]
        return sorted(rows, key=lambda row: (row["clusterName"], row["namespace"], row["serviceAccount"]))

    def role_changed(self, name: str) -> None:
        if self.lag:
            self.waits[name.lower()] = self.lag

    def DescribeCluster(self, request: Mapping[str, Any]) -> Answer:
        name = request["name"]
        self._check_cluster(name)
        arn = f"arn:aws:eks:{self.region}:{self.account_id}:cluster/{name}"
        return {"cluster": {"name": name, "arn": arn, "status": self.clusters[name], **self.details}}

    def ListPodIdentityAssociations(self, request: Mapping[str, Any]) -> Answer:
        self._check_cluster(request["clusterName"])
        matching = [
            {key: association[key] for key in SUMMARY if key in association}
            for association in self.associations.values()
            if all(association[key] == request[key] for key in IDENTITY if key in request)
        ]
        begin = int(request.get("nextToken", 0))
        end = begin + (self.page_size or len(matching))
        more = {"nextToken": str(end)} if end < len(matching) else {}
        return {"associations": matching[begin:end], **more}

    def DescribePodIdentityAssociation(self, request: Mapping[str, Any]) -> Answer:
        return {"association": copy.deepcopy(self._association(request))}

    def CreatePodIdentityAssociation(self, request: Mapping[str, Any]) -> Answer:
        self._check_cluster(request["clusterName"])
        for association in self.associations.values():
            if all(association[key] == request[key] for key in IDENTITY):
                raise refusal(
                    "ResourceInUseException", f"Association already exists: {association['associationId']}"
                )
        self._check_seen(request["roleArn"])
        self._check_role(request["roleArn"])
        self._check_session_policy(request, request)
        self._check_target_role(request)
        return {"association": copy.deepcopy(self.put(request))}

    def put(self, request: Mapping[str, Any]) -> Answer:
        """Store an association without the checks of EKS, and return it."""
        self.last += 1
        identifier = f"a-{self.last:017d}"
        place = f"{self.region}:{self.account_id}"
        association = {
            **request,
            "tags": dict(request.get("tags", {})),
            "associationId": identifier,
            "associationArn": (
                f"arn:aws:eks:{place}:podidentityassociation/{request['clusterName']}/{identifier}"
            ),
            "disableSessionTags": request.get("disableSessionTags", False),
            "createdAt": CREATED,
            "modifiedAt": CREATED,
        }
        self.associations[identifier] = self._with_external_id(association)
        return association

    def UpdatePodIdentityAssociation(self, request: Mapping[str, Any]) -> Answer:
        """Update an association. Omitted settings do not change; an empty target role ARN removes the target role."""
        association = self._association(request)
        updated = {**association, **request}
        self._check_seen(updated["roleArn"])
        if "roleArn" in request:
            self._check_role(request["roleArn"])
        self._check_session_policy(request, updated)
        self._check_target_role(request)
        self.associations[association["associationId"]] = self._with_external_id(updated)
        return {"association": copy.deepcopy(updated)}

    def DeletePodIdentityAssociation(self, request: Mapping[str, Any]) -> Answer:
        association = self._association(request)
        del self.associations[association["associationId"]]
        return {"association": association}

    def TagResource(self, request: Mapping[str, Any]) -> Answer:
        self._by_arn(request)["tags"].update(request["tags"])
        return {}

    def UntagResource(self, request: Mapping[str, Any]) -> Answer:
        tags = self._by_arn(request)["tags"]
        for key in request["tagKeys"]:
            tags.pop(key, None)
        return {}

    def _check_cluster(self, name: str) -> None:
        if name not in self.clusters:
            raise refusal("ResourceNotFoundException", f"No cluster found for name: {name}.")

    def _association(self, request: Mapping[str, Any]) -> Answer:
        cluster, identifier = request["clusterName"], request["associationId"]
        self._check_cluster(cluster)
        association = self.associations.get(identifier)
        if association is None or association["clusterName"] != cluster:
            text = f"The association with ID {identifier} was not found in cluster {cluster}."
            raise refusal("ResourceNotFoundException", text)
        return association

    def _by_arn(self, request: Mapping[str, Any]) -> Answer:
        arn = request["resourceArn"]
        for association in self.associations.values():
            if association["associationArn"] == arn:
                return association
        raise refusal("NotFoundException", f"The resource with ARN {arn} was not found.")

    def _check_seen(self, arn: str) -> None:
        name = arn.rpartition("/")[2].lower()
        if self.waits.get(name):
            self.waits[name] -= 1
            raise _invalid(ROLE_MISSING)

    def _check_role(self, arn: str) -> None:
        match = ROLE_ARN.fullmatch(arn)
        if arn and match is None:
            raise _invalid(f"Invalid role ARN: {arn}")
        # EKS returns the same error for an empty ARN as for a role of another account.
        if match is None or match[1] != self.account_id:
            raise refusal("AccessDeniedException", "Cross-account pass role is not allowed")
        role = self.iam.roles.get(match[2].lower())
        if role is None or role["Arn"] != arn:
            raise _invalid(ROLE_MISSING)
        if not _trusts(json.loads(role["trust"])):
            raise _invalid(
                "Trust policy of the role provided is invalid. Follow the official documentation to "
                "resolve the issue."
            )

    def _check_session_policy(self, request: Mapping[str, Any], updated: Mapping[str, Any]) -> None:
        if "policy" in request:
            policy = request["policy"]
            if not policy:
                raise _invalid("policy must not be empty. A session policy cannot be removed.")
            if len(policy) > SESSION_POLICY_SIZE:
                raise _invalid(f"policy must not be longer than {SESSION_POLICY_SIZE} characters.")
        if updated.get("policy") and not updated.get("disableSessionTags"):
            raise _invalid("disableSessionTags must be true when a session policy is specified.")

    def _check_target_role(self, request: Mapping[str, Any]) -> None:
        target = request.get("targetRoleArn")
        if target and not ROLE_ARN.fullmatch(target):
            raise _invalid(f"Invalid target role ARN: {target}")

    def _with_external_id(self, association: Answer) -> Answer:
        association.pop("externalId", None)
        if association.get("targetRoleArn"):
            parts = (self.region, self.account_id, *(association[key] for key in IDENTITY))
            association["externalId"] = "/".join(parts)
        else:
            association.pop("targetRoleArn", None)
        return association


def _invalid(text: str) -> AwsError:
    return refusal("InvalidParameterException", text)


def _trusts(document: Mapping[str, Any]) -> bool:
    """Return whether the Allow statements for EKS Pod Identity together allow both required actions."""
    granted = {
        needed
        for statement in as_list(document["Statement"])
        if statement["Effect"] == "Allow" and _names_service(statement.get("Principal"))
        for action in as_list(statement.get("Action", []))
        for needed in ACTIONS
        if fnmatchcase(needed, action.lower())
    }
    return granted == ACTIONS


def _names_service(principal: Any) -> bool:
    return isinstance(principal, dict) and SERVICE in as_list(principal.get("Service", []))
