# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants that a client of the endpoint needs too; no imports beyond the standard library."""

from __future__ import annotations

CONTROL_PREFIX = "/_sandbox/"

ROOT_SECRET_ACCESS_KEY = "sandbox-root-secret-access-key-0123456789"
"""A secret for clients that use an account ID as their access key, which makes them the account's root.

SDKs want one. It is not checked, even with --auth: the keys of users and sessions are.
"""
