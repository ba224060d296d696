//! T21: a read-only grant stays as it is, content and times.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

const ATTACKS: &str = r#"
    open 3 0 "file" 0 WRITE = NOTCAPABLE
    open 3 0 "file" 0 READ|WRITE = NOTCAPABLE
    open 3 0 "file" TRUNC READ = NOTCAPABLE            # cutting with nothing but the right to read
    open 3 0 "dir/file" TRUNC READ = NOTCAPABLE
    open 3 FOLLOW "in_file" TRUNC READ = NOTCAPABLE
    open 3 0 "new" CREAT READ = NOTCAPABLE
    open 3 0 "new" CREAT|EXCL READ = NOTCAPABLE
    open 3 0 "file" CREAT READ = NOTCAPABLE
    path_open 3 0 "file" 0 WRITE 0 APPEND FD = NOTCAPABLE
    path_open 3 0 "file" 0 READ|ALL 0 APPEND FD = NOTCAPABLE
    open 3 0 "file" 0 READ|STAT
    fd_write 4 {"over"} OUT = NOTCAPABLE
    fd_pwrite 4 {"over"} 0 OUT = NOTCAPABLE
    fd_filestat_set_size 4 0 = NOTCAPABLE
    fd_allocate 4 0 100 = NOTCAPABLE
    fd_filestat_set_times 4 1 1 ATIM|MTIM = NOTCAPABLE
    fd_filestat_set_times 4 0 0 ATIM_NOW|MTIM_NOW = NOTCAPABLE
    fd_fdstat_set_rights 4 READ|WRITE 0 = NOTCAPABLE
    fd_filestat_set_times 3 1 1 ATIM|MTIM = NOTCAPABLE
    path_filestat_set_times 3 0 "file" 1 1 ATIM|MTIM = NOTCAPABLE
    path_filestat_set_times 3 FOLLOW "in_file" 1 1 ATIM|MTIM = NOTCAPABLE
    path_filestat_set_times 3 0 "dir/file" 0 0 ATIM_NOW|MTIM_NOW = NOTCAPABLE
    path_create_directory 3 "new" = NOTCAPABLE
    path_remove_directory 3 "empty" = NOTCAPABLE
    path_unlink_file 3 "file" = NOTCAPABLE
    path_symlink "file" 3 "new" = NOTCAPABLE
    path_link 3 0 "file" 3 "new" = NOTCAPABLE
    path_rename 3 "file" 3 "new" = NOTCAPABLE
    path_rename 3 "empty" 3 "dir/new" = NOTCAPABLE
    open 3 0 "dir" DIRECTORY ALL_DIR                   # the same one level down
    open [FD] 0 "file" TRUNC READ = NOTCAPABLE
    open [FD] 0 "file" 0 WRITE = NOTCAPABLE
    open [FD] 0 "new" CREAT WRITE = NOTCAPABLE
    path_unlink_file [FD] "file" = NOTCAPABLE
    fd_filestat_set_times [FD] 1 1 MTIM = NOTCAPABLE
    fd_read 4 {BUF 100} OUT                            # the neighbors
    text BUF [OUT] = "of the grant"
    fd_filestat_get 4 OUT
    fd_readdir 3 BUF 100 0 OUT
    path_filestat_get 3 FOLLOW "in_file" OUT
"#;

/// T21: no call changes anything.
#[test]
fn nothing_is_changed() {
    let guest = script(ATTACKS);
    for mode in Mode::ALL {
        let host = Host::with_links();
        host.make_dir("grant/empty");
        let before = host.inside();
        guest.run(host.granted(*mode, "ro"));
        assert_eq!(host.inside(), before, "{mode:?}");
    }
}

/// T21: the control: with a writable grant the refused calls succeed and do what they say.
#[test]
fn the_same_calls_change_a_writable_grant() {
    // What reads rights and names is left out, as those differ.
    let lines: Vec<_> = ATTACKS.lines().filter(|line| line.contains("= NOTCAPABLE")).collect();
    for line in lines {
        let line = line.split('#').next().unwrap().replace("= NOTCAPABLE", "");
        if line.contains("set_rights") {
            continue;
        }
        let [file, dir] =
            ["\"file\" 0 READ|WRITE|ALL", "\"dir\" DIRECTORY ALL_DIR"].map(|what| format!("open 3 0 {what}\n"));
        let opened = if line.contains("[FD]") { file + &dir } else { file };
        let host = Host::with_links();
        host.make_dir("grant/empty");
        script(opened + &line).run(host.granted(Mode::Normal, "rw"));
    }
}
