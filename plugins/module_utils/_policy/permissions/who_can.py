# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which of several workloads can perform an action on a resource, as far as their policies are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..._findings.text import visible
from ..evaluation.evaluate import EXPLICIT_DENY, IMPLICIT_DENY, Layer
from ..language.context import Context
from .permissions import Required, check_permission

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Holder:
    """A workload with the policies of its role. ``unknown`` are policies of which only the name is known, with the layer
    that each belongs to."""

    name: str
    layers: tuple[Layer, ...]
    context: Context
    unknown: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """``decision`` is that of a permission's verdict, or "unknown" when it turns on the policies ``unknown``."""

    name: str
    decision: str
    statements: tuple[tuple[str, str, str], ...]
    conditional_on: tuple[str, ...]
    unknown: tuple[str, ...]
    message: str

    def as_dict(self) -> dict[str, object]:
        """For a result."""
        return {
            "workload": self.name,
            "decision": self.decision,
            "statements": [
                {"policy": policy, "statement": label, "effect": effect}
                for policy, label, effect in self.statements
            ],
            "conditional_on": list(map(visible, self.conditional_on)),
            "unknown": list(map(visible, self.unknown)),
            "message": visible(self.message),
        }


def who_can(holders: Iterable[Holder], required: Required) -> list[Holding]:
    """One row for each, in their order."""
    return [_ask(holder, required) for holder in holders]


def _ask(holder: Holder, required: Required) -> Holding:
    verdict = check_permission(holder.layers, required, holder.context)
    names = tuple(name for _layer, name in holder.unknown)
    if holder.unknown and not _is_settled(verdict.decision, verdict.change, holder.unknown):
        message = (
            f"{required.action} on {required.resource} turns on policies whose content is not known here:"
            f" {', '.join(names)}."
        )
        return Holding(holder.name, UNKNOWN, (), (), names, message)
    return Holding(
        holder.name, verdict.decision, verdict.statements, verdict.conditional_on, (), verdict.message
    )


def _is_settled(decision: str, change: Sequence[str], unknown: Sequence[tuple[str, str]]) -> bool:
    """No policy undoes a Deny, and none makes up for what another layer lacks."""
    if decision == EXPLICIT_DENY:
        return True
    return decision == IMPLICIT_DENY and bool(set(change) - {layer for layer, _name in unknown})
