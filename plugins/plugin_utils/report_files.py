# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The files of a report: as JSON, and as JUnit XML."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.artifact import (
    junit_text,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import Report
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import write_private


def write_report(report: Report, path: str, junit_path: str, fail_on: str, **more: Any) -> str:
    """Why a file could not be written, or "". An empty path is none. ``more`` are members of the JSON file alone."""
    texts = {}
    if path:
        texts[path] = f"{json.dumps({**report, **more}, indent=4, sort_keys=True)}\n"
    if junit_path:
        texts[junit_path] = junit_text(report, fail_on)
    for name, text in texts.items():
        try:
            write_private(name, text)
        except OSError as error:
            return visible(f"The report cannot be written to {name}: {error.strerror}.")
    return ""
