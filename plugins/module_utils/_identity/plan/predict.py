# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Predict the state of AWS after a plan. Pure.

A run in check mode does not apply the plan, so its verification uses the predicted state.
"""

from __future__ import annotations

from dataclasses import replace

from ..model.changes import Plan
from ..model.observed import Observed
from ..model.resource_types import of_observed_resources, predict_change


def predict(observed: Observed, plan: Plan) -> Observed:
    """Return the ``observed`` state with the changes of ``plan`` applied: the same roles, and the policies that they have."""
    resources = dict(observed.resources)
    for change in of_observed_resources(plan.changes):
        predict_change(resources, change)
    predicted = observed.with_resources(resources)
    roles = {name: predicted.roles.get(name) for name in observed.roles}
    known = {arn for role in roles.values() if role is not None for arn in role.attached}
    known |= observed.policies.keys()
    policies = {arn: policy for arn, policy in predicted.policies.items() if arn in known}
    return replace(predicted, roles=roles, policies=policies)
