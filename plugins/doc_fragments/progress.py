# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What a module keeps of its progress, and how its messages call options."""

    DOCUMENTATION = r"""
options:
  option_prefix:
    description:
      - What the caller's options have before the names that they have here, for messages. The role
        P(workload_identity.aws.pod_identity#role) sets it.
    type: str
    default: ""
  progress_file:
    description:
      - File that the module keeps while it runs, with how far it is, as JSON; by stage how many are done and how many
        there are.
      - Where the module runs on the controller, its action plugin gives one and shows a line every ten seconds.
        Give a path of your own to follow a run in another way. The module makes the file, with mode 0600; it refuses
        a path at which there is anything already, a link included.
    type: path
"""
