# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Do the policies that are asked for grant anything? Said of what a user wrote, before or without any change. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._policy.language.document import Policy, parse_policy
from ..._policy.permissions.bucket_objects import find_bucket_grants
from ..._policy.permissions.catalogue import Catalogue, lint_policy
from ..model.desired import Workload


def lint_documents(workloads: Sequence[Workload], catalogue: Catalogue | None) -> list[Finding]:
    """Findings on the policies that are made here, each by the first workload that has it.

    Where permissions are required, the verification says what is missing, and why is not said again.
    """
    findings: dict[str, list[Finding]] = {}
    for workload in workloads:
        for spec in workload.policies:
            if spec.document is None or spec.name in findings:
                continue
            policy = parse_policy(spec.document, "identity")
            of_policy = list(_bucket_grants(policy, spec.name))
            if catalogue is not None:
                statements = {finding.statement for finding in of_policy}
                of_policy += [
                    finding
                    for finding in lint_policy(catalogue, policy, f"policy {spec.name}")
                    if finding.code == Code.PERMISSION_NO_SUCH_ACTION or finding.statement not in statements
                ]
            findings[spec.name] = [
                replace(finding, workload=workload.key)
                for finding in of_policy
                if finding.code == Code.PERMISSION_NO_SUCH_ACTION or not workload.required_permissions
            ]
    return [finding for of_policy in findings.values() for finding in of_policy]


def _bucket_grants(policy: Policy, name: str) -> Iterator[Finding]:
    for statement in policy.statements:
        for action, bucket in find_bucket_grants(statement):
            yield Finding(
                Code.PERMISSION_RESOURCE_MISMATCH,
                f"policy {name}: {statement.label} allows {action} on nothing it could act on: it acts on objects, and "
                f"{bucket} is a bucket.",
                f"Name the objects, such as {bucket}/*.",
                statement=f"policy {name}: {statement.label}",
            )
