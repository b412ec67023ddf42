# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that host patterns match the same hosts as in Ansible."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_input import find_unknown, matches

GROUPS = {"payments": ["blue", "green"], "canary": ["blue"], "eu": ["green", "grey"], "tag_team_x": ["red"]}
HOSTS = ("blue", "green", "red", "grey")
PATTERNS = (
    "all",
    "*",
    "blue",
    "payments",
    "payments:eu",
    "payments,eu",
    "payments:!canary",
    "payments:&eu",
    "all:!payments:!eu",
    "!payments",
    "&eu",
    "gr*",
    "gre[ey]*",
    "~g.*y",
    "tag_team_*",
    "nobody",
    " payments , red ",
)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> InventoryManager:
    path = tmp_path_factory.mktemp("inventory") / "hosts.json"
    groups = {name: {"hosts": {host: {} for host in hosts}} for name, hosts in GROUPS.items()}
    content = {"all": {"hosts": {host: {} for host in HOSTS}, "children": groups}}
    Path(path).write_text(json.dumps(content), encoding="utf-8")
    return InventoryManager(DataLoader(), sources=[str(path)])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_pattern_matches_the_same_hosts_as_in_ansible(inventory: InventoryManager, pattern: str) -> None:
    expected = {host.name for host in inventory.get_hosts(pattern)}
    names = {
        host: {host, "all", *(name for name, hosts in GROUPS.items() if host in hosts)} for host in HOSTS
    }
    assert {host for host in HOSTS if matches(pattern, names[host])} == expected


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (
            "payments[0]",
            "hosts 'payments[0]': payments[0] selects hosts by position, which changes with the inventory; use a group.",
        ),
        ("~(", "hosts '~(' is not a regular expression: missing ), unterminated subpattern at position 0."),
    ],
)
def test_invalid_host_pattern_is_an_error(pattern: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        matches(pattern, {"blue", "all"})
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("pattern", "sentences"),
    [
        ("all", []),
        ("payments:!canary:&eu", []),
        ("gr*,~tag_team_.*", []),
        (
            "payment",
            [
                "hosts 'payment': no host and no group of the inventory is called payment; did you mean payments?"
            ],
        ),
        # A misspelt exclusion would let the pattern match more hosts than intended.
        (
            "payments:!canry",
            [
                "hosts 'payments:!canry': no host and no group of the inventory is called canry; did you mean canary?"
            ],
        ),
        ("zz*", ["hosts 'zz*': no host and no group of the inventory is called zz*."]),
    ],
)
def test_unknown_names_are_reported(pattern: str, sentences: list[str]) -> None:
    names = {"all", *GROUPS, *HOSTS}
    assert find_unknown([pattern, pattern], names) == sentences
