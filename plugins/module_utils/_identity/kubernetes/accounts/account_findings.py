# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Check the service account of a workload and its namespace. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import PASS, Check, conclude
from .account_plan import Preflight, namespace_terminating

# IRSA: IAM roles for service accounts, the older way to give a Pod an IAM role.
IRSA_ANNOTATION = "eks.amazonaws.com/role-arn"


def check_account(key: WorkloadKey, state: Preflight) -> Check:
    """Return the check of a service account. Of several findings, only the first one is reported.

    :arg state: the service accounts and namespaces, as they were read from the cluster.
    """
    finding = next(_find_faults(key, state), None)
    return conclude("service account", finding) if finding else Check("service account", PASS)


def _find_faults(key: WorkloadKey, state: Preflight) -> Iterator[Finding]:
    name, namespace = key.service_account, key.namespace
    account, desired = state.accounts.get(key), state.desired.get(key)
    inhabited = {present.namespace for present in state.accounts}
    if state.namespaces is not None and namespace not in {*state.namespaces, *inhabited}:
        yield Finding(
            Code.NAMESPACE_MISSING,
            f"namespace {namespace} does not exist.",
            "Create it, or apply the workload with create_namespace: true, which creates it.",
            key,
        )
    if namespace in state.terminating:
        yield namespace_terminating(key, state.terminating[namespace])
    if account is None:
        yield Finding(
            Code.SERVICE_ACCOUNT_MISSING,
            f"service account {name} does not exist in namespace {namespace}.",
            "Apply the workload, which creates it (unless create_service_account is false), or create it with the "
            "workload's own manifests.",
            key,
        )
        return
    if account.is_terminating:
        yield Finding(
            Code.BEING_DELETED,
            f"service account {name} in namespace {namespace} is being deleted, but is kept until its finalizers are removed.",
            "Have the controllers that set the finalizers remove them. Then apply the workload, which creates the service "
            f"account again. To see the finalizers: kubectl get serviceaccount {name} -n {namespace} -o yaml",
            key,
        )
    # Additional labels and annotations are accepted.
    texts = (
        [
            f"{kind} {field} is {present.get(field) or '(none)'}, not {value}"
            for kind, configured, present in (
                ("label", desired.labels, account.labels),
                ("annotation", desired.annotations, account.annotations),
            )
            for field, value in configured.items()
            if present.get(field) != value
        ]
        if desired
        else []
    )
    if texts:
        yield Finding(
            Code.SERVICE_ACCOUNT_DIFFERS,
            f"service account {name} in namespace {namespace} differs from its configuration: {'; '.join(texts)}.",
            "Apply the workload, which corrects it. If another field manager owns one of these fields, the API "
            "server rejects the correction, unless pod_identity_force is true.",
            key,
        )
    if role := account.annotations.get(IRSA_ANNOTATION):
        yield Finding(
            Code.IRSA_ANNOTATION,
            f"service account {name} still has the annotation {IRSA_ANNOTATION} ({role}). New Pods "
            "get EKS Pod Identity alone; Pods that were created earlier keep that role.",
            "Once its Pods are recreated and verified, remove the annotation: kubectl annotate serviceaccount "
            f"{name} {IRSA_ANNOTATION}- -n {namespace}",
            key,
        )
