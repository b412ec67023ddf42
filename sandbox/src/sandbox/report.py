# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `status` says, as data and as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sandbox import lock
from sandbox.layout import Layout
from sandbox.state import Condition, Observation, State, now, observe
from sandbox.supervisor import backends_of


def status(layout: Layout) -> dict[str, Any]:
    """``up`` is true only when every process lives and every backend answers."""
    seen = observe(layout)
    report: dict[str, Any] = {
        "up": False,
        "condition": seen.condition.value,
        "busy": lock.is_held(layout.lock),
        "state_folder": str(layout.root),
        "dead": list(seen.dead),
        "backends": [],
    }
    state = seen.state
    if state is not None:
        report["started_at"] = state.started_at.isoformat()
        report["uptime_seconds"] = round((now() - state.started_at).total_seconds())
        report["settings"] = state.settings.to_json()
        report["backends"] = _backends(layout, seen, state)
        report["up"] = seen.condition is Condition.RUNNING and all(
            backend["ready"] for backend in report["backends"]
        )
    return report


def _backends(layout: Layout, seen: Observation, state: State) -> list[dict[str, Any]]:
    backends = []
    for backend in backends_of(state, layout):
        lives = all(name in seen.alive for name in backend.processes)
        ready = lives and backend.ready()
        processes = [
            {
                "name": name,
                "pid": seen.alive[name].pid if name in seen.alive else None,
                "port": state.ports.get(name),
                "alive": name in seen.alive,
            }
            for name in backend.processes
        ]
        backends.append(
            {
                "label": backend.label,
                "description": backend.describe(),
                "ready": ready,
                "processes": processes,
                "requests": dict(backend.requests()) if ready else {},
            }
        )
    return backends


def as_text(report: Mapping[str, Any]) -> str:
    lines = [_headline(report)]
    for backend in report["backends"]:
        silent = "" if backend["ready"] else " (does not answer)"
        lines.append(f"{backend['label']}: {backend['description']}{silent}")
        for process in backend["processes"]:
            what = f"pid {process['pid']}" if process["alive"] else "dead"
            lines.append(f"  {process['name']}: {what}, port {process['port']}")
        if backend["requests"]:
            lines.append(f"  {_requests(backend['requests'])}")
    return "\n".join(lines)


def _headline(report: Mapping[str, Any]) -> str:
    folder = report["state_folder"]
    condition = report["condition"]
    if report["up"]:
        uptime = timedelta(seconds=report["uptime_seconds"])
        return f"The sandbox in {folder} is up (for {uptime})."
    if condition == Condition.ABSENT.value and report["busy"]:
        return f"The sandbox in {folder} is being started or stopped by another command."
    if condition == Condition.INTERRUPTED.value and report["busy"]:
        return f"The sandbox in {folder} is being started by another command."
    if condition == Condition.INTERRUPTED.value:
        return f"A start of the sandbox in {folder} was cut short. `sandbox up` clears it away."
    if condition == Condition.BROKEN.value:
        dead = ", ".join(report["dead"])
        return f"The sandbox in {folder} is broken: {dead} died. `sandbox up` starts a new one."
    if condition == Condition.RUNNING.value:
        return f"The sandbox in {folder} runs, but does not answer. See `sandbox logs`."
    return f"No sandbox is running in {folder}. Start one with `sandbox up`."


def _requests(counts: Mapping[str, Any]) -> str:
    return f"{counts['total']} API requests: {counts['reads']} reads, {counts['writes']} writes"


def backend_lines(state: State, layout: Layout) -> str:
    """One sentence: which backend answers for AWS and which for Kubernetes."""
    parts = [f"{one.label}: {one.describe()}" for one in backends_of(state, layout)]
    return "; ".join(parts)
