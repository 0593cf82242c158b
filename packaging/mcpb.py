"""The bundle for Claude Desktop: a manifest, and the program for each system that it runs on.

A bundle knows systems, not processors. For macOS the folder `universal-apple-darwin` holds a program for both, made by
`lipo` from the other two; where it is missing, one of them stands in.
"""
import json

import speak
from archives import zipped
from product import HERE, NAME, PAPERS, ROOT, VERSION, arguments, repository

# By preference: the static one runs on every Linux.
SYSTEMS = {
    "linux": ["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"],
    "darwin": ["universal-apple-darwin", "aarch64-apple-darwin", "x86_64-apple-darwin"],
    "win32": ["x86_64-pc-windows-msvc"],
}


def programs(binaries):
    """The system and the program for each system that there is one for."""
    for system, folders in SYSTEMS.items():
        file = f"{NAME}.exe" if system == "win32" else NAME
        found = next((path for folder in folders if (path := binaries.folder / folder / file).is_file()), None)
        if found:
            yield system, f"server/{system}/{file}", found


def tools(program):
    """The tools that the program lists, for a person who decides whether to install it."""
    with speak.Server([str(program), "--sandbox"]) as server:
        return [{"name": tool["name"], "description": tool["description"]} for tool in server.tools()]


def manifest(systems, listed):
    made = json.loads((HERE / "mcpb" / "manifest.json").read_text())
    made |= {"version": VERSION, "tools": listed}
    if repository():
        made["repository"] = {"type": "git", "url": f"{repository()}.git"}
        made |= {"homepage": repository(), "support": f"{repository()}/issues"}
    (first, entry), *_ = systems.items()
    server = made["server"]
    server["entry_point"] = entry
    server["mcp_config"]["command"] = f"${{__dirname}}/{entry}"
    others = {system: {"command": f"${{__dirname}}/{path}"} for system, path in systems.items() if system != first}
    if others:
        server["mcp_config"]["platform_overrides"] = others
    made["compatibility"] = {"platforms": list(systems)}
    return made


if __name__ == "__main__":
    given = arguments(__doc__)
    found = list(programs(given.binaries))
    runnable = next((path for _, _, path in found if speak.runs(path)), None)
    made = manifest({system: entry for system, entry, _ in found}, tools(runnable) if runnable else [])
    members = [("manifest.json", json.dumps(made, indent=2, ensure_ascii=False).encode(), False)]
    members += [(entry, path.read_bytes(), True) for _, entry, path in found]
    members += [(paper, (ROOT / paper).read_bytes(), False) for paper in PAPERS]
    bundle = given.out / f"{NAME}-{VERSION}.mcpb"
    bundle.write_bytes(zipped(members))
    print(bundle.name)
