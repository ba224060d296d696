//! System calls that a sealed process must not make. Each control is the same call without a seal.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, TcpListener};

use crate::Case;
use crate::run::{User, expect};

pub const CASES: &[Case] = &[
    ("denials::calls_that_break_out", calls_that_break_out),
    ("denials::a_message_names_the_call", a_message_names_the_call),
    ("denials::calls_from_the_code_of_the_guest", calls_from_guest_code),
    ("denials::other_entries_have_a_message_too", other_entries),
    ("denials::a_blocked_signal_does_not_hide_the_message", blocked_signal),
    ("denials::standard_has_the_same_filter", standard_has_the_same_filter),
    ("denials::a_thread_is_a_refusal", a_thread_is_a_refusal),
    ("denials::a_joined_thread_is_not", a_joined_thread_is_not),
    ("denials::permitted_calls_work", permitted_calls_work),
    ("denials::t42_a_listener_cannot_connect", t42_a_listener_cannot_connect),
    ("denials::t41_what_is_sent_has_no_address", t41_what_is_sent_has_no_address),
];

const DENIED: i32 = wave_sandbox::DENIED;

/// The attempt, the call, and its result without a seal.
const ATTEMPTS: &[(&str, &str, i32)] = &[
    ("open", "call=257,-100,s:/etc/passwd,0", 0),
    ("open, older call", "call=2,s:/etc/passwd,0", 0),
    ("socket, tcp", "call=41,2,1,0", 0),
    ("socket, unix", "call=41,1,1,0", 0),
    ("socketpair", "call=53,1,1,0,m", libc::EFAULT),
    ("fork", "call=57", 0),
    ("execve", "call=59,s:/bin/true,0,0", 0),
    ("ptrace", "call=101,0", 0),
    ("kill, signal 0", "call=62,pid,0", 0),
    ("prctl, dumpable again", "call=157,4,1", 0),
    ("personality", "call=135,4294967295", 0),
    ("memfd_create", "call=319,s:x,0", 0),
    ("mmap, executable", "call=9,0,4096,5,34,-1,0", 0),
    ("mmap, over what is there", "call=9,m,4096,3,50,-1,0", 0),
    ("mprotect, executable", "call=10,m,4096,5", 0),
    ("mprotect, no growable memory", "call=10,m,4096,3", 0),
    ("munmap", "call=11,m,4096", 0),
    ("mremap", "call=25,m,4096,8192,1", 0),
    ("pkey_mprotect", "call=329,m,4096,3,-1", 0),
    ("seccomp, which actions there are", "call=317,2,0,s:0000", libc::EOPNOTSUPP),
    ("landlock_create_ruleset", "call=444,0,0,1", 0),
    ("rt_sigprocmask", "call=14,0,0,0,8", 0),
    ("prlimit64", "call=302,0,7,0,0", 0),
    ("setpriority", "call=141,0,0,19", 0),
    ("chdir", "call=80,s:/", 0),
    ("ioctl, terminal input", "call=16,0,21522,s:x", libc::ENOTTY),
    ("write to another stream than standard error", "call=1,1,s:x,1", 0),
    ("dup", "call=32,0", 0),
];

fn calls_that_break_out(user: User) {
    for (what, call, bare) in ATTEMPTS {
        expect(user, &["level=off", call], *bare);
        let outcome = expect(user, &[call], DENIED);
        assert!(outcome.stderr.starts_with("wave: denied system call "), "{what}: {outcome:?}");
    }
}

fn a_message_names_the_call(user: User) {
    let outcome = expect(user, &["call=59,s:/bin/true,7,-1"], DENIED);
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(lines[0], "wave: denied system call execve (59)");
    assert!(lines[1].starts_with("  with:  0x"), "{outcome:?}");
    assert!(lines[1].contains(" 0x7 0xffffffffffffffff "), "{outcome:?}");
    assert!(lines[2].starts_with("  where: native code at 0x"), "{outcome:?}");
    assert_eq!(lines[3], "  cause: no hostcall leads to this call, so something tried to break out");
    assert!(lines[4].starts_with("  fix:   if the program is honest, "), "{outcome:?}");
    assert_eq!(lines.len(), 5);
    assert!(!outcome.stderr.contains("/bin/true"), "memory is not printed: {outcome:?}");
    let outcome = expect(user, &["call=258,-100,s:x,0"], DENIED);
    assert!(outcome.stderr.contains("does not import path_create_directory"), "{outcome:?}");
    let outcome = expect(user, &["functions=path_open", "call=257,-100,s:x,0"], DENIED);
    assert!(outcome.stderr.contains("and grants: path_open\n"), "{outcome:?}");
}

/// The same permitted call, from code of the host and from code of the guest.
fn calls_from_guest_code(user: User) {
    expect(user, &["code=1", "call=12,0"], 0);
    expect(user, &["call_from_code=12,0"], 0);
    expect(user, &["code=1", "level=standard", "call_from_code=12,0"], 0);
    expect(user, &["code=1", "level=off", "call_from_code=12,0"], 0);
    let outcome = expect(user, &["code=1", "call_from_code=12,0"], DENIED);
    assert!(outcome.stderr.starts_with("wave: denied system call brk (12)\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("\n  where: the guest's own code at 0x"), "{outcome:?}");
    assert!(outcome.stderr.contains("\n  cause: no hostcall; "), "{outcome:?}");
}

/// The 32-bit entry, and numbers of x32 (T77): denied, with a message.
fn other_entries(user: User) {
    const GETPID_I386: &str = "int80=20";
    expect(user, &["level=off", GETPID_I386], 0);
    let outcome = expect(user, &[GETPID_I386], DENIED);
    assert!(outcome.stderr.starts_with("wave: denied system call of another architecture (20)\n"), "{outcome:?}");
    let x32 = format!("call={},0", 0x4000_0000_i64 | libc::SYS_brk);
    let outcome = expect(user, &[&x32], DENIED);
    assert!(outcome.stderr.starts_with("wave: denied system call unknown (1073741836)\n"), "{outcome:?}");
}

fn blocked_signal(user: User) {
    let outcome = expect(user, &["before=blocked_sigsys", "call=39"], DENIED);
    assert!(outcome.stderr.starts_with("wave: denied system call getpid (39)\n"), "{outcome:?}");
}

fn standard_has_the_same_filter(user: User) {
    expect(user, &["level=standard"], 0);
    expect(user, &["level=standard", "call=41,2,1,0"], DENIED);
}

fn a_thread_is_a_refusal(user: User) {
    for level in ["level=strict", "level=standard"] {
        let outcome = expect(user, &[level, "before=thread"], crate::child::REFUSED);
        assert!(outcome.stderr.starts_with("single_thread | "), "{outcome:?}");
    }
    expect(user, &["level=off", "before=thread"], 0);
}

fn a_joined_thread_is_not(user: User) {
    expect(user, &["before=joined_thread"], 0);
}

fn permitted_calls_work(user: User) {
    expect(user, &["call=12,0"], 0);
    expect(user, &["call=1,2,s:x,1"], 0);
    expect(user, &["call=9,0,4096,3,34,-1,0"], 0);
    expect(user, &["functions=fd_write", "call=1,1,s:x,1"], 0);
    expect(user, &["functions=random_get", "call=318,m,0,0"], 0);
    expect(user, &["functions=sched_yield", "call=24"], 0);
}

/// Ways to send, and their result under the filter of a server: the descriptor is no socket.
const SENDS: &[(&str, &str, i32)] = &[
    ("to where it is connected", "call=44,0,m,1,16384,0,0", libc::ENOTSOCK),
    ("to an address", "call=44,0,m,1,16384,m,16", DENIED),
    ("to an address of no length", "call=44,0,m,1,16384,m,0", DENIED),
    ("to no address of some length", "call=44,0,m,1,16384,0,16", DENIED),
    ("with MSG_FASTOPEN", "call=44,0,m,1,536887296,0,0", DENIED),
    ("without MSG_NOSIGNAL", "call=44,0,m,1,0,0,0", DENIED),
    ("to an address in memory", "call=46,0,m,16384", DENIED),
    ("to several addresses in memory", "call=307,0,m,1,16384", DENIED),
];

/// T41: a filter sees that there is no address, so what is sent goes where a socket is connected to.
fn t41_what_is_sent_has_no_address(user: User) {
    for (what, call, result) in SENDS {
        let outcome = expect(user, &["listener=1", "functions=sock_send", call], *result);
        let is_denied = outcome.stderr.starts_with("wave: denied system call send");
        assert_eq!(is_denied, *result == DENIED, "{what}: {outcome:?}");
        expect(user, &["functions=sock_send", call], DENIED);
    }
}

/// T38, T42: TCP Fast Open connects a socket without `connect`, past Landlock's rules for TCP. The flag for it is not in
/// the filter.
fn t42_a_listener_cannot_connect(user: User) {
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    target.set_nonblocking(true).expect("sockets can be told not to wait");
    let connect = format!("connect={}", target.local_addr().expect("an address").port());
    let functions = "functions=sock_accept,sock_recv,sock_send,sock_shutdown";

    expect(user, &["level=off", "listener=1", &connect], 0);
    let (mut stream, _) = target.accept().expect("without a seal there is a connection");
    stream.set_nonblocking(false).expect("sockets can be told to wait");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the connection is open");
    assert_eq!(text, "out");

    let outcome = expect(user, &["listener=1", functions, &connect], DENIED);
    assert!(outcome.stderr.starts_with("wave: denied system call sendmsg "), "{outcome:?}");
    assert_eq!(target.accept().expect_err("nobody connected").kind(), ErrorKind::WouldBlock);
}
