# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS operations for Pod Identity associations, as the EKS API reference describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.aws.clock import eks_time
from sandbox.aws.eks_paging import page
from sandbox.aws.eks_state import (
    ClusterAssociations,
    EksState,
    association_arn,
    new_association_id,
    public,
)
from sandbox.aws.eks_tags import check_tags
from sandbox.aws.iam_documents import check_session_policy
from sandbox.aws.model import ApiError, Call, Record
from sandbox.aws.passing import RolePassing

SUMMARY = (
    "clusterName",
    "namespace",
    "serviceAccount",
    "associationArn",
    "associationId",
    "ownerArn",
)
_TARGET_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/.+")
_SESSION_POLICY_SIZE = 2048

Payload = Mapping[str, Any]


class Associations:
    """The operations for associations. Each operation is a method that returns the data of the response."""

    def __init__(self, state: EksState, passing: RolePassing) -> None:
        self._state = state
        self._passing = passing

    def create(self, call: Call) -> Payload:
        cluster = call.path_parts[0]
        self._state.cluster(call, cluster)
        request = call.data()
        token = request.pop("clientRequestToken", None)
        associations = self._state.associations(call.account, call.region, cluster)
        if token is not None and (replayed := _replay(associations, token, request)) is not None:
            return _response(replayed)
        for name in ("namespace", "serviceAccount"):
            if not request.get(name):
                raise invalid(f"{name} is required.")
        check_tags(request.get("tags", {}))
        identity = (request["namespace"], request["serviceAccount"])
        if (existing := associations.by_identity.get(identity)) is not None:
            raise ApiError(409, "ResourceInUseException", f"Association already exists: {existing}")
        self._passing.check(call, request.get("roleArn", ""))
        record = self.add(call, cluster, request)
        if token is not None:
            associations.tokens[token] = (request, record["associationId"])
        return _response(record)

    def add(self, call: Call, cluster: str, request: Payload, owner: str = "") -> Record:
        """Store a new association.

        Call it only after a check of the role, and only if the service account has no association yet.
        """
        moment = eks_time()
        association_id = new_association_id()
        record: Record = {
            "clusterName": cluster,
            "namespace": request["namespace"],
            "serviceAccount": request["serviceAccount"],
            "roleArn": request["roleArn"],
            "associationArn": association_arn(call.account, call.region, cluster, association_id),
            "associationId": association_id,
            "tags": dict(request.get("tags", {})),
            "createdAt": moment,
            "modifiedAt": moment,
            "disableSessionTags": bool(request.get("disableSessionTags", False)),
        }
        if owner:
            record["ownerArn"] = owner
        _set_policy(record, request)
        _set_target(record, request, call)
        self._state.add_association(call.account, call.region, record)
        return record

    def describe(self, call: Call) -> Payload:
        return _response(self._find(call))

    def list(self, call: Call) -> Payload:
        cluster = call.path_parts[0]
        self._state.cluster(call, cluster)
        associations = self._state.associations(call.account, call.region, cluster)
        namespace = call.query_value("namespace")
        service_account = call.query_value("serviceAccount")
        records = list(associations.by_id.values())
        if namespace is not None and service_account is not None:
            identifier = associations.by_identity.get((namespace, service_account))
            records = [associations.by_id[identifier]] if identifier is not None else []
        elif namespace is not None or service_account is not None:
            records = [
                record
                for record in records
                if namespace in (None, record["namespace"])
                and service_account in (None, record["serviceAccount"])
            ]
        return page(call, "associations", records, _order, _summary)

    def update(self, call: Call) -> Payload:
        record = self._find(call)
        request = call.data()
        if "roleArn" in request:
            self._passing.check(call, request["roleArn"])
        changed = dict(record)
        changed.update((name, request[name]) for name in ("roleArn", "disableSessionTags") if name in request)
        _set_policy(changed, request)
        _set_target(changed, request, call)
        changed["modifiedAt"] = eks_time()
        record.clear()
        record.update(changed)
        return _response(record)

    def delete(self, call: Call) -> Payload:
        record = self._find(call)
        self._state.drop_association(call.account, call.region, record)
        return _response(record)

    def _find(self, call: Call) -> Record:
        cluster, association_id = call.path_parts
        self._state.cluster(call, cluster)
        record = self._state.association(call.account, call.region, cluster, association_id)
        if record is None:
            raise ApiError(
                404,
                "ResourceNotFoundException",
                f"The association with ID {association_id} was not found in cluster {cluster}.",
            )
        return record


def invalid(message: str) -> ApiError:
    return ApiError(400, "InvalidParameterException", message)


def _replay(associations: ClusterAssociations, token: str, request: Payload) -> Record | None:
    """Return the association that an earlier request with the same client request token created, or None.

    Raise ApiError if the parameters of the two requests differ.
    """
    earlier = associations.tokens.get(token)
    record = associations.by_id.get(earlier[1]) if earlier is not None else None
    if earlier is not None and record is not None and earlier[0] != request:
        raise invalid("clientRequestToken was already used with different parameters.")
    return record


def _set_policy(record: Record, request: Payload) -> None:
    if "policy" in request:
        policy = request["policy"]
        if not policy:
            raise invalid("policy must not be empty. A session policy cannot be removed.")
        if len(policy) > _SESSION_POLICY_SIZE:
            raise invalid(f"policy must not be longer than {_SESSION_POLICY_SIZE} characters.")
        try:
            check_session_policy(policy)
        except ApiError as error:
            raise invalid("The session policy is not a valid JSON policy document.") from error
        record["policy"] = policy
    if "policy" in record and not record["disableSessionTags"]:
        raise invalid("disableSessionTags must be true when a session policy is specified.")


def _set_target(record: Record, request: Payload, call: Call) -> None:
    if "targetRoleArn" not in request:
        return
    target = request["targetRoleArn"]
    if not target:
        record.pop("targetRoleArn", None)
        record.pop("externalId", None)
        return
    if not _TARGET_ROLE.fullmatch(target):
        raise invalid(f"Invalid target role ARN: {target}")
    record["targetRoleArn"] = target
    workload = (record["clusterName"], record["namespace"], record["serviceAccount"])
    record["externalId"] = "/".join((call.region, call.account, *workload))


def _order(record: Record) -> str:
    return f"{record['_number']:012d}"


def _summary(record: Record) -> Payload:
    return {name: record[name] for name in SUMMARY if name in record}


def _response(record: Record) -> Payload:
    return {"association": public(record)}
