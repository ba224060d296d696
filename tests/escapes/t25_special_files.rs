//! T25: FIFOs open at once, device nodes and sockets not at all.

use std::os::unix::net::UnixListener;

use nix::sys::stat::{SFlag, makedev, mknod};

use crate::host::{Host, has_device_nodes, make_fifo};
use crate::script::script;
use wave_test_support::{Mode, open_to_all};

/// T25: nobody has the other end open, and still no call waits for it.
#[test]
fn a_fifo_opens_at_once() {
    let guest = script(
        r#"
        start
        open 3 0 "fifo" 0 READ|STAT
        within 100
        start
        open 3 FOLLOW "link" 0 READ
        within 100
        start
        open 3 0 "fifo" 0 WRITE                          # the guest's own readers are there
        open 3 0 "alone" 0 WRITE = NXIO
        open 3 0 "alone" TRUNC WRITE = NXIO
        path_filestat_get 3 0 "fifo" OUT
        path_filestat_get 3 FOLLOW "link" OUT
        path_filestat_set_times 3 0 "fifo" 1 1 MTIM
        within 100
        fd_write 6 {"through"} OUT
        fd_read 4 {BUF 100} OUT
        text BUF [OUT] = "through"
        fd_pread 4 {BUF 1} 0 OUT = SPIPE
        path_unlink_file 3 "fifo"
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        for name in ["fifo", "alone"] {
            make_fifo(&host.path("grant").join(name));
            wave_test_support::give_to_guest(&host.path("grant").join(name));
        }
        host.link("grant/link", "fifo");
        guest.run(host.granted(*mode, "rw"));
    }
}

/// T25: a FIFO that opened at once waits for its writer when it is read, so that nothing is lost.
#[test]
fn a_fifo_waits_for_its_writer_when_it_is_read() {
    let guest = script(
        r#"
        open 3 0 "fifo" 0 READ
        fd_read [FD] {BUF 0} OUT
        show [OUT] = 0
        fd_read [FD] {BUF 100} OUT
        text BUF [OUT] = "late"
        fd_read [FD] {BUF 100} OUT
        show [OUT] = 0
        path_open 3 0 "alone" 0 READ 0 NONBLOCK FD
        fd_read [FD] {BUF 100} OUT = AGAIN
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        for name in ["fifo", "alone"] {
            make_fifo(&host.path("grant").join(name));
            wave_test_support::give_to_guest(&host.path("grant").join(name));
        }
        let fifo = host.path("grant/fifo");
        let writer = std::thread::spawn(move || {
            // Opens when the guest has. Long enough for a read that does not wait to have ended.
            let mut fifo = std::fs::File::options().write(true).open(fifo).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            std::io::Write::write_all(&mut fifo, b"late").unwrap();
        });
        guest.run(host.granted(*mode, "rw"));
        writer.join().unwrap();
    }
}

/// T25: device nodes beneath a grant are refused, whoever made them, and a socket cannot be reached.
#[test]
fn device_nodes_are_refused() {
    let guest = script(
        r#"
        open 3 0 "null" 0 READ = NOTCAPABLE
        open 3 0 "zero" 0 READ = NOTCAPABLE
        open 3 FOLLOW "zero" 0 0 = NOTCAPABLE
        open 3 0 "full" 0 READ = NOTCAPABLE
        open 3 0 "../dev/zero" 0 READ = NOTCAPABLE
        open 3 0 "./zero" 0 READ = NOTCAPABLE
        "#,
    );
    for mode in Mode::ALL {
        guest.run(mode.strict().dir("/dev".as_ref(), "/", "ro"));
    }
    let guest = script(
        r#"
        open 3 0 "socket" 0 READ = NXIO
        open 3 0 "socket" 0 WRITE = NXIO
        open 3 0 "file" 0 READ
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let socket = host.path("grant/socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        open_to_all(&socket);
        guest.run(host.granted(*mode, "rw"));
    }
}

/// T25: the node that was listed opens, under any of its names, and no other does.
#[test]
fn a_listed_device_opens() {
    let guest = script(
        r#"
        open 3 0 "zero" 0 READ
        fill BUF 4 0xaa
        fd_read 4 {BUF 4} OUT
        bytes BUF 4 = 00000000
        open 3 0 "./zero" 0 READ
        open 3 0 "zero" 0 WRITE = NOTCAPABLE             # the grant is read-only
        open 3 0 "full" 0 READ = NOTCAPABLE
        "#,
    );
    for mode in Mode::ALL {
        guest.run(mode.strict().dir("/dev".as_ref(), "/", "ro").flag("--device", "/dev/zero"));
    }
}

/// T25: the same for nodes in a directory of the guest's own, which only root can make.
#[test]
fn device_nodes_of_the_guests_user_are_refused() {
    let guest = script(
        r#"
        open 3 0 "zero" 0 READ|WRITE = NOTCAPABLE
        open 3 FOLLOW "link" 0 READ = NOTCAPABLE
        open 3 0 "dir/zero" 0 READ = NOTCAPABLE
        open 3 0 "loop" 0 READ = ANY
        path_rename 3 "zero" 3 "file" = ACCES            # Landlock: no right to make devices
        path_link 3 0 "zero" 3 "linked" = ACCES
        open 3 0 "dir/file" 0 READ
        "#,
    );
    if !has_device_nodes() {
        return;
    }
    for mode in Mode::ALL {
        let host = Host::new();
        host.link("grant/link", "zero");
        for (name, kind, device) in [
            ("zero", SFlag::S_IFCHR, makedev(1, 5)),
            ("dir/zero", SFlag::S_IFCHR, makedev(1, 5)),
            // No block device has the highest number, so nothing is touched should it be opened.
            ("loop", SFlag::S_IFBLK, makedev(7, 0xf_ffff)),
        ] {
            let path = host.path("grant").join(name);
            mknod(&path, kind, nix::sys::stat::Mode::from_bits_truncate(0o666), device).unwrap();
            wave_test_support::give_to_guest(&path);
        }
        let seen = guest.run(host.granted(*mode, "rw"));
        let block = &seen.iter().find(|(line, _)| line.contains("loop")).unwrap().1;
        assert!(["76", "60", "43", "2"].contains(&&**block), "NOTCAPABLE, or there is no such device: {block}");
    }
}
