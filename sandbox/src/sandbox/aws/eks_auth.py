# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service EKS Auth, which issues credentials of a role in exchange for a service account token.

This module checks the audience and the expiry of the token, the association, the trust policy with the session tags
of EKS, and the target role. The signature of the token is not checked.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.aws.authz import Authorizer
from sandbox.aws.eks_state import EksState
from sandbox.aws.iam_documents import as_list
from sandbox.aws.iam_state import IamState, new_unique_id
from sandbox.aws.model import ApiError, Call, Record
from sandbox.aws.pod_tokens import AUDIENCE, Pod, read_token
from sandbox.aws.trust import POD_IDENTITY_SERVICE

SESSION_SECONDS = 6 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a role, with its session tags."""

    role: Record
    account: str
    name: str
    tags: Mapping[str, str]

    @property
    def arn(self) -> str:
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role['RoleName']}/{self.name}"


class PodIdentity:
    """The service EKS Auth with its only operation, AssumeRoleForPodIdentity."""

    def __init__(self, iam: IamState, eks: EksState, authorizer: Authorizer) -> None:
        self._iam = iam
        self._eks = eks
        self._authorizer = authorizer

    def assume(self, call: Call) -> Mapping[str, Any]:
        """Return the response to AssumeRoleForPodIdentity: credentials for the Pod that the token belongs to.

        Raise ApiError for an error response, for example if a role cannot be assumed.
        """
        name = call.path_parts[0]
        cluster = self._eks.cluster(call, name)
        self._authorizer.check(call, "eks-auth:AssumeRoleForPodIdentity", cluster["arn"])
        pod = read_token(call.data().get("token", ""))
        associations = self._eks.associations(call.account, call.region, name)
        identifier = associations.by_identity.get((pod.namespace, pod.service_account))
        if identifier is None:
            raise ApiError(
                404,
                "ResourceNotFoundException",
                f"No pod identity association found for service account {pod.service_account} "
                f"in namespace {pod.namespace} of cluster {name}.",
            )
        association = associations.by_id[identifier]
        session = self._assume_role(call, cluster, association, pod)
        if "targetRoleArn" in association:
            session = self._chain(call, association, session)
        return {
            "subject": {"namespace": pod.namespace, "serviceAccount": pod.service_account},
            "audience": AUDIENCE,
            "podIdentityAssociation": {
                "associationArn": association["associationArn"],
                "associationId": association["associationId"],
            },
            "assumedRoleUser": {
                "arn": session.arn,
                "assumeRoleId": f"{session.role['RoleId']}:{session.name}",
            },
            "credentials": self._credentials(session, association.get("policy", "")),
        }

    def _assume_role(self, call: Call, cluster: Record, association: Record, pod: Pod) -> Session:
        role = self._role(association["roleArn"])
        tags = {} if association["disableSessionTags"] else _session_tags(cluster, pod)
        trust = _for_service(role["AssumeRolePolicyDocument"]) if role is not None else None
        context = {"aws:sourceaccount": call.account, "aws:sourcearn": cluster["arn"]}
        actions = ("sts:AssumeRole", "sts:TagSession") if tags else ("sts:AssumeRole",)
        for action in actions:
            allowed = trust is not None and self._trusts(
                trust, f"arn:aws:iam::{call.account}:root", action, call.region, tags, context
            )
            if not allowed:
                raise ApiError(
                    400,
                    "AccessDeniedException",
                    "Unauthorized Exception! EKS does not have permissions to assume the associated role.",
                )
        assert role is not None
        session_name = f"eks-{cluster['name'][:20]}-{pod.name[:20]}-{uuid.uuid4()}"[:64]
        return Session(role, call.account, session_name, tags)

    def _chain(self, call: Call, association: Record, source: Session) -> Session:
        """Assume the target role with the session of the association's role.

        Both the policies of the association's role and the trust policy of the target role must allow that.
        """
        arn = association["targetRoleArn"]
        target = self._role(arn)
        actions = ("sts:AssumeRole", "sts:TagSession") if source.tags else ("sts:AssumeRole",)
        context = {} if source.tags else {"sts:externalid": association["externalId"]}
        for action in actions:
            allowed = (
                target is not None
                and self._permits(source, action, arn, call.region)
                and self._trusts(
                    json.loads(target["AssumeRolePolicyDocument"]),
                    source.arn,
                    action,
                    call.region,
                    source.tags,
                    context,
                )
            )
            if not allowed:
                raise ApiError(
                    400,
                    "AccessDeniedException",
                    f"User: {source.arn} is not authorized to perform: {action} on resource: {arn}",
                )
        assert target is not None
        return Session(target, arn.split(":")[4], source.name, source.tags)

    def _role(self, arn: str) -> Record | None:
        role = self._iam.role(arn.split(":")[4], arn.rpartition("/")[2])
        return role if role is not None and role["Arn"] == arn else None

    def _trusts(
        self,
        trust: Any,
        principal: str,
        action: str,
        region: str,
        tags: Mapping[str, str],
        context: Mapping[str, str],
    ) -> bool:
        evaluator = self._iam.ministack.evaluator
        account = principal.split(":")[4]
        kind = "AssumedRole" if ":assumed-role/" in principal else "Root"
        request = evaluator.EvalContext(
            principal_arn=principal,
            principal_type=kind,
            principal_account=account,
            action=action,
            resource_arn="*",
            region=region,
            request_tags=dict(tags),
            tag_keys=list(tags),
            service_context=dict(context),
        )
        return bool(evaluator.evaluate_trust_policy(trust, principal, request))

    def _permits(self, session: Session, action: str, resource: str, region: str) -> bool:
        evaluator = self._iam.ministack.evaluator
        request = evaluator.EvalContext(
            principal_arn=session.arn,
            principal_type="AssumedRole",
            principal_account=session.account,
            action=action,
            resource_arn=resource,
            region=region,
            request_tags=dict(session.tags),
            tag_keys=list(session.tags),
            principal_keys={f"aws:principaltag/{k}": v for k, v in session.tags.items()},
        )
        policies = evaluator._gather_role_policies(session.role["RoleName"], session.account)
        return bool(evaluator.evaluate(request, policies).decision == "Allow")

    def _credentials(self, session: Session, policy: str) -> Mapping[str, Any]:
        """Issue temporary credentials that all emulated services accept."""
        expires = round(time.time()) + SESSION_SECONDS
        key = new_unique_id("ASIA")[:20]
        secret = secrets.token_urlsafe(30)
        token = secrets.token_urlsafe(96)
        record = {
            "Arn": session.arn,
            "UserId": f"{session.role['RoleId']}:{session.name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": expires,
            "AccountId": session.account,
            "PrincipalType": "AssumedRole",
            "SessionTags": [{"Key": k, "Value": v} for k, v in session.tags.items()],
            "SessionPolicies": {"Policy": policy, "PolicyArns": []} if policy else None,
        }
        self._iam.ministack.sts.register_session(key, record)
        return {
            "accessKeyId": key,
            "secretAccessKey": secret,
            "sessionToken": token,
            "expiration": expires,
        }


def _session_tags(cluster: Record, pod: Pod) -> Mapping[str, str]:
    """Return the six session tags that EKS Pod Identity adds to a session."""
    return {
        "eks-cluster-arn": cluster["arn"],
        "eks-cluster-name": cluster["name"],
        "kubernetes-namespace": pod.namespace,
        "kubernetes-service-account": pod.service_account,
        "kubernetes-pod-name": pod.name,
        "kubernetes-pod-uid": pod.uid,
    }


def _for_service(document: str) -> Any:
    """Return a trust policy with only the statements that apply to EKS Pod Identity, each with the principal "*".

    The evaluator of ministack does not distinguish services: a statement with any service principal would match.
    """
    statements = [
        {**statement, "Principal": "*"}
        for statement in as_list(json.loads(document)["Statement"])
        if _names_pod_identity(statement.get("Principal"))
    ]
    return {"Statement": statements}


def _names_pod_identity(principal: Any) -> bool:
    if isinstance(principal, dict):
        return POD_IDENTITY_SERVICE in as_list(principal.get("Service", []))
    return bool(principal == "*")
