# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the lookup of presets, called as Ansible calls it for a template."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible_collections.workload_identity.aws.plugins.lookup import pod_identity_presets
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.presets import (
    preset_names,
)


class Lookup(pod_identity_presets.LookupModule):
    """The lookup plugin without options from the configuration of Ansible."""

    def set_options(self, **_more: Any) -> None:
        pass


def look_up(*terms: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Lookup().run(list(terms))
    return found


def test_all_presets_are_returned() -> None:
    rows = look_up()
    assert [row["name"] for row in rows] == preset_names()
    assert json.loads(json.dumps(rows)) == rows


def test_unknown_names_share_one_error() -> None:
    with pytest.raises(AnsibleLookupError) as caught:
        look_up("external-dns", "dns", "x")
    assert str(caught.value).splitlines() == [
        "there is no preset 'dns'; did you mean 'external-dns'?",
        "there is no preset 'x'; docs/presets.md lists all presets.",
    ]
