"""A hub of one's own: the few addresses of the Hugging Face hub that downloads use, on a local port."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Hub:
    """Repositories of files in memory, and a record of what was asked for."""

    def __init__(self):
        self.repositories = {}
        self.branches = {}
        self.gated = set()
        self.asked = []
        self.broken = set()
        """Files that arrive with another content than the hub says."""
        self.slow = set()
        """Files that come in drops until `hurry`."""
        self.hurry = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def add(self, name, files, kind="models", branch="main"):
        """Put a commit of a repository on a branch; returns the commit."""
        commit = hashlib.sha1(json.dumps({k: v.hex() for k, v in files.items()}).encode()).hexdigest()
        self.repositories[kind, name, commit] = files
        self.branches[kind, name, branch] = commit
        return commit

    def downloads(self):
        """Files whose content was sent, with the byte at which each answer began."""
        return [
            (path.rpartition("/")[2], start)
            for method, path, start, _ in self.asked
            if method == "GET" and "/resolve/" in path
        ]

    def close(self):
        self.hurry.set()
        self.server.shutdown()
        self.server.server_close()


def _handler(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path = urlsplit(self.path).path.strip("/")
            start = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
            hub.asked.append((self.command, path, start, self.headers.get("Authorization")))
            parts = path.split("/")
            if parts[0] == "api":
                if len(parts) < 5:
                    return self.fail(404, "NotHere")
                return self.api(
                    parts[1], "/".join(parts[2:4]), parts[4], parts[5] if len(parts) > 5 else "main"
                )
            kind = "datasets" if parts[0] == "datasets" else "models"
            name, _, rest = path.removeprefix("datasets/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            found = self.find(kind, name, revision)
            if not found or file not in found[1]:
                return self.fail(404, "EntryNotFound" if found else "RepoNotFound")
            return self.send(found[0], file, found[1][file], start, body)

        def find(self, kind, name, revision):
            commit = hub.branches.get((kind, name, revision), revision)
            files = hub.repositories.get((kind, name, commit))
            return (commit, files) if files is not None else None

        def api(self, kind, name, what, revision):
            if name in hub.gated:
                return self.fail(403, "GatedRepo")
            found = self.find(kind, name, revision)
            if not found:
                known = any(key[:2] == (kind, name) for key in hub.repositories)
                return self.fail(404, "RevisionNotFound" if known else "RepoNotFound")
            commit, files = found
            if what == "tree":
                rows = [
                    {"type": "file", "path": f, "size": len(c), "oid": _etag(c)} for f, c in files.items()
                ]
                return self.reply(rows)
            sized = "blobs" in parse_qs(urlsplit(self.path).query)
            siblings = [
                {"rfilename": f, **({"size": len(c), "blobId": _etag(c)} if sized else {})}
                for f, c in files.items()
            ]
            return self.reply(
                {
                    "id": name,
                    "sha": commit,
                    "private": False,
                    "tags": [],
                    "downloads": 0,
                    "siblings": siblings,
                }
            )

        def reply(self, value):
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def fail(self, status, code):
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send(self, commit, file, content, start, body):
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{_etag(content)}"')
            self.send_header("X-Repo-Commit", commit)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if body:
                with contextlib.suppress(ConnectionError):
                    self.drip(file, content[start:])

        def drip(self, file, content):
            if file in hub.broken:
                content = bytes(len(content))
            if file not in hub.slow or hub.hurry.is_set():
                self.wfile.write(content)
                return
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.wfile.flush()
            hub.hurry.wait()
            self.wfile.write(content[half:])

    return Handler


def _etag(content):
    return hashlib.sha256(content).hexdigest()
