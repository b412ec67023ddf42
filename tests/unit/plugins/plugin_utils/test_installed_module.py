# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that run on the controller start where they are installed; Ansible packs all others."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.plugin_utils import installed_module as installed
from ansible_collections.workload_identity.aws.plugins.plugin_utils.installed_module import (
    installed_module,
    launcher_text,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.long_module import LongModule

ROOT = Path(__file__).resolve().parents[4]
COLLECTIONS = ROOT / ".collections" / "ansible_collections"
PACKED = "packed by Ansible"
COLLECTION = "ansible_collections.workload_identity.aws"
MODULE = "eks_pod_identity"
WITHOUT_PLUGIN = (
    "the module was started without its action plugin, which parses its input on the controller. Call it from a play by "
    "its full name. Nothing was changed."
)


class Module(LongModule):
    def __init__(self, transport: str, become: bool, async_val: int, delegate_to: str | None) -> None:
        self._task = SimpleNamespace(async_val=async_val, delegate_to=delegate_to)
        self._connection = SimpleNamespace(transport=transport)
        self._play_context = SimpleNamespace(become=become)
        self._templar = SimpleNamespace(template=lambda value: value.replace("{{ here }}", sys.executable))


def configured(
    monkeypatch: pytest.MonkeyPatch,
    python: str = sys.executable,
    transport: str = "local",
    become: bool = False,
    async_val: int = 0,
    delegate_to: str | None = None,
    name: str = f"workload_identity.aws.{MODULE}",
) -> Any:
    monkeypatch.setattr(ActionBase, "_configure_module", lambda *_arguments: PACKED)
    module = Module(transport, become, async_val, delegate_to)
    other = {"ansible_python_interpreter": "/another/python3"}
    variables: dict[str, Any] = {"ansible_python_interpreter": python}
    if delegate_to:
        variables = {**other, "ansible_delegated_vars": {delegate_to: variables}}
    return module._configure_module(name, {"cluster_name": "c"}, variables)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param({}, id="this host"),
        pytest.param({"python": "{{ here }}"}, id="a templated interpreter"),
        pytest.param({"delegate_to": "localhost"}, id="delegated to this host"),
    ],
)
def test_a_module_on_the_controller_is_not_packed(
    monkeypatch: pytest.MonkeyPatch, place: dict[str, Any]
) -> None:
    module, path = configured(monkeypatch, **place)
    assert path.endswith(f"/ansible_collections/workload_identity/aws/plugins/modules/{MODULE}.py")
    assert Path(path).is_file()
    assert (module.module_style, module.shebang) == ("new", f"#!{sys.executable}")
    assert len(module.b_module_data) < 10_000


@pytest.mark.parametrize(
    "place",
    [
        pytest.param({"transport": "ssh"}, id="another host"),
        pytest.param({"become": True}, id="another user"),
        pytest.param({"async_val": 60}, id="in the background"),
        pytest.param({"python": "/another/python3"}, id="another Python"),
        pytest.param({"python": "auto"}, id="a Python that Ansible looks for"),
        pytest.param(
            {"delegate_to": "localhost", "python": "/another/python3"}, id="delegated, with another Python"
        ),
        pytest.param({"name": MODULE}, id="a short name"),
        pytest.param({"name": f"another.collection.{MODULE}"}, id="a redirect of another collection"),
    ],
)
def test_a_module_elsewhere_is_packed(monkeypatch: pytest.MonkeyPatch, place: dict[str, Any]) -> None:
    assert configured(monkeypatch, **place) == PACKED


def test_an_ansible_core_that_is_not_known_packs_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "_BuiltModule", None)
    monkeypatch.setattr(installed, "__version__", "2.22.0.dev0")
    assert configured(monkeypatch) == PACKED
    monkeypatch.setattr(installed, "__version__", "2.18.1")
    assert configured(monkeypatch)[0] == "new"


def run(tmp_path: Path, text: str, pipelined: bool = False) -> subprocess.CompletedProcess[str]:
    """As Ansible runs it, in a folder that has a module of the name of one that is needed."""
    script = tmp_path / "module.py"
    script.write_text(text, encoding="utf-8")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')", encoding="utf-8")
    return subprocess.run(
        [sys.executable, *([] if pipelined else [str(script)])],
        input=text if pipelined else "",
        cwd=tmp_path,
        env={"PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_started_module_gets_its_arguments_and_prints_its_result(tmp_path: Path, pipelined: bool) -> None:
    done = run(tmp_path, text_of({"cluster_name": "c", "state": "é"}), pipelined)
    assert (done.stderr, done.returncode) == ("", 1)
    result = json.loads(done.stdout)
    assert result["msg"] == "value of state must be one of: present, absent, got: é"


def test_a_started_module_without_input_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, text_of({"cluster_name": "c"}))
    assert json.loads(done.stdout)["msg"] == WITHOUT_PLUGIN


def with_what_the_launcher_needs(folder: Path) -> Path:
    """The folder of a collection with an empty folder for modules, which is returned."""
    part = Path("plugins") / "module_utils" / "_aws" / "listener.py"
    (folder / part).parent.mkdir(parents=True)
    shutil.copy(COLLECTIONS / "workload_identity" / "aws" / part, folder / part)
    modules = folder / "plugins" / "modules"
    modules.mkdir()
    return modules


def test_a_started_module_takes_the_collections_of_the_controller(tmp_path: Path) -> None:
    folders = {
        "ansible": [str(Path(sys.modules["ansible"].__path__[0]))],
        "ansible_collections": [str(COLLECTIONS)],
        "ansible_collections.workload_identity": [str(tmp_path)],
        COLLECTION: [str(tmp_path)],
    }
    modules = with_what_the_launcher_needs(tmp_path)
    (modules / "one.py").write_text("print(__name__, __file__)", encoding="utf-8")
    done = run(tmp_path, launcher_text(f"{COLLECTION}.plugins.modules.one", folders, {}))
    assert (done.stdout, done.stderr) == (f"__main__ {modules / 'one.py'}\n", "")


def test_bytecode_beside_a_collection_is_neither_read_nor_written(tmp_path: Path) -> None:
    """With an umask of 000, Python makes its folders for bytecode such that any user may write to them."""
    collection = tmp_path / "collection"
    modules = with_what_the_launcher_needs(collection)
    part = modules / "two.py"
    part.write_text("", encoding="utf-8")
    (modules / "one.py").write_text(f"import {COLLECTION}.plugins.modules.two", encoding="utf-8")
    planted = Path(importlib.util.cache_from_source(str(part)))
    planted.parent.mkdir()
    source = tmp_path / "planted.py"
    source.write_text("print('planted')", encoding="utf-8")
    header = struct.pack("<4sIII", importlib.util.MAGIC_NUMBER, 0, int(part.stat().st_mtime), 0)
    code = marshal.dumps(compile(source.read_bytes(), str(part), "exec"))
    planted.write_bytes(header + code)
    folders = {
        "ansible_collections": [str(COLLECTIONS)],
        "ansible_collections.workload_identity": [str(tmp_path)],
        COLLECTION: [str(collection)],
    }
    before = os.umask(0)
    try:
        done = run(tmp_path, launcher_text(f"{COLLECTION}.plugins.modules.one", folders, {}))
    finally:
        os.umask(before)
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.rglob("*.pyc")) == [planted]
    assert list(tmp_path.rglob("__pycache__")) == [planted.parent]


def test_a_started_module_ends_when_nobody_reads_its_result(tmp_path: Path) -> None:
    modules = with_what_the_launcher_needs(tmp_path)
    # Whatever it does with the signal: of kubernetes.core's modules none does anything.
    (modules / "one.py").write_text(
        "import time; print('begun', flush=True); time.sleep(60)", encoding="utf-8"
    )
    folders = {
        "ansible_collections": [str(COLLECTIONS)],
        "ansible_collections.workload_identity": [str(tmp_path)],
        COLLECTION: [str(tmp_path)],
    }
    script = tmp_path / "module.py"
    script.write_text(launcher_text(f"{COLLECTION}.plugins.modules.one", folders, {}), encoding="utf-8")
    started = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "begun\n"
    started.stdout.close()
    assert started.wait(60) == -signal.SIGTERM


def test_a_traceback_does_not_show_arguments(tmp_path: Path) -> None:
    folders = {"ansible_collections": [str(tmp_path)]}
    done = run(tmp_path, launcher_text("ansible_collections.none", folders, {"secret_key": "hidden"}))
    assert "No module named" in done.stderr
    assert "hidden" not in done.stderr


def text_of(arguments: dict[str, Any]) -> str:
    module, _path = installed_module(f"workload_identity.aws.{MODULE}", arguments, sys.executable)
    return str(module.b_module_data.decode())
