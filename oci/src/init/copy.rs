//! Copies what a directory of the image has to the file system that is mounted over it (`tmpcopyup`).

use rustix::fd::AsFd;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, mkdirat, openat, readlinkat, statat,
    symlinkat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

/// Deeper trees are refused, rather than a full stack.
const MAX_DEPTH: usize = 256;

/// Copies directories, regular files and links, with their owners and modes.
///
/// # Errors
/// The kernel's; `EPERM` for other kinds of files, which an image of programs does not have there.
pub fn contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    copy_below(from, to, MAX_DEPTH)
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn copy_below(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
    let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
    let from = openat(from, ".", DIRECTORY, Mode::empty())?;
    for entry in Dir::read_from(&from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = statat(&from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                mkdirat(to, name, Mode::RWXU)?;
                let below = openat(to, name, DIRECTORY, Mode::empty())?;
                let source = openat(&from, name, DIRECTORY, Mode::empty())?;
                copy_below(source.as_fd(), below.as_fd(), depth)?;
                fchown(&below, owner.0, owner.1)?;
                fchmod(&below, mode)?;
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut source = File::from(openat(&from, name, flags, Mode::empty())?);
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let mut copy = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
                io::copy(&mut source, &mut copy).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                fchown(&copy, owner.0, owner.1)?;
                fchmod(&copy, mode)?;
            }
            FileType::Symlink => {
                symlinkat(readlinkat(&from, name, Vec::new())?, to, name)?;
                chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            _ => return Err(Errno::PERM),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_tree_is_copied_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("a")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("a/f"), "text").unwrap();
        fs::set_permissions(from.join("a/f"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("/etc", from.join("l")).unwrap();
        contents(File::open(&from).unwrap().as_fd(), File::open(&to).unwrap().as_fd()).unwrap();
        assert_eq!(fs::read_to_string(to.join("a/f")).unwrap(), "text");
        assert_eq!(fs::metadata(to.join("a/f")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_link(to.join("l")).unwrap(), std::path::Path::new("/etc"));
        assert_eq!(fs::read_dir(&to).unwrap().count(), 2);
    }
}
