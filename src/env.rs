//! `--env` and `--env-file`: the variables that a program gets.
//!
//! A file has the format that docker and podman read: lines `NAME=VALUE` and `NAME`, which passes a variable on, and comments. Nothing
//! is unquoted or expanded. A name that is not set is an error, as with `--env`; docker leaves it out in silence.

use crate::args::Run;
use crate::text::clean;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use wave_engine::input::{Bounds, read_bounded};
use wave_engine::{Failure, Variable};

/// A file of variables is small, and a pipe of them ends soon.
const BOUNDS: Bounds = Bounds { bytes: 1 << 20, size: "1 MiB", time: Duration::from_secs(120) };

/// The variables of a run: those of files first, because a later one of the same name wins.
///
/// # Errors
/// 2 for a variable without a name, 125 for one that is not set and for a file that cannot be read.
pub fn variables(run: &Run) -> Result<Vec<Variable>, Failure> {
    let mut all = Vec::new();
    for path in &run.env_files {
        all.extend(read_file(path)?);
    }
    for flag in &run.env {
        let read = variable(flag, &format!("--env {flag}"))?;
        all.push(Variable { place: format!("--env {}", clean(name_of(flag))), ..read });
    }
    Ok(last_of_each(all))
}

fn last_of_each(all: Vec<Variable>) -> Vec<Variable> {
    let name = |variable: &Variable| variable.text.split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
    let last: HashMap<_, _> = all.iter().enumerate().map(|(index, variable)| (name(variable), index)).collect();
    let is_last = |(index, variable): &(usize, Variable)| last.get(&name(variable)) == Some(index);
    all.into_iter().enumerate().filter(is_last).map(|(_, variable)| variable).collect()
}

fn read_file(path: &Path) -> Result<Vec<Variable>, Failure> {
    let flag = format!("--env-file {}", path.display());
    let refuse = |what: String| Failure::refused(what).at(&*flag);
    let bytes = read_bounded(path, &BOUNDS).map_err(|unread| unread.failure(Failure::refused, "variables", &flag))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        refuse(format!("line {line} of the variables is not valid UTF-8")).fix("a file of variables is text in UTF-8")
    })?;
    // Editors of another system begin a text with this mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut variables = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if !line.is_empty() && !line.starts_with('#') {
            let place = format!("--env-file {}:{number}", path.display());
            let read = variable(line, &place)?;
            variables.push(Variable { place: format!("{flag} ({})", clean(name_of(line))), ..read });
        }
    }
    Ok(variables)
}

/// Reads `NAME=VALUE`, or `NAME` of a variable to pass on. `place` is named where that fails.
fn variable(text: &str, place: &str) -> Result<Variable, Failure> {
    let name = name_of(text);
    let malformed =
        |what: &str| Err(Failure::usage(what).at(clean(place)).fix("write NAME=VALUE, or NAME to pass it on"));
    if name.is_empty() {
        return malformed("an environment variable needs a name");
    }
    if name.contains(char::is_whitespace) {
        return malformed("the name of an environment variable has no spaces");
    }
    if text.contains('\0') {
        return malformed("an environment variable has no NUL character");
    }
    let place = place.to_owned();
    if text.len() > name.len() {
        return Ok(Variable { text: text.as_bytes().to_vec(), is_passed: false, place });
    }
    let Some(value) = wave_sandbox::variable(name) else {
        return Err(Failure::refused(format!("there is no environment variable `{}` to pass on", clean(name)))
            .at(clean(&place))
            .fix(format!("set it, or give the value: {}=VALUE", clean(name))));
    };
    let text = [name.as_bytes(), b"=", value.as_encoded_bytes()].concat();
    Ok(Variable { text, is_passed: true, place })
}

fn name_of(text: &str) -> &str {
    text.split_once('=').map_or(text, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Failure> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("v.env");
        std::fs::write(&path, text).expect("own directory can be written");
        Ok(read_file(&path)?.iter().map(|variable| String::from_utf8_lossy(&variable.text).into_owned()).collect())
    }

    #[test]
    fn environment_variables_need_a_name_and_a_value() {
        assert_eq!(variable("A=b=c", "").unwrap().text, b"A=b=c");
        assert_eq!(variable("A=", "").unwrap().text, b"A=");
        for wrong in ["=x", "", "A B=x", " A=x", "A\t", "A=\0"] {
            assert_eq!(variable(wrong, "").unwrap_err().code(), 2, "{wrong:?}");
        }
        assert_eq!(variable("WAVE_TEST_NO_SUCH_VARIABLE", "").unwrap_err().code(), 125);
    }

    #[test]
    fn files_are_read_as_docker_reads_them() {
        let text =
            "\u{feff}# first\nA=1\r\n\n  \t# more\n  B= two  # no comment\nC=\"quoted\"\nD='$A'\nE=\nA=again\nF=a=b";
        let expected = ["A=1", "B= two  # no comment", "C=\"quoted\"", "D='$A'", "E=", "A=again", "F=a=b"];
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("").unwrap(), [""; 0]);
        assert_eq!(read("# nothing").unwrap(), [""; 0]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line, code) in [
            ("A=1\n=2", 2, 2),
            ("\n\nexport A=1", 3, 2),
            ("A=1\nA B", 2, 2),
            ("A=\0", 1, 2),
            ("WAVE_TEST_NO_SUCH_VARIABLE\nA=1", 1, 125),
        ] {
            let failure = read(text).unwrap_err();
            assert_eq!(failure.code(), code, "{text:?}");
            let place = failure.place().expect("a place");
            assert!(place.starts_with("--env-file ") && place.ends_with(&format!("v.env:{line}")), "{text:?}: {place}");
        }
    }
}
