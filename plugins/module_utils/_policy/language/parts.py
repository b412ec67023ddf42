# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Values that are part of another value, such as the account in an ARN."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extract:
    """The piece at ``place`` (-1: the last) of a text cut at ``separator``; the whole text without one."""

    separator: str = ""
    place: int = 0

    def take(self, text: str) -> str:
        """The piece of a text."""
        if not self.separator:
            return text
        pieces = text.split(self.separator)
        return pieces[self.place] if self.place < len(pieces) else ""


WHOLE = Extract()
ACCOUNT = Extract(":", 4)
CLUSTER_NAME = Extract("/", -1)
ORGANIZATION = Extract("/", 0)
