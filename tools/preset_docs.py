# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate the reference of presets for docs/presets.md, between ``<!-- presets -->`` and ``<!-- end of presets -->``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.presets import (
    Parameter,
    Preset,
    PresetPolicy,
    load_preset,
    preset_names,
)

_MARKED = re.compile(r"(<!-- presets -->\n\n).*?(\n<!-- end of presets -->)", re.DOTALL)
# docs/presets.md names these partitions once, for all presets.
_USUAL_PARTITIONS = ("aws", "aws-cn", "aws-us-gov")
_KINDS = {"name": "text", "names": "list of texts", "arn": "ARN", "arns": "list of ARNs", "flag": "boolean"}


def fill_presets(text: str) -> str:
    """Return the text of a page with the updated reference of presets.

    A page without the two comments that enclose the reference is unchanged.
    """
    if not _MARKED.search(text):
        return text
    presets = [load_preset(name) for name in preset_names()]
    lines = [*_overview(presets), *(line for preset in presets for line in _section(preset))]
    return _MARKED.sub(lambda marked: marked.group(1) + "\n".join(lines) + "\n" + marked.group(2), text)


def _draw(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _overview(presets: Iterable[Preset]) -> list[str]:
    rows = [
        [
            f"[{preset.name}](#{preset.name})",
            _cell(preset.purpose),
            _account(preset) or "any",
        ]
        for preset in presets
    ]
    return _draw(("preset", "purpose", "service account"), rows)


def _section(preset: Preset) -> Iterator[str]:
    yield from ("", f"### {preset.name}", "")
    if preset.title.casefold() != preset.name.replace("-", " "):
        yield from (f"{preset.title}.", "")
    yield f"- **Version {preset.version}**, checked on {preset.checked} against [{preset.source_version}]({preset.source})"
    if preset.partitions != _USUAL_PARTITIONS:
        yield f"- **Partitions**: {', '.join(preset.partitions)}"
    if preset.needs_session_tags:
        yield "- **Session tags**: needed, so `disable_session_tags` must not be true"
    if preset.managed_policies:
        yield f"- **AWS managed policies for the same purpose**: {_codes(preset.managed_policies)}"
    if preset.limits:
        yield f"- **Limits**: {_line(preset.limits)}"
    yield ""
    if preset.parameters:
        yield from _draw(
            ("parameter", "type", "meaning", "default"), map(_parameter_row, preset.parameters.values())
        )
        yield ""
    rows = [_policy_row(policy) for policy in preset.policies]
    yield from _draw(("policy", "characters", "actions"), rows)
    if preset.left_out:
        yield ""
        yield from _draw(
            ("action of the managed policies that is left out", "reason"), _left_out(preset.left_out)
        )


def _account(preset: Preset) -> str:
    return "/".join(f"`{name}`" for name in (preset.namespace, preset.service_account) if name)


def _parameter_row(parameter: Parameter) -> list[str]:
    kind = _KINDS[parameter.kind]
    if parameter.service:
        kind += f" of `{parameter.service}`"
    default = "required" if parameter.default is None else f"`{_default(parameter.default)}`"
    return [f"`{parameter.name}`", kind, _cell(parameter.description), default]


def _default(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value != "" else '""'


def _policy_row(policy: PresetPolicy) -> list[str]:
    actions: dict[tuple[str, str], dict[str, None]] = {}
    for statement in policy.statements:
        action = statement["Action"]
        names = [action] if isinstance(action, str) else [*cast("Sequence[str]", action)]
        condition = f" (with `{statement['when']}`)" if "when" in statement else ""
        verb = "" if statement["Effect"] == "Allow" else "denies "
        actions.setdefault((verb, condition), {}).update(dict.fromkeys(names))
    cells = (f"{verb}{_codes(found)}{condition}" for (verb, condition), found in actions.items())
    return [f"…-{policy.suffix}" if policy.suffix else "the policy", str(policy.size), "; ".join(cells)]


def _left_out(reasons: Mapping[str, str]) -> list[list[str]]:
    """Return a table row for each reason, with all left-out actions that have this reason."""
    by_reason: dict[str, list[str]] = {}
    for action, reason in reasons.items():
        by_reason.setdefault(_cell(reason), []).append(action)
    return [[_codes(sorted(actions)), reason] for reason, actions in by_reason.items()]


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("*", "\\*")


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
