# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether Pods get credentials. The checks use the webhook, STS and EKS Auth of the sandbox, but no code of the plugins."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3
from ansible_collections.workload_identity.aws.tests.migration.estate import (
    ACCOUNT,
    CLUSTER,
    REGION,
    Estate,
    Json,
    Member,
)
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

PROBE = {"apiVersion": "v1", "kind": "Pod"}


class Oracle:
    """A check of the credentials of all service accounts whose Pods get credentials at the start (``Member.works``).

    ``problems`` has a text for each Pod that did not get credentials of its role. It names the last request before the check.
    ``windows`` has a text for each new Pod without credentials after the deletion of its association, while the webhook does not
    know of the deletion yet (``is_late``). No run can prevent this time; a run must not create a Pod in it.
    """

    def __init__(
        self, estate: Estate, endpoint: str, is_late: Callable[[Member], bool] = lambda _member: False
    ) -> None:
        self.estate = estate
        self.is_late = is_late
        self.problems: list[str] = []
        self.windows: list[str] = []
        self.checks = 0
        self._served: set[str] = set()
        self._lock = threading.Lock()
        options: Json = {"endpoint_url": endpoint, "region_name": REGION}
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "test"}
        self._sts = boto3.client("sts", **options, config=Config(signature_version=UNSIGNED))
        self._auth = boto3.client("eks-auth", **options, **keys)

    def check(self, request: str, is_final: bool = False) -> None:
        """Check for each service account a Pod that starts now, and all of its running Pods.

        ``request`` is the last request. If it names one of these service accounts or their roles, only the service accounts that
        it concerns are checked, except at every 20th call. After a run (``is_final``), no Pod may still have to be restarted.
        """
        with self._lock:
            self.checks += 1
            members = {str(member): member for member in self.estate.members if member.works}
            subject = request.rpartition(" ")[2]
            concerned = {
                name: member
                for name, member in members.items()
                if subject in (member.name, member.role_arn.rpartition("/")[2])
            }
            if concerned and self.checks % 20:
                members = concerned
            for member in members.values():
                pod = self._admitted(member)
                if problem := self._credentials(member, pod):
                    late = "no association" in problem and self.is_late(member)
                    found = self.windows if late else self.problems
                    found.append(f"after {request}: a new Pod of {member}: {problem}")
            for pod in self.estate.pods():
                name = f"shop/{pod['spec']['serviceAccountName']}"
                owner = members.get(name)
                if owner is None:
                    continue
                problem = self._credentials(owner, pod)
                uid = str(pod["metadata"]["uid"])
                # A rollback deletes an association, then restarts the Pods. Until the restart, the Pods use their present
                # credentials. A Pod without earlier credentials has none.
                if not problem:
                    self._served.add(uid)
                elif uid not in self._served or "no association" not in problem or is_final:
                    self.problems.append(f"after {request}: running Pod {pod['metadata']['name']}: {problem}")

    def _admitted(self, member: Member) -> Json:
        spec = {"serviceAccountName": member.name, "containers": [{"name": "app", "image": "app"}]}
        metadata = {"namespace": member.namespace, "name": f"probe-{member.name}"}
        path = f"/api/v1/namespaces/{member.namespace}/pods?dryRun=All"
        return self.estate.kubernetes.send("POST", path, {**PROBE, "metadata": metadata, "spec": spec})

    def _credentials(self, member: Member, pod: Json) -> str:
        """Return the reason why a Pod does not get credentials of its role, or "" if it gets them."""
        kind = _kind(pod)
        try:
            if kind == "agent":
                token = self._token(member, "pods.eks.amazonaws.com")
                response = self._auth.assume_role_for_pod_identity(clusterName=CLUSTER, token=token)
                arn = str(response["assumedRoleUser"]["arn"])
            elif kind == "irsa":
                response = self._sts.assume_role_with_web_identity(
                    RoleArn=member.role_arn,
                    RoleSessionName="test",
                    WebIdentityToken=self._token(member, member.audience),
                )
                arn = str(response["AssumedRoleUser"]["Arn"])
            else:
                return "no credentials were injected"
        except ClientError as error:
            text = str(error)
            return f"no association ({text})" if "No pod identity association" in text else text
        role = member.role_arn.rpartition("/")[2]
        return "" if f":assumed-role/{role}/" in arn else f"credentials of {arn}"

    def _token(self, member: Member, audience: str) -> str:
        claims: dict[str, Any] = {
            "iss": f"https://{self.estate.host}",
            "sub": f"system:serviceaccount:{member.namespace}:{member.name}",
            "aud": [audience],
            "exp": time.time() + 3600,
            "kubernetes.io": {
                "namespace": member.namespace,
                "serviceaccount": {"name": member.name, "uid": "u"},
                "pod": {"name": "pod", "uid": "u"},
            },
        }
        parts = ({"alg": "RS256"}, claims, {})
        return ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
        )


def _kind(pod: Json) -> str:
    names = {
        variable["name"] for container in pod["spec"]["containers"] for variable in container.get("env", ())
    }
    if "AWS_WEB_IDENTITY_TOKEN_FILE" in names:
        return "irsa"
    return "agent" if "AWS_CONTAINER_CREDENTIALS_FULL_URI" in names else "none"
