# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that extra variables are rejected if Ansible would truncate them, and that the message does not contain their values."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_input as role_input
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_input import (
    validate_extra_variables,
)


def validate(monkeypatch: pytest.MonkeyPatch, *texts: str) -> tuple[str, ...]:
    """Return the problems of a command line with these -e options."""
    monkeypatch.setattr(role_input, "context", SimpleNamespace(CLIARGS={"extra_vars": texts}))
    monkeypatch.setattr(role_input, "load_extra_vars", lambda _loader: {})
    try:
        validate_extra_variables(DataLoader())
    except InputError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("pod_identity_purge = true", "pod_identity_purge", id="spaces around the equals sign"),
        pytest.param("pod_identity_purge: true", "pod_identity_purge", id="YAML without braces"),
        pytest.param("pod_identity_purge", "pod_identity_purge", id="no value"),
        pytest.param("pod_identity_ignore=A, B", "pod_identity_ignore", id="a list truncated at a space"),
        pytest.param('pod_identity_tags={"a": "b"}', "pod_identity_tags", id="JSON truncated at a space"),
        pytest.param(
            "pod_identity_ignore=A, pod_identity_owner=my team",
            "pod_identity_ignore, pod_identity_owner",
            id="several variables",
        ),
        pytest.param(
            "password=my secret pod_identity_owner=me", "pod_identity_owner", id="next to a valid variable"
        ),
    ],
)
def test_dropped_words_are_rejected(monkeypatch: pytest.MonkeyPatch, text: str, names: str) -> None:
    [problem] = validate(monkeypatch, text)
    assert problem == (
        f"-e with {names} has words that belong to no variable, and Ansible would ignore these words. Write "
        "name=value without spaces. Put a value with spaces in a second pair of quotes: -e \"name='a, b'\". Write a list or "
        """mapping as JSON: -e '{"name": ["a", "b"]}'."""
    )


@pytest.mark.parametrize(
    "text",
    [
        "pod_identity_purge=true",
        "pod_identity_purge=true pod_identity_owner=me",
        "pod_identity_ignore='A, B'",
        "pod_identity_region={{ here }}",
        "pod_identity_junit_file=",
        '{"pod_identity_ignore": ["A", "B"]}',
        "[]",
        "@pod_identity_workloads of the team.yml",
        "greeting=hello world",
        "file=/etc/pod_identity_workloads of the team",
    ],
)
def test_complete_and_foreign_variables_are_accepted(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert validate(monkeypatch, text) == ()
