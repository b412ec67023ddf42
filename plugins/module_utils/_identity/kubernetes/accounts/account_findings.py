# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Check the service account of a workload and its namespace. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import FAIL, PASS, WARNING, Check
from .account_plan import Accounts, namespace_terminating

# IRSA: IAM roles for service accounts, the older way to give a Pod an IAM role.
IRSA_ANNOTATION = "eks.amazonaws.com/role-arn"


@dataclass(frozen=True, slots=True)
class AccountState:
    """The service accounts and namespaces of the workloads, as they were read from the cluster.

    ``namespaces`` are the existing namespaces, or None if they could not be listed. ``terminating`` describes, by name, each
    namespace that is being deleted. ``desired`` has the service accounts with their configured labels and annotations.
    """

    accounts: Accounts = field(default_factory=dict)
    namespaces: Collection[str] | None = ()
    terminating: Mapping[str, str] = field(default_factory=dict)
    desired: Accounts = field(default_factory=dict)


def namespace_missing(key: WorkloadKey, state: AccountState) -> Finding | None:
    """Report that the namespace does not exist. Return None if it exists, or if namespaces could not be listed."""
    if state.namespaces is None or key.namespace in state.namespaces:
        return None
    return Finding(
        Code.NAMESPACE_MISSING,
        f"namespace {key.namespace} does not exist.",
        "Create it, or apply the workload with create_namespace: true, which creates it.",
        key,
    )


def in_terminating_namespace(key: WorkloadKey, state: AccountState) -> Finding | None:
    status = state.terminating.get(key.namespace)
    return None if status is None else namespace_terminating(key, status)


def service_account_missing(key: WorkloadKey, state: AccountState) -> Finding | None:
    if key in state.accounts:
        return None
    return Finding(
        Code.SERVICE_ACCOUNT_MISSING,
        f"service account {key.service_account} does not exist in namespace {key.namespace}.",
        "Apply the workload, which creates it (unless create_service_account is false), or create it with the "
        "workload's own manifests.",
        key,
    )


def service_account_terminating(key: WorkloadKey, state: AccountState) -> Finding | None:
    if not state.accounts[key].is_terminating:
        return None
    return Finding(
        Code.BEING_DELETED,
        f"service account {key.service_account} in namespace {key.namespace} is being deleted, but is kept "
        "until its finalizers are removed.",
        "Have the controllers that set the finalizers remove them. Then apply the workload, which creates the service "
        f"account again. To see the finalizers: kubectl get serviceaccount {key.service_account} -n {key.namespace} -o yaml",
        key,
    )


def service_account_differs(key: WorkloadKey, state: AccountState) -> Finding | None:
    """Report configured labels and annotations that are missing or differ. Additional labels and annotations are accepted."""
    target, account = state.desired.get(key), state.accounts[key]
    if target is None:
        return None
    texts = [
        f"{kind} {name} is {present.get(name) or '(none)'}, not {value}"
        for kind, desired, present in (
            ("label", target.labels, account.labels),
            ("annotation", target.annotations, account.annotations),
        )
        for name, value in desired.items()
        if present.get(name) != value
    ]
    if not texts:
        return None
    return Finding(
        Code.SERVICE_ACCOUNT_DIFFERS,
        f"service account {key.service_account} in namespace {key.namespace} differs from its configuration: "
        f"{'; '.join(texts)}.",
        "Apply the workload, which corrects it. If another field manager owns one of these fields, the API "
        "server rejects the correction, unless pod_identity_force is true.",
        key,
    )


def irsa_annotation(key: WorkloadKey, state: AccountState) -> Finding | None:
    """Report the IRSA annotation. Pods that were created before the association still use the role in the annotation."""
    role = state.accounts[key].annotations.get(IRSA_ANNOTATION)
    if not role:
        return None
    return Finding(
        Code.IRSA_ANNOTATION,
        f"service account {key.service_account} still has the annotation {IRSA_ANNOTATION} ({role}). New Pods "
        "get EKS Pod Identity alone; Pods that were created earlier keep that role.",
        "Once its Pods are recreated and verified, remove the annotation: kubectl annotate serviceaccount "
        f"{key.service_account} {IRSA_ANNOTATION}- -n {key.namespace}",
        key,
    )


def check_account(key: WorkloadKey, state: AccountState) -> Check:
    """Return the check of a service account. Of several findings, only the first one is reported."""
    predicates = (
        namespace_missing,
        in_terminating_namespace,
        service_account_missing,
        service_account_terminating,
        service_account_differs,
        irsa_annotation,
    )
    finding = next((result for predicate in predicates if (result := predicate(key, state))), None)
    if finding is None:
        return Check("service account", PASS)
    return Check("service account", FAIL if finding.severity == "error" else WARNING, findings=(finding,))
