# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""IAM's own answer on a permission (iam:SimulatePrincipalPolicy, iam:SimulateCustomPolicy)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._aws.client import Api
from ..._policy.language.context import Context
from ..._policy.language.text import to_json
from ..._policy.permissions.permissions import NamedPolicy, Required, key_state

# EvalDecision in the API, and the word that we have for it.
_DECISIONS = {
    "allowed": "allowed",
    "explicitDeny": "explicit_deny",
    "implicitDeny": "implicit_deny",
}


@dataclass(frozen=True, slots=True)
class Simulated:
    """``missing`` are the condition keys that IAM had no value for."""

    decision: str
    missing: tuple[str, ...]

    def differs(self, decision: str) -> bool:
        """Whether IAM says something else than a definite verdict."""
        return decision not in ("conditional", self.decision)


def simulate_role(api: Api, role_arn: str, required: Required, context: Context) -> Simulated:
    """Ask about a role with its policies and boundary as they are in IAM."""
    parameters = {"PolicySourceArn": role_arn, **_question(required, context)}
    return _answer(api.call("iam", "SimulatePrincipalPolicy", parameters))


def simulate_documents(
    api: Api,
    identity: Sequence[NamedPolicy],
    boundary: NamedPolicy | None,
    required: Required,
    context: Context,
) -> Simulated:
    """Ask about documents."""
    parameters: dict[str, Any] = {
        "PolicyInputList": [to_json(policy.document) for policy in identity],
        **_question(required, context),
    }
    if boundary is not None:
        parameters["PermissionsBoundaryPolicyInputList"] = [to_json(boundary.document)]
    return _answer(api.call("iam", "SimulateCustomPolicy", parameters))


def _question(required: Required, context: Context) -> dict[str, Any]:
    known: dict[str, tuple[str, ...]] = {
        key: state for key, state in context.keys.items() if isinstance(state, tuple)
    }
    for key, value in required.context.items():
        known[key.lower()] = key_state(value)
    spelled = {key.lower(): key for key in required.context}
    return {
        "ActionNames": [required.action],
        "ResourceArns": [required.resource],
        "ContextEntries": [
            {
                "ContextKeyName": spelled.get(key, key),
                "ContextKeyValues": list(values),
                "ContextKeyType": "stringList" if len(values) > 1 else "string",
            }
            for key, values in sorted(known.items())
            if values
        ],
    }


def _answer(response: Mapping[str, Any]) -> Simulated:
    result = response["EvaluationResults"][0]
    return Simulated(
        _DECISIONS.get(result["EvalDecision"], str(result["EvalDecision"])),
        tuple(result.get("MissingContextValues", ())),
    )
