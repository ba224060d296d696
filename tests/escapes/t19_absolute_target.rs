//! T19: no link with an absolute target is made.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T19: such a link would lead the host's own programs astray.
#[test]
fn is_refused() {
    let guest = script(
        r#"
        path_symlink "/etc/passwd" 3 "link" = NOTCAPABLE
        path_symlink "/" 3 "link" = NOTCAPABLE
        path_symlink "//" 3 "dir/link" = NOTCAPABLE
        path_symlink "/file" 3 "link" = NOTCAPABLE
        path_symlink "" 3 "link" = NOENT
        path_symlink "a\00/etc" 3 "link" = INVAL
        path_symlink "file" 3 "link"
        path_symlink "./etc" 3 "dir/link"
        path_readlink 3 "link" BUF 100 OUT
        text BUF 4 = "file"
        path_unlink_file 3 "link"
        path_unlink_file 3 "dir/link"
        path_symlink "/etc/passwd" 3 "file" = NOTCAPABLE
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let names = |host: &Host| wave_test_support::tree(&host.path("grant"));
        let before = names(&host);
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(names(&host), before, "{mode:?}");
    }
}
