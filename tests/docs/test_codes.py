# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings and failures are a contract: each is in the documentation, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from support import ROOT

CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|SKIPPED")
_ROW = re.compile(rf"^\| `({CODE.pattern})` \|", re.MULTILINE)
# Text in capitals that is not a code: names of environment variables.
OTHERS = re.compile(r"AWS_\w+|(HTTP|HTTPS|ALL|NO)_PROXY")


def codes_of(tree: ast.AST) -> Iterator[str]:
    """Codes written as a whole, and "*_SUFFIX" for those put together from a first word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and len(node.values) == 2:
            last = node.values[1]
            ending = last.value if isinstance(last, ast.Constant) else None
            if isinstance(ending, str) and re.fullmatch(r"(_[A-Z]+)+", ending):
                yield f"*{ending}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            yield node.value


def codes_of_the_code() -> set[str]:
    found: set[str] = set()
    for path in sorted((ROOT / "plugins" / "module_utils").rglob("*.py")):
        found |= set(codes_of(ast.parse(path.read_text(encoding="utf-8"))))
    return {code for code in found if not OTHERS.fullmatch(code)}


def codes_of_the_pages() -> set[str]:
    pages = sorted((ROOT / "docs").glob("*.md"))
    return {code for page in pages for code in _ROW.findall(page.read_text(encoding="utf-8"))}


def test_scan_finds_codes() -> None:
    tree = ast.parse('Finding("ROLE_MISSING", "error"); Finding(f"{kind.upper()}_STILL_USED"); x = "Other"')
    assert set(codes_of(tree)) == {"ROLE_MISSING", "*_STILL_USED"}


def test_every_code_of_the_code_is_described() -> None:
    described = codes_of_the_pages()
    missing = {
        code
        for code in codes_of_the_code()
        if not any(one.endswith(code[1:]) if code[0] == "*" else one == code for one in described)
    }
    assert sorted(missing) == []


def test_every_code_of_the_pages_exists() -> None:
    known = codes_of_the_code()
    endings = tuple(code[1:] for code in known if code[0] == "*")
    assert (
        sorted(code for code in codes_of_the_pages() - known if not code.endswith(endings or ("\0",))) == []
    )
