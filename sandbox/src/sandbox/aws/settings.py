# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants that a client of the endpoint needs too; no imports beyond the standard library."""

from __future__ import annotations

CONTROL_PREFIX = "/_sandbox/"

ROOT_SECRET_ACCESS_KEY = "sandbox-root-secret-access-key-0123456789"
"""The secret of every account's root key, whose ID is the account ID. Checked only with --auth."""
