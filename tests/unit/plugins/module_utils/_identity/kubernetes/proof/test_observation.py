# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the observation of new associations.

For some seconds after the creation of an association, not every new Pod gets credentials. So dry runs are repeated for a
minimum time.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    DryRun,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection import (
    InjectionSettings,
    ProbeSeries,
    probe_pod,
    run_probes,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
    FakeCluster,
)

PROBE = InjectionSettings("image")


def dry_run(name: str, injected: bool) -> DryRun:
    """Return the response of an API server to the dry run of a service account's probe Pod."""
    pod: Any = copy.deepcopy(probe_pod(WorkloadKey(build.CLUSTER, "shop", name), PROBE, "us-west-2"))
    if injected:
        container = pod["spec"]["containers"][0]
        container["env"] += [{"name": key, "value": value} for key, value in build.INJECTED.items()]
        container["volumeMounts"].append(build.MOUNT)
        pod["spec"]["volumes"].append(build.token_volume())
    return DryRun(pod)


def trials(name: str, results: str | Sequence[str | DryRun]) -> list[DryRun]:
    """Return a response for each item of ``results``. "+" means an injected Pod, "-" a Pod that is not injected."""
    return [dry_run(name, result == "+") if isinstance(result, str) else result for result in results]


def observe(
    results: str | Sequence[str | DryRun],
    observe: int = 30,
    timeout: int = 60,
    young: Sequence[str] = ("api",),
    further: str = "",
) -> tuple[dict[str, ProbeSeries], FakeCluster, FakeClock]:
    """Probe the service account "api", and with ``further`` also the service account "old", whose association is older."""
    names = ["api", *(["old"] if further else [])]
    changes = [{"workload": f"shop/{name}", "resource": "association", "action": "create"} for name in young]
    rows = [build.row(name) for name in names]
    aws = build.parse_aws_result(
        {"changes": changes, "cluster_arn": build.ARN, "verification": build.result(*rows)}, build.CLUSTER
    )
    cluster = FakeCluster(trials={"api": trials("api", results), "old": trials("old", further or "+")})
    clock = FakeClock()
    settings = replace(PROBE, timeout=timeout, observe=observe)
    series = run_probes(cluster, aws, aws.verification.workloads, settings, clock)
    return {key.service_account: probed for key, probed in series.items()}, cluster, clock


def test_rejection_ends_the_probes_also_after_a_miss() -> None:
    series, _cluster, clock = observe(["-", DryRun(error=ApiError(403, "No."))])
    assert (series["api"].fault.is_unknown, clock.slept) == (True, [1])


@pytest.mark.parametrize(("young", "probes"), [((), 3), (("api",), 61)])
def test_misses_end_the_probes_of_an_older_association(young: Sequence[str], probes: int) -> None:
    series, _cluster, _clock = observe("-", young=young)
    assert (series["api"].misses, series["api"].injects) == (probes, False)


@pytest.mark.parametrize(
    ("results", "settings", "slept"),
    [
        pytest.param("+", {"observe": 0}, [1, 1], id="no observation"),
        pytest.param("+", {}, [1, 1, 5, 5, 5, 5, 5, 5], id="after the proof with longer pauses"),
        pytest.param("+", {"observe": 60, "timeout": 120}, [1, 1, *[10] * 6], id="a minute"),
        pytest.param("+", {"observe": 4}, [1, 1, 1, 1], id="shortest pauses"),
        pytest.param("+", {"observe": 2}, [1, 1], id="the proof takes as long"),
        pytest.param("++++-+", {}, [1, 1, 5, 5, 1, 1, 1, 5, 5, 5], id="one miss: proof again"),
        pytest.param("-+", {}, [1, 1, 1, 5, 5, 5, 5, 5, 5], id="first miss"),
        pytest.param("+", {"timeout": 10}, [1, 1, 5], id="timeout ends the observation"),
        pytest.param("+", {"young": ()}, [], id="older association"),
    ],
)
def test_observation_lasts_the_minimum_time(results: str, settings: dict[str, Any], slept: list[int]) -> None:
    series, cluster, clock = observe(results, **settings)
    assert series["api"].is_proven
    assert clock.slept == slept
    assert series["api"].probes == len(slept) + 1 == cluster.log.count("try api")
    assert series["api"].misses == results.count("-")
