# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of a host that an action sets and reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

try:
    from ansible.plugins.action import VariableLayer
except ImportError:  # ansible-core before 2.21
    VariableLayer = None


def set_fact(caller: ActionBase, result: dict[str, Any], name: str, value: Any) -> None:
    """As set_fact does it, where Ansible lets others do it too; before that, as modules do it."""
    if VariableLayer is None:
        result["ansible_facts"] = {**result.get("ansible_facts", {}), name: value}
        return
    caller.register_host_variables({name: value}, VariableLayer.EPHEMERAL_FACT)


def read_fact(variables: Mapping[str, Any], name: str) -> Any:
    """Return a fact, or None. Before ansible-core 2.21 INJECT_FACTS_AS_VARS decides whether it is a variable as well."""
    return variables[name] if name in variables else (variables.get("ansible_facts") or {}).get(name)
