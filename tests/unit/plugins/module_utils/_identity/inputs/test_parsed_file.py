# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file with the parsed input: for its user alone, named after its content, and refused when it differs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    ParsedFile,
    read_parsed,
    write_parsed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    workload,
)

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
