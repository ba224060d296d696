//! One way to write a policy file: spaces and blank lines only. Order, comments and values stay as they are.

use super::{PolicyFile, Problem};
use std::fmt::Write;
use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

/// Formats a policy file.
///
/// # Errors
/// If it is none; a file with mistakes is left alone.
pub fn format(source: &str) -> Result<String, Problem> {
    let file = PolicyFile::parse(source)?;
    let formatted = Formatter::new(source).run();
    // Never a file that means something else.
    match PolicyFile::parse(&formatted) {
        Ok(again) if again.values == file.values && again.profile == file.profile => Ok(formatted),
        _ => Ok(source.to_owned()),
    }
}

/// The comments of a file, each with the text before it in its line.
pub fn comments(source: &str) -> Vec<(&str, &str)> {
    let tokens = Source::new(source).lex().filter(|token| token.kind() == TokenKind::Comment);
    let comment = |token: Token| {
        let (start, end) = (token.span().start(), token.span().end());
        let line = source.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
        Some((source.get(line..start)?.trim(), source.get(start..end)?.trim_end()))
    };
    tokens.filter_map(comment).collect()
}

struct Formatter<'s> {
    source: &'s str,
    out: String,
    /// Brackets that are open in a value.
    depth: usize,
    /// The line so far has only indentation.
    fresh: bool,
    /// Blank lines before this one.
    blank: usize,
    /// The line is a heading in brackets.
    heading: bool,
    /// A space was written, or precedes this token in the source.
    last: TokenKind,
    /// Whether the comments before this token lead to a heading.
    leads: (usize, bool),
}

impl<'s> Formatter<'s> {
    fn new(source: &'s str) -> Self {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let (out, last) = (String::new(), TokenKind::Newline);
        Self { source, out, depth: 0, fresh: true, blank: 0, heading: false, last, leads: (0, false) }
    }

    fn run(mut self) -> String {
        let tokens: Vec<Token> = Source::new(self.source).lex().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token.kind() {
                TokenKind::Whitespace | TokenKind::Eof => {}
                TokenKind::Newline => self.newline(),
                _ => self.token(token, &tokens, at),
            }
        }
        if !self.fresh {
            self.out.push('\n');
        }
        self.out
    }

    fn newline(&mut self) {
        match self.fresh {
            true => self.blank += 1,
            false => self.out.push('\n'),
        }
        self.fresh = true;
        self.heading = self.heading && self.depth > 0;
        self.last = TokenKind::Newline;
    }

    fn token(&mut self, token: &Token, tokens: &[Token], at: usize) {
        let kind = token.kind();
        let text = self.source.get(token.span().start()..token.span().end()).unwrap_or_default();
        if self.fresh {
            self.start_of_line(kind, tokens, at);
        } else if self.space_before(kind) {
            self.out.push(' ');
        }
        if kind == TokenKind::Comment && !self.out.ends_with([' ', '\n']) && !self.out.is_empty() {
            self.out.push(' ');
        }
        match (kind, self.heading) {
            (TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket, false) => self.depth += 1,
            (TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket, false) => {
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
        self.out.push_str(if kind == TokenKind::Comment { text.trim_end() } else { text });
        self.last = kind;
        self.fresh = false;
    }

    /// Blank lines and indentation.
    fn start_of_line(&mut self, kind: TokenKind, tokens: &[Token], at: usize) {
        self.heading = self.depth == 0 && kind == TokenKind::LeftSquareBracket;
        // A comment before a heading belongs to it.
        let before_heading = kind == TokenKind::Comment && self.depth == 0 && self.leads_to_heading(tokens, at);
        let after_comment = self.out.lines().next_back().is_some_and(|line| line.starts_with('#'));
        let apart = (self.heading || before_heading) && !after_comment;
        if !self.out.is_empty() && (self.blank > 0 && self.depth == 0 || apart) {
            self.out.push('\n');
        }
        self.blank = 0;
        let closes = matches!(kind, TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket);
        let depth = if closes { self.depth.saturating_sub(1) } else { self.depth };
        // The reader refuses deeper nesting.
        let _infallible = write!(self.out, "{:width$}", "", width = 4 * depth.min(100));
    }

    /// Whether only comments lie between here and a heading. Each token is looked at once, however many comments there
    /// are: what holds for the first of them holds for all.
    fn leads_to_heading(&mut self, tokens: &[Token], at: usize) -> bool {
        if at >= self.leads.0 {
            self.leads = end_of_comments(tokens, at);
        }
        self.leads.1
    }

    fn space_before(&self, kind: TokenKind) -> bool {
        use TokenKind::{Comma, Comment, Equals, LeftCurlyBracket, RightCurlyBracket};
        match (self.last, kind) {
            (_, Comment | Equals) | (Equals, _) => true,
            (Comma, _) => kind != TokenKind::RightSquareBracket,
            (LeftCurlyBracket, RightCurlyBracket) => false,
            (LeftCurlyBracket, _) | (_, RightCurlyBracket) => true,
            _ => false,
        }
    }
}

/// Where comments end that begin here, and whether it is at a heading.
fn end_of_comments(tokens: &[Token], start: usize) -> (usize, bool) {
    let mut lines = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.kind() {
            TokenKind::Comment => lines = 0,
            TokenKind::Newline => {
                lines += 1;
                if lines > 1 {
                    return (at, false);
                }
            }
            TokenKind::Whitespace => {}
            kind => return (at, kind == TokenKind::LeftSquareBracket),
        }
    }
    (tokens.len(), false)
}
