# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine called in-process, part by part: no Ansible, no module.

    engine_call.py WORKLOADS.json CLUSTER REGION
    engine_call.py WORKLOADS.json CLUSTER REGION plan

Prints as JSON the wall seconds of each part. Makes what is missing, as the module would; with "plan" it only reads and
plans, the latter several times, as that is so short that one look at the clock tells little.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import RETRIES, BotoApi
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import DEFAULT_WIDTH
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import clusters_of
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.present import make_plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.observe import Observer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    read_for_verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.apply import apply_plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from botocore.config import Config

PLANS = 9


def main() -> int:
    path, cluster_name, region, *only = sys.argv[1:]
    retries: Any = RETRIES
    config = Config(retries=retries, max_pool_connections=DEFAULT_WIDTH)
    session: Any = boto3.session.Session()
    api = BotoApi(lambda service: session.client(service, config=config))
    wait_policy = WaitPolicy(60, time.monotonic, time.sleep)
    marks = {"start": time.perf_counter()}
    raw = json.loads(Path(path).read_text(encoding="utf-8"))
    desired = Desired(workloads=parse_workloads(raw, cluster_name))
    marks["parse"] = time.perf_counter()
    engine = Engine(api, clusters_of(find_cluster(api, cluster_name, region)), DEFAULT_WIDTH, wait_policy)
    observed = engine.observe(desired)
    marks["observe"] = time.perf_counter()
    if only:
        print(json.dumps({"plan": min(_seconds(lambda: make_plan(desired, observed)) for _ in range(PLANS))}))
        return 0
    plan = make_plan(desired, observed)
    marks["plan"] = time.perf_counter()
    outcome = apply_plan(api, plan, DEFAULT_WIDTH, wait_policy)
    marks["apply"] = time.perf_counter()
    if outcome.failures:
        raise SystemExit(f"{len(outcome.failures)} changes failed, the first: {outcome.failures[0]}")
    after = Observer(api, engine.clusters, DEFAULT_WIDTH).observe(desired, planning=False)
    proof = read_for_verification(api, desired, after, DEFAULT_WIDTH)
    marks["observe again"] = time.perf_counter()
    verify(desired, after, proof)
    marks["verify"] = time.perf_counter()
    parts = {name: marks[name] - marks[before] for before, name in pairwise(marks)}
    print(json.dumps(parts))
    return 0


def _seconds(work: Callable[[], object]) -> float:
    """Without the collector of garbage, whose time is that of all that the process holds."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


if __name__ == "__main__":
    raise SystemExit(main())
