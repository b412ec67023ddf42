# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mark external text, such as the tags of a cluster, so that Ansible never evaluates it as a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.utils.unsafe_proxy import wrap_var

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core before 2.19 trusts unmarked text.

    def trust_as_template(value: str) -> str:
        return value


def inert(value: Any) -> Any:
    """Mark a text, or every text in a mapping, so that Ansible never evaluates it as a template.

    Text that may be a template is marked as unsafe, because ansible-core before 2.19 evaluates unmarked text. Other text is
    marked as trusted, because ansible-core 2.19 and newer print untrusted text as a mapping in ``ansible-inventory --list``.
    """
    if isinstance(value, Mapping):
        return {key: inert(part) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    return wrap_var(value) if _may_be_template(value) else trust_as_template(value)


def _may_be_template(text: str) -> bool:
    # A header such as "#jinja2: variable_start_string:'[['" defines delimiters other than braces.
    return "{" in text or text.lstrip().startswith("#jinja2")
