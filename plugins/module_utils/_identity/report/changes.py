# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Changes as lines of text: how many of each kind, then what is taken away, then the rest. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ..._findings.text import visible
from ..kubernetes.model.objects import Object, mapping_of, text_of
from .natural import natural
from .wrap import wrapped

SHOWN_CHANGES = 40
_TOWARDS = {"attach": "to", "detach": "from", "replace": "on"}
_REMOVALS = ("replace", "detach", "delete", "remove")
# In the order of the counts; what is taken away comes last, where it is seen.
_ACTIONS = ("create", "attach", "update", "apply", "release", *_REMOVALS)


@dataclass(frozen=True, slots=True)
class ChangeText:
    """``kind`` is that of the resource in a sentence, like "trust policy" or "ServiceAccount"."""

    action: str
    kind: str
    line: str

    @property
    def removes(self) -> bool:
        """Whether something is gone afterwards, for good or to be made anew."""
        return self.action in _REMOVALS


def describe_change(change: Object) -> ChangeText:
    """What a change in AWS does to which resource, and to which parts of it."""
    action, resource = text_of(change.get("action")), text_of(change.get("resource"))
    line = resource_line(action, resource, text_of(change.get("name")))
    if (action, resource) == ("replace", "attachment"):
        leaving = mapping_of(change.get("before")).get("policy")
        line = line.replace("replace policy ", f"replace policy {leaving} with ", 1)
    if action == "update":
        line += f" ({', '.join(sorted(map(str, mapping_of(change.get('after'))))).replace('_', ' ')})"
    kind = "policy" if resource == "attachment" else resource.replace("_", " ")
    return ChangeText(action, kind, visible(line))


def describe_kubernetes_change(line: str) -> ChangeText:
    """The same of a line like "apply ServiceAccount default/app"."""
    action, _space, rest = line.partition(" ")
    return ChangeText(action, rest.partition(" ")[0], visible(line))


def resource_line(action: str, resource: str, name: str) -> str:
    if resource == "attachment":
        role, _separator, policy = name.partition(" ")
        return visible(f"{action} policy {policy} {_TOWARDS.get(action, 'of')} role {role}")
    return visible(f"{action} {resource.replace('_', ' ')} {name}")


def change_lines(changes: Sequence[ChangeText], state: str, check_mode: bool, place: str) -> list[str]:
    """Of a plan, everything that is taken away is shown, however much it is. ``place`` has them all."""
    count = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
    # Any playbook removes with that variable, which may come from where nobody looks for it.
    head = "Teardown, as pod_identity_state is absent. " if state == "absent" else ""
    lines = [f"{head}Plan: {count}; nothing was changed." if check_mode else f"{head}Done: {count}."]
    if changes:
        lines += wrapped(f"{_counted(changes)}.", "  ", "  ")
    changes = _by_name(changes)
    if len(changes) <= SHOWN_CHANGES:
        return [*lines, *(f"    {change.line}" for change in changes)]
    removals = [change for change in changes if change.removes]
    if not check_mode:
        removals = removals[:SHOWN_CHANGES]
    others = [change for change in changes if not change.removes]
    shown = [*removals, *others[: max(0, SHOWN_CHANGES - len(removals))]]
    lines += [f"    {change.line}" for change in shown]
    if len(shown) < len(changes):
        lines.append(f"    and {len(changes) - len(shown)} more, listed in {place}")
    return lines


def change_lines_of_cluster(cluster: str, changes: Sequence[ChangeText], check_mode: bool) -> list[str]:
    """The same among other clusters: how many of each kind, and of a plan everything that is taken away."""
    removals = [change for change in _by_name(changes) if change.removes] if check_mode else []
    lines = wrapped(f"{visible(cluster)}: {_counted(changes)}.", "", "  ")
    return [*lines, *(f"    {change.line}" for change in removals)]


def _by_name(changes: Sequence[ChangeText]) -> list[ChangeText]:
    """In the order that they are made in, and what is alike by name, as people count."""
    groups = groupby(changes, lambda change: (change.action, change.kind))
    return [
        change for _kind, group in groups for change in sorted(group, key=lambda change: natural(change.line))
    ]


def _counted(changes: Sequence[ChangeText]) -> str:
    """Like "create 2 roles, 1 association; delete 1 role"."""
    counts = Counter((change.action, change.kind) for change in changes)
    known = [*_ACTIONS, *sorted({action for action, _kind in counts} - {*_ACTIONS})]
    parts = []
    for action in known:
        kinds = [f"{number} {_plural(kind, number)}" for (of, kind), number in counts.items() if of == action]
        if kinds:
            parts.append(f"{action} {', '.join(kinds)}")
    return visible("; ".join(parts))


def _plural(kind: str, number: int) -> str:
    if number == 1:
        return kind
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
