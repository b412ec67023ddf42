# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The Resource or NotResource values of a statement, prepared to be tested."""

from __future__ import annotations

from .context import Context
from .match import ARN_PARTS, ArnGlob, Cover, Glob, cut_arn
from .template import Token, Variable, Wild, resolve, tokenize, variable_keys


class _Open:
    """An ARN with policy variables after the fifth colon."""

    __slots__ = ("head", "tail")

    def __init__(self, head: tuple[Glob, ...], tail: tuple[Token, ...]) -> None:
        self.head = head
        self.tail = tail

    def covers(self, parts: tuple[str, ...], wild: bool, context: Context) -> tuple[Cover, Cover]:
        """The least and the most that it may cover; they differ when a variable is unknown."""
        head = Cover.ALL
        for glob, part in zip(self.head, parts, strict=False):
            head = min(head, glob.covers(part, wild))
            if head is Cover.NONE:
                return head, head
        resolved = resolve(self.tail, context)
        if resolved is None:
            return Cover.NONE, head
        if isinstance(resolved, bool):
            return Cover.NONE, Cover.NONE
        cover = min(head, Glob(resolved).covers(parts[-1], wild))
        return cover, cover


class _Early:
    """An ARN with policy variables before the fifth colon, where IAM is said to take none."""

    __slots__ = ("tokens",)

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens

    def covers(self, parts: tuple[str, ...], wild: bool, context: Context) -> tuple[Cover, Cover]:
        """As ``_Open.covers``."""
        resolved = resolve(self.tokens, context)
        if resolved is None:
            return Cover.NONE, Cover.ALL
        if isinstance(resolved, bool):
            return Cover.NONE, Cover.NONE
        cover = ArnGlob(resolved).covers(parts, wild)
        return cover, cover


class ResourceTest:
    """All values; ``open`` are the token texts of those with policy variables.

    ``wide`` says how to read variables where IAM is said to take none: put in when matching more
    makes the statement grant less (a Deny, the exceptions of an Allow), else matching nothing.
    """

    __slots__ = ("_everything", "_globs", "_open", "open")

    def __init__(self, values: tuple[str, ...], variables: bool, wide: bool) -> None:
        self._everything = False
        self._globs: list[ArnGlob] = []
        self._open: list[_Open | _Early] = []
        texts: list[tuple[Token, ...]] = []
        for value in values:
            tokens = tokenize(value, variables=variables, wildcards=True)
            if tokens == (Wild.ANY,):
                self._everything = True
            elif not variable_keys(tokens):
                self._globs.append(ArnGlob(t for t in tokens if isinstance(t, str | Wild)))
            elif (cut := _cut_open(tokens)) is not None or wide:
                self._open.append(cut or _Early(tokens))
                texts.append(tokens)
        self.open = tuple(texts)

    def covers(self, parts: tuple[str, ...], wild: bool, context: Context) -> tuple[Cover, Cover]:
        """The least and the most of an ARN (cut by ``arn_parts``, itself a pattern when ``wild``)
        that the values may cover; they differ when that turns on an unknown variable."""
        if self._everything:
            return Cover.ALL, Cover.ALL
        least = Cover.NONE
        for glob in self._globs:
            least = max(least, glob.covers(parts, wild))
            if least is Cover.ALL:
                return least, least
        most = least
        if len(parts) == ARN_PARTS:
            for each in self._open:
                low, high = each.covers(parts, wild, context)
                least, most = max(least, low), max(most, high)
        return least, most


def _cut_open(tokens: tuple[Token, ...]) -> _Open | None:
    """None when a variable stands before the fifth colon."""
    first = next(at for at, token in enumerate(tokens) if isinstance(token, Variable))
    parts = cut_arn(token for token in tokens[:first] if isinstance(token, str | Wild))
    if len(parts) < ARN_PARTS:
        return None
    head = tuple(Glob(part) for part in parts[:-1])
    return _Open(head, (*parts[-1], *tokens[first:]))
