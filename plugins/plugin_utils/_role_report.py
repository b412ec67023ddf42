# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publish the report of a run as a fact of the host, in files, and in the artifacts of an AWX job.

A later run can be bound to the plan in such a report.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError

from ..module_utils._findings.codes import Code
from ..module_utils._findings.finding import Finding
from ..module_utils._findings.text import visible
from ..module_utils._identity.inputs.role_variables import DEFAULTS
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.model.aws_result import (
    AwsResult,
    arn_region,
)
from ..module_utils._identity.kubernetes.run.converge import (
    KubernetesOutcome,
)
from ..module_utils._identity.model.changes import Change
from ..module_utils._identity.model.cluster import (
    Cluster,
    describe_place,
)
from ..module_utils._identity.model.errors import (
    NOT_APPROVED_REMEDY,
    InputError,
    NotApprovedError,
)
from ..module_utils._identity.model.names import (
    parse_role_arn,
)
from ..module_utils._identity.report.approval import (
    describe_unapproved,
    find_plan,
)
from ..module_utils._identity.report.artifact import (
    make_artifacts,
)
from ..module_utils._identity.report.fleet import (
    artifacts_in,
)
from ..module_utils._identity.report.junit import (
    junit_text,
)
from ..module_utils._identity.report.report import (
    ReportSettings,
    make_report,
    stopped_report,
)
from ..module_utils._identity.report.rows import (
    Place,
    Report,
    report_step,
)
from ..module_utils._identity.run.result import change_row
from ._files import write_private
from ._screen import output_form
from ._task import ActionTask

try:
    from ansible.plugins.action import VariableLayer
except ImportError:  # ansible-core before 2.21
    VariableLayer = None


def set_fact(task: ActionTask, result: dict[str, Any], name: str, value: Any) -> None:
    """Set a fact of the host: through the API of ansible-core 2.21 and newer, otherwise in the result of the task."""
    if VariableLayer is None:
        result["ansible_facts"] = {**result.get("ansible_facts", {}), name: value}
        return
    task.action.register_host_variables({name: value}, VariableLayer.EPHEMERAL_FACT)


ROOT = Path(__file__).resolve().parents[2]
_VERSION = re.compile(r"""(?:"version"|^version): *["']?([^"'\s]+)""", re.MULTILINE)


def read_version(root: Path = ROOT) -> str:
    """Return the version of this collection, or "" if it is unknown.

    An installed collection has MANIFEST.json, a checkout has galaxy.yml.
    """
    for name in ("MANIFEST.json", "galaxy.yml"):
        with contextlib.suppress(OSError):
            if match := _VERSION.search((root / name).read_text(encoding="utf-8")):
                return match.group(1)
    return ""


def _publish(
    variables: Mapping[str, Any],
    result: dict[str, Any],
    report: Report,
    paths: tuple[str, str],
    fail_on: str,
    *,
    stopped: bool = False,
) -> str:
    """Write a report to a JSON file and a JUnit file, and add its artifacts to the result of the task.

    Files are written in check mode as well, because they do not change AWS or the cluster.

    :arg paths: the paths of the files; a file with an empty path is not written.
    :arg stopped: whether the run ended before its report.
    :returns: a message about the first file that could not be written, or "".
    """
    host = str(variables["inventory_hostname"])
    result |= job_artifacts(variables, partial(make_artifacts, report, host, stopped=stopped))
    content = {**report, "host": host, **({"stopped": True} if stopped else {})}
    writers: tuple[Callable[[], str], ...] = (
        lambda: f"{json.dumps(content, indent=4, sort_keys=True)}\n",
        lambda: junit_text(report, fail_on),
    )
    for path, write in zip(paths, writers, strict=True):
        try:
            if path:
                write_private(path, write())
        except OSError as error:
            return visible(f"The report cannot be written to {os.path.abspath(path)}: {error.strerror}.")
    return ""


def read_reports(variable: str, patterns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the reports in the files that match the patterns.

    :arg variable: the variable with the patterns, without prefix.
    :raises InputError: when a pattern matches no file, or a file is not a report.
    """
    problems = []
    for pattern in filter(None, patterns):
        paths = sorted(glob.glob(os.path.expanduser(os.path.expandvars(pattern))))
        if not paths:
            problems.append(f"{ROLE}{variable}: no file matches {pattern}.")
        for path in paths:
            try:
                report = json.loads(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                problems.append(f"{ROLE}{variable}: {path} cannot be read as a report: {error}.")
                continue
            if not isinstance(report, Mapping) or not {"summary", "failed", "time"} <= set(report):
                problems.append(f"{ROLE}{variable}: {path} is not a report from {ROLE}report_file.")
                continue
            yield report
    if problems:
        raise InputError(problems)


FACT = "pod_identity_report"


def leave_report(
    task: ActionTask,
    variables: Mapping[str, Any],
    result: dict[str, Any],
    aws: AwsResult,
    outcome: KubernetesOutcome,
    values: Mapping[str, Any],
    expected: Sequence[Mapping[str, Any]] = (),
) -> Report:
    """Create the report, write its files, set its fact, and add its artifacts to the result of the task.

    :arg variables: all variables of the task.
    :arg aws: the result of the AWS part of the run.
    :arg outcome: the result of the Kubernetes part.
    :arg values: the result of ``read_role_variables``.
    :arg expected: the changes in Kubernetes that the run would make if AWS refused none.
    :raises AnsibleError: when a file cannot be written.
    """
    path = str(values.get("report_file") or "")
    fail_on = values.get("fail_on", DEFAULTS["fail_on"])
    report = make_report(
        aws,
        outcome,
        ReportSettings(
            task.check_mode,
            values.get("ignore", []),
            fail_on,
            _now(),
            read_version(),
            path,
            expected,
            shutil.get_terminal_size((200, 0)).columns,
        ),
    )
    paths = path, str(values.get("junit_file") or "")
    if unwritten := _publish(variables, result, report, paths, fail_on):
        raise AnsibleError(f"{unwritten} Completed changes are kept.")
    # Convert the report to JSON types, because later tasks compare its members with plain lists and text.
    set_fact(task, result, FACT, json.loads(json.dumps(report)))
    return report


def leave_stopped_report(
    task: ActionTask,
    variables: Mapping[str, Any],
    result: dict[str, Any],
    message: str,
    aws: Mapping[str, Any],
    *,
    verifies: bool,
) -> None:
    """Write the report files of a run that ended before its report, and add its artifacts to the result of the task.

    Otherwise the files of an earlier run would remain, and a user could mistake them for the report of this run.

    :arg message: the reason why the run ended.
    :arg aws: the result of the AWS part of the run, or an empty mapping.
    """

    def find(name: str) -> str:
        """Return a role variable as text, or "" if it is not text or a number, or has a template error.

        A template error is ignored, because it may be the reason for the failure that is reported.
        """
        with contextlib.suppress(AnsibleError):
            value = task.template(variables.get(f"{ROLE}{name}"))
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                return str(value)
        return ""

    cluster_arn, region, role = (
        str(aws.get("cluster_arn") or ""),
        find("region"),
        parse_role_arn(find("assume_role_arn")),
    )
    with contextlib.suppress(AnsibleError):
        region = task.region(region)
    place: Place = {
        "cluster_name": find("cluster_name"),
        "cluster_arn": cluster_arn,
        "account_id": str(aws.get("account_id") or "") or (role.account_id if role else ""),
        "region": arn_region(cluster_arn) or region,
        "caller_arn": str(aws.get("caller_arn") or ""),
    }
    report = stopped_report(
        place,
        message,
        _now(),
        read_version(),
        task.check_mode,
        report_step(verifies=verifies, check_mode=task.check_mode),
    )
    report["changes"], report["failures"] = (list(aws.get(name) or ()) for name in ("changes", "failures"))
    report["summary"]["changes"] = len(report["changes"])
    report_file, junit_file = (
        os.path.expanduser(os.path.expandvars(find(name))) for name in ("report_file", "junit_file")
    )
    # No warning repeats a message about an unwritable file.
    if (
        unwritten := _publish(variables, result, report, (report_file, junit_file), "error", stopped=True)
    ) and "cannot be written: " not in message:
        result["warnings"] = [*result.get("warnings", ()), unwritten]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def job_artifacts(variables: Mapping[str, Any], make: Callable[[], Mapping[str, object]]) -> dict[str, Any]:
    """Return the member of a task result that sets artifacts of a job, or {} if nothing reads them.

    AWX, Automation Platform and ansible-runner read artifacts, and Ansible shows them with SHOW_CUSTOM_STATS.

    :arg variables: all variables of the task.
    :arg make: returns the artifacts.
    """
    if not (
        "awx_job_id" in variables
        or output_form() == "events"
        or constants.config.get_config_value("SHOW_CUSTOM_STATS")
    ):
        return {}
    return {"ansible_stats": {"data": dict(make()), "per_host": False, "aggregate": True}}


# The value of the variable for the plans of the earlier jobs of an AWX workflow.
ARTIFACTS = "artifacts"


def read_plans(values: Mapping[str, Any], variables: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
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

    reports: Sequence[Mapping[str, Any]]
    cluster: Cluster
    expected: Sequence[Mapping[str, Any]]

    def require_planned(self, changes: Sequence[Change]) -> None:
        """Compare the changes of a run with the plan. Raises NotApprovedError."""
        if text := self._describe_unapproved(map(change_row, changes)):
            raise NotApprovedError(text.splitlines())

    def _describe_unapproved(self, changes: Iterable[Mapping[str, Any]]) -> str:
        text = describe_unapproved(find_plan(self.reports, self.cluster.arn), [*changes, *self.expected])
        return f"{describe_place(self.cluster)}: {text}" if text else ""

    def conclude(self, aws: dict[str, Any]) -> str:
        """Add a finding about changes that exceed the plan to the result of the AWS part. Return a line for the screen."""
        text = self._describe_unapproved(aws.get("changes", ()))
        if not text:
            return "the approved plan has all changes of this run"
        message = text.replace(":\n- ", ": ").replace("\n- ", "; ")
        finding = Finding(Code.NOT_APPROVED, message, NOT_APPROVED_REMEDY)
        aws["findings"] = [finding, *aws.get("findings", ())]
        return "changes that the approved plan lacks are accepted"
