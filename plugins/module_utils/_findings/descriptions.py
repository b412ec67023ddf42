# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the documentation says of a code. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .codes import Code
from .severities import Severity


@dataclass(frozen=True, slots=True)
class FailureText:
    """What a code means in ``failures``: something was not done, for this cause."""

    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Description:
    """``severity`` is that of a finding unless it is raised with one of ``also``.

    ``cause``, ``evidence`` (how it is seen) and ``remedy`` are fragments of Markdown without a full
    stop. ``failure`` is there for a code that is an error code of failures as well.
    """

    title: str
    severity: Severity
    cause: str
    remedy: str
    evidence: str = ""
    also: tuple[Severity, ...] = ()
    failure: FailureText | None = None

    @property
    def severities(self) -> tuple[Severity, ...]:
        return (self.severity, *self.also)


Descriptions: TypeAlias = Mapping[Code, Description]
