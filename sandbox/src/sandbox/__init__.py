# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox: AWS and Kubernetes endpoints on the local machine, for the demo, the tests and the benchmarks."""
