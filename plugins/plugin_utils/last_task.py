# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The last task of a playbook: lines for people, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import is_for_people


def show_last(lines: Sequence[str], headline: str, failure: str) -> dict[str, Any]:
    """Print the lines where output is for people, else put them into the result; that of a failure where there is one.

    ``headline`` and ``failure`` both say why it failed, the first in one line; both are "" where it did not.
    """
    if is_for_people():
        # In one piece, as several hosts may write at once.
        Display().display("\n".join(map(visible, lines)))
        return {"failed": True, "msg": headline} if failure else {}
    if failure:
        return {"failed": True, "msg": failure, "lines": list(lines)}
    return {"msg": list(lines), "_ansible_verbose_always": True}
