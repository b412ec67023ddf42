# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the SDK of AWS there?"""

from __future__ import annotations

from typing import NoReturn, Protocol

from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
    check_sdk_version_supported,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError


class SdkModule(Protocol):
    """The part of AnsibleAWSModule that ``require_sdk`` needs."""

    def warn(self, warning: str) -> None:
        """Add a warning to the result."""

    def fail_json(self, *, msg: str) -> NoReturn:
        """End the module. Does not return."""


def require_sdk(module: SdkModule) -> None:
    """Fail, as every module of amazon.aws does, when boto3 or botocore is missing.

    For modules that need them only for some of their input.
    """
    try:
        check_sdk_version_supported(warn=module.warn)
    except AnsibleBotocoreError as error:
        module.fail_json(msg=str(error))
