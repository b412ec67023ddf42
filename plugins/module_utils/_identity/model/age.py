# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How old things are by the clock of AWS: reads of IAM and EKS may be that late. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

# IAM and EKS are eventually consistent; what is older than this has been propagated.
YOUNG = timedelta(minutes=5)


def age_of(moment: str, now: datetime | None) -> timedelta | None:
    """How long ago a moment in ISO 8601 was; None when that is not known."""
    try:
        age = now - datetime.fromisoformat(moment) if now is not None else None
    except (TypeError, ValueError):
        return None
    # What was made while it was being looked at is not from the future.
    return max(age, timedelta()) if age is not None else None


def is_new(created_at: str, now: datetime | None) -> bool:
    """Return whether something is so new, by the clock of AWS, that the run which created it may still be at work."""
    return is_young(age_of(created_at, now))


def is_young(age: timedelta | None) -> bool:
    return age is not None and age < YOUNG
