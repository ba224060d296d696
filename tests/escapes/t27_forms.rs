//! T27: empty and dotted paths, odd flags; the host's working directory means nothing.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T27: each form has one meaning, and EXCL follows no link.
#[test]
fn every_form_is_defined() {
    let guest = script(
        r#"
        open 3 0 "" 0 READ = NOENT
        open 3 FOLLOW "" DIRECTORY ALL_DIR = NOENT
        open 3 0 "" CREAT WRITE = NOENT
        path_filestat_get 3 0 "" OUT = NOENT
        path_create_directory 3 "" = NOENT
        path_unlink_file 3 "" = NOENT
        path_rename 3 "" 3 "x" = NOENT
        path_rename 3 "file" 3 "" = NOENT
        path_link 3 0 "" 3 "x" = NOENT
        path_readlink 3 "" BUF 10 OUT = NOENT
        open 3 0 "." DIRECTORY ALL_DIR
        open 3 0 "./" 0 READDIR
        open 3 0 "././/." 0 READDIR
        open 3 0 "dir/." 0 READDIR
        open 3 0 "dir//file" 0 READ
        open 3 0 "./dir/./file" 0 READ
        path_create_directory 3 "." = EXIST
        path_create_directory 3 "dir/.." = EXIST
        path_remove_directory 3 "." = INVAL
        path_remove_directory 3 "dir/." = INVAL
        path_remove_directory 3 "dir/.." = NOTEMPTY
        path_unlink_file 3 "." = ISDIR
        path_unlink_file 3 "dir/.." = ISDIR
        path_unlink_file 3 "dir" = ISDIR
        path_remove_directory 3 "file" = NOTDIR
        path_rename 3 "." 3 "x" = BUSY
        path_rename 3 "file" 3 "dir/.." = BUSY
        path_rename 3 "dir" 3 "dir/inside" = INVAL
        path_link 3 0 "dir" 3 "x" = PERM
        path_link 3 FOLLOW "file" 3 "x" = INVAL
        path_readlink 3 "file" BUF 10 OUT = INVAL
        open 3 0 "file/" 0 READ = NOTDIR
        open 3 0 "file/." 0 READ = NOTDIR
        open 3 0 "file" DIRECTORY READ = NOTDIR
        open 3 0 "new/" CREAT WRITE = ISDIR
        open 3 0 "new" CREAT|DIRECTORY WRITE = INVAL
        open 3 0 "file" CREAT|EXCL WRITE = EXIST
        open 3 0 "dir" CREAT READ = ISDIR
        open 3 0 "dir" 0 WRITE = ISDIR
        open 3 0 "dir" DIRECTORY READ|WRITE = ISDIR
        open 3 FOLLOW "in_file" CREAT|EXCL WRITE = EXIST
        open 3 FOLLOW "in_dangling" CREAT|EXCL WRITE = EXIST
        open 3 FOLLOW "out_dangling" CREAT|EXCL WRITE = EXIST
        open 3 FOLLOW "out_file" CREAT|EXCL|TRUNC WRITE = EXIST
        open 3 0 "missing" EXCL READ = NOENT
        open 4 0 "file" 0 READ                         # through the descriptor of `.`
        open 9 0 "x" 0 READ = NOTDIR                   # through one of a file
        open 99 0 "x" 0 READ = BADF
        open 1 0 "x" 0 READ = NOTDIR
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        let (inside, outside) = (host.inside(), host.outside());
        guest.run(host.granted(*mode, "rw"));
        assert_eq!((host.inside(), host.outside()), (inside, outside), "{mode:?}");
    }
}

/// T27, T13: paths start from a granted directory, never from where `wave` was started.
#[test]
fn the_working_directory_is_not_consulted() {
    let lines = r#"
        open 3 FOLLOW "secret" 0 READ = NOENT
        path_filestat_get 3 0 "secret" OUT = NOENT
        path_create_directory 3 "made"
        open 3 0 "file" 0 READ
        open -100 0 "secret" 0 READ = BADF             # the kernel's number for the working directory
        open MAX 0 "secret" 0 READ = BADF
        path_filestat_get -100 0 "secret" OUT = BADF
        fd_readdir -100 BUF 100 0 OUT = BADF
        "#;
    let guest = script(lines.replace("-100", "0xffffff9c"));
    let no_grant = script("open 3 0 \"secret\" 0 READ = BADF\n open 0xffffff9c 0 \"secret\" 0 READ = BADF");
    for mode in Mode::ALL {
        let host = Host::new();
        let outside = host.outside();
        guest.run(host.granted(*mode, "rw").current_dir(&host.path("outside")));
        no_grant.run(mode.strict().current_dir(&host.path("outside")));
        assert_eq!(host.outside(), outside, "{mode:?}");
    }
}
