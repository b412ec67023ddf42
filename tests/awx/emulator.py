# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emulator of AWX 24.6 for the modules of awx.awx: it creates, changes and deletes objects, and does not run jobs.

It checks names, references, surveys and credentials as AWX does. It also rejects unknown fields, which AWX would ignore.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

VERSION = "24.6.1"
TOKEN = "the-token-of-the-emulated-controller"
API = "/api/v2/"
Object = dict[str, Any]
# By type of a survey question: the Python type of its default value.
QUESTIONS = {
    "text": str,
    "textarea": str,
    "password": str,
    "multiplechoice": str,
    "multiselect": str,
    "integer": int,
    "float": float,
}


def _read_fields() -> dict[str, Object]:
    """Return the writable fields of the objects in each list of the API, with their default values."""
    found: dict[str, Object] = {}
    for kind, defaults in yaml.safe_load(
        (Path(__file__).parent / "fields.yml").read_text(encoding="utf-8")
    ).items():
        prompts = {f"ask_{name}_on_launch": False for name in defaults.pop("ask", ())}
        common = {} if kind == "workflow_job_template_nodes" else {"name": "", "description": ""}
        found[kind] = {**common, **defaults, **prompts}
    return found


FIELDS = _read_fields()
# By field that contains the ID of an object: the list of the API that contains this object.
REFERENCES = {
    "organization": "organizations",
    "credential_type": "credential_types",
    "credential": "credentials",
    "execution_environment": "execution_environments",
    "default_environment": "execution_environments",
    "project": "projects",
    "source_project": "projects",
    "inventory": "inventories",
    "workflow_job_template": "workflow_job_templates",
    "unified_job_template": "unified_job_templates",
}
UNIFIED = (
    "job_templates",
    "projects",
    "inventory_sources",
    "workflow_job_templates",
    "workflow_approval_templates",
)
ASSOCIATIONS = {
    "organizations": {"galaxy_credentials": "credentials"},
    "inventories": {"input_inventories": "inventories"},
    "job_templates": {
        "credentials": "credentials",
        "instance_groups": "instance_groups",
        "labels": "labels",
        "notification_templates_error": "notification_templates",
    },
    "workflow_job_templates": {
        "labels": "labels",
        "notification_templates_approvals": "notification_templates",
    },
    "inventory_sources": {"credentials": "credentials"},
    "workflow_job_template_nodes": {
        f"{name}_nodes": "workflow_job_template_nodes" for name in ("success", "failure", "always")
    },
}
# AWX creates an inventory source for each constructed inventory. Only these fields of that source are writable.
CONSTRUCTED = {"update_cache_timeout", "source_vars", "limit", "verbosity"}
# By list: the field that contains the ID of an object's owner. AWX deletes the object together with its owner.
OWNED = {
    "inventory_sources": "inventory",
    "workflow_job_template_nodes": "workflow_job_template",
    "schedules": "unified_job_template",
}


ROLES = ("execute_role", "approval_role")


class Refusal(Exception):
    def __init__(self, status: int, body: object) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


class Controller:
    """The state of the emulator: ``objects`` by API list and ID, and all accepted ``writes``."""

    def __init__(self, playbooks: tuple[str, ...]) -> None:
        self.playbooks = playbooks
        self.objects: dict[str, dict[int, Object]] = {name: {} for name in FIELDS}
        self.surveys: dict[int, Object] = {}
        self.secrets: dict[int, Object] = {}
        self.writes: list[tuple[str, str]] = []
        self._last = 0
        self.superuser = True
        # True if the updates of projects succeed. A project without a successful update has no playbooks.
        self.reachable = True
        # By ID of an object's role, such as its execute role: the teams that have this role. The ID of a role consists of the ID
        # of the object and the index of the role in ROLES.
        self.teams: dict[int, set[int]] = {}
        self._preload()

    def _preload(self) -> None:
        """Create the objects that a new AWX has."""
        organization = self.create("organizations", {"name": "Default"})
        galaxy = "Ansible Galaxy/Automation Hub API Token"
        secret = {"id": "password", "secret": True}
        types = {
            galaxy: [{"id": "url"}, {"id": "token", "secret": True}],
            "Amazon Web Services": [{"id": "username"}, secret, {"id": "security_token", "secret": True}],
            "Source Control": [{"id": "username"}, secret],
        }
        for name, fields in types.items():
            self.create("credential_types", {"name": name, "kind": "cloud", "inputs": {"fields": fields}})
        self.create(
            "credentials",
            {"name": "Ansible Galaxy", "credential_type": self.named("credential_types", galaxy)["id"]},
        )
        assert organization["id"]
        self.writes.clear()

    def named(self, kind: str, name: str) -> Object:
        """Return the only object in a list that has this name or identifier."""
        [found] = [
            item for item in self.objects[kind].values() if name in (item.get("name"), item.get("identifier"))
        ]
        return found

    def rows(self, kind: str) -> list[Object]:
        if kind == "unified_job_templates":
            return [row for name in UNIFIED for row in self.rows(name)]
        return [self.present(kind, item) for item in self.objects[kind].values()]

    def present(self, kind: str, item: Object) -> Object:
        row = {**item, "summary_fields": {}, "related": {}}
        if kind in ("job_templates", "workflow_job_templates"):
            row["related"]["survey_spec"] = f"{item['url']}survey_spec/"
            numbers = enumerate(ROLES if kind.startswith("workflow") else ROLES[:1])
            row["summary_fields"]["object_roles"] = {
                name: {"id": 10 * item["id"] + place} for place, name in numbers
            }
        if kind == "workflow_job_template_nodes":
            workflow = self.objects["workflow_job_templates"][item["workflow_job_template"]]
            keys = ("id", "name", "description")
            row["summary_fields"]["workflow_job_template"] = {key: workflow[key] for key in keys}
            if item["unified_job_template"] is not None:
                home = self._home("unified_job_templates", item["unified_job_template"])
                row["related"]["unified_job_template"] = f"{API}{home}/{item['unified_job_template']}/"
        if kind == "projects":
            row["summary_fields"] = {"current_update": {"id": item["id"]}, "last_job": {"id": item["id"]}}
            row["related"]["update"] = f"{item['url']}update/"
        return row

    def list(self, kind: str, query: Mapping[str, str]) -> Object:
        found = [row for row in self.rows(kind) if self._fits(kind, row, query)]
        return {"count": len(found), "next": None, "previous": None, "results": found}

    def _fits(self, kind: str, row: Object, query: Mapping[str, str]) -> bool:
        either = {key[4:]: value for key, value in query.items() if key.startswith("or__")}
        rest = {
            key: value for key, value in query.items() if not key.startswith("or__") and key != "page_size"
        }
        fits = all(self._equal(kind, row, *pair) for pair in rest.items())
        return fits and (not either or any(self._equal(kind, row, *pair) for pair in either.items()))

    def _equal(self, kind: str, row: Object, key: str, value: str) -> bool:
        if key in ASSOCIATIONS.get(kind, {}):
            return int(value) in row["_" + key]
        if key not in row and kind != "unified_job_templates":
            raise Refusal(400, {"detail": f"{kind} has no field {key}"})
        return str(row.get(key)) == value

    def create(self, kind: str, data: Object) -> Object:
        if kind == "job_templates" and data.get("project") in self.objects["projects"]:
            # As in AWX, a template has the organization of its project.
            data = {**data, "organization": self.objects["projects"][data["project"]]["organization"]}
        if kind == "inventory_sources":
            # As in AWX, an inventory source has the organization of its inventory.
            data = {**data, "organization": self.objects["inventories"][data["inventory"]]["organization"]}
        self._check(kind, data)
        self._last += 1
        item = {
            **FIELDS[kind],
            **data,
            "id": self._last,
            "type": kind[:-1],
            "url": f"{API}{kind}/{self._last}/",
        }
        if kind == "inventories":
            item["type"] = "inventory"
        if kind == "projects":
            self.update_project(item)
        self._check_names(kind, item)
        for name in ASSOCIATIONS.get(kind, {}):
            item["_" + name] = []
        self.objects[kind][self._last] = item
        self._hide_secrets(kind, item)
        if kind == "inventories" and item["kind"] == "constructed":
            item["url"] = f"{API}constructed_inventories/{item['id']}/"
            source = {"name": f"Auto-created source for: {item['name']}", "inventory": item["id"]}
            settings = {
                "source": "constructed",
                "overwrite": True,
                "overwrite_vars": True,
                "update_on_launch": True,
            }
            self.create("inventory_sources", {**source, **settings})
        return item

    def update_project(self, project: Object) -> None:
        """Let an update of a project succeed or fail, by ``reachable``."""
        project["status"] = "successful" if self.reachable else "failed"
        project["scm_revision"] = (
            "1" if self.reachable else project["scm_revision"] * bool(project.get("updated"))
        )
        project["updated"] = self.reachable

    def playbooks_of(self, number: object) -> tuple[str, ...]:
        return self.playbooks if self.objects["projects"][int(str(number))]["scm_revision"] else ()

    def change(self, kind: str, number: int, data: Object) -> Object:
        item = self._find(kind, number)
        self._check(kind, {**item, **data}, data)
        if item.get("source") == "constructed":
            for field in data:
                if field not in CONSTRUCTED and data[field] != item[field]:
                    refusal = f"Cannot change field '{field}' on a constructed inventory source."
                    raise Refusal(400, {"error": refusal})
        item.update({key: value for key, value in data.items() if key != "type"})
        self._check_names(kind, item)
        self._hide_secrets(kind, item)
        return item

    def remove(self, kind: str, number: int) -> int:
        self._find(kind, number)
        if kind == "credential_types" and any(
            item["credential_type"] == number for item in self.objects["credentials"].values()
        ):
            raise Refusal(403, {"detail": "Credential types that are in use cannot be deleted."})
        item = self.objects[kind].pop(number)
        if item.get("unified_job_template") in self.objects["workflow_approval_templates"]:
            self.remove("workflow_approval_templates", item["unified_job_template"])
        for owned, field in OWNED.items():
            for other in [other for other in self.objects[owned].values() if other[field] == number]:
                self.remove(owned, other["id"])
        for lists in self.objects.values():
            for other in lists.values():
                for field in REFERENCES:
                    if other.get(field) == number and REFERENCES[field] == kind:
                        other[field] = None
                for name, value in other.items():
                    if name.startswith("_") and number in value:
                        value.remove(number)
        # As in AWX, delete a label that no object uses.
        used = {
            label
            for rows in self.objects.values()
            for row in rows.values()
            for label in row.get("_labels", ())
        }
        self.objects["labels"] = {
            label: row for label, row in self.objects["labels"].items() if label in used
        }
        return 202 if kind == "inventories" else 204

    def associate(self, kind: str, number: int, name: str, data: Object) -> None:
        ids: list[int] = self._find(kind, number)["_" + name]
        other = data["id"]
        self._find(ASSOCIATIONS[kind][name], other)
        if data.get("disassociate"):
            ids.remove(other)
            return
        if name == "credentials":
            credentials = self.objects["credentials"]
            same = [
                credential
                for credential in ids
                if credentials[credential]["credential_type"] == credentials[other]["credential_type"]
            ]
            if same:
                kind_name = self.objects["credential_types"][credentials[other]["credential_type"]]["name"]
                raise Refusal(400, {"detail": f"Cannot assign multiple {kind_name} credentials."})
        ids.append(other)

    def write_survey(self, number: int, spec: Object) -> None:
        for field, expected in (("name", str), ("description", str), ("spec", list)):
            if not isinstance(spec.get(field), expected):
                raise Refusal(400, {"error": f"Field '{field}' is missing from survey spec."})
        if not spec["spec"]:
            raise Refusal(400, {"error": "'spec' doesn't contain any items."})
        names = [question.get("variable") for question in spec["spec"]]
        for index, question in enumerate(spec["spec"]):
            self._check_question(index, question)
        if len(set(names)) < len(names):
            raise Refusal(400, {"error": "'variable' duplicated in survey question."})
        self.surveys[number] = spec

    @staticmethod
    def _check_question(index: int, question: Object) -> None:
        for field, expected in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
            if not isinstance(question.get(field), expected):
                raise Refusal(400, {"error": f"'{field}' missing from survey question {index}"})
        kind = question["type"]
        if kind not in QUESTIONS:
            raise Refusal(400, {"error": f"'{kind}' in survey question {index} is not allowed"})
        default = question.get("default", "")
        if default != "" and not isinstance(default, QUESTIONS[kind]):
            raise Refusal(400, {"error": f"Default value {default} in survey question {index} is no {kind}."})
        for limit in ("min", "max"):
            if question.get(limit) is not None and not isinstance(question[limit], int):
                raise Refusal(400, {"error": f"The {limit} limit in survey question {index} is no integer."})
        if kind in ("multiselect", "multiplechoice") and "choices" not in question:
            raise Refusal(400, {"error": f"Survey question {index} must specify choices."})

    def _find(self, kind: str, number: int) -> Object:
        if number not in self.objects[kind]:
            raise Refusal(404, {"detail": "Not found."})
        return self.objects[kind][number]

    def _home(self, kind: str, number: int) -> str:
        """Return the name of the list that contains an object, or "" if none does."""
        lists = UNIFIED if kind == "unified_job_templates" else (kind,)
        return next((name for name in lists if number in self.objects[name]), "")

    def _check(self, kind: str, data: Object, changes: Object | None = None) -> None:
        for field, value in (data if changes is None else changes).items():
            if field not in FIELDS[kind] and field != "type":
                raise Refusal(400, {field: [f"{kind} has no such field."]})
            if field in REFERENCES and value is not None and not self._home(REFERENCES[field], value):
                raise Refusal(400, {field: [f'Invalid pk "{value}" - object does not exist.']})
        if kind == "job_templates" and data["playbook"] not in self.playbooks_of(data["project"]):
            raise Refusal(400, {"playbook": ["Playbook not found for project."]})
        if kind == "credentials":
            fields = self.objects["credential_types"][data["credential_type"]]["inputs"]["fields"]
            unknown = set(data.get("inputs", {})).difference(field["id"] for field in fields)
            if unknown:
                raise Refusal(400, {"inputs": f"Additional properties are not allowed ({sorted(unknown)})"})

    def _check_names(self, kind: str, item: Object) -> None:
        scope = {
            "credentials": ("organization", "credential_type"),
            "workflow_job_template_nodes": ("workflow_job_template",),
            "inventory_sources": ("inventory",),
            "schedules": ("unified_job_template",),
            "projects": ("organization",),
            "inventories": ("organization",),
            "job_templates": ("organization",),
            "workflow_job_templates": ("organization",),
        }.get(kind, ())
        name = "identifier" if kind == "workflow_job_template_nodes" else "name"
        for other in self.objects[kind].values():
            if other["id"] != item["id"] and all(other[key] == item[key] for key in (name, *scope)):
                raise Refusal(400, {"__all__": [f"{kind} with this {name} already exists."]})

    def _hide_secrets(self, kind: str, item: Object) -> None:
        if kind != "credentials" or item["credential_type"] is None:
            return
        fields = self.objects["credential_types"][item["credential_type"]]["inputs"].get("fields", [])
        secret = {field["id"] for field in fields if field.get("secret")}
        secrets = self.secrets.setdefault(item["id"], {})
        for name, value in item["inputs"].items():
            if name in secret and value != "$encrypted$":
                secrets[name] = value
        item["inputs"] = {
            name: "$encrypted$" if name in secret else value for name, value in item["inputs"].items()
        }


class _Handler(BaseHTTPRequestHandler):
    controller: Controller
    lock: threading.Lock
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Suppress the access log."""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PATCH(self) -> None:
        self._answer(self._patch)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def _answer(self, act: Callable[[list[str], Object], tuple[int, object]]) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length) if length else b""
        url = urlsplit(self.path)
        parts = url.path.removeprefix(API).strip("/").split("/")
        data: Object = json.loads(text) if text else {}
        if self.command == "GET":
            data = dict(parse_qsl(url.query))
        if parts[0] == "constructed_inventories":
            parts[0] = "inventories"
        try:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refusal(401, {"detail": "Authentication credentials were not provided."})
            with self.lock:
                status, body = act(parts, data)
                if self.command != "GET":
                    self.controller.writes.append((self.command, "/".join(parts)))
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
        payload = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", VERSION)
        self.end_headers()
        self.wfile.write(payload)

    def _get(self, parts: list[str], query: Object) -> tuple[int, object]:
        world = self.controller
        if parts[0] in ("ping", "config"):
            return 200, {"version": VERSION}
        if parts[0] == "me":
            return 200, {"count": 1, "next": None, "results": [{"is_superuser": world.superuser}]}
        if parts[0] == "project_updates":
            project = world._find("projects", int(parts[1]))
            ended = {"id": project["id"], "finished": "now", "scm_revision": project["scm_revision"]}
            return 200, {**ended, "status": project["status"], "failed": project["status"] == "failed"}
        match parts:
            case ["roles", number, "teams"]:
                found = [world.objects["teams"][team] for team in sorted(world.teams.get(int(number), ()))]
                return 200, {"count": len(found), "next": None, "previous": None, "results": found}
            case [kind] if kind in FIELDS or kind == "unified_job_templates":
                return 200, world.list(kind, query)
            case [kind, number] if kind in FIELDS:
                return 200, world.present(kind, world._find(kind, int(number)))
            case [_kind, number, "survey_spec"]:
                return 200, world.surveys.get(int(number), {})
            case ["projects", number, "playbooks"]:
                return 200, list(world.playbooks_of(number))
            case [kind, number, name] if name in ASSOCIATIONS.get(kind, {}):
                ids = world._find(kind, int(number))["_" + name]
                other = ASSOCIATIONS[kind][name]
                found = [world.present(other, world.objects[other][item]) for item in ids]
                return 200, {"count": len(found), "next": None, "previous": None, "results": found}
        raise Refusal(404, {"detail": "Not found."})

    def _post(self, parts: list[str], data: Object) -> tuple[int, object]:
        world = self.controller
        match parts:
            case [kind] if kind in FIELDS:
                return 201, world.present(kind, world.create(kind, data))
            case [_kind, number, "survey_spec"]:
                world.write_survey(int(number), data)
                return 200, {}
            case ["projects", number, "update"]:
                world.update_project(world._find("projects", int(number)))
                return 202, {"id": int(number), "status": "pending", "url": f"{API}project_updates/{number}/"}
            case ["roles", number, "teams"]:
                world.teams.setdefault(int(number), set()).add(data["id"])
                return 204, None
            case ["workflow_job_template_nodes", number, "create_approval_template"]:
                template = world.create("workflow_approval_templates", data)
                world._find("workflow_job_template_nodes", int(number))["unified_job_template"] = template[
                    "id"
                ]
                return 201, template
            case [kind, number, name] if name in ASSOCIATIONS.get(kind, {}):
                world.associate(kind, int(number), name, data)
                return 204, None
        raise Refusal(404, {"detail": "Not found."})

    def _patch(self, parts: list[str], data: Object) -> tuple[int, object]:
        kind, number = parts
        return 200, self.controller.present(kind, self.controller.change(kind, int(number), data))

    def _delete(self, parts: list[str], _data: Object) -> tuple[int, object]:
        if parts[-1] == "survey_spec":
            self.controller.surveys.pop(int(parts[1]), None)
            return 200, {}
        kind, number = parts
        return self.controller.remove(kind, int(number)), {}


@contextmanager
def emulated(playbooks: tuple[str, ...]) -> Iterator[tuple[str, Controller]]:
    """Run the emulator on a free port of the loopback address. Yield its address and its state."""
    controller = Controller(playbooks)
    handler = type("Handler", (_Handler,), {"controller": controller, "lock": threading.Lock()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", controller
        finally:
            server.shutdown()
            thread.join()
