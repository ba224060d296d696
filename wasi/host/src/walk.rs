//! The path resolver for hosts without `openat2(2)`: one component at a time.
//!
//! It finds what `openat2` finds with `RESOLVE_BENEATH`. The kernel follows no link here: each component is opened by
//! itself, with `O_NOFOLLOW`, in the directory before it, and a link is replaced by its target. The kernel never looks
//! up `..` either, because a directory may be moved out of the grant while it is open (T23): `..` goes back to the
//! directory that the walk came through. The last few of these stay open. For `..` beyond them, the names are walked
//! again from the top.

use crate::resolve::{escape, may_be_link};
use crate::wait::{self, Interrupted, retry_interrupted};
use crate::{Failure, platform};
use rustix::fs::{Mode, OFlags, openat, readlinkat_raw};
use rustix::io::Errno as Host;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{Errno, PATH_MAX_BYTES};

/// How many of the directories it came through stay open.
const TRAIL: usize = 32;

/// Maximum components in one resolution, including those walked again: a guest can pass many `..` (T109).
const MAX_STEPS: u32 = 1 << 16;

/// Maximum links in one resolution, as in the kernel (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// Opens `path` under `top`. Flags and results are those of `openat2`. A path that leads out is `NOTCAPABLE`.
///
/// Host syscalls: `openat`, `readlinkat`, `fstat`, `close`.
pub(crate) fn open(
    top: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    interrupted: Interrupted,
) -> Result<OwnedFd, Failure> {
    walk(top, path, interrupted, |last| {
        let Some(name) = last.name else {
            return retry_interrupted(interrupted, || openat(last.dir, c".", flags - OFlags::NOFOLLOW, mode))
                .map(Answer::Found);
        };
        // A guest's path comes without its trailing slash. One in a link target demands a directory.
        let flags = if last.has_slash { flags | OFlags::DIRECTORY } else { flags };
        if flags.contains(OFlags::CREATE | OFlags::DIRECTORY) {
            return Err(Errno::ISDIR.into());
        }
        let opened = retry_interrupted(interrupted, || openat(last.dir, name, flags | OFlags::NOFOLLOW, mode));
        if flags.contains(OFlags::NOFOLLOW) {
            return opened.map(Answer::Found);
        }
        match opened {
            Ok(handle) if platform::is_link_handle(flags, &handle)? => {}
            Ok(opened) => return Ok(Answer::Found(opened)),
            Err(failure) if may_be_link(failure) => {}
            Err(failure) => return Err(failure),
        }
        Ok(Answer::Link { to_directory: flags.contains(OFlags::DIRECTORY) })
    })
}

/// The last component of a path.
pub(crate) struct LastComponent<'w> {
    pub(crate) dir: BorrowedFd<'w>,
    /// Its name in the directory. `None`: it is the directory itself.
    pub(crate) name: Option<&'w [u8]>,
    /// Whether a slash follows it, in the path or in the target of a link.
    pub(crate) has_slash: bool,
}

/// What the last component is.
pub(crate) enum Answer<T> {
    /// What was looked for.
    Found(T),
    /// A link to follow.
    Link { to_directory: bool },
}

/// Walks `path` from `top` on and asks for each last component: the path's, and that of each link it says to follow.
pub(crate) fn walk<T>(
    top: BorrowedFd<'_>,
    path: &[u8],
    interrupted: Interrupted,
    mut ask: impl FnMut(LastComponent<'_>) -> Result<Answer<T>, Failure>,
) -> Result<T, Failure> {
    let mut walk =
        Walk { top, trail: VecDeque::new(), walked: Vec::new(), rest: path.to_vec(), links: 0, steps: 0, interrupted };
    loop {
        walk.count_step()?;
        let step = Step::next(&walk.rest);
        let (name, last, has_slash) = (step.name.to_vec(), step.is_last, step.has_slash);
        walk.rest.drain(..step.consumed);
        let name = match &*name {
            b"" | b"." => None,
            b".." => {
                walk.go_up()?;
                None
            }
            name => Some(name),
        };
        match name {
            _ if last => match (ask(LastComponent { dir: walk.current(), name, has_slash })?, name) {
                (Answer::Found(found), _) => return Ok(found),
                (Answer::Link { to_directory }, Some(name)) => walk.follow_link(name, to_directory)?,
                (Answer::Link { .. }, None) => return Err(Errno::NOTDIR.into()),
            },
            Some(name) => walk.enter(name)?,
            None => {}
        }
    }
}

/// The first component of a path.
struct Step<'p> {
    name: &'p [u8],
    /// Its length in the path, with the slashes around it.
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

/// The state of a walk.
struct Walk<'t> {
    top: BorrowedFd<'t>,
    /// The last directories that the walk came through, at most [`TRAIL`]. The last one is the current directory.
    trail: VecDeque<OwnedFd>,
    /// The path of the current directory from the top. It contains names of directories, and no link and no dot.
    walked: Vec<u8>,
    /// The rest of the path.
    rest: Vec<u8>,
    links: u32,
    steps: u32,
    interrupted: Interrupted,
}

impl Walk<'_> {
    /// The current directory.
    fn current(&self) -> BorrowedFd<'_> {
        self.trail.back().map_or(self.top, AsFd::as_fd)
    }

    fn count_step(&mut self) -> Result<(), Failure> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Errno::LOOP.into());
        }
        wait::check(self.interrupted)
    }

    /// Makes a directory inside the current one the current one.
    fn push_directory(&mut self, directory: OwnedFd) {
        if self.trail.len() == TRAIL {
            self.trail.pop_front();
        }
        self.trail.push_back(directory);
    }

    /// Goes into a directory, or puts the target of a link in front of the rest.
    fn enter(&mut self, name: &[u8]) -> Result<(), Failure> {
        match self.open_directory(name) {
            Ok(directory) => {
                self.push_directory(directory);
                if !self.walked.is_empty() {
                    self.walked.push(b'/');
                }
                self.walked.extend_from_slice(name);
                Ok(())
            }
            Err(failure) if may_be_link(failure) => self.follow_link(name, true),
            Err(failure) => Err(failure),
        }
    }

    fn open_directory(&self, name: &[u8]) -> Result<OwnedFd, Failure> {
        let flags = platform::DIRECTORY | OFlags::NOFOLLOW;
        retry_interrupted(self.interrupted, || openat(self.current(), name, flags, Mode::empty()))
    }

    /// Puts the target of a link in front of the rest.
    fn follow_link(&mut self, name: &[u8], to_directory: bool) -> Result<(), Failure> {
        match self.link_target(name)? {
            Some(text) => self.follow(&text, to_directory),
            None => Err(Errno::NOTDIR.into()),
        }
    }

    /// The target of a link. `None` if the name is not a link.
    fn link_target(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let mut text = vec![0; PATH_MAX_BYTES + 1];
        match readlinkat_raw(self.current(), name, &mut *text) {
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

    /// Goes to the directory above, but not above the top.
    fn go_up(&mut self) -> Result<(), Failure> {
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
                self.push_directory(directory);
            }
            self.walked = walked;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    fn open_in(top: &std::path::Path, path: &str) -> Result<OwnedFd, Failure> {
        let top = File::open(top).unwrap();
        open(top.as_fd(), path.as_bytes(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), || false)
    }

    #[test]
    fn t26_a_long_way_down_and_up_ends_in_the_right_directory() {
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
    fn t109_an_endless_walk_is_stopped() {
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
