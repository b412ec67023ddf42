# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a fleet's play: a table by cluster, and then what failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    NOT_A_REPORT,
    Ended,
    fleet_lines,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.reported import (
    parse_reported,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.last_task import show_last


def show_fleet(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The lines of the hosts of the batch; of the whole play at its end."""
    hosts = variables["hostvars"]
    everybody = [_ended(name, hosts[name]) for name in variables["ansible_play_hosts_all"]]
    ended = [host for host in everybody if host is not None]
    batch = set(variables["ansible_play_batch"])
    last = len(ended) == len(everybody)
    shown = ended if last else [host for host in ended if host.host in batch]
    check_mode = bool(variables.get("ansible_check_mode"))
    lines = fleet_lines(shown, len(everybody), len(everybody) - len(ended), check_mode)
    return {"changed": False, **show_last(lines, "", "")}


def _ended(name: str, variables: Mapping[str, Any]) -> Ended | None:
    """How a host ended; None while it has not."""
    stopped = str(variables.get("pod_identity_stopped") or "")
    report = variables.get("pod_identity_report") or {}
    if not stopped and not report:
        return None
    cluster = str(variables.get("pod_identity_cluster_name") or name)
    reported = parse_reported(report) if isinstance(report, Mapping) else None
    return Ended(name, cluster, reported, stopped or ("" if reported else NOT_A_REPORT))
