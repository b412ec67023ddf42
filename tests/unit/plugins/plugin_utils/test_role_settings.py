# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the defaults of the settings for Kubernetes."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_run as role_run

DEFAULTS = Path(role_run.__file__).parents[2] / "roles/pod_identity/defaults/main.yml"
STEPS = {"restart_stale": True, "runtime_proof": True, "proof_run": "run"}


def test_settings_have_the_defaults_of_the_role() -> None:
    variables = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    defaults = {name.removeprefix("pod_identity_"): value for name, value in variables.items()}
    image = {"proof_image": defaults["proof_image"]}
    assert defaults["proof_image"] == role_run.DEFAULT_IMAGE
    assert role_run.kubernetes_settings({**STEPS, **image}, False) == role_run.kubernetes_settings(
        {**defaults, **STEPS}, False
    )
