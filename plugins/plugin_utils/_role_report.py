# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publish the report of a run as a fact of the host, in files, and in the artifacts of an AWX job."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from ..module_utils._findings.text import visible
from ..module_utils._identity.inputs.role_variables import (
    EntryPoint,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.model.aws_result import (
    AwsResult,
    arn_region,
)
from ..module_utils._identity.kubernetes.run.converge import (
    KubernetesOutcome,
)
from ..module_utils._identity.model.errors import InputError
from ..module_utils._identity.model.names import (
    parse_role_arn,
)
from ..module_utils._identity.report.artifact import (
    make_artifacts,
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
from ._files import write_private
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


def read_fact(variables: Mapping[str, Any], name: str) -> Any:
    """Return a fact of the host, or None.

    ansible-core before 2.21 stores the fact only in ``ansible_facts`` if the setting INJECT_FACTS_AS_VARS is false.
    """
    return variables[name] if name in variables else (variables.get("ansible_facts") or {}).get(name)


ROOT = Path(__file__).resolve().parents[2]


def read_version(root: Path = ROOT) -> str:
    """Return the version of this collection, or "" if it is unknown.

    An installed collection has MANIFEST.json, a checkout has galaxy.yml.
    """
    try:
        manifest = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        text = (root / "galaxy.yml").read_text(encoding="utf-8")
    except OSError:
        return ""
    match = re.search(r"^version: *[\"']?([^\"'\s]+)", text, re.MULTILINE)
    return match.group(1) if match else ""


def write_report(report: Report, path: str, junit_path: str, fail_on: str, **more: Any) -> str:
    """Write a report to a JSON file and a JUnit file. A file with an empty path is not written.

    :arg more: additional members of the JSON file.
    :returns: a message about the first file that could not be written, or "".
    """
    texts = {}
    if path:
        texts[path] = f"{json.dumps({**report, **more}, indent=4, sort_keys=True)}\n"
    if junit_path:
        texts[junit_path] = junit_text(report, fail_on)
    for name, text in texts.items():
        try:
            write_private(name, text)
        except OSError as error:
            return visible(f"The report cannot be written to {name}: {error.strerror}.")
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


def forget_report(task: ActionTask, result: dict[str, Any]) -> None:
    """Clear the report fact of an earlier run of the role, so that a user cannot mistake it for the report of this run."""
    set_fact(task, result, FACT, {})


def leave_report(
    task: ActionTask,
    result: dict[str, Any],
    aws: AwsResult,
    outcome: KubernetesOutcome,
    values: Mapping[str, Any],
    host: str,
    expected: Sequence[Mapping[str, Any]] = (),
) -> Report:
    """Create the report, write its files, set its fact, and add its artifacts to the result of the task.

    :arg aws: the result of the AWS part of the run.
    :arg outcome: the result of the Kubernetes part.
    :arg values: the result of ``read_role_variables``.
    :arg host: the name of the host in the inventory.
    :arg expected: the changes in Kubernetes that the run would make if AWS refused none.
    :raises AnsibleError: when a file cannot be written.
    """
    path, junit_path = (str(values.get(name) or "") for name in ("report_file", "junit_file"))
    fail_on = values.get("fail_on", "error")
    settings = ReportSettings(
        task.check_mode,
        values.get("ignore", []),
        fail_on,
        _now(),
        read_version(),
        path,
        expected,
    )
    report = make_report(aws, outcome, settings)
    # Write the files in check mode as well, because report files do not change AWS or the cluster.
    unwritten = write_report(report, path, junit_path, fail_on, host=host)
    if unwritten:
        raise AnsibleError(f"{unwritten} Completed changes are kept.")
    # Convert the report to JSON types, because later tasks compare its members with plain lists and text.
    set_fact(task, result, FACT, json.loads(json.dumps(report)))
    result |= job_artifacts(make_artifacts(report, host))
    return report


def leave_stopped_report(
    task: ActionTask,
    result: dict[str, Any],
    message: str,
    variables: Mapping[str, Any],
    entry_point: EntryPoint,
    aws: Mapping[str, Any],
) -> None:
    """Write the report files of a run that ended before its report, and add its artifacts to the result of the task.

    Otherwise the files of an earlier run would remain, and a user could mistake them for the report of this run.

    :arg message: the reason why the run ended.
    :arg aws: the result of the AWS part of the run, or an empty mapping.
    """
    check_mode = task.check_mode
    report = stopped_report(
        _place(task, variables, aws),
        message,
        _now(),
        read_version(),
        check_mode,
        report_step(verifies=entry_point == "verify", check_mode=check_mode),
    )
    changes, failures = (list(aws.get(name) or ()) for name in ("changes", "failures"))
    report["changes"], report["failures"] = changes, failures
    report["summary"]["changes"] = len(changes)
    host = str(variables["inventory_hostname"])
    files = [
        os.path.expanduser(os.path.expandvars(_variable(task, variables, name)))
        for name in ("report_file", "junit_file")
    ]
    unwritten = write_report(report, files[0], files[1], "error", host=host, stopped=True)
    if unwritten:
        result["warnings"] = [*result.get("warnings", ()), unwritten]
    result |= job_artifacts(make_artifacts(report, host, stopped=True))


def _place(task: ActionTask, variables: Mapping[str, Any], aws: Mapping[str, Any]) -> Place:
    """Return cluster, account, region and caller of a run. A value is "" if the run ended before the value was known."""
    role = parse_role_arn(_variable(task, variables, "assume_role_arn"))
    cluster_arn = str(aws.get("cluster_arn") or "")
    return {
        "cluster_name": _variable(task, variables, "cluster_name"),
        "cluster_arn": cluster_arn,
        "account_id": str(aws.get("account_id") or "") or (role.account_id if role else ""),
        "region": arn_region(cluster_arn) or _region(task, variables),
        "caller_arn": str(aws.get("caller_arn") or ""),
    }


def _region(task: ActionTask, variables: Mapping[str, Any]) -> str:
    region = _variable(task, variables, "region")
    try:
        return task.region(region)
    except AnsibleError:
        # The environment of the task may have a template error, which may be the reason why the role failed.
        return region


def _variable(task: ActionTask, variables: Mapping[str, Any], name: str) -> str:
    """Return a role variable as text, or "" if it is not text or a number, or has a template error.

    A template error is ignored, because it may be the reason for the failure that is reported.
    """
    try:
        value = task.template(variables.get(f"{ROLE}{name}"))
    except AnsibleError:
        return ""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def job_artifacts(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the member of a task result that sets artifacts of an AWX job, or {} without data."""
    return {"ansible_stats": {"data": dict(data), "per_host": False, "aggregate": True}} if data else {}
