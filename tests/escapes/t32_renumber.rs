//! T32: renumbering and failing leak no descriptor.

use crate::host::{Host, descriptors};
use crate::script::script;
use wave_test_support::Mode;

/// T32: of equal, closed and chained descriptors, 2000 times, with opens that fail in between.
#[test]
fn leaks_nothing() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ|WRITE
        open 3 0 "dir/file" 0 READ|WRITE
        open 3 0 "dir" DIRECTORY ALL_DIR
        pause
        repeat 2000
        open 3 0 "file" 0 READ = SUCCESS
        fd_renumber 7 4 = SUCCESS                # over an open one
        fd_renumber 7 4 = BADF                   # closed by that
        fd_renumber 4 7 = BADF
        fd_renumber 4 4 = SUCCESS
        fd_renumber 4 5 = SUCCESS
        fd_renumber 5 4 = BADF
        open 3 0 "file" 0 READ = SUCCESS
        fd_renumber 4 MAX = BADF
        fd_renumber MAX 4 = BADF
        fd_renumber 4 1000000 = BADF
        open 3 0 "missing" 0 READ = NOENT
        open 3 0 "dir" 0 WRITE = ISDIR
        open 3 0 "fifo" DIRECTORY READDIR = NOTDIR
        open 3 FOLLOW "out_file" 0 READ = NOTCAPABLE
        open 3 0 "dir/../file" DIRECTORY READDIR = NOTDIR
        path_filestat_get 3 FOLLOW "dir/../in_file" OUT = SUCCESS
        path_create_directory 3 "dir/../in_dir" = EXIST
        open 3 0 "file" 0 READ = SUCCESS
        fd_close 7 = SUCCESS
        fd_close 7 = BADF
        fd_readdir 6 BUF 100 0 OUT = SUCCESS
        end
        pause
        fd_read 5 {BUF 2} OUT
        text BUF 2 = "of"
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        crate::host::make_fifo(&host.path("grant/fifo"));
        let mut paused = guest.start(host.granted(*mode, "rw"));
        let count = |pid| descriptors(pid).map(|open| open.len());
        let before = count(paused.id());
        paused.go_on();
        assert_eq!(count(paused.id()), before, "{mode:?}");
        paused.finish();
    }
}
