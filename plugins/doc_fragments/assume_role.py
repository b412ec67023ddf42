# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of the role to assume, for modules and plugins with AWS requests."""

    DOCUMENTATION = r"""
options:
  assume_role_arn:
    description:
      - ARN of an IAM role to assume with the credentials from the environment, a profile, O(access_key) and O(secret_key), or
        the instance. All other requests to AWS use this role, in its account.
      - The credentials of the role are renewed before they expire. They are kept in memory only, and are not part of any
        result.
    type: str
  assume_role_external_id:
    description:
      - The external ID that the role's trust policy requires. It is not hidden in output, because AWS does not treat it as
        a secret.
    type: str
"""
