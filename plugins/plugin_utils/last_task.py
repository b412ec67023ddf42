# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The last task of a playbook: lines for people, and a verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import is_for_people, is_paged

# AWX shows so many bytes of an event. All of it is in "Download output".
EVENT_BYTES = 1024
# With the line's end, and with room for four bytes a character where a line has to be cut.
_PAGE_BYTES = EVENT_BYTES - 24
_LINE_CHARACTERS = 240


def show_last(lines: Sequence[str], headline: str, failure: str) -> dict[str, Any]:
    """Print the lines where output is for people, on AWX page by page; else put them into the result.

    ``headline`` and ``failure`` both say why it failed, the first in one line; both are "" where it did not.
    """
    if is_for_people():
        # In one piece, as several hosts may write at once.
        Display().display("\n".join(map(visible, lines)))
        return {"failed": True, "msg": headline} if failure else {}
    if is_paged():
        # Each is an event of its own, and the short message of a failure the last one.
        for page in pages(lines):
            Display().display(page)
        return {"failed": True, "msg": headline} if failure else {}
    if failure:
        return {"failed": True, "msg": failure, "lines": list(lines)}
    return {"msg": list(lines), "_ansible_verbose_always": True}


def pages(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines in texts that fit into an event."""
    page: list[str] = []
    size = 0
    for line in (part for each in lines for part in _cut(visible(each))):
        length = len(line.encode()) + 2
        if page and size + length > _PAGE_BYTES:
            yield "\n".join(page)
            page, size = [], 0
        page.append(line)
        size += length
    if page:
        yield "\n".join(page)


def _cut(line: str) -> list[str]:
    if len(line.encode()) < _PAGE_BYTES:
        return [line]
    return textwrap.wrap(line, _LINE_CHARACTERS, subsequent_indent="  ", break_on_hyphens=False)
