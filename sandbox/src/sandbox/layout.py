# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in the state folder of a sandbox. A marker file shows that the folder belongs to the sandbox."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError

MARKER_TEXT = "This folder belongs to the sandbox of workload_identity.aws: `sandbox down` clears it.\n"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of the files in the state folder ``root``, which must be absolute."""

    root: Path

    @property
    def marker(self) -> Path:
        return self.root / "SANDBOX"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def environment(self) -> Path:
        return self.root / "env.sh"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def aws_config(self) -> Path:
        return self.root / "aws-config"

    @property
    def processes(self) -> Path:
        return self.root / "processes"

    @property
    def kubernetes(self) -> Path:
        """Return the folder with the certificates, keys and data of the Kubernetes servers."""
        return self.root / "kubernetes"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def record(self, process: str) -> Path:
        return self.processes / f"{process}.json"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def is_claimed(self) -> bool:
        return self.marker.is_file()

    def claim(self) -> None:
        """Create the state folder with mode 0700, and write the marker file.

        Raise SandboxError if the folder has other files or is not writable.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.is_claimed():
                if any(self.root.iterdir()):
                    raise SandboxError(
                        f"The state folder {self.root} contains files that do not belong to the sandbox.",
                        "Choose an empty or new folder with --state or SANDBOX_STATE.",
                    )
                self.marker.write_text(MARKER_TEXT, encoding="utf-8")
        except OSError as error:
            raise SandboxError(
                f"The state folder {self.root} cannot be used: {error.strerror}.",
                "Choose a writable folder with --state or SANDBOX_STATE.",
            ) from error

    def clear(self, *, keep_logs: bool = True) -> None:
        """Delete the files of a stopped sandbox, except the lock file, the marker and, with ``keep_logs``, the logs."""
        files = [self.state, self.environment, self.kubeconfig, self.aws_config]
        for path in files:
            path.unlink(missing_ok=True)
            for temporary in self.root.glob(f".{path.name}.*"):
                temporary.unlink(missing_ok=True)
        folders = [self.processes, self.kubernetes, *([] if keep_logs else [self.logs])]
        for path in folders:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path)

    def prepare(self) -> None:
        """Delete the files of an earlier sandbox, and create empty folders for a new one."""
        self.clear(keep_logs=False)
        for path in (self.processes, self.kubernetes, self.logs):
            path.mkdir(mode=0o700)
