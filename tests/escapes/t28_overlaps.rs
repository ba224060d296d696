//! T28: a grant inside of another, or the same directory twice, widens neither.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// What the descriptor `D` of a read-only grant of the directory must refuse, though another grant would allow it.
const READ_ONLY: &str = r#"
    open D 0 "file" 0 WRITE = NOTCAPABLE
    open D 0 "file" TRUNC READ = NOTCAPABLE
    open D 0 "new" CREAT WRITE = NOTCAPABLE
    path_create_directory D "new" = NOTCAPABLE
    path_unlink_file D "file" = NOTCAPABLE
    path_rename D "file" D "new" = NOTCAPABLE
    path_link D 0 "file" D "new" = NOTCAPABLE
    path_symlink "x" D "new" = NOTCAPABLE
    path_filestat_set_times D 0 "file" 1 1 MTIM = NOTCAPABLE
    open D 0 "file" 0 READ
    "#;

/// T28: the kernel adds up the rights along a path, so a grant that lies in one with more access is refused at the start, in
/// either order and however it is spelt.
#[test]
fn a_narrow_grant_in_a_wide_one_is_refused() {
    let host = Host::new();
    host.link("also", "grant/dir");
    let (_dir, module) = script("").file();
    let outer = host.path("grant");
    for inner in ["grant/dir", "grant", "grant/../grant/dir", "also", "grant/."] {
        let inner = host.path(inner);
        for wave in [
            Mode::Normal.strict().dir(&outer, "/a", "rw").dir(&inner, "/b", "ro"),
            Mode::Normal.strict().dir(&inner, "/b", "ro").dir(&outer, "/a", "rw"),
            Mode::Normal.strict().dir(&outer, "/a", "append").dir(&inner, "/b", "ro"),
            Mode::Normal.strict().dir(&outer, "/a", "rw").dir(&inner, "/b", "append"),
        ] {
            let run = wave.run(&module, [""; 0]);
            assert_eq!((run.status.code(), &*run.stdout), (Some(2), ""), "{}: {run:?}", inner.display());
            assert!(run.stderr.contains("lies in"), "{run:?}");
        }
    }
}

/// T28: a wide grant in a narrow one is what it says, and does not make the narrow one wider.
#[test]
fn a_wide_grant_in_a_narrow_one_widens_nothing() {
    for mode in Mode::ALL {
        for [outer_fd, inner_fd] in [["3", "4"], ["4", "3"]] {
            let host = Host::new();
            let before = host.inside();
            let (outer, inner) = (host.path("grant"), host.path("grant/dir"));
            let wave = match outer_fd {
                "3" => mode.strict().dir(&outer, "/a", "ro").dir(&inner, "/b", "rw"),
                _ => mode.strict().dir(&inner, "/b", "rw").dir(&outer, "/a", "ro"),
            };
            let read_only = READ_ONLY.replace(" D ", &format!(" {outer_fd} "));
            let below = read_only.replace("\"file\"", "\"dir/file\"").replace("\"new\"", "\"dir/new\"");
            let guest = script(format!(
                r#"
                {read_only}
                {below}
                open {outer_fd} 0 "dir" DIRECTORY ALL_DIR
                open [FD] 0 "new" CREAT WRITE = NOTCAPABLE
                path_rename {outer_fd} "file" {inner_fd} "stolen" = NOTCAPABLE
                path_link {outer_fd} 0 "dir/file" {inner_fd} "linked" = NOTCAPABLE
                open {inner_fd} 0 "../file" 0 READ = NOTCAPABLE
                pause
                open {inner_fd} 0 "new" CREAT WRITE      # the neighbor
                "#
            ));
            let paused = guest.start(wave);
            assert_eq!(host.inside(), before, "{mode:?}");
            paused.finish();
            assert!(host.path("grant/dir/new").exists());
        }
    }
}
