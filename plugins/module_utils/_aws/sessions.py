# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Requests with several roles in several regions: each role is assumed once, each client is made once."""

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

# Who uses this has looked whether they are there.
with contextlib.suppress(ImportError):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

# Where no region is given in which the global services can be asked.
GLOBAL_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What boto3 begins with; what is empty it finds in its own ways. Not shown, since it holds secrets."""

    profile: str = field(default="", repr=False)
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    endpoint_url: str = field(default="", repr=False)


class Sessions:
    """Safe to share by threads."""

    def __init__(self, credentials: Credentials, home: str = "", width: int = DEFAULT_WIDTH) -> None:
        """``home`` is the region in which roles are assumed, by default that of environment or profile.

        AwsError for a profile that cannot be used.
        """
        self._credentials = credentials
        self._width = width
        self._lock = threading.Lock()
        self._own = self._first()
        self._assumed: dict[AssumeRole, AssumedSession] = {}
        self._apis: dict[tuple[AssumeRole | None, str], BotoApi] = {}
        self.home = home or self.region or GLOBAL_REGION

    @property
    def region(self) -> str:
        """The region that environment or profile give, or ""."""
        return self._own.region_name or ""

    def api(self, role: AssumeRole | None, region: str) -> BotoApi:
        """Requests with the role, or without one, in the region. AwsError when it cannot be assumed."""
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
        given = self._credentials
        try:
            return boto3.session.Session(
                profile_name=given.profile or None,
                aws_access_key_id=given.access_key or None,
                aws_secret_access_key=given.secret_key or None,
                aws_session_token=given.session_token or None,
            )
        except BotoCoreError as error:
            raise as_aws_error(error, "sts", "GetCallerIdentity") from error

    def _session(self, role: AssumeRole) -> AssumedSession:
        source = self.api(None, self.home)
        given = self._credentials
        connection = Connection(self.home, given.endpoint_url or None, given.profile or None)
        with self._lock:
            return self._assumed.setdefault(role, AssumedSession(role, source, connection))

    def _client(self, session: AssumedSession | None, region: str, service: str) -> Any:
        config = Config(**client_config(self._width))
        try:
            if session is not None:
                return session.client(service, config, region)
            # A session of boto3 makes one client at a time.
            with self._lock:
                return self._own.client(
                    service,
                    region_name=region,
                    endpoint_url=self._credentials.endpoint_url or None,
                    config=config,
                )
        except BotoCoreError as error:
            raise as_aws_error(error, service, "Client") from error
