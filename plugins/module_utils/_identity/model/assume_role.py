# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A role that a run assumes before it asks AWS for anything else. Pure."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_SESSION_NAME = "workload-identity"
# Seconds. Source: the parameter DurationSeconds of STS AssumeRole.
DEFAULT_DURATION = 3600
LEAST_DURATION = 900
MOST_DURATION = 43200


@dataclass(frozen=True, slots=True)
class AssumeRole:
    """A role to assume. ``duration`` is in seconds; an empty ``external_id`` is none.

    Source: the parameters of STS AssumeRole.
    """

    arn: str
    external_id: str = ""
    session_name: str = DEFAULT_SESSION_NAME
    duration: int = DEFAULT_DURATION

    @property
    def account_id(self) -> str:
        return self.arn.split(":")[4]


@dataclass(frozen=True, slots=True)
class RoleByName:
    """A role of the same name in several accounts. The name may have a path before it, like fleet/reader."""

    name: str
    external_id: str = ""
    session_name: str = DEFAULT_SESSION_NAME
    duration: int = DEFAULT_DURATION

    def in_account(self, partition: str, account_id: str) -> AssumeRole:
        arn = f"arn:{partition}:iam::{account_id}:role/{self.name}"
        return AssumeRole(arn, self.external_id, self.session_name, self.duration)
