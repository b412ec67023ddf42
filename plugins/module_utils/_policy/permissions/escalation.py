# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find combinations of permissions with which a role can obtain further permissions (privilege escalation).

The combinations are known from public research on IAM. Many of them include iam:PassRole: the role passes another role to a
service, and uses the permissions of that role through the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

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

    ``on`` is the kind of resource that the actions are for, and ``source`` the publication that describes the combination.
    ``passed_to`` is the principal of the service to which a role is passed, such as lambda.amazonaws.com, or "" if the
    combination does not include iam:PassRole.
    """

    name: str
    actions: tuple[str, ...]
    on: str
    effect: str
    source: str
    passed_to: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Return all actions that the role needs."""
        return (_PASS_ROLE, *self.actions) if self.passed_to else self.actions


RHINO = "Rhino Security Labs, AWS IAM Privilege Escalation: Methods and Mitigation"
PATHS = "pathfinding.cloud, AWS IAM privilege escalation paths"
IAM = "IAM API Reference"
SSO = "IAM Identity Center API Reference"
EKS = "EKS API Reference"
# The combination of a role that may pass every role of its account. It is reported even if no known combination uses it.
PASS_ANY_ROLE = Combination(
    "pass-any-role",
    (_PASS_ROLE,),
    "every role of the account",
    "pass every role of the account to a service",
    RHINO,
)
COMBINATIONS: Sequence[Combination] = (
    PASS_ANY_ROLE,
    Combination(
        "new-policy-version",
        ("iam:CreatePolicyVersion",),
        "a customer managed policy",
        "replace the contents of a managed policy, even of a policy that is attached to the role itself",
        RHINO,
    ),
    Combination(
        "default-policy-version",
        ("iam:SetDefaultPolicyVersion",),
        "a customer managed policy",
        "activate an earlier version of a managed policy that has more permissions",
        RHINO,
    ),
    Combination(
        "attach-role-policy",
        ("iam:AttachRolePolicy",),
        "a role",
        "attach any managed policy to a role",
        RHINO,
    ),
    Combination(
        "put-role-policy", ("iam:PutRolePolicy",), "a role", "write any inline policy into a role", RHINO
    ),
    Combination(
        "attach-user-policy",
        ("iam:AttachUserPolicy",),
        "a user",
        "attach any managed policy to a user",
        RHINO,
    ),
    Combination(
        "put-user-policy", ("iam:PutUserPolicy",), "a user", "write any inline policy into a user", RHINO
    ),
    Combination(
        "attach-group-policy",
        ("iam:AttachGroupPolicy",),
        "a group",
        "attach any managed policy to a group",
        RHINO,
    ),
    Combination(
        "put-group-policy", ("iam:PutGroupPolicy",), "a group", "write any inline policy into a group", RHINO
    ),
    Combination(
        "join-group",
        ("iam:AddUserToGroup",),
        "a group",
        "add a user to a group that has more permissions",
        RHINO,
    ),
    Combination(
        "create-access-key", ("iam:CreateAccessKey",), "a user", "create access keys for other users", RHINO
    ),
    Combination(
        "create-login",
        ("iam:CreateLoginProfile",),
        "a user",
        "set the first console password of another user",
        RHINO,
    ),
    Combination(
        "change-login",
        ("iam:UpdateLoginProfile",),
        "a user",
        "change the console password of another user",
        RHINO,
    ),
    Combination(
        "create-service-credential",
        ("iam:CreateServiceSpecificCredential",),
        "a user",
        "create credentials of another user for single services",
        IAM,
    ),
    Combination(
        "change-trust",
        ("iam:UpdateAssumeRolePolicy",),
        "a role",
        "change who may assume another role, and then assume it",
        RHINO,
    ),
    Combination(
        "remove-boundary",
        ("iam:DeleteRolePermissionsBoundary",),
        "a role",
        "remove the permissions boundary of a role",
        IAM,
    ),
    Combination(
        "change-boundary",
        ("iam:PutRolePermissionsBoundary",),
        "a role",
        "replace the permissions boundary of a role with a wider one",
        IAM,
    ),
    Combination(
        "remove-denying-policy",
        ("iam:DetachRolePolicy",),
        "a role",
        "detach a managed policy that denies something from a role",
        IAM,
    ),
    Combination(
        "remove-denying-inline-policy",
        ("iam:DeleteRolePolicy",),
        "a role",
        "delete an inline policy that denies something from a role",
        IAM,
    ),
    Combination(
        "change-saml-provider",
        ("iam:UpdateSAMLProvider",),
        "a SAML provider",
        "sign in as any identity of a SAML provider, and use the roles that trust it",
        IAM,
    ),
    Combination(
        "change-oidc-audience",
        ("iam:AddClientIDToOpenIDConnectProvider",),
        "an OIDC provider",
        "make an OIDC provider accept further audiences, and use the roles that trust it",
        IAM,
    ),
    Combination(
        "permission-set",
        ("sso:PutInlinePolicyToPermissionSet", "sso:ProvisionPermissionSet"),
        "a permission set",
        "widen a permission set of IAM Identity Center",
        SSO,
    ),
    Combination(
        "account-assignment",
        ("sso:CreateAccountAssignment",),
        "a permission set",
        "give a user of IAM Identity Center a permission set in an account",
        SSO,
    ),
    Combination(
        "ec2-instance",
        ("ec2:RunInstances",),
        "an instance",
        "start an instance with another role",
        RHINO,
        "ec2.amazonaws.com",
    ),
    Combination(
        "ec2-profile",
        ("ec2:AssociateIamInstanceProfile",),
        "an instance",
        "give another role to a running instance",
        PATHS,
        "ec2.amazonaws.com",
    ),
    Combination(
        "ec2-profile-replaced",
        ("ec2:ReplaceIamInstanceProfileAssociation",),
        "an instance",
        "replace the role of a running instance",
        PATHS,
        "ec2.amazonaws.com",
    ),
    Combination(
        "ec2-spot",
        ("ec2:RequestSpotInstances",),
        "an instance",
        "start a spot instance with another role",
        PATHS,
        "ec2.amazonaws.com",
    ),
    Combination(
        "ec2-user-data",
        ("ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:StartInstances"),
        "an instance",
        "replace the start script of an instance, and use its role",
        PATHS,
    ),
    Combination(
        "instance-profile-role",
        ("iam:AddRoleToInstanceProfile",),
        "an instance profile",
        "put another role into an instance profile that instances use",
        IAM,
        "ec2.amazonaws.com",
    ),
    Combination(
        "auto-scaling",
        ("autoscaling:CreateLaunchConfiguration", "autoscaling:CreateAutoScalingGroup"),
        "a group of instances",
        "start instances with another role in an Auto Scaling group",
        PATHS,
        "ec2.amazonaws.com",
    ),
    Combination(
        "instance-connect",
        ("ec2-instance-connect:SendSSHPublicKey",),
        "an instance",
        "log in to instances by SSH, and use the roles of these instances",
        PATHS,
    ),
    Combination(
        "serial-console",
        ("ec2-instance-connect:SendSerialConsoleSSHPublicKey",),
        "an instance",
        "log in to the serial console of instances, and use their roles",
        PATHS,
    ),
    Combination(
        "ssm-command",
        ("ssm:SendCommand",),
        "an instance",
        "run commands on instances, and use the roles of these instances",
        PATHS,
    ),
    Combination(
        "ssm-session",
        ("ssm:StartSession",),
        "an instance",
        "open a shell on instances, and use the roles of these instances",
        PATHS,
    ),
    Combination(
        "ssm-automation",
        ("ssm:StartAutomationExecution",),
        "an automation document",
        "run an automation with another role",
        PATHS,
        "ssm.amazonaws.com",
    ),
    Combination(
        "lambda-invoke",
        ("lambda:CreateFunction", "lambda:InvokeFunction"),
        "a function",
        "run code with another role in a new Lambda function",
        RHINO,
        "lambda.amazonaws.com",
    ),
    Combination(
        "lambda-trigger",
        ("lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
        "a function",
        "run code with another role in a new Lambda function that an event starts",
        RHINO,
        "lambda.amazonaws.com",
    ),
    Combination(
        "lambda-permission",
        ("lambda:CreateFunction", "lambda:AddPermission"),
        "a function",
        "run code with another role in a new Lambda function that another account starts",
        PATHS,
        "lambda.amazonaws.com",
    ),
    Combination(
        "lambda-code",
        ("lambda:UpdateFunctionCode",),
        "a function",
        "replace the code of a Lambda function, and use the role of that function",
        RHINO,
    ),
    Combination(
        "lambda-configuration",
        ("lambda:UpdateFunctionConfiguration",),
        "a function",
        "add a layer with other code to a Lambda function, and use the role of that function",
        RHINO,
    ),
    Combination(
        "pod-identity",
        ("eks:CreatePodIdentityAssociation",),
        "a cluster",
        "give another role to a service account of a cluster",
        EKS,
        "pods.eks.amazonaws.com",
    ),
    Combination(
        "pod-identity-replaced",
        ("eks:UpdatePodIdentityAssociation",),
        "an association",
        "replace the role of a service account of a cluster",
        EKS,
        "pods.eks.amazonaws.com",
    ),
    Combination(
        "cluster-access",
        ("eks:CreateAccessEntry", "eks:AssociateAccessPolicy"),
        "a cluster",
        "make a principal the administrator of a cluster, and use the role of each Pod",
        EKS,
    ),
    Combination(
        "cluster-access-replaced",
        ("eks:UpdateAccessEntry",),
        "an access entry",
        "put an access entry into other Kubernetes groups, and use the roles of Pods",
        EKS,
    ),
    Combination(
        "ecs-task",
        ("ecs:RegisterTaskDefinition", "ecs:RunTask"),
        "a task definition",
        "run a container with another role",
        PATHS,
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "ecs-start-task",
        ("ecs:RegisterTaskDefinition", "ecs:StartTask"),
        "a task definition",
        "start a container with another role on an instance",
        PATHS,
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "ecs-service",
        ("ecs:RegisterTaskDefinition", "ecs:CreateService"),
        "a task definition",
        "run a service of containers with another role",
        PATHS,
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "ecs-service-replaced",
        ("ecs:RegisterTaskDefinition", "ecs:UpdateService"),
        "a task definition",
        "replace the containers and the role of a service",
        PATHS,
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "ecs-command",
        ("ecs:ExecuteCommand",),
        "a task",
        "run commands in containers, and use the roles of these tasks",
        PATHS,
    ),
    Combination(
        "batch-job",
        ("batch:RegisterJobDefinition", "batch:SubmitJob"),
        "a job definition",
        "run a batch job with another role",
        PATHS,
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "cloudformation",
        ("cloudformation:CreateStack",),
        "a stack",
        "create a stack with another role",
        RHINO,
        "cloudformation.amazonaws.com",
    ),
    Combination(
        "cloudformation-update",
        ("cloudformation:UpdateStack",),
        "a stack",
        "change a stack, and use the role of that stack",
        PATHS,
    ),
    Combination(
        "cloudformation-change-set",
        ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
        "a stack",
        "change a stack by a change set, and use the role of that stack",
        PATHS,
    ),
    Combination(
        "cloudformation-stack-set",
        ("cloudformation:CreateStackSet", "cloudformation:CreateStackInstances"),
        "a stack set",
        "create stacks in several accounts with another role",
        PATHS,
        "cloudformation.amazonaws.com",
    ),
    Combination(
        "codebuild",
        ("codebuild:CreateProject", "codebuild:StartBuild"),
        "a project",
        "run commands with another role in a build",
        PATHS,
        "codebuild.amazonaws.com",
    ),
    Combination(
        "codebuild-replaced",
        ("codebuild:UpdateProject", "codebuild:StartBuild"),
        "a project",
        "replace the role of a build project, and run commands with it",
        PATHS,
        "codebuild.amazonaws.com",
    ),
    Combination(
        "codebuild-override",
        ("codebuild:StartBuild",),
        "a project",
        "run other commands in a build, and use the role of that project",
        PATHS,
    ),
    Combination(
        "codebuild-batch",
        ("codebuild:StartBuildBatch",),
        "a project",
        "run other commands in a batch of builds, and use the role of that project",
        PATHS,
    ),
    Combination(
        "glue",
        ("glue:CreateJob", "glue:StartJobRun"),
        "a job",
        "run code with another role in a Glue job",
        RHINO,
        "glue.amazonaws.com",
    ),
    Combination(
        "glue-replaced",
        ("glue:UpdateJob", "glue:StartJobRun"),
        "a job",
        "replace the code and the role of a Glue job, and run it",
        PATHS,
        "glue.amazonaws.com",
    ),
    Combination(
        "glue-endpoint",
        ("glue:CreateDevEndpoint",),
        "an endpoint",
        "create a development endpoint of Glue with another role",
        RHINO,
        "glue.amazonaws.com",
    ),
    Combination(
        "glue-endpoint-key",
        ("glue:UpdateDevEndpoint",),
        "an endpoint",
        "log in to a development endpoint of Glue, and use its role",
        RHINO,
    ),
    Combination(
        "glue-session",
        ("glue:CreateSession", "glue:RunStatement"),
        "a session",
        "run statements with another role in a Glue session",
        PATHS,
        "glue.amazonaws.com",
    ),
    Combination(
        "sagemaker",
        ("sagemaker:CreateNotebookInstance", "sagemaker:CreatePresignedNotebookInstanceUrl"),
        "a notebook",
        "open a SageMaker notebook with another role",
        RHINO,
        "sagemaker.amazonaws.com",
    ),
    Combination(
        "sagemaker-notebook",
        ("sagemaker:CreatePresignedNotebookInstanceUrl",),
        "a notebook",
        "open a SageMaker notebook, and use its role",
        RHINO,
    ),
    Combination(
        "sagemaker-training",
        ("sagemaker:CreateTrainingJob",),
        "a training job",
        "run code with another role in a training job",
        PATHS,
        "sagemaker.amazonaws.com",
    ),
    Combination(
        "sagemaker-processing",
        ("sagemaker:CreateProcessingJob",),
        "a processing job",
        "run code with another role in a processing job",
        PATHS,
        "sagemaker.amazonaws.com",
    ),
    Combination(
        "step-functions",
        ("states:CreateStateMachine", "states:StartExecution"),
        "a state machine",
        "run a state machine with another role",
        PATHS,
        "states.amazonaws.com",
    ),
    Combination(
        "step-functions-replaced",
        ("states:UpdateStateMachine", "states:StartExecution"),
        "a state machine",
        "replace the steps of a state machine, and use its role",
        PATHS,
    ),
    Combination(
        "scheduler",
        ("scheduler:CreateSchedule",),
        "a schedule",
        "send requests to AWS with another role by a schedule",
        PATHS,
        "scheduler.amazonaws.com",
    ),
    Combination(
        "app-runner",
        ("apprunner:CreateService",),
        "a service",
        "run a container with another role in App Runner",
        PATHS,
        "tasks.apprunner.amazonaws.com",
    ),
    Combination(
        "app-runner-replaced",
        ("apprunner:UpdateService",),
        "a service",
        "replace the container of an App Runner service, and use its role",
        PATHS,
    ),
    Combination(
        "emr-cluster",
        ("elasticmapreduce:RunJobFlow",),
        "a cluster",
        "start an EMR cluster whose instances have another role",
        PATHS,
        "ec2.amazonaws.com",
    ),
    Combination(
        "data-pipeline",
        (
            "datapipeline:CreatePipeline",
            "datapipeline:PutPipelineDefinition",
            "datapipeline:ActivatePipeline",
        ),
        "a pipeline",
        "run commands with another role in a data pipeline",
        RHINO,
        "datapipeline.amazonaws.com",
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
            parts = (
                [self._pass_any_role()]
                if combination is PASS_ANY_ROLE
                else [
                    self._decide(action, combination.passed_to if action == _PASS_ROLE else "")
                    for action in combination.needs
                ]
            )
            decisions: set[Decision] = {part.decision for part in parts}
            if "no" in decisions:
                continue
            rules = tuple(dict.fromkeys(rule for part in parts for rule in part.rules))
            found.append(Escalation(combination, "depends" not in decisions, rules))
        return found

    def _pass_any_role(self) -> Possibility:
        """Decide whether all roles of the account can be passed, whatever the service."""
        caller = self.context.get("aws:principalarn")
        own = caller[0] if isinstance(caller, tuple) and caller else "arn:*:iam::*:role/*"
        every_role = f"{own.partition(':role/')[0]}:role/*"
        verdict = check_permission(self.layers, Required(_PASS_ROLE, every_role), self.context)
        decisions: Mapping[str, Decision] = {ALLOWED: "yes", CONDITIONAL: "depends"}
        return replace(self._decide(_PASS_ROLE, ""), decision=decisions.get(verdict.decision, "no"))

    def _decide(self, action: str, passed_to: str) -> Possibility:
        key = action, passed_to
        if key not in self._decided:
            context = self.context.assume({_PASSED_TO: (passed_to,)}) if passed_to else self.context
            found = self.index.find(action.lower())
            self._decided[key] = find_possibility(self.layers, found, context, self.index)
        return self._decided[key]
