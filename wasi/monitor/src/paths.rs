//! Paths that a guest passes: bytes, relative to a directory that it has open.
//!
//! Decisions here do not need the file system. Whether `a/../../b` leads out depends on `a`, so the kernel decides that
//! (`RESOLVE_BENEATH`). A path that starts with `..` or `/` leads out of any tree, and is denied here (T14, T29).
//!
//! Paths are bytes. The specification demands UTF-8, but host files with other names should be usable, and no decision
//! depends on the encoding.

use crate::{Errno, Rule};

/// The longest path, in bytes: `PATH_MAX` of Linux without the final NUL.
pub const PATH_MAX_BYTES: usize = 4095;

/// A path that was checked and parsed.
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
    /// A name.
    Name(&'m [u8]),
    /// `.`
    Dot,
    /// `..`
    DotDot,
}

impl<'m> GuestPath<'m> {
    /// Checks and parses the bytes that a guest passed.
    ///
    /// # Errors
    /// [`Errno::NOENT`] if empty, [`Errno::NAMETOOLONG`] above [`PATH_MAX_BYTES`],
    /// [`Errno::INVAL`] if it contains a NUL, [`Errno::NOTCAPABLE`] if it is absolute or starts with `..`.
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

    /// Everything before the last component. Empty for a single component.
    #[must_use]
    pub const fn parent(&self) -> &'m [u8] {
        self.parent
    }

    /// The last component.
    #[must_use]
    pub const fn last(&self) -> Last<'m> {
        self.last
    }

    /// The only component, if it is a name. Then one system call is enough, and nothing has to be resolved.
    #[must_use]
    pub const fn single(&self) -> Option<&'m [u8]> {
        match (self.parent, self.last) {
            ([], Last::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether the path ends in a slash, which demands a directory. The slash itself never reaches the kernel (T17).
    #[must_use]
    pub const fn demands_directory(&self) -> bool {
        self.slash
    }
}

/// The target of a symbolic link that a guest may create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkTarget<'m>(&'m [u8]);

impl<'m> LinkTarget<'m> {
    /// Checks a target. It may contain `..`: the call that follows the link is confined, not the link.
    ///
    /// # Errors
    /// As [`GuestPath::parse`]. An absolute target is [`Errno::NOTCAPABLE`] (T19).
    pub fn parse(bytes: &'m [u8]) -> Result<Self, Errno> {
        check_text(bytes, Rule::AbsoluteLink)?;
        Ok(Self(bytes))
    }

    /// The target.
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

/// Whether the first component is `..`. Only the kernel knows where a later one leads.
fn climbs(path: &[u8]) -> bool {
    matches!(path, b".." | [b'.', b'.', b'/', ..])
}

/// The parts before and after the last slash.
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
