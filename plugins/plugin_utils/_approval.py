# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bind a run of the role to an approved plan, from a report file or from the artifacts of an AWX workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..module_utils._findings.codes import Code
from ..module_utils._findings.finding import Finding
from ..module_utils._identity.model.changes import Change
from ..module_utils._identity.model.cluster import (
    Cluster,
    describe_place,
)
from ..module_utils._identity.model.errors import (
    NOT_APPROVED_REMEDY,
    NotApprovedError,
)
from ..module_utils._identity.model.rows import finding_row
from ..module_utils._identity.report.approval import (
    describe_unapproved,
    find_plan,
)
from ..module_utils._identity.report.fleet import (
    artifacts_in,
)
from ..module_utils._identity.run.result import change_row
from ._role_report import read_reports

# The value of the variable for the plans of the earlier jobs of an AWX workflow.
ARTIFACTS = "artifacts"
_Row = Mapping[str, Any]


def read_plans(values: _Row, variables: _Row) -> list[_Row] | None:
    """Return the reports that may contain the approved plan, or None if the run needs no approval.

    :arg values: the result of ``read_role_variables``.
    :arg variables: all variables of the task.
    :raises InputError: when a file cannot be read.
    """
    source = values.get("approved")
    if not source:
        return None
    return artifacts_in(variables) if source == ARTIFACTS else list(read_reports("approved", [source]))


@dataclass(frozen=True, slots=True)
class Approval:
    """The approved plan of a cluster.

    :arg reports: the result of ``read_plans``.
    :arg expected: the changes in Kubernetes that the run would make.
    """

    reports: Sequence[_Row]
    cluster: Cluster
    expected: Sequence[_Row]

    def check(self, changes: Sequence[Change]) -> None:
        """Compare the changes of a run with the plan. Raises NotApprovedError."""
        if text := self._describe(map(change_row, changes)):
            raise NotApprovedError(text.splitlines())

    def _describe(self, changes: Iterable[_Row]) -> str:
        text = describe_unapproved(find_plan(self.reports, self.cluster.arn), [*changes, *self.expected])
        return f"{describe_place(self.cluster)}: {text}" if text else ""

    def conclude(self, aws: dict[str, Any]) -> str:
        """Add a finding about changes that exceed the plan to the result of the AWS part. Return a line for the screen."""
        text = self._describe(aws.get("changes", ()))
        if not text:
            return "the approved plan has all changes of this run"
        message = text.replace(":\n- ", ": ").replace("\n- ", "; ")
        finding = Finding(Code.NOT_APPROVED, message, NOT_APPROVED_REMEDY)
        aws["findings"] = [finding_row(finding), *aws.get("findings", ())]
        return "changes that the approved plan lacks are accepted"
