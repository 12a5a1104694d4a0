"""A hub of models on this machine: as much of the protocol as huggingface_hub needs to read and write repositories."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_token_of_the_tests"


@dataclass
class Repository:
    """Files of one commit; large ones are told by their SHA-256, as Git LFS does."""

    files: dict[str, bytes] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    @property
    def commit(self) -> str:
        digest = hashlib.sha1()
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + content)
        return digest.hexdigest()


@dataclass
class Hub:
    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    corrupt: bool = False  # large files arrive with one bit flipped

    def tokens(self) -> set[str | None]:
        return {token for _, _, token in self.requests}


@contextmanager
def running() -> Iterator[Hub]:
    """Serve a hub on a free port of 127.0.0.1."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815  (names that http.server looks for)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        self.hub.requests.append((self.command, "/".join(parts), token))
        match [self.command, *parts]:
            case ["POST", "api", "repos", "create"]:
                self._create(json.loads(body), token)
            case ["POST", "api", "validate-yaml"]:
                self._send({"errors": [], "warnings": []})
            case ["PUT", "lfs", digest]:
                self.hub.uploaded[digest] = body
                self._send({})
            case ["POST", owner, name, "info", "lfs", "objects", "batch"]:
                self._batch(json.loads(body))
            case [_, "api", "models", owner, name, *rest]:
                if repository := self._find(f"{owner}/{name}", token):
                    self._api(f"{owner}/{name}", repository, rest, body)
            case ["HEAD" | "GET", owner, name, "resolve", revision, *path]:
                repository = self._find(f"{owner}/{name}", token)
                if repository and self._known(repository, revision):
                    self._file(repository, "/".join(path))
            case _:
                self._send({"error": "Not found"}, 404)

    def _find(self, name: str, token: str | None) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if repository is None or repository.private and token != TOKEN:
            # Without a token the hub does not even say whether a repository exists.
            self._send({"error": "Invalid username or password."}, 404 if token == TOKEN else 401, "RepoNotFound")
            return None
        if repository.gated:
            self._send({"error": "Access to this repository is restricted."}, 403, "GatedRepo")
            return None
        return repository

    def _known(self, repository: Repository, revision: str) -> bool:
        if revision in ("main", repository.commit):
            return True
        self._send({"error": f"Invalid rev id: {revision}"}, 404, "RevisionNotFound")
        return False

    def _api(self, name: str, repository: Repository, rest: list[str], body: bytes) -> None:
        match rest:
            case []:
                self._send({"id": name, "sha": repository.commit, "private": repository.private, "siblings": []})
            case ["revision", revision]:
                if self._known(repository, revision):
                    self._send({"id": name, "sha": repository.commit, "private": repository.private, "siblings": []})
            case ["tree", revision, *_]:
                if self._known(repository, revision):
                    self._send([_entry(path, content) for path, content in repository.files.items()])
            case ["preupload", _]:
                paths = [file["path"] for file in json.loads(body)["files"]]
                modes = [{"path": path, "uploadMode": _mode(path), "shouldIgnore": False} for path in paths]
                self._send({"files": modes})
            case ["commit", _]:
                self._commit(name, repository, [json.loads(line) for line in body.splitlines()])
            case _:
                self._send({"error": "Not found"}, 404)

    def _create(self, wanted: dict[str, Any], token: str | None) -> None:
        name = "/".join(part for part in (wanted.get("organization"), wanted["name"]) if part)
        if token != TOKEN:
            self._send({"error": "Invalid username or password."}, 401)
        elif name in self.hub.repositories:
            self._send({"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"}, 409)
        else:
            private = wanted.get("private") or wanted.get("visibility") == "private"
            self.hub.repositories[name] = Repository(private=bool(private))
            self._send({"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}} for one in wanted["objects"]
        ]
        self._send({"transfer": "basic", "objects": objects})

    def _commit(self, name: str, repository: Repository, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.hub.uploaded[value["oid"]]
        url = f"{self.hub.url}/{name}/commit/{repository.commit}"
        self._send({"commitUrl": url, "commitOid": repository.commit, "success": True})

    def _file(self, repository: Repository, path: str) -> None:
        content = repository.files.get(path)
        if content is None:
            self._send({"error": "Entry not found"}, 404, "EntryNotFound")
            return
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{_etag(path, content)}"'}
        if self.hub.corrupt and _mode(path) == "lfs":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._write(200, content, headers)

    def _send(self, content: Any, status: int = 200, error: str | None = None) -> None:
        headers = {"Content-Type": "application/json"} | ({"X-Error-Code": error} if error else {})
        self._write(status, json.dumps(content).encode(), headers)

    def _write(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _mode(path: str) -> str:
    return "lfs" if path.endswith(".safetensors") else "regular"


def _etag(path: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if _mode(path) == "lfs" else _blob(content)


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
    if _mode(path) == "lfs":
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry
