# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsed input as a file: the same values and types when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs import parsed_input
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    FORMAT,
    ParsedFile,
    dump,
    load,
    read_parsed,
    write_parsed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    AssociationSpec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    STATES,
    ParsedInput,
    RequiredPermission,
    ServiceAccountSpec,
    Workload,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import PolicySpec
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import (
    TRUST_SCOPES,
    RoleSpec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    PolicyDocument,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    workload,
)
from hypothesis import given
from hypothesis import strategies as st


def every_field(model: type, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A field without a strategy would keep its default, and never be tried."""
    assert set(strategies) == {field.name for field in fields(model)}
    return st.builds(model, **strategies)


TEXT = st.text(max_size=8)
MAYBE_TEXT = st.none() | TEXT
FLAG = st.booleans()
TAGS = st.dictionaries(TEXT, TEXT, max_size=3)
SCALAR = st.none() | FLAG | st.integers() | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
DOCUMENT = st.none() | st.dictionaries(TEXT, JSON, max_size=3).map(PolicyDocument)
POLICY = every_field(
    PolicySpec,
    name=TEXT,
    document=DOCUMENT,
    path=TEXT,
    description=MAYBE_TEXT,
    tags=TAGS,
    arn=MAYBE_TEXT,
)
ROLE = every_field(
    RoleSpec,
    name=TEXT,
    arn=MAYBE_TEXT,
    path=TEXT,
    description=MAYBE_TEXT,
    permissions_boundary=MAYBE_TEXT,
    max_session_duration=st.none() | st.integers(),
    tags=TAGS,
    trust_scope=st.none() | st.sampled_from(TRUST_SCOPES),
    trust_policy=DOCUMENT,
    extend_trust=FLAG,
)
PERMISSION = every_field(
    RequiredPermission,
    action=TEXT,
    resource=TEXT,
    context=st.dictionaries(TEXT, SCALAR | st.lists(SCALAR, max_size=3), max_size=3),
)
ASSOCIATION = every_field(
    AssociationSpec,
    target_role_arn=MAYBE_TEXT,
    disable_session_tags=st.none() | FLAG,
    session_policy=DOCUMENT,
    tags=TAGS,
)
WORKLOAD = every_field(
    Workload,
    key=st.builds(WorkloadKey, **{field.name: TEXT for field in fields(WorkloadKey)}),
    role=st.none() | ROLE,
    policies=st.lists(POLICY, max_size=2).map(tuple),
    association=ASSOCIATION,
    required_permissions=st.lists(PERMISSION, max_size=2).map(tuple),
    service_account=every_field(
        ServiceAccountSpec, create=FLAG, create_namespace=FLAG, labels=TAGS, annotations=TAGS
    ),
)
PARSED = every_field(
    ParsedInput,
    cluster_name=TEXT,
    state=st.sampled_from(STATES),
    workloads=st.lists(WORKLOAD, max_size=2).map(tuple),
    owner=MAYBE_TEXT,
    purge=FLAG,
    purge_namespaces=st.lists(TEXT, max_size=2).map(tuple),
    purge_limit=st.integers(),
    purge_percent=st.none() | st.integers(),
)
EMPTY = ParsedInput("my-cluster", "present", ())


def typed(value: object) -> object:
    """A value with its type and those of its parts, so that 1, 1.0 and True are told apart."""
    if is_dataclass(value):
        return type(value), [(field.name, typed(getattr(value, field.name))) for field in fields(value)]
    if isinstance(value, Mapping):
        return type(value), [(typed(key), typed(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [typed(part) for part in value]
    return type(value), value


@given(PARSED)
def test_what_is_read_is_what_was_written(parsed: ParsedInput) -> None:
    text = dump(parsed)
    assert typed(load(text)) == typed(parsed)
    assert text.isascii()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "[",
            "this is not parsed input: it is not JSON (Expecting value: line 1 column 2 (char 1)).",
            id="not JSON",
        ),
        pytest.param(
            "[]",
            f"this is not parsed input: its format must be '{FORMAT}', got None.",
            id="a list of workloads",
        ),
        pytest.param(
            '{"workloads": []}',
            f"this is not parsed input: its format must be '{FORMAT}', got None.",
            id="a file with workloads",
        ),
        pytest.param(
            '{"format": "workload_identity.aws parsed input 0", "input": {}}',
            f"this is not parsed input: its format must be '{FORMAT}', got 'workload_identity.aws parsed input 0'.",
            id="another version",
        ),
    ],
)
def test_what_is_not_parsed_input_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text)
    assert list(caught.value.problems) == [problem]


def test_only_what_differs_from_the_defaults_is_written() -> None:
    assert json.loads(dump(EMPTY)) == {
        "format": FORMAT,
        "input": {"cluster_name": "my-cluster", "state": "present", "workloads": []},
    }


@dataclass(frozen=True)
class _Inner:
    bounds: set[int]


@pytest.mark.parametrize(
    "hint", [set[int], bytes, dict[str, str], Mapping[str, _Inner], tuple[int, str], _Inner]
)
def test_a_field_of_a_type_that_cannot_come_back_is_refused(hint: Any) -> None:
    with pytest.raises(TypeError, match="parsed input cannot hold a"):
        parsed_input._reader(hint)


ABSENT = "0" * 64


@pytest.fixture
def parsed() -> ParsedInput:
    return ParsedInput(CLUSTER, "present", parse_workloads([workload("b"), workload("a", "batch")], CLUSTER))


def problems_of(path: str, sha256: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_parsed(path, sha256)
    return list(caught.value.problems)


def test_the_file_is_read_as_it_was_written(tmp_path: Path, parsed: ParsedInput) -> None:
    file = write_parsed(parsed, str(tmp_path))
    content = Path(file.path).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert file == ParsedFile(str(tmp_path / f"pod-identity-input-{digest}.json"), digest)
    assert read_parsed(file.path, file.sha256) == parsed
    assert parsed.namespaces == ("batch", "default")


def test_the_file_is_for_its_user_alone(tmp_path: Path, parsed: ParsedInput) -> None:
    assert Path(write_parsed(parsed, str(tmp_path)).path).stat().st_mode & 0o777 == 0o600


def test_no_link_in_the_place_of_the_file_is_followed(tmp_path: Path, parsed: ParsedInput) -> None:
    target = tmp_path / "target"
    path = Path(write_parsed(parsed, str(tmp_path)).path)
    path.unlink()
    target.write_text("another's")
    path.symlink_to(target)
    file = write_parsed(parsed, str(tmp_path))
    assert (target.read_text(), path.is_symlink(), path.stat().st_mode & 0o777) == ("another's", False, 0o600)
    assert read_parsed(file.path, file.sha256) == parsed


def test_hosts_with_the_same_input_share_a_file(tmp_path: Path, parsed: ParsedInput) -> None:
    first, second = write_parsed(parsed, str(tmp_path)), write_parsed(parsed, str(tmp_path))
    assert first == second
    assert [str(path) for path in tmp_path.iterdir()] == [first.path]


def test_a_file_that_was_modified_is_refused(tmp_path: Path, parsed: ParsedInput) -> None:
    file = write_parsed(parsed, str(tmp_path))
    path = Path(file.path)
    path.write_bytes(path.read_bytes().replace(b"batch", b"other"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert problems_of(file.path, file.sha256) == [
        f"{path}: the parsed input was modified after it was checked (SHA-256 {digest}, expected {file.sha256}). "
        "Run again."
    ]


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.json")
    assert problems_of(path, ABSENT) == [
        f"{path}: the parsed input cannot be read: No such file or directory."
    ]


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "workloads.json"
    path.write_bytes(b"[]")
    assert problems_of(str(path), hashlib.sha256(b"[]").hexdigest()) == [
        f"{path}: this is not parsed input: its format must be 'workload_identity.aws parsed input 1', got None."
    ]
