# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one task hands to another through a file of this run of Ansible, rather than through variables that every host has."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible import constants
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import write_private


def keep_json(name: str, content: Any) -> dict[str, str]:
    """Write JSON for this user alone: where it is, and its SHA-256."""
    text = json.dumps(content, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = Path(constants.DEFAULT_LOCAL_TMP) / f"pod-identity-{name}-{digest}.json"
    write_private(str(path), text)
    return {"path": str(path), "sha256": digest}


def read_json(kept: dict[str, str]) -> Any:
    """What ``keep_json`` wrote; InputError when it is no longer that."""
    try:
        text = Path(kept["path"]).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError([f"{kept['path']} cannot be read: {error.strerror}. Run again."]) from error
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest != kept["sha256"]:
        raise InputError([f"{kept['path']} was modified since it was written (SHA-256 {digest}). Run again."])
    return json.loads(text)
