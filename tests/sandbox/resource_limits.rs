//! Every limit of getrlimit(2), from 0 upward: for each value a command ends in success with the right output, or with a status of
//! `wave` and a message that names the limit. No panic, no hang, no signal but the kernel's own for processor time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit};
use wave_test_support::user::User;
use wave_test_support::{Outcome, copy_program, finish, open_to_all, source, writable_dir};

const GREETING: &str = "Hello from inside the sandbox!\n";

/// A limit: its name for prlimit(1), the flag of the shell that a message names, the largest value that is tried, and the steps.
struct Limit {
    name: &'static str,
    resource: Resource,
    flag: &'static str,
    most: u64,
    step: u64,
}

const fn limit(name: &'static str, resource: Resource, flag: &'static str, most: u64, step: u64) -> Limit {
    Limit { name, resource, flag, most, step }
}

/// All sixteen. A flag that is empty: the limit changes nothing.
const LIMITS: [Limit; 16] = [
    limit("as", Resource::RLIMIT_AS, "ulimit -v", 1 << 37, 4096),
    limit("core", Resource::RLIMIT_CORE, "", 1 << 20, 4096),
    limit("cpu", Resource::RLIMIT_CPU, "ulimit -t", 5, 1),
    limit("data", Resource::RLIMIT_DATA, "ulimit -d", 1 << 34, 4096),
    limit("fsize", Resource::RLIMIT_FSIZE, "", 1 << 24, 1),
    limit("locks", Resource::RLIMIT_LOCKS, "", 100, 1),
    limit("memlock", Resource::RLIMIT_MEMLOCK, "", 1 << 24, 4096),
    limit("msgqueue", Resource::RLIMIT_MSGQUEUE, "", 1 << 20, 1),
    limit("nice", Resource::RLIMIT_NICE, "", 40, 1),
    limit("nofile", Resource::RLIMIT_NOFILE, "ulimit -n", 400, 1),
    limit("nproc", Resource::RLIMIT_NPROC, "ulimit -u", 1 << 12, 1),
    limit("rss", Resource::RLIMIT_RSS, "", 1 << 30, 4096),
    limit("rtprio", Resource::RLIMIT_RTPRIO, "", 99, 1),
    limit("rttime", Resource::RLIMIT_RTTIME, "", 1_000_000, 1),
    limit("sigpending", Resource::RLIMIT_SIGPENDING, "", 1000, 1),
    limit("stack", Resource::RLIMIT_STACK, "ulimit -s", 1 << 24, 4096),
];

/// What came of a value, as far as it matters where it changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// The kernel or the loader did not get as far as `main`.
    NotStarted,
    /// Exit code and message, without numbers.
    Ended(i32, String),
    /// Killed for its processor time.
    OutOfTime,
}

struct Trial<'a> {
    dir: &'a Path,
    user: User,
    words: &'a [&'a str],
    limit: &'a Limit,
    stdout: &'a str,
    seen: BTreeMap<Seen, u64>,
}

impl Trial<'_> {
    fn limited(&self, value: u64) -> Command {
        let mut command = Command::new("prlimit");
        command.arg(format!("--{}={value}:{value}", self.limit.name)).current_dir(self.dir).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("HOME").env_remove("XDG_CACHE_HOME");
        self.user.runs(&mut command);
        command
    }

    /// Whether a program like this can be loaded at all: all of its libraries, and nothing of it runs.
    fn loads(&self, value: u64) -> bool {
        let mut command = self.limited(value);
        command.args(["env", "LD_TRACE_LOADED_OBJECTS=1"]).arg(self.dir.join("wave"));
        finish(command.spawn().expect("util-linux")).status.success()
    }

    fn look(&mut self, value: u64) -> Seen {
        let mut command = self.limited(value);
        command.arg(self.dir.join("wave")).args(self.words);
        let outcome = finish(command.spawn().expect("util-linux"));
        let seen = self.judge(value, &outcome);
        self.seen.entry(seen.clone()).or_insert(value);
        seen
    }

    fn judge(&self, value: u64, outcome: &Outcome) -> Seen {
        let Limit { name, flag, .. } = self.limit;
        let context = || format!("{:?}, {:?}, {name} {value}: {outcome:?}", self.user, self.words);
        match outcome.status.code() {
            Some(0) => {
                assert_eq!((&*outcome.stdout, &*outcome.stderr), (self.stdout, ""), "{}", context());
                Seen::Ended(0, String::new())
            }
            Some(code @ (1 | 125 | 126)) if outcome.stderr.starts_with("wave: ") => {
                assert_eq!(outcome.stdout, "", "{}", context());
                assert!(!flag.is_empty() && outcome.stderr.contains(flag), "{}", context());
                assert!(!outcome.stderr.contains("bug"), "{}", context());
                Seen::Ended(code, outcome.stderr.chars().filter(|c| !c.is_ascii_digit()).collect())
            }
            // Before `main`, std allocates a signal stack. If it cannot, it panics, and the handler of aborts adds the way out.
            Some(125) if outcome.stderr.contains("failed to allocate an alternative stack") => {
                assert!(!flag.is_empty() && outcome.stderr.contains(flag), "{}", context());
                Seen::NotStarted
            }
            None if *name == "cpu" && [libc::SIGKILL, libc::SIGXCPU].map(Some).contains(&outcome.status.signal()) => {
                Seen::OutOfTime
            }
            // The kernel moves the start of a stack by up to 8 KiB, and the loader and std need some before `main`.
            None if *name == "stack" && value <= 32 << 10 && outcome.stderr.is_empty() => Seen::NotStarted,
            _ if outcome.stderr.contains("error while loading shared libraries") || !self.loads(value) => {
                Seen::NotStarted
            }
            _ => panic!("{}", context()),
        }
    }

    /// Looks wherever something changes between two values.
    fn bisect(&mut self, (low, at_low): (u64, &Seen), (high, at_high): (u64, &Seen)) {
        let middle = (low + high) / 2 / self.limit.step * self.limit.step;
        if at_low == at_high || middle <= low {
            return;
        }
        let found = self.look(middle);
        self.bisect((low, at_low), (middle, &found));
        self.bisect((middle, &found), (high, at_high));
    }

    fn run(mut self) -> BTreeMap<Seen, u64> {
        // Nobody may be given more than there is.
        let (_, hard) = getrlimit(self.limit.resource).expect("a limit there is");
        let high = self.limit.most.min(hard);
        let (at_low, at_high) = (self.look(0), self.look(high));
        assert!(high < self.limit.most || at_high == Seen::Ended(0, String::new()), "{at_high:?}");
        self.bisect((0, &at_low), (high, &at_high));
        self.seen
    }
}

#[test]
fn every_limit_of_the_kernel_ends_in_success_or_in_a_message() {
    let dir = writable_dir();
    copy_program(env!("CARGO_BIN_EXE_wave").as_ref(), dir.path());
    fs::copy(source("examples/hello.wat"), dir.path().join("hello.wat")).expect("own directory");
    fs::write(dir.path().join("p.toml"), "version = 1\nextends = \"cli\"\n").expect("own directory");
    for name in ["hello.wat", "p.toml"] {
        open_to_all(&dir.path().join(name));
    }
    for &user in User::available() {
        for limit in &LIMITS {
            let mut commands = vec![(&["--sandbox", "strict", "run", "--policy", "p.toml", "hello.wat"][..], GREETING)];
            // The others differ in how they use memory, and in what they do without a process.
            if ["as", "data", "nofile", "stack"].contains(&limit.name) {
                commands.push((&["--sandbox", "strict", "policy", "check", "p.toml", "hello.wat"], ""));
            }
            for (words, stdout) in commands {
                let trial = Trial { dir: dir.path(), user, words, limit, stdout, seen: BTreeMap::new() };
                let seen = trial.run();
                println!("{user:?}, {words:?}, {}: {seen:#?}", limit.name);
                let refused = seen.keys().any(|seen| matches!(seen, Seen::Ended(1 | 125 | 126, _)));
                // What takes little memory begins with all that it takes.
                let must = ["nofile", "stack"].contains(&limit.name)
                    || words.contains(&"run") && ["as", "data"].contains(&limit.name)
                    || limit.name == "nproc" && user != User::Root;
                assert!(refused || !must, "{user:?}, {words:?}, {}: {seen:#?}", limit.name);
                assert!(
                    seen.contains_key(&Seen::Ended(0, String::new())),
                    "{user:?}, {words:?}, {}: {seen:#?}",
                    limit.name
                );
            }
        }
    }
}
