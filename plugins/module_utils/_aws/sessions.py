# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send requests with several roles in several regions: one session for each role, with one client for each service and region."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from .._identity.model.accounts import AssumeRole
from .client import AssumedSession, BotoApi, Connection, as_aws_errors, client_config
from .service_data import new_session
from .transport import DEFAULT_WIDTH

# Importing this file must not fail without botocore. The callers check that it is installed.
with contextlib.suppress(ImportError):
    from botocore.config import Config

# The region for AssumeRole if no region is configured.
DEFAULT_REGION = "us-east-1"


class Sessions:
    """The sessions of a run: one with the source credentials, and one for each assumed role. The class is thread-safe."""

    def __init__(self, options: Mapping[str, Any], home: str = "", width: int = DEFAULT_WIDTH) -> None:
        """Create the session with the source credentials.

        :arg options: the connection options of amazon.aws. Without an option, botocore uses its default: environment variables,
            configuration files, or the role of the host.
        :arg home: the region in which to call AssumeRole. The default is the region of the environment or the profile, or
            ``DEFAULT_REGION`` if neither has a region.
        :arg width: the maximum number of concurrent requests with one role in one region.
        :raises AwsError: when the profile cannot be read.
        """
        self._options = options
        self._width = width
        self._lock = threading.Lock()
        with as_aws_errors("sts"):
            self._own = new_session(options.get("profile") or None)
            # The region of the environment or the profile, or "" if neither has a region.
            self.region = str(self._own.get_config_variable("region") or "")
        self._assumed: dict[AssumeRole, AssumedSession] = {}
        self._apis: dict[tuple[AssumeRole | None, str], BotoApi] = {}
        self.home = home or self.region or DEFAULT_REGION

    def api(self, role: AssumeRole | None, region: str) -> BotoApi:
        """Return the interface to AWS in a region.

        :arg role: the role to assume, or None for the source credentials.
        :raises AwsError: when the role cannot be assumed.
        """
        api = BotoApi(partial(self._own_client, region), width=self._width)
        if role is not None:
            profile, endpoint_url = (self._options.get(name) or None for name in ("profile", "endpoint_url"))
            connection = Connection(self.home, endpoint_url, profile)
            session = self._assumed.setdefault(
                role, AssumedSession(role, self.api(None, self.home), connection)
            )
            session.ready()
            api = session.api(self._width, region)
        return self._apis.setdefault((role, region), api)

    def _own_client(self, region: str, service: str) -> Any:
        # Creating clients from one session is not thread-safe.
        with self._lock, as_aws_errors(service):
            return self._own.create_client(
                service,
                region_name=region,
                endpoint_url=self._options.get("endpoint_url") or None,
                config=Config(**client_config(self._width)),
                aws_access_key_id=self._options.get("access_key") or None,
                aws_secret_access_key=self._options.get("secret_key") or None,
                aws_session_token=self._options.get("session_token") or None,
            )
