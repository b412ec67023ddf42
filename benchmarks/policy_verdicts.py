# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the evaluation of policies.

Measure the time of a thousand verdicts on ordinary policies, and of a single verdict on each of the policies in
hostile_policies.py. A verdict is the result for one action and resource, or for the two actions of a trust policy together.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    Layer,
    evaluate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import (
    Subject,
    pod_identity_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    Request,
    Rule,
    build_rules,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import Context
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    parse_policy,
    to_json,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    permission_layers,
    pod_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import (
    check_trust,
    judge,
    pod_identity_inquiry,
    prepare_trust,
)
from hostile_policies import permission_documents, trust_documents
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
POD = {**BARE, "Condition": {"StringLike": {"aws:RequestTag/kubernetes-pod-name": "web-*"}}}
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
    for name, work in _ordinary().items():
        yield Row(f"verdicts: {name}", str(VERDICTS), None, cpu=_least(work, VERDICTS))
    name, seconds = max(_hostile(), key=lambda one: one[1])
    yield Row(f"the slowest verdict on a hostile document: {name}", "1", None, cpu=seconds)


def _least(work: Callable[[], object], count: int) -> float:
    """Measure the CPU time of ``count`` calls five times, and return the minimum in seconds."""
    spent = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(count):
            work()
        spent.append(time.process_time() - start)
    return min(spent)


def _hostile() -> Iterator[tuple[str, float]]:
    """Yield the name of each document in hostile_policies.py, and the time in seconds of its slowest verdict.

    Each document is evaluated with known and with unknown values of the condition keys.
    """
    requests = pod_identity_inquiry(SUBJECT).requests
    contexts = [pod_identity_context(subject) for subject in (SUBJECT, Subject())]
    for name, document in trust_documents():
        text = to_json(document)
        prepared = (Layer("trust", build_rules(parse_policy(text, "trust"))),)
        yield (
            f"trust, {name}",
            max(_least(partial(_judge, prepared, requests, context), 1) for context in contexts),
        )
    requested = [
        Request("s3:GetObject", resource)
        for resource in ("arn:aws:s3:::b/" + "ab/" * 340, "arn:aws:s3:::b/" + "*a?" * 340, "arn:aws:s3:::b/a")
    ]
    for name, document in permission_documents():
        text = to_json(document)
        layers = permission_layers([NamedPolicy("p", text)])
        yield (
            f"permissions, {name}",
            max(
                _least(partial(_decide, layers, request, context), 1)
                for request in requested
                for context in (pod_context(SUBJECT, {}), pod_context())
            ),
        )


def _judge(layers: Sequence[Layer], requests: Sequence[Request], context: Context) -> object:
    return judge(layers[0].rules, requests, context)


def _decide(layers: Sequence[Layer], request: Request, context: Context) -> object:
    return evaluate(layers, request, context)


def _ordinary() -> dict[str, Callable[[], object]]:
    requests, context = pod_identity_inquiry(SUBJECT).requests, pod_identity_context(SUBJECT)
    scoped_text = json.dumps(trust(SCOPED))

    def rules(document: object) -> tuple[Rule, ...]:
        return build_rules(parse_policy(document, "trust"))

    bare, scoped, pod = rules(trust(BARE)), rules(trust(SCOPED)), rules(trust(POD))
    partly = pod_identity_context(replace(SUBJECT, namespace=None))
    permissions = permission_layers([NamedPolicy("p", PERMISSIONS)])
    caller = pod_context(SUBJECT, {})
    item = Request("s3:PutObject", "arn:aws:s3:::my-bucket/default/report.csv")
    prepared = prepare_trust(scoped_text)
    return {
        "trust, the guide's statement": lambda: judge(bare, requests, context),
        "trust, scoped to a workload": lambda: judge(scoped, requests, context),
        "trust, conditional on the Pod's name": lambda: judge(pod, requests, context),
        "trust, scoped, unknown namespace": lambda: judge(scoped, requests, partly),
        "trust, JSON text parsed each time": lambda: judge(rules(scoped_text), requests, context),
        "trust with findings, policy prepared": lambda: check_trust(prepared, SUBJECT),
        "trust with findings, from JSON text": lambda: check_trust(scoped_text, SUBJECT),
        "permissions, four statements": lambda: evaluate(permissions, item, caller),
    }
