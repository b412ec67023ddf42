# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene of a test: an estate, the oracle for its credentials, and the runs of migrations."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.workload_identity.aws.tests.migration.estate import Estate
from ansible_collections.workload_identity.aws.tests.migration.harness import Harness
from ansible_collections.workload_identity.aws.tests.migration.oracle import Oracle


@dataclass
class Scene:
    """An estate, the oracle for its credentials, and the runs of migrations."""

    estate: Estate
    oracle: Oracle
    harness: Harness
    environment: dict[str, str]
