"""The Homebrew formula, over this version's archives.

    homebrew.py ARCHIVES OUT     writes OUT/medplum-mcp.rb; ARCHIVES is the folder that archives.py filled
"""
import hashlib
import pathlib
import re
import sys

from archives import name
from product import HERE, LICENCE, NAME, TARGETS, VERSION, release, repository


def formula(archives):
    file = {target.rust: name(target) for target in TARGETS}

    def fill(found):
        match found[1].split():
            case ["HOMEPAGE"]:
                return repository()
            case ["VERSION"]:
                return VERSION
            case ["LICENCE"]:
                return LICENCE
            case ["URL", target]:
                return release(file[target])
            case ["SHA256", target]:
                return hashlib.sha256((archives / file[target]).read_bytes()).hexdigest()
        sys.exit(f"The formula asks for {found[0]}, which nobody knows.")

    return re.sub(r"@([A-Z0-9]+(?: [a-z0-9_-]+)?)@", fill, (HERE / "homebrew" / f"{NAME}.rb").read_text())


if __name__ == "__main__":
    match sys.argv[1:]:
        case [archives, out]:
            pathlib.Path(out).mkdir(parents=True, exist_ok=True)
            (pathlib.Path(out) / f"{NAME}.rb").write_text(formula(pathlib.Path(archives)))
        case _:
            sys.exit(__doc__)
