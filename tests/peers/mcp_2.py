"""The Python SDK 2.x: both eras of the protocol, chosen by the client or by agreement with the server."""
import asyncio
import json
import os

from mcp import Client, StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from expected import PATIENT, READS, WRITES, same


def server(*arguments):
    return stdio_client(StdioServerParameters(command=os.environ["MEDPLUM_MCP"], args=["--sandbox", *arguments]))


async def session(mode, protocol):
    async with Client(server(), mode=mode) as client:
        same("protocol", client.session.protocol_version, protocol)
        capabilities = client.server_capabilities
        if mode in ("legacy", "auto"):
            same("resources", capabilities.resources is not None, True)
            same("no prompts, and it says so", capabilities.prompts, None)
        listed = await client.list_tools()
        same("tools", {tool.name for tool in listed.tools} >= READS, True)
        same("read-only", {tool.name for tool in listed.tools} & WRITES, set())
        same("hints", all(tool.annotations.read_only_hint for tool in listed.tools), True)

        found = await client.call_tool("search_resources", {"resource_type": "Patient", "count": 2})
        same("call", (found.is_error or False, found.structured_content), (False, None))
        same("record first", json.loads(found.content[0].text)["resourceType"], "Bundle")
        cursor = found.content[-1].text.split("next: ")[1].split()[0]
        more = await client.call_tool("search_resources", {"resource_type": "Patient", "count": 2, "cursor": cursor})
        same("the next page is another", more.content[0].text == found.content[0].text, False)

        wrong = await client.call_tool("read_resource", {"resource_type": "Patient"})
        same("a call that lacks an argument", (wrong.is_error, "resource_id" in wrong.content[0].text), (True, True))
        closed = await client.call_tool("create_resource", {"resource": PATIENT})
        same("a closed tool", (closed.is_error, "MEDPLUM_ENABLE_WRITES" in closed.content[0].text), (True, True))

        same("resources/list", len((await client.list_resources()).resources), 3)
        same("resources/templates/list", len((await client.list_resource_templates()).resource_templates), 2)
        guide = await client.read_resource("medplum://tool-guide")
        same("resources/read", "search_resources" in guide.contents[0].text, True)
        try:
            await client.read_resource("medplum://nothing")
            raise AssertionError("a resource that is not there was read")
        except MCPError:
            pass
        at_once = [client.call_tool("search_resources", {"resource_type": "Observation", "count": 5}) for _ in range(20)]
        same("at once", {len(answer.content) for answer in await asyncio.gather(*at_once)}, {2})


async def write():
    async with Client(server("--enable-writes"), mode="auto") as client:
        same("tools with writes", {tool.name for tool in (await client.list_tools()).tools} >= READS | WRITES, True)
        made = json.loads((await client.call_tool("create_resource", {"resource": PATIENT})).content[0].text)
        read = await client.call_tool("read_resource", {"resource_type": "Patient", "resource_id": made["id"]})
        same("read back", json.loads(read.content[0].text)["name"], PATIENT["name"])


asyncio.run(session("legacy", "2025-11-25"))
asyncio.run(session("auto", "2026-07-28"))
asyncio.run(session("2026-07-28", "2026-07-28"))
asyncio.run(write())
print("peers: mcp 2.3.0 (Python) is content")
