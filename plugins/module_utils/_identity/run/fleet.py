# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""One run over clusters of one account: which of them can be used, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from ..._aws.client import Api
from ..._findings.finding import Finding
from ..inputs.accounts import has_many_policies, validate_accounts, validate_attachments
from ..inputs.fleet import Member
from ..model.cluster import Account, Cluster, Clusters, as_left_open, as_refusal, judge_api_server
from ..model.desired import Desired, Options, State
from ..model.errors import AwsError, ErrorKind, InputError, sentence
from ..read.account import read_attachment_quota
from ..read.cluster import ClusterPlace, find_clusters, read_caller, require_account

# The error code of a cluster whose input cannot be used, and of one that the run does not know.
REFUSED = "InvalidInput"
STOPPED = "ClusterStopped"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The clusters of a run. ``left_out`` says why some are not in it; their workloads are in ``desired`` all the same,
    so that nothing they may need is taken away.

    ``doubts`` are of clusters whose Kubernetes API is not known to be theirs, where that may be so.
    """

    clusters: Clusters
    left_out: Mapping[str, AwsError]
    desired: Desired
    doubts: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return self.clusters.account

    def doubts_of(self, cluster: str, verified: bool) -> list[Finding]:
        """``verified`` says that a verification was made, whose checks of Kubernetes it leaves open."""
        doubt = self.doubts.get(cluster)
        if doubt is None:
            return []
        return [as_left_open(doubt) if verified else doubt]


def assemble(
    api: Api,
    members: Sequence[Member],
    options: Options,
    state: State,
    width: int,
    changes: bool = True,
    stopped: Sequence[str] = (),
) -> Fleet:
    """Look at each cluster, and at what is asked for it. Raises AwsError when the caller is not known.

    ``changes``: what is asked for is to be applied, and not only to be verified. ``stopped`` are the keys of clusters of
    whose workloads nothing is known.
    """
    account = read_caller(api)
    left_out = _of_other_accounts(account, members)
    places = [
        ClusterPlace(member.key, member.name, member.region)
        for member in members
        if member.key not in left_out
    ]
    looks = find_clusters(api, account, places, state, width)
    left_out |= {key: look for key, look in looks.items() if isinstance(look, AwsError)}
    left_out |= {key: _stopped(key) for key in stopped}
    usable = {key: look for key, look in looks.items() if isinstance(look, Cluster)}
    doubts: dict[str, Finding] = {}
    # It is the account's, and asked for once, by the first cluster that needs it.
    quota = cache(partial(read_attachment_quota, api))
    for member in members:
        cluster = usable.get(member.key)
        if cluster is None:
            continue
        finding = judge_api_server(cluster, member.server) if member.server else None
        if finding is not None:
            doubts[member.key] = finding
        error = _refusal(cluster, member, options, state, finding, quota) if changes else None
        if error is not None:
            left_out[member.key] = error
    clusters = Clusters(account, {key: cluster for key, cluster in usable.items() if key not in left_out})
    return Fleet(clusters, left_out, _desired(members, options), doubts)


def _of_other_accounts(account: Account, members: Sequence[Member]) -> dict[str, AwsError]:
    """Return an error for each cluster that is expected in an account other than that of the credentials."""
    errors: dict[str, AwsError] = {}
    for member in members:
        try:
            require_account(account, member.account_id, member.name, member.region)
        except AwsError as error:
            errors[member.key] = error
    return errors


def _stopped(key: str) -> AwsError:
    text = f"the play stopped for cluster {key} before this run, so what its workloads use is not known."
    return AwsError("", STOPPED, text, ErrorKind.OTHER, "Resolve what stopped it, and run again.")


def _refusal(
    cluster: Cluster,
    member: Member,
    options: Options,
    state: State,
    doubt: Finding | None,
    quota: Callable[[], int | None],
) -> AwsError | None:
    """Why a cluster that can be read is not in the run."""
    if doubt is not None and member.server is not None and member.server.required:
        return AwsError("", doubt.code.value, doubt.message, ErrorKind.OTHER, as_refusal(doubt).remedy)
    desired = Desired(member.workloads, options)
    try:
        validate_accounts(desired, cluster)
        if state == "present" and has_many_policies(desired, cluster):
            validate_attachments(desired, cluster, quota())
    except InputError as error:
        problems = " ".join(map(sentence, error.problems))
        return AwsError(
            "", REFUSED, problems, ErrorKind.OTHER, "Correct what was written for the cluster, and run again."
        )
    return None


def _desired(members: Iterable[Member], options: Options) -> Desired:
    workloads = [workload for member in members for workload in member.workloads]
    findings = (finding for member in members for finding in member.breakage)
    return Desired(tuple(workloads), options).stopped_by(findings)


def part_of(desired: Desired, cluster: str) -> Desired:
    """What is desired of one cluster, by what keys of workloads call it."""
    return replace(
        desired,
        workloads=tuple(workload for workload in desired.workloads if workload.key.cluster == cluster),
    )
