//! T15: a final link that leads outside is never followed.

use std::fs;

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T15: neither to read, nor to write, nor to cut, nor to create.
#[test]
fn leads_nowhere() {
    let guest = script(
        r#"
        open 3 FOLLOW "out_file" 0 READ = NOTCAPABLE
        open 3 FOLLOW "out_file" 0 WRITE = NOTCAPABLE
        open 3 FOLLOW "out_file" TRUNC WRITE = NOTCAPABLE
        open 3 FOLLOW "out_file" CREAT WRITE = NOTCAPABLE
        open 3 FOLLOW "out_file" CREAT|TRUNC READ|WRITE = NOTCAPABLE
        open 3 FOLLOW "out_absolute" 0 READ = NOTCAPABLE
        open 3 FOLLOW "out_absolute" CREAT|TRUNC WRITE = NOTCAPABLE
        open 3 FOLLOW "chain" CREAT|TRUNC WRITE = NOTCAPABLE
        open 3 FOLLOW "out_dir" DIRECTORY ALL_DIR = NOTCAPABLE
        open 3 FOLLOW "up" DIRECTORY ALL_DIR = NOTCAPABLE
        open 3 FOLLOW "dir/../up" DIRECTORY ALL_DIR = NOTCAPABLE
        open 3 0 "out_file" 0 READ = LOOP
        open 3 0 "out_file" TRUNC WRITE = LOOP
        open 3 0 "out_file" CREAT WRITE = LOOP
        open 3 FOLLOW "out_file" CREAT|EXCL WRITE = EXIST
        open 3 FOLLOW "in_file" 0 READ|WRITE          # the neighbor: the same inside
        open 3 0 "in_file" 0 READ = LOOP
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        let (inside, outside) = (host.inside(), host.outside());
        guest.run(host.granted(*mode, "rw"));
        assert_eq!((host.inside(), host.outside()), (inside, outside), "{mode:?}");
    }
}

/// T15: a dangling link creates nothing outside, but what it names inside.
#[test]
fn a_dangling_link_creates_nothing_outside() {
    let guest = script(
        r#"
        open 3 FOLLOW "out_dangling" CREAT WRITE = NOTCAPABLE
        open 3 0 "out_dangling" CREAT WRITE = LOOP
        open 3 FOLLOW "out_dangling" CREAT|EXCL WRITE = EXIST
        path_create_directory 3 "out_dangling" = EXIST
        path_symlink "x" 3 "out_dangling" = EXIST
        path_link 3 0 "file" 3 "out_dangling" = EXIST
        open 3 FOLLOW "in_dangling" CREAT WRITE
        fd_write [FD] {"made"} OUT
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        let outside = host.outside();
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(host.outside(), outside, "{mode:?}");
        assert_eq!(fs::read_to_string(host.path("grant/made")).unwrap(), "made");
    }
}
