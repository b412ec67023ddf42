# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test patterns: the service accounts that match, and the errors."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import FileSource
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.patterns import (
    Candidate,
    Expansion,
    PatternInput,
    Selected,
    describe_matches,
    expand,
    find_patterns,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    Defaults,
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Origin
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import HERE

CLUSTER = [
    Candidate("default", "default"),
    Candidate("kube-system", "aws-node"),
    Candidate("team-a", "default"),
    Candidate("team-a", "web"),
    Candidate("team-a", "worker"),
    Candidate("team-b", "web"),
]


def entry(namespace: object, service_account: object, **more: Any) -> dict[str, Any]:
    return {"namespace": namespace, "service_account": service_account, "role": {"name": "r"}, **more}


def expanded(
    *entries: object,
    candidates: list[Candidate] = CLUSTER,
    selected: Selected | None = None,
    scope: str | None = None,
) -> Expansion:
    places = [f"workloads[{index}]" for index in range(len(entries))]
    source, patterns = find_patterns(FileSource(list(entries), places))
    return expand(source, patterns, candidates, selected or Selected(), HERE, scope)


def names(expansion: Expansion) -> list[str]:
    return [
        f"{item['namespace']}/{item['service_account']}"
        for item in expansion.source.workloads
        if isinstance(item, dict)
    ]


@pytest.mark.parametrize(
    ("namespace", "service_account", "matches"),
    [
        ("team-*", "web", ["team-a/web", "team-b/web"]),
        ("team-a", "w*", ["team-a/web", "team-a/worker"]),
        ("*", "*", ["team-a/web", "team-a/worker", "team-b/web"]),
        ("team-a", "d*", ["team-a/default"]),
        ("*", "default", ["default/default", "team-a/default"]),
        ("kube-*", "*", ["kube-system/aws-node"]),
        ("*system", "*", []),
        ("team", "*", []),
    ],
)
def test_matches_of_a_pattern(namespace: str, service_account: str, matches: list[str]) -> None:
    expansion = expanded(entry(namespace, service_account))
    assert names(expansion) == matches
    assert expansion.origins == dict.fromkeys(
        matches, Origin(f"{namespace}/{service_account}", "workloads[0]")
    )
    assert [finding.code.value for finding in expansion.findings] == (
        [] if matches else ["PATTERN_UNMATCHED"]
    )
    assert ["begins with *" in finding.remedy for finding in expansion.findings] == (
        [] if matches else ["*" in (namespace[0], service_account[0])]
    )


@pytest.mark.parametrize("selector", [{"a": "b"}, ["a"], 1, "", " "])
def test_invalid_selectors_are_reported_with_all_problems(selector: object) -> None:
    entries = [
        entry("*", "*", namespace_selector=selector),
        entry("team-*", "x", service_acount_selector="a=b"),
    ]
    source, _patterns = find_patterns(FileSource(list(entries), ["list.yml line 2", "list.yml line 9"]))
    with pytest.raises(InputError) as caught:
        parse_workloads(source.workloads, "my-cluster", "present", Defaults(patterns=True), source.places)
    assert list(caught.value.problems) == [
        f"list.yml line 2 (*/*): namespace_selector must be a label selector, such as team=payments, got {selector!r}.",
        "list.yml line 9 (team-*/x): unknown key 'service_acount_selector'; did you mean 'service_account_selector'?",
    ]


def test_purge_without_a_match_is_refused() -> None:
    patterns = PatternInput()
    options = {"cluster_name": "my-cluster", "purge": True, "workloads": [entry("x-*", "*")]}
    read_input(options, refuse_files, patterns=patterns)
    patterns.expansion = expand(patterns.source, patterns.patterns, CLUSTER, Selected(), HERE)
    with pytest.raises(InputError, match=r"^No service account matches the patterns, and purge is true, so "):
        read_input(options, refuse_files, patterns=patterns)


def test_every_use_of_a_rejected_selector_has_a_problem() -> None:
    entries = [
        entry("*", "x", namespace_selector="a in b", service_account_selector="c=d"),
        entry("team-a", "plain"),
        entry("team-*", "y", service_account_selector="a in b"),
    ]
    patterns = PatternInput()
    patterns.find(FileSource(list(entries), [f"workloads[{index}]" for index in range(3)]))
    assert patterns.describe_invalid({"a in b": "No."}) == [
        "workloads[0] (*/x): namespace_selector 'a in b' is not a valid label selector: No.",
        "workloads[2] (team-*/y): service_account_selector 'a in b' is not a valid label selector: No.",
    ]


def test_match_line_names_the_service_accounts() -> None:
    source, patterns = find_patterns(FileSource([entry("team-*", "*"), entry("x-*", "*")], ["a", "a"]))
    expansion = expand(source, patterns, CLUSTER, Selected(), HERE)
    assert list(describe_matches(patterns, expansion.origins)) == [
        "team-*/* matches 3 service accounts: team-a/web, team-a/worker, team-b/web"
    ]


@pytest.mark.parametrize(
    ("namespace", "account", "refused"),
    [("team-[ab]", "*", "namespace"), ("team-*", "we?", "service_account"), ("Team-*", "x", "namespace")],
)
def test_other_wildcards_are_refused(namespace: str, account: str, refused: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_workloads([entry(namespace, account)], "my-cluster", defaults=Defaults(patterns=True))
    [problem] = caught.value.problems
    assert f"{refused} must be a name, or a pattern of lower case letters, digits, -, . and *, got" in problem
