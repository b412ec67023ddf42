# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets what accounts hold be older or younger than it is, so that nothing has to wait for that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sandbox.aws.eks_state import EksState
from sandbox.aws.iam_state import IamState
from sandbox.aws.stock import Stock

_DATES = frozenset(("CreateDate", "UpdateDate", "createdAt", "modifiedAt"))
_IAM_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def grow_older(stock: Stock, eks_state: EksState, account: str, seconds: float) -> None:
    """Sets the dates of an account's roles, policies and associations back; ValueError for less than nothing."""
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"s must be a number of at least 0: {seconds!r}")
    for table in (stock.roles, stock.policies):
        for _, record in table.items(account):
            _set_back(record, seconds)
    for (owner, _region, _cluster), known in eks_state.all_associations():
        if owner == account:
            for record in known.by_id.values():
                _set_back(record, seconds)


def grow_younger(iam_state: IamState, eks_state: EksState, seconds: float) -> None:
    """The same the other way, for all accounts; EKS sees roles so much later."""
    for table in (iam_state.stock.roles, iam_state.stock.policies):
        for _, record in table.everything():
            _set_back(record, -seconds)
    for _, known in eks_state.all_associations():
        for record in known.by_id.values():
            _set_back(record, -seconds)
    for history in iam_state.trust.values():
        history.changes = [(moment + seconds, document) for moment, document in history.changes]


def _set_back(value: Any, seconds: float) -> None:
    """In records and what they hold: versions of policies have dates, too."""
    if isinstance(value, list):
        for item in value:
            _set_back(item, seconds)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in _DATES:
                value[name] = _earlier(member, seconds)
            else:
                _set_back(member, seconds)


def _earlier(date: Any, seconds: float) -> Any:
    """IAM's dates are text, EKS's seconds since the epoch."""
    if isinstance(date, str):
        moment = datetime.strptime(date, _IAM_FORMAT) - timedelta(seconds=seconds)
        return moment.strftime(_IAM_FORMAT)
    return date - seconds
