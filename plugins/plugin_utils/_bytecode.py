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
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

PLUGINS = __name__.rpartition(".plugin_utils.")[0]


class _SourceFinder(MetaPathFinder):
    """A finder that loads modules of this collection with Python's standard loader, which caches bytecode on disk."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module, or None to leave the import to Ansible.

        :arg path: the folders of the package that contains the module, or None for a top-level module.
        """
        if not fullname.startswith(f"{PLUGINS}.") or not path:
            return None
        source = Path(path[0], fullname.rpartition(".")[2])
        package = source / "__init__.py"
        if package.is_file():
            return spec_from_file_location(fullname, package, submodule_search_locations=[str(source)])
        module = source.with_suffix(".py")
        return spec_from_file_location(fullname, module) if module.is_file() else None


def import_cached(name: str) -> ModuleType:
    """Import a module of plugin_utils and its dependencies in this collection with a bytecode cache on disk.

    Garbage collection then ignores all objects that exist after the import, also in worker processes that are forked later.

    :arg name: the name of the module in plugin_utils.
    :raises ImportError: when the module or a dependency cannot be imported.
    """
    finder = _SourceFinder()
    sys.meta_path.insert(0, finder)
    collects = gc.isenabled()
    gc.disable()
    try:
        return import_module(f"{PLUGINS}.plugin_utils.{name}")
    finally:
        sys.meta_path.remove(finder)
        gc.freeze()
        if collects:
            gc.enable()
