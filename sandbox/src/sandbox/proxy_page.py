# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a captive portal or proxy, with status 200.

The page is well-formed XML, so botocore parses it and fails with a KeyError when it looks for the members
of an IAM or STS response.
"""

from __future__ import annotations

HTML_TYPE = "text/html; charset=utf-8"
PROXY_PAGE = b"""<!DOCTYPE html>
<html>
<head><title>Sign in to the network</title></head>
<body><h1>Sign in</h1><p>Your session on this network has ended. <a href="/login">Sign in</a> again.</p></body>
</html>
"""
