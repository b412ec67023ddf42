# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Presets: permissions policies with parameters, in the folder ``presets`` of the collection. Each preset is a YAML file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from ..._policy.language.document import policy_size
from ..model.errors import InputError
from .fields import shown_value
from .yaml_file import read_yaml_value

FOLDER = Path(__file__).resolve().parents[4] / "presets"
ParameterKind = Literal["name", "names", "arn", "arns", "flag"]
# The maximum number of similar names in a message.
_SHOWN = 3
# A text with at least this number of characters counts as similar to each name that contains it.
_SHORTEST_PART = 3
# The version of the policy language.
VERSION = "2012-10-17"
PLACEHOLDER = re.compile(r"<([a-z][a-z0-9_]*)>")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a preset.

    The kinds ``names`` and ``arns`` are lists. ``pattern`` is the regular expression for each value, or "". ``service`` is the
    service part that an ARN must have, or "" for the other kinds. ``default`` is None for a required parameter.
    """

    name: str
    kind: ParameterKind
    description: str
    pattern: str = ""
    service: str = ""
    default: object = None

    @property
    def plural(self) -> bool:
        return self.kind in ("names", "arns")

    @property
    def is_arn(self) -> bool:
        return self.kind in ("arn", "arns")


@dataclass(frozen=True, slots=True)
class PresetPolicy:
    """A policy of a preset. ``suffix`` is the end of its name, or "". A statement with ``when`` is optional."""

    suffix: str
    statements: tuple[Mapping[str, object], ...]

    @property
    def size(self) -> int:
        """Return the size of the document with all statements and with the placeholders, in characters without white space."""
        statements = [
            {key: value for key, value in statement.items() if key != "when"} for statement in self.statements
        ]
        return policy_size({"Version": VERSION, "Statement": statements})


@dataclass(frozen=True, slots=True)
class Preset:
    """One or more permissions policies for a product.

    ``version`` is increased with each change of the statements. ``source`` is the URL of the product's documentation, with which
    the preset was last compared on the date ``checked``. ``managed_policies`` are AWS managed policies with the same purpose;
    ``left_out`` has the actions of these policies that the preset leaves out, with the reasons. ``namespace``
    and ``service_account`` are the default names of the product, or "". ``limits`` describes the use cases that the preset does
    not cover, or is "".
    """

    name: str
    title: str
    purpose: str
    version: int
    checked: str
    source: str
    source_version: str
    partitions: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    policies: tuple[PresetPolicy, ...]
    namespace: str = ""
    service_account: str = ""
    needs_session_tags: bool = False
    managed_policies: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    limits: str = ""


def preset_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yml"))


def unknown_preset(name: str, names: Sequence[str]) -> str:
    """Return the message for a name that is not in ``names``. It suggests names that are similar, or contain the name."""
    near = difflib.get_close_matches(shown_value(name), names, _SHOWN)
    near = (
        near or [other for other in names if len(name) >= _SHORTEST_PART and name.lower() in other][:_SHOWN]
    )
    quoted = " or ".join(f"'{other}'" for other in near)
    hint = f"did you mean {quoted}?" if near else "docs/presets.md lists all presets."
    return f"there is no preset '{shown_value(name)}'; {hint}"


def load_preset(name: str) -> Preset:
    """Read a preset. Its name must be one of ``preset_names``.

    :raises InputError: when the file cannot be read or is not valid YAML.
    """
    path = FOLDER / f"{name}.yml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError([f"{path}: cannot be read: {error.strerror}."]) from error
    return parse_preset(name, cast("Mapping[str, Any]", read_yaml_value(str(path), text)))


def parse_preset(name: str, content: Mapping[str, Any]) -> Preset:
    """Convert the content of a preset's file. Only tests validate the content, because the files belong to the collection."""
    parameters = {
        key: Parameter(
            key,
            raw["type"],
            raw["description"],
            raw.get("pattern") or "",
            raw.get("service") or "",
            raw.get("default"),
        )
        for key, raw in (content.get("parameters") or {}).items()
    }
    policies = tuple(
        PresetPolicy(raw.get("suffix") or "", tuple(raw["statements"])) for raw in content["policies"]
    )
    return Preset(
        name=name,
        title=content["title"],
        purpose=content["purpose"],
        version=content["version"],
        checked=str(content["checked"]),
        source=content["source"],
        source_version=str(content["source_version"]),
        partitions=tuple(content["partitions"]),
        parameters=parameters,
        policies=policies,
        namespace=content.get("namespace") or "",
        service_account=content.get("service_account") or "",
        needs_session_tags=bool(content.get("needs_session_tags")),
        managed_policies=tuple(content.get("managed_policies") or ()),
        left_out=dict(content.get("left_out") or {}),
        limits=content.get("limits") or "",
    )


def placeholders(value: object) -> Iterator[str]:
    """Yield the name of each placeholder in a statement or default, also in keys of mappings."""
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from placeholders(key)
            yield from placeholders(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from placeholders(part)
