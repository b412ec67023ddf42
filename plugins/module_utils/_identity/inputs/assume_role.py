# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the ``assume_role_*`` options. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..model.accounts import AssumeRole
from ..model.errors import Problems
from ..model.names import ROLE_ARN
from .fields import Fields, number_as_text

ARN = "assume_role_arn"
EXTERNAL_ID = "assume_role_external_id"
ASSUME_ROLE_OPTIONS = (ARN, EXTERNAL_ID)

_SESSION_ARN = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([\w+=,.@-]+)/.*", re.ASCII)


def assume_role_spec() -> dict[str, dict[str, Any]]:
    """Return the Ansible argument spec of the ``assume_role_*`` options.

    The external ID is not a secret, because the trust policy contains it. With ``no_log: true`` Ansible would mask every
    occurrence of its text in the result of the module.
    """
    return {
        ARN: {"type": "str"},
        EXTERNAL_ID: {"type": "str", "no_log": False},
    }


def read_assume_role(options: Mapping[str, object], prefix: str = "") -> AssumeRole | None:
    """Return the role to assume, or None if ``assume_role_arn`` is not set.

    An empty string counts as not set, because it is the value of an unanswered AWX survey question.

    :arg options: option values by name, without ``prefix``.
    :arg prefix: the text before an option name in messages, such as "pod_identity_" for role variables.
    :raises InputError: with all problems.
    """
    problems = Problems()
    role = parse_assume_role(Fields(dict(options.items()), "", problems, prefix))
    problems.raise_if_any()
    return role


def parse_assume_role(fields: Fields) -> AssumeRole | None:
    """Return the role to assume, or None if ``assume_role_arn`` is not set.

    Problems are added to ``fields.problems``. If it has any, the caller must not use the returned role.
    """
    values = _options_with_values(fields)
    if values.has(ARN):
        return AssumeRole(_read_arn(values), _read_external_id(values))
    for name in values.raw:
        fields.problems.add(
            fields.place,
            f"{fields.prefix}{name} has no effect without {fields.prefix}{ARN}; set the ARN of the role to assume, or "
            f"leave {fields.prefix}{name} out.",
        )
    return None


def parse_external_id(fields: Fields) -> str:
    """Return the external ID to assume a role, or "". Report an invalid value."""
    return _read_external_id(_options_with_values(fields))


def _options_with_values(fields: Fields) -> Fields:
    """Return the ``assume_role_*`` options that have a value."""
    values: dict[object, object] = {
        name: value
        for name in ASSUME_ROLE_OPTIONS
        if (value := number_as_text(fields.raw.get(name))) not in (None, "")
    }
    return Fields(values, fields.place, fields.problems, fields.prefix)


def _read_external_id(fields: Fields) -> str:
    # Source: the parameters of STS AssumeRole.
    pattern = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
    return (
        fields.text(EXTERNAL_ID, "", pattern, "2 to 1224 letters, digits and characters of _+=,.@:/-") or ""
    )


def _read_arn(fields: Fields) -> str:
    value = fields.raw[ARN]
    session = _SESSION_ARN.fullmatch(value) if isinstance(value, str) else None
    if session is not None:
        fields.problems.add(
            fields.place,
            f"{fields.prefix}{ARN} is the ARN of a session of the role {session[3]}; set the ARN of the role, such as "
            f"arn:{session[1]}:iam::{session[2]}:role/{session[3]} (with its path, if it has one).",
        )
        return ""
    return (
        fields.text(ARN, "", ROLE_ARN, "the ARN of an IAM role, like arn:aws:iam::111122223333:role/my-role")
        or ""
    )
