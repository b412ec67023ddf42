# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The ARNs of IAM roles and policies, taken apart.

Source: "Resource types defined by AWS Identity and Access Management" in the Service
Authorization Reference.
"""

from __future__ import annotations

import re
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
    """Whether AWS keeps the policy, for all accounts."""
    return ":iam::aws:policy/" in policy_arn
