//! T1: every pointer of every hostcall is checked, before there is any effect.

use crate::host::{Host, descriptors};
use crate::script::{FUNCTIONS, script};
use wave_test_support::Mode;

/// Every function in a call that works. `<PLACE:8>` is a pointer to 8 bytes, `<PLACE,8>` also passes the length.
///
/// 3 is the grant, 4 a file; there is no socket.
const CALLS: [(&str, &str); 46] = [
    ("args_get <BUF:4> <BUF+64:10>", "SUCCESS"),
    ("args_sizes_get <OUT:4> <OUT2:4>", "SUCCESS"),
    ("environ_get <BUF:4> <BUF+64:4>", "SUCCESS"),
    ("environ_sizes_get <OUT:4> <OUT2:4>", "SUCCESS"),
    ("clock_res_get MONOTONIC <OUT:8>", "SUCCESS"),
    ("clock_time_get MONOTONIC 1 <OUT:8>", "SUCCESS"),
    ("fd_advise 4 0 0 0", "SUCCESS"),
    ("fd_allocate 4 0 1", "SUCCESS"),
    ("fd_datasync 4", "SUCCESS"),
    ("fd_sync 4", "SUCCESS"),
    ("fd_fdstat_get 4 <OUT:24>", "SUCCESS"),
    ("fd_fdstat_set_flags 4 0", "SUCCESS"),
    ("fd_filestat_get 4 <OUT:64>", "SUCCESS"),
    ("fd_filestat_set_size 4 3", "SUCCESS"),
    ("fd_filestat_set_times 4 1 1 ATIM|MTIM", "SUCCESS"),
    ("fd_prestat_get 3 <OUT:8>", "SUCCESS"),
    ("fd_prestat_dir_name 3 <BUF,1>", "SUCCESS"),
    ("fd_read 4 <LIST:8> 1 <OUT:4>", "SUCCESS"),
    ("fd_pread 4 <LIST:8> 1 0 <OUT:4>", "SUCCESS"),
    ("fd_write 4 <LIST:8> 1 <OUT:4>", "SUCCESS"),
    ("fd_pwrite 4 <LIST:8> 1 0 <OUT:4>", "SUCCESS"),
    ("fd_readdir 3 <BUF,100> 0 <OUT:4>", "SUCCESS"),
    ("fd_seek 4 1 CUR <OUT:8>", "SUCCESS"),
    ("fd_tell 4 <OUT:8>", "SUCCESS"),
    ("path_create_directory 3 <NEW+8,2>", "SUCCESS"),
    ("path_filestat_get 3 0 <FILE,4> <OUT:64>", "SUCCESS"),
    ("path_filestat_set_times 3 0 <FILE,4> 1 1 ATIM|MTIM", "SUCCESS"),
    ("path_link 3 0 <FILE,4> 3 <NEW+16,2>", "SUCCESS"),
    ("path_open 3 0 <NEW+24,2> CREAT|TRUNC READ|WRITE 0 0 <OUT:4>", "SUCCESS"),
    ("path_readlink 3 <LINK,4> <BUF,10> <OUT:4>", "SUCCESS"),
    ("path_remove_directory 3 <NEW+8,2>", "SUCCESS"),
    ("path_rename 3 <NEW+16,2> 3 <NEW+24,2>", "SUCCESS"),
    ("path_symlink <FILE,4> 3 <NEW+32,2>", "SUCCESS"),
    ("path_unlink_file 3 <NEW+32,2>", "SUCCESS"),
    ("poll_oneoff <CLOCK:48> <BUF:32> 1 <OUT:4>", "SUCCESS"),
    ("proc_raise 0", "SUCCESS"),
    ("random_get <BUF,16>", "SUCCESS"),
    ("sched_yield", "SUCCESS"),
    ("sock_accept 4 0 <OUT:4>", "NOTSOCK"),
    ("sock_recv 4 <LIST:8> 1 0 <OUT:4> <OUT2:2>", "NOTSOCK"),
    ("sock_send 4 <LIST:8> 1 0 <OUT:4>", "NOTSOCK"),
    ("sock_shutdown 4 RD", "NOTSOCK"),
    ("fd_fdstat_set_rights 4 READ|WRITE 0", "SUCCESS"),
    ("fd_renumber 4 4", "SUCCESS"),
    ("fd_close 4", "SUCCESS"),
    ("proc_exit 0", "SUCCESS"),
];

/// What the calls find in memory: names, an iovec of 4 bytes at BUF, a subscription to the monotonic clock.
const PLACED: &str = r#"
    copy FILE "file"
    copy LINK "link"
    copy NEW+8 "n1"
    copy NEW+16 "n2"
    copy NEW+24 "n3"
    copy NEW+32 "n4"
    store LIST BUF
    store LIST+4 4
    store CLOCK+16 MONOTONIC
    open 3 0 "file" 0 READ|WRITE|SEEK|TELL|ALL
"#;

/// A pointer in a template: where it is, what it names, and whether the length is an argument.
struct Pointer<'t> {
    token: &'t str,
    place: &'t str,
    len: u32,
    length_passed: bool,
}

fn pointers(template: &str) -> Vec<Pointer<'_>> {
    let tokens = template.split(' ').filter(|token| token.starts_with('<'));
    tokens
        .map(|token| {
            let inner = token.trim_matches(['<', '>']);
            let (place, len) = inner.split_once([':', ',']).expect("a place and a length");
            Pointer { token, place, len: len.parse().expect("a length"), length_passed: inner.contains(',') }
        })
        .collect()
}

/// The call with one pointer replaced by an expression; the others are good.
fn with(template: &str, replaced: Option<(&str, String)>) -> String {
    pointers(template).iter().fold(template.to_owned(), |call, pointer| {
        let text = match &replaced {
            Some((token, text)) if *token == pointer.token => text.clone(),
            _ if pointer.length_passed => format!("{} {}", pointer.place, pointer.len),
            _ => pointer.place.to_owned(),
        };
        call.replacen(pointer.token, &text, 1)
    })
}

#[test]
fn no_function_is_forgotten() {
    let mut called: Vec<_> = CALLS.iter().map(|(call, _)| call.split(' ').next().unwrap()).collect();
    called.sort_unstable();
    assert_eq!(called, FUNCTIONS.map(|(name, _)| name));
}

/// T1: a range that ends past memory, starts past it or wraps is FAULT and has no effect.
#[test]
fn outside_of_memory_is_fault_and_has_no_effect() {
    let mut lines = PLACED.to_owned() + "pause\n";
    let mut attempts = 0;
    for (call, _) in CALLS {
        for Pointer { token, place, len, length_passed } in pointers(call) {
            let starts = [format!("END-{}", len - 1), "END".into(), "0x80000000".into(), "0xffffffff".into()];
            let mut bad = starts.map(|start| if length_passed { format!("{start} {len}") } else { start }).to_vec();
            if length_passed {
                bad.extend([format!("{place} 0xffffffff"), format!("{place} 0x80000000"), "END-1 2".into()]);
            }
            for text in bad {
                lines += &format!("{} = FAULT\n", with(call, Some((token, text))));
                attempts += 1;
            }
        }
    }
    for call in ["fd_read 4 {} OUT", "fd_write 4 {} OUT", "fd_pread 4 {} 0 OUT", "fd_pwrite 4 {} 0 OUT"] {
        for list in ["{END-1 2}", "{END 1}", "{0xffffffff 2}", "{BUF 4, END-3 4}", "{BUF 0xffffffff}", "{END 0, END 1}"]
        {
            lines += &format!("{} = FAULT\n", call.replace("{}", list));
            attempts += 1;
        }
    }
    println!("{attempts} attempts");
    // Nothing was read: the position is where it was. Nothing was opened: the next number is free.
    lines += "pause\n fd_tell 4 OUT\n show64 OUT = 0\n open 3 0 \"file\" 0 READ\n show [FD] = 5\n";

    let host = host_with_link();
    let guest = script(&lines);
    let before = host.inside();
    let mut paused = guest.start(host.granted(Mode::Normal, "rw").env("K=V"));
    let open = descriptors(paused.id());
    paused.go_on();
    assert_eq!(descriptors(paused.id()), open);
    assert_eq!(host.inside(), before);
    paused.finish();
}

/// T1: the same calls with good pointers do what they should, and a range may end where memory does.
#[test]
fn ranges_up_to_the_end_of_memory_are_good() {
    let mut lines = PLACED.to_owned();
    let mut ends = Vec::new();
    for (call, answer) in CALLS {
        lines += &format!("{} = {answer}\n", with(call, None));
        for Pointer { token, place, len, length_passed } in pointers(call) {
            let start = format!("END-{len}");
            let text = if length_passed { format!("{start} {len}") } else { start.clone() };
            let call = with(call, Some((token, text)));
            lines += &format!(
                "(memory.copy (i32.const {}) (i32.const {}) (i32.const {len}))\n",
                crate::script::number(&start),
                crate::script::number(place)
            );
            lines += &format!("{call} = ANY\n");
            ends.push(call);
        }
    }
    let empty = ["fd_write 4 {END 0} OUT", "fd_write 4 {END-4 4} OUT", "fd_write 4 {END 0, END-1 1} OUT"];
    lines = lines
        .replace("proc_exit 0 = SUCCESS\n", "")
        .replace("fd_close 4 = SUCCESS\n", &format!("{}\nfd_close 4\n", empty.join("\n")));
    let host = host_with_link();
    let seen = script(&lines).run(host.granted(Mode::Normal, "rw").env("K=V"));
    for call in ends {
        let (_, answer) = seen.iter().find(|(line, _)| line.starts_with(&call)).expect("it was called");
        assert_ne!(answer, "21", "{call}");
    }
}

fn host_with_link() -> Host {
    let host = Host::new();
    host.link("grant/link", "file");
    host
}
