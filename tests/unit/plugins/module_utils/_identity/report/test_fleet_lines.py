# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a fleet's play, in lines."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    Ended,
    Reported,
    fleet_lines,
)


def report(failed: bool = False) -> Reported:
    failure = "1 of 25 workloads failed:\n- default/app: why" if failed else ""
    return Reported("111122223333", "us-west-2", 25, 24 if failed else 25, 3, int(failed), failed, failure)


def test_a_line_for_each_cluster_then_what_failed() -> None:
    ended = [
        Ended("blue", "prod", report()),
        Ended("green", "green", report(failed=True)),
        Ended("red", "red", None, "cluster red was left out"),
    ]
    assert fleet_lines(ended, 5, 2) == [
        "cluster      account       region     workloads  changes  verified  findings  result",
        "blue (prod)  111122223333  us-west-2  25         3        25/25     0         ok",
        "green        111122223333  us-west-2  25         3        24/25     1         failed",
        "red                                                                           stopped",
        "",
        "1 of 5 clusters done, 2 failed, 2 not begun.",
        "",
        "green:",
        "  1 of 25 workloads failed:",
        "  - default/app: why.",
        "",
        "red:",
        "  cluster red was left out.",
    ]


def test_a_plan_says_that_it_is_one() -> None:
    ended = [Ended("blue", "blue", report())]
    assert fleet_lines(ended, 2, 1, check_mode=True)[-1] == (
        "1 of 2 clusters planned, 0 failed, 1 not begun; nothing was changed."
    )


def test_nothing_failed() -> None:
    assert fleet_lines([Ended("blue", "blue", report())], 1, 0)[-1] == "1 of 1 clusters done, 0 failed."
