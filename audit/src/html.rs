//! Renders a page as HTML: one file for a browser or print, without scripts and without anything to load.

use super::page::{Block, Cell, Page, Span};
use super::score::decimal;
use super::text::word;
use wave_policy::clean;

/// The content security policy allows only the inline style of the page. It is a second barrier in case a name is not escaped.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
"#;

const STYLE: &str = include_str!("audit.css");

/// Renders a page.
pub fn render(page: &Page) -> String {
    let title = plain(&page.file);
    let score = decimal(page.tenths);
    let percent = page.tenths.min(100);
    let mut out = format!(
        "{HEAD}<title>Audit of {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Audit of {}</h1>\n\
         <p class=\"score\"><strong>{score}</strong> of 10 exposure</p>\n\
         <div class=\"meter\" role=\"img\" aria-label=\"exposure {score} of 10\"><i style=\"width:{percent}%\"></i></div>\n\
         </header>\n<main>\n",
        span(&page.file)
    );
    let mut open = false;
    for block in &page.blocks {
        match block {
            Block::Heading(title) => {
                let end = if open { "</section>\n" } else { "" };
                out += &format!("{end}<section>\n<h2>{title}</h2>\n");
                open = true;
            }
            Block::Paragraph(text) => out += &format!("<p>{}</p>\n", cell(text)),
            Block::Table(head, rows) => table(&mut out, head, rows),
        }
    }
    if open {
        out += "</section>\n";
    }
    out + "</main>\n</body>\n</html>\n"
}

fn table(out: &mut String, head: &[&str], rows: &[Vec<Cell>]) {
    *out += "<div class=\"table\"><table>\n";
    if !head.is_empty() {
        let titles: String = head.iter().map(|title| format!("<th scope=\"col\">{title}</th>")).collect();
        *out += &format!("<thead><tr>{titles}</tr></thead>\n");
    }
    *out += "<tbody>\n";
    for row in rows {
        let starts = row.first().is_some_and(|first| !first.is_empty());
        *out += if starts { "<tr class=\"first\">" } else { "<tr>" };
        for text in row {
            *out += &format!("<td>{}</td>", cell(text));
        }
        *out += "</tr>\n";
    }
    *out += "</tbody>\n</table></div>\n";
}

fn cell(cell: &Cell) -> String {
    let text: String = cell.iter().map(span).collect();
    text.trim_end().to_owned()
}

fn span(span: &Span) -> String {
    match span {
        Span::Text(_) => plain(span),
        Span::Name(_) => format!("<code>{}</code>", plain(span)),
        Span::Mark(level) => format!("<b class=\"{0}\">{0}</b>", word(*level)),
    }
}

fn plain(span: &Span) -> String {
    match span {
        Span::Text(text) | Span::Name(text) => escape(&clean(text)),
        Span::Mark(level) => word(*level).to_owned(),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            _ => out.push(c),
        }
    }
    out
}
