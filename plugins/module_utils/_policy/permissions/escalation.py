# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find combinations of permissions with which a role can obtain further permissions (privilege escalation).

The combinations are known from public research on IAM. Many of them include iam:PassRole: the role passes another role to a
service, and uses the permissions of that role through the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..evaluation.evaluate import ALLOWED, CONDITIONAL, Layer
from ..evaluation.rules import Request, Rule
from ..language.context import Context
from ..language.match import Cover
from .catalogue import Catalogue
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


# The combination of a role that may pass every role of its account. It is reported even if no known combination uses it.
PASS_ANY_ROLE = Combination(
    "pass-any-role",
    (_PASS_ROLE,),
    "every role of the account",
    "pass every role of the account to a service",
    "IAM User Guide, Grant a user permissions to pass a role to an AWS service",
)
COMBINATIONS: Sequence[Combination] = (
    PASS_ANY_ROLE,
    Combination(
        "new-policy-version",
        ("iam:CreatePolicyVersion",),
        "a customer managed policy",
        "replace the contents of a managed policy, even of a policy that is attached to the role itself",
        "pathfinding.cloud, iam-001",
    ),
    Combination(
        "default-policy-version",
        ("iam:SetDefaultPolicyVersion",),
        "a customer managed policy",
        "activate an earlier version of a managed policy that has more permissions",
        "IAM API Reference, SetDefaultPolicyVersion",
    ),
    Combination(
        "attach-role-policy",
        ("iam:AttachRolePolicy",),
        "a role",
        "attach any managed policy to a role",
        "pathfinding.cloud, iam-009",
    ),
    Combination(
        "put-role-policy",
        ("iam:PutRolePolicy",),
        "a role",
        "write any inline policy into a role",
        "pathfinding.cloud, iam-005",
    ),
    Combination(
        "attach-user-policy",
        ("iam:AttachUserPolicy",),
        "a user",
        "attach any managed policy to a user",
        "pathfinding.cloud, iam-008",
    ),
    Combination(
        "put-user-policy",
        ("iam:PutUserPolicy",),
        "a user",
        "write any inline policy into a user",
        "pathfinding.cloud, iam-007",
    ),
    Combination(
        "attach-group-policy",
        ("iam:AttachGroupPolicy",),
        "a group",
        "attach any managed policy to a group",
        "pathfinding.cloud, iam-010",
    ),
    Combination(
        "put-group-policy",
        ("iam:PutGroupPolicy",),
        "a group",
        "write any inline policy into a group",
        "pathfinding.cloud, iam-011",
    ),
    Combination(
        "join-group",
        ("iam:AddUserToGroup",),
        "a group",
        "add a user to a group that has more permissions",
        "pathfinding.cloud, iam-013",
    ),
    Combination(
        "create-access-key",
        ("iam:CreateAccessKey",),
        "a user",
        "create access keys for other users",
        "pathfinding.cloud, iam-002",
    ),
    Combination(
        "create-login",
        ("iam:CreateLoginProfile",),
        "a user",
        "set the first console password of another user",
        "pathfinding.cloud, iam-004",
    ),
    Combination(
        "change-login",
        ("iam:UpdateLoginProfile",),
        "a user",
        "change the console password of another user",
        "pathfinding.cloud, iam-006",
    ),
    Combination(
        "create-service-credential",
        ("iam:CreateServiceSpecificCredential",),
        "a user",
        "create credentials of another user for single services",
        "IAM API Reference, CreateServiceSpecificCredential",
    ),
    Combination(
        "change-trust",
        ("iam:UpdateAssumeRolePolicy",),
        "a role",
        "change who may assume another role, and then assume it",
        "pathfinding.cloud, iam-012",
    ),
    Combination(
        "remove-boundary",
        ("iam:DeleteRolePermissionsBoundary",),
        "a role",
        "remove the permissions boundary of a role",
        "IAM API Reference, DeleteRolePermissionsBoundary",
    ),
    Combination(
        "change-boundary",
        ("iam:PutRolePermissionsBoundary",),
        "a role",
        "replace the permissions boundary of a role with a wider one",
        "IAM API Reference, PutRolePermissionsBoundary",
    ),
    Combination(
        "remove-denying-policy",
        ("iam:DetachRolePolicy",),
        "a role",
        "detach a managed policy that denies something from a role",
        "IAM API Reference, DetachRolePolicy",
    ),
    Combination(
        "remove-denying-inline-policy",
        ("iam:DeleteRolePolicy",),
        "a role",
        "delete an inline policy that denies something from a role",
        "IAM API Reference, DeleteRolePolicy",
    ),
    Combination(
        "change-saml-provider",
        ("iam:UpdateSAMLProvider",),
        "a SAML provider",
        "sign in as any identity of a SAML provider, and use the roles that trust it",
        "IAM API Reference, UpdateSAMLProvider",
    ),
    Combination(
        "change-oidc-audience",
        ("iam:AddClientIDToOpenIDConnectProvider",),
        "an OIDC provider",
        "make an OIDC provider accept further audiences, and use the roles that trust it",
        "IAM API Reference, AddClientIDToOpenIDConnectProvider",
    ),
    Combination(
        "permission-set",
        ("sso:PutInlinePolicyToPermissionSet", "sso:ProvisionPermissionSet"),
        "a permission set",
        "widen a permission set of IAM Identity Center",
        "IAM Identity Center API Reference, PutInlinePolicyToPermissionSet",
    ),
    Combination(
        "account-assignment",
        ("sso:CreateAccountAssignment",),
        "a permission set",
        "give a user of IAM Identity Center a permission set in an account",
        "IAM Identity Center API Reference, CreateAccountAssignment",
    ),
    Combination(
        "ec2-instance",
        ("ec2:RunInstances",),
        "an instance",
        "start an instance with another role",
        "pathfinding.cloud, ec2-001",
        "ec2.amazonaws.com",
    ),
    Combination(
        "ec2-profile",
        ("ec2:AssociateIamInstanceProfile",),
        "an instance",
        "give another role to a running instance",
        "Service Authorization Reference, Amazon EC2, AssociateIamInstanceProfile",
        "ec2.amazonaws.com",
    ),
    Combination(
        "ec2-profile-replaced",
        ("ec2:ReplaceIamInstanceProfileAssociation",),
        "an instance",
        "replace the role of a running instance",
        "Service Authorization Reference, Amazon EC2, ReplaceIamInstanceProfileAssociation",
        "ec2.amazonaws.com",
    ),
    Combination(
        "ec2-spot",
        ("ec2:RequestSpotInstances",),
        "an instance",
        "start a spot instance with another role",
        "pathfinding.cloud, ec2-003",
        "ec2.amazonaws.com",
    ),
    Combination(
        "ec2-user-data",
        ("ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:StartInstances"),
        "an instance",
        "replace the start script of an instance, and use its role",
        "pathfinding.cloud, ec2-002",
    ),
    Combination(
        "instance-profile-role",
        ("iam:AddRoleToInstanceProfile",),
        "an instance profile",
        "put another role into an instance profile that instances use",
        "IAM API Reference, AddRoleToInstanceProfile",
        "ec2.amazonaws.com",
    ),
    Combination(
        "auto-scaling",
        ("autoscaling:CreateLaunchConfiguration", "autoscaling:CreateAutoScalingGroup"),
        "a group of instances",
        "start instances with another role in an Auto Scaling group",
        "Amazon EC2 Auto Scaling User Guide, IAM role for applications that run on Amazon EC2 instances",
        "ec2.amazonaws.com",
    ),
    Combination(
        "instance-connect",
        ("ec2-instance-connect:SendSSHPublicKey",),
        "an instance",
        "log in to instances by SSH, and use the roles of these instances",
        "pathfinding.cloud, ec2instanceconnect-003",
    ),
    Combination(
        "serial-console",
        ("ec2-instance-connect:SendSerialConsoleSSHPublicKey",),
        "an instance",
        "log in to the serial console of instances, and use their roles",
        "Amazon EC2 Instance Connect API Reference, SendSerialConsoleSSHPublicKey",
    ),
    Combination(
        "ssm-command",
        ("ssm:SendCommand",),
        "an instance",
        "run commands on instances, and use the roles of these instances",
        "pathfinding.cloud, ssm-002",
    ),
    Combination(
        "ssm-session",
        ("ssm:StartSession",),
        "an instance",
        "open a shell on instances, and use the roles of these instances",
        "pathfinding.cloud, ssm-001",
    ),
    Combination(
        "ssm-automation",
        ("ssm:StartAutomationExecution",),
        "an automation document",
        "run an automation with another role",
        "AWS Systems Manager User Guide, Setting up Automation",
        "ssm.amazonaws.com",
    ),
    Combination(
        "lambda-invoke",
        ("lambda:CreateFunction", "lambda:InvokeFunction"),
        "a function",
        "run code with another role in a new Lambda function",
        "pathfinding.cloud, lambda-001",
        "lambda.amazonaws.com",
    ),
    Combination(
        "lambda-trigger",
        ("lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
        "a function",
        "run code with another role in a new Lambda function that an event starts",
        "pathfinding.cloud, lambda-002",
        "lambda.amazonaws.com",
    ),
    Combination(
        "lambda-permission",
        ("lambda:CreateFunction", "lambda:AddPermission"),
        "a function",
        "run code with another role in a new Lambda function that another account starts",
        "pathfinding.cloud, lambda-006",
        "lambda.amazonaws.com",
    ),
    Combination(
        "lambda-code",
        ("lambda:UpdateFunctionCode",),
        "a function",
        "replace the code of a Lambda function, and use the role of that function",
        "pathfinding.cloud, lambda-003",
    ),
    Combination(
        "lambda-configuration",
        ("lambda:UpdateFunctionConfiguration",),
        "a function",
        "add a layer with other code to a Lambda function, and use the role of that function",
        "AWS Lambda API Reference, UpdateFunctionConfiguration",
    ),
    Combination(
        "pod-identity",
        ("eks:CreatePodIdentityAssociation",),
        "a cluster",
        "give another role to a service account of a cluster",
        "Amazon EKS API Reference, CreatePodIdentityAssociation",
        "pods.eks.amazonaws.com",
    ),
    Combination(
        "pod-identity-replaced",
        ("eks:UpdatePodIdentityAssociation",),
        "an association",
        "replace the role of a service account of a cluster",
        "Amazon EKS API Reference, UpdatePodIdentityAssociation",
        "pods.eks.amazonaws.com",
    ),
    Combination(
        "cluster-access",
        ("eks:CreateAccessEntry", "eks:AssociateAccessPolicy"),
        "a cluster",
        "make a principal the administrator of a cluster, and use the role of each Pod",
        "Amazon EKS API Reference, AssociateAccessPolicy",
    ),
    Combination(
        "cluster-access-replaced",
        ("eks:UpdateAccessEntry",),
        "an access entry",
        "put an access entry into other Kubernetes groups, and use the roles of Pods",
        "Amazon EKS API Reference, UpdateAccessEntry",
    ),
    Combination(
        "ecs-task",
        ("ecs:RegisterTaskDefinition", "ecs:RunTask"),
        "a task definition",
        "run a container with another role",
        "pathfinding.cloud, ecs-004",
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "ecs-start-task",
        ("ecs:RegisterTaskDefinition", "ecs:StartTask"),
        "a task definition",
        "start a container with another role on an instance",
        "pathfinding.cloud, ecs-005",
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "ecs-service",
        ("ecs:RegisterTaskDefinition", "ecs:CreateService"),
        "a task definition",
        "run a service of containers with another role",
        "pathfinding.cloud, ecs-003",
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "ecs-service-replaced",
        ("ecs:RegisterTaskDefinition", "ecs:UpdateService"),
        "a task definition",
        "replace the containers and the role of a service",
        "Amazon ECS API Reference, UpdateService",
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "ecs-command",
        ("ecs:ExecuteCommand",),
        "a task",
        "run commands in containers, and use the roles of these tasks",
        "Amazon ECS API Reference, ExecuteCommand",
    ),
    Combination(
        "batch-job",
        ("batch:RegisterJobDefinition", "batch:SubmitJob"),
        "a job definition",
        "run a batch job with another role",
        "AWS Batch API Reference, RegisterJobDefinition",
        "ecs-tasks.amazonaws.com",
    ),
    Combination(
        "cloudformation",
        ("cloudformation:CreateStack",),
        "a stack",
        "create a stack with another role",
        "pathfinding.cloud, cloudformation-001",
        "cloudformation.amazonaws.com",
    ),
    Combination(
        "cloudformation-update",
        ("cloudformation:UpdateStack",),
        "a stack",
        "change a stack, and use the role of that stack",
        "pathfinding.cloud, cloudformation-002",
    ),
    Combination(
        "cloudformation-change-set",
        ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
        "a stack",
        "change a stack by a change set, and use the role of that stack",
        "pathfinding.cloud, cloudformation-005",
    ),
    Combination(
        "cloudformation-stack-set",
        ("cloudformation:CreateStackSet", "cloudformation:CreateStackInstances"),
        "a stack set",
        "create stacks in several accounts with another role",
        "pathfinding.cloud, cloudformation-003",
        "cloudformation.amazonaws.com",
    ),
    Combination(
        "codebuild",
        ("codebuild:CreateProject", "codebuild:StartBuild"),
        "a project",
        "run commands with another role in a build",
        "pathfinding.cloud, codebuild-001",
        "codebuild.amazonaws.com",
    ),
    Combination(
        "codebuild-replaced",
        ("codebuild:UpdateProject", "codebuild:StartBuild"),
        "a project",
        "replace the role of a build project, and run commands with it",
        "AWS CodeBuild API Reference, UpdateProject",
        "codebuild.amazonaws.com",
    ),
    Combination(
        "codebuild-override",
        ("codebuild:StartBuild",),
        "a project",
        "run other commands in a build, and use the role of that project",
        "pathfinding.cloud, codebuild-002",
    ),
    Combination(
        "codebuild-batch",
        ("codebuild:StartBuildBatch",),
        "a project",
        "run other commands in a batch of builds, and use the role of that project",
        "pathfinding.cloud, codebuild-003",
    ),
    Combination(
        "glue",
        ("glue:CreateJob", "glue:StartJobRun"),
        "a job",
        "run code with another role in a Glue job",
        "pathfinding.cloud, glue-003",
        "glue.amazonaws.com",
    ),
    Combination(
        "glue-replaced",
        ("glue:UpdateJob", "glue:StartJobRun"),
        "a job",
        "replace the code and the role of a Glue job, and run it",
        "pathfinding.cloud, glue-005",
        "glue.amazonaws.com",
    ),
    Combination(
        "glue-endpoint",
        ("glue:CreateDevEndpoint",),
        "an endpoint",
        "create a development endpoint of Glue with another role",
        "pathfinding.cloud, glue-001",
        "glue.amazonaws.com",
    ),
    Combination(
        "glue-endpoint-key",
        ("glue:UpdateDevEndpoint",),
        "an endpoint",
        "log in to a development endpoint of Glue, and use its role",
        "pathfinding.cloud, glue-002",
    ),
    Combination(
        "glue-session",
        ("glue:CreateSession", "glue:RunStatement"),
        "a session",
        "run statements with another role in a Glue session",
        "AWS Glue Web API Reference, CreateSession",
        "glue.amazonaws.com",
    ),
    Combination(
        "sagemaker",
        ("sagemaker:CreateNotebookInstance",),
        "a notebook",
        "run code with another role in a SageMaker notebook",
        "pathfinding.cloud, sagemaker-001",
        "sagemaker.amazonaws.com",
    ),
    Combination(
        "sagemaker-notebook",
        ("sagemaker:CreatePresignedNotebookInstanceUrl",),
        "a notebook",
        "open a SageMaker notebook, and use its role",
        "pathfinding.cloud, sagemaker-004",
    ),
    Combination(
        "sagemaker-training",
        ("sagemaker:CreateTrainingJob",),
        "a training job",
        "run code with another role in a training job",
        "pathfinding.cloud, sagemaker-002",
        "sagemaker.amazonaws.com",
    ),
    Combination(
        "sagemaker-processing",
        ("sagemaker:CreateProcessingJob",),
        "a processing job",
        "run code with another role in a processing job",
        "pathfinding.cloud, sagemaker-003",
        "sagemaker.amazonaws.com",
    ),
    Combination(
        "step-functions",
        ("states:CreateStateMachine", "states:StartExecution"),
        "a state machine",
        "run a state machine with another role",
        "AWS Step Functions API Reference, CreateStateMachine",
        "states.amazonaws.com",
    ),
    Combination(
        "step-functions-replaced",
        ("states:UpdateStateMachine", "states:StartExecution"),
        "a state machine",
        "replace the steps of a state machine, and use its role",
        "AWS Step Functions API Reference, UpdateStateMachine",
    ),
    Combination(
        "scheduler",
        ("scheduler:CreateSchedule",),
        "a schedule",
        "send requests to AWS with another role by a schedule",
        "Service Authorization Reference, Amazon EventBridge Scheduler, CreateSchedule",
        "scheduler.amazonaws.com",
    ),
    Combination(
        "app-runner",
        ("apprunner:CreateService",),
        "a service",
        "run a container with another role in App Runner",
        "pathfinding.cloud, apprunner-001",
        "tasks.apprunner.amazonaws.com",
    ),
    Combination(
        "app-runner-replaced",
        ("apprunner:UpdateService",),
        "a service",
        "replace the container of an App Runner service, and use its role",
        "pathfinding.cloud, apprunner-002",
    ),
    Combination(
        "emr-cluster",
        ("elasticmapreduce:RunJobFlow",),
        "a cluster",
        "start an EMR cluster whose instances have another role",
        "Amazon EMR API Reference, RunJobFlow",
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
        "pathfinding.cloud, datapipeline-001",
        "datapipeline.amazonaws.com",
    ),
    Combination(
        "ec2-template",
        ("ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"),
        "a launch template",
        "replace the start script of new instances, and use their role",
        "pathfinding.cloud, ec2-004",
    ),
    Combination(
        "cloudformation-stack-set-update",
        ("cloudformation:UpdateStackSet",),
        "a stack set",
        "change stacks in several accounts, and use another role",
        "pathfinding.cloud, cloudformation-004",
        "cloudformation.amazonaws.com",
    ),
    Combination(
        "codebuild-new-batch",
        ("codebuild:CreateProject", "codebuild:StartBuildBatch"),
        "a project",
        "run commands with another role in a batch of builds",
        "pathfinding.cloud, codebuild-004",
        "codebuild.amazonaws.com",
    ),
    Combination(
        "glue-trigger",
        ("glue:CreateJob", "glue:CreateTrigger"),
        "a job",
        "run code with another role in a Glue job that a trigger starts",
        "pathfinding.cloud, glue-004",
        "glue.amazonaws.com",
    ),
    Combination(
        "glue-trigger-replaced",
        ("glue:UpdateJob", "glue:CreateTrigger"),
        "a job",
        "replace the code and the role of a Glue job, and start it by a trigger",
        "pathfinding.cloud, glue-006",
        "glue.amazonaws.com",
    ),
    Combination(
        "sagemaker-lifecycle",
        (
            "sagemaker:CreateNotebookInstanceLifecycleConfig",
            "sagemaker:StopNotebookInstance",
            "sagemaker:UpdateNotebookInstance",
            "sagemaker:StartNotebookInstance",
        ),
        "a notebook",
        "replace the start script of a SageMaker notebook, and use its role",
        "pathfinding.cloud, sagemaker-005",
    ),
    Combination(
        "code-interpreter",
        (
            "bedrock-agentcore:CreateCodeInterpreter",
            "bedrock-agentcore:StartCodeInterpreterSession",
            "bedrock-agentcore:InvokeCodeInterpreter",
        ),
        "a code interpreter",
        "run code with another role in a code interpreter of Bedrock AgentCore",
        "pathfinding.cloud, bedrock-001",
        "bedrock-agentcore.amazonaws.com",
    ),
    Combination(
        "code-interpreter-session",
        ("bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter"),
        "a code interpreter",
        "run code in a code interpreter of Bedrock AgentCore, and use its role",
        "pathfinding.cloud, bedrock-002",
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
    catalogue: Catalogue
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
        """Decide whether every role of the account can be passed, or all except some, whatever the service."""
        caller = self.context.get("aws:principalarn")
        caller_arn = caller[0] if isinstance(caller, tuple) else "arn:*:iam::*:role/*"
        request = Request(_PASS_ROLE, f"{caller_arn.partition(':role/')[0]}:role/*")
        wide = all(
            any(
                rule.allow
                and (rule.statement.not_resource or rule.cover(request, self.context)[1] is Cover.ALL)
                for rule in layer.rules
                if rule.matches_action(request)
            )
            for layer in self.layers
        )
        return self._decide(_PASS_ROLE, "") if wide else Possibility("no")

    def _decide(self, action: str, passed_to: str) -> Possibility:
        key = action, passed_to
        if key not in self._decided:
            context = self.context.assume({_PASSED_TO: (passed_to,)}) if passed_to else self.context
            found = self.catalogue.find(action.lower())
            self._decided[key] = find_possibility(self.layers, found, context, self.catalogue)
        return self._decided[key]
