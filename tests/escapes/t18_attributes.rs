//! T18: attributes and times obey the same confinement as open.

use std::fs;

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T18: with following, outside is refused; without, the link itself is meant, and only its own times change.
#[test]
fn follow_no_link_outside() {
    let guest = script(
        r#"
        path_filestat_get 3 FOLLOW "out_file" OUT = NOTCAPABLE
        path_filestat_get 3 FOLLOW "out_absolute" OUT = NOTCAPABLE
        path_filestat_get 3 FOLLOW "out_dangling" OUT = NOTCAPABLE
        path_filestat_get 3 FOLLOW "out_dir" OUT = NOTCAPABLE
        path_filestat_get 3 FOLLOW "out_dir/secret" OUT = NOTCAPABLE
        path_filestat_get 3 FOLLOW "up" OUT = NOTCAPABLE
        path_filestat_get 3 FOLLOW "chain" OUT = NOTCAPABLE
        path_filestat_set_times 3 FOLLOW "out_file" 5 5 ATIM|MTIM = NOTCAPABLE
        path_filestat_set_times 3 FOLLOW "out_absolute" 5 5 ATIM|MTIM = NOTCAPABLE
        path_filestat_set_times 3 FOLLOW "out_dir" 0 0 ATIM_NOW|MTIM_NOW = NOTCAPABLE
        path_filestat_set_times 3 FOLLOW "up" 5 5 ATIM|MTIM = NOTCAPABLE
        path_filestat_set_times 3 0 "out_dir/secret" 5 5 ATIM|MTIM = NOTCAPABLE
        path_filestat_get 3 0 "out_file" OUT
        bytes OUT+16 1 = 07                            # a symbolic link
        show64 OUT+32 = 17                             # with this many bytes of text
        path_filestat_set_times 3 0 "out_file" 5000000000 5000000000 ATIM|MTIM
        path_filestat_get 3 0 "out_file" OUT
        show64 OUT+48 = 5000000000
        path_filestat_get 3 FOLLOW "in_file" OUT       # the neighbors
        bytes OUT+16 1 = 04
        show64 OUT+32 = 16
        path_filestat_set_times 3 FOLLOW "in_file" 5000000000 6000000000 ATIM|MTIM
        path_filestat_get 3 0 "dir/file" OUT
        show64 OUT+48 = 6000000000
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        let outside = host.outside();
        let above = fs::metadata(host.path("")).unwrap().modified().unwrap();
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(host.outside(), outside, "{mode:?}");
        assert_eq!(fs::metadata(host.path("")).unwrap().modified().unwrap(), above);
    }
}
