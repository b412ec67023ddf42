# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Validate the input of eks_pod_identity and eks_pod_identity_info on the controller, because the workload files are there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, cast

from ansible.plugins.action.normal import ActionModule as Normal

from ..module_utils._findings.text import visible_values
from ..module_utils._identity.inputs.files import FileSource
from ..module_utils._identity.inputs.run_input import (
    WORKLOAD_OPTIONS,
    expander_for,
    read_input,
    read_workloads_option,
)
from ..module_utils._identity.model.errors import (
    InputError,
    input_message,
)
from ..plugin_utils._files import read_files
from ..plugin_utils._processes import interruptible
from ..plugin_utils._task import ActionTask

# The region option of amazon.aws, and its aliases.
REGIONS = ("region", "aws_region", "ec2_region")
ALIASES = {"cluster": "cluster_name", "resource_tags": "tags"}


def plain_arguments(
    arguments: Mapping[str, Any],
    variables: Mapping[str, Any] | None,
    workloads_required: bool,
    region: str = "",
    loader: Any = None,
) -> dict[str, Any]:
    """Validate the workloads in the arguments of a module. Return the arguments with the workloads as lists, and with policy
    documents in place of presets.

    :arg workloads_required: whether missing workloads are an error.
    :arg region: the region of the task, for presets; "" if it is unknown.
    :arg loader: as for ``read_files``.
    :raises InputError: with the problems of the workloads, each with its place, such as file and line.
    """

    @cache
    def read(paths: tuple[str, ...]) -> FileSource:
        return read_files(paths, variables, loader)

    options = {ALIASES.get(name, name): value for name, value in arguments.items()}
    options |= {"region": region} if region else {}
    if workloads_required or any(options.get(option) is not None for option in WORKLOAD_OPTIONS):
        read_input(options, read)
    plain = {str(name): value for name, value in arguments.items() if name not in WORKLOAD_OPTIONS}
    given = [option for option in WORKLOAD_OPTIONS if arguments.get(option) not in (None, "")]
    if given:
        presets = expander_for(options)
        workloads = read_workloads_option(given[0], arguments[given[0]], given[0], read).workloads
        plain["workloads"] = _plain([presets.expand_workload(workload) for workload in workloads])
    return plain


def _plain(value: Any) -> Any:
    """Convert a value from YAML to JSON types. Dates become text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, date) else value


class ActionModule(Normal):  # type: ignore[misc]  # Ansible has no type information
    """The action plugin of eks_pod_identity. It validates the workloads on the controller, and then runs the module."""

    workloads_required = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        access = ActionTask(self)
        task = access.keywords
        arguments = dict(task.args)
        try:
            region = access.region(next(filter(None, map(arguments.get, REGIONS)), None))
            task.args = plain_arguments(arguments, task_vars, self.workloads_required, region, access.loader)
        except InputError as error:
            return {"changed": False, "failed": True, "msg": input_message(error)}
        try:
            # If this process is interrupted, end the module as well, because no other process reads the module's result.
            with interruptible():
                result: dict[str, Any] = super().run(tmp, task_vars)
        finally:
            # Restore the arguments, so that a retry of the task reads the files again.
            task.args = arguments
        # A module escapes unprintable characters in its result. Only the output of a crashed module can contain them.
        return cast("dict[str, Any]", visible_values(result)) if "module_stderr" in result else result
