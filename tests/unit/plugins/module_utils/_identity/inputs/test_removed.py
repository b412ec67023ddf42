# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removed variables and keys fail with their replacement."""

from __future__ import annotations

import re

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fields import Fields
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.removed import (
    REMOVED_KEYS,
    REMOVED_VARIABLES,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    HIDDEN,
    PLAYBOOKS,
    VARIABLES,
    find_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    WORKLOAD_KEYS,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    Problems,
)


@pytest.mark.parametrize("name", sorted(REMOVED_VARIABLES))
def test_removed_variable_names_its_replacement(name: str) -> None:
    with pytest.raises(InputError) as caught:
        find_variables([f"pod_identity_{name}"])
    assert caught.value.problems == (
        f"pod_identity_{name} is not a variable of the role; {REMOVED_VARIABLES[name]}",
    )


def test_replacements_are_variables() -> None:
    """A replacement that was removed, too, or is misspelt, would send the user from one error to the next."""
    known = {*VARIABLES, *HIDDEN, *PLAYBOOKS}
    text = " ".join((*REMOVED_VARIABLES.values(), *REMOVED_KEYS.values()))
    assert set(re.findall(r"\bpod_identity_([a-z_]+[a-z])", text)) <= known
    assert not known & REMOVED_VARIABLES.keys()


@pytest.mark.parametrize("key", sorted(REMOVED_KEYS))
def test_removed_key_names_its_replacement(key: str) -> None:
    problems = Problems()
    Fields({key: "value"}, "workloads[0]", problems).report_unknown(WORKLOAD_KEYS)
    with pytest.raises(InputError) as caught:
        problems.raise_if_any()
    assert caught.value.problems == (f"workloads[0]: unknown key '{key}'; {REMOVED_KEYS[key]}",)
