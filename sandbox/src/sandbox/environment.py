# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment variables with which AWS and Kubernetes clients use the sandbox."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.ports import LOOPBACK

LOCAL_HOSTS = (LOOPBACK, "localhost")


@dataclass(frozen=True, slots=True)
class EnvironmentChange:
    """A change of the environment: variables to set and to unset, and hosts that clients reach without a proxy."""

    set: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    direct_hosts: tuple[str, ...] = ()

    def apply(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return a copy of an environment to which the change is applied."""
        result = {name: value for name, value in environment.items() if name not in self.unset}
        result.update(self.set)
        if self.direct_hosts:
            hosts = ",".join(self.direct_hosts)
            for name in ("NO_PROXY", "no_proxy"):
                present = environment.get(name, "")
                result[name] = hosts if not present else f"{present},{hosts}"
        return result

    def as_shell(self) -> str:
        """Return the change as commands of a POSIX shell."""
        lines = [f"unset {name}" for name in self.unset]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in self.set.items()]
        if self.direct_hosts:
            hosts = ",".join(self.direct_hosts)
            for name in ("NO_PROXY", "no_proxy"):
                lines.append(f'export {name}="${{{name}:+${name},}}{hosts}"')
        return "\n".join(lines) + "\n"


def combine(changes: Sequence[EnvironmentChange]) -> EnvironmentChange:
    """Combine several changes into one.

    If one change sets a variable and another change unsets it, the result sets the variable.
    """
    values = {name: value for change in changes for name, value in change.set.items()}
    removed = [name for change in changes for name in change.unset if name not in values]
    hosts = [host for change in changes for host in change.direct_hosts]
    return EnvironmentChange(values, tuple(dict.fromkeys(removed)), tuple(dict.fromkeys(hosts)))
