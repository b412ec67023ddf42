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
    parse_reported,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.host_facts import read_fact
from ansible_collections.workload_identity.aws.plugins.plugin_utils.last_task import show_last


def show_fleet(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The lines of the hosts of the batch; of the whole play at its end."""
    hosts, everybody = variables["hostvars"], variables["ansible_play_hosts_all"]
    names = [name for name in everybody if _has_ended(hosts[name])]
    batch = set(variables["ansible_play_batch"])
    # Reports are taken apart where they are shown: a batch is not to do so for all that came before it.
    shown = names if len(names) == len(everybody) else [name for name in names if name in batch]
    ended = [_ended(name, hosts[name]) for name in shown]
    check_mode = bool(variables.get("ansible_check_mode"))
    lines = fleet_lines(ended, len(everybody), len(everybody) - len(names), check_mode)
    return {"changed": False, **show_last(lines, "", "")}


def _has_ended(variables: Mapping[str, Any]) -> bool:
    return bool(_stopped(variables) or read_fact(variables, "pod_identity_report"))


def _stopped(variables: Mapping[str, Any]) -> str:
    """Return why a host stopped before its report, or ""."""
    return str((variables.get("pod_identity_result") or {}).get("stopped") or "")


def _ended(name: str, variables: Mapping[str, Any]) -> Ended:
    stopped = _stopped(variables)
    report = read_fact(variables, "pod_identity_report") or {}
    cluster = str(variables.get("pod_identity_cluster_name") or name)
    reported = parse_reported(report) if isinstance(report, Mapping) else None
    return Ended(name, cluster, reported, stopped or ("" if reported else NOT_A_REPORT))
