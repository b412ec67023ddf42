# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test counters and fault rules."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.kube.faults import FaultRule, FaultRuleError, Instruments


@pytest.mark.parametrize(
    ("rule", "calls", "expected"),
    [
        pytest.param({}, 3, [1, 2, 3], id="always"),
        pytest.param({"times": 2}, 3, [1, 2], id="times"),
        pytest.param({"nth": 2}, 3, [2], id="nth"),
        pytest.param({"every": 2}, 5, [2, 4], id="every"),
        pytest.param({"every": 2, "times": 1}, 5, [2], id="every-and-times"),
        pytest.param({"operation": "create *"}, 2, [1, 2], id="pattern"),
        pytest.param({"operation": "create pods"}, 2, [], id="other-operation"),
    ],
)
def test_rule_selects_calls(rule: dict[str, Any], calls: int, expected: list[int]) -> None:
    instruments = Instruments()
    instruments.set_rules([FaultRule.parse({"kind": "throttle", **rule})])
    fired = [instruments.count("create", "serviceaccounts", dry_run=False) for _ in range(calls)]
    assert [index for index, kind in enumerate(fired, start=1) if kind is not None] == expected


def test_first_matching_rule_fires() -> None:
    instruments = Instruments()
    rules = [{"kind": "error500", "nth": 2}, {"kind": "throttle"}]
    instruments.set_rules([FaultRule.parse(rule) for rule in rules])
    fired = [instruments.count("get", "pods", dry_run=False) for _ in range(3)]
    assert [rule.kind for rule in fired if rule] == ["throttle", "error500", "throttle"]
    assert instruments.counters()["faults"] == {"error500": 1, "throttle": 2}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"kind": "explode"}, "kind must be one of "),
        ({"kind": "throttle", "nht": 1}, "unknown member of a fault rule: nht"),
        ({"kind": "throttle", "nth": 0}, "nth must be a whole number of at least 1: 0"),
        ({"kind": "stall", "seconds": 0}, "seconds must be a number above 0 and up to 120: 0"),
        ({"kind": "stall", "seconds": 121}, "seconds must be a number above 0 and up to 120: 121"),
        ("throttle", "a fault rule is an object, not 'throttle'"),
    ],
)
def test_invalid_rules_are_rejected(rule: Any, message: str) -> None:
    with pytest.raises(FaultRuleError) as raised:
        FaultRule.parse(rule)
    assert str(raised.value).startswith(message)


def test_counts_reads_writes_and_dry_runs() -> None:
    instruments = Instruments()
    for verb, subject, dry_run in (
        ("list", "serviceaccounts", False),
        ("get", "/version", False),
        ("create", "serviceaccounts", False),
        ("create", "serviceaccounts", True),
        ("patch", "pods/status", False),
    ):
        instruments.count(verb, subject, dry_run=dry_run)
    assert instruments.counters() == {
        "total": 5,
        "reads": 2,
        "writes": 2,
        "dry_runs": 1,
        "operations": {
            "create serviceaccounts": 1,
            "get /version": 1,
            "list serviceaccounts": 1,
            "patch pods/status": 1,
        },
        "dry_run_operations": {"create serviceaccounts": 1},
        "faults": {},
    }
