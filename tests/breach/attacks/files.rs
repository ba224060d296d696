//! Files: outside of the grants, in the one to read, in the one to write.

use libc::{
    AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, EACCES, EXDEV, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TMPFILE,
    O_TRUNC, O_WRONLY, SYS_openat,
};

use crate::probe::Kind::{Network, Other, Permitted, Write};
use crate::probe::{End, Evidence, Kind, Probe, attack};
use crate::raw::{call, happened};
use crate::scene::{LEAKED_DIRECTORY, LEAKED_FILE, LEAKED_SOCKET, Scene};

const REFUSED: End = End::Errno(EACCES);

pub fn attacks() -> Vec<Probe> {
    let mut all = outside();
    all.extend(read_only_grant());
    all.extend(writable_grant());
    all.extend(metadata());
    all.extend(directories());
    all.extend(leaked());
    all
}

/// How a second name for root's file ends: where the kernel lets everybody make one, Landlock is alone.
fn linking() -> (Kind, End) {
    if has_protected_links() { (Write, End::Errno(libc::EPERM)) } else { (Other, End::Errno(EXDEV)) }
}

/// Whether one can make a second name for own files only. Source: proc_sys_fs(5).
pub fn has_protected_links() -> bool {
    std::fs::read_to_string("/proc/sys/fs/protected_hardlinks").is_ok_and(|text| text.trim() == "1")
}

fn outside() -> Vec<Probe> {
    let linking = linking();
    vec![
        attack(Other, "T30", "read a file outside", "openat", |s| read(s, "outside/file")).with_files(REFUSED),
        attack(Other, "T30", "read it by `openat2`", "openat2", |s| {
            let how = [O_RDONLY as u64, 0, 0];
            let fd = call!(libc::SYS_openat2, AT_FDCWD, s.path("outside/file").as_ptr(), how.as_ptr(), 24)?;
            content(fd)
        })
        .with_files(REFUSED),
        attack(Other, "T30", "read it by `open`", "open", |s| {
            content(call!(libc::SYS_open, s.path("outside/file").as_ptr(), O_RDONLY)?)
        }),
        attack(Other, "T30", "list a directory outside", "openat", |s| {
            let fd = call!(SYS_openat, AT_FDCWD, s.path("outside").as_ptr(), O_RDONLY | O_DIRECTORY)?;
            let mut names = [0_u8; 512];
            happened(call!(libc::SYS_getdents64, fd, names.as_mut_ptr(), names.len())? > 0)
        })
        .with_files(REFUSED),
        attack(Write, "T30", "write to a file outside", "openat", |s| write(s, "outside/file"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "write to a file outside that is the process's own", "openat", |s| write(s, "own/file"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "truncate a file outside", "openat", |s| open(s, "outside/file", O_WRONLY | O_TRUNC))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "truncate it by `truncate`", "truncate", |s| {
            call!(libc::SYS_truncate, s.path("outside/file").as_ptr(), 0).map(drop)
        })
        .seen_by(Evidence::Tree),
        attack(Write, "T30", "create a file outside", "openat", |s| open(s, "outside/new", O_WRONLY | O_CREAT))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "create a file without a name outside", "openat", |s| {
            open(s, "outside/dir", O_RDWR | O_TMPFILE)
        })
        .with_files(REFUSED),
        attack(Write, "T30", "create a directory outside", "mkdirat", |s| make_dir(s, "outside/new"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "remove a file outside", "unlinkat", |s| remove(s, "outside/file", 0))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "remove a directory outside", "unlinkat", |s| remove(s, "outside/empty", AT_REMOVEDIR))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "rename a file outside", "renameat", |s| rename(s, "outside/file", "outside/new"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "move a file from outside into the grant", "renameat", |s| {
            rename(s, "outside/file", "rw/new")
        })
        .with_files(REFUSED)
        .seen_by(Evidence::Tree),
        attack(Write, "T30", "move a file out of the grant", "renameat", |s| rename(s, "rw/file", "outside/new"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(linking.0, "T30", "a hard link in the grant to a file outside", "linkat", |s| {
            link(s, "outside/file", "rw/new")
        })
        .with_files(linking.1)
        .ordinary_with_files(End::Errno(EXDEV))
        .seen_by(Evidence::Tree),
        attack(Write, "T30", "a symbolic link outside", "symlinkat", |s| symlink(s, "outside/new"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T30", "a pipe outside", "mknodat", |s| make_node(s, "outside/new", libc::S_IFIFO))
            .seen_by(Evidence::Tree),
        attack(Write, "T94", "a device outside", "mknodat", |s| make_node(s, "outside/new", libc::S_IFBLK))
            .needs_root()
            .seen_by(Evidence::Tree),
    ]
}

fn read_only_grant() -> Vec<Probe> {
    let linking = linking();
    vec![
        attack(Permitted, "T30", "read a file of the read-only grant", "openat", |s| read(s, "ro/file"))
            .with_files(End::Done),
        attack(Write, "T21", "write to a file of the read-only grant", "openat", |s| write(s, "ro/file"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T21", "truncate a file of the read-only grant", "openat", |s| {
            open(s, "ro/file", O_WRONLY | O_TRUNC)
        })
        .with_files(REFUSED)
        .seen_by(Evidence::Tree),
        attack(Write, "T21", "create a file in the read-only grant", "openat", |s| {
            open(s, "ro/new", O_WRONLY | O_CREAT)
        })
        .with_files(REFUSED)
        .seen_by(Evidence::Tree),
        attack(Write, "T21", "create a directory in the read-only grant", "mkdirat", |s| make_dir(s, "ro/new"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T21", "remove a file of the read-only grant", "unlinkat", |s| remove(s, "ro/file", 0))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
        attack(Write, "T20", "move a file from the read-only grant to the writable one", "renameat", |s| {
            rename(s, "ro/file", "rw/new")
        })
        .with_files(REFUSED)
        .seen_by(Evidence::Tree),
        attack(linking.0, "T20", "a hard link in the writable grant to a file of the read-only one", "linkat", |s| {
            link(s, "ro/file", "rw/new")
        })
        .with_files(linking.1)
        .ordinary_with_files(End::Errno(EXDEV))
        .seen_by(Evidence::Tree),
        attack(Write, "T21", "a symbolic link in the read-only grant", "symlinkat", |s| symlink(s, "ro/new"))
            .with_files(REFUSED)
            .seen_by(Evidence::Tree),
    ]
}

fn writable_grant() -> Vec<Probe> {
    vec![
        attack(Permitted, "T30", "write to a file of the writable grant", "openat", |s| write(s, "rw/file"))
            .with_files(End::Done)
            .seen_by(Evidence::Tree),
        attack(Permitted, "T30", "create a file in the writable grant", "openat", |s| {
            open(s, "rw/new", O_WRONLY | O_CREAT)
        })
        .with_files(End::Done)
        .seen_by(Evidence::Tree),
        attack(Permitted, "T30", "rename a file of the writable grant", "renameat", |s| rename(s, "rw/file", "rw/new"))
            .with_files(End::Done)
            .seen_by(Evidence::Tree),
        attack(Permitted, "T30", "a hard link to a file of the writable grant", "linkat", |s| {
            link(s, "rw/file", "rw/new")
        })
        .with_files(End::Done)
        .seen_by(Evidence::Tree),
        attack(Permitted, "T30", "remove a file of the writable grant", "unlinkat", |s| remove(s, "rw/file", 0))
            .with_files(End::Done)
            .seen_by(Evidence::Tree),
        attack(Other, "T92", "a pipe in the writable grant", "mknodat", |s| make_node(s, "rw/new", libc::S_IFIFO))
            .seen_by(Evidence::Tree),
        attack(Other, "T92", "a socket in the writable grant", "mknodat", |s| make_node(s, "rw/new", libc::S_IFSOCK))
            .seen_by(Evidence::Tree),
        attack(Write, "T92", "a device in the writable grant", "mknodat", |s| make_node(s, "rw/new", libc::S_IFBLK))
            .needs_root()
            .seen_by(Evidence::Tree),
    ]
}

/// What Landlock knows nothing of.
fn metadata() -> Vec<Probe> {
    vec![
        attack(Write, "T94", "mode of a file outside (`fchmodat`)", "fchmodat", |s| {
            call!(libc::SYS_fchmodat, AT_FDCWD, s.path("outside/file").as_ptr(), 0o600).map(drop)
        })
        .seen_by(Evidence::Tree),
        attack(Write, "T94", "mode of a file outside (`fchmodat2`)", "fchmodat2", |s| {
            call!(libc::SYS_fchmodat2, AT_FDCWD, s.path("outside/file").as_ptr(), 0o600, 0).map(drop)
        })
        .seen_by(Evidence::Tree),
        attack(Write, "T94", "mode of a file outside that is the process's own", "fchmodat", |s| {
            call!(libc::SYS_fchmodat, AT_FDCWD, s.path("own/file").as_ptr(), 0o600).map(drop)
        })
        .seen_by(Evidence::Tree),
        attack(Write, "T94", "mode of a file of the read-only grant", "fchmodat", |s| {
            call!(libc::SYS_fchmodat, AT_FDCWD, s.path("ro/file").as_ptr(), 0o600).map(drop)
        })
        .seen_by(Evidence::Tree),
        attack(Write, "T94", "mode of the read-only grant (`fchmod`)", "fchmod", |s| {
            call!(libc::SYS_fchmod, s.ro, 0o700).map(drop)
        })
        .seen_by(Evidence::Tree),
        attack(Write, "T94", "owner of a file outside", "fchownat", |s| {
            call!(libc::SYS_fchownat, AT_FDCWD, s.path("outside/file").as_ptr(), 1, 1, 0).map(drop)
        })
        .needs_root()
        .seen_by(Evidence::Tree),
        attack(Write, "T94", "attribute of a file outside", "setxattr", |s| {
            let (path, name) = (s.path("outside/file"), c"user.new");
            call!(libc::SYS_setxattr, path.as_ptr(), name.as_ptr(), name.as_ptr(), 1, 0).map(drop)
        })
        .seen_by(Evidence::Tree),
        attack(Write, "T94", "attribute of a file of the read-only grant (`setxattrat`)", "setxattrat", |s| {
            let name = c"user.new";
            let value = [name.as_ptr() as u64, 1];
            call!(463, AT_FDCWD, s.path("ro/file").as_ptr(), 0, name.as_ptr(), value.as_ptr(), 16).map(drop)
        })
        .seen_by(Evidence::Tree)
        .where_available(),
        attack(Write, "T94", "attribute of a file outside, removed", "removexattr", |s| {
            call!(libc::SYS_removexattr, s.path("outside/file").as_ptr(), c"user.wave".as_ptr()).map(drop)
        })
        .seen_by(Evidence::Tree),
        attack(Write, "T94", "inode flags of a file outside (`file_setattr`)", "file_setattr", |s| {
            let none = [0_u64; 3];
            call!(469, AT_FDCWD, s.path("outside/file").as_ptr(), none.as_ptr(), 24, 0).map(drop)
        })
        .where_available(),
        attack(Write, "T18, T94", "times of a file outside", "utimensat", |s| set_times(s, "outside/file"))
            .with_files(End::Errno(libc::EPERM))
            .ordinary_with_files(End::Done)
            .seen_by(Evidence::Tree),
        attack(Write, "T18, T94", "times of a file outside that is the process's own", "utimensat", |s| {
            set_times(s, "own/file")
        })
        .with_files(End::Done)
        .seen_by(Evidence::Tree),
        attack(Write, "T21, T94", "times of a file of the read-only grant", "utimensat", |s| set_times(s, "ro/file"))
            .with_files(End::Errno(libc::EPERM))
            .ordinary_with_files(End::Done)
            .seen_by(Evidence::Tree),
        attack(Other, "T29", "attributes of a file outside, read", "newfstatat", |s| {
            let mut stat = [0_u8; 144];
            call!(libc::SYS_newfstatat, AT_FDCWD, s.path("outside/file").as_ptr(), stat.as_mut_ptr(), 0).map(drop)
        })
        .with_files(End::Done),
        attack(Other, "T29", "target of a symbolic link outside", "readlinkat", |s| {
            let mut text = [0_u8; 64];
            call!(libc::SYS_readlinkat, AT_FDCWD, s.path("outside/link").as_ptr(), text.as_mut_ptr(), 64).map(drop)
        })
        .with_files(End::Done),
    ]
}

fn directories() -> Vec<Probe> {
    vec![
        attack(Other, "T94", "working directory", "chdir", |s| {
            call!(libc::SYS_chdir, s.path("outside").as_ptr()).map(drop)
        }),
        attack(Other, "T94", "working directory by descriptor", "fchdir", |s| call!(libc::SYS_fchdir, s.ro).map(drop)),
        attack(Other, "T94", "watch on a file outside", "inotify_init1", |s| {
            let watches = call!(libc::SYS_inotify_init1, 0)?;
            call!(libc::SYS_inotify_add_watch, watches, s.path("outside/file").as_ptr(), libc::IN_ALL_EVENTS).map(drop)
        }),
        attack(Other, "T94", "watch on a mount (`fanotify`)", "fanotify_init", |s| {
            let watches = call!(libc::SYS_fanotify_init, 0, O_RDONLY)?;
            let (add, of_mount, opened) = (1, 0x10, 0x20);
            let path = s.path("outside");
            call!(libc::SYS_fanotify_mark, watches, add | of_mount, opened, AT_FDCWD, path.as_ptr()).map(drop)
        })
        .needs_root(),
        attack(Other, "T94", "watch by signal (`F_NOTIFY`)", "fcntl", |s| {
            call!(libc::SYS_fcntl, s.ro, libc::F_NOTIFY, 4).map(drop)
        }),
        attack(Other, "T94", "lease on a file", "fcntl", |_| {
            call!(libc::SYS_fcntl, 1, libc::F_SETLEASE, libc::F_WRLCK).map(drop)
        })
        .reached(libc::EINVAL)
        .needs_root_else(EACCES),
        attack(Other, "T86", "handle of a file outside", "name_to_handle_at", |s| {
            let mut handle = s.handle;
            handle[..4].copy_from_slice(&128_u32.to_le_bytes());
            let (path, mut mount) = (s.path("outside/file"), 0_i32);
            let at = handle.as_mut_ptr();
            call!(libc::SYS_name_to_handle_at, AT_FDCWD, path.as_ptr(), at, &raw mut mount, 0).map(drop)
        }),
        attack(Other, "T86", "open a file outside by its handle", "open_by_handle_at", |s| {
            content(call!(libc::SYS_open_by_handle_at, s.rw, s.handle.as_ptr(), O_RDONLY)?)
        })
        .needs_root(),
        attack(Write, "T86", "write to a file outside by its handle", "open_by_handle_at", |s| {
            let fd = call!(libc::SYS_open_by_handle_at, s.rw, s.handle.as_ptr(), O_WRONLY)?;
            call!(libc::SYS_write, fd, c"x".as_ptr(), 1).map(drop)
        })
        .needs_root()
        .seen_by(Evidence::Tree),
    ]
}

/// What a careless parent left open.
fn leaked() -> Vec<Probe> {
    let closed = End::Errno(libc::EBADF);
    vec![
        attack(Other, "T37", "read a descriptor the parent leaked", "read", |_| content(LEAKED_FILE.into()))
            .with_files(closed),
        attack(Write, "T37", "write to a descriptor the parent leaked", "write", |_| {
            call!(libc::SYS_write, LEAKED_FILE, c"x".as_ptr(), 1).map(drop)
        })
        .with_files(closed)
        .seen_by(Evidence::Tree),
        attack(Write, "T37", "create a file in a directory the parent leaked", "openat", |_| {
            call!(SYS_openat, LEAKED_DIRECTORY, c"new".as_ptr(), O_WRONLY | O_CREAT, 0o600).map(drop)
        })
        .with_files(closed)
        .seen_by(Evidence::Tree),
        attack(Network, "T37", "write to a connected socket the parent leaked", "write", |_| {
            call!(libc::SYS_write, LEAKED_SOCKET, c"x".as_ptr(), 1).map(drop)
        })
        .with_files(closed)
        .seen_by(Evidence::Packet),
    ]
}

fn open(s: &Scene, name: &str, flags: i32) -> Result<(), i32> {
    call!(SYS_openat, AT_FDCWD, s.path(name).as_ptr(), flags, 0o600).map(drop)
}

fn read(s: &Scene, name: &str) -> Result<(), i32> {
    content(call!(SYS_openat, AT_FDCWD, s.path(name).as_ptr(), O_RDONLY)?)
}

/// Whether a descriptor gives what the files of the scene hold.
pub fn content(fd: i64) -> Result<(), i32> {
    let mut bytes = [0_u8; 7];
    call!(libc::SYS_read, fd, bytes.as_mut_ptr(), bytes.len())?;
    happened(&bytes == b"content")
}

fn write(s: &Scene, name: &str) -> Result<(), i32> {
    let fd = call!(SYS_openat, AT_FDCWD, s.path(name).as_ptr(), O_WRONLY)?;
    call!(libc::SYS_write, fd, c"x".as_ptr(), 1).map(drop)
}

fn make_dir(s: &Scene, name: &str) -> Result<(), i32> {
    call!(libc::SYS_mkdirat, AT_FDCWD, s.path(name).as_ptr(), 0o700).map(drop)
}

fn make_node(s: &Scene, name: &str, kind: u32) -> Result<(), i32> {
    call!(libc::SYS_mknodat, AT_FDCWD, s.path(name).as_ptr(), kind | 0o600, 0x0707).map(drop)
}

fn remove(s: &Scene, name: &str, flags: i32) -> Result<(), i32> {
    call!(libc::SYS_unlinkat, AT_FDCWD, s.path(name).as_ptr(), flags).map(drop)
}

fn rename(s: &Scene, from: &str, to: &str) -> Result<(), i32> {
    call!(libc::SYS_renameat, AT_FDCWD, s.path(from).as_ptr(), AT_FDCWD, s.path(to).as_ptr()).map(drop)
}

fn link(s: &Scene, from: &str, to: &str) -> Result<(), i32> {
    call!(libc::SYS_linkat, AT_FDCWD, s.path(from).as_ptr(), AT_FDCWD, s.path(to).as_ptr(), 0).map(drop)
}

fn symlink(s: &Scene, at: &str) -> Result<(), i32> {
    call!(libc::SYS_symlinkat, c"/etc/passwd".as_ptr(), AT_FDCWD, s.path(at).as_ptr()).map(drop)
}

fn set_times(s: &Scene, name: &str) -> Result<(), i32> {
    // Access and change, in seconds and nanoseconds.
    let (path, times) = (s.path(name), [1_i64, 0, 1, 0]);
    call!(libc::SYS_utimensat, AT_FDCWD, path.as_ptr(), times.as_ptr(), AT_SYMLINK_NOFOLLOW).map(drop)
}
