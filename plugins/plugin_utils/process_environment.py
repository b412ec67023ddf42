# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Variables of this process, for as long as its main thread needs them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """With None a variable is removed. The process is the task's own, and no other variable of it changes.

    Raise RuntimeError in a thread: where two uses overlap, the later end would set what the earlier one has put back.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("only the main thread sets variables of the process")
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
