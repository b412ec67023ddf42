# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pod_identity_codes
version_added: 1.0.0
short_description: Explain the codes of findings and failures
description:
  - Returns the severities, the cause and the remedy of codes that a run reports.
  - The lookup reads a file of the collection, and sends no requests. The same texts are in C(docs/codes.md).
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  _terms:
    description: The codes. By default all codes are returned, in the order of their names.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Explain a code of the output
  ansible.builtin.debug:
    msg: "{{ lookup('workload_identity.aws.pod_identity_codes', 'ROLE_MISSING') }}"
"""

RETURN = r"""
_raw:
  description: The codes.
  type: list
  elements: dict
  contains:
    code:
      description: The code.
      type: str
      sample: ROLE_MISSING
    severities:
      description: The severities that the code may have, the usual one first. V(failure) is for a change that was not made.
      type: list
      elements: str
      sample: [error, failure]
    cause:
      description: The cause, as Markdown.
      type: str
      sample: The role does not exist.
    remedy:
      description: The remedy, as Markdown.
      type: str
      sample: Apply the workload, or correct `role.arn` or the annotation.
"""

import difflib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.filter.core import flatten
from ansible.plugins.lookup import LookupBase

from ..module_utils._findings.codes import Code
from ..module_utils._findings.text import visible
from ..module_utils._identity.inputs.yaml_file import read_yaml_value

CODES = Path(__file__).resolve().parents[2] / "docs" / "codes.yml"


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no type information
    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        groups: Any = read_yaml_value(str(CODES), CODES.read_text(encoding="utf-8"))
        rows = {
            code: {
                "code": code,
                "severities": [
                    *(Code(code).severities if group != "failures" else ()),
                    *(["failure"] if group == "failures" or texts.get("failure") else []),
                ],
                "cause": texts["cause"],
                "remedy": texts["remedy"],
            }
            for group, codes in groups.items()
            for code, texts in codes.items()
        }
        chosen = [str(term) for term in flatten(terms, skip_nulls=False)]
        if unknown := [name for name in chosen if name not in rows]:
            near = difflib.get_close_matches(unknown[0].upper(), rows, 1)
            hint = f"did you mean '{near[0]}'?" if near else "docs/codes.md lists all codes."
            raise AnsibleLookupError(visible(f"there is no code '{unknown[0]}'; {hint}"))
        return [rows[code] for code in chosen or sorted(rows)]
