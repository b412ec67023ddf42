# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that concern Pods, as templates call them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.filter.pod_identity_pods import FilterModule
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)

FILTERS = FilterModule().filters()
RESULT = {"workloads": [build.row()], "findings": [], "cluster_arn": "arn:aws:eks:eu-west-1:1:cluster/c"}
DOCS = Path(__file__).parents[4] / "plugins" / "filter"


@pytest.mark.parametrize("name", FILTERS)
def test_each_is_documented(name: str) -> None:
    found = yaml.safe_load((DOCS / f"{name}.yml").read_text(encoding="utf-8"))
    assert found["DOCUMENTATION"]["name"] == name
    assert found["EXAMPLES"].count(f"workload_identity.aws.{name}") == 1


def test_what_to_read_next() -> None:
    reads = {"pods": build.read([build.pod(created=build.BEFORE, injected=False)])}
    assert FILTERS["pod_identity_reads"](RESULT, reads) == ["agents", "replica_sets"]


def test_whom_to_restart() -> None:
    reads = {"pods": build.read([build.pod(created=build.BEFORE, injected=False)])}
    found = FILTERS["pod_identity_restarts"](RESULT, reads, settle=0)
    assert (found["names"], found["unmanaged"], found["wait"]) == (["Deployment shop/web"], [], 0)


def test_jobs_take_settings_as_templates_give_them() -> None:
    account = {"metadata": {"namespace": "shop", "name": "api"}}
    (job,) = FILTERS["pod_identity_proof_jobs"](RESULT, [account], 42, "image", "30", {}, {})
    assert job["metadata"]["labels"]["workload-identity/proof"] == "42"
    assert job["spec"]["activeDeadlineSeconds"] == 30
    assert FILTERS["pod_identity_proof_finished"]([job], []) is False


def test_narrowest_list() -> None:
    assert FILTERS["pod_identity_pods_query"](RESULT)["namespace"] == "shop"


def test_emulators_run_no_pods() -> None:
    assert FILTERS["pod_identity_proof_skipped"]({"gitVersion": "v1.33.0", "platform": "linux/amd64"}) == ""
