# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read, plan and change EKS add-ons, and wait until they are active or deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ..._aws.client import Api
from ..._aws.interrupt import raise_if_interrupted
from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..model.addons import (
    FAILED,
    IN_PROGRESS,
    AddonRelease,
    AddonSpec,
    ObservedAddon,
)
from ..model.changes import Change
from ..model.cluster import Cluster
from ..model.errors import AwsError, ErrorKind, sentence
from ..model.targets import Action, Failure, association_key, request_failure
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
from .consistency import WaitPolicy, send
from .outcome import Done, Run

# The maximum number of attempts to change an add-on. After a conflict or a lost response, the second attempt reads the add-on
# again: another process may have changed it since the read, or EKS may have carried out the request.
_ROUNDS = 2
# The longest wait, in seconds, until EKS accepts a new role. A longer wait would only delay the error about a role that EKS
# never accepts.
_ROLE_SECONDS = 60.0


@dataclass(slots=True)
class AddonRun:
    """The run for one add-on. After an interrupt, its fields show how far the run got.

    ``change`` is the planned change. ``made`` is True once EKS has accepted the change; in check mode it is always False.
    ``addon`` is the latest state that was read, or in check mode the predicted state. ``failure`` names no workload, because
    an add-on belongs to the cluster.

    ``leaving`` has the workloads whose associations the same run has deleted, or in check mode would delete: EKS may still
    list these associations.

    :arg wait_policy: how long to wait until the add-on is active or deleted. With a timeout of 0, the run does not wait.
    """

    api: Api
    cluster: Cluster
    spec: AddonSpec
    wait_policy: WaitPolicy
    check_mode: bool = False
    change: Change | None = None
    made: bool = False
    addon: ObservedAddon | None = None
    failure: Failure | None = None
    leaving: frozenset[WorkloadKey] = field(default_factory=frozenset)

    @property
    def predicted_agent(self) -> ObservedAddon | None:
        """Return the EKS Pod Identity Agent that a run in check mode would install or update, or None."""
        return self.addon if self.check_mode and self.change else None

    def converge(self, changes: Iterable[Change] = ()) -> None:
        """Bring the add-on to its desired state, and wait until it is ready. In check mode, only plan the change.

        Set ``failure`` for an error of AWS, for a change that cannot be planned, or if the add-on is not ready in time.

        :arg changes: completed changes of the same run, or planned changes in check mode. An association that these changes
            delete does not need the agent.
        """
        deleted = (association_key(change.target) for change in changes if change.action == "delete")
        self.leaving = frozenset(key for key in deleted if key is not None)
        action: Action = "read"
        refusal: AwsError | None = None
        patience = replace(self.wait_policy, timeout=min(self.wait_policy.timeout, _ROLE_SECONDS))
        try:
            for turn in range(_ROUNDS):
                self._plan(refusal)
                if self.failure is not None or self.change is None or self.check_mode:
                    return
                if self.made:
                    break
                action = self.change.action
                try:
                    send(self.api, self.change.calls[0], patience, True, False)
                except AwsError as error:
                    if turn + 1 == _ROUNDS or not (error.conflict or error.outcome_unknown):
                        raise
                    refusal = error
                    continue
                self.made = True
                break
            self._wait_until_ready(action)
        except AwsError as error:
            self.failure = self._refused(error, action)

    def require_active(self) -> None:
        """Set ``failure`` if the add-on needs no change but is not active. ``converge`` checks this only after a change.

        In check mode, ignore an add-on that EKS is changing.
        """
        addon = self.addon
        if self.failure is not None or self.change is not None or addon is None or addon.status == "ACTIVE":
            return
        if not (self.check_mode and addon.status in IN_PROGRESS):
            self.failure = not_ready(self.spec, addon, self.cluster, "read")

    def _plan(self, refusal: AwsError | None) -> None:
        """Read the add-on and plan its change. Set ``addon``, ``change``, ``made`` and ``failure``.

        After a failed request, ``converge`` plans again. If the add-on then has its desired state, there are two cases: if the
        response was lost, EKS has carried out the request, so ``made`` becomes True. If EKS refused the request, another process
        has made the change, so ``change`` becomes None.

        :arg refusal: the error of the failed request; None for the first plan.
        """
        response_lost = refusal is not None and refusal.outcome_unknown
        spec = self.spec
        self.addon = self._settled()
        if not self.check_mode and self.addon is not None and self.addon.status in IN_PROGRESS:
            self.made = response_lost
            self.failure = not_ready(spec, self.addon, self.cluster, "update")
            return
        releases = read_releases(self.api, self.cluster, spec.name) if self._needs_releases() else ()
        planned = plan_addon(spec, self.addon, self.cluster, releases, self._users())
        if isinstance(planned, Failure):
            self.failure = planned
        elif planned is None and response_lost:
            self.made = True
        elif planned is None:
            self.change = None
        else:
            self.change = planned
            self.failure = self._unsupported(planned, releases) or self._foreign(planned)
            if self.check_mode:
                self.addon = self._predicted(planned)

    def _settled(self) -> ObservedAddon | None:
        """Read the add-on until EKS has finished its current operation on it, or the timeout is over; in check mode, once."""
        addon: ObservedAddon | None = None
        for _attempt in self.wait_policy.attempts():
            raise_if_interrupted()
            addon = read_addon_with_roles(self.api, self.cluster, self.spec.name)
            if self.check_mode or addon is None or addon.status not in IN_PROGRESS:
                break
        return addon

    def _users(self) -> frozenset[WorkloadKey]:
        """Return the service accounts whose Pods would lose their credentials if the agent were removed."""
        if not (self.spec.absent and is_agent(self.spec) and self.addon is not None):
            return frozenset()
        present = frozenset(
            WorkloadKey(self.cluster.name, summary["namespace"], summary["serviceAccount"])
            for summary in list_associations(self.api, self.cluster.name)
        )
        return present - self.leaving

    def _needs_releases(self) -> bool:
        """Return whether the plan needs the versions of the add-on: to choose one, or to check the roles of a new add-on."""
        addon, spec = self.addon, self.spec
        if spec.absent:
            return False
        return needs_releases(spec.version, addon) or (bool(spec.roles) and addon is None)

    def _unsupported(self, change: Change, releases: Sequence[AddonRelease]) -> Failure | None:
        """Return a failure if the add-on does not accept roles for all service accounts in ``spec.roles``.

        Return None also if the version of the add-on is unknown.
        """
        if self.spec.absent or not self.spec.roles:
            return None
        default = next((release.version for release in releases if release.default), "")
        version = str((change.after or {}).get("version") or (self.addon.version if self.addon else ""))
        version = version if version.startswith("v") else default
        if not version:
            return None
        identities = read_identities(self.api, self.spec.name, version)
        return unsupported_accounts(self.spec, identities, version, self.cluster, change.action)

    def _foreign(self, change: Change) -> Failure | None:
        """Return a failure if the change would take a role that is neither listed nor managed for the owner, or None."""
        failures = (
            refused_role(self.spec, self.cluster, change.action, account, arn, read_role_tags(self.api, arn))
            for account, arn in taken_roles(self.spec, self.addon).items()
        )
        return next((failure for failure in failures if failure is not None), None)

    def _predicted(self, change: Change) -> ObservedAddon | None:
        state = change.after
        if state is None:
            return None
        addon = self.addon or ObservedAddon(self.spec.name, "", "ACTIVE", "")
        roles = state.get("roles", addon.roles)
        return replace(
            addon,
            version=str(state.get("version", addon.version)),
            configuration=str(state.get("configuration_values", addon.configuration)),
            roles=roles if isinstance(roles, dict) else addon.roles,
        )

    def _wait_until_ready(self, action: Action) -> None:
        """Wait until the add-on is active or, for a removal, deleted. Set ``failure`` if this fails or takes too long."""
        if not self.wait_policy.timeout:
            return
        for _attempt in self.wait_policy.attempts():
            raise_if_interrupted()
            self.addon = read_addon(self.api, self.cluster, self.spec.name)
            if self._is_ready():
                self.addon = read_addon_with_roles(self.api, self.cluster, self.spec.name)
                return
            if self.addon is not None and self.addon.status in FAILED:
                break
        self.failure = replace(not_ready(self.spec, self.addon, self.cluster, action), partly=True)

    def _is_ready(self) -> bool:
        addon = self.addon
        if self.spec.absent or addon is None:
            return self.spec.absent and addon is None
        version = self.change.calls[0].parameters.get("addonVersion") if self.change is not None else None
        return addon.status == "ACTIVE" and version in (None, addon.version)

    def _refused(self, error: AwsError, action: Action) -> Failure:
        target = addon_target(self.spec.name, self.cluster.name)
        failure = request_failure(error, (), target, action, partly=error.outcome_unknown)
        if error.kind is ErrorKind.EXISTS and "association" in error.text.lower():
            # The error message of EKS names the association, not its service account.
            return replace(
                failure,
                error_code=Code.ADDON_ASSOCIATION_EXISTS,
                message=f"{sentence(failure.message)} An add-on cannot take over an existing association.",
                remedy="Delete that association and run again at once: Pods of the add-on that start in between get no "
                "credentials. Or leave the service account out of the add-on's roles and keep the association.",
            )
        return failure


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


def add_addon(run: Run, addon: AddonRun, first: bool) -> Run:
    """Return the run with the change and the failure of its add-on.

    :arg first: whether the add-on was changed before the workloads.
    """
    changes = [addon.change] if addon.change is not None and (addon.made or addon.check_mode) else []
    failures = [addon.failure] if addon.failure is not None else []
    done = [] if run.check_mode else list(map(Done, changes))
    if first:
        plan = replace(run.plan, changes=(*changes, *run.plan.changes))
        return replace(run, plan=plan, done=(*done, *run.done), failures=(*failures, *run.failures))
    plan = replace(run.plan, changes=(*run.plan.changes, *changes))
    return replace(run, plan=plan, done=(*run.done, *done), failures=(*run.failures, *failures))
