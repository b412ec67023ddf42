# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runs that get faults: first run, changed settings, teardown, purge, and a second list with a shared role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Baseline, TaskSpec
from ansible_collections.workload_identity.aws.tests.faults.world import (
    ACCOUNT,
    CHANGED,
    FIRST_LIST,
    SECOND_LIST,
    WORKLOADS,
    desired,
    fill_versions,
)


@dataclass(frozen=True)
class Scenario:
    """A run that gets faults. ``prepare`` creates the initial state of the account."""

    prepare: Callable[[Account], None]
    spec: TaskSpec


def empty_account(account: Account) -> None:
    account.clean()


def account_at_version_limit(account: Account) -> None:
    if account.restored("worn"):
        return
    account.clean()
    account.complete(desired(*WORKLOADS))
    fill_versions(account.clients["iam"])
    # A purge keeps a new role without association, because another run may be about to create the association.
    account.control.grow_older(ACCOUNT, 3600)
    account.save("worn")


def account_with_first_list(account: Account) -> None:
    if account.restored("first list"):
        return
    account.clean()
    account.complete(desired(*FIRST_LIST))
    account.save("first list")


# The workloads that the run "purge" deletes, after it has changed the workloads in its list.
_PURGED = frozenset(workload.key for workload in desired(*WORKLOADS[2:]).workloads)
SCENARIOS = {
    "first run": Scenario(empty_account, TaskSpec(desired(*WORKLOADS))),
    "change": Scenario(account_at_version_limit, TaskSpec(desired(*CHANGED))),
    "teardown": Scenario(account_at_version_limit, TaskSpec(desired(*WORKLOADS, state="absent"), "absent")),
    "purge": Scenario(
        account_at_version_limit, TaskSpec(desired(*CHANGED[:2]), purge=True, bystanders=_PURGED)
    ),
    "second list": Scenario(account_with_first_list, TaskSpec(desired(*SECOND_LIST))),
}


def undisturbed(account: Account, name: str) -> Baseline:
    scenario = SCENARIOS[name]
    scenario.prepare(account)
    initial = account.facets()
    operations: list[str] = []
    account.before_request = operations.append
    outcome = account.play(scenario.spec, width=1)
    account.before_request = None
    assert outcome.message == "", outcome.message
    return Baseline(tuple(operations), initial, account.facets(), outcome.statuses)
