# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tasks that are disturbed: a first run, a change of everything, a teardown, a purge, a second list on a shared role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Asked, Usual
from ansible_collections.workload_identity.aws.tests.faults.world import (
    CHANGED,
    FIRST_LIST,
    SECOND_LIST,
    WORKLOADS,
    desired,
    wear_out,
)


@dataclass(frozen=True)
class Scenario:
    """``prepare`` brings the account to where a task starts."""

    prepare: Callable[[Account], None]
    asked: Asked


def nothing(account: Account) -> None:
    account.clean()


def made_and_worn(account: Account) -> None:
    if account.restored("worn"):
        return
    account.clean()
    account.complete(desired(*WORKLOADS))
    wear_out(account.clients["iam"])
    account.keep("worn")


def with_first_list(account: Account) -> None:
    if account.restored("first list"):
        return
    account.clean()
    account.complete(desired(*FIRST_LIST))
    account.keep("first list")


# Of a purge: what stays listed changes as well, so that the purge follows a converge.
_PURGED = frozenset(workload.key for workload in desired(*WORKLOADS[2:]).workloads)
SCENARIOS = {
    "first run": Scenario(nothing, Asked(desired(*WORKLOADS))),
    "change": Scenario(made_and_worn, Asked(desired(*CHANGED))),
    "teardown": Scenario(made_and_worn, Asked(desired(*WORKLOADS, state="absent"), "absent")),
    "purge": Scenario(made_and_worn, Asked(desired(*CHANGED[:2]), purge=True, bystanders=_PURGED)),
    "second list": Scenario(with_first_list, Asked(desired(*SECOND_LIST))),
}


def undisturbed(account: Account, name: str) -> Usual:
    """A task without faults."""
    scenario = SCENARIOS[name]
    scenario.prepare(account)
    before = account.facets()
    operations: list[str] = []
    account.before_request = operations.append
    played = account.play(scenario.asked, width=1)
    account.before_request = None
    assert played.message == "", played.message
    return Usual(tuple(operations), before, account.facets(), played.statuses)
