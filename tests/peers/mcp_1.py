"""The Python SDK 1.x, which most hosts in Python still have."""
import asyncio
import json
import os

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import McpError

from expected import PATIENT, READS, WRITES, same


async def main():
    command = StdioServerParameters(command=os.environ["MEDPLUM_MCP"], args=["--sandbox", "--enable-writes"])
    notices = []

    async def notice(message):
        notices.append(message)

    async with stdio_client(command) as streams, ClientSession(*streams, message_handler=notice) as client:
        hello = await client.initialize()
        same("server", hello.serverInfo.name, "medplum-mcp")
        same("no prompts, and it says so", hello.capabilities.prompts, None)
        await client.send_ping()
        listed = await client.list_tools()
        same("tools", {tool.name for tool in listed.tools} >= READS | WRITES, True)

        # The session holds the answers against what the tool said of itself.
        found = await client.call_tool("search_resources", {"resource_type": "Patient", "count": 1})
        same("call", found.isError, False)
        patient = json.loads(found.content[0].text)["entry"][0]["resource"]["id"]
        summary = await client.call_tool("get_patient_summary", {"patient_id": patient})
        same("summary", (summary.isError, len(summary.content[0].text) > 100), (False, True))

        made = json.loads((await client.call_tool("create_resource", {"resource": PATIENT})).content[0].text)
        made["birthDate"] = "1980-05-04"
        updated = await client.call_tool("update_resource", {"resource": made})
        same("update", json.loads(updated.content[0].text)["birthDate"], "1980-05-04")
        stale = await client.call_tool("update_resource", {"resource": made})
        same("an update of an old version", stale.isError, True)

        same("resources", len((await client.list_resources()).resources), 3)
        record = await client.read_resource(f"medplum://fhir/Patient/{made['id']}")
        same("a record as a resource", json.loads(record.contents[0].text)["id"], made["id"])
        try:
            await client.list_prompts()
            raise AssertionError("prompts were listed")
        except McpError as error:
            same("prompts/list", error.error.code, -32601)
    same("nothing came unasked", notices, [])


asyncio.run(main())
print("peers: mcp 1.30.0 (Python) is content")
