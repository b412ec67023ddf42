# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""When two workloads define a role or a policy of the same name: where the definitions differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from ..._policy.language.canonical import same_meaning
from .desired import PolicySpec, RoleSpec

_DOCUMENT_KINDS = {"document": "identity", "trust_policy": "trust"}


def differing_field(spec: RoleSpec | PolicySpec, other: RoleSpec | PolicySpec) -> str:
    """The name of the first field in which they differ; "" when they are alike."""
    if spec is other or spec == other:
        return ""
    for field in fields(spec):
        if not _is_equal(field.name, getattr(spec, field.name), getattr(other, field.name)):
            return field.name
    return ""


def _is_equal(name: str, value: object, other: object) -> bool:
    if name in _DOCUMENT_KINDS and isinstance(value, Mapping) and isinstance(other, Mapping):
        return same_meaning(value, other, _DOCUMENT_KINDS[name])
    return value == other
