"""Speaks MCP over stdio with a server: is it there, does it list its tools, does it answer?

    speak.py COMMAND [ARGUMENT...]      with --sandbox among them, it is asked for a patient
"""
import json
import shutil
import subprocess
import sys
import threading

# Slower than this on any machine, it hangs.
PATIENCE = 60


class Server:
    """A server that was started and greeted; ended at the end of the block, as a host ends it: by closing its input."""

    def __init__(self, command):
        # Windows starts scripts such as npx by their full name alone.
        command = [shutil.which(command[0]) or command[0], *command[1:]]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self.watch = threading.Timer(PATIENCE, self.process.kill)
        self.watch.start()
        self.asked = 0

    def __enter__(self):
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "speak", "version": "1"}}
        self.info = self.request("initialize", hello)["serverInfo"]
        self.send({"method": "notifications/initialized"})
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.code = self.process.wait()
        self.watch.cancel()

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def request(self, method, params):
        self.asked += 1
        self.send({"id": self.asked, "method": method, "params": params})
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{method}: the server went away (exit code {self.process.wait()})")
        answer = json.loads(line)
        if answer.get("id") != self.asked or "result" not in answer:
            sys.exit(f"{method}: {line.strip()}")
        return answer["result"]

    def tools(self):
        return self.request("tools/list", {})["tools"]

    def call(self, name, arguments):
        result = self.request("tools/call", {"name": name, "arguments": arguments})
        text = result["content"][0]["text"]
        if result.get("isError"):
            sys.exit(f"{name}: {text}")
        return json.loads(text)


def runs(program):
    """Whether this machine can run it at all."""
    try:
        return subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, timeout=PATIENCE).returncode == 0
    except OSError:
        return False


def main(command):
    with Server(command) as server:
        tools = {tool["name"] for tool in server.tools()}
        found = server.call("search_resources", {"resource_type": "Patient", "count": 1})
        if found["entry"][0]["resource"]["resourceType"] != "Patient" or "read_resource" not in tools:
            sys.exit(f"{command[0]} answers with something else: {found}")
    if server.code != 0:
        sys.exit(f"{command[0]} ended with {server.code}")
    print(f"{server.info['name']} {server.info['version']}, {len(tools)} tools, a patient found, ended with 0")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
