# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pod identity associations of EKS in memory, with the checks that EKS makes."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NoReturn

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_iam import (
    FakeIam,
)

Answer = dict[str, Any]
SERVICE = "pods.eks.amazonaws.com"
CREATED = datetime(2026, 11, 24, 10, 15, 30, tzinfo=timezone.utc)


class FakeEks:
    """``lag`` is how many requests of EKS it takes until EKS sees what changed in a role."""

    def __init__(self, iam: FakeIam, account_id: str, region: str, clusters: tuple[str, ...]) -> None:
        self.iam = iam
        self.account_id = account_id
        self.region = region
        self.clusters = dict.fromkeys(clusters, "ACTIVE")
        self.associations: dict[str, Answer] = {}
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
        self._check_cluster("DescribeCluster", name)
        arn = f"arn:aws:eks:{self.region}:{self.account_id}:cluster/{name}"
        return {"cluster": {"name": name, "arn": arn, "status": self.clusters[name]}}

    def ListPodIdentityAssociations(self, asked: Mapping[str, Any]) -> Answer:
        self._check_cluster("ListPodIdentityAssociations", asked["clusterName"])
        found = [
            {
                key: one[key]
                for key in ("clusterName", "namespace", "serviceAccount", "associationId", "associationArn")
            }
            for one in self.associations.values()
            if all(one[key] == value for key, value in asked.items())
        ]
        return {"associations": found}

    def DescribePodIdentityAssociation(self, asked: Mapping[str, Any]) -> Answer:
        return {"association": copy.deepcopy(self._association("DescribePodIdentityAssociation", asked))}

    def CreatePodIdentityAssociation(self, asked: Mapping[str, Any]) -> Answer:
        operation = "CreatePodIdentityAssociation"
        self._check_cluster(operation, asked["clusterName"])
        for one in self.associations.values():
            same = ("clusterName", "namespace", "serviceAccount")
            if all(one[key] == asked[key] for key in same):
                text = f"Association already exists: {one['associationId']}"
                raise classify(f"eks:{operation}", "ResourceInUseException", text)
        self._check(operation, asked)
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
        operation = "UpdatePodIdentityAssociation"
        one = self._association(operation, asked)
        wanted = {**one, **{key: value for key, value in asked.items() if key != "associationId"}}
        self._check(operation, wanted)
        if wanted.get("targetRoleArn") == "":
            del wanted["targetRoleArn"]
        self.associations[one["associationId"]] = self._with_external_id(wanted)
        return {"association": copy.deepcopy(wanted)}

    def DeletePodIdentityAssociation(self, asked: Mapping[str, Any]) -> Answer:
        one = self._association("DeletePodIdentityAssociation", asked)
        del self.associations[one["associationId"]]
        return {"association": one}

    def TagResource(self, asked: Mapping[str, Any]) -> Answer:
        self._by_arn("TagResource", asked)["tags"].update(asked["tags"])
        return {}

    def UntagResource(self, asked: Mapping[str, Any]) -> Answer:
        for key in asked["tagKeys"]:
            self._by_arn("UntagResource", asked)["tags"].pop(key, None)
        return {}

    def _check_cluster(self, operation: str, name: str) -> None:
        if name not in self.clusters:
            text = f"No cluster found for name: {name}."
            raise classify(f"eks:{operation}", "ResourceNotFoundException", text)

    def _association(self, operation: str, asked: Mapping[str, Any]) -> Answer:
        self._check_cluster(operation, asked["clusterName"])
        found = self.associations.get(asked["associationId"])
        if found is None:
            text = f"Association {asked['associationId']} not found."
            raise classify(f"eks:{operation}", "ResourceNotFoundException", text)
        return found

    def _by_arn(self, operation: str, asked: Mapping[str, Any]) -> Answer:
        for one in self.associations.values():
            if one["associationArn"] == asked["resourceArn"]:
                return one
        raise classify(f"eks:{operation}", "NotFoundException", "Resource not found.")

    def _check(self, operation: str, wanted: Mapping[str, Any]) -> None:
        name = wanted["roleArn"].split("/")[-1].lower()
        role = self.iam.roles.get(name)
        waits = self.waits.get(name, 0)
        if waits:
            self.waits[name] = waits - 1
        if role is None or role["Arn"] != wanted["roleArn"] or waits:
            self._invalid(operation, "Role provided in the request does not exist.")
        if not _trusts(json.loads(role["trust"])):
            self._invalid(operation, "Trust policy of the role provided is invalid.")
        if wanted.get("policy") and not wanted.get("disableSessionTags"):
            self._invalid(operation, "A session policy needs disableSessionTags.")

    def _invalid(self, operation: str, text: str) -> NoReturn:
        raise classify(f"eks:{operation}", "InvalidParameterException", text)

    def _with_external_id(self, one: Answer) -> Answer:
        one.pop("externalId", None)
        if one.get("targetRoleArn"):
            parts = (
                self.region,
                self.account_id,
                one["clusterName"],
                one["namespace"],
                one["serviceAccount"],
            )
            one["externalId"] = "/".join(parts)
        return one


def _trusts(document: Mapping[str, Any]) -> bool:
    for statement in document["Statement"]:
        principal = statement.get("Principal", {})
        service = principal.get("Service", ()) if isinstance(principal, dict) else ()
        actions = statement.get("Action", ())
        if (
            statement["Effect"] == "Allow"
            and SERVICE in (service if isinstance(service, list) else [service])
            and {"sts:AssumeRole", "sts:TagSession"} <= set(actions)
        ):
            return True
    return False
