//! Module bytes from a file, standard input or text.

use crate::compile::ADAPTER;
use crate::failure::Failure;
use crate::refusal::{Refusal, Unlowered};
use crate::shortage::limit_fix;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::borrow::Cow;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wave_contract::artifact::Artifact;
use wave_policy::chain;
use wave_policy::limits::COMPILE_TIMEOUT;

/// Larger files are refused before they are read, because the compiler could not handle them.
pub const MAX_MODULE_BYTES: u64 = 1 << 30;

/// How long to wait for a process to open a FIFO for writing.
const WRITER_TIME: Duration = Duration::from_secs(5);

/// Bytes per read from a pipe: the default capacity of a pipe.
const PART_BYTES: usize = 64 << 10;

/// A module to run.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its file, or `-` for standard input. For a module in memory, its name in messages.
    pub name: PathBuf,
    /// The bytes of the file, if they were read already: a module as binary or text, or a compiled file.
    pub bytes: Option<Vec<u8>>,
}

impl Module {
    /// A module in a file, or on standard input for `-`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { name: path.into(), bytes: None }
    }

    /// A module that was read already, with a name for messages.
    pub fn bytes(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes: Some(bytes) }
    }

    /// Its name and its bytes, which are read now unless they were. A pipe must end within `time`.
    ///
    /// # Errors
    /// 127 if the file does not exist, 126 if it cannot be read.
    pub fn read(self, time: Duration) -> Result<(PathBuf, Vec<u8>), Failure> {
        let bytes = self.bytes.map_or_else(|| read_file_within(&self.name, time), Ok)?;
        Ok((self.name, bytes))
    }
}

/// The binary module in the bytes of a file. Text is translated, a component is lowered, and from a compiled file the module is taken.
///
/// # Errors
/// 126 if the file is not a module.
pub fn module<'a>(path: &Path, file: &'a [u8]) -> Result<Cow<'a, [u8]>, Failure> {
    match embedded_module(path, file)? {
        None => to_binary(file).map_err(|refusal| refusal.failure(path)),
        Some(module) => binary(path, module).map(Cow::Owned),
    }
}

/// The binary module or component in the bytes of a file. Text is translated, and from a compiled file the module is taken.
///
/// # Errors
/// 126 if the file is neither.
pub fn as_written<'a>(path: &Path, file: &'a [u8]) -> Result<Cow<'a, [u8]>, Failure> {
    match embedded_module(path, file)? {
        None => encoded(file).map_err(|refusal| refusal.failure(path)),
        Some(module) => Ok(Cow::Owned(module)),
    }
}

/// The binary module in the bytes that were read from `path`. Text is translated, and a component is lowered.
///
/// # Errors
/// 126 if they are not a module.
pub fn binary(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    match to_binary(&bytes).map_err(|refusal| refusal.failure(path))? {
        Cow::Owned(binary) => Ok(binary),
        Cow::Borrowed(_) => Ok(bytes),
    }
}

/// The binary form of a core module. Text is translated, and a component is lowered.
///
/// # Errors
/// If the bytes are no binary module, no valid text, and no component that can be lowered.
pub fn to_binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    match encoded(bytes)? {
        binary if wave_lower::is_component(&binary) => lower(&binary).map(Cow::Owned),
        binary => Ok(binary),
    }
}

/// Lowers a component to a core module that imports preview 1.
fn lower(component: &[u8]) -> Result<Vec<u8>, Refusal> {
    wave_lower::lower_with(component, Some(ADAPTER)).map_err(|error| Refusal::from(&error))
}

/// The binary encoding of a module or component. Text is translated.
///
/// # Errors
/// If the bytes are neither binary nor valid text.
pub fn encoded(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    if bytes.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(bytes));
    }
    let text = std::str::from_utf8(bytes).ok().filter(|text| looks_like_text(text));
    let Some(text) = text else {
        return Err(Refusal::Format(match bytes.get(..4) {
            None => format!("it has only {} bytes", bytes.len()),
            Some(start) => format!("it starts with `{}`", start.escape_ascii()),
        }));
    };
    if is_text_of_component(text) {
        let what = "this is the text of a component, and wave reads components in the binary format";
        return Err(Refusal::Component(what.to_owned(), None, Unlowered::Text));
    }
    // The parser does not get the file name, because it would repeat the path in each message.
    wat::parse_str(text).map(Cow::Owned).map_err(|error| {
        let message = error.to_string();
        let mut lines = message.lines();
        let what = lines.next().unwrap_or_default().to_owned();
        let position = lines.find_map(|line| line.trim().strip_prefix("--> ").map(|at| at.replace("<anon>", "")));
        Refusal::Text(what, position.unwrap_or_default())
    })
}

/// The module in the bytes that were read from `path`: the module of a compiled file, or all bytes of any other file.
///
/// # Errors
/// 126 for a damaged compiled file.
pub fn module_of(path: &Path, file: Vec<u8>) -> Result<Vec<u8>, Failure> {
    Ok(embedded_module(path, &file)?.unwrap_or(file))
}

/// The module in a compiled file. `None` for any other file.
fn embedded_module(path: &Path, file: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    if !Artifact::is_one(file) {
        return Ok(None);
    }
    let module = Artifact::read(file).map(|artifact| Some(artifact.module));
    module.map_err(|error| Failure::not_runnable(chain(&error)).at(path.display().to_string()))
}

/// Reads the bytes of a file, or of standard input for `-`.
///
/// # Errors
/// 127 if the file does not exist, 126 if it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    read_file_within(path, COMPILE_TIMEOUT)
}

/// As [`read_file`], but a pipe must end within `time`.
///
/// # Errors
/// 127 if the file does not exist, 126 if it cannot be read.
pub fn read_file_within(path: &Path, time: Duration) -> Result<Vec<u8>, Failure> {
    let place = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let limits = Bounds { bytes: MAX_MODULE_BYTES, size: "1 GiB", time };
    read_bounded(path, &limits).map_err(|unread| match unread {
        Unread::Missing => {
            Failure::not_found(format!("no module `{place}`")).fix("check the path; it is not searched for in PATH")
        }
        unread => unread.failure(Failure::not_runnable, "module", &place),
    })
}

/// Limits on reading a file or a pipe.
pub struct Bounds {
    /// Maximum number of bytes.
    pub bytes: u64,
    /// The same in words.
    pub size: &'static str,
    /// Time limit until the end of a pipe.
    pub time: Duration,
}

/// Why a file was not read.
pub enum Unread {
    /// It does not exist.
    Missing,
    /// It is not a file or a pipe. The value names what it is.
    Kind(&'static str),
    /// It is larger than this.
    Large(&'static str),
    /// It is a FIFO that no process writes to.
    Unwritten,
    /// It did not end within this time.
    Late(Duration),
    /// The kernel returned an error.
    Failed(io::Error),
}

impl Unread {
    /// The failure for a file that messages call `thing`.
    pub fn failure(&self, refuse: impl Fn(String) -> Failure, thing: &str, place: &str) -> Failure {
        let (why, fix) = match self {
            Self::Missing => ("No such file or directory (os error 2)".to_owned(), Some("check the path".to_owned())),
            Self::Kind(kind) => (format!("it is {kind}"), Some("name a file or a pipe".to_owned())),
            Self::Large(size) => (format!("it is larger than {size}"), None),
            Self::Unwritten => (
                "it is a FIFO that no process writes to".to_owned(),
                Some("start the program that writes to it first".to_owned()),
            ),
            Self::Late(time) => (
                format!("it did not end within {time:?}"),
                Some("close it in the program that writes to it, or copy it to a file first".to_owned()),
            ),
            Self::Failed(error) => (error.to_string(), limit_fix(error)),
        };
        let failure = refuse(format!("cannot read the {thing}: {why}")).at(place);
        match fix {
            Some(fix) => failure.fix(fix),
            None => failure,
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            _ => Self::Failed(error),
        }
    }
}

/// The length of the regular file that a path leads to. Such a file can be read more than once.
pub fn regular_len(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// Reads a file or a pipe, or standard input for `-`. Whatever the path leads to, time and memory stay within `bounds`.
///
/// # Errors
/// [`Unread`].
pub fn read_bounded(path: &Path, bounds: &Bounds) -> Result<Vec<u8>, Unread> {
    let deadline = Instant::now().checked_add(bounds.time);
    if path == Path::new("-") {
        // Its flags are shared with the parent process, so it is not made non-blocking. Each read follows a poll instead.
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        return read_all(&File::from(stdin), bounds, deadline);
    }
    // Opening a FIFO would wait for its writer, and opening some devices has side effects.
    let metadata = std::fs::metadata(path)?;
    let socket = metadata.file_type().is_socket().then_some("a socket");
    if let Some(kind) = socket.or(unreadable(&metadata)) {
        return Err(Unread::Kind(kind));
    }
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    read_all(&OpenOptions::new().read(true).custom_flags(flags).open(path)?, bounds, deadline)
}

/// The kind of a file that must not be read. `None` for other files.
fn unreadable(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    let is_known = || crate::platform::is_null_or_terminal(metadata.rdev());
    if kind.is_dir() {
        Some("a directory")
    } else if kind.is_block_device() {
        Some("a block device")
    } else if kind.is_char_device() && !is_known() {
        Some("a device")
    } else {
        None
    }
}

fn read_all(mut file: &File, bounds: &Bounds, deadline: Option<Instant>) -> Result<Vec<u8>, Unread> {
    let metadata = file.metadata()?;
    if let Some(kind) = unreadable(&metadata) {
        return Err(Unread::Kind(kind));
    }
    let mut bytes = Vec::new();
    // Files of procfs have length 0 and can block a reader.
    if metadata.is_file() && metadata.len() > 0 {
        if metadata.len() > bounds.bytes {
            return Err(Unread::Large(bounds.size));
        }
        // One byte more, so that reading finds the end without another allocation.
        bytes.reserve_exact(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        file.take(bounds.bytes + 1).read_to_end(&mut bytes)?;
    } else {
        let mut part = vec![0; PART_BYTES];
        wait_for_writer(file, bounds.time, &mut bytes)?;
        while bytes.len() as u64 <= bounds.bytes {
            wait_for(file, deadline, bounds.time)?;
            match file.read(&mut part) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(part.get(..count).unwrap_or_default()),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    if bytes.len() as u64 > bounds.bytes { Err(Unread::Large(bounds.size)) } else { Ok(bytes) }
}

/// Waits until a process has opened a FIFO for writing, because before that a read returns the end of the file. A byte
/// that is read on the way is added to `bytes`.
fn wait_for_writer(mut file: &File, time: Duration, bytes: &mut Vec<u8>) -> Result<(), Unread> {
    // Standard input is blocking, and it was opened before this process started.
    let is_ours = rustix::fs::fcntl_getfl(file).map_err(io::Error::from)?.contains(rustix::fs::OFlags::NONBLOCK);
    if !is_ours || !file.metadata()?.file_type().is_fifo() {
        return Ok(());
    }
    let time = time.min(WRITER_TIME);
    match wait_for(file, Instant::now().checked_add(time), time) {
        Err(Unread::Late(_)) => {}
        outcome => return outcome,
    }
    let mut byte = [0];
    match file.read(&mut byte) {
        Ok(0) => Err(Unread::Unwritten),
        Ok(_) => {
            bytes.extend(byte);
            Ok(())
        }
        // A writer has opened it and has not written yet.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until the file can be read or the deadline passes.
fn wait_for(file: &File, deadline: Option<Instant>, time: Duration) -> Result<(), Unread> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(&mut [PollFd::new(file, PollFlags::IN)], timeout.as_ref()) {
            _ if left.is_some_and(|left| left.is_zero()) => return Err(Unread::Late(time)),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(Unread::Failed(errno.into())),
        }
    }
}

/// Whether the first word of a text, after comments to the end of a line, opens a component.
fn is_text_of_component(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with(";;"));
    let words = lines.next().and_then(|line| line.strip_prefix('('));
    words.is_some_and(|words| words.trim_start().split([' ', '(', ')', '\t']).next() == Some("component"))
}

/// Whether text starts like a module: with a parenthesis or a comment.
fn looks_like_text(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('(') || text.starts_with(";;")
}
