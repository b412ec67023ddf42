# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that all plugin_utils of this collection are private to it.

"""The text of this file, with a call of ``launch`` below it, is what Ansible runs in the place of a packed module.

It begins in a process that knows no collection yet, with nothing but Python.
"""

from __future__ import annotations

import functools
import io
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import FileFinder, SourceFileLoader
from types import CodeType, ModuleType


class _SourceLoader(SourceFileLoader):
    """Compiles a file whenever it is imported. Bytecode beside it may be of another user, where the umask let others write
    to the folders that Python makes for it."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _find_source(roots: tuple[str, ...], path: str) -> FileFinder:
    if not any(path == root or path.startswith(root + os.sep) for root in roots):
        raise ImportError(path)
    return FileFinder(path, (_SourceLoader, [".py"]))


def launch(module: str, packages: Mapping[str, Sequence[str]], arguments: str) -> None:
    """Run a module, by its whole name, where it is installed. Its arguments, as JSON, are its standard input.

    ``packages`` says in which folders the controller found Ansible and the collections, so that no others are taken.
    """
    roots = [folder for name, folders in packages.items() if name.count(".") == 2 for folder in folders]
    sys.path_hooks.insert(0, functools.partial(_find_source, tuple(roots)))
    # Neither the folder of this script nor the current one, when it comes from standard input, is one to import from.
    script = getattr(sys.modules["__main__"], "__file__", None)
    unwanted = {"", *([os.path.dirname(os.path.realpath(script))] if script else ())}
    sys.path[:] = [path for path in sys.path if path not in unwanted]
    for name, folders in packages.items():
        package = ModuleType(name)
        package.__path__ = list(folders)
        package.__file__ = os.path.join(folders[0], "__init__.py")
        sys.modules[name] = package
    from ansible_collections.workload_identity.aws.plugins.module_utils._aws.listener import listened_to

    if module.startswith("ansible_collections.kubernetes.core."):
        from ansible_collections.workload_identity.aws.plugins.plugin_utils.exec_plugins import bound_plugins

        bound_plugins()
    sys.argv = [module]
    sys.stdin = io.TextIOWrapper(io.BytesIO(arguments.encode()), encoding="utf-8")
    # A module goes on when the worker that started it is killed alone, with nobody to tell what it does.
    with listened_to(functools.partial(os.kill, os.getpid(), signal.SIGTERM)):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
