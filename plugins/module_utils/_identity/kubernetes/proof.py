# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the Jobs of the runtime proof answered, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._findings.codes import Code
from .pod_checks import key_of
from .pods import Object
from .proof_causes import cause_of
from .proof_job import job_name
from .state import Key

_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")

Row = Mapping[str, Any]
Json = dict[str, Any]


def finished(jobs: Sequence[Object], pods: Sequence[Object]) -> bool:
    """Whether every Job has an answer, or never will."""
    ended = {_job_of(pod) for pod in pods if _terminated(pod) is not None or _hopeless(pod)}
    return all(one["metadata"]["name"] in ended for one in jobs)


def skipped_because(version: Row) -> str:
    """Why Pods cannot run here; "" when they can. ``version`` is that of GET /version."""
    if "emulat" in str(version.get("platform", "")) or "+sandbox" in str(version.get("gitVersion", "")):
        return f"this Kubernetes API ({version.get('gitVersion')}) is an emulator, where no Pod ever runs"
    return ""


def judge_proofs(rows: Sequence[Row], proof: Row) -> tuple[dict[Key, Json], list[Json]]:
    """The check of each workload, and the findings.

    ``proof`` holds ``run``, ``jobs``, ``pods``, ``timeout`` in seconds, ``reason`` (why nothing was run)
    and ``error`` (why the Jobs could not be made).
    """
    if proof.get("reason"):
        message = f"the runtime proof was skipped: {proof['reason']}."
        finding = _finding("", Code.PROOF_SKIPPED, "note", message, "Run it on a cluster with nodes.")
        return {key_of(row): _check("skipped", [Code.PROOF_SKIPPED]) for row in rows}, [finding]
    jobs = {one["metadata"]["name"] for one in proof.get("jobs") or ()}
    pods = {_job_of(pod): pod for pod in proof.get("pods") or ()}
    checks: dict[Key, Json] = {}
    findings: list[Json] = []
    for row in rows:
        name = job_name(row, str(proof.get("run", "")))
        if name not in jobs:
            continue
        fault = _judge(row, pods.get(name), proof)
        checks[key_of(row)] = _check("fail", [fault["code"]]) if fault else _check("pass", [])
        findings += [fault] if fault else []
    return checks, findings


def _judge(row: Row, pod: Object | None, proof: Row) -> Json | None:
    workload = "/".join(key_of(row))
    if pod is None:
        why = proof.get("error") or f"its Job made no Pod within {proof.get('timeout')} seconds"
        remedy = (
            "See the events of the namespace (quota, admission): kubectl get events -n "
            f"{key_of(row)[0]} --field-selector involvedObject.kind=Job"
        )
        return _finding(
            workload, Code.PROOF_NOT_STARTED, "error", f"the runtime proof did not run: {why}.", remedy
        )
    ended = _terminated(pod)
    if ended is None:
        return _not_ended(workload, pod, proof)
    text = str(ended.get("message") or "").strip()
    if ended.get("exitCode") == 0:
        return _judge_answer(workload, text, expected_role(row))
    cause = cause_of(text)
    if cause is None:
        message = f"the runtime proof failed with exit code {ended.get('exitCode')}: {_shown(text)}"
        return _finding(
            workload,
            Code.PROOF_FAILED,
            "error",
            message,
            "The text is all that is known; see docs/troubleshooting.md.",
        )
    return _finding(
        workload,
        cause.code,
        "error",
        f"the runtime proof failed, as {cause.what}: {_shown(text)}",
        cause.remedy,
    )


def expected_role(row: Row) -> str:
    """The ARN of the role that the Pod must have: the last of the chain."""
    return str(row.get("target_role_arn") or row.get("role_arn") or "")


def is_session_of(answer: str, role_arn: str) -> bool:
    """Whether an assumed-role ARN is a session of a role; it holds the role's name without its path."""
    got, want = answer.split(":"), role_arn.split(":")
    if len(got) != 6 or len(want) != 6 or got[1] != want[1] or got[4] != want[4]:
        return False
    kind, _slash, rest = got[5].partition("/")
    return kind == "assumed-role" and rest.partition("/")[0] == want[5].rpartition("/")[2]


def _judge_answer(workload: str, answer: str, role_arn: str) -> Json | None:
    if is_session_of(answer, role_arn):
        return None
    return _finding(
        workload,
        Code.PROOF_OTHER_ROLE,
        "error",
        f"the runtime proof ran as {answer or '(no answer)'}, not as role {role_arn}.",
        "If it is the node's role, nothing was injected: an association needs some seconds until the cluster "
        "knows it, so run again. If it is the workload's former role, the agent sees the change after up to "
        "six hours.",
    )


def _not_ended(workload: str, pod: Object, proof: Row) -> Json:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    waiting = _waiting(pod)
    if waiting.get("reason") in _IMAGE_REASONS:
        message = (
            f"the runtime proof did not run: {waiting['reason']}: {_shown(str(waiting.get('message', '')))}"
        )
        remedy = "Set pod_identity_proof_image to an image with sh and aws that the nodes can pull."
        return _finding(workload, Code.PROOF_IMAGE, "error", message, remedy)
    unscheduled = next(
        (one for one in status.get("conditions") or () if one.get("reason") == "Unschedulable"), None
    )
    why = (
        str(unscheduled.get("message", "no node takes it"))
        if unscheduled
        else f"Pod {name} had no result after {proof.get('timeout')} seconds "
        f"({waiting.get('reason') or status.get('phase') or 'no status'})"
    )
    remedy = (
        "pod_identity_proof_pod_spec takes tolerations and a node selector, pod_identity_proof_timeout more "
        "time."
    )
    return _finding(
        workload, Code.PROOF_NOT_STARTED, "error", f"the runtime proof did not run: {why}.", remedy
    )


def _job_of(pod: Object) -> str:
    labels = pod["metadata"].get("labels") or {}
    return str(labels.get("batch.kubernetes.io/job-name") or labels.get("job-name") or "")


def _containers(pod: Object) -> Sequence[Object]:
    found = (pod.get("status") or {}).get("containerStatuses") or ()
    return [one for one in found if one.get("name") == "proof"]


def _terminated(pod: Object) -> Object | None:
    return next(
        (state for one in _containers(pod) if (state := (one.get("state") or {}).get("terminated"))), None
    )


def _waiting(pod: Object) -> Object:
    states = [one.get("state") or {} for one in _containers(pod)]
    return next((state["waiting"] for state in states if state.get("waiting")), {})


def _hopeless(pod: Object) -> bool:
    return _waiting(pod).get("reason") in _IMAGE_REASONS


def _shown(text: str) -> str:
    flat = " ".join(text.split()) or "no text"
    return flat if len(flat) <= 400 else f"…{flat[-400:]}"


def _check(status: str, codes: list[str]) -> Json:
    return {"name": "proof", "status": status, "detail": "", "codes": codes}


def _finding(workload: str, code: str, severity: str, message: str, remedy: str) -> Json:
    return {"code": code, "severity": severity, "workload": workload, "message": message, "remedy": remedy}
