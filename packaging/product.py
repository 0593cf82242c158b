"""What every package is made from: the facts in Cargo.toml, the targets, and the binaries that were built for them."""
import argparse
import dataclasses
import json
import os
import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
HERE = ROOT / "packaging"
NAME = "medplum-mcp"
ALIAS = "pymedplum-mcp"
# What goes along with the binary, wherever it goes.
PAPERS = ("LICENSE", "NOTICE")

_WORKSPACE = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
VERSION = _WORKSPACE["version"]
LICENCE = _WORKSPACE["license"]
KEYWORDS = _WORKSPACE["keywords"]
DESCRIPTION = tomllib.loads((ROOT / "crates" / NAME / "Cargo.toml").read_text())["package"]["description"]


@dataclasses.dataclass(frozen=True)
class Target:
    """A system that the program is built for, under the names that Rust and Node give it."""

    rust: str
    npm: str
    os: str
    cpu: str
    libc: str | None = None

    def file(self, name=NAME):
        return f"{name}.exe" if self.os == "win32" else name


TARGETS = [Target(**row) for row in json.loads((HERE / "targets.json").read_text())]


def repository():
    """Where the source and the releases are: Cargo.toml says it, or the forge that runs this."""
    stated = _WORKSPACE.get("repository") or ""
    if not stated and os.environ.get("GITHUB_REPOSITORY"):
        stated = "/".join((os.environ.get("GITHUB_SERVER_URL", "https://github.com"), os.environ["GITHUB_REPOSITORY"]))
    return stated.rstrip("/") or None


def release(file):
    """The address of a file of this version's release."""
    home = repository()
    if home is None:
        sys.exit("Releases have no address: set repository under [workspace.package] in Cargo.toml, or GITHUB_REPOSITORY.")
    return f"{home}/releases/download/v{VERSION}/{file}"


def registered():
    """The server's name in the MCP registry, which follows from who owns the repository on GitHub; none elsewhere."""
    home = repository()
    if home is None or not home.startswith("https://github.com/"):
        return None
    return f"io.github.{home.split('/')[3]}/{NAME}"


class Binaries:
    """A folder with a folder a target, each with the program as it was built for it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.targets = [target for target in TARGETS if self.path(target).is_file()]
        if not self.targets:
            sys.exit(f"{folder} holds no binary: {TARGETS[0].rust}/{TARGETS[0].file()} and the like.")

    def path(self, target, name=NAME):
        return self.folder / target.rust / target.file(name)


def arguments(what):
    """The arguments that every packager takes: where the binaries are, and where its packages go."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("binaries", type=Binaries, help="folder with TARGET/medplum-mcp for each target")
    parser.add_argument("out", type=pathlib.Path, help="folder for what is made")
    parser.add_argument("--all", action="store_true", help="fail unless every target is there")
    given = parser.parse_args()
    missing = [target.rust for target in TARGETS if target not in given.binaries.targets]
    if given.all and missing:
        sys.exit(f"No binary for {', '.join(missing)}.")
    given.out.mkdir(parents=True, exist_ok=True)
    return given


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    print(VERSION)
