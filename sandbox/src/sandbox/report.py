# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report that `sandbox status` prints, as data or as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sandbox import lock
from sandbox.layout import Layout
from sandbox.state import Condition, Observation, State, now, observe
from sandbox.supervisor import backends_for


def status(layout: Layout) -> dict[str, Any]:
    """Return the status of a sandbox as data for JSON.

    ``up`` is true if all server processes run, and AWS and Kubernetes respond.
    """
    observation = observe(layout)
    report: dict[str, Any] = {
        "up": False,
        "condition": observation.condition.value,
        "busy": lock.is_held(layout.lock),
        "state_folder": str(layout.root),
        "dead": list(observation.dead),
        "backends": [],
    }
    state = observation.state
    if state is not None:
        report["started_at"] = state.started_at.isoformat()
        report["uptime_seconds"] = round((now() - state.started_at).total_seconds())
        report["settings"] = state.settings.to_json()
        report["backends"] = _backends(layout, observation, state)
        report["up"] = observation.condition is Condition.RUNNING and all(
            backend["ready"] for backend in report["backends"]
        )
    return report


def _backends(layout: Layout, observation: Observation, state: State) -> list[dict[str, Any]]:
    backends = []
    for backend in backends_for(state, layout):
        is_alive = all(name in observation.alive for name in backend.processes)
        ready = is_alive and backend.ready()
        processes = [
            {
                "name": name,
                "pid": observation.alive[name].pid if name in observation.alive else None,
                "port": state.ports.get(name),
                "alive": name in observation.alive,
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
        problem = "" if backend["ready"] else " (does not respond)"
        lines.append(f"{backend['label']}: {backend['description']}{problem}")
        for process in backend["processes"]:
            status = f"pid {process['pid']}" if process["alive"] else "dead"
            lines.append(f"  {process['name']}: {status}, port {process['port']}")
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
        return f"The start of the sandbox in {folder} was interrupted. `sandbox up` cleans up and starts a new one."
    if condition == Condition.BROKEN.value:
        dead = ", ".join(report["dead"])
        return f"The sandbox in {folder} is broken: {dead} died. `sandbox up` starts a new one."
    if condition == Condition.RUNNING.value:
        return f"The sandbox in {folder} is running but does not respond. See `sandbox logs`."
    return f"No sandbox is running in {folder}. Start one with `sandbox up`."


def _requests(counts: Mapping[str, Any]) -> str:
    return f"{counts['total']} API requests: {counts['reads']} reads, {counts['writes']} writes"


def backend_lines(state: State, layout: Layout) -> str:
    """Describe both backends in one line: ``AWS: …; Kubernetes: …``."""
    parts = [f"{backend.label}: {backend.describe()}" for backend in backends_for(state, layout)]
    return "; ".join(parts)
