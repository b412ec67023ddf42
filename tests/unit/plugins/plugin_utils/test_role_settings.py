# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the defaults of the settings for Kubernetes."""

from __future__ import annotations

from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import kubernetes_settings


def test_settings_have_the_defaults_of_the_role() -> None:
    settings = kubernetes_settings({"restart_stale": True, "runtime_proof": True}, False)
    assert settings.restart == 300
    assert settings.proof is not None
    assert settings.proof.image == "public.ecr.aws/aws-cli/aws-cli:2.32.9"
