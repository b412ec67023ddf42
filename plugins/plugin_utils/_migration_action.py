# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of the playbook migrate: it reads the variables, runs the migration and displays its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils._identity.inputs.role_variables import (
    MIGRATION,
    is_unanswered,
    read_migration_variables,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.model.errors import (
    InputError,
)
from ..module_utils._identity.report.migration import (
    migration_lines,
)
from ._files import (
    why_not_writable,
)
from ._migration import Migration
from ._migration_session import MigrationSession
from ._processes import (
    interruptible,
    parent_stderr,
)
from ._role_input import (
    read_role_variables,
    template_variables,
    validate_extra_variables,
)
from ._role_run import (
    RoleError,
    failing_into,
)
from ._screen import (
    printable,
    show_report,
)
from ._task import ActionTask

NO_CLUSTER = (
    "The migration needs the name of the EKS cluster: -e pod_identity_cluster_name=my-cluster. It also needs credentials and a "
    "region for AWS, and access to the Kubernetes API of the cluster. Nothing was changed."
)
# Variables of the role that choose workloads. A migration finds the service accounts itself.
_WORKLOADS = ("workloads", "workloads_from")
# Further variables of the role that a migration ignores. It always uses the default trust scope, because a rollback removes
# the statements of that scope.
_LEFT_OUT = ("only", "state", "purge", "trust_scope")
_NO_STATE = (
    f"{ROLE}state '{{state}}' has no effect on a migration. To restore IRSA, set {ROLE}migration_step: rollback; to migrate, "
    f"leave out {ROLE}state."
)
_NO_EFFECT = (
    "{name} has no effect on a migration, which migrates the service accounts that use IRSA. To choose among them, set "
    "pod_identity_only."
)


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    """The action plugin of the playbook migrate."""

    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec(argument_spec={})
        task = ActionTask(self)
        result["changed"] = False
        failure: dict[str, Any] = {}
        migration: Migration | None = None
        with parent_stderr() as write, interruptible():
            try:
                with failing_into(failure):
                    validate_extra_variables(task.loader)
                    migration = _prepare(task, task_vars or {}, write)
                    migration.perform()
            except SystemExit:
                if migration is not None:
                    write(migration.interruption)
                raise
        if migration is not None:
            result |= migration.result
        # The assertion of the playbook fails instead of this task, because Ansible prints a failed result in full.
        result["failure"] = str(failure.get("msg", ""))
        if migration is not None and migration.report is not None:
            report = migration.report
            hidden = bool(task.keywords.no_log)
            end = report.failure or result["failure"]
            result |= show_report(migration_lines(report), end, end, hidden=hidden)
        return result


def _prepare(task: ActionTask, variables: dict[str, Any], write: Callable[[str], None]) -> Migration:
    """Read and check the variables. Raises InputError, and RoleError if the name of the cluster is missing."""
    options = read_migration_variables(template_variables(task, variables, MIGRATION))
    if is_unanswered(task.template(variables.get(f"{ROLE}cluster_name"))):
        raise RoleError(NO_CLUSTER)
    state = task.template(variables.get(f"{ROLE}state"))
    if state not in (None, "", "present"):
        raise InputError([_NO_STATE.format(state=state)])
    warnings = [
        _NO_EFFECT.format(name=f"{ROLE}{name}") for name in _WORKLOADS if f"{ROLE}{name}" in variables
    ]
    left_out = {f"{ROLE}{name}" for name in (*_WORKLOADS, *_LEFT_OUT)}
    chosen = {name: value for name, value in variables.items() if name not in left_out}
    values = read_role_variables(task, {**chosen, f"{ROLE}workloads": []}, "main")
    options = replace(options, file=values.get("report_file") or "")
    if options.file and (reason := why_not_writable(options.file)):
        raise InputError([f"{ROLE}report_file {options.file} cannot be written: {reason}."])
    return Migration(MigrationSession(task, chosen, values, options, write, warnings))
