//! Wasmtime's test programs: those for WASI 0.2, and those for preview 1 as components, through the published adapter.
//!
//! They check what they see by themselves, and panic if it is not what they want, which ends them with a trap.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use wave_test_support::components::built;
use wave_test_support::{Outcome, Wave, fill, finish, give_to_guest, tree, writable_dir};

const NONE: [&str; 0] = [];

/// How a program ends, and what it says.
struct End {
    code: i32,
    stdout: Option<&'static str>,
    stderr: &'static str,
}

/// Programs that listen on loopback addresses and connect to them.
const LISTENERS: [&str; 3] = ["p2_tcp_busy_poll", "p2_tcp_listen", "p2_tcp_sample_application"];

const GOOD: End = End { code: 0, stdout: None, stderr: "" };

/// A trap that says this: a panic, or a function of the adapter.
const fn trap(stderr: &'static str) -> End {
    End { code: 134, stdout: None, stderr }
}

/// How each program ends that does not end well.
fn end(name: &str) -> End {
    match name {
        // Their subject.
        "p2_cli_exit_failure" => End { code: 1, ..GOOD },
        "p2_cli_exit_with_code" => End { code: 42, ..GOOD },
        "p2_cli_exit_panic" => trap("Curiouser and curiouser!"),
        "p2_pollable_traps" => trap("a_poll_of_nothing"),
        "p2_stream_pollable_traps" => trap("a_handle_that_is_dropped_before_its_children"),
        "p2_cli_stdin_eisdir" => End { stderr: "got expected ErrorCode::IsDirectory", ..GOOD },
        "p2_cli_stdout_epipe" => End { stderr: "got expected StreamError::Closed", ..GOOD },
        "p2_cli_splice_stdin" => {
            let stdout = "before splice\nSo rested he by the Tumtum tree\ncompleted splicing 31 bytes\n";
            End { stdout: Some(stdout), ..GOOD }
        }
        "p2_cli_stdio_write_flushes" => End { stdout: Some("> "), ..GOOD },
        "p2_cli_sleep_forever" => End { code: 124, stderr: "wave: time limit of 300ms reached", ..GOOD },
        name if LISTENERS.contains(&name) => GOOD,
        // Without a grant, no sockets. Those that are not in `LISTENERS` want options, or to connect from an address of their own. And
        // no names are looked up.
        "p2_ip_name_lookup" => trap("permanent-resolver-failure"),
        name if name.starts_with("p2_tcp_") || name.starts_with("p2_udp_") => trap("access-denied"),
        // No flag of a run sets these: clocks of another time, another first directory, few handles, terminals.
        "p2_api_time" => trap("left: 42s"),
        "p2_cli_initial_cwd" => trap("left: None"),
        "p2_cli_many_resources" => trap("should have trapped before now"),
        "p1_stdio_isatty" => trap("stdin is a tty"),
        // More handles than there are.
        "p1_cli_hostcall_fuel" => trap("more_than_8191_handles"),
        // It wants to be refused what `wave` does: `file-integrity-sync`.
        "p1_path_filestat" => trap("FDFLAGS_SYNC not supported by platform"),
        // It wants `not-directory` where Linux says `exist`, which POSIX allows.
        "p1_path_symlink_trailing_slashes" => trap("expected errno NOTDIR or NOENT; got EXIST"),
        _ => GOOD,
    }
}

/// Runs a program with what it asks for, in a directory of its own, which it may write.
fn run(name: &str, program: &Path, dir: &Path) -> Outcome {
    let rw = || Wave::strict().dir(dir, "/", "rw");
    let poem = "'Twas brillig, and the slithy toves.\n";
    match name {
        "p2_cli_args" => Wave::strict().run(program, ["hello", "this", "", "is an argument", "with \u{1f6a9} emoji"]),
        "p2_cli_argv0" => Wave::strict().flag("--argv0", "another").run(program, ["another"]),
        "p2_cli_stdin_empty" => Wave::strict().stdin(b"not to be read").run(program, NONE),
        "p2_cli_stdin" | "p2_cli_splice_stdin" => {
            Wave::strict().stdin(b"So rested he by the Tumtum tree").run(program, NONE)
        }
        "p2_cli_stdin_eisdir" => Wave::strict().by_shell("exec \"$@\" < /").run(program, NONE),
        "p2_cli_stdout_epipe" => Wave::strict().by_shell("exec \"$@\" > >(head -c 64 > /dev/null)").run(program, NONE),
        "p2_cli_env" => Wave::strict().env("frabjous=day").env("callooh=callay").run(program, NONE),
        "p2_cli_large_env" => {
            let long = "x".repeat(1024);
            (0..512).fold(Wave::strict(), |run, number| run.env(&format!("KEY{number}={long}"))).run(program, NONE)
        }
        "p2_cli_much_stdout" | "p1_cli_much_stdout" => Wave::strict().run(program, ["abc", "10000"]),
        "p2_cli_file_read" | "p2_api_read_only" => {
            fill(dir, &[("bar.txt", "And stood awhile in thought"), ("sub/x", "")]);
            fs::remove_file(dir.join("sub/x")).unwrap();
            Wave::strict().dir(dir, "/", "ro").run(program, NONE)
        }
        "p2_cli_file_append" | "p2_cli_file_dir_sync" => {
            fill(dir, &[("bar.txt", poem)]);
            rw().run(program, NONE)
        }
        "p2_cli_directory_list" => {
            fill(dir, &[("foo.txt", ""), ("bar.txt", ""), ("baz.txt", ""), ("sub/wow.txt", ""), ("sub/yay.txt", "")]);
            rw().run(program, NONE)
        }
        "p2_cli_multiple_preopens" => {
            ["/a", "/b", "/c"].iter().fold(Wave::strict(), |run, guest| run.dir(dir, guest, "ro")).run(program, NONE)
        }
        // The clock ends what never ends by itself.
        "p2_cli_sleep_forever" => Wave::strict().flag("--timeout", "300ms").run(program, NONE),
        "p2_cli_stdio_write_flushes" => {
            let mut child = Wave::strict().spawn(program, NONE);
            let mut prompt = [0; 2];
            child
                .stdout
                .as_mut()
                .expect("it is piped")
                .read_exact(&mut prompt)
                .expect("the prompt comes before the input");
            drop(child.stdin.take());
            let mut outcome = finish(child);
            outcome.stdout.insert_str(0, std::str::from_utf8(&prompt).unwrap());
            outcome
        }
        name if name.ends_with("_readonly") || name.ends_with("_across_perms") || name.ends_with("_not_permitted") => {
            fill(
                dir,
                &[
                    ("ro/test.txt", "read only test file\n"),
                    ("ro/stream-perms.txt", "stream permission test\n"),
                    ("rw/x", ""),
                ],
            );
            fs::remove_file(dir.join("rw/x")).unwrap();
            let before = tree(&dir.join("ro"));
            let granted = Wave::strict().dir(&dir.join("rw"), ".", "rw").dir(&dir.join("ro"), "granted", "ro");
            let outcome = granted.run(program, ["."]);
            assert_eq!(tree(&dir.join("ro")), before, "{name}");
            outcome
        }
        "p1_stat_extreme_host_mtime" => {
            fill(dir, &[("extreme.dat", "hello")]);
            let file = File::options().write(true).open(dir.join("extreme.dat")).unwrap();
            file.set_modified(UNIX_EPOCH - Duration::from_secs(1 << 62)).ok();
            Wave::strict().dir(dir, ".", "rw").run(program, ["."])
        }
        "p2_cli_hostcall_fuel" => {
            fill(dir, &[("1mb", &"\0".repeat(1 << 20))]);
            Wave::strict().dir(dir, ".", "rw").run(program, ["read"])
        }
        name if LISTENERS.contains(&name) => {
            let run = Wave::strict().flag("--listen", "127.0.0.1:0").flag("--connect", "127.0.0.1:1-65535");
            let run = if TcpListener::bind("[::1]:0").is_ok() {
                run.flag("--listen", "[::1]:0").flag("--connect", "[::1]:1-65535")
            } else {
                run.env("DISABLE_IPV6=1")
            };
            run.run(program, NONE)
        }
        name if name.starts_with("p2_cli") => Wave::strict().run(program, NONE),
        _ => Wave::strict().dir(dir, ".", "rw").run(program, ["."]),
    }
}

/// Runs all programs whose names begin like this, and says of how many there are.
fn check(beginning: &str, count: usize) {
    let Some(programs) = built("wasmtime") else { return };
    let files = fs::read_dir(programs).expect("a listing").map(|file| file.expect("a listing").path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for program in files {
        let name = program.file_stem().and_then(|name| name.to_str()).expect("plain names");
        if !name.starts_with(beginning) {
            continue;
        }
        checked += 1;
        let dir = writable_dir();
        give_to_guest(dir.path());
        let outcome = run(name, &program, dir.path());
        let End { code, stdout, stderr } = end(name);
        let good = outcome.status.code() == Some(code)
            && stdout.is_none_or(|stdout| stdout == outcome.stdout)
            && outcome.stderr.contains(stderr)
            && (code != 0 || !outcome.stderr.contains("trap"));
        if !good {
            wrong.push(format!("{name}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(checked, count, "programs of another version of Wasmtime");
}

/// T14 to T29 as well: these are the programs that test paths, rights and descriptors.
#[test]
fn programs_of_preview_1_run_as_components() {
    check("p1_", 58);
}

#[test]
fn programs_of_wasi_0_2_run() {
    check("p2_", 65);
}
