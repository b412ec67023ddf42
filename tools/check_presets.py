# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the presets with the AWS managed policies for the same purpose: python tools/check_presets.py

The Python package moto contains all AWS managed policies. This program installs its newest version into .cache/moto. It fails in
each of these cases:

- a managed policy does not exist at its path
- a managed policy was changed after the date ``checked`` of the preset
- a managed policy allows an action that is missing in both the preset and its ``left_out``
- the version of the managed policy in ``source`` is not the ``source_version`` of the preset
- an entry of ``left_out`` is superfluous: the preset grants the action, or no managed policy allows it
"""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.presets import (
    Preset,
    load_preset,
    preset_names,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "moto"
DATA = CACHE / "moto" / "iam" / "aws_managed_policies.py"
_VERSION = re.compile(r"v[0-9]+")


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """An AWS managed policy. ``updated`` is a date such as 2026-11-29; ``actions`` may have wildcards."""

    name: str
    path: str
    version: str
    updated: str
    actions: tuple[str, ...]


# A function that returns the actions that a pattern such as ec2:Describe* matches.
Expand = Callable[[str], Sequence[str]]


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def parse_managed(content: Mapping[str, Any]) -> dict[str, ManagedPolicy]:
    """Parse the data file of moto. Return the managed policies by name."""
    return {
        name: ManagedPolicy(
            name,
            policy["Path"],
            policy["DefaultVersionId"],
            policy["UpdateDate"][:10],
            tuple(_allowed(as_list(policy["Document"]["Statement"]))),
        )
        for name, policy in content.items()
    }


def _allowed(statements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for statement in statements:
        if statement["Effect"] == "Allow":
            yield from as_list(statement.get("Action", []))


def compare_preset(preset: Preset, managed: Mapping[str, ManagedPolicy], expand: Expand) -> Iterator[str]:
    """Yield a text for each difference between a preset and its AWS managed policies."""
    granted = {action.lower() for policy in preset.policies for action in _allowed(policy.statements)}
    excluded = {action.lower() for action in preset.left_out}
    used: set[str] = set()
    for reference in preset.managed_policies:
        path, _slash, name = reference.rpartition("/")
        policy = managed.get(name)
        if policy is None:
            yield f"the AWS managed policy {name} does not exist"
            continue
        if policy.path.strip("/") != path:
            yield f"the AWS managed policy {name} has the path {policy.path}, not /{path}"
        if policy.updated > preset.checked:
            yield f"{name} was changed on {policy.updated} ({policy.version}), after the check of {preset.checked}"
        named = name in preset.source and _VERSION.fullmatch(preset.source_version)
        if named and policy.version != preset.source_version:
            yield f"{name} is {policy.version} now; source_version is {preset.source_version}"
        missing = []
        for pattern in policy.actions:
            actions = expand(pattern) if "*" in pattern or "?" in pattern else [pattern]
            used |= {action.lower() for action in (pattern, *actions)}
            if pattern.lower() not in excluded:
                missing += [action for action in actions if not _is_listed(action, granted | excluded)]
        if missing:
            yield f"{name} also allows {', '.join(sorted(set(missing)))}: grant each action, or add it to left_out"
    for action in preset.left_out:
        if action.lower() in granted:
            yield f"left_out has {action}, which the preset grants"
        elif action.lower() not in used:
            yield f"left_out has {action}, which none of the AWS managed policies allows"


def _is_listed(action: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), pattern) for pattern in patterns)


def expand_action(pattern: str) -> list[str]:
    """Return the actions of the Service Authorization Reference that a pattern matches."""
    prefix = pattern.partition(":")[0]
    service = load_catalogue().service(prefix)
    return [f"{prefix}:{service.actions[name].spelling}" for name in service.matching(pattern.lower())]


def install_data() -> bool:
    """Install the newest version of moto, without its dependencies, into CACHE. Return whether the installation succeeded."""
    command = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    arguments = ("--upgrade", "--target", str(CACHE), "moto")
    return subprocess.run((*command, *arguments), check=False).returncode == 0


def read_data() -> dict[str, ManagedPolicy]:
    spec = importlib.util.spec_from_file_location("aws_managed_policies", DATA)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return parse_managed(json.loads(module.aws_managed_policies_data))


def main() -> int:
    if not install_data():
        if not DATA.is_file():
            print("The package moto could not be installed.")
            return 2
        print(f"The newest version of moto could not be installed. The version in {CACHE} is used.")
    managed = read_data()
    newest = max(policy.updated for policy in managed.values())
    print(f"{len(managed):,} AWS managed policies, the newest of {newest}.")
    presets = [load_preset(name) for name in preset_names()]
    differences = {preset.name: list(compare_preset(preset, managed, expand_action)) for preset in presets}
    for name, texts in differences.items():
        for text in texts:
            print(f"{name}: {text}.")
    count = sum(map(len, differences.values()))
    compared = sum(bool(preset.managed_policies) for preset in presets)
    print(f"{len(presets)} presets, {compared} of them with AWS managed policies; differences: {count}.")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
