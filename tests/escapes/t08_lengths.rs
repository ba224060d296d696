//! T8: outputs of a given length are never longer.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T8: a link's text is cut to the buffer, and the true count is reported.
#[test]
fn a_link_text_fits_its_buffer() {
    // The text of `in_file` is `dir/file`.
    let guest = script(
        r#"
        fill BUF 16 0xaa
        path_readlink 3 "in_file" BUF 0 OUT
        show [OUT] = 0
        bytes BUF 4 = aaaaaaaa
        path_readlink 3 "in_file" BUF 1 OUT
        show [OUT] = 1
        bytes BUF 4 = 64aaaaaa
        path_readlink 3 "in_file" BUF 7 OUT
        show [OUT] = 7
        bytes BUF 9 = 6469722f66696caaaa
        path_readlink 3 "in_file" BUF 8 OUT
        show [OUT] = 8
        bytes BUF 10 = 6469722f66696c65aaaa
        path_readlink 3 "in_file" BUF 4096 OUT
        show [OUT] = 8
        bytes BUF 10 = 6469722f66696c65aaaa
        path_readlink 3 "in_file" END-8 8 OUT
        path_readlink 3 "in_file" END-7 8 OUT = FAULT
        path_readlink 3 "in_file" END 0 OUT
        "#,
    );
    for mode in Mode::ALL {
        guest.run(Host::with_links().granted(*mode, "ro"));
    }
}

/// T8: the name of a grant is stored whole or not at all.
#[test]
fn a_grants_name_fits_its_buffer() {
    let guest = script(
        r#"
        fill BUF 16 0xaa
        fd_prestat_get 3 OUT
        bytes OUT 8 = 0000000005000000
        fd_prestat_dir_name 3 BUF 0 = NAMETOOLONG
        fd_prestat_dir_name 3 BUF 1 = NAMETOOLONG
        fd_prestat_dir_name 3 BUF 4 = NAMETOOLONG
        bytes BUF 6 = aaaaaaaaaaaa
        fd_prestat_dir_name 3 BUF 5
        bytes BUF 6 = 2f64617461aa
        fill BUF 16 0xaa
        fd_prestat_dir_name 3 BUF 16
        bytes BUF 6 = 2f64617461aa
        fd_prestat_dir_name 3 END-5 5
        fd_prestat_dir_name 3 END-4 5 = FAULT
        "#,
    );
    let host = Host::new();
    guest.run(Mode::Normal.strict().dir(&host.path("grant"), "/data", "ro"));
}
