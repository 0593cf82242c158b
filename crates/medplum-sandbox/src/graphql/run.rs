//! Carrying out an operation.

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Document, Field as AstField, OperationDefinition, OperationType, Selection};
use apollo_compiler::parser::SourceMap;
use serde_json::{Map, Value, json};

use super::Variables;
use super::arguments::{arguments, text, value};
use super::check::fragment;
use super::schema::{Field, Means, Place, parameter_name};
use crate::call::{Answer, Call};
use crate::fhir::Conditions;
use crate::outcome::{Outcome, Result};
use crate::quota::cost;
use crate::search::Request;

/// The data and the errors of an operation that was found to be sound.
pub(super) fn run(
    call: &mut Call<'_>,
    document: &Document,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Value {
    let place = match operation.operation_type {
        OperationType::Mutation => Place::Mutation,
        _ => Place::Query,
    };
    let mut run = Run { call, document, variables, path: Vec::new(), errors: Vec::new() };
    let data = run.object(place, &Value::Null, &[&operation.selection_set]);
    let mut result = Map::new();
    if !run.errors.is_empty() {
        result.insert("errors".into(), Value::Array(run.errors));
    }
    result.insert("data".into(), data);
    Value::Object(result)
}

struct Run<'r, 'c> {
    call: &'r mut Call<'c>,
    document: &'r Document,
    variables: &'r Variables,
    path: Vec<Value>,
    errors: Vec<Value>,
}

/// The fields that share a name in the answer: their selections are merged.
type Group<'d> = (String, Vec<&'d Node<AstField>>);

impl<'r> Run<'r, '_> {
    /// One object of the answer.
    fn object(&mut self, place: Place, source: &Value, selections: &[&'r Vec<Selection>]) -> Value {
        let concrete = match place {
            Place::Resource => {
                let name = source.get("resourceType").and_then(Value::as_str).unwrap_or_default();
                match self.call.engine.definitions().resource_type(name) {
                    Some(info) => Place::Object(info),
                    None => return Value::Null,
                }
            }
            place => place,
        };
        let mut groups: Vec<Group<'r>> = Vec::new();
        for list in selections {
            self.collect(concrete, list, &mut groups);
        }
        let mut answer = Map::new();
        for (key, fields) in groups {
            let Some(first) = fields.first() else { continue };
            if first.name == "__typename" {
                answer.insert(key, json!(concrete.name()));
                continue;
            }
            let Some(known) = concrete.field(self.call.engine.definitions(), &first.name) else { continue };
            self.path.push(json!(key));
            let found = self.field(source, first, known);
            let value = match found {
                Ok(found) => self.complete(known, found, &fields),
                Err(outcome) => self.failed(&outcome, first),
            };
            self.path.pop();
            answer.insert(key, value);
        }
        Value::Object(answer)
    }

    fn collect(&self, place: Place, selections: &'r [Selection], groups: &mut Vec<Group<'r>>) {
        for selection in selections {
            match selection {
                Selection::Field(field) if self.wanted(&field.directives.0) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name).as_str();
                    match groups.iter_mut().find(|(known, _)| known == key) {
                        Some((_, fields)) => fields.push(field),
                        None => groups.push((key.to_owned(), vec![field])),
                    }
                }
                Selection::InlineFragment(inline) if self.wanted(&inline.directives.0) => {
                    let fits = inline.type_condition.as_ref().is_none_or(|name| place.name() == name.as_str());
                    if fits {
                        self.collect(place, &inline.selection_set, groups);
                    }
                }
                Selection::FragmentSpread(spread) if self.wanted(&spread.directives.0) => {
                    let found = fragment(self.document, &spread.fragment_name);
                    if let Some(found) = found.filter(|found| place.name() == found.type_condition.as_str()) {
                        self.collect(place, &found.selection_set, groups);
                    }
                }
                _ => {}
            }
        }
    }

    /// `@include(if:)` and `@skip(if:)`
    fn wanted(&self, directives: &[Node<Directive>]) -> bool {
        directives.iter().all(|directive| {
            let condition = directive.arguments.iter().find(|argument| argument.name == "if");
            let holds = condition.is_some_and(|argument| value(&argument.value, self.variables) == json!(true));
            match directive.name.as_str() {
                "include" => holds,
                "skip" => !holds,
                _ => true,
            }
        })
    }

    fn failed(&mut self, outcome: &Outcome, field: &Node<AstField>) -> Value {
        let sources: &SourceMap = &self.document.sources;
        let place = field.line_column_range(sources).map(|range| range.start);
        let locations: Vec<Value> = place.into_iter().map(|at| json!({"line": at.line, "column": at.column})).collect();
        let message = outcome.sentence();
        self.errors.push(json!({
            "message": message,
            "path": self.path,
            "locations": locations,
            "extensions": {},
        }));
        Value::Null
    }

    /// The value of a field before its own fields are picked.
    fn field(&mut self, source: &Value, field: &Node<AstField>, known: Field) -> Result<Value> {
        let given = arguments(field, self.variables);
        let id = || given.get("id").map(text).unwrap_or_default();
        let of_type = match known.place {
            Place::Object(info) | Place::Connection(info) => info.name,
            _ => "",
        };
        match known.means {
            Means::Element => Ok(element(source, field, &given)),
            Means::Read => {
                self.call.spend(cost::READ)?;
                self.call.read_one(of_type, &id())
            }
            Means::List => self.list(source, of_type, &given),
            Means::Connection => self.connection(of_type, &given),
            Means::Resolve => self.resolve(source),
            Means::Create => resource(self.call.create(of_type, body(&given), &Conditions::default())?),
            Means::Update => resource(self.call.update(of_type, &id(), body(&given), &Conditions::default())?),
            Means::Patch => {
                let patch = given.get("patch").cloned().unwrap_or_else(|| json!([]));
                resource(self.call.patch(of_type, &id(), &patch)?)
            }
            Means::Delete => {
                self.call.delete(of_type, &id())?;
                Ok(Value::Null)
            }
        }
    }

    /// The search that a field stands for. Nested in a resource, it is for what refers to that resource.
    fn query(&self, source: &Value, of_type: &str, given: &Map<String, Value>) -> Vec<(String, String)> {
        let definitions = self.call.engine.definitions();
        let Some(info) = definitions.resource_type(of_type) else { return Vec::new() };
        let mut query = Vec::new();
        for (name, value) in given {
            if name == "_reference" {
                let code = parameter_name(definitions, info, &text(value)).unwrap_or_else(|| text(value));
                let own = |key: &str| source.get(key).and_then(Value::as_str).unwrap_or_default();
                query.push((code, format!("{}/{}", own("resourceType"), own("id"))));
            } else if let Some(code) = parameter_name(definitions, info, name) {
                query.push((code, text(value)));
            }
        }
        query
    }

    fn search(&mut self, source: &Value, of_type: &str, given: &Map<String, Value>) -> Result<(Request, Value)> {
        let query = self.query(source, of_type, given);
        let request = Request::parse(self.call.engine.definitions(), of_type, &query)?;
        self.call.spend(cost::SEARCH)?;
        let bundle = self.call.search_bundle(request.clone())?;
        Ok((request, bundle))
    }

    fn list(&mut self, source: &Value, of_type: &str, given: &Map<String, Value>) -> Result<Value> {
        let (_, bundle) = self.search(source, of_type, given)?;
        Ok(entries(&bundle).filter_map(|entry| entry.get("resource").cloned()).collect())
    }

    fn connection(&mut self, of_type: &str, given: &Map<String, Value>) -> Result<Value> {
        let mut given = given.clone();
        given.insert("_total".to_owned(), json!("accurate"));
        let (_, bundle) = self.search(&Value::Null, of_type, &given)?;
        let number = |name: &str, otherwise: u64| given.get(name).and_then(Value::as_u64).unwrap_or(otherwise);
        let (offset, size) = (number("_offset", 0), number("_count", 20));
        let count = bundle.get("total").and_then(Value::as_u64).unwrap_or(0);
        let edges: Vec<Value> = entries(&bundle)
            .map(|entry| {
                let part = |path: &str| entry.pointer(path).cloned().unwrap_or(Value::Null);
                json!({"mode": part("/search/mode"), "score": part("/search/score"), "resource": part("/resource")})
            })
            .collect();
        let last = count.saturating_sub(1).checked_div(size).unwrap_or(0).saturating_mul(size);
        Ok(json!({
            "count": count,
            "offset": offset,
            "pageSize": size,
            "first": 0,
            "previous": offset.saturating_sub(size),
            "next": if offset.saturating_add(size) < count { offset.saturating_add(size) } else { offset },
            "last": last,
            "edges": edges,
        }))
    }

    fn resolve(&mut self, source: &Value) -> Result<Value> {
        let reference = source.get("reference").and_then(Value::as_str).unwrap_or_default();
        let Some((of_type, id)) = reference.split_once('/') else { return Ok(Value::Null) };
        self.call.spend(cost::READ)?;
        // What cannot be read is as if it were not there.
        Ok(self.call.read_one(of_type, id).unwrap_or(Value::Null))
    }

    /// Picks the fields that were asked for out of what was found.
    fn complete(&mut self, known: Field, found: Value, fields: &[&'r Node<AstField>]) -> Value {
        if matches!(known.place, Place::Scalar) || found.is_null() {
            return found;
        }
        let selections: Vec<&Vec<Selection>> = fields.iter().map(|field| &field.selection_set).collect();
        match found {
            Value::Array(list) => {
                let items = list.iter().enumerate().map(|(at, item)| {
                    self.path.push(json!(at));
                    let picked = self.object(known.place, item, &selections);
                    self.path.pop();
                    picked
                });
                Value::Array(items.collect())
            }
            one => self.object(known.place, &one, &selections),
        }
    }
}

fn entries(bundle: &Value) -> impl Iterator<Item = &Value> {
    bundle.get("entry").and_then(Value::as_array).into_iter().flatten()
}

fn body(given: &Map<String, Value>) -> Value {
    given.get("res").cloned().unwrap_or(Value::Null)
}

fn resource(answer: Answer) -> Result<Value> {
    match answer {
        Answer::Fhir(_, Some(resource)) => Ok(resource),
        _ => Ok(Value::Null),
    }
}

/// An element of the object; a list may be filtered by its own fields and cut to a page.
fn element(source: &Value, field: &Node<AstField>, given: &Map<String, Value>) -> Value {
    let Some(found) = source.get(field.name.as_str()) else { return Value::Null };
    let Some(list) = found.as_array().filter(|_| !given.is_empty()) else { return found.clone() };
    let number = |name: &str| given.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    let fits = |item: &&Value| {
        given.iter().all(|(name, wanted)| match name.as_str() {
            "_count" | "_offset" => true,
            "fhirpath" => holds(item, &text(wanted)),
            name => item.get(name) == Some(wanted),
        })
    };
    let page = list.iter().filter(fits).skip(number("_offset").unwrap_or(0));
    page.take(number("_count").unwrap_or(usize::MAX)).cloned().collect()
}

fn holds(item: &Value, expression: &str) -> bool {
    let Ok(parsed) = fhirpath::Expression::parse(expression) else { return false };
    let found = parsed.holds(fhirpath::Item::new(item), &fhirpath::Context::new());
    matches!(found, Ok(Some(true)))
}
