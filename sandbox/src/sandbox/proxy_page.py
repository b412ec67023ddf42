# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web page that a proxy or the captive portal of a network may return, with status 200, instead of an API response.

The page is well-formed XML. So botocore can parse the page, but raises KeyError, because the members of an IAM or STS
response are missing.
"""

from __future__ import annotations

HTML_TYPE = "text/html; charset=utf-8"
PROXY_PAGE = b"""<!DOCTYPE html>
<html>
<head><title>Sign in to the network</title></head>
<body><h1>Sign in</h1><p>Your session on this network has ended. <a href="/login">Sign in</a> again.</p></body>
</html>
"""
