# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module eks_pod_identity_fleet: its input parsed on the controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils.module_input import (
    PARSED,
    LongModule,
    parse_arguments,
)

# Options of the module that hold for each cluster.
COMMON = ("state", "tags", "resource_tags", "owner")


class ActionModule(LongModule):
    """Each cluster's workloads are parsed for themselves."""

    def _parse(self, arguments: dict[str, Any], variables: dict[str, Any] | None) -> dict[str, Any]:
        clusters = arguments.get("clusters")
        if not isinstance(clusters, list) or not all(isinstance(row, Mapping) for row in clusters):
            raise InputError(["clusters must be a list of mappings, each with cluster_name and workloads."])
        common = {name: arguments[name] for name in COMMON if name in arguments}
        problems: list[str] = []
        rows = []
        for index, row in enumerate(clusters):
            try:
                rows.append(_parsed_row(row, common, variables))
            except InputError as error:
                place = f"clusters[{index}] ({row.get('cluster_name')})"
                problems += [f"{place}: {problem}" for problem in error.problems]
        if problems:
            raise InputError(problems)
        return {**arguments, "clusters": rows}

    def _with_readable_input(self, arguments: dict[str, Any]) -> dict[str, Any]:
        rows = [super(ActionModule, self)._with_readable_input(row) for row in arguments["clusters"]]
        return {**arguments, "clusters": rows}


def _parsed_row(
    row: Mapping[str, Any], common: Mapping[str, Any], variables: Mapping[str, Any] | None
) -> dict[str, Any]:
    if row.get(PARSED) is not None:
        return dict(row)
    parsed = parse_arguments({**common, **row}, variables, workloads_required=True)
    return {name: value for name, value in parsed.items() if name not in common}
