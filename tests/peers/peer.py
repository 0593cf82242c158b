"""pymedplum 0.6.0 against the sandbox: what a program does with a Medplum, step by step."""
import os
import uuid

from pymedplum import MedplumClient
from pymedplum.exceptions import MedplumError

client = MedplumClient(
    base_url=os.environ["MEDPLUM_BASE_URL"],
    client_id=os.environ["MEDPLUM_CLIENT_ID"],
    client_secret=os.environ["MEDPLUM_CLIENT_SECRET"],
    allow_insecure_http=True,
)
mark = str(uuid.uuid4())
identifier = f"urn:peer|{mark}"


def same(what, actual, expected):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"


def fails(what, work):
    try:
        work()
    except MedplumError:
        return
    raise AssertionError(f"{what}: it should have failed")


patient = client.create_resource({
    "resourceType": "Patient",
    "identifier": [{"system": "urn:peer", "value": mark}],
    "name": [{"family": "Peer", "given": ["Ada"]}],
})
same("read", client.read_resource("Patient", patient["id"])["id"], patient["id"])
again = client.create_resource_if_none_exist({"resourceType": "Patient"}, f"identifier={identifier}")
same("conditional create", again["id"], patient["id"])

patched = client.patch_resource("Patient", patient["id"], [{"op": "add", "path": "/active", "value": True}])
same("patch", patched["active"], True)
fails("patch with a failing test", lambda: client.patch_resource(
    "Patient", patient["id"], [{"op": "test", "path": "/active", "value": False}]))
patched["birthDate"] = "1980-05-04"
updated = client.update_resource(patched)
same("update", updated["birthDate"], "1980-05-04")
fails("stale update", lambda: client.update_resource(patched))
same("version", client.vread_resource("Patient", patient["id"], patient["meta"]["versionId"]).get("active"), None)

batch = client.execute_batch({
    "resourceType": "Bundle", "type": "batch",
    "entry": [{
        "request": {"method": "POST", "url": "Observation"},
        "resource": {
            "resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": f"Patient/{patient['id']}"},
            "effectiveDateTime": f"2025-01-{day:02}T08:00:00Z",
            "valueQuantity": {"value": 60 + day, "unit": "/min"},
        },
    } for day in range(1, 26)],
})
same("batch", {entry["response"]["status"] for entry in batch["entry"]}, {"201"})

query = {"subject": f"Patient/{patient['id']}", "_count": "10", "_sort": "date"}
pages = [seen["id"] for seen in client.search_resource_pages("Observation", query)]
same("paging", (len(pages), len(set(pages))), (25, 25))
found = client.search_resources("Observation", {**query, "value-quantity": "gt80", "_total": "accurate"})
same("search", found["total"], 5)
same("no match", client.search_one("Patient", {"identifier": "urn:peer|nobody"}), None)
fails("unknown parameter", lambda: client.search_resources("Patient", {"bogus": "1"}))

answer = client.execute_graphql(
    "query($id: ID!) { Patient(id: $id) { name { family } ObservationList(_reference: subject, _count: 3) { id } } }",
    {"id": patient["id"]},
)
same("graphql", len(answer["data"]["Patient"]["ObservationList"]), 3)

everything = client.execute_operation("Patient", "everything", patient["id"], method="GET")
same("$everything", len(everything["entry"]), 26)
same("$expand", client.expand_valueset("http://hl7.org/fhir/ValueSet/administrative-gender")["expansion"]["total"], 4)
binary = client.upload_binary(b"hello", "text/plain")
same("binary", client.download_binary(binary["id"]), b"hello")

client.delete_resource("Patient", patient["id"])
fails("read a deleted one", lambda: client.read_resource("Patient", patient["id"]))
print("peers: pymedplum 0.6.0 is content")
