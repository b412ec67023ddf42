# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the options of an EKS add-on: version policy, configuration values, roles. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..model.addons import AGENT_ADDON, AddonSpec, VersionPolicy, version_order
from ..model.errors import InputError, Problems
from ..model.names import parse_role_arn

_ADDON_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}", re.ASCII)
_AT_LEAST = re.compile(r">=\s*(\S+)", re.ASCII)


def parse_version_policy(text: str, option: str) -> VersionPolicy:
    """Parse the version policy of an add-on: "", "latest", ">=v1.3.0" or "v1.3.8-eksbuild.2".

    :arg option: the name of the option, for the message.
    :raises InputError: for any other text.
    """
    text = text.strip()
    if not text:
        return VersionPolicy()
    if text == "latest":
        return VersionPolicy("latest")
    at_least = _AT_LEAST.fullmatch(text)
    version = at_least.group(1) if at_least else text
    if not version_order(version):
        raise InputError(
            [
                f"{option} must be 'latest', a version such as 'v1.3.8-eksbuild.2', or a minimum such as '>=v1.3.0'; "
                f"it is {text!r}."
            ]
        )
    version = version if version.startswith("v") else f"v{version}"
    return VersionPolicy("at least" if at_least else "exact", version)


def parse_addon(params: Mapping[str, Any]) -> AddonSpec:
    """Parse the options of the module eks_addon_pod_identity.

    :raises InputError: with every problem.
    """
    problems = Problems()
    name = str(params["addon_name"])
    if not _ADDON_NAME.fullmatch(name):
        problems.add(
            "", f"addon_name must be the name of an EKS add-on such as 'aws-ebs-csi-driver'; it is {name!r}"
        )
    version = problems.attempt(lambda: parse_version_policy(params["addon_version"] or "", "addon_version"))
    roles = _read_roles(params["pod_identity_associations"] or (), problems)
    problems.raise_if_any()
    values = params["configuration_values"]
    return AddonSpec(
        name,
        params["state"] == "absent",
        version or VersionPolicy(),
        json.dumps(values, sort_keys=True) if isinstance(values, Mapping) else values,
        roles,
        params["purge_associations"],
        params["overwrite"],
        params["preserve"],
        params["tags"] or {},
        params["adopt"],
        params["owner"],
    )


AGENT_STATES = ("present", "ignore", "absent")


def parse_agent(options: Mapping[str, object], prefix: str = "") -> AddonSpec | None:
    """Return the desired add-on of the EKS Pod Identity Agent, or None if the run must not change it. Raises InputError.

    ``agent: present`` installs the agent in a run with ``state: present``, and has no effect in a teardown. ``agent: absent``
    removes the agent, and is valid only for a teardown.

    :arg prefix: the text before an option name in messages, such as "pod_identity_".
    """
    agent, state = options.get("agent") or "ignore", options.get("state") or "present"
    version = str(options.get("agent_version") or "")
    policy = parse_version_policy(version, f"{prefix}agent_version")
    if version and agent != "present":
        raise InputError(
            [
                f"{prefix}agent_version needs {prefix}agent: present. Set {prefix}agent: present, or leave {prefix}agent_version "
                "out."
            ]
        )
    if agent == "absent" and state == "present":
        raise InputError(
            [
                f"'{prefix}agent: absent' is only for a teardown, because the workloads of this run need the "
                f"agent; set '{prefix}agent: ignore' or '{prefix}state: absent'."
            ]
        )
    if agent != state:
        return None
    return AddonSpec(AGENT_ADDON, absent=agent == "absent", version=policy)


def _read_roles(entries: Any, problems: Problems) -> dict[str, str]:
    roles: dict[str, str] = {}
    for index, entry in enumerate(entries):
        place = f"pod_identity_associations[{index}]"
        account, arn = str(entry["service_account"]), str(entry["role_arn"])
        if parse_role_arn(arn) is None:
            problems.add(
                place,
                f"role_arn must be the ARN of an IAM role (arn:aws:iam::111122223333:role/name); it is {arn!r}",
            )
        if account in roles:
            problems.add(place, f"service account {account!r} is listed twice; it can have only one role")
        roles[account] = arn
    return roles
