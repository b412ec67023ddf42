# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run playbooks of the collection in forks of this process, which has imported Ansible already.

This saves more than a second of processor time for each run. Each line of the standard input has the arguments of a run as JSON:
first the file for its output, then the arguments of ansible-playbook. The response is a line with the exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from ansible.cli.playbook import PlaybookCLI
from ansible.plugins.loader import init_plugin_loader

# Only then the collection can be imported.
init_plugin_loader()
importlib.import_module("ansible_collections.workload_identity.aws.plugins.plugin_utils._role_action")


def play(output: str, *arguments: str) -> None:
    """Run a playbook, and end the process with its exit code, but without deleting the temporary folder of the first process."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    try:
        PlaybookCLI.cli_executor(["ansible-playbook", *arguments])
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))


for line in sys.stdin:
    process = os.fork()
    if not process:
        play(*json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
