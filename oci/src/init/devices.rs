//! Device nodes and links in `/dev`. Source: config-linux.md, "Default Devices", and runtime-linux.md, "Dev symbolic links".

use super::inside::{self, Kind};
use super::mounts::{attach_to, clone_tree};
use crate::config::{Config, Device};
use crate::failure::cannot_at;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, chmodat, chownat, makedev, mknodat, statat, symlinkat};
use rustix::io::Errno;
use rustix::process::umask;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use wave_engine::Failure;

/// Where devices usually are.
const DEV: &str = "/dev";

/// The devices that every container has: path, major and minor number.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links in it that every container has.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Creates the devices of the specification and of the configuration.
///
/// # Errors
/// 125 if one cannot be created.
pub fn create(root: BorrowedFd<'_>, config: &Config) -> Result<(), Failure> {
    let refuse = |errno| cannot_at("create devices", Path::new(DEV), errno);
    let dev = inside::find_or_create(root, Path::new(DEV), Kind::Directory).map_err(refuse)?;
    // A node gets its permissions when it is made.
    let mask = umask(Mode::empty());
    let made = all(config).iter().try_for_each(|device| {
        create_one(root, dev.as_fd(), device)
            .map_err(|errno| cannot_at("create the device", &device.path, errno).at("linux.devices"))
    });
    umask(mask);
    made?;
    for (path, target) in LINKS {
        link(dev.as_fd(), path, target)
            .map_err(|errno| cannot_at("create the link", &Path::new(DEV).join(path), errno))?;
    }
    Ok(())
}

/// The character devices that a program may open.
pub fn openable(config: &Config) -> Vec<PathBuf> {
    let terminals = ["/dev/tty", "/dev/console"].map(Path::new);
    let is_ordinary =
        |device: &Device| matches!(device.kind.as_str(), "c" | "u") && !terminals.contains(&&*device.path);
    all(config).into_iter().filter(is_ordinary).map(|device| device.path).collect()
}

fn all(config: &Config) -> Vec<Device> {
    let named = &config.linux.devices;
    let default = DEFAULT.iter().filter(|(path, ..)| named.iter().all(|device| device.path != Path::new(path)));
    let default = default.map(|(path, major, minor)| Device {
        kind: "c".to_owned(),
        path: path.into(),
        major: *major,
        minor: *minor,
        file_mode: Some(0o666),
        uid: 0,
        gid: 0,
    });
    default.chain(named.iter().cloned()).collect()
}

fn create_one(root: BorrowedFd<'_>, dev: BorrowedFd<'_>, device: &Device) -> Result<(), Errno> {
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        _ => return Err(Errno::INVAL),
    };
    let number = makedev(device.major, device.minor);
    let (parent, name) = inside::split(&device.path).ok_or(Errno::INVAL)?;
    let opened;
    let parent = if parent == Path::new(DEV) {
        dev
    } else {
        opened = inside::find_or_create(root, &parent, Kind::Directory)?;
        opened.as_fd()
    };
    let mode = Mode::from_raw_mode(device.file_mode.unwrap_or(0o666));
    let made = mknodat(parent, name, kind, mode, number);
    // In a user namespace nobody creates devices: the host's is mounted.
    if made == Err(Errno::PERM) && kind != FileType::Fifo {
        return bind(root, &device.path);
    }
    if !matches!(made, Ok(()) | Err(Errno::EXIST)) {
        return made;
    }
    let found = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if made.is_err() {
        let same =
            FileType::from_raw_mode(found.st_mode) == kind && (kind == FileType::Fifo || found.st_rdev == number);
        return if same { Ok(()) } else { Err(Errno::EXIST) };
    }
    // What the directory gives to new files comes first.
    if Mode::from_raw_mode(found.st_mode) != mode {
        chmodat(parent, name, mode, AtFlags::empty())?;
    }
    if (found.st_uid, found.st_gid) != (device.uid, device.gid) {
        let (user, group) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn bind(root: BorrowedFd<'_>, path: &Path) -> Result<(), Errno> {
    let tree = clone_tree(CWD, path, false)?;
    let place = inside::find_or_create(root, path, Kind::File)?;
    attach_to(tree.as_fd(), place.as_fd())
}

fn link(dev: BorrowedFd<'_>, name: &str, target: &str) -> Result<(), Errno> {
    match symlinkat(target, dev, name) {
        // The image has one, or a file system that was mounted.
        Err(Errno::EXIST) => Ok(()),
        outcome => outcome,
    }
}
