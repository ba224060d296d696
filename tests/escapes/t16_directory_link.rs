//! T16: a directory link on the way that leads outside.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// Calls on names behind a directory link `P`.
pub const CALLS: [&str; 19] = [
    "open 3 0 \"P/secret\" 0 READ",
    "open 3 FOLLOW \"P/secret\" TRUNC WRITE",
    "open 3 0 \"P/new\" CREAT WRITE",
    "open 3 FOLLOW \"P/new\" CREAT|EXCL WRITE",
    "open 3 0 \"P/dir\" DIRECTORY ALL_DIR",
    "open 3 0 \"P/dir/secret\" 0 READ",
    "open 3 0 \"P/.\" DIRECTORY ALL_DIR",
    "path_filestat_get 3 0 \"P/secret\" OUT",
    "path_filestat_set_times 3 0 \"P/secret\" 1 1 ATIM|MTIM",
    "path_create_directory 3 \"P/new\"",
    "path_remove_directory 3 \"P/dir\"",
    "path_unlink_file 3 \"P/secret\"",
    "path_readlink 3 \"P/secret\" BUF 100 OUT",
    "path_symlink \"x\" 3 \"P/new\"",
    "path_rename 3 \"P/secret\" 3 \"stolen\"",
    "path_rename 3 \"file\" 3 \"P/new\"",
    "path_rename 3 \"file\" 3 \"P/secret\"",
    "path_link 3 0 \"P/secret\" 3 \"stolen\"",
    "path_link 3 0 \"file\" 3 \"P/new\"",
];

/// T16: is refused by every call, also by way of another link, and nothing is changed.
#[test]
fn is_never_followed() {
    let ways = [
        "out_dir",
        "out_slash",
        "chain_dir",
        "up/outside",
        "dir/../out_dir",
        "in_dir/../out_dir",
        "out_dir/../outside",
    ];
    let lines: String =
        ways.iter().flat_map(|way| CALLS.map(|call| format!("{} = NOTCAPABLE\n", call.replace('P', way)))).collect();
    let guest = script(&lines);
    for mode in Mode::ALL {
        let host = Host::with_links();
        let (inside, outside) = (host.inside(), host.outside());
        guest.run(host.granted(*mode, "rw"));
        assert_eq!((host.inside(), host.outside()), (inside, outside), "{mode:?}");
    }
}

/// T16: a guest may make links that point up. They lead nowhere, for it and for those it made before.
#[test]
fn links_of_the_guests_own_lead_nowhere_either() {
    let guest = script(
        r#"
        path_symlink "../outside" 3 "mine"
        path_symlink "../../outside" 3 "dir/mine"
        path_symlink ".." 3 "upward"
        path_symlink "../outside/secret" 3 "secret"
        open 3 FOLLOW "mine/secret" 0 READ = NOTCAPABLE
        open 3 FOLLOW "dir/mine/secret" 0 READ = NOTCAPABLE
        open 3 FOLLOW "upward/outside/secret" 0 READ = NOTCAPABLE
        open 3 FOLLOW "secret" 0 READ|WRITE = NOTCAPABLE
        open 3 FOLLOW "mine/new" CREAT WRITE = NOTCAPABLE
        path_unlink_file 3 "mine/secret" = NOTCAPABLE
        path_rename 3 "mine" 3 "dir/moved"             # now the text means dir/outside
        open 3 FOLLOW "dir/moved/secret" 0 READ = NOENT
        path_rename 3 "dir/moved" 3 "mine"
        open 3 FOLLOW "mine/secret" 0 READ = NOTCAPABLE
        open 3 0 "dir" DIRECTORY ALL_DIR
        open [FD] FOLLOW "mine/secret" 0 READ = NOTCAPABLE
        open [FD] FOLLOW "in_up" 0 READ = NOTCAPABLE   # inside of the grant, but above this descriptor
        open 3 FOLLOW "dir/in_up" 0 READ               # the neighbors
        open 3 FOLLOW "in_dir/file" 0 READ|WRITE
        open 3 FOLLOW "in_dir/new" CREAT WRITE
        path_unlink_file 3 "in_dir/new"
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        let outside = host.outside();
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(host.outside(), outside, "{mode:?}");
    }
}
