# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the chain of a workload as it must be? Desired beside observed gives checks and findings. Pure.

Five of the checks are the confirmations of the EKS User Guide ("Configure a Kubernetes service account
to assume an IAM role with EKS Pod Identity"); each is a small function of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..._policy.language.document import load_document
from ..model.checks import Verified
from ..model.desired import AssociationSpec, Desired, RoleSpec, Workload
from ..model.names import parse_role_arn
from ..model.observed import Observed, ObservedAssociation, VerificationReads
from .association import check_association
from .cluster import check_agent
from .documents import Lints
from .grants import check_grants, extra_permissions, with_extra
from .permissions import check_permissions
from .policies import check_attachment, check_contents, check_version
from .settings import policy_settings, role_settings, with_settings
from .trust_others import let_in_beside, with_others
from .trust_policy import check_trust_policy
from .width import widest_scopes

NO_LINTS = Lints()


def verify(
    desired: Desired, observed: Observed, reads: VerificationReads, lints: Lints = NO_LINTS
) -> list[Verified]:
    """The checks of every workload of the clusters that could be read, in the order in which they are shown."""
    agents = {key: check_agent(cluster, reads) for key, cluster in observed.clusters.members.items()}
    scopes = widest_scopes(desired)
    extra = extra_permissions(desired, observed, reads)
    let_in = let_in_beside(desired, observed)
    verified = []
    clusters_reported: set[str] = set()
    for workload in desired.workloads:
        if workload.key not in observed.clusters:
            continue
        agent = agents[workload.key.cluster]
        if workload.key.cluster in clusters_reported:
            # What is wrong with a cluster is one finding, not one for every workload.
            agent = replace(agent, findings=())
        clusters_reported.add(workload.key.cluster)
        trust = check_trust_policy(workload, observed, scopes)
        contents = check_contents(workload, observed, reads)
        permissions = check_permissions(workload, observed, reads) or check_grants(workload, observed, reads)
        checks = (
            with_settings(
                with_others(trust, let_in.get(workload.key, ())), role_settings(workload, observed)
            ),
            with_extra(check_attachment(workload, observed), extra.get(workload.key, [])),
            check_version(workload, observed, reads),
            contents
            and with_settings(
                contents, [*policy_settings(workload, observed), *lints.policies.get(workload.key, ())]
            ),
            permissions and with_settings(permissions, lints.required.get(workload.key, ())),
            check_association(workload, observed, reads),
            agent,
        )
        verified.append(Verified(workload, tuple(check for check in checks if check is not None)))
    return verified


def workloads_of(associations: Iterable[ObservedAssociation]) -> tuple[Workload, ...]:
    """The workloads that have these associations: each with its role, used as it is."""
    workloads = []
    for association in sorted(associations, key=lambda association: association.key):
        parts = parse_role_arn(association.role_arn)
        role = RoleSpec(name=parts.name if parts else "", arn=association.role_arn)
        # Nobody listed settings, so the association is compared with itself.
        settings = AssociationSpec(
            association.target_role_arn,
            association.disable_session_tags,
            load_document(association.session_policy or {}),
        )
        workloads.append(Workload(association.key, role, association=settings))
    return tuple(workloads)
