//! Documents of JSON that the command and its libraries print.

use crate::failure::Failure;
use serde::Serialize;
use std::borrow::Cow;
use wave_policy::harmful;

/// The version of the JSON that commands print. It changes when a reader of the one before would be misled.
const SCHEMA_VERSION: u32 = 1;

/// A value as a document of JSON, for people to read as well.
///
/// # Errors
/// When it cannot be written.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    json_of(&Document { schema_version: SCHEMA_VERSION, value })
}

/// The same in one line.
///
/// # Errors
/// When it cannot be written.
pub fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(&Document { schema_version: SCHEMA_VERSION, value });
    text.map(|text| format!("{}\n", escape_json(&text))).map_err(|error| unwritten(&error))
}

/// A document of a format that is not ours, with versions of its own.
///
/// # Errors
/// When it cannot be written.
pub fn json_of(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| format!("{}\n", escape_json(&text))).map_err(|error| unwritten(&error))
}

fn unwritten(error: &serde_json::Error) -> Failure {
    Failure::refused(format!("cannot write JSON: {error}"))
}

#[derive(Serialize)]
struct Document<'v, T> {
    schema_version: u32,
    #[serde(flatten)]
    value: &'v T,
}

/// Replaces the characters that [`clean`] replaces in JSON by its own escapes, so that it means what it did. Line breaks
/// between values stay; in strings there are none.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let is_meant = |c: char| c != '\n' && harmful(c);
    if !json.contains(is_meant) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_meant(c) {
            // JSON escapes the halves of UTF-16.
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
