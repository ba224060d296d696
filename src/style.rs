//! Colour for lines that are printed. A line has been escaped before, so that only these functions write control sequences.

/// Paints a line without its end.
pub type Paint = fn(&str) -> String;

const BOLD: &str = "1";
const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// Paints each line of a text.
pub fn lines(text: &str, paint: Paint) -> String {
    let line = |line: &str| match line.strip_suffix('\n') {
        Some(line) => paint(line) + "\n",
        None => paint(line),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// A message: its first word, and the names of its parts.
pub fn message(line: &str) -> String {
    const STARTS: [(&str, &str); 5] =
        [("wave: note:", CYAN), ("wave: relaxed", YELLOW), ("wave:", BOLD), ("  where:", BOLD), ("  fix:", GREEN)];
    start(line, &STARTS)
}

/// An error.
pub fn failure(line: &str) -> String {
    start(line, &[("wave:", RED), ("error:", RED), ("  where:", BOLD), ("  fix:", GREEN), ("Usage:", BOLD)])
}

/// A line of the report: the state of a layer, in its third column.
pub fn report(line: &str) -> String {
    const COLUMN: usize = 27;
    const STATES: [(&str, &str); 3] = [("applied", GREEN), ("UNAVAILABLE", YELLOW), ("WAIVED", RED)];
    match line.split_at_checked(COLUMN) {
        Some((head, rest)) if line.starts_with("  ") => head.to_owned() + &start(rest, &STATES),
        _ => start(line, &[("sandbox:", BOLD), ("  relaxed", YELLOW)]),
    }
}

/// A line of `wave doctor`: whether something is there, in its second column.
pub fn doctor(line: &str) -> String {
    const COLUMN: usize = 22;
    const MARKS: [(&str, &str); 3] = [("yes ", GREEN), ("no ", YELLOW), ("NO ", RED)];
    match line.split_at_checked(COLUMN) {
        Some((head, rest)) if !line.starts_with(' ') => head.to_owned() + &start(rest, &MARKS),
        _ => line.to_owned(),
    }
}

/// A line of a help text: headings, flags and commands.
pub fn help(line: &str) -> String {
    if line.starts_with("Usage:") {
        return start(line, &[("Usage:", BOLD)]);
    }
    if line.ends_with(':') && !line.starts_with(' ') {
        return painted(line, BOLD);
    }
    let word = line.trim_start();
    let indent = line.len() - word.len();
    // A description is indented further, and separated from its term by two spaces.
    let is_flag = word.starts_with('-') && !word.starts_with("- ");
    let is_term = indent > 0 && (is_flag || indent == 2);
    match word.find("  ").unwrap_or(word.len()) {
        end if is_term && end > 0 => {
            let (term, rest) = word.split_at(end);
            format!("{:indent$}{}{rest}", "", painted(term, CYAN))
        }
        _ => line.to_owned(),
    }
}

/// Paints the first of `starts` that the line starts with.
fn start(line: &str, starts: &[(&str, &str)]) -> String {
    let found = starts.iter().find_map(|(start, style)| Some((start, line.strip_prefix(start)?, style)));
    found.map_or_else(|| line.to_owned(), |(start, rest, style)| painted(start, style) + rest)
}

fn painted(text: &str, style: &str) -> String {
    format!("\x1b[{style}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wave_sandbox::{Layer, LayerName, Report, State};

    #[test]
    fn what_is_painted_reads_the_same() {
        let text = "wave: it\n  where: there\n\n  fix:   so";
        let colored = lines(text, failure);
        assert_eq!(colored, "\x1b[1;31mwave:\x1b[0m it\n\x1b[1m  where:\x1b[0m there\n\n\x1b[32m  fix:\x1b[0m   so");
        assert_eq!(lines("wave: note: é\nother\n", message), "\x1b[36mwave: note:\x1b[0m é\nother\n");
        assert_eq!(lines("", message), "");
    }

    /// The columns are those of the report.
    #[test]
    fn each_state_of_a_layer_is_painted() {
        let layer = |state| Layer { name: LayerName::Seccomp, state, required: true };
        let states = [
            (State::Applied { detail: "d".to_owned() }, "\x1b[32mapplied\x1b[0m"),
            (State::Unavailable { reason: "r".to_owned() }, "\x1b[33mUNAVAILABLE\x1b[0m"),
            (State::Waived { reason: "r".to_owned() }, "\x1b[1;31mWAIVED\x1b[0m"),
            (State::NotRequested, "  not requested"),
        ];
        for (state, expected) in states {
            let report = Report { level: wave_policy::Level::Strict, layers: vec![layer(state)] };
            let colored = lines(&report.to_string(), super::report);
            assert!(colored.contains(expected), "{}", colored.escape_debug());
        }
    }

    #[test]
    fn terms_of_a_help_are_painted_and_descriptions_are_not() {
        assert_eq!(help("Options:"), "\x1b[1mOptions:\x1b[0m");
        assert_eq!(help("      --sandbox <LEVEL>"), "      \x1b[36m--sandbox <LEVEL>\x1b[0m");
        assert_eq!(help("  run  Run a program"), "  \x1b[36mrun\x1b[0m  Run a program");
        for text in ["Run programs", "          Run a program", "          - strict: A run", "Short form: `wave`", ""] {
            assert_eq!(help(text), text);
        }
    }
}
