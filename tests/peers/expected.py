"""What every client is to find."""

READS = {"get_resource_schema", "read_resource", "search_resources", "get_patient_summary", "execute_graphql"}
WRITES = {"create_resource", "update_resource", "patch_resource", "delete_resource", "execute_bot"}
PATIENT = {"resourceType": "Patient", "name": [{"family": "Peer", "given": ["Ada"]}]}


def same(what, actual, expected):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"
