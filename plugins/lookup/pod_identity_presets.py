# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pod_identity_presets
version_added: 1.0.0
short_description: List the presets of permissions policies
description:
  - Returns the presets that C(policies) of a workload may name, with their parameters, statements, versions and sources.
  - The lookup reads files of the collection, and sends no requests.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  _terms:
    description: The names of presets. By default all presets are returned, in the order of their names.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show the names of all presets
  ansible.builtin.debug:
    msg: "{{ query('workload_identity.aws.pod_identity_presets') | map(attribute='name') }}"

- name: Show the parameters of a preset
  ansible.builtin.debug:
    msg: "{{ (lookup('workload_identity.aws.pod_identity_presets', 'external-dns')).parameters }}"
"""

RETURN = r"""
_raw:
  description: The presets.
  type: list
  elements: dict
  contains:
    name:
      description: Name of the preset.
      type: str
      sample: external-dns
    title:
      description: Name of the product or use.
      type: str
      sample: ExternalDNS
    purpose:
      description: The purpose of the permissions.
      type: str
    version:
      description: Version of the preset. It grows with each change of its statements.
      type: int
      sample: 1
    checked:
      description: Date on which the preset was compared with its source.
      type: str
      sample: "2026-11-29"
    source:
      description: URL of the documentation that lists the permissions.
      type: str
    source_version:
      description: Version of this documentation or of the product.
      type: str
      sample: v0.22.0
    partitions:
      description: Partitions in which the preset can be used.
      type: list
      elements: str
      sample:
        - aws
        - aws-cn
    namespace:
      description: Namespace of the product's own installation, or an empty string.
      type: str
      sample: external-dns
    service_account:
      description: Service account of the product's own installation, or an empty string.
      type: str
      sample: external-dns
    needs_session_tags:
      description: Whether conditions of the policies use the session tags of EKS Pod Identity.
      type: bool
      sample: false
    managed_policies:
      description: AWS managed policies for the same purpose, each with its path and name.
      type: list
      elements: str
    left_out:
      description: Actions of these managed policies that the preset leaves out, with the reasons.
      type: dict
    limits:
      description: Uses that the preset does not cover, or an empty string.
      type: str
    parameters:
      description: The parameters of the preset.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the parameter.
          type: str
          sample: hosted_zone_ids
        type:
          description: One of V(name), V(names), V(arn), V(arns), V(flag). V(names) and V(arns) are lists.
          type: str
          sample: names
        description:
          description: Meaning of the parameter.
          type: str
        required:
          description: Whether the parameter has no default value.
          type: bool
          sample: false
        default:
          description: The default value, or null for a required parameter.
          type: raw
        pattern:
          description: Regular expression for each value, or an empty string.
          type: str
        service:
          description: Service part of the ARNs, or an empty string.
          type: str
    policies:
      description: The policies of the preset.
      type: list
      elements: dict
      contains:
        suffix:
          description: End of the name of the policy, or an empty string.
          type: str
          sample: ""
        size:
          description: Number of characters with all statements, without white space. Values of parameters count as long as their
            placeholders.
          type: int
          sample: 812
        statements:
          description: The statements, with placeholders. A statement with C(when) depends on that parameter.
          type: list
          elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.filter.core import flatten
from ansible.plugins.lookup import LookupBase

from ..module_utils._findings.text import visible
from ..module_utils._identity.inputs.presets import (
    Preset,
    load_preset,
    preset_names,
    unknown_preset,
)
from ..module_utils._identity.model.errors import InputError


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no type information
    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        names = preset_names()
        chosen = [str(name) for name in flatten(terms, skip_nulls=False)]
        problems = [unknown_preset(name, names) for name in chosen if name not in names]
        if problems:
            raise AnsibleLookupError("\n".join(map(visible, problems)))
        try:
            return [_row(load_preset(name)) for name in chosen or names]
        except InputError as error:
            raise AnsibleLookupError("\n".join(map(visible, error.problems))) from None


def _row(preset: Preset) -> dict[str, Any]:
    names = (
        "name",
        "title",
        "purpose",
        "version",
        "checked",
        "source",
        "source_version",
        "namespace",
        "service_account",
        "needs_session_tags",
        "limits",
    )
    return {
        **{name: getattr(preset, name) for name in names},
        "partitions": list(preset.partitions),
        "managed_policies": list(preset.managed_policies),
        "left_out": dict(preset.left_out),
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.kind,
                "description": parameter.description,
                "required": parameter.default is None,
                "default": parameter.default,
                "pattern": parameter.pattern,
                "service": parameter.service,
            }
            for parameter in preset.parameters.values()
        ],
        "policies": [
            {"suffix": policy.suffix, "size": policy.size, "statements": list(policy.statements)}
            for policy in preset.policies
        ],
    }
