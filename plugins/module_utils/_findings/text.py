# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepare the text of messages: escape unprintable characters, and insert the names of options.

Tags, annotations and error messages of AWS and Kubernetes may contain any character, including control characters.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence


def visible(text: str) -> str:
    r"""Escape unprintable characters: ESC becomes the four characters "\x1b", a line break becomes "\n".

    Otherwise a terminal would execute control sequences, and bidirectional characters would reorder the text. Escaping a text
    twice gives the same result as escaping it once.
    """
    return "".join(
        part if part.isprintable() else part.encode("unicode_escape").decode("ascii")
        for part in ((text,) if text.isprintable() else text)
    )


def visible_sentence(text: str) -> str:
    """Escape unprintable characters of an error message, and replace line breaks with spaces."""
    return visible(" ".join(part for line in text.split("\n") if (part := line.strip())))


def visible_lines(text: str) -> str:
    """Escape unprintable characters except line breaks and tabs."""
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))


def visible_values(value: object) -> object:
    """Escape unprintable characters, except line breaks and tabs, in every key and string of nested mappings and lists."""
    if isinstance(value, str):
        return value if value.isprintable() else visible_lines(value)
    if isinstance(value, (dict, Mapping)):
        return {
            key if not isinstance(key, str) or key.isprintable() else visible_lines(key): visible_values(part)
            for key, part in value.items()
        }
    if isinstance(value, (list, tuple)):
        parts = map(visible_values, value)
        return tuple(parts) if isinstance(value, tuple) else list(parts)
    return value


def split_commands(text: str) -> tuple[str, list[str]]:
    """Split a remedy into its prose and its commands.

    A command begins with kubectl or aws. It follows a colon, unless the remedy begins with it. Messages show each command on a
    separate line, so that users can copy it.
    """
    prose, *commands = re.split(r"(?<=: )(?=kubectl |aws )", text)
    if prose.startswith(("kubectl ", "aws ")):
        prose, commands = "", [prose, *commands]
    # If another command follows a command, the colon before it is still at the end of the first one.
    return prose.strip(), [command.strip().removesuffix(":") for command in commands]


def with_remedy(text: str, remedy: str, indent: str) -> list[str]:
    """Return the lines of a message: the text and the prose of the remedy in one line, then one indented line per command."""
    prose, commands = split_commands(remedy)
    return [f"{text} {prose}".rstrip(), *(f"{indent}{command}" for command in commands)]


# The minimum width of the first column in a narrow table.
SMALLEST_NAME = 8


def table(rows: Sequence[Sequence[str]], width: int = 0) -> list[str]:
    """Return the lines of a table, whose first row has the titles.

    :arg width: the maximum length of a line, or 0. In a table that is too wide, the gaps become narrower. A first cell that still
        does not fit is on a line above the other cells, unabridged, so that it can be copied. If the other columns alone are
        too wide, the table becomes a list: below each first cell, the titles with the other cells.
    """
    first, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    gap = "  "
    if width and first + sum(widths) + len(gap) * len(widths) > width:
        gap = " "
        room = width - sum(widths) - len(widths)
        if room < SMALLEST_NAME:
            return [line for row in rows[1:] for line in (row[0], *_listed(rows[0], row, width))]
        first = max(len(name) for name, *_cells in rows if len(name) <= room)
    lines = []
    for name, *cells in rows:
        above, start = ([], name) if len(name) <= first else ([name], "")
        lines += [*above, gap.join(map(str.ljust, (start, *cells), (first, *widths))).rstrip()]
    return lines


def _listed(titles: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    return textwrap.wrap(
        ", ".join(f"{title} {cell}" for title, cell in zip(titles[1:], row[1:], strict=True)),
        width,
        initial_indent="  ",
        subsequent_indent="  ",
    )


# The keys of a result whose values contain messages.
_MESSAGES = ("failures", "msg")
_REFERENCE = re.compile(r"⟨([a-z_]+)⟩")


def option(name: str) -> str:
    """Return a placeholder for the name of an option in a message.

    The name differs between the modules and the role: the option "region" of a module is "pod_identity_region" in the role.
    ``with_option_names`` replaces the placeholder with the right name.
    """
    return f"⟨{name}⟩"


def with_option_names(value: object, prefix: str) -> object:
    """Replace the placeholders that ``option`` returns, in every string of nested mappings and lists.

    :arg prefix: the prefix of the option names: "pod_identity_" for the role, "" for modules.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(rf"{prefix}\1", value) if "⟨" in value else value
    if isinstance(value, Mapping):
        return {key: with_option_names(part, prefix) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [with_option_names(part, prefix) for part in value]
    return value


def named_result(result: Mapping[str, object], prefix: str) -> dict[str, object]:
    """Replace the placeholders that ``option`` returns, in the messages of a result.

    Messages are the values of the keys in ``_MESSAGES``. The other values may contain user input, which must not change.
    """
    return {
        key: with_option_names(value, prefix) if key in _MESSAGES else value for key, value in result.items()
    }
