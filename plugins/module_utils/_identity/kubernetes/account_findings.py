# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the service account as it must be? Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..._findings.codes import Code

Key = tuple[str, str]
Finding = dict[str, Any]

IRSA_ANNOTATION = "eks.amazonaws.com/role-arn"


def namespace_missing(key: Key, spaces: Collection[str]) -> Finding | None:
    """Kubernetes puts a service account "default" into each namespace; one without any is not there."""
    if key[0] in spaces:
        return None
    return _finding(
        key,
        Code.NAMESPACE_MISSING,
        "error",
        f"namespace {key[0]} does not exist.",
        "Create it, or run site.yml with create_namespace: true for the workload.",
    )


def service_account_missing(key: Key, accounts: Mapping[Key, object]) -> Finding | None:
    if key in accounts:
        return None
    return _finding(
        key,
        Code.SERVICE_ACCOUNT_MISSING,
        "error",
        f"service account {key[1]} does not exist in namespace {key[0]}.",
        "Run site.yml, which creates it (unless create_service_account is false), or create it with the "
        "workload's own manifests.",
    )


def irsa_annotation(key: Key, accounts: Mapping[Key, Any]) -> Finding | None:
    """Left over from IAM roles for service accounts; Pods admitted before the association still use it."""
    role = (accounts[key]["metadata"].get("annotations") or {}).get(IRSA_ANNOTATION)
    if not role:
        return None
    return _finding(
        key,
        Code.IRSA_ANNOTATION,
        "warning",
        f"service account {key[1]} still has the annotation {IRSA_ANNOTATION} ({role}). New Pods get EKS Pod "
        "Identity alone; Pods admitted earlier keep that role.",
        "Once its Pods are recreated and verified, remove it: kubectl annotate serviceaccount "
        f"{key[1]} {IRSA_ANNOTATION}- -n {key[0]}",
    )


def account_findings(key: Key, accounts: Mapping[Key, Any], spaces: Collection[str]) -> list[Finding]:
    """At most one: the first cause. ``spaces`` are the namespaces that have service accounts."""
    found = (
        namespace_missing(key, spaces)
        or service_account_missing(key, accounts)
        or irsa_annotation(key, accounts)
    )
    return [found] if found else []


def _finding(key: Key, code: str, severity: str, message: str, remedy: str) -> Finding:
    return {
        "code": code,
        "severity": severity,
        "workload": "/".join(key),
        "message": message,
        "remedy": remedy,
    }
