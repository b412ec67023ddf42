# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Can the workloads use a role whose trust policy is not ours? Asked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._findings.codes import Code
from ..._findings.key import WorkloadKey
from ..._policy.evaluation.request import Subject
from ..._policy.trust.trust import TrustVerdict, check_trust
from ..model.cluster import Cluster, Clusters
from ..model.desired import Workload
from ..model.failures import Failure
from ..model.targets import trust_target


def subject_of(cluster: Cluster, key: WorkloadKey, role_arn: str, disabled: bool) -> Subject:
    """What is known of a workload's request. ``disabled``: session tags are turned off."""
    return Subject(
        cluster_arn=cluster.arn,
        namespace=key.namespace,
        service_account=key.service_account,
        account_id=cluster.account_id,
        partition=cluster.partition,
        role_arn=role_arn,
        session_tags=not disabled,
    )


def trust_failures(
    clusters: Clusters,
    users: Sequence[Workload],
    trust: Mapping[str, object],
    role_arn: str,
) -> list[Failure]:
    """A failure for each workload that the trust policy certainly keeps out."""
    failures = []
    for workload in users:
        disabled = bool(workload.association.disable_session_tags)
        verdict = check_trust(trust, subject_of(clusters.of(workload.key), workload.key, role_arn, disabled))
        if verdict.usable == "no":
            failures.append(
                Failure(
                    (workload.key,),
                    trust_target(role_arn),
                    "read",
                    Code.TRUST_NOT_USABLE,
                    f"role {role_arn} cannot be used by {workload.key}: {reasons(verdict)}",
                    given_trust_remedy(workload)
                    or "Have the trust policy corrected, or set role.extend_trust: true to have our statement added "
                    "to it.",
                )
            )
    return failures


def given_trust_remedy(workload: Workload) -> str:
    """What to do where a user wrote the trust policy himself; "" where not."""
    if workload.role is None or workload.role.trust_policy is None:
        return ""
    return (
        "Correct role.trust_policy, and apply the workload; or leave it out, and the trust policy is written for the "
        "workloads of the role."
    )


def reasons(verdict: TrustVerdict) -> str:
    """The errors among the findings of a verdict that keep the workload out, in one line."""
    errors = [
        finding.message
        for finding in verdict.findings
        if finding.severity == "error" and finding.code != Code.TRUST_OPEN_TO_EVERYONE
    ]
    return " ".join(errors) or "its trust policy does not allow EKS Pod Identity."
