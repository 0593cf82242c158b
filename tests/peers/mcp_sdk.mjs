// The TypeScript SDK 1.x, which most hosts still have.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { server, session } from './mcp.mjs';

const client = new Client({ name: 'peer', version: '1' });
await client.connect(new StdioClientTransport({ ...server('--enable-writes'), stderr: 'ignore' }));
await client.ping();
await session(client, (call, options) => client.callTool(call, undefined, options));
console.log('peers: @modelcontextprotocol/sdk 1.32.2 is content');
