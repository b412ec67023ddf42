# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.accounts import (
    ASSUME_ROLE_OPTIONS,
    assume_role_spec,
    read_assume_role,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import AssumeRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError

ARN = "arn:aws:iam::444455556666:role/teams/fleet"
ARN_RULE = "must be the ARN of an IAM role, like arn:aws:iam::111122223333:role/my-role, got"
NAME_RULE = "must be 2 to 64 letters, digits and characters of _+=,.@-, got"
ID_RULE = "must be 2 to 1224 letters, digits and characters of _+=,.@:/-, got"
SECONDS_RULE = "must be a number of seconds from 900 to 43200, got"


def given(**options: Any) -> dict[str, Any]:
    """Options by their names without assume_role_, with an ARN unless it is given as None."""
    return {f"assume_role_{name}": value for name, value in {"arn": ARN, **options}.items()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        dict.fromkeys(ASSUME_ROLE_OPTIONS),
        pytest.param(dict.fromkeys(ASSUME_ROLE_OPTIONS, ""), id="empty answers of a survey"),
    ],
)
def test_without_a_role_nothing_is_assumed(options: dict[str, Any]) -> None:
    assert read_assume_role(options) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (given(), AssumeRole(ARN, "", "workload-identity", 3600)),
        (given(external_id="", session_name="", duration=""), AssumeRole(ARN)),
        (
            given(external_id="my-fleet:a/b", session_name="job@42", duration=900),
            AssumeRole(ARN, "my-fleet:a/b", "job@42", 900),
        ),
        (given(duration="43200"), AssumeRole(ARN, duration=43200)),
        (given(external_id=12345), AssumeRole(ARN, external_id="12345")),
        (given(arn=ARN.replace("arn:aws:", "arn:aws-cn:")), AssumeRole(ARN.replace("aws:", "aws-cn:", 1))),
        (given(session_name="a" * 64, external_id="b" * 1224), AssumeRole(ARN, "b" * 1224, "a" * 64)),
    ],
)
def test_what_is_read(options: dict[str, Any], expected: AssumeRole) -> None:
    assert read_assume_role(options) == expected


def test_the_account_is_that_of_the_role() -> None:
    assert AssumeRole(ARN).account_id == "444455556666"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (given(arn="fleet"), f"assume_role_arn {ARN_RULE} 'fleet'."),
        (
            given(arn="arn:aws:iam::4444:role/fleet"),
            f"assume_role_arn {ARN_RULE} 'arn:aws:iam::4444:role/fleet'.",
        ),
        (
            given(arn="arn:aws:iam::444455556666:user/fleet"),
            f"assume_role_arn {ARN_RULE} 'arn:aws:iam::444455556666:user/fleet'.",
        ),
        (given(arn=f"{ARN}\n"), rf"assume_role_arn {ARN_RULE} '{ARN}\n'."),
        (given(arn=[ARN]), f"assume_role_arn {ARN_RULE} ['{ARN}']."),
        (
            given(arn="arn:aws:sts::444455556666:assumed-role/fleet/me"),
            "assume_role_arn is the ARN of a session of the role fleet; give the role's own, like "
            "arn:aws:iam::444455556666:role/fleet (with its path, where it has one).",
        ),
        (given(session_name="a"), f"assume_role_session_name {NAME_RULE} 'a'."),
        (given(session_name="a b"), f"assume_role_session_name {NAME_RULE} 'a b'."),
        (given(session_name="ä" * 3), f"assume_role_session_name {NAME_RULE} 'äää'."),
        (given(session_name="a" * 65), f"assume_role_session_name {NAME_RULE} '{'a' * 65}'."),
        (given(external_id="x"), f"assume_role_external_id {ID_RULE} 'x'."),
        (given(external_id="a b"), f"assume_role_external_id {ID_RULE} 'a b'."),
        (given(external_id="b" * 1225), f"assume_role_external_id {ID_RULE} text."),
        (given(external_id=True), f"assume_role_external_id {ID_RULE} True."),
        (given(duration=899), f"assume_role_duration {SECONDS_RULE} 899."),
        (given(duration=43201), f"assume_role_duration {SECONDS_RULE} 43201."),
        (given(duration="1h"), f"assume_role_duration {SECONDS_RULE} '1h'."),
        (given(duration=True), f"assume_role_duration {SECONDS_RULE} True."),
        *(
            (
                given(arn=None, **{name: value}),
                f"assume_role_{name} has no effect without assume_role_arn; give the ARN of the role to assume, or "
                f"leave assume_role_{name} out.",
            )
            for name, value in (("external_id", "my-fleet"), ("session_name", "job"), ("duration", 900))
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["", "pod_identity_"])
def test_what_is_refused(options: dict[str, Any], problem: str, prefix: str) -> None:
    with pytest.raises(InputError) as caught:
        read_assume_role(options, prefix)
    assert caught.value.problems == (problem.replace("assume_role_", f"{prefix}assume_role_"),)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        read_assume_role(given(arn="fleet", session_name="a", external_id="x", duration=1))
    assert [problem.split(" ")[0] for problem in caught.value.problems] == [
        "assume_role_arn",
        "assume_role_external_id",
        "assume_role_session_name",
        "assume_role_duration",
    ]


def test_every_module_gets_all_of_them() -> None:
    assert tuple(assume_role_spec()) == ASSUME_ROLE_OPTIONS
