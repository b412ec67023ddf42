# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a run of the role with faults in Kubernetes: compare its report with the objects in the cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.workload_identity.aws.tests.faults.access import Facets
from ansible_collections.workload_identity.aws.tests.faults.harness import differences
from ansible_collections.workload_identity.aws.tests.faults.role import RoleRun
from ansible_collections.workload_identity.aws.tests.faults.world import CLUSTER, REGION

KINDS = {"Namespace": "namespaces", "ServiceAccount": "serviceaccounts"}


@dataclass(frozen=True)
class RoleBaseline:
    """A run of the role without faults: its requests by operation, and the states of cluster and account before and after it."""

    operations: Mapping[str, int]
    initial: Facets
    goal: Facets
    aws_initial: Facets
    aws_goal: Facets
    statuses: Mapping[str, Mapping[str, str]]


def check_statuses(run: RoleRun) -> dict[str, dict[str, str]]:
    """Return the check statuses in the report, by workload and check. Return {} if there is no report."""
    rows = run.report["workloads"] if run.report else []
    return {
        f"{row['namespace']}/{row['service_account']}": {
            # Count this warning as a pass: the Pods of these tests are as old as their associations.
            check["name"]: "pass" if check["codes"] == ["POD_BEFORE_CHANGE"] else check["status"]
            for check in row.get("checks", ())
        }
        for row in rows
    }


def failure_cause(failure: Mapping[str, Any]) -> str:
    """Return the message of a failure without the names of the object."""
    names = "|".join(map(re.escape, failure["name"].split("/")))
    return re.sub(rf"\b(?:{names})\b", "…", failure["message"])


def check_cluster(baseline: RoleBaseline, final: Facets) -> None:
    """Check that every object is in its initial or its goal state, and that no object is lost or unexpected."""
    initial, goal = baseline.initial, baseline.goal
    surplus = final.keys() - goal.keys() - initial.keys()
    assert not surplus, f"unexpected: {sorted(surplus)}"
    lost = (initial.keys() & goal.keys()) - final.keys()
    assert not lost, f"lost {sorted(lost)}"
    strange = {key for key, value in final.items() if value not in (initial.get(key), goal.get(key))}
    assert not strange, f"in another state: {sorted(strange)}"


def check_role_outcome(run: RoleRun, baseline: RoleBaseline, final: Facets, aws_final: Facets) -> str:
    """Return "well" if the run succeeded, or "named" if it reported failures.

    Raise AssertionError if the run lost an object, or if its report is wrong.
    """
    initial, goal = baseline.initial, baseline.goal
    check_cluster(baseline, final)
    if run.report is None:
        assert (final, aws_final) == (initial, baseline.aws_initial)
        for part in (CLUSTER, f"region {REGION}", "Nothing was changed."):
            assert part in run.message, run.message
        return "named"
    failures = run.report["failures"]
    _check_aws(failures, baseline, aws_final)
    for failure in failures:
        members = (failure["resource"], failure["name"], failure["action"], failure["error_code"])
        assert all((*members, failure["message"], failure["remedy"])), failure
        # Of messages that differ only in the names of objects, the screen shows only one.
        same_cause = [
            other["message"] for other in failures if failure_cause(other) == failure_cause(failure)
        ]
        assert any(message in run.screen for message in same_cause), (failure, run.screen)
        assert failure["name"] in run.screen, (failure, run.screen)
    if run.failed:
        assert CLUSTER in run.screen, run.screen
        assert REGION in run.screen, run.screen
        assert "Exception" not in run.screen
        assert "Traceback" not in run.screen
        assert max(map(len, run.screen.splitlines())) < 700, run.screen
    _check_changes(run, initial, final)
    _check_statuses(run, baseline, final)
    if run.failed:
        return "named"
    assert final == goal, f"reported as done: {differences(final, goal)}"
    return "well"


def _check_aws(failures: Sequence[Mapping[str, Any]], baseline: RoleBaseline, final: Facets) -> None:
    """Check that AWS has its goal state. Resources of a workload whose namespace could not be read are in their initial state."""
    refused = [
        failure["workload"].partition("/")[2]
        for failure in failures
        if failure["error_code"] == "KUBERNETES_NOT_READABLE"
    ]
    expected = {
        key: value
        for facets, is_refused in ((baseline.aws_goal, False), (baseline.aws_initial, True))
        for key, value in facets.items()
        if any(name in key[1] for name in refused) is is_refused
    }
    assert final == expected, differences(final, expected)


def _check_changes(run: RoleRun, initial: Facets, final: Facets) -> None:
    """Check that each reported change was made, and that each change that was made is in the report or in a failure."""
    assert run.report is not None
    reported = set()
    for line in run.report["kubernetes_changes"]:
        _verb, kind, name = line.split(" ")
        reported.add((KINDS[kind], name))
    changed = {key for key in initial.keys() | final.keys() if initial.get(key) != final.get(key)}
    assert reported <= changed, f"reported, but not changed: {sorted(reported - changed)}"
    named = {(KINDS.get(failure["resource"]), failure["name"]) for failure in run.report["failures"]}
    # Kubernetes itself creates the service account "default" of a new namespace.
    changed -= {key for key in changed if key[1].endswith("/default")}
    assert changed <= reported | named, f"not reported: {sorted(changed - reported - named)}"


def _check_statuses(run: RoleRun, baseline: RoleBaseline, final: Facets) -> None:
    for name, found in check_statuses(run).items():
        normal = baseline.statuses[name]
        key = ("serviceaccounts", name)
        if final.get(key) == baseline.goal.get(key):
            wrong = {
                check: status
                for check, status in found.items()
                if status not in (normal.get(check), "unknown", "skipped")
            }
            assert not wrong, f"{name} is correct, and verified as {wrong} instead of {normal}"
        elif key not in final:
            assert found["service account"] != "pass", f"{name} does not exist, and is verified as if it did"
