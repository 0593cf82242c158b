"""Lays out what Docker is sent for the Dockerfile, and says how it builds the program: to be done without a daemon.

    docker_context.py OUT        copies the context into OUT, and prints the build's command, an argument a line
"""
import pathlib
import re
import shlex
import shutil
import sys

from product import HERE, ROOT

DOCKERFILE = HERE / "docker" / "Dockerfile"


def fits(pattern, path):
    """Whether a pattern of the ignore file is about a path, or about a folder that it is in."""
    parts = pattern.split("/")
    return len(parts) <= len(path.parts) and all(p in ("*", part) for p, part in zip(parts, path.parts))


def is_sent(path, patterns):
    sent = True
    for line in patterns:
        if fits(line.removeprefix("!"), path):
            sent = line.startswith("!")
    return sent


def context(out):
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    tops = {line[1:].split("/")[0] for line in patterns if line.startswith("!")}
    for top in sorted(tops):
        for path in [ROOT / top, *(ROOT / top).rglob("*")]:
            inside = path.relative_to(ROOT)
            if path.is_file() and is_sent(inside, patterns):
                (out / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, out / inside)


def command():
    """`cargo build …` of the first stage."""
    run = re.search(r"^RUN .*?(cargo build .*?)&&", DOCKERFILE.read_text().replace("\\\n", " "), re.M)
    return shlex.split(run[1])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    context(pathlib.Path(sys.argv[1]))
    print(*command(), sep="\n")
