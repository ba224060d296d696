//! A program that runs under the seccomp profile of a container and under the seal. A seal cannot be undone, so each run is a child
//! process: this binary again, with `--child` and a profile. There is no test harness, because it would run threads.
//!
//! Run as root, each case runs as root and as user 65534; otherwise once, as the user who runs it.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Value, json};
use wave_engine::{Allocator, Engine, Failure, Module, PlanBuilder};
use wave_sandbox::SeccompProfile;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const NOBODY: u32 = 65534;

/// Says hello, and exits with the errno of that.
const HELLO: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
  (func (export "_start")
    (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#;

/// The errno `PERM` of WASI.
const PERM: i32 = 63;
/// The signal by which a filter ends a process.
const SIGSYS: i32 = 31;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, profile] = words.as_slice()
        && first == "--child"
    {
        let code = run(profile).unwrap_or_else(|failure| {
            eprint!("{failure}");
            failure.code()
        });
        wave_engine::exit(i32::from(code));
    }
    let users = if nix::unistd::geteuid().is_root() { &[None, Some(NOBODY)][..] } else { &[None] };
    for user in users {
        usual_profiles(*user);
        own_profiles(*user);
        println!("test container (user {user:?}) ... ok");
    }
    ExitCode::SUCCESS
}

/// Runs [`HELLO`] to its end.
fn run(profile: &str) -> Result<u8, Failure> {
    wave_engine::start().map_err(|error| Failure::refused(error.to_string()).fix(error.fix()))?;
    let profile: Option<SeccompProfile> = serde_json::from_str(profile).expect("a profile, or null");
    let filter = profile.map(|profile| profile.compile().expect("the profile has a filter"));
    let engine = filter.into_iter().fold(Engine::default(), Engine::filtered_by);
    let plan = PlanBuilder { name: b"hello".to_vec(), ..PlanBuilder::default() }.build()?;
    let sealed = engine.prepare(plan, Module::bytes("hello.wat", HELLO.into()))?.seal()?;
    eprint!("{}", sealed.report());
    Ok(sealed.enter().exit_code())
}

struct Seen {
    code: Option<i32>,
    signal: Option<i32>,
    stdout: String,
    stderr: String,
}

fn hello(user: Option<u32>, profile: &Value) -> Seen {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--child").arg(profile.to_string()).current_dir("/").stdin(Stdio::null());
    if let Some(id) = user {
        command.uid(id).gid(id);
    }
    let output = command.output().expect("this program starts again");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Seen { code: output.status.code(), signal: output.status.signal(), stdout, stderr }
}

impl Seen {
    /// Asserts that the program said hello, and returns the report's line about filters, and names and states of the others.
    #[track_caller]
    fn worked(&self) -> (String, Vec<String>) {
        assert_eq!((self.code, &*self.stdout), (Some(0), "hello\n"), "{}", self.stderr);
        let (filters, others): (Vec<_>, Vec<_>) = self.stderr.lines().partition(|line| line.contains(" seccomp "));
        let name_and_state = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        (filters.concat(), others.into_iter().map(name_and_state).collect())
    }
}

fn usual_profiles(user: Option<u32>) {
    let (own, report) = hello(user, &Value::Null).worked();
    for text in [
        include_str!("../../sandbox/tests/profiles/podman.json"),
        include_str!("../../sandbox/tests/profiles/containerd.json"),
    ] {
        let (filters, others) = hello(user, &serde_json::from_str(text).expect("JSON")).worked();
        assert_eq!(others, report);
        // The length of the filter of the seal depends on where the code lies.
        let calls = |line: &str| line.split_once(" calls, none from").map(|(before, _)| before.to_owned());
        let (before, after) = filters.split_once("the container's own filter, ").expect("it is reported");
        let (_, after) = after.split_once(" instructions, applied first; ").expect("its length is reported");
        assert_eq!(calls(&format!("{before}{after}")), calls(&own));
        assert!(calls(&own).is_some(), "{own}");
    }
}

fn own_profiles(user: Option<u32>) {
    const OUTPUT: [&str; 3] = ["write", "writev", "pwrite64"];
    let rule = |action: &str, calls: &[&str], args: Value| json!({"names": calls, "action": action, "args": args});
    let under = |default: &str, rules: &[Value]| hello(user, &json!({"defaultAction": default, "syscalls": rules}));
    let stdout = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]);

    under("SCMP_ACT_ALLOW", &[]).worked();
    let fails = under("SCMP_ACT_ALLOW", &[rule("SCMP_ACT_ERRNO", &OUTPUT, stdout.clone())]);
    assert_eq!((fails.code, &*fails.stdout), (Some(PERM), ""), "{}", fails.stderr);
    let killed = under("SCMP_ACT_ALLOW", &[rule("SCMP_ACT_KILL_PROCESS", &OUTPUT, stdout)]);
    assert_eq!((killed.signal, &*killed.stdout), (Some(SIGSYS), ""), "{}", killed.stderr);

    // What the program needs, and no call of the seal.
    let allow = |calls: &[&str]| rule("SCMP_ACT_ALLOW", &[&["exit_group", "brk"], calls].concat(), json!([]));
    let with_output = [&OUTPUT[..], &["rt_sigreturn"]].concat();
    under("SCMP_ACT_KILL", &[allow(&with_output)]).worked();
    under("SCMP_ACT_ERRNO", &[allow(&with_output)]).worked();
    let silent = under("SCMP_ACT_KILL", &[allow(&["rt_sigreturn"])]);
    assert_eq!((silent.signal, &*silent.stdout), (Some(SIGSYS), ""), "{}", silent.stderr);
    // The program leaves by a signal. Its handler cannot return, so the process ends.
    let endless = under("SCMP_ACT_ERRNO", &[allow(&OUTPUT)]);
    assert_eq!((endless.signal, &*endless.stdout), (Some(SIGSYS), "hello\n"), "{}", endless.stderr);
}
