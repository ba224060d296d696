//! T17: a slash at the end of a path or of a link's text never makes a link be followed out of the grant.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T17: no link that leads out is followed, and none by calls that make, move or remove a name.
#[test]
fn leads_nowhere_outside() {
    let guest = script(
        r#"
        open 3 FOLLOW "out_dir/" 0 READDIR = NOTCAPABLE
        open 3 FOLLOW "out_slash" DIRECTORY READDIR = NOTCAPABLE
        open 3 FOLLOW "out_slash/" DIRECTORY READDIR = NOTCAPABLE
        open 3 FOLLOW "out_dir//" DIRECTORY READDIR = NOTCAPABLE
        open 3 FOLLOW "out_dir/./" DIRECTORY READDIR = NOTCAPABLE
        open 3 0 "out_dir/" 0 READDIR = NOTDIR
        open 3 0 "out_slash/" DIRECTORY READDIR = NOTDIR
        open 3 FOLLOW "out_file/" 0 READ = NOTCAPABLE
        open 3 FOLLOW "out_dangling/" CREAT WRITE = ISDIR
        path_filestat_get 3 FOLLOW "out_dir/" OUT = NOTCAPABLE
        path_filestat_get 3 0 "out_dir/" OUT = NOTDIR
        path_filestat_get 3 0 "out_slash/" OUT = NOTDIR
        path_filestat_set_times 3 0 "out_dir/" 1 1 ATIM|MTIM = NOTDIR
        path_filestat_set_times 3 FOLLOW "out_dir/" 1 1 ATIM|MTIM = NOTCAPABLE
        path_create_directory 3 "out_dangling/" = EXIST
        path_create_directory 3 "out_dir/" = EXIST
        path_remove_directory 3 "out_dir/" = NOTDIR
        path_remove_directory 3 "out_slash/" = NOTDIR
        path_unlink_file 3 "out_file/" = NOTDIR
        path_unlink_file 3 "out_dir/" = NOTDIR
        path_readlink 3 "out_dir/" BUF 100 OUT = NOTDIR
        path_symlink "x" 3 "out_dangling/" = EXIST
        path_symlink "x" 3 "out_dir/" = EXIST
        path_rename 3 "out_dir/" 3 "moved" = NOTDIR
        path_rename 3 "dir" 3 "out_dir/" = NOTDIR
        path_rename 3 "dir" 3 "out_dangling/" = NOTDIR
        path_link 3 0 "out_file/" 3 "linked" = NOTDIR
        path_link 3 0 "file" 3 "out_dangling/" = EXIST
        open 3 0 "dir/" DIRECTORY ALL_DIR              # the neighbors
        open 3 FOLLOW "in_dir/" DIRECTORY ALL_DIR
        path_filestat_get 3 FOLLOW "in_dir/" OUT
        path_filestat_get 3 0 "dir//" OUT
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        let (inside, outside) = (host.inside(), host.outside());
        guest.run(host.granted(*mode, "rw"));
        assert_eq!((host.inside(), host.outside()), (inside, outside), "{mode:?}");
    }
}

/// T17: a link inside the grant is followed to the directory it leads to, with and without `FOLLOW`, as POSIX asks.
#[test]
fn asks_for_the_directory_inside() {
    let guest = script(
        r#"
        path_filestat_get 3 0 "in_dir/" OUT
        bytes OUT+16 1 = 03
        path_filestat_get 3 0 "in_dir" OUT
        bytes OUT+16 1 = 07
        open 3 0 "in_dir/" 0 ALL_DIR
        open [FD] 0 "file" 0 READ
        fd_read [FD] {BUF 100} OUT
        text BUF [OUT] = "of its directory"
        open 3 0 "in_dir//" DIRECTORY READDIR
        open 3 0 "in_dir" DIRECTORY READDIR = NOTDIR
        path_filestat_get 3 0 "in_file/" OUT = NOTDIR
        open 3 0 "in_file/" 0 READ = NOTDIR
        path_filestat_get 3 0 "in_dangling/" OUT = NOENT
        path_readlink 3 "in_dir/" BUF 100 OUT = INVAL
        path_link 3 0 "in_dir/" 3 "linked" = PERM
        path_unlink_file 3 "in_dir/" = NOTDIR
        path_remove_directory 3 "in_dir/" = NOTDIR
        path_rename 3 "in_dir/" 3 "moved" = NOTDIR
        "#,
    );
    let times = script("path_filestat_set_times 3 0 \"in_dir/\" 5 5 ATIM|MTIM");
    for mode in Mode::ALL {
        let host = Host::with_links();
        let (inside, outside) = (host.inside(), host.outside());
        guest.run(host.granted(*mode, "rw"));
        assert_eq!((host.inside(), host.outside()), (inside, outside), "{mode:?}");
        times.run(host.granted(*mode, "rw"));
        let [dir, link] = ["grant/dir", "grant/in_dir"].map(|name| fs::symlink_metadata(host.path(name)).unwrap());
        assert_eq!((dir.mtime(), dir.mtime_nsec()), (0, 5), "{mode:?}");
        assert!(link.mtime() > 0, "{mode:?}: the link itself stays");
    }
}
