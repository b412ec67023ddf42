# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The order in which people look for names: s1, s2, s10. Pure."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([0-9]+)")


def natural(name: str) -> tuple[tuple[str, int, str], ...]:
    """A key to sort by. Numbers within the name count as numbers, however many digits they have."""
    parts = _NUMBER.split(name)
    return tuple(_pair(text, digits) for text, digits in zip(parts[::2], [*parts[1::2], None], strict=True))


def _pair(text: str, digits: str | None) -> tuple[str, int, str]:
    """Text and the number behind it; where there is none, it comes first."""
    if digits is None:
        return text, -1, ""
    number = digits.lstrip("0")
    return text, len(number), number
