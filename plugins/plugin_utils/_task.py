# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access the task of an action plugin: its keywords, templates, module_defaults, environment and connection."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.executor import module_common
from ansible.plugins.action import ActionBase


class ActionTask:
    """The task of an action plugin. This is the only class that uses private attributes of Ansible's action plugins.

    ``keywords`` is Ansible's object for the task, with attributes such as ``args``, ``no_log``, ``async_val`` and ``play``.
    """

    def __init__(self, action: ActionBase) -> None:
        self.action = action
        self.keywords: Any = action._task

    @property
    def identity(self) -> str:
        """Return an ID of the task, which is the same on all hosts and different from other tasks with the same keywords."""
        return str(self.keywords._uuid)

    @property
    def connection(self) -> Any:
        return self.action._connection

    @property
    def loader(self) -> Any:
        return self.action._loader

    @property
    def templar(self) -> Any:
        return self.action._templar

    @property
    def check_mode(self) -> bool:
        return bool(self.keywords.check_mode)

    def template(self, value: Any, variables: Mapping[str, Any] | None = None) -> Any:
        """Evaluate the templates in a value, which may be nested.

        :arg variables: the variables of another host, or None for the variables of the task.
        :raises AnsibleError: when a template fails.
        """
        if variables is None:
            return self.templar.template(value)
        return self.templar.copy_with_new_env(available_variables=variables).template(value)

    def with_defaults(self, module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Add the module_defaults of the task for a module to the arguments. Existing arguments take precedence.

        :arg module: the full name of the module.
        """
        if hasattr(module_common, "_apply_action_arg_defaults"):
            apply = module_common._apply_action_arg_defaults
            return dict(apply(module, self.keywords, dict(arguments), self.templar))
        # ansible-core before 2.19
        defaults = module_common.get_action_args_with_defaults(
            module,
            dict(arguments),
            self.keywords.module_defaults,
            self.templar,
            action_groups=self.keywords.play._action_groups,
        )
        return dict(defaults)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables of the task (keyword ``environment``).

        Ansible sets them for modules, but not for action plugins.

        :raises AnsibleError: when a template fails.
        """
        values: dict[str, str] = {}
        for environment in self.keywords.environment or ():
            templated = self.template(environment) or {}
            values |= {str(name): str(value) for name, value in templated.items()}
        return values

    @contextlib.contextmanager
    def in_environment(self) -> Iterator[None]:
        """Set the environment of the task in this process, because clients read credentials from environment variables.

        Use this context manager only in the main thread, and only once, around all work of the task.
        """
        original = dict(os.environ)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(original)

    def region(self, option: object) -> str:
        """Return the AWS region from an option, or else from the environment of the task or of this process, or "".

        :raises AnsibleError: when a template of the environment fails.
        """
        environment = {**os.environ, **self.environment}
        return str(option or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "")
