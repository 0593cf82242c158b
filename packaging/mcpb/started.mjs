// Starts an unpacked bundle as a host does: the host's own code fills the manifest in.
//
//   node started.mjs BUNDLE SETTINGS      SETTINGS is what a person filled in, as JSON
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getMcpConfigForManifest } from '@anthropic-ai/mcpb';

const [bundle, settings] = process.argv.slice(2);
const { command, args, env } = await getMcpConfigForManifest({
  manifest: JSON.parse(readFileSync(`${bundle}/manifest.json`, 'utf8')),
  extensionPath: bundle,
  systemDirs: {},
  userConfig: JSON.parse(settings),
  pathSeparator: '/',
});
spawn(command, args, { env: { ...process.env, ...env }, stdio: 'inherit' }).on('exit', (code) => process.exit(code ?? 2));
