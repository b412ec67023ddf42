# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a run: Ansible argument specs, and checks of their values. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..model.desired import Options, PurgeScope
from ..model.errors import Problems
from ..model.names import ACCOUNT_ID, ACCOUNT_ID_RULE, CLUSTER_RULE, EKS_CLUSTER_NAME, OWNER_RULE, is_owner
from ..model.roles import TRUST_SCOPES
from .addons import AGENT_STATES, parse_agent
from .assume_role import assume_role_spec
from .fields import Fields, read_boolean, read_integer, shown_value

# The minimum values of integer options.
LEAST = {"concurrency": 1, "deadline": 1, "propagation_timeout": 0}


_WORKLOAD = re.compile(r"\s*[a-z0-9.-]+/[a-z0-9.-]+\s*")


def run_spec() -> dict[str, dict[str, Any]]:
    """Return the Ansible argument spec of the options in the documentation fragment ``run``."""
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "agent": {"type": "str", "choices": list(AGENT_STATES), "default": "ignore"},
        "agent_version": {"type": "str"},
        "trust_scope": {"type": "str", "choices": list(TRUST_SCOPES)},
        "path": {"type": "str", "default": "/"},
        "permissions_boundary": {"type": "str"},
        "tags": {"type": "dict", "default": {}, "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": False},
        "purge_policies": {"type": "bool", "default": False},
        "adopt": {"type": "bool", "default": False},
        "force": {"type": "raw", "default": False},
        "propagation_timeout": {"type": "int", "default": 60},
        "concurrency": {"type": "int", "default": 16},
    }


def change_spec() -> dict[str, dict[str, Any]]:
    """Return the Ansible argument spec of the module ``eks_pod_identity``, without the options for workloads."""
    return {
        "cluster_name": {"type": "str", "aliases": ["cluster"]},
        "account_id": {"type": "str"},
        **run_spec(),
        "continue_on_error": {"type": "bool", "default": False},
        "verify": {"type": "bool", "default": False},
        "deadline": {"type": "int"},
        **assume_role_spec(),
    }


def verify_spec() -> dict[str, dict[str, Any]]:
    """Return the Ansible argument spec of the module ``eks_pod_identity_info``, without the options for workloads."""
    return {
        "cluster_name": {"type": "str", "aliases": ["cluster"]},
        "account_id": {"type": "str"},
        "trust_scope": {"type": "str", "choices": list(TRUST_SCOPES)},
        "path": {"type": "str", "default": "/"},
        "concurrency": {"type": "int", "default": 16},
        "deadline": {"type": "int"},
        **assume_role_spec(),
    }


def parse_cluster_name(value: object, option: str = "cluster_name") -> str:
    """Validate the name of an EKS cluster and return it. Source: EKS CreateCluster, ``name``.

    :arg option: the name of the option, for messages.
    :raises InputError: for a missing or invalid name.
    """
    problems = Problems()
    if value is None:
        problems.add(option, "is missing; set the name of the EKS cluster.")
    elif isinstance(value, str) and not value.strip():
        problems.add(option, "is empty; set the name of the EKS cluster.")
    elif not isinstance(value, str) or not EKS_CLUSTER_NAME.fullmatch(value):
        problems.add(option, f"must be {CLUSTER_RULE}, got {shown_value(repr(value))}.")
    problems.raise_if_any()
    return str(value)


def run_options(params: Mapping[str, Any], owner: str) -> Options:
    """Convert the options of a module to the settings of a run.

    :arg params: module options by name; Ansible has already applied the defaults of ``run_spec``.
    """
    force = read_force(Fields(dict(params.items()), "", Problems()))
    return Options(
        trust_scope=params["trust_scope"],
        purge_tags=params["purge_tags"],
        purge_policies=params["purge_policies"],
        adopt=params["adopt"],
        force=force if isinstance(force, bool) else frozenset(force),
        owner=owner,
    )


def validate_options(options: Mapping[str, object]) -> None:
    """Validate the options in LEAST, ``purge_limit``, ``owner``, ``force`` and the options of the agent. Missing ones are valid.

    :raises InputError: with all problems, but only the first problem of the options ``agent`` and ``agent_version``.
    """
    problems = Problems()
    fields = Fields(dict(options.items()), "", problems)
    validate_numbers(fields)
    read_purge_limit(fields)
    read_owner(fields)
    read_force(fields)
    problems.attempt(lambda: parse_agent(options))
    problems.raise_if_any()


def validate_numbers(fields: Fields) -> None:
    """Report each option in LEAST that is not an integer, or is below its minimum."""
    for name, least in LEAST.items():
        fields.integer(name, least)


def read_purge_limit(fields: Fields) -> PurgeScope:
    """Return the scope of a purge: a number, or a text such as "20%". Report an invalid option."""
    value = fields.raw.get("purge_limit")
    if value is None:
        return PurgeScope()
    text = str(value).strip()
    percent = read_integer(text[:-1]) if text.endswith("%") else None
    if percent is not None and 0 <= percent <= 100:
        return PurgeScope(percent=percent)
    number = read_integer(value)
    if number is None or number < 0:
        fields.refuse("purge_limit", "a number, 0 or more, or a share from 0% to 100%")
        return PurgeScope()
    return PurgeScope(number)


def read_force(fields: Fields, name: str = "force") -> bool | list[str]:
    """Return the option ``force``: a boolean, or the workloads to which it is limited. Report an invalid value.

    The workloads may be text with commas or line breaks, as from the command line or a survey.
    """
    value = fields.raw.get(name)
    flag = read_boolean(value)
    if value is None or flag is not None:
        return bool(flag)
    names = re.split(r"[,\n]", value.strip()) if isinstance(value, str) else value
    if isinstance(names, list) and all(isinstance(text, str) and _WORKLOAD.fullmatch(text) for text in names):
        return [text.strip() for text in names]
    fields.refuse(name, "true, false, or a list of workloads like my-namespace/my-service-account")
    return False


def read_account_id(fields: Fields, name: str = "account_id") -> str:
    """Return the ID of the account that the credentials must belong to, or "" if it is not set or invalid.

    Report an invalid ID. YAML parses an unquoted ID as a number, which can change an ID that starts with 0.
    """
    value = fields.raw.get(name)
    text = "" if value is None or isinstance(value, bool) else str(value).strip()
    if value is not None and not ACCOUNT_ID.fullmatch(text):
        fields.refuse(name, ACCOUNT_ID_RULE)
        return ""
    return text


def parse_account_id(options: Mapping[str, object]) -> str:
    """Return the option ``account_id`` of a module, or "" if it is not set.

    :raises InputError: for an invalid ID.
    """
    problems = Problems()
    account_id = read_account_id(Fields(dict(options.items()), "", problems))
    problems.raise_if_any()
    return account_id


def read_owner(fields: Fields) -> str | None:
    """Return the option ``owner``, or None if it is not set. Report an invalid owner."""
    owner = fields.raw.get("owner")
    if owner is None:
        return None
    if not is_owner(str(owner)):
        fields.refuse("owner", OWNER_RULE)
    return str(owner)
