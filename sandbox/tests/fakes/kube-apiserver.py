# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake kube-apiserver: it needs etcd and its files, and serves a few paths over TLS."""

import csv
import http.server
import json
import os
import pathlib
import signal
import ssl
import sys
import urllib.request

JOURNAL = pathlib.Path(os.environ["FAKE_JOURNAL"])
SERVICE_ACCOUNT = pathlib.Path(os.environ["FAKE_JOURNAL"] + ".default-service-account")


def note(event: str) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(f"kube-apiserver {event}\n")


def etcd_healthy() -> bool:
    try:
        with urllib.request.urlopen(f"{options['etcd-servers']}/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def stop(*_: object) -> None:
    note("stops" if etcd_healthy() else "stops without etcd")
    sys.exit(0)


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if token not in tokens:
            return self.reply(401, {})
        if self.path == "/readyz":
            return self.reply(200, {})
        if self.path == "/version":
            return self.reply(200, {"gitVersion": "v1.34.1"})
        if self.path == "/whoami":
            return self.reply(200, {"user": tokens[token]})
        exists = SERVICE_ACCOUNT.exists() and self.path.endswith("/default")
        return self.reply(200 if exists else 404, {})

    def reply(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


signal.signal(signal.SIGTERM, stop)
options = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
note("starts")
JOURNAL.with_suffix(".options").write_text(json.dumps(options))
if os.environ.get("FAKE_FAILURE") == "kube-apiserver":
    sys.exit("kube-apiserver: unknown flag")
assert etcd_healthy(), "etcd must start first"
for name in ("service-account-key-file", "service-account-signing-key-file"):
    assert "KEY" in pathlib.Path(options[name]).read_text()
with open(options["token-auth-file"]) as stream:
    tokens = {row[0]: row[1] for row in csv.reader(stream)}
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(options["tls-cert-file"], options["tls-private-key-file"])
server = http.server.ThreadingHTTPServer((options["bind-address"], int(options["secure-port"])), Api)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
