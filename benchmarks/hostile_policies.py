# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy documents that IAM would store, but that are designed to be slow to evaluate.

Their size is within the quotas of IAM: 4,096 characters for a trust policy (2,048 by default, 4,096 after a quota increase),
6,144 for a managed policy and 10,240 for inline policies.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

SERVICE = {"Service": "pods.eks.amazonaws.com"}
BOTH = ["sts:AssumeRole", "sts:TagSession"]
TRUST_SIZE, PERMISSIONS_SIZE, INLINE_SIZE = 4096, 6144, 10240
Condition = Mapping[str, Mapping[str, object]]


def document(*statements: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(condition: Condition, effect: str = "Allow") -> dict[str, object]:
    return {"Effect": effect, "Principal": SERVICE, "Action": BOTH, "Condition": condition}


def deny(condition: Condition) -> dict[str, object]:
    return allow(condition, "Deny")


def tag(name: str) -> str:
    return f"aws:RequestTag/{name}"


NAMESPACE, POD = tag("kubernetes-namespace"), tag("kubernetes-pod-name")


def trust_documents() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield names and documents of trust policies."""
    yield "one chunk of many ?", document(allow({"StringLike": {NAMESPACE: "*" + "a?" * 900 + "b*"}}))
    yield "many stars", document(allow({"StringLike": {NAMESPACE: "*a" * 1800}}))
    yield (
        "stars and many ?",
        document(
            allow({"StringLike": {NAMESPACE: "*a" + "?" * 1500 + "b*"}}),
            deny({"StringLike": {NAMESPACE: "*b" + "?" * 1500 + "a*"}}),
        ),
    )
    yield (
        "many short patterns that overlap",
        document(
            *(
                allow({"StringLike": {NAMESPACE: f"*{a}*{b}*"}})
                for a, b in itertools.product("abcde", "fghij")
            ),
            deny({"StringNotLike": {NAMESPACE: "*z*"}}),
        ),
    )
    yield (
        "patterns in one list",
        document(
            allow({"StringLike": {NAMESPACE: [f"*x{number}*y{number}*" for number in range(200)]}}),
            deny({"StringNotLike": {NAMESPACE: [f"x{number}*y" for number in range(60)]}}),
        ),
    )
    yield (
        "many names",
        document(
            allow({"StringEquals": {NAMESPACE: [f"n{number}" for number in range(250)]}}),
            deny({"StringEquals": {NAMESPACE: [f"n{number}" for number in range(100, 250)]}}),
        ),
    )
    yield (
        "letter case",
        document(
            allow(
                {"StringEqualsIgnoreCase": {NAMESPACE: ["team" * 20 + str(number) for number in range(30)]}}
            ),
            deny({"StringEquals": {NAMESPACE: ["TEAM" * 20]}}),
        ),
    )
    yield (
        "variables compared with variables",
        document(
            *(
                deny({"StringNotEquals": {tag(first): f"${{{tag(second)}}}"}})
                for first, second in itertools.permutations(
                    ["kubernetes-namespace", "kubernetes-pod-name", "kubernetes-pod-uid", "eks-cluster-name"],
                    2,
                )
            ),
            allow({"StringLike": {NAMESPACE: f"*${{{POD}}}*${{{POD}}}*"}}),
        ),
    )
    yield (
        "one variable in many places",
        document(
            allow({"StringLike": {NAMESPACE: f"${{{POD}}}*" * 80, POD: f"*${{{NAMESPACE}}}" * 10}}),
        ),
    )
    yield (
        "many numbers and dates",
        document(
            allow(
                {
                    "NumericLessThan": {"sts:DurationSeconds": [str(number) for number in range(1000, 1150)]},
                    "NumericNotEquals": {"sts:DurationSeconds": [str(number * 7) for number in range(150)]},
                    "DateGreaterThan": {
                        "aws:CurrentTime": [f"20{number:02}-01-01" for number in range(26, 99)]
                    },
                }
            )
        ),
    )
    yield (
        "many keys",
        document(
            *(
                {
                    **allow({"StringNotLike": {f"aws:ResourceTag/k{number % 9}": [f"*{number}*", "a?b*"]}}),
                    "Effect": "Deny" if number % 3 else "Allow",
                }
                for number in range(20)
            )
        ),
    )
    yield "a large number", document(allow({"NumericLessThan": {"sts:DurationSeconds": "1e9999999"}}))
    yield (
        "part of the cluster's ARN",
        document(
            allow(
                {
                    "ArnLike": {
                        tag("eks-cluster-arn"): [f"arn:aws:eks:*-{n}:*:cluster/*a{n}*b" for n in range(40)]
                    }
                }
            ),
            deny({"StringLike": {"aws:SourceAccount": [f"*{n}?{n}*" for n in range(10)]}}),
            deny({"StringNotLike": {tag("eks-cluster-name"): [f"{n}*-*{n}" for n in range(20)]}}),
        ),
    )


def permission_documents() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield names and documents to evaluate for s3:GetObject."""

    def get(resource: object, condition: Condition | None = None, effect: str = "Allow") -> dict[str, object]:
        more = {"Condition": condition} if condition else {}
        return {"Effect": effect, "Action": "s3:GetObject", "Resource": resource, **more}

    prefix = "arn:aws:s3:::b/"
    yield "a Resource of ?", document(get(prefix + "*a?" * 1500))
    yield (
        "a Resource of many stars",
        document(get(prefix + "*a" * 2900), get(prefix + "*b" * 1000, None, "Deny")),
    )
    yield "many Resources with stars", document(get([f"{prefix}*{n}*a*" for n in range(200)]))
    yield (
        "many adjacent variables",
        document(get(prefix + "${aws:PrincipalTag/a}${aws:PrincipalTag/b}" * 60)),
    )
    yield (
        "one variable repeated",
        document(get([prefix + "${aws:PrincipalTag/a}*" * n for n in range(1, 20)])),
    )
    yield (
        "a variable in every Resource",
        document(get([f"{prefix}{n}/${{aws:PrincipalTag/a}}/*" for n in range(100)])),
    )
    yield (
        "set operators",
        document(
            *(
                get("*", {f"{kind}:StringLike": {"aws:TagKeys": [f"*{n}*", f"{n}?*"]}}, effect)
                for n, (kind, effect) in enumerate(
                    itertools.islice(
                        itertools.cycle(
                            itertools.product(("ForAllValues", "ForAnyValue"), ("Allow", "Deny"))
                        ),
                        40,
                    )
                )
            )
        ),
    )
    yield (
        "address blocks",
        document(
            get("*", {"IpAddress": {"aws:SourceIp": [f"10.{n}.0.0/17" for n in range(200)]}}),
            get("*", {"NotIpAddress": {"aws:SourceIp": [f"10.{n}.128.0/17" for n in range(120)]}}, "Deny"),
        ),
    )
    yield (
        "many actions",
        document(
            {"Effect": "Allow", "Action": [f"s3:*{n}*?a" for n in range(400)], "Resource": "*"}, get("*")
        ),
    )
    yield (
        "actions of many stars",
        document({"Effect": "Allow", "Action": "s3:" + "*a?" * 1900, "Resource": "*"}),
    )
    yield (
        "a chain of variables",
        document(
            get(
                "*",
                {
                    "StringEquals": {
                        f"aws:PrincipalTag/k{n}": f"${{aws:PrincipalTag/k{n + 1}}}x" for n in range(60)
                    }
                },
            )
        ),
    )
