# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create AWS clients in the process of an action or lookup plugin, with the connection options of amazon.aws."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from ansible import constants, release
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.utils.display import Display
from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
    check_sdk_version_supported,
    get_aws_connection_info,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec

from ..module_utils._aws.client import (
    TWO_CREDENTIALS,
    BotoApi,
    Connection,
    api_with,
    as_aws_errors,
    client_config,
    has_two_credentials,
    session_with,
    validate_profile,
)
from ..module_utils._aws.eks_token import (
    EksToken,
    regional_client,
    sign_token,
)
from ..module_utils._aws.service_data import new_session
from ..module_utils._findings.text import with_option_names
from ..module_utils._identity.inputs.accounts import (
    read_assume_role,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.model.accounts import AssumeRole
from ..module_utils._identity.model.errors import InputError
from ..module_utils._identity.run.cluster import AwsJob
from ._task import ActionTask

# Without boto3, importing this file must not fail: ``_require_sdk`` reports the missing package.
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
# The module_defaults for this module also apply to the requests of the role.
MODULE = "workload_identity.aws.eks_pod_identity"


class AwsClients:
    """A factory of boto3 clients with the connection options of amazon.aws and, optionally, an assumed role.

    If an option is missing, amazon.aws reads its value from an environment variable, such as AWS_REGION.

    :arg options: the connection options by their names, not their aliases.
    :arg role: the role to assume with the credentials of the options, or None.
    """

    def __init__(self, options: Mapping[str, Any], role: AssumeRole | None = None) -> None:
        self._options = options
        self._session = session_with(self._own, self._new_connection, role) if role else None

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
        :raises InputError: when the options have both a profile and access keys.
        """
        if has_two_credentials(self._options):
            raise InputError([TWO_CREDENTIALS])
        validate_profile(self._new_connection().profile)
        return api_with(self._own, self._new_connection, width, role)

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


class _Options:
    """A stand-in for a module, with the members that ``get_aws_connection_info`` of amazon.aws uses."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.params = dict(options)

    def fail_json(self, *, msg: str, **_details: Any) -> NoReturn:
        raise AnsibleBotocoreError(message=msg)


def _connection_info(options: Mapping[str, Any]) -> tuple[str | None, str | None, dict[str, Any]]:
    """Return region, endpoint URL and credentials from the options and the environment. Raises AnsibleBotocoreError."""
    region, endpoint, credentials = get_aws_connection_info(_Options(options))
    return region, endpoint, credentials


def clients_of_task(task: ActionTask, connection_options: Mapping[str, Any]) -> AwsClients:
    """Return the factory of clients for a task. Call it inside ``ActionTask.in_environment``.

    :arg connection_options: the connection options. Options that are missing are added from the module_defaults for MODULE.
    :raises AnsibleError: when an option is invalid or boto3 is missing.
    :raises InputError: when the role to assume is invalid, or the options have both a profile and access keys.
    """
    arguments_set = {name: value for name, value in connection_options.items() if value is not None}
    arguments = task.with_defaults(MODULE, arguments_set)
    options = validated_options(arguments)
    if has_two_credentials(options):
        raise InputError([str(with_option_names(TWO_CREDENTIALS, ROLE))])
    return AwsClients(check_options(options), read_assume_role(arguments, ROLE))


def job_of_task(
    task: ActionTask,
    module: str,
    spec: Mapping[str, Any],
    arguments: Mapping[str, Any],
    check_mode: bool,
) -> AwsJob:
    """Validate the arguments of a module, and return a job that does the module's work in the process of the task.

    Starting the module in another process would take longer. Call this function inside ``ActionTask.in_environment``.

    :arg module: the name of the module, whose module_defaults apply.
    :arg spec: the argument spec of the module.
    :arg arguments: the arguments of the module.
    :raises AnsibleError: when an argument is invalid or boto3 is missing.
    """
    names = {**aws_argument_spec(), **spec}
    checked = ArgumentSpecValidator(names).validate(task.with_defaults(module, arguments))
    if checked.error_messages:
        raise AnsibleError("\n".join(checked.error_messages))
    params = dict(checked.validated_parameters)
    clients = AwsClients({name: params[name] for name in aws_argument_spec()})
    _require_sdk()
    try:
        region = "" if has_two_credentials(params) else clients.region
    except AnsibleBotocoreError as error:
        raise AnsibleError(str(error)) from error
    folder = constants.DEFAULT_LOCAL_TMP
    return AwsJob(params, clients.connect, region, check_mode, Display().verbosity >= 3, ROLE, folder)


def _require_sdk() -> None:
    try:
        check_sdk_version_supported()
    except AnsibleBotocoreError:
        raise AnsibleError(NO_SDK.format(python=sys.executable)) from None


def validated_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Select the AWS connection options from the arguments of a module, validate them, and add defaults.

    The defaults are from the environment, as in amazon.aws.

    :raises AnsibleError: when an option is invalid.
    """
    spec = aws_argument_spec()
    names = {alias for name, option in spec.items() for alias in (name, *option.get("aliases", ()))}
    checked = ArgumentSpecValidator(spec).validate(
        {name: value for name, value in arguments.items() if name in names}
    )
    if checked.error_messages:
        raise AnsibleError("\n".join(checked.error_messages))
    return dict(checked.validated_parameters)


def check_options(options: dict[str, Any]) -> dict[str, Any]:
    """Check the connection options, and return them unchanged.

    :raises AnsibleError: when boto3 is missing, an option is invalid, or there are both a profile and access keys.
    """
    if has_two_credentials(options):
        raise AnsibleError(str(with_option_names(TWO_CREDENTIALS, "")))
    _require_sdk()
    try:
        _connection_info(options)
    except AnsibleBotocoreError as error:
        raise AnsibleError(str(error)) from error
    return options
