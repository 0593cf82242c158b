"""A registry of the npm packages that were just packed, on this machine alone, for as long as one command runs.

    npm_registry.py TARBALLS COMMAND [ARGUMENT...]

npm picks the platform's package, and leaves the others out, as it will from the real one.
"""
import base64
import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import threading
import urllib.parse


def manifest(tarball):
    with tarfile.open(tarball) as archive:
        return json.load(archive.extractfile("package/package.json"))


class Registry(http.server.ThreadingHTTPServer):
    def __init__(self, tarballs):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.files = {tarball.name: tarball.read_bytes() for tarball in tarballs}
        self.packages = {facts["name"]: self.document(tarball, facts) for tarball in tarballs if (facts := manifest(tarball))}

    def document(self, tarball, facts):
        digest = base64.b64encode(hashlib.sha512(self.files[tarball.name]).digest()).decode()
        dist = {"tarball": f"{self.address}/-/{tarball.name}", "integrity": f"sha512-{digest}"}
        version = facts["version"]
        return {"name": facts["name"], "dist-tags": {"latest": version}, "versions": {version: {**facts, "dist": dist}}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = urllib.parse.unquote(self.path).lstrip("/")
        if path in self.server.packages:
            self.answer(200, json.dumps(self.server.packages[path]).encode())
        elif path.removeprefix("-/") in self.server.files:
            self.answer(200, self.server.files[path.removeprefix("-/")])
        else:
            self.answer(404, b"{}")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(folder, command):
    registry = Registry(sorted(pathlib.Path(folder).glob("*.tgz")))
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    environment = {**os.environ, "npm_config_registry": f"{registry.address}/"}
    sys.exit(subprocess.run(command, env=environment).returncode)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
