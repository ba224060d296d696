//! File systems of the container. Each is made as a descriptor, gets its attributes, and is attached to a descriptor of its
//! destination: no path is resolved twice.

use super::copy;
use super::inside::{self, Kind};
use super::options::Options;
use crate::config::Mount;
use crate::failure::unsupported;
use crate::state::in_user_namespace;
use rustix::fd::AsFd;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use wave_engine::Failure;
use wave_sandbox::container::set_mount_attributes;

/// File systems that show the kernel. A program is denied everything on them, so they are read-only whatever the options say.
const KERNEL: [&str; 4] = ["proc", "sysfs", "cgroup", "cgroup2"];

/// File systems that a container may have.
const KNOWN: [&str; 8] = ["proc", "sysfs", "cgroup", "cgroup2", "tmpfs", "devpts", "mqueue", "bind"];

/// Mounts a file system of the configuration.
///
/// # Errors
/// 125 if it cannot be mounted.
pub fn mount(
    root: BorrowedFd<'_>,
    bundle: &Path,
    mount: &Mount,
    cgroups: &[(String, std::path::PathBuf)],
) -> Result<(), Failure> {
    let options = Options::read(mount)?;
    let refuse = |errno: Errno| cannot_mount(mount, errno);
    if options.remount {
        let place = inside::find(root, &mount.destination).map_err(refuse)?;
        return set_mount_attributes(place.as_fd(), options.below, options.set, options.clear, 0)
            .map_err(|error| Failure::refused(wave_policy::chain(&error)).at(place_of(mount)));
    }
    if options.bind {
        let source = open_source(bundle, mount, &options)?;
        let kind = if inside::is_directory(source.as_fd()).map_err(refuse)? { Kind::Directory } else { Kind::File };
        let mut options = options;
        // Devices of the host in a directory are no devices of the container, unless the configuration says so.
        if kind == Kind::Directory && options.clear & libc::MOUNT_ATTR_NODEV == 0 {
            options.set |= libc::MOUNT_ATTR_NODEV;
        }
        let place = inside::find_or_create(root, &mount.destination, kind).map_err(refuse)?;
        return attach(&source, place.as_fd(), &options).map_err(|failure| failure.at(place_of(mount)));
    }
    if !KNOWN.contains(&mount.kind.as_str()) {
        return Err(unsupported(
            &format!("mounts: the file system {:?}", mount.kind),
            &format!("{} are", KNOWN.join(", ")),
        ));
    }
    let place = inside::find_or_create(root, &mount.destination, Kind::Directory).map_err(refuse)?;
    let mut options = options;
    if KERNEL.contains(&mount.kind.as_str()) {
        options.set |= libc::MOUNT_ATTR_RDONLY;
    }
    let made = match mount.kind.as_str() {
        // Below it lies a directory for each hierarchy of version 1.
        "cgroup" if !cgroups.is_empty() => {
            return mount_hierarchies(place.as_fd(), cgroups, &options).map_err(|failure| failure.at(place_of(mount)));
        }
        "cgroup" | "cgroup2" => match make("cgroup2", mount, &options) {
            // Of a user namespace, only one that has a cgroup namespace, too, may have them. A container without a cgroup sees none.
            Err(Errno::PERM) if in_user_namespace() => make_empty(),
            made => made,
        },
        kind => make(kind, mount, &options),
    }
    .map_err(refuse)?;
    if options.copies_up {
        copy::contents(place.as_fd(), made.as_fd()).map_err(refuse)?;
    }
    attach(&made, place.as_fd(), &options).map_err(|failure| failure.at(place_of(mount)))
}

fn place_of(mount: &Mount) -> String {
    format!("mounts: {}", mount.destination.display())
}

fn cannot_mount(mount: &Mount, errno: Errno) -> Failure {
    let source = match mount.source.as_os_str().is_empty() {
        true => mount.kind.clone(),
        false => mount.source.display().to_string(),
    };
    Failure::refused(format!("cannot mount `{source}`: {}", std::io::Error::from(errno))).at(place_of(mount))
}

/// Opens the source of a bind mount, as a mount of its own.
fn open_source(bundle: &Path, mount: &Mount, options: &Options) -> Result<OwnedFd, Failure> {
    clone_tree(CWD, &bundle.join(&mount.source), options.recursive).map_err(|errno| cannot_mount(mount, errno))
}

/// A copy of a mount, not attached anywhere.
///
/// # Errors
/// The kernel's.
pub fn clone_tree(at: BorrowedFd<'_>, path: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(at, path, flags)
}

/// Makes a file system.
fn make(kind: &str, mount: &Mount, options: &Options) -> Result<OwnedFd, Errno> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if !mount.source.as_os_str().is_empty() {
        fsconfig_set_string(&fs, "source", &mount.source)?;
    }
    for (name, value) in &options.data {
        match value {
            Some(value) => fsconfig_set_string(&fs, name, value)?,
            None => fsconfig_set_flag(&fs, name)?,
        }
    }
    fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::from_bits_retain(u32::try_from(options.set).unwrap_or(0));
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// An empty file system that cannot be written to.
///
/// # Errors
/// The kernel's.
pub fn make_empty() -> Result<OwnedFd, Errno> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "size", "0")?;
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}

/// Sets the attributes of a mount and attaches it.
fn attach(tree: &OwnedFd, place: BorrowedFd<'_>, options: &Options) -> Result<(), Failure> {
    let refuse = |error: wave_sandbox::Cause| Failure::refused(wave_policy::chain(&error));
    if options.bind && (options.set | options.clear) != 0 {
        set_mount_attributes(tree.as_fd(), options.below, options.set, options.clear, 0).map_err(refuse)?;
    }
    attach_to(tree.as_fd(), place)
        .map_err(|errno| Failure::refused(format!("cannot attach a mount: {}", std::io::Error::from(errno))))?;
    for (propagation, below) in &options.propagation {
        set_mount_attributes(tree.as_fd(), *below, 0, 0, *propagation).map_err(refuse)?;
    }
    Ok(())
}

/// Attaches a mount to what a descriptor refers to.
///
/// # Errors
/// The kernel's.
pub fn attach_to(tree: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", place, "", flags)
}

/// The container's own cgroup in each hierarchy of version 1, read-only.
fn mount_hierarchies(
    place: BorrowedFd<'_>,
    cgroups: &[(String, std::path::PathBuf)],
    options: &Options,
) -> Result<(), Failure> {
    let refuse = |errno: Errno| Failure::refused(format!("cannot mount the cgroups: {}", std::io::Error::from(errno)));
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(refuse)?;
    fsconfig_set_string(&fs, "mode", "755").map_err(refuse)?;
    fsconfig_create(&fs).map_err(refuse)?;
    let top = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(refuse)?;
    attach_to(top.as_fd(), place).map_err(refuse)?;
    for (name, path) in cgroups {
        let below = inside::find_or_create(top.as_fd(), Path::new(name), Kind::Directory).map_err(refuse)?;
        let tree = clone_tree(CWD, path, false).map_err(refuse)?;
        attach_to(tree.as_fd(), below.as_fd()).map_err(refuse)?;
    }
    let set = options.set | libc::MOUNT_ATTR_RDONLY;
    set_mount_attributes(top.as_fd(), true, set, options.clear, libc::MS_PRIVATE)
        .map_err(|error| Failure::refused(wave_policy::chain(&error)))
}
