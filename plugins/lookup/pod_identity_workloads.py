# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pod_identity_workloads
version_added: 1.0.0
short_description: Read workloads from files
description:
  - Reads workloads from files and folders, like the option C(workloads_from) of
    M(workload_identity.aws.eks_pod_identity), and returns the workloads as a list.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  _terms:
    description:
      - Files with workloads, or folders of such files. A relative path is searched in the folder of the playbook and in the
        working directory of Ansible. A path that exists in both is an error.
    type: list
    elements: path
    required: true
  fields:
    description:
      - Return only these fields of each workload. By default all fields are returned.
      - Ansible processes every returned value, so a selection of fields saves time with thousands of workloads.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show the service accounts of a folder
  ansible.builtin.debug:
    msg: "{{ workloads | map(attribute='service_account') }}"
  vars:
    workloads: "{{ query('workload_identity.aws.pod_identity_workloads', 'teams/') }}"
"""

RETURN = r"""
_raw:
  description: The workloads of the files, unchanged and without default values.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.filter.core import flatten
from ansible.plugins.lookup import LookupBase

from ..module_utils._findings.text import visible
from ..module_utils._identity.model.errors import InputError
from ..plugin_utils._files import read_files


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no type information
    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            workloads: list[Any] = read_files(
                flatten(terms, skip_nulls=False), variables, self._loader
            ).workloads
        except InputError as error:
            raise AnsibleLookupError("\n".join(map(visible, error.problems))) from None
        fields = self.get_option("fields")
        if fields is None:
            return workloads
        return [_select(workload, fields) for workload in workloads]


def _select(workload: Any, fields: list[str]) -> Any:
    """Return a workload with only the fields in ``fields``. Return a value that is not a mapping unchanged."""
    if not isinstance(workload, dict):
        return workload
    return {name: workload[name] for name in fields if name in workload}
