# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`run` and env.sh change the environment alike."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

import pytest
from sandbox.environment import EnvironmentChange, combine

CHANGE = EnvironmentChange(
    set={"AWS_REGION": "us-west-2", "AWKWARD": 'it\'s $HOME "here"\nand there'},
    unset=("AWS_PROFILE",),
    direct_hosts=("127.0.0.1", "localhost"),
)


def through_the_shell(change: EnvironmentChange, before: Mapping[str, str]) -> dict[str, str]:
    shell = subprocess.run(
        ["/bin/sh", "-c", f"{change.as_shell()}\nenv -0"],
        env=dict(before),
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.partition("=") for line in shell.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs if name not in ("PWD", "_", "SHLVL", "OLDPWD")}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            {},
            {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"},
            id="nothing known",
        ),
        pytest.param(
            {"AWS_PROFILE": "prod", "AWS_REGION": "eu-west-1", "OTHER": "kept"},
            {
                "OTHER": "kept",
                "NO_PROXY": "127.0.0.1,localhost",
                "no_proxy": "127.0.0.1,localhost",
            },
            id="set and unset",
        ),
        pytest.param(
            {"NO_PROXY": "example.org"},
            {"NO_PROXY": "example.org,127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"},
            id="hosts without proxy are added",
        ),
    ],
)
def test_run_and_shell_agree(before: dict[str, str], after: dict[str, str]) -> None:
    expected = {**CHANGE.set, **after}
    assert CHANGE.applied_to(before) == expected
    assert through_the_shell(CHANGE, {**before, "PATH": os.environ["PATH"]}) == {
        **expected,
        "PATH": os.environ["PATH"],
    }


def test_no_hosts_leave_the_proxy_settings_alone() -> None:
    change = EnvironmentChange({"KUBECONFIG": "/k"})
    assert change.applied_to({"NO_PROXY": "x"}) == {"NO_PROXY": "x", "KUBECONFIG": "/k"}
    assert change.as_shell() == "export KUBECONFIG=/k\n"


def test_a_variable_that_one_sets_is_not_removed_by_another() -> None:
    both = combine(
        [
            EnvironmentChange({"A": "1"}, ("B", "C"), ("h",)),
            EnvironmentChange({"B": "2"}, ("C",), ("h",)),
        ]
    )
    assert both == EnvironmentChange({"A": "1", "B": "2"}, ("C",), ("h",))
