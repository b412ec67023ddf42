# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Decide from the records of IAM whether roles and services are unused. Missing records never count as unused.

IAM records the last use of a role, and of each service by a role, within a tracking period of at most 400 days. Source: IAM
User Guide, "Refine permissions in AWS using last accessed information".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ..model.access import RoleFacts

RoleUsage = Literal["used", "unused", "unknown"]


@dataclass(frozen=True, slots=True)
class RoleVerdict:
    """The answer whether a role is unused. ``reason`` is the rest of a sentence after the name of the role."""

    usage: RoleUsage
    reason: str


@dataclass(frozen=True, slots=True)
class ServicesVerdict:
    """The unused services of a role.

    ``unknown`` is the reason why the use of all services is unknown, or "". ``unrecorded`` are services that IAM does not report.
    """

    unused: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class UseJudge:
    """Decide whether something was used within the last ``days``."""

    now: datetime
    days: int

    def judge_role(self, role: RoleFacts) -> RoleVerdict:
        """Return whether anyone used a role."""
        use = role.use
        if role.state != "read" or use is None:
            return RoleVerdict("unknown", "could not be read")
        if use.last is None:
            return RoleVerdict("unknown", "has no record of its last use in the response of IAM")
        if use.last and not self._is_old(use.last):
            return RoleVerdict("used", f"was last used on {use.last[:10]}")
        if doubt := self._doubt_of_age(role):
            return RoleVerdict("unknown", doubt)
        if use.last:
            return RoleVerdict("unused", f"was last used on {use.last[:10]}, more than {self.days} days ago")
        return RoleVerdict(
            "unused", "has no recorded use in the tracking period of IAM, which is at most 400 days"
        )

    def judge_services(
        self, role: RoleFacts, is_allowed: Callable[[str], bool], named: tuple[str, ...]
    ) -> ServicesVerdict:
        """Return the services that a role does not use.

        :arg is_allowed: returns whether the effective permissions allow anything in a service.
        :arg named: the services that the policies name.
        """
        use = role.use
        if role.state != "read" or use is None:
            return ServicesVerdict(unknown="The role could not be read.")
        if use.services is None:
            return ServicesVerdict(unknown=use.unread or "They were not read from IAM.")
        if doubt := self._doubt_of_age(role):
            return ServicesVerdict(unknown=f"A role that {doubt} may use them later.")
        unused = [
            name
            for name, last in use.services.items()
            if (not last or self._is_old(last)) and is_allowed(name)
        ]
        return ServicesVerdict(tuple(unused), tuple(name for name in named if name not in use.services))

    def _doubt_of_age(self, role: RoleFacts) -> str:
        created_at = role.use.created_at if role.use is not None else ""
        if not created_at:
            return "has no date of creation in the response of IAM"
        return "" if self._is_old(created_at) else f"is younger than {self.days} days"

    def _is_old(self, time: str) -> bool:
        return _parse(time) < self.now - timedelta(days=self.days)


def _parse(time: str) -> datetime:
    # Python 3.10 does not parse "Z".
    return datetime.fromisoformat(time.replace("Z", "+00:00"))
