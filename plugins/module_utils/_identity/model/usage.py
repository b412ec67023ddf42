# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The options of an analysis of used permissions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# With this value of ``source``, the events are read from AWS, not from files.
LOOKUP_EVENTS = "lookup-events"
# CloudTrail keeps the events for LookupEvents for this number of days.
LOOKUP_DAYS = 90
DEFAULT_LOOKUP_DAYS = 7
UsageForm: TypeAlias = Literal["policy", "session_policy"]
USAGE_FORMS: tuple[UsageForm, ...] = ("policy", "session_policy")


@dataclass(frozen=True, slots=True)
class UsageOptions:
    """The options of an analysis.

    ``source`` is a file, a folder, or LOOKUP_EVENTS. ``days`` is the length of the analysed period in days, or None for all
    events. ``requests`` is the maximum number of LookupEvents requests. With ``services``, the analysis also reads from IAM which
    services each role has used. ``form`` is the kind of policy to suggest. With ``generalise``, a suggested policy may have a
    pattern instead of several resources. With ``keep_unseen``, a suggested policy keeps actions that CloudTrail may not record.
    ``file`` is the path of the report, or "".
    """

    source: str
    days: int | None = None
    requests: int = 2_000
    services: bool = False
    form: UsageForm = "policy"
    generalise: bool = False
    keep_unseen: bool = True
    file: str = ""
