#!/usr/bin/env python3
"""Writes population.ndjson: thirty synthetic patients and what belongs to them.

    pip install carebundle==0.5.0
    python3 population.py > population.ndjson

carebundle (Apache-2.0) makes clinically coherent, synthetic FHIR R4; the same version and the seed below give the same
bytes. What is changed: narratives are left out, the visits are on different days, and the patients get a record number,
a telephone, an address and a practice. Terminologies stay as they are (LOINC, RxNorm, ICD-10-CM, UCUM; their notices
are in README.md beside this file). SNOMED CT must not be in it, and the script fails if it is.
"""
import datetime
import json
import sys

import carebundle

SEED = 20260105
PATIENTS = 30
PROFILES = ["type2_diabetes", "hypertension", "healthy", "ckd_stage3", "anaemia"]
CITIES = [("Springfield", "62701"), ("Shelbyville", "62565"), ("Ogdenville", "62799"), ("North Haverbrook", "62788")]
PRACTICE = "5a4d0b0c-0000-4000-8000-000000000101"
DOCTOR = "5a4d0b0c-0000-4000-8000-000000000111"
AGES = [(45, 65), (45, 65), (45, 65), (55, 65), (45, 60)]


def bundles():
    for index in range(PATIENTS):
        which = index % len(PROFILES)
        yield carebundle.generate_bundle(
            profile=PROFILES[which],
            seed=SEED + index,
            sex="F" if index % 2 else "M",
            age_range=AGES[which],
            reference_date=datetime.date(2025, 1 + index % 12, 1 + index * 7 % 28),
            index=index,
        )


def registered(patient, number):
    city, postal_code = CITIES[number % len(CITIES)]
    patient["identifier"].insert(0, {"system": "https://sandbox.example/mrn", "value": f"MRN-{number:04}"})
    patient["active"] = True
    patient["telecom"] = [{"system": "phone", "value": f"555-01{number:03}", "use": "mobile"}]
    patient["address"] = [{"use": "home", "line": [f"{12 + number * 7} Main St"], "city": city, "state": "IL",
                           "postalCode": postal_code, "country": "US"}]
    patient["managingOrganization"] = {"reference": f"Organization/{PRACTICE}", "display": "Sandbox Family Practice"}
    patient["generalPractitioner"] = [{"reference": f"Practitioner/{DOCTOR}", "display": "Dr. Greta House"}]


def main():
    seen = set()
    for number, bundle in enumerate(bundles()):
        for lines in carebundle.to_ndjson([bundle]).values():
            for line in lines.splitlines():
                resource = json.loads(line)
                resource.pop("text", None)
                if resource["resourceType"] == "Patient":
                    registered(resource, number)
                first = {key: resource.pop(key) for key in ("resourceType", "id")}
                resource = {**first, **resource}
                key = (resource["resourceType"], resource["id"])
                if key in seen:
                    continue
                seen.add(key)
                text = json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
                if "snomed" in text.lower():
                    sys.exit(f"SNOMED CT in {key}")
                print(text)


main()
