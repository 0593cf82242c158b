// What both TypeScript clients are to find.
import assert from 'node:assert/strict';

export const server = (...more) => ({ command: process.env.MEDPLUM_MCP, args: ['--sandbox', ...more] });

/** One session, step by step; `call` is how this client's version calls a tool with options. */
export async function session(client, call) {
  const troubles = [];
  client.onerror = (error) => troubles.push(error);
  client.fallbackNotificationHandler = async (notice) => troubles.push(notice);

  const capabilities = client.getServerCapabilities();
  assert.deepEqual(Object.keys(capabilities).sort(), ['completions', 'resources', 'tools']);
  assert.equal(client.getServerVersion().name, 'medplum-mcp');
  assert.match(client.getInstructions(), /FHIR R4/);

  const { tools } = await client.listTools();
  for (const name of ['read_resource', 'search_resources', 'create_resource', 'execute_bot']) {
    assert.ok(tools.some((tool) => tool.name === name), name);
  }
  const found = await client.callTool({ name: 'search_resources', arguments: { resource_type: 'Patient', count: 1 } });
  assert.ok(!found.isError);
  assert.equal(JSON.parse(found.content[0].text).resourceType, 'Bundle');

  const resource = { resourceType: 'Patient', name: [{ family: 'Peer', given: ['Grace'] }] };
  const made = JSON.parse((await client.callTool({ name: 'create_resource', arguments: { resource } })).content[0].text);
  const { contents } = await client.readResource({ uri: `medplum://fhir/Patient/${made.id}` });
  assert.equal(JSON.parse(contents[0].text).id, made.id);
  await assert.rejects(client.readResource({ uri: 'medplum://nothing' }), /No such resource/);

  const template = { type: 'ref/resource', uri: 'medplum://fhir/{type}/{id}' };
  const { completion } = await client.complete({ ref: template, argument: { name: 'type', value: 'Pati' } });
  assert.deepEqual(completion.values, ['Patient']);

  const given_up = new AbortController();
  const never = call({ name: 'search_all_resources', arguments: { resource_type: 'Observation' } }, { signal: given_up.signal });
  given_up.abort('enough');
  await assert.rejects(never, /enough/);
  const after = await client.callTool({ name: 'read_resource', arguments: { resource_type: 'Patient', resource_id: made.id } });
  assert.equal(JSON.parse(after.content[0].text).id, made.id);

  await client.close();
  assert.deepEqual(troubles, []);
}
