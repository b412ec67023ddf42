# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What every read of a run shares: where to ask, how many at once, and who counts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ..._aws.client import Api
from ..model.cluster import Account, Clusters
from ..model.errors import AwsError
from ..model.observed import ReadFailure
from ..model.progress import NullProgress, Progress
from ..model.targets import Target

Observation = TypeVar("Observation")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads for one run. ``width`` bounds the requests under way at once; ``progress`` counts the reads as
    ``stage``."""

    api: Api
    clusters: Clusters
    width: int
    progress: Progress = field(default_factory=NullProgress)
    stage: str = "read"

    @property
    def account(self) -> Account:
        return self.clusters.account

    def attempt(self, target: Target, read: Callable[[], Observation]) -> Observation | ReadFailure:
        """What ``read`` returns, or why AWS does not let it."""
        try:
            return read()
        except AwsError as error:
            return ReadFailure(target, error)
        finally:
            self.progress.done(self.stage)
