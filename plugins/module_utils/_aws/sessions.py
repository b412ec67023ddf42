# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Requests with several roles in several regions: each role is assumed once, each client is made once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._identity.model.found_clusters import AssumedRole
from .client import RETRIES, TIMEOUTS, BotoApi, as_aws_error
from .concurrency import DEFAULT_WIDTH

# Who uses this has looked whether they are there.
with contextlib.suppress(ImportError):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

SESSION_NAME = "workload-identity"
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
        self._sessions: dict[AssumedRole | None, Any] = {None: self._first()}
        self._apis: dict[tuple[AssumedRole | None, str], BotoApi] = {}
        self.home = home or self.region or GLOBAL_REGION

    @property
    def region(self) -> str:
        """The region that environment or profile give, or ""."""
        return self._sessions[None].region_name or ""

    def api(self, role: AssumedRole | None, region: str) -> BotoApi:
        """Requests with the role, or without one, in the region. AwsError when it cannot be assumed."""
        with self._lock:
            known = role in self._sessions
        if role is not None and not known:
            session = self._assume(role)
            with self._lock:
                self._sessions.setdefault(role, session)
        with self._lock:
            if (role, region) not in self._apis:
                self._apis[role, region] = BotoApi(
                    lambda service: self._client(role, service, region), width=self._width
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

    def _assume(self, role: AssumedRole) -> Any:
        parameters: dict[str, Any] = {
            "RoleArn": role.arn,
            "RoleSessionName": role.session_name or SESSION_NAME,
        }
        if role.external_id:
            parameters["ExternalId"] = role.external_id
        if role.duration:
            parameters["DurationSeconds"] = role.duration
        answer: Mapping[str, Any] = self.api(None, self.home).call("sts", "AssumeRole", parameters)
        issued = answer["Credentials"]
        return boto3.session.Session(
            aws_access_key_id=issued["AccessKeyId"],
            aws_secret_access_key=issued["SecretAccessKey"],
            aws_session_token=issued["SessionToken"],
        )

    def _client(self, role: AssumedRole | None, service: str, region: str) -> Any:
        settings: dict[str, Any] = {
            "retries": RETRIES,
            "max_pool_connections": max(10, self._width),
            **TIMEOUTS,
        }
        # A session of boto3 makes one client at a time.
        with self._lock:
            try:
                return self._sessions[role].client(
                    service,
                    region_name=region,
                    endpoint_url=self._credentials.endpoint_url or None,
                    config=Config(**settings),
                )
            except BotoCoreError as error:
                raise as_aws_error(error, service, "Client") from error
