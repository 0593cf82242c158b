// @medplum/core against the sandbox: what a program does with a Medplum, step by step.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

// The library asks for it when it is loaded; Node has it from version 22 on.
globalThis.WebSocket ??= class {};
const { MedplumClient, getReferenceString } = await import('@medplum/core');

const { MEDPLUM_BASE_URL, MEDPLUM_CLIENT_ID, MEDPLUM_CLIENT_SECRET } = process.env;
const medplum = new MedplumClient({ baseUrl: MEDPLUM_BASE_URL, fetch, cacheTime: 0 });
await medplum.startClientLogin(MEDPLUM_CLIENT_ID, MEDPLUM_CLIENT_SECRET);
assert.equal(medplum.getProfile().resourceType, 'ClientApplication');

const mark = randomUUID();
const patient = await medplum.createResource({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:peer', value: mark }],
  name: [{ family: 'Peer', given: ['Grace'] }],
});
assert.equal((await medplum.readResource('Patient', patient.id)).id, patient.id);
const again = await medplum.createResourceIfNoneExist({ resourceType: 'Patient' }, `identifier=urn:peer|${mark}`);
assert.equal(again.id, patient.id);

const patched = await medplum.patchResource('Patient', patient.id, [{ op: 'add', path: '/active', value: true }]);
assert.equal(patched.active, true);
const updated = await medplum.updateResource({ ...patched, birthDate: '1980-05-04' });
assert.equal(updated.birthDate, '1980-05-04');
assert.equal((await medplum.readHistory('Patient', patient.id)).entry.length, 3);
assert.equal((await medplum.readVersion('Patient', patient.id, patient.meta.versionId)).active, undefined);

const batch = await medplum.executeBatch({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: Array.from({ length: 25 }, (_, day) => ({
    request: { method: 'POST', url: 'Observation' },
    resource: {
      resourceType: 'Observation',
      status: 'final',
      code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
      subject: { reference: getReferenceString(patient) },
      effectiveDateTime: `2025-01-${String(day + 1).padStart(2, '0')}T08:00:00Z`,
      valueQuantity: { value: 61 + day, unit: '/min' },
    },
  })),
});
assert.ok(batch.entry.every((entry) => entry.response.status === '201'));

const seen = new Set();
for await (const page of medplum.searchResourcePages('Observation', {
  subject: getReferenceString(patient),
  _count: '20',
  _sort: '_lastUpdated',
})) {
  page.forEach((observation) => seen.add(observation.id));
}
assert.equal(seen.size, 25);
const found = await medplum.search('Observation', {
  subject: getReferenceString(patient),
  'value-quantity': 'gt80',
  _total: 'accurate',
});
assert.equal(found.total, 5);
assert.equal(await medplum.searchOne('Patient', 'identifier=urn:peer|nobody'), undefined);
await assert.rejects(medplum.search('Patient', 'bogus=1'), /Unknown search parameter/);

const answer = await medplum.graphql(
  'query($id: ID!) { Patient(id: $id) { name { family } ObservationList(_reference: subject, _count: 3) { id } } }',
  undefined,
  { id: patient.id }
);
assert.equal(answer.data.Patient.ObservationList.length, 3);

const everything = await medplum.readPatientEverything(patient.id);
assert.equal(everything.entry.length, 26);
const expansion = await medplum.valueSetExpand({ url: 'http://hl7.org/fhir/ValueSet/administrative-gender' });
assert.equal(expansion.expansion.contains.length, 4);
assert.deepEqual(await medplum.validateResource({ resourceType: 'Patient' }).then((outcome) => outcome.id), 'ok');

await medplum.deleteResource('Patient', patient.id);
await assert.rejects(medplum.readResource('Patient', patient.id), /Gone/);
console.log('peers: @medplum/core 5.2.13 is content');
