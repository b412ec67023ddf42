# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""What the command line gives as extra variables, and what Ansible silently makes of it."""

from __future__ import annotations

import re
from typing import Any

from ansible import context
from ansible.parsing.splitter import parse_kv
from ansible.utils.vars import load_extra_vars
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    check_extra_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    listed,
)

# What begins so is a file, or a whole mapping as JSON or YAML.
_NOT_BY_NAME = ("@", "[", "{")
_NAME = re.compile(r"(?:^|\s)(pod_identity_\w+)")
_SETS_NOTHING = (
    "-e with {names} has words that belong to no variable, as Ansible reads them, so what was meant is not known. Write "
    "name=value without spaces; a value with spaces in quotes within those of the shell, -e \"name='a, b'\"; lists and mappings "
    """as JSON, -e '{{"name": ["a", "b"]}}'."""
)


def validate_extra_variables(loader: Any) -> None:
    """Refuse results of the role, names with a misspelt prefix, and text of which Ansible drops a part.

    Values are in no message: they may be secret.

    :raises InputError: with each of them.
    """
    texts = [str(text) for text in context.CLIARGS.get("extra_vars", ())]
    problems = [
        _SETS_NOTHING.format(names=listed(map(visible, dict.fromkeys(names))))
        for text in texts
        if not text.startswith(_NOT_BY_NAME)
        and (names := _NAME.findall(text))
        # Where the rest of the words goes, which is for modules like command.
        and "_raw_params" in parse_kv(text)
    ]
    if problems:
        raise InputError(problems)
    check_extra_variables(load_extra_vars(loader))
