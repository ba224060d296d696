//! Variables that libraries read, and inputs of any size.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Start, guest};
use wave_test_support::user::User;

/// A module of more than 64 KiB, which is compiled by several threads.
fn large() -> (TempDir, PathBuf) {
    let body = "(drop (i32.const 1))".repeat(20);
    let functions: String = (0..1500).map(|_| format!("(func {body})")).collect();
    let text = format!(r#"(module (memory (export "memory") 1) {functions} (func (export "_start")))"#);
    let (dir, _) = wave_test_support::wat("");
    wave_test_support::open_to_all(dir.path());
    let path = dir.path().join("large.wasm");
    fs::write(&path, wat::parse_str(text).expect("a module")).expect("own directory");
    assert!(path.metadata().expect("it is there").len() > 64 << 10);
    (dir, path)
}

/// No setting of glibc's allocator, threads or loader ends an honest run, before or after the seal.
#[test]
fn t129_tunables_of_glibc_end_no_run() {
    let (_dir, large) = large();
    let large = large.to_str().expect("UTF-8");
    let mut settings: Vec<(&str, String)> = Vec::new();
    for (name, values) in [
        ("MALLOC_ARENA_MAX", &["1", "1000"][..]),
        ("MALLOC_ARENA_TEST", &["1"]),
        ("MALLOC_MMAP_MAX_", &["0", "1000000"]),
        ("MALLOC_MMAP_THRESHOLD_", &["0", "1", "4096", "33554432"]),
        ("MALLOC_TRIM_THRESHOLD_", &["0", "1", "4096"]),
        ("MALLOC_TOP_PAD_", &["0", "1", "67108864"]),
        ("MALLOC_PERTURB_", &["1", "255"]),
        ("MALLOC_CHECK_", &["3"]),
        ("MALLOC_TCACHE_COUNT", &["0"]),
    ] {
        settings.extend(values.iter().map(|value| (name, (*value).to_owned())));
    }
    for tunable in [
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.hugetlb=2",
        "glibc.malloc.tcache_count=0",
        "glibc.malloc.tcache_max=0",
        "glibc.malloc.mxfast=0",
        "glibc.malloc.arena_max=1",
        "glibc.malloc.perturb=255",
        "glibc.malloc.mmap_max=1000000:glibc.malloc.mmap_threshold=1",
        "glibc.malloc.trim_threshold=1:glibc.malloc.top_pad=1",
        "glibc.malloc.check=3",
        "glibc.mem.decorate_maps=1",
        "glibc.mem.tagging=255",
        "glibc.pthread.stack_cache_size=0",
        "glibc.pthread.stack_hugetlb=0",
        "glibc.pthread.rseq=0",
        "glibc.rtld.nns=1",
        "glibc.cpu.x86_shstk=on:glibc.cpu.x86_ibt=on",
        "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-ERMS",
        "nonsense",
        "",
    ] {
        settings.push(("GLIBC_TUNABLES", tunable.to_owned()));
    }
    for (name, value) in &settings {
        Start::directly().env(name, value).args(&["run"]).guest("hello").end().is_hello(&format!("{name}={value}"));
        let run = Start::directly().env(name, value).args(&["run", large]).end();
        assert_eq!((run.status.code(), &*run.stderr), (Some(0), ""), "{name}={value}");
    }
}

/// Arguments, variables and texts of a policy of any size reach the guest, and a run with them ends as any other.
#[test]
fn t129_inputs_of_any_size_end_no_run() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    wave_test_support::open_to_all(dir.path());
    // Copies its arguments and its environment; exits with 0 if they are as large as is asked for.
    let module = dir.path().join("sizes.wat");
    fs::write(
        &module,
        r#"(module
             (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
             (memory (export "memory") 2048)
             (func (export "_start")
               (if (call $args_sizes (i32.const 0) (i32.const 4)) (then unreachable))
               (if (call $env_sizes (i32.const 8) (i32.const 12)) (then unreachable))
               (if (i32.lt_u (i32.add (i32.load (i32.const 4)) (i32.load (i32.const 12))) (i32.const 100000))
                 (then unreachable))
               (if (call $args (i32.const 0x100000) (i32.const 0x200000)) (then unreachable))
               (if (call $env (i32.const 0x4100000) (i32.const 0x4200000)) (then unreachable))))"#,
    )
    .expect("own directory");
    let module = module.to_str().expect("UTF-8");
    let ended = |outcome: &wave_test_support::Outcome, what: &str| {
        assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(0), ""), "{what}: {:.300}", outcome.stderr);
    };
    for bytes in [100_000, 131_000, 1 << 20, 5_000_000, 15 << 20] {
        for text in ["args = [\"TEXT\"]", "[env.set]\nLARGE = \"TEXT\""] {
            let policy = dir.path().join("policy.toml");
            let text = text.replace("TEXT", &"x".repeat(bytes));
            fs::write(&policy, format!("version = 1\n{text}\n")).expect("own directory");
            let policy = policy.to_str().expect("UTF-8");
            for level in ["strict", "standard", "off"] {
                let run = Start::directly().args(&["--sandbox", level, "run", "--policy", policy, module]).end();
                ended(&run, &format!("{bytes} {level}"));
            }
        }
    }
    // As much as the kernel lets through: 1.6 MB in pieces of 100 kB.
    let piece = "x".repeat(100_000);
    let pieces: Vec<&str> = vec![&piece; 16];
    ended(&Start::directly().args(&["run", module]).args(&pieces).end(), "arguments");
    let variable = format!("X={piece}");
    let flags: Vec<&str> = (0..16).flat_map(|_| ["--env", &*variable]).collect();
    ended(&Start::directly().args(&["run"]).args(&flags).args(&[module]).end(), "--env");
    ended(&Start::directly().env("X", &piece).args(&["run", "--env", "X", module]).end(), "a variable of the parent");
}

fn maps_of_perf() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir("/tmp").expect("there is /tmp").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.to_string_lossy().starts_with("/tmp/perf-")).collect()
}

/// No variable makes `wave` write anything. (Where the cache is kept is said by two; that is tested with the cache.)
#[test]
fn t129_variables_make_nothing_be_written() {
    let dir = wave_test_support::writable_dir();
    let place = dir.path().to_str().expect("UTF-8");
    fs::write(dir.path().join("spec.wast"), "(module (func (export \"f\")))\n(invoke \"f\")\n").expect("own directory");
    let before = maps_of_perf();
    let hello = guest("hello");
    let hello = hello.to_str().expect("UTF-8");
    let spec = format!("{place}/spec.wast");
    for &user in User::available() {
        for args in [
            &["run", hello][..],
            &["--sandbox", "off", "run", hello],
            &["compile", "--discard", hello],
            &["verify", hello],
            &["wast", &spec],
            &["audit", hello],
            &["doctor"],
        ] {
            let mut start = Start::directly().user(user).args(args);
            for name in ["PERF_BUILDID_DIR", "TMPDIR", "TEMP", "TMP", "CARGO_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"]
            {
                start = start.env(name, place);
            }
            for name in ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE", "RUST_LOG", "NO_COLOR", "CLICOLOR_FORCE"] {
                start = start.env(name, "1");
            }
            let start = start.env("LLVM_PROFILE_FILE", &format!("{place}/profile")).env("LC_ALL", "tr_TR.UTF-8");
            let start = start.env("LANG", "/").env("TZ", &format!("{place}/zone")).env("NLSPATH", place);
            let outcome = start.end();
            assert_eq!(outcome.status.code(), Some(0), "{user:?} {args:?}: {outcome:?}");
        }
    }
    wave_test_support::assert_tree(
        dir.path(),
        &["spec.wast: (module (func (export \\\"f\\\")))\\n(invoke \\\"f\\\")\\n"],
    );
    assert_eq!(maps_of_perf(), before);
}

/// What is taken away from the libraries can be passed on to the guest all the same.
#[test]
fn t129_a_variable_of_a_library_is_passed_on_if_it_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    wave_test_support::open_to_all(dir.path());
    let module = dir.path().join("env.wat");
    // Prints the environment as it stands in memory, zeroes included.
    fs::write(
        &module,
        r#"(module
             (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (func (export "_start")
               (drop (call $sizes (i32.const 0) (i32.const 20)))
               (drop (call $get (i32.const 256) (i32.const 1024)))
               (i32.store (i32.const 16) (i32.const 1024))
               (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))))"#,
    )
    .expect("own directory");
    let run = |flags: &[&str]| {
        let start = Start::directly().env("PERF_BUILDID_DIR", "/nowhere").env("RUST_MIN_STACK", "4096");
        start.args(&["run"]).args(flags).args(&[module.to_str().expect("UTF-8")]).end()
    };
    run(&[]).is(0, "", "");
    run(&["--env", "PERF_BUILDID_DIR"]).is(0, "PERF_BUILDID_DIR=/nowhere\0", "");
    run(&["--env", "RUST_MIN_STACK"]).is(0, "RUST_MIN_STACK=4096\0", "");
}

/// Stacks of threads are as large as they always are.
#[test]
fn t129_the_size_of_stacks_is_not_the_parents_to_say() {
    let (_dir, large) = large();
    for value in ["1", "1152921504606846976", "18446744073709551615", "x"] {
        let start = Start::directly().env("RUST_MIN_STACK", value);
        let run = start.args(&["run", large.to_str().expect("UTF-8")]).end();
        assert_eq!((run.status.code(), &*run.stderr), (Some(0), ""), "{value}");
    }
}

/// The guest's own files say nothing of where a copy of `wave` was started.
#[test]
fn t129_a_working_directory_that_is_gone_ends_no_run() {
    let script = "os.chdir(tempfile.mkdtemp()); os.rmdir(os.getcwd())";
    let mut command = crate::parent(script);
    command.arg(crate::wave()).args(["run".as_ref(), guest("hello").as_os_str()]);
    let output = command.current_dir(Path::new("/")).output().expect("it starts");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"hello\n"[..]), "{output:?}");
}
