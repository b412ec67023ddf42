# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What an API shows that is not proven to be the cluster's says nothing of the cluster. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ...._findings.codes import Code
from ...._findings.finding import Finding
from ...model.checks import UNKNOWN, Check
from ..model.aws_result import AwsResult, Verification
from .outcome import KubernetesOutcome

_DOUBTS = (Code.KUBERNETES_API_DIFFERS, Code.KUBERNETES_API_UNKNOWN)


def find_doubt(aws: AwsResult) -> Finding | None:
    """Why the API may be another cluster's. The AWS half says it, which knows what EKS says of the cluster."""
    findings = (*aws.findings, *aws.verification.findings)
    return next((finding for finding in findings if finding.code in _DOUBTS), None)


def leave_open(verification: Verification, doubt: Finding, names: Sequence[str]) -> KubernetesOutcome:
    """Every check of Kubernetes unknown; ``names`` are those beside service account and agent. What EKS says of the
    agent's add-on is of the right cluster, and counts."""
    checks = [Check(name, UNKNOWN, findings=(doubt,)) for name in ("service account", "agent", *names)]
    return KubernetesOutcome(
        checks={workload.key: checks for workload in verification.workloads},
        findings=[doubt] if verification.workloads else [],
    )


def what_is_left_out(restart: bool, proof: bool) -> str:
    """A warning for what was asked for and not done; "" when there is nothing of the kind."""
    left_out = [
        text for text, asked in (("no Pod was restarted", restart), ("no proof was run", proof)) if asked
    ]
    if not left_out:
        return ""
    text = " and ".join(left_out)
    return (
        f"{text[0].upper()}{text[1:]}: the Kubernetes API of the kubeconfig is not proven to be that of the cluster, as "
        "the findings say."
    )
