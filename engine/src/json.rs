//! JSON documents that the command and its libraries print.

use crate::failure::Failure;
use serde::Serialize;
use std::borrow::Cow;
use wave_policy::harmful;

/// Version of the JSON that commands print. It increases with each incompatible change.
const SCHEMA_VERSION: u32 = 1;

/// A value as a JSON document, indented.
///
/// # Errors
/// If the value cannot be serialized.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    json_of(&Document { schema_version: SCHEMA_VERSION, value })
}

/// A value as a JSON document in one line.
///
/// # Errors
/// If the value cannot be serialized.
pub fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(&Document { schema_version: SCHEMA_VERSION, value });
    text.map(|text| format!("{}\n", escape_json(&text))).map_err(|error| serialization_failure(&error))
}

/// A JSON document of an external format, without our version field.
///
/// # Errors
/// If the value cannot be serialized.
pub fn json_of(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| format!("{}\n", escape_json(&text))).map_err(|error| serialization_failure(&error))
}

fn serialization_failure(error: &serde_json::Error) -> Failure {
    Failure::refused(format!("cannot write JSON: {error}"))
}

#[derive(Serialize)]
struct Document<'v, T> {
    schema_version: u32,
    #[serde(flatten)]
    value: &'v T,
}

/// Replaces harmful characters by JSON escapes, which keeps the meaning. Line breaks between values stay; strings contain none.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| c != '\n' && harmful(c);
    if !json.contains(is_escaped) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_escaped(c) {
            // JSON escapes UTF-16 code units.
            c.encode_utf16(&mut [0; 2]).iter().for_each(|half| out += &format!("\\u{half:04x}"));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t75_every_character_survives_json_and_none_is_harmful_in_it() {
        let all: String = ('\0'..=char::MAX).collect();
        for text in [json(&serde_json::json!({ "name": &all })), json_line(&serde_json::json!({ "name": &all }))] {
            let text = text.unwrap();
            assert!(!text.contains(|c| c != '\n' && harmful(c)));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["schema_version"], 1);
            assert!(value["name"] == *all);
        }
    }
}
