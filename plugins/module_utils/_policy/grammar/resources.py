# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The resources of a statement: ARNs as IAM takes them.

Sources: IAM User Guide, "IAM JSON policy elements: Resource" (incomplete ARNs are completed in identity-based policies;
variables stand after the fifth colon), "IAM policy validation check reference" (partition, account, Region), and IAM's
answers "Resource … must be in ARN format", "Resource vendor must be fully qualified and cannot contain regexes",
"Partition … is not valid", "The policy failed legacy parsing".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..language.document import Statement
from ..language.match import ARN_PARTS, arn_parts
from .reasons import Reason, quote

PARTITIONS = frozenset(
    {"aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"}
)
_SERVICE = re.compile(r"[A-Za-z0-9-]+\Z")
_ACCOUNT = re.compile(r"(?:[0-9]{12}|\*|aws)?\Z")
_MAYBE_ACCOUNT = re.compile(r"[a-z0-9*?-]+\Z")
_FULL = "Write the whole ARN, such as arn:aws:s3:::my-bucket/*, or '*'."


def resource_reasons(statement: Statement, session: bool) -> Iterator[Reason]:
    for resource in statement.resources or ():
        for certain, message, remedy in _problems(resource, session):
            yield Reason(certain, statement.label, message, remedy)


def _problems(resource: str, session: bool) -> Iterator[tuple[bool, str, str]]:
    if resource == "*":
        return
    if not resource.startswith("arn:"):
        yield ":" not in resource, f"the resource {quote(resource)} is neither an ARN nor '*'", _FULL
        return
    parts = arn_parts(resource)
    if len(parts) < 3:
        yield True, f"the resource {quote(resource)} names no service", _FULL
        return
    if session and len(parts) < ARN_PARTS:
        yield (
            True,
            f"the resource {quote(resource)} has {len(parts)} of an ARN's six parts, and IAM completes ARNs in identity-based"
            " policies only, not in a session policy",
            _FULL,
        )
    partition, service = parts[1], parts[2]
    if partition not in PARTITIONS and partition != "*":
        yield (
            not any(sign in partition for sign in "*?"),
            f"{quote(partition)} in the resource {quote(resource)} is not a partition of AWS",
            "Write aws, aws-cn, aws-us-gov, or the partition that the account is in.",
        )
    if not _SERVICE.match(service):
        yield (
            service != "*",
            f"the service {quote(service)} in the resource {quote(resource)} may only have letters, digits and hyphens, without"
            " wildcards",
            "Write the service in full, one ARN a service.",
        )
    region = parts[3] if len(parts) > 3 else ""
    account = parts[4] if len(parts) > 4 else ""
    if "${" in region:
        yield (
            False,
            f"a policy variable stands before the fifth colon of {quote(resource)}, where IAM takes none",
            "Write the Region, or *.",
        )
    if not _ACCOUNT.match(account):
        yield (
            not _MAYBE_ACCOUNT.match(account),
            f"{quote(account)} in the resource {quote(resource)} is not the ID of an account",
            "Write twelve digits, *, or nothing where the service has none; policy variables only stand after the fifth"
            " colon.",
        )
    if region and len(parts) == ARN_PARTS and (service == "iam" or (service == "s3" and not account)):
        yield (
            True,
            f"ARNs of {service} have no Region, but {quote(resource)} has {quote(region)}",
            "Leave the Region empty.",
        )
