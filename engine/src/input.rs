//! Module bytes from a file, standard input or text.

use crate::failure::Failure;
use crate::refusal::Refusal;
use crate::shortage::way_out;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::borrow::Cow;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wave_contract::artefact::Artefact;
use wave_policy::chain;
use wave_policy::limits::COMPILE_TIMEOUT;

/// Larger files are refused before they are read: nothing that size can be compiled.
const MAX_MODULE_BYTES: u64 = 1 << 30;

/// How long nobody may have opened a FIFO to write to it.
const WRITER_TIME: Duration = Duration::from_secs(5);

/// Bytes that are read from a pipe at a time: as many as one holds.
const PART_BYTES: usize = 64 << 10;

/// A module that is to run.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its file, `-` for standard input; of a module in memory, what messages call it.
    pub name: PathBuf,
    /// The bytes of the file, if they were read already: a module in binary form or text, or a compiled file.
    pub bytes: Option<Vec<u8>>,
}

impl Module {
    /// The module in a file, or of standard input for `-`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { name: path.into(), bytes: None }
    }

    /// A module that was read already, with a name for messages.
    pub fn bytes(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes: Some(bytes) }
    }
}

/// The module in the bytes of a file, which may be a compiled one: its binary form, or what its text means.
///
/// # Errors
/// 126 when it is no module.
pub fn module<'a>(path: &Path, file: &'a [u8]) -> Result<Cow<'a, [u8]>, Failure> {
    match inner(path, file)? {
        None => to_binary(file).map_err(|refusal| refusal.failure(path)),
        Some(module) => binary(path, module).map(Cow::Owned),
    }
}

/// The binary form of what was read from `path`.
///
/// # Errors
/// 126 when it is no module.
pub fn binary(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    match to_binary(&bytes).map_err(|refusal| refusal.failure(path))? {
        Cow::Owned(binary) => Ok(binary),
        Cow::Borrowed(_) => Ok(bytes),
    }
}

/// The binary form of a module: its bytes, or what its text means.
///
/// # Errors
/// When the bytes are neither, or the text is wrong.
pub fn to_binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
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
    // The file name is not given to the parser: it would repeat the path in front of each message.
    wat::parse_str(text).map(Cow::Owned).map_err(|error| {
        let message = error.to_string();
        let mut lines = message.lines();
        let what = lines.next().unwrap_or_default().to_owned();
        let position = lines.find_map(|line| line.trim().strip_prefix("--> ").map(|at| at.replace("<anon>", "")));
        Refusal::Text(what, position.unwrap_or_default())
    })
}

/// The module in a file that was read from `path`: all of it, unless it is a compiled one.
///
/// # Errors
/// 126 for a compiled file that is damaged.
pub fn module_of(path: &Path, file: Vec<u8>) -> Result<Vec<u8>, Failure> {
    Ok(inner(path, &file)?.unwrap_or(file))
}

/// The module in a compiled file. `None` for any other file.
fn inner(path: &Path, file: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    if !Artefact::is_one(file) {
        return Ok(None);
    }
    let module = Artefact::read(file).map(|artefact| Some(artefact.module));
    module.map_err(|error| Failure::not_runnable(chain(&error)).at(path.display().to_string()))
}

/// Reads the bytes of a file, or of standard input for `-`.
///
/// # Errors
/// 127 when there is no such file, 126 when it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    read_file_within(path, COMPILE_TIMEOUT)
}

/// As [`read_file`], of a pipe within so long.
///
/// # Errors
/// 127 when there is no such file, 126 when it cannot be read.
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

/// How much is read, and for how long: of a file, all that is there; of a pipe, until its end.
pub struct Bounds {
    /// Most bytes.
    pub bytes: u64,
    /// The same in words.
    pub size: &'static str,
    /// How long a pipe may take.
    pub time: Duration,
}

/// Why a file was not read.
pub enum Unread {
    /// There is none.
    Missing,
    /// It is something else: what, in words.
    Kind(&'static str),
    /// It has more bytes than this.
    Large(&'static str),
    /// It is a FIFO that nobody writes to.
    Unwritten,
    /// It was not at its end in time.
    Late(Duration),
    /// What the kernel says.
    Failed(io::Error),
}

impl Unread {
    /// The refusal, of what is called `thing`.
    pub fn failure(&self, refuse: impl Fn(String) -> Failure, thing: &str, place: &str) -> Failure {
        let (why, fix) = match self {
            Self::Missing => ("No such file or directory (os error 2)".to_owned(), Some("check the path".to_owned())),
            Self::Kind(kind) => (format!("it is {kind}"), Some("name a file or a pipe".to_owned())),
            Self::Large(size) => (format!("it is larger than {size}"), None),
            Self::Unwritten => (
                "it is a FIFO, and nobody writes to it".to_owned(),
                Some("start the program that writes to it first".to_owned()),
            ),
            Self::Late(time) => (
                format!("its end did not come within {time:?}"),
                Some("whoever writes to it has to close it; or copy it to a file first".to_owned()),
            ),
            Self::Failed(error) => (error.to_string(), way_out(error)),
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

/// Whether a path leads to a file that can be read again.
pub fn is_regular(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Reads a file or a pipe, or standard input for `-`. Whatever the path leads to, it neither waits for ever nor takes more
/// memory than it may.
///
/// # Errors
/// [`Unread`].
pub fn read_bounded(path: &Path, bounds: &Bounds) -> Result<Vec<u8>, Unread> {
    let deadline = Instant::now().checked_add(bounds.time);
    if path == Path::new("-") {
        // Its flags are shared with whoever started this process, so it is not made non-blocking; each read follows a poll.
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        return read_all(&File::from(stdin), bounds, deadline);
    }
    // To open a FIFO would wait for its writer, and to open some devices does something.
    let metadata = std::fs::metadata(path)?;
    let socket = metadata.file_type().is_socket().then_some("a socket");
    if let Some(kind) = socket.or(unreadable(&metadata)) {
        return Err(Unread::Kind(kind));
    }
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    read_all(&OpenOptions::new().read(true).custom_flags(flags).open(path)?, bounds, deadline)
}

/// What a file is if it is not to be read.
fn unreadable(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    // An empty text, and what a person types.
    let is_known = || {
        let [major, minor] = [rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev())];
        (major, minor) == (1, 3) || (4..=5).contains(&major) || (136..=143).contains(&major)
    };
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
    // Files of procfs have no length and can make a reader wait.
    if metadata.is_file() && metadata.len() > 0 {
        if metadata.len() > bounds.bytes {
            return Err(Unread::Large(bounds.size));
        }
        // One more, so that the end is found without more memory.
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

/// Waits a while until somebody has opened a FIFO to write to it: until then it looks as if it was at its end. What is read on
/// the way goes into `bytes`.
fn wait_for_writer(mut file: &File, time: Duration, bytes: &mut Vec<u8>) -> Result<(), Unread> {
    // Standard input may wait, and its writer was there before this process.
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
        // Somebody has, and is not in a hurry.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until something can be read. A FIFO that nobody has written to yet is at its end for a reader who does not wait.
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

/// Text starts with a parenthesis or a comment.
fn looks_like_text(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('(') || text.starts_with(";;")
}
