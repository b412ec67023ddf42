# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake AWS with stale reads, as the sandbox has them with a read lag. Writes use the current state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import Clock
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    READS,
    FakeAws,
)


class LateAws(FakeAws):
    """A fake AWS whose reads return the state of ``lag`` seconds ago. With two ``replicas``, only every second read is stale."""

    def __init__(self, clock: Clock, lag: float, replicas: int = 1) -> None:
        super().__init__()
        self._clock = clock
        self._lag = lag
        self._replicas = replicas
        self._reads: Counter[str] = Counter()
        self._history: list[tuple[float, tuple[Any, ...]]] = []

    def freeze(self) -> None:
        """Forget earlier states, so that no read returns an older state than the present state."""
        self._history = [(float("-inf"), self.backup())]

    def _answer(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if not self._history:
            self.freeze()
        name = f"{service}:{operation}"
        if not operation.startswith(READS):
            answer = super()._answer(service, operation, parameters)
            self._history.append((self._clock.now(), self.backup()))
            return answer
        self._reads[name] += 1
        if self._replicas > 1 and self._reads[name] % 2 == 0:
            return super()._answer(service, operation, parameters)
        present = self.backup()
        seen = [state for moment, state in self._history if moment <= self._clock.now() - self._lag]
        self.restore(seen[-1])
        try:
            return super()._answer(service, operation, parameters)
        finally:
            self.restore(present)
