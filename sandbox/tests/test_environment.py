# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the environment variables that `sandbox run` and env.sh set."""

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


def apply_in_shell(change: EnvironmentChange, environment: Mapping[str, str]) -> dict[str, str]:
    shell = subprocess.run(
        ["/bin/sh", "-c", f"{change.as_shell()}\nenv -0"],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.partition("=") for line in shell.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs if name not in ("PWD", "_", "SHLVL", "OLDPWD")}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param(
            {},
            {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"},
            id="empty",
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
            id="hosts are appended",
        ),
    ],
)
def test_apply_and_shell_agree(environment: dict[str, str], expected: dict[str, str]) -> None:
    expected = {**CHANGE.set, **expected}
    assert CHANGE.apply(environment) == expected
    assert apply_in_shell(CHANGE, {**environment, "PATH": os.environ["PATH"]}) == {
        **expected,
        "PATH": os.environ["PATH"],
    }


def test_change_without_hosts_keeps_proxy_settings() -> None:
    change = EnvironmentChange({"KUBECONFIG": "/k"})
    assert change.apply({"NO_PROXY": "x"}) == {"NO_PROXY": "x", "KUBECONFIG": "/k"}
    assert change.as_shell() == "export KUBECONFIG=/k\n"


def test_combine_prefers_set_over_unset() -> None:
    combined = combine(
        [
            EnvironmentChange({"A": "1"}, ("B", "C"), ("h",)),
            EnvironmentChange({"B": "2"}, ("C",), ("h",)),
        ]
    )
    assert combined == EnvironmentChange({"A": "1", "B": "2"}, ("C",), ("h",))
