# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update the tables of codes in the pages of docs/.

The tables are generated from docs/codes.yml and the code of the collection. A table is between the comments ``<!-- codes: NAME
-->`` and ``<!-- end of codes -->``.

Usage: PYTHONPATH=.collections python tools/make_docs.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import MEANINGS, classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import with_option_names
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import ROLE

DOCS = Path(__file__).resolve().parent.parent / "docs"
SOURCE = DOCS / "codes.yml"
INDEX, AWS, ALSO_FINDINGS = "all", "aws", "also-findings"
AWS_PAGE = "errors.md"
_MARKED = re.compile(r"(<!-- codes: ([\w-]+) -->\n\n).*?(\n<!-- end of codes -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Description:
    """The texts of docs/codes.yml about a code of a finding or failure. ``failure``: the problem also stops a change."""

    title: str
    cause: str
    remedy: str
    failure: bool = False


def parse_groups(
    content: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, dict[Code, Description]]:
    """Parse the content of docs/codes.yml.

    :raises ValueError: when a code of the collection or one of its texts is missing, or when the collection lacks a code.
    """
    described = {code: texts for group in content.values() for code, texts in group.items()}
    if missing := [code for code in Code if code not in described]:
        raise ValueError(f"docs/codes.yml has no texts for {', '.join(missing)}")
    if unknown := sorted(described.keys() - set(Code)):
        raise ValueError(f"_findings/codes.py does not have {', '.join(unknown)} of docs/codes.yml")
    for code, texts in described.items():
        if lacking := [name for name in ("title", "cause", "remedy") if not texts.get(name)]:
            raise ValueError(f"{code} lacks {', '.join(lacking)} in docs/codes.yml")
    return {
        name: {Code(code): Description(**texts) for code, texts in group.items()}
        for name, group in content.items()
    }


GROUPS = parse_groups(yaml.safe_load(SOURCE.read_text(encoding="utf-8")))
DESCRIPTIONS = {code: description for group in GROUPS.values() for code, description in group.items()}


@dataclass(frozen=True, slots=True)
class Column:
    head: str
    cell: Callable[[Code], str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table that has a row for each of its codes. ``page`` is the file in docs/ that contains the table."""

    page: str
    codes: Sequence[Code]
    columns: Sequence[Column]

    def lines(self) -> list[str]:
        rows = ([f"`{code}`", *(column.cell(code) for column in self.columns)] for code in self.codes)
        return draw(["code", *(column.head for column in self.columns)], rows)


SEVERITY = Column("severity", lambda code: ", ".join(code.severities))
TITLE = Column("meaning", lambda code: DESCRIPTIONS[code].title)
CAUSE = Column("cause", lambda code: DESCRIPTIONS[code].cause)
ANSWER = Column("result", CAUSE.cell)
REMEDY = Column("remedy", lambda code: DESCRIPTIONS[code].remedy)
ORDINARY = (SEVERITY, CAUSE, REMEDY)
STOPPING = sorted(code for code, description in DESCRIPTIONS.items() if description.failure)


def _table(group: str, page: str, columns: Sequence[Column] = ORDINARY, *further: Code) -> Table:
    return Table(page, (*further, *GROUPS[group]), columns)


TABLES: Mapping[str, Table] = {
    "verification": Table("findings.md", (*GROUPS["verification"], Code.TRUST_OPEN_TO_EVERYONE), ORDINARY),
    "run": _table("run", "findings.md"),
    "failures": Table("errors.md", sorted(GROUPS["failures"]), (CAUSE, REMEDY)),
    "kubernetes": _table("kubernetes", "kubernetes-findings.md"),
    "injection": _table("injection", "kubernetes-findings.md"),
    "proof": _table("proof", "kubernetes-findings.md", (SEVERITY, ANSWER, REMEDY)),
    "trust-reasons": _table("trust-reasons", "trust-findings.md"),
    "trust-notes": _table("trust-notes", "trust-findings.md", ORDINARY, Code.TRUST_CONDITIONAL),
    "permissions": _table("permissions", "trust-findings.md"),
    "migration": _table("migration", "migration.md"),
}


def _pages(code: Code) -> str:
    pages = dict.fromkeys(table.page for table in TABLES.values() if code in table.codes)
    return ", ".join(f"[{page}]({page})" for page in pages)


# The failures whose codes are also codes of findings. Other pages describe these codes.
STOPPING_TABLE = Table("errors.md", STOPPING, (TITLE, Column("description", _pages)))


def draw(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def index_lines() -> list[str]:
    """Return the lines of a table of all codes, with links to the pages that describe them."""
    rows = (
        [f"`{code}`", SEVERITY.cell(code), TITLE.cell(code), _pages(code)] for code in sorted(DESCRIPTIONS)
    )
    return draw(("code", "severity", "meaning", "more"), rows)


def aws_lines() -> list[str]:
    """Return the lines of a table of the AWS error codes that have a specific remedy."""
    common = classify("", "", "").remedy
    rows = [
        [
            ", ".join(f"`{code}`" for code in meaning.codes),
            meaning.text,
            str(with_option_names(meaning.remedy, ROLE)),
        ]
        for meaning in MEANINGS
        if meaning.remedy != common
    ]
    return draw(("code", "the message contains", "remedy"), rows)


def filled(page: str, text: str) -> str:
    """Return the text of a page with updated tables.

    :raises ValueError: when the page has a table that belongs to another page.
    """

    def fill(marked: re.Match[str]) -> str:
        name = marked.group(2)
        if name == INDEX:
            lines, home = index_lines(), page
        elif name == AWS:
            lines, home = aws_lines(), AWS_PAGE
        elif name == ALSO_FINDINGS:
            lines, home = STOPPING_TABLE.lines(), STOPPING_TABLE.page
        else:
            lines, home = TABLES[name].lines(), TABLES[name].page
        if home != page:
            raise ValueError(f"the table {name} belongs to {home}, not to {page}")
        return marked.group(1) + "\n".join(lines) + "\n" + marked.group(3)

    return _MARKED.sub(fill, text)


def marked_tables(text: str) -> list[str]:
    return [marked.group(2) for marked in _MARKED.finditer(text)]


def main() -> int:
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        updated = filled(path.name, text)
        if updated != text:
            path.write_text(updated, encoding="utf-8")
            print(f"wrote {path.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
