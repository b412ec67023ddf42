# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Send requests with several roles in several regions: one session for each role, with one client for each service and region."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .._identity.model.accounts import AssumeRole
from .assumed_session import AssumedSession, Connection
from .client import BotoApi, as_aws_error, client_config
from .transport import DEFAULT_WIDTH

# Importing this file must not fail without boto3. The callers check that boto3 is installed.
with contextlib.suppress(ImportError):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

# The region for AssumeRole if no region is configured.
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials and the endpoint for boto3.

    An empty field is not passed to boto3, which then uses its default: environment variables, configuration files, or the role
    of the host. ``repr`` does not show the fields, because some of them are secret.
    """

    profile: str = field(default="", repr=False)
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    endpoint_url: str = field(default="", repr=False)


class Sessions:
    """The boto3 sessions of a run: one for the source credentials, and one for each assumed role. The class is thread-safe."""

    def __init__(self, credentials: Credentials, home: str = "", width: int = DEFAULT_WIDTH) -> None:
        """Create the session of the source credentials.

        :arg home: the region in which to call AssumeRole. The default is the region of the environment or the profile, or
            ``DEFAULT_REGION`` if neither has a region.
        :arg width: the maximum number of concurrent requests with one role in one region.
        :raises AwsError: when the profile cannot be read.
        """
        self._credentials = credentials
        self._width = width
        self._lock = threading.Lock()
        self._own = self._first()
        self._assumed: dict[AssumeRole, AssumedSession] = {}
        self._apis: dict[tuple[AssumeRole | None, str], BotoApi] = {}
        self.home = home or self.region or DEFAULT_REGION

    @property
    def region(self) -> str:
        """Return the region of the environment or the profile, or "" if neither has a region."""
        return self._own.region_name or ""

    def api(self, role: AssumeRole | None, region: str) -> BotoApi:
        """Return the interface to AWS in a region.

        :arg role: the role to assume, or None for the source credentials.
        :raises AwsError: when the role cannot be assumed.
        """
        session = self._session(role) if role else None
        if session is not None:
            session.ready()
        with self._lock:
            if (role, region) not in self._apis:
                self._apis[role, region] = BotoApi(
                    partial(self._client, session, region),
                    width=self._width,
                    ready=session.ready if session else None,
                )
            return self._apis[role, region]

    def _first(self) -> Any:
        credentials = self._credentials
        try:
            return boto3.session.Session(
                profile_name=credentials.profile or None,
                aws_access_key_id=credentials.access_key or None,
                aws_secret_access_key=credentials.secret_key or None,
                aws_session_token=credentials.session_token or None,
            )
        except BotoCoreError as error:
            raise as_aws_error(error, "sts", "GetCallerIdentity") from error

    def _session(self, role: AssumeRole) -> AssumedSession:
        source = self.api(None, self.home)
        credentials = self._credentials
        connection = Connection(self.home, credentials.endpoint_url or None, credentials.profile or None)
        with self._lock:
            return self._assumed.setdefault(role, AssumedSession(role, source, connection))

    def _client(self, session: AssumedSession | None, region: str, service: str) -> Any:
        config = Config(**client_config(self._width))
        try:
            if session is not None:
                return session.client(service, config, region)
            # Creating clients from one boto3 session is not thread-safe.
            with self._lock:
                return self._own.client(
                    service,
                    region_name=region,
                    endpoint_url=self._credentials.endpoint_url or None,
                    config=config,
                )
        except BotoCoreError as error:
            raise as_aws_error(error, service, "Client") from error
