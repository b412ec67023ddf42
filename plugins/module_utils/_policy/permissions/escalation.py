# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find combinations of permissions with which a role can obtain further permissions (privilege escalation).

The combinations are known from public research on IAM. Many of them include iam:PassRole: the role passes another role to a
service, and uses the permissions of that role through the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..evaluation.evaluate import ALLOWED, CONDITIONAL, Layer
from ..evaluation.rules import Rule
from ..language.context import Context
from .actions import ActionIndex
from .levels import Decision, Possibility, find_possibility
from .permissions import Required, check_permission

# Actions with which a role can give all permissions to a role. A role that may use one of them on itself is an administrator.
_SELF_GRANTS = ("iam:AttachRolePolicy", "iam:PutRolePolicy")
_PASS_ROLE = "iam:PassRole"
_PASSED_TO = "iam:passedtoservice"


@dataclass(frozen=True, slots=True)
class SelfGrant:
    """An action with which a role can give itself all permissions. ``is_certain`` is false if this depends on condition keys."""

    action: str
    is_certain: bool


def find_self_grant(
    layers: Sequence[Layer], role_arn: str, policies: Iterable[str], context: Context
) -> SelfGrant | None:
    """Return an action with which a role can give itself all permissions, or None.

    A certainly allowed action takes precedence over an action that depends on conditions.

    :arg policies: the ARNs of the attached customer managed policies.
    :arg context: the condition keys of the requests.
    """
    grants = [Required(action, role_arn) for action in _SELF_GRANTS]
    grants += [Required("iam:CreatePolicyVersion", arn) for arn in policies]
    uncertain = None
    for grant in grants:
        decision = check_permission(layers, grant, context).decision
        if decision == ALLOWED:
            return SelfGrant(grant.action, True)
        if decision == CONDITIONAL and uncertain is None:
            uncertain = SelfGrant(grant.action, False)
    return uncertain


@dataclass(frozen=True, slots=True)
class Combination:
    """A combination of actions that gives further permissions. ``effect`` completes the sentence "The role can …".

    ``passed_to`` is the principal of the service to which a role is passed, such as lambda.amazonaws.com, or "" if the
    combination does not include iam:PassRole.
    """

    name: str
    actions: tuple[str, ...]
    effect: str
    passed_to: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Return all actions that the role needs."""
        return (_PASS_ROLE, *self.actions) if self.passed_to else self.actions


def _passing(name: str, service: str, effect: str, *actions: str) -> Combination:
    return Combination(name, actions, effect, f"{service}.amazonaws.com")


COMBINATIONS: Sequence[Combination] = (
    Combination(
        "new-policy-version",
        ("iam:CreatePolicyVersion",),
        "replace the contents of a managed policy, even of a policy that is attached to the role itself",
    ),
    Combination(
        "default-policy-version",
        ("iam:SetDefaultPolicyVersion",),
        "activate an earlier version of a managed policy that has more permissions",
    ),
    Combination("attach-role-policy", ("iam:AttachRolePolicy",), "attach any managed policy to a role"),
    Combination("put-role-policy", ("iam:PutRolePolicy",), "write any inline policy into a role"),
    Combination("attach-user-policy", ("iam:AttachUserPolicy",), "attach any managed policy to a user"),
    Combination("put-user-policy", ("iam:PutUserPolicy",), "write any inline policy into a user"),
    Combination("attach-group-policy", ("iam:AttachGroupPolicy",), "attach any managed policy to a group"),
    Combination("put-group-policy", ("iam:PutGroupPolicy",), "write any inline policy into a group"),
    Combination("join-group", ("iam:AddUserToGroup",), "add a user to a group that has more permissions"),
    Combination("create-access-key", ("iam:CreateAccessKey",), "create access keys for other users"),
    Combination(
        "create-login", ("iam:CreateLoginProfile",), "set the first console password of another user"
    ),
    Combination("change-login", ("iam:UpdateLoginProfile",), "change the console password of another user"),
    Combination(
        "change-trust",
        ("iam:UpdateAssumeRolePolicy",),
        "change who may assume another role, and then assume it",
    ),
    Combination(
        "remove-boundary",
        ("iam:DeleteRolePermissionsBoundary",),
        "remove the permissions boundary of a role",
    ),
    _passing("ec2-instance", "ec2", "start an instance with another role", "ec2:RunInstances"),
    _passing(
        "lambda-invoke",
        "lambda",
        "run code with another role in a new Lambda function",
        "lambda:CreateFunction",
        "lambda:InvokeFunction",
    ),
    _passing(
        "lambda-trigger",
        "lambda",
        "run code with another role in a new Lambda function that an event starts",
        "lambda:CreateFunction",
        "lambda:CreateEventSourceMapping",
    ),
    Combination(
        "lambda-code",
        ("lambda:UpdateFunctionCode",),
        "replace the code of a Lambda function, and use the role of that function",
    ),
    _passing(
        "pod-identity",
        "pods.eks",
        "give another role to a service account of a cluster",
        "eks:CreatePodIdentityAssociation",
    ),
    Combination(
        "cluster-access",
        ("eks:CreateAccessEntry", "eks:AssociateAccessPolicy"),
        "make a principal the administrator of a cluster, and use the role of each Pod",
    ),
    _passing(
        "ecs-task",
        "ecs-tasks",
        "run a container with another role",
        "ecs:RegisterTaskDefinition",
        "ecs:RunTask",
    ),
    _passing(
        "cloudformation", "cloudformation", "create a stack with another role", "cloudformation:CreateStack"
    ),
    _passing(
        "codebuild",
        "codebuild",
        "run commands with another role in a build",
        "codebuild:CreateProject",
        "codebuild:StartBuild",
    ),
    _passing(
        "glue", "glue", "run code with another role in a Glue job", "glue:CreateJob", "glue:StartJobRun"
    ),
    _passing(
        "sagemaker",
        "sagemaker",
        "open a SageMaker notebook with another role",
        "sagemaker:CreateNotebookInstance",
        "sagemaker:CreatePresignedNotebookInstanceUrl",
    ),
    _passing(
        "step-functions",
        "states",
        "run a state machine with another role",
        "states:CreateStateMachine",
        "states:StartExecution",
    ),
    Combination(
        "ssm-command", ("ssm:SendCommand",), "run commands on instances, and use the roles of these instances"
    ),
    Combination(
        "ssm-session",
        ("ssm:StartSession",),
        "open a shell on instances, and use the roles of these instances",
    ),
)


@dataclass(frozen=True, slots=True)
class Escalation:
    """A combination that the policies of a role allow or may allow.

    ``is_certain`` is false if they may not allow it. ``rules`` has the statements that allow or may allow the actions.
    """

    combination: Combination
    is_certain: bool
    rules: tuple[Rule, ...] = ()


@dataclass
class EscalationFinder:
    """A search for the combinations that the policies of a role allow or may allow.

    :arg layers: the result of ``permission_layers``.
    :arg context: the condition keys of every request (see ``pod_context``).
    """

    layers: Sequence[Layer]
    context: Context
    index: ActionIndex
    _decided: dict[tuple[str, str], Possibility] = field(default_factory=dict)

    def find(self) -> list[Escalation]:
        """Return the combinations whose actions all are or may be allowed, each on at least one resource."""
        found = []
        for combination in COMBINATIONS:
            parts = [
                self._decide(action, combination.passed_to if action == _PASS_ROLE else "")
                for action in combination.needs
            ]
            decisions: set[Decision] = {part.decision for part in parts}
            if "no" in decisions:
                continue
            rules = tuple(dict.fromkeys(rule for part in parts for rule in part.rules))
            found.append(Escalation(combination, "depends" not in decisions, rules))
        return found

    def _decide(self, action: str, passed_to: str) -> Possibility:
        key = action, passed_to
        if key not in self._decided:
            context = self.context.assume({_PASSED_TO: (passed_to,)}) if passed_to else self.context
            found = self.index.find(action.lower())
            self._decided[key] = find_possibility(self.layers, found, context, self.index)
        return self._decided[key]
