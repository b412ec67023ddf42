# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Whether a role that EKS does not accept is merely too young: then waiting helps."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ..._aws.client import Api
from ..._policy.evaluation.request import Subject
from ..._policy.language.text import load
from ..._policy.trust.trust import check_trust
from ..model.arns import parse_role_arn
from ..model.aws_errors import AwsError

# IAM is eventually consistent; what is older than this has been propagated.
YOUNG = timedelta(minutes=5)


def may_become_usable(api: Api, role_arn: str, subject: Subject, now: datetime | None = None) -> bool:
    """True when IAM has the role with a trust policy that works, so that EKS is merely behind.

    A role that is older than a few minutes, or that IAM does not have, is not waited for. Without
    permission to read the role nothing speaks against waiting.
    """
    parts = parse_role_arn(role_arn)
    if parts is None:
        return False
    try:
        role = api.call("iam", "GetRole", {"RoleName": parts.name})["Role"]
    except AwsError as error:
        return error.denied
    if role["Arn"] != role_arn:
        return False
    created = role.get("CreateDate")
    if check_trust(load(role["AssumeRolePolicyDocument"]), subject).usable == "no":
        return False
    current = now or datetime.now(timezone.utc)
    return not isinstance(created, datetime) or current - created < YOUNG
