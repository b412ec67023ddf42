# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A request to AWS that failed, as data. Pure; ``_aws.errors`` makes it where the answer arrives."""

from __future__ import annotations

from enum import Enum

from ..._findings.text import visible, visible_sentence


class ErrorKind(Enum):
    """What an error means for a run. Two errors of one kind are treated alike."""

    BUSY = "another process modifies the resource"
    CONNECTION = "the request or its answer was lost"
    DAMAGED = "the answer cannot be used"
    DENIED = "the caller is not allowed to perform the request"
    EXISTS = "the resource exists already"
    FULL = "a quota leaves no room"
    IN_USE = "something else uses the resource"
    MISSING = "the resource does not exist"
    OTHER = "nothing that a run can act upon"
    ROLE_NOT_USABLE = "EKS does not know the role, or finds that the role does not trust it"
    SERVER = "AWS had an internal error"
    THROTTLED = "AWS limits the rate of requests"


# The same request may succeed when it is sent again.
_TRANSIENT = frozenset((ErrorKind.CONNECTION, ErrorKind.DAMAGED, ErrorKind.SERVER, ErrorKind.THROTTLED))
# After these only a fresh look tells what there is.
_CONFLICTS = frozenset((ErrorKind.DAMAGED, ErrorKind.EXISTS, ErrorKind.IN_USE))
# Sent twice, each of these makes a second thing; every other request is the same when repeated.
ONCE_ONLY = frozenset(("iam:CreatePolicyVersion",))


class AwsError(Exception):
    """A request that AWS refused, or that never got there.

    ``operation`` is in the form "iam:CreateRole". ``code`` is the error code of the API, or the name of
    the client's own error; ``text`` is its message, which may hold anything and is made
    visible. ``remedy`` says what to do about it.
    ``outcome_unknown``: the request may have taken effect all the same.
    """

    def __init__(
        self,
        operation: str,
        code: str,
        text: str,
        kind: ErrorKind,
        remedy: str,
        outcome_unknown: bool = False,
    ) -> None:
        self.operation = operation
        self.code = visible(code)
        self.text = visible_sentence(text)
        self.kind = kind
        self.remedy = remedy
        self.outcome_unknown = outcome_unknown
        super().__init__(f"{operation}: {self.code}: {self.text}")

    def amended(self, text: str, outcome_unknown: bool) -> AwsError:
        """The same error, with what is known of it after several attempts."""
        return AwsError(self.operation, self.code, text, self.kind, self.remedy, outcome_unknown)

    def with_remedy(self, remedy: str) -> AwsError:
        """The same error, with what the caller knows to do about it."""
        return AwsError(self.operation, self.code, self.text, self.kind, remedy, self.outcome_unknown)

    @property
    def transient(self) -> bool:
        return self.kind in _TRANSIENT

    @property
    def missing(self) -> bool:
        return self.kind is ErrorKind.MISSING

    @property
    def denied(self) -> bool:
        return self.kind is ErrorKind.DENIED

    @property
    def conflict(self) -> bool:
        """Whether a fresh look has to tell what there is now."""
        return self.kind in _CONFLICTS or (self.outcome_unknown and self.operation in ONCE_ONLY)
