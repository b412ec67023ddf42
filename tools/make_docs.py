# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of codes into the pages of docs/, from the table that the collection uses.

A page has a table between the comments ``<!-- codes: NAME -->`` and ``<!-- end of codes -->``.

Usage: PYTHONPATH=.collections python tools/make_docs.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import (
    Code,
    Description,
    FailureText,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import TABLE
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.kubernetes_codes import (
    CLUSTER,
    INJECTION,
    PROOF,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.run_codes import RUNS
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.verification_codes import (
    PERMISSIONS,
    TRUST_NOTES,
    TRUST_REASONS,
    VERIFICATION,
)

DOCS = Path(__file__).resolve().parent.parent / "docs"
INDEX = "all"
_MARKED = re.compile(r"(<!-- codes: ([\w-]+) -->\n\n).*?(\n<!-- end of codes -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Column:
    head: str
    cell: Callable[[Description], str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page: a row for each code."""

    page: str
    codes: Sequence[Code]
    columns: Sequence[Column]

    def lines(self) -> list[str]:
        rows = ([f"`{code}`", *(column.cell(TABLE[code]) for column in self.columns)] for code in self.codes)
        return draw(["code", *(column.head for column in self.columns)], rows)


def failure_text(description: Description) -> FailureText:
    if description.failure is None:
        raise ValueError(f"{description.title}: not an error code of failures")
    return description.failure


SEVERITY = Column("severity", lambda description: ", ".join(description.severities))
CAUSE = Column("cause", lambda description: description.cause)
ANSWER = Column("the answer", lambda description: description.cause)
EVIDENCE = Column("how it is found out", lambda description: description.evidence)
REMEDY = Column("remedy", lambda description: description.remedy)
FAILURE_CAUSE = Column("cause", lambda description: failure_text(description).cause)
FAILURE_REMEDY = Column("remedy", lambda description: failure_text(description).remedy)
ORDINARY = (SEVERITY, CAUSE, REMEDY)

TABLES: Mapping[str, Table] = {
    "verification": Table("verification.md", (*VERIFICATION, Code.TRUST_OPEN_TO_EVERYONE), ORDINARY),
    "run": Table("verification.md", tuple(RUNS), ORDINARY),
    "failures": Table(
        "errors.md",
        sorted(code for code, description in TABLE.items() if description.failure is not None),
        (FAILURE_CAUSE, FAILURE_REMEDY),
    ),
    "kubernetes": Table("kubernetes-findings.md", tuple(CLUSTER), (SEVERITY, CAUSE, EVIDENCE, REMEDY)),
    "injection": Table("kubernetes-findings.md", tuple(INJECTION), (SEVERITY, CAUSE, REMEDY)),
    "proof": Table("kubernetes-findings.md", tuple(PROOF), (SEVERITY, ANSWER, REMEDY)),
    "trust-reasons": Table("trust-findings.md", tuple(TRUST_REASONS), ORDINARY),
    "trust-notes": Table("trust-findings.md", (Code.TRUST_CONDITIONAL, *TRUST_NOTES), ORDINARY),
    "permissions": Table("trust-findings.md", tuple(PERMISSIONS), ORDINARY),
}


def draw(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def index_lines() -> list[str]:
    """Every code, with the pages that describe it."""
    rows = []
    for code in sorted(TABLE):
        described_in = dict.fromkeys(table.page for table in TABLES.values() if code in table.codes)
        links = ", ".join(f"[{page}]({page})" for page in described_in)
        rows.append([f"`{code}`", ", ".join(TABLE[code].severities), TABLE[code].title, links])
    return draw(("code", "severity", "meaning", "more"), rows)


def filled(page: str, text: str) -> str:
    """The text of a page with its tables as they must be."""

    def fill(marked: re.Match[str]) -> str:
        name = marked.group(2)
        if name != INDEX and TABLES[name].page != page:
            raise ValueError(f"the table {name} belongs to {TABLES[name].page}, not to {page}")
        lines = index_lines() if name == INDEX else TABLES[name].lines()
        return marked.group(1) + "\n".join(lines) + "\n" + marked.group(3)

    return _MARKED.sub(fill, text)


def marked_tables(text: str) -> list[str]:
    return [marked.group(2) for marked in _MARKED.finditer(text)]


def main() -> int:
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        made = filled(path.name, text)
        if made != text:
            path.write_text(made, encoding="utf-8")
            print(f"wrote {path.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
