//! T20: nothing of a read-only grant gets a name in a writable one.

use crate::host::{Host, state};
use crate::script::script;
use wave_test_support::Mode;

/// T20: neither files nor directories, by link or rename, in either direction, new or over what is there.
#[test]
fn nothing_passes_between_them() {
    let mut lines = String::new();
    // 3 is the read-only grant, 4 the writable one.
    for (from, to) in [(3, 4), (4, 3), (3, 3)] {
        for call in ["path_rename F \"OLD\" T \"NEW\"", "path_link F 0 \"OLD\" T \"NEW\""] {
            for (old, new) in [
                ("file", "new"),
                ("dir/file", "new"),
                ("dir", "new"),
                ("dir", "empty"),
                ("file", "other"),
                ("link", "new"),
                ("file", "dir/new"),
            ] {
                let call = call.replace('F', &from.to_string()).replace('T', &to.to_string());
                lines += &format!("{} = NOTCAPABLE\n", call.replace("OLD", old).replace("NEW", new));
            }
        }
    }
    // Links across are links outside, whatever is granted elsewhere.
    lines += r#"
        path_symlink "../grant/file" 4 "across"
        open 4 FOLLOW "across" 0 READ = NOTCAPABLE
        open 4 FOLLOW "across" 0 WRITE = NOTCAPABLE
        path_unlink_file 4 "across"
        open 3 0 "file" 0 READ
        open 3 0 "dir" DIRECTORY ALL_DIR
        path_rename [FD] "file" 4 "stolen" = NOTCAPABLE
        pause
        path_rename 4 "file" 4 "new"                   # the neighbors
        path_link 4 0 "new" 4 "dir/linked"
        path_rename 4 "dir" 4 "empty"
        "#;
    let guest = script(&lines);
    for mode in Mode::ALL {
        let host = Host::new();
        host.make_dir("writable");
        host.make_dir("writable/dir");
        for side in ["grant", "writable"] {
            host.make_dir(&format!("{side}/empty"));
            host.write(&format!("{side}/other"), "other");
            host.link(&format!("{side}/link"), "file");
        }
        host.write("writable/file", "written");
        host.write("writable/dir/file", "written");
        let (before, names) = (host.inside(), wave_test_support::tree(&host.path("writable")));
        let wave = mode.strict().dir(&host.path("grant"), "/ro", "ro").dir(&host.path("writable"), "/rw", "rw");
        let paused = guest.start(wave);
        assert_eq!(host.inside(), before, "{mode:?}");
        assert_eq!(wave_test_support::tree(&host.path("writable")), names);
        paused.finish();
        assert_eq!(host.inside(), before, "{mode:?}");
        assert!(!state(&host.path("writable")).join(" ").contains("of the grant"));
    }
}
