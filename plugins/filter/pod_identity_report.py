# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that users have: a report of what they verified and read themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    cluster_name_of,
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import Report
from ansible_collections.workload_identity.aws.plugins.plugin_utils.given_reads import (
    given_listings,
    judge_given,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.own_version import read_version


def pod_identity_report(
    result: Mapping[str, Any],
    service_accounts: Sequence[Object],
    check_mode: bool = False,
    cluster_reads: Mapping[str, Mapping[str, Any]] | None = None,
    ignore: Collection[str] = (),
    fail_on: Literal["error", "warning"] = "error",
) -> Report:
    aws = parse_aws_result(result, cluster_name_of(result))
    reads = given_listings(cluster_reads or {})
    now = datetime.now(timezone.utc)
    kubernetes = judge_given(aws, service_accounts, reads, now)
    time = now.isoformat(timespec="seconds")
    return make_report(
        aws, kubernetes, ReportSettings(check_mode, ignore, fail_on, time=time, version=read_version())
    )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"pod_identity_report": pod_identity_report}
