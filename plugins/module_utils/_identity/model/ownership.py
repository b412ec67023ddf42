# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The marks that say whose a resource is: tags in AWS. Pure."""

from __future__ import annotations

from collections.abc import Mapping

# The tag that says a resource is ours: teardown removes nothing that lacks it.
MANAGED_BY_TAG = "workload-identity/managed-by"


MANAGED_BY_VALUE = "workload_identity.aws"


# Whose it is among those who use this collection: a purge for one owner touches nothing of another.
OWNER_TAG = "workload-identity/owner"


# The ARN of the cluster that a policy was made for. A role's trust policy tells as much; a policy has
# nothing else that says which purge it concerns once it is attached to nothing.
CLUSTER_TAG = "workload-identity/cluster"


# Begins the key of a tag that records on a policy a role of other people to which it was attached here.
ATTACHED_TAG = "workload-identity/attached-to/"


def is_mark(key: str) -> bool:
    """Return whether a tag is one that this collection sets itself."""
    return key in (MANAGED_BY_TAG, OWNER_TAG, CLUSTER_TAG) or key.startswith(ATTACHED_TAG)


def is_of_another(tags: Mapping[str, str], owner: str | None) -> bool:
    """Whether something is marked as another owner's. A run without ``owner`` owns nothing that has one."""
    return is_owned(tags) and bool(tags.get(OWNER_TAG)) and tags[OWNER_TAG] != owner


def may_change(tags: Mapping[str, str], owner: str | None, adopt: bool) -> bool:
    """Return whether a run may change a resource: made here for its owner, or taken over."""
    return adopt or (is_owned(tags) and not is_of_another(tags, owner))


def lacks_owner(present: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether something made here has no owner yet, and these tags would give it one."""
    return is_owned(present) and not present.get(OWNER_TAG) and bool(wanted.get(OWNER_TAG))


def is_owned(tags: Mapping[str, str]) -> bool:
    return tags.get(MANAGED_BY_TAG) == MANAGED_BY_VALUE
