"""What is laid out for npm, PyPI and the MCP registry: their pages, and the one name that ties them together.

    python3 -m unittest discover --start-directory packaging --pattern '*_check.py'
"""
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
VERSION = subprocess.check_output([sys.executable, HERE / "product.py"], text=True).strip()
TARGETS = json.loads((HERE / "targets.json").read_text())
REGISTERED = "io.github.A-Clinic/medplum-mcp"


class Pages(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = pathlib.Path(self.folder.name)
        for target in TARGETS:
            name = "medplum-mcp.exe" if target["os"] == "win32" else "medplum-mcp"
            program = self.out / "binaries" / target["rust"] / name
            program.parent.mkdir(parents=True)
            program.write_bytes(target["rust"].encode())

    def run_on(self, forge, script, *arguments):
        """What a script says, run where the forge says whose repository this is."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
        return subprocess.run(
            [sys.executable, HERE / script, *arguments],
            env=kept | forge | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=True,
        ).stdout

    def npm(self, forge):
        self.run_on(forge, "npm.py", self.out / "binaries", self.out / "npm")
        facts = {path.parent.name: json.loads(path.read_text()) for path in (self.out / "npm").glob("*/package.json")}
        return facts, (self.out / "npm" / "medplum-mcp" / "README.md").read_text()

    GITHUB = {"GITHUB_REPOSITORY": "A-Clinic/medplum"}
    HOME = "https://github.com/A-Clinic/medplum"

    def test_npm_has_the_page_and_the_name_of_the_registry(self):
        facts, page = self.npm(self.GITHUB)
        launcher = facts["medplum-mcp"]
        self.assertEqual(launcher["mcpName"], REGISTERED)
        self.assertEqual((launcher["name"], launcher["version"]), ("medplum-mcp", VERSION))
        self.assertEqual(launcher["homepage"], self.HOME)
        self.assertEqual(launcher["optionalDependencies"], {f"@medplum-mcp/{t['npm']}": VERSION for t in TARGETS})
        self.assert_page(page)
        self.assertNotIn("scripts", launcher, "nothing runs while it is installed")
        for file in launcher["files"] + ["README.md", "LICENSE"]:
            self.assertTrue((self.out / "npm" / "medplum-mcp" / file).is_file(), file)

    def test_npm_has_a_package_for_every_platform(self):
        facts, _ = self.npm(self.GITHUB)
        for target in TARGETS:
            package = facts[target["npm"]]
            self.assertEqual((package["os"], package["cpu"]), ([target["os"]], [target["cpu"]]))
            self.assertEqual(package.get("libc"), [target["libc"]] if target.get("libc") else None)
            self.assertNotIn("mcpName", package, "the registry knows the launcher alone")
            (program,) = (self.out / "npm" / target["npm"] / "bin").iterdir()
            self.assertEqual(program.read_bytes(), target["rust"].encode(), "each has its own")
            self.assertTrue(os.access(program, os.X_OK))

    def test_pypi_has_the_page_with_the_name_of_the_registry(self):
        page = self.run_on(self.GITHUB, "readme.py")
        self.assert_page(page)
        self.assertIn(f"<!-- mcp-name: {REGISTERED} -->", page)

    def assert_page(self, page):
        """It reads alone, away from the repository: every link is whole, and leads to something that is there."""
        self.assertNotIn("OWNER/", page)
        self.assertIn("-e MEDPLUM_CLIENT_SECRET ghcr.io/a-clinic/medplum`", page, "an image is called as its repository")
        links = re.findall(r"\]\(([^)\s]+)\)", page)
        self.assertGreater(len(links), 10)
        for link in links:
            self.assertRegex(link, "^(https://|#)")
            at_home = re.fullmatch(rf"{self.HOME}/(?:blob|raw)/v{re.escape(VERSION)}/([^#]+)(?:#.*)?", link)
            if link.startswith(self.HOME):
                self.assertTrue((ROOT / at_home[1]).exists(), link)
        self.assertIn("![The demo", page)
        self.assertIn(f"({self.HOME}/raw/v{VERSION}/docs/demo.svg)", page, "a picture is shown, not linked to")

    def test_a_forge_without_a_name_there_gives_none(self):
        forge = {"GITHUB_SERVER_URL": "https://forge.example", "GITHUB_REPOSITORY": "A-Clinic/medplum"}
        facts, page = self.npm(forge)
        self.assertNotIn("mcpName", facts["medplum-mcp"])
        self.assertIn("https://forge.example/A-Clinic/medplum/", page)
        self.assertNotIn("mcp-name:", self.run_on(forge, "readme.py"))
        facts, page = self.npm({})
        self.assertNotIn("mcpName", facts["medplum-mcp"])
        self.assertEqual(page, (ROOT / "README.md").read_text())

    def test_the_registry_knows_every_package_by_the_same_name(self):
        bundle = self.out / f"medplum-mcp-{VERSION}.mcpb"
        bundle.write_bytes(b"a bundle")
        self.run_on(self.GITHUB, "registry.py", bundle, self.out)
        server = json.loads((self.out / "server.json").read_text())
        facts, _ = self.npm(self.GITHUB)
        self.assertEqual(server["name"], facts["medplum-mcp"]["mcpName"])
        self.assertEqual(server["name"], self.run_on(self.GITHUB, "registry.py", "name").strip())
        self.assertEqual((server["version"], server["websiteUrl"]), (VERSION, self.HOME))
        self.assertEqual(server["repository"], {"url": self.HOME, "source": "github"})
        packages = {package["registryType"]: package for package in server["packages"]}
        self.assertEqual(packages["oci"]["identifier"], f"ghcr.io/a-clinic/medplum:{VERSION}")
        self.assertEqual(packages["mcpb"]["fileSha256"], hashlib.sha256(b"a bundle").hexdigest())
        self.assertEqual(packages["mcpb"]["identifier"], f"{self.HOME}/releases/download/v{VERSION}/{bundle.name}")
        asked = [variable["name"] for variable in packages["npm"]["environmentVariables"]]
        self.assertIn("MEDPLUM_CLIENT_SECRET", asked)
        self.assertNotIn("environmentVariables", packages["mcpb"], "a bundle asks for its settings itself")
        self.run_on(self.GITHUB, "registry_test.py", self.out / "server.json")


if __name__ == "__main__":
    unittest.main()
