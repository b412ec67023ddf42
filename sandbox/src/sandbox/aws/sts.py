# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check requests to AssumeRole, within an account and across accounts. AssumeRoleWithWebIdentity is in ``web_identity``.

The trust policy, MaxSessionDuration and the parameters are always checked. With --auth, ministack also checks the policies of the
caller, and root users cannot assume roles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from sandbox.aws.iam_documents import as_list
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Call, Record, Response

MIN_SECONDS = 900
MAX_SECONDS = 43200
DEFAULT_SECONDS = 3600
CHAINED_SECONDS = 3600
OK = 200

ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:.+/)?([\w+=,.@-]{1,64})", re.ASCII)
_ACCESS_KEY_ID = re.compile(rb"<AccessKeyId>(\w+)</AccessKeyId>")
_EXPIRATION = re.compile(rb"<Expiration>[^<]*</Expiration>")


@dataclass(frozen=True, slots=True)
class TextRule:
    """The limits for the length of a parameter, and the pattern that it must match."""

    parameter: str
    minimum: int
    maximum: int
    pattern: str


SESSION_RULES = (
    TextRule("RoleArn", 20, 2048, r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD]+"),
    TextRule("RoleSessionName", 2, 64, r"[\w+=,.@-]*"),
)
_TEXT_RULES = (*SESSION_RULES, TextRule("ExternalId", 2, 1224, r"[\w+=,.@:\/-]*"))


class AssumeRole:
    """The operation AssumeRole. If ``lifetime_s`` is not 0, new sessions last that number of seconds."""

    def __init__(self, iam: IamState) -> None:
        self._iam = iam
        self.lifetime_s = 0.0

    def check(self, call: Call) -> None:
        """Check that the caller can assume the role. Raise the error of AWS if the caller cannot."""
        form = Form(call.account, call.body)
        seconds = check_parameters(form, _TEXT_RULES)
        arn = form.text("RoleArn")
        match = ROLE_ARN.fullmatch(arn)
        if match is None:
            raise invalid("Request ARN is invalid")
        ministack = self._iam.ministack
        caller = ministack.caller(call.headers, call.query)
        if ministack.auth and caller["userArn"].endswith(":root"):
            raise ApiError(403, "AccessDenied", "Roles may not be assumed by root accounts.")
        role = self._iam.role(match.group(1), match.group(2))
        if role is None or role["Arn"] != arn or not self._trusts(role, call, caller, form):
            # As in AWS, the message does not reveal whether the role exists.
            user = caller["userArn"]
            message = f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise ApiError(403, "AccessDenied", message)
        if ":assumed-role/" in caller["userArn"] and seconds > CHAINED_SECONDS:
            raise invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
                "role chaining"
            )
        check_duration(role, seconds)

    def apply_lifetime(self, response: Response) -> Response:
        """Let new credentials expire after ``lifetime_s`` seconds unless it is 0. Return the response with their expiration."""
        if not self.lifetime_s or response.status != OK:
            return response
        key = _ACCESS_KEY_ID.search(response.body)
        if key is None:
            return response
        self._iam.ministack.end_session(key.group(1).decode(), self.lifetime_s)
        ends = datetime.now(timezone.utc) + timedelta(seconds=self.lifetime_s)
        text = f"<Expiration>{ends:%Y-%m-%dT%H:%M:%SZ}</Expiration>"
        return response._replace(body=_EXPIRATION.sub(text.encode(), response.body))

    def _trusts(self, role: Record, call: Call, caller: Record, form: Form) -> bool:
        ministack = self._iam.ministack
        tags = {tag["Key"]: tag["Value"] for tag in form.tags()}
        context = ministack.evaluator.EvalContext(
            principal_arn=caller["userArn"],
            principal_type=caller["principalType"],
            principal_account=caller["accountId"],
            action="sts:AssumeRole",
            resource_arn=role["Arn"],
            region=call.region,
            service_context={
                "sts:externalid": form.get("ExternalId"),
                "sts:rolesessionname": form.get("RoleSessionName"),
            },
            principal_keys=caller.get("principalKeys", {}),
            request_tags=tags,
            tag_keys=list(tags),
        )
        trust = _for_principals(role["AssumeRolePolicyDocument"])
        return bool(ministack.evaluator.evaluate_trust_policy(trust, caller["userArn"], context))


def check_parameters(form: Form, rules: tuple[TextRule, ...]) -> int:
    """Validate the parameters, and return the requested duration in seconds."""
    for rule in rules:
        value = form.get(rule.parameter) if rule.parameter == "ExternalId" else form.required(rule.parameter)
        if value is not None:
            _check_text(rule, value)
    duration = form.get("DurationSeconds")
    if duration is None:
        return DEFAULT_SECONDS
    seconds = int(duration)
    for holds, bound in (
        (seconds >= MIN_SECONDS, f"greater than or equal to {MIN_SECONDS}"),
        (seconds <= MAX_SECONDS, f"less than or equal to {MAX_SECONDS}"),
    ):
        if not holds:
            raise _violated(duration, "durationSeconds", f"Member must have value {bound}")
    return seconds


def check_duration(role: Record, seconds: int) -> None:
    """Raise ApiError if a duration exceeds the MaxSessionDuration of a role."""
    if seconds > int(role["MaxSessionDuration"]):
        raise invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


def _check_text(rule: TextRule, value: str) -> None:
    member = rule.parameter[0].lower() + rule.parameter[1:]
    if len(value) < rule.minimum:
        raise _violated(value, member, f"Member must have length greater than or equal to {rule.minimum}")
    if len(value) > rule.maximum:
        raise _violated(value, member, f"Member must have length less than or equal to {rule.maximum}")
    if not re.fullmatch(rule.pattern, value, re.ASCII):
        raise _violated(value, member, f"Member must satisfy regular expression pattern: {rule.pattern}")


def _violated(value: str, member: str, constraint: str) -> ApiError:
    return invalid(
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"{constraint}"
    )


def invalid(message: str) -> ApiError:
    return ApiError(400, "ValidationError", message)


def _for_principals(document: str) -> Mapping[str, Any]:
    """Return a trust policy without service principals.

    The policy evaluator of ministack would match service principals with every root user.
    """
    return {"Statement": [_without_services(s) for s in as_list(json.loads(document)["Statement"])]}


def _without_services(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    principal = statement.get("Principal")
    if not isinstance(principal, dict):
        return statement
    return {**statement, "Principal": {kind: arns for kind, arns in principal.items() if kind != "Service"}}
