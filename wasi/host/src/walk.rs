//! The path resolver for hosts without `openat2(2)`: one component at a time.
//!
//! It finds what `openat2` finds with `RESOLVE_BENEATH`. The kernel never follows anything here: each component is
//! opened by itself, with `O_NOFOLLOW`, in the directory before it; the text of a link is walked in its place. And the
//! kernel is never asked for a parent, because a directory may be moved out of the grant while it is open (T23): `..`
//! goes back to the directory that was walked through. The last few are kept open; beyond them, the names are walked
//! again from the top.

use crate::Failure;
use crate::resolve::{HANDLE, escape, may_be_link};
use crate::wait::{self, Interrupted, retry_interrupted};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat_raw};
use rustix::io::Errno as Host;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{Errno, PATH_MAX_BYTES};

/// How many of the directories it came through a walk keeps open.
const TRAIL: usize = 32;

/// How many components one resolution walks, repeated ones included: a guest can ask for many `..` (T109).
const MAX_STEPS: u32 = 1 << 16;

/// How many links one path may lead through, as in the kernel (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// Opens `path` beneath `top`. Flags and results are those of `openat2`, an escape is `NOTCAPABLE`.
///
/// Host syscalls: `openat`, `readlinkat`, `fstat`, `close`.
pub(crate) fn open(
    top: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    interrupted: Interrupted,
) -> Result<OwnedFd, Failure> {
    let mut walk =
        Walk { top, trail: VecDeque::new(), walked: Vec::new(), rest: path.to_vec(), links: 0, steps: 0, interrupted };
    loop {
        walk.count_step()?;
        let step = Step::next(&walk.rest);
        let (name, last, slash) = (step.name.to_vec(), step.is_last, step.has_slash);
        walk.rest.drain(..step.consumed);
        match &*name {
            b"" | b"." => {}
            b".." => walk.leave()?,
            _ if last => {
                // The path of a guest has lost its slashes; one in the text of a link demands a directory.
                let flags = if slash { flags | OFlags::DIRECTORY } else { flags };
                match walk.open_last(&name, flags, mode)? {
                    Some(opened) => return Ok(opened),
                    None => continue,
                }
            }
            _ => {
                walk.enter(&name)?;
                continue;
            }
        }
        if last {
            return retry_interrupted(interrupted, || openat(walk.here(), c".", flags - OFlags::NOFOLLOW, mode));
        }
    }
}

/// The first component of what is left of a path.
struct Step<'p> {
    name: &'p [u8],
    /// How much of the path it takes, with the slashes around it.
    consumed: usize,
    is_last: bool,
    has_slash: bool,
}

impl<'p> Step<'p> {
    fn next(path: &'p [u8]) -> Self {
        let slashes = |bytes: &[u8]| bytes.iter().take_while(|byte| **byte == b'/').count();
        let start = slashes(path);
        let from = path.get(start..).unwrap_or_default();
        let name = from.split(|byte| *byte == b'/').next().unwrap_or_default();
        let after = from.get(name.len()..).unwrap_or_default();
        let consumed = start + name.len() + slashes(after);
        Self { name, consumed, is_last: consumed == path.len(), has_slash: !after.is_empty() }
    }
}

/// A walk on its way.
struct Walk<'t> {
    top: BorrowedFd<'t>,
    /// The directories walked through, at most [`TRAIL`] of them; the last one is the one reached.
    trail: VecDeque<OwnedFd>,
    /// The path of the directory reached, from the top: names of directories, no link and no dot among them.
    walked: Vec<u8>,
    /// What is still to be walked.
    rest: Vec<u8>,
    links: u32,
    steps: u32,
    interrupted: Interrupted,
}

impl Walk<'_> {
    /// The directory reached.
    fn here(&self) -> BorrowedFd<'_> {
        self.trail.back().map_or(self.top, AsFd::as_fd)
    }

    fn count_step(&mut self) -> Result<(), Failure> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Errno::LOOP.into());
        }
        wait::check(self.interrupted)
    }

    /// Makes a directory in the one reached the one reached.
    fn arrive(&mut self, directory: OwnedFd) {
        if self.trail.len() == TRAIL {
            self.trail.pop_front();
        }
        self.trail.push_back(directory);
    }

    /// Goes into a directory, or puts the text of a link in front of what is to be walked.
    fn enter(&mut self, name: &[u8]) -> Result<(), Failure> {
        match self.open_directory(name) {
            Ok(directory) => {
                self.arrive(directory);
                if !self.walked.is_empty() {
                    self.walked.push(b'/');
                }
                self.walked.extend_from_slice(name);
                Ok(())
            }
            Err(failure) if may_be_link(failure) => match self.link_text(name)? {
                Some(text) => self.follow(&text, true),
                None => Err(Errno::NOTDIR.into()),
            },
            Err(failure) => Err(failure),
        }
    }

    fn open_directory(&self, name: &[u8]) -> Result<OwnedFd, Failure> {
        let flags = HANDLE | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        retry_interrupted(self.interrupted, || openat(self.here(), name, flags, Mode::empty()))
    }

    /// Opens the last component; `None` if it was a link, whose text is to be walked now.
    fn open_last(&mut self, name: &[u8], flags: OFlags, mode: Mode) -> Result<Option<OwnedFd>, Failure> {
        if flags.contains(OFlags::CREATE | OFlags::DIRECTORY) {
            return Err(Errno::ISDIR.into());
        }
        let opened = retry_interrupted(self.interrupted, || openat(self.here(), name, flags | OFlags::NOFOLLOW, mode));
        if flags.contains(OFlags::NOFOLLOW) {
            return opened.map(Some);
        }
        match opened {
            // A handle on a link is a handle on the link itself.
            Ok(handle) if flags.contains(OFlags::PATH) && is_link(&handle)? => {}
            Ok(opened) => return Ok(Some(opened)),
            Err(failure) if may_be_link(failure) => {}
            Err(failure) => return Err(failure),
        }
        match self.link_text(name)? {
            Some(text) => self.follow(&text, flags.contains(OFlags::DIRECTORY)).map(|()| None),
            None => Err(Errno::NOTDIR.into()),
        }
    }

    /// The text of a name, if it is a link.
    fn link_text(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let mut text = vec![0; PATH_MAX_BYTES + 1];
        match readlinkat_raw(self.here(), name, &mut *text) {
            Ok(len) => {
                text.truncate(len);
                Ok(Some(text))
            }
            Err(Host::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn follow(&mut self, text: &[u8], to_directory: bool) -> Result<(), Failure> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        if text.starts_with(b"/") {
            return Err(escape());
        }
        let rest = std::mem::replace(&mut self.rest, text.to_vec());
        if to_directory || !rest.is_empty() {
            self.rest.push(b'/');
        }
        self.rest.extend_from_slice(&rest);
        Ok(())
    }

    /// Goes to the directory above, as far as the top.
    fn leave(&mut self) -> Result<(), Failure> {
        if self.walked.is_empty() {
            return Err(escape());
        }
        let up = self.walked.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.walked.truncate(up);
        self.trail.pop_back();
        if self.trail.is_empty() {
            let walked = std::mem::take(&mut self.walked);
            for name in walked.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
                self.count_step()?;
                let directory = self.open_directory(name)?;
                self.arrive(directory);
            }
            self.walked = walked;
        }
        Ok(())
    }
}

fn is_link(handle: &OwnedFd) -> Result<bool, Failure> {
    Ok(FileType::from_raw_mode(fstat(handle)?.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    fn open_in(top: &std::path::Path, path: &str) -> Result<OwnedFd, Failure> {
        let top = File::open(top).unwrap();
        open(top.as_fd(), path.as_bytes(), HANDLE, Mode::empty(), || false)
    }

    #[test]
    fn t26_a_long_way_down_and_up_ends_where_it_should() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/".repeat(3 * TRAIL))).unwrap();
        fs::write(dir.path().join("a/x"), "").unwrap();
        let down = "a/".repeat(3 * TRAIL);
        for up in [1, TRAIL - 1, TRAIL, TRAIL + 1, 3 * TRAIL - 1] {
            let path = format!("{down}{}{}x", "../".repeat(up), "../".repeat(3 * TRAIL - 1 - up));
            assert!(open_in(dir.path(), &path).is_ok(), "{up}");
        }
        let above = format!("{down}{}x", "../".repeat(3 * TRAIL + 1));
        assert_eq!(open_in(dir.path(), &above).err(), Some(escape()));
    }

    #[test]
    fn t109_a_walk_that_never_ends_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/".repeat(500))).unwrap();
        let text = format!("{}{}next", "a/".repeat(500), "../".repeat(500));
        for link in 0..40 {
            let text = text.replace("next", &format!("link{}", link + 1));
            std::os::unix::fs::symlink(text, dir.path().join(format!("link{link}"))).unwrap();
        }
        assert_eq!(open_in(dir.path(), "link0").err(), Some(Errno::LOOP.into()));
        assert_eq!(open_in(dir.path(), "link39").err(), Some(Errno::NOENT.into()), "one of them is allowed");
    }
}
