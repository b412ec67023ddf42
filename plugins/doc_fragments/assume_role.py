# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options that name a role to assume, of everything that asks AWS."""

    DOCUMENTATION = r"""
options:
  assume_role_arn:
    description:
      - ARN of an IAM role that is assumed first, with the credentials that there are, be it those of the environment, of a
        profile, of O(access_key) and O(secret_key), or of the machine. All requests to AWS are then made as this role, in its
        account.
      - The credentials of the role are renewed when a run outlives them. They stay in memory, and are in no result.
    type: str
  assume_role_external_id:
    description:
      - The external ID that the role's trust policy asks for. AWS does not treat it as a secret; it is not hidden.
    type: str
  assume_role_session_name:
    description:
      - The name of the session, which CloudTrail and error messages of AWS show. 2 to 64 letters, digits and characters
        of V(_+=,.@-).
      - Without it the name is V(workload-identity).
    type: str
  assume_role_duration:
    description:
      - For how many seconds the credentials of the role are asked for, from 900 to 43200, but no longer than the role's
        maximum session duration allows, and no longer than 3600 where the credentials that there are belong to a role
        themselves.
      - A run may take longer. Without it they are asked for 3600 seconds.
    type: int
"""
