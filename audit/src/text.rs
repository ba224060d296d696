//! Renders a page as text for a terminal.

use super::facts::Level;
use super::page::{Block, Cell, Page, Span};
use super::score::decimal;
use wave_policy::clean;

/// Maximum columns of a line.
const WIDTH: usize = 120;

/// Maximum width of a table column, except the last.
const COLUMN: usize = 40;

/// Renders a page. No character in the result controls a terminal (T75).
pub fn render(page: &Page) -> String {
    let mut out = format!("Audit of {}: exposure {} of 10\n", span(&page.file), decimal(page.tenths));
    for block in &page.blocks {
        match block {
            Block::Heading(title) => out += &format!("\n{title}\n{}\n", "-".repeat(title.len())),
            Block::Paragraph(cell) => {
                for line in wrap(&plain(cell), WIDTH) {
                    out += &line;
                    out.push('\n');
                }
            }
            Block::Table(head, rows) => table(&mut out, head, rows),
        }
    }
    out
}

fn table(out: &mut String, head: &[&str], rows: &[Vec<Cell>]) {
    let mut lines: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(plain).collect()).collect();
    if !head.is_empty() {
        lines.insert(0, head.iter().map(|title| title.to_uppercase()).collect());
    }
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(COLUMN)
    };
    let mut widths: Vec<_> = (0..columns).map(width).collect();
    let before: usize = widths.iter().take(columns.saturating_sub(1)).map(|width| width + 2).sum();
    if let Some(last) = widths.last_mut() {
        *last = WIDTH.saturating_sub(before + 2).max(COLUMN);
    }
    for line in lines {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| wrap(cell, *width)).collect();
        for i in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut printed = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let piece = cell.get(i).map_or("", String::as_str);
                printed += &format!("  {piece:width$}");
            }
            out.push_str(printed.trim_end());
            out.push('\n');
        }
    }
}

/// Breaks text at spaces. Words that are longer than a line are broken anywhere.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        for c in word.chars() {
            if used == width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += 1;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn plain(cell: &Cell) -> String {
    let text: String = cell.iter().map(span).collect();
    text.trim_end().to_owned()
}

fn span(span: &Span) -> String {
    match span {
        Span::Text(text) => text.clone(),
        Span::Name(name) => clean(name).into_owned(),
        Span::Mark(level) => word(*level).to_owned(),
    }
}

/// The word for a level.
pub fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}
