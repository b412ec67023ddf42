# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EKS: clusters, Pod Identity associations, tags, access entries and node groups. For add-ons, see ``addons``."""

from __future__ import annotations

import json
import re
import string
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.model.addon_releases import DEFAULT_VERSION, platform_version
from sandbox.aws.model.documents import POD_IDENTITY_SERVICE, as_list, check_session_policy
from sandbox.aws.model.errors import Refusal, invalid
from sandbox.aws.model.iam import Iam
from sandbox.aws.model.roles import TAGS
from sandbox.aws.model.tables import Answer, Request, Service, decoded, encoded, random_text

CLUSTER_SERVICE = "eks.amazonaws.com"
ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
TRUST_ACTIONS = frozenset(("sts:assumerole", "sts:tagsession"))
SESSION_POLICY_SIZE = 2048
PAGE = 100
ROLE_MISSING = "Role provided in the request does not exist"
IDENTITY = ("clusterName", "namespace", "serviceAccount")
SUMMARY = (*IDENTITY, "associationId", "associationArn", "ownerArn")
ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:.+/)?([^/]+)")
_ARN = re.compile(r"arn:aws:eks:([a-z0-9-]+):(\d{12}):([a-z]+)/(.+)")
_CLUSTER_MEMBERS = ("computeConfig", "storageConfig", "upgradePolicy", "deletionProtection", "accessConfig")


class Clusters(Service):
    """The operations for clusters, and what the operations of EKS have in common."""

    TABLES = ("clusters", "associations", "numbers", "tokens", "addons", "entries", "node_groups")

    def __init__(self, iam: Iam, account_id: str, region: str) -> None:
        self.iam = iam
        self.account_id = account_id
        self.region = region
        self.clusters: dict[str, Answer] = {}
        self.associations: dict[str, Answer] = {}
        # The position of each association in lists.
        self.numbers: dict[str, int] = {}
        # The request and the association of each client request token.
        self.tokens: dict[tuple[str, str], tuple[Answer, str]] = {}
        self.addons: dict[tuple[str, str], Answer] = {}
        self.entries: dict[tuple[str, str], Answer] = {}
        self.node_groups: dict[tuple[str, str], Answer] = {}
        # The greatest number of items on a page of a list.
        self.page_size = PAGE
        # With permissions, EKS checks what CreateCluster names, and that the caller may pass a role to a service.
        self.strict = False
        self.caller = ""
        self.check_pass: Callable[[str, str], None] = lambda _arn, _service: None

    def arn(self, kind: str, *names: str) -> str:
        return f"arn:aws:eks:{self.region}:{self.account_id}:{kind}/{'/'.join(names)}"

    def sees_before(self) -> datetime:
        """Return the time before which a change of a role must have happened for EKS to see it."""
        return self.now()

    def DescribeCluster(self, request: Request) -> Answer:
        return {"cluster": dict(self.cluster(request["name"]))}

    def ListClusters(self, request: Request) -> Answer:
        return self.page(request, "clusters", [(name, name) for name in self.clusters])

    def CreateCluster(self, request: Request) -> Answer:
        name = request["name"]
        check_tags(request.get("tags", {}))
        if self.strict:
            self._check_cluster_role(request["roleArn"])
        if name in self.clusters:
            raise Refusal("ResourceInUseException", f"Cluster already exists with name: {name}")
        version = request.get("version", DEFAULT_VERSION)
        issuer = f"https://oidc.eks.{self.region}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"
        self.clusters[name] = {
            "name": name,
            "arn": self.arn("cluster", name),
            "createdAt": self.now(),
            "version": version,
            "endpoint": f"https://{uuid.uuid4().hex}.gr7.{self.region}.eks.amazonaws.com",
            "roleArn": request["roleArn"],
            "resourcesVpcConfig": {"endpointPublicAccess": True, **request["resourcesVpcConfig"]},
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4"},
            "identity": {"oidc": {"issuer": issuer}},
            "status": "ACTIVE",
            "certificateAuthority": {"data": ""},
            "platformVersion": platform_version(version),
            "health": {"issues": []},
            "tags": dict(request.get("tags", {})),
            **{member: request[member] for member in _CLUSTER_MEMBERS if member in request},
        }
        access = request.get("accessConfig", {})
        if self.caller and access.get("bootstrapClusterCreatorAdminPermissions", True):
            entry = {"clusterName": name, "principalArn": self.caller}
            self.CreateAccessEntry(entry)
            self.AssociateAccessPolicy(
                {**entry, "policyArn": ADMIN_POLICY, "accessScope": {"type": "cluster"}}
            )
        return self.DescribeCluster(request)

    # Access entries and node groups

    def CreateAccessEntry(self, request: Request) -> Answer:
        cluster, principal = request["clusterName"], request["principalArn"]
        self.cluster(cluster)
        if (cluster, principal) in self.entries:
            text = f"Access entry already exists for principal {principal}."
            raise Refusal("ResourceInUseException", text)
        self.entries[cluster, principal] = {
            "clusterName": cluster,
            "principalArn": principal,
            "kubernetesGroups": list(request.get("kubernetesGroups", ())),
            "accessEntryArn": self.arn("access-entry", cluster, uuid.uuid4().hex[:8]),
            "createdAt": self.now(),
            "modifiedAt": self.now(),
            "tags": dict(request.get("tags", {})),
            "username": request.get("username", ""),
            "type": request.get("type", "STANDARD"),
            "policies": {},
        }
        return self.DescribeAccessEntry(request)

    def DescribeAccessEntry(self, request: Request) -> Answer:
        entry = self._entry(request)
        return {"accessEntry": {key: value for key, value in entry.items() if key != "policies"}}

    def AssociateAccessPolicy(self, request: Request) -> Answer:
        entry = self._entry(request)
        moment = {"associatedAt": self.now(), "modifiedAt": self.now()}
        policy = {"policyArn": request["policyArn"], "accessScope": request["accessScope"], **moment}
        entry["policies"][request["policyArn"]] = policy
        names = {"clusterName": request["clusterName"], "principalArn": request["principalArn"]}
        return {**names, "associatedAccessPolicy": policy}

    def CreateNodegroup(self, request: Request) -> Answer:
        cluster, name = request["clusterName"], request["nodegroupName"]
        version = self.cluster(cluster)["version"]
        if (cluster, name) in self.node_groups:
            text = f"NodeGroup already exists with name {name} and cluster name {cluster}"
            raise Refusal("ResourceInUseException", text)
        self.node_groups[cluster, name] = {
            "version": version,
            "capacityType": "ON_DEMAND",
            "amiType": "AL2023_x86_64_STANDARD",
            **{key: value for key, value in request.items() if key != "clientRequestToken"},
            "nodegroupArn": self.arn("nodegroup", cluster, name, str(uuid.uuid4())),
            "createdAt": self.now(),
            "modifiedAt": self.now(),
            "status": "ACTIVE",
            "health": {"issues": []},
            "tags": dict(request.get("tags", {})),
        }
        return {"nodegroup": self.node_groups[cluster, name]}

    def DescribeNodegroup(self, request: Request) -> Answer:
        self.cluster(request["clusterName"])
        group = self.node_groups.get((request["clusterName"], request["nodegroupName"]))
        if group is None:
            raise Refusal(
                "ResourceNotFoundException", f"No node group found for name: {request['nodegroupName']}."
            )
        return {"nodegroup": group}

    def ListNodegroups(self, request: Request) -> Answer:
        self.cluster(request["clusterName"])
        names = [(name, name) for cluster, name in self.node_groups if cluster == request["clusterName"]]
        return self.page(request, "nodegroups", names)

    def access(self, cluster: str, principal: str) -> Answer | None:
        return self.entries.get((cluster, principal))

    def cluster(self, name: str) -> Answer:
        if name not in self.clusters:
            raise Refusal("ResourceNotFoundException", f"No cluster found for name: {name}.")
        return self.clusters[name]

    def page(self, request: Request, name: str, items: Iterable[tuple[str, Any]]) -> Answer:
        """Return a page of a list, which begins after the key in the token. ``items`` has pairs of sort key and item."""
        try:
            last = decoded(request["nextToken"]) if request.get("nextToken") else ""
        except Refusal:
            raise invalid("Invalid nextToken.") from None
        rest = sorted((item for item in items if item[0] > last), key=lambda item: item[0])
        limit = min(int(request.get("maxResults") or self.page_size), self.page_size)
        more = {"nextToken": encoded(rest[limit - 1][0])} if len(rest) > limit else {}
        return {name: [item for _, item in rest[:limit]], **more}

    def _entry(self, request: Request) -> Answer:
        self.cluster(request["clusterName"])
        entry = self.access(request["clusterName"], request["principalArn"])
        if entry is None:
            text = f"No access entry for principal {request['principalArn']}."
            raise Refusal("ResourceNotFoundException", text)
        return entry

    def _check_cluster_role(self, arn: str) -> None:
        self.check_pass(arn, CLUSTER_SERVICE)
        match = ROLE_ARN.fullmatch(arn)
        here = match is not None and match[1] == self.account_id
        trust = self.iam.visible_trust(arn, self.sees_before()) if here else None
        if trust is None or not trusts(json.loads(trust), CLUSTER_SERVICE, frozenset(("sts:assumerole",))):
            raise invalid(
                f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not "
                "correct"
            )


class Eks(Clusters):
    """The operations for associations and tags. Add-ons own associations."""

    def ListPodIdentityAssociations(self, request: Request) -> Answer:
        self.cluster(request["clusterName"])
        matching = [
            (
                f"{self.numbers.get(identifier, 0):012d}",
                {key: record[key] for key in SUMMARY if key in record},
            )
            for identifier, record in self.associations.items()
            if all(record[key] == request[key] for key in IDENTITY if key in request)
        ]
        return self.page(request, "associations", matching)

    def DescribePodIdentityAssociation(self, request: Request) -> Answer:
        return {"association": dict(self._association(request))}

    def CreatePodIdentityAssociation(self, request: Request) -> Answer:
        self.cluster(request["clusterName"])
        token = request.get("clientRequestToken", "")
        request = {key: value for key, value in request.items() if key != "clientRequestToken"}
        if (replayed := self._replayed(token, request)) is not None:
            return {"association": dict(replayed)}
        for name in ("namespace", "serviceAccount"):
            if not request[name]:
                raise invalid(f"{name} is required.")
        check_tags(request.get("tags", {}))
        self.check_free(request)
        self._check_seen(request["roleArn"])
        self.check_role(request["roleArn"])
        _check_session_policy(request, request)
        _check_target_role(request)
        record = self.put(request)
        if token:
            self.tokens[request["clusterName"], token] = dict(request), record["associationId"]
        return {"association": dict(record)}

    def put(self, request: Request) -> Answer:
        """Store an association without the checks of EKS, and return it."""
        identifier = self.new_association_id()
        record = {
            **request,
            "tags": dict(request.get("tags", {})),
            "associationId": identifier,
            "associationArn": self.arn("podidentityassociation", request["clusterName"], identifier),
            "disableSessionTags": request.get("disableSessionTags", False),
            "createdAt": self.now(),
            "modifiedAt": self.now(),
        }
        self.associations[identifier] = self._with_external_id(record)
        self.numbers[identifier] = len(self.numbers)
        return record

    def new_association_id(self) -> str:
        return "a-" + random_text(17, string.ascii_lowercase)

    def UpdatePodIdentityAssociation(self, request: Request) -> Answer:
        """Update an association. Omitted settings do not change; an empty target role ARN removes the target role."""
        record = self._association(request)
        request = {key: value for key, value in request.items() if key != "clientRequestToken"}
        updated = {**record, **request, "modifiedAt": self.now()}
        self._check_seen(updated["roleArn"])
        if "roleArn" in request:
            self.check_role(request["roleArn"])
        _check_session_policy(request, updated)
        _check_target_role(request)
        self.associations[record["associationId"]] = self._with_external_id(updated)
        return {"association": dict(updated)}

    def DeletePodIdentityAssociation(self, request: Request) -> Answer:
        record = self._association(request)
        del self.associations[record["associationId"]]
        return {"association": record}

    def TagResource(self, request: Request) -> Answer:
        record = self.tagged(request["resourceArn"])
        tags = {**record["tags"], **request["tags"]}
        check_tags(request["tags"], len(tags))
        record["tags"] = tags
        return {}

    def UntagResource(self, request: Request) -> Answer:
        record = self.tagged(request["resourceArn"])
        record["tags"] = {
            key: value for key, value in record["tags"].items() if key not in request["tagKeys"]
        }
        return {}

    def ListTagsForResource(self, request: Request) -> Answer:
        return {"tags": self.tagged(request["resourceArn"])["tags"]}

    def tagged(self, arn: str) -> Answer:
        """Return the resource with this ARN."""
        match = _ARN.fullmatch(arn)
        if match is None:
            raise Refusal("BadRequestException", f"Invalid resource ARN: {arn}")
        region, account, kind, path = match.groups()
        names = path.split("/")
        tables: dict[str, tuple[Mapping[Any, Answer], Any]] = {
            "cluster": (self.clusters, path),
            "podidentityassociation": (self.associations, names[-1]),
            "addon": (self.addons, tuple(names[:2])),
            "nodegroup": (self.node_groups, tuple(names[:2])),
        }
        table, key = tables.get(kind, ({}, ""))
        record = table.get(key) if (region, account) == (self.region, self.account_id) else None
        if record is None:
            raise Refusal("NotFoundException", f"The resource with ARN {arn} was not found.")
        return record

    def check_free(self, request: Request) -> None:
        """Check that a service account has no association."""
        for identifier, record in self.associations.items():
            if all(record[key] == request[key] for key in IDENTITY):
                raise Refusal("ResourceInUseException", f"Association already exists: {identifier}")

    def check_role(self, arn: str) -> None:
        """Check the role of an association: its account, iam:PassRole, that EKS sees it, and its trust policy."""
        match = ROLE_ARN.fullmatch(arn)
        if arn and match is None:
            raise invalid(f"Invalid role ARN: {arn}")
        # EKS returns the same error for an empty ARN as for a role of another account.
        if match is None or match[1] != self.account_id:
            raise Refusal("AccessDeniedException", "Cross-account pass role is not allowed")
        self.check_pass(arn, POD_IDENTITY_SERVICE)
        trust = self._trust(arn)
        if trust is None:
            raise invalid(ROLE_MISSING)
        if not trusts(json.loads(trust), POD_IDENTITY_SERVICE, TRUST_ACTIONS):
            raise invalid(
                "Trust policy of the role provided is invalid. Follow the official documentation to resolve the issue."
            )

    def _trust(self, arn: str) -> str | None:
        return self.iam.visible_trust(arn, self.sees_before())

    def _check_seen(self, arn: str) -> None:
        """Check that EKS sees a role. A subclass counts the requests until it does."""

    def _replayed(self, token: str, request: Request) -> Answer | None:
        """Return the association that an earlier request with the same client request token created."""
        earlier, identifier = self.tokens.get((request["clusterName"], token), ({}, ""))
        record = self.associations.get(identifier)
        if record is not None and earlier != request:
            raise invalid("clientRequestToken was already used with different parameters.")
        return record

    def _association(self, request: Request) -> Answer:
        cluster, identifier = request["clusterName"], request["associationId"]
        self.cluster(cluster)
        record = self.associations.get(identifier)
        if record is None or record["clusterName"] != cluster:
            text = f"The association with ID {identifier} was not found in cluster {cluster}."
            raise Refusal("ResourceNotFoundException", text)
        return record

    def _with_external_id(self, record: Answer) -> Answer:
        record.pop("externalId", None)
        if record.get("targetRoleArn"):
            parts = (self.region, self.account_id, *(record[key] for key in IDENTITY))
            record["externalId"] = "/".join(parts)
        else:
            record.pop("targetRoleArn", None)
        return record


def _check_session_policy(request: Request, updated: Request) -> None:
    if "policy" in request:
        policy = request["policy"]
        if not policy:
            raise invalid("policy must not be empty. A session policy cannot be removed.")
        if len(policy) > SESSION_POLICY_SIZE:
            raise invalid(f"policy must not be longer than {SESSION_POLICY_SIZE} characters.")
        try:
            check_session_policy(policy)
        except Refusal as error:
            raise invalid("The session policy is not a valid JSON policy document.") from error
    if updated.get("policy") and not updated.get("disableSessionTags"):
        raise invalid("disableSessionTags must be true when a session policy is specified.")


def _check_target_role(request: Request) -> None:
    target = request.get("targetRoleArn")
    if target and not ROLE_ARN.fullmatch(target):
        raise invalid(f"Invalid target role ARN: {target}")


def check_tags(added: Mapping[str, str], total: int | None = None) -> None:
    """Check new tags. ``total`` is the number of tags that the resource would have afterwards."""
    total = len(added) if total is None else total
    if total > TAGS:
        raise invalid(f"The number of tags {total} exceeds the limit of {TAGS}.")
    for key, value in added.items():
        if not key or len(key) > 128 or len(value) > 256:
            raise invalid(f"Invalid tag: {key}")
        if key.lower().startswith("aws:"):
            raise invalid(f"Tag keys must not start with aws: {key}")


def trusts(document: Mapping[str, Any], service: str, actions: frozenset[str]) -> bool:
    """Return whether the Allow statements for a service together allow all actions, as EKS checks it.

    Conditions and Deny statements are not evaluated until a Pod requests credentials.
    """
    granted = {
        needed
        for statement in as_list(document["Statement"])
        if statement["Effect"] == "Allow" and names_service(statement.get("Principal"), service)
        for action in as_list(statement.get("Action", []))
        for needed in actions
        if fnmatchcase(needed, action.lower())
    }
    return granted == actions


def names_service(principal: Any, service: str) -> bool:
    return isinstance(principal, dict) and service in as_list(principal.get("Service", []))
