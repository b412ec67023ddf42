# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read and plan EKS add-ons for the engine, and wait until they are active or deleted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..._aws.client import Api
from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..model.addons import (
    FAILED,
    IN_PROGRESS,
    AddonRelease,
    AddonSpec,
    ObservedAddon,
)
from ..model.changes import Change, Plan
from ..model.cluster import Cluster
from ..model.errors import AwsError, ErrorKind, sentence
from ..model.targets import Failure, association_key, request_failure
from ..plan.addons import (
    addon_target,
    is_agent,
    needs_releases,
    not_ready,
    plan_addon,
    refused_role,
    taken_roles,
    unsupported_accounts,
)
from ..read.addons import read_addon, read_addon_with_roles, read_identities, read_releases, read_role_tags
from ..read.associations import list_associations
from .consistency import WaitPolicy
from .outcome import Run


@dataclass(slots=True)
class AddonRun:
    """The part of a run for one add-on: the engine plans and applies its change with the changes of the workloads.

    ``observed`` is the latest state that was read, or in check mode the predicted state. Its failures name no workload, because
    an add-on belongs to the cluster.

    :arg wait_policy: how long to wait until the add-on is active or deleted. With a timeout of 0, the run does not wait.
    """

    api: Api
    cluster: Cluster
    spec: AddonSpec
    wait_policy: WaitPolicy
    check_mode: bool = False
    observed: ObservedAddon | None = None

    def add_change(self, plan: Plan, done: Iterable[Change]) -> Plan:
        """Read the add-on, and return the plan with its change, or with its failure.

        :arg done: the completed changes of the run.
        """
        leaving = [
            change
            for change in (*plan.changes, *done)
            if change.action == "delete" and association_key(change.target) is not None
        ]
        try:
            planned = self._plan_addon(leaving)
        except AwsError as error:
            planned = request_failure(error, (), addon_target(self.spec.name, self.cluster.name), "read")
        if isinstance(planned, Failure):
            return replace(plan, failures=(planned, *plan.failures))
        if planned is None:
            return plan
        if planned.takes:
            # If an association cannot be deleted, its Pods need the agent.
            roles = frozenset[str]().union(*(change.roles for change in leaving))
            return replace(plan, changes=(*plan.changes, replace(planned, roles=roles)))
        return replace(plan, changes=(planned, *plan.changes))

    def find_new_users(self, done: Iterable[Change]) -> AwsError | None:
        """Return an error if the agent must not be removed, because the cluster has new associations since the plan.

        :arg done: the completed changes of the run.
        """
        try:
            users = self._users(change for change in done if change.action == "delete")
            planned = plan_addon(self.spec, self.observed, self.cluster, (), users)
        except AwsError as error:
            return error
        if not isinstance(planned, Failure):
            return None
        return AwsError("", planned.error_code, planned.message, ErrorKind.OTHER, planned.remedy)

    def settle(self, run: Run) -> Run:
        """Wait until the add-on is ready after its change, and return the run with the failure if it is not."""
        failures = [*map(_explained, run.failures)]
        for change in run.changes:
            if change.target.resource == "addon" and run.check_mode:
                addon = self.observed or ObservedAddon(self.spec.name, "", "ACTIVE", "")
                state: Mapping[str, Any] = change.after or {}
                predicted = replace(
                    addon,
                    version=state.get("version", addon.version),
                    configuration=state.get("configuration_values", addon.configuration),
                    roles=state.get("roles", addon.roles),
                )
                self.observed = predicted if change.after is not None else None
            elif change.target.resource == "addon" and self.wait_policy.timeout:
                failures[:0] = self._await(change)
        return replace(run, failures=tuple(failures))

    def find_inactive(self) -> Failure | None:
        """Return a failure if the unchanged add-on is not active. In check mode, ignore an add-on that EKS is changing."""
        addon = self.observed
        if addon is None or addon.status == "ACTIVE" or (self.check_mode and addon.status in IN_PROGRESS):
            return None
        return not_ready(self.spec, addon, self.cluster, "read")

    def _plan_addon(self, leaving: Collection[Change]) -> Change | Failure | None:
        spec = self.spec
        self.observed = self._settled()
        if not self.check_mode and self.observed is not None and self.observed.status in IN_PROGRESS:
            return not_ready(spec, self.observed, self.cluster, "update")
        # A plan needs the versions of the add-on to choose one, or to check the roles of a new add-on.
        needed = needs_releases(spec.version, self.observed) or (bool(spec.roles) and self.observed is None)
        releases = read_releases(self.api, self.cluster, spec.name) if needed and not spec.absent else ()
        planned = plan_addon(spec, self.observed, self.cluster, releases, self._users(leaving))
        if isinstance(planned, Change):
            return self._unsupported(planned, releases) or self._foreign(planned) or planned
        return planned

    def _settled(self) -> ObservedAddon | None:
        """Read the add-on until EKS has finished its current operation on it, or the timeout is over; in check mode, once."""
        addon = read_addon_with_roles(self.api, self.cluster, self.spec.name)
        retries = self.wait_policy.retries()
        while (
            addon is not None and addon.status in IN_PROGRESS and not self.check_mode and next(retries, False)
        ):
            addon = read_addon_with_roles(self.api, self.cluster, self.spec.name)
        return addon

    def _users(self, leaving: Iterable[Change]) -> frozenset[WorkloadKey]:
        """Return the service accounts whose Pods would lose their credentials if the agent were removed.

        :arg leaving: deletions of associations. EKS may still list these associations.
        """
        if not (self.spec.absent and is_agent(self.spec) and self.observed is not None):
            return frozenset()
        present = frozenset(
            WorkloadKey(self.cluster.name, summary["namespace"], summary["serviceAccount"])
            for summary in list_associations(self.api, self.cluster.name)
        )
        return present - {association_key(change.target) for change in leaving}

    def _unsupported(self, change: Change, releases: Sequence[AddonRelease]) -> Failure | None:
        """Return a failure if the add-on does not accept roles for all service accounts in ``spec.roles``.

        Return None also if the version of the add-on is unknown.
        """
        if self.spec.absent or not self.spec.roles:
            return None
        default = next((release.version for release in releases if release.default), "")
        version = str((change.after or {}).get("version") or (self.observed.version if self.observed else ""))
        version = version if version.startswith("v") else default
        if not version:
            return None
        identities = read_identities(self.api, self.spec.name, version)
        return unsupported_accounts(self.spec, identities, version, self.cluster, change.action)

    def _foreign(self, change: Change) -> Failure | None:
        """Return a failure if the change would take a role that is neither listed nor managed for the owner, or None."""
        failures = (
            refused_role(self.spec, self.cluster, change.action, account, arn, read_role_tags(self.api, arn))
            for account, arn in taken_roles(self.spec, self.observed).items()
        )
        return next((failure for failure in failures if failure is not None), None)

    def _await(self, change: Change) -> list[Failure]:
        """Wait until the add-on is active or, for a removal, deleted. Return a failure if it fails or takes too long."""
        version = change.calls[0].parameters.get("addonVersion")
        try:
            for _attempt in self.wait_policy.attempts():
                addon = self.observed = read_addon(self.api, self.cluster, self.spec.name)
                if addon is None:
                    if self.spec.absent:
                        return []
                elif addon.status in FAILED:
                    break
                elif not self.spec.absent and addon.status == "ACTIVE" and version in (None, addon.version):
                    self.observed = read_addon_with_roles(self.api, self.cluster, self.spec.name)
                    return []
        except AwsError as error:
            return [request_failure(error, (), change.target, change.action, partly=True)]
        return [replace(not_ready(self.spec, self.observed, self.cluster, change.action), partly=True)]


def _explained(failure: Failure) -> Failure:
    """Return the failure of an add-on with another message if the association of one of its service accounts exists already.

    The error message of EKS names the association, not its service account.
    """
    error = failure.cause
    exists = error is not None and error.kind is ErrorKind.EXISTS and "association" in error.text.lower()
    if failure.target.resource != "addon" or not exists:
        return failure
    return replace(
        failure,
        error_code=Code.ADDON_ASSOCIATION_EXISTS,
        message=f"{sentence(failure.message)} An add-on cannot take over an existing association.",
        remedy="Delete that association and run again at once: Pods of the add-on that start in between get no "
        "credentials. Or leave the service account out of the add-on's roles and keep the association.",
    )


# The longest wait, in seconds, until an add-on is active. EKS installs the Pods of an add-on, which takes minutes, while a
# change in IAM takes seconds.
_ADDON_TIMEOUT = 300.0


def agent_run(
    api: Api, cluster: Cluster, spec: AddonSpec | None, wait_policy: WaitPolicy, check_mode: bool
) -> AddonRun | None:
    """Return the run for the add-on of the EKS Pod Identity Agent, or None without ``spec`` or if the cluster does not exist."""
    if spec is None or not cluster.status:
        return None
    waiting = replace(wait_policy, timeout=_ADDON_TIMEOUT, first_pause=1, longest_pause=10)
    return AddonRun(api, cluster, spec, waiting, check_mode)
