# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create AWS clients in the process of an action or lookup plugin, with the connection options of amazon.aws."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NoReturn

from ansible import release
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
    check_sdk_version_supported,
    get_aws_connection_info,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError

from ..module_utils._aws.client import (
    TWO_CREDENTIALS,
    BotoApi,
    Connection,
    api_with,
    as_aws_errors,
    client_config,
    has_two_credentials,
    session_with,
)
from ..module_utils._aws.eks_token import (
    EksToken,
    regional_client,
    sign_token,
)
from ..module_utils._aws.service_data import new_session
from ..module_utils._findings.text import with_option_names
from ..module_utils._identity.model.accounts import AssumeRole
from ..module_utils._identity.model.errors import InputError

# Without boto3, importing this file must not fail: ``check_options`` reports the missing package.
with contextlib.suppress(ImportError):
    from botocore.config import Config

NO_SDK = (
    "requests to AWS need the Python packages boto3 and botocore, which are missing in {python}. Install them: "
    "{python} -m pip install boto3 botocore."
)
# The user agent of amazon.aws, so that Ansible's requests have the same name in CloudTrail.
_USER_AGENT = f"APN/1.0 Ansible/{release.__version__}"
# The settings of amazon.aws that are also arguments of a client.
_CLIENT_SETTINGS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "verify")


class AwsClients:
    """A factory of boto3 clients with the connection options of amazon.aws and, optionally, an assumed role.

    If an option is missing, amazon.aws reads its value from an environment variable, such as AWS_REGION.

    :arg options: the connection options by their names, not their aliases.
    :arg role: the role to assume with the credentials of the options, or None.
    """

    def __init__(self, options: Mapping[str, Any], role: AssumeRole | None = None) -> None:
        self._options = options
        self._session = session_with(self._own, self._new_connection(), role) if role else None

    @property
    def region(self) -> str:
        """Return the region from the options or the environment, or "".

        If it is "", botocore looks up the region, for example in the profile.
        """
        return self._new_connection().region or ""

    @property
    def api(self) -> BotoApi:
        return self._session.api(1) if self._session else BotoApi(self.client, width=1)

    def connect(self, width: int, role: AssumeRole | None) -> BotoApi:
        """Return the interface to AWS for a run.

        :arg width: the maximum number of concurrent requests.
        :arg role: the role to assume for all requests, or None to use the credentials directly.
        :raises AwsError: when the profile cannot be read.
        """
        return api_with(self._own, self._options, self._new_connection, width, role)

    def client(self, service: str, endpoint: str | None = None) -> Any:
        """Return a boto3 client for a service.

        :arg endpoint: the URL of the endpoint, or None for the configured endpoint.
        :raises AwsError: when the client cannot be created, for example because the profile does not exist.
        """
        if self._session is None:
            return self._own(service, client_config(1), endpoint)
        return self._session.client(service, endpoint)

    def sign_tokens(self, clusters: Iterable[str], now: datetime) -> list[EksToken]:
        """Return a bearer token for each EKS cluster, in the order of ``clusters``.

        :arg clusters: the names of clusters in the configured region.
        :arg now: the current time in UTC.
        :raises AwsError: when there are no credentials, or the role cannot be assumed.
        """
        client = regional_client(self.client)
        if self._session is not None:
            self._session.ready()
        ends = self._session.expires_at if self._session else None
        return [sign_token(client, cluster, now, ends) for cluster in clusters]

    def _own(self, service: str, aws_config: Mapping[str, Any], endpoint: str | None = None) -> Any:
        """Return a client with the credentials of the options, not of the assumed role. Raises AwsError."""
        region, configured_endpoint, settings = _connection_info(self._options)
        with as_aws_errors(service):
            return new_session(settings.get("profile_name")).create_client(
                service,
                region,
                endpoint_url=endpoint or configured_endpoint,
                config=Config(user_agent=_USER_AGENT, **aws_config),
                **{name: settings.get(name) for name in _CLIENT_SETTINGS},
            )

    def _new_connection(self) -> Connection:
        region, endpoint, credentials = _connection_info(self._options)
        return Connection(region, endpoint, credentials.get("profile_name"), credentials.get("verify"))


def _connection_info(options: Mapping[str, Any]) -> tuple[str | None, str | None, dict[str, Any]]:
    """Return region, endpoint URL and credentials from the options and the environment. Raises AnsibleError."""

    def fail_json(*, msg: str, **_details: Any) -> NoReturn:
        raise AnsibleError(msg)

    # These are the members of a module that amazon.aws uses.
    region, endpoint, credentials = get_aws_connection_info(
        SimpleNamespace(params=dict(options), fail_json=fail_json)
    )
    return region, endpoint, credentials


def validate_arguments(spec: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a module with their defaults, converted to the types of an argument spec.

    :raises AnsibleError: when an argument is invalid.
    """
    checked = ArgumentSpecValidator(spec).validate(dict(arguments))
    if checked.error_messages:
        raise AnsibleError("\n".join(checked.error_messages))
    return dict(checked.validated_parameters)


def check_options(options: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Check the connection options, and return them unchanged.

    :arg prefix: the text before an option name in messages, such as "pod_identity_".
    :raises AnsibleError: when boto3 is missing, or an option is invalid.
    :raises InputError: when there are both a profile and access keys.
    """
    if has_two_credentials(options):
        raise InputError([str(with_option_names(TWO_CREDENTIALS, prefix))])
    try:
        check_sdk_version_supported()
    except AnsibleBotocoreError:
        raise AnsibleError(NO_SDK.format(python=sys.executable)) from None
    _connection_info(options)
    return options
