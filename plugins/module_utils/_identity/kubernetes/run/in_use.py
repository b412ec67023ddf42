# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Keep service accounts that are still in use when a teardown or purge removes the others. Pure.

Without its service account a workload cannot start another Pod, and the tokens of its running Pods are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...._findings.codes import Code
from ...._findings.finding import Finding
from ...._findings.key import WorkloadKey
from ...model.messages import listed
from ...model.rows import FailureRow
from ..accounts.account_plan import AccountPlan
from ..accounts.applied import unread_failure
from ..accounts.last_look import LastLook
from ..accounts.read_back import key_of
from ..api.api_errors import ApiError
from ..api.cluster import ClusterReader
from ..api.connection import FORBIDDEN
from ..api.refusals import AGAIN, list_rules
from ..model.objects import Object, member, name_of
from ..model.ownership import other_managers, release_of
from ..pods.pods import controller, has_ended, service_account_of
from ..pods.reads import live_pods_query
from ..pods.templates import Templates, is_proof, read_templates

SHOWN_USERS = 5


@dataclass(frozen=True, slots=True)
class Users:
    """The names of the users of each service account, and the refusals by resource."""

    names: Mapping[WorkloadKey, Sequence[str]]
    errors: Mapping[str, ApiError]


def keep_used(
    reader: ClusterReader, cluster: str, look: LastLook, *, removes: bool
) -> tuple[AccountPlan, list[FailureRow]]:
    """Return the plan without removals of service accounts in use, and a failure for each that may be in use.

    A service account that stays gives up the labels and annotations that were applied to it. Seven requests, when
    something would be removed.
    """
    plan = look.plan
    going = [*(plan.manifests if removes else ()), *plan.unlisted]
    keys = [key_of(manifest, cluster) for manifest in going]
    if not keys:
        return plan, []
    users = _read_users(reader, keys, cluster)
    staying: list[Object] = []
    released = list(plan.released)
    findings = list(plan.findings)
    failures = []
    for key, manifest in zip(keys, going, strict=True):
        item = look.accounts[key]
        names, managers = users.names.get(key, ()), other_managers(item)
        if names or managers:
            staying.append(manifest)
            findings.append(_in_use(key, names, managers))
            release = release_of(item)
            released += [release] if release else []
        elif users.errors:
            staying.append(manifest)
            failures.append(_unknown(manifest, users.errors))
    plan = replace(
        plan,
        manifests=_without(plan.manifests, staying) if removes else plan.manifests,
        unlisted=_without(plan.unlisted, staying),
        released=released,
        findings=findings,
    )
    return plan, failures


def _read_users(reader: ClusterReader, keys: Sequence[WorkloadKey], cluster: str) -> Users:
    """List Pods and Pod templates. Pods that have ended do not count, nor do those of the runtime proof."""
    listing = reader.list_objects(live_pods_query(keys))
    templates = read_templates(reader, frozenset(keys), cluster)
    pods: dict[WorkloadKey, list[Object]] = {}
    for item in listing.items:
        if not has_ended(item) and not is_proof(item):
            pods.setdefault(service_account_of(item, cluster), []).append(item)
    errors = {"pods": listing.error} if listing.error is not None else {}
    return Users(
        {key: _names(key, pods.get(key, ()), templates) for key in keys}, {**errors, **templates.errors}
    )


def _names(key: WorkloadKey, pods: Iterable[Object], templates: Templates) -> list[str]:
    """Name each template, with the number of its Pods, then Pods without one."""
    counts = {str(templates.root(template.owner)): 0 for template in templates.by_workload.get(key, ())}
    bare = []
    for pod in pods:
        owner = templates.root(controller(member(pod, "metadata")))
        if owner.kind:
            counts[str(owner)] = counts.get(str(owner), 0) + 1
        else:
            bare.append(f"Pod {name_of(pod).name}")
    names = [
        f"{name} ({count} Pod{'' if count == 1 else 's'})" if count else name
        for name, count in counts.items()
    ]
    return [*names, *bare]


def _in_use(key: WorkloadKey, users: Sequence[str], managers: Mapping[str, Sequence[str]]) -> Finding:
    reasons = [f"it is used by {listed(users, SHOWN_USERS)}"] if users else []
    reasons += [f"{manager} manages its {listed(fields)}" for manager, fields in managers.items()]
    steps = ["Delete its users or give them another service account"] if users else []
    steps += [f"have {listed(managers)} give up these fields"] if managers else []
    remedy = ", and ".join(steps)
    return Finding(
        Code.SERVICE_ACCOUNT_IN_USE,
        f"service account {key.service_account} in namespace {key.namespace} stays: {'; '.join(reasons)}.",
        f"{remedy[0].upper()}{remedy[1:]}; then run again, which removes it. To delete it all the same: kubectl delete "
        f"serviceaccount {key.service_account} -n {key.namespace}",
        key,
    )


def _unknown(manifest: Object, errors: Mapping[str, ApiError]) -> FailureRow:
    reason = next(iter(errors.values()))
    forbidden = [resource for resource, error in errors.items() if error.status == FORBIDDEN]
    remedy = AGAIN
    if forbidden:
        remedy = (
            f"Allow the caller to list {', '.join(forbidden)} (RBAC: {list_rules(forbidden)}; docs/iam-permissions.md has the "
            "manifests), and run again."
        )
    why = f"it is not known whether {', '.join(errors)} use it"
    return {**unread_failure(manifest, reason, why), "remedy": remedy}


def _without(manifests: Sequence[Object], staying: Sequence[Object]) -> list[Object]:
    names = {name_of(manifest) for manifest in staying}
    return [manifest for manifest in manifests if name_of(manifest) not in names]
