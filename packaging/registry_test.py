"""What the MCP registry demands of a server.json, looked at before it is sent there.

    registry_test.py SERVER_JSON
"""
import json
import re
import sys

from product import NAME, VERSION


def demand(holds, what):
    if not holds:
        sys.exit(f"server.json: {what}")


def main(path):
    server = json.load(open(path))
    demand(re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", server["name"]), "a name is a namespace, a slash, a name")
    demand(1 <= len(server["description"]) <= 100, "a description has at most 100 characters")
    demand(1 <= len(server["title"]) <= 100, "a title has at most 100 characters")
    demand(server["version"] == VERSION, f"the version is {VERSION}")
    kinds = {package["registryType"]: package for package in server["packages"]}
    demand(set(kinds) == {"npm", "pypi", "oci", "mcpb"}, f"packages of every kind, not {sorted(kinds)}")
    for kind in ("npm", "pypi"):
        demand(kinds[kind]["version"] == VERSION and kinds[kind]["identifier"] == NAME, f"{kind}: {NAME} {VERSION}")
    demand("version" not in kinds["oci"] and kinds["oci"]["identifier"].endswith(f":{VERSION}"), "an image's version is its tag")
    demand(re.fullmatch(r"[0-9a-f]{64}", kinds["mcpb"]["fileSha256"]), "a bundle comes with its digest")
    demand("mcp" in kinds["mcpb"]["identifier"] and f"/v{VERSION}/" in kinds["mcpb"]["identifier"], "a bundle is a release's file")
    for package in server["packages"]:
        demand(package["transport"] == {"type": "stdio"}, "every package speaks stdio")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
