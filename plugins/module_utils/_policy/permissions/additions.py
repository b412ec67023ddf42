# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What would have to be added for something to be allowed: the smallest statements, proven by evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..evaluation.evaluate import Layer, evaluate
from ..evaluation.rules import Request, rules_of
from ..grammar.storable import storability
from ..language.context import Context
from ..language.document import parse_policy


@dataclass(frozen=True, slots=True)
class Addition:
    """A statement to add. ``policy`` names the layer that lacks it; one of its policies takes it."""

    policy: str
    actions: tuple[str, ...]
    resource: str

    @property
    def statement(self) -> dict[str, object]:
        return {"Effect": "Allow", "Action": list(self.actions), "Resource": self.resource}

    @property
    def document(self) -> dict[str, object]:
        return {"Version": "2012-10-17", "Statement": [self.statement]}

    def as_dict(self) -> dict[str, object]:
        """For a module's result."""
        return {"policy": self.policy, "statement": self.statement}


def additions(
    layers: Sequence[Layer], action: str, resource: str, missing: Sequence[str], context: Context
) -> tuple[Addition, ...]:
    """One statement for each of the ``missing`` layers, when with them the request is allowed for certain and IAM stores
    them; else none."""
    wanted = tuple(Addition(name, (action,), resource) for name in missing)
    if any(storability(addition.document, "managed").answer != "yes" for addition in wanted):
        return ()
    granted = [
        replace(layer, rules=(*layer.rules, *rules_of(parse_policy(addition.document), addition.policy)))
        if (addition := next((each for each in wanted if each.policy == layer.name), None)) is not None
        else layer
        for layer in layers
    ]
    return wanted if evaluate(granted, Request(action, resource), context).allowed else ()


def joined(items: Iterable[Addition]) -> tuple[Addition, ...]:
    """The same with one statement for the actions on each resource."""
    actions: dict[tuple[str, str], dict[str, None]] = {}
    for item in items:
        actions.setdefault((item.policy, item.resource), {}).update(dict.fromkeys(item.actions))
    return tuple(Addition(policy, tuple(names), resource) for (policy, resource), names in actions.items())
