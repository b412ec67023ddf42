# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the wording of docstrings, comments, names, messages and documentation: python tools/lint_words.py [--list] [PATH ...]

words.yml has the wordings to avoid. The check fails if they are in more than a share of the texts of a folder. With --list, it
shows every hit. Text in backticks, code blocks and URLs is ignored.
"""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
# The permitted share of hits. "opening" are the first words of docstrings and comments, "mood" of docstrings of functions.
SHARES = {"opening": 0.0, "mood": 0.02, "code": 0.02, "name": 0.01, "message": 0.01, "prose": 0.03}
SKIPPED = ("CHANGELOG.md", "LICENSES/", "changelogs/config", "tools/words.yml", ".")
IGNORED = re.compile(r"``[^`]*``|`[^`]*`|\b[A-Z](?:\([^)]*\))|https?://\S+|\{\{.*?\}\}")
LEGAL = re.compile(r"SPDX-|Copyright|GNU General|noqa|type: ignore|fmt:")
PATTERNS = [
    (
        re.compile(re.sub(r"\|\s+", "|", row["expression"]), re.IGNORECASE),
        frozenset(row.get("kinds", ("code", "message", "prose"))),
        f"{row['name']}; better: {row['instead']}",
    )
    for row in yaml.safe_load(Path(__file__).with_name("words.yml").read_text(encoding="utf-8"))
]
Text = tuple[int, str, str]  # the line, the kind and the text


def python_texts(source: str, is_test: bool) -> Iterator[Text]:
    nodes = list(ast.walk(ast.parse(source)))
    parts = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    names: dict[str, int] = {}
    for node in nodes:
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() if text := ast.get_docstring(node):
                parts |= {part for part in ast.walk(node.body[0]) if isinstance(part, ast.Constant)}
                yield from documented(node.body[0].lineno, text)
                if isinstance(node, ast.FunctionDef) and not is_test and not node.decorator_list:
                    yield node.body[0].lineno, "mood", text
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                names.setdefault(name.removeprefix("test_"), node.lineno)
            case ast.Name(id=name, ctx=ast.Store()):
                names.setdefault(name, node.lineno)
            case ast.Constant(value=str() as text) if not is_test and node not in parts and worded(text):
                yield node.lineno, "message", text
            case ast.JoinedStr() if not is_test and worded(ast.unparse(node)):
                yield node.lineno, "message", re.sub(r"{[^}]*}", "X", ast.unparse(node))
    yield from ((line, "name", name) for name, line in names.items() if not name.isupper())
    yield from comments(source)


def worded(text: str) -> bool:
    return len(re.findall(r"\b[a-z]{2,}\b", text)) > 3 and text.count("\n") < 5


def documented(line: int, text: str) -> Iterator[Text]:
    yield from ((line, "code", text), (line, "opening", text))


def comments(source: str) -> Iterator[Text]:
    """Yield the comments on separate lines. Consecutive lines are one text."""
    for block in re.finditer(r"(?m)(?:^[ ]*#.*\n)+", source):
        text = " ".join(line.strip("# ") for line in block[0].splitlines() if not LEGAL.search(line)).strip()
        if text:
            yield from documented(source.count("\n", 0, block.start()) + 1, text)


def prose_texts(source: str, is_page: bool) -> Iterator[Text]:
    """Yield the lines of a page, or the names, descriptions and comments of a YAML file."""
    if not is_page:
        yield from comments(source)
    source = re.sub(r"(?ms)^(```|~~~).*?^\1|<!--.*?-->", lambda block: "\n" * block[0].count("\n"), source)
    for number, line in enumerate(source.splitlines(), 1):
        if worded(line) and (is_page or re.match(r"\s*(- )?(name|description|\w*msg):|\s*- [A-Z]", line)):
            yield number, "prose", line


def main(arguments: list[str]) -> int:
    paths = [path for path in arguments if path != "--list"]
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *paths]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    found: Counter[tuple[str, str]] = Counter()
    totals: Counter[tuple[str, str]] = Counter()
    for path in (ROOT / name for name in listed if not name.startswith(SKIPPED)):
        if path.suffix not in (".py", ".md", ".yml") or not path.is_file():
            continue
        name, source = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        is_test = name.startswith(("tests/", "sandbox/tests/"))
        is_python = path.suffix == ".py"
        for line, kind, text in (
            python_texts(source, is_test) if is_python else prose_texts(source, path.suffix == ".md")
        ):
            shown = IGNORED.sub("CODE", text).strip()
            hits = [advice for regex, kinds, advice in PATTERNS if kind in kinds and regex.search(shown)]
            key = ("/".join(name.split("/")[:-1][:3]) or ".", kind)
            totals[key] += 1
            found[key] += bool(hits)
            if hits and "--list" in arguments:
                print(f"{name}:{line}: [{hits[0]}] {' '.join(text.split())[:160]}")
    excess = [key for key in sorted(found) if found[key] > math.ceil(totals[key] * SHARES[key[1]])]
    for place, kind in excess:
        print(
            f"{place}: {found[place, kind]} of {totals[place, kind]} texts of kind {kind}, see --list {place}"
        )
    return 1 if excess and "--list" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
