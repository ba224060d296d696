//! What the integration tests share: running `wave`, guests built from C, directories and what is in them.
#![forbid(unsafe_code)]

pub mod around;
pub mod binary;
pub mod components;
#[cfg(target_os = "linux")]
pub mod containers;
pub mod cpython;
pub mod outside;
pub mod packages;
pub mod seatbelt;
pub mod testsuite;
pub mod user;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A run that takes longer hangs; its process is killed and the test fails.
pub const WALL_LIMIT: Duration = Duration::from_secs(180);

/// One run of `wave run`, put together flag by flag.
pub struct Wave {
    command: Command,
    stdin: Vec<u8>,
}

/// One way of keeping the promises about the file system; the tests of them hold in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As a user gets it: the kernel resolves paths.
    Normal,
    /// `wave` resolves paths itself, component by component.
    ManualResolver,
}

impl Mode {
    /// Every mode there is.
    pub const ALL: &[Self] = &[Self::Normal, Self::ManualResolver];

    /// A run in this mode, under `--sandbox strict`.
    pub fn strict(self) -> Wave {
        match self {
            Self::Normal => Wave::strict(),
            Self::ManualResolver => Wave::strict().flag("--resolver", "manual"),
        }
    }
}

impl Wave {
    /// A run under `--sandbox strict`, whatever the default is.
    pub fn strict() -> Self {
        let mut command = Command::new(wave());
        command.args(["--sandbox", "strict", "run"]);
        Self { command, stdin: Vec::new() }
    }

    /// A run of another program that takes the flags of `wave run`.
    pub fn program(command: Command) -> Self {
        Self { command, stdin: Vec::new() }
    }

    /// Grants a directory; `access` is `ro` or `rw`.
    pub fn dir(mut self, host: &Path, guest: &str, access: &str) -> Self {
        self.command.args(["--dir", &format!("{}::{guest}::{access}", host.display())]);
        self
    }

    /// Grants a variable of the environment, `K=V`.
    pub fn env(self, variable: &str) -> Self {
        self.flag("--env", variable)
    }

    /// Any other flag with its value.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.command.args([name, value]);
        self
    }

    /// Any flag without a value.
    pub fn switch(mut self, name: &str) -> Self {
        self.command.arg(name);
        self
    }

    /// Starts in another working directory.
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Starts by way of a shell: in `script` stands `exec "$@"` where `wave` begins, with limits and redirections.
    pub fn by_shell(self, script: &str) -> Self {
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash"]).arg(self.command.get_program()).args(self.command.get_args());
        Self { command, stdin: self.stdin }
    }

    /// The command line, for tests that connect the standard streams themselves.
    pub fn command(mut self, module: impl AsRef<Path>) -> Command {
        self.command.arg(module.as_ref());
        self.command
    }

    /// What the guest reads from standard input; nothing by default.
    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = bytes.to_vec();
        self
    }

    /// Runs the module to its end.
    pub fn run<A: AsRef<OsStr>>(self, module: impl AsRef<Path>, args: impl IntoIterator<Item = A>) -> Outcome {
        let stdin = self.stdin.clone();
        let mut child = self.spawn(module, args);
        let mut pipe = child.stdin.take().expect("stdin is piped");
        // A guest that ends without reading closes the pipe, which is no failure.
        let feeder = thread::spawn(move || pipe.write_all(&stdin).ok());
        let outcome = finish(child);
        feeder.join().expect("the feeder does not panic");
        outcome
    }

    /// Starts the module with all three standard streams piped.
    pub fn spawn<A: AsRef<OsStr>>(mut self, module: impl AsRef<Path>, args: impl IntoIterator<Item = A>) -> Child {
        self.command.arg(module.as_ref()).args(args);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().expect("wave starts")
    }
}

/// Waits until a process is gone, or has ended and nobody waits for it; panics past the wall limit.
#[track_caller]
pub fn wait_until_gone(process: u32) {
    let deadline = Instant::now() + WALL_LIMIT;
    let stays =
        || fs::read_to_string(format!("/proc/{process}/status")).is_ok_and(|status| !status.contains("\nState:\tZ"));
    while stays() {
        assert!(Instant::now() < deadline, "{process} goes on");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for a process and collects what it printed; kills it and panics past the wall limit.
pub fn finish(mut child: Child) -> Outcome {
    fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).expect("pipes can be read");
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let stdout = drain(child.stdout.take().expect("stdout is piped"));
    let stderr = drain(child.stderr.take().expect("stderr is piped"));
    let deadline = Instant::now() + WALL_LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().expect("own child can be awaited") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().expect("own child can be killed");
            panic!("still running after {WALL_LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let stdout = stdout.join().expect("the reader does not panic");
    let stderr = stderr.join().expect("the reader does not panic");
    Outcome { status, stdout, stderr }
}

/// How a run ended and what it printed.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Asserts exit code, standard output and standard error, all exactly.
    #[track_caller]
    pub fn is(&self, code: i32, stdout: &str, stderr: &str) {
        let seen = (self.status.code(), &*self.stdout, &*self.stderr);
        assert_eq!(seen, (Some(code), stdout, stderr), "signal {:?}", self.status.signal());
    }

    /// Asserts that the guest `hello` of `tests/inherited` ran to its end; `what` says how it was started.
    #[track_caller]
    pub fn is_hello(&self, what: &str) {
        let seen = (self.status.code(), &*self.stdout);
        assert_eq!(seen, (Some(0), "hello\n"), "{what}: {self:?}");
    }

    /// Asserts exit code 134 and a message that names the trap and the functions, innermost first.
    #[track_caller]
    pub fn is_trap(&self, name: &str, functions: &[&str]) {
        assert_eq!(self.status.code(), Some(134), "{self:?}");
        assert!(self.stderr.lines().any(|line| line == format!("wave: trap: {name}")), "{self:?}");
        let frames = self.stderr.lines().filter_map(|line| line.strip_prefix("  at "));
        let seen: Vec<_> = frames.map(|frame| frame.split(" (0x").next().unwrap_or_default()).collect();
        assert_eq!(seen, functions, "{self:?}");
    }
}

/// A fresh directory that the guest's user may write, also when `wave` was started as root and dropped that.
pub fn writable_dir() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    open_to_all(dir.path());
    dir
}

/// Lets every user write, so that only the sandbox stands between the guest and this file or directory.
pub fn open_to_all(path: &Path) {
    let mode = if path.is_dir() { 0o777 } else { 0o666 };
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("own files can be opened up");
}

/// Lets every user read a file, and run it if it is a program, whatever the umask of these tests.
pub fn readable_by_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("own files can be opened up");
}

/// Copies a program into a directory, for every user.
pub fn copy_program(program: &Path, dir: &Path) -> PathBuf {
    // By another process: a child that another test starts meanwhile would keep the copy open for writing.
    let copied = Command::new("cp").args([program, dir]).status().expect("cp starts");
    assert!(copied.success());
    let copy = dir.join(program.file_name().expect("programs have names"));
    readable_by_all(&copy);
    copy
}

/// A fresh directory with `wave` in it, where every user may run that: temporary files may lie where nothing is run.
pub fn place_for_programs() -> TempDir {
    let places = [std::env::temp_dir(), "/var/tmp".into(), scratch().to_owned()];
    let place = places.iter().find_map(|place| {
        let dir = tempfile::tempdir_in(place).ok()?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("own directory");
        let wave = copy_program(wave(), dir.path());
        let runs = |user: &user::User| {
            let mut command = Command::new(&wave);
            user.runs(&mut command);
            command.arg("--version").current_dir("/").output().is_ok_and(|output| output.status.success())
        };
        user::User::available().iter().all(runs).then_some(dir)
    });
    place.unwrap_or_else(|| panic!("in none of {places:?} every user may run programs"))
}

/// Copies what is in a directory into another, for a guest that may change it: it belongs to the user a run of root becomes.
pub fn copy_for_guest(from: &Path, to: &Path) {
    give_to_guest(to);
    for entry in fs::read_dir(from).expect("the source can be listed") {
        let entry = entry.expect("the source can be listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("own directory can be written");
            copy_for_guest(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("own directory can be written");
            give_to_guest(&target);
        }
    }
}

/// Lets the guest's user write, and change times as only an owner can. `wave` becomes the owner of what it is granted.
pub fn give_to_guest(path: &Path) {
    open_to_all(path);
    if as_root() {
        lchown(path, Some(1000), Some(1000)).expect("root can give files away");
    }
}

/// Whether these tests run as root.
pub fn as_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this process may look into those of others, which root in a container may not: it has `CAP_SYS_PTRACE`.
pub fn sees_other_processes() -> bool {
    has_capability(19)
}

/// The number of `CAP_SYS_ADMIN`, without which nobody makes namespaces.
pub const SYS_ADMIN: u32 = 21;

/// Whether this process has a capability, by its number in capabilities(7).
pub fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("procfs is there");
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).expect("a set");
    u64::from_str_radix(set, 16).expect("hexadecimal digits") >> number & 1 == 1
}

/// Makes files beneath `root`, with their directories; all of them writable by every user.
pub fn fill(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        let parent = path.parent().expect("joined below a root");
        if parent != root && !parent.exists() {
            fs::create_dir(parent).expect("directories are named before what is in them");
            open_to_all(parent);
        }
        fs::write(&path, text).expect("own directory can be written");
        open_to_all(&path);
    }
}

/// Asserts everything beneath `root`: `name/` a directory, `name: bytes` a file, `name -> target` a link, sorted.
#[track_caller]
pub fn assert_tree(root: &Path, expected: &[&str]) {
    assert_eq!(tree(root), expected);
}

/// Everything beneath `root`, in the form of [`assert_tree`].
pub fn tree(root: &Path) -> Vec<String> {
    fn walk(dir: &Path, prefix: &str, lines: &mut Vec<String>) {
        for entry in fs::read_dir(dir).expect("own directory can be listed") {
            let path = entry.expect("own directory can be listed").path();
            let name = format!("{prefix}{}", path.file_name().expect("entries have names").display());
            let kind = path.symlink_metadata().expect("entries exist").file_type();
            if kind.is_dir() {
                lines.push(format!("{name}/"));
                walk(&path, &format!("{name}/"), lines);
            } else if kind.is_symlink() {
                lines.push(format!("{name} -> {}", fs::read_link(&path).expect("it is a link").display()));
            } else {
                lines.push(format!("{name}: {}", fs::read(&path).expect("own file can be read").escape_ascii()));
            }
        }
    }
    let mut lines = Vec::new();
    walk(root, "", &mut lines);
    lines.sort();
    lines
}

/// A module text in a fresh directory.
pub fn wat(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let path = dir.path().join("guest.wat");
    fs::write(&path, text).expect("own directory can be written");
    (dir, path)
}

/// A module with a line table behind it, which says line 10 of a file for all of the code.
pub fn with_line_table(mut module: Vec<u8>, file: &[u8]) -> Vec<u8> {
    let names = [&[0][..], file, b"\0\0\0\0\0"].concat();
    let header = [&[1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1][..], &names].concat();
    let program = [0, 5, 2, 1, 0, 0, 0, 3, 9, 1, 2, 100, 0, 1, 1];
    let u32_of = |len: usize| u32::try_from(len).expect("a short table").to_le_bytes();
    let body = [&[4, 0][..], &u32_of(header.len()), &header, &program].concat();
    let section = [&b"\x0b.debug_line"[..], &u32_of(body.len()), &body].concat();
    module.extend([0, u8::try_from(section.len()).expect("a short section")]);
    module.extend(section);
    module
}

/// A file of this repository.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this package lies in `tests/`").join(path)
}

/// The command that is tested: what `WAVE_BINARY` names, or what cargo builds before the tests of its package.
pub fn wave() -> &'static Path {
    static WAVE: LazyLock<PathBuf> =
        LazyLock::new(|| std::env::var_os("WAVE_BINARY").map_or_else(|| built().join("wave"), PathBuf::from));
    &WAVE
}

/// Where cargo lets tests write: what they build or fetch stays there.
pub fn scratch() -> &'static Path {
    static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| built().with_file_name("tmp"));
    &SCRATCH
}

/// The directory of the profile that these tests are built with: they lie in `deps`, below it.
fn built() -> PathBuf {
    let program = std::env::current_exe().expect("the kernel knows it");
    program.ancestors().nth(2).expect("cargo puts it there").to_owned()
}

/// The program of an example target.
///
/// A filtered `cargo test` builds no examples: one from before would test the sandbox of before.
pub fn example(name: &str) -> PathBuf {
    let program = built().join("examples").join(name);
    let advice = format!("run `cargo build --example {name}`, or `cargo test` without --test");
    let written = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let built = written(&program).unwrap_or_else(|| panic!("no {}: {advice}", program.display()));
    let sources = fs::read_to_string(program.with_extension("d")).expect("cargo writes what a program is made of");
    let stale = sources.split_whitespace().skip(1).find(|source| written(source.as_ref()).is_some_and(|at| at > built));
    assert_eq!(stale, None, "{} is older: {advice}", program.display());
    program
}

/// The module of a C example, or `None`, said on stderr, where the tools to build it are missing (never in CI).
pub fn c_example(name: &str) -> Option<PathBuf> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let dir = BUILT.get_or_init(build_examples).as_ref();
    if dir.is_none() {
        not_run("install clang lld wasi-libc libclang-rt-14-dev-wasm32");
    }
    dir.map(|dir| dir.join(name).with_extension("wasm"))
}

/// Says that a test, or a part of it, was not run for lack of something that can be installed; in CI that is a failure.
pub fn not_run(why: &str) {
    assert!(!in_ci(), "NOT RUN: {why}");
    cannot_run(why);
}

/// Says that a test, or a part of it, is not for this user or this kernel; once, however often it finds that out.
pub fn cannot_run(why: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let text = format!("NOT RUN: {}: {why}\n", thread::current().name().unwrap_or("a test"));
    if SAID.lock().expect("nothing panics with it").insert(text.clone()) {
        // Not `eprintln`: what a test prints that way is shown only when it fails.
        std::io::stderr().write_all(text.as_bytes()).expect("stderr can be written");
    }
}

/// Whether a program is there and can say its version; if it is not, that is said.
pub fn has_program(program: &mut Command, package: &str) -> bool {
    let started = program.arg("--version").current_dir("/").stdin(Stdio::null()).output();
    let has = started.is_ok_and(|output| output.status.success());
    if !has {
        not_run(&format!("install {package}"));
    }
    has
}

/// Whether nothing may be left out that can be installed: in `.ci/run`, which installs it. Other people's CI may lack it.
pub fn in_ci() -> bool {
    std::env::var_os("WAVE_CI").is_some()
}

/// A lock over all test processes, held until dropped.
pub fn lock(name: &str) -> File {
    let file = File::create(scratch().join(name)).expect("the target directory is ours");
    file.lock().expect("the file system has locks");
    file
}

/// Runs the build script of the examples; `None` if it says that a tool is missing.
fn build_examples() -> Option<PathBuf> {
    let _guard = lock("examples-wasm.lock");
    let out = scratch().join("examples-wasm");
    let build = Command::new("sh").arg(source("examples/build.sh")).arg(&out).output().expect("sh starts");
    match build.status.code() {
        Some(0) => Some(out),
        Some(3) => None,
        _ => panic!("examples/build.sh: {}", String::from_utf8_lossy(&build.stderr)),
    }
}
