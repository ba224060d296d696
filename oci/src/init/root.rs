//! The root file system of the container.

use super::devices;
use super::inside;
use super::mounts::{self, attach_to, clone_tree, make_empty};
use super::options::propagation;
use crate::config::Config;
use crate::failure::cannot_at;
use nix::mount::{MntFlags, umount2};
use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use wave_engine::Failure;
use wave_policy::chain;
use wave_sandbox::container::set_mount_attributes;

/// The root of the container, while `/` is still the host's.
pub struct Root {
    fd: OwnedFd,
    propagation: Option<(u64, bool)>,
}

impl Root {
    /// Mounts everything that the configuration names. `cgroups` are the container's cgroups by the name of their hierarchy.
    ///
    /// # Errors
    /// 125 if something cannot be mounted.
    pub fn mount(config: &Config, bundle: &Path, cgroups: &[(String, PathBuf)]) -> Result<Self, Failure> {
        let propagation = config.linux.rootfs_propagation.as_deref().map(propagation).transpose()?;
        // Nothing that is mounted here is seen by the host. What the host mounts later is seen only if the configuration asks.
        let host = match propagation {
            Some((libc::MS_SHARED | libc::MS_SLAVE, _)) => libc::MS_SLAVE,
            _ => libc::MS_PRIVATE,
        };
        let top = openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let top = top.map_err(|errno| cannot_at("open", Path::new("/"), errno))?;
        set_mount_attributes(top.as_fd(), true, 0, 0, host).map_err(|error| Failure::refused(chain(&error)))?;

        let root = config.root.as_ref().map_or(Path::new("rootfs"), |root| &root.path);
        let path = bundle.join(root);
        let refuse = |errno| cannot_at("use the root file system", &path, errno).at("root.path");
        let place =
            openat(CWD, &path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(refuse)?;
        let fd = clone_tree(place.as_fd(), Path::new(""), true).map_err(refuse)?;
        attach_to(fd.as_fd(), place.as_fd()).map_err(refuse)?;
        let root = Self { fd, propagation };
        for mount in &config.mounts {
            mounts::mount(root.fd(), bundle, mount, cgroups)?;
        }
        devices::create(root.fd(), config)?;
        for path in &config.linux.readonly_paths {
            root.make_readonly(path)
                .map_err(|errno| cannot_at("make read-only", path, errno).at("linux.readonlyPaths"))?;
        }
        for path in &config.linux.masked_paths {
            root.mask(path).map_err(|errno| cannot_at("mask", path, errno).at("linux.maskedPaths"))?;
        }
        Ok(root)
    }

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn make_readonly(&self, path: &Path) -> Result<(), Errno> {
        let place = match inside::find(self.fd(), path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            place => place?,
        };
        let tree = clone_tree(place.as_fd(), Path::new(""), true)?;
        let readonly = set_mount_attributes(tree.as_fd(), true, libc::MOUNT_ATTR_RDONLY, 0, 0);
        readonly.map_err(|_| Errno::PERM)?;
        attach_to(tree.as_fd(), place.as_fd())
    }

    /// Covers a directory by an empty one, and a file by `/dev/null`.
    fn mask(&self, path: &Path) -> Result<(), Errno> {
        let place = match inside::find(self.fd(), path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            place => place?,
        };
        let cover = match inside::is_directory(place.as_fd())? {
            true => make_empty()?,
            false => clone_tree(CWD, Path::new("/dev/null"), false)?,
        };
        attach_to(cover.as_fd(), place.as_fd())
    }

    /// Makes it the root of this process, and unmounts the host's. `readonly`: nothing outside of other mounts can be written.
    ///
    /// # Errors
    /// 125 if the kernel refuses.
    pub fn enter(self, readonly: bool) -> Result<(), Failure> {
        let refuse = |call: &str| {
            let call = call.to_owned();
            move |error: std::io::Error| Failure::refused(format!("cannot enter the root file system: {call}: {error}"))
        };
        if readonly {
            set_mount_attributes(self.fd(), false, libc::MOUNT_ATTR_RDONLY, 0, 0)
                .map_err(|error| Failure::refused(chain(&error)))?;
        }
        let errno = |call: &str| {
            let refuse = refuse(call);
            move |errno: nix::errno::Errno| refuse(errno.into())
        };
        nix::unistd::fchdir(self.fd()).map_err(errno("fchdir"))?;
        // Both are the same directory: the host's root lies over the new one afterwards (pivot_root(2)).
        nix::unistd::pivot_root(".", ".").map_err(errno("pivot_root"))?;
        umount2(".", MntFlags::MNT_DETACH).map_err(errno("umount2"))?;
        nix::unistd::chdir("/").map_err(errno("chdir"))?;
        if let Some((propagation, below)) = self.propagation {
            set_mount_attributes(self.fd(), below, 0, 0, propagation)
                .map_err(|error| Failure::refused(chain(&error)))?;
        }
        Ok(())
    }
}
