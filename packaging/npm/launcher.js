#!/usr/bin/env node
// Finds the program that npm installed for this platform, and becomes it as far as Node can: its standard streams are
// ours, signals reach it, and we end as it did.
'use strict';

const { spawn } = require('node:child_process');
const { constants } = require('node:os');
const { name, optionalDependencies } = require('./package.json');

const { platform, arch, report } = process;
const file = platform === 'win32' ? `${name}.exe` : name;
const here = `${platform}-${arch}`;

/** The packages that may hold the program for this platform; where Linux has two, the one for its C library first. */
function candidates() {
  const [plain, musl] = [`@${name}/${here}`, `@${name}/${here}-musl`];
  const known = (wanted) => wanted in optionalDependencies;
  return (platform === 'linux' && !hasGlibc() ? [musl, plain] : [plain, musl]).filter(known);
}

function hasGlibc() {
  report.excludeNetwork = true;
  return Boolean(report.getReport().header.glibcVersionRuntime);
}

function find(packages) {
  for (const wanted of packages) {
    try {
      return require.resolve(`${wanted}/bin/${file}`);
    } catch {
      // The next one, or none.
    }
  }
  return undefined;
}

function missing(packages) {
  if (packages.length === 0) {
    return `There is no build for ${here}. With Rust: cargo install ${name}`;
  }
  const [wanted] = packages;
  return `The program for ${here} is not installed: npm left ${wanted} out, as it does with --omit=optional or with a
package-lock.json that was written on another kind of machine. Either of these brings it:
  npm install ${wanted}@${optionalDependencies[wanted]}
  npx -y ${name}@${optionalDependencies[wanted]}, outside that project`;
}

function run(program) {
  // Before it starts: a signal that comes between would end us and leave it behind.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  const child = spawn(program, process.argv.slice(2), { stdio: 'inherit', windowsHide: true });
  child.on('error', (error) => fail(`${program} cannot be started (${error.code}).`));
  child.on('exit', (code, signal) => {
    if (signal) {
      // Ends us by the same signal, so that whoever started us sees it.
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
      setTimeout(() => process.exit(128 + constants.signals[signal]), 100);
    } else {
      process.exit(code);
    }
  });
}

function fail(problem) {
  process.stderr.write(`${name}: ${problem}\n`);
  process.exit(2);
}

const packages = candidates();
const program = find(packages);
if (program) {
  run(program);
} else {
  fail(missing(packages));
}
