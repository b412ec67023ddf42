# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the time of a thousand verdicts on policies.

A verdict is the result for one action and resource, or for the two actions of a trust policy together.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    evaluate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    Subject,
    pod_context,
    pod_identity_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    Request,
    build_rules,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    parse_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    permission_layers,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import (
    check_trust,
    judge,
    pod_identity_inquiry,
)
from measure import Row

VERDICTS = 1000
CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
SUBJECT = Subject(
    cluster_arn=CLUSTER,
    namespace="default",
    service_account="my-service-account",
    role_arn="arn:aws:iam::111122223333:role/my-role",
)
BARE = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}
SCOPED = {
    **BARE,
    "Condition": {
        "StringEquals": {
            "aws:SourceAccount": "111122223333",
            "aws:RequestTag/eks-cluster-arn": CLUSTER,
            "aws:RequestTag/kubernetes-namespace": "default",
            "aws:RequestTag/kubernetes-service-account": "my-service-account",
        }
    },
}
PERMISSIONS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:Get*", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"],
        },
        {
            "Effect": "Allow",
            "Action": "s3:*",
            "Resource": "arn:aws:s3:::my-bucket/${aws:PrincipalTag/kubernetes-namespace}/*",
        },
        {"Effect": "Allow", "Action": "sqs:*", "Resource": "arn:aws:sqs:*:111122223333:my-*"},
        {
            "Effect": "Deny",
            "NotAction": ["s3:*", "sqs:*"],
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:PrincipalTag/eks-cluster-name": "my-cluster"}},
        },
    ],
}


def trust(*statements: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def verdict_rows() -> Iterator[Row]:
    """Measure, and yield the rows about policy evaluation."""
    for name, work in _verdicts().items():
        yield Row(f"verdicts: {name}", str(VERDICTS), None, cpu=_least(work, VERDICTS))


def _least(work: Callable[[], object], count: int) -> float:
    """Measure the CPU time of ``count`` calls five times, and return the minimum in seconds."""
    spent = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(count):
            work()
        spent.append(time.process_time() - start)
    return min(spent)


def _verdicts() -> dict[str, Callable[[], object]]:
    requests, context = pod_identity_inquiry(SUBJECT).requests, pod_identity_context(SUBJECT)
    bare, scoped = (build_rules(parse_policy(trust(statement), "trust")) for statement in (BARE, SCOPED))
    permissions = permission_layers([NamedPolicy("p", PERMISSIONS)])
    caller = pod_context(SUBJECT, {})
    item = Request("s3:PutObject", "arn:aws:s3:::my-bucket/default/report.csv")
    return {
        "trust, the guide's statement": lambda: judge(bare, requests, context),
        "trust, scoped to a workload": lambda: judge(scoped, requests, context),
        "trust with findings, from JSON text": lambda: check_trust(json.dumps(trust(SCOPED)), SUBJECT),
        "permissions, four statements": lambda: evaluate(permissions, item, caller),
    }
