# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quotas of IAM, and the validation of names, paths, durations and tags, with the error messages of IAM.

Sources: IAM User Guide, "IAM and AWS STS quotas"; IAM API Reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sandbox.aws.model import ApiError, Record

POLICY_SIZE = 6144
TRUST_SIZE = 2048
INLINE_SIZE = 10240
ATTACHED_POLICIES = 10
POLICY_VERSIONS = 5
TAGS = 50
SESSION_SECONDS = (3600, 43200)

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/|/[\u0021-\u007e]+/")
_DESCRIPTION = re.compile(r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*")
_DESCRIPTION_TEXT = r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*"


def exceeded(quota: str, limit: int) -> ApiError:
    return ApiError(409, "LimitExceeded", f"Cannot exceed quota for {quota}: {limit}")


def invalid(value: str, member: str, constraint: str) -> ApiError:
    return ApiError(
        400,
        "ValidationError",
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy "
        f"constraint: {constraint}",
    )


def check_name(value: str, member: str, limit: int) -> None:
    if len(value) > limit:
        raise invalid(value, member, f"Member must have length less than or equal to {limit}")
    if not _NAME.fullmatch(value):
        raise invalid(value, member, r"Member must satisfy regular expression pattern: [\w+=,.@-]+")


def check_path(path: str) -> None:
    if len(path) > 512 or not _PATH.fullmatch(path):
        raise ApiError(
            400,
            "ValidationError",
            "The specified value for path is invalid. It must begin and end with / and contain "
            "only alphanumeric characters and/or / characters.",
        )


def check_description(description: str | None) -> None:
    if description is None:
        return
    if len(description) > 1000:
        raise invalid(description, "description", "Member must have length less than or equal to 1000")
    if not _DESCRIPTION.fullmatch(description):
        raise invalid(
            description,
            "description",
            f"Member must satisfy regular expression pattern: {_DESCRIPTION_TEXT}",
        )


def session_duration(value: str) -> int:
    """Parse a maximum session duration in seconds, and check that it is within the limits."""
    minimum, maximum = SESSION_SECONDS
    seconds = int(value) if value.isdigit() else 0
    if seconds < minimum:
        raise invalid(
            value, "maxSessionDuration", f"Member must have value greater than or equal to {minimum}"
        )
    if seconds > maximum:
        raise invalid(value, "maxSessionDuration", f"Member must have value less than or equal to {maximum}")
    return seconds


def document_size(document: str) -> int:
    """Return the number of characters that count towards a quota: all except white space."""
    return len(document) - sum(document.count(blank) for blank in " \t\r\n")


def check_policy_size(document: str) -> None:
    if document_size(document) > POLICY_SIZE:
        raise exceeded("PolicySize", POLICY_SIZE)


def check_trust_size(document: str) -> None:
    if document_size(document) > TRUST_SIZE:
        raise exceeded("ACLSizePerRole", TRUST_SIZE)


def check_inline_size(role: Record, documents: Iterable[str]) -> None:
    if sum(document_size(document) for document in documents) > INLINE_SIZE:
        raise ApiError(
            409,
            "LimitExceeded",
            f"Maximum policy size of {INLINE_SIZE} bytes exceeded for role {role['RoleName']}",
        )


def merge_tags(
    present: list[dict[str, str]], added: list[dict[str, str]], quota: str
) -> list[dict[str, str]]:
    """Return the tags of a resource after TagRole or TagPolicy. Keys are case-insensitive, but keep their letter case.

    Raise ApiError if the new tags are invalid or too many. ``quota`` is the name of the quota in that error.
    """
    keys = [tag["Key"].lower() for tag in added]
    if len(set(keys)) != len(keys):
        raise ApiError(
            400,
            "InvalidInput",
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
        )
    for tag in added:
        if tag["Key"].lower().startswith("aws:"):
            raise ApiError(
                400,
                "InvalidInput",
                "Tag keys starting with 'aws:' are reserved for system use.",
            )
        if len(tag["Key"]) > 128:
            raise invalid(
                tag["Key"], "tags.1.member.key", "Member must have length less than or equal to 128"
            )
        if len(tag["Value"]) > 256:
            raise invalid(
                tag["Value"], "tags.1.member.value", "Member must have length less than or equal to 256"
            )
    merged = {tag["Key"].lower(): tag for tag in present}
    merged.update((tag["Key"].lower(), tag) for tag in added)
    if len(merged) > TAGS:
        raise exceeded(quota, TAGS)
    return list(merged.values())


def remove_tags(present: list[dict[str, str]], keys: Iterable[str]) -> list[dict[str, str]]:
    removed = {key.lower() for key in keys}
    return [tag for tag in present if tag["Key"].lower() not in removed]
