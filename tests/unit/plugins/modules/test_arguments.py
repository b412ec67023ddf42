# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that the modules accept the options of their documentation, with these types, defaults, choices and aliases."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule

COLLECTIONS, OWN = "ansible_collections", "workload_identity.aws.plugins"
FOLDER = Path(__file__).resolve().parents[4] / "plugins" / "modules"
NAMES = [path.stem for path in sorted(FOLDER.glob("*.py")) if "def main" in path.read_text(encoding="utf-8")]


class Constructed(Exception):
    """The exception that ends a module when it has built its arguments."""


def accepted(module: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the options that a module passes to AnsibleModule."""
    options: dict[str, Any] = {}

    def construct(_module: AnsibleModule, **more: Any) -> None:
        options.update(more)
        raise Constructed

    monkeypatch.setattr(AnsibleModule, "__init__", construct)
    with pytest.raises(Constructed):
        module.main()
    return options


def documented(module: Any) -> dict[str, Any]:
    """Return the options in the documentation of a module or plugin and in its fragments."""
    page = yaml.safe_load(module.DOCUMENTATION)
    options: dict[str, Any] = dict(page["options"])
    for fragment in page["extends_documentation_fragment"]:
        namespace, collection, name, *variable = fragment.split(".")
        package = namespace if namespace == "ansible" else f"{COLLECTIONS}.{namespace}.{collection}"
        path = f"{package}.plugins.doc_fragments.{name}"
        attribute = "".join(variable).upper() or "DOCUMENTATION"
        # The fragment about boto3 has no options.
        text = getattr(importlib.import_module(path).ModuleDocFragment, attribute, "{}")
        options |= yaml.safe_load(text).get("options", {})
    return options


def plain(options: Mapping[str, Mapping[str, Any]], inner: str) -> dict[str, Any]:
    """Return the parts of options that the documentation and the arguments of a module share."""
    return {
        name: {
            "type": option.get("type", "str"),
            **{part: option.get(part) for part in ("default", "elements")},
            "required": option.get("required", False),
            **{part: sorted(option.get(part, ())) for part in ("aliases", "choices")},
            inner: plain(option.get(inner) or {}, inner),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_documented(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"{COLLECTIONS}.{OWN}.modules.{name}")
    arguments = accepted(module, monkeypatch)
    assert arguments["supports_check_mode"] is True
    found = json.dumps(plain(arguments["argument_spec"], "options")).replace('"options"', '"suboptions"')
    assert json.loads(found) == plain(documented(module), "suboptions")
