# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that the parsers return workloads or raise InputError for any input. They must not raise other exceptions."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.workload_identity.aws.plugins.action.eks_pod_identity import plain_arguments
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import FileSource
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.form import (
    workloads_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    change_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    INPUT_OPTIONS,
    ROLE,
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    PERMISSION_KEYS,
    POLICY_KEYS,
    ROLE_KEYS,
    WORKLOAD_KEYS,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.yaml_file import (
    read_yaml,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import ParsedInput
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

T = TypeVar("T")
SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck))
# Scalar values that a YAML file can contain.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.binary(max_size=4)
    | st.dates(min_value=datetime.date(1, 1, 1))
    | st.datetimes()
    | st.sampled_from(
        (
            *("", "*", "app", "default", "my-role", "s3:GetObject", "2012-10-17", "Allow", "true", "3600"),
            *("arn:aws:iam::111122223333:role/a", "arn:aws:iam::aws:policy/A", '{"Statement": []}', "{"),
        )
    )
)
ELEMENTS = ("Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition", "Sid")
NAMES = st.sampled_from((*WORKLOAD_KEYS, *ROLE_KEYS, *POLICY_KEYS, *PERMISSION_KEYS, *ELEMENTS))
KEYS = NAMES | st.text(st.characters(), max_size=6) | st.integers() | st.none() | st.booleans() | st.dates()
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.fixed_dictionaries({}, optional=dict.fromkeys(ELEMENTS, inner))
    ),
    max_leaves=12,
)


def mappings(keys: tuple[str, ...], **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={**dict.fromkeys(keys, TREES), **fixed})


# Input that is almost valid, so that the parsers also read the nested values.
ROLES = mappings(ROLE_KEYS, name=st.just("my-role") | TREES)
POLICIES = mappings(POLICY_KEYS, name=st.just("my-policy") | TREES)
PERMISSIONS = mappings(PERMISSION_KEYS, action=st.just("s3:GetObject") | TREES)
WORKLOADS = mappings(
    WORKLOAD_KEYS,
    namespace=st.just("default") | TREES,
    service_account=st.just("app") | TREES,
    role=ROLES | TREES,
    policies=st.lists(POLICIES | TREES, max_size=2),
    required_permissions=st.lists(PERMISSIONS | TREES, max_size=2),
)


def attempt(read: Callable[[], T]) -> T | InputError:
    try:
        return read()
    except InputError as error:
        return error


def check(options: Mapping[str, object], prefix: str = ROLE) -> None:
    parsed = attempt(lambda: read_input(options, refuse_files, prefix))
    if isinstance(parsed, InputError):
        assert parsed.problems
        assert all(line.isprintable() for line in input_message(parsed).split("\n"))
        return
    if not prefix:
        assert repr(read_in_module(options)) == repr(parsed)


def read_in_module(options: Mapping[str, object]) -> ParsedInput:
    """Parse options as a module does: an action plugin has checked them, and Ansible has sent them to the module as JSON."""
    sent = json.loads(json.dumps(plain_arguments(options, {}, True)))
    spec = {**change_spec(), "workloads": workloads_spec()}
    spec |= {name: {"type": "raw"} for name in INPUT_OPTIONS if name not in spec}
    checked = ArgumentSpecValidator(spec).validate(sent)
    assert not checked.error_messages
    return read_input(checked.validated_parameters, refuse_files)


@SETTINGS
@given(TREES)
def test_arbitrary_workloads_are_parsed_or_rejected(tree: object) -> None:
    check({"cluster_name": "my-cluster", "workloads": tree})


@SETTINGS
@given(st.lists(WORKLOADS, max_size=3), st.sampled_from(("present", "absent")))
def test_almost_valid_workloads_are_parsed_or_rejected(workloads: list[object], state: str) -> None:
    check({"cluster_name": "my-cluster", "state": state, "workloads": workloads})


@SETTINGS
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(set(INPUT_OPTIONS) - {"workloads_from"}, TREES)))
def test_arbitrary_options_are_parsed_or_rejected(options: dict[str, object]) -> None:
    check(options)
    check(options, "")


@SETTINGS
@given(TREES)
def test_arbitrary_paths_are_parsed_or_rejected(tree: object) -> None:
    def refuse(paths: object) -> FileSource:
        raise InputError([f"{paths}"])

    with pytest.raises(InputError):
        read_input({"cluster_name": "my-cluster", "workloads_from": tree}, refuse, ROLE)


MARKS = st.lists(
    st.sampled_from(
        (
            *(
                "- ",
                "? ",
                ": ",
                "a",
                "b: ",
                "\n",
                "  ",
                "{",
                "}",
                "[",
                "]",
                ",",
                "&a ",
                "*a",
                "<<: ",
                "!!int ",
            ),
            *(
                "!!set ",
                "!!omap ",
                "!!binary ",
                "!!python/object:os.system ",
                "'",
                '"',
                "|",
                ">",
                "---",
                "...",
                "%",
            ),
            *(
                "workloads:",
                "null",
                "~",
                "1",
                ":1",
                "2001-99-99",
                "\t",
                "\x85",
                "\u2028",
                "=",
                "#",
                "@",
                "\\",
            ),
        )
    ),
    max_size=25,
).map("".join)


@settings(SETTINGS, max_examples=100)
@given(MARKS | st.text(st.characters(exclude_categories=["Cs"])))
def test_arbitrary_file_content_is_parsed_or_rejected(text: str) -> None:
    workloads = attempt(partial(read_yaml, "a", text))
    if isinstance(workloads, InputError):
        assert workloads.problems
        return
    assert all(line >= 1 for line, _workload in workloads)
    check({"cluster_name": "my-cluster", "workloads": [workload for _line, workload in workloads]})


@SETTINGS
@given(st.lists(TREES, max_size=3))
def test_reads_written_yaml(workloads: list[object]) -> None:
    text = yaml.safe_dump(json.loads(json.dumps(workloads, default=str, skipkeys=True)), allow_unicode=True)
    read = attempt(lambda: read_yaml("a", text))
    if isinstance(read, InputError):
        # PyYAML writes some characters, such as control characters, that it cannot read.
        assert "control character" in read.problems[0] or "valid YAML" in read.problems[0]
        return
    assert len(read) == len(workloads)
