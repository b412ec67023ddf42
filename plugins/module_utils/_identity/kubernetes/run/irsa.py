# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the service accounts and Pods that use IRSA, and return Pods to IRSA. Pure: cluster and clock are arguments.

The webhook of EKS finds the role of a service account in its annotation, or in a ConfigMap for the webhook. A Pod template can
also set the variables of a web identity itself. Source: amazon-eks-pod-identity-webhook.

The webhook learns of a deleted association only after a delay. A Pod that starts before that would get no credentials, so no Pod
is restarted before a probe has passed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.errors import sentence
from ...model.migration import ROLE_ANNOTATION, IrsaAccount, PodCredentials
from ...model.rows import FailureRow
from ..api.api_errors import FORBIDDEN, ApiError, object_failure, remedy_for
from ..api.cluster import Clock, ClusterReader, DryRun, KubernetesCluster, Listing, Query, is_transient
from ..model.objects import (
    Object,
    as_mapping,
    as_text,
    as_texts,
    fields_by_manager,
    member,
    object_name,
)
from ..pods.environment import (
    CREDENTIALS_URI,
    RELATIVE_URI,
    TOKEN,
    TOKEN_FILE,
    find_source,
    preferred_provider,
)
from ..pods.pod_checks import has_injection
from ..pods.pods import (
    AGENT_NAMESPACE,
    SKIP_WEBHOOK,
    Hold,
    KubeState,
    Owner,
    Pod,
    can_restart,
    describe_hold,
    describe_recreation,
    parse_pod,
    parse_state,
    pods_by_workload,
)
from ..pods.reads import AGENTS_QUERY, LIVE, Templates, is_proof, live_pods_query, read_templates
from ..pods.restarts import REPLACING, RESTART_PAUSE, owner_names, poll, restart_owners
from ..proof.injection import OBSERVATIONS, InjectionSettings, probe_pod
from ..proof.proof import CONTAINER

# The names of the further resources that ``read_irsa`` lists, for findings.
_RESOURCES = {
    "agents": f"pods in namespace {AGENT_NAMESPACE}",
    "nodes": "nodes",
    "config maps": f"configmaps in namespace {AGENT_NAMESPACE}",
}
_QUERIES = {
    "agents": AGENTS_QUERY,
    "nodes": Query("v1", "Node"),
    "config maps": Query(
        "v1", "ConfigMap", AGENT_NAMESPACE, field_selectors=("metadata.name=pod-identity-webhook",)
    ),
}
# Names of field managers that would set a removed annotation again, and prefixes of such names.
_MANAGERS = ("eksctl", "fleetagent", "hashicorp", "kubectl", "openapi-generator")
_APPLYING = ("argocd", "helm", "kubectl-client-side-apply", "kustomize", "pulumi", "terraform")
# The lists of owners of Pods among ``TEMPLATE_KINDS``, by their names in the state of the Pods.
_OWNERS = {
    "deployments": "deployments.apps",
    "owning_daemon_sets": "daemonsets.apps",
    "replica_sets": "replicasets.apps",
    "stateful_sets": "statefulsets.apps",
}
_CONTAINER_VARIABLES = (CREDENTIALS_URI, RELATIVE_URI, TOKEN_FILE, TOKEN)


@dataclass(frozen=True, slots=True)
class IrsaEstate:
    """The use of IRSA in a cluster.

    ``accounts`` has the existing service accounts that use IRSA, by the role annotation or by a web identity in a Pod template,
    and those that the arguments ``known`` and ``any_variables`` of ``read_irsa`` select. ``configured`` has the roles that the
    ConfigMap of the webhook sets for service accounts. ``pods`` has the credentials of the live Pods of the service accounts in
    ``accounts`` and ``known``. ``state`` has the Pods and the agent, for the checks of Pods. ``errors`` has the errors of failed
    list requests, by resource. ``own_roles`` has the roles that the Pod templates of a service account set, by the owner of the
    template.
    """

    accounts: Mapping[WorkloadKey, IrsaAccount]
    configured: Mapping[WorkloadKey, str]
    pods: Mapping[WorkloadKey, PodCredentials]
    state: KubeState
    errors: Mapping[str, ApiError]
    own_roles: Mapping[WorkloadKey, Mapping[str, str]]


def read_irsa(
    reader: ClusterReader,
    cluster: str,
    known: Collection[WorkloadKey],
    clock: Clock,
    *,
    any_variables: bool = False,
) -> IrsaEstate | ApiError:
    """Read the use of IRSA in a cluster. Return the error if service accounts or Pods cannot be listed.

    :arg cluster: the value of ``cluster`` in the keys of the workloads.
    :arg known: further service accounts to return, such as those with an association.
    :arg any_variables: whether to also return service accounts whose Pod templates set other variables of credentials, such as
        access keys.
    """
    listing = reader.list_objects(Query("v1", "ServiceAccount"))
    if listing.error is not None:
        return listing.error
    pods = reader.list_objects(Query("v1", "Pod", field_selectors=LIVE))
    if pods.error is not None:
        return pods.error
    pods = replace(pods, items=[item for item in pods.items if not is_proof(item)])
    parsed = (_account(WorkloadKey(cluster, *object_name(item)), item) for item in listing.items)
    accounts = {account.key: account for account in parsed}
    reads = {name: reader.list_objects(query) for name, query in _QUERIES.items()}
    templates = read_templates(reader, accounts.keys(), cluster)
    variables = {key: _variables(templates, key) for key in accounts}
    chosen = {
        key: account
        for key, account in accounts.items()
        if account.role_arn
        or any("AWS_WEB_IDENTITY_TOKEN_FILE" in names for names in variables[key].values())
        or key in known
        or (any_variables and variables[key])
    }
    others = {name: reads[name] for name in ("agents", "nodes")}
    others |= {name: templates.listings[resource] for name, resource in _OWNERS.items()}
    keys = {*chosen, *known}
    state = parse_state({"pods": pods, **others}, keys, cluster, clock.now())
    return IrsaEstate(
        chosen,
        _configured(reads["config maps"], cluster),
        {key: _credentials(key, variables.get(key, {}), state) for key in keys},
        state,
        {
            **{_RESOURCES[name]: read.error for name, read in reads.items() if read.error is not None},
            **templates.errors,
        },
        {key: roles for key in chosen if (roles := _own_roles(templates, key))},
    )


def _account(key: WorkloadKey, item: Object) -> IrsaAccount:
    metadata = member(item, "metadata")
    annotations = as_texts(metadata.get("annotations"))
    managers = fields_by_manager(item)
    return IrsaAccount(
        key,
        annotations,
        tuple(_managers(annotations, as_texts(metadata.get("labels")), managers)),
        # EKS applies the objects of add-ons with this field manager.
        "eks" in managers,
        as_text(metadata.get("resourceVersion")),
    )


def _managers(
    annotations: Mapping[str, str], labels: Mapping[str, str], managers: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Yield the tools that would set a removed annotation again.

    A label or annotation of Argo CD, Flux or Helm names the tool. Without it, yield the field managers of the annotation that
    apply manifests.
    """
    named = [
        f"{tool} {value.partition(':')[0]}"
        for tool, value in (
            ("Argo CD application", annotations.get("argocd.argoproj.io/tracking-id", "")),
            ("Argo CD application", labels.get("argocd.argoproj.io/instance", "")),
            ("Flux HelmRelease", labels.get("helm.toolkit.fluxcd.io/name", "")),
            ("Flux Kustomization", labels.get("kustomize.toolkit.fluxcd.io/name", "")),
            ("Helm release", annotations.get("meta.helm.sh/release-name", "")),
        )
        if value
    ]
    if named:
        yield named[0]
        return
    for manager, fields in managers.items():
        applies = manager.lower() in _MANAGERS or manager.lower().startswith(_APPLYING)
        if f"annotation {ROLE_ANNOTATION}" in fields and applies:
            yield f"field manager {manager}"


def _variables(templates: Templates, key: WorkloadKey) -> dict[str, tuple[str, ...]]:
    """Return the names of the variables of credentials that the Pod templates of a service account set, by template owner."""
    found: dict[str, tuple[str, ...]] = {}
    for template in templates.by_workload.get(key, ()):
        names = {
            name
            for container in template.pod.containers
            for name in (*preferred_provider(container.env), *_CONTAINER_VARIABLES)
            if name in container.env
        }
        if names:
            found[str(templates.root(template.owner))] = tuple(sorted(names))
    return found


def _own_roles(templates: Templates, key: WorkloadKey) -> dict[str, str]:
    """Return the roles of the web identities that the Pod templates of a service account set, by template owner."""
    return {
        str(templates.root(template.owner)): role
        for template in templates.by_workload.get(key, ())
        for container in template.pod.containers
        if "AWS_WEB_IDENTITY_TOKEN_FILE" in container.env and (role := container.env.get("AWS_ROLE_ARN"))
    }


def _credentials(
    key: WorkloadKey, templates: Mapping[str, tuple[str, ...]], state: KubeState
) -> PodCredentials:
    names: dict[str, list[str]] = {"irsa": [], "agent": [], "other": [], "none": []}
    pods = (state.pods or {}).get(key, ())
    for pod in pods:
        sources = [
            find_source(container, pod.tokens)
            for container in pod.containers
            if container.name not in pod.skipped
        ]
        kinds = {"other" if source.kind == "unknown" else source.kind for source in sources}
        # The webhook gives a Pod with this label no credentials, with IRSA or without.
        if kinds != {"none"} or SKIP_WEBHOOK in pod.labels:
            kinds.discard("none")
        for kind in kinds:
            names[kind].append(pod.name)
    owners, held = _replacements(pods, state)
    return PodCredentials(
        **{kind: tuple(sorted(found)) for kind, found in names.items()},
        templates=templates,
        on_host_network=tuple(sorted(pod.name for pod in pods if pod.on_host_network)),
        owners=owners,
        held=held,
    )


def _replacements(pods: Iterable[Pod], state: KubeState) -> tuple[dict[str, str], dict[str, str]]:
    """Return, by name of the Pod, the owners whose restart replaces Pods, and the reasons why none replaces the other Pods."""
    groups: dict[tuple[Owner, Hold], list[Pod]] = {}
    for pod in pods:
        owner = state.find_owner(pod)
        # A Pod without an owner is a group of its own.
        place = owner if owner.kind else Owner(kind="Pod", namespace=pod.workload.namespace, name=pod.name)
        groups.setdefault((place, state.find_hold(pod)), []).append(pod)
    owners: dict[str, str] = {}
    held: dict[str, str] = {}
    for (owner, hold), members in groups.items():
        [name] = owner_names([owner])
        rollout, names = state.find_rollout(owner), sorted(pod.name for pod in members)
        text = (
            "could not be read, or was deleted, so recreate its Pods yourself" if can_restart(owner) else ""
        )
        if rollout is not None:
            text = describe_hold(hold, owner, names, rollout) if hold else ""
        step = describe_recreation(owner if owner.kind != "Pod" else Owner(), members[0], text)
        if can_restart(owner) and rollout is not None and hold in REPLACING:
            owners |= dict.fromkeys(names, name)
        else:
            held |= dict.fromkeys(names, f"{name}: {step}")
    return owners, held


def _configured(listing: Listing, cluster: str) -> dict[WorkloadKey, str]:
    """Return the roles in the ConfigMap of the webhook, by service account. A cluster on EKS normally has no such ConfigMap."""
    roles: dict[WorkloadKey, str] = {}
    for item in listing.items:
        try:
            entries = as_mapping(json.loads(as_text(member(item, "data").get("config")) or "{}"))
        except ValueError:
            continue
        for name, entry in entries.items():
            namespace, _slash, account = str(name).partition("/")
            roles[WorkloadKey(cluster, namespace, account)] = as_text(as_mapping(entry).get("RoleARN"))
    return roles


def annotation_patch(account: IrsaAccount, role_arn: str | None) -> Object:
    """Return the patch that sets the annotation for IRSA, or with None removes it.

    With the resourceVersion, the API server rejects the patch if the service account has changed since it was read.
    """
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "namespace": account.key.namespace,
            "name": account.key.service_account,
            "resourceVersion": account.version,
            "annotations": {ROLE_ANNOTATION: role_arn},
        },
    }


def unread_findings(estate: IrsaEstate) -> list[Finding]:
    """Return a warning for each list request that failed, because the inventory may lack its objects."""
    return [
        Finding(
            Code.KUBERNETES_NOT_READABLE,
            f"{resource} could not be listed, so the inventory may be incomplete: {error.text}",
            f"Allow the caller of the Kubernetes API to list {resource}: docs/migration.md has the manifest."
            if error.status == FORBIDDEN
            else remedy_for(error),
            raised_as="warning",
        )
        for resource, error in estate.errors.items()
    ]


# The maximum time of the probe, in seconds, in addition to the time over which it must pass.
PATIENCE = 180


def probe_irsa(
    cluster: KubernetesCluster,
    roles: Mapping[WorkloadKey, str],
    settings: InjectionSettings,
    region: str,
    observe: int,
    clock: Clock,
) -> dict[WorkloadKey, str]:
    """Send dry runs until the webhook gives new Pods of all service accounts the role by IRSA, or the time is over.

    Return, for each service account without proof, what a new Pod gets instead.

    :arg roles: the ARN of the role of each service account.
    :arg observe: the time in seconds over which all dry runs must pass, because a cluster has several API servers.
    """
    manifests = {key: probe_pod(key, settings, region) for key in roles}
    began, pause = clock.now(), max(RESTART_PAUSE, observe // OBSERVATIONS)
    passed: dict[WorkloadKey, datetime] = {}
    faults = dict.fromkeys(roles, "no dry run got a response")
    while True:
        now = clock.now()
        for key, dry_run in zip(manifests, cluster.dry_run_pods(list(manifests.values())), strict=True):
            if dry_run.error is not None and (is_transient(dry_run.error) or not dry_run.error.status):
                continue
            if fault := _find_fault(dry_run, key, roles[key]):
                faults[key] = fault
                passed.pop(key, None)
            else:
                passed.setdefault(key, now)
        if all(key in passed and (now - passed[key]).total_seconds() >= observe for key in roles):
            return {}
        if (now - began).total_seconds() + pause > PATIENCE + observe:
            return {key: fault for key, fault in faults.items() if key not in passed} or faults
        clock.sleep(pause)


def _find_fault(dry_run: DryRun, key: WorkloadKey, role_arn: str) -> str:
    if dry_run.error is not None:
        return f"cannot be created: {sentence(dry_run.error.text)}"
    pod = parse_pod(dry_run.pod, key.cluster)
    container = next(found for found in pod.containers if found.name == CONTAINER)
    source = find_source(container, pod.tokens)
    role = container.env.get("AWS_ROLE_ARN")
    if source.kind == "irsa" and role == role_arn:
        return ""
    return (
        f"gets {role} by IRSA" if source.kind == "irsa" else f"gets {source.description or 'no credentials'}"
    )


@dataclass(frozen=True, slots=True)
class ReturnRun:
    """The result of the restarts of a group.

    ``restarted`` are the owners, such as "Deployment shop/web". ``refused`` are the service accounts whose owners could not be
    restarted, with the ``failures``. ``remaining`` has the Pods of the other service accounts that still use EKS Pod Identity.
    """

    restarted: Sequence[str] = ()
    refused: Collection[WorkloadKey] = ()
    failures: Sequence[FailureRow] = ()
    remaining: Mapping[WorkloadKey, Sequence[str]] = field(default_factory=dict)


def restart_injected(
    cluster: KubernetesCluster,
    state: KubeState,
    keys: Collection[WorkloadKey],
    timeout: int,
    clock: Clock,
) -> ReturnRun:
    """Restart the owners of Pods that use EKS Pod Identity, and wait until these Pods are replaced.

    :arg state: the owners of Pods, as the inventory has read them.
    :arg keys: service accounts whose new Pods get IRSA.
    :arg timeout: the maximum time in seconds to wait for the new Pods.
    """
    query, name = live_pods_query(sorted(keys)), next(iter(keys)).cluster

    def find(listing: Listing) -> list[Pod]:
        found = pods_by_workload(listing.items, frozenset(keys), name)
        return [pod for pods in found.values() for pod in pods if has_injection(pod)]

    def is_replaced(pod: Pod) -> bool:
        return can_restart(state.find_owner(pod)) and state.find_hold(pod) in REPLACING

    listing = cluster.list_objects(query)
    if listing.error is not None:
        failure = object_failure(
            "Pod", "of all namespaces", "list", listing.error, remedy=remedy_for(listing.error)
        )
        return ReturnRun(refused=keys, failures=[failure])
    pods = find(listing)
    replaced = [(state.find_owner(pod), pod.workload) for pod in pods if is_replaced(pod)]
    owners = list(dict.fromkeys(owner for owner, _key in replaced))
    _changed, restarted, failures = restart_owners(cluster, owners, clock.now())
    refused = {key for owner, key in replaced if owner not in restarted}
    for _attempt in poll(timeout, clock):
        listing = cluster.list_objects(query)
        pods = find(listing) if listing.error is None else pods
        if not any(is_replaced(pod) for pod in pods if pod.workload not in refused):
            break
    remaining = {
        key: [pod.name for pod in pods if pod.workload == key] for key in {pod.workload for pod in pods}
    }
    return ReturnRun(owner_names(restarted), refused, failures, remaining)
