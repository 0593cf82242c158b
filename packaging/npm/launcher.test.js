// The launcher, over a program that tells how it was treated.
'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const here = `${process.platform}-${process.arch}`;
const unix = { skip: process.platform === 'win32' };

/** An installation as npm lays it out, with this script as the program for this platform. */
function installed(script) {
  const modules = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'launcher-')), 'node_modules');
  const launcher = path.join(modules, 'medplum-mcp', 'launcher.js');
  fs.mkdirSync(path.dirname(launcher), { recursive: true });
  fs.copyFileSync(path.join(__dirname, 'launcher.js'), launcher);
  const optionalDependencies = { [`@medplum-mcp/${here}`]: '9.9.9', '@medplum-mcp/aix-ppc64': '9.9.9' };
  fs.writeFileSync(path.join(modules, 'medplum-mcp', 'package.json'), JSON.stringify({ name: 'medplum-mcp', optionalDependencies }));
  if (script !== undefined) {
    const program = path.join(modules, '@medplum-mcp', here, 'bin', 'medplum-mcp');
    fs.mkdirSync(path.dirname(program), { recursive: true });
    fs.writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return launcher;
}

function run(launcher, args = [], input = '') {
  return spawnSync(process.execPath, [launcher, ...args], { input, encoding: 'utf8' });
}

test('arguments, streams and the exit code pass through', unix, () => {
  const launcher = installed('printf "%s;" "$@"; cat; echo to stderr >&2; exit 7');
  const ended = run(launcher, ['call', '{"a": "b c"}', '--x=$HOME'], 'from stdin');
  assert.deepEqual([ended.stdout, ended.stderr, ended.status], ['call;{"a": "b c"};--x=$HOME;from stdin', 'to stderr\n', 7]);
});

test('the end of its input ends it', unix, () => {
  assert.equal(run(installed('cat > /dev/null')).status, 0);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  test(`${signal} reaches the program, and its end is ours`, unix, async () => {
    const name = signal.slice(3);
    const tidy = spawn(process.execPath, [installed(`trap 'echo tidied; exit 3' ${name}; echo up; for i in 0 1 2 3 4 5 6 7 8 9; do sleep 1; done`)]);
    const lines = [];
    tidy.stdout.on('data', (data) => {
      lines.push(...String(data).split('\n').filter(Boolean));
      if (lines.length === 1) tidy.kill(signal);
    });
    assert.deepEqual(await ended(tidy), [3, null]);
    assert.deepEqual(lines, ['up', 'tidied']);

    const killed = spawn(process.execPath, [installed('echo up; exec sleep 30')]);
    killed.stdout.once('data', () => killed.kill(signal));
    assert.deepEqual(await ended(killed), [null, signal]);
  });
}

function ended(child) {
  return new Promise((resolve) => child.on('close', (code, signal) => resolve([code, signal])));
}

test('where npm left the program out, it says what brings it', () => {
  const { status, stdout, stderr } = run(installed());
  assert.deepEqual([status, stdout], [2, '']);
  assert.equal(
    stderr,
    `medplum-mcp: The program for ${here} is not installed: npm left @medplum-mcp/${here} out, as it does with --omit=optional or with a
package-lock.json that was written on another kind of machine. Either of these brings it:
  npm install @medplum-mcp/${here}@9.9.9
  npx -y medplum-mcp@9.9.9, outside that project
`
  );
});

test('where there is no build, it says so', () => {
  const launcher = installed();
  const elsewhere = path.join(path.dirname(launcher), 'package.json');
  fs.writeFileSync(elsewhere, JSON.stringify({ name: 'medplum-mcp', optionalDependencies: { '@medplum-mcp/aix-ppc64': '1' } }));
  const { status, stderr } = run(launcher);
  assert.deepEqual([status, stderr], [2, `medplum-mcp: There is no build for ${here}. With Rust: cargo install medplum-mcp\n`]);
});

test('a program that cannot be started is named', unix, () => {
  const launcher = installed('true');
  fs.chmodSync(path.join(path.dirname(launcher), '..', '@medplum-mcp', here, 'bin', 'medplum-mcp'), 0o644);
  const { status, stderr } = run(launcher);
  assert.equal(status, 2);
  assert.match(stderr, /^medplum-mcp: .*bin\/medplum-mcp cannot be started \(EACCES\)\.\n$/);
});
