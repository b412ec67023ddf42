# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a migration test: an estate, the check of its credentials, and the harness that runs migrations."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.workload_identity.aws.tests.migration.estate import Estate
from ansible_collections.workload_identity.aws.tests.migration.harness import Harness
from ansible_collections.workload_identity.aws.tests.migration.oracle import Oracle


@dataclass
class Scene:
    """The parts of a test: an estate, the check of its credentials, and the harness that runs migrations."""

    estate: Estate
    oracle: Oracle
    harness: Harness
    environment: dict[str, str]
