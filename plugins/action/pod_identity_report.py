# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of the role. It takes variables by name: templating thousands of rows costs minutes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Reads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    AwsResult,
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.half import (
    KubernetesOutcome,
    parse_outcome,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.artifact import (
    FORMS,
    make_artifacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.given_reads import (
    given_listings,
    judge_given,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.host_facts import set_fact
from ansible_collections.workload_identity.aws.plugins.plugin_utils.job_artifacts import job_artifacts
from ansible_collections.workload_identity.aws.plugins.plugin_utils.own_version import read_version
from ansible_collections.workload_identity.aws.plugins.plugin_utils.report_files import write_report
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import printable

FACT = "pod_identity_report"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "cluster_name": {"type": "str", "required": True},
                "result": {"type": "str"},
                "kubernetes": {"type": "str"},
                "service_accounts": {"type": "str"},
                "cluster_reads": {"type": "dict", "default": {}},
                "ignore": {"type": "list", "elements": "str", "default": []},
                "fail_on": {"type": "str", "choices": ["error", "warning"], "default": "error"},
                "path": {"type": "path"},
                "junit_path": {"type": "path"},
                "artifact": {"type": "str", "choices": list(FORMS), "default": "auto"},
            },
            mutually_exclusive=[("kubernetes", "service_accounts")],
        )
        result["changed"] = False
        if options["result"] is None:
            set_fact(self, result, FACT, {})
            return result
        variables = task_vars or {}
        aws = parse_aws_result(variables[options["result"]], options["cluster_name"])
        settings = ReportSettings(
            bool(self._task.check_mode),
            options["ignore"],
            options["fail_on"],
            datetime.now(timezone.utc).isoformat(timespec="seconds"),
            read_version(),
            options["path"] or "",
        )
        report = make_report(aws, _kubernetes(options, variables, aws), settings)
        host = str(variables["inventory_hostname"])
        # They are no change of the cluster: check mode writes them, too.
        files = (options["path"] or "", options["junit_path"] or "")
        unwritten = write_report(report, *files, options["fail_on"], host=host)
        if unwritten:
            # Without the fact the step for what stopped early leaves the artifact.
            return {**result, "failed": True, "msg": f"{unwritten} What was done stays done."}
        set_fact(self, result, FACT, dict(report))
        result["headline"] = report["headline"]
        return {**result, **job_artifacts(make_artifacts(report, host, options["artifact"]))}


def _kubernetes(
    options: Mapping[str, Any], variables: Mapping[str, Any], aws: AwsResult
) -> KubernetesOutcome:
    if options["kubernetes"]:
        return parse_outcome(variables[options["kubernetes"]], aws.cluster)
    accounts = variables.get(options["service_accounts"] or "") or {}
    reads: Reads = given_listings(
        {name: variables.get(variable) or {} for name, variable in options["cluster_reads"].items()}
    )
    return judge_given(aws, accounts.get("resources", ()), reads, datetime.now(timezone.utc))
