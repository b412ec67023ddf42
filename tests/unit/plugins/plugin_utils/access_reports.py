# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Generate access reports with any number of workloads, for the tests of the page."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

ACCOUNT = "111122223333"
REGION = "eu-central-1"
TEAMS = ("payments", "shop", "search", "ledger", "data", "media", "fraud", "mail", "maps", "billing")
APPS = ("api", "worker", "batch", "web", "sync", "export", "import", "reader", "cron", "cache")
TITLES = {
    "s3": "Amazon S3",
    "sqs": "Amazon SQS",
    "dynamodb": "Amazon DynamoDB",
    "secretsmanager": "AWS Secrets Manager",
    "kms": "AWS Key Management Service",
    "sns": "Amazon SNS",
    "ssm": "AWS Systems Manager",
    "sts": "AWS Security Token Service",
    "iam": "AWS Identity and Access Management",
    "ec2": "Amazon EC2",
    "logs": "Amazon CloudWatch Logs",
    "cloudwatch": "Amazon CloudWatch",
    "elasticloadbalancing": "Elastic Load Balancing",
    "route53": "Amazon Route 53",
}
RISK_KINDS = {
    "ADMIN": {
        "title": "Administrator access",
        "severity": "high",
        "why": "The role can perform every action, so anyone who controls a Pod of the workload controls the account.",
        "remedy": "Replace the policy with the actions that the workload needs.",
    },
    "ESCALATION": {
        "title": "Privilege escalation",
        "severity": "high",
        "why": "The role can give itself further permissions.",
        "remedy": "Remove the permission, or add a permissions boundary.",
    },
    "SHARED_ROLE": {
        "title": "Role shared by namespaces",
        "severity": "medium",
        "why": "A fault in one of the workloads exposes the data of the others.",
        "remedy": "Create a role for each workload.",
    },
    "IRSA_LEFT": {
        "title": "IRSA left",
        "severity": "low",
        "why": "The annotation is not used, because the service account has an association.",
        "remedy": "Remove the annotation.",
    },
}

Entry = tuple[str, str, dict[str, str]]
Template = Callable[[str], tuple[str, list[dict[str, Any]], list[Entry]]]


def _arn(service: str, tail: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{tail}"


def _read_bucket(name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    statements = [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{name}/*"]},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{name}"]},
    ]
    return "read-bucket", statements, [("s3", f"arn:aws:s3:::{name}/*", {"Read": "yes", "List": "yes"})]


def _write_bucket(name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:PutObjectTagging"]
    statements = [{"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{name}/*"]}]
    return (
        "write-bucket",
        statements,
        [("s3", f"arn:aws:s3:::{name}/*", {"Read": "yes", "Write": "yes", "Tagging": "yes"})],
    )


def _queue(name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    statements = [{"Effect": "Allow", "Action": actions, "Resource": [_arn("sqs", name)]}]
    return "queue", statements, [("sqs", _arn("sqs", name), {"Read": "yes", "Write": "yes"})]


def _table(name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    tenant = {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:PrincipalTag/kubernetes-namespace}"]}
    }
    statements = [
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"],
            "Resource": [_arn("dynamodb", f"table/{name}")],
            "Condition": tenant,
        }
    ]
    return (
        "table",
        statements,
        [("dynamodb", _arn("dynamodb", f"table/{name}"), {"Read": "depends", "Write": "depends"})],
    )


def _secret(name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    secret = _arn("secretsmanager", f"secret:{name}-??????")
    key = _arn("kms", "key/1234abcd-12ab-34cd-56ef-1234567890ab")
    statements = [
        {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": [secret]},
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": [key],
            "Condition": {"StringEquals": {"kms:ViaService": [f"secretsmanager.{REGION}.amazonaws.com"]}},
        },
    ]
    return (
        "secret",
        statements,
        [("secretsmanager", secret, {"Read": "yes"}), ("kms", key, {"Write": "depends"})],
    )


def _metrics(_name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    actions = ["cloudwatch:PutMetricData", "logs:CreateLogStream", "logs:PutLogEvents"]
    statements = [{"Effect": "Allow", "Action": actions, "Resource": ["*"]}]
    return "metrics", statements, [("cloudwatch", "*", {"Write": "yes"}), ("logs", "*", {"Write": "yes"})]


def _load_balancers(_name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    actions = ["elasticloadbalancing:*", "ec2:Describe*", "route53:ChangeResourceRecordSets"]
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": ["*"]},
        {"Effect": "Deny", "Action": ["elasticloadbalancing:DeleteLoadBalancer"], "Resource": ["*"]},
    ]
    return (
        "load-balancers",
        statements,
        [
            ("elasticloadbalancing", "*", {"Read": "yes", "Write": "yes", "Tagging": "yes"}),
            ("ec2", "*", {"List": "yes"}),
            ("route53", "*", {"Write": "yes"}),
        ],
    )


def _pass_role(name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    role = f"arn:aws:iam::{ACCOUNT}:role/{name}-*"
    statements = [{"Effect": "Allow", "Action": ["iam:PassRole", "sts:AssumeRole"], "Resource": [role]}]
    return "pass-role", statements, [("iam", role, {"Write": "yes"}), ("sts", role, {"Write": "yes"})]


def _administrator(_name: str) -> tuple[str, list[dict[str, Any]], list[Entry]]:
    levels = dict.fromkeys(("List", "Read", "Write", "Tagging", "Permissions management", "Unknown"), "yes")
    return (
        "administrator",
        [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}],
        [("*", "*", {key: value for key, value in levels.items() if key != "Unknown"})],
    )


TEMPLATES: tuple[Template, ...] = (
    _read_bucket,
    _write_bucket,
    _queue,
    _table,
    _secret,
    _metrics,
    _load_balancers,
    _pass_role,
)
BOUNDARY = {
    "name": f"arn:aws:iam::{ACCOUNT}:policy/workload-boundary",
    "short": "workload-boundary",
    "kind": "customer",
    "statements": [
        {
            "label": "Statement 1 (Sid 'Services')",
            "Effect": "Allow",
            "NotAction": ["iam:*", "organizations:*"],
            "Resource": ["*"],
        }
    ],
}


def make_report(count: int = 20, cluster_count: int = 1, seed: int = 0) -> dict[str, Any]:
    """Return a report with ``count`` different workloads. Most of them have a separate role and separate policies."""
    draw = random.Random(seed)
    clusters = [
        {
            "key": f"cluster-{place}" if place else "blue",
            "name": f"cluster-{place}" if place else "blue",
            "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{f'cluster-{place}' if place else 'blue'}",
            "account": ACCOUNT,
            "region": REGION,
        }
        for place in range(cluster_count)
    ]
    policies: list[dict[str, Any]] = [BOUNDARY]
    roles: list[dict[str, Any]] = []
    profiles: list[dict[str, Any]] = []
    workloads: list[dict[str, Any]] = []
    risks: list[dict[str, Any]] = []
    for place in range(count):
        team = TEAMS[place // len(APPS) % len(TEAMS)]
        generation = place // (len(APPS) * len(TEAMS) * cluster_count)
        namespace = f"{team}-{generation}" if generation else team
        account = APPS[place % len(APPS)]
        cluster = place // (len(APPS) * len(TEAMS)) % cluster_count
        workload: dict[str, Any] = {
            "name": f"{clusters[cluster]['key'] if cluster_count > 1 else ''} {namespace}/{account}".strip(),
            "cluster": cluster,
            "namespace": namespace,
            "service_account": account,
            "exists": True,
            "source": "pod_identity",
            "winner": "",
            "credentials": [],
            "pods": {"pod_identity": 2, "irsa": 0, "other": 0, "none": 0},
            "access": "known",
        }
        workloads.append(workload)
        if place % 17 == 16:
            workload |= {
                "source": "node",
                "winner": "Role of the node: the Pods have no credentials.",
                "access": "none",
            }
            continue
        if place % 9 == 7 and roles:
            role, profile = len(roles) - 1, len(profiles) - 1
        else:
            role, profile = len(roles), len(profiles)
            _add_role(draw, place, f"{namespace}-{account}", policies, roles, profiles)
        irsa = place % 11 == 5
        workload["profile"] = profile
        workload["source"] = "irsa" if irsa else "pod_identity"
        workload["winner"] = (
            f"IRSA: annotation of the service account, role {roles[role]['name']}."
            if irsa
            else f"EKS Pod Identity: association a-{place:08d}, role {roles[role]['name']}."
        )
        credential: dict[str, Any] = {
            "kind": workload["source"],
            "wins": True,
            "role": role,
            "usable": "yes",
            "trust": [0],
        }
        if not irsa:
            credential |= {"association": f"a-{place:08d}", "since": "2026-03-01T09:00:00+00:00"}
        workload["credentials"].append(credential)
        if place % 13 == 9:
            workload["source"] = "keys"
            workload["access"] = "unknown"
            workload["winner"] = f"Access keys in the template of Deployment {namespace}/{account}."
            credential["wins"] = False
            workload["credentials"].insert(
                0,
                {
                    "kind": "keys",
                    "wins": True,
                    "where": f"Deployment {namespace}/{account}",
                    "variables": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
                },
            )
        elif place % 23 == 13:
            workload["access"] = "blocked"
            credential |= {
                "usable": "no",
                "why": "The trust policy does not allow this service account.",
                "trust": [],
            }
        elif "unread" in profiles[profile]:
            workload["access"] = "partial"
        _add_risks(place, workload, profiles[profile], roles[role], risks)
    severities = ("high", "medium", "low")
    risks.sort(key=lambda risk: severities.index(risk["severity"]))
    return {
        "format": 1,
        "kind": "pod_identity_access_report",
        "time": "2026-11-29T10:00:00+00:00",
        "only": [],
        "catalogue": "0.1.202610271",
        "notes": [
            "Resource policies are not included. They may allow more.",
            "Service control policies and resource control policies are not included. They may deny more.",
        ],
        "clusters": clusters,
        "services": TITLES,
        "policies": policies,
        "roles": roles,
        "profiles": profiles,
        "chains": [],
        "rules": _add_rules(profiles, policies),
        "workloads": workloads,
        "questions": [],
        "risk_kinds": {
            code: kind for code, kind in RISK_KINDS.items() if any(risk["code"] == code for risk in risks)
        },
        "risks": risks,
        "summary": {
            "workloads": count,
            "by_source": {
                source: sum(workload["source"] == source for workload in workloads)
                for source in ("pod_identity", "irsa", "keys", "node")
            },
            "risks": {
                severity: sum(risk["severity"] == severity for risk in risks) for severity in severities
            },
        },
    }


def _add_role(
    draw: random.Random,
    place: int,
    name: str,
    policies: list[dict[str, Any]],
    roles: list[dict[str, Any]],
    profiles: list[dict[str, Any]],
) -> None:
    """Add a role to ``roles``, its policies to ``policies``, and to ``profiles`` the permissions that result from them."""
    templates = draw.sample(TEMPLATES, draw.randint(1, 4))
    if place == 0:
        templates = [_write_bucket, _table]
    if place % 97 == 23:
        templates = [_administrator]
    cells: list[dict[str, Any]] = []
    indexes = []
    for template in templates:
        short, statements, entries = template(name if place else "invoices")
        index = len(policies)
        indexes.append(index)
        policies.append(
            {
                "name": f"inline policy {short} of role {name}",
                "short": short,
                "kind": "inline",
                "statements": [
                    {"label": f"Statement {number}", **statement}
                    for number, statement in enumerate(statements, 1)
                ],
            }
        )
        for service, resource, levels in entries:
            number = next(
                number
                for number, statement in enumerate(statements)
                if resource in statement["Resource"] or statement["Resource"] == ["*"]
            )
            cell = next((cell for cell in cells if cell["service"] == service), None)
            if cell is None:
                cell = {"service": service, "levels": {}, "statements": [], "resources": []}
                cells.append(cell)
            cell["levels"] |= levels
            cell["statements"].append([index, number])
            cell["resources"].append(resource)
            if "depends" in levels.values():
                cell["keys"] = list(
                    {key for tests in statements[number]["Condition"].values() for key in tests}
                )
            if service == "elasticloadbalancing":
                cell["denied"] = [[index, 1]]
    profile: dict[str, Any] = {"policies": indexes, "cells": cells}
    role: dict[str, Any] = {
        "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
        "name": name,
        "account": ACCOUNT,
        "state": "read",
        "policies": indexes,
        "trust": [
            {
                "label": "Statement 1 (Sid 'EksPodIdentity')",
                "Effect": "Allow",
                "Principal": {"Service": ["pods.eks.amazonaws.com"]},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {"aws:RequestTag/kubernetes-namespace": [name.rpartition("-")[0]]}
                },
            }
        ],
    }
    if place % 3 == 2 and templates != [_administrator]:
        role["boundary"] = profile["boundary"] = 0
        for cell in cells:
            if cell["service"] == "iam":
                cell |= {"levels": {}, "limited": ["boundary"]}
    if place % 19 == 12:
        role["unread"] = profile["unread"] = [f"arn:aws:iam::{ACCOUNT}:policy/shared"]
    roles.append(role)
    profiles.append(profile)


def _add_rules(profiles: list[dict[str, Any]], policies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the layers and Deny rules to the profiles, and return the rules."""
    rules: list[dict[str, Any]] = []
    for profile in profiles:
        named = [("the policies of its role", profile["policies"])]
        if "boundary" in profile:
            named.append(("the permissions boundary workload-boundary", [profile["boundary"]]))
        profile["layers"], profile["deny"] = [], []
        for title, numbers in named:
            layer: dict[str, Any] = {"name": title, "allow": []}
            profile["layers"].append(layer)
            for policy in numbers:
                for place, statement in enumerate(policies[policy]["statements"]):
                    is_deny = statement["Effect"] == "Deny"
                    (profile["deny"] if is_deny else layer["allow"]).append(len(rules))
                    rules.append(_rule(statement, [policy, place]))
        if "unread" in profile:
            profile["layers"][0]["allow"].append(len(rules))
            rules.append(
                {"effect": "Allow", "actions": ["*"], "resources": ["*"], "keys": ["unread policies"]}
            )
    return rules


def _rule(statement: dict[str, Any], place: list[int]) -> dict[str, Any]:
    names = {"Action": "actions", "NotAction": "except_actions"}
    (name,) = names.keys() & statement.keys()
    keys = [key for tests in statement.get("Condition", {}).values() for key in tests]
    return {
        "effect": statement["Effect"],
        names[name]: [action.lower() for action in statement[name]],
        "resources": statement["Resource"],
        **({"keys": keys} if keys else {}),
        "statement": place,
    }


def _add_risks(
    place: int,
    workload: dict[str, Any],
    profile: dict[str, Any],
    role: dict[str, Any],
    risks: list[dict[str, Any]],
) -> None:
    name = f"{workload['namespace']}/{workload['service_account']}"
    cells = {cell["service"]: cell for cell in profile["cells"]}
    if "*" in cells:
        risks.append(
            _risk("ADMIN", place, f"{name} can perform every action.", statements=cells["*"]["statements"])
        )
    if "iam" in cells and cells["iam"]["levels"]:
        text = f"{name} can pass roles to other services."
        risks.append(
            _risk("ESCALATION", place, text, statements=cells["iam"]["statements"], detail=["iam:PassRole"])
        )
    if place % 9 == 7:
        risks.append(_risk("SHARED_ROLE", place, f"The role {role['name']} is shared with {name}."))
    if place % 11 == 5:
        risks.append(_risk("IRSA_LEFT", place, f"{name} has an annotation for IRSA.", certain=False))


def _risk(code: str, place: int, text: str, certain: bool = True, **members: Any) -> dict[str, Any]:
    return {
        "code": code,
        "severity": RISK_KINDS[code]["severity"],
        "subject": str(place),
        "text": text,
        "certain": certain,
        "workloads": [place],
        **members,
    }
