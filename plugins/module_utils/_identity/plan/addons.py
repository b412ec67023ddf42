# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan an EKS add-on: its version, configuration values and roles. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..model.addons import (
    AGENT_ADDON,
    FAILED,
    AddonRelease,
    AddonSpec,
    ObservedAddon,
    VersionPolicy,
    version_order,
)
from ..model.changes import Call, Change, Stage
from ..model.cluster import Cluster
from ..model.errors import listed
from ..model.names import MANAGED_BY_TAG, OWNER_TAG, default_owner, is_marked, is_own, owner_tags
from ..model.targets import Action, Failure, Target


def addon_target(name: str, cluster: str) -> Target:
    return Target("addon", name, cluster=cluster)


def plan_addon(
    spec: AddonSpec,
    addon: ObservedAddon | None,
    cluster: Cluster,
    releases: Sequence[AddonRelease] = (),
    users: Collection[WorkloadKey] = (),
) -> Change | Failure | None:
    """Plan one add-on. Return None if it has its desired state, or a Failure if it cannot or must not be changed.

    :arg releases: the versions that are compatible with the cluster, newest first, if the version policy needs them.
    :arg users: for the removal of the agent, the service accounts that need it.
    """
    if spec.absent:
        return _remove(spec, addon, cluster, users)
    version = _choose_version(spec, addon, cluster, releases)
    if isinstance(version, Failure):
        return version
    return _create(spec, version, cluster) if addon is None else _update_addon(spec, addon, version, cluster)


def needs_releases(policy: VersionPolicy, addon: ObservedAddon | None) -> bool:
    """Return whether the versions that are compatible with the cluster must be read to choose a version."""
    if addon is None:
        return policy.kind != "any"
    if policy.kind == "at least":
        return version_order(addon.version) < version_order(policy.version)
    return policy.kind == "latest" or (policy.kind == "exact" and addon.version != policy.version)


def unsupported_accounts(
    spec: AddonSpec, supported: Collection[str], version: str, cluster: Cluster, action: Action
) -> Failure | None:
    """Return a failure if ``spec`` has a role for a service account that the add-on does not accept, or None.

    Without this check, EKS would reject the role only when the add-on is changed, after other changes of the play.

    :arg supported: the service accounts for which this version of the add-on accepts roles.
    :arg action: the planned change of the add-on.
    """
    unknown = [name for name in spec.roles if name not in supported]
    if not unknown:
        return None
    accounts = f"it accepts roles for {listed(supported)}" if supported else "it accepts no roles"
    return _failure(
        spec,
        cluster,
        action,
        Code.ADDON_ROLE_NOT_SUPPORTED,
        f"version {version} of the add-on does not accept roles for these service accounts: {listed(unknown)}; {accounts}.",
        "Correct the service accounts, or choose another version of the add-on. To list the service accounts of a version: aws "
        f"eks describe-addon-configuration --addon-name {spec.name} --addon-version {version}",
    )


def taken_roles(spec: AddonSpec, addon: ObservedAddon | None) -> dict[str, str]:
    """Return the unlisted roles, by service account, that the change of an add-on would replace or remove."""
    if addon is None or (spec.absent and spec.preserve):
        return {}
    return {
        account: arn
        for account, arn in addon.roles.items()
        if (spec.absent or spec.purge_roles or account in spec.roles) and spec.roles.get(account) != arn
    }


def refused_role(
    spec: AddonSpec, cluster: Cluster, action: Action, account: str, arn: str, tags: Mapping[str, str]
) -> Failure | None:
    """Return a failure if a role that a change would take from a service account is not managed for the owner of the spec.

    :arg tags: the tags of the role.
    """
    if spec.adopt or is_own(tags, _owner(spec, cluster)):
        return None
    reason = (
        f"belongs to owner '{tags.get(OWNER_TAG, '')}'"
        if is_marked(tags)
        else f"does not have the tag {MANAGED_BY_TAG}"
    )
    return _failure(
        spec,
        cluster,
        action,
        Code.NOT_OWNED,
        f"service account {account} of the add-on has role {arn}, which {reason}, so another process may have set it.",
        "To keep the role, list it for the service account in pod_identity_associations. To replace or remove it, set adopt: "
        "true.",
    )


def not_ready(spec: AddonSpec, addon: ObservedAddon | None, cluster: Cluster, action: Action) -> Failure:
    """Return the failure of an add-on that is not active or, for a removal, not yet deleted."""
    status = addon.status if addon is not None else "not installed"
    issues = "; ".join(addon.issues if addon is not None else ())
    health = f": {issues}" if issues else ", and EKS reports no health issue"
    remedy = "Run again when EKS no longer changes the add-on."
    if issues:
        remedy = "Resolve the health issues and run again."
    elif status in FAILED or status == "DEGRADED":
        remedy = f"Find out why the add-on is {status}, and run again."
    return _failure(
        spec,
        cluster,
        action,
        Code.ADDON_NOT_READY,
        f"the add-on is {status}{health}.",
        f"{remedy} To see its status: aws eks describe-addon --cluster-name {cluster.name} --addon-name {spec.name}",
    )


def _remove(
    spec: AddonSpec, addon: ObservedAddon | None, cluster: Cluster, users: Collection[WorkloadKey]
) -> Change | Failure | None:
    if addon is None:
        return None
    if users:
        return _failure(
            spec,
            cluster,
            "delete",
            Code.AGENT_IN_USE,
            f"{'1 service account' if len(users) == 1 else f'{len(users)} service accounts'} of the cluster would lose "
            f"{'its' if len(users) == 1 else 'their'} credentials: {listed(map(str, sorted(users)))}.",
            "Delete their associations first: tear down their workloads.",
        )
    old = {"version": addon.version, **_shown(addon.configuration, addon.roles)}
    parameters: dict[str, object] = {"clusterName": cluster.name, "addonName": spec.name}
    if spec.preserve:
        parameters["preserve"] = True
    return _change(spec, cluster, "delete", old, None, "DeleteAddon", parameters)


def _create(spec: AddonSpec, version: str, cluster: Cluster) -> Change:
    parameters: dict[str, object] = {"clusterName": cluster.name, "addonName": spec.name}
    if version:
        parameters["addonVersion"] = version
    if spec.configuration:
        parameters["configurationValues"] = spec.configuration
    if spec.roles:
        parameters["podIdentityAssociations"] = _associations(spec.roles)
    # With NONE, EKS does not overwrite the objects of a self-managed add-on. The creation may then fail.
    parameters["resolveConflicts"] = "OVERWRITE" if spec.overwrite else "NONE"
    parameters["tags"] = {**spec.tags, **owner_tags(_owner(spec, cluster))}
    new = {"version": version or "the default of EKS", **_shown(spec.configuration or "", spec.roles)}
    return _change(spec, cluster, "create", None, new, "CreateAddon", parameters)


def _update_addon(spec: AddonSpec, addon: ObservedAddon, version: str, cluster: Cluster) -> Change | None:
    old: dict[str, object] = {}
    new: dict[str, object] = {}
    if version != addon.version:
        old["version"], new["version"] = addon.version, version
    configuration = addon.configuration if spec.configuration is None else spec.configuration
    if not _same_configuration(configuration, addon.configuration):
        old["configuration_values"], new["configuration_values"] = addon.configuration, configuration
    # The associations in a request replace all present associations of the add-on, so the request repeats those to keep.
    present = {} if spec.purge_roles else addon.roles
    roles = {**present, **spec.roles}
    if roles != dict(addon.roles):
        old["roles"], new["roles"] = dict(addon.roles), roles
    if not new:
        return None
    parameters: dict[str, object] = {
        "clusterName": cluster.name,
        "addonName": spec.name,
        "addonVersion": version,
        "resolveConflicts": "OVERWRITE" if spec.overwrite else "PRESERVE",
    }
    if configuration:
        # EKS keeps the present configuration values only if the request repeats them.
        parameters["configurationValues"] = configuration
    if "roles" in new:
        parameters["podIdentityAssociations"] = _associations(roles)
    return _change(spec, cluster, "update", old, new, "UpdateAddon", parameters)


def _choose_version(
    spec: AddonSpec, addon: ObservedAddon | None, cluster: Cluster, releases: Sequence[AddonRelease]
) -> str | Failure:
    """Return the version that the add-on must have ("" for the default version of EKS), or a failure if none fits."""
    policy, installed = spec.version, addon.version if addon is not None else ""
    if not needs_releases(policy, addon):
        return installed
    action: Action = "create" if addon is None else "update"
    versions = [release.version for release in releases]
    if policy.kind == "exact":
        if policy.version in versions:
            return policy.version
        reason = f"version {policy.version} of the add-on is not available"
    elif versions and version_order(versions[0]) >= version_order(policy.version):
        # The installed version may be newer than all offered versions, because EKS withdraws versions.
        return max(versions[0], installed, key=version_order)
    else:
        minimum = f" that is {policy.version} or newer" if policy.version else ""
        reason = f"no version{minimum} of the add-on is available"
    return _failure(
        spec,
        cluster,
        action,
        Code.ADDON_VERSION_UNAVAILABLE,
        f"{reason} for Kubernetes {cluster.version}; EKS offers {listed(versions, 5) or 'none'}.",
        "Choose one of these versions. To see all: aws eks describe-addon-versions --addon-name "
        f"{spec.name} --kubernetes-version {cluster.version}"
        if versions
        else "Check the name of the add-on and the Kubernetes version of the cluster. To see the versions for all Kubernetes "
        f"versions: aws eks describe-addon-versions --addon-name {spec.name}",
    )


def _associations(roles: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"serviceAccount": account, "roleArn": arn} for account, arn in sorted(roles.items())]


def _shown(configuration: str, roles: Mapping[str, str]) -> dict[str, object]:
    values = {"configuration_values": configuration, "roles": dict(roles)}
    return {name: value for name, value in values.items() if value}


def _same_configuration(text: str, other: str) -> bool:
    """Return whether two configurations are equal. JSON texts are compared by their values, other texts literally."""
    if text == other:
        return True
    try:
        return bool(json.loads(text or "{}") == json.loads(other or "{}"))
    except ValueError:
        return False


def _change(
    spec: AddonSpec,
    cluster: Cluster,
    action: Action,
    old: Mapping[str, object] | None,
    new: Mapping[str, object] | None,
    operation: str,
    parameters: Mapping[str, object],
) -> Change:
    stage = Stage.DELETE_ADDON if action == "delete" else Stage.ADDON
    return Change(
        stage,
        addon_target(spec.name, cluster.name),
        action,
        (),
        old,
        new,
        (Call("eks", operation, parameters),),
    )


def _failure(
    spec: AddonSpec, cluster: Cluster, action: Action, code: Code, message: str, remedy: str
) -> Failure:
    return Failure((), addon_target(spec.name, cluster.name), action, code, message, remedy)


def _owner(spec: AddonSpec, cluster: Cluster) -> str:
    return spec.owner or default_owner(cluster.region, cluster.name)


def is_agent(spec: AddonSpec) -> bool:
    return spec.name == AGENT_ADDON
