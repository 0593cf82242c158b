#!/usr/bin/env python3
"""Writes tests/fixtures/examples.ndjson: a few small examples of each resource type from npm hl7.fhir.r4.examples.

    npm pack hl7.fhir.r4.examples@4.0.1
    tar xzf hl7.fhir.r4.examples-4.0.1.tgz
    python3 pick_examples.py package > ../tests/fixtures/examples.ndjson

The narratives are left out for size; the rest is as HL7 published it (CC0). To validate all of them, narratives
included: `cargo run --release -p fhir-definitions --example check_examples -- package`.
"""

import json
import sys
from pathlib import Path

# These are wrong by FHIR's own rules; the reasons stand in tests/examples.rs.
REFUSED = {"DeviceMetric-example", "DeviceUseStatement-example", "Media-example", "MedicationRequest-medrx0301",
           "Observation-clinical-gender"}
MOST_BYTES = 5_000
EACH = {"Observation": 10, "Patient": 8, "MedicationRequest": 5, "Condition": 5, "Bundle": 3, "Encounter": 4,
        "Procedure": 4, "DiagnosticReport": 4, "AllergyIntolerance": 4}


def main():
    by_type = {}
    for file in sorted(Path(sys.argv[1]).glob("*.json")):
        resource = json.loads(file.read_text())
        if "resourceType" not in resource:
            continue
        resource.pop("text", None)
        line = json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
        if len(line) <= MOST_BYTES or file.stem in REFUSED:
            by_type.setdefault(resource["resourceType"], []).append((file.stem in REFUSED, len(line), file.stem, line))
    for name in sorted(by_type):
        found = by_type[name]
        # The larger ones say more; the refused ones are always there.
        found.sort(key=lambda f: (not f[0], -f[1], f[2]))
        for _, _, _, line in found[:EACH.get(name, 1)]:
            print(line)


main()
