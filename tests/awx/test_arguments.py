# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the arguments of every awx.awx task with the argument_spec of the installed module."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from target import ROOT

MODULES = "ansible_collections.awx.awx.plugins.modules"


def tasks() -> Iterator[Any]:
    for path in sorted((ROOT / "roles" / "awx_fleet" / "tasks").glob("*.yml")):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")):
            for name, arguments in task.items():
                if name.startswith("awx.awx."):
                    yield pytest.param(name.rpartition(".")[2], arguments, id=f"{path.stem}-{task['name']}")


class _Called(Exception):
    pass


def module_spec(module: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the argument_spec of the module, including the connection options."""
    loaded = importlib.import_module(f"{MODULES}.{module}")
    found: dict[str, Any] = {}

    def stop(argument_spec: dict[str, Any], **_rest: Any) -> None:
        found.update(argument_spec)
        raise _Called

    monkeypatch.setattr(loaded, "ControllerAPIModule", stop)
    with pytest.raises(_Called):
        loaded.main()
    return found


def test_role_has_tasks() -> None:
    assert len(list(tasks())) > 15


@pytest.mark.parametrize(("module", "arguments"), list(tasks()))
def test_module_accepts_arguments(
    module: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = module_spec(module, monkeypatch)
    assert set(arguments) <= set(spec)
    assert [name for name, option in spec.items() if option.get("required") and name not in arguments] == []
    for name, value in arguments.items():
        option = spec[name]
        if isinstance(value, str) and "{{" in value:
            continue
        if "choices" in option:
            assert value in option["choices"]
        expected = {"bool": bool, "int": int, "list": list, "dict": dict}.get(option.get("type", "str"), str)
        assert isinstance(value, expected), name
