# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a migration test: an estate, the check of its credentials, and the harness that runs migrations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.workload_identity.aws.tests.migration.estate import CLUSTER, Estate, Member
from ansible_collections.workload_identity.aws.tests.migration.harness import Harness
from ansible_collections.workload_identity.aws.tests.migration.oracle import Oracle
from sandbox.aws.control import AwsControl
from sandbox.kube.control import KubeControl

Pairs = set[tuple[str, str]]


class LateWebhook:
    """A webhook that learns of a change of the associations ``seconds`` late, by the clock of the harness."""

    def __init__(self, estate: Estate, control: KubeControl, harness: Harness, seconds: float) -> None:
        self._estate, self._control, self._clock = estate, control, harness.clock
        self._delay = timedelta(seconds=seconds)
        self._history: list[tuple[datetime, Pairs]] = [(harness.clock.now() - self._delay, self._read())]
        harness.clock.after_sleep = self.show
        self.show()

    def note(self) -> None:
        """Note that the associations may have changed."""
        self._history.append((self._clock.now(), self._read()))
        self.show()

    def show(self) -> None:
        self._control.set_known_associations(self._known())

    def is_late(self, member: Member) -> bool:
        """Return whether the webhook still knows an association that was deleted."""
        pair = (member.namespace, member.name)
        return pair in self._known() and pair not in self._history[-1][1]

    def _known(self) -> Pairs:
        past = [pairs for moment, pairs in self._history if moment <= self._clock.now() - self._delay]
        return past[-1]

    def _read(self) -> Pairs:
        found = self._estate.eks.list_pod_identity_associations(clusterName=CLUSTER, maxResults=100)
        return {(item["namespace"], item["serviceAccount"]) for item in found["associations"]}


@dataclass
class Scene:
    """The parts of a test: an estate, the check of its credentials, and the harness that runs migrations."""

    estate: Estate
    oracle: Oracle
    harness: Harness
    environment: dict[str, str]
    aws: AwsControl
    kube: KubeControl
    late: LateWebhook | None = None

    def delay_webhook(self, seconds: float) -> None:
        """Let the webhook learn of changes of the associations later."""
        self.late = LateWebhook(self.estate, self.kube, self.harness, seconds)
        self.oracle.is_late = self.late.is_late

    def checking(self) -> Callable[[str, str], None]:
        """Return a function that checks the credentials of all Pods after each write."""

        def check(moment: str, name: str) -> None:
            if moment == "after":
                if self.late is not None and "PodIdentityAssociation" in name:
                    self.late.note()
                self.oracle.check(name)

        return check
