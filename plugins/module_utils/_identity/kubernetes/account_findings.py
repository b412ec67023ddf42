# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the service account as it must be? Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.key import WorkloadKey
from ..model.checks import FAIL, PASS, WARNING, Check
from .objects import ServiceAccount

IRSA_ANNOTATION = "eks.amazonaws.com/role-arn"

Accounts = Mapping[WorkloadKey, ServiceAccount]


def namespace_missing(key: WorkloadKey, namespaces: Collection[str]) -> Finding | None:
    """Kubernetes puts a service account "default" into each namespace; one without any does not exist."""
    if key.namespace in namespaces:
        return None
    return Finding(
        Code.NAMESPACE_MISSING,
        f"namespace {key.namespace} does not exist.",
        "Create it, or run site.yml with create_namespace: true for the workload.",
        key,
    )


def service_account_missing(key: WorkloadKey, accounts: Accounts) -> Finding | None:
    if key in accounts:
        return None
    return Finding(
        Code.SERVICE_ACCOUNT_MISSING,
        f"service account {key.service_account} does not exist in namespace {key.namespace}.",
        "Run site.yml, which creates it (unless create_service_account is false), or create it with the "
        "workload's own manifests.",
        key,
    )


def irsa_annotation(key: WorkloadKey, accounts: Accounts) -> Finding | None:
    """Left over from IAM roles for service accounts; Pods admitted before the association still use it."""
    role = accounts[key].annotations.get(IRSA_ANNOTATION)
    if not role:
        return None
    return Finding(
        Code.IRSA_ANNOTATION,
        f"service account {key.service_account} still has the annotation {IRSA_ANNOTATION} ({role}). New Pods "
        "get EKS Pod Identity alone; Pods admitted earlier keep that role.",
        "Once its Pods are recreated and verified, remove it: kubectl annotate serviceaccount "
        f"{key.service_account} {IRSA_ANNOTATION}- -n {key.namespace}",
        key,
    )


def check_account(key: WorkloadKey, accounts: Accounts, namespaces: Collection[str]) -> Check:
    """At most one finding: the first cause. ``namespaces`` are those that have service accounts."""
    finding = (
        namespace_missing(key, namespaces)
        or service_account_missing(key, accounts)
        or irsa_annotation(key, accounts)
    )
    if finding is None:
        return Check("service account", PASS)
    return Check("service account", FAIL if finding.severity == "error" else WARNING, findings=(finding,))
