# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test a service account that several entries of the list match: its workload fails unchanged, and the other ones are applied."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import FileSource
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.patterns import (
    Candidate,
    Selected,
    expand,
    find_patterns,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
    PurgeScope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Applied,
    Order,
    apply_order,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    HERE,
    OWNER,
    FakeAws,
    engine,
)

SELECTED = Selected(accounts={"tier=web": ["a/web", "a/shop"], "tier=shop": ["a/shop", "a/cart"]})
WEB = {
    "namespace": "a",
    "service_account": "*",
    "service_account_selector": "tier=web",
    "role": {"name": "web"},
}
SHOP = {**WEB, "service_account_selector": "tier=shop", "role": {"name": "shop"}}
NAMED = {"namespace": "a", "service_account": "shop", "role": {"name": "named"}}
PLACES = "workloads[0] (a/* with tier={}), workloads[1] (a/* with tier={})"
MESSAGE = f"service account a/shop matches 2 entries of the list: {PLACES}."


def listed(*entries: dict[str, Any], purge: bool = False) -> Desired:
    """Return the workloads of a list, for a cluster with the service accounts a/web, a/shop and a/cart."""
    places = [f"workloads[{index}]" for index in range(len(entries))]
    source, patterns = find_patterns(FileSource(list(entries), places))
    candidates = [Candidate("a", name) for name in ("cart", "shop", "web")]
    expansion = expand(source, patterns, candidates, SELECTED, HERE)
    workloads = parse_workloads(expansion.source.workloads, CLUSTER, places=expansion.source.places)
    scope = PurgeScope(limit=9) if purge else None
    return Desired(tuple(map(expansion.complete, workloads)), Options(owner=OWNER), purge=scope)


def execute(aws: FakeAws, config: Desired, order: Order) -> Applied:
    return apply_order(engine(aws, config, order.state), config, order)


def failures(performed: Applied) -> list[tuple[list[str], str, str]]:
    return [
        (list(map(str, failure.workloads)), str(failure.error_code), failure.message)
        for failure in performed.run.failures
    ]


def roles(aws: FakeAws) -> dict[str, str]:
    """Return the name of the role of each association, by service account."""
    return {
        found["serviceAccount"]: found["roleArn"].rpartition("/")[2]
        for found in aws.eks.associations.values()
    }


def trusted(aws: FakeAws, role: str) -> set[str]:
    """Return the service accounts in the trust policy of a role."""
    text = json.dumps(aws.iam.roles[role]["trust"]).replace("\\", "")
    return {name for name in ("cart", "shop", "web") if f'"{name}"' in text}


def conflict(first: str = "web", second: str = "shop") -> list[tuple[list[str], str, str]]:
    return [(["a/shop"], "PATTERN_CONFLICT", MESSAGE.format(first, second))]


@pytest.mark.parametrize("check_mode", [True, False])
def test_other_workloads_are_applied(check_mode: bool) -> None:
    aws = FakeAws()
    performed = execute(aws, listed(WEB, SHOP), Order("present", check_mode))
    assert failures(performed) == conflict()
    assert roles(aws) == ({} if check_mode else {"cart": "shop", "web": "web"})


@pytest.mark.parametrize("order", [(WEB, SHOP), (SHOP, WEB)])
@pytest.mark.parametrize("purge", [False, True])
def test_applied_workload_keeps_its_association_and_its_grant(
    order: tuple[dict[str, Any], ...], purge: bool
) -> None:
    aws = FakeAws()
    execute(aws, listed(SHOP), Order("present"))
    assert (roles(aws), trusted(aws, "shop")) == ({"cart": "shop", "shop": "shop"}, {"cart", "shop"})
    performed = execute(aws, listed(*order, purge=purge), Order("present"))
    tiers = [str(entry["service_account_selector"]).removeprefix("tier=") for entry in order]
    # If the plan would revoke the grant, the skipped change of the trust policy is a failure of the same workload, too.
    assert failures(performed)[:1] == conflict(*tiers)
    assert {name for names, _code, _message in failures(performed) for name in names} == {"a/shop"}
    assert roles(aws) == {"cart": "shop", "shop": "shop", "web": "web"}
    assert trusted(aws, "shop") == {"cart", "shop"}


def test_pattern_does_not_take_a_named_service_account() -> None:
    aws = FakeAws()
    execute(aws, listed(NAMED), Order("present"))
    performed = execute(aws, listed(NAMED, SHOP), Order("present"))
    assert [row[:2] for row in failures(performed)] == [(["a/shop"], "PATTERN_CONFLICT")]
    assert (roles(aws), trusted(aws, "named")) == ({"cart": "shop", "shop": "named"}, {"shop"})


def test_teardown_keeps_the_association() -> None:
    aws = FakeAws()
    execute(aws, listed(SHOP), Order("present"))
    execute(aws, listed(WEB), Order("present"))
    assert roles(aws) == {"cart": "shop", "shop": "web", "web": "web"}
    performed = execute(aws, listed(WEB, SHOP), Order("absent"))
    assert failures(performed)[0] == conflict()[0]
    assert roles(aws) == {"shop": "web"}
    assert "shop" in trusted(aws, "web")


@pytest.mark.parametrize("role", ["", "web", "shop"])
def test_verification_fails_the_workload(role: str) -> None:
    aws = FakeAws()
    execute(aws, listed(SHOP), Order("present"))
    if role == "web":
        execute(aws, listed(WEB), Order("present"))
    elif not role:
        aws.eks.associations.clear()
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE"}})
    verified = execute(aws, listed(WEB, SHOP), Order("present", check_mode=True, verify=True)).verified or ()
    statuses = {
        str(subject.workload.key): [
            (check.status, [str(finding.code) for finding in check.findings])
            for check in subject.checks
            if check.name == "association"
        ]
        for subject in verified
    }
    assert statuses["a/shop"] == [("fail", ["PATTERN_CONFLICT"])]
    assert statuses["a/web"] == [("pass", [])]
