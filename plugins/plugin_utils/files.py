# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Where files with workloads are: one rule for lookup, modules and role, so that all read the same ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files.folders import (
    locate,
)


def locate_files(paths: Sequence[str], variables: Mapping[str, Any] | None) -> list[str]:
    """Absolute paths, or InputError. Called on the controller, in the directory where Ansible was started."""
    working_dir = str(Path.cwd())
    playbook_dir = str((variables or {}).get("playbook_dir") or working_dir)
    return locate([str(path) for path in paths], os.path.abspath(playbook_dir), working_dir)
