# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the evaluator is right for random policies and random values of unknown keys.

No value of an unknown key may contradict a definite answer. The random policies have every operator, qualifier, position of a
variable and type of key. The choice of unknown keys is also random. The environment variables SOUNDNESS_EXAMPLES and
SOUNDNESS_COMPLETIONS set the number of policies, and the number of values that are tried for the unknown keys of a policy.
"""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    Layer,
    evaluate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    SERVICE,
    Subject,
    pod_context,
    pod_identity_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    Request,
    build_rules,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import (
    ABSENT,
    UNKNOWN_VALUE,
    Context,
    Unknown,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    parse_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.operators import date
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import (
    judge,
    pod_identity_inquiry,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("SOUNDNESS_EXAMPLES", "150" if os.environ.get("TIER") == "release" else "40"))
COMPLETIONS = int(os.environ.get("SOUNDNESS_COMPLETIONS", "40"))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

POD = Subject(
    cluster_arn="arn:aws:eks:us-west-2:111122223333:cluster/a",
    namespace="b",
    role_arn="arn:aws:iam::111122223333:role/a",
)
# By key: the types of operators that compare its values, and whether it may have several values.
KEYS = {
    "t:one": (["String", "Bool", "Binary"], True),
    "t:two": (["String", "Arn"], True),
    "aws:PrincipalTag/team": (["String"], False),
    "aws:ResourceTag/team": (["String", "Numeric"], False),
    "aws:PrincipalArn": (["Arn", "String"], False),
    "aws:PrincipalAccount": (["String", "Numeric"], False),
    "aws:SecureTransport": (["Bool"], False),
    "aws:MultiFactorAuthPresent": (["Bool"], False),
    "aws:CurrentTime": (["Date"], False),
    "aws:EpochTime": (["Date", "Numeric"], False),
    "aws:RequestTag/k": (["String"], False),
    "s3:max-keys": (["Numeric", "Binary"], False),
    "ec2:moment": (["Date", "Numeric"], False),
    "aws:SourceIp": (["Ip"], False),
    "aws:TagKeys": (["String"], True),
    "t:blob": (["Binary"], True),
}
OPERATORS = {
    "String": [
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    ],
    "Arn": ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
    "Numeric": [
        f"Numeric{name}"
        for name in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
    ],
    "Date": [
        f"Date{name}"
        for name in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
    ],
    "Bool": ["Bool"],
    "Binary": ["BinaryEquals"],
    "Ip": ["IpAddress", "NotIpAddress"],
}
VARIABLES = ["t:one", "t:two", "aws:PrincipalTag/team", "aws:ResourceTag/team", "aws:PrincipalAccount"]
WORDS = ["a", "b", "ab", "aB", "A", "", "web-1", "a/b", "111122223333", "*", "k"]
PATTERNS = ["*", "a*", "*b", "?", "??", "a?b", "*a*", "web-*", "*-1", "[ab]*", "A*", "*/*", "k", "?*", "1*"]
ARNS = [
    "arn:aws:iam::111122223333:role/a",
    "arn:aws:iam::111122223333:role/b/a",
    "arn:aws-cn:iam::222233334444:role/a",
    "arn:aws:sts::111122223333:assumed-role/a/b",
]
ARN_PATTERNS = [
    "*",
    "arn:*",
    "arn:aws:iam::*:role/a*",
    "arn:aws:iam::111122223333:*",
    "arn:*:iam::*:role/*a",
    "arn:aws*:iam::?11122223333:role/?",
    "arn:aws:*:*:*:role/b/*",
    "arn:aws:iam:*:role/a",
]
NUMBERS = ["1", "2", "2.5", "10", "-1", "1e1", "ten", "1_0"]
DATES = ["2026-01-01", "2026-01-01T00:00:00Z", "2026-06-01T12:00:00+02:00", "1767225600", "2026", "soon"]
BLOCKS = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "0.0.0.0/0",
    "2001:db8::/32",
    "192.0.2.0/25",
    "192.0.2.128/25",
]
BLOBS = ["QUJD", "QQ==", "QR==", "no", "x", "xxxx"]


def variable(draw):
    name = draw(VARIABLES)
    return "${" + name + (", 'a'" if draw([0, 0, 0, 1]) else "") + "}"


def text_value(draw, wild):
    shape = draw(range(9))
    plain = draw(PATTERNS if wild and draw([0, 1]) else WORDS)
    first = variable(draw)
    if shape == 0:
        return first
    if shape == 1:
        return first + variable(draw)  # two adjacent variables
    if shape == 2:
        return f"{first}/{first}" if draw([0, 1]) else first + first  # the same variable twice
    if shape == 3:
        return f"{plain}{first}{draw(WORDS)}"
    return plain


def value(draw, base, family):
    if family == "String":
        return text_value(draw, "Like" in base)
    if family == "Arn":
        arn = draw(ARN_PATTERNS + ARNS)
        if draw([0, 0, 1]):
            arn = arn.replace("role/a", f"role/{variable(draw)}").replace(
                "111122223333", "${aws:PrincipalAccount}"
            )
        return arn
    return draw(
        {"Numeric": NUMBERS, "Date": DATES, "Bool": ["true", "false"], "Binary": BLOBS, "Ip": BLOCKS}[family]
    )


def condition_block(draw, keys):
    block: dict[str, dict[str, object]] = {}
    for _ in range(draw([0, 1, 1, 2, 3])):
        key = draw(list(keys))
        if draw([0, 0, 0, 0, 1]):
            block.setdefault("Null", {})[key] = draw(["true", "false"])
            continue
        family = draw(keys[key][0])
        base = draw(OPERATORS[family])
        operator = draw(["", "", "ForAllValues:", "ForAnyValue:"]) + base + draw(["", "", "IfExists"])
        block.setdefault(operator, {})[key] = [value(draw, base, family) for _ in range(draw([1, 1, 2, 3]))]
    return block


RESOURCES = [
    "*",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::b/a/b",
    "arn:aws:s3:::c/*",
    "arn:aws:s3:::b/{v}",
    "arn:aws:s3:::b/{v}/*",
    "arn:aws:s3:::b/{v}{w}",
    "arn:aws:s3:::b/{v}/{w}",
    "arn:aws:s3:::b/{v}/{v}",
    "arn:aws:s3:::*/{v}/?",
    "arn:aws:s3:::{v}/*",
    "arn:aws:s3::{v}:b/*",
]
REQUESTED = ["arn:aws:s3:::b/a/b", "arn:aws:s3:::b/a/a", "arn:aws:s3:::b/ab", "arn:aws:s3:::b/a/*", "*"]


def identity_policy(draw, most):
    statements = []
    for _ in range(draw(list(range(1, most + 1)))):
        targets = [
            draw(RESOURCES).replace("{v}", variable(draw)).replace("{w}", variable(draw))
            for _ in range(draw([1, 1, 2]))
        ]
        statements.append(
            {
                "Effect": draw(["Allow", "Allow", "Deny"]),
                draw(["Action"] * 5 + ["NotAction"]): draw(["s3:GetObject", "s3:*", "*", "s3:Put*"]),
                draw(["Resource"] * 4 + ["NotResource"]): targets,
                "Condition": condition_block(draw, KEYS),
            }
        )
    return {"Version": draw(["2012-10-17"] * 6 + ["2008-10-17"]), "Statement": statements}


def completion(draw, key, may_be_absent=True):
    """Draw the values that a request may have for a key, or ABSENT."""
    _families, several = KEYS[key]
    if may_be_absent and draw([0, 0, 0, 1]):
        return ABSENT

    def single():
        if key == "aws:PrincipalArn":
            return draw(ARNS)
        if key == "aws:PrincipalAccount":
            return draw(["111122223333", "222233334444", "000000000000"])
        if key in ("aws:SecureTransport", "aws:MultiFactorAuthPresent"):
            return draw(["true", "false"])
        if key in ("aws:CurrentTime", "aws:EpochTime"):
            return draw(
                [*DATES[:4], "2025-12-31T23:59:59Z", "2026-03-01T00:00:00Z", "2030-01-01T00:00:00.5Z"]
            )
        if key == "aws:SourceIp":
            return draw(
                [
                    "10.1.2.3",
                    "10.1.9.9",
                    "10.9.9.9",
                    "192.0.2.5",
                    "192.0.2.200",
                    "8.8.8.8",
                    "2001:db8::1",
                    "::1",
                ]
            )
        if key == "s3:max-keys":
            return draw(["0", "1", "2", "2.2", "3", "10", "11", "-5"])
        if key == "ec2:moment":
            return draw([*DATES, *NUMBERS, "x", "5", "2026-03-01"])
        pool = [
            *WORDS,
            "ba",
            "abb",
            "web-",
            "x",
            "xy",
            "a/a",
            "b/a",
            "K",
            "\u212a",
            "?",
            "1",
            "3",
            *ARNS,
            *BLOBS,
            "true",
        ]
        if draw([0, 0, 1]):
            return "".join(draw("abA/-:1*") for _ in range(draw(range(5))))
        return draw(pool)

    values = tuple(dict.fromkeys(single() for _ in range(draw([1, 1, 2, 3]) if several else 1)))
    if key.startswith("aws:") and "Tag/" not in key:
        values = tuple(text or "x" for text in values)
    return values


def sample_request(draw, action, context):
    """Draw a possible request that has the known values of ``context``.

    In a possible request, both keys of the current time have the same time, and the tag keys match the tags.
    """
    states = {
        key.lower(): completion(draw, key, state.may_be_absent)
        for key in KEYS
        if isinstance(state := context.get(key.lower()), Unknown)
    }
    moment = context.get("aws:currenttime")
    if isinstance(moment, Unknown):
        moment = context.get("aws:epochtime")
    if isinstance(moment, Unknown):
        moment = completion(draw, "aws:CurrentTime", False)
    states |= {"aws:currenttime": moment, "aws:epochtime": tuple(str(date(text)) for text in moment)}
    link_tags(draw, action, context, states)
    return context.assume(states)


def link_tags(draw, action, context, states):
    keys = states.get("aws:tagkeys", context.get("aws:tagkeys"))
    tag = states.get("aws:requesttag/k", context.get("aws:requesttag/k"))
    has_tag_key = "k" in map(str.lower, keys)
    if (
        (has_tag_key and tag)
        or (not has_tag_key and not tag)
        or (not tag and not action.startswith("s3:Tag"))
    ):
        return
    if "aws:requesttag/k" in states and ("aws:tagkeys" not in states or draw([0, 1])):
        states["aws:requesttag/k"] = (draw(WORDS),) if has_tag_key else ABSENT
    elif tag:
        states["aws:tagkeys"] = (*keys, draw("kK"))
    else:
        states["aws:tagkeys"] = tuple(key for key in keys if key.lower() != "k")


def layer(name, document, kind="identity"):
    return Layer(name, build_rules(parse_policy(document, kind), name))


def picker(random):
    def draw(options):
        return options[random.randrange(len(options))]

    return draw


@SETTINGS
@given(st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
def test_no_permission_verdict_is_refuted(random, seed):
    draw = picker(random)
    # Draw the values of unknown keys from a separate generator. With a thousand of them, Hypothesis would discard the example as
    # too large.
    complete = picker(Random(seed))
    layers = [layer("identity", identity_policy(draw, 3))]
    if draw([0, 0, 0, 1]):
        layers.append(layer("boundary", identity_policy(draw, 2), "boundary"))
    if draw([0, 0, 0, 1]):
        layers.append(layer("session", identity_policy(draw, 2), "session"))
    action = draw(["s3:GetObject", "s3:GetObject", "s3:TagResource"])
    request = Request(action, draw(REQUESTED))
    whole = sample_request(draw, action, Context(default=UNKNOWN_VALUE))
    fixed = {key.lower(): whole.get(key.lower()) for key in KEYS if draw([0, 0, 0, 1])}
    context = draw([Context(default=UNKNOWN_VALUE), pod_context(POD)]).assume(fixed)

    def completed():
        states = {}
        if context.get("aws:principaltype") == ("AssumedRole",) and "aws:multifactorauthpresent" not in fixed:
            # The evaluator assumes one of the states that AWS may send. Try both states.
            states["aws:multifactorauthpresent"] = complete([ABSENT, ("false",)])
        return sample_request(complete, action, context.assume(states))

    verdict = evaluate(layers, request, context)
    if verdict.conditional_on:
        assert verdict.decision == "conditional"
        return
    for _ in range(COMPLETIONS):
        found = evaluate(layers, request, completed())
        if verdict.decision == "conditional":
            assert request.is_wild
            assert not found.denied or found.decision == "conditional"
        elif verdict.denied:
            assert found.denied
        else:
            assert found.decision == verdict.decision


# Tests of trust policies. In requests of EKS Pod Identity, some keys contain the values of other keys.

CLUSTERS = [
    "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
    "arn:aws:eks:us-east-1:111122223333:cluster/other",
    "arn:aws-cn:eks:cn-north-1:222233334444:cluster/my-cluster",
]
PATHS = ["o-abcd/r-ab12/ou-ab12-11111111/", "o-abcd/r-cd34/", "o-efgh/r-ab12/"]
SUBJECT = {
    "cluster_arn": CLUSTERS,
    "namespace": ["default", "team-a", "kube-system"],
    "service_account": ["web", "my-service-account"],
    "pod_name": ["web-1", "api-7f"],
    "pod_uid": ["u-1", "u-2"],
}
# By key of the request: values to compare it with, and the types of operators that compare it.
TRUST_KEYS = {
    "aws:RequestTag/eks-cluster-arn": (
        [*CLUSTERS, "arn:aws:eks:*:111122223333:cluster/*", "*/my-*"],
        ["String", "Arn"],
    ),
    "aws:RequestTag/eks-cluster-name": (["my-cluster", "other", "my-*", "?*r", "*-*"], ["String"]),
    "aws:RequestTag/kubernetes-namespace": (
        ["default", "team-*", "*-a", "Default", "t*", "?????*"],
        ["String"],
    ),
    "aws:RequestTag/kubernetes-service-account": (["web", "my-*", "*"], ["String"]),
    "aws:RequestTag/kubernetes-pod-name": (["web-1", "web-*", "*-7?"], ["String"]),
    "aws:RequestTag/kubernetes-pod-uid": (["u-1", "u-?"], ["String"]),
    "aws:RequestTag/team": (["x"], ["String"]),
    "aws:TagKeys": (["kubernetes-*", "eks-cluster-*", "team"], ["String"]),
    "sts:TransitiveTagKeys": (["kubernetes-namespace", "*"], ["String"]),
    "aws:SourceAccount": (["111122223333", "222233334444", "1*", "????????????"], ["String", "Numeric"]),
    "aws:ResourceAccount": (["111122223333", "${aws:SourceAccount}", "2*"], ["String"]),
    "aws:SourceArn": ([*CLUSTERS, "arn:aws:eks:*:*:cluster/my-*", "arn:aws:eks:*"], ["String", "Arn"]),
    "aws:SourceOrgID": (["o-abcd", "o-*", "${aws:ResourceOrgID}"], ["String"]),
    "aws:ResourceOrgID": (["o-efgh", "${aws:SourceOrgID}"], ["String"]),
    "aws:SourceOrgPaths": (["o-abcd/*", "o-abcd/r-ab12/*", "*/r-ab12/*", "${aws:SourceOrgID}/*"], ["String"]),
    "aws:ResourceOrgPaths": (["o-abcd/*"], ["String"]),
    "aws:PrincipalIsAWSService": (["true", "false"], ["Bool"]),
    "aws:PrincipalServiceName": ([SERVICE, "*.eks.*"], ["String"]),
    "aws:PrincipalServiceNamesList": ([SERVICE], ["String"]),
    "aws:PrincipalOrgID": (["o-abcd"], ["String"]),
    "aws:PrincipalType": (["Service", "AssumedRole"], ["String"]),
    "aws:SecureTransport": (["true", "false"], ["Bool"]),
    "aws:ViaAWSService": (["true", "false"], ["Bool"]),
    "aws:CurrentTime": (["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"], ["Date"]),
    "aws:EpochTime": (["1767225600", "1800000000"], ["Date", "Numeric"]),
    "aws:RequestedRegion": (["us-west-2", "us-*", "eu-*"], ["String"]),
    "aws:ResourceTag/team": (
        ["x", "${aws:RequestTag/kubernetes-namespace}", "${aws:ResourceTag/owner, 'x'}"],
        ["String"],
    ),
    "aws:ResourceTag/owner": (
        ["x", "${aws:RequestTag/kubernetes-namespace}-${aws:RequestTag/kubernetes-service-account}"],
        ["String"],
    ),
    "aws:UserAgent": (["aws-*"], ["String"]),
    "sts:RoleSessionName": (["eks-*", "*-web"], ["String"]),
    "sts:DurationSeconds": (["900", "3600"], ["Numeric"]),
    "sts:ExternalId": (["x"], ["String"]),
    "aws:SourceIp": (["10.0.0.0/8"], ["Ip"]),
}
OTHERS = {
    "aws:principaltype": ["Service", "AssumedRole", None],
    "aws:userid": ["AROAEXAMPLE:x", None],
    "aws:currenttime": [
        "2025-12-31T00:00:00Z",
        "2026-05-05T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2030-01-01T00:00:00Z",
    ],
    "aws:requestedregion": ["us-west-2", "us-gov-west-1", "eu-central-1"],
    "aws:useragent": ["aws-internal", "x", None],
    "aws:referer": [None],
    "sts:rolesessionname": ["eks-my-cluster-web", "x"],
    "sts:durationseconds": ["900", "3600", "1000", "21600", None],
    "aws:resourcetag/team": ["x", "y", "default", "team-a", "", None],
    "aws:resourcetag/owner": ["x", "default-web", "team-a-web", "default", None],
}


def trust_policy(draw):
    statements = []
    for _ in range(draw([1, 2, 2, 3])):
        block: dict[str, dict[str, object]] = {}
        for _ in range(draw([0, 1, 1, 2, 3])):
            key = draw(list(TRUST_KEYS))
            if draw([0] * 9 + [1]):
                block.setdefault("Null", {})[key] = draw(["true", "false"])
                continue
            values, families = TRUST_KEYS[key]
            operator = draw(["", "", "", "ForAllValues:", "ForAnyValue:"]) + draw(OPERATORS[draw(families)])
            block.setdefault(operator + draw(["", "", "", "IfExists"]), {})[key] = [
                draw(values) for _ in range(draw([1, 1, 2]))
            ]
        statements.append(
            {
                "Effect": draw(["Allow", "Allow", "Deny"]),
                "Principal": draw([{"Service": SERVICE}, "*", {"Service": SERVICE, "AWS": "111122223333"}]),
                "Action": draw(
                    [["sts:AssumeRole", "sts:TagSession"], "sts:*", "sts:AssumeRole", "sts:TagSession"]
                ),
                "Condition": block,
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def full_context(draw, subject):
    """Draw a request of EKS in which all keys are known. It has the known values of ``subject``."""
    values = {name: getattr(subject, name) or draw(choices) for name, choices in SUBJECT.items()}
    fitting = [
        arn
        for arn in CLUSTERS
        if (subject.cluster is None or arn.endswith("/" + subject.cluster))
        and (subject.account is None or f":{subject.account}:" in arn)
    ]
    values["cluster_arn"] = subject.cluster_arn or draw(fitting)
    path = draw([p for p in PATHS if not subject.source_org_id or p.startswith(subject.source_org_id)])
    path = path if subject.source_org_id or draw([0, 1]) else None
    organization = path.partition("/")[0] if path else None
    context = pod_identity_context(replace(subject, **values, source_org_id=organization))
    states: dict[str, tuple[str, ...]] = {}
    for key, choices in OTHERS.items():
        choice = draw(choices)
        states[key] = ABSENT if choice is None else (choice,)
    for key in ("aws:sourceorgid", "aws:resourceorgid"):
        states[key] = (organization,) if organization else ABSENT
    for key in ("aws:sourceorgpaths", "aws:resourceorgpaths"):
        states[key] = (path,) if path else ABSENT
    states["aws:epochtime"] = tuple(str(date(text)) for text in states["aws:currenttime"])
    states["aws:sourcearn"] = (values["cluster_arn"],) if draw([0, 1, 1]) else ABSENT
    completed = context.assume(states)
    assert not any(isinstance(completed.get(key.lower()), Unknown) for key in TRUST_KEYS)
    return completed


@SETTINGS
@given(st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
def test_no_trust_verdict_is_refuted(random, seed):
    draw = picker(random)
    complete = picker(Random(seed))
    layers = [layer("trust", trust_policy(draw), "trust")]
    requests = pod_identity_inquiry(Subject()).requests
    options = {name: draw([None, choices[0]]) for name, choices in SUBJECT.items()}
    subject = Subject(
        **options,
        cluster=draw([None, "my-cluster"]),
        account_id=draw([None, "111122223333"]),
        source_org_id=draw([None, None, "o-abcd"]),
        session_tags=draw([True, True, False]),
    )
    context = pod_identity_context(subject)
    rules = layers[0].rules
    answer = judge(rules, requests, context)
    for _ in range(COMPLETIONS):
        together = judge(rules, requests, full_context(complete, subject))
        for verdict, found in zip(answer.verdicts, together.verdicts, strict=True):
            assert verdict.decision == "conditional" or found.allowed is verdict.allowed
        assert answer.usable in ("conditional", together.usable)
    assert bool(answer.keys) is (answer.usable == "conditional")
