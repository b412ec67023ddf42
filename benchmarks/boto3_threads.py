# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the requests of the EKS User Guide for N workloads, with boto3 and threads.

    boto3_threads.py WORKLOADS.json CLUSTER THREADS

For each workload, this script sends four requests that create the resources and five that read them back. It does not look for
existing resources, plan, wait or report.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            }
        ],
    }
)


def converge(iam: Any, eks: Any, cluster: str, workload: dict[str, Any]) -> None:
    key = {
        "clusterName": cluster,
        "namespace": workload["namespace"],
        "serviceAccount": workload["service_account"],
    }
    policy = workload["policies"][0]
    name = {"RoleName": workload["role"]["name"]}
    document = json.dumps(policy["document"])
    made = iam.create_policy(PolicyName=policy["name"], PolicyDocument=document)["Policy"]
    arn = {"PolicyArn": made["Arn"]}
    role = iam.create_role(**name, AssumeRolePolicyDocument=TRUST)["Role"]
    iam.attach_role_policy(**name, **arn)
    eks.create_pod_identity_association(**key, roleArn=role["Arn"])
    iam.get_role(**name)
    iam.list_attached_role_policies(**name)
    found = iam.get_policy(**arn)["Policy"]
    iam.get_policy_version(**arn, VersionId=found["DefaultVersionId"])
    eks.list_pod_identity_associations(**key)


def main() -> int:
    path, cluster, threads = sys.argv[1:]
    workloads = json.loads(Path(path).read_text(encoding="utf-8"))
    width = int(threads)
    session: Any = boto3.session.Session()
    config = Config(max_pool_connections=max(10, width))
    iam, eks, sts = (session.client(name, config=config) for name in ("iam", "eks", "sts"))
    sts.get_caller_identity()
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(lambda workload: converge(iam, eks, cluster, workload), workloads))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
