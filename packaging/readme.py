"""The README as the page of a package: what stands in the repository is linked where it is, and its owner is named."""
import re
import sys

from product import ROOT, VERSION, registered, repository


def page(text):
    home = repository()
    if home is None:
        return text
    owner, _, name = home.split("/", 3)[3].partition("/")
    # An image goes by the name of its repository, as release.yml and the registry have it.
    text = text.replace("ghcr.io/OWNER/medplum-mcp", f"ghcr.io/{owner}/{name}".lower()).replace("OWNER/tap/", f"{owner}/tap/")

    def whole(link):
        image, words, target = link.groups()
        return f"{image}[{words}]({home}/{'raw' if image else 'blob'}/v{VERSION}/{target})"

    # What has no scheme, and is no place on the page itself.
    text = re.sub(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)", whole, text)
    name = registered()
    return f"{text}\n<!-- mcp-name: {name} -->\n" if name else text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    if sys.argv[1:] == ["--write"]:
        readme.write_text(page(readme.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(page(readme.read_text(encoding="utf-8")), end="")
