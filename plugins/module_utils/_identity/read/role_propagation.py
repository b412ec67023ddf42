# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The role of an association: its trust policy, and whether EKS does not accept it merely because it is too young."""

from __future__ import annotations

from datetime import datetime

from ..._aws.client import Api
from ..._policy.evaluation.request import Subject
from ..._policy.language.text import Document, load
from ..._policy.trust.trust import check_trust
from ..model.errors import AwsError
from ..model.names import parse_role_arn
from ..model.observed import YOUNG
from .answers import answered_at


def may_become_usable(api: Api, role_arn: str, subject: Subject, now: datetime | None = None) -> bool:
    """True when IAM has the role with a trust policy that works, so that EKS is merely behind.

    A role that is older than a few minutes, or that IAM does not have, is not waited for. Without
    permission to read the role, or where AWS does not say what time it is, nothing speaks against waiting.
    """
    parts = parse_role_arn(role_arn)
    if parts is None:
        return False
    try:
        answer = api.call("iam", "GetRole", {"RoleName": parts.name})
    except AwsError as error:
        return error.denied
    role = answer["Role"]
    if role["Arn"] != role_arn:
        return False
    created = role.get("CreateDate")
    if check_trust(load(role["AssumeRolePolicyDocument"]), subject).usable == "no":
        return False
    current = now or answered_at(answer)
    return current is None or not isinstance(created, datetime) or current - created < YOUNG


def read_trust_policy(api: Api, role_arn: str) -> Document | None:
    """The trust policy of a role; None when there is no such role, or it cannot be read."""
    parts = parse_role_arn(role_arn)
    if parts is None:
        return None
    try:
        role = api.call("iam", "GetRole", {"RoleName": parts.name})["Role"]
    except AwsError:
        return None
    return load(role["AssumeRolePolicyDocument"]) if role["Arn"] == role_arn else None
