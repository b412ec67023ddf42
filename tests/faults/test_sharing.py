# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two parties on one resource: a run keeps, takes or refuses, and says which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.faults.harness import Account
from ansible_collections.workload_identity.aws.tests.faults.role import RoleRun
from ansible_collections.workload_identity.aws.tests.faults.sharing import (
    ASPECTS,
    HANDS,
    OTHER_CLUSTER,
    OWN,
    PAIRS,
    TERRAFORM,
    List,
    Playground,
    codes_of,
    property_of_first,
    terraform,
)
from ansible_collections.workload_identity.aws.tests.faults.world import CLUSTER
from ansible_collections.workload_identity.aws.tests.findings.cluster import TOKEN, Kube
from ansible_collections.workload_identity.aws.tests.findings.conftest import serving
from sandbox.kube.kubeconfig import write_kubeconfig

OPERATIONS = ("converge", "teardown", "purge")


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
        yield Playground(shared_account, kubes)


def second_run(playground: Playground, pair: str, aspect: str, operation: str) -> tuple[Any, RoleRun]:
    """Let both parties create their resources; return the property of the first one, and the second one's run."""
    playground.clean()
    if pair == "list and hand":
        listed = List(HANDS[aspect].workloads)
        assert not listed.apply(playground).failed
        HANDS[aspect].change(playground)
        changed, rest = listed, List(HANDS[aspect].rest)
    elif pair == "list and Terraform role":
        terraform(playground)
        listed = changed = List((TERRAFORM[aspect], OWN))
        rest = List((OWN,))
        if operation != "converge":
            listed.apply(playground)
    else:
        first, listed, changed, rest = PAIRS[pair].lists(ASPECTS[aspect])
        for party in (first, listed):
            run = party.apply(playground)
            assert not run.failed, run.shown
    held = property_of_first(playground, pair, aspect)
    if operation == "converge":
        return held, changed.apply(playground)
    if operation == "teardown":
        return held, listed.apply(playground, state="absent")
    return held, rest.apply(playground, purge=True)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("pair", [*PAIRS, "list and hand", "list and Terraform role"])
def test_second_party(playground: Playground, pair: str, aspect: str, operation: str) -> None:
    held, run = second_run(playground, pair, aspect, operation)
    verdict = (
        "taken"
        if property_of_first(playground, pair, aspect) != held
        else "refused"
        if run.failed
        else "kept"
    )
    print(f"CELL|{pair}|{aspect}|{operation}|{verdict}|{','.join(sorted(codes_of(run)))}|{run.message[:200]}")
    if run.report:
        print("\n".join(run.report["lines"]))
