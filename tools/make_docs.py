# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write every generated file: those of make_forms.py and make_variables.py, and the table of codes in docs/codes.md.

The table has the codes of the collection with the texts of docs/codes.yml, between the comments ``<!-- codes -->`` and
``<!-- end of codes -->``. Each row has an anchor, the name of its code.

Usage: PYTHONPATH=.collections python tools/make_docs.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import make_forms
import make_variables
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code

DOCS = Path(__file__).resolve().parent.parent / "docs"
SOURCE = DOCS / "codes.yml"
PAGE = DOCS / "codes.md"
# A code of this group is a code of failures only.
FAILURES = "failures"
_MARKED = re.compile(r"(<!-- codes -->\n\n).*?(\n<!-- end of codes -->)", re.DOTALL)


def make_rows(content: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Yield the row of each code, in the order of the codes.

    :raises ValueError: when a code of the collection or one of its texts is missing, or when the collection lacks a code.
    """
    described = {code: (group, texts) for group, codes in content.items() for code, texts in codes.items()}
    if missing := [code for code in Code if code not in described]:
        raise ValueError(f"docs/codes.yml has no texts for {', '.join(missing)}")
    if unknown := sorted(described.keys() - set(Code)):
        raise ValueError(f"_findings/codes.py does not have {', '.join(unknown)} of docs/codes.yml")
    for code in sorted(Code):
        group, texts = described[code]
        if lacking := [name for name in ("cause", "remedy") if not texts.get(name)]:
            raise ValueError(f"{code} lacks {', '.join(lacking)} in docs/codes.yml")
        severities: list[str] = [] if group == FAILURES else [*code.severities]
        if group == FAILURES or texts.get("failure"):
            severities.append("failure")
        yield f'| <a id="{code}"></a>`{code}` | {", ".join(severities)} | {texts["cause"]} | {texts["remedy"]} |'


def filled(text: str) -> str:
    """Return the text of the page with an updated table."""
    rows = make_rows(yaml.safe_load(SOURCE.read_text(encoding="utf-8")))
    table = "\n".join(["| code | severity | cause | remedy |", "| --- | --- | --- | --- |", *rows])
    return _MARKED.sub(lambda marked: f"{marked.group(1)}{table}\n{marked.group(2)}", text)


def make_files() -> Iterator[tuple[Path, str]]:
    """Yield the path and the content of every generated file. make_variables reads a file that make_forms makes."""
    yield PAGE, filled(PAGE.read_text(encoding="utf-8"))
    yield from make_forms.make_files()
    yield from make_variables.make_files()


def main() -> int:
    for path, made in make_files():
        if not path.exists() or path.read_text(encoding="utf-8") != made:
            path.write_text(made, encoding="utf-8")
            print(f"wrote {path.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
