# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Import modules of this collection with a bytecode cache on disk, and without garbage collection.

Ansible caches the bytecode of a plugin file. But it compiles the modules that the plugin imports in every process, which
adds 0.3 seconds to a run of the role. Garbage collection of the imported objects, which live until the process ends, adds
another 0.2 seconds.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

PLUGINS = __name__.rpartition(".plugin_utils.")[0]


class _SourceFinder(MetaPathFinder):
    """A finder that loads modules of this collection with Python's standard loader, which caches bytecode on disk."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{PLUGINS}.") or not path:
            return None
        return FileFinder(path[0], (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(fullname)


def import_cached(name: str) -> ModuleType:
    """Import a module of plugin_utils and its dependencies in this collection with a bytecode cache on disk.

    Garbage collection then ignores all objects that exist after the import, also in worker processes that are forked later.

    :arg name: the name of the module in plugin_utils.
    :raises ImportError: when the module or a dependency cannot be imported.
    """
    finder = _SourceFinder()
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        return import_module(f"{PLUGINS}.plugin_utils.{name}")
    finally:
        sys.meta_path.remove(finder)
        gc.freeze()
        gc.enable()
