# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the table of codes is current, and that tools/make_docs.py rejects incomplete texts."""

from __future__ import annotations

import re

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from make_docs import PAGE, filled


def test_table_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == filled(text), "run: nox -s tables"
    assert re.findall(r'^\| <a id="(\w+)">', text, re.MULTILINE) == sorted(Code)
