//! T26: NUL bytes, over-long paths and names, thousands of components, chains and loops of links.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

const CALLS: [(&str, bool); 9] = [
    ("open 3 FOLLOW P 0 READ", true),
    ("path_filestat_get 3 FOLLOW P OUT", true),
    ("path_filestat_set_times 3 FOLLOW P 1 1 MTIM", true),
    ("path_create_directory 3 P", false),
    ("path_unlink_file 3 P", false),
    ("path_readlink 3 P BUF 100 OUT", false),
    ("path_rename 3 P 3 \"new\"", false),
    ("path_rename 3 \"file\" 3 P", false),
    ("path_symlink \"x\" 3 P", false),
];

/// T26: each ends in a clean error, in every call, at once.
#[test]
fn end_in_clean_errors() {
    let mut lines = String::new();
    let paths = [
        ("a\\00b".to_owned(), "INVAL"),
        ("file\\00".to_owned(), "INVAL"),
        ("\\00".to_owned(), "INVAL"),
        ("dir/file\\00/../..".to_owned(), "INVAL"),
        ("n".repeat(256), "NAMETOOLONG"),
        (format!("dir/{}", "n".repeat(256)), "NAMETOOLONG"),
        ("n".repeat(4096), "NAMETOOLONG"),
        ("d/".repeat(50_000), "NAMETOOLONG"),
        ("./".repeat(50_000) + "file", "NAMETOOLONG"),
        ("../".repeat(30_000), "NAMETOOLONG"),
        ("file/x".to_owned(), "NOTDIR"),
        ("missing/x".to_owned(), "NOENT"),
        ("loop/x".to_owned(), "LOOP"),
        ("self/x".to_owned(), "LOOP"),
        ("chain60/x".to_owned(), "LOOP"),
    ];
    for (path, errno) in &paths {
        for (call, _) in CALLS {
            lines += &format!("start\n {} = {errno}\n within 50\n", call.replace(" P", &format!(" \"{path}\"")));
        }
    }
    for path in ["loop", "self", "chain60"] {
        for (call, _) in CALLS.iter().filter(|(_, follows)| *follows) {
            lines += &format!("start\n {} = LOOP\n within 50\n", call.replace(" P", &format!(" \"{path}\"")));
        }
    }
    // The neighbors: as long, as deep and as linked as is allowed.
    let components = "./".repeat(2040) + "file";
    lines += &format!(
        r#"
        open 3 0 "{components}" 0 READ
        open 3 0 "{}file" 0 READ
        open 3 FOLLOW "chain20" 0 READ
        open 3 FOLLOW "chain20/../file" 0 READ = NOTDIR
        open 3 0 "{}" CREAT WRITE
        path_unlink_file 3 "{}"
        open 3 0 "\ff\fe" CREAT WRITE                  # names are bytes
        path_unlink_file 3 "\ff\fe"
        "#,
        "dir/../".repeat(500),
        "n".repeat(255),
        "n".repeat(255),
    );
    let guest = script(&lines);
    for mode in Mode::ALL {
        let host = Host::new();
        host.link("grant/loop", "loop2");
        host.link("grant/loop2", "loop");
        host.link("grant/self", "./self");
        host.link("grant/chain0", "file");
        for link in 1..=60 {
            host.link(&format!("grant/chain{link}"), &format!("chain{}", link - 1));
        }
        let names = wave_test_support::tree(&host.path("grant"));
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(wave_test_support::tree(&host.path("grant")), names, "{mode:?}");
    }
}
