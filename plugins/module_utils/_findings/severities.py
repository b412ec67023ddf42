# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The severities of findings: the one vocabulary of all parts. Pure."""

from __future__ import annotations

from typing import Literal

Severity = Literal["error", "warning", "info"]
