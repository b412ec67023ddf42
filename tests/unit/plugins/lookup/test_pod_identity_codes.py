# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the lookup of codes, called as Ansible calls it for a template."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible_collections.workload_identity.aws.plugins.lookup import pod_identity_codes
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code


class Lookup(pod_identity_codes.LookupModule):
    """The lookup plugin without options from the configuration of Ansible."""

    def set_options(self, **_more: Any) -> None:
        pass


def look_up(*terms: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Lookup().run(list(terms))
    return found


def test_every_code_is_explained_as_on_the_page() -> None:
    page = (pod_identity_codes.CODES.parent / "codes.md").read_text(encoding="utf-8")
    rows = look_up()
    assert [row["code"] for row in rows] == sorted(Code)
    for row in rows:
        cells = ", ".join(row["severities"]), row["cause"], row["remedy"]
        assert f'| <a id="{row["code"]}"></a>`{row["code"]}` | {" | ".join(cells)} |' in page


def test_codes_are_returned_in_the_order_of_the_terms() -> None:
    assert [row["code"] for row in look_up("ROLE_MISSING", ["AGENT_MISSING"])] == [
        "ROLE_MISSING",
        "AGENT_MISSING",
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("role_mising", "did you mean 'ROLE_MISSING'?"), ("x", "docs/codes.md lists all codes.")],
)
def test_unknown_code(name: str, hint: str) -> None:
    with pytest.raises(AnsibleLookupError) as caught:
        look_up("ROLE_MISSING", name)
    assert str(caught.value) == f"there is no code '{name}'; {hint}"
