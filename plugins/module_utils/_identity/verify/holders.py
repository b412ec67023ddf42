# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The policies that a workload has by what is written of it, to ask what they allow. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._policy.evaluation.request import Subject
from ..._policy.permissions.permissions import IDENTITY, Holder, NamedPolicy, permission_layers, pod_context
from ..model.desired import PolicySpec, Workload


def holders_of(
    workloads: Sequence[Workload], documents: Mapping[str, object], cluster_arn: str | None = None
) -> list[Holder]:
    """One for each workload. ``documents`` has what is known of policies that are named by ARN.

    Workloads that share a role have the policies of each other.
    """
    attached: dict[str, dict[str, PolicySpec]] = {}
    for workload in workloads:
        if workload.role is not None:
            policies = attached.setdefault(workload.role.name.lower(), {})
            policies.update({spec.arn or spec.name: spec for spec in workload.policies})
    return [
        _holder(
            workload,
            attached[workload.role.name.lower()] if workload.role is not None else {},
            documents,
            cluster_arn,
        )
        for workload in workloads
    ]


def _holder(
    workload: Workload,
    policies: Mapping[str, PolicySpec],
    documents: Mapping[str, object],
    cluster_arn: str | None,
) -> Holder:
    """A role that exists already has policies of its own, and with a target role it is that one's policies that the Pod gets:
    of neither is anything known here.
    """
    role, association = workload.role, workload.association
    target = association.target_role_arn
    identity: list[NamedPolicy] = []
    unknown: list[tuple[str, str]] = []
    boundary = None
    if target:
        unknown.append((IDENTITY, f"the policies of target role {target}"))
    else:
        for name, spec in policies.items():
            document = spec.document if spec.document is not None else documents.get(name)
            if document is None:
                unknown.append((IDENTITY, name))
            else:
                identity.append(NamedPolicy(name, document))
        if role is None or role.existing:
            unknown.append((IDENTITY, f"the other policies of {role.arn if role else 'its role'}"))
        if role is not None and (arn := role.permissions_boundary):
            boundary = NamedPolicy(arn, documents[arn]) if arn in documents else None
            unknown += [] if boundary else [(arn, arn)]
    session = association.session_policy
    layers = permission_layers(
        identity, boundary, NamedPolicy("session policy", session) if session else None
    )
    subject = Subject(
        cluster_arn=cluster_arn,
        namespace=workload.key.namespace,
        service_account=workload.key.service_account,
        session_tags=not association.disable_session_tags,
        role_arn=target or (role.arn if role else None),
    )
    name = f"{workload.key.namespace}/{workload.key.service_account}"
    return Holder(name, layers, pod_context(subject), tuple(unknown))
