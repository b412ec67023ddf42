# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants of trust scopes, for tests."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    writer_of,
)

SCOPES = ("anyone_in_account", "account", "cluster", "namespace", "workload")


def grant_for(scope: str, *parts: str, owner: str | None = None) -> TrustGrant:
    """Return the grant of a trust scope for a workload.

    :arg parts: the account ID, the ARN of the cluster, the namespace and the service account.
    :arg owner: the owner of the statement, or None for a grant that is only compared.
    """
    grant = TrustGrant(*parts[: SCOPES.index(scope)])
    return grant if owner is None else replace(grant, writer=writer_of(owner, grant.cluster_arn))
