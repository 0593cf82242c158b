"""server.json for the MCP registry: every package that a host can start, under one name and one version.

    registry.py name             the server's name in the registry, which PyPI's readme and the image carry
    registry.py BUNDLE OUT       writes OUT/server.json; BUNDLE is the .mcpb of this version's release
"""
import hashlib
import json
import pathlib
import sys

from product import HERE, NAME, VERSION, registered, release, repository, write_json

STDIO = {"type": "stdio"}


def name():
    message = "The MCP registry names a server after its owner on GitHub: set GITHUB_REPOSITORY=OWNER/REPOSITORY."
    return registered() or sys.exit(message)


def packages(bundle, variables):
    image = repository().removeprefix("https://github.com/").lower()
    shared = {"transport": STDIO, "environmentVariables": variables}
    yield {"registryType": "npm", "identifier": NAME, "version": VERSION, "runtimeHint": "npx", **shared}
    yield {"registryType": "pypi", "identifier": NAME, "version": VERSION, "runtimeHint": "uvx", **shared}
    yield {"registryType": "oci", "identifier": f"ghcr.io/{image}:{VERSION}", "runtimeHint": "docker", **shared}
    # The bundle asks for its settings itself.
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    yield {"registryType": "mcpb", "identifier": release(bundle.name), "fileSha256": digest, "transport": STDIO}


def server(bundle):
    made = json.loads((HERE / "registry" / "server.json").read_text())
    variables = made.pop("environmentVariables")
    made |= {"name": name(), "version": VERSION, "websiteUrl": repository()}
    made["repository"] = {"url": repository(), "source": "github"}
    made["packages"] = list(packages(bundle, variables))
    return made


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["name"]:
            print(name())
        case [bundle, out]:
            write_json(pathlib.Path(out) / "server.json", server(pathlib.Path(bundle)))
        case _:
            sys.exit(__doc__)
