# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service EKS Auth, which issues credentials of a role in exchange for a service account token.

The audience and the expiry of the token, the association, the trust policy with the session tags of EKS, and the target role
are checked; the signature of the token is not.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.aws.model.accounts import Cloud, Session, expiration
from sandbox.aws.model.documents import POD_IDENTITY_SERVICE
from sandbox.aws.model.eks import Eks, names_service
from sandbox.aws.model.errors import Refusal
from sandbox.aws.model.evaluation import (
    ALLOW,
    Question,
    decide,
    global_context,
    names_caller,
    tag_context,
)
from sandbox.aws.model.pod_tokens import AUDIENCE, Pod, read_token
from sandbox.aws.model.tables import Answer, Request

SECONDS = 6 * 3600
NOT_TRUSTED = "Unauthorized Exception! EKS does not have permissions to assume the associated role."


class EksAuth:
    """EKS Auth of an account and region, with its only operation."""

    def __init__(self, cloud: Cloud, eks: Eks) -> None:
        self._cloud = cloud
        self._eks = eks

    def AssumeRoleForPodIdentity(self, request: Request) -> Answer:
        """Return credentials for the Pod that the token belongs to."""
        cluster = self._eks.cluster(request["clusterName"])
        pod = read_token(request["token"])
        association = self._association(cluster["name"], pod)
        role = self._assumable(cluster, association, pod)
        tags = {} if association["disableSessionTags"] else _session_tags(cluster, pod)
        name = f"eks-{cluster['name'][:20]}-{pod.name[:20]}-{uuid.uuid4()}"[:64]
        policy = association.get("policy")
        policies = (json.loads(policy),) if policy else None
        key, session = self._cloud.new_session(role, name, SECONDS, tags, policies)
        if "targetRoleArn" in association:
            target = self._target(association, self._cloud.sessions.pop(key))
            key, session = self._cloud.new_session(target, name, SECONDS, tags, policies)
        return {
            "subject": {"namespace": pod.namespace, "serviceAccount": pod.service_account},
            "audience": AUDIENCE,
            "podIdentityAssociation": {
                "associationArn": association["associationArn"],
                "associationId": association["associationId"],
            },
            "assumedRoleUser": {"arn": session.arn, "assumeRoleId": session.user_id},
            "credentials": {
                "accessKeyId": key,
                "secretAccessKey": session.secret,
                "sessionToken": session.token,
                "expiration": expiration(session),
            },
        }

    def _association(self, cluster: str, pod: Pod) -> Answer:
        identity = (cluster, pod.namespace, pod.service_account)
        for record in self._eks.associations.values():
            if (record["clusterName"], record["namespace"], record["serviceAccount"]) == identity:
                return record
        raise Refusal(
            "ResourceNotFoundException",
            f"No pod identity association found for service account {pod.service_account} "
            f"in namespace {pod.namespace} of cluster {cluster}.",
        )

    def _assumable(self, cluster: Request, association: Request, pod: Pod) -> Answer:
        """Return the role of an association. Raise a refusal if its trust policy does not let EKS assume it for the Pod."""
        role = self._cloud.role(association["roleArn"])
        tags = {} if association["disableSessionTags"] else _session_tags(cluster, pod)
        root = f"arn:aws:iam::{self._eks.account_id}:root"
        context = {
            **global_context(root, self._eks.region, {}),
            **tag_context(tags),
            "aws:sourceaccount": self._eks.account_id,
            "aws:sourcearn": cluster["arn"],
        }
        for action in _actions(tags):
            question = Question(action, "*", context)
            if role is None or decide([json.loads(role["trust"])], question, _names_pods) != ALLOW:
                raise Refusal("AccessDeniedException", NOT_TRUSTED, 400)
        assert role is not None
        return role

    def _target(self, association: Request, source: Session) -> Answer:
        """Return the target role. Both the policies of the association's role and its trust policy must allow to assume it."""
        arn = association["targetRoleArn"]
        target = self._cloud.role(arn)
        context = {
            **global_context(source.arn, self._eks.region, source.tags),
            **tag_context(source.tags),
            **({} if source.tags else {"sts:externalid": association["externalId"]}),
        }
        caller = self._cloud.session_principal(replace(source, policies=None))
        for action in _actions(source.tags):
            permitted = caller.decide(action, arn, self._eks.region, tag_context(source.tags)) == ALLOW
            trusted = target is not None and _trusts(target, Question(action, "*", context), source.arn)
            if not (permitted and trusted):
                text = f"User: {source.arn} is not authorized to perform: {action} on resource: {arn}"
                raise Refusal("AccessDeniedException", text, 400)
        assert target is not None
        return target


def _trusts(role: Request, question: Question, caller: str) -> bool:
    return decide([json.loads(role["trust"])], question, lambda p: names_caller(p, caller)) == ALLOW


def _names_pods(principal: Any) -> bool:
    return principal == "*" or names_service(principal, POD_IDENTITY_SERVICE)


def _actions(tags: Mapping[str, str]) -> tuple[str, ...]:
    return ("sts:AssumeRole", "sts:TagSession") if tags else ("sts:AssumeRole",)


def _session_tags(cluster: Request, pod: Pod) -> dict[str, str]:
    """Return the six session tags that EKS Pod Identity adds to a session."""
    return {
        "eks-cluster-arn": cluster["arn"],
        "eks-cluster-name": cluster["name"],
        "kubernetes-namespace": pod.namespace,
        "kubernetes-service-account": pod.service_account,
        "kubernetes-pod-name": pod.name,
        "kubernetes-pod-uid": pod.uid,
    }
