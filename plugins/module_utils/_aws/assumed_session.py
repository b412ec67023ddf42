# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The session of an assumed role. AssumeRole is called before the first request, and again before the credentials expire."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from .._identity.model.accounts import SESSION_DURATION, SESSION_NAME, AssumeRole
from .._identity.model.errors import AwsError
from .errors import already_expired, explain_refusal, unexpected_account
from .service_data import new_session

# Importing this file must not fail without boto3, because AnsibleAWSModule reports the missing package with a better message.
with contextlib.suppress(ImportError):
    from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials

METHOD = "assume-role"
# After AssumeRole has failed permanently, for example because it is denied, it is not sent again for this number of seconds.
# Otherwise every later request of the run would send it again.
DENIED_SECONDS = 60
# Credentials that are valid for less than these numbers of seconds should be, or must be, refreshed, as botocore does by default.
ADVISORY_SECONDS = 900
MANDATORY_SECONDS = 600


class AssumingClient(Protocol):
    """A client with the source credentials, which are the credentials that call AssumeRole."""

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the response.

        :raises AwsError: when the request fails.
        """


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection settings of all clients of a module or plugin. None means the default of boto3.

    ``verify`` is the path of a CA bundle, or whether to verify TLS certificates.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    verify: bool | str | None = None


def _now() -> datetime:
    return datetime.now(timezone.utc)


class AssumedSession:
    """The session of an assumed role. Its clients share the credentials, in all regions and threads.

    :arg source: the client that sends AssumeRole with the source credentials.
    :arg connection: the settings of the clients that ``client`` creates.
    :arg now: returns the current time in UTC; tests replace it.
    :arg min_validity: refresh the credentials if they are valid for less than this number of seconds. If the session
        duration is shorter, the credentials are refreshed at each use.
    """

    def __init__(
        self,
        role: AssumeRole,
        source: AssumingClient,
        connection: Connection,
        now: Callable[[], datetime] = _now,
        min_validity: int = 0,
    ) -> None:
        self._role = role
        self._source = source
        self._connection = connection
        self._now = now
        self._refusal: tuple[datetime, AwsError] | None = None
        self._expires_at: datetime | None = None
        self._credentials = _refreshable_credentials(self._assume, min_validity, now)
        self._session: Any = None
        self._client_lock = threading.Lock()

    def ready(self) -> None:
        """Call AssumeRole if there are no credentials yet, or if they expire soon.

        :raises AwsError: when AssumeRole fails. An error is ignored while the present credentials are valid for some minutes.
        """
        self._credentials.get_frozen_credentials()

    @property
    def expires_at(self) -> datetime | None:
        """Return the time when the credentials expire, in UTC, or None if there are no credentials yet."""
        return self._expires_at

    def client(
        self,
        service: str,
        config: Any = None,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> Any:
        """Return a client with the credentials of the role, which the client refreshes before they expire.

        :arg config: a ``botocore.config.Config``.
        :arg region: defaults to the region of the connection.
        :arg endpoint_url: defaults to the endpoint of the connection.
        """
        with self._client_lock:
            return self._botocore_session().create_client(
                service,
                region_name=region or self._connection.region,
                endpoint_url=endpoint_url or self._connection.endpoint_url,
                verify=self._connection.verify,
                config=config,
            )

    def _botocore_session(self) -> Any:
        if self._session is None:
            session = new_session(self._connection.profile)
            resolver = CredentialResolver([_provider(self._credentials)])
            session.register_component("credential_provider", resolver)
            self._session = session
        return self._session

    def _assume(self) -> dict[str, str]:
        """Call AssumeRole, and return the credentials in the format that botocore expects.

        No lock is necessary: botocore calls this function in one thread at a time.

        :raises AwsError: when AssumeRole fails, has failed permanently within the last ``DENIED_SECONDS``, or returns credentials
            that cannot be used.
        """
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
            "RoleSessionName": SESSION_NAME,
            "DurationSeconds": SESSION_DURATION,
        }
        return {**request, "ExternalId": role.external_id} if role.external_id else request

    def _check(self, response: Mapping[str, Any]) -> None:
        """Check that the session belongs to the account of the role, and that the credentials are valid now.

        :raises AwsError: when one of these checks fails.
        """
        session_arn = str(response.get("AssumedRoleUser", {}).get("Arn", ""))
        if session_arn.split(":")[4:5] != [self._role.account_id]:
            raise unexpected_account(self._role, session_arn or "an unknown identity", self._region)
        expires, now = response["Credentials"]["Expiration"], self._now()
        if expires <= now:
            raise already_expired(self._role, expires.isoformat(), now.isoformat(), self._region)

    def _caller_arn(self, error: AwsError) -> str:
        """Return the ARN of the caller of AssumeRole, or "" if the error is temporary or contains it, or if it is unknown."""
        if error.transient or "User: arn:" in error.text:
            return ""
        try:
            # GetCallerIdentity needs no permissions.
            return str(self._source.call("sts", "GetCallerIdentity", {})["Arn"])
        except AwsError:
            return ""


def _refreshable_credentials(
    assume: Callable[[], dict[str, str]], min_validity: int, now: Callable[[], datetime]
) -> Any:
    class SessionCredentials(DeferredRefreshableCredentials):
        _advisory_refresh_timeout = max(min_validity, ADVISORY_SECONDS)
        _mandatory_refresh_timeout = max(min_validity, MANDATORY_SECONDS)

    return SessionCredentials(assume, METHOD, now)


def _provider(credentials: Any) -> Any:
    class Assumed(CredentialProvider):
        METHOD = "assumed"

        def load(self) -> Any:
            return credentials

    return Assumed()
