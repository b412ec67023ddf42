# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read workloads from YAML text, with the line number of each, and build the messages about invalid files.

This reader replaces the YAML loader of Ansible, which accepts duplicate keys, does not report the line of an invalid value,
and takes 9.3 s instead of 1.3 s for 5,000 workloads (ansible-core 2.21). The reader also reads survey answers in AWX, which
are untrusted, so sizes are limited.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..model.errors import InputError
from .fields import LIMITS, Limits, find_excess, shown_value, too_deep, too_many

CUT_OFF = " Is the file cut off?"
# The hint for text with spaces, such as a survey answer, which is not cut off at its first space.
ANSWER_CUT_OFF = " Is it cut off?"
CUT_AT_A_SPACE = (
    " Is it cut off? Ansible ends the value of -e name=value at its first space; write it as "
    """-e '{"name": value}'."""
)
_ADVICE = "shorten it, split it, or write it without aliases."
LIST_KEYS = ("pod_identity_workloads", "workloads")


def no_workloads(path: str, line: int = 1) -> InputError:
    """Return the error for an empty file or a null list. A truncated file must not count as an empty list of workloads."""
    return InputError([f"{path} line {line}: has no workloads; write [] for an empty list."])


def beyond_bounds(path: str, line: int, rule: str) -> InputError:
    """Return the error for a file that exceeds a limit.

    :arg rule: the predicate of the message ("is nested more than 64 levels deep").
    """
    return InputError([f"{path} line {line}: {rule}; {_ADVICE}"])


# The controller has PyYAML, but the Python that runs a module may lack it. In this case, _loader reports the missing package.
with contextlib.suppress(ImportError):
    import yaml

_TAG = "tag:yaml.org,2002:"
_TEXT = f"{_TAG}str"
_NULL = f"{_TAG}null"
_INTEGER = f"{_TAG}int"
# The YAML tags that mark a value as encrypted with ansible-vault.
_VAULT_TAGS = ("!vault", "!vault-encrypted")
# The characters that YAML forbids.
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The exceptions that PyYAML raises for an invalid scalar, such as the date 2001-99-99.
_VALUE_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Guard:
    """A counter of YAML nodes that raises InputError beyond a limit.

    Its methods replace methods of PyYAML's resolver, which PyYAML calls before and after it parses the content of a node.
    """

    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._values = 0
        self._depth = -1

    def descend(self, parent: Any, _index: Any) -> None:
        self._values += 1
        self._depth += 1
        if self._values > self._limits.values:
            raise beyond_bounds(self._path, _line(parent), too_many(self._limits))
        if self._depth > self._limits.depth:
            raise beyond_bounds(self._path, _line(parent), too_deep(self._limits))

    def ascend(self) -> None:
        self._depth -= 1


def read_yaml(
    path: str, text: str, limits: Limits = LIMITS, cut_off: str = CUT_OFF
) -> list[tuple[int, object]]:
    """Return the line number and the parsed value of each workload in YAML text.

    :arg path: the path of the file or the name of the option, for messages.
    :arg cut_off: the hint in the message about text that seems to be truncated.
    :raises InputError: with the first problem, with all duplicate keys, or with all invalid scalars such as the date 2001-99-99.
    """
    with _parsed(path, text, limits, cut_off) as (root, constructor):
        if root is None or root.tag == _NULL:
            raise no_workloads(path)
        return [(_line(node), constructor.construct_object(node, deep=True)) for node in _nodes(path, root)]


def read_yaml_value(place: str, text: str, limits: Limits = LIMITS) -> object:
    """Parse the YAML text of an option, such as a survey answer, or of a file with a policy document.

    :arg place: the name of the option or the path of the file, for messages.
    :raises InputError: with the first problem, or with all duplicate keys.
    """
    with _parsed(place, text, limits, CUT_AT_A_SPACE) as (root, constructor):
        return None if root is None else constructor.construct_object(root, deep=True)


@contextlib.contextmanager
def _parsed(path: str, text: str, limits: Limits, cut_off: str) -> Iterator[tuple[Any, Any]]:
    """Yield the root node of a document, or None for an empty document, and a constructor for the values of its nodes.

    :raises InputError: for an error in the document, also if the constructor finds it.
    """
    loader = _loader()
    root = _compose(path, text, loader, _Guard(path, limits), cut_off)
    constructor = loader("")
    try:
        if root is not None:
            _validate_bounds(path, text, root, limits)
            if repeated := list(_find_repeated(path, root, constructor)):
                raise InputError(repeated)
        yield root, constructor
    except yaml.YAMLError as error:
        raise InputError([_syntax(path, text, error, cut_off)]) from error
    except _VALUE_ERRORS as error:
        raise InputError(_find_bad_values(path, text, root, loader) or [f"{path}: {error}."]) from error
    finally:
        constructor.dispose()


def _loader() -> Any:
    """Return the loader of PyYAML that uses libyaml, or the much slower loader in pure Python if libyaml is not available.

    :raises InputError: if PyYAML is not installed.
    """
    try:
        return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    except NameError as error:
        raise InputError(
            ["YAML text needs PyYAML in the Python that runs the module; install it there."]
        ) from error


def _compose(path: str, text: str, loader: Any, guard: _Guard, cut_off: str = CUT_OFF) -> Any:
    """Return the root node of the document, or None for an empty document. Raises InputError."""
    try:
        # libyaml does not accept Ansible's subclasses of str. join() returns a plain str.
        composer = loader("".join((text,)))
        composer.descend_resolver = guard.descend
        composer.ascend_resolver = guard.ascend
        try:
            return composer.get_single_node()
        finally:
            composer.dispose()
    except yaml.reader.ReaderError as error:
        raise InputError([_unreadable(path, text, error)]) from error
    except yaml.YAMLError as error:
        raise InputError([_syntax(path, text, error, cut_off)]) from error


def _validate_bounds(path: str, text: str, root: Any, limits: Limits) -> None:
    """Raise InputError if the document, with its aliases expanded, exceeds a limit. Later steps may expand the aliases."""
    # Without an anchor there are no aliases, and _Guard has already counted all values.
    if "&" in text and (excess := find_excess(root, _parts, _length, limits)):
        raise beyond_bounds(path, _line(excess.part), f"{excess.rule}, with aliases expanded")
    # PyYAML would spend minutes on an integer with very many digits, for example in base 60 (1:30:00).
    if re.search(f"[0-9_:]{{{limits.digits + 1}}}", text):
        for scalar in _scalars(root):
            if scalar.tag == _INTEGER and len(scalar.value) > limits.digits:
                raise beyond_bounds(path, _line(scalar), f"has a number with {len(scalar.value):,} digits")


def _parts(node: Any) -> list[Any] | None:
    if isinstance(node, yaml.ScalarNode):
        return None
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)


def _length(node: Any) -> int:
    return len(node.value)


def _nodes(path: str, root: Any) -> list[Any]:
    """Return the YAML node of each workload. Raises InputError if the document has no list of workloads."""
    node, line = root, _line(root)
    if isinstance(root, yaml.MappingNode):
        lines = {str(key.value): _line(key) for key, _value in root.value}
        name = _list_key(path, lines)
        line, node = lines[name], next(value for key, value in root.value if key.value == name)
        if node.tag == _NULL:
            raise no_workloads(path, line)
        line = _line(node)
    if not isinstance(node, yaml.SequenceNode):
        raise InputError([f"{path} line {line}: must be a list of workloads, one mapping each."])
    return list(node.value)


def _list_key(path: str, lines: Mapping[str, int]) -> str:
    """Return the top-level key of a file whose value is the list of workloads.

    :arg lines: the line number of each top-level key.
    :raises InputError: unless the file has exactly one of LIST_KEYS.
    """
    keys = [key for key in lines if key in LIST_KEYS]
    if len(keys) > 1:
        first, second = keys
        raise InputError(
            [
                f"{path} line {lines[second]}: has workloads under {second}, and on line {lines[first]} under {first}; join "
                "them in one list."
            ]
        )
    if not keys:
        line, hint = 1, ""
        for key in lines:
            if not hint and (near := difflib.get_close_matches(key, LIST_KEYS, 1, 0.75)):
                line, hint = lines[key], f" Did you mean '{near[0]}' instead of '{shown_value(key)}'?"
        raise InputError([f"{path} line {line}: has no list under {' or '.join(LIST_KEYS)}.{hint}"])
    return keys[0]


def _find_repeated(path: str, root: Any, constructor: Any) -> Iterator[str]:
    """Yield a message for each duplicate key, because PyYAML silently uses only the last value."""
    for node in _walk_collections(root):
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[object, int] = {}
        for key, _value in node.value:
            name = key.value if key.tag == _TEXT else _construct_key(key, constructor)
            if name in lines:
                yield (
                    f"{path} line {_line(key)}: key '{name}' is a duplicate, first on line {lines[name]}; keep one of them."
                )
            else:
                lines[name] = _line(key)


def _construct_key(key: Any, constructor: Any) -> object:
    """Return the parsed value of a key that is not text, so that different spellings of a key (1 and 0x1) are equal."""
    if not isinstance(key, yaml.ScalarNode):
        # A mapping or sequence is not a valid key. The constructor reports it later, not as a duplicate.
        return id(key), "not a scalar"
    try:
        name: object = constructor.construct_object(key)
        # Raises TypeError for a value that cannot be a key, such as a set.
        hash(name)
    except (yaml.YAMLError, *_VALUE_ERRORS):
        # Use the text of a key that cannot be parsed, such as the merge key <<.
        return str(key.value)
    return name


def _walk_collections(root: Any) -> Iterator[Any]:
    """Yield every mapping and sequence once, even if aliases refer to it several times."""
    waiting = [root]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode) or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting += reversed(_parts(node) or ())


def _find_bad_values(path: str, text: str, root: Any, loader: Any) -> list[str]:
    """Return a message with the line of each invalid scalar, because the exceptions of PyYAML do not contain the line."""
    problems: list[str] = []
    constructor = loader("")
    for scalar in _scalars(root):
        try:
            constructor.construct_object(scalar)
        except yaml.YAMLError as error:
            problems.append(_syntax(path, text, error))
        except _VALUE_ERRORS:
            kind = scalar.tag.removeprefix(_TAG)
            problems.append(
                f"{path} line {_line(scalar)}: YAML parses '{scalar.value}' as {kind}, which is not valid; "
                "quote it if it is text."
            )
    constructor.dispose()
    return list(dict.fromkeys(problems))


def _scalars(root: Any) -> Iterator[Any]:
    for node in _walk_collections(root):
        yield from (part for part in _parts(node) or () if isinstance(part, yaml.ScalarNode))


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _unreadable(path: str, text: str, error: Any) -> str:
    control = _CONTROL.search(text)
    if control is None:
        return f"{path}: is not valid YAML: {error.reason}."
    line = text.count("\n", 0, control.start()) + 1
    return (
        f"{path} line {line}: has the control character U+{ord(control.group()):04X}, which YAML "
        "forbids; is this a text file?"
    )


def _syntax(path: str, text: str, error: Any, cut_off: str = CUT_OFF) -> str:
    mark = getattr(error, "problem_mark", None)
    place, hint = "", ""
    if mark is not None:
        last = text.rstrip().count("\n")
        place = f" line {min(mark.line, last) + 1}"
        hint = cut_off if mark.line > last or "end of stream" in str(error.problem) else ""
        if hint == CUT_AT_A_SPACE and len(text.split()) > 1:
            hint = ANSWER_CUT_OFF
        line = text.splitlines()[mark.line] if not hint and mark.line <= last else ""
        if "\t" in (line[: len(line) - len(line.lstrip())] + line[mark.column : mark.column + 1]):
            return f"{path}{place}: has a tab where YAML allows only spaces; replace it."
        if any(f"'{tag}'" in str(getattr(error, "problem", "")) for tag in _VAULT_TAGS):
            return (
                f"{path}{place}: has a value that is encrypted with ansible-vault (!vault); encrypt the whole file instead, "
                "or set pod_identity_workloads in a file that Ansible reads (-e @file, group_vars)."
            )
    return f"{path}{place}: is not valid YAML: {getattr(error, 'problem', None) or error}.{hint}"
