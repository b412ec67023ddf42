# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""End a run at its deadline, on an interrupt, or on an unexpected error, and record the cause."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from ..._aws.interrupt import DEADLINE, Interrupted, Stop, stoppable
from ..._findings.codes import Code
from ..._findings.text import with_option_names
from ..model.errors import AwsError, ErrorKind, InputError

_CHANGES_KEPT = ": completed changes are kept"


@dataclass(slots=True)
class Guard:
    """A context manager that ends a run at its deadline, on an interrupt, or on an unexpected error.

    ``cause`` is then the reason for the end, and ``trace`` the traceback of an unexpected error. InputError and AwsError are not
    caught, because modules report them.
    """

    deadline: float | None = None
    cause: AwsError | None = None
    trace: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)
    _stop: Stop = field(default_factory=Stop)

    def __enter__(self) -> Guard:
        self._stop = self._stack.enter_context(stoppable(self.deadline))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[True] | None:
        self._stack.close()
        # After its last request, a run ends without an exception. A signal must then still end the steps that follow.
        if isinstance(error, Interrupted) or (error is None and self._stop.reason not in ("", DEADLINE)):
            self.cause = _stopped(self._stop.reason, self.deadline)
            return True
        if isinstance(error, Exception) and not isinstance(error, (InputError, AwsError)):
            self.cause = AwsError(
                "",
                Code.INTERNAL_ERROR,
                f"an internal error of the collection: {type(error).__name__}: {error}.",
                ErrorKind.OTHER,
                "Report it to the maintainers of workload_identity.aws, with the output of -vvv. Then run "
                f"again{_CHANGES_KEPT}.",
            )
            self.trace = "".join(traceback.format_exception(kind, error, trace))
            return True
        return None


def interrupted_result(cause: AwsError, prefix: str = "") -> dict[str, str]:
    """Return the result of an interrupted run that only reads. ``prefix`` is the prefix of the caller's options."""
    remedy = str(with_option_names(cause.remedy.replace(_CHANGES_KEPT, ""), prefix))
    return {
        "msg": f"not everything was read: {cause.text} {remedy}",
        "error_code": cause.code,
        "remedy": remedy,
    }


def _stopped(reason: str, deadline: float | None) -> AwsError:
    if reason == DEADLINE:
        return AwsError(
            "",
            Code.DEADLINE,
            f"the deadline of {deadline:g} s has passed.",
            ErrorKind.OTHER,
            f"Run again{_CHANGES_KEPT}. To complete more in one run, raise ⟨deadline⟩.",
        )
    return AwsError(
        "",
        Code.INTERRUPTED,
        f"the run was ended by {'the timeout of its task' if reason == 'SIGALRM' else reason}.",
        ErrorKind.OTHER,
        f"Run again{_CHANGES_KEPT}.",
    )
