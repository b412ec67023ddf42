# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Why a role could not be assumed, and what to do about it. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from .._findings.options import option
from .._identity.model.assume_role import AssumeRole
from .._identity.model.aws_errors import AwsError, ErrorKind
from .._identity.model.messages import sentence

OPERATION = "sts:AssumeRole"
# Not codes of AWS.
OTHER_ACCOUNT = "UnexpectedAccount"
ALREADY_EXPIRED = "CredentialsAlreadyExpired"


class _Reason(NamedTuple):
    """``code`` and ``text`` are regular expressions: the whole code, a part of the message."""

    code: str
    text: str
    remedy: str


_DENIED = r"AccessDenied(Exception)?"
_DURATION = option("assume_role_duration")
_RENEWED = "A run that takes longer renews the credentials."
# The first row that fits counts. Sources: the errors of STS AssumeRole; "Troubleshoot IAM roles" and "Troubleshoot
# access denied error messages" in the IAM User Guide.
_REASONS = (
    _Reason(
        _DENIED,
        r"root accounts",
        "Use credentials of an IAM user or of a role: AWS lets the root user of an account assume no role.",
    ),
    _Reason(
        _DENIED,
        r"with an explicit deny",
        "A policy denies the caller sts:AssumeRole on this role, and no other policy can allow it: have that one "
        "changed, or use other credentials.",
    ),
    _Reason(
        _DENIED,
        r"no (identity-based policy|permissions boundary|session policy|service control policy) allows",
        "Allow the caller sts:AssumeRole on this role in the kind of policy that AWS names.",
    ),
    _Reason(
        _DENIED,
        r"no (resource-based policy|role trust policy) allows",
        "Let the role's trust policy name the caller. {external_id}",
    ),
    _Reason(
        _DENIED,
        r"",
        "Allow the caller sts:AssumeRole on this role, and let the role's trust policy name the caller. {external_id} "
        "AWS does not say which of these is missing, nor whether there is such a role: check the ARN as well.",
    ),
    _Reason(
        r"ValidationError",
        r"role chaining",
        "The job's own credentials are those of a role, and from one role to the next AWS gives an hour at most: set "
        f"{_DURATION} to 3600 or less, or leave it out. {_RENEWED}",
    ),
    _Reason(
        r"ValidationError",
        r"MaxSessionDuration",
        f"Set {_DURATION}, which is {{duration}} seconds, to the role's MaxSessionDuration or less (3600 unless it was "
        f"changed), or have that raised. {_RENEWED}",
    ),
    _Reason(
        r"ValidationError",
        r"ARN",
        f"Correct {option('assume_role_arn')}: it must be the ARN of an IAM role, with the role's path.",
    ),
    _Reason(
        r"RegionDisabledException",
        r"",
        "Have STS activated for this region in the account settings of IAM, or give another region.",
    ),
)
_GIVEN_ID = f"If that asks for sts:ExternalId, {option('assume_role_external_id')} must be the same."
_NO_ID = f"If that asks for sts:ExternalId, give it in {option('assume_role_external_id')}."


def explain_refusal(error: AwsError, role: AssumeRole, caller_arn: str, region: str) -> AwsError:
    """The error of an AssumeRole with who asked for which role, where, and with the remedy for it.

    ``caller_arn`` is whose credentials the job has; empty where that is not known.
    """
    reason = next(
        (row for row in _REASONS if re.fullmatch(row.code, error.code) and re.search(row.text, error.text)),
        None,
    )
    remedy = error.remedy
    if reason is not None:
        external_id = _GIVEN_ID if role.external_id else _NO_ID
        remedy = reason.remedy.format(external_id=external_id, duration=role.duration)
    return AwsError(
        error.operation,
        error.code,
        _with_place(error.text, role, caller_arn, region),
        error.kind,
        remedy,
        error.outcome_unknown,
    )


def unexpected_account(role: AssumeRole, session_arn: str, region: str) -> AwsError:
    """The answer names a session of another account: it is not that of AWS."""
    text = f"The answer gives credentials of {session_arn}."
    return AwsError(
        OPERATION,
        OTHER_ACCOUNT,
        _with_place(text, role, "", region),
        ErrorKind.OTHER,
        f"Check endpoint_url (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS), proxy, and {option('assume_role_arn')}.",
    )


def already_expired(role: AssumeRole, expires: str, now: str, region: str) -> AwsError:
    """What AWS has just given has expired by the clock of this machine."""
    text = f"The credentials expire at {expires}, and by this machine's clock it is {now}."
    return AwsError(
        OPERATION,
        ALREADY_EXPIRED,
        _with_place(text, role, "", region),
        ErrorKind.OTHER,
        "Set the clock of this machine, by NTP for instance.",
    )


def _with_place(text: str, role: AssumeRole, caller_arn: str, region: str) -> str:
    """The text, and what it does not say of who asked, for which role, where."""
    parts = [f"in region {region}"] if region else []
    parts += [f"as {caller_arn}"] if caller_arn and caller_arn not in text else []
    of_role = "" if role.arn in text else f"the role {role.arn} of "
    parts.append(f"for {of_role}account {role.account_id}")
    return f"{sentence(text)} Asked {', '.join(parts)}."
