# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Findings on permissions policies that IAM refuses to store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..grammar.storable import Storability


def refusal_findings(judged: Iterable[tuple[str, Storability]]) -> Iterator[Finding]:
    """One for each reason for which IAM certainly refuses a named document."""
    for name, storability in judged:
        for reason in storability.refusals:
            place = f"{name}: {reason.statement}" if reason.statement else name
            yield Finding(
                Code.PERMISSION_NOT_STORABLE,
                f"IAM refuses the document {place}: {reason.message}.",
                reason.remedy,
                statement=place,
            )
