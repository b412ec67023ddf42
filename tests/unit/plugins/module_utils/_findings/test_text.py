# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the forms of texts for the screen: tables, commands, the names of options, and values with control characters."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import (
    named_result,
    option,
    table,
    visible_values,
    with_remedy,
)

ROWS = [("NAME", "ROLE", "ACCESS"), ("shop/api", "api", "s3 R"), ("shop/longer", "web-role", "sqs W")]
WIDE = ["NAME         ROLE      ACCESS", "shop/api     api       s3 R", "shop/longer  web-role  sqs W"]
NARROW = ["NAME        ROLE     ACCESS", "shop/api    api      s3 R", "shop/longer web-role sqs W"]
ABOVE = ["NAME     ROLE     ACCESS", "shop/api api      s3 R", "shop/longer", "         web-role sqs W"]
LISTED = ["shop/api", "  ROLE api, ACCESS s3 R", "shop/longer", "  ROLE web-role, ACCESS", "  sqs W"]


@pytest.mark.parametrize(
    ("width", "lines"),
    [(0, WIDE), (29, WIDE), (28, NARROW), (27, NARROW), (26, ABOVE), (24, ABOVE), (23, LISTED)],
)
def test_table_fits_the_screen(width: int, lines: list[str]) -> None:
    assert table(ROWS, width) == lines


@pytest.mark.parametrize(
    ("remedy", "lines"),
    [
        ("Wait.", ["Text. Wait."]),
        ("To see it: kubectl get pods", ["Text. To see it:", "  kubectl get pods"]),
        ("aws sts get-caller-identity", ["Text.", "  aws sts get-caller-identity"]),
        (
            "First: aws iam get-role: kubectl get pods ",
            ["Text. First:", "  aws iam get-role", "  kubectl get pods"],
        ),
    ],
)
def test_each_command_of_a_remedy_has_a_line(remedy: str, lines: list[str]) -> None:
    assert with_remedy("Text.", remedy, "  ") == lines


def test_only_messages_of_a_result_have_the_names_of_options() -> None:
    text = f"Set {option('region')}."
    result = {"msg": text, "failures": [{"message": text, "code": 1, "raw": b"x"}, (text,)], "name": text}
    assert named_result(result, "pod_identity_") == {
        "msg": "Set pod_identity_region.",
        "failures": [
            {"message": "Set pod_identity_region.", "code": 1, "raw": b"x"},
            ["Set pod_identity_region."],
        ],
        "name": text,
    }


def test_values_with_control_characters_keep_their_types() -> None:
    value = {"a\x07": ("b\x1b\tc\nd", "e"), 1: ["f\x9b", None]}
    assert visible_values(value) == {"a\\x07": ("b\\x1b\tc\nd", "e"), 1: ["f\\x9b", None]}
