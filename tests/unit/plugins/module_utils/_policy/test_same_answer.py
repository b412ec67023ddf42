# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that verdicts are the same in every process, because they do not depend on Python's hash seed."""

import os
import subprocess
import sys

ASK = """
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import check_trust

for operator, value in (
    ("ArnNotLike", "arn:aws:eks:*:*:cluster/dev-*"),
    ("StringLike", "arn:aws:eks:*-west-?:1*:cluster/a*"),
    ("StringNotEqualsIgnoreCase", "arn:aws:eks:us-west-2:111122223333:cluster/Blue"),
):
    condition = {operator: {"aws:RequestTag/eks-cluster-arn": value}}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": condition,
    }
    verdict = check_trust({"Version": "2012-10-17", "Statement": [statement]}, Subject(namespace="a", service_account="b"))
    print(verdict.usable, verdict.conditional_on)
"""


def answer(seed: int) -> str:
    env = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", ASK], env=env, check=True, capture_output=True, text=True
    ).stdout


def test_answer_is_independent_of_process() -> None:
    first = answer(1)
    assert first.count("conditional") == 3
    assert {answer(seed) for seed in (2, 3, 4)} == {first}
