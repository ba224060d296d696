//! Decisions on paths under a directory: the `path_*` functions.

use crate::{Admitted, Errno, GuestPath, Last, LinkTarget, LookupFlags, Monitor, NewTimes, Rights, Target};

/// A directory and a path under it.
#[derive(Debug)]
pub struct DirectoryPath<'m> {
    /// The directory that the guest has open.
    pub dir: Target,
    /// The path under it.
    pub path: GuestPath<'m>,
}

/// Query the attributes of a path's object.
#[derive(Debug)]
#[non_exhaustive]
pub struct StatAt<'m> {
    /// The path.
    pub place: DirectoryPath<'m>,
    /// Whether a final symbolic link is followed.
    pub follow: bool,
}

/// Set the timestamps of a path's object.
#[derive(Debug)]
#[non_exhaustive]
pub struct SetTimesAt<'m> {
    /// The path.
    pub place: DirectoryPath<'m>,
    /// Whether a final symbolic link is followed.
    pub follow: bool,
    /// The new timestamps.
    pub times: NewTimes,
}

macro_rules! on_a_name {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[non_exhaustive]
        pub struct $name<'m> {
            /// The path.
            pub place: DirectoryPath<'m>,
            /// The last component. For `.` and `..`, the errno to return after the rest of the path has led to a directory.
            pub name: Result<&'m [u8], Errno>,
        }
    )*};
}

on_a_name! {
    /// Create a directory.
    MakeDirectory;
    /// Remove an empty directory.
    RemoveDirectory;
    /// Remove a name that is not a directory.
    Unlink;
    /// Read the target of a symbolic link.
    ReadLink;
}

/// Create a hard link to an existing file.
#[derive(Debug)]
#[non_exhaustive]
pub struct Link<'m> {
    /// The path of the file.
    pub old: DirectoryPath<'m>,
    /// Its last component, or the errno for `.` and `..`.
    pub old_name: Result<&'m [u8], Errno>,
    /// The path of the new link.
    pub new: DirectoryPath<'m>,
    /// Its last component, or the errno for `.` and `..`.
    pub new_name: Result<&'m [u8], Errno>,
}

/// Move a file or directory.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rename<'m> {
    /// The old path.
    pub old: DirectoryPath<'m>,
    /// Its last component, or the errno for `.` and `..`.
    pub old_name: Result<&'m [u8], Errno>,
    /// The new path.
    pub new: DirectoryPath<'m>,
    /// Its last component, or the errno for `.` and `..`.
    pub new_name: Result<&'m [u8], Errno>,
}

/// Create a symbolic link.
#[derive(Debug)]
#[non_exhaustive]
pub struct Symlink<'m> {
    /// The target of the link.
    pub target: LinkTarget<'m>,
    /// The new path.
    pub place: DirectoryPath<'m>,
    /// Its last component, or the errno for `.` and `..`.
    pub name: Result<&'m [u8], Errno>,
}

impl Monitor {
    /// `path_filestat_get`: needs `PATH_FILESTAT_GET`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTDIR`], [`Errno::NOTCAPABLE`], and those of the path.
    #[inline(never)]
    pub fn admit_stat_at<'m>(&self, fd: u32, lookup: u32, path: &'m [u8]) -> Result<Admitted<StatAt<'m>>, Errno> {
        let lookup = LookupFlags::from_guest(lookup)?;
        let place = self.directory_path(fd, Rights::PATH_FILESTAT_GET, path)?;
        let follow = lookup.contains(LookupFlags::SYMLINK_FOLLOW);
        Ok(Admitted::new(StatAt { place, follow }))
    }

    /// `path_filestat_set_times`: needs `PATH_FILESTAT_SET_TIMES`.
    ///
    /// # Errors
    /// As [`admit_stat_at`](Self::admit_stat_at).
    #[inline(never)]
    pub fn admit_set_times_at<'m>(
        &self,
        fd: u32,
        lookup: u32,
        path: &'m [u8],
        times: NewTimes,
    ) -> Result<Admitted<SetTimesAt<'m>>, Errno> {
        let lookup = LookupFlags::from_guest(lookup)?;
        let place = self.directory_path(fd, Rights::PATH_FILESTAT_SET_TIMES, path)?;
        let follow = lookup.contains(LookupFlags::SYMLINK_FOLLOW);
        Ok(Admitted::new(SetTimesAt { place, follow, times }))
    }

    /// `path_create_directory`: needs `PATH_CREATE_DIRECTORY`.
    ///
    /// # Errors
    /// As [`admit_stat_at`](Self::admit_stat_at). A path that ends in `.` or `..` is [`Errno::EXIST`].
    #[inline(never)]
    pub fn admit_create_directory<'m>(&self, fd: u32, path: &'m [u8]) -> Result<Admitted<MakeDirectory<'m>>, Errno> {
        let place = self.directory_path(fd, Rights::PATH_CREATE_DIRECTORY, path)?;
        let name = name_of(&place, Errno::EXIST, Errno::EXIST);
        Ok(Admitted::new(MakeDirectory { place, name }))
    }

    /// `path_remove_directory`: needs `PATH_REMOVE_DIRECTORY`.
    ///
    /// # Errors
    /// As [`admit_stat_at`](Self::admit_stat_at). A path that ends in `.` is [`Errno::INVAL`], one that ends in
    /// `..` is [`Errno::NOTEMPTY`].
    #[inline(never)]
    pub fn admit_remove_directory<'m>(&self, fd: u32, path: &'m [u8]) -> Result<Admitted<RemoveDirectory<'m>>, Errno> {
        let place = self.directory_path(fd, Rights::PATH_REMOVE_DIRECTORY, path)?;
        let name = name_of(&place, Errno::INVAL, Errno::NOTEMPTY);
        Ok(Admitted::new(RemoveDirectory { place, name }))
    }

    /// `path_unlink_file`: needs `PATH_UNLINK_FILE`.
    ///
    /// # Errors
    /// As [`admit_stat_at`](Self::admit_stat_at). A path that ends in `.` or `..` is [`Errno::ISDIR`].
    #[inline(never)]
    pub fn admit_unlink<'m>(&self, fd: u32, path: &'m [u8]) -> Result<Admitted<Unlink<'m>>, Errno> {
        let place = self.directory_path(fd, Rights::PATH_UNLINK_FILE, path)?;
        let name = name_of(&place, Errno::ISDIR, Errno::ISDIR);
        Ok(Admitted::new(Unlink { place, name }))
    }

    /// `path_readlink`: needs `PATH_READLINK`.
    ///
    /// # Errors
    /// As [`admit_stat_at`](Self::admit_stat_at). A path that ends in `.` or `..` is [`Errno::INVAL`].
    #[inline(never)]
    pub fn admit_readlink<'m>(&self, fd: u32, path: &'m [u8]) -> Result<Admitted<ReadLink<'m>>, Errno> {
        let place = self.directory_path(fd, Rights::PATH_READLINK, path)?;
        let name = name_of(&place, Errno::INVAL, Errno::INVAL);
        Ok(Admitted::new(ReadLink { place, name }))
    }

    /// `path_link`: needs `PATH_LINK_SOURCE` on one side and `PATH_LINK_TARGET` on the other.
    ///
    /// Only read-write grants give these rights. So a file of a read-only grant cannot get a hard link in a writable
    /// one (T20).
    ///
    /// # Errors
    /// [`Errno::INVAL`] if a final link is to be followed, as in Wasmtime. If the old path ends in `.` or `..`,
    /// [`Errno::PERM`]; if the new one does, [`Errno::EXIST`].
    #[inline(never)]
    pub fn admit_link<'m>(
        &self,
        old_fd: u32,
        lookup: u32,
        old_path: &'m [u8],
        new_fd: u32,
        new_path: &'m [u8],
    ) -> Result<Admitted<Link<'m>>, Errno> {
        let lookup = LookupFlags::from_guest(lookup)?;
        let old = self.directory_path(old_fd, Rights::PATH_LINK_SOURCE, old_path)?;
        let new = self.directory_path(new_fd, Rights::PATH_LINK_TARGET, new_path)?;
        if lookup.contains(LookupFlags::SYMLINK_FOLLOW) {
            return Err(Errno::INVAL);
        }
        let old_name = name_of(&old, Errno::PERM, Errno::PERM);
        let new_name = name_of(&new, Errno::EXIST, Errno::EXIST);
        Ok(Admitted::new(Link { old, old_name, new, new_name }))
    }

    /// `path_rename`: needs `PATH_RENAME_SOURCE` on one side and `PATH_RENAME_TARGET` on the other.
    ///
    /// # Errors
    /// As [`admit_stat_at`](Self::admit_stat_at). A path that ends in `.` or `..` is [`Errno::BUSY`].
    #[inline(never)]
    pub fn admit_rename<'m>(
        &self,
        old_fd: u32,
        old_path: &'m [u8],
        new_fd: u32,
        new_path: &'m [u8],
    ) -> Result<Admitted<Rename<'m>>, Errno> {
        let old = self.directory_path(old_fd, Rights::PATH_RENAME_SOURCE, old_path)?;
        let new = self.directory_path(new_fd, Rights::PATH_RENAME_TARGET, new_path)?;
        let old_name = name_of(&old, Errno::BUSY, Errno::BUSY);
        let new_name = name_of(&new, Errno::BUSY, Errno::BUSY);
        Ok(Admitted::new(Rename { old, old_name, new, new_name }))
    }

    /// `path_symlink`: needs `PATH_SYMLINK`.
    ///
    /// # Errors
    /// As [`admit_stat_at`](Self::admit_stat_at), for target and path. A path that ends in `.` or `..` is [`Errno::EXIST`].
    #[inline(never)]
    pub fn admit_symlink<'m>(&self, target: &'m [u8], fd: u32, path: &'m [u8]) -> Result<Admitted<Symlink<'m>>, Errno> {
        let place = self.directory_path(fd, Rights::PATH_SYMLINK, path)?;
        let target = LinkTarget::parse(target)?;
        let name = name_of(&place, Errno::EXIST, Errno::EXIST);
        Ok(Admitted::new(Symlink { target, place, name }))
    }

    fn directory_path<'m>(&self, fd: u32, rights: Rights, path: &'m [u8]) -> Result<DirectoryPath<'m>, Errno> {
        let dir = self.directory_entry(fd, rights)?.target();
        Ok(DirectoryPath { dir, path: GuestPath::parse(path)? })
    }
}

/// The last component, or the errno of Linux if it is `.` or `..`.
fn name_of<'m>(place: &DirectoryPath<'m>, dot: Errno, dot_dot: Errno) -> Result<&'m [u8], Errno> {
    match place.path.last() {
        Last::Name(name) => Ok(name),
        Last::Dot => Err(dot),
        Last::DotDot => Err(dot_dot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, HostFd, Limits};

    fn with_grant(access: Access) -> Monitor {
        let mut monitor = Monitor::new(Limits::default());
        monitor.grant_directory(HostFd::new(0), b"/".to_vec(), access).unwrap();
        monitor
    }

    #[test]
    fn t20_nothing_moves_between_a_read_only_and_a_writable_grant() {
        let mut monitor = with_grant(Access::ReadOnly);
        let writable = monitor.grant_directory(HostFd::new(1), b"/w".to_vec(), Access::ReadWrite).unwrap();
        for (from, to) in [(3, writable), (writable, 3), (3, 3)] {
            assert_eq!(monitor.admit_link(from, 0, b"a", to, b"b").err(), Some(Errno::NOTCAPABLE));
            assert_eq!(monitor.admit_rename(from, b"a", to, b"b").err(), Some(Errno::NOTCAPABLE));
        }
        assert!(monitor.admit_rename(writable, b"a", writable, b"b").is_ok());
    }

    #[test]
    fn dots_are_no_names() {
        let monitor = with_grant(Access::ReadWrite);
        assert_eq!(monitor.admit_create_directory(3, b"a/..").unwrap().name, Err(Errno::EXIST));
        assert_eq!(monitor.admit_create_directory(3, b"a/b").unwrap().name, Ok(&b"b"[..]));
        assert_eq!(monitor.admit_remove_directory(3, b".").unwrap().name, Err(Errno::INVAL));
        assert_eq!(monitor.admit_remove_directory(3, b"a/..").unwrap().name, Err(Errno::NOTEMPTY));
        assert_eq!(monitor.admit_unlink(3, b"a/.").unwrap().name, Err(Errno::ISDIR));
        assert_eq!(monitor.admit_readlink(3, b"a/.").unwrap().name, Err(Errno::INVAL));
        assert_eq!(monitor.admit_symlink(b"x", 3, b".").unwrap().name, Err(Errno::EXIST));
        let link = monitor.admit_link(3, 0, b".", 3, b"a/..").unwrap();
        assert_eq!((link.old_name, link.new_name), (Err(Errno::PERM), Err(Errno::EXIST)));
        let rename = monitor.admit_rename(3, b"a/..", 3, b"b").unwrap();
        assert_eq!((rename.old_name, rename.new_name), (Err(Errno::BUSY), Ok(&b"b"[..])));
    }

    #[test]
    fn t14_both_paths_of_a_call_are_checked() {
        let monitor = with_grant(Access::ReadWrite);
        let bad = Some(Errno::NOTCAPABLE);
        assert_eq!(monitor.admit_rename(3, b"../a", 3, b"b").err(), bad);
        assert_eq!(monitor.admit_rename(3, b"a", 3, b"/b").err(), bad);
        assert_eq!(monitor.admit_link(3, 0, b"/a", 3, b"b").err(), bad);
        assert_eq!(monitor.admit_link(3, 0, b"a", 3, b"../b").err(), bad);
        assert_eq!(monitor.admit_symlink(b"/etc", 3, b"b").err(), bad);
        assert_eq!(monitor.admit_symlink(b"x", 3, b"../b").err(), bad);
    }
}
