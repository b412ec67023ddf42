# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test two parties that change the same resource: the second party keeps the property of the first, changes it, or fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.faults.harness import Account
from ansible_collections.workload_identity.aws.tests.faults.role import RoleRun
from ansible_collections.workload_identity.aws.tests.faults.sampling import chosen
from ansible_collections.workload_identity.aws.tests.faults.sharing import (
    ASPECTS,
    HANDS,
    OTHER_CLUSTER,
    OWN,
    PAIRS,
    READ,
    TERRAFORM,
    List,
    Playground,
    property_of_first,
    result_codes,
    terraform,
    workload,
)
from ansible_collections.workload_identity.aws.tests.faults.world import ACCOUNT, CLUSTER, REGION
from ansible_collections.workload_identity.aws.tests.findings.cluster import NODE, READY, TOKEN, Kube
from ansible_collections.workload_identity.aws.tests.findings.conftest import serving
from sandbox.kube.kubeconfig import write_kubeconfig

OPERATIONS = ("converge", "teardown", "purge")
ROOT = Path(__file__).resolve().parents[2]
# Every run on this cluster reports the association that no run manages.
COMMON = {"UNLISTED_ASSOCIATIONS"}


@pytest.fixture(scope="module")
def playground(shared_account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    first, second = (tmp_path_factory.mktemp(name) for name in (CLUSTER, OTHER_CLUSTER))
    options = ("--token", TOKEN, "--pod-identity-webhook")
    with (
        serving("sandbox.kube", "--cert-dir", str(first), *options) as first_address,
        serving("sandbox.kube", "--cert-dir", str(second), *options) as second_address,
    ):
        kubes = {}
        places = ((CLUSTER, first, first_address), (OTHER_CLUSTER, second, second_address))
        for cluster, folder, address in places:
            authority = folder / "ca.crt"
            write_kubeconfig(folder / "kubeconfig", address, authority.read_text("ascii"), TOKEN)
            kubes[cluster] = Kube(address, authority, folder / "kubeconfig")
            shared_account.control.set_kubernetes(ACCOUNT, REGION, cluster, address, authority.read_bytes())
        yield Playground(shared_account, kubes)


def second_run(playground: Playground, pair: str, aspect: str, operation: str) -> tuple[Any, RoleRun]:
    """Create the initial state of both parties, then run the second party's ``operation``.

    Return the property of the first party before that run (see ``property_of_first``), and the result of the run.
    """
    playground.clean()
    if pair == "manual change":
        initial = List(HANDS[aspect].workloads)
        assert not initial.apply(playground).failed
        HANDS[aspect].change(playground)
        changed, rest = initial, List(HANDS[aspect].rest)
    elif pair == "Terraform":
        terraform(playground)
        initial = changed = List((TERRAFORM[aspect], OWN))
        rest = List((OWN,))
        if operation != "converge":
            initial.apply(playground)
    else:
        first, initial, changed, rest = PAIRS[pair].lists(ASPECTS[aspect])
        for party in (first, initial):
            run = party.apply(playground)
            assert not run.failed, run.screen
    value = property_of_first(playground, pair, aspect)
    if operation == "converge":
        return value, changed.apply(playground)
    if operation == "teardown":
        return value, initial.apply(playground, state="absent")
    return value, rest.apply(playground, purge=True)


def documented() -> dict[tuple[str, str, str], tuple[str, frozenset[str]]]:
    """Return the verdict and the codes of each result in the table of docs/ownership.md. "" stands for no code."""
    text = (ROOT / "docs" / "ownership.md").read_text("utf-8")
    section = text.split("## Two parties on one resource")[1].split("\n## ")[0]
    cells: dict[tuple[str, str, str], tuple[str, frozenset[str]]] = {}
    for line in section.splitlines():
        columns = [column.strip() for column in line.strip("|").split("|")]
        if len(columns) != 2 + len(OPERATIONS) or columns[0] in ("parties", "---"):
            continue
        pair, aspects, *results = columns
        for operation, result in zip(OPERATIONS, results, strict=True):
            word, _, named = result.partition(": ")
            codes = frozenset(re.findall(r"`(\w+)`", named))
            codes |= {""} if not named or "no code" in named else set()
            for aspect in ASPECTS if aspects == "all" else aspects.split(", "):
                assert (pair, aspect, operation) not in cells
                cells[pair, aspect, operation] = (word, codes)
    return cells


CELLS = documented()


def test_table_is_complete() -> None:
    pairs = (*PAIRS, "manual change", "Terraform")
    assert CELLS.keys() == set(product(pairs, ASPECTS, OPERATIONS))


# Without TIER=release, run only one in this number of cells.
SHARE = 8


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, marks=[pytest.mark.release] if chosen(*cell, among=SHARE) else []) for cell in CELLS],
    ids=" / ".join,
)
def test_second_party(playground: Playground, cell: tuple[str, str, str]) -> None:
    pair, aspect, operation = cell
    value, run = second_run(playground, pair, aspect, operation)
    same = property_of_first(playground, pair, aspect) == value
    verdict = "refused" if same and run.failed else "kept" if same else "taken"
    codes = result_codes(run) - COMMON
    word, expected = CELLS[cell]
    assert verdict == word, run.screen
    assert expected & (codes or {""}), (expected, codes)
    if operation == "converge" and pair in PAIRS and verdict != "taken":
        check_next_runs(playground, pair, aspect, value)


def check_next_runs(playground: Playground, pair: str, aspect: str, value: Any) -> None:
    """Run both lists in turn, twice. The property of the first party must not change.

    Only the first of these runs may make changes, and only in the trust policy.
    """
    first, _listed, changed, _rest = PAIRS[pair].lists(ASPECTS[aspect])
    # The second list has narrowed the trust policy with a separate statement. The next run of the first list widens its own
    # statement.
    writes_once = {"trust_policy"} if aspect == "trust" else set()
    for party, allowed in ((first, writes_once), (changed, set()), (first, set()), (changed, set())):
        run = party.apply(playground)
        changes = [] if run.report is None else run.report["changes"]
        assert {change["resource"] for change in changes} <= allowed, run.screen
        assert property_of_first(playground, pair, aspect) == value


def test_teardown_names_running_pods_that_lose_the_role(playground: Playground) -> None:
    playground.clean()
    role = {"name": "lending"}
    listed = List((workload("shop/api", role, READ),))
    assert not listed.apply(playground).failed
    spec = {"serviceAccountName": "api", "nodeName": NODE, "containers": [{"name": "a", "image": "a"}]}
    pod = {"metadata": {"name": "api-1"}, "spec": spec}
    playground.kubes[CLUSTER].create("/api/v1/namespaces/shop/pods", pod, READY)
    report = listed.apply(playground, state="absent").report
    assert report is not None
    messages = [str(row["message"]) for row in report["findings"]]
    assert any("api-1" in message and "lending" in message for message in messages), messages
