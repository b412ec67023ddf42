# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin that combines the reports of several jobs for the playbook workload_identity.aws.report."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    find_variables,
    read_report_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    artifacts_in,
    gather,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_input import (
    validate_extra_variables,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import printable, show_last
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "expected": {"type": "raw"},
                "files": {"type": "raw"},
                "max_age": {"type": "raw"},
            }
        )
        task = ActionTask(self)
        result["changed"] = False
        try:
            validate_extra_variables(task.loader)
            find_variables(task_vars or {})
            values = read_report_variables(
                {
                    "expected": options["expected"],
                    "report_files": options["files"],
                    "report_max_age": options["max_age"],
                }
            )
            reports = [*artifacts_in(task_vars or {}), *_read_files(_list(values, "report_files"))]
        except InputError as error:
            return {**result, "failed": True, "msg": "\n".join(error.problems)}
        expected = _list(values, "expected")
        age = values.get("report_max_age")
        now, plans = datetime.now(timezone.utc), task.check_mode
        gathered = gather(reports, expected, now, age if isinstance(age, int) else None, plans)
        return {**result, **show_last(gathered.lines, gathered.failure, gathered.failure)}


def _list(values: Mapping[str, object], name: str) -> list[str]:
    value = values.get(name)
    return [str(part) for part in value if part] if isinstance(value, list) else []


def _read_files(patterns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the reports in the files that match the patterns.

    :raises InputError: when a pattern matches no file, or a file is not a report.
    """
    problems = []
    for pattern in filter(None, patterns):
        paths = sorted(glob.glob(pattern))
        if not paths:
            problems.append(f"pod_identity_report_files: no file matches {pattern}.")
        for path in paths:
            try:
                report = json.loads(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                problems.append(f"pod_identity_report_files: {path} cannot be read as a report: {error}.")
                continue
            if not isinstance(report, Mapping) or not {"summary", "failed", "time"} <= set(report):
                problems.append(
                    f"pod_identity_report_files: {path} is not a report from pod_identity_report_file."
                )
                continue
            yield report
    if problems:
        raise InputError(problems)
