# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the hosts of the playbooks, which depend on pod_identity_hosts and the limit. A play without hosts is an error."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from support import ROOT

PLAYBOOKS = ROOT / "playbooks"
EXPRESSION = (
    "{{ undef(hint=play_hosts_error) if play_hosts_error else pod_identity_hosts | default('localhost') }}"
)
GROUPS = {"all": ["blue", "green", "red"], "ungrouped": [], "clusters": ["blue", "green"]}


@pytest.fixture(scope="module", autouse=True)
def lookups() -> None:
    """Load the lookup plugins of Ansible, which the templates use."""
    init_plugin_loader([])


def error_for(hosts: object, limit: str | None, name: str = "play_hosts_error", **more: object) -> str:
    """Return an error of a play with these hosts, this limit and other variables, or "" if there is none."""
    loader = DataLoader()
    content = loader.load_from_file(str(PLAYBOOKS / "vars/hosts.yml"), trusted_as_template=True)
    variables: dict[str, Any] = {**content, **more, "groups": GROUPS}
    if hosts is not None:
        variables["pod_identity_hosts"] = hosts
    if limit is not None:
        variables["ansible_limit"] = limit
    return str(Templar(loader=loader, variables=variables).template(variables[name]))


@pytest.mark.parametrize(
    ("hosts", "limit"),
    [
        (None, None),
        (None, "localhost"),
        ("localhost", None),
        ("clusters", None),
        ("clusters", "blue"),
        ("clusters", "green,red"),
        ("clusters:!blue", "green"),
        ("red", "all"),
        ("clusters", "@hosts.retry"),
    ],
)
def test_play_with_hosts(hosts: str | None, limit: str | None) -> None:
    assert error_for(hosts, limit) == ""


@pytest.mark.parametrize("limit", [None, "blue", "@hosts.retry"])
@pytest.mark.parametrize("hosts", ["clusterz", "clusters:&red"])
def test_pattern_without_hosts(hosts: str, limit: str | None) -> None:
    assert (
        error_for(hosts, limit) == f"pod_identity_hosts is '{hosts}', which matches no host of the inventory."
    )


@pytest.mark.parametrize("hosts", [{"a": 1}, ["blue"], 5, True, " "])
def test_hosts_that_are_no_pattern(hosts: object) -> None:
    assert error_for(hosts, None) == (
        f"pod_identity_hosts must be text, a pattern of hosts such as all or my-group, got '{hosts}'."
    )


SERIAL = "a number of hosts, a percentage, or a list of these such as [1, 10%, 100%]"


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        *(
            ("serial", value, "")
            for value in ("", None, 0, 3, "3", "25%", [1, "100%"], '[1, "100%"]', "- 1\n- 2%")
        ),
        *(("serial", value, SERIAL) for value in ("abc", True, 1.5, {"a": 1}, "[1, abc]", [1, [None, "x"]])),
        *(("max_fail_percentage", value, "") for value in ("", None, 0, "0", 100, "12.5", "5%")),
        *(("max_fail_percentage", value, "a number from 0 to 100") for value in ("abc", True, [1], -1, 101)),
    ],
)
def test_batches(name: str, value: object, rule: str) -> None:
    error = error_for(None, None, "play_batches_error", **{f"pod_identity_{name}": value})
    assert error == (f"pod_identity_{name} must be {rule}, got '{value}'." if rule else "")


@pytest.mark.parametrize(
    ("hosts", "limit"), [(None, "blue"), (None, "violet"), ("clusters", "red"), ("clusters:!blue", "blue")]
)
def test_limit_without_hosts(hosts: str | None, limit: str) -> None:
    assert error_for(hosts, limit) == (
        f"The limit '{limit}' leaves no host of '{hosts or 'localhost'}', so nothing would be done. Hosts other than "
        "localhost need pod_identity_hosts as an extra variable."
    )


# The playbook awx always runs on localhost.
NAMES = sorted(path.stem for path in PLAYBOOKS.glob("*.yml") if path.stem != "awx")


@pytest.mark.parametrize("name", NAMES)
def test_playbooks_use_hosts_file(name: str) -> None:
    # The first play of fleet checks the hosts for the second one.
    play, *_others = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8"))
    assert play["vars_files"] == ["vars/hosts.yml"]
    assert play["hosts"].endswith(EXPRESSION.removeprefix("{{ "))
    if name != "report":
        assert play["hosts"] == EXPRESSION
