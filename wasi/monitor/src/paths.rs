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
    #[inline(never)]
    pub fn parse(bytes: &'m [u8]) -> Result<Self, Errno> {
        check_length(bytes)?;
        let scan = Scan::of(bytes)?;
        if is_absolute(bytes) || climbs(scan.whole()) {
            return Err(Errno::NOTCAPABLE.because(Rule::Beneath));
        }
        let last = match scan.last() {
            b"." => Last::Dot,
            b".." => Last::DotDot,
            name => Last::Name(name),
        };
        Ok(Self { whole: scan.whole(), parent: scan.parent(), last, slash: scan.slash })
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
    #[inline(never)]
    pub fn parse(bytes: &'m [u8]) -> Result<Self, Errno> {
        check_length(bytes)?;
        for byte in bytes {
            check_byte(*byte)?;
        }
        if is_absolute(bytes) { Err(Errno::NOTCAPABLE.because(Rule::AbsoluteLink)) } else { Ok(Self(bytes)) }
    }

    /// The target.
    #[must_use]
    pub const fn bytes(&self) -> &'m [u8] {
        self.0
    }
}

/// Where the parts of a path are, as offsets. What is read so far counts as the path.
///
/// It is read once, from left to right. Each step depends only on the next byte and on these few numbers. So a statement
/// about them that one step preserves holds for paths of every length (`proofs/monitor/path.py`).
struct Scan<'m> {
    bytes: &'m [u8],
    /// Start of the first component that is not `.`, or of the last component.
    start: usize,
    /// End of the component before the last one, or `start` if there is none.
    parent_end: usize,
    /// Start of the last component.
    last: usize,
    /// End of the last component, after the slash that follows it was read.
    end: usize,
    /// Whether a slash follows it.
    slash: bool,
}

impl<'m> Scan<'m> {
    fn of(bytes: &'m [u8]) -> Result<Self, Errno> {
        let mut scan = Self { bytes, start: 0, parent_end: 0, last: 0, end: 0, slash: true };
        for (at, byte) in bytes.iter().enumerate() {
            check_byte(*byte)?;
            match (scan.slash, *byte == b'/') {
                (true, false) => scan.begin(at),
                (false, true) => (scan.end, scan.slash) = (at, true),
                _ => {}
            }
        }
        if !scan.slash {
            scan.end = bytes.len();
        }
        Ok(scan)
    }

    /// A component begins after a slash.
    fn begin(&mut self, at: usize) {
        (self.start, self.parent_end) = match self.whole() {
            // A leading `./` has no meaning.
            b"" | b"." => (at, at),
            _ => (self.start, self.end),
        };
        (self.last, self.slash) = (at, false);
    }

    fn whole(&self) -> &'m [u8] {
        self.part(self.start, self.end)
    }

    fn parent(&self) -> &'m [u8] {
        self.part(self.start, self.parent_end)
    }

    fn last(&self) -> &'m [u8] {
        self.part(self.last, self.end)
    }

    fn part(&self, start: usize, end: usize) -> &'m [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }
}

const fn check_length(bytes: &[u8]) -> Result<(), Errno> {
    match bytes.len() {
        0 => Err(Errno::NOENT),
        1..=PATH_MAX_BYTES => Ok(()),
        _ => Err(Errno::NAMETOOLONG),
    }
}

const fn check_byte(byte: u8) -> Result<(), Errno> {
    if byte == 0 { Err(Errno::INVAL) } else { Ok(()) }
}

const fn is_absolute(bytes: &[u8]) -> bool {
    matches!(bytes, [b'/', ..])
}

/// Whether the first component is `..`. Only the kernel knows where a later one leads.
const fn climbs(path: &[u8]) -> bool {
    matches!(path, b".." | [b'.', b'.', b'/', ..])
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
