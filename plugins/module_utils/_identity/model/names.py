# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for names: IAM ARNs, the tags that mark managed resources, labels and annotations of Kubernetes. Pure.

Labels are validated before any change, so that Kubernetes does not reject them after AWS was changed. Sources: "Resource types
defined by AWS Identity and Access Management" in the Service Authorization Reference; Kubernetes, "Labels and Selectors",
"Annotations", "Object Names and IDs".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

PARTITION = r"aws(?:-[a-z]+)*"
PATH = r"/(?:[\x21-\x7e]*/)?"
ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
ACCOUNT_ID = re.compile(r"[0-9]{12}", re.ASCII)
EKS_CLUSTER_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", re.ASCII)
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
    """Return the parts of a role's ARN, or None for any other text."""
    parts = ROLE_ARN.fullmatch(arn)
    return IamArn(*parts.groups()) if parts else None


def parse_policy_arn(arn: str) -> IamArn | None:
    """Return the parts of a managed policy's ARN, or None for any other text. The account of an AWS managed policy is "aws"."""
    parts = POLICY_ARN.fullmatch(arn)
    return IamArn(*parts.groups()) if parts else None


def is_aws_managed(policy_arn: str) -> bool:
    """Return whether the ARN belongs to an AWS managed policy, not to a customer managed policy."""
    return ":iam::aws:policy/" in policy_arn


# The tag of managed resources. Without ``force``, a teardown deletes only resources with this tag.
MANAGED_BY_TAG = "workload-identity/managed-by"
MANAGED_BY_VALUE = "workload_identity.aws"
# The tag for the owner of a resource: a purge for one owner keeps the resources of other owners.
OWNER_TAG = "workload-identity/owner"
# The tag for the ARN of the cluster that a policy was created for, so that a purge of the cluster finds an unattached policy. A
# role does not need this tag, because its trust policy names the clusters.
CLUSTER_TAG = "workload-identity/cluster"
# The prefix of the tags with which a migration from IRSA records its changes for a rollback.
IRSA_TAG = "workload-identity/irsa-"


def is_mark(key: str) -> bool:
    """Return whether a tag key is reserved for this collection."""
    return key in (MANAGED_BY_TAG, OWNER_TAG, CLUSTER_TAG) or key.startswith(IRSA_TAG)


def is_marked(tags: Mapping[str, str]) -> bool:
    return tags.get(MANAGED_BY_TAG) == MANAGED_BY_VALUE


def is_own(tags: Mapping[str, str], owner: str) -> bool:
    """Return whether a resource has the mark of this collection and the owner of the run, so that the run may change it."""
    return is_marked(tags) and tags.get(OWNER_TAG) == owner


def owner_tags(owner: str) -> dict[str, str]:
    """Return the mark of the resources of an owner."""
    return {MANAGED_BY_TAG: MANAGED_BY_VALUE, OWNER_TAG: owner}


def default_owner(region: str, cluster_name: str) -> str:
    """Return the owner of a run that sets none: its cluster.

    A long name is shortened, and ends with a digest, because an owner is a label value.
    """
    text = f"{region}.{cluster_name}"
    return text if is_owner(text) else f"{text[:50]}.{hashlib.sha256(text.encode()).hexdigest()[:12]}"


_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_LONGEST_DOMAIN = 253

ACCOUNT_ID_RULE = "an AWS account ID, which is 12 digits in quotation marks"
CLUSTER_RULE = "the name of an EKS cluster (letters, digits, - and _, at most 100 characters, beginning with a letter or digit)"
_NAME_RULE = "letters, digits, -, _ and ., with a letter or digit at both ends"
VALUE_RULE = f"at most 63 {_NAME_RULE}, or nothing"
OWNER_RULE = f"a Kubernetes label value, because it is a label of the service accounts (1 to 63 {_NAME_RULE})"
KEY_RULE = f"1 to 63 {_NAME_RULE}; optionally preceded by a lower-case DNS name and /"


def is_label_value(text: str) -> bool:
    return not text or bool(_NAME.fullmatch(text))


def is_key(text: str) -> bool:
    """Return whether a text is a valid key of a label or an annotation: a name, optionally with a DNS prefix."""
    domain, slash, name = text.rpartition("/")
    is_domain = len(domain) <= _LONGEST_DOMAIN and bool(_DOMAIN.fullmatch(domain))
    return bool(_NAME.fullmatch(name)) and (is_domain or not slash)


def is_owner(text: str) -> bool:
    return bool(text) and is_label_value(text)
