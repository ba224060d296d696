//! T17: a slash at the end of a path or of a link's text never makes a link be followed.

use crate::host::Host;
use crate::script::script;
use crate::support::Mode;

/// T17: neither outward, nor for calls that follow nothing.
#[test]
fn follows_nothing() {
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
        open 3 0 "dir/" DIRECTORY ALL_DIR              # the neighbours
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
