# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test how hosts are grouped: each group is one run in AWS."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fleet import (
    Host,
    StoppedHost,
    groups_by_account,
)

HERE, THERE = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{THERE}:role/fleet"


def host(name: str, account: str = "", seconds_left: int | None = None, **options: Any) -> Host:
    return Host(name, account, options, {"cluster_name": name}, seconds_left)


def groups(*hosts: Host) -> list[list[tuple[str, ...]]]:
    return [[group.hosts for group in account] for account in groups_by_account(hosts)]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param([host("a"), host("b")], [[("a", "b")]], id="equal credentials share a run"),
        pytest.param(
            [host("a", HERE), host("b", THERE), host("c", HERE)],
            [[("a", "c")], [("b",)]],
            id="accounts set on the hosts",
        ),
        pytest.param(
            [host("a", HERE, profile="one"), host("b", HERE, profile="two")],
            [[("a",), ("b",)]],
            id="two profiles of one account are successive runs",
        ),
        pytest.param(
            [host("a", profile="one"), host("b", profile="two")],
            [[("a",)], [("b",)]],
            id="credentials of an unknown account",
        ),
        pytest.param(
            [host("a", HERE, assume_role_arn=ROLE), host("b", THERE)],
            [[("a",), ("b",)]],
            id="account of the assumed role",
        ),
        pytest.param(
            [host("a", HERE, assume_role_arn=ROLE), host("b", HERE, assume_role_arn=ROLE)],
            [[("a", "b")]],
            id="equal roles",
        ),
        pytest.param(
            [host("a", HERE, adopt=True), host("b", HERE), host("c", HERE, adopt=True)],
            [[("a", "c"), ("b",)]],
            id="different options are separate runs",
        ),
        pytest.param(
            [host("a", HERE, region="us-west-2", concurrency=4), host("b", HERE, region="eu-central-1")],
            [[("a", "b")]],
            id="region and concurrency do not split a run",
        ),
        pytest.param([], [], id="no hosts"),
    ],
)
def test_hosts_with_equal_account_and_options_share_a_run(
    hosts: list[Host], expected: list[list[tuple[str, ...]]]
) -> None:
    assert groups(*hosts) == expected


def test_group_has_the_arguments_of_all_hosts() -> None:
    hosts = [
        host("a", HERE, 90, profile="p", concurrency=4, propagation_timeout=60, region="us-west-2"),
        host("b", HERE, 70, profile="p", concurrency=8, region="eu-central-1"),
    ]
    ((group,),) = groups_by_account(hosts)
    assert group.arguments == {
        "profile": "p",
        "concurrency": 8,
        "propagation_timeout": 60,
        "deadline": 70,
        "region": "us-west-2",
        "clusters": [{"cluster_name": "a"}, {"cluster_name": "b"}],
    }


@pytest.mark.parametrize(
    ("stopped", "known_to"),
    [
        pytest.param(StoppedHost("red", HERE, {}), ["a", "b"], id="all runs of its account"),
        pytest.param(StoppedHost("red", HERE, {"assume_role_arn": ROLE}), ["c"], id="account of its role"),
        pytest.param(StoppedHost("red", "999900001111", {}), [], id="an account without a run"),
        pytest.param(StoppedHost("red", "", {}, readable=False), ["a", "b", "c"], id="unknown account"),
        pytest.param(StoppedHost("red", "", {"profile": "other"}), [], id="other credentials"),
    ],
)
def test_failed_host_is_passed_to_the_runs_of_its_account(stopped: StoppedHost, known_to: list[str]) -> None:
    hosts = [host("a", HERE), host("b", HERE, adopt=True), host("c", THERE)]
    found = [group for account in groups_by_account(hosts, [stopped]) for group in account]
    assert [group.hosts[0] for group in found if group.stopped == ("red",)] == known_to
    assert all(("stopped" in group.arguments) is bool(group.stopped) for group in found)


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({"cluster_name": "prod", "region": "us-west-2"}, {"cluster_name": "prod", "region": "us-west-2"}),
        ({}, {"cluster_name": "red"}),
    ],
)
def test_failed_host_has_its_known_fields(options: Any, row: Any) -> None:
    [[group]] = groups_by_account([host("a", HERE)], [StoppedHost("red", HERE, options)])
    assert group.arguments["stopped"] == [row]
