# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A change of a trust policy, made to what is there now: what others changed meanwhile stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..language.canonical import same_meaning
from .statements import closed, closed_for, read_grants, with_grants

Document = Mapping[str, object]


def merge_trust(before: Document, after: Document, present: Document) -> Document:
    """``present`` with the grants and statements that ``after`` has more than ``before``, and without those that it
    has less. The last statement stays: without any it is no trust policy."""
    if same_meaning(before, present, "trust"):
        return after
    old_grants, old_others = read_grants(before)
    new_grants, new_others = read_grants(after)
    grants, others = read_grants(present)
    granted = (grants - (old_grants - new_grants)) | (new_grants - old_grants)
    gone = [statement for statement in old_others if statement not in new_others]
    kept = [statement for statement in others if statement not in gone]
    more = [statement for statement in new_others if statement not in old_others and statement not in kept]
    merged = with_grants(present, [*kept, *more], granted)
    if cluster_arn := closed_for(after):
        return closed(merged, cluster_arn)
    return merged if merged["Statement"] else present
