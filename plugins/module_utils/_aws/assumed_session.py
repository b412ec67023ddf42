# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Credentials of an assumed role, requested on first use and refreshed before they expire."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from .._identity.model.accounts import AssumeRole
from .._identity.model.errors import AwsError
from .errors import already_expired, explain_refusal, unexpected_account

# AnsibleAWSModule reports missing boto3 or botocore.
with contextlib.suppress(ImportError):
    import boto3
    from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
    from botocore.session import Session

METHOD = "assume-role"
# Seconds for which a denied AssumeRole is not requested again, because a run may have hundreds of workloads.
DENIED_SECONDS = 60


class AssumingClient(Protocol):
    """Requests with the source credentials, which assume the role."""

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the response to a request. Raises AwsError."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Settings of all clients of a module or plugin. None means the configured default.

    ``verify`` is whether to verify certificates, or the path of a CA bundle.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    verify: bool | str | None = None


def _now() -> datetime:
    return datetime.now(timezone.utc)


class AssumedSession:
    """An assumed role for a whole run. Its clients share the credentials, in all regions and threads.

    The role is assumed on first use.

    :arg source: sends AssumeRole with the source credentials.
    :arg lasting: the seconds for which credentials must remain valid, if the session duration permits.
    """

    def __init__(
        self,
        role: AssumeRole,
        source: AssumingClient,
        connection: Connection,
        now: Callable[[], datetime] = _now,
        lasting: int = 0,
    ) -> None:
        self._role = role
        self._source = source
        self._connection = connection
        self._now = now
        self._refusal: tuple[datetime, AwsError] | None = None
        self._expires_at: datetime | None = None
        self._credentials = _renewed(self._assume, role.duration, lasting, now)
        self._session: Any = None
        self._client_lock = threading.Lock()

    def ready(self) -> None:
        """Ensure that the credentials are valid for some minutes. Raises AwsError."""
        self._credentials.get_frozen_credentials()

    @property
    def expires_at(self) -> datetime | None:
        """The time when the credentials expire, in UTC, or None before the first use."""
        return self._expires_at

    def client(
        self,
        service: str,
        config: Any = None,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> Any:
        """Return a boto3 client that refreshes the credentials when needed.

        :arg config: a ``botocore.config.Config``.
        :arg region: defaults to the region of the connection.
        :arg endpoint_url: defaults to the endpoint of the connection.
        """
        with self._client_lock:
            return self._boto3_session().client(
                service,
                region_name=region or self._connection.region,
                endpoint_url=endpoint_url or self._connection.endpoint_url,
                verify=self._connection.verify,
                config=config,
            )

    def _boto3_session(self) -> Any:
        if self._session is None:
            session = Session(profile=self._connection.profile)
            resolver = CredentialResolver([_provider(self._credentials)])
            session.register_component("credential_provider", resolver)
            self._session = boto3.session.Session(botocore_session=session)
        return self._session

    def _assume(self) -> dict[str, str]:
        """Return new credentials in botocore's form. botocore calls it in one thread at a time. Raises AwsError."""
        if self._refusal is not None:
            refused_at, refusal = self._refusal
            if (self._now() - refused_at).total_seconds() < DENIED_SECONDS:
                raise refusal
        try:
            response = self._source.call("sts", "AssumeRole", self._request())
        except AwsError as error:
            refusal = explain_refusal(error, self._role, self._caller_arn(error), self._region)
            if not error.transient:
                self._refusal = (self._now(), refusal)
            raise refusal from error
        self._refusal = None
        self._check(response)
        credentials = response["Credentials"]
        self._expires_at = credentials["Expiration"]
        return {
            "access_key": credentials["AccessKeyId"],
            "secret_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expiry_time": credentials["Expiration"].isoformat(),
        }

    @property
    def _region(self) -> str:
        return self._connection.region or ""

    def _request(self) -> dict[str, Any]:
        role = self._role
        request = {
            "RoleArn": role.arn,
            "RoleSessionName": role.session_name,
            "DurationSeconds": role.duration,
        }
        return {**request, "ExternalId": role.external_id} if role.external_id else request

    def _check(self, response: Mapping[str, Any]) -> None:
        session_arn = str(response.get("AssumedRoleUser", {}).get("Arn", ""))
        if session_arn.split(":")[4:5] != [self._role.account_id]:
            raise unexpected_account(self._role, session_arn or "nobody", self._region)
        expires, now = response["Credentials"]["Expiration"], self._now()
        if expires <= now:
            raise already_expired(self._role, expires.isoformat(), now.isoformat(), self._region)

    def _caller_arn(self, error: AwsError) -> str:
        """Return the caller's ARN for a message without it, else "". GetCallerIdentity needs no permissions."""
        if error.transient or "User: arn:" in error.text:
            return ""
        try:
            return str(self._source.call("sts", "GetCallerIdentity", {})["Arn"])
        except AwsError:
            return ""


def _renewed(
    assume: Callable[[], dict[str, str]], duration: int, lasting: int, now: Callable[[], datetime]
) -> Any:
    class Renewed(DeferredRefreshableCredentials):
        """Credentials that are refreshed later in a shorter session. botocore's limits suit an hour: with them a session of 15
        minutes would be refreshed at every request."""

        _advisory_refresh_timeout = max(lasting, min(900, duration // 3))
        _mandatory_refresh_timeout = max(lasting, min(600, duration // 5))

    return Renewed(assume, METHOD, now)


def _provider(credentials: Any) -> Any:
    class Assumed(CredentialProvider):
        METHOD = "assumed"

        def load(self) -> Any:
            return credentials

    return Assumed()
