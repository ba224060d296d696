//! Files and directories of the cgroup file system.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::error::Error;

/// Reads a file without the white space around its text.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    read_whole(path).map(|text| text.trim().to_owned()).map_err(Error::io("read", path))
}

/// Reads a text that the kernel makes. It takes part after part of the text if it is read by small parts, and says no size.
pub(crate) fn read_whole(path: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(4096);
    File::open(path)?.take(u64::MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// As [`read`]; nothing if there is no such file, or no such cgroup any more.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<String>, Error> {
    match read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number after `key` in a file of lines `key number`.
pub(crate) fn number_of(path: &Path, key: &str) -> Result<Option<u64>, Error> {
    let text = read_if_present(path)?.unwrap_or_default();
    Ok(text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok()))
}

/// Whether there is no such file. A file of a removed cgroup that was opened before answers with `ENODEV`.
pub(crate) fn is_absent(error: &Error) -> bool {
    use rustix::io::Errno;
    matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV))
}

/// Writes the value in one call: the kernel takes each one for itself. Never creates a file.
pub(crate) fn write(path: &Path, value: &str) -> Result<(), Error> {
    let written =
        OpenOptions::new().write(true).truncate(true).open(path).and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(Error::io("write", path))
}

/// As [`write`], to a file that has nothing to truncate: to ask the kernel for that costs as much as to open the file.
pub(crate) fn append(path: &Path, value: &str) -> Result<(), Error> {
    let written = OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(Error::io("write", path))
}

/// Creates a directory, and answers whether it is new.
pub(crate) fn create(path: &Path) -> Result<bool, Error> {
    match DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(Error::io("create", path)(error)),
    }
}

/// The directory and those under it, children after their parents. Nothing if it is gone.
pub(crate) fn tree(path: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while let Some(directory) = found.get(next).cloned() {
        next += 1;
        match children(&directory) {
            Ok(more) => found.extend(more),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("list", &directory)(error)),
        }
    }
    Ok(found)
}

fn children(path: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A symbolic link is none, so this never leaves the directory.
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
