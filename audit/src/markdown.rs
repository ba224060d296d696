//! Renders a page as Markdown with tables, in the dialect of GitHub and GitLab.

use super::page::{Block, Cell, Page, Span};
use super::score::decimal;
use super::text::word;
use wave_policy::clean;

/// Renders a page.
pub fn render(page: &Page) -> String {
    let mut out = format!("# Audit of {}\n\nExposure: **{} of 10**\n", span(&page.file), decimal(page.tenths));
    for block in &page.blocks {
        match block {
            Block::Heading(title) => out += &format!("\n## {title}\n"),
            Block::Paragraph(text) => out += &format!("\n{}\n", cell(text)),
            Block::Table(head, rows) => {
                let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
                let titles: Vec<_> = (0..columns).map(|column| head.get(column).copied().unwrap_or("")).collect();
                out += &format!("\n| {} |\n|{}\n", titles.join(" | "), "---|".repeat(columns));
                for row in rows {
                    out += &format!("| {} |\n", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
                }
            }
        }
    }
    out
}

fn cell(cell: &Cell) -> String {
    let text: String = cell.iter().map(span).collect();
    text.trim_end().to_owned()
}

/// Names become code between more backticks than they contain in a row, because code holds no markup, links or HTML. A
/// bar would still end a table cell, and not every renderer accepts a backslash before it, so it is escaped like a
/// control character.
fn span(span: &Span) -> String {
    match span {
        Span::Text(text) => text.replace('<', "&lt;").replace('|', "\\|"),
        Span::Name(name) => {
            let name = clean(name).replace('|', "\\u{7c}");
            let longest = name.split(|c| c != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(longest + 1);
            let space = if name.starts_with(['`', ' ']) || name.ends_with(['`', ' ']) { " " } else { "" };
            format!("{fence}{space}{name}{space}{fence}")
        }
        Span::Mark(level) => format!("**{}**", word(*level)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_end_their_code() {
        let name = |text: &str| span(&Span::Name(text.to_owned()));
        assert_eq!(name("fd_write"), "`fd_write`");
        assert_eq!(name("a`b``c"), "```a`b``c```");
        assert_eq!(name("`"), "`` ` ``");
        assert_eq!(name("a|b\n"), "`a\\u{7c}b\\u{a}`");
        assert_eq!(name("<b>"), "`<b>`", "code shows it as it is");
    }
}
