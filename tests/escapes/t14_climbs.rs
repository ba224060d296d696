//! T14: `..` and absolute paths, in every path argument of every call.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// Every call with a path, `P`. The first list gets only paths that end in a name.
pub const ON_NAMES: [&str; 11] = [
    "path_create_directory 3 P",
    "path_remove_directory 3 P",
    "path_unlink_file 3 P",
    "path_readlink 3 P BUF 100 OUT",
    "path_symlink \"x\" 3 P",
    "path_rename 3 P 3 \"taken\"",
    "path_rename 3 \"file\" 3 P",
    "path_link 3 0 P 3 \"taken\"",
    "path_link 3 0 \"file\" 3 P",
    "open 3 0 P CREAT WRITE",
    "open 3 FOLLOW P CREAT|TRUNC READ|WRITE",
];
pub const ON_ALL: [&str; 8] = [
    "open 3 0 P 0 READ",
    "open 3 FOLLOW P 0 READ",
    "open 3 0 P DIRECTORY ALL_DIR",
    "open 3 FOLLOW P DIRECTORY ALL_DIR",
    "path_filestat_get 3 0 P OUT",
    "path_filestat_get 3 FOLLOW P OUT",
    "path_filestat_set_times 3 0 P 1 1 ATIM|MTIM",
    "path_filestat_set_times 3 FOLLOW P 1 1 ATIM|MTIM",
];

/// T14: each is refused wherever it stands, whatever lies there.
#[test]
fn are_refused_everywhere() {
    for mode in Mode::ALL {
        let host = Host::new();
        let absolute = host.path("outside/secret");
        let absolute = absolute.to_str().unwrap();
        let names = [
            "../outside/secret",
            "../outside/new",
            "../grant/file",
            "./../outside/secret",
            ".//..//outside/secret",
            "dir/../../outside/secret",
            "dir/../../grant/file",
            "dir/../../outside/new",
            "dir/./../../outside/dir/../secret",
            "/etc/passwd",
            "//etc/passwd",
            "/file",
            absolute,
        ];
        let dots = ["..", "../", "../..", "./..", "dir/../..", "dir/../../", "dir/../../../..", "/", "//", "/..", "/."];
        let mut lines = String::new();
        let mut add = |call: &str, path: &str| {
            lines += &format!("{} = NOTCAPABLE\n", call.replace(" P", &format!(" \"{path}\"")))
        };
        for call in ON_NAMES {
            names.iter().for_each(|path| add(call, path));
        }
        for call in ON_ALL {
            names.iter().chain(&dots).for_each(|path| add(call, path));
        }
        let (inside, outside) = (host.inside(), host.outside());
        script(&lines).run(host.granted(*mode, "rw"));
        assert_eq!((host.inside(), host.outside()), (inside, outside), "{mode:?}");
    }
}

/// T14: what climbs and stays inside works, and so does every call with a plain path.
#[test]
fn the_same_calls_inside_succeed() {
    let guest = script(
        r#"
        open 3 0 "dir/../file" 0 READ
        open 3 0 "dir/../dir/../file" 0 READ
        open 3 0 "dir/.." DIRECTORY ALL_DIR
        path_filestat_get 3 0 "dir/../file" OUT
        path_filestat_set_times 3 FOLLOW "dir/../file" 1 1 ATIM|MTIM
        path_create_directory 3 "dir/../made"
        path_remove_directory 3 "./made"
        path_symlink "x" 3 "dir/../link"
        path_readlink 3 ".//link" BUF 100 OUT
        path_unlink_file 3 "dir/.././link"
        path_link 3 0 "file" 3 "dir/../other"
        path_rename 3 "dir/../other" 3 "dir/other"
        open 3 0 "..." CREAT WRITE               # a name like any other
        open 3 0 "..file" CREAT WRITE
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let outside = host.outside();
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(host.outside(), outside, "{mode:?}");
    }
}
