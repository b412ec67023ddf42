# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that external text is never evaluated as a template, and that text without templates is displayed unchanged."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.workload_identity.aws.plugins.inventory.eks_clusters import inert

TEXTS = [
    "prod",
    "{{ 1 + 1 }}",
    "{% if true %}x{% endif %}",
    "{# x #}",
    "#jinja2: variable_start_string:'[[', variable_end_string:']]'\n[[ 1 + 1 ]]",
    " #jinja2:variable_start_string:'[['\n[[ 1 + 1 ]]",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_evaluates_to_itself(text: str) -> None:
    templar = Templar(loader=DataLoader())
    templar.available_variables = {"shown": inert({"inner": text})}
    assert templar.template(inert(text)) == text
    assert templar.template(inert({"inner": text})) == {"inner": text}


@pytest.mark.parametrize("value", [None, True, 1, {"a": None}])
def test_other_values_are_unchanged(value: object) -> None:
    assert inert(value) == value
