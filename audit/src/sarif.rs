//! The report as a SARIF 2.1.0 log, which code scanning in CI shows next to the file.

use super::facts::KINDS;
use super::report::Audit;
use super::score::{WARNING, decimal};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Where each rule is explained: the manual.
const INFORMATION: &str = "man:wave-audit(1)";

/// The rule of the score.
const EXPOSURE: &str = "exposure";

/// Builds the log. `above` is the threshold in tenths, if the score exceeds it.
pub fn log(audit: &Audit, above: Option<u32>) -> Value {
    let mut rules = vec![rule(EXPOSURE, "note", "the exposure score, from 0 to 10")];
    rules.extend(KINDS.iter().map(|kind| rule(kind.id, super::text::word(kind.level), &kind.text.replace('`', ""))));
    let uri = uri(&audit.file);
    let result = |index: usize, id: &str, level: &str, text: String| {
        json!({
            "ruleId": id,
            "ruleIndex": index,
            "level": level,
            "message": { "text": message(&text) },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri, "index": 0 } } }],
            "partialFingerprints": { "waveAudit/v1": format!("{id}:{}", audit.blake3) },
        })
    };
    let score = decimal(audit.score.tenths);
    let exposure = match above {
        Some(threshold) => {
            format!("The exposure score is {score}, above the threshold {}. {WARNING}", decimal(threshold))
        }
        None => format!("The exposure score is {score} of 10. {WARNING}"),
    };
    let mut results = vec![result(0, EXPOSURE, if above.is_some() { "error" } else { "note" }, exposure)];
    for fact in &audit.facts {
        let index = KINDS.iter().position(|kind| kind.id == fact.id).map_or(0, |index| index + 1);
        let mut text = fact.text.replace('`', "");
        if fact.count > 0 {
            let more = fact.count - fact.names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text += &format!(": {}{more}", fact.names.join(", "));
        }
        results.push(result(index, fact.id, super::text::word(fact.level), text));
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "wave audit",
                "informationUri": INFORMATION,
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "artifacts": [{
                "location": { "uri": uri },
                "length": audit.size_bytes,
                "hashes": { "blake3": audit.blake3 },
            }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(id: &str, level: &str, text: &str) -> Value {
    let (short, rest) = text.split_once(": ").unwrap_or((text, ""));
    let full = if rest.is_empty() { format!("{short}.") } else { format!("{short}: {rest}.") };
    let help = match level {
        _ if id == EXPOSURE => {
            "Lower it by asking for less: build without what is not needed, or audit with --policy what is granted. \
                                A score above --threshold fails the job."
        }
        "error" => "wave cannot run it as it is: build it for wasm32-wasip1, without what the finding names.",
        "warning" => "Look at it before it is run, and grant no more than it needs.",
        _ => "Good to know when grants are chosen; nothing has to be done.",
    };
    json!({
        "id": id,
        "name": id,
        "shortDescription": { "text": short },
        "fullDescription": { "text": full },
        "help": { "text": help, "markdown": format!("{help} `wave audit` prints the whole report.") },
        "helpUri": INFORMATION,
        "defaultConfiguration": { "level": level },
    })
}

/// Escapes a message: in SARIF, brackets start links and braces start placeholders.
fn message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in wave_policy::clean(text).chars() {
        match c {
            '[' | ']' | '\\' => out.extend(['\\', c]),
            '{' | '}' => out.extend([c, c]),
            _ => out.push(c),
        }
    }
    out
}

/// A path as a URI reference. Other than plain characters are percent-encoded, so that a colon in a name does not start
/// a scheme.
fn uri(path: &str) -> String {
    let mut out = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("strings grow"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("a/b c.wasm"), "a/b%20c.wasm");
        assert_eq!(uri("/x/ü:?#"), "file:///x/%C3%BC%3A%3F%23");
    }

    #[test]
    fn messages_have_no_links_and_no_placeholders() {
        assert_eq!(message("[x](http://y) {0}\n"), "\\[x\\](http://y) {{0}}\\\\u{{a}}");
    }
}
