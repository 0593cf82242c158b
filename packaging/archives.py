"""One archive a target, the same bytes every time, for releases, Homebrew and people without a package manager."""
import gzip
import io
import tarfile
import zipfile

from product import ALIAS, NAME, PAPERS, ROOT, VERSION, arguments

# 1980 is as early as a zip file can say.
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def name(target):
    return f"{NAME}-{VERSION}-{target.rust}.{'zip' if target.os == 'win32' else 'tar.gz'}"


def files(binaries, target):
    """What the archive holds: path, content, whether it can be run."""
    folder = f"{NAME}-{VERSION}-{target.rust}"
    for program in (NAME, ALIAS):
        if binaries.path(target, program).is_file():
            yield f"{folder}/{target.file(program)}", binaries.path(target, program).read_bytes(), True
    for paper in ("README.md", *PAPERS):
        yield f"{folder}/{paper}", (ROOT / paper).read_bytes(), False


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, content, runs in members:
            entry = zipfile.ZipInfo(path, LONG_AGO)
            entry.create_system = 3
            entry.external_attr = (0o100755 if runs else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()


def tarred(members):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content, runs in members:
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755 if runs else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


if __name__ == "__main__":
    given = arguments(__doc__)
    for target in given.binaries.targets:
        make = zipped if target.os == "win32" else tarred
        (given.out / name(target)).write_bytes(make(files(given.binaries, target)))
        print(name(target))
