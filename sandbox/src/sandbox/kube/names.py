# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate names, label keys and label values, with the messages of the API server.

The functions return a list of error messages, which is empty if the value is valid.
"""

from __future__ import annotations

import re

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_KEY = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"


def _explain(message: str, pattern: str, *examples: str) -> str:
    quoted = ",  or ".join(f"'{example}'" for example in examples)
    return f"{message} (e.g. {quoted}, regex used for validation is '{pattern}')"


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def dns_label(value: str) -> list[str]:
    """Return error messages if a value is not an RFC 1123 label.

    The names of namespaces and containers must have this form.
    """
    errors = [_too_long(63)] if len(value) > 63 else []
    if re.fullmatch(_LABEL, value):
        return errors
    if re.fullmatch(_SUBDOMAIN, value):
        return [*errors, "must not contain dots"]
    message = (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-',"
        " and must start and end with an alphanumeric character"
    )
    return [*errors, _explain(message, _LABEL, "my-name", "123-abc")]


def dns_subdomain(value: str) -> list[str]:
    """Return error messages if a value is not an RFC 1123 subdomain. The names of most kinds must have this form."""
    errors = [_too_long(253)] if len(value) > 253 else []
    if re.fullmatch(_SUBDOMAIN, value):
        return errors
    message = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters,"
        " '-' or '.', and must start and end with an alphanumeric character"
    )
    return [*errors, _explain(message, _SUBDOMAIN, "example.com")]


def path_segment(value: str) -> list[str]:
    """Return error messages if a value is not a path segment. The names of roles and bindings must have this form."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in value]


def label_key(value: str) -> list[str]:
    """Return error messages if a value is not a valid key of a label or annotation."""
    parts = value.split("/")
    message = (
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with"
        " an alphanumeric character"
    )
    explained = _explain(message, _KEY, "MyName", "my.name", "123-abc")
    if len(parts) > 2:
        example = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {explained}{example}"]
    errors = []
    if len(parts) == 2:
        if parts[0]:
            errors += [f"prefix part {error}" for error in dns_subdomain(parts[0])]
        else:
            errors.append("prefix part must be non-empty")
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > 63:
        errors.append(f"name part {_too_long(63)}")
    if not re.fullmatch(_KEY, name):
        errors.append(f"name part {explained}")
    return errors


def label_value(value: str) -> list[str]:
    """Return error messages if a value is not a valid value of a label."""
    errors = [_too_long(63)] if len(value) > 63 else []
    pattern = f"({_KEY})?"
    if re.fullmatch(pattern, value):
        return errors
    message = (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_'"
        " or '.', and must start and end with an alphanumeric character"
    )
    return [*errors, _explain(message, pattern, "MyValue", "my_value", "12345")]


def config_key(value: str) -> list[str]:
    """Return error messages if a value is not a valid key in the data of a ConfigMap or Secret."""
    errors = [_too_long(253)] if len(value) > 253 else []
    if not re.fullmatch(_CONFIG_KEY, value):
        message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        errors.append(_explain(message, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return errors
