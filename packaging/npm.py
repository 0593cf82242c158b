"""The npm packages: a launcher, and the program for each platform as an optional package that npm picks by itself."""
import shutil

from product import DESCRIPTION, HERE, KEYWORDS, LICENCE, NAME, PAPERS, ROOT, TARGETS, VERSION, arguments, repository
from product import registered, write_json
from readme import page

SCOPE = f"@{NAME}"


def package(name, description):
    facts = {"name": name, "version": VERSION, "description": description, "license": LICENCE}
    if repository():
        facts["repository"] = {"type": "git", "url": f"git+{repository()}.git"}
        facts["homepage"] = repository()
    return facts


def lay(folder, facts):
    write_json(folder / "package.json", facts)
    for paper in PAPERS:
        shutil.copy(ROOT / paper, folder)


def platform(binaries, target, folder):
    facts = package(f"{SCOPE}/{target.npm}", f"The {NAME} program for {target.npm}")
    facts |= {"os": [target.os], "cpu": [target.cpu]}
    if target.libc:
        facts["libc"] = [target.libc]
    # Left as a file on disk by package managers that keep packages zipped.
    facts |= {"files": ["bin", "NOTICE"], "preferUnplugged": True}
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    program = shutil.copy(binaries.path(target), folder / "bin" / target.file())
    program.chmod(0o755)
    lay(folder, facts)


def launcher(folder):
    facts = package(NAME, DESCRIPTION)
    if registered():
        facts["mcpName"] = registered()
    facts |= {
        "keywords": KEYWORDS,
        "bin": {NAME: "launcher.js"},
        "files": ["launcher.js", "NOTICE"],
        "engines": {"node": ">=18"},
        "optionalDependencies": {f"{SCOPE}/{target.npm}": VERSION for target in TARGETS},
    }
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "npm" / "launcher.js", folder)
    readme = page((ROOT / "README.md").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(readme, encoding="utf-8")
    lay(folder, facts)


if __name__ == "__main__":
    given = arguments(__doc__)
    for target in given.binaries.targets:
        platform(given.binaries, target, given.out / target.npm)
    launcher(given.out / NAME)
    print(*sorted(path.name for path in given.out.iterdir()), sep="\n")
