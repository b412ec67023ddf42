# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Tags: what is wanted beside what is there, and the requests that close the gap. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .changes import Call
from .ownership import MANAGED_BY_TAG, MANAGED_BY_VALUE, OWNER_TAG, is_mark


@dataclass(frozen=True, slots=True)
class TagChange:
    """Tags to set and tag keys to remove."""

    set: Mapping[str, str]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.set or self.remove)


def with_owner(tags: Mapping[str, str]) -> dict[str, str]:
    return {**tags, MANAGED_BY_TAG: MANAGED_BY_VALUE}


def without_owner(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key != OWNER_TAG}


def compare(present: Mapping[str, str], wanted: Mapping[str, str], purge: bool) -> TagChange:
    """Tags that AWS itself sets (prefix ``aws:``) are never removed, nor is the mark of ownership."""
    missing = {key: value for key, value in wanted.items() if present.get(key) != value}
    extra = [key for key in present if key not in wanted and not is_mark(key) and not key.startswith("aws:")]
    return TagChange(missing, tuple(sorted(extra)) if purge else ())


def after(present: Mapping[str, str], change: TagChange) -> dict[str, str]:
    kept = {key: value for key, value in present.items() if key not in change.remove}
    return {**kept, **change.set}


def iam_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def iam_calls(kind: str, identity: Mapping[str, str], change: TagChange) -> list[Call]:
    """Requests for a "Role" or a "Policy"; ``identity`` is the parameter that names it."""
    calls = []
    if change.remove:
        calls.append(Call("iam", f"Untag{kind}", {**identity, "TagKeys": list(change.remove)}))
    if change.set:
        calls.append(Call("iam", f"Tag{kind}", {**identity, "Tags": iam_list(change.set)}))
    return calls


def eks_calls(arn: str, change: TagChange) -> list[Call]:
    calls = []
    if change.remove:
        parameters = {"resourceArn": arn, "tagKeys": list(change.remove)}
        calls.append(Call("eks", "UntagResource", parameters))
    if change.set:
        calls.append(Call("eks", "TagResource", {"resourceArn": arn, "tags": dict(change.set)}))
    return calls
