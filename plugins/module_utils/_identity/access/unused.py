# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide from the records of IAM which roles are unused, and which services and actions a role does not use.

IAM records the last use of a role, and of each service and some actions by a role, within a tracking period of at most 400
days. If the response of IAM lacks this data, the result is unknown. Source: IAM User Guide, "Refine permissions in AWS using last
accessed information".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ..model.access import RoleFacts, RoleUse

RoleUsage = Literal["used", "unused", "unknown"]


@dataclass(frozen=True, slots=True)
class UseVerdict:
    """The verdict on the use of a role. ``reason`` completes a sentence that begins with the name of the role."""

    usage: RoleUsage
    reason: str


@dataclass(frozen=True, slots=True)
class ServicesVerdict:
    """The services that a role does not use, as service prefixes such as "s3".

    ``unknown`` is the reason, as a sentence or as the error of a request, if the use of services is unknown; otherwise "".
    ``unrecorded`` are services of the policies that IAM does not report, so that their use is unknown. ``actions`` are the
    unused actions of the used services, such as "s3:CreateBucket", without actions that IAM does not track.
    """

    unused: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    unknown: str = ""
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UseJudge:
    """A judge that decides whether roles, services and actions were used within the last ``days`` days before ``now``."""

    now: datetime
    days: int

    def judge_role(self, role: RoleFacts) -> UseVerdict:
        """Decide whether anyone has used a role recently. A role younger than ``days`` days does not count as unused."""
        use = role.use
        if role.state != "read" or use is None:
            return UseVerdict("unknown", "could not be read")
        if use.last is None:
            return UseVerdict("unknown", "has no record of its last use in the IAM response")
        if use.last and not self._is_old(use.last):
            return UseVerdict("used", f"was last used on {use.last[:10]}")
        if doubt := self._doubt_of_age(use):
            return UseVerdict("unknown", doubt)
        if use.last:
            return UseVerdict("unused", f"was last used on {use.last[:10]}, more than {self.days} days ago")
        return UseVerdict(
            "unused", "has no recorded use in the tracking period of IAM, which is at most 400 days"
        )

    def judge_services(
        self, use: RoleUse, is_allowed: Callable[[str], bool], named: tuple[str, ...]
    ) -> ServicesVerdict:
        """Decide which services, and which actions of the other services, a used role has not used recently.

        :arg is_allowed: returns whether the effective permissions allow, or may allow, an action, or any action of a service.
        :arg named: the services that the policies of the role name.
        """
        if use.services is None:
            return ServicesVerdict(
                unknown=use.unread or "The service last accessed data was not read from IAM."
            )
        if doubt := self._doubt_of_age(use):
            return ServicesVerdict(
                unknown=f"A role that {doubt} may be too new to have used all services that it needs."
            )
        unused = tuple(name for name in self._unused(use.services) if is_allowed(name))
        used = use.services.keys() - {*self._unused(use.services)}
        actions = tuple(
            name for name in self._unused(use.actions) if name.partition(":")[0] in used and is_allowed(name)
        )
        return ServicesVerdict(unused, tuple(name for name in named if name not in use.services), "", actions)

    def _unused(self, times: Mapping[str, str]) -> list[str]:
        return sorted(name for name, last in times.items() if not last or self._is_old(last))

    def _doubt_of_age(self, use: RoleUse) -> str:
        """Return a ``UseVerdict.reason`` if a role may be too young to count as unused, or "" if it is old enough."""
        if not use.created_at:
            return "has no creation date in the IAM response"
        return "" if self._is_old(use.created_at) else f"is younger than {self.days} days"

    def _is_old(self, time: str) -> bool:
        # Python 3.10 does not parse "Z".
        return datetime.fromisoformat(time.replace("Z", "+00:00")) < self.now - timedelta(days=self.days)
