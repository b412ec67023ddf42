# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants that the endpoint and its clients share."""

from __future__ import annotations

ROOT_SECRET_ACCESS_KEY = "sandbox-root-secret-access-key-0123456789"
"""The secret access key of root users, whose access key ID is the account ID.

Root users may sign API requests with any key, even with --auth, but bearer tokens for the Kubernetes API only with this one.
"""
