# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configure hypothesis without a time limit for an example, because a busy machine would exceed it."""

from __future__ import annotations

import os

from hypothesis import settings

EXAMPLES = 200 if os.environ.get("TIER") == "release" else 40
settings.register_profile("unit", deadline=None, max_examples=EXAMPLES)
settings.load_profile("unit")
