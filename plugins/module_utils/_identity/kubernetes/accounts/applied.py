# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Carry out a plan of service accounts, and note what Kubernetes refused, object by object. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from ...model.rows import FailureRow
from ..api.api_errors import ApiError
from ..api.cluster import Cluster, Written
from ..api.refusals import refusal
from ..model.objects import Object, name_of
from .account_plan import AccountPlan, workload_of


@dataclass(frozen=True, slots=True)
class Applied:
    """``plan`` is what was done of the plan, ``failures`` what was refused.

    ``error`` is given when the work ended before its result; how far it got is then not known, and
    ``plan`` is empty. ``refused`` are the objects of the failures; those of ``doubtful`` may have been written all
    the same, as the answer got lost.
    """

    plan: AccountPlan
    failures: Sequence[FailureRow] = ()
    error: ApiError | None = None
    changed: bool = False
    diffs: Sequence[Object] = ()
    refused: Sequence[Object] = ()
    doubtful: Sequence[Object] = ()


def describe_step(plan: AccountPlan, *, removes: bool, check_mode: bool) -> str:
    """What ``carry_out`` is about to do, for who waits for it; "" where that is nothing."""
    number = len(plan.manifests) + (0 if check_mode else len(plan.waiting))
    parts = [f"{'removing' if removes else 'applying'} {_objects(number)}"] if number else []
    parts += [f"removing {_objects(len(plan.unlisted))}"] if plan.unlisted else []
    parts += [f"releasing {_objects(len(plan.released))}"] if plan.released else []
    return f"{' and '.join(parts)}{' by a dry run' if check_mode else ''}" if parts else ""


def _objects(number: int) -> str:
    return f"{number} object{'' if number == 1 else 's'}"


def carry_out(
    cluster: Cluster, plan: AccountPlan, *, removes: bool, purges: bool, check_mode: bool
) -> Applied:
    """``removes`` says that the manifests are to be removed; ``purges`` that nothing stands in the way of a
    purge so far. It waits for the next run also when an object is refused here.

    In check mode the API server refuses what belongs into a namespace that does not exist.
    """
    planned = plan
    manifests = [*plan.manifests, *(() if check_mode else plan.waiting)]
    write = cluster.remove if removes else cluster.apply
    written = write(manifests) if manifests else Written()
    purged, released = Written(), Written()
    is_complete = not written.refused and written.error is None
    if not (purges and is_complete):
        plan = replace(plan, unlisted=(), released=plan.released if removes else ())
    if plan.unlisted:
        purged = cluster.remove(plan.unlisted)
    if plan.released and not (written.error or purged.error):
        released = cluster.apply(plan.released)
    parts = (written, purged, released)
    changed, diffs = any(part.changed for part in parts), [diff for part in parts for diff in part.diffs]
    if error := next((part.error for part in parts if part.error), None):
        return Applied(AccountPlan(findings=plan.findings), error=error, changed=changed, diffs=diffs)
    refused = [(manifests[index], reason) for index, reason in written.refused.items()]
    unpurged = [(plan.unlisted[index], reason) for index, reason in purged.refused.items()]
    unreleased = [(plan.released[index], reason) for index, reason in released.refused.items()]
    done = replace(
        plan,
        manifests=_without(plan.manifests, refused),
        waiting=_without(plan.waiting, refused),
        unlisted=_without(plan.unlisted, unpurged),
        released=_without(plan.released, unreleased),
    )
    actions = (("remove" if removes else "apply", refused), ("remove", unpurged), ("release", unreleased))
    failures = [
        refusal(manifest, action, reason, workload_of(manifest))
        for action, part in actions
        for manifest, reason in part
    ]
    # What a purge waited for stays a failure: the run after it is to make the purge.
    waited = bool(planned.unlisted) and not plan.unlisted and purges
    doubtful = [item for item, reason in (*refused, *unpurged) if _is_doubtful(reason) and not waited]
    # A conflict may mean that the service account itself is gone.
    doubtful += [
        item for item, reason in unreleased if _is_doubtful(reason) or reason.status == HTTPStatus.CONFLICT
    ]
    objects = [item for item, _reason in (*refused, *unpurged, *unreleased)]
    return Applied(done, failures, None, changed, diffs, objects, doubtful)


def _is_doubtful(reason: ApiError) -> bool:
    """Whether the object may have been written all the same: nothing answered, or not what was to answer."""
    return not reason.status or reason.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _without(manifests: Sequence[Object], refused: Iterable[tuple[Object, ApiError]]) -> list[Object]:
    names = {name_of(manifest) for manifest, _reason in refused}
    return [manifest for manifest in manifests if name_of(manifest) not in names]


def unread_failure(
    manifest: Object,
    reason: ApiError,
    why: str = "it could not be read immediately before",
    action: str = "remove",
) -> FailureRow:
    """Return the failure of a service account that stays as it is because something could not be read."""
    row = refusal(manifest, action, reason, workload_of(manifest))
    subject = "it stays" if action == "remove" else "what was applied to it stays"
    return {**row, "message": f"{subject}, as {why}: {row['message']}"}
