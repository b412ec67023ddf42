# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Parsed input on its way from the controller to the modules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible import constants
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    ParsedFile,
    write_parsed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import locate_files

PARSED = "parsed_input"
WORKLOADS = ("workloads", "workloads_from")
ALIASES = {"cluster": "cluster_name", "resource_tags": "tags"}


def keep(parsed: ParsedInput) -> ParsedFile:
    """A file that lives as long as this run of Ansible, on the controller."""
    return write_parsed(parsed, constants.DEFAULT_LOCAL_TMP)


def parse_arguments(
    arguments: Mapping[str, Any], variables: Mapping[str, Any] | None, workloads_required: bool
) -> dict[str, Any]:
    """A module's arguments with a file of parsed input in the place of the workloads, or InputError.

    The arguments are left as they are where they have such a file already, and where workloads are neither
    given nor required.
    """
    has_workloads = any(arguments.get(name) is not None for name in WORKLOADS)
    if arguments.get(PARSED) is not None or not (has_workloads or workloads_required):
        return dict(arguments)
    options = {ALIASES.get(name, name): value for name, value in arguments.items()}
    file = keep(read_input(options, partial(locate_files, variables=variables)))
    rest = {name: value for name, value in arguments.items() if name not in WORKLOADS}
    return {**rest, PARSED: {"path": file.path, "sha256": file.sha256}}
