# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the time and memory of the analysis of CloudTrail events in usage.yml, without Ansible and AWS.

    PYTHONPATH=.collections .venv/bin/python benchmarks/usage.py --events 1000000

The events are synthetic (see usage_events.py), in the layout of a trail in S3. The limits are 60 s for a million events, and
500 MB. The exit code is 1 if a limit is exceeded, or if the events of a workload do not name exactly its own S3 bucket.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.analysis import (
    analyse_accounts,
    data_event_services,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.events import usage_scope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.grants import RoleGrants
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.sessions import (
    AccountName,
    UsageAssociation,
    UsageCluster,
    UsageTotals,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.suggestion import (
    SuggestionOptions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._usage import EventFiles, find_event_files
from usage_events import CLUSTER, CLUSTER_ARN, many_events, role_arn, write_trail

SECONDS, MEGABYTES = 60.0, 500.0
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "dynamodb:*"], "Resource": "*"}],
}
ROLES = {"app": "shared", "batch": "shared", "reports": "reports"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2, help="processes that read files")
    parser.add_argument(
        "--folder", type=Path, help="keep the event files in this folder, or use those that it already has"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        if not (folder / "AWSLogs").exists():
            for number, events in enumerate(many_events(options.events)):
                write_trail(folder, events, number)
        return measure(folder, options.events, options.processes)


def measure(folder: Path, events: int, processes: int) -> int:
    associations = [
        UsageAssociation(AccountName("shop", name), role_arn(role)) for name, role in ROLES.items()
    ]
    scope = usage_scope(association.role_arn for association in associations)
    began, cpu = time.monotonic(), cpu_seconds()
    paths = find_event_files(str(folder))
    totals = UsageTotals(UsageCluster(CLUSTER, CLUSTER_ARN, "", associations), scope)
    with EventFiles(paths, processes) as files:
        for part in files.scan(scope, CLUSTER):
            totals.add(part)
    totals.finish()
    catalogue = load_catalogue()
    assert catalogue is not None
    grants = {
        association.account: RoleGrants(association.role_arn, (NamedPolicy("all", POLICY),))
        for association in associations
    }
    options = SuggestionOptions(data_services=data_event_services(totals))
    reports = analyse_accounts(totals, catalogue, grants, options, {})
    usages = {report.usage.account: report.usage for report in reports}
    seconds, cpu = time.monotonic() - began, cpu_seconds() - cpu
    parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    # Assume that each process that reads events uses as much memory as the largest of them.
    memory = parent + processes * child
    print(
        f"{totals.read.events:,} events, {len(paths):,} files: {seconds:.1f} s, {cpu:.1f} s CPU, {memory:.0f} MB"
    )
    print(
        f"memory: {parent:.0f} MB own, {child:.0f} MB largest process; problems: {len(totals.read.problems)}"
    )
    is_separate = True
    for name, usage in usages.items():
        buckets = {
            key.split(":::")[-1].split("/")[0]
            for use in usage.used.values()
            for key in use.resources
            if ":s3:" in key
        }
        is_separate = is_separate and buckets == {f"{name.name}-data"}
        print(f"{name}: {usage.events:,} events, buckets {sorted(buckets)}")
    for report in reports:
        proof = report.suggestion.proof if report.suggestion else None
        print(f"{report.usage.account}: {proof.calls if proof else 0} observed calls evaluated")
    joined, unjoined = sum(usage.events for usage in usages.values()), sum(totals.unjoined.values())
    print(f"{joined:,} events of workloads, {unjoined:,} of no workload; separated: {is_separate}")
    scale = max(1.0, events / 1_000_000)
    return 0 if is_separate and seconds <= SECONDS * scale and memory <= MEGABYTES else 1


def cpu_seconds() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    raise SystemExit(main())
