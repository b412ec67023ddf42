# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How long a run waits for what it made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How long to wait for AWS to know about what this run made.

    ``timeout`` and the pauses are in seconds. ``now`` and ``sleep`` are given, so that tests
    need not wait.
    """

    timeout: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    first_pause: float = 0.5
    longest_pause: float = 5.0
