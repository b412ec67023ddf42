# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine called in-process, part by part: no Ansible, no module.

    engine_call.py WORKLOADS.json CLUSTER REGION

Prints as JSON the wall seconds of each part. Makes what is missing, as the module would.
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
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.api import RETRIES, BotoApi
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.pool import DEFAULT_WIDTH
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.apply import (
    Patience,
    apply_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.engine import (
    Engine,
    find_cluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.observe import Observer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.parse import parse_workloads
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan import make_plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read_proof import read_proof
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify import verify
from botocore.config import Config


def main() -> int:
    path, cluster_name, region = sys.argv[1:]
    retries: Any = RETRIES
    config = Config(retries=retries, max_pool_connections=DEFAULT_WIDTH)
    session: Any = boto3.session.Session()
    api = BotoApi(lambda service: session.client(service, config=config))
    patience = Patience(60, time.monotonic, time.sleep)
    marks = {"start": time.perf_counter()}
    raw = json.loads(Path(path).read_text(encoding="utf-8"))
    desired = Desired(cluster_name=cluster_name, workloads=parse_workloads(raw))
    marks["parse"] = time.perf_counter()
    engine = Engine(api, find_cluster(api, cluster_name, region), DEFAULT_WIDTH, patience)
    observed = engine.observe(desired)
    marks["observe"] = time.perf_counter()
    plan = make_plan(desired, observed)
    marks["plan"] = time.perf_counter()
    outcome = apply_plan(api, plan, DEFAULT_WIDTH, patience)
    marks["apply"] = time.perf_counter()
    if outcome.failures:
        raise SystemExit(f"{len(outcome.failures)} changes failed, the first: {outcome.failures[0]}")
    after = Observer(api, engine.cluster, DEFAULT_WIDTH).observe(desired, planning=False)
    proof = read_proof(api, desired, after, DEFAULT_WIDTH)
    marks["observe again"] = time.perf_counter()
    verify(desired, after, proof)
    marks["verify"] = time.perf_counter()
    parts = {name: marks[name] - marks[before] for before, name in pairwise(marks)}
    # So short that one look at the clock tells little.
    parts["plan"] = min(parts["plan"], *(_seconds(lambda: make_plan(desired, observed)) for _ in range(4)))
    print(json.dumps(parts))
    return 0


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main())
