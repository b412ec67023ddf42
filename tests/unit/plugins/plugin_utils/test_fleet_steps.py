# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host of a fleet takes over from the one that did the AWS half of its account."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils.fleet_steps import take_part
from ansible_collections.workload_identity.aws.plugins.plugin_utils.private_json import keep_json

END = "What it may have changed is not in this report. Run the play again: it reads what is there, and goes on from that."
BROKE_OFF = "The AWS half of its account broke off:"


def test_a_host_takes_its_own_part_and_not_what_was_shown() -> None:
    rows = {"blue": {"changed": True, "diff": [1], "msg": "blue"}, "red": {"changed": True, "msg": "red"}}
    account = {"parts": {host: keep_json("part", row) for host, row in rows.items()}}
    assert take_part(account, "blue") == {"changed": False, "msg": "blue"}
    assert take_part(account, "red") == {"changed": False, "msg": "red"}


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        ({}, "it ended without a result."),
        ({"failed": False, "msg": "Out of memory"}, "Out of memory."),
        ({"parts": {"red": {}}, "msg": ""}, "it ended without a result."),
    ],
)
def test_an_account_that_broke_off_leaves_its_hosts_with_the_reason(
    account: dict[str, Any], reason: str
) -> None:
    assert take_part(account, "blue") == {
        "failed": True,
        "left_out": True,
        "changed": False,
        "msg": f"{BROKE_OFF} {reason} {END}",
    }
