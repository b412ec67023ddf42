# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many policy verdicts a second one core gives.

Usage: PYTHONPATH=.collections .venv/bin/python benchmarks/policy_verdicts.py [--seconds S] [--floor N] [--ceiling N]

One verdict is the answer for one action and resource, or for both actions of a trust policy
together. Each line is the best of three rounds. With --floor the exit status is 1 when repeated
verdicts on one parsed policy come slower than N a second, with --ceiling when one on a document of
hostile_policies.py takes longer than N milliseconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    Layer,
    evaluate,
    evaluate_together,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import (
    Subject,
    pod_identity_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    Request,
    rules_of,
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
    pod_identity_inquiry,
    prepare_trust,
)
from hostile_policies import permission_documents, trust_documents

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


def rate(work: Callable[[], object], seconds: float) -> float:
    """Calls of ``work`` a second: the best of three rounds."""
    best = 0.0
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds / 3:
            for _ in range(100):
                work()
            count += 100
        best = max(best, count / spent)
    return best


def longest(work: Callable[[], object]) -> float:
    """Milliseconds of processor time of one call: the least of five."""
    spent = []
    for _ in range(5):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent) * 1000


def hostile() -> Iterator[tuple[str, int, float]]:
    """Name, size, and the most that a verdict took, with all keys known, some, or none."""
    requests = pod_identity_inquiry(SUBJECT).requests
    contexts = [pod_identity_context(subject) for subject in (SUBJECT, Subject())]
    for name, document in trust_documents():
        text = to_json(document)
        prepared = (Layer("trust", rules_of(parse_policy(text, "trust"))),)
        yield (
            f"trust, {name}",
            len(text),
            max(longest(partial(judge, prepared, requests, context)) for context in contexts),
        )
    asked = [
        Request("s3:GetObject", resource)
        for resource in ("arn:aws:s3:::b/" + "ab/" * 340, "arn:aws:s3:::b/" + "*a?" * 340, "arn:aws:s3:::b/a")
    ]
    for name, document in permission_documents():
        text = to_json(document)
        layers = permission_layers([NamedPolicy("p", text)])
        yield (
            f"permissions, {name}",
            len(text),
            max(
                longest(partial(decide, layers, request, context))
                for request in asked
                for context in (pod_context(SUBJECT, {}), pod_context())
            ),
        )


def judge(layers: Sequence[Layer], requests: Sequence[Request], context: Context) -> object:
    return evaluate_together(fresh(layers), requests, context)


def decide(layers: Sequence[Layer], request: Request, context: Context) -> object:
    return evaluate(fresh(layers), request, context)


def fresh(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The same policies, with nothing found of them yet."""
    return tuple(Layer(layer.name, layer.rules) for layer in layers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line")
    parser.add_argument("--floor", type=float, default=0.0)
    parser.add_argument("--ceiling", type=float, default=0.0)
    options = parser.parse_args()
    requests, context = pod_identity_inquiry(SUBJECT).requests, pod_identity_context(SUBJECT)
    scoped_text = json.dumps(trust(SCOPED))

    def layers(document: object) -> tuple[Layer, ...]:
        return (Layer("trust", rules_of(parse_policy(document, "trust"))),)

    bare, scoped, pod = layers(trust(BARE)), layers(trust(SCOPED)), layers(trust(POD))
    partly = pod_identity_context(replace(SUBJECT, namespace=None))
    permissions = permission_layers([NamedPolicy("p", PERMISSIONS)])
    caller = pod_context(SUBJECT, {})
    item = Request("s3:PutObject", "arn:aws:s3:::my-bucket/default/report.csv")
    prepared = prepare_trust(scoped_text)
    repeated: dict[str, Callable[[], object]] = {
        "trust, the guide's statement": lambda: evaluate_together(bare, requests, context),
        "trust, scoped to a workload": lambda: evaluate_together(scoped, requests, context),
        "permissions, four statements": lambda: evaluate(permissions, item, caller),
    }
    other: dict[str, Callable[[], object]] = {
        "trust, conditional on the Pod's name": lambda: evaluate_together(pod, requests, context),
        "trust, scoped, the namespace not known": lambda: evaluate_together(scoped, requests, partly),
        "trust, JSON text parsed each time": lambda: evaluate_together(
            layers(scoped_text), requests, context
        ),
        "trust with findings, policy prepared": lambda: check_trust(prepared, SUBJECT),
        "trust with findings, from JSON text": lambda: check_trust(scoped_text, SUBJECT),
    }
    print("verdicts a second on one core")
    slow = False
    for name, work in {**repeated, **other}.items():
        found = rate(work, options.seconds)
        print(f"  {name:<40}{found:>12,.0f}")
        slow = slow or (name in repeated and found < options.floor)
    print("milliseconds for one verdict on a document made to hurt")
    for name, size, spent in hostile():
        print(f"  {name:<48}{size:>7,} characters{spent:>9.1f}")
        slow = slow or (options.ceiling > 0 and spent > options.ceiling)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
