# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""STS: the credentials of roles, within an account and across accounts, and for web identities, which IRSA uses.

The trust policy and MaxSessionDuration are always checked. The signature of a web identity token is not checked, and the
identity provider need not exist in IAM. With permissions, root users cannot assume roles.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.aws.model.accounts import Cloud, Principal, Session, expiration
from sandbox.aws.model.documents import as_list
from sandbox.aws.model.errors import Refusal
from sandbox.aws.model.evaluation import (
    ALLOW,
    Question,
    decide,
    global_context,
    names_caller,
    tag_context,
)
from sandbox.aws.model.tables import Answer, Request

DEFAULT_SECONDS = 3600
CHAINED_SECONDS = 3600
WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:.+/)?([\w+=,.@-]{1,64})", re.ASCII)
_NOT_A_TOKEN = (
    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The claims of a token: the issuer without "https://", the subject and the audiences."""

    issuer: str
    subject: str
    audiences: tuple[str, ...]


class Sts:
    """STS for one caller."""

    def __init__(self, cloud: Cloud, caller: Principal, region: str) -> None:
        self._cloud = cloud
        self._caller = caller
        self._region = region

    def GetCallerIdentity(self, _request: Request) -> Answer:
        return {"Account": self._caller.account, "Arn": self._caller.arn, "UserId": self._caller.user_id}

    def AssumeRole(self, request: Request) -> Answer:
        arn, caller = request["RoleArn"], self._caller.arn
        if ROLE_ARN.fullmatch(arn) is None:
            raise _invalid("Request ARN is invalid")
        if self._cloud.settings.auth and caller.endswith(":root"):
            raise Refusal("AccessDenied", "Roles may not be assumed by root accounts.")
        role = self._cloud.role(arn)
        tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
        if role is None or not self._trusts(role, request, tags):
            # As in AWS, the message does not reveal whether the role exists.
            text = f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise Refusal("AccessDenied", text)
        seconds = request.get("DurationSeconds", DEFAULT_SECONDS)
        if ":assumed-role/" in caller and seconds > CHAINED_SECONDS:
            raise _invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
        return self._assumed(role, request, seconds, tags)

    def AssumeRoleWithWebIdentity(self, request: Request) -> Answer:
        arn = request["RoleArn"]
        if ROLE_ARN.fullmatch(arn) is None:
            raise _invalid("Request ARN is invalid")
        identity = read_identity(request["WebIdentityToken"])
        provider = f"arn:aws:iam::{arn.split(':')[4]}:oidc-provider/{identity.issuer}"
        role = self._cloud.role(arn)
        if role is None or not self._trusts_provider(role, request, identity, provider):
            # As in AWS, the message does not reveal whether the role exists.
            raise Refusal("AccessDenied", f"Not authorized to perform {WEB_IDENTITY}")
        answer = self._assumed(role, request, request.get("DurationSeconds", DEFAULT_SECONDS), {})
        return {
            **answer,
            "SubjectFromWebIdentityToken": identity.subject,
            "Audience": identity.audiences[0],
            "Provider": provider,
        }

    def _assumed(self, role: Request, request: Request, seconds: int, tags: Mapping[str, str]) -> Answer:
        if seconds > role["duration"]:
            raise _invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        policies = self._session_policies(role, request)
        lifetime = self._cloud.settings.lifetime_s or seconds
        key, session = self._cloud.new_session(role, request["RoleSessionName"], lifetime, tags, policies)
        return {
            "Credentials": credentials(key, session),
            "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
            "PackedPolicySize": 1,
        }

    def _session_policies(self, role: Request, request: Request) -> tuple[Any, ...] | None:
        if not request.get("Policy") and not request.get("PolicyArns"):
            return None
        iam = self._cloud.account(role["Arn"].split(":")[4]).iam
        passed = [json.loads(request["Policy"])] if request.get("Policy") else []
        named = [iam.default_document(entry["arn"]) for entry in request.get("PolicyArns", ())]
        return (*passed, *named)

    def _trusts(self, role: Request, request: Request, tags: Mapping[str, str]) -> bool:
        caller = self._caller
        context = {
            **global_context(caller.arn, self._region, caller.tags),
            **tag_context(tags),
            "sts:externalid": request.get("ExternalId"),
            "sts:rolesessionname": request["RoleSessionName"],
        }
        question = Question("sts:AssumeRole", role["Arn"], context)
        trust = json.loads(role["trust"])
        return decide([trust], question, lambda principal: names_caller(principal, caller.arn)) == ALLOW

    def _trusts_provider(self, role: Request, request: Request, identity: Identity, provider: str) -> bool:
        host = identity.issuer.lower()
        context = {
            **global_context(provider, self._region, {}),
            f"{host}:sub": identity.subject,
            f"{host}:aud": identity.audiences[0],
            "aws:federatedprovider": provider,
            "sts:rolesessionname": request["RoleSessionName"],
        }
        trust = {
            "Statement": [s for s in as_list(json.loads(role["trust"])["Statement"]) if _is_federated(s)]
        }
        question = Question(WEB_IDENTITY, role["Arn"], context)
        return decide([trust], question, lambda principal: _names_provider(principal, provider)) == ALLOW


def credentials(key: str, session: Session) -> Answer:
    return {
        "AccessKeyId": key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": expiration(session),
    }


def read_identity(token: str) -> Identity:
    """Return the claims of a JSON Web Token. Raise a refusal if the token is malformed or expired."""
    try:
        _header, payload, _signature = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issuer, subject = claims["iss"].removeprefix("https://"), claims["sub"]
        audiences, expiry = tuple(as_list(claims["aud"])), int(claims["exp"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, binascii.Error):
        raise Refusal("InvalidIdentityToken", _NOT_A_TOKEN) from None
    if not audiences or not all(isinstance(text, str) and text for text in (issuer, subject, *audiences)):
        raise Refusal("InvalidIdentityToken", _NOT_A_TOKEN)
    moment = int(time.time())
    if expiry <= moment:
        text = f"Token expired: current date/time {moment} must be before the expiration date/time {expiry}"
        raise Refusal("ExpiredTokenException", text)
    return Identity(issuer, subject, audiences)


def _is_federated(statement: Mapping[str, Any]) -> bool:
    """Return whether a statement is for identity providers, or a Deny for everyone."""
    principal = statement.get("Principal")
    return statement["Effect"] == "Deny" or (isinstance(principal, dict) and "Federated" in principal)


def _names_provider(principal: Any, provider: str) -> bool:
    return principal == "*" or (
        isinstance(principal, dict) and provider in as_list(principal.get("Federated", []))
    )


def _invalid(text: str) -> Refusal:
    return Refusal("ValidationError", text)
