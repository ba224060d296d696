//! What is wrong with a policy file, where, and what to write instead.

use crate::clean;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Longer names are not compared with those that exist.
const COMPARED_CHARS: usize = 40;

/// Columns of a line that are shown, and characters of a name.
const SHOWN_CHARS: usize = 100;

/// Why a policy file was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// The rule it is in, `fs[0]` for example; empty for one of the file as a whole.
    pub id: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line with a caret under it, safe for a terminal.
    pub excerpt: Vec<String>,
    /// How to fix it.
    pub fix: String,
}

/// What is wrong with a file: the first problems, by where they are, and how many there are besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// As many as are described.
    pub first: Vec<Problem>,
    /// Those that are not.
    pub more: usize,
}

impl Problem {
    pub(crate) fn new(source: &str, span: &Range<usize>, id: &str, what: String, fix: String) -> Self {
        let Position { line, column, start } = Position::of(source, span.start);
        let text = source.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let marked = source.get(span.clone()).unwrap_or_default().lines().next().unwrap_or_default().chars().count();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        // A problem far to the right is shown without the start of its line.
        let skipped = (column - 1).saturating_sub(SHOWN_CHARS / 2);
        let shown = |from: usize, count: usize| {
            let text: String = text.chars().skip(from).take(count).map(|c| if c == '\t' { ' ' } else { c }).collect();
            clean(&text).into_owned()
        };
        let before = shown(skipped, column - 1 - skipped).chars().count();
        let visible = SHOWN_CHARS.saturating_sub(column - 1 - skipped);
        let width = shown(column - 1, marked.min(visible)).chars().count().max(1);
        let excerpt = vec![
            format!("{margin} |"),
            format!("{number} | {}", shown(skipped, SHOWN_CHARS)).trim_end().to_owned(),
            format!("{margin} | {}{}", " ".repeat(before), "^".repeat(width)),
        ];
        Self { what, id: self::shown(id).into_owned(), line, column, excerpt, fix }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, clean(&self.what))
    }
}

impl std::error::Error for Problem {}

/// Line and column of a byte.
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
    start: usize,
}

impl Position {
    pub(crate) fn of(source: &str, offset: usize) -> Self {
        let mut offset = offset.min(source.len());
        while !source.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = source.get(..offset).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self { line, column: before.get(start..).unwrap_or_default().chars().count() + 1, start }
    }
}

/// A name or a value as a message has it: the start of a long one, and how long it is.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let start = text.get(..end).unwrap_or_default();
            Cow::Owned(format!("{start}… ({} characters)", text.chars().count()))
        }
    }
}

/// The nearest known name.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.chars().count() > COMPARED_CHARS {
        return None;
    }
    let name = name.to_lowercase();
    let near = names.into_iter().map(|candidate| (distance(&name, candidate), candidate));
    let (changes, candidate) = near.min()?;
    (changes <= 1 + candidate.len() / 4).then_some(candidate)
}

/// How many letters have to be put in, left out or exchanged.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut next = vec![i + 1];
        for (right, above) in b.iter().zip(row.iter().skip(1)) {
            let beside = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(left != *right)).min(above + 1).min(beside + 1));
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["access", "guest", "host"];
        assert_eq!(nearest("acces", names), Some("access"));
        assert_eq!(nearest("Host", names), Some("host"));
        assert_eq!(nearest("directory", names), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), names), None);
    }
}
