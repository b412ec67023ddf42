# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the wording of docstrings, comments, names, messages and documentation.

    python tools/lint_words.py                    a table by folder; fails if a folder exceeds a share in SHARES
    python tools/lint_words.py --list PATH ...    every hit below these paths, as "path:line: [pattern] text"

The patterns are in words.yml. A text that several patterns match counts as one hit. Text in backticks, code blocks and URLs
are ignored.

Measured on the plugins of amazon.aws 11.4.0 and kubernetes.core 6.6.0: code 1.9 % and 0.8 %, headless openings 0.0 % and
0.1 %, names 0.1 % and 0.0 %, messages and prose at most 0.5 %.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

ROOT = Path(__file__).resolve().parent.parent
# The permitted share of hits among the texts of a kind in a folder. "opening": docstrings and comments that open with a headless
# clause, such as "What the role allows". "mood": docstrings of functions that do not open with a verb in the imperative.
SHARES = {"opening": 0.0, "mood": 0.02, "code": 0.02, "name": 0.005, "message": 0.01, "prose": 0.01}
# Hits are counted by folder: for a path that starts with the key, the folder consists of this number of path parts. If several
# keys fit, the longest one is used.
DEPTHS = {"": 1, "plugins": 4, "roles": 2, "sandbox": 4, "tests": 2, "tests/unit": 5}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A wording to avoid: a regular expression, the wording to use instead, and the kinds of text to search."""

    name: str
    regex: re.Pattern[str]
    instead: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A docstring, comment, name, message or sentence of the documentation. ``kind`` is a key of SHARES."""

    path: str
    line: int
    kind: str
    text: str


def load_patterns() -> list[Pattern]:
    """Read the patterns of words.yml."""
    rows = yaml.safe_load(Path(__file__).with_name("words.yml").read_text(encoding="utf-8"))
    patterns = []
    for row in rows:
        regex = re.compile(re.sub(r"\|\s+", "|", row["expression"]), re.IGNORECASE)
        kinds = tuple(row.get("kinds", ("code", "message", "prose")))
        patterns.append(Pattern(row["name"], regex, row["instead"], kinds))
    return patterns


PATTERNS = load_patterns()

_CODE = re.compile(r"``[^`]*``|`[^`]*`|\b[A-Z](?:\([^)]*\))|https?://\S+|\{\{.*?\}\}")
_LEGAL = re.compile(r"SPDX-|Copyright|GNU General|noqa|type: ignore|fmt:|Note that all module_utils")
_YAML_KEYS = {"name", "description", "short_description", "notes", "msg", "fail_msg", "success_msg"}


def hits(text: Text) -> list[Pattern]:
    """Return the patterns that match a text."""
    shown = _CODE.sub("CODE", text.text).strip()
    return [pattern for pattern in PATTERNS if text.kind in pattern.kinds and pattern.regex.search(shown)]


def texts(path: Path, root: Path = ROOT) -> Iterator[Text]:
    """Yield every text of a file: Python, Markdown or YAML."""
    name = path.relative_to(root).as_posix()
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from _python(name, source)
    elif path.suffix == ".md":
        yield from _markdown(name, source)
    else:
        yield from _comments(name, re.finditer(r"^\s*#(.*)$", source, re.MULTILINE), source)
        yield from _yaml(name, source, 0, everything="/fragments/" in f"/{name}")


def folder(name: str) -> str:
    """Return the folder under which the hits of a file are counted."""
    prefix = max((key for key in DEPTHS if not key or name.startswith(key + "/")), key=len)
    return "/".join(name.split("/")[:-1][: DEPTHS[prefix]]) or "."


def _python(name: str, source: str) -> Iterator[Text]:
    tree = ast.parse(source)
    in_tests = name.startswith(("tests/", "sandbox/tests/"))
    documented: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _docstring(name, node, in_tests, documented)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for line, identifier in sorted(_names(node)):
                yield Text(name, line, "name", identifier)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and _is_block(node):
            documented.add(id(node.value))
            yield from _yaml(name, str(node.value.value), node.value.lineno - 1)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    own_line = re.compile(r"^\s*#(.*)$")
    lines = (token for token in tokens if token.type == tokenize.COMMENT)
    comments = [(token.start[0], match[1]) for token in lines if (match := own_line.match(token.line))]
    yield from _merged(name, comments)
    if not in_tests:
        yield from _messages(name, tree, documented)


def _is_block(node: ast.Assign) -> bool:
    """Return whether an assignment is a documentation block of Ansible, such as DOCUMENTATION or RETURN."""
    return any(ast.unparse(target) in ("DOCUMENTATION", "RETURN", "EXAMPLES") for target in node.targets)


def _docstring(
    name: str,
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
    in_tests: bool,
    documented: set[int],
) -> Iterator[Text]:
    text = ast.get_docstring(node)
    first = node.body[0] if node.body else None
    if text is None or not isinstance(first, ast.Expr):
        return
    constant = first.value
    documented.add(id(constant))
    yield Text(name, constant.lineno, "code", text)
    yield Text(name, constant.lineno, "opening", text)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not in_tests:
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        if not decorators & {"property", "cached_property"}:
            yield Text(name, constant.lineno, "mood", text)


def _names(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[tuple[int, str]]:
    """Return the line and name of a function or class, and of its parameters, local variables and fields."""
    found = {node.name.removeprefix("test_"): node.lineno}
    if not isinstance(node, ast.ClassDef):
        for part in ast.walk(node.args):
            if isinstance(part, ast.arg):
                found.setdefault(part.arg, part.lineno)
    # A class may have the fields before and after, because the diff of an Ansible module has these keys.
    diff_fields = {"before", "after"} if isinstance(node, ast.ClassDef) else set()
    inner: list[ast.AST] = list(node.body)
    while inner:
        part = inner.pop()
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id not in diff_fields:
            found.setdefault(part.id, part.lineno)
        inner.extend(ast.iter_child_nodes(part))
    return {(line, identifier) for identifier, line in found.items() if not identifier.isupper()}


def _comments(name: str, matches: Iterator[re.Match[str]], source: str) -> Iterator[Text]:
    yield from _merged(name, [(source.count("\n", 0, match.start(1)) + 1, match[1]) for match in matches])


def _merged(name: str, comments: list[tuple[int, str]]) -> Iterator[Text]:
    """Yield the texts of comments. Consecutive lines are one text."""
    merged: list[tuple[int, int, str]] = []
    for line, text in comments:
        if _LEGAL.search(text):
            continue
        if merged and merged[-1][1] == line - 1:
            first, _last, begun = merged.pop()
            merged.append((first, line, f"{begun} {text.strip()}"))
        else:
            merged.append((line, line, text.strip()))
    for first, _last, text in merged:
        if text:
            yield Text(name, first, "code", text)
            yield Text(name, first, "opening", text)


def _messages(name: str, tree: ast.Module, documented: set[int]) -> Iterator[Text]:
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner.update(id(part) for part in ast.walk(node) if part is not node)
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "CODE" for part in node.values
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inner | documented
        ):
            text = node.value
        else:
            continue
        if id(node) not in inner and len(re.findall(r"\b[a-z]{2,}\b", text)) > 3:
            yield Text(name, node.lineno, "message", " ".join(text.split()))


def _yaml(name: str, source: str, offset: int, everything: bool = False) -> Iterator[Text]:
    """Yield the sentences in the names, descriptions and messages of a YAML file, or with ``everything`` in all values."""
    try:
        nodes = [(node, everything) for node in yaml.compose_all(source, Loader=yaml.SafeLoader)]
    except yaml.YAMLError:
        return
    while nodes:
        node, prose = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                nodes.append((value, everything or key.value in _YAML_KEYS))
        elif isinstance(node, yaml.SequenceNode):
            nodes.extend((value, prose) for value in node.value)
        elif prose and isinstance(node, yaml.ScalarNode) and " " in node.value:
            yield from _sentences(name, offset + node.start_mark.line + 1, node.value)


def _markdown(name: str, source: str) -> Iterator[Text]:
    """Yield the sentences, headings and table cells of a page."""
    blank = re.compile(r"^(```|~~~).*?^\1|<!--.*?-->", re.DOTALL | re.MULTILINE)
    source = blank.sub(lambda match: re.sub(r"[^\n]", "", match[0]), source)
    block: list[str] = []
    start = 1
    for number, line in enumerate([*source.splitlines(), ""], 1):
        text = line.strip()
        if block and (not text or text.startswith(("#", "|", "- ", "* ", ">")) or re.match(r"\d+\. ", text)):
            yield from _sentences(name, start, "\n".join(block))
            block = []
        if text.startswith("|"):
            for cell in text.strip("|").split("|"):
                yield from _sentences(name, number, cell)
        elif text:
            start = number if not block else start
            block.append(re.sub(r"^(#+|[-*>]|\d+\.) ", "", text))


def _sentences(name: str, line: int, text: str) -> Iterator[Text]:
    for match in re.finditer(r"\S.*?(?:[.!?](?=\s)|$(?![\r\n]))", text, re.DOTALL):
        if re.search(r"[a-z]{2}", match[0]):
            yield Text(name, line + text.count("\n", 0, match.start()), "prose", " ".join(match[0].split()))


def _files(arguments: list[str]) -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *arguments]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    skipped = ("CHANGELOG.md", "LICENSES/", "changelogs/config", "tools/lint_words.py", ".")
    paths = [name for name in listed if name.endswith((".py", ".md", ".yml", ".yaml"))]
    return [ROOT / name for name in paths if not name.startswith(skipped) and (ROOT / name).is_file()]


Counts: TypeAlias = Counter[tuple[str, str]]


def excess(found: Counts, totals: Counts) -> list[str]:
    """Return a line for each folder and kind of text that has more hits than SHARES allows."""
    lines = []
    for (place, kind), count in sorted(found.items()):
        limit = int(totals[place, kind] * SHARES[kind])
        if count > limit:
            lines.append(
                f"{place}: {count} of {totals[place, kind]} texts of kind {kind}; {limit} are allowed"
            )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--list", action="store_true", help="show every hit")
    options = parser.parse_args()
    found: Counts = Counter()
    totals: Counts = Counter()
    for path in _files(options.paths):
        for text in texts(path):
            patterns = hits(text)
            key = folder(text.path), text.kind
            totals[key] += 1
            found[key] += bool(patterns)
            if options.list and patterns:
                names = ", ".join(dict.fromkeys(pattern.name for pattern in patterns))
                print(f"{text.path}:{text.line}: [{names}] {' '.join(text.text.split())[:160]}")
    if options.list:
        return 0
    print(f"{'hits/texts':44}" + "".join(f"{kind:>12}" for kind in SHARES))
    for place in sorted({place for place, _kind in totals}):
        cells = [f"{found[place, kind]}/{totals[place, kind]}" for kind in SHARES]
        print(f"{place:44}" + "".join(f"{cell:>12}" for cell in cells))
    lines = excess(found, totals)
    if lines:
        print("\n".join(lines))
        print("`python tools/lint_words.py --list FOLDER` shows the texts.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
