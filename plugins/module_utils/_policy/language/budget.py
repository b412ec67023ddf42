# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How much work a verdict may cost, counted in steps, so that it never turns on the clock."""

from __future__ import annotations

# A step pays for reading so many characters of patterns into an automaton.
CHARACTERS = 2


class Budget:
    """Steps that are left."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> bool:
        """Take steps; False once there are none left."""
        self.left -= steps
        return self.left >= 0
