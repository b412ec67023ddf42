# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test imports of the role's modules whose bytecode is cached on disk."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _bytecode
from ansible_collections.workload_identity.aws.plugins.plugin_utils._bytecode import PLUGINS, import_cached

COLLECTIONS = Path(__file__).resolve().parents[4] / ".collections"
# This program imports modules as an action plugin does. It prints the name of the class that has loaded each module.
PROGRAM = f"""
import json, sys
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([{str(COLLECTIONS)!r}])
from {PLUGINS}.plugin_utils._bytecode import import_cached

import_cached("_role_input")
print(json.dumps({{
    name: type(module.__spec__.loader).__name__
    for name, module in sys.modules.items()
    if name.startswith("{PLUGINS}.") and not hasattr(module, "__path__")
}}))
"""


def test_import_finds_source_files_of_the_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check also that a finder and the setting of garbage collection last until the end of the import only."""
    finders, frozen, path = (
        list(sys.meta_path),
        gc.get_freeze_count(),
        [_bytecode.__file__.rpartition("/")[0]],
    )

    def find(name: str) -> list[object]:
        assert (name, gc.isenabled()) == (f"{PLUGINS}.plugin_utils._task", False)
        rows = ((name, path), (name, None), (f"{PLUGINS}x.plugin_utils._task", path))
        return [getattr(sys.meta_path[0].find_spec(*row), "loader", None) for row in rows]

    monkeypatch.setattr(_bytecode, "import_module", find)
    loader, *rest = import_cached("_task")
    assert (type(loader), rest) == (SourceFileLoader, [None, None])
    monkeypatch.undo()
    with pytest.raises(ImportError, match="_missing"):
        import_cached("_missing")
    assert (sys.meta_path, gc.isenabled(), gc.get_freeze_count() > frozen) == (finders, True, True)


def test_modules_are_loaded_by_the_source_loader() -> None:
    # Use a new process: the tests have already imported the modules without Ansible.
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=COLLECTIONS.parent, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    loaders = json.loads(run.stdout)
    # Ansible itself loads this module, which defines import_cached.
    assert loaders.pop(f"{PLUGINS}.plugin_utils._bytecode") != "SourceFileLoader"
    assert f"{PLUGINS}.plugin_utils._role_input" in loaders
    assert any(name.startswith(f"{PLUGINS}.module_utils.") for name in loaders)
    assert set(loaders.values()) == {"SourceFileLoader"}
