//! What Landlock alone does not hold, shown to work, so that the list in CAVEATS.md stays true: a kernel that closes one of these
//! fails a test here, and the list gets shorter. What the monitor does about each is tested under its number, but for names from before
//! the run (T20), which nothing notices.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;

use nix::sys::stat::{SFlag, makedev, mknod};

use crate::host::{Host, has_device_nodes, make_fifo};
use crate::script::script;
use crate::unmonitored::{around, command, unmonitored};
use wave_test_support::{Wave, as_root, cannot_run, give_to_guest};

fn granted(host: &Host, access: &str) -> Wave {
    unmonitored("strict").dir(&host.path("grant"), "/", access)
}

/// T18, T29, T113: names, sizes, times and link texts outside can be read, and errors tell whether a name is there. Neither
/// contents nor listings.
#[test]
fn t29_attributes_outside_are_seen() {
    let host = Host::with_links();
    host.link("outside/link", "target");
    let before = around(&host);
    let guest = script(
        r#"
        path_filestat_get 3 0 "../outside/secret" OUT
        show64 OUT+32 = 6
        path_filestat_get 3 FOLLOW "out_file" OUT
        show64 OUT+32 = 6
        path_filestat_get 3 0 "../outside/missing" OUT = NOENT
        path_filestat_get 3 0 "/etc/passwd" OUT
        path_filestat_get 0xffffff9c 0 "." OUT
        path_readlink 3 "../outside/link" BUF 100 OUT
        text BUF [OUT] = "target"
        path_readlink 3 "../outside/secret" BUF 100 OUT = INVAL
        path_readlink 3 "/proc/self/exe" BUF 100 OUT     # a path of the host
        path_create_directory 3 "../outside/dir" = EXIST
        path_create_directory 3 "../outside/missing" = ACCES
        open 3 0 "../outside" 0 0                        # a handle can be had, and asked for attributes:
        fd_filestat_get [FD] OUT
        path_filestat_get [FD] 0 "secret" OUT
        fd_readdir [FD] BUF 100 0 OUT = BADF             # nothing else
        open [FD] 0 "." DIRECTORY READDIR = ACCES
        open 3 0 "../outside/secret" 0 0
        fd_read [FD] {BUF 100} OUT = BADF
        fd_filestat_set_size [FD] 0 = BADF
        "#,
    );
    guest.run(granted(&host, "rw"));
    assert_eq!(around(&host), before);
}

/// T18, T94: times outside can be set where the identity owns the file, or, to now, where it may write.
#[test]
fn t18_times_outside_are_set() {
    let host = Host::with_links();
    for call in [
        "path_filestat_set_times 3 0 \"../outside/secret\" 5000000000 5000000000 ATIM|MTIM",
        "path_filestat_set_times 3 FOLLOW \"out_file\" 5000000000 5000000000 ATIM|MTIM",
        "open 3 0 \"../outside\" 0 0\n path_filestat_set_times [FD] 0 \"secret\" 5000000000 5000000000 ATIM|MTIM",
    ] {
        host.write("outside/secret", "secret");
        script(call).run(granted(&host, "rw"));
        assert_eq!(fs::metadata(host.path("outside/secret")).unwrap().mtime(), 5, "{call}");
    }
    assert_eq!(fs::read_to_string(host.path("outside/secret")).unwrap(), "secret");
}

/// T18, T94: the layer behind it. The user that root becomes by default owns nothing and changes only what everybody may write.
#[test]
fn t18_an_identity_of_its_own_limits_times() {
    if !as_root() {
        // Nothing is left out in CI, which runs this as root as well.
        return cannot_run("only root becomes another user");
    }
    let host = Host::new();
    fs::set_permissions(host.path("outside/dir/secret"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let guest = script(
        r#"
        path_filestat_set_times 3 0 "../outside/secret" 5 5 ATIM|MTIM = PERM
        path_filestat_set_times 3 0 "../outside/dir/secret" 5 5 ATIM|MTIM = PERM
        path_filestat_set_times 3 0 "../outside/dir/secret" 0 0 ATIM_NOW|MTIM_NOW = ACCES
        pause
        path_filestat_set_times 3 0 "../outside/secret" 0 0 ATIM_NOW|MTIM_NOW
        "#,
    );
    let before = around(&host);
    let paused = guest.start(Wave::program(command("strict")).dir(&host.path("grant"), "/", "rw"));
    assert_eq!(around(&host), before);
    paused.finish();
    assert_ne!(around(&host), before);
}

/// T19: links with an absolute text can be made, in the grant. They lead the guest nowhere, but may mislead the host's programs.
#[test]
fn t19_absolute_links_are_made() {
    let host = Host::new();
    script("path_symlink \"/etc/passwd\" 3 \"link\"\n open 3 0 \"link\" 0 READ = ACCES").run(granted(&host, "rw"));
    assert_eq!(fs::read_link(host.path("grant/link")).unwrap().to_str(), Some("/etc/passwd"));
}

/// T20: a second name that was in a writable grant before the run is writable: rights belong to paths, not to files.
#[test]
fn t20_a_hard_link_from_before_is_writable() {
    let host = Host::new();
    host.make_dir("writable");
    fs::hard_link(host.path("grant/file"), host.path("writable/alias")).unwrap();
    let guest = script("open 3 0 \"file\" 0 WRITE = ACCES\n open 4 0 \"alias\" 0 WRITE\n fd_write [FD] {\"over\"} OUT");
    guest.run(granted(&host, "ro").dir(&host.path("writable"), "/w", "rw"));
    assert_eq!(fs::read_to_string(host.path("grant/file")).unwrap(), "overhe grant");
}

/// T21: times in a read-only grant can be set through a file that is open for reading, by who owns it.
#[test]
fn t21_times_of_a_read_only_grant_are_set() {
    let host = Host::new();
    let guest = script("open 3 0 \"file\" 0 READ\n fd_filestat_set_times [FD] 5000000000 5000000000 ATIM|MTIM");
    // The filter has the call for the sake of another grant, which may be changed.
    let other = Host::new();
    guest.run(granted(&host, "ro").dir(&other.path("grant"), "/other", "rw"));
    assert_eq!(fs::metadata(host.path("grant/file")).unwrap().mtime(), 5);
    assert_eq!(fs::read_to_string(host.path("grant/file")).unwrap(), "of the grant");
}

/// T21: in a grant to append, what is there can be written over, but neither cut, removed nor replaced.
#[test]
fn t21_an_append_grant_is_written_over() {
    let host = Host::new();
    let guest = script(
        r#"
        open 3 0 "file" 0 WRITE
        fd_pwrite [FD] {"over"} 0 OUT
        fd_filestat_set_size [FD] 0 = ACCES
        open 3 0 "file" TRUNC WRITE = ACCES
        path_unlink_file 3 "file" = ACCES
        path_remove_directory 3 "dir" = ACCES
        path_rename 3 "file" 3 "moved" = ACCES
        path_symlink "x" 3 "link" = ACCES
        path_link 3 0 "file" 3 "dir/linked" = XDEV
        path_link 3 0 "file" 3 "linked"                  # a second name beside the first
        "#,
    );
    guest.run(granted(&host, "append"));
    assert_eq!(fs::read_to_string(host.path("grant/file")).unwrap(), "overhe grant");
}

/// T24: with a grant of `/` what procfs and sysfs show everybody is read, the addresses of the runtime among it. Memory and
/// environment are not: the process is not dumpable, so these files belong to root.
#[test]
fn t24_a_grant_of_the_root_opens_procfs() {
    let guest = script(
        r#"
        open 3 0 "proc/version" 0 READ
        open 3 0 "proc/self/status" 0 READ
        open 3 0 "proc/self/maps" 0 READ
        fd_read [FD] {BUF 100} OUT
        open 3 0 "sys/kernel" DIRECTORY READDIR
        open 3 0 "proc/self/mem" 0 READ = ACCES
        open 3 0 "proc/self/mem" 0 WRITE = ACCES
        open 3 0 "proc/self/environ" 0 READ = ACCES
        open 3 0 "proc/thread-self/mem" 0 WRITE = ACCES
        open 3 0 "proc/self/task" DIRECTORY READDIR
        open 3 0 "proc/1/environ" 0 READ = ACCES
        open 3 0 "proc/sys/kernel/core_pattern" 0 WRITE = ACCES
        "#,
    );
    guest.run(unmonitored("strict").dir("/".as_ref(), "/", "ro"));
    guest.run(unmonitored("strict").dir("/".as_ref(), "/", "rw"));
}

/// T24, T31: without any such grant, a pipe among the standard streams is opened once more in the other direction, as Landlock has
/// no rule for what no path leads to. A file among them is not.
#[test]
fn t24_pipes_that_are_open_are_opened_again() {
    let host = Host::new();
    // Pipes belong to who made them: not to the user that root becomes.
    let answer = if as_root() { "ACCES" } else { "SUCCESS" };
    let guest = script(format!(
        r#"
        open 3 0 "/proc/self/fd/0" 0 WRITE = {answer}
        open 3 0 "/proc/self/fd/1" 0 READ = {answer}
        "#
    ));
    guest.run(granted(&host, "ro"));

    let guest = script("open 3 0 \"/proc/self/fd/0\" 0 READ = ACCES\n open 3 0 \"/proc/self/fd/0\" 0 WRITE = ACCES");
    let redirect = format!(r#"exec "$@" <'{}'"#, host.path("outside/secret").display());
    guest.run(granted(&host, "ro").by_shell(&redirect));
}

/// T25: FIFOs in a grant open, also for a reader that would wait. A socket does not.
#[test]
fn t25_fifos_open() {
    let host = Host::new();
    let fifo = host.path("grant/fifo");
    make_fifo(&fifo);
    give_to_guest(&fifo);
    let _listener = UnixListener::bind(host.path("grant/socket")).unwrap();
    give_to_guest(&host.path("grant/socket"));
    let guest = script(
        r#"
        open 3 0 "fifo" 0 READ
        open 3 0 "fifo" 0 WRITE
        fd_write 5 {"through"} OUT
        fd_read 4 {BUF 100} OUT
        text BUF [OUT] = "through"
        open 3 0 "socket" 0 READ = NXIO
        "#,
    );
    guest.run(granted(&host, "rw"));
}

/// T25: so do device nodes, to read and to write as far as their mode allows. There is no ioctl, and none can be made or moved.
#[test]
fn t25_device_nodes_open() {
    let lines = "open 3 0 \"zero\" 0 READ\n fd_read [FD] {BUF 8} OUT\n show [OUT] = 8\n open 3 0 \"null\" 0 READ";
    script(lines).run(unmonitored("strict").dir("/dev".as_ref(), "/", "ro"));
    if !has_device_nodes() {
        return;
    }
    let host = Host::new();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    mknod(&host.path("grant/zero"), SFlag::S_IFCHR, mode, makedev(1, 5)).unwrap();
    give_to_guest(&host.path("grant/zero"));
    let guest = script(
        r#"
        open 3 0 "zero" 0 READ|WRITE
        path_rename 3 "zero" 3 "moved" = ACCES
        path_link 3 0 "zero" 3 "linked" = ACCES
        "#,
    );
    guest.run(granted(&host, "rw"));
}

/// T28: rights add up along a path, so a read-only grant in a writable one is writable. `wave` refuses such grants at the start.
#[test]
fn t28_a_narrow_grant_in_a_wide_one_is_written() {
    let host = Host::new();
    let guest = script("open 4 0 \"file\" 0 WRITE\n fd_write [FD] {\"over\"} OUT\n path_unlink_file 4 \"file\"");
    guest.run(granted(&host, "rw").dir(&host.path("grant/dir"), "/inner", "ro"));
    assert!(!host.path("grant/dir/file").exists());
}

/// T94: a file can be made with every mode bit. It is no way to another identity: writing takes the bits away.
#[test]
fn t94_set_user_id_stays_on_empty_files_only() {
    let host = Host::new();
    let guest = script(
        r#"
        open 3 0 "empty" CREAT WRITE
        open 3 0 "full" CREAT WRITE
        fd_write [FD] {"code"} OUT
        open 3 0 "cut" CREAT WRITE
        fd_filestat_set_size [FD] 1
        open 3 0 "long" CREAT WRITE
        fd_allocate [FD] 0 1
        path_create_directory 3 "made"
        "#,
    );
    // The set-group-ID bit goes if the group may execute.
    guest.run(granted(&host, "rw").by_shell("umask 022; exec \"$@\""));
    let set_id = |name: &str| fs::metadata(host.path("grant").join(name)).unwrap().mode() & 0o6000;
    assert_eq!(set_id("empty"), 0o6000);
    assert_eq!(["full", "cut", "long", "made"].map(set_id), [0; 4]);
}
