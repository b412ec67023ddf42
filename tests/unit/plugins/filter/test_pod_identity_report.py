# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the filter that makes a report from the results of modules that read AWS and Kubernetes."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.workload_identity.aws.plugins.filter.pod_identity_report import FilterModule
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_report import read_version
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)

FILTERS = FilterModule().filters()
DOCS = Path(__file__).parents[4] / "plugins" / "filter"


def test_filter_is_documented() -> None:
    assert list(FILTERS) == ["pod_identity_report"]
    docs = yaml.safe_load((DOCS / "pod_identity_report.yml").read_text(encoding="utf-8"))
    assert docs["EXAMPLES"].count("workload_identity.aws.pod_identity_report") == 1


def test_module_results_give_a_report() -> None:
    pod = build.pod(created=build.BEFORE, injected=False)
    row = build.row(cluster="my-cluster", checks=[])
    account = {"metadata": {"namespace": "shop", "name": "api"}}
    reads = {"pods": {"resources": [pod]}, "agents": {"skipped": True}}
    report = FILTERS["pod_identity_report"](
        build.result(row), [account], cluster_reads=reads, ignore=["POD_BEFORE_ASSOCIATION"]
    )
    assert [finding["code"] for finding in report["findings"]] == ["POD_BEFORE_ASSOCIATION"]
    assert (report["failed"], report["workloads"][0]["status"]) == (False, "accepted")
    assert report["lines"][3].split() == ["WORKLOAD", "ACCOUNT", "PODS"]
    assert (report["version"], report["time"] > "2026") == (read_version(), True)
