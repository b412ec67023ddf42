# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Clients of AWS in the controller's own process, with the options that the modules of this collection take."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
    _aws_connection_info,
    _boto3_conn,
    check_sdk_version_supported,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import (
    BotoApi,
    api_for,
    as_aws_error,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import (
    environment_of,
    with_defaults,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.process_environment import variables

# check_options says when it is missing.
with contextlib.suppress(ImportError):
    from botocore.exceptions import BotoCoreError

# The module whose module_defaults count.
MODULE = "workload_identity.aws.eks_pod_identity"
ASSUME_ROLE = (
    "assume_role_arn",
    "assume_role_external_id",
    "assume_role_session_name",
    "assume_role_duration",
)
SESSION_NAME = "workload-identity"
# Credentials of a role are renewed when less than this is left, so that what they sign is good for long enough.
LEAST_LEFT = timedelta(minutes=14, seconds=30)


class AwsClients:
    """``options`` are those of amazon.aws's modules, by their names, and those of ASSUME_ROLE."""

    def __init__(self, options: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._options, self._environment = options, environment
        self._assumed: Mapping[str, Any] = {}

    @property
    def region(self) -> str:
        """The region that is given; "" when botocore has to find one."""
        with variables(self._environment):
            return str(_aws_connection_info(dict(self._options))[0] or "")

    @property
    def credentials_end(self) -> datetime | None:
        """When the credentials of the assumed role expire; None where no role is assumed."""
        ends: datetime | None = self._assumed.get("Expiration")
        return ends

    @property
    def api(self) -> BotoApi:
        return api_for(self, 1, None)

    def client(self, service: str, **extra: Any) -> Any:
        """A boto3 client. Raises AwsError."""
        if not self._options.get("assume_role_arn"):
            return self._client(service, {}, extra)
        now = datetime.now(timezone.utc)
        ends = self.credentials_end
        if ends is None or ends - now < LEAST_LEFT:
            self._assumed = self._assume()
        names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey"}
        keys = {**names, "aws_session_token": "SessionToken"}
        return self._client(service, {name: self._assumed[key] for name, key in keys.items()}, extra)

    def _client(self, service: str, keys: Mapping[str, str], extra: Mapping[str, Any]) -> Any:
        try:
            with variables(self._environment):
                region, endpoint, given = _aws_connection_info(dict(self._options))
                if keys:
                    given = {**given, "profile_name": None, **keys}
                wanted = {"region": region, "endpoint": endpoint, **given, **extra}
                return _boto3_conn(conn_type="client", resource=service, **wanted)
        except BotoCoreError as error:
            raise as_aws_error(error, service, "client") from error

    def _assume(self) -> Mapping[str, Any]:
        given = {name: self._options.get(name) for name in ASSUME_ROLE}
        parameters: dict[str, Any] = {
            "RoleArn": given["assume_role_arn"],
            "RoleSessionName": given["assume_role_session_name"] or SESSION_NAME,
        }
        if given["assume_role_external_id"]:
            parameters["ExternalId"] = given["assume_role_external_id"]
        if given["assume_role_duration"]:
            parameters["DurationSeconds"] = int(given["assume_role_duration"])
        base = AwsClients({**self._options, "assume_role_arn": None}, self._environment)
        credentials: Mapping[str, Any] = base.api.call("sts", "AssumeRole", parameters)["Credentials"]
        return credentials


def clients_of_task(caller: ActionBase, given: Mapping[str, Any]) -> AwsClients:
    """With the options that are given, the module_defaults of MODULE and the environment of the task, as that module would
    have them. Raises AnsibleError."""
    environment = environment_of(caller)
    own = {name: value for name, value in given.items() if value is not None}
    arguments = with_defaults(caller, MODULE, own)
    return AwsClients(checked_options(arguments, environment), environment)


def checked_options(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Those of AWS among a module's arguments, by their names, with what amazon.aws takes from the environment."""
    spec = aws_argument_spec()
    known = {alias for name, one in spec.items() for alias in (name, *one.get("aliases", ()))}
    with variables(environment):
        checked = ArgumentSpecValidator(spec).validate(
            {name: value for name, value in arguments.items() if name in known}
        )
    if checked.error_messages:
        raise AnsibleError("\n".join(checked.error_messages))
    options = dict(checked.validated_parameters)
    return check_options({**options, **{name: arguments.get(name) for name in ASSUME_ROLE}})


def check_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options as they are. Raises AnsibleError where boto3 is missing, and for a profile beside access keys."""
    try:
        check_sdk_version_supported()
        _aws_connection_info(options)
    except AnsibleBotocoreError as error:
        raise AnsibleError(str(error)) from error
    return options
