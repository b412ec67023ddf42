# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The actions of a statement: what IAM takes in each kind of policy.

Sources: IAM User Guide, "IAM JSON policy elements: Action" and "Grammar of the IAM JSON policy language"; for trust
policies the answer of IAM, "AssumeRole policy may only specify STS AssumeRole actions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..language.document import Statement
from .reasons import Reason, quote

# The actions that trust policies have, in the IAM User Guide and in the API reference of AWS STS.
TRUST_ACTIONS = frozenset(
    {
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:tagsession",
        "sts:setsourceidentity",
        "sts:setcontext",
    }
)
# The other actions of AWS STS, of which it is not documented whether a trust policy may have them.
_STS_ACTIONS = frozenset(
    {
        *(
            "sts:assumeroot",
            "sts:decodeauthorizationmessage",
            "sts:getaccesskeyinfo",
            "sts:getcalleridentity",
        ),
        *("sts:getdelegatedaccesstoken", "sts:getfederationtoken", "sts:getservicebearertoken"),
        *("sts:getsessiontoken", "sts:getwebidentitytoken", "sts:taggetwebidentitytoken"),
    }
)
_VENDOR = re.compile(r"[A-Za-z0-9-]+\Z")
_NAME = re.compile(r"[A-Za-z0-9*?_.-]+\Z")


def action_reasons(statement: Statement, trust: bool) -> Iterator[Reason]:
    if trust and statement.not_action:
        yield Reason(
            True,
            statement.label,
            "NotAction is not allowed in the trust policy of a role, which has to name the actions that assume it",
            "Name the actions in Action: sts:AssumeRole and sts:TagSession.",
        )
        return
    for action in statement.actions:
        reason = _trust(statement.label, action) if trust else _permission(statement.label, action)
        if reason is not None:
            yield reason


def _permission(label: str, action: str) -> Reason | None:
    if action == "*":
        return None
    vendor, _colon, name = action.partition(":")
    if not _VENDOR.match(vendor):
        return Reason(
            True,
            label,
            f"the service of the action {quote(action)} may only have letters, digits and hyphens, without wildcards and"
            " spaces",
            "Write the service's prefix in full, such as s3:GetObject; * and ? may stand after the colon.",
        )
    if ":" in name:
        return Reason(
            True, label, f"the action {quote(action)} has more than one colon", "Write it as service:Action."
        )
    if not _NAME.match(name):
        return Reason(
            False,
            label,
            f"no action has a name such as {quote(name)}; whether IAM stores it is not documented",
            "Correct the name of the action.",
        )
    return None


def is_refused_in_trust(action: str) -> bool:
    """Return whether IAM is certain to refuse an action in a trust policy."""
    folded = action.lower()
    if not folded.startswith("sts:"):
        return action != "*"
    return not (folded in TRUST_ACTIONS | _STS_ACTIONS or "*" in folded or "?" in folded)


def _trust(label: str, action: str) -> Reason | None:
    folded = action.lower()
    if folded in TRUST_ACTIONS:
        return None
    if folded.startswith("sts:") and is_refused_in_trust(action):
        return Reason(
            True,
            label,
            f"AWS STS has no action {quote(action)}",
            "Correct the name; EKS Pod Identity needs sts:AssumeRole and sts:TagSession.",
        )
    if not is_refused_in_trust(action):
        return Reason(
            False,
            label,
            f"IAM takes the actions that assume a role in a trust policy; whether it takes {quote(action)} is not documented",
            "Name the actions: sts:AssumeRole and sts:TagSession.",
        )
    return Reason(
        True,
        label,
        f"the action {quote(action)} does not belong to AWS STS, and a trust policy may only have actions that assume a role",
        "Name sts:AssumeRole and sts:TagSession; put permissions into a policy that is attached to the role.",
    )
