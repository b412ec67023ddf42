# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Options of a run within messages: in a module they have its names, in the role those of its variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_MESSAGES = ("failures", "findings", "msg", "verification")
_REFERENCE = re.compile(r"⟨([a-z_]+)⟩")


def option(name: str) -> str:
    """A reference to an option, which ``with_option_names`` turns into its name."""
    return f"⟨{name}⟩"


def with_option_names(value: object, prefix: str) -> object:
    """The same of every text within mappings and lists. ``prefix`` is what the caller's options begin with."""
    if isinstance(value, str):
        return _REFERENCE.sub(rf"{prefix}\1", value) if "⟨" in value else value
    if isinstance(value, Mapping):
        return {key: with_option_names(part, prefix) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [with_option_names(part, prefix) for part in value]
    return value


def named_result(result: Mapping[str, object], prefix: str) -> dict[str, object]:
    """A module's result, in the members that hold messages; what users wrote stays as it is."""
    return {
        key: with_option_names(value, prefix) if key in _MESSAGES else value for key, value in result.items()
    }
