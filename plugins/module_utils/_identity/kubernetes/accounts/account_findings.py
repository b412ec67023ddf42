# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the service account as it must be? Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import FAIL, PASS, WARNING, Check
from .account_plan import Accounts, namespace_going

IRSA_ANNOTATION = "eks.amazonaws.com/role-arn"


@dataclass(frozen=True, slots=True)
class AccountState:
    """``namespaces`` are those of the workloads that exist, None where that is not known; ``going`` describes those that are
    being deleted. ``wanted`` has the labels and annotations that workloads ask for."""

    accounts: Accounts = field(default_factory=dict)
    namespaces: Collection[str] | None = ()
    going: Mapping[str, str] = field(default_factory=dict)
    wanted: Accounts = field(default_factory=dict)


def namespace_missing(key: WorkloadKey, state: AccountState) -> Finding | None:
    if state.namespaces is None or key.namespace in state.namespaces:
        return None
    return Finding(
        Code.NAMESPACE_MISSING,
        f"namespace {key.namespace} does not exist.",
        "Create it, or apply the workload, which does where create_namespace is true.",
        key,
    )


def in_namespace_going(key: WorkloadKey, state: AccountState) -> Finding | None:
    how = state.going.get(key.namespace)
    return None if how is None else namespace_going(key, how)


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


def service_account_going(key: WorkloadKey, state: AccountState) -> Finding | None:
    if not state.accounts[key].is_going:
        return None
    return Finding(
        Code.SERVICE_ACCOUNT_GOING,
        f"service account {key.service_account} in namespace {key.namespace} is being deleted, and waits for its "
        "finalizers.",
        "Have whoever set them remove them, and apply the workload, which creates it anew. It shows them: kubectl get "
        f"serviceaccount {key.service_account} -n {key.namespace} -o yaml",
        key,
    )


def service_account_differs(key: WorkloadKey, state: AccountState) -> Finding | None:
    """Labels and annotations that the workload asks for; others may be there as well."""
    wanted, account = state.wanted.get(key), state.accounts[key]
    if wanted is None:
        return None
    texts = [
        f"{kind} {name} is {present.get(name) or '(none)'}, not {value}"
        for kind, asked, present in (
            ("label", wanted.labels, account.labels),
            ("annotation", wanted.annotations, account.annotations),
        )
        for name, value in asked.items()
        if present.get(name) != value
    ]
    if not texts:
        return None
    return Finding(
        Code.SERVICE_ACCOUNT_DIFFERS,
        f"service account {key.service_account} in namespace {key.namespace} is not as asked for: {', '.join(texts)}.",
        "Apply the workload, which corrects it. Where another field manager set it meanwhile, by hand or otherwise, the API "
        "server refuses that, unless pod_identity_force_conflicts is true.",
        key,
    )


def irsa_annotation(key: WorkloadKey, state: AccountState) -> Finding | None:
    """Left over from IAM roles for service accounts; Pods admitted before the association still use it."""
    role = state.accounts[key].annotations.get(IRSA_ANNOTATION)
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


def check_account(key: WorkloadKey, state: AccountState) -> Check:
    """At most one finding: the first cause."""
    predicates = (
        namespace_missing,
        in_namespace_going,
        service_account_missing,
        service_account_going,
        service_account_differs,
        irsa_annotation,
    )
    finding = next((result for predicate in predicates if (result := predicate(key, state))), None)
    if finding is None:
        return Check("service account", PASS)
    return Check("service account", FAIL if finding.severity == "error" else WARNING, findings=(finding,))
