//! Just enough of JSON Schema 2020-12 to hold events against `schema/event.schema.json`.
//!
//! It knows the keywords and the patterns that the file uses, and no others: a keyword that it does not know is a
//! panic, never ignored, so nothing in the file goes unchecked. Crates that know all of them bring thirty others.

use serde_json::{Map, Value};

/// Keywords that only tell people something.
const ANNOTATIONS: [&str; 5] = ["$schema", "$defs", "title", "description", "examples"];

/// Checks a value against the schema in `root`.
///
/// # Errors
/// Where the value breaks it, and which keyword says so.
pub(crate) fn validate(root: &Value, value: &Value) -> Result<(), String> {
    Validator { root }.check(root, value).map_err(|fault| format!("{fault} in {value}"))
}

/// The same, against one of its definitions.
///
/// # Errors
/// As [`validate`].
pub(crate) fn validate_definition(root: &Value, name: &str, value: &Value) -> Result<(), String> {
    Validator { root }.check(&root["$defs"][name], value).map_err(|fault| format!("{fault} in {value}"))
}

struct Validator<'a> {
    root: &'a Value,
}

impl Validator<'_> {
    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = schema.as_object().expect("a schema is an object");
        for (keyword, bound) in schema {
            let is_kept = match keyword.as_str() {
                annotation if ANNOTATIONS.contains(&annotation) => true,
                "$ref" => self.check_nested("$ref", self.definition(bound), value)?,
                "type" => has_type(bound, value),
                "const" => bound == value,
                "anyOf" => self.count_of_kept(bound, value) > 0,
                "oneOf" => self.count_of_kept(bound, value) == 1,
                "not" => self.check(bound, value).is_err(),
                "allOf" => {
                    array(bound).iter().try_for_each(|branch| self.check(branch, value))?;
                    true
                }
                "if" => {
                    self.check(bound, value).is_err() || self.check_nested("then", &schema["then"], value)?
                }
                "then" => schema.contains_key("if"),
                "properties" | "additionalProperties" | "required" | "minProperties" => {
                    value.as_object().is_none_or(|object| self.is_object_kept(keyword, bound, object))
                }
                "items" => self.are_items_kept(bound, value),
                "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= number(bound)),
                "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= number(bound)),
                "minimum" => value.as_u64().is_some_and(|integer| integer >= number(bound)),
                "maximum" => value.as_u64().is_some_and(|integer| integer <= number(bound)),
                "pattern" => value.as_str().is_none_or(|text| fits(bound, text)),
                unknown => panic!("the schema uses {unknown:?}, which this check does not know"),
            };
            if !is_kept {
                return Err(format!("{keyword} {bound} is broken by {value}"));
            }
        }
        Ok(())
    }

    fn check_nested(&self, keyword: &str, schema: &Value, value: &Value) -> Result<bool, String> {
        self.check(schema, value).map(|()| true).map_err(|fault| format!("{keyword}: {fault}"))
    }

    fn definition(&self, reference: &Value) -> &Value {
        let name = reference.as_str().and_then(|text| text.strip_prefix("#/$defs/"));
        &self.root["$defs"][name.expect("references lead to definitions of this file")]
    }

    fn count_of_kept(&self, branches: &Value, value: &Value) -> usize {
        array(branches).iter().filter(|branch| self.check(branch, value).is_ok()).count()
    }

    fn is_object_kept(&self, keyword: &str, bound: &Value, object: &Map<String, Value>) -> bool {
        match keyword {
            "properties" => object
                .iter()
                .all(|(name, value)| bound.get(name).is_none_or(|schema| self.check(schema, value).is_ok())),
            // The file uses it only where there are no `properties`.
            "additionalProperties" => object.values().all(|value| self.check(bound, value).is_ok()),
            "required" => {
                array(bound).iter().all(|name| name.as_str().is_some_and(|name| object.contains_key(name)))
            }
            _ => object.len() as u64 >= number(bound),
        }
    }

    fn are_items_kept(&self, schema: &Value, value: &Value) -> bool {
        value.as_array().is_none_or(|items| items.iter().all(|item| self.check(schema, item).is_ok()))
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("this keyword has an array")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("bounds are whole and not negative")
}

fn has_type(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        other => panic!("the schema uses the type {other:?}, which this check does not know"),
    }
}

/// Whether the text fits the pattern: one of those in the file.
fn fits(pattern: &Value, text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    match pattern.as_str() {
        Some("^[0-9a-f]{16}$") => {
            text.len() == 16
                && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        }
        Some("^[a-z][a-z0-9_]*$") => {
            text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_word)
        }
        Some("^(gateway|zone|group)_") => {
            ["gateway_", "zone_", "group_"].iter().any(|prefix| text.starts_with(prefix))
        }
        Some("^zone_") => text.starts_with("zone_"),
        Some("^group_") => text.starts_with("group_"),
        other => panic!("the schema uses the pattern {other:?}, which this check does not know"),
    }
}
