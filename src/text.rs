//! Text on its way out: fit for a terminal, and no crash when nobody reads it. Numbers as people write them.

use crate::failure::Failure;
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error;
use std::io::{self, ErrorKind, Write};

pub use wave_policy::{clean, clean_lines, harmful, parse_duration, parse_size};

/// Exit code of a command whose reader went away, as a shell shows `SIGPIPE`.
const CLOSED_PIPE: i32 = 141;

/// The version of the JSON that commands print. It changes when a reader of the one before would be misled.
const SCHEMA_VERSION: u32 = 1;

/// Prints on standard output, with nothing in it that is [`harmful`] but ends of line and tabulators. When nobody reads it any more the command ends at once and in silence; another failure to
/// write is said on standard error.
pub fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(clean_lines(text).as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => wave_sandbox::exit(CLOSED_PIPE),
        Err(error) => {
            note(&format!("wave: cannot write to standard output: {error}\n"));
            wave_sandbox::exit(125)
        }
    }
}

/// Prints on standard error, if anybody reads it: a run ends the same way without its messages (T111). Clean as [`out`] is.
///
/// A deadline that has passed is signalled again and again, which also ends the wait for a reader that does not read (T108).
pub fn note(text: &str) {
    let text = clean_lines(text);
    let mut rest = text.as_bytes();
    loop {
        match io::stderr().write(rest) {
            Ok(written @ 1..) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !wave_runtime::deadline_passed() => {}
            // There is no better place to report that this place is gone.
            Ok(0) | Err(_) => return,
        }
    }
}

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

/// A word as a shell takes it, in quotes where it must be. `None` if it has characters that nobody can type.
pub fn shell_word(word: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/.:_-+,@%=".contains(c);
    match word {
        _ if word.contains(harmful) || word.contains('\u{fffd}') => None,
        _ if !word.is_empty() && word.chars().all(is_plain) => Some(word.to_owned()),
        _ => Some(format!("'{}'", word.replace('\'', "'\\''"))),
    }
}

/// An error with its sources, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
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

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, quoted) in
            [("a/b::ro", "a/b::ro"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''"), ("~", "'~'")]
        {
            assert_eq!(shell_word(word).as_deref(), Some(quoted));
        }
        assert_eq!(shell_word("a\n"), None);
    }
}
