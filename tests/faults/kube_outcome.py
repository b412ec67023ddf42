# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a use of the role ended whose requests to Kubernetes were disturbed, beside what the cluster holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.workload_identity.aws.tests.faults.access import Facets
from ansible_collections.workload_identity.aws.tests.faults.harness import differences
from ansible_collections.workload_identity.aws.tests.faults.role import RoleRun
from ansible_collections.workload_identity.aws.tests.faults.world import CLUSTER, REGION

KINDS = {"Namespace": "namespaces", "ServiceAccount": "serviceaccounts"}


@dataclass(frozen=True)
class UsualRole:
    """A use of the role that nothing disturbed: how often it asked what, and what there was before and after."""

    operations: Mapping[str, int]
    before: Facets
    goal: Facets
    aws_before: Facets
    aws_goal: Facets
    statuses: Mapping[str, Mapping[str, str]]


def statuses_of(run: RoleRun) -> dict[str, dict[str, str]]:
    """What the report says, by workload and check; empty where nothing is verified."""
    rows = run.report["workloads"] if run.report else []
    return {
        f"{row['namespace']}/{row['service_account']}": {
            # A Pod of this world is made in the second of its association or in the one before.
            check["name"]: "pass" if check["codes"] == ["POD_BEFORE_CHANGE"] else check["status"]
            for check in row.get("checks", ())
        }
        for row in rows
    }


def cause_of(failure: Mapping[str, Any]) -> str:
    """Return the message of a failure without the names of its object."""
    names = "|".join(map(re.escape, failure["name"].split("/")))
    return re.sub(rf"\b(?:{names})\b", "…", failure["message"])


def check_cluster(usual: UsualRole, after: Facets) -> None:
    """AssertionError where something is neither as it was nor as it is to be."""
    before, goal = usual.before, usual.goal
    surplus = after.keys() - goal.keys() - before.keys()
    assert not surplus, f"nobody asked for {sorted(surplus)}"
    lost = (before.keys() & goal.keys()) - after.keys()
    assert not lost, f"lost {sorted(lost)}"
    strange = {key for key, value in after.items() if value not in (before.get(key), goal.get(key))}
    assert not strange, f"neither as before nor as wanted: {sorted(strange)}"


def check_role_outcome(run: RoleRun, usual: UsualRole, after: Facets, aws_after: Facets) -> str:
    """ "well" or "named". AssertionError when it lost or hid something."""
    before, goal = usual.before, usual.goal
    check_cluster(usual, after)
    if run.report is None:
        assert (after, aws_after) == (before, usual.aws_before)
        for part in (CLUSTER, f"region {REGION}", "Nothing was changed."):
            assert part in run.message, run.message
        return "named"
    assert aws_after == usual.aws_goal, differences(aws_after, usual.aws_goal)
    failures = run.report["failures"]
    for failure in failures:
        told = (failure["resource"], failure["name"], failure["action"], failure["error_code"])
        assert all((*told, failure["message"], failure["remedy"])), failure
        # Messages that differ in the names of their own objects alone are shown once.
        alike = [one["message"] for one in failures if cause_of(one) == cause_of(failure)]
        assert any(message in run.shown for message in alike), (failure, run.shown)
        assert failure["name"] in run.shown, (failure, run.shown)
    if run.failed:
        assert CLUSTER in run.shown, run.shown
        assert REGION in run.shown, run.shown
        assert "Exception" not in run.shown
        assert "Traceback" not in run.shown
        assert max(map(len, run.shown.splitlines())) < 700, run.shown
    _check_changes(run, before, after)
    _check_statuses(run, usual, after)
    if run.failed:
        return "named"
    assert after == goal, f"said to be done: {differences(after, goal)}"
    return "well"


def _check_changes(run: RoleRun, before: Facets, after: Facets) -> None:
    """What is listed was made, and what was made is listed or failed."""
    assert run.report is not None
    told = set()
    for line in run.report["kubernetes_changes"]:
        _verb, kind, name = line.split(" ")
        told.add((KINDS[kind], name))
    made = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert told <= made, f"told, but not made: {sorted(told - made)}"
    named = {(KINDS[failure["resource"]], failure["name"]) for failure in run.report["failures"]}
    # Kubernetes makes these itself.
    made -= {key for key in made if key[1].endswith("/default")}
    if "how far it got is not known" not in run.shown:
        assert made <= told | named, f"not told: {sorted(made - told - named)}"


def _check_statuses(run: RoleRun, usual: UsualRole, after: Facets) -> None:
    for name, found in statuses_of(run).items():
        normal = usual.statuses[name]
        key = ("serviceaccounts", name)
        if after.get(key) == usual.goal.get(key):
            wrong = {
                check: status
                for check, status in found.items()
                if status not in (normal.get(check), "unknown", "skipped")
            }
            assert not wrong, f"{name} is as wanted, and verified as {wrong} instead of {normal}"
        elif key not in after:
            assert found["service account"] != "pass", f"{name} is not there, and verified as if it were"
