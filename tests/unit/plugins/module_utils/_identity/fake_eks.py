# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pod identity associations of EKS in memory, with the checks that EKS makes.

It answers as the sandbox does: tests/emulators holds both to one table.
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
    """``lag`` is how many requests of EKS it takes until EKS sees what changed in a role.

    It holds for every create and update, also one that does not name the role: whether EKS looks at
    the role then is not known.
    """

    def __init__(self, iam: FakeIam, account_id: str, region: str, clusters: tuple[str, ...]) -> None:
        self.iam = iam
        self.account_id = account_id
        self.region = region
        self.clusters = dict.fromkeys(clusters, "ACTIVE")
        # What DescribeCluster says beside name, ARN and status.
        self.details: dict[str, Any] = {}
        self.associations: dict[str, Answer] = {}
        # How many associations a page of a list holds; 0 for all of them.
        self.page_size = 0
        self.lag = 0
        self.waits: dict[str, int] = {}
        self.last = 0

    def state(self) -> list[Answer]:
        """The associations without what differs from one creation to the next."""
        rows = [
            {key: value for key, value in one.items() if key not in ("associationId", "associationArn")}
            for one in self.associations.values()
        ]
        return sorted(rows, key=lambda row: (row["clusterName"], row["namespace"], row["serviceAccount"]))

    def role_changed(self, name: str) -> None:
        if self.lag:
            self.waits[name.lower()] = self.lag

    def DescribeCluster(self, asked: Mapping[str, Any]) -> Answer:
        name = asked["name"]
        self._check_cluster(name)
        arn = f"arn:aws:eks:{self.region}:{self.account_id}:cluster/{name}"
        return {"cluster": {"name": name, "arn": arn, "status": self.clusters[name], **self.details}}

    def ListPodIdentityAssociations(self, asked: Mapping[str, Any]) -> Answer:
        self._check_cluster(asked["clusterName"])
        matching = [
            {key: one[key] for key in SUMMARY if key in one}
            for one in self.associations.values()
            if all(one[key] == asked[key] for key in IDENTITY if key in asked)
        ]
        begin = int(asked.get("nextToken", 0))
        end = begin + (self.page_size or len(matching))
        more = {"nextToken": str(end)} if end < len(matching) else {}
        return {"associations": matching[begin:end], **more}

    def DescribePodIdentityAssociation(self, asked: Mapping[str, Any]) -> Answer:
        return {"association": copy.deepcopy(self._association(asked))}

    def CreatePodIdentityAssociation(self, asked: Mapping[str, Any]) -> Answer:
        self._check_cluster(asked["clusterName"])
        for one in self.associations.values():
            if all(one[key] == asked[key] for key in IDENTITY):
                raise refusal("ResourceInUseException", f"Association already exists: {one['associationId']}")
        self._check_seen(asked["roleArn"])
        self._check_role(asked["roleArn"])
        self._check_session_policy(asked, asked)
        self._check_target_role(asked)
        return {"association": copy.deepcopy(self.put(asked))}

    def put(self, asked: Mapping[str, Any]) -> Answer:
        """An association as asked, without a check."""
        self.last += 1
        identifier = f"a-{self.last:017d}"
        place = f"{self.region}:{self.account_id}"
        one = {
            **asked,
            "tags": dict(asked.get("tags", {})),
            "associationId": identifier,
            "associationArn": (
                f"arn:aws:eks:{place}:podidentityassociation/{asked['clusterName']}/{identifier}"
            ),
            "disableSessionTags": asked.get("disableSessionTags", False),
            "createdAt": CREATED,
            "modifiedAt": CREATED,
        }
        self.associations[identifier] = self._with_external_id(one)
        return one

    def UpdatePodIdentityAssociation(self, asked: Mapping[str, Any]) -> Answer:
        """What is not given stays; an empty target role takes the target role away."""
        one = self._association(asked)
        wanted = {**one, **asked}
        self._check_seen(wanted["roleArn"])
        if "roleArn" in asked:
            self._check_role(asked["roleArn"])
        self._check_session_policy(asked, wanted)
        self._check_target_role(asked)
        self.associations[one["associationId"]] = self._with_external_id(wanted)
        return {"association": copy.deepcopy(wanted)}

    def DeletePodIdentityAssociation(self, asked: Mapping[str, Any]) -> Answer:
        one = self._association(asked)
        del self.associations[one["associationId"]]
        return {"association": one}

    def TagResource(self, asked: Mapping[str, Any]) -> Answer:
        self._by_arn(asked)["tags"].update(asked["tags"])
        return {}

    def UntagResource(self, asked: Mapping[str, Any]) -> Answer:
        tags = self._by_arn(asked)["tags"]
        for key in asked["tagKeys"]:
            tags.pop(key, None)
        return {}

    def _check_cluster(self, name: str) -> None:
        if name not in self.clusters:
            raise refusal("ResourceNotFoundException", f"No cluster found for name: {name}.")

    def _association(self, asked: Mapping[str, Any]) -> Answer:
        cluster, identifier = asked["clusterName"], asked["associationId"]
        self._check_cluster(cluster)
        one = self.associations.get(identifier)
        if one is None or one["clusterName"] != cluster:
            text = f"The association with ID {identifier} was not found in cluster {cluster}."
            raise refusal("ResourceNotFoundException", text)
        return one

    def _by_arn(self, asked: Mapping[str, Any]) -> Answer:
        arn = asked["resourceArn"]
        for one in self.associations.values():
            if one["associationArn"] == arn:
                return one
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
        # An empty ARN has no account, so it is not this one.
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

    def _check_session_policy(self, asked: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        if "policy" in asked:
            policy = asked["policy"]
            if not policy:
                raise _invalid("policy must not be empty. A session policy cannot be removed.")
            if len(policy) > SESSION_POLICY_SIZE:
                raise _invalid(f"policy must not be longer than {SESSION_POLICY_SIZE} characters.")
        if wanted.get("policy") and not wanted.get("disableSessionTags"):
            raise _invalid("disableSessionTags must be true when a session policy is specified.")

    def _check_target_role(self, asked: Mapping[str, Any]) -> None:
        target = asked.get("targetRoleArn")
        if target and not ROLE_ARN.fullmatch(target):
            raise _invalid(f"Invalid target role ARN: {target}")

    def _with_external_id(self, one: Answer) -> Answer:
        one.pop("externalId", None)
        if one.get("targetRoleArn"):
            parts = (self.region, self.account_id, *(one[key] for key in IDENTITY))
            one["externalId"] = "/".join(parts)
        else:
            one.pop("targetRoleArn", None)
        return one


def _invalid(text: str) -> AwsError:
    return refusal("InvalidParameterException", text)


def _trusts(document: Mapping[str, Any]) -> bool:
    """Whether Allow statements that name EKS Pod Identity grant both actions together."""
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
