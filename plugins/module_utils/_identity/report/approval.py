# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the changes of a run with the changes of an approved plan. Pure.

A change consists of parts: an added or removed value of an attribute, tag or list, and for a policy document a statement. A plan
approves its parts, not whole changes. So a run may do less than its plan, for example if another cluster has created a shared
role in between, or in a second round after a conflict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..kubernetes.model.objects import Object, as_text
from ..model.errors import listed
from .text import describe_change

# The number of hexadecimal digits of a digest. A list that is changed on purpose must not reach a digest of the plan.
_DIGITS = 32
# The creation of a role contains its trust policy, which a later run changes as a separate resource.
_OF_ROLE = {"trust_policy": "role"}
_SHOWN = 10
# The largest number of characters of a value in a difference.
_LONGEST = 500
_Part = tuple[str, ...]


def digest_changes(changes: Iterable[Object]) -> list[str]:
    """Return the digests of the parts of changes: without times, and equal in each run with the same changes."""
    return sorted({_part_digest(part) for change in changes for part in (_subject(change), *_parts(change))})


def find_plan(reports: Iterable[Object], cluster_arn: str) -> Object | None:
    """Return the latest plan of a cluster among decoded reports, or None. A plan that ended early does not count."""
    plans = (
        report
        for report in reports
        if report.get("cluster_arn") == cluster_arn
        and report.get("step") == "plan"
        and not report.get("stopped")
    )
    return max(plans, key=lambda report: as_text(report.get("time")), default=None)


def describe_unapproved(plan: Object | None, changes: Sequence[Object]) -> str:
    """Return a text about the changes that an approved plan lacks, or "" if it lacks no change.

    :arg plan: the report of the plan, or None without a plan of the cluster.
    :arg changes: the changes that the run would make.
    """
    digests = (plan or {}).get("change_digests")
    approved = frozenset(map(str, digests if isinstance(digests, (list, tuple)) else ()))
    lines = list(filter(None, (_difference(change, approved) for change in changes)))
    if not lines:
        return ""
    subject = f"the approved plan of {as_text((plan or {}).get('time'))}"
    if plan is None:
        subject = "pod_identity_approved has no completed plan of this cluster, so it"
    head = f"{subject} lacks {len(lines)} of the {len(changes)} changes of this run:"
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n- ".join([head, *lines[:_SHOWN], *more])


def _difference(change: Object, approved: Collection[str]) -> str:
    """Return a line about a change that is new, or that differs from an approved change of the same resource; "" otherwise."""
    lacking = [part for part in _parts(change) if _part_digest(part) not in approved]
    if not lacking:
        return ""
    line = describe_change(change).line
    if _part_digest(_subject(change)) not in approved:
        return f"new: {line}"
    parts = [_in_words(*part[2:]) for part in lacking if len(part) > 3]
    return f"differs{f' by {listed(parts)}' if parts else ''}: {line}"


def _in_words(sign: str, *path: str) -> str:
    """Describe an added or removed value, like '+tags team "a"'."""
    *names, value = path
    return f"{sign}{' '.join(names)} {value if len(value) < _LONGEST else value[:_LONGEST] + '…'}"


def _subject(change: Object) -> _Part:
    resource = as_text(change.get("resource"))
    return _OF_ROLE.get(resource, resource), as_text(change.get("name"))


def _parts(change: Object) -> Iterator[_Part]:
    """Yield the parts of a change, each with the resource and the name."""
    subject, action = _subject(change), as_text(change.get("action"))
    states = change.get("before"), change.get("after")
    removed, added = (set(_leaves(state)) for state in states)
    if None in states or removed == added:
        yield (*subject, action)
    for sign, leaves in (("-", removed - added), ("+", added - removed)):
        yield from ((*subject, sign, *leaf) for leaf in sorted(leaves))


def _leaves(value: object, *path: str) -> Iterator[_Part]:
    """Yield the values in a nested value, each with its path. A list has one value for each item, regardless of the order."""
    # IAM accepts a single statement without a list.
    if isinstance(value, Mapping) and path[-1:] != ("Statement",):
        for name, part in value.items():
            yield from _leaves(part, *path, str(name))
    elif path:
        items = value if isinstance(value, (list, tuple)) else [value]
        yield from ((*path, json.dumps(item, sort_keys=True, default=str)) for item in items)


def _part_digest(part: _Part) -> str:
    return hashlib.sha256(json.dumps(part).encode()).hexdigest()[:_DIGITS]
