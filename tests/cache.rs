//! The cache of verified code: nothing in it makes a run fail or gives it another result, and nothing counts that this user's
//! verifier did not sign (T59).
//!
//! Run as root, each test runs `wave` as root and as user 65534.

mod support;

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, SystemTime};

use linux_keyutils::{KeyRing, KeyRingIdentifier};
use support::user::{NOBODY, User};
use support::{
    Outcome, as_root, cannot_run, copy_program, finish, has_program, place_for_programs, readable_by_all,
    sees_other_processes,
};
use tempfile::TempDir;
use wave_contract::digest::{Digest, digest};

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

/// Bytes of an entry before its head: magic, seed, lengths of head, data and text, digest, tag.
const HEADER: usize = 8 + 4 * 8 + 2 * 32;

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
            let words: Vec<_> = line.unwrap_or_default().split_whitespace().skip(1).collect();
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
    cannot_run(&format!("the kernel keeps no keys: {ring:?}"));
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

        let info = home.wave(&["cache", "info"]);
        assert!(info.stdout.contains("programs:       2\n"), "{info:?}");
        assert_eq!(home.wave(&["cache", "clear"]).status.code(), Some(0));
        assert!(home.entries().is_empty());
        assert!(is_compiled(&home.run(&[])));
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
        let places = (0..HEADER).step_by(5).chain((HEADER..whole.len()).step_by(whole.len() / 100));
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

/// An entry's parts, and how its digest is made: by anybody who can write there.
fn forged(entry: &Path, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = fs::read(entry).expect("own file");
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let [head, data, text] = [16, 24, 32].map(|at| usize::try_from(number(at)).expect("a small entry"));
    assert_eq!(bytes.len(), HEADER + head + data + text);
    change(&mut bytes[HEADER + head + data..]);
    let name = entry.file_name().and_then(|name| name.to_str()).expect("hexadecimal digits");
    let name: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&name[2 * at..2 * at + 2], 16).expect("digits")).collect();
    let name: Digest = digest(&[&name, &bytes[8..16]].concat(), 1);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&name);
    let (parts, text) = bytes[HEADER..].split_at(head + data);
    for part in [&parts[..head], &parts[head..], text] {
        hasher.update(&digest(part, 1));
    }
    let digest = *hasher.finalize().as_bytes();
    bytes[40..72].copy_from_slice(&digest);
    bytes
}

/// T59: code with a digest that fits but without this user's signature is verified, and signed if it passes.
#[test]
fn t59_what_nobody_signed_is_verified() {
    for home in homes() {
        home.run(&[]);
        let entry = home.entry();
        let whole = fs::read(&entry).expect("own file");
        assert!(forged(&entry, |_| ()) == whole, "this test knows the format");

        let mut unsigned = whole.clone();
        unsigned[72..HEADER].fill(7);
        home.replace(&entry, &unsigned);
        assert!(is_compiled(&home.run(&[])), "read by a worker, and verified");
        assert!(fs::read(&entry).expect("own file") == whole, "signed again");
        assert!(is_cached(&home.run(&[])));

        // `syscall` where each function begins, and everywhere else.
        home.replace(&entry, &forged(&entry, |text| text.as_chunks_mut::<2>().0.fill([0x0f, 0x05])));
        assert!(is_compiled(&home.run(&[])), "the verifier refuses it, and the compiler is asked");
        assert!(fs::read(&entry).expect("own file") == whole, "compiled again, for the same addresses");
        assert!(is_cached(&home.run(&[])));
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

/// T59: which module is in a large file is noted, and counts while the file is the same and the note this user's.
#[test]
fn t59_a_note_is_of_one_file_at_one_time() {
    for home in homes() {
        let files = [1, 2].map(|code| {
            let file = home.dir.path().join(format!("{code}.wasm"));
            fs::write(&file, large(code)).expect("own directory");
            readable_by_all(&file);
            (file, code)
        });
        let notes = || home.entries().into_iter().filter(|path| is_note(path)).collect::<Vec<_>>();
        let run = |(file, code): &(PathBuf, i32)| home.run_module(file, &[], ("", *code));

        files.iter().for_each(|file| assert!(is_compiled(&run(file))));
        files.iter().for_each(|file| assert!(is_cached(&run(file))));
        assert!(notes().is_empty(), "the files have just changed");
        thread::sleep(Duration::from_secs(4));
        files.iter().for_each(|file| assert!(is_cached(&run(file))));
        assert_eq!((notes().len(), home.entries().len()), (2, 4));
        assert!(home.wave(&["cache", "info"]).stdout.contains("programs:       2\n"));
        files.iter().for_each(|file| assert!(is_cached(&run(file))));

        // Somebody gives each the other's, or damages them: they are not believed, and written again.
        let whole: Vec<_> = notes().iter().map(|note| fs::read(note).expect("own file")).collect();
        let again = || notes().iter().map(|note| fs::read(note).expect("own file")).collect::<Vec<_>>() == whole;
        for (note, other) in notes().iter().zip(whole.iter().rev()) {
            home.replace(note, other);
        }
        files.iter().for_each(|file| assert!(is_cached(&run(file))));
        assert!(again());
        for at in (0..64).step_by(9) {
            let mut damaged = whole[0].clone();
            damaged[at] ^= 1;
            home.replace(&notes()[0], &damaged);
            files.iter().for_each(|file| assert!(is_cached(&run(file))));
            assert!(again(), "byte {at}");
        }

        // Another module in the place of the first, with all times that can be set as they were.
        let (file, code) = &files[0];
        let before = fs::metadata(file).expect("own file");
        fs::write(file, large(3)).expect("own file");
        let times = FileTimes::new().set_modified(before.modified().expect("a time"));
        File::options().write(true).open(file).and_then(|file| file.set_times(times)).expect("own file");
        assert!(is_compiled(&home.run_module(file, &[], ("", 3))));
        fs::write(file, large(*code)).expect("own file");
        assert!(is_cached(&run(&files[0])));
        assert!(home.wave(&["cache", "clear"]).stdout.starts_with("3 programs and "));
        assert!(home.entries().is_empty());
    }
}

fn is_note(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"seen-"))
}

/// A large file that was noted is not read.
#[test]
fn a_noted_file_is_not_read() {
    if !has_program(&mut Command::new("strace"), "strace") {
        return;
    }
    // An ordinary user's strace may not follow what is not dumpable. CI runs this as root as well.
    for home in homes().into_iter().filter(|home| home.user == User::Root) {
        let file = home.dir.path().join("1.wasm");
        fs::write(&file, large(1)).expect("own directory");
        let reads = || {
            let log = home.dir.path().join("log");
            let mut command = Command::new("strace");
            command.args(["-f", "-y", "-e", "trace=read,pread64", "-o"]).arg(&log).arg(PLACE.path().join("wave"));
            command.args(["--sandbox", "strict", "run"]).arg(&file);
            command.env("XDG_CACHE_HOME", home.dir.path().join("caches")).stdin(Stdio::null());
            assert_eq!(command.status().expect("strace runs").code(), Some(1));
            fs::read_to_string(log).expect("strace wrote it").matches("/1.wasm>").count()
        };
        assert!(reads() > 4);
        thread::sleep(Duration::from_secs(4));
        assert!(reads() > 4, "it had just changed");
        assert_eq!(reads(), 0);
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
        // Of another build of the same version.
        let touched = tempfile::tempdir_in(PLACE.path()).expect("own directory");
        fs::set_permissions(touched.path(), Permissions::from_mode(0o755)).expect("own directory");
        let mut command = Command::new(copy_program(&PLACE.path().join("wave"), touched.path()));
        command.args(["--sandbox", "strict", "run"]).arg(PLACE.path().join("program.wasm"));
        command.env("XDG_CACHE_HOME", home.dir.path().join("caches"));
        home.user.runs(&mut command);
        let before = home.entries().len();
        assert_eq!(command.output().expect("wave starts").status.code(), Some(PRINTED.1));
        assert_eq!(home.entries().len(), before + 1);
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
            refused("can be written by its group or by everybody");
        }
        mode(&base, 0o755);
        assert!(is_cached(&home.run(&[])), "readable by all, as ~/.cache often is");
        mode(home.dir.path(), 0o777);
        refused("can be written by its group or by everybody");
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
    }
}

/// Limits of the shell do not reach into a run by way of the cache.
#[test]
fn a_small_limit_on_files_ends_no_run() {
    let homes = homes();
    for home in &homes {
        let file = home.dir.path().join("1.wasm");
        fs::write(&file, large(1)).expect("own directory");
        readable_by_all(&file);
    }
    // Then they are noted.
    thread::sleep(Duration::from_secs(4));
    for home in homes {
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
