# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module eks_pod_identity as its action plugin hands them over, for a run without Ansible.

module_arguments.py WORKLOADS.json CLUSTER ARGUMENTS.json
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    write_parsed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
)


def main() -> int:
    workloads, cluster, path = sys.argv[1:]
    options = {"cluster_name": cluster, "workloads_from": [workloads]}
    file = write_parsed(read_input(options, list), str(Path(path).parent))
    arguments = {"cluster_name": cluster, "parsed_input": asdict(file), "verify": True}
    Path(path).write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
