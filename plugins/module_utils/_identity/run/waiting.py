# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How long a run waits for AWS to know what was made or deleted a moment ago."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._aws.client import Api
from ..._aws.interrupt import raise_if_interrupted
from ..model.changes import Call
from ..model.errors import AwsError, ErrorKind

# These build on something made before, which IAM may not know yet.
_BUILDING = frozenset(("AttachRolePolicy", "CreateRole", "PutRolePermissionsBoundary", "TagPolicy"))


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How long to wait for AWS to know about what this run made.

    ``timeout`` and the pauses are in seconds. ``now``, ``sleep`` and ``chance`` (0 to 1) are given, so that
    tests need not wait.
    """

    timeout: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    first_pause: float = 0.5
    longest_pause: float = 5.0
    chance: Callable[[], float] = random.random


def send(
    api: Api,
    call: Call,
    wait_policy: WaitPolicy,
    awaits: bool,
    replaces: bool,
    renew: Callable[[], Call] | None = None,
) -> Mapping[str, Any]:
    """The answer to a request, which is sent again as long as its refusal may pass. Raises AwsError.

    ``awaits``: it may build on what AWS does not know yet. ``replaces``: what it takes the place of was
    deleted a moment ago. ``renew`` returns the request for the next attempt, where it depends on the time.
    """
    deadline = wait_policy.now() + wait_policy.timeout
    pause = wait_policy.first_pause
    while True:
        raise_if_interrupted()
        try:
            return api.call(call.service, call.operation, call.parameters)
        except AwsError as error:
            if not _may_pass(error, call, awaits, replaces):
                raise
            if wait_policy.now() + pause > deadline:
                text = f"{error.text} (still so after {wait_policy.timeout:g} s of waiting)"
                raise error.amended(text, error.outcome_unknown) from error
        wait_policy.sleep(pause)
        pause = min(pause * 2, wait_policy.longest_pause)
        call = renew() if renew is not None else call


def _may_pass(error: AwsError, call: Call, awaits: bool, replaces: bool) -> bool:
    # IAM refuses two changes of one thing at the same time, whoever makes the other one.
    if error.kind is ErrorKind.BUSY:
        return True
    if replaces and error.kind in (ErrorKind.EXISTS, ErrorKind.FULL):
        return True
    unknown = error.kind is ErrorKind.ROLE_NOT_USABLE or (error.missing and call.operation in _BUILDING)
    return unknown and (awaits or replaces)
