# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report associations and roles that are not in the list of a run, and trust statements for workloads without association.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.associations import ObservedAssociation
from ..model.changes import Change
from ..model.cluster import Cluster, describe_place
from ..model.desired import Desired, Workload
from ..model.errors import AwsError, listed, sentence
from ..model.names import OWNER_TAG, is_marked, is_own, parse_role_arn
from ..model.observed import Observed, UnlistedAssociations
from ..model.shared import named_workloads, own_grants, shared_roles
from ..model.targets import role_target

_SHOWN = 10


def find_unlisted(
    desired: Desired, observed: Observed, deleted: Collection[WorkloadKey] = frozenset()
) -> list[Finding]:
    """Return findings about associations and trust policies for workloads that the run does not list.

    There is one finding if the cluster has unlisted associations, except associations of add-ons, or if they could not be read,
    and one finding for each unlisted workload that a managed role names but that has no association.

    :arg deleted: the workloads whose associations the run deletes.
    """
    cluster, owner = observed.cluster, desired.options.owner
    findings = [
        Finding(
            Code.TRUST_WITHOUT_ASSOCIATION,
            f"the trust policy of role {role.arn} allows {key}, which is not in the list and has no association with "
            f"{describe_place(observed.cluster)}.",
            "If another run is about to create the association, no action is needed. Otherwise revoke the "
            "grant: run for this cluster alone, either with ⟨purge⟩: true, or with ⟨state⟩: absent and only that workload with "
            "this role. To look for an association: "
            f"aws eks list-pod-identity-associations --cluster-name {observed.cluster.name} --namespace {key.namespace} "
            f"--service-account {key.service_account} --region {observed.cluster.region}",
            key,
        )
        for shared in shared_roles(observed.cluster, desired.workloads)
        if (role := observed.roles.get(shared.spec.name.lower())) is not None
        and shared.spec.trust_policy is None
        for key in sorted(
            named_workloads(cluster, own_grants(cluster, owner, role.trust)) & observed.unassociated
        )
        if desired.purge is None
    ]
    unlisted = observed.unlisted or UnlistedAssociations()
    unlisted = replace(unlisted, keys=tuple(key for key in unlisted.keys if key not in deleted))
    if unlisted.keys:
        findings.append(_unlisted_associations(observed.cluster, unlisted, desired))
    elif unlisted.error is not None:
        findings.append(
            Finding(
                Code.UNLISTED_ASSOCIATIONS,
                f"the associations of {describe_place(observed.cluster)} could not be read, so unlisted associations are "
                f"unknown. {_error_text(unlisted.error)}",
                unlisted.error.remedy,
                raised_as="info",
            )
        )
    return findings


def find_left_behind(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    """Report unlisted roles that lost an association by the changes, if they are own or could not be read."""
    if desired.purge is not None:
        return []
    names = {
        workload.role.name.lower()
        for workload in (*desired.workloads, *desired.unselected.values())
        if workload.role
    }
    moved: dict[str, list[WorkloadKey]] = {}
    for change in changes:
        role_arn = (change.before or {}).get("role_arn")
        if change.target.resource == "association" and isinstance(role_arn, str):
            moved.setdefault(role_arn.lower(), []).append(change.workloads[0])
    return [
        finding
        for arn, keys in sorted(moved.items())
        if (parts := parse_role_arn(arn)) is not None and parts.name.lower() not in names
        if (finding := _left_role(desired, observed, arn, parts.name.lower(), keys)) is not None
    ]


def _left_role(
    desired: Desired, observed: Observed, arn: str, name: str, keys: Sequence[WorkloadKey]
) -> Finding | None:
    text = f"no longer used by {listed(map(str, keys), _SHOWN)}."
    if (failure := observed.unread.get(role_target(name))) is not None:
        error = failure.error
        return Finding(
            Code.RESOURCE_KEPT,
            f"role {arn} is {text} It could not be read, so its trust policy may still allow these workloads: {error.operation}: "
            f"{error.code}: {error.text}",
            f"{error.remedy} A later run with ⟨purge⟩: true removes their statements.",
            keys[0],
        )
    role = observed.former_roles.get(name)
    if role is None or not is_own(role.tags, desired.options.owner):
        return None
    return Finding(
        Code.RESOURCE_KEPT,
        f"role {role.arn} is {text} It is kept, with its policies.",
        "Restart the Pods that may still hold its credentials. A later run for this cluster alone with ⟨purge⟩: true removes the "
        "role if it is unused.",
        keys[0],
        raised_as="info",
    )


def find_empty_list(workloads: Collection[Workload]) -> list[Finding]:
    """Return a finding if the list of a cluster is empty."""
    if workloads:
        return []
    return [
        Finding(
            Code.NOTHING_VERIFIED,
            "the list does not have a workload for this cluster, so the verification is empty.",
            "Check the list, and the files and variables that define it. If the cluster must not have workloads, "
            "accept the finding with pod_identity_ignore: [NOTHING_VERIFIED] in the Ansible role.",
        )
    ]


def _unlisted_associations(cluster: Cluster, unlisted: UnlistedAssociations, desired: Desired) -> Finding:
    owner, purges = desired.options.owner, desired.purge is not None
    described = [unlisted.described[key] for key in unlisted.keys if key in unlisted.described]
    unmanaged = [association for association in described if not is_marked(association.tags)]
    managed = [association for association in described if is_own(association.tags, owner)]
    foreign = [association for association in described if association not in (*unmanaged, *managed)]
    unread = [key for key in unlisted.keys if key not in unlisted.described and key not in unlisted.failed]
    owners = sorted({association.tags.get(OWNER_TAG, "(none)") for association in foreign})
    parts = (
        _part(len(managed), "managed", ([str(association.key) for association in managed])),
        _part(
            len(unmanaged),
            "not managed",
            (f"{found.key} with role {found.role_arn.rpartition('/')[2]}" for found in unmanaged),
        ),
        _part(len(foreign), "of other owners", owners),
        _part(len(unlisted.addons), "of EKS add-ons", map(str, unlisted.addons)),
        _part(len(unlisted.failed), "that could not be read", map(str, unlisted.failed)),
        _part(len(unread), "not read", map(str, unread)),
    )
    total = len(unlisted.keys) + len(unlisted.addons)
    count = f"{'at least ' if unlisted.more else ''}{total} association{'' if total == 1 else 's'}"
    error = unlisted.error if unlisted.failed else None
    remedies = [
        *_remedies(purges, managed, unmanaged, unread),
        *([error.remedy] if error else []),
    ]
    return Finding(
        Code.UNLISTED_ASSOCIATIONS,
        f"{describe_place(cluster)} has {count} not in the list: {', '.join(filter(None, parts))}."
        f"{f' {_error_text(error)}' if error else ''}",
        " ".join(remedies) or "If the associations belong to other lists of workloads, no action is needed.",
        raised_as=None if unmanaged or (managed and not purges) else "info",
    )


def _remedies(
    purges: bool,
    managed: Sequence[ObservedAssociation],
    unmanaged: Sequence[ObservedAssociation],
    unread: Sequence[WorkloadKey],
) -> Iterator[str]:
    if managed and not purges:
        yield (
            "If the managed associations belong to another list of workloads, set ⟨owner⟩ for each list. "
            "Otherwise list these workloads, or remove them: run for this cluster alone with ⟨purge⟩: true. The check mode of "
            "this run shows the removals."
        )
    if unmanaged:
        yield (
            "A purge keeps unmanaged associations: list them with ⟨adopt⟩: true, or delete them with "
            "workload_identity.aws.eks_pod_identity_association."
        )
    if unread and not managed:
        yield "The check mode of a run for this cluster alone with ⟨purge⟩: true reads all associations."


def _error_text(error: AwsError) -> str:
    return f"{error.operation}: {error.code}: {sentence(error.text)}"


def _part(count: int, label: str, names: Iterable[str]) -> str:
    return f"{count} {label} ({listed(names, _SHOWN)})" if count else ""
