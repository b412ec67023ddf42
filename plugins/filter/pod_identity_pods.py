# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the role that concern Pods: pure functions on what modules returned, and the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof import (
    finished,
    skipped_because,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof_job import (
    Settings,
    proofs,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.reads import (
    pods_query,
    still_to_read,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.restarts import (
    restarts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.service_accounts import (
    key_of,
)

Result = Mapping[str, Any]


def pod_identity_reads(result: Result, reads: Mapping[str, Result]) -> list[str]:
    return still_to_read(result, reads, datetime.now(timezone.utc))


def pod_identity_restarts(result: Result, reads: Mapping[str, Result], settle: int = 15) -> dict[str, Any]:
    return restarts(result, reads, datetime.now(timezone.utc), settle)


def pod_identity_proof_jobs(
    result: Result,
    service_accounts: Sequence[Result],
    run: str,
    image: str,
    timeout: int = 120,
    resources: Result | None = None,
    pod_spec: Result | None = None,
) -> list[dict[str, Any]]:
    settings = Settings(str(run), image, int(timeout), "", resources or {}, pod_spec or {})
    return proofs(result, {key_of(item) for item in service_accounts}, settings)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "pod_identity_pods_query": pods_query,
            "pod_identity_proof_finished": finished,
            "pod_identity_proof_jobs": pod_identity_proof_jobs,
            "pod_identity_proof_skipped": skipped_because,
            "pod_identity_reads": pod_identity_reads,
            "pod_identity_restarts": pod_identity_restarts,
        }
