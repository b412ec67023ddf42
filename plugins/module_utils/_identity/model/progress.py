# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How far a run is. Pure."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Counts the work of a run, from any thread. A stage is "read", "verify" or a kind of resource."""

    def expect(self, stage: str, number: int) -> None:
        """So many more are to be done in this stage."""

    def done(self, stage: str) -> None:
        """One of them is done, or failed."""


class NullProgress:
    """Counts nothing."""

    def expect(self, stage: str, number: int) -> None:
        """Counts nothing."""

    def done(self, stage: str) -> None:
        """Counts nothing."""
