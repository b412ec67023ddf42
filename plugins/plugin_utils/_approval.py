# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Bind a run of the role to an approved plan, from a report file or from the artifacts of an AWX workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    expected_changes,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    as_text,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Change
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    Cluster,
    describe_place,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    NOT_APPROVED_REMEDY,
    NotApprovedError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import finding_row
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.approval import (
    describe_unapproved,
    find_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    artifacts_in,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import change_row
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_report import read_reports
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import Prepared

# The value of the variable for the plans of the earlier jobs of an AWX workflow.
ARTIFACTS = "artifacts"


def read_plans(values: Mapping[str, Any], variables: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Return the reports among which the approved plan is, or None if the run needs no approval.

    :arg values: the result of ``read_role_variables``.
    :arg variables: all variables of the task.
    :raises InputError: when a file cannot be read.
    """
    source = values.get("approved")
    if not source:
        return None
    return artifacts_in(variables) if source == ARTIFACTS else list(read_reports("approved", [source]))


@dataclass(slots=True)
class Approval:
    """The approved plan of a cluster.

    ``accepts`` is true if the run may exceed the plan. ``text`` describes the changes that exceed it, or is "". ``needed`` is the
    number of changes that the run found before the first write.
    """

    plan: Mapping[str, Any] | None
    cluster: Cluster
    expected: Sequence[Mapping[str, Any]]
    accepts: bool = False
    text: str = ""
    needed: int | None = None

    def check(self, changes: Sequence[Change]) -> None:
        """Compare the changes of a run with the plan. Raises NotApprovedError."""
        text = describe_unapproved(self.plan, [*map(change_row, changes), *self.expected])
        if text and not self.accepts:
            raise NotApprovedError(f"{describe_place(self.cluster)}: {text}".splitlines())
        self.text = self.text or text
        self.needed = len(changes) if self.needed is None else self.needed

    @property
    def outcome(self) -> str:
        """Return a line about the changes in AWS, of which the plan may have more."""
        if self.text or self.plan is None:
            return (
                "changes that the approved plan lacks are accepted" if self.text else "no changes to approve"
            )
        return f"{self.needed} changes in AWS, all of them in the approved plan of {as_text(self.plan.get('time'))}"

    def note(self, aws: dict[str, Any]) -> None:
        """Add a finding about accepted changes that exceed the plan to the result of the AWS part."""
        if self.text:
            finding = Finding(
                Code.NOT_APPROVED, self.text.replace(":\n- ", ": ").replace("\n- ", "; "), NOT_APPROVED_REMEDY
            )
            aws["findings"] = [finding_row(finding), *aws.get("findings", ())]


def make_approval(plans: Sequence[Mapping[str, Any]], prepared: Prepared, cluster: Cluster) -> Approval:
    """Return the approval of a run. ``plans`` is the result of ``read_plans``."""
    return Approval(
        find_plan(plans, cluster.arn),
        cluster,
        expected_changes(prepared.preflight, removes=prepared.parsed.state == "absent"),
        accepts=Code.NOT_APPROVED.value in prepared.values.get("ignore", ()),
    )
