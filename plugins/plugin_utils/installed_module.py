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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common import json as ansible_json
from ansible_collections.workload_identity.aws.plugins.plugin_utils import launcher

try:
    from ansible.executor.module_common import _BuiltModule
except ImportError:  # ansible-core before 2.19
    _BuiltModule = None

COLLECTION = "ansible_collections.workload_identity.aws"
# With all the packages above them. What the modules import is in these.
PACKAGES = (
    "ansible",
    "ansible_collections",
    "ansible_collections.amazon",
    "ansible_collections.amazon.aws",
    "ansible_collections.workload_identity",
    COLLECTION,
)
# How a module that says nothing about it reads its arguments and writes its result.
PROFILE = "legacy"


def installed_module(name: str, arguments: Mapping[str, Any], interpreter: str) -> Any:
    """What ``ActionBase._configure_module`` returns for a module of this collection, with the launcher in the place
    of the packed module."""
    folders = {package: list(importlib.import_module(package).__path__) for package in PACKAGES}
    path = Path(folders[COLLECTION][0]) / "plugins" / "modules" / f"{name}.py"
    text = launcher_text(f"{COLLECTION}.plugins.modules.{name}", folders, arguments)
    shebang = f"#!{interpreter}"
    if _BuiltModule is None:
        return "new", shebang, text.encode(), str(path)
    module = _BuiltModule(
        b_module_data=text.encode(), module_style="new", shebang=shebang, serialization_profile=PROFILE
    )
    return module, str(path)


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
