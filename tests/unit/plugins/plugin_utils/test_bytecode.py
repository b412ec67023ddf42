# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test imports of the role's modules whose bytecode is cached on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils._bytecode import PLUGINS, import_cached

COLLECTIONS = Path(__file__).resolve().parents[4] / ".collections"
# This program imports modules as an action plugin does. It prints the name of the class that has loaded each module.
PROGRAM = f"""
import gc, json, sys
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([{str(COLLECTIONS)!r}])
from {PLUGINS}.plugin_utils._bytecode import import_cached

finders, frozen = list(sys.meta_path), gc.get_freeze_count()
import_cached("_role_input")
assert sys.meta_path == finders
assert gc.isenabled() and gc.get_freeze_count() > frozen
print(json.dumps({{
    name: type(module.__spec__.loader).__name__
    for name, module in sys.modules.items()
    if name.startswith("{PLUGINS}.") and not hasattr(module, "__path__")
}}))
"""


def test_module_of_plugin_utils_is_imported() -> None:
    finders = list(sys.meta_path)
    module = import_cached("_task")
    assert module is sys.modules[f"{PLUGINS}.plugin_utils._task"]
    assert sys.meta_path == finders


def test_import_error_leaves_no_finder() -> None:
    finders = list(sys.meta_path)
    with pytest.raises(ImportError, match="_missing"):
        import_cached("_missing")
    assert sys.meta_path == finders


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
