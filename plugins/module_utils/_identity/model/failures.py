# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What was not done, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..._findings.key import WorkloadKey
from .aws_errors import AwsError
from .targets import Action, Target


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that was not done, and why. ``workloads`` are all those that miss it.

    ``partly`` says that some of its requests had been made before one failed.
    """

    workloads: tuple[WorkloadKey, ...]
    target: Target
    action: Action
    error_code: str
    message: str
    remedy: str
    partly: bool = False


def request_failure(
    error: AwsError,
    workloads: tuple[WorkloadKey, ...],
    target: Target,
    action: Action,
    *,
    before: str = "",
    after: str = "",
    partly: bool = False,
) -> Failure:
    """The failure that an error of AWS makes of an action. ``before`` and ``after`` stand around what AWS
    says."""
    message = f"{before}{error.operation}: {error.text}{after}"
    return Failure(workloads, target, action, error.code, message, error.remedy, partly)
