# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create EKS clusters in the embedded AWS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sandbox.aws_request import AwsRequester

AGENT_ADDON = "eks-pod-identity-agent"
IAM_VERSION = "2010-05-08"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
CLUSTER_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """A cluster to create. An empty ``version`` means the newest Kubernetes version."""

    name: str
    agent: bool = True
    auto_mode: bool = False
    version: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def create_cluster(aws: AwsRequester, request: ClusterRequest) -> None:
    """Create a cluster with its IAM role and, if requested, the add-on of the EKS Pod Identity Agent, unless they exist."""
    role = f"{request.name}-cluster-role"[:64]
    form = {
        "Action": "CreateRole",
        "Version": IAM_VERSION,
        "RoleName": role,
        "AssumeRolePolicyDocument": json.dumps(CLUSTER_TRUST),
    }
    aws.create("iam", "/", FORM, urlencode(form).encode())
    cluster: dict[str, Any] = {
        "name": request.name,
        "roleArn": f"arn:aws:iam::{aws.account}:role/{role}",
        "resourcesVpcConfig": {
            "subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"],
            "endpointPublicAccess": True,
        },
        "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"},
    }
    if request.auto_mode:
        cluster["computeConfig"] = {"enabled": True}
    if request.version:
        cluster["version"] = request.version
    if request.tags:
        cluster["tags"] = dict(request.tags)
    aws.create("eks", "/clusters", JSON, json.dumps(cluster).encode())
    if request.agent:
        addon = {"addonName": AGENT_ADDON}
        aws.create("eks", f"/clusters/{request.name}/addons", JSON, json.dumps(addon).encode())
