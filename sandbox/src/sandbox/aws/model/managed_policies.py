# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The managed policies of AWS: a selection, whose documents are shortened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from sandbox.aws.model.roles import AWS_MANAGED

_CREATED = datetime(2015, 2, 6, 18, 40, tzinfo=timezone.utc)
_ECR_PULL = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
)
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "AdministratorAccess": ("*",),
    "AmazonDynamoDBReadOnlyAccess": ("dynamodb:Get*", "dynamodb:Query", "dynamodb:Scan"),
    "AmazonEC2ContainerRegistryPullOnly": _ECR_PULL,
    "AmazonEC2ContainerRegistryReadOnly": (*_ECR_PULL, "ecr:Describe*", "ecr:List*"),
    "AmazonEKSClusterPolicy": ("ec2:Describe*", "elasticloadbalancing:*"),
    "AmazonEKSVPCResourceController": ("ec2:CreateNetworkInterface", "ec2:DescribeInstances"),
    "AmazonEKSWorkerNodeMinimalPolicy": ("eks-auth:AssumeRoleForPodIdentity",),
    "AmazonEKSWorkerNodePolicy": (
        "ec2:Describe*",
        "eks:DescribeCluster",
        "eks-auth:AssumeRoleForPodIdentity",
    ),
    "AmazonEKS_CNI_Policy": ("ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:Describe*"),
    "AmazonS3FullAccess": ("s3:*", "s3-object-lambda:*"),
    "AmazonS3ReadOnlyAccess": ("s3:Get*", "s3:List*", "s3:Describe*"),
    "AmazonSQSReadOnlyAccess": ("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:List*"),
    "AmazonSSMManagedInstanceCore": ("ssm:UpdateInstanceInformation", "ssmmessages:*", "ec2messages:*"),
    "AmazonSSMReadOnlyAccess": ("ssm:Describe*", "ssm:Get*", "ssm:List*"),
    "AmazonVPCReadOnlyAccess": ("ec2:Describe*",),
    "CloudWatchAgentServerPolicy": ("cloudwatch:PutMetricData", "logs:PutLogEvents", "logs:CreateLogStream"),
    "CloudWatchFullAccess": ("cloudwatch:*", "logs:*"),
    "CloudWatchReadOnlyAccess": ("cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*"),
    "IAMReadOnlyAccess": ("iam:Get*", "iam:List*", "iam:Simulate*", "iam:Generate*"),
    "ReadOnlyAccess": ("ec2:Describe*", "iam:Get*", "iam:List*", "s3:Get*", "s3:List*"),
    "SecretsManagerReadWrite": ("secretsmanager:*",),
    "ViewOnlyAccess": ("ec2:Describe*", "s3:ListAllMyBuckets"),
    "service-role/AmazonEBSCSIDriverPolicy": ("ec2:AttachVolume", "ec2:CreateVolume", "ec2:DetachVolume"),
    "service-role/AmazonEFSCSIDriverPolicy": ("elasticfilesystem:CreateAccessPoint",),
}
_POWER_USER = {
    "Effect": "Allow",
    "NotAction": ["iam:*", "organizations:*", "account:*"],
    "Resource": "*",
}


def _record(*statements: Any) -> dict[str, Any]:
    return {
        "id": "ANPAMANAGEDPOLICY0001",
        "default": "v1",
        "last": 1,
        "versions": {"v1": {"Version": "2012-10-17", "Statement": list(statements)}},
        "made": {"v1": _CREATED},
        "updated": _CREATED,
        "tags": {},
        "description": "",
        "users": [],
        "groups": [],
    }


MANAGED: Mapping[str, dict[str, Any]] = {
    **{
        AWS_MANAGED + name: _record({"Effect": "Allow", "Action": list(actions), "Resource": "*"})
        for name, actions in _ACTIONS.items()
    },
    f"{AWS_MANAGED}PowerUserAccess": _record(_POWER_USER),
}
