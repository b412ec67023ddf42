# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that combines the results of the modules for AWS and for Kubernetes into one report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_findings import (
    AccountState,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    parse_api_error,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
    Reads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    AwsResult,
    parse_aws_result,
    result_cluster_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    as_objects,
    as_text,
    parse_service_account,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pod_checks import (
    verify_pods,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pods import (
    RESOURCES,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.reads import (
    build_state,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofVerdict,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesOutcome,
    judge_cluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import Report
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_report import read_version


def pod_identity_report(
    result: Mapping[str, Any],
    service_accounts: Sequence[Object],
    check_mode: bool = False,
    cluster_reads: Mapping[str, Mapping[str, Any]] | None = None,
    ignore: Collection[str] = (),
    fail_on: Literal["error", "warning"] = "error",
) -> Report:
    aws = parse_aws_result(result, result_cluster_name(result))
    reads = parse_cluster_reads(cluster_reads or {})
    now = datetime.now(timezone.utc)
    kubernetes = judge_service_accounts(aws, service_accounts, reads, now)
    time = now.isoformat(timespec="seconds")
    return make_report(
        aws, kubernetes, ReportSettings(check_mode, ignore, fail_on, time=time, version=read_version())
    )


def parse_cluster_reads(results: Mapping[str, Mapping[str, Any]]) -> Reads:
    """Parse the results of kubernetes.core.k8s_info, and return the listings by their names in RESOURCES.

    The results of skipped tasks are ignored.
    """
    return {
        name: parse_list_result(results[name])
        for name in RESOURCES
        if results.get(name) and not results[name].get("skipped")
    }


def parse_list_result(result: Mapping[str, Any]) -> Listing:
    """Parse a result of kubernetes.core.k8s_info, and return its objects or its error."""
    if "resources" in result and result.get("api_found", True):
        return Listing(as_objects(result["resources"]))
    return Listing(error=parse_api_error(as_text(result.get("module_stderr") or result.get("msg"))))


def judge_service_accounts(
    aws: AwsResult, service_accounts: Sequence[Object], reads: Reads, now: datetime
) -> KubernetesOutcome:
    accounts = [parse_service_account(item, aws.cluster) for item in service_accounts]
    verification = aws.verification
    pods = verify_pods(verification.workloads, build_state(verification, reads, now), aws.cluster)
    by_key = {account.key: account for account in accounts}
    return judge_cluster(verification, AccountState(by_key, None), pods, ProofVerdict())


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"pod_identity_report": pod_identity_report}
