# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Credentials of an assumed role: obtained when first needed, and renewed before they expire."""

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

# AnsibleAWSModule reports it when boto3 or botocore is missing.
with contextlib.suppress(ImportError):
    import boto3
    from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
    from botocore.session import Session

METHOD = "assume-role"
# A refusal holds for so many seconds: workloads by the hundred need not ask for the same one.
REFUSED_SECONDS = 60


class AssumingClient(Protocol):
    """The job's own credentials, and requests with them."""

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises AwsError."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What clients of a module or plugin have in common, whatever credentials they use. None is as configured.

    ``verify`` is whether certificates are verified, or the file of CAs to do so.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    verify: bool | str | None = None


def _now() -> datetime:
    return datetime.now(timezone.utc)


class AssumedSession:
    """One assumed role for a whole run: all clients share its credentials, in all regions and threads.

    ``source`` makes requests with the job's own credentials. Nothing is asked before credentials are needed. Whenever
    they are used they are good for ``lasting`` seconds more, as far as the role gives them for so long.
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
        self._making_clients = threading.Lock()

    def ready(self) -> None:
        """Have credentials that last for some minutes. Raises AwsError."""
        self._credentials.get_frozen_credentials()

    @property
    def expires_at(self) -> datetime | None:
        """When the credentials expire, in UTC; None before there are any."""
        return self._expires_at

    def client(
        self,
        service: str,
        config: Any = None,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> Any:
        """A boto3 client that renews the credentials where that is needed.

        ``config`` is of botocore's class. Without ``region`` and ``endpoint_url`` those of the connection count.
        """
        with self._making_clients:
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
        """What botocore wants of a renewal; it lets one thread at a time ask. Raises AwsError."""
        if self._refusal is not None:
            refused_at, refusal = self._refusal
            if (self._now() - refused_at).total_seconds() < REFUSED_SECONDS:
                raise refusal
        try:
            answer = self._source.call("sts", "AssumeRole", self._request())
        except AwsError as error:
            refusal = explain_refusal(error, self._role, self._caller_arn(error), self._region)
            if not error.transient:
                self._refusal = (self._now(), refusal)
            raise refusal from error
        self._refusal = None
        self._check(answer)
        given = answer["Credentials"]
        self._expires_at = given["Expiration"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
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

    def _check(self, answer: Mapping[str, Any]) -> None:
        session_arn = str(answer.get("AssumedRoleUser", {}).get("Arn", ""))
        if session_arn.split(":")[4:5] != [self._role.account_id]:
            raise unexpected_account(self._role, session_arn or "nobody", self._region)
        expires, now = answer["Credentials"]["Expiration"], self._now()
        if expires <= now:
            raise already_expired(self._role, expires.isoformat(), now.isoformat(), self._region)

    def _caller_arn(self, error: AwsError) -> str:
        """Whose credentials the job has, for a message that does not say so. Anyone may ask that."""
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
        """Renewed as botocore does it for an hour, and less early in a shorter session: with botocore's own bounds
        one of 15 minutes is renewed at every request."""

        _advisory_refresh_timeout = max(lasting, min(900, duration // 3))
        _mandatory_refresh_timeout = max(lasting, min(600, duration // 5))

    return Renewed(assume, METHOD, now)


def _provider(credentials: Any) -> Any:
    class Assumed(CredentialProvider):
        METHOD = "assumed"

        def load(self) -> Any:
            return credentials

    return Assumed()
