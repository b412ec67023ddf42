# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""One run of the engine: observe, plan, apply; look again when something was made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.api import Api
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.apply import (
    Done,
    Patience,
    apply_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.bulk import read_roles
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.change import (
    Failure,
    Finding,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import (
    Cluster,
    Desired,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.observe import (
    Observer,
    read_cluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.observed import Observed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan import make_plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan_absent import (
    make_removal_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.purge import (
    PurgeScope,
    check_limit,
    stale_workloads,
)

# A conflict means that someone else is at work; two fresh looks are enough, or it is a fight.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Run:
    """What one run did, or in check mode would do.

    ``done`` is what all rounds did; ``failures`` and ``findings`` are those of the last look.
    """

    desired: Desired
    state: str
    observed: Observed
    plan: Plan
    done: tuple[Done, ...]
    failures: tuple[Failure, ...]
    findings: tuple[Finding, ...]
    check_mode: bool = False


# Associations can be managed while the control plane is being updated.
USABLE = ("ACTIVE", "UPDATING")


def find_cluster(api: Api, name: str, region: str, state: str = "present") -> Cluster:
    """The cluster, in a state in which associations can be managed, or AwsError.

    For a removal the cluster may be gone: its IAM roles and policies are still there to remove.
    """
    cluster = read_cluster(api, name, region, must_exist=state == "present")
    if state == "present" and cluster.status not in USABLE:
        raise AwsError(
            "eks:DescribeCluster",
            "ClusterNotActive",
            f"cluster {name} in account {cluster.account_id}, region {cluster.region} is {cluster.status}.",
        )
    return cluster


@dataclass(frozen=True, slots=True)
class Engine:
    """Observe, plan and apply for the workloads of one cluster."""

    api: Api
    cluster: Cluster
    width: int
    patience: Patience

    def observe(self, desired: Desired, removal: bool = False, planning: bool = True) -> Observed:
        return Observer(self.api, self.cluster, self.width).observe(desired, removal, planning)

    def run(self, desired: Desired, state: str, check_mode: bool) -> Run:
        """Raises nothing for what goes wrong with single workloads; those are in ``failures``."""
        removal = state == "absent"
        done: list[Done] = []
        for turn in range(ROUNDS):
            observed = self.observe(desired, removal)
            plan = (make_removal_plan if removal else make_plan)(desired, observed)
            if check_mode:
                return Run(desired, state, observed, plan, (), plan.failures, plan.findings, True)
            if done:
                # What an earlier round made may still be unknown to AWS here and there.
                plan = replace(plan, changes=tuple(replace(one, awaits=True) for one in plan.changes))
            outcome = apply_plan(self.api, plan, self.width, self.patience)
            done += outcome.done
            if not outcome.conflict or turn == ROUNDS - 1:
                break
            self.patience.sleep(self.patience.first_pause)
        failures = (*plan.failures, *outcome.failures)
        return Run(desired, state, observed, plan, tuple(done), failures, plan.findings)

    def run_with_purge(self, desired: Desired, scope: PurgeScope, check_mode: bool) -> Run:
        """Bring about the desired workloads, then remove those of ours that are not desired.

        InputError when more would go than the scope allows, AwsError when what there is cannot be
        read; both before anything is changed.
        """
        stale = stale_workloads(
            desired,
            self.cluster,
            scope,
            Observer(self.api, self.cluster, self.width).all_associations(),
            read_roles(self.api),
        )
        check_limit(stale, scope)
        made = self.run(desired, "present", check_mode)
        if not stale.workloads:
            return made
        if made.failures:
            return replace(made, findings=(*made.findings, _purge_waits(stale)))
        gone = self.run(stale, "absent", check_mode)
        plan = replace(made.plan, changes=(*made.plan.changes, *gone.plan.changes))
        return replace(
            made,
            plan=plan,
            done=(*made.done, *gone.done),
            failures=gone.failures,
            findings=(*made.findings, *gone.findings),
        )


def _purge_waits(stale: Desired) -> Finding:
    return Finding(
        "PURGE_WAITS",
        "warning",
        None,
        f"{len(stale.workloads)} workloads that are not listed were not purged, because others failed.",
        "Resolve the failures and run again; a purge starts only from a complete converge.",
    )
