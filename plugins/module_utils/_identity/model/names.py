# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Names and marks: ARNs of IAM, tags of ownership in AWS, labels and annotations of Kubernetes. Pure.

Labels are checked here, so that Kubernetes rejects none after AWS has been changed. Sources: "Resource types defined by
AWS Identity and Access Management" in the Service Authorization Reference; Kubernetes, "Labels and Selectors",
"Annotations", "Object Names and IDs".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PARTITION = r"aws(?:-[a-z]+)*"
PATH = r"/(?:[\x21-\x7e]*/)?"
ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
POLICY_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
PATH_PATTERN = re.compile(r"/|/[\x21-\x7e]{1,510}/", re.ASCII)
ROLE_ARN = re.compile(rf"arn:({PARTITION}):iam::(\d{{12}}):role({PATH})([\w+=,.@-]{{1,64}})", re.ASCII)
POLICY_ARN = re.compile(
    rf"arn:({PARTITION}):iam::(\d{{12}}|aws):policy({PATH})([\w+=,.@-]{{1,128}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class IamArn:
    partition: str
    account_id: str
    path: str
    name: str


def parse_role_arn(arn: str) -> IamArn | None:
    """The parts of a role's ARN, or None when it is not one."""
    parts = ROLE_ARN.fullmatch(arn)
    return IamArn(*parts.groups()) if parts else None


def parse_policy_arn(arn: str) -> IamArn | None:
    """The parts of a managed policy's ARN, or None; the account of an AWS managed policy is "aws"."""
    parts = POLICY_ARN.fullmatch(arn)
    return IamArn(*parts.groups()) if parts else None


def is_aws_managed(policy_arn: str) -> bool:
    """Return whether it is a managed policy of AWS."""
    return ":iam::aws:policy/" in policy_arn


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


_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_LONGEST_DOMAIN = 253

_NAME_RULE = "letters, digits, -, _ and ., with a letter or digit at both ends"
VALUE_RULE = f"at most 63 {_NAME_RULE}, or nothing"
OWNER_RULE = f"a Kubernetes label value, for it labels the service accounts (1 to 63 {_NAME_RULE})"
KEY_RULE = f"1 to 63 {_NAME_RULE}; before it at most a lower-case DNS name and /"


def is_label_value(text: str) -> bool:
    return not text or bool(_NAME.fullmatch(text))


def is_key(text: str) -> bool:
    """Of a label or an annotation: a name, at most with a domain before it."""
    domain, slash, name = text.rpartition("/")
    if slash and not (len(domain) <= _LONGEST_DOMAIN and _DOMAIN.fullmatch(domain)):
        return False
    return bool(_NAME.fullmatch(name))


def is_owner(text: str) -> bool:
    return bool(text) and is_label_value(text)
