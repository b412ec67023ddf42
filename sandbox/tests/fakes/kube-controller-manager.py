# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake kube-controller-manager: it checks its kubeconfig, then creates the file of a service account."""

import json
import os
import pathlib
import signal
import ssl
import sys
import urllib.request

import yaml

JOURNAL = pathlib.Path(os.environ["FAKE_JOURNAL"])


def note(event: str) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(f"kube-controller-manager {event}\n")


def stop(*_: object) -> None:
    note("stops")
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
options = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
config = yaml.safe_load(pathlib.Path(options["kubeconfig"]).read_text())
cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
request = urllib.request.Request(
    f"{cluster['server']}/whoami", headers={"Authorization": f"Bearer {user['token']}"}
)
context = ssl.create_default_context(cafile=options["root-ca-file"])
with urllib.request.urlopen(request, context=context, timeout=5) as response:
    note(f"starts as {json.load(response)['user']}")
assert pathlib.Path(options["service-account-private-key-file"]).exists()
pathlib.Path(f"{JOURNAL}.default-service-account").touch()
while True:
    signal.pause()
