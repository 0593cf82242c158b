//! The definitions as a whole, and how to ask them.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::load;
use crate::model::{
    Binding, CodeList, CompartmentEntry, Constraint, Element, ElementType, KindRules, Operation, ParameterKind,
    SearchParameter, TypeInfo, TypeKind, ValueSet,
};

/// FHIR R4 and Medplum's own types: elements, value sets, search parameters, operations, compartments.
///
/// There is one, loaded when it is first asked for and then shared: [`Definitions::get`].
#[derive(Debug, Default)]
pub struct Definitions {
    pub(crate) version: &'static str,
    pub(crate) by_name: HashMap<&'static str, u32>,
    pub(crate) types: Vec<TypeInfo>,
    pub(crate) elements: Vec<Element>,
    pub(crate) element_types: Vec<ElementType>,
    pub(crate) targets: Vec<&'static str>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) params: Vec<SearchParameter>,
    pub(crate) value_sets: Vec<ValueSet>,
    pub(crate) code_lists: Vec<CodeList>,
    pub(crate) rules: Vec<KindRules>,
    pub(crate) result_parameters: Vec<&'static str>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) compartments: Vec<CompartmentEntry>,
}

static DEFINITIONS: OnceLock<Definitions> = OnceLock::new();

impl Definitions {
    /// The definitions. The first call inflates and reads them; later calls cost nothing.
    #[must_use]
    pub fn get() -> &'static Self {
        DEFINITIONS.get_or_init(|| load::load(load::text()))
    }

    /// The version of Medplum's package that the definitions come from.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The resource types that can be stored, in the order of their names.
    pub fn resource_types(&self) -> impl Iterator<Item = &TypeInfo> {
        self.types.iter().filter(|t| t.kind == TypeKind::Resource)
    }

    /// Every type: resources, data types, nested types.
    pub fn types(&self) -> impl Iterator<Item = &TypeInfo> {
        self.types.iter()
    }

    /// The type of that name; a nested type goes by its path, `Patient.contact`.
    #[must_use]
    pub fn type_info(&self, name: &str) -> Option<&TypeInfo> {
        self.by_name.get(name).and_then(|&index| self.type_at(index))
    }

    /// The resource type of that name.
    #[must_use]
    pub fn resource_type(&self, name: &str) -> Option<&TypeInfo> {
        self.type_info(name).filter(|t| t.kind == TypeKind::Resource)
    }

    /// Whether there is such a resource type.
    #[must_use]
    pub fn is_resource_type(&self, name: &str) -> bool {
        self.resource_type(name).is_some()
    }

    pub(crate) fn type_at(&self, index: u32) -> Option<&TypeInfo> {
        self.types.get(index as usize)
    }

    /// The type that this one extends.
    #[must_use]
    pub fn base_of(&self, info: &TypeInfo) -> Option<&TypeInfo> {
        self.type_at(info.base_index)
    }

    /// The elements that the type itself defines, in FHIR's order.
    #[must_use]
    pub fn own_elements(&self, info: &TypeInfo) -> &[Element] {
        info.elements.of(&self.elements)
    }

    /// All elements of the type, its own first, then those of its bases.
    pub fn elements<'a>(&'a self, info: &'a TypeInfo) -> impl Iterator<Item = &'a Element> {
        self.lineage(info).flat_map(|t| self.own_elements(t))
    }

    /// The type, its base, the base of that.
    pub(crate) fn lineage<'a>(&'a self, info: &'a TypeInfo) -> impl Iterator<Item = &'a TypeInfo> {
        std::iter::successors(Some(info), |t| self.base_of(t))
    }

    /// The element of a JSON name, and, for a choice, the type that the name says: `valueQuantity`.
    #[must_use]
    pub fn element(&self, info: &TypeInfo, json_name: &str) -> Option<(&Element, Option<&ElementType>)> {
        self.elements_by_json(info, json_name)
    }

    fn elements_by_json<'a>(
        &'a self,
        info: &TypeInfo,
        json_name: &str,
    ) -> Option<(&'a Element, Option<&'a ElementType>)> {
        let mut of = self.type_at(*self.by_name.get(info.name)?);
        while let Some(current) = of {
            for element in self.own_elements(current) {
                if !element.choice {
                    if element.name == json_name {
                        return Some((element, self.types_of(element).first()));
                    }
                } else if let Some(rest) = json_name.strip_prefix(element.name)
                    && let Some(kind) = self.types_of(element).iter().find(|t| capital_eq(t.name, rest))
                {
                    return Some((element, Some(kind)));
                }
            }
            of = self.base_of(current);
        }
        None
    }

    /// The types that an element may have.
    #[must_use]
    pub fn types_of(&self, element: &Element) -> &[ElementType] {
        element.types.of(&self.element_types)
    }

    /// The definition of one of an element's types.
    #[must_use]
    pub fn resolve(&self, of: &ElementType) -> Option<&TypeInfo> {
        self.type_at(of.index)
    }

    /// The resource types that a `Reference` or `canonical` may lead to. None are named where any may stand.
    #[must_use]
    pub fn targets(&self, of: &ElementType) -> &[&'static str] {
        of.targets.of(&self.targets)
    }

    /// The error-level constraints of the type itself.
    #[must_use]
    pub fn type_constraints(&self, info: &TypeInfo) -> &[Constraint] {
        info.constraints.of(&self.constraints)
    }

    /// The error-level constraints of an element.
    #[must_use]
    pub fn element_constraints(&self, element: &Element) -> &[Constraint] {
        element.constraints.of(&self.constraints)
    }

    /// Every constraint.
    #[must_use]
    pub fn constraints(&self) -> &[Constraint] {
        &self.constraints
    }

    /// Every search parameter of every type.
    #[must_use]
    pub fn all_search_parameters(&self) -> &[SearchParameter] {
        &self.params
    }

    /// The value set of a binding, if it is known here.
    #[must_use]
    pub fn bound_set(&self, binding: &Binding) -> Option<&ValueSet> {
        self.value_sets.get(binding.index as usize)
    }

    /// The value set of that canonical URL; a version behind `|` is not looked at.
    #[must_use]
    pub fn value_set(&self, url: &str) -> Option<&ValueSet> {
        let url = url.split('|').next().unwrap_or(url);
        self.value_sets.binary_search_by(|v| v.url.cmp(url)).ok().and_then(|i| self.value_sets.get(i))
    }

    /// The codes of a value set, one list for each code system. Empty if the set is open.
    #[must_use]
    pub fn codes(&self, set: &ValueSet) -> &[CodeList] {
        set.systems.of(&self.code_lists)
    }

    /// The search parameters of a resource type, in the order of their names: its own, then those of every type.
    pub fn search_parameters<'a>(&'a self, info: &'a TypeInfo) -> impl Iterator<Item = &'a SearchParameter> {
        let depth = if info.searchable { usize::MAX } else { 0 };
        self.lineage(info).take(depth).flat_map(|t| t.params.of(&self.params))
    }

    /// The search parameters that a type itself defines.
    pub(crate) fn own_parameters(&self, info: &TypeInfo) -> &[SearchParameter] {
        info.params.of(&self.params)
    }

    /// The search parameter of a resource type by its name.
    #[must_use]
    pub fn search_parameter(&self, info: &TypeInfo, code: &str) -> Option<&SearchParameter> {
        let mut of = if info.searchable { Some(info) } else { None };
        while let Some(current) = of {
            let params = current.params.of(&self.params);
            if let Some(found) = params.binary_search_by(|p| p.code.cmp(code)).ok().and_then(|i| params.get(i)) {
                return Some(found);
            }
            of = self.base_of(current);
        }
        None
    }

    /// Parameters that shape the answer instead of filtering: `_sort`, `_count`.
    #[must_use]
    pub fn result_parameters(&self) -> &[&'static str] {
        &self.result_parameters
    }

    /// The prefixes and modifiers of a kind of parameter.
    #[must_use]
    pub fn rules(&self, kind: ParameterKind) -> Option<&KindRules> {
        self.rules.iter().find(|r| r.kind == kind)
    }

    /// Every operation that is known, FHIR's definitions and what Medplum routes.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operations that Medplum answers itself on a type or its instances.
    pub fn routed_operations<'a>(&'a self, resource_type: &'a str) -> impl Iterator<Item = &'a Operation> {
        self.operations.iter().filter(move |o| o.routed() && o.types().any(|t| t == resource_type || t == "Resource"))
    }

    /// Every entry of every compartment.
    #[must_use]
    pub fn compartments(&self) -> &[CompartmentEntry] {
        &self.compartments
    }

    /// How a type belongs to a compartment: `compartment_entry("Patient", "Observation")`.
    #[must_use]
    pub fn compartment_entry(&self, compartment: &str, resource_type: &str) -> Option<&CompartmentEntry> {
        self.compartments.iter().find(|e| e.compartment == compartment && e.resource_type == resource_type)
    }
}

/// Whether `rest` is the name with a capital in front: `quantity` or `Quantity` against `Quantity`.
pub(crate) fn capital_eq(name: &str, rest: &str) -> bool {
    let (name, rest) = (name.as_bytes(), rest.as_bytes());
    match (name.split_first(), rest.split_first()) {
        (Some((a, name)), Some((b, rest))) => b.is_ascii_uppercase() && a.eq_ignore_ascii_case(b) && name == rest,
        _ => false,
    }
}
