# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read service accounts and namespaces before any change, compare them with the workloads, plan their changes, and check them.

All requests go through the ``ClusterReader`` that the caller passes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import PASS, Check, conclude
from ...model.cluster import ApiServer
from ...model.desired import PurgeScope, Workload
from ...model.errors import SHOWN_UNLISTED, listed, sentence
from ..api.api_errors import FORBIDDEN, ApiError
from ..api.cluster import ClusterReader, Query
from ..model.aws_result import AwsResult
from ..model.objects import (
    MANAGED_BY_LABELS,
    OWNER_LABEL,
    Object,
    ServiceAccount,
    common_namespace,
    is_managed,
    is_terminating,
    member,
    object_name,
    other_owner,
    parse_service_account,
)

Accounts = Mapping[WorkloadKey, ServiceAccount]


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """The planned changes of service accounts and namespaces, and the reasons why some changes cannot be made.

    ``manifests`` are applied in this order. ``waiting`` are further service accounts to apply, whose namespace is in
    ``manifests``. Check mode skips them, because the API server would reject a service account without its namespace.
    ``removed`` are managed service accounts to delete. ``released`` are service accounts that are kept, but lose the labels and
    annotations that this collection applied. ``findings`` report service accounts that are kept, or not applied. ``refused`` has
    a finding for each workload that is skipped, also in AWS. ``problems`` are errors of the whole run.
    """

    manifests: Sequence[Object] = ()
    waiting: Sequence[Object] = ()
    removed: Sequence[Object] = ()
    released: Sequence[Object] = ()
    problems: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    refused: Sequence[Finding] = ()

    @property
    def steps(self) -> list[tuple[str, Object]]:
        """Return the changes in their order, each as a verb ("apply", "remove" or "release") and an object."""
        return [
            *(("apply", item) for item in (*self.manifests, *self.waiting)),
            *(("remove", item) for item in self.removed),
            *(("release", item) for item in self.released),
        ]

    @property
    def lines(self) -> list[str]:
        """Return a line for each change, like "apply ServiceAccount default/app"."""
        return [f"{verb} {item['kind']} {object_name(item)}" for verb, item in self.steps]


def plan_apply(
    workloads: Sequence[Workload],
    accounts: Accounts,
    namespaces: Collection[str],
    owner: str | None = None,
    adopt: bool = False,
    terminating: Mapping[str, str] | None = None,
    unlisted: ApiError | None = None,
) -> AccountPlan:
    """Plan to create missing service accounts and namespaces, and to correct labels and annotations of service accounts.

    An existing unmanaged service account gets the configured labels and annotations, without ownership labels. A service
    account of another owner is not changed, unless ``adopt`` is set.

    :arg accounts: the existing service accounts.
    :arg namespaces: the existing namespaces or, if they could not be listed, those with a service account.
    :arg terminating: a description of each namespace that is being deleted, by name. Workloads in it are skipped.
    :arg unlisted: the error of the request that lists namespaces, or None.
    """
    terminating = terminating or {}
    manifests: list[Object] = []
    waiting: list[Object] = []
    refused: list[Finding] = []
    # If one workload may create a namespace, all other workloads in this namespace can use it, too.
    creatable = {
        workload.key.namespace for workload in workloads if workload.service_account.create_namespace
    }
    new: dict[str, None] = {}
    for workload in workloads:
        key, namespace = workload.key, workload.key.namespace
        account = accounts.get(key)
        if namespace in terminating:
            refused.append(namespace_terminating(key, terminating[namespace]))
            continue
        if account is None and namespace not in namespaces:
            if unlisted is not None or namespace not in creatable:
                refused.append(_no_namespace(key, unlisted))
                continue
            new[namespace] = None
        if account is None and not workload.service_account.create:
            refused.append(
                Finding(
                    Code.SERVICE_ACCOUNT_MISSING,
                    f"service account {key.service_account} does not exist in namespace {namespace}, and "
                    "create_service_account is false.",
                    "Create it first, or set create_service_account: true (pod_identity_create_service_accounts for all).",
                    key,
                )
            )
            continue
        foreign_owner = "" if account is None or adopt else other_owner(account.labels, owner)
        desired = _desired_account(workload, account, owner, adopt)
        configured = {
            *(f"label {name}" for name in desired.labels),
            *(f"annotation {name}" for name in desired.annotations),
        }
        # A change of a terminating service account would be lost when the deletion is complete. The verification reports the
        # deletion.
        if account is not None and (
            account.is_terminating
            or (
                desired.labels.items() <= account.labels.items()
                and desired.annotations.items() <= account.annotations.items()
                and (foreign_owner or account.applied <= configured)
            )
        ):
            continue
        if foreign_owner:
            refused.append(
                Finding(
                    Code.SERVICE_ACCOUNT_OTHER_OWNER,
                    f"service account {key.service_account} in namespace {namespace} belongs to {foreign_owner}, "
                    "but this run would have to change it.",
                    "Have that owner list the workload, or take over the service account with pod_identity_adopt: true.",
                    key,
                )
            )
            continue
        manifest = _service_account(key, desired.labels, desired.annotations)
        (waiting if namespace in new else manifests).append(manifest)
    created = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": dict(MANAGED_BY_LABELS)},
        }
        for name in new
    ]
    return AccountPlan([*created, *manifests], waiting, refused=refused)


def drop_failed_workloads(plan: AccountPlan, aws: AwsResult) -> AccountPlan:
    """Return the plan without service accounts of workloads that failed in AWS, and without namespaces that only they need.

    :arg aws: the result of the AWS part.
    """
    failed = {failure["workload"] for failure in aws.failures} - {""}
    names = [name for item in (*plan.manifests, *plan.waiting) if (name := affected_workload(item)) in failed]
    if not names:
        return plan
    finding = Finding(
        Code.SERVICE_ACCOUNT_KEPT,
        f"the service accounts of workloads that failed in AWS are not applied: {listed(names, SHOWN_UNLISTED)}.",
        "Resolve those failures and run again, which applies the service accounts.",
    )
    manifests, waiting = (
        [item for item in items if affected_workload(item) not in failed]
        for items in (plan.manifests, plan.waiting)
    )
    needed = {object_name(item).namespace for item in waiting}
    manifests = [
        item for item in manifests if item["kind"] != "Namespace" or object_name(item).name in needed
    ]
    return replace(plan, manifests=manifests, waiting=waiting, findings=[*plan.findings, finding])


def plan_removal(
    accounts: Accounts, removal: AwsResult, owner: str | None = None, adopt: bool = False
) -> AccountPlan:
    """Plan to delete the managed service accounts of removed workloads, and to release the unmanaged ones.

    A release removes the labels and annotations that this collection applied. Namespaces are never deleted. Service accounts
    of another owner are kept, unless ``adopt`` is set.

    If the removal of a workload failed in AWS, or kept its association, the service account is kept for the next run. If EKS
    has no such cluster, all service accounts are kept: the Kubernetes API may belong to another cluster, or the name, the account
    or the region of the cluster is wrong.

    :arg accounts: the existing service accounts of the workloads.
    :arg removal: the result of the AWS part.
    """
    # A terminating service account needs no second deletion.
    present = [account for account in accounts.values() if not account.is_terminating]
    managed = [account.key for account in present if is_managed(account.labels)]
    if any(finding.code == Code.CLUSTER_MISSING for finding in removal.findings):
        return AccountPlan(findings=[_other_cluster_finding(managed, removal.cluster_arn)] if managed else [])
    owners = {} if adopt else {key: other_owner(accounts[key].labels, owner) for key in managed}
    in_use = {failure["workload"] for failure in removal.failures}
    in_use |= {str(finding.workload) for finding in removal.findings if finding.code == Code.NOT_OWNED}
    free = [
        account.key for account in present if str(account.key) not in in_use and not owners.get(account.key)
    ]
    remaining = [str(key) for key in managed if str(key) in in_use and not owners.get(key)]
    findings = [
        other_owner_finding(key, foreign_owner) for key, foreign_owner in owners.items() if foreign_owner
    ]
    if remaining:
        kept = Finding(
            Code.SERVICE_ACCOUNT_KEPT,
            "the service accounts of these workloads are kept, because AWS still has resources of the workloads: "
            f"{listed(remaining, SHOWN_UNLISTED)}.",
            "Resolve the failures and findings of the workloads and run again, which removes the service accounts.",
        )
        findings = [kept, *findings]
    return AccountPlan(
        removed=[_service_account(key) for key in free if is_managed(accounts[key].labels)],
        released=[_service_account(key) for key in free if not is_managed(accounts[key].labels)],
        findings=findings,
    )


def plan_purge(
    workloads: Iterable[Workload], accounts: Accounts, owner: str | None, scope: PurgeScope
) -> AccountPlan:
    """Plan to delete the managed service accounts without a workload.

    If the deletions exceed the limit, the plan has a problem.

    :arg owner: the owner whose service accounts are deleted; None for service accounts without owner.
    :arg scope: the limit of the deletions; a percentage is a share of the managed service accounts.
    """
    desired = {workload.key for workload in workloads}
    managed = [
        account.key
        for account in accounts.values()
        if is_managed(account.labels)
        and not account.is_terminating
        and account.labels.get(OWNER_LABEL, "") == (owner or "")
    ]
    keys = [key for key in managed if key not in desired]
    problems = []
    allowed = scope.allowed(len(managed))
    if len(keys) > allowed:
        share = f"{scope.percent}% of the managed service accounts ({len(managed)}), which is {allowed}"
        problems.append(
            f"purge would remove {len(keys)} service account{' that is' if len(keys) == 1 else 's that are'} not listed "
            f"({listed(map(str, keys), SHOWN_UNLISTED)}), but pod_identity_purge_limit is "
            f"{scope.limit if scope.percent is None else share}. Check that the list is complete, or raise the limit to "
            f"{len(keys)}."
        )
    return AccountPlan(removed=[_service_account(key) for key in keys], problems=problems)


def _desired_account(
    workload: Workload, account: ServiceAccount | None, owner: str | None, adopt: bool
) -> ServiceAccount:
    """Return the service account as the workload defines it, with the ownership labels if this run manages it.

    :arg account: the present service account, or None if it does not exist.
    :arg owner: the owner of the run.
    :arg adopt: whether to set the ownership labels even if they name another owner.
    """
    labels = dict(workload.service_account.labels)
    if account is None or (is_managed(account.labels) and (adopt or not other_owner(account.labels, owner))):
        labels |= MANAGED_BY_LABELS
        if owner is not None:
            labels[OWNER_LABEL] = owner
    return ServiceAccount(workload.key, labels, workload.service_account.annotations)


def affected_workload(manifest: Object) -> str:
    """Return the workload of a service account as "namespace/name", or "" for a namespace, which several workloads may share."""
    return str(object_name(manifest)) if manifest["kind"] == "ServiceAccount" else ""


def _service_account(
    key: WorkloadKey, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "namespace": key.namespace,
            "name": key.service_account,
            **({"labels": dict(labels)} if labels else {}),
            **({"annotations": dict(annotations)} if annotations else {}),
        },
    }


def _other_cluster_finding(keys: Sequence[WorkloadKey], cluster_arn: str) -> Finding:
    parts = cluster_arn.split(":", 5)
    region, account, name = parts[3], parts[4], parts[5].partition("/")[2]
    return Finding(
        Code.SERVICE_ACCOUNTS_STAY,
        f"EKS has no cluster {name} in account {account}, region {region}, but the Kubernetes API of the kubeconfig has managed "
        f"service accounts of these workloads: {listed(map(str, keys), SHOWN_UNLISTED)}. They are kept, because that API may "
        "belong to another cluster.",
        "Check that pod_identity_cluster_name, the AWS account, the region and the kubeconfig belong to the same cluster. Then "
        "run again. If the cluster was deleted, remove the remaining AWS resources of the workloads "
        "with the module eks_pod_identity and state: absent.",
    )


def other_owner_finding(key: WorkloadKey, owner: str) -> Finding:
    return Finding(
        Code.SERVICE_ACCOUNT_OTHER_OWNER,
        f"service account {key.service_account} in namespace {key.namespace} belongs to {owner}, "
        "and is kept.",
        "Remove it in a run of this owner (pod_identity_owner), or with pod_identity_adopt: true.",
        key,
    )


def namespace_terminating(key: WorkloadKey, status: str) -> Finding:
    return Finding(
        Code.BEING_DELETED,
        f"namespace {key.namespace} {status}",
        "Remove the workload from the list. Or wait until the namespace is deleted, recreate it, and apply the workload. To "
        f"see what delays the deletion: kubectl get namespace {key.namespace} -o yaml",
        key,
    )


def _no_namespace(key: WorkloadKey, unlisted: ApiError | None) -> Finding:
    """Return the finding about a namespace that does not exist or, with the error of the list of namespaces, may not exist."""
    if unlisted is None:
        return Finding(
            Code.NAMESPACE_MISSING,
            f"namespace {key.namespace} does not exist.",
            "Create it, or set create_namespace: true for a workload in it (pod_identity_create_namespaces for all).",
            key,
        )
    return Finding(
        Code.KUBERNETES_NOT_READABLE,
        f"namespaces could not be listed, so it is not known whether namespace {key.namespace} exists: "
        f"{sentence(unlisted.text)}",
        "Allow the caller of the Kubernetes API to list namespaces: docs/iam-permissions.md has the manifests.",
        key,
    )


TaskState = Literal["present", "absent", "verify"]


@dataclass(frozen=True, slots=True)
class Preflight:
    """The service accounts and namespaces of the workloads before any change, and the plan for them.

    ``accounts`` are the existing service accounts. ``namespaces`` are the namespaces that are known to exist, or None if a
    verification could not list them. ``terminating`` describes, by name, each namespace that is being deleted. ``desired`` has
    the service accounts with their configured labels and annotations. ``server`` is the API server of the connection. ``owner``
    and ``adopt`` are options of the run: with ``adopt``, objects of other owners may be changed and deleted. ``breakage`` has a
    finding for each workload whose Pods would lose, or may lose, their present credentials if it got an association.
    """

    accounts: Accounts = field(default_factory=dict)
    namespaces: Collection[str] | None = ()
    terminating: Mapping[str, str] = field(default_factory=dict)
    desired: Accounts = field(default_factory=dict)
    plan: AccountPlan = field(default_factory=AccountPlan)
    server: ApiServer = field(default_factory=ApiServer)
    owner: str | None = None
    adopt: bool = False
    breakage: Sequence[Finding] = ()


def expected_changes(preflight: Preflight, removes: bool) -> list[Object]:
    """Return the changes that a run would make if AWS refused none, in the form of the changes in AWS, for an approval.

    :arg removes: whether the run removes the workloads. Their service accounts are planned only after the AWS part.
    """
    plan = preflight.plan
    if removes:
        managed, others = (
            [
                _service_account(key)
                for key, account in preflight.accounts.items()
                if is_managed(account.labels) is kind
            ]
            for kind in (True, False)
        )
        plan = AccountPlan(removed=managed, released=others)
    return [
        {
            "action": verb,
            "resource": item["kind"],
            "name": str(object_name(item)),
            "before": None,
            "after": member(item, "metadata"),
        }
        for verb, item in plan.steps
    ]


def read_accounts(
    reader: ClusterReader,
    workloads: Sequence[Workload],
    cluster: str,
    state: TaskState,
    owner: str | None = None,
    purge: PurgeScope | None = None,
    adopt: bool = False,
    service_accounts: Sequence[Object] | None = None,
) -> Preflight | ApiError:
    """Read service accounts and namespaces before any change, and plan the changes. Return the error if a required read fails.

    One request lists the service accounts: of a single namespace if all workloads are in that namespace and nothing is purged,
    otherwise of the whole cluster. If a service account is missing, a second request lists the namespaces, except for "absent".

    :arg cluster: the value of ``cluster`` in the keys of the workloads.
    :arg state: for "verify" and "absent" the plan is empty; a removal is planned after the AWS part.
    :arg purge: the scope of a purge, or None.
    :arg adopt: whether the run may change managed service accounts of other owners.
    :arg service_accounts: all service accounts of the cluster, if the run has already listed them. They are not listed again.
    """
    desired = {workload.key for workload in workloads}
    namespaces = {key.namespace for key in desired}
    if service_accounts is None:
        listing = reader.list_objects(accounts_query(desired if purge is None else ()))
        if listing.error is not None:
            return listing.error
        service_accounts = listing.items
    accounts = {
        account.key: account for item in service_accounts if (account := parse_service_account(item, cluster))
    }
    inhabited = {key.namespace for key in accounts}
    existing: set[str] = set(inhabited)
    known: set[str] | None = inhabited & namespaces
    terminating: dict[str, str] = {}
    unlisted: ApiError | None = None
    # If a service account is missing, its namespace may be missing, too.
    if state != "absent" and not desired <= accounts.keys():
        listing = reader.list_objects(Query("v1", "Namespace"))
        unlisted = listing.error
        existing |= {object_name(item).name for item in listing.items}
        terminating = {
            name: f"is being deleted (since {member(item, 'metadata').get('deletionTimestamp')}), with everything in it."
            for item in listing.items
            if is_terminating(item) and (name := object_name(item).name) in namespaces
        }
        # A missing service account is reported even if it is unknown whether its namespace exists.
        known = None if unlisted is not None else existing & namespaces
    if unlisted is not None and unlisted.status != FORBIDDEN and state == "present":
        if not namespaces <= inhabited:
            return unlisted
        unlisted = None
    plan = AccountPlan()
    if state == "present":
        plan = plan_apply(workloads, accounts, existing, owner, adopt, terminating, unlisted)
        if purge is not None:
            purged = plan_purge(workloads, accounts, owner, purge)
            plan = replace(plan, removed=purged.removed, problems=purged.problems)
    return Preflight(
        {key: account for key, account in accounts.items() if key in desired},
        known,
        terminating,
        {
            workload.key: _desired_account(workload, accounts.get(workload.key), owner, adopt)
            for workload in workloads
        },
        plan,
        reader.read_server(),
        owner,
        adopt,
    )


def accounts_query(keys: Iterable[WorkloadKey]) -> Query:
    """Return the query for the service accounts of workloads: in their namespace if they share one, otherwise in all."""
    return Query("v1", "ServiceAccount", common_namespace(key.namespace for key in keys))


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
    is_listed = state.namespaces is None or namespace in state.namespaces
    # A namespace with a service account exists.
    if account is None and not is_listed and all(key.namespace != namespace for key in state.accounts):
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
