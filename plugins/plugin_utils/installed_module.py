# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that all plugin_utils of this collection are private to it.

"""A module that runs on the controller starts from where it is installed.

For another host Ansible packs whatever a module imports: two hundred files, read and parsed here, unpacked and compiled
there. Where both are the same machine, Python and user, that is half of the time until AWS gets a first request.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.module_utils.common import json as ansible_json
from ansible.plugins.action import ActionBase
from ansible.release import __version__
from ansible_collections.workload_identity.aws.plugins.plugin_utils import launcher

try:
    from ansible.executor.module_common import _BuiltModule
except ImportError:  # ansible-core before 2.19
    _BuiltModule = None

ROOTS = ("ansible", "ansible_collections")
# Of which the launcher imports a part, whatever it launches.
OWN = "workload_identity.aws"
# Collections of whose parts a collection's modules import some.
NEEDED = {OWN: ("amazon.aws",)}
# How a module that says nothing about it reads its arguments and writes its result.
PROFILE = "legacy"


def runs_here(action: ActionBase) -> bool:
    """Whether the action's modules run on this machine as this user."""
    return action._connection.transport == "local" and not action._play_context.become


def starts_here(action: ActionBase, variables: Mapping[str, Any]) -> bool:
    """Whether the action's module runs here, with the Python that this is, and not in the background."""
    if _is_unknown() or not runs_here(action) or action._task.async_val:
        return False
    host = action._task.delegate_to
    of_host = variables["ansible_delegated_vars"][host] if host else variables
    setting = constants.config.get_config_value("INTERPRETER_PYTHON", variables=of_host)
    return bool(action._templar.template(setting) == sys.executable)


def _is_unknown() -> bool:
    """Return whether this ansible-core has another name for what it runs, so that it has to pack modules itself."""
    major, minor = (int(part) for part in __version__.split(".")[:2])
    return _BuiltModule is None and (major, minor) >= (2, 19)


def installed_module(name: str, arguments: Mapping[str, Any], interpreter: str) -> Any:
    """What ``ActionBase._configure_module`` returns for a module, by its full name, with the launcher in the place of the
    packed module."""
    collection, module = name.rsplit(".", 1)
    folders = _folders(collection)
    root = f"ansible_collections.{collection}"
    path = Path(folders[root][0]) / "plugins" / "modules" / f"{module}.py"
    text = launcher_text(f"{root}.plugins.modules.{module}", folders, arguments)
    shebang = f"#!{interpreter}"
    if _BuiltModule is None:
        return "new", shebang, text.encode(), str(path)
    built = _BuiltModule(
        b_module_data=text.encode(), module_style="new", shebang=shebang, serialization_profile=PROFILE
    )
    return built, str(path)


def _folders(collection: str) -> dict[str, list[str]]:
    """Where the packages are that a module of a collection imports from, with all packages above them."""
    names = list(ROOTS)
    for each in dict.fromkeys((OWN, *NEEDED.get(collection, ()), collection)):
        names += [f"ansible_collections.{each.partition('.')[0]}", f"ansible_collections.{each}"]
    return {name: list(importlib.import_module(name).__path__) for name in names}


def launcher_text(module: str, folders: Mapping[str, list[str]], arguments: Mapping[str, Any]) -> str:
    """A script that runs a module with these arguments. A traceback shows the line of the call, so they are above it."""
    return "\n".join(
        [
            Path(launcher.__file__).read_text(encoding="utf-8"),
            f"FOLDERS = {folders!r}",
            f"ARGUMENTS = {_encoded({'ANSIBLE_MODULE_ARGS': arguments})!r}",
            f"launch({module!r}, FOLDERS, ARGUMENTS)",
        ]
    )


def _encoded(content: Mapping[str, Any]) -> str:
    if hasattr(ansible_json, "get_module_encoder"):
        encoder = ansible_json.get_module_encoder(PROFILE, ansible_json.Direction.CONTROLLER_TO_MODULE)
        return json.dumps(content, cls=encoder)
    return json.dumps(content, cls=ansible_json.AnsibleJSONEncoder, vault_to_text=True)
