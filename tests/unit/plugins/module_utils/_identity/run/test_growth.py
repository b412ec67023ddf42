# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that the work of a run is linear in the number of workloads. Count calls, because durations vary."""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Order,
    apply_order,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import build_result
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    Raw,
    desired,
    engine,
    policy,
    workload,
)

pytestmark = pytest.mark.release

FEW, FACTOR = 40, 4
# With FACTOR times as many workloads, a linear run makes FACTOR times as many calls, and a nested loop FACTOR squared times as
# many. MOST is the largest permitted factor.
MOST = 6
BOTH, READ = ("s3:GetObject", "s3:PutObject"), ("s3:GetObject",)


def workloads(
    count: int, *actions: str, role: str = "role", roles: int = 0, one_policy: bool = False
) -> list[Raw]:
    """Return workloads, each with a role and a policy. If ``roles`` is not 0, the workloads share this number of roles."""
    return [
        workload(
            f"app-{number}",
            f"team-{number % 10}",
            role={"name": f"{role}-{number % roles if roles else number}", "trust_scope": "cluster"},
            policies=[
                policy("shared" if one_policy else f"policy-{number % roles if roles else number}", *actions)
            ],
        )
        for number in range(count)
    ]


def run(
    aws: FakeAws,
    raw: list[Raw],
    state: Any = "present",
    purge: PurgeScope | None = None,
    check_mode: bool = False,
) -> None:
    spec = desired(*raw, state=state, purge=purge)
    aws.replace("eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE"}})
    done = apply_order(engine(aws, spec, state), spec, Order(state, check_mode, verify=True))
    build_result(done.run)
    assert done.guard.cause is None, done.guard.trace
    assert done.verified is not None or state == "absent"


def refuse(aws: FakeAws, name: str) -> None:
    def answer(_parameters: object) -> dict[str, Any]:
        raise classify(name, "AccessDenied", "no")

    aws.replace(name, answer)


def no_fault(_aws: FakeAws) -> None:
    """Inject no fault."""


def roles_unread(aws: FakeAws) -> None:
    refuse(aws, "iam:GetRole")
    refuse(aws, "iam:GetAccountAuthorizationDetails")


def associations_unread(aws: FakeAws) -> None:
    refuse(aws, "eks:DescribePodIdentityAssociation")


FIRST = {"actions": BOTH}
SCENES: dict[str, tuple[dict[str, Any] | None, Callable[[FakeAws], None], dict[str, Any]]] = {
    # Each item has the workloads of an earlier run or None, a function that injects a fault, and the options of the measured run.
    "create": (None, no_fault, FIRST),
    "create, in check mode": (None, no_fault, {**FIRST, "check_mode": True}),
    "no change": (FIRST, no_fault, FIRST),
    "an action is removed from policies": (FIRST, no_fault, {"actions": READ}),
    "workloads move to other roles": (FIRST, no_fault, {"actions": BOTH, "role": "other"}),
    "workloads move, and an action is removed": (FIRST, no_fault, {"actions": READ, "role": "other"}),
    "one role for all": ({"actions": BOTH, "roles": 1}, no_fault, {"actions": READ, "roles": 1}),
    "one policy for all": (
        {"actions": BOTH, "one_policy": True},
        no_fault,
        {"actions": READ, "one_policy": True},
    ),
    "roles that cannot be read": (FIRST, roles_unread, {"actions": READ}),
    "associations that cannot be read": (FIRST, associations_unread, {"actions": READ}),
    "teardown": (FIRST, no_fault, {**FIRST, "state": "absent"}),
    "purge of half": (FIRST, no_fault, {**FIRST, "purge": PurgeScope(limit=1000), "share": 2}),
    "purge without removals": (FIRST, no_fault, {**FIRST, "purge": PurgeScope()}),
}


def calls(name: str, count: int) -> int:
    """Run a scene with ``count`` workloads, and count the function calls in the code of the engine."""
    initial, fault, scene = SCENES[name]
    aws = FakeAws()
    if initial is not None:
        run(aws, scene_workloads(count, initial))
    fault(aws)
    raw = scene_workloads(count, scene)
    profile = cProfile.Profile()
    profile.enable()
    options = {name: scene[name] for name in ("state", "purge", "check_mode") if name in scene}
    run(aws, raw[: count // scene.get("share", 1)], **options)
    profile.disable()
    return sum(
        called.callcount
        for caller in profile.getstats()
        if _is_engine_code(caller.code)
        for called in caller.calls or ()
    )


def _is_engine_code(code: CodeType | str) -> bool:
    """Return whether a profiled function belongs to the engine. For functions written in C, ``code`` is a string."""
    file = "" if isinstance(code, str) else code.co_filename
    return "/plugins/module_utils/_identity/" in file and "/tests/" not in file


def scene_workloads(count: int, how: dict[str, Any]) -> list[Raw]:
    names = ("role", "roles", "one_policy")
    return workloads(count, *how["actions"], **{name: how[name] for name in names if name in how})


@pytest.mark.parametrize("name", SCENES)
def test_calls_grow_linearly(name: str) -> None:
    few, many = calls(name, FEW), calls(name, FEW * FACTOR)
    assert many < MOST * few, f"{few} calls for {FEW} workloads, {many} for {FEW * FACTOR}"
