# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base class of the modules that send requests to AWS."""

from __future__ import annotations

from typing import Any, cast

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values
from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
    check_sdk_version_supported,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from .._findings.text import visible_values

ESCAPED = (
    "The result contains unprintable characters, which are replaced with escapes such as \\u202e. A value with an escape differs "
    "from the value in AWS."
)


class _PrintableModule(AnsibleModule):  # type: ignore[misc]  # Ansible has no type information
    """A module that escapes unprintable characters in its result, because Ansible prints control characters unchanged."""

    @property
    def traces(self) -> bool:
        return bool(self._verbosity >= 3)

    def exit_json(self, **result: Any) -> None:
        visible = self._visible(result)
        if any(visible[name] != value for name, value in result.items()):
            self.warn(ESCAPED)
        super().exit_json(**visible)

    def fail_json(self, msg: str, **result: Any) -> None:
        super().fail_json(**self._visible({"msg": msg, **result}))

    def _visible(self, result: dict[str, Any]) -> dict[str, Any]:
        """Escape unprintable characters in a result, and in the arguments of the module, which Ansible prints with -vvv."""
        whole = {"invocation": {"module_args": self.params}, **result}
        visible = visible_values(whole)
        if visible != whole:
            # Remove secrets before escaping. Ansible removes them later, but does not recognise a secret after escaping.
            visible = visible_values(remove_values(whole, self.no_log_values))
        return cast("dict[str, Any]", visible)


class AwsModule(AnsibleAWSModule):  # type: ignore[misc]  # Ansible has no type information
    """A module with the connection options and clients of amazon.aws. Its result has no unprintable characters."""

    def __init__(self, **options: Any) -> None:
        settings = AnsibleAWSModule.default_settings
        # amazon.aws ignores its option module_class, and always uses the class in its default settings.
        AnsibleAWSModule.default_settings = {**settings, "module_class": _PrintableModule}
        try:
            super().__init__(**options)
        finally:
            AnsibleAWSModule.default_settings = settings

    @property
    def traces(self) -> bool:
        """Return whether an error result includes the traceback, which users request with -vvv."""
        # AnsibleAWSModule wraps the module. Older versions of it do not forward this attribute.
        return bool(self._module.traces)

    def require_sdk(self) -> None:
        """End the module with an error if boto3 is missing, and warn if boto3 or botocore is too old.

        A module with ``check_boto3=False`` calls this method if its options need boto3.
        """
        try:
            check_sdk_version_supported(warn=self.warn)
        except AnsibleBotocoreError as error:
            self.fail_json(msg=str(error))
