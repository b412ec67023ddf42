# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy simulator of IAM."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sandbox.aws.model.errors import Refusal
from sandbox.aws.model.evaluation import ALLOW, DENY, Question, decide
from sandbox.aws.model.iam import Iam
from sandbox.aws.model.tables import Answer, Request


class IamWithSimulator(Iam):
    """IAM with the operations of the policy simulator."""

    def SimulatePrincipalPolicy(self, request: Request) -> Answer:
        arn = request["PolicySourceArn"]
        entity = self.role_of(arn) or self.users.get(arn.rpartition("/")[2])
        if entity is None or entity["Arn"] != arn:
            raise Refusal("NoSuchEntity", f"ARN {arn} is not valid.")
        limits = [[self.default_document(entity["boundary"])]] if entity["boundary"] else []
        return _simulate(request, [self.documents_of(entity), *limits])

    def SimulateCustomPolicy(self, request: Request) -> Answer:
        documents = [request["PolicyInputList"]]
        if request.get("PermissionsBoundaryPolicyInputList"):
            documents.append(request["PermissionsBoundaryPolicyInputList"])
        return _simulate(request, [[json.loads(text) for text in texts] for texts in documents])


def _simulate(request: Request, groups: Iterable[list[Any]]) -> Answer:
    """Evaluate groups of documents, each of which must allow the action."""
    context = {
        entry["ContextKeyName"].lower(): values if len(values) > 1 else values[0]
        for entry in request.get("ContextEntries", ())
        if (values := entry.get("ContextKeyValues", ()))
    }
    results = []
    for action in request["ActionNames"]:
        for resource in request.get("ResourceArns") or ["*"]:
            decisions = [decide(documents, Question(action, resource, context)) for documents in groups]
            allowed = ALLOW if all(decisions) else ""
            decision = {DENY: "explicitDeny", ALLOW: "allowed"}.get(
                DENY if DENY in decisions else allowed, "implicitDeny"
            )
            results.append({"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision})
    return {"EvaluationResults": results, "IsTruncated": False}
