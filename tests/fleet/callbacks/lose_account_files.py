# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A callback plugin for tests. It deletes the account files of a fleet run right before the task that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

READER = "Apply the requested state in AWS, account by account"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "lose_account_files"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, **_rest: Any) -> None:
        if READER in task.get_name():
            for path in Path(constants.DEFAULT_LOCAL_TMP).glob("pod-identity-account-*.pickle"):
                path.unlink()
                self._display.display(f"lost: {path}")
