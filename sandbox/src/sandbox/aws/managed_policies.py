# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS managed policies that ministack does not have. Their documents are shortened."""

from __future__ import annotations

import json
from typing import NamedTuple

from sandbox.aws.iam_state import AWS_MANAGED_PREFIX, new_unique_id
from sandbox.aws.ministack import Ministack

CREATED = "2015-02-06T18:40:00Z"


class ManagedPolicy(NamedTuple):
    """An AWS managed policy. ``name`` includes the path, such as ``service-role/AmazonEBSCSIDriverPolicy``."""

    name: str
    actions: tuple[str, ...]


_ECR_PULL = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
)
POLICIES = (
    ManagedPolicy("AmazonEC2ContainerRegistryPullOnly", _ECR_PULL),
    ManagedPolicy("AmazonEC2ContainerRegistryReadOnly", (*_ECR_PULL, "ecr:Describe*", "ecr:List*")),
    ManagedPolicy("AmazonDynamoDBReadOnlyAccess", ("dynamodb:Get*", "dynamodb:Query", "dynamodb:Scan")),
    ManagedPolicy("AmazonSQSReadOnlyAccess", ("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:List*")),
    ManagedPolicy("AmazonSSMReadOnlyAccess", ("ssm:Describe*", "ssm:Get*", "ssm:List*")),
    ManagedPolicy("AmazonVPCReadOnlyAccess", ("ec2:Describe*",)),
    ManagedPolicy("CloudWatchFullAccess", ("cloudwatch:*", "logs:*")),
    ManagedPolicy(
        "CloudWatchReadOnlyAccess", ("cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*")
    ),
    ManagedPolicy("AmazonEKSVPCResourceController", ("ec2:CreateNetworkInterface", "ec2:DescribeInstances")),
    ManagedPolicy("AmazonEKSWorkerNodeMinimalPolicy", ("eks-auth:AssumeRoleForPodIdentity",)),
    ManagedPolicy("SecretsManagerReadWrite", ("secretsmanager:*",)),
    ManagedPolicy("ViewOnlyAccess", ("ec2:Describe*", "s3:ListAllMyBuckets")),
    ManagedPolicy(
        "service-role/AmazonEBSCSIDriverPolicy", ("ec2:AttachVolume", "ec2:CreateVolume", "ec2:DetachVolume")
    ),
    ManagedPolicy("service-role/AmazonEFSCSIDriverPolicy", ("elasticfilesystem:CreateAccessPoint",)),
)


def install(ministack: Ministack) -> None:
    """Add the policies to ministack, and set the dates of all AWS managed policies.

    Call this function again after :meth:`Ministack.wipe`, which removes the policies.
    """
    for record in ministack.aws_managed_policies.values():
        record.update(CreateDate=CREATED, UpdateDate=CREATED)
    for policy in POLICIES:
        arn = AWS_MANAGED_PREFIX + policy.name
        path, _, name = policy.name.rpartition("/")
        statement = {"Effect": "Allow", "Action": list(policy.actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        version = {
            "Document": document,
            "VersionId": "v1",
            "IsDefaultVersion": True,
            "CreateDate": CREATED,
        }
        ministack.aws_managed_policies.setdefault(
            arn,
            {
                "PolicyName": name,
                "Arn": arn,
                "PolicyId": new_unique_id("ANPA"),
                "CreateDate": CREATED,
                "UpdateDate": CREATED,
                "DefaultVersionId": "v1",
                "AttachmentCount": 0,
                "IsAttachable": True,
                "Path": f"/{path}/" if path else "/",
                "Description": "",
                "Tags": [],
                "Versions": {"v1": version},
            },
        )
