# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a captive portal or a proxy answers in place of the service: status 200, and a page.

The page is also well-formed XML, which is the worse case: botocore reads it, and fails with a
KeyError where it looks for the members of an answer of IAM or STS.
"""

from __future__ import annotations

HTML_TYPE = "text/html; charset=utf-8"
PROXY_PAGE = b"""<!DOCTYPE html>
<html>
<head><title>Sign in to the network</title></head>
<body><h1>Sign in</h1><p>Your session on this network has ended. <a href="/login">Sign in</a> again.</p></body>
</html>
"""
