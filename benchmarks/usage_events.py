# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic CloudTrail events of Pods: sessions of EKS Pod Identity and IRSA, and the calls in these sessions."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TypeAlias

Event: TypeAlias = dict[str, object]
ACCOUNT, REGION, CLUSTER = "111122223333", "us-west-2", "my-cluster"
CLUSTER_ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}"
ISSUER = f"oidc.eks.{REGION}.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
START = datetime(2026, 11, 20, tzinfo=timezone.utc)


def event_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def role_arn(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


class Session:
    """A session of a role, with methods that return its CloudTrail events.

    :arg pod: the name of the Pod; its UID is derived from it.
    :arg tags: whether the session has session tags.
    """

    def __init__(
        self,
        number: int,
        role: str,
        namespace: str,
        service_account: str,
        time: datetime = START,
        *,
        pod: str = "",
        tags: bool = True,
        cluster_arn: str = CLUSTER_ARN,
        role_account: str = ACCOUNT,
    ) -> None:
        self.number, self.role, self.time = number, role, time
        self.namespace, self.service_account = namespace, service_account
        self.pod = pod or f"{service_account}-{number}"
        self.tags, self.cluster_arn, self.account = tags, cluster_arn, role_account
        self.access_key = f"ASIA{number:016d}"
        cluster = cluster_arn.rpartition("/")[2]
        self.name = f"eks-{cluster[:10]}-{self.pod[:10]}-00000000-0000-0000-0000-{number:012d}"
        self.principal = f"AROAEXAMPLEROLE{sum(map(ord, role)):06d}:{self.name}"
        self.arn = f"arn:aws:sts::{role_account}:assumed-role/{role}/{self.name}"

    def start(self) -> Event:
        """Return the event AssumeRole with which EKS Pod Identity starts this session."""
        tags = {
            "eks-cluster-arn": self.cluster_arn,
            "eks-cluster-name": self.cluster_arn.rpartition("/")[2],
            "kubernetes-namespace": self.namespace,
            "kubernetes-service-account": self.service_account,
            "kubernetes-pod-name": self.pod,
            "kubernetes-pod-uid": f"uid-{self.pod}",
        }
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        identity: Event = {"type": "AWSService", "invokedBy": "pods.eks.amazonaws.com"}
        extra: Event = {"tags": pairs, "transitiveTagKeys": list(tags)} if self.tags else {}
        return self._started("AssumeRole", identity, extra)

    def start_irsa(self, issuer: str = ISSUER) -> Event:
        """Return the event AssumeRoleWithWebIdentity with which a Pod starts this session by IRSA."""
        identity: Event = {
            "type": "WebIdentityUser",
            "principalId": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}:sts.amazonaws.com:{self.service_account}",
            "userName": f"system:serviceaccount:{self.namespace}:{self.service_account}",
            "identityProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}",
        }
        return self._started("AssumeRoleWithWebIdentity", identity, {})

    def chain(self, target: Session) -> Event:
        """Return the event AssumeRole with which this session starts a session of another role (role chaining)."""
        return target._started("AssumeRole", self.identity(), {})

    def identity(self) -> Event:
        return {
            "type": "AssumedRole",
            "principalId": self.principal,
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": self.access_key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": self.principal.partition(":")[0],
                    "arn": f"arn:aws:iam::{self.account}:role/{self.role}",
                    "accountId": self.account,
                    "userName": self.role,
                },
                "attributes": {"creationDate": event_time(self.time), "mfaAuthenticated": "false"},
            },
        }

    def _started(self, name: str, identity: Event, extra: Event) -> Event:
        arn = f"arn:aws:iam::{self.account}:role/{self.role}"
        event = base_event("sts.amazonaws.com", name, self.time, identity)
        parameters: Event = {"roleArn": arn, "roleSessionName": self.name, "durationSeconds": 21600}
        event["requestParameters"] = {**parameters, **extra}
        event["responseElements"] = {
            "credentials": {
                "accessKeyId": self.access_key,
                "sessionToken": "HIDDEN",
                "expiration": event_time(self.time + timedelta(hours=6)),
            },
            "assumedRoleUser": {"assumedRoleId": self.principal, "arn": self.arn},
        }
        event["resources"] = [{"accountId": self.account, "type": "AWS::IAM::Role", "ARN": arn}]
        return event

    def call(
        self,
        source: str,
        name: str,
        *,
        arns: Sequence[str] = (),
        parameters: Event | None = None,
        minutes: float = 1,
        data: bool = False,
        error: str = "",
    ) -> Event:
        """Return the event of a call in this session.

        :arg source: the event source without .amazonaws.com.
        :arg minutes: the time since the start of the session, in minutes.
        :arg data: whether the event is a data event.
        :arg error: the error code of the call, or "" if it succeeded.
        """
        event = base_event(
            f"{source}.amazonaws.com", name, self.time + timedelta(minutes=minutes), self.identity()
        )
        event["requestParameters"] = parameters
        event["resources"] = [{"ARN": arn, "accountId": ACCOUNT} for arn in arns]
        event |= {"managementEvent": not data, "eventCategory": "Data" if data else "Management"}
        if error:
            event |= {"errorCode": error, "errorMessage": f"not authorized to perform: {name}"}
        return event

    def get_object(self, bucket: str, key: str, **options: float | bool | str) -> Event:
        return self.call(
            "s3",
            "GetObject",
            arns=(f"arn:aws:s3:::{bucket}/{key}", f"arn:aws:s3:::{bucket}"),
            parameters={"bucketName": bucket, "key": key, "Host": f"{bucket}.s3.{REGION}.amazonaws.com"},
            minutes=float(options.get("minutes", 1)),
            data=True,
            error=str(options.get("error", "")),
        )


def base_event(source: str, name: str, time: datetime, identity: Event) -> Event:
    return {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": event_time(time),
        "eventSource": source,
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.10",
        "userAgent": "aws-sdk-go-v2/1.32.0 os/linux lang/go#1.23 md/GOARCH#amd64 api/s3#1.66.0",
        "requestID": "c4d1e5f0-1111-2222-3333-444455556666",
        "eventID": "0f0f0f0f-1111-2222-3333-444455556666",
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"},
    }


def write_trail(folder: Path, events: Sequence[Event], number: int = 0, *, level: int = 6) -> Path:
    """Write events to a compressed file in the layout of a trail in S3, and return its path."""
    time = START + timedelta(minutes=5 * number)
    place = folder / "AWSLogs" / ACCOUNT / "CloudTrail" / REGION / time.strftime("%Y/%m/%d")
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{ACCOUNT}_CloudTrail_{REGION}_{time:%Y%m%dT%H%MZ}_{number:016d}.json.gz"
    content = json.dumps({"Records": events}, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(content, level))
    return path


def many_events(count: int, seed: int = 1) -> Iterator[list[Event]]:
    """Yield about ``count`` events, in a list for each file. A file has the events of five minutes.

    Two workloads use the same role, a third has another role, and other callers are not workloads. Sessions are renewed after
    three hours. About a tenth of the S3 calls get a new object, so that the number of resources grows.
    """
    chance = random.Random(seed)
    per_file = 2_000
    sessions: list[Session] = []
    number = 0
    for index in range(-(-count // per_file)):
        time = START + timedelta(minutes=5 * index)
        events: list[Event] = []
        if index % 36 == 0:
            sessions = []
            for pod in range(60):
                account = ("app", "batch", "reports")[pod % 3]
                number += 1
                role = "reports" if account == "reports" else "shared"
                sessions.append(Session(number, role, "shop", account, time, pod=f"{account}-{pod}"))
            events += [session.start() for session in sessions]
        other = Session(10_000_000 + index, "ci", "none", "none", time)
        while len(events) < min(per_file, count - index * per_file):
            kind = chance.random()
            session = chance.choice(sessions)
            minutes = chance.random() * 5 + 5 * (index % 36)
            if kind < 0.5:
                key = f"new/{chance.getrandbits(40):x}" if kind < 0.05 else f"{chance.randrange(200):03d}"
                events.append(session.get_object(f"{session.service_account}-data", key, minutes=minutes))
            elif kind < 0.7:
                table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{session.service_account}"
                events.append(session.call("dynamodb", "Query", arns=(table,), data=True, minutes=minutes))
            elif kind < 0.72:
                events.append(session.get_object("forbidden", "x", minutes=minutes, error="AccessDenied"))
            else:
                events.append(other.call("ec2", "DescribeInstances", minutes=chance.random() * 5))
        yield events
