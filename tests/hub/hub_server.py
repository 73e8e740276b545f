"""A stand-in for the Hugging Face hub: as much of its interface as publishing and fetching a model needs."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = (".safetensors", ".pt2", ".onnx")  # what goes by LFS, in requests of its own
TOKEN = "hf_test"


class Hub(ThreadingHTTPServer):
    """Repositories in memory: {name: {path: bytes}}; who writes has to have the token."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos, self.private, self.objects, self.asked = {}, set(), {}, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running():
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


def _commit(files):
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, value=None, code=200, headers=(), data=None):
        body = data if data is not None else json.dumps(value).encode()
        self.send_response(code)
        for name, text in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _missing(self, code="RepoNotFound"):
        self._answer({"error": "not found"}, 404, {"X-Error-Code": code})

    def do_POST(self):
        body = self._body()
        self.server.asked.append(self.path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid credentials"}, 401)
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            given = json.loads(body)
            name = "/".join(filter(None, (given.get("organization"), given["name"])))
            name = name if "/" in name else f"me/{name}"
            if name in self.server.repos:
                return self._answer({"error": "exists", "url": f"{self.server.address}/{name}"}, 409)
            self.server.repos[name] = {}
            if given.get("private") or given.get("visibility") == "private":
                self.server.private.add(name)
            return self._answer({"url": f"{self.server.address}/{name}"})
        if found := re.fullmatch(r"/api/models/(.+/.+)/preupload/main", self.path):
            files = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(LARGE) else "regular"} for f in files
            ]
            return self._answer({"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        if found := re.fullmatch(r"/(.+/.+)\.git/info/lfs/objects/batch", self.path):
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.server.address}/lfs/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            return self._answer({"transfer": "basic", "objects": objects})
        if found := re.fullmatch(r"/api/models/(.+/.+)/commit/main", self.path):
            files = self.server.repos[found[1]]
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = self.server.objects[value["oid"]]
                elif line["key"] == "deletedFile":
                    del files[value["path"]]
            commit = _commit(files)
            return self._answer({"commitUrl": f"{self.server.address}/{found[1]}/commit/{commit}", "commitOid": commit})
        return self._missing("EntryNotFound")

    def do_PUT(self):
        body = self._body()
        self.server.objects[hashlib.sha256(body).hexdigest()] = body
        self._answer({})

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        if found := re.fullmatch(r"/api/models/(\w+/\w+)(?:/revision/(\w+))?", path):
            if (files := self.server.repos.get(found[1])) is None or found[1] in self.server.private:
                return self._missing()
            if found[2] not in (None, "main", _commit(files)):
                return self._missing("RevisionNotFound")
            listed = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            return self._answer({"id": found[1], "sha": _commit(files), "siblings": listed})
        if found := re.fullmatch(r"/api/models/(\w+/\w+)/tree/(\w+)", path):
            if (files := self.server.repos.get(found[1])) is None:
                return self._missing()
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            return self._answer(listed)
        if found := re.fullmatch(r"/(\w+/\w+)/resolve/(\w+)/(.+)", path):
            files = self.server.repos.get(found[1], {})
            if found[3] not in files:
                return self._missing("EntryNotFound")
            data = files[found[3]]
            headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": _commit(files)}
            return self._answer(data=data, headers=headers)
        return self._missing("EntryNotFound")
