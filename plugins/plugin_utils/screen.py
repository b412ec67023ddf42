# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Who reads what Ansible prints."""

from __future__ import annotations

from ansible import constants


def is_for_people() -> bool:
    """Whether the output of this run is text to be read, not data."""
    return is_text(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK"))


def is_text(callback: str) -> bool:
    """Whether a stdout callback writes for people. AWX and Automation Platform have one of their own."""
    name = callback.rpartition(".")[2]
    return not ("json" in name or name in ("awx_display", "tower_display", "null"))
