# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create botocore sessions that share the data of AWS services, which are large JSON files of botocore, and parse times faster.

A session of boto3 parses these files again for each client, which takes 80 ms. Its parser of times needs a fifth of the CPU time
of a run in an account with 500 roles.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from functools import cache
from typing import Any

# Importing this file must not fail without botocore, because its callers report the missing package with a better message.
with contextlib.suppress(ImportError):
    from botocore.exceptions import BotoCoreError
    from botocore.loaders import create_loader
    from botocore.session import Session
    from botocore.utils import parse_timestamp

    _loader = cache(create_loader)


def new_session(profile: str | None) -> Any:
    """Return a botocore session for a profile, or for the default profile.

    :raises BotoCoreError: when the profile does not exist.
    """
    session = Session(profile=profile)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_time)
    return session


def _parse_time(value: Any) -> Any:
    """Return a time in a response. IAM and STS return text in ISO 8601, such as "2026-11-24T10:15:30Z", and EKS a number."""
    with contextlib.suppress(ValueError):
        if isinstance(value, str):
            return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return parse_timestamp(value)


def load_services() -> None:
    """Parse the data of the services of a run. Call this function before processes are forked, which then share the data."""
    with contextlib.suppress(BotoCoreError):
        for service in ("eks", "iam", "sts"):
            new_session(None).create_client(
                service, "us-east-1", aws_access_key_id="-", aws_secret_access_key="-"
            )
