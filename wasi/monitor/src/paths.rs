//! Paths as a guest writes them: bytes relative to a directory it holds.
//!
//! Only what can be decided without the file system is decided here. Whether `a/../../b` leads out
//! depends on what `a` is, so the kernel answers that (`RESOLVE_BENEATH`); a path that starts with
//! `..` or `/` leads out whatever the tree looks like and never gets that far (T14, T29).
//!
//! Paths are bytes. The specification says UTF-8, but a host file with another name should still
//! be readable, and no decision depends on the encoding.

use crate::{Errno, Rule};

/// The longest path, in bytes: `PATH_MAX` of Linux without the final NUL.
pub const PATH_MAX_BYTES: usize = 4095;

/// A path that passed the rules, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestPath<'m> {
    whole: &'m [u8],
    parent: &'m [u8],
    last: Last<'m>,
    slash: bool,
}

/// The last component of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last<'m> {
    /// A name, which is one entry of one directory.
    Name(&'m [u8]),
    /// `.`
    Dot,
    /// `..`
    DotDot,
}

impl<'m> GuestPath<'m> {
    /// Applies the rules to the bytes a guest passed.
    ///
    /// # Errors
    /// [`Errno::NOENT`] if empty, [`Errno::NAMETOOLONG`] above [`PATH_MAX_BYTES`],
    /// [`Errno::INVAL`] with a NUL in it, [`Errno::NOTCAPABLE`] if absolute or starting with `..`.
    pub fn parse(bytes: &'m [u8]) -> Result<Self, Errno> {
        check_text(bytes, Rule::Beneath)?;
        let path = Self::take_apart(bytes);
        if climbs(path.whole) { Err(Errno::NOTCAPABLE.because(Rule::Beneath)) } else { Ok(path) }
    }

    fn take_apart(bytes: &'m [u8]) -> Self {
        let mut whole = trim_end(bytes);
        let slash = whole.len() < bytes.len();
        while let Some(rest) = whole.strip_prefix(b"./") {
            whole = trim_start(rest);
        }
        let (parent, last) = split_last(whole);
        let last = match last {
            b"." => Last::Dot,
            b".." => Last::DotDot,
            name => Last::Name(name),
        };
        Self { whole, parent, last, slash }
    }

    /// The path, without leading `./` and without trailing slashes.
    #[must_use]
    pub const fn whole(&self) -> &'m [u8] {
        self.whole
    }

    /// Everything before the last component; empty for a single component.
    #[must_use]
    pub const fn parent(&self) -> &'m [u8] {
        self.parent
    }

    /// The last component.
    #[must_use]
    pub const fn last(&self) -> Last<'m> {
        self.last
    }

    /// The only component, if it is a name: one system call does, nothing needs resolving.
    #[must_use]
    pub const fn single(&self) -> Option<&'m [u8]> {
        match (self.parent, self.last) {
            ([], Last::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether the path ended in a slash. That demands a directory. It never makes a link be
    /// followed that would not be followed without it (T17).
    #[must_use]
    pub const fn demands_directory(&self) -> bool {
        self.slash
    }
}

/// The text of a symbolic link a guest may create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkTarget<'m>(&'m [u8]);

impl<'m> LinkTarget<'m> {
    /// Applies the rules. A target may climb: whoever follows the link is confined, not the link.
    ///
    /// # Errors
    /// As [`GuestPath::parse`], where an absolute target is [`Errno::NOTCAPABLE`] (T19).
    pub fn parse(bytes: &'m [u8]) -> Result<Self, Errno> {
        check_text(bytes, Rule::AbsoluteLink)?;
        Ok(Self(bytes))
    }

    /// The text.
    #[must_use]
    pub const fn bytes(&self) -> &'m [u8] {
        self.0
    }
}

fn check_text(bytes: &[u8], absolute: Rule) -> Result<(), Errno> {
    if bytes.len() > PATH_MAX_BYTES {
        return Err(Errno::NAMETOOLONG);
    }
    match bytes.first() {
        None => Err(Errno::NOENT),
        Some(_) if bytes.contains(&0) => Err(Errno::INVAL),
        Some(b'/') => Err(Errno::NOTCAPABLE.because(absolute)),
        Some(_) => Ok(()),
    }
}

/// Whether the first component is `..`. Where a later one leads, only the kernel knows.
fn climbs(path: &[u8]) -> bool {
    matches!(path, b".." | [b'.', b'.', b'/', ..])
}

/// What is before and after the last slash.
fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    match slash.and_then(|at| path.split_at_checked(at)) {
        Some((parent, [_, last @ ..])) => (trim_end(parent), last),
        _ => (&[], path),
    }
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_suffix(b"/") {
        bytes = rest;
    }
    bytes
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"/") {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(String, String, bool), Errno> {
        GuestPath::parse(text.as_bytes()).map(|path| {
            let last = match path.last() {
                Last::Name(name) => String::from_utf8_lossy(name).into_owned(),
                Last::Dot => ".".into(),
                Last::DotDot => "..".into(),
            };
            let parent = String::from_utf8_lossy(path.parent()).into_owned();
            (parent, last, path.demands_directory())
        })
    }

    #[test]
    fn t14_absolute_paths_and_leading_climbs_are_refused() {
        for path in ["/", "/etc/passwd", "//", "..", "../", "../x", "./..", ".//../x", "./././../x"] {
            assert_eq!(parse(path), Err(Errno::NOTCAPABLE), "{path}");
        }
    }

    #[test]
    fn t26_nul_and_length_are_refused() {
        assert_eq!(parse("a\0b"), Err(Errno::INVAL));
        assert_eq!(parse(&"a".repeat(4096)), Err(Errno::NAMETOOLONG));
        assert!(parse(&"a".repeat(4095)).is_ok());
    }

    #[test]
    fn t27_empty_and_dot_forms_are_defined() {
        let is = |parent: &str, last: &str, slash| Ok((parent.to_owned(), last.to_owned(), slash));
        assert_eq!(parse(""), Err(Errno::NOENT));
        assert_eq!(parse("."), is("", ".", false));
        assert_eq!(parse("./"), is("", ".", true));
        assert_eq!(parse("././/."), is("", ".", false));
        assert_eq!(parse("./a"), is("", "a", false));
        assert_eq!(parse("a//"), is("", "a", true));
        assert_eq!(parse("a/."), is("a", ".", false));
        assert_eq!(parse("a/.."), is("a", "..", false));
        assert_eq!(parse("a//b"), is("a", "b", false));
        assert_eq!(parse("...x"), is("", "...x", false));
        assert_eq!(parse("..x/y"), is("..x", "y", false));
    }

    #[test]
    fn t19_link_targets_are_relative() {
        assert_eq!(LinkTarget::parse(b"/etc").err(), Some(Errno::NOTCAPABLE));
        assert_eq!(LinkTarget::parse(b"").err(), Some(Errno::NOENT));
        assert!(LinkTarget::parse(b"../up").is_ok());
    }
}
