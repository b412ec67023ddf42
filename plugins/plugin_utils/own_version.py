# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Which version of this collection runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def read_version(root: Path = ROOT) -> str:
    """As Ansible Galaxy installed it, else as a checkout says; "" when neither is there."""
    try:
        manifest = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        text = (root / "galaxy.yml").read_text(encoding="utf-8")
    except OSError:
        return ""
    match = re.search(r"^version: *[\"']?([^\"'\s]+)", text, re.MULTILINE)
    return match.group(1) if match else ""
