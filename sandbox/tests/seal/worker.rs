//! A compiler's process: which calls it may make, what a module that has taken it over can do, and how it ends (T62, T99).

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use wave_policy::{Level, Policy, ProcessLimits};
use wave_sandbox::{Channel, Worker};

use crate::Case;
use crate::child::{REFUSED, raw};
use crate::run::{User, expect};

pub const CASES: &[Case] = &[
    ("worker::every_number", every_number),
    ("worker::calls_that_break_out", calls_that_break_out),
    ("worker::permitted_calls_work", permitted_calls_work),
    ("worker::work_is_done_and_answered", work_is_done_and_answered),
    ("worker::each_end_is_told_apart", each_end_is_told_apart),
    ("worker::no_worker_beside_a_thread", no_worker_beside_a_thread),
    ("worker::a_missing_layer_is_a_refusal_there", a_missing_layer_is_a_refusal_there),
];

const DENIED: i32 = wave_sandbox::DENIED;

/// Most memory of the workers here.
const MEMORY_BYTES: u64 = 64 << 20;

/// The calls a compiler may make when all arguments are 0, and how they end.
const PERMITTED: &[(i64, i32)] = &[
    (libc::SYS_read, 0),
    (libc::SYS_mprotect, 0),
    (libc::SYS_munmap, libc::EINVAL),
    (libc::SYS_brk, 0),
    (libc::SYS_rt_sigprocmask, libc::EINVAL),
    (libc::SYS_exit, 0),
    // The filter's self-test.
    (libc::SYS_getppid, libc::EKEYREJECTED),
    (libc::SYS_sigaltstack, 0),
    (libc::SYS_gettid, 0),
    (libc::SYS_futex, libc::EFAULT),
    (libc::SYS_sched_getaffinity, libc::EINVAL),
    (libc::SYS_exit_group, 0),
    (libc::SYS_openat, libc::EACCES),
    (libc::SYS_set_robust_list, libc::EINVAL),
    (libc::SYS_getrandom, 0),
    (libc::SYS_rseq, libc::EINVAL),
    (libc::SYS_clone3, libc::ENOSYS),
];

fn every_number(user: User) {
    let outcome = expect(user, &["role=compiler", "sweep=1024"], 0);
    let lines = outcome.stdout.lines().map(|line| line.split_once(' ').expect("a number and a status"));
    let mut found: BTreeMap<i64, i32> =
        lines.map(|(number, status)| (number.parse().expect("a number"), status.parse().expect("a status"))).collect();
    for (number, harmless) in crate::sweep::PAST_ANY_FILTER {
        assert_eq!(found.remove(&number).unwrap_or(harmless), harmless, "{number}");
    }
    assert_eq!(found, PERMITTED.iter().copied().collect());
}

/// What it is, the call, and how the bare call ends.
const ATTEMPTS: &[(&str, &str, i32)] = &[
    ("open", "call=2,s:/etc/passwd,0", 0),
    ("openat2", "call=437,-100,s:/etc/passwd,s:00000000,0", libc::EINVAL),
    ("creat", "call=85,s:/dev/full,0", 0),
    ("socket, tcp", "call=41,2,1,0", 0),
    ("socket, unix", "call=41,1,1,0", 0),
    ("connect", "call=42,0,0,0", libc::ENOTSOCK),
    ("fork", "call=57", 0),
    ("vfork and wait", "call=61,-1,0,0,0", libc::ECHILD),
    ("clone, a process", "call=56,17,0,0,0", 0),
    ("execve", "call=59,s:/bin/true,0,0", 0),
    ("execveat", "call=322,-100,s:/bin/true,0,0,0", 0),
    ("ptrace", "call=101,0", 0),
    ("kill, the process that started it", "call=62,ppid,0", 0),
    ("pidfd_open", "call=434,ppid,0", 0),
    ("process_vm_readv", "call=310,ppid,0,0,0,0", 0),
    ("prctl, dumpable again", "call=157,4,1", 0),
    ("prctl, outlive the parent", "call=157,1,0", 0),
    ("memfd_create", "call=319,s:x,0", 0),
    ("mmap, executable", "call=9,0,4096,5,34,-1,0", 0),
    ("mmap, shared", "call=9,0,4096,3,33,-1,0", 0),
    ("mmap, over what is there", "call=9,m,4096,3,50,-1,0", 0),
    ("mprotect, executable", "call=10,m,4096,5", 0),
    ("mremap", "call=25,m,4096,8192,1", 0),
    ("madvise, merge with other processes", "call=28,m,4096,12", 0),
    ("rt_sigaction of SIGSYS", "call=13,31,0,0,8", 0),
    ("write to no stream", "call=1,3,s:x,1", libc::EBADF),
    ("read from standard error", "call=0,2,m,0", libc::EBADF),
    ("writev", "call=20,1,0,0", 0),
    ("sendmsg", "call=46,1,0,0", libc::ENOTSOCK),
    ("dup", "call=32,0", 0),
    ("prlimit64", "call=302,0,7,0,0", 0),
];

fn calls_that_break_out(user: User) {
    for (what, call, bare) in ATTEMPTS {
        // An ordinary user may not signal this process of root, filter or not.
        let others = user == User::Nobody && what.starts_with("kill");
        expect(user, &["level=off", call], if others { libc::EPERM } else { *bare });
        let outcome = expect(user, &["role=compiler", call], DENIED);
        assert!(outcome.stderr.starts_with("wave: denied system call "), "{what}: {outcome:?}");
    }
    // The one way to open that fails instead of ending the process.
    expect(user, &["level=off", "call=257,-100,s:/etc/passwd,0"], 0);
    expect(user, &["role=compiler", "call=257,-100,s:/etc/passwd,0"], libc::EACCES);
}

fn permitted_calls_work(user: User) {
    expect(user, &["role=compiler", "call=12,0"], 0);
    expect(user, &["role=compiler", "call=9,0,4096,3,34,-1,0"], 0);
    expect(user, &["role=compiler", "call=10,m,4096,3"], 0);
    expect(user, &["role=compiler", "call=11,m,4096"], 0);
    let outcome = expect(user, &["role=compiler", "call=1,1,s:x,1"], 0);
    assert_eq!(outcome.stdout, "x");
    let outcome = expect(user, &["role=compiler", "call=1,2,s:x,1"], 0);
    assert_eq!(outcome.stderr, "x");
}

fn work_is_done_and_answered(user: User) {
    for level in ["level=strict", "level=standard"] {
        let outcome = expect(user, &["worker=add", level], 0);
        let (answer, detail) = outcome.stdout.split_once('\n').expect("two lines");
        assert_eq!(answer, "42");
        assert!(detail.contains("any other call ends the process; uid "), "{detail}");
        assert!(detail.contains("; ABI ") && detail.contains("abstract sockets"), "{detail}");
        assert_eq!(outcome.stderr, "");
    }
    // Its limit is on processor time: a machine that does something else for much longer does not end it.
    assert_eq!(expect(user, &["worker=late"], 0).stdout, "42\n");
    // More than the socket holds, both ways, and with threads.
    assert_eq!(expect(user, &["worker=echo"], 0).stdout, "8388608\n");
    assert_eq!(expect(user, &["worker=threads"], 0).stdout, "6\n");
}

fn each_end_is_told_apart(user: User) {
    for (action, ended) in [
        ("hang_up", "exit status 0"),
        ("panic", "exit status 101"),
        ("panic_in_a_thread", "exit status 101"),
        ("fault", "signal 11"),
        ("execve", "it made a system call that is refused to it"),
        ("allocate", "it used up its memory"),
        ("allocate_in_a_thread", "it used up its memory"),
        ("spin", "its time was up"),
        ("deaf", "its time was up"),
        ("asleep", "it gave no valid answer"),
    ] {
        let start = Instant::now();
        let outcome = expect(user, &[&format!("worker={action}")], 0);
        assert_eq!(outcome.stdout, format!("{ended}\n"), "{action}: {outcome:?}");
        if action == "panic" {
            let (place, message) = outcome.stderr.split_once(":\n").expect("a place and a message");
            assert!(place.starts_with("wave: panicked at sandbox/tests/seal/worker.rs:"), "{outcome:?}");
            assert_eq!(message, "as asked\nno children\n");
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{action}");
        // The worker's process is gone: the child has no process left to wait for.
        assert!(outcome.stderr.ends_with("no children\n"), "{action}: {outcome:?}");
    }
}

fn no_worker_beside_a_thread(user: User) {
    let outcome = expect(user, &["worker=add", "before=thread"], REFUSED);
    assert_eq!(outcome.stdout, "cannot start a process: the process has 2 threads, the seal covers one\n");
    expect(user, &["worker=add", "before=joined_thread"], 0);
}

fn a_missing_layer_is_a_refusal_there(user: User) {
    let outcome = expect(user, &["worker=add", "break=444"], REFUSED);
    assert!(outcome.stdout.starts_with("cannot apply the layer `landlock`: "), "{outcome:?}");
    let outcome = expect(user, &["worker=add", "break=444", "level=standard"], 0);
    assert!(outcome.stdout.starts_with("42\n"), "{outcome:?}");
    assert!(outcome.stdout.contains("; no landlock: "), "{outcome:?}");
    let outcome = expect(user, &["worker=add", "break=56"], REFUSED);
    assert!(
        outcome.stdout.starts_with("cannot start a process: the kernel refused fork: Operation not permitted"),
        "{outcome:?}"
    );
}

/// Starts a worker for an action, communicates with it, and prints the result.
pub fn child(action: &str, level: Level) -> ! {
    let limits = ProcessLimits {
        data_bytes: Some(MEMORY_BYTES),
        file_size_bytes: Some(0),
        threads: 4,
        ..ProcessLimits::default()
    };
    let policy = Policy { level, limits, ..Policy::default() };
    let timeout = match action {
        "spin" | "deaf" => Duration::from_millis(300),
        "late" => LATE,
        _ => Duration::from_secs(20),
    };
    let started = Worker::start(&policy, timeout, |channel| work(action, channel).expect("the channel works"));
    let sealed = started.and_then(|mut worker| worker.sealed().map(|detail| (worker, detail)));
    let (mut worker, detail) = match sealed {
        Ok(ready) => ready,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {}", chain(source)));
            println!("{error}{}", source.unwrap_or_default());
            wave_sandbox::exit(REFUSED);
        }
    };
    match talk(action, &mut worker) {
        Ok(answer) => {
            worker.end().expect("own process");
            println!("{answer}");
            if action == "add" {
                println!("{detail}");
            }
        }
        Err(error) => {
            println!("{}", worker.autopsy(&error));
            drop(worker);
            let waited = nix::sys::wait::waitpid(None, None);
            eprintln!("{}", if waited == Err(nix::errno::Errno::ECHILD) { "no children" } else { "a child is left" });
        }
    }
    wave_sandbox::exit(0)
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

const ECHOED: usize = 8 << 20;

/// The processor time of a worker that gets its task after more wall-clock time than that.
const LATE: Duration = Duration::from_secs(2);

/// The side that is not sealed.
fn talk(action: &str, worker: &mut Worker) -> io::Result<u64> {
    if action == "deaf" {
        // It does not read: more than the socket holds must not block for ever.
        worker.write_all(&vec![0; ECHOED])?;
    }
    let mut answer = [0; 8];
    match action {
        "late" => std::thread::sleep(LATE * 2),
        // It waits for its task, and this side for its answer.
        "asleep" => worker.read_exact(&mut answer)?,
        _ => {}
    }
    if action == "echo" {
        worker.write_all(&vec![7; ECHOED])?;
        let mut echo = Vec::new();
        worker.take(ECHOED as u64).read_to_end(&mut echo)?;
        assert!(echo.iter().all(|byte| *byte == 8));
        return Ok(echo.len() as u64);
    }
    worker.write_all(&[40, 2])?;
    worker.read_exact(&mut answer)?;
    Ok(u64::from_le_bytes(answer))
}

/// The side that is.
fn work(action: &str, mut channel: Channel) -> io::Result<()> {
    match action {
        "add" | "late" | "asleep" => {
            let mut numbers = [0; 2];
            channel.read_exact(&mut numbers)?;
            channel.write_all(&u64::from(numbers[0] + numbers[1]).to_le_bytes())
        }
        "echo" => {
            let mut bytes = vec![0; ECHOED];
            channel.read_exact(&mut bytes)?;
            bytes.iter_mut().for_each(|byte| *byte += 1);
            channel.write_all(&bytes)
        }
        "threads" => {
            // If this side ended before the other has written, the write would fail.
            channel.read_exact(&mut [0; 2])?;
            let sums = (1..=3_u64).map(|n| std::thread::spawn(move || vec![n; 1 << 20].into_iter().max().unwrap_or(0)));
            let sums: Vec<_> = sums.collect();
            let sum: u64 = sums.into_iter().map(|thread| thread.join().expect("a thread")).sum();
            channel.write_all(&sum.to_le_bytes())
        }
        "hang_up" => Ok(()),
        "panic" => panic!("as asked"),
        "panic_in_a_thread" => std::thread::spawn(|| panic!("as asked")).join().expect("a thread"),
        "fault" => {
            // SAFETY: none; the fault is the point.
            unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
            Ok(())
        }
        "execve" => {
            raw(&[libc::SYS_execve, c"/bin/true".as_ptr() as i64]).map(drop).map_err(io::Error::from_raw_os_error)
        }
        "allocate" => {
            let blocks: Vec<_> = (0..MEMORY_BYTES >> 20).map(|_| vec![1_u8; 1 << 20]).collect();
            channel.write_all(&(blocks.len() as u64).to_le_bytes())
        }
        "allocate_in_a_thread" => std::thread::spawn(move || work("allocate", channel)).join().expect("a thread"),
        "spin" | "deaf" => loop {
            std::hint::spin_loop();
        },
        other => panic!("unknown action {other}"),
    }
}
