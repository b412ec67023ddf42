# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Embedded AWS and Kubernetes endpoints for the demo, the tests and the benchmarks."""
