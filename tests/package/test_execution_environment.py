# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the collection's playbooks as they run in an execution environment.

The user has no home folder, root owns the collection, and the file system is read-only except for the private data folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from .conftest import CORES, run
from .test_main_job import GUIDE, recap

pytestmark = pytest.mark.release

USER = 1000
# A command that starts a program as this user. In an image, all users can read the files of the collection. Here the program gets
# the capability to read every file, which does not allow it to write.
SWITCH = (
    *("setpriv", "--reuid", str(USER), "--regid", "0", "--clear-groups"),
    *(f"--{set_}=-all,+dac_read_search" for set_ in ("inh-caps", "ambient-caps", "bounding-set")),
)
# The arguments of this script are the private data folder, a folder that must be read-only, and the program.
ISOLATED = f"""\
set -eu
private=$1 collection=$2
shift 2
mount --bind "$private" "$private"
for place in $(awk '{{ print $5 }}' /proc/self/mountinfo | sort -r); do
  case $place in
    /proc* | /sys* | /dev* | "$private") ;;
    *) mount -o remount,bind,ro "$place" ;;
  esac
done
cd "$private"
unset HOME
exec {" ".join(SWITCH)} sh -euc '
  if [ -w /tmp ] || [ -w "$0" ] || [ ! -w . ]; then echo "the isolation failed" >&2; exit 1; fi
  exec "$@"
' "$collection" "$@"
"""
ISOLATE = ("unshare", "--mount", "sh", "-c", ISOLATED, "sh")


def obstacle() -> str:
    """Return the reason if this machine cannot isolate a job, or ""."""
    if os.geteuid() != 0:
        return "only root can mount file systems and change the user"
    if missing := [name for name in ("unshare", "setpriv", "awk") if shutil.which(name) is None]:
        return f"{', '.join(missing)} not found"
    probe = ["unshare", "--mount", "sh", "-c", "mount -o remount,bind,ro /"]
    done = subprocess.run(probe, check=False, capture_output=True, text=True)
    return f"no right to mount: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture
def private(short: Path) -> Path:
    """Create the private data folder of the job, with its variables. If this machine cannot isolate a job, skip the test."""
    if reason := obstacle():
        pytest.skip(reason)
    # The user of the job may enter the parent folder.
    short.chmod(0o755)
    folder = short / "runner"
    folder.mkdir()
    shutil.copy(GUIDE, folder / "guide.yml")
    os.chown(folder, USER, 0)
    return folder


@pytest.mark.parametrize("core", CORES)
def test_main_job_needs_only_private_folder(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], sandbox: Mapping[str, str], private: Path
) -> None:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, settings = cores[core]
    # ansible-core 2.18 and 2.19 need a user name, which an execution environment gives to any user ID.
    env = {**settings, **sandbox, "LOGNAME": "runner"}
    env.pop("ANSIBLE_HOME", None)
    installed = settings["ANSIBLE_COLLECTIONS_PATH"].split(":")[0]

    def job(name: str, *before: object) -> str:
        options = ("-e", "@guide.yml", "-e", "pod_identity_report_file=report.json")
        command = [venv / "bin" / "ansible-playbook", f"workload_identity.aws.{name}", *options]
        return run([*before, *command], env, private).stdout

    isolate = (*ISOLATE, private, installed)
    assert "Done: 5 changes." in job("site", *isolate)
    again = job("site", *isolate)
    assert "Done: 0 changes." in again
    assert recap(again)["changed"] == 0
    assert recap(job("verify", *isolate))["failed"] == 0
    assert "Teardown done: 5 changes." in job("teardown", *isolate)
    # The job leaves only its report. So the next job, which runs in a new container, does not miss a file.
    files = sorted(str(path.relative_to(private)) for path in private.rglob("*") if path.is_file())
    assert files == ["guide.yml", "report.json"]
    assert (private / "report.json").stat().st_uid == USER
