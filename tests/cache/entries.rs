//! The cache of verified code: nothing in it makes a run fail or gives it another result, and nothing counts that this user's
//! verifier did not sign for the same module or file (T59).
//!
//! Run as root, each test runs `wave` as root and as user 65534.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, SystemTime};

use linux_keyutils::{KeyRing, KeyRingIdentifier};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use tempfile::TempDir;
use wave_contract::artifact::Artifact;
use wave_contract::digest::digest;
use wave_test_support::around::{EPERM, hiding};
use wave_test_support::user::{NOBODY, User};
use wave_test_support::{
    Outcome, as_root, finish, not_run, place_for_programs, readable_by_all, sees_other_processes, with_line_table,
};

/// Prints a line out of a data segment through a function in a table, and ends with a number that it computes.
const PROGRAM: &str = r#"(module
  (type $print (func))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (table 1 1 funcref)
  (elem (i32.const 0) $print)
  (global $sum (mut i32) (i32.const 0))
  (data (i32.const 0) "\08\00\00\00\06\00\00\00kept!\0a")
  (func $print (type $print) (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32))))
  (func (export "_start") (local $i i32)
    (call_indirect (type $print) (i32.const 0))
    (loop $more
      (global.set $sum (i32.add (global.get $sum) (local.tee $i (i32.add (local.get $i) (i32.const 1)))))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 10))))
    (call $exit (global.get $sum))))"#;

/// What it prints, and how it ends.
const PRINTED: (&str, i32) = ("kept!\n", 55);

/// Bytes of an entry before the digests of head, data and text: magic, seed, five lengths, the digest of the debug information.
const LENGTHS: usize = 8 + 6 * 8 + 32;

/// Bytes of an entry before its tag.
const DIGESTS: usize = LENGTHS + 3 * 32;

/// Bytes of an entry before its head.
const HEADER: usize = DIGESTS + 32;

/// `wave` where every user may run it, with a module.
static PLACE: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = place_for_programs();
    let program = dir.path().join("program.wasm");
    fs::write(&program, wat::parse_str(PROGRAM).expect("a module")).expect("own directory");
    readable_by_all(&program);
    dir
});

/// A user with a directory for caches that is empty at first.
struct Home {
    user: User,
    dir: TempDir,
}

impl Home {
    fn new(user: User) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        if user == User::Nobody {
            chown(dir.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        Self { user, dir }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PLACE.path().join("wave"));
        command.args(args).env("XDG_CACHE_HOME", self.dir.path().join("caches")).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.user.runs(&mut command);
        command
    }

    fn start(&self, flags: &[&str]) -> Child {
        self.start_module(&PLACE.path().join("program.wasm"), flags)
    }

    fn start_module(&self, module: &Path, flags: &[&str]) -> Child {
        let args = [&["--sandbox", "strict", "run"], flags, &[module.to_str().expect("UTF-8")]].concat();
        self.command(&args).spawn().expect("wave starts")
    }

    /// A run, which must give what the program prints. What the report says of compiler and verifier.
    #[track_caller]
    fn run(&self, flags: &[&str]) -> [String; 2] {
        self.run_module(&PLACE.path().join("program.wasm"), flags, PRINTED)
    }

    #[track_caller]
    fn run_module(&self, module: &Path, flags: &[&str], (stdout, code): (&str, i32)) -> [String; 2] {
        let outcome = finish(self.start_module(module, &[&["--report"], flags].concat()));
        assert_eq!((&*outcome.stdout, outcome.status.code()), (stdout, Some(code)), "{outcome:?}");
        ["compiler", "verifier"].map(|layer| {
            let line = outcome.stderr.lines().find_map(|line| line.trim_start().strip_prefix(layer));
            let words: Vec<_> = line.unwrap_or_default().split_whitespace().skip(2).collect();
            words.join(" ")
        })
    }

    fn wave(&self, args: &[&str]) -> Outcome {
        finish(self.command(args).spawn().expect("wave starts"))
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("caches/wave")
    }

    fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.cache()) else { return Vec::new() };
        let mut entries: Vec<_> = entries.map(|entry| entry.expect("own directory").path()).collect();
        entries.sort();
        entries
    }

    /// The one entry there is.
    #[track_caller]
    fn entry(&self) -> PathBuf {
        let entries = self.entries();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].clone()
    }

    /// Writes bytes in the place of an entry's, as its user would.
    fn replace(&self, entry: &Path, bytes: &[u8]) {
        fs::write(entry, bytes).expect("own directory");
    }

    /// Whether the kernel keeps a key; where it does not, code is verified in each run.
    fn has_key(&self) -> bool {
        self.wave(&["cache", "info"]).stdout.contains("in the kernel")
    }
}

/// All users with an empty cache each; none where the kernel keeps no keys, for nothing is signed there.
fn homes() -> Vec<Home> {
    let homes: Vec<_> = User::available().iter().map(|user| Home::new(*user)).collect();
    if homes.iter().all(Home::has_key) {
        return homes;
    }
    // As root in a container, say, whose filter has no such calls.
    let ring = KeyRing::from_special_id(KeyRingIdentifier::User, false);
    assert!(ring.is_err(), "this kernel keeps keys, and wave has none");
    not_run(&format!("use a kernel, or a container, with keyrings: {ring:?}"));
    Vec::new()
}

fn is_compiled(states: &[String; 2]) -> bool {
    states[0].contains("calls") && states[1].contains("functions")
}

fn is_cached(states: &[String; 2]) -> bool {
    *states == ["code from the cache", "signed by an earlier run"]
}

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("smaller than limit")
    }
}

#[test]
fn the_second_run_takes_the_code_of_the_first() {
    let program = PLACE.path().join("program.wasm").display().to_string();
    for home in homes() {
        assert!(is_compiled(&home.run(&["--no-cache"])));
        assert!(home.entries().is_empty(), "nothing is kept");
        assert!(is_compiled(&home.run(&[])));
        let modes = [home.cache(), home.entry()].map(|path| fs::metadata(path).expect("it is there"));
        assert_eq!(modes.map(|metadata| metadata.mode() & 0o7777), [0o700, 0o600]);
        assert!(is_cached(&home.run(&[])));
        assert!(is_compiled(&home.run(&["--no-cache"])), "it is not asked for");
        // Other code for the same module.
        assert!(is_compiled(&home.run(&["--deterministic"])));
        assert_eq!(home.entries().len(), 2);
        assert!(is_cached(&home.run(&["--deterministic"])));
        assert!(is_cached(&home.run(&[])));
        assert!(is_compiled(&home.run(&["--fuel", "1000"])), "cached code counts no fuel");
        assert!(is_cached(&home.run(&["--fuel", "2000"])), "code does not depend on how much");
        assert_eq!(home.wave(&["run", "--fuel", "50", &program]).status.code(), Some(124));
        assert!(is_compiled(&home.run(&["--fuel", "1000", "--deterministic"])));

        let info = home.wave(&["cache", "info"]);
        assert!(info.stdout.contains("programs:       4\n"), "{info:?}");
        assert_eq!(home.wave(&["cache", "clear"]).status.code(), Some(0));
        assert!(home.entries().is_empty());
        assert!(is_compiled(&home.run(&[])));
    }
}

/// Code knows its addresses, and not two memories fit below 2 GiB: a second memory, and a heap of objects, lie elsewhere, again in each run.
#[test]
fn code_for_several_memories_is_found_again() {
    const SEVERAL: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (memory 1) (memory 1 16)
      (type $box (struct (field i32)))
      (func (export "_start")
        (i32.store 1 (i32.const 8) (i32.const 20))
        (i32.store 2 (i32.const 65532) (i32.const 13))
        (call $exit (i32.add (struct.get $box 0 (struct.new $box (i32.load 1 (i32.const 8)))) (i32.load 2 (i32.const 65532))))))"#;
    for home in homes() {
        let module = home.dir.path().join("several.wasm");
        fs::write(&module, wat::parse_str(SEVERAL).expect("a module")).expect("own directory");
        readable_by_all(&module);
        assert!(is_compiled(&home.run_module(&module, &[], ("", 33))));
        for _ in 0..3 {
            assert!(is_cached(&home.run_module(&module, &[], ("", 33))));
        }
    }
}

/// T37: the run does not have the cache open.
#[test]
fn t37_a_run_has_no_descriptor_of_the_cache() {
    const WAITS: &str = r#"(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00")
      (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;
    for home in homes() {
        let module = home.dir.path().join("waits.wasm");
        fs::write(&module, wat::parse_str(WAITS).expect("a module")).expect("own directory");
        readable_by_all(&module);
        for _ in 0..2 {
            let module = module.to_str().expect("UTF-8");
            let mut command = home.command(&["--sandbox", "strict", "run", "--report=json", module]);
            let mut child = command.stdin(Stdio::piped()).spawn().expect("wave starts");
            let mut lines = BufReader::new(child.stderr.as_mut().expect("it is piped")).lines().map_while(Result::ok);
            assert!(lines.any(|line| line.starts_with('{')), "it is sealed by then");
            let open = fs::read_dir(format!("/proc/{}/fd", child.id()));
            // Only root sees into a process that cannot be dumped.
            if sees_other_processes() {
                assert_eq!(open.expect("root may look").count(), 3);
            }
            drop(child.stdin.take());
            assert_eq!(child.wait().expect("own child").code(), Some(0));
        }
        assert_eq!(home.entries().len(), 1);
    }
}

/// Many runs at once on an empty cache: each is right, and one entry is left.
#[test]
fn runs_do_not_disturb_each_other() {
    for home in homes() {
        for _ in 0..3 {
            let runs: Vec<_> = (0..8).map(|_| home.start(&[])).collect();
            for run in runs {
                finish(run).is(PRINTED.1, PRINTED.0, "");
            }
            assert!(is_cached(&home.run(&[])));
            fs::remove_file(home.entry()).expect("own directory");
        }
    }
}

/// Runs that are killed at any moment leave nothing that a later run would stumble over.
#[test]
fn a_thousand_killed_runs_leave_nothing_wrong() {
    let mut random = Random(59);
    for home in homes() {
        let rounds = 1000 / User::available().len();
        for round in 0..rounds {
            let mut run = home.start(&[]);
            thread::sleep(Duration::from_micros(random.below(9_000) as u64));
            run.kill().expect("own child");
            let outcome = finish(run);
            assert_eq!(outcome.stderr, "");
            assert!(outcome.status.code().is_none_or(|code| code == PRINTED.1), "{outcome:?}");
            if round % 10 == 0 {
                home.run(&[]);
                // Else all but the first would only read.
                drop(fs::remove_file(home.entries().into_iter().find(|path| !is_unfinished(path)).expect("an entry")));
            }
        }
        home.run(&[]);
        assert!(is_cached(&home.run(&[])));
    }
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".new-"))
}

/// T59: whatever byte of an entry changes, the run is as without it; then there is a whole entry again.
#[test]
fn t59_damaged_entries_are_replaced() {
    let mut random = Random(60);
    for home in homes() {
        home.run(&[]);
        let entry = home.entry();
        let whole = fs::read(&entry).expect("own file");
        let places = (0..HEADER).step_by(5).chain((HEADER..debug_at(&whole)).step_by(whole.len() / 100));
        for at in places {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << random.below(8);
            home.replace(&entry, &damaged);
            assert!(!is_cached(&home.run(&[])), "byte {at} of {}", whole.len());
            assert!(is_cached(&home.run(&[])), "byte {at} of {}", whole.len());
        }
        for len in [0, 1, HEADER - 1, HEADER, whole.len() - 1] {
            home.replace(&entry, &whole[..len]);
            assert!(is_compiled(&home.run(&[])), "{len} bytes");
            assert!(is_cached(&home.run(&[])));
        }
        home.replace(&entry, &[&whole[..], b"more"].concat());
        assert!(is_compiled(&home.run(&[])));
    }
}

/// A home with a module that traps, whose line table names `main.c`.
fn trapping(home: &Home) -> PathBuf {
    let module = wat::parse_str(r#"(module (func $f (export "_start") unreachable))"#).expect("a module");
    let path = home.dir.path().join("traps.wasm");
    fs::write(&path, with_line_table(module, b"main.c")).expect("own directory");
    readable_by_all(&path);
    path
}

/// A trap of code from the cache says where it was in the source, as one of compiled code does.
#[test]
fn a_cached_run_has_source_lines() {
    for home in homes() {
        let module = trapping(&home);
        let run = |flags: &[&str]| finish(home.start_module(&module, &[&["--report"], flags].concat()));
        let backtrace = |outcome: &Outcome| {
            let frames = outcome.stderr.lines().filter(|line| line.starts_with("  at "));
            (outcome.status.code(), frames.map(str::to_owned).collect::<Vec<_>>())
        };
        let compiled = run(&[]);
        assert!(!compiled.stderr.contains("code from the cache"), "{compiled:?}");
        let (code, frames) = backtrace(&compiled);
        assert!(code == Some(134) && frames.len() == 1 && frames[0].ends_with(" main.c:10"), "{compiled:?}");
        let cached = run(&[]);
        assert!(cached.stderr.contains("code from the cache"), "{cached:?}");
        assert_eq!(backtrace(&cached), backtrace(&compiled));
    }
}

/// T59: source lines that are not those of the module are not shown. Nothing else depends on them.
#[test]
fn t59_damaged_source_lines_are_left_out() {
    for home in homes() {
        let module = trapping(&home);
        let run = || finish(home.start_module(&module, &["--report"]));
        run();
        let entry = home.entry();
        let whole = fs::read(&entry).expect("own file");
        for at in debug_at(&whole)..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            home.replace(&entry, &damaged);
            let outcome = run();
            assert!(outcome.stderr.contains("code from the cache"), "byte {at}: {outcome:?}");
            assert_eq!(outcome.status.code(), Some(134), "byte {at}: {outcome:?}");
            assert!(outcome.stderr.contains("  at f (0x") && !outcome.stderr.contains(":10"), "byte {at}: {outcome:?}");
        }
        home.replace(&entry, &whole);
        assert!(run().stderr.contains(" main.c:10"));
    }
}

/// The lengths of an entry's parts: head, data, text, where functions begin, source lines.
fn lengths(entry: &[u8]) -> [usize; 5] {
    let number = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
    let lengths = [16, 24, 32, 40, 48].map(|at| usize::try_from(number(at)).expect("a small entry"));
    assert_eq!(entry.len(), HEADER + lengths.iter().sum::<usize>());
    lengths
}

/// Where an entry's debug information begins.
fn debug_at(entry: &[u8]) -> usize {
    HEADER + lengths(entry)[..3].iter().sum::<usize>()
}

/// An entry's parts, and how its digest is made: by anybody who can write there.
fn forged(entry: &Path, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = fs::read(entry).expect("own file");
    let [head, data, text, ..] = lengths(&bytes);
    let end = debug_at(&bytes);
    change(&mut bytes[end - text..end]);
    let (parts, text) = bytes[HEADER..end].split_at(head + data);
    let digests = [&parts[..head], &parts[head..], text].map(|part| digest(part, 1));
    bytes[LENGTHS..DIGESTS].copy_from_slice(digests.as_flattened());
    bytes
}

/// T59: code with digests that fit but without this user's signature is no code: the module is compiled again.
#[test]
fn t59_what_nobody_signed_does_not_count() {
    for home in homes() {
        home.run(&[]);
        let entry = home.entry();
        let whole = fs::read(&entry).expect("own file");
        assert!(forged(&entry, |_| ()) == whole, "this test knows the format");

        let mut unsigned = whole.clone();
        unsigned[DIGESTS..HEADER].fill(7);
        // `syscall` where each function begins, and everywhere else.
        let other = forged(&entry, |text| text.as_chunks_mut::<2>().0.fill([0x0f, 0x05]));
        for entered in [unsigned, other] {
            home.replace(&entry, &entered);
            assert!(is_compiled(&home.run(&[])));
            let again = fs::read(&entry).expect("own file");
            assert!(again != entered && again[8..16] != whole[8..16], "compiled again, for addresses of its own");
            assert!(is_cached(&home.run(&[])));
        }
    }
}

/// The program, with another body of the same length: it ends with another number.
fn other_program() -> Vec<u8> {
    wat::parse_str(PROGRAM.replace("(i32.const 10)", "(i32.const 9)")).expect("a module")
}

const OTHER_PRINTED: (&str, i32) = ("kept!\n", 45);

/// T59: code that the verifier accepts for the module, but that is another program's, does not get under the module's name by
/// whoever can write the cache.
#[test]
fn t59_the_code_of_another_program_is_not_believed() {
    for home in homes() {
        let other = home.dir.path().join("other.wasm");
        fs::write(&other, other_program()).expect("own directory");
        assert!(is_compiled(&home.run(&[])));
        let entry = home.entry();
        assert!(is_compiled(&home.run_module(&other, &[], OTHER_PRINTED)));
        let others = home.entries().into_iter().find(|path| *path != entry).expect("a second entry");
        let signed = fs::read(&others).expect("own file");
        let mut unsigned = signed.clone();
        unsigned[DIGESTS..HEADER].fill(0);
        for entered in [signed, unsigned] {
            home.replace(&entry, &entered);
            assert!(is_compiled(&home.run(&[])));
            assert!(fs::read(&entry).expect("own file") != entered, "it was replaced");
            assert!(is_cached(&home.run(&[])));
        }
        assert!(is_cached(&home.run_module(&other, &[], OTHER_PRINTED)), "the neighbor is as it was");
    }
}

/// A compiled file that holds the program, and code of the other one.
fn strangers_file(home: &Home) -> PathBuf {
    let [module, file] = ["other.wasm", "other.wave"].map(|name| home.dir.path().join(name));
    fs::write(&module, other_program()).expect("own directory");
    let [from, to] = [&module, &file].map(|path| path.to_str().expect("UTF-8"));
    home.wave(&["compile", "-o", to, from]).is(0, "", "");
    let mut artifact = Artifact::read(&fs::read(&file).expect("own file")).expect("an artifact");
    artifact.module = fs::read(PLACE.path().join("program.wasm")).expect("own file");
    artifact.origin.module = *blake3::hash(&artifact.module).as_bytes();
    fs::write(&file, artifact.to_bytes().expect("memory")).expect("own file");
    file
}

fn is_of_the_file(states: &[String; 2]) -> bool {
    states[0].starts_with("code of the compiled file") && states[1].contains("functions")
}

/// T59: a compiled file is another program than the module in it: its code is never found under the module's name, nor the
/// module's code under that of the file.
#[test]
fn t59_a_compiled_file_does_not_stand_for_its_module() {
    for home in homes() {
        let file = strangers_file(&home);
        let of_file = |flags: &[&str]| home.run_module(&file, flags, OTHER_PRINTED);
        assert!(is_of_the_file(&of_file(&["--no-cache"])) && home.entries().is_empty());
        assert!(is_of_the_file(&of_file(&[])));
        assert!(is_compiled(&home.run(&["--no-cache"])));
        assert!(is_compiled(&home.run(&[])), "the module's code was not there yet");
        assert!(is_cached(&home.run(&[])) && is_cached(&of_file(&[])));
        assert_eq!(home.entries().len(), 2);

        // The module first.
        assert_eq!(home.wave(&["cache", "clear"]).status.code(), Some(0));
        assert!(is_compiled(&home.run(&[])));
        assert!(is_of_the_file(&of_file(&[])));
        assert!(is_cached(&of_file(&[])) && is_cached(&home.run(&[])));

        // Neither under the name of the other.
        let [one, other] = home.entries().try_into().expect("two entries");
        let bytes = [&one, &other].map(|path| fs::read(path).expect("own file"));
        home.replace(&one, &bytes[1]);
        home.replace(&other, &bytes[0]);
        assert!(is_of_the_file(&of_file(&[])));
        assert!(is_compiled(&home.run(&[])));

        // Compiled again, the module in the file is the module.
        let again = home.dir.path().join("again.wave");
        let [from, to] = [&file, &again].map(|path| path.to_str().expect("UTF-8"));
        let compiled = home.wave(&["compile", "-o", to, from]);
        assert_eq!(compiled.status.code(), Some(0), "{compiled:?}");
        assert!(compiled.stderr.contains("its code is not used"), "{compiled:?}");
        assert!(is_of_the_file(&home.run_module(&again, &[], PRINTED)));
    }
}

/// T59: the pin of a policy names a file, not what that says it was compiled from.
#[test]
fn t59_a_compiled_file_does_not_pass_for_its_module() {
    for home in homes() {
        let (module, file) = (PLACE.path().join("program.wasm"), strangers_file(&home));
        let [module_text, file_text] = [&module, &file].map(|path| path.to_str().expect("UTF-8"));
        let policy = |of: &str| {
            let generated = home.wave(&["policy", "gen", of]);
            assert_eq!(generated.status.code(), Some(0), "{generated:?}");
            assert_eq!(generated.stderr.contains("is a compiled file"), of == file_text);
            let path = home.dir.path().join("policy.toml");
            fs::write(&path, &generated.stdout).expect("own directory");
            let hash = blake3::hash(&fs::read(of).expect("own file")).to_hex();
            assert!(generated.stdout.contains(&format!("blake3 = \"{hash}\"")), "{generated:?}");
            path.into_os_string().into_string().expect("UTF-8")
        };
        let refused = |policy: &str, program: &str, words: &str| {
            for (code, command) in [
                (125, &["--sandbox", "strict", "run", "--policy", policy, program][..]),
                (125, &["--sandbox", "strict", "run", "--no-cache", "--policy", policy, program]),
                (1, &["policy", "check", policy, program]),
            ] {
                let outcome = home.wave(command);
                assert_eq!((&*outcome.stdout, outcome.status.code()), ("", Some(code)), "{outcome:?}");
                assert!(outcome.stderr.contains(words) && outcome.stderr.contains("module.blake3"), "{outcome:?}");
            }
        };
        // Run without grants before.
        home.run_module(&file, &[], OTHER_PRINTED);
        let of_module = policy(module_text);
        assert!(is_compiled(&home.run(&["--policy", &of_module])));
        refused(&of_module, file_text, "the pin names a module, and this is a compiled file of it");
        assert!(is_cached(&home.run(&["--policy", &of_module])));

        let of_file = policy(file_text);
        home.run_module(&file, &["--policy", &of_file], OTHER_PRINTED);
        let checked = home.wave(&["policy", "check", &of_file, file_text]);
        assert_eq!(checked.status.code(), Some(0), "{checked:?}");
        refused(&of_file, module_text, "is not the module of this policy: its BLAKE3 is");
    }
}

/// A module of more than a mebibyte that ends with a number.
fn large(code: i32) -> Vec<u8> {
    let text = format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
          (func (export "_start") (call $exit (i32.const {code}))))"#
    );
    let mut module = wat::parse_str(text).expect("a module");
    // A custom section without a name.
    const BYTES: usize = 1 << 20;
    module.extend([&[0, 0x80, 0x80, 0x40, 0][..], &[0; BYTES - 1]].concat());
    module
}

/// Changes a byte of a file, whose memory it shares: it has written there before, so that no file system is told of the change
/// before the memory is written back. `change FILE OFFSET BYTE`: says when it is ready, and changes the byte for each line.
const CHANGE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
int main(int count, char **words) {
  struct stat before, after;
  long at = atol(words[2]);
  char other = atoi(words[3]);
  int file = open(words[1], O_RDWR);
  if (count != 4 || file < 0 || fstat(file, &before)) return 1;
  volatile char *bytes = mmap(0, before.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (bytes == MAP_FAILED) return 1;
  bytes[at] = bytes[at];
  for (puts("ready"), fflush(stdout); getchar() != EOF; puts("changed"), fflush(stdout)) {
    char old = bytes[at];
    if (fstat(file, &before)) return 1;
    bytes[at] = other;
    other = old;
    struct timespec times[2] = {before.st_atim, before.st_mtim};
    if (fstat(file, &after)) return 1;
    int is_told = before.st_mtim.tv_sec != after.st_mtim.tv_sec || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec;
    if (is_told && futimens(file, times)) return 1;
  }
  return 0;
}"#;

/// A large file whose memory is shared with a process that changes a byte of it on request, and back.
struct Shared {
    file: PathBuf,
    codes: [i32; 2],
    process: Child,
    says: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Shared {
    /// A file that ends with `code`, or 2 more.
    fn new(program: &Path, dir: &Path, code: i32) -> Self {
        let codes = [code, code + 2];
        let [before, after] = codes.map(large);
        let differences: Vec<_> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
        let [at] = differences[..] else { panic!("one byte is the number: {differences:?}") };
        let file = dir.join("shared.wasm");
        fs::write(&file, before).expect("own directory");
        readable_by_all(&file);
        let mut command = Command::new(program);
        command.arg(&file).args([at.to_string(), after[at].to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("own program");
        let says = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut shared = Self { file, codes, process, says };
        shared.waits_for("ready");
        // The times of a file that has just changed could be doubted, those of an old one not.
        let old = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(3600));
        File::options().write(true).open(&shared.file).and_then(|file| file.set_times(old)).expect("own file");
        shared
    }

    #[track_caller]
    fn waits_for(&mut self, word: &str) {
        assert_eq!(self.says.next().and_then(Result::ok).as_deref(), Some(word));
    }

    fn change(&mut self) {
        self.process.stdin.as_mut().expect("it is piped").write_all(b"\n").expect("it reads");
        self.waits_for("changed");
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// Directories on the file system at hand, and on one in memory.
fn file_systems() -> Vec<TempDir> {
    let is_in_memory = |path: &Path| statfs(path).is_ok_and(|system| system.filesystem_type() == TMPFS_MAGIC);
    let in_memory = Path::new("/dev/shm");
    let mut dirs = vec![tempfile::tempdir().expect("a temporary directory")];
    match tempfile::tempdir_in(in_memory) {
        Ok(dir) if is_in_memory(in_memory) => dirs.push(dir),
        _ => not_run("mount a file system in memory at /dev/shm that every user can write"),
    }
    for dir in &dirs {
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("own directory");
    }
    dirs
}

/// T59: a large file is the module that it holds, whatever is said of the time it was changed.
#[test]
fn t59_a_large_file_is_what_it_holds() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (source, program) = (dir.path().join("change.c"), dir.path().join("change"));
    fs::write(&source, CHANGE).expect("own directory");
    let built = Command::new("cc").arg("-o").arg(&program).arg(&source).status();
    assert!(built.expect("the linker of every Rust program").success());
    let dirs = file_systems();
    let mut files: Vec<_> =
        dirs.iter().zip([1, 2]).map(|(dir, code)| Shared::new(&program, dir.path(), code)).collect();
    for home in homes() {
        let run = |file: &Path, code: i32| home.run_module(file, &[], ("", code));
        for shared in &mut files {
            let [code, other] = shared.codes;
            assert!(is_compiled(&run(&shared.file, code)));
            assert!(is_cached(&run(&shared.file, code)));
            shared.change();
            assert!(is_compiled(&run(&shared.file, other)), "{}", shared.file.display());
            shared.change();
            assert!(is_cached(&run(&shared.file, code)));

            // By another file in its place, and all times that can be set as they were.
            let (file, before) =
                (&shared.file.with_extension("written"), fs::metadata(&shared.file).expect("own file"));
            fs::copy(&shared.file, file).expect("own directory");
            for (bytes, code) in [(large(code), code), (large(other), other)] {
                fs::write(file, bytes).expect("own file");
                let times = FileTimes::new().set_modified(before.modified().expect("a time"));
                File::options().write(true).open(file).and_then(|file| file.set_times(times)).expect("own file");
                assert!(is_cached(&run(file, code)), "it is known by what it holds");
            }
        }
        assert_eq!(home.entries().len(), 2 * files.len());
    }
}

/// T59: the entry of one program is none of another, nor with another seed.
#[test]
fn t59_an_entry_is_of_one_program() {
    for home in homes() {
        home.run(&[]);
        home.run(&["--deterministic"]);
        let [one, other] = home.entries().try_into().expect("two entries");
        fs::copy(&one, &other).expect("own directory");
        let states = [home.run(&[]), home.run(&["--deterministic"])];
        assert_eq!(states.iter().filter(|states| is_cached(states)).count(), 1, "{states:?}");
    }
}

/// T59: code of another build is none of this one's, wherever and when that was put; the same build elsewhere is the same.
#[test]
fn t59_an_entry_is_of_one_build() {
    const NOTE: [u8; 16] = *b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let own = fs::read(PLACE.path().join("wave")).expect("own file");
    let note = own.windows(NOTE.len()).position(|bytes| bytes == NOTE);
    for home in homes() {
        home.run(&[]);
        let [source, build] = ["source", "wave"].map(|name| home.dir.path().join(name));
        let before = fs::metadata(PLACE.path().join("wave")).expect("own file");
        let entries_with = |bytes: &[u8]| {
            fs::write(&source, bytes).expect("own file");
            fs::set_permissions(&source, before.permissions()).expect("own file");
            let times = FileTimes::new().set_modified(before.modified().expect("a time"));
            File::options().write(true).open(&source).and_then(|file| file.set_times(times)).expect("own file");
            // In its place, by another process: what this one writes, its children could have open, and then it does not start.
            let copied = Command::new("cp").arg("-p").args([&source, &build]).status();
            assert!(copied.expect("coreutils").success());
            let after = fs::metadata(&build).expect("own file");
            assert_eq!((after.len(), after.mtime_nsec()), (before.len(), before.mtime_nsec()));
            let mut command = Command::new(&build);
            command.args(["--sandbox", "strict", "run"]).arg(PLACE.path().join("program.wasm"));
            command.env("XDG_CACHE_HOME", home.dir.path().join("caches"));
            home.user.runs(&mut command);
            assert_eq!(command.output().expect("wave starts").status.code(), Some(PRINTED.1));
            home.entries().len()
        };
        assert_eq!(entries_with(&own), 1, "the same build");
        let changed = |at: usize| {
            let mut bytes = own.clone();
            bytes[at] ^= 1;
            bytes
        };
        let Some(note) = note else {
            // Whoever links without build IDs: then it is the whole file. Nobody reads its end.
            assert_eq!([entries_with(&changed(own.len() - 1)), entries_with(&own)], [2, 2]);
            continue;
        };
        assert_eq!(entries_with(&changed(note + NOTE.len())), 2, "another build ID");
        assert_eq!(entries_with(&own), 2);
        // It has none, then: of another kind.
        let mut without = changed(note + 8);
        assert_eq!([entries_with(&without), entries_with(&without)], [3, 3]);
        *without.last_mut().expect("a program") ^= 1;
        assert_eq!([entries_with(&without), entries_with(&own)], [4, 4]);
    }
}

/// Where the kernel keeps no keys, as in many containers, nothing could be signed: nothing is cached, and nothing that is
/// there counts.
#[test]
fn without_a_key_there_is_no_cache() {
    const KEYS: &str = "248,249,250";
    // Homes without a look for keys: these have none in any case.
    for home in User::available().iter().map(|user| Home::new(*user)) {
        let hiding = |args: &[&str]| {
            let mut command = hiding(KEYS, EPERM, &PLACE.path().join("wave"));
            command.args(args).env("XDG_CACHE_HOME", home.dir.path().join("caches")).current_dir("/");
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            home.user.runs(&mut command);
            finish(command.spawn().expect("python3"))
        };
        let module = PLACE.path().join("program.wasm");
        let run = || {
            let outcome = hiding(&["--sandbox", "strict", "run", "--report", module.to_str().expect("UTF-8")]);
            assert_eq!((&*outcome.stdout, outcome.status.code()), (PRINTED.0, Some(PRINTED.1)), "{outcome:?}");
            assert!(!outcome.stderr.contains("from the cache"), "{outcome:?}");
        };
        for _ in 0..2 {
            run();
            assert!(home.entries().is_empty());
        }
        if home.has_key() {
            home.run(&[]);
            let entry = fs::read(home.entry()).expect("own file");
            run();
            assert!(fs::read(home.entry()).expect("own file") == entry, "it is left alone");
            assert!(is_cached(&home.run(&[])));
        }
        let info = hiding(&["cache", "info"]);
        assert!(info.stdout.contains("so nothing is cached"), "{info:?}");
    }
}

/// Where others could write, there is no cache; runs go on.
#[test]
fn a_place_that_others_can_write_is_not_used() {
    for home in homes() {
        let base = home.dir.path().join("caches");
        let refused = |what: &str| {
            assert!(is_compiled(&home.run(&[])), "{what}");
            assert!(is_compiled(&home.run(&[])), "{what}");
            let info = home.wave(&["cache", "info"]);
            assert_eq!((info.status.code(), &*info.stdout), (Some(125), ""), "{what}: {info:?}");
            assert!(info.stderr.contains(what), "{what}: {info:?}");
        };
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("own directory");
        home.run(&[]);
        assert!(is_cached(&home.run(&[])));
        for others in [0o770, 0o777, 0o1777] {
            mode(&base, others);
            refused("is writable by its group or by everyone");
        }
        mode(&base, 0o755);
        assert!(is_cached(&home.run(&[])), "readable by all, as ~/.cache often is");
        mode(home.dir.path(), 0o777);
        refused("is writable by its group or by everyone");
        mode(home.dir.path(), 0o1777);
        assert!(is_cached(&home.run(&[])), "sticky: nobody else can move it away");
        mode(home.dir.path(), 0o755);
        mode(&home.cache(), 0o750);
        refused("its mode must be 0700");
        mode(&home.cache(), 0o700);

        let elsewhere = home.dir.path().join("elsewhere");
        fs::rename(home.cache(), &elsewhere).expect("own directory");
        symlink(&elsewhere, home.cache()).expect("own directory");
        refused("cannot be used");
        fs::remove_file(home.cache()).expect("own directory");
        fs::write(home.cache(), "").expect("own directory");
        refused("cannot be used");
        fs::remove_file(home.cache()).expect("own directory");
        if as_root() {
            let other = if home.user == User::Root { NOBODY } else { 0 };
            fs::rename(&elsewhere, home.cache()).expect("root may");
            chown(home.cache(), Some(other), None).expect("root may");
            refused(if home.user == User::Root { "belongs to another user" } else { "cannot be used" });
        }
    }
}

/// An entry that is no file, or too large, is as good as none.
#[test]
fn entries_of_other_kinds_are_left_alone() {
    for home in homes() {
        home.run(&[]);
        let entry = home.entry();
        fs::remove_file(&entry).expect("own directory");
        let status = Command::new("mkfifo").arg(&entry).status().expect("coreutils");
        assert!(status.success());
        assert!(is_compiled(&home.run(&[])), "a FIFO does not block");
        assert!(is_cached(&home.run(&[])), "and is replaced");
        fs::remove_file(&entry).expect("own directory");
        symlink("/etc/passwd", &entry).expect("own directory");
        assert!(is_compiled(&home.run(&[])));
        assert!(is_cached(&home.run(&[])));
        fs::remove_file(&entry).expect("own directory");
        File::create(&entry).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
        if home.user == User::Nobody {
            chown(&entry, Some(NOBODY), None).expect("root may");
        }
        assert!(is_compiled(&home.run(&[])), "a file of a terabyte is not read");
        assert!(is_cached(&home.run(&[])));
    }
}

/// What was not used for longest makes room.
#[test]
fn the_cache_is_bounded() {
    for home in homes() {
        home.run(&[]);
        let entry = home.entry();
        let old = |name: &str, hours: u64| {
            let path = home.cache().join(name);
            let file = File::create(&path).expect("own directory");
            file.set_len(300 << 20).expect("a sparse file");
            let then = SystemTime::now() - Duration::from_secs(hours * 3600);
            file.set_times(FileTimes::new().set_modified(then)).expect("own file");
            path
        };
        let others = [old("a", 2), old("b", 4), old("c", 3), old("d", 5), old(".new-e", 6)];
        // 1.2 GiB and an unfinished file; a gigabyte is the most.
        fs::remove_file(&entry).expect("own directory");
        home.run(&[]);
        let left: Vec<_> = others.iter().map(|path| path.exists()).collect();
        assert_eq!(left, [true, true, true, false, false], "the oldest, and what nobody finished");
        assert!(is_cached(&home.run(&[])));
        let info = home.wave(&["cache", "info"]);
        assert!(info.stdout.contains("programs:       4\n"), "{info:?}");
    }
}

/// Takes all addresses below 2 GiB that programs are put at.
const CROWD: &str = r"
#include <sys/mman.h>
__attribute__((constructor)) static void crowd(void) {
  mmap((void *)0x10000000, 0x60000000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}";

/// Code whose addresses are taken is compiled again, for others.
#[test]
fn code_whose_addresses_are_taken_is_compiled_again() {
    // A library is loaded where programs run.
    let dir = place_for_programs();
    let (source, library) = (dir.path().join("crowd.c"), dir.path().join("crowd.so"));
    fs::write(&source, CROWD).expect("own directory");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("the linker of every Rust program").success());
    readable_by_all(&library);
    for home in homes() {
        home.run(&[]);
        assert!(is_cached(&home.run(&[])));
        let module = PLACE.path().join("program.wasm");
        let mut command = home.command(&["--sandbox", "strict", "run", "--report", module.to_str().expect("UTF-8")]);
        command.env("LD_LIBRARY_PATH", dir.path()).env("LD_PRELOAD", "crowd.so");
        let outcome = finish(command.spawn().expect("wave starts"));
        assert_eq!((&*outcome.stdout, outcome.status.code()), (PRINTED.0, Some(PRINTED.1)), "{outcome:?}");
        assert!(!outcome.stderr.contains("code from the cache"), "{outcome:?}");

        // The code of a compiled file is for its addresses alone, cached or not: the module in it is another program.
        let file = strangers_file(&home);
        home.run_module(&file, &[], OTHER_PRINTED);
        assert!(is_cached(&home.run_module(&file, &[], OTHER_PRINTED)));
        for flag in ["--report", "--no-cache"] {
            let file = file.to_str().expect("UTF-8");
            let mut command = home.command(&["--sandbox", "strict", "run", flag, file]);
            let outcome = finish(command.env("LD_PRELOAD", &library).spawn().expect("wave starts"));
            assert_eq!((&*outcome.stdout, outcome.status.code()), ("", Some(125)), "{outcome:?}");
            assert!(outcome.stderr.contains("something else is at the addresses"), "{outcome:?}");
        }
    }
}

/// Limits of the shell do not reach into a run by way of the cache.
#[test]
fn a_small_limit_on_files_ends_no_run() {
    for home in homes() {
        fs::write(home.dir.path().join("1.wasm"), large(1)).expect("own directory");
        let limited = |module: &Path| {
            let command = home.command(&[]);
            let script = r#"ulimit -f 0; exec "$0" --sandbox strict run "$1""#;
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).arg(command.get_program()).arg(module);
            shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            if home.user == User::Nobody {
                shell.uid(NOBODY).gid(NOBODY);
            }
            finish(shell.spawn().expect("a shell"))
        };
        limited(&PLACE.path().join("program.wasm")).is(PRINTED.1, PRINTED.0, "");
        limited(&home.dir.path().join("1.wasm")).is(1, "", "");
        assert!(home.entries().is_empty());
        home.run(&[]);
        assert!(is_cached(&home.run(&[])));
    }
}
