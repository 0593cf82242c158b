// The TypeScript client 2.x: both eras of the protocol, chosen by the client or by agreement with the server.
import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { server, session } from './mcp.mjs';

for (const [mode, protocol] of [['legacy', '2025-11-25'], ['auto', '2026-07-28'], [{ pin: '2026-07-28' }, '2026-07-28']]) {
  const client = new Client({ name: 'peer', version: '1' }, { versionNegotiation: { mode } });
  await client.connect(new StdioClientTransport({ ...server('--enable-writes'), stderr: 'ignore' }));
  assert.equal(client.getNegotiatedProtocolVersion(), protocol);
  await session(client, (call, options) => client.callTool(call, options));
}
console.log('peers: @modelcontextprotocol/client 2.4.0 is content');
