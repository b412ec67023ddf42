# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that malicious input fails after a few steps with an error that names its place, instead of running for minutes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fields import (
    LIMITS,
    Limits,
    find_excess,
    find_excess_of_values,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import read_sources
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    ROLE,
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError

ROOT = Path(__file__).resolve().parents[6]
ADVICE = "; shorten it, split it, or write it without aliases."
ALIASES = f", with aliases expanded{ADVICE}"
MANY, DEEP = "holds more than 500,000 values", "is nested more than 64 levels deep"


def anchors(first: str, lines: int, template: str) -> str:
    """Return YAML lines, each with references to the previous line. {0} in ``template`` is the place of a reference."""
    return "".join(
        [
            f"l0: &l0 {first}\n",
            *(f"l{number}: &l{number} {template.format(f'*l{number - 1}')}\n" for number in range(1, lines)),
        ]
    )


TENFOLD = ", ".join(["{0}"] * 10)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        pytest.param(
            "a.yml",
            anchors("[a, b, c]", 10, f"[{TENFOLD}]") + "workloads: [{namespace: *l9}]\n",
            f"line 7: {MANY}{ALIASES}",
            id="aliases of aliases",
        ),
        pytest.param(
            "a.yml",
            anchors("{a: 1}", 10, f"{{{{<<: [{TENFOLD}]}}}}") + "workloads: [*l9]\n",
            f"line 7: {MANY}{ALIASES}",
            id="merge keys of merge keys",
        ),
        pytest.param(
            "a.yml",
            f"l0: &l0 {'x' * 100_000}\nworkloads: [{', '.join(['*l0'] * 600)}]\n",
            f"line 2: {MANY}{ALIASES}",
            id="a long text with many aliases",
        ),
        pytest.param(
            "a.yml",
            anchors("[a]", 2_000, "[{0}]") + "workloads: [*l1999]\n",
            f"line 65: {DEEP}{ALIASES}",
            id="a chain of aliases",
        ),
        pytest.param(
            "a.yml",
            "- &a {role: *a}\n",
            f"line 1: contains itself{ALIASES}",
            id="a mapping that contains itself",
        ),
        pytest.param(
            "a.yml", "- x\n- &a [*a]\n", f"line 2: contains itself{ALIASES}", id="a list that contains itself"
        ),
        pytest.param(
            "a.yml",
            "- &a {b: 1, <<: *a}\n",
            f"line 1: contains itself{ALIASES}",
            id="a mapping merged into itself",
        ),
        pytest.param("a.yml", "- " * 100_000, f"line 1: {DEEP}{ADVICE}", id="nested lists"),
        pytest.param("a.yml", "{a: " * 100_000, f"line 1: {DEEP}{ADVICE}", id="nested mappings"),
        pytest.param("a.yml", "? " * 100_000, f"line 1: {DEEP}{ADVICE}", id="nested mapping keys"),
        pytest.param(
            "a.yml",
            "\n".join(f"{' ' * depth}a:" for depth in range(3_000)),
            f"line 65: {DEEP}{ADVICE}",
            id="block mappings, one level deeper on each line",
        ),
        pytest.param(
            "a.yml",
            "[" * 100_000,
            "line 1: is not valid YAML: exceeded maximum nesting depth.",
            id="more brackets than the parser accepts",
        ),
        pytest.param(
            "a.yml",
            f"- {'9' * 1_000_000}\n",
            f"line 1: has a number with 1,000,000 digits{ADVICE}",
            id="a long number",
        ),
        pytest.param(
            "a.yml",
            f"- a\n- 1{':1' * 300_000}\n",
            f"line 2: has a number with 600,001 digits{ADVICE}",
            id="a sexagesimal number",
        ),
        pytest.param(
            "a.json",
            "[" * 100_000,
            "line 1: is not valid YAML: exceeded maximum nesting depth.",
            id="unclosed nested JSON lists",
        ),
        pytest.param("a.json", "[\n" * 500 + "]" * 500, f"line 65: {DEEP}{ADVICE}", id="nested JSON lists"),
        pytest.param("a.json", '{"a":\n' * 100_000, f"line 65: {DEEP}{ADVICE}", id="nested JSON mappings"),
    ],
)
def test_rejects_hostile_file_with_its_line(tmp_path: Path, name: str, text: str, problem: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_sources([str(path)])
    assert list(caught.value.problems) == [f"{path} {problem}"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.yml", f"[{'a,' * 200}]", " line 1: holds more than 100 values"),
        ("a.yml", "- a\n" * 200, " line 1: holds more than 100 values"),
        ("a.json", f"[{'1,' * 200}1]", " line 1: holds more than 100 values"),
        (
            "a.yml",
            "- a\n" * 500,
            ": has more than 1,000 bytes; write the workloads into several files.",
        ),
    ],
)
def test_rejects_large_file(tmp_path: Path, name: str, text: str, problem: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_sources([str(path)], Limits(file_bytes=1_000, values=100))
    assert list(caught.value.problems) == [f"{path}{problem}{'' if 'bytes' in problem else ADVICE}"]


def test_reads_each_part_once() -> None:
    """Count 10**20 values in a few steps. The values are twenty nested lists, each with ten references to the next list."""
    looks = 0
    value: list[object] = ["a"]
    for _level in range(20):
        value = [value] * 10

    def parts(part: object) -> list[object] | None:
        nonlocal looks
        looks += 1
        return part if isinstance(part, list) else None

    excess = find_excess(value, parts, lambda _part: 0, Limits(values=10**30))
    assert excess is None
    # The function looks at each of the 20 lists once, and at each of its ten references at most once.
    assert looks <= 20 * 10 + 2


def test_repeated_value_counts_each_time() -> None:
    shared = {"a": [1, 2]}
    assert find_excess_of_values([shared, shared, {"b": shared}], Limits(values=19)) is None
    excess = find_excess_of_values([shared, shared, {"b": shared}], Limits(values=17))
    assert excess is not None
    assert excess.rule == "holds more than 17 values"


@pytest.mark.parametrize(("levels", "refused"), [(64, False), (65, True)])
def test_accepts_the_maximum_depth(levels: int, refused: bool) -> None:
    value: object = "a"
    for _level in range(levels):
        value = [value]
    assert bool(find_excess_of_values(value)) is refused


def test_oversized_variables_are_rejected_before_parsing() -> None:
    bomb: list[object] = ["a"]
    for _level in range(12):
        bomb = [bomb] * 10
    cycle: dict[str, object] = {}
    cycle["a"] = cycle
    options = {
        "cluster_name": "my-cluster",
        "workloads": [{"namespace": bomb}],
        "tags": cycle,
    }
    with pytest.raises(InputError) as caught:
        read_input(options, refuse_files, ROLE)
    assert list(caught.value.problems) == [
        "pod_identity_workloads holds more than 500,000 values, with YAML aliases expanded; shorten the value, "
        "or remove the aliases.",
        "pod_identity_tags contains itself, with YAML aliases expanded; shorten the value, or remove the aliases.",
    ]


def test_message_about_many_errors_is_short() -> None:
    workloads = [{"namespace": "n" * 100_000, f"{'k' * 100_000}": 1, "service_account": ["s"] * 100_000}]
    with pytest.raises(InputError) as caught:
        parse_workloads(workloads, "my-cluster")
    assert max(map(len, caught.value.problems)) < 1_500


def test_counts_a_thousand_unknown_keys() -> None:
    workload = {f"x{number}": 1 for number in range(1_000)}
    with pytest.raises(InputError) as caught:
        parse_workloads([workload], "my-cluster")
    assert sum("unknown key" in problem for problem in caught.value.problems) == 11
    assert "workloads[0] (?/?): 990 more unknown keys." in caught.value.problems


def test_limits_are_documented() -> None:
    page = (ROOT / "docs/workloads.md").read_text(encoding="utf-8")
    table = page.partition("### Bounds")[2]
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\| ([\d,]+)(?: |\n)", table)]
    assert numbers[:5] == [LIMITS.files, LIMITS.file_bytes, LIMITS.values, LIMITS.depth, LIMITS.digits]


def test_too_many_files_are_rejected_before_reading(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.yml").write_text("not: [closed", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_sources([str(tmp_path)], Limits(files=3))
    assert list(refused.value.problems) == [
        f"{tmp_path}: there are 4 files with workloads; at most 3 are allowed. Write more workloads into each file."
    ]
