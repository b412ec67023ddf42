# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What became of a plan, and of a whole run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._findings.finding import Finding
from ..model.changes import Change, Plan
from ..model.desired import Desired
from ..model.errors import ONCE_ONLY, AwsError, ErrorKind
from ..model.observed import Observed
from ..model.targets import Failure


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was made. ``answer`` is the last that holds the association, if any does."""

    change: Change
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that was not made. ``error`` is that of AWS; None when it was not attempted."""

    change: Change
    failure: Failure
    error: AwsError | None = None

    @property
    def conflict(self) -> bool:
        return self.error is not None and self.error.conflict

    @property
    def once_only(self) -> bool:
        """Whether its answer got lost, and made again it would be there twice."""
        error = self.error
        return error is not None and error.outcome_unknown and error.operation in ONCE_ONLY

    @property
    def perhaps_made(self) -> bool:
        """Whether it may be made, though reads do not show it yet: AWS says that what is to be made exists, or that
        what is to go is gone, or the answer got lost."""
        if self.error is None:
            return False
        if self.change.action in ("delete", "detach"):
            return self.error.missing
        if self.once_only:
            return True
        return self.change.action == "create" and self.error.kind is ErrorKind.EXISTS

    @property
    def vanished(self) -> bool:
        """Whether something that it builds on is gone."""
        return self.error is not None and self.error.missing and not self.half_replaced

    @property
    def lacks_room(self) -> bool:
        """Return whether the role has more policies than the plan counted."""
        full = self.error is not None and self.error.kind is ErrorKind.FULL
        return full and self.change.target.resource == "attachment"

    @property
    def role_not_usable(self) -> bool:
        """Whether EKS does not accept the role, which may be too young for it."""
        return self.error is not None and self.error.kind is ErrorKind.ROLE_NOT_USABLE

    @property
    def half_replaced(self) -> bool:
        """Deleted, and not created anew: nothing but the failure still tells what there was."""
        return self.failure.partly and self.change.action == "replace"

    @property
    def outcome_unknown(self) -> bool:
        """Whether it may have been made all the same, wholly or in part."""
        return self.failure.partly or (self.error is not None and self.error.outcome_unknown)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan."""

    done: tuple[Done, ...]
    refusals: tuple[Refusal, ...] = ()

    @property
    def failures(self) -> tuple[Failure, ...]:
        return tuple(refusal.failure for refusal in self.refusals)

    @property
    def conflict(self) -> bool:
        """Whether something was made elsewhere meanwhile: look again."""
        refusals = self.refusals
        return any(refusal.conflict for refusal in refusals) and not any(
            refusal.half_replaced for refusal in refusals
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What one run did, or in check mode would do.

    ``done`` and ``failures`` are of all rounds; ``findings`` are those of the last look. ``purged`` is how
    many workloads that are not listed it was to remove.
    """

    desired: Desired
    state: str
    observed: Observed
    plan: Plan
    done: tuple[Done, ...]
    failures: tuple[Failure, ...]
    findings: tuple[Finding, ...]
    check_mode: bool = False
    purged: int = 0
