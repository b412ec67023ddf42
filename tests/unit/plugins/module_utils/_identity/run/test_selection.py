# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test runs for some workloads of a list: the others are not touched, and count as listed."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import TrustGrant
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    FakeAws,
    desired,
    named,
    own_trust,
    policy,
    run,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    workload as raw_workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.run.rules_world import (
    Raw,
    account,
    observe,
    play,
    read_statements,
    workload,
)

# Two workloads share role r and policy s; the third has a role of its own.
LIST = (workload("app", "r", "a", "s"), workload("web", "r", "b", "s"), workload("job", "q", "c"))


def changed(*entries: Raw) -> tuple[Raw, ...]:
    """Return the list with another description of each role, and another document of each policy but the shared one."""
    edited = copy.deepcopy(list(entries))
    for entry in edited:
        entry["role"]["description"] = "changed"
        for listed in entry["policies"]:
            if listed["name"] != "s":
                listed["document"]["Statement"][0]["Action"] = ["s3:GetObjectTagging"]
    return tuple(edited)


def facts_about(aws: FakeAws, *words: str) -> dict[str, object]:
    return {name: fact for name, fact in observe(aws).items() if name.endswith(words)}


POLICY = "arn:aws:iam::111122223333:policy/p"
UNSELECTED = {
    "app": ("policy b", "association web", " q", "policy c", "association job"),
    "web": ("policy a", "association app", " q", "policy c", "association job"),
    "job": (" r", "policy a", "policy b", "policy s", "association app", "association web"),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "list": {},
    "scope": {"trust_scope": "namespace"},
    "purge of policies": {"purge_policies": True},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", UNSELECTED)
def test_run_leaves_other_workloads_alone(name: str, option: str) -> None:
    aws = account()
    options = OPTIONS[option]
    assert not play(aws, *LIST, **options).red
    before = observe(aws)
    played = play(aws, *changed(*LIST), only=[f"default/{name}"], **options)
    assert (played.red, played.codes) == (False, frozenset())
    assert any("update" in change for change in played.changes)
    assert facts_about(aws, *UNSELECTED[name]) == {
        fact: value for fact, value in before.items() if fact.endswith(UNSELECTED[name])
    }
    if name != "job":
        # Role r is shared, so it has its new description, and everything that the others need.
        assert aws.iam.roles["r"]["description"] == "changed"
        assert {
            fact for fact in ("attached to r", "admitted by r") if observe(aws)[fact] != before[fact]
        } == set()
    assert play(aws, *changed(*LIST), only=[f"default/{name}"], **options).changes == ()


def test_first_run_creates_only_the_selected_workload() -> None:
    aws = account()
    played = play(aws, *LIST, only="default/app")
    assert (played.red, played.codes) == (False, frozenset())
    assert observe(aws) == {
        "role r": ("blue", False),
        "admitted by r": frozenset({"app"}),
        "statements of r": frozenset(),
        "attached to r": frozenset({"a", "s"}),
        "policy a": ("blue", "s3:GetObject"),
        "policy s": ("blue", "s3:GetObject"),
        "association app": ("blue", "r"),
    }


def test_workload_that_moves_keeps_its_role_until_it_is_selected() -> None:
    aws = account()
    play(aws, *LIST)
    moved = (LIST[0], workload("web", "q", "b"), LIST[2])
    play(aws, *moved, only="default/app")
    assert (observe(aws)["association web"], observe(aws)["admitted by r"]) == (("blue", "r"), {"app", "web"})
    play(aws, *moved)
    assert (observe(aws)["association web"], observe(aws)["admitted by r"]) == (("blue", "q"), {"app"})


@pytest.mark.parametrize(
    ("name", "gone", "codes"),
    [
        ("app", {"association app"}, {"RESOURCE_KEPT"}),
        (
            "job",
            {"association job", "role q", "admitted by q", "statements of q", "attached to q", "policy c"},
            set(),
        ),
    ],
)
def test_teardown_removes_only_the_selected_workload(name: str, gone: set[str], codes: set[str]) -> None:
    aws = account()
    play(aws, *LIST)
    before = observe(aws)
    played = play(aws, *LIST, only=f"default/{name}", state="absent")
    assert (played.red, set(played.codes)) == (False, codes)
    assert before.keys() - observe(aws).keys() == gone
    if name == "app":
        assert observe(aws)["admitted by r"] == {"web"}
    assert not play(aws, *LIST, only="*/*").red
    assert observe(aws) == before


def test_teardown_of_one_match_keeps_the_statement_of_the_pattern() -> None:
    aws = FakeAws()
    listed = desired(
        *(raw_workload(name, role={"name": "web"}, policies=[policy("p")]) for name in ("a", "b"))
    )
    patterned = tuple(
        replace(entry, role=replace(entry.role, trust_patterns=(("default", "*"),)))
        for entry in listed.workloads
        if entry.role is not None
    )
    run(aws, replace(listed, workloads=patterned))
    trust = read_statements(aws, "web")
    assert trust == own_trust(TrustGrant(ACCOUNT, CLUSTER_ARN, "default"))["Statement"]
    selected = replace(listed, workloads=patterned[:1], unselected={patterned[1].key: patterned[1]})
    done = run(aws, selected, "absent")
    assert [named(applied.change) for applied in done.done] == ["delete association default/a"]
    assert read_statements(aws, "web") == trust


def test_wide_statement_for_an_unselected_workload_counts_as_listed() -> None:
    aws = account()
    role = {"name": "r", "trust_scope": "namespace"}
    listed = (workload("one/app", role, "p"), workload("two/app", role, "p"))
    play(aws, *listed)
    trust = read_statements(aws, "r")
    again = play(aws, *listed, only="one/app")
    assert (again.changes, again.codes, read_statements(aws, "r")) == ((), frozenset(), trust)
    # The role has no other users, so its settings are written.
    assert play(aws, *changed(*listed), only="one/app").changes == (
        "update role r",
        f"update policy {POLICY}",
    )
