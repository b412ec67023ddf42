# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A bearer token for an EKS cluster: a presigned STS request, created without a request.

It equals the output of ``aws eks get-token``: ``k8s-aws-v1.`` and, in base64 for URLs without padding, the URL of
GetCallerIdentity, presigned for 60 seconds, whose signature covers the header ``x-k8s-aws-id`` with the cluster's name.
EKS accepts it for 15 minutes from its date on, whatever the URL specifies, as long as the credentials are valid.
Source: aws-iam-authenticator, "API Authorization from Outside a Cluster".
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from .client import as_aws_error

# Who makes the client has looked whether it is there.
with contextlib.suppress(ImportError):
    from botocore.exceptions import BotoCoreError

TOKEN_PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
URL_SECONDS = 60
# A minute less than EKS accepts it, for the way and for clocks that differ.
LIFETIME = timedelta(minutes=14)
GLOBAL_ENDPOINT = "https://sts.amazonaws.com"


@dataclass(frozen=True, slots=True)
class EksToken:
    """``text`` is a secret. ``expires_at`` is when it is not to be used any more, in UTC."""

    text: str = field(repr=False)
    expires_at: datetime


def sign_token(client: Any, cluster: str, now: datetime, credentials_end: datetime | None = None) -> EksToken:
    """A token for a cluster. Raises AwsError where there are no credentials.

    ``client`` is a boto3 client of STS for the cluster's region. ``credentials_end`` is when its credentials expire, which
    end the token with them.
    """
    events = client.meta.events
    name = "before-sign.sts.GetCallerIdentity"
    add = partial(_add_cluster, cluster)
    events.register(name, add)
    try:
        url = client.generate_presigned_url(
            "get_caller_identity", Params={}, ExpiresIn=URL_SECONDS, HttpMethod="GET"
        )
    except BotoCoreError as error:
        raise as_aws_error(error, "sts", "GetCallerIdentity") from error
    finally:
        events.unregister(name, add)
    text = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    ends = now + LIFETIME
    return EksToken(f"{TOKEN_PREFIX}{text}", min(ends, credentials_end) if credentials_end else ends)


def regional_client(make_client: Callable[..., Any]) -> Any:
    """A client of the STS of its region, also where botocore or its configuration prefers the global endpoint."""
    client = make_client("sts")
    if client.meta.endpoint_url != GLOBAL_ENDPOINT:
        return client
    return make_client("sts", endpoint=f"https://sts.{client.meta.region_name}.amazonaws.com")


def _add_cluster(cluster: str, request: Any, **_others: Any) -> None:
    request.headers[CLUSTER_HEADER] = cluster


class TokenSource:
    """Tokens for one cluster, each used as long as it is good for what it is wanted for. Safe to share by threads."""

    def __init__(self, sign: Callable[[], EksToken], now: Callable[[], datetime]) -> None:
        self._sign, self._now = sign, now
        self._token: EksToken | None = None
        self._lock = threading.Lock()

    def token(self, seconds: float = 0.0) -> EksToken:
        """A token that is good for so many seconds more, as far as one can be. Raises AwsError."""
        with self._lock:
            needed = self._now() + timedelta(seconds=seconds)
            if self._token is None or self._token.expires_at <= needed:
                self._token = self._sign()
            return self._token
