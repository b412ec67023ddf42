# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the parsing of booleans and integers."""

from __future__ import annotations

import pytest
from ansible.module_utils.parsing.convert_bool import BOOLEANS_FALSE, BOOLEANS_TRUE
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fields import (
    read_boolean,
    read_integer,
)


@pytest.mark.parametrize("value", [*sorted(BOOLEANS_TRUE, key=str), "TRUE", "Yes", " on ", 1])
def test_accepts_the_true_values_of_ansible(value: object) -> None:
    assert read_boolean(value) is True


@pytest.mark.parametrize("value", [*sorted(BOOLEANS_FALSE, key=str), "FALSE", "No", " off ", 0])
def test_accepts_the_false_values_of_ansible(value: object) -> None:
    assert read_boolean(value) is False


@pytest.mark.parametrize("value", [None, "", "perhaps", "2", 2, -1, 0.5, [], {}, ["true"]])
def test_other_values_are_not_boolean(value: object) -> None:
    assert read_boolean(value) is None


@pytest.mark.parametrize(
    ("value", "number"), [(0, 0), (-3, -3), ("16", 16), ("-1", -1), (" 7 ", 7), ("+5", 5), ("007", 7)]
)
def test_text_can_be_a_number(value: object, number: int) -> None:
    assert read_integer(value) == number


@pytest.mark.parametrize("value", [None, "", "x", "1.0", 1.0, True, False, "1e3", "٣", "9" * 5000, [], [1]])
def test_other_values_are_not_numbers(value: object) -> None:
    assert read_integer(value) is None
