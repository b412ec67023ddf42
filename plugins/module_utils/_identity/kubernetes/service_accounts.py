# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Service accounts and namespaces: what is wanted beside what kubernetes.core found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._findings.codes import Code
from ..model.messages import SHOWN_UNLISTED, listed

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY_LABEL_VALUE = "workload_identity.aws"
OWNER_LABEL = "workload-identity/owner"

_CLUSTER_MISSING = Code.CLUSTER_MISSING

Object = Mapping[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class KubernetesPlan:
    """Definitions for kubernetes.core.k8s, in order, and what stands in the way.

    ``waiting`` holds the service accounts whose namespace is itself in ``definitions``: in check
    mode the API server would refuse them, as the namespace is not there. ``stale`` holds those that
    are ours but no longer wanted, for a purge. ``findings`` says which a removal leaves, and why.
    """

    definitions: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    stale: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    findings: list[dict[str, str]] = field(default_factory=list)


def key_of(item: Object) -> Key:
    metadata = item.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def is_ours(item: Object) -> bool:
    labels = (item.get("metadata") or {}).get("labels") or {}
    return bool(labels.get(MANAGED_BY_LABEL) == MANAGED_BY_LABEL_VALUE)


def namespaces_unknown(workloads: Iterable[Object], service_accounts: Iterable[Object]) -> bool:
    """Whether the namespaces have to be read as well.

    Kubernetes puts a service account ``default`` into every namespace, so a namespace without any
    is most likely not there.
    """
    there = {key_of(item)[0] for item in service_accounts}
    return any(_key(workload)[0] not in there for workload in workloads)


def plan_present(
    workloads: Sequence[Object],
    service_accounts: Sequence[Object],
    namespaces: Sequence[Object],
    create_service_accounts: bool = True,
    create_namespaces: bool = False,
    owner: str | None = None,
) -> KubernetesPlan:
    """Only what is missing or differs; an object that already is as wanted costs no request.

    A service account that exists is only ever given the labels and annotations that were asked for;
    it does not become ours by that.
    """
    plan = KubernetesPlan()
    found = {key_of(item): item for item in service_accounts}
    there = {key_of(item)[1] for item in namespaces} | {key[0] for key in found}
    # One workload that makes a namespace makes it for the others too.
    made = {_key(one)[0] for one in workloads if _wish(one, "create_namespace", create_namespaces)}
    new: dict[str, None] = {}
    for workload in workloads:
        key = _key(workload)
        if "" in key:
            continue  # eks_pod_identity refuses it, and says where.
        namespace = key[0]
        present = found.get(key)
        if present is None and namespace not in there:
            if namespace not in made:
                plan.problems.append(_no_namespace(key))
                continue
            new[namespace] = None
        if present is None and not _wish(workload, "create_service_account", create_service_accounts):
            plan.problems.append(_no_service_account(key))
            continue
        definition = _definition(workload, key, present is None or is_ours(present), owner)
        if present is not None and _contains(present, definition):
            continue
        (plan.waiting if namespace in new else plan.definitions).append(definition)
    plan.definitions[:0] = [_namespace(name) for name in new]
    return plan


def plan_absent(
    workloads: Iterable[Object], service_accounts: Iterable[Object], removed: Object | None = None
) -> KubernetesPlan:
    """The service accounts of the workloads that were made by us. Namespaces stay.

    ``removed`` is the result of eks_pod_identity for the same workloads. Where that failed, the service
    account stays for the next run. Without the cluster all stay: the Kubernetes API that answers is then
    not known to be that of the cluster, or the cluster's name, account or region is wrong.
    """
    result = removed or {}
    wanted = {_key(workload) for workload in workloads}
    ours = [key for item in service_accounts if (key := key_of(item)) in wanted and is_ours(item)]
    if ours and any(finding["code"] == _CLUSTER_MISSING for finding in result.get("findings", ())):
        return KubernetesPlan(findings=[_other_cluster(ours, str(result["cluster_arn"]))])
    failed = {str(failure["workload"]) for failure in result.get("failures", ())}
    plan = KubernetesPlan([_service_account(key) for key in ours if "/".join(key) not in failed])
    if waiting := [key for key in ours if "/".join(key) in failed]:
        plan.findings.append(_waiting(waiting))
    return plan


def found_after(service_accounts: Iterable[Object], plan: Object) -> dict[Key, Object]:
    """The service accounts that there are once the definitions of a plan have been applied."""
    made = [*plan.get("definitions", ()), *plan.get("waiting", ())]
    objects = [*service_accounts, *(item for item in made if item["kind"] == "ServiceAccount")]
    return {key_of(item): item for item in objects}


def described(plan: Object, state: str) -> list[str]:
    """One line for each object that the plan makes, changes or removes."""
    verb = "remove" if state == "absent" else "apply"
    items = [(verb, item) for item in (*plan.get("definitions", ()), *plan.get("waiting", ()))]
    items += [("remove", item) for item in plan.get("stale", ())]
    return [
        f"{verb} {item['kind']} {'/'.join(part for part in key_of(item) if part)}" for verb, item in items
    ]


def plan_purge(
    workloads: Iterable[Object],
    service_accounts: Iterable[Object],
    namespaces: Sequence[str] = (),
    owner: str | None = None,
    limit: int = 10,
) -> KubernetesPlan:
    """The service accounts that we made and that no workload asks for (any more)."""
    wanted = {_key(workload) for workload in workloads}
    plan = KubernetesPlan()
    for item in service_accounts:
        key = key_of(item)
        labels = (item.get("metadata") or {}).get("labels") or {}
        if key in wanted or not is_ours(item) or (namespaces and key[0] not in namespaces):
            continue
        if owner is None or labels.get(OWNER_LABEL) == owner:
            plan.stale.append(_service_account(key))
    if len(plan.stale) > limit:
        names = _listed([key_of(item) for item in plan.stale])
        plan.problems.append(
            f"purge would remove {len(plan.stale)} service accounts that are not listed ({names}), but "
            f"pod_identity_purge_limit is {limit}. Check that the list is complete, or raise it to "
            f"{len(plan.stale)}."
        )
    return plan


def _key(workload: Object) -> Key:
    return str(workload.get("namespace") or ""), str(workload.get("service_account") or "")


def _wish(workload: Object, name: str, default: bool) -> bool:
    value = workload.get(name)
    if value is None:
        return default
    # A templated boolean arrives as text with ansible-core before 2.19.
    return value if isinstance(value, bool) else str(value).lower() in ("true", "yes", "on", "1")


def _namespace(name: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _service_account(key: Key) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": key[0], "name": key[1]}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def _definition(workload: Object, key: Key, ours: bool, owner: str | None) -> dict[str, Any]:
    definition = _service_account(key)
    labels = dict(_mapping(workload, "service_account_labels"))
    if ours:
        labels = {**labels, MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE}
        if owner is not None:
            labels[OWNER_LABEL] = owner
    if labels:
        definition["metadata"]["labels"] = labels
    if annotations := _mapping(workload, "service_account_annotations"):
        definition["metadata"]["annotations"] = dict(annotations)
    return definition


def _mapping(workload: Object, name: str) -> Object:
    """What is no mapping is left for eks_pod_identity to refuse."""
    value = workload.get(name)
    return value if isinstance(value, Mapping) else {}


def _contains(present: Object, definition: Object) -> bool:
    """Whether an object already has all that a definition asks for."""
    metadata = present.get("metadata") or {}
    for part in ("labels", "annotations"):
        have = metadata.get(part) or {}
        for name, value in definition["metadata"].get(part, {}).items():
            if have.get(name) != value:
                return False
    return True


def _other_cluster(keys: Sequence[Key], cluster_arn: str) -> dict[str, str]:
    parts = cluster_arn.split(":", 5)
    region, account, name = parts[3], parts[4], parts[5].partition("/")[2]
    return {
        "code": Code.SERVICE_ACCOUNTS_STAY,
        "severity": "error",
        "workload": "",
        "message": (
            f"EKS has no cluster {name} in account {account}, region {region}, yet the Kubernetes API of the "
            f"kubeconfig answers and has service accounts that were made for these workloads "
            f"({_listed(keys)}). They stay: it may be the API of another cluster."
        ),
        "remedy": (
            "Check pod_identity_cluster_name, the AWS account and the region, and that the kubeconfig is of "
            "the same cluster, and run again. If that cluster is gone, remove the rest with the module "
            "eks_pod_identity and state: absent."
        ),
    }


def _waiting(keys: Sequence[Key]) -> dict[str, str]:
    return {
        "code": Code.SERVICE_ACCOUNTS_WAIT,
        "severity": "warning",
        "workload": "",
        "message": f"the service accounts of workloads that could not be removed in AWS stay: {_listed(keys)}.",
        "remedy": "Resolve those failures and run again, which removes them.",
    }


def _listed(keys: Sequence[Key]) -> str:
    return listed(("/".join(key) for key in keys), SHOWN_UNLISTED)


def _no_namespace(key: Key) -> str:
    return (
        f"workload {'/'.join(key)}: namespace {key[0]} does not exist. Create it, or set "
        "create_namespace: true for the workload (pod_identity_create_namespaces for all)."
    )


def _no_service_account(key: Key) -> str:
    return (
        f"workload {'/'.join(key)}: service account {key[1]} does not exist in namespace {key[0]} and "
        "create_service_account is false. Create it first, or let it be created."
    )
