# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A finding: what a user should know of a workload, a policy or the whole cluster. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .codes import Code
from .key import WorkloadKey
from .severities import Severity
from .table import TABLE


@dataclass(frozen=True, slots=True)
class Finding:
    """``workload`` is None when it concerns them all; ``statement`` names the statement of a policy.

    ``cluster`` is the cluster part of workload keys, for a finding about one cluster as a whole.
    ``raised_as`` is given where the code has more than one severity, and this is not its first.
    """

    code: Code
    message: str
    remedy: str
    workload: WorkloadKey | None = None
    statement: str = ""
    raised_as: Severity | None = None
    cluster: str = ""

    @property
    def place(self) -> str:
        """The cluster part of workload keys; "" when it concerns all clusters."""
        return self.workload.cluster if self.workload is not None else self.cluster

    @property
    def severity(self) -> Severity:
        return self.raised_as or TABLE[self.code].severity
