//! Text on its way out: fit for a terminal, and no crash when nobody reads it. Numbers as people write them.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

pub use wave_policy::{clean, harmful, parse_duration, parse_size};

/// Exit code of a command whose reader went away, as a shell shows `SIGPIPE`.
const CLOSED_PIPE: i32 = 141;

/// Prints on standard output. When nobody reads it any more the command ends at once and in silence; another failure to
/// write is said on standard error.
pub fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => wave_sandbox::exit(CLOSED_PIPE),
        Err(error) => {
            note(&format!("wave: cannot write to standard output: {error}\n"));
            wave_sandbox::exit(125)
        }
    }
}

/// Prints on standard error, if anybody reads it: a run ends the same way without its messages (T111).
///
/// A deadline that has passed is signalled again and again, which also ends the wait for a reader that does not read (T108).
pub fn note(text: &str) {
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

/// Replaces the characters that [`clean`] replaces in JSON by its own escapes, so that it means what it did. Line breaks
/// between values stay; in strings there are none.
pub fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && harmful(c) {
            out += &format!("\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
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
