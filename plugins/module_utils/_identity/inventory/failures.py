# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What could not be read, in words: account, region, cause and remedy. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..model.found_clusters import ReadFailure

# Of the clusters that one message names.
NAMED = 5
# What EKS answers where a region is not enabled for the account, to credentials that are valid elsewhere.
_NOT_ENABLED = frozenset(
    ("UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "OptInRequired")
)


def describe_failures(failures: Sequence[ReadFailure]) -> list[str]:
    """A sentence or two for each place; the clusters of a region that failed for one reason share theirs."""
    same: dict[tuple[str, str, str, str], list[ReadFailure]] = defaultdict(list)
    for failure in failures:
        key = (failure.account_id, failure.region, failure.error.operation, failure.error.code)
        same[key].append(failure)
    return [_describe(group) for group in same.values()]


def _describe(group: Sequence[ReadFailure]) -> str:
    first = group[0]
    cause = str(first.error)
    stop = "" if cause.endswith((".", "!", "?")) else "."
    return f"{_place(group)} {_missing(first)}: {cause}{stop} {_remedy(first)}"


def _place(group: Sequence[ReadFailure]) -> str:
    first = group[0]
    account = f"account {first.account_id}" if first.account_id else "the organization"
    place = f"{account}, region {first.region}" if first.region else account
    clusters = sorted(failure.cluster for failure in group if failure.cluster)
    if not clusters:
        return f"{place[0].upper()}{place[1:]}:"
    named = ", ".join(clusters[:NAMED])
    more = f" and {len(clusters) - NAMED} more" if len(clusters) > NAMED else ""
    return f"{'Clusters' if len(clusters) > 1 else 'Cluster'} {named}{more} in {place}:"


def _missing(failure: ReadFailure) -> str:
    if failure.error.operation == "eks:DescribeAddon":
        return "it is not known whether the agent's add-on is there"
    if failure.cluster:
        return "not in the inventory"
    if failure.account_id:
        return "its clusters are not in the inventory"
    return "its accounts are not known"


def _remedy(failure: ReadFailure) -> str:
    code, operation = failure.error.code, failure.error.operation
    if operation == "organizations:ListAccounts":
        return (
            "Use credentials of the organization's management account or of a delegated administrator that is "
            "allowed organizations:ListAccounts, or list the accounts under accounts."
        )
    if failure.region and code in _NOT_ENABLED:
        return "The region may not be enabled for the account: enable it, or leave it out of regions."
    return failure.error.remedy
