# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake etcd: it checks its options, serves /health, and writes to the journal file when it starts and stops."""

import http.server
import json
import os
import pathlib
import signal
import sys
import urllib.parse

JOURNAL = pathlib.Path(os.environ["FAKE_JOURNAL"])


def note(event: str) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(f"etcd {event}\n")


def stop(*_: object) -> None:
    note("stops")
    sys.exit(0)


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"health": "true"}).encode()
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, stop)
options = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
data = pathlib.Path(options["data-dir"])
note("starts on old data" if data.exists() else "starts empty")
data.mkdir(exist_ok=True)
if os.environ.get("FAKE_FAILURE") == "etcd":
    sys.exit("etcd: cannot listen")
client = urllib.parse.urlsplit(options["listen-client-urls"])
assert options["advertise-client-urls"] == options["listen-client-urls"], options
assert options["initial-cluster"] == f"default={options['listen-peer-urls']}", options
assert client.hostname == "127.0.0.1", options
http.server.ThreadingHTTPServer(("127.0.0.1", client.port or 0), Health).serve_forever()
