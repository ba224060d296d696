//! Text on its way out: fit for a terminal, and no crash when nobody reads it. Numbers as people write them.

use crate::failure::Failure;
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};

pub use wave_policy::{clean, clean_lines, harmful, parse_duration, parse_size};

/// Exit code of a command whose reader went away, as a shell shows `SIGPIPE`.
const CLOSED_PIPE: i32 = 141;

/// The version of the JSON that commands print. It changes when a reader of the one before would be misled.
const SCHEMA_VERSION: u32 = 1;

/// Exit code of the time limit.
const TIME_LIMIT: i32 = 124;

/// Characters of one name, path or text that is not ours in a message (T75).
const SHOWN_CHARS: usize = 200;

/// Prints on standard output, with nothing in it that is [`harmful`] but ends of line and tabulators. When nobody reads it any more the command ends at once and in silence; another failure to
/// write is said on standard error. The time limit of a run also ends the wait for a reader that does not read (T108).
pub fn out(text: &str) {
    let text = clean_lines(text);
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        // Not by `Stdout`, which tries again after each signal.
        match rustix::io::write(io::stdout(), rest).map_err(io::Error::from) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted && !wave_runtime::deadline_passed() => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                note("wave: time limit reached before everything was printed\n");
                wave_sandbox::exit(TIME_LIMIT)
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => wave_sandbox::exit(CLOSED_PIPE),
            Err(error) => {
                note(&format!("wave: cannot write to standard output: {error}\n"));
                wave_sandbox::exit(125)
            }
        }
    }
}

/// How many bytes may still be printed on behalf of the program.
static LEFT_FOR_PROGRAM: AtomicU64 = AtomicU64::new(u64::MAX);

/// Limits what is printed on behalf of the program from now on: traced calls, backtraces, results. It is the size of
/// `--max-output`, beside what the program prints itself, so that a trace changes nothing for the program (T110).
pub fn limit_for_program(bytes: u64) {
    LEFT_FOR_PROGRAM.store(bytes, Ordering::Relaxed);
}

/// Prints by `print` what follows from what the program is or does. The first text that does not fit the limit any more is left
/// out, and all that follow; that is said once.
pub fn for_program(print: impl FnOnce(&str), text: &str) {
    let left = LEFT_FOR_PROGRAM.load(Ordering::Relaxed);
    match left.checked_sub(text.len() as u64) {
        Some(rest) => {
            // What is not limited stays so.
            LEFT_FOR_PROGRAM.store(if left == u64::MAX { left } else { rest }, Ordering::Relaxed);
            print(text);
        }
        None => {
            LEFT_FOR_PROGRAM.store(0, Ordering::Relaxed);
            if left > 0 {
                note("wave: more than --max-output would be printed about the program: the rest is left out\n");
            }
        }
    }
}

/// A name or path that is not ours for a message: clean, and without what no person reads.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => clean(text.get(..end).unwrap_or_default()).into_owned() + "…",
        None => clean(text).into_owned(),
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
    fn t75_a_name_is_cut_by_characters_and_stays_clean() {
        assert_eq!(short("name\u{1b}"), "name\\u{1b}");
        assert_eq!(short(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(short(&"é".repeat(201)), "é".repeat(200) + "…");
        assert_eq!(short(&"x".repeat(10_000_000)).chars().count(), 201);
    }

    #[test]
    fn t110_what_is_printed_for_a_program_has_a_limit() {
        let mut printed = String::new();
        for_program(|text| printed += text, "without a limit ");
        limit_for_program(10);
        for text in ["12345", "67890", "a", "b"] {
            for_program(|text| printed += text, text);
        }
        limit_for_program(u64::MAX);
        for_program(|text| printed += text, " again");
        assert_eq!(printed, "without a limit 1234567890 again");
    }

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
