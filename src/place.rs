//! Where something about a run is written to: a file, or a descriptor that the parent process passed on. It is opened before the run.

use crate::plan::refuse_within;
use crate::text::{chain, clean};
use rustix::fs::{FileType, OFlags, fstat};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, read_link};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use wave_engine::{DirectoryGrant, Failure};

/// The first descriptor that is no standard stream: the program has those.
const FIRST: i32 = 3;

/// The most links that the kernel follows in a path. Source: path_resolution(7).
const MOST_LINKS: usize = 40;

/// A file, or a descriptor that the parent process passed on.
#[derive(Debug)]
pub struct Place {
    file: File,
    /// The flag, as it was typed.
    flag: String,
    /// The file, without links.
    path: Option<PathBuf>,
}

impl Place {
    /// Opens `FILE`, which is emptied, or `fd:N`.
    ///
    /// # Errors
    /// 2 for a descriptor that the program shares, 125 if it cannot be written to.
    pub fn open(flag: &str, typed: &str) -> Result<Self, Failure> {
        let at = format!("{flag} {}", clean(typed));
        let refuse = |what: String, fix: &str| Failure::refused(what).at(&*at).fix(fix);
        if let Some(number) = typed.strip_prefix("fd:") {
            let number = number.parse::<i32>().ok().filter(|number| *number >= FIRST).ok_or_else(|| {
                Failure::usage("a descriptor is a number from 3 on: the program has 0, 1 and 2")
                    .at(&*at)
                    .fix(format!("write {flag} fd:3, and pass a pipe as descriptor 3"))
            })?;
            let fd = wave_sandbox::inherited_descriptor(number)
                .map_err(|error| refuse(chain(&error), "pass an open descriptor of this number"))?;
            let path = read_link(format!("/proc/self/fd/{number}")).ok().filter(|path| path.is_absolute());
            return Ok(Self { file: fd.into(), flag: at, path });
        }
        // To append, so that what is there is not overwritten, by this or another process.
        let append = OFlags::APPEND.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).custom_flags(append).mode(mode(flag));
        let file = options.open(typed);
        let file = file.map_err(|error| {
            let what = what(flag);
            refuse(format!("cannot write the {what}: {error}"), "name a file in a directory that may be written to")
        })?;
        Ok(Self { file, flag: at, path: std::fs::canonicalize(typed).ok() })
    }

    /// Opens a place that is written to while the program runs.
    ///
    /// # Errors
    /// As [`Place::open`], and 125 if the program can write there, too, or could have made a link on the way to it.
    pub fn open_record(flag: &str, typed: &str, grants: &[DirectoryGrant]) -> Result<Self, Failure> {
        let at = format!("{flag} {}", clean(typed));
        if !typed.starts_with("fd:") {
            // Before the file is opened and emptied: it may be one that only a link of an earlier program leads to.
            let entries = entries_on_the_way(Path::new(typed));
            let entries = entries.map_err(|error| Failure::refused(error.to_string()).at(&*at))?;
            entries.iter().try_for_each(|entry| refuse_within(entry, grants, what(flag), at.clone()))?;
        }
        let place = Self::open(flag, typed)?;
        place.path().map_or(Ok(()), |path| refuse_within(path, grants, what(flag), at.clone()))?;
        if place.is_stream().map_err(|error| Failure::refused(error.to_string()).at(&*at))? {
            let what = what(flag);
            return Err(Failure::refused(format!("the program could write its own {what}: it is a standard stream"))
                .at(at)
                .fix("name another file, or pass another pipe"));
        }
        Ok(place)
    }

    /// Whether a standard stream of the program is the same file, pipe or socket. Terminals and null devices are nobody's alone.
    fn is_stream(&self) -> io::Result<bool> {
        let own = fstat(&self.file)?;
        if FileType::from_raw_mode(own.st_mode) == FileType::CharacterDevice {
            return Ok(false);
        }
        let is_own = |other: &rustix::fs::Stat| (other.st_dev, other.st_ino) == (own.st_dev, own.st_ino);
        let streams = [fstat(io::stdin()), fstat(io::stdout()), fstat(io::stderr())];
        Ok(streams.iter().flatten().any(is_own))
    }

    /// The file, without links; `None` for a pipe.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The flag, as it was typed.
    pub fn flag(&self) -> &str {
        &self.flag
    }

    /// Writes what there is to say after the run.
    ///
    /// # Errors
    /// 125 if the host does not take it.
    pub fn write(mut self, text: &str) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| {
            Failure::refused(format!("the program has run, but its outcome cannot be written: {error}"))
                .at(self.flag)
                .fix("check the space on the disk, or who reads the pipe")
        })
    }
}

/// What a flag asks for: `--trace-file` for the trace.
fn what(flag: &str) -> &str {
    flag.trim_start_matches("--").trim_end_matches("-file")
}

/// The mode of a file that is made: what a program had in memory is its user's alone.
fn mode(flag: &str) -> u32 {
    if flag == "--coredump" { 0o600 } else { 0o666 }
}

/// Every entry of a directory that the kernel looks up on the way to a file, links included, the file itself last.
///
/// Links of procfs lead to open files and not to paths, so nothing is looked up behind them.
///
/// # Errors
/// If there is no working directory, or too many links lead on.
pub fn entries_on_the_way(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut at = std::env::current_dir()?;
    let mut entries = Vec::new();
    let mut links = 0;
    let words = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<VecDeque<OsString>>();
    let mut rest = words(path);
    while let Some(word) = rest.pop_front() {
        match Path::new(&word).components().next() {
            Some(Component::RootDir) => at = PathBuf::from("/"),
            Some(Component::ParentDir) => drop(at.pop()),
            Some(Component::Normal(name)) => {
                let entry = at.join(name);
                entries.push(entry.clone());
                match read_link(&entry) {
                    Ok(target) if !at.starts_with("/proc") => {
                        links += 1;
                        if links > MOST_LINKS {
                            return Err(io::Error::from_raw_os_error(libc::ELOOP));
                        }
                        let mut words = words(&target);
                        words.append(&mut rest);
                        rest = words;
                    }
                    // No link, or not there: opening it says what is wrong.
                    _ => at = entry,
                }
            }
            _ => {}
        }
    }
    Ok(entries)
}
