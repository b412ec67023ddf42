# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A verdict on a permission explained: what each statement says to it, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..._findings.text import visible
from ..evaluation.evaluate import IMPLICIT_DENY, Layer
from ..evaluation.rules import Request
from ..language.context import Context
from .additions import Addition, additions
from .permissions import PermissionVerdict, context_of
from .reasoning import reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """``reasoning`` are sentences in the order in which IAM asks; ``addition`` the statements that are missing, empty when
    nothing is, when a Deny is in the way, and when the answer turns on something else."""

    reasoning: tuple[str, ...]
    addition: tuple[Addition, ...]

    def as_dict(self) -> dict[str, object]:
        """For a module's result."""
        return {
            "reasoning": list(map(visible, self.reasoning)),
            "addition": [addition.as_dict() for addition in self.addition],
        }


def explain(layers: Sequence[Layer], verdict: PermissionVerdict, context: Context) -> Explanation:
    """``context`` is that of every item, as for ``check_permission``."""
    required = verdict.required
    request = Request(required.action, required.resource)
    known = context_of(required, context)
    missing = verdict.change if verdict.decision == IMPLICIT_DENY else ()
    return Explanation(
        reason(layers, request, known),
        additions(layers, required.action, required.resource, missing, known) if missing else (),
    )
