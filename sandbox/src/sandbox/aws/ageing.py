# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the dates of stored resources, so that a test can have old resources without waiting."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sandbox.aws.eks_state import EksState
from sandbox.aws.iam_state import IamState
from sandbox.aws.ministack import Ministack

_DATES = frozenset(("CreateDate", "LastUsedDate", "UpdateDate", "createdAt", "modifiedAt"))
_IAM_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def grow_older(ministack: Ministack, eks_state: EksState, account: str, seconds: float) -> None:
    """Move the dates of all roles, customer managed policies and associations of an account back by a number of seconds.

    Raise ValueError for a number that is negative, infinite or NaN.
    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"s must be a number of at least 0: {seconds!r}")
    for table in (ministack.roles, ministack.policies):
        for _, record in table.items(account):
            _make_older(record, seconds)
    for (owner, _region, _cluster), associations in eks_state.all_associations():
        if owner == account:
            for record in associations.by_id.values():
                _make_older(record, seconds)


def grow_younger(iam_state: IamState, eks_state: EksState, seconds: float) -> None:
    """Move the dates of the roles, customer managed policies and associations of all accounts forward.

    After a checkpoint is restored, this function is called with the age of the checkpoint in seconds. Each resource is then as
    old as when the checkpoint was saved. The times of trust policy changes move as well: a change that had not reached EKS
    reaches it after the remaining delay.
    """
    for table in (iam_state.ministack.roles, iam_state.ministack.policies):
        for _, record in table.everything():
            _make_older(record, -seconds)
    for _, associations in eks_state.all_associations():
        for record in associations.by_id.values():
            _make_older(record, -seconds)
    for history in iam_state.trust.values():
        history.changes = [(moment + seconds, document) for moment, document in history.changes]


def _make_older(value: Any, seconds: float) -> None:
    """Subtract seconds from all dates in a record, including nested dates such as those of policy versions."""
    if isinstance(value, list):
        for item in value:
            _make_older(item, seconds)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in _DATES:
                value[name] = _subtract(member, seconds)
            else:
                _make_older(member, seconds)


def _subtract(date: Any, seconds: float) -> Any:
    """Subtract seconds from a date: a string in IAM, seconds since the epoch in EKS."""
    if isinstance(date, str):
        moment = datetime.strptime(date, _IAM_FORMAT) - timedelta(seconds=seconds)
        return moment.strftime(_IAM_FORMAT)
    return date - seconds
