//! Policy files at the command line: `wave run --policy` and `wave policy`, with their exact messages.
//!
//! Long outputs are files in `tests/policy_file/`; `WAVE_BLESS=1` writes them anew.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wave_test_support::{Outcome, assert_tree, c_example, fill, source, wat, writable_dir};

const GREETING: &str = "Hello from inside the sandbox!\n";

/// `wave policy` in a directory.
fn policy<A: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = A>) -> Outcome {
    wave(dir, ["policy"].iter().map(OsStr::new), args)
}

fn wave<'a, A: AsRef<OsStr>>(
    dir: &Path,
    first: impl IntoIterator<Item = &'a OsStr>,
    args: impl IntoIterator<Item = A>,
) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(first).args(args).current_dir(dir).env_clear().env("KNOWN", "from outside");
    let out = command.output().expect("wave starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("messages are UTF-8");
    Outcome { status: out.status, stdout: text(&out.stdout), stderr: text(&out.stderr) }
}

/// `wave run` in a directory, with flags, policy, module and arguments as they are typed.
fn run(dir: &Path, line: &str) -> Outcome {
    wave(dir, ["run"].iter().map(OsStr::new), line.split_whitespace())
}

fn is_snapshot(name: &str, text: &str) {
    is_file(&format!("tests/policy_file/{name}"), text);
}

fn is_file(path: &str, text: &str) {
    let path = source(path);
    if std::env::var_os("WAVE_BLESS").is_some() {
        fs::write(&path, text).expect("the source can be written");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "{}", path.display());
}

/// A directory with these files, and `hello.wat`, `args.wat` and `echo.wat` of the examples.
fn place(files: &[(&str, &str)]) -> TempDir {
    let dir = writable_dir();
    for name in ["hello.wat", "args.wat", "echo.wat"] {
        fs::copy(source("examples").join(name), dir.path().join(name)).expect("examples can be copied");
    }
    fill(dir.path(), files);
    dir
}

#[test]
fn gen_writes_what_the_imports_come_to() {
    let dir = place(&[]);
    for name in ["hello", "echo"] {
        let made = policy(dir.path(), ["gen", &format!("{name}.wat")]);
        assert_eq!((made.status.code(), &*made.stderr), (Some(0), ""));
        is_snapshot(&format!("{name}.toml"), &made.stdout);
    }
    let made = policy(dir.path(), ["gen", "--resolver", "manual", "hello.wat"]);
    assert!(made.stdout.contains("resolver = \"manual\"\n"), "{}", made.stdout);
    policy(dir.path(), ["gen", "nowhere.wat"]).is(
        127,
        "",
        "wave: no module `nowhere.wat`\n  fix:   check the path; it is not searched for in PATH\n",
    );
}

#[test]
fn a_policy_grants_what_it_names_and_nothing_else() {
    let Some(cat) = c_example("cat") else { return };
    let dir = place(&[("sub/.keep", ""), ("sub/data/note", "granted\n"), ("secret", "not granted\n")]);
    fill(dir.path(), &[("sub/p.toml", "version = 1\n[[fs]]\nhost = \"data\"\nguest = \"/d\"\naccess = \"ro\"\n")]);
    let cat = cat.display();
    // The path is that of the policy's directory, wherever wave is started.
    run(dir.path(), &format!("--policy sub/p.toml {cat} /d/note")).is(0, "granted\n", "");
    run(Path::new("/"), &format!("--policy {}/sub/p.toml {cat} /d/note", dir.path().display())).is(0, "granted\n", "");
    for path in ["/d/../../secret", "/secret", "/etc/passwd"] {
        let said = run(dir.path(), &format!("--policy sub/p.toml {cat} {path}"));
        assert_eq!((said.status.code(), &*said.stdout), (Some(1), ""), "{path}");
    }
    let tree = ["secret: not granted\\n", "sub/data/", "sub/data/note: granted\\n"];
    assert_eq!(wave_test_support::tree(dir.path()).iter().filter(|line| tree.contains(&line.as_str())).count(), 3);
}

#[test]
fn t122_a_mistake_is_shown_where_it_is_and_nothing_runs() {
    let cases = [
        (
            "version = 1\nsandbx = \"off\"\n",
            "wave: unknown key `sandbx`\n  where: p.toml:2:1\n    |\n  2 | sandbx = \"off\"\n    | ^^^^^^\n  fix:   write `sandbox`\n",
        ),
        (
            "version = 1\n\n[[fs]]\nhost = \".\"\naccess = \"r\"\n",
            "wave: unknown word `r`\n  where: p.toml:5:10 (fs[0].access)\n    |\n  5 | access = \"r\"\n    |          ^^^\n  fix:   write \"ro\"\n",
        ),
        (
            "version = 1\n[net]\nlisten = [\"127.0.0.1:0\"]\naccept_from = []\n",
            "wave: an empty list leaves open whether nobody may connect or everybody\n  where: p.toml:4:15 (net.accept_from)\n    |\n  4 | accept_from = []\n    |               ^^\n  fix:   leave out the key for everybody, or list networks\n",
        ),
        (
            "version = 1\n[net]\naccept_from = [\"10.0.0.0/8\", \"10.0.0.1/8\"]\n",
            "wave: `10.0.0.1/8` has bits set after the first 8\n  where: p.toml:3:30 (net.accept_from[1])\n    |\n  3 | accept_from = [\"10.0.0.0/8\", \"10.0.0.1/8\"]\n    |                              ^^^^^^^^^^^^\n  fix:   write ADDRESS or ADDRESS/BITS\n",
        ),
        (
            "version = 1\nversion = 1\n",
            "wave: duplicate key\n  where: p.toml:2:1\n    |\n  2 | version = 1\n    | ^^^^^^^\n  fix:   the file must be TOML, https://toml.io\n",
        ),
    ];
    for (text, message) in cases {
        let dir = place(&[("p.toml", text)]);
        run(dir.path(), "--policy p.toml hello.wat").is(125, "", message);
        policy(dir.path(), ["check", "p.toml"]).is(1, "", message);
    }
    let dir = place(&[("p.toml", "version = 1\n")]);
    run(dir.path(), "--policy p.toml hello.wat").is(0, GREETING, "");
    policy(dir.path(), ["check", "p.toml"]).is(0, "", "");
    run(dir.path(), "--policy q.toml hello.wat").is(
        125,
        "",
        "wave: cannot read the policy: No such file or directory (os error 2)\n  where: q.toml\n  fix:   check the path\n",
    );
}

#[test]
fn the_pin_is_checked_before_anything_of_the_module_is_read() {
    let zeros = "0".repeat(64);
    let pinned = format!("version = 1\n[module]\nblake3 = \"{zeros}\"\n");
    let dir = place(&[("p.toml", &pinned), ("none.toml", "version = 1\n"), ("bad.wasm", "no module")]);
    let found = blake3::hash(b"no module").to_hex();
    let message = format!(
        "wave: `bad.wasm` is not the module of this policy: its BLAKE3 is {found}, not {zeros}\n  \
         where: p.toml:3:10 (module.blake3)\n    |\n  3 | blake3 = \"{zeros}\"\n    |          {}\n  \
         fix:   to trust the new module with the same grants, write blake3 = \"{found}\", and review `[os]`\n",
        "^".repeat(66)
    );
    run(dir.path(), "--policy p.toml bad.wasm").is(125, "", &message);
    // Without the pin it is looked at, and is no module.
    let none = run(dir.path(), "--policy none.toml bad.wasm");
    assert_eq!(none.status.code(), Some(126));
    // `check` goes on, and tells that as well.
    policy(dir.path(), ["check", "p.toml", "bad.wasm"]).is(1, "", &(message + &none.stderr));
    // What is wrong with the policy is told, too, if there is no module at all.
    let overlap = "version = 1\n[[fs]]\nhost = \".\"\nguest = \"/a\"\naccess = \"rw\"\n[[fs]]\nhost = \".\"\nguest = \"/b\"\naccess = \"ro\"\n";
    fs::write(dir.path().join("overlap.toml"), overlap).unwrap();
    let alone = policy(dir.path(), ["check", "overlap.toml"]);
    assert_eq!(alone.status.code(), Some(1), "{alone:?}");
    for (module, code) in [("bad.wasm", 126), ("absent.wasm", 127)] {
        let checked = policy(dir.path(), ["check", "overlap.toml", module]);
        assert_eq!(checked.status.code(), Some(code), "{checked:?}");
        assert!(checked.stderr.starts_with(&alone.stderr) && checked.stderr.contains(module), "{checked:?}");
    }
    let right = pinned.replace(&zeros, blake3::hash(b"no module").to_hex().as_str());
    fs::write(dir.path().join("p.toml"), right).unwrap();
    assert_eq!(run(dir.path(), "--policy p.toml bad.wasm").status.code(), Some(126));
}

#[test]
fn imports_that_the_policy_does_not_name_are_refused() {
    let text = "version = 1\n[wasi]\nfunctions = [\"fd_write\"]\n";
    let dir = place(&[("p.toml", text)]);
    run(dir.path(), "--policy p.toml hello.wat").is(0, GREETING, "");
    let message = "wave: the module imports `args_get`, `args_sizes_get`, which the policy does not allow\n  \
                   where: p.toml:3:13 (wasi.functions)\n    |\n  3 | functions = [\"fd_write\"]\n    |             ^^^^^^^^^^^^\n  \
                   fix:   to allow this, write functions = [\"fd_write\", \"args_get\", \"args_sizes_get\"] in p.toml:3; \
                   `wave policy gen args.wat` lists all imports\n";
    run(dir.path(), "--policy p.toml args.wat").is(125, "", message);
    policy(dir.path(), ["check", "p.toml", "args.wat"]).is(1, "", message);
}

/// A policy is checked when the imports are known, before the module's code is looked at: here it is not even valid.
#[test]
fn a_module_is_not_compiled_if_its_policy_refuses_it() {
    let module = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (func (export "_start") i32.add))"#;
    let files =
        [("fit.toml", "version = 1\n"), ("tight.toml", "version = 1\n[wasi]\nfunctions = []\n"), ("m.wat", module)];
    let dir = place(&files);
    let said = run(dir.path(), "--policy tight.toml m.wat");
    assert_eq!((said.status.code(), &*said.stdout), (Some(125), ""));
    assert!(said.stderr.starts_with("wave: the module imports `sched_yield`, which the policy does not"), "{said:?}");
    for level in ["strict", "off"] {
        let said = run(dir.path(), &format!("--sandbox {level} --policy fit.toml m.wat"));
        assert_eq!((said.status.code(), &*said.stdout), (Some(126), ""), "{said:?}");
        let said = run(dir.path(), &format!("--sandbox {level} --policy tight.toml m.wat"));
        assert_eq!((said.status.code(), &*said.stdout), (Some(125), ""), "{said:?}");
    }
}

#[test]
fn a_profile_is_its_allow_list() {
    let dir = place(&[
        ("compute.toml", "version = 1\nextends = \"compute\"\n"),
        ("server.toml", "version = 1\nextends = \"server\"\n"),
    ]);
    run(dir.path(), "--policy compute.toml args.wat a").is(0, "a\n", "");
    policy(dir.path(), ["check", "server.toml", "echo.wat"]).is(0, "", "");
    let said = policy(dir.path(), ["check", "compute.toml", "echo.wat"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(said.stderr.starts_with("wave: the module imports `sock_accept`, `sock_recv`, `sock_send`, "), "{said:?}");
}

/// Each row of `[os]` counts: without it, or with another, there is no run.
#[test]
fn a_derived_part_that_is_out_of_date_is_refused() {
    let dir = place(&[]);
    let text = policy(dir.path(), ["gen", "echo.wat"]).stdout;
    let start = text.find("[os.always]").expect("a derived part");
    let rows: Vec<_> = text[start..].lines().filter(|line| line.contains(" = ")).collect();
    assert_eq!(rows.len(), 15);
    for row in rows {
        let id = row.split(' ').next().expect("a key");
        fs::write(dir.path().join("p.toml"), text.replace(&format!("\n{row}\n"), "\n")).unwrap();
        let said = run(dir.path(), "--policy p.toml echo.wat");
        assert_eq!((said.status.code(), &*said.stdout), (Some(125), ""), "{row}");
        let (first, _) = said.stderr.split_once('\n').expect("lines");
        assert!(first.starts_with("wave: `[os]` is out of date: `os."), "{first}");
        assert!(first.ends_with(&format!(".{id}` is missing")), "{first}");
    }
    fs::write(dir.path().join("p.toml"), text.replace("close = \"close\"\n", "close = \"close\"\nfork = \"fork\"\n"))
        .unwrap();
    run(dir.path(), "--policy p.toml echo.wat").is(
        125,
        "",
        "wave: `[os]` is out of date: `os.always.fork` does not follow from the module\n  \
         where: p.toml:32:8 (os.always.fork)\n     |\n  32 | fork = \"fork\"\n     |        ^^^^^^\n  \
         fix:   take `[os]` from `wave policy gen echo.wat`, and review the difference\n",
    );
    // A limit that keeps memory from growing takes a row away.
    let grown = policy(dir.path(), ["gen", "hello.wat"]).stdout;
    fs::write(dir.path().join("p.toml"), grown.replace("[os]\n", "[limits]\nmax-memory = \"64K\"\n\n[os]\n")).unwrap();
    let said = run(dir.path(), "--policy p.toml hello.wat").stderr;
    assert!(said.contains("`os.always.mprotect_grow` does not follow from the module"), "{said}");
    let with = "--resolver manual --policy q.toml hello.wat";
    fs::write(dir.path().join("q.toml"), &grown).unwrap();
    run(dir.path(), with).is(0, GREETING, "wave: relaxed by --resolver manual beyond the policy\n");
    run(dir.path(), "--policy q.toml hello.wat").is(0, GREETING, "");
}

#[test]
fn t101_flags_win_and_what_goes_beyond_the_policy_is_said() {
    let dir = place(&[("p.toml", "version = 1\n[limits]\ntimeout = \"20s\"\nmax-memory = \"1M\"\n")]);
    let said = |flags: &str| {
        let said = run(dir.path(), &format!("{flags} --policy p.toml hello.wat"));
        assert_eq!((said.status.code(), &*said.stdout), (Some(0), GREETING), "{flags}: {said:?}");
        said.stderr
    };
    assert_eq!(said(""), "");
    assert_eq!(said("--timeout 10s --max-memory 512K --max-output 100"), "");
    assert_eq!(said("--timeout 30s"), "wave: relaxed by --timeout beyond the policy\n");
    assert_eq!(said("--sandbox off"), "wave: relaxed by --sandbox off\n");
    assert_eq!(said("--dir .::/d::ro"), "wave: relaxed by --dir .::/d::ro beyond the policy\n");
    assert_eq!(said("--env A=b"), "wave: relaxed by --env A beyond the policy\n");

    fs::write(dir.path().join("p.toml"), "version = 1\nsandbox = \"off\"\n").unwrap();
    assert_eq!(said(""), "wave: relaxed by sandbox = \"off\" (p.toml:2)\n");
    assert_eq!(said("--sandbox strict"), "");
}

#[test]
fn the_environment_is_what_the_policy_says() {
    let text = "version = 1\n[env]\npass = [\"KNOWN\"]\n[env.set]\nMODE = \"test\"\n";
    let module = "module.wat";
    let dir = place(&[("p.toml", text), ("none.toml", "version = 1\n"), (module, super::PRINT_ENV)]);
    run(dir.path(), &format!("--policy none.toml {module}")).is(0, "", "");
    run(dir.path(), &format!("--policy p.toml {module}")).is(0, "KNOWN=from outside\0MODE=test\0", "");
    run(dir.path(), &format!("--policy p.toml --env MODE=flag {module}")).is(
        0,
        "KNOWN=from outside\0MODE=flag\0",
        "wave: relaxed by --env MODE beyond the policy\n",
    );
    fs::write(dir.path().join("p.toml"), "version = 1\n[env]\npass = [\"UNKNOWN\"]\n").unwrap();
    run(dir.path(), &format!("--policy p.toml {module}")).is(
        125,
        "",
        "wave: there is no environment variable `UNKNOWN` to pass on\n  where: env.pass[0] (p.toml:3)\n  \
         fix:   set it, or give it a value in `[env.set]`\n",
    );
}

#[test]
fn the_programs_arguments_start_with_those_of_the_policy() {
    let dir = place(&[("p.toml", "version = 1\nargs = [\"a b\", \"\"]\n")]);
    run(dir.path(), "--policy p.toml args.wat c").is(0, "a b\n\nc\n", "");
}

#[test]
fn a_dry_run_says_where_each_value_is_from() {
    let text = "version = 1\nextends = \"cli\"\nargs = [\"x\"]\n[[fs]]\nhost = \"data\"\naccess = \"ro\"\n\
                [env]\npass = [\"KNOWN\"]\n[net]\nlisten = [\"127.0.0.1:0\"]\naccept_from = [\"127.0.0.0/8\"]\n\
                [clock]\nresolution = \"1ms\"\n[limits]\ntimeout = \"5s\"\nmax-memory = \"1M\"\n";
    let dir = place(&[("p.toml", text), ("data/note", "")]);
    let said = run(dir.path(), "--dry-run --policy p.toml --dir /::/all::ro --timeout 4s --env A=b hello.wat y");
    assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""));
    is_snapshot("dry_run.txt", &said.stdout);
    let said = policy(dir.path(), ["show", "--resolved", "p.toml"]);
    assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""));
    is_snapshot("resolved.toml", &said.stdout);
    fs::write(dir.path().join("resolved.toml"), &said.stdout).unwrap();
    policy(dir.path(), ["fmt", "--check", "resolved.toml"]).is(0, "", "");
    let said = policy(dir.path(), ["show", "p.toml"]);
    assert!(!said.stdout.contains("[wasi]") && said.stdout.contains("extends = \"cli\""), "{}", said.stdout);
}

#[test]
fn t28_overlapping_directories_are_refused_by_their_ids() {
    let rule = |host: &str, guest: &str, access: &str| {
        format!("[[fs]]\nhost = \"{host}\"\nguest = \"{guest}\"\naccess = \"{access}\"\n")
    };
    let outer = format!("version = 1\n{}{}", rule(".", "/a", "rw"), rule("data", "/b", "ro"));
    let dir = place(&[("p.toml", &outer), ("data/note", "")]);
    run(dir.path(), "--policy p.toml hello.wat").is(
        125,
        "",
        "wave: `data` would be ro, but it lies in `.`, which is rw\n  where: fs[1] (p.toml:6)\n  \
         fix:   grant the outer directory with no more access than what is inside it\n",
    );
    let inner = format!("version = 1\n{}{}", rule(".", "/a", "ro"), rule("data", "/b", "rw"));
    fs::write(dir.path().join("p.toml"), inner).unwrap();
    assert_eq!(run(dir.path(), "--policy p.toml hello.wat").status.code(), Some(0));
    let missing = format!("version = 1\n{}", rule("none", "/a", "ro"));
    fs::write(dir.path().join("p.toml"), missing).unwrap();
    let said = run(dir.path(), "--policy p.toml hello.wat").stderr;
    assert!(said.starts_with("wave: cannot preopen `none`: no such directory\n  where: fs[0] (p.toml:2)\n"), "{said}");
}

#[test]
fn a_policy_of_100_000_rules_ends_soon() {
    let rules: String =
        (0..100_000).map(|index| format!("[[fs]]\nhost = \".\"\nguest = \"/{index}\"\naccess = \"ro\"\n")).collect();
    let dir = place(&[("p.toml", &format!("version = 1\n{rules}"))]);
    let start = Instant::now();
    policy(dir.path(), ["check", "p.toml", "hello.wat"]).is(0, "", "");
    let said = run(dir.path(), "--policy p.toml --dry-run hello.wat");
    assert_eq!(said.status.code(), Some(0));
    assert!(said.stdout.contains("fs[99999]"));
    let said = run(dir.path(), "--policy p.toml hello.wat");
    assert_eq!((said.status.code(), &*said.stdout), (Some(125), ""), "{}", said.stderr);
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

#[test]
fn a_module_cannot_write_into_its_policy_by_its_name() {
    let dir = place(&[]);
    let name = "a\nsandbox = \"off\"\u{1b}[2J.wat";
    fs::copy(dir.path().join("hello.wat"), dir.path().join(name)).unwrap();
    let made = policy(dir.path(), ["gen", name]);
    let (first, rest) = made.stdout.split_once('\n').expect("lines");
    assert_eq!(
        first,
        "# What a\\u{a}sandbox = \"off\"\\u{1b}[2J.wat may do. Made from its imports by `wave policy gen`."
    );
    assert_eq!(Some(rest), policy(dir.path(), ["gen", "hello.wat"]).stdout.split_once('\n').map(|(_, rest)| rest));
    fs::write(dir.path().join("p.toml"), made.stdout).unwrap();
    policy(dir.path(), ["check", "p.toml", name]).is(0, "", "");
}

#[test]
fn fmt_rewrites_the_file_and_check_does_not() {
    let untidy = "version=1 # one\n[limits]\ntimeout=\"5s\"\n";
    let dir = place(&[("p.toml", untidy), ("bad.toml", "version = 9\n")]);
    let file = dir.path().join("p.toml");
    policy(dir.path(), ["fmt", "--check", "p.toml"]).is(
        1,
        "",
        "wave: p.toml is not formatted: run `wave policy fmt`\n",
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), untidy);
    policy(dir.path(), ["fmt", "p.toml"]).is(0, "", "");
    assert_eq!(fs::read_to_string(&file).unwrap(), "version = 1 # one\n\n[limits]\ntimeout = \"5s\"\n");
    policy(dir.path(), ["fmt", "--check", "p.toml"]).is(0, "", "");
    assert_eq!(policy(dir.path(), ["fmt", "bad.toml"]).status.code(), Some(125));
    let guarded = tempfile::tempdir().unwrap();
    fs::write(guarded.path().join("bad.toml"), "version = 9\n").unwrap();
    policy(guarded.path(), ["fmt", "bad.toml"]);
    assert_tree(guarded.path(), &["bad.toml: version = 9\\n"]);
}

#[test]
fn the_schema_is_committed() {
    let said = policy(Path::new("/"), ["schema"]);
    assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""));
    is_file("policies/policy.schema.json", &said.stdout);
}

/// Opens `new` to write, and ends with the errno.
const WRITE_NEW: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "new")
  (func (export "_start")
    (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 1) (i64.const 64) (i64.const 0)
      (i32.const 0) (i32.const 8)))))"#;

/// Each way in which a policy stops a run names the line; with the line changed as it is said, the run goes on.
#[test]
fn what_stops_a_run_names_its_line() {
    let [module, endless, large] = ["module.wat", "endless.wat", "large.wat"];
    let dir = place(&[
        ("data/note", ""),
        (module, WRITE_NEW),
        (endless, "(module (func (export \"_start\") (loop (br 0))))"),
        (large, "(module (memory 2) (func (export \"_start\")))"),
    ]);
    let set = |text: &str| fs::write(dir.path().join("p.toml"), text).unwrap();
    let open_line = "wave: path_open(fd=3, lookupflags=0x0, path=\"new\", oflags=0x1, rights_base=0x40, rights_inheriting=0x0, \
                     fdflags=0x0) = ";

    // A grant.
    let granted =
        "version = 1\n[[fs]]\nhost = \"data\"\nguest = \"/d\"\naccess = \"ro\"\n[limits]\nmax-open-files = 4\n";
    set(granted);
    let said = run(dir.path(), &format!("--policy p.toml --trace=fs {module}"));
    let denied = "NOTCAPABLE, denied: the grant is read-only\n  to allow: access = \"rw\" in p.toml:5\n";
    said.is(76, "", &format!("{open_line}{denied}"));
    let said = run(dir.path(), &format!("--policy p.toml --trace=fs --trace-format json {module}"));
    let record: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    assert_eq!(record["to_allow"], "access = \"rw\" in p.toml:5");
    assert_eq!(wave_test_support::tree(&dir.path().join("data")), ["note: "]);

    // A limit: with the access that was asked for, it is the next to say no.
    let wider = granted.replace("access = \"ro\"", "access = \"rw\"");
    set(&wider);
    let said = run(dir.path(), &format!("--policy p.toml --trace=fs {module}"));
    let denied =
        "MFILE, denied: the limit on open descriptors is reached\n  to allow: a larger max-open-files in p.toml:7\n";
    said.is(33, "", &format!("{open_line}{denied}"));
    // The flag, where a flag set it.
    let said = run(dir.path(), &format!("--policy p.toml --max-open-files 3 --trace=fs {module}"));
    assert!(!said.stderr.contains("p.toml:7"), "{said:?}");
    set(&wider.replace("= 4", "= 5"));
    assert_eq!(run(dir.path(), &format!("--policy p.toml {module}")).status.code(), Some(0));
    assert_eq!(wave_test_support::tree(&dir.path().join("data")), ["new: ", "note: "]);

    // Time, memory, sockets.
    set("version = 1\n\n[limits]\ntimeout = \"200ms\"\n");
    let said = run(dir.path(), &format!("--policy p.toml {endless}"));
    assert_eq!(said.status.code(), Some(124));
    let message = "wave: time limit of 200ms reached\n  where: limits.timeout (p.toml:4)\n";
    assert!(said.stderr.starts_with(message), "{said:?}");
    let said = run(dir.path(), &format!("--policy p.toml --timeout 100ms {endless}"));
    assert!(said.stderr.starts_with("wave: time limit of 100ms reached\n  at "), "{said:?}");

    set("version = 1\n[limits]\nmax-memory = \"64K\"\n");
    let said = run(dir.path(), &format!("--policy p.toml {large}"));
    assert_eq!(said.status.code(), Some(137));
    assert!(said.stderr.ends_with("  fix:   raise `max-memory` in p.toml:3\n"), "{said:?}");
    let said = run(dir.path(), &format!("--policy p.toml --max-memory 1K {large}"));
    assert!(said.stderr.ends_with("  fix:   raise --max-memory\n"), "{said:?}");
    set("version = 1\n[limits]\nmax-memory = \"128K\"\n");
    run(dir.path(), &format!("--policy p.toml {large}")).is(0, "", "");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    set(&format!("version = 1\n[net]\nlisten = [\n  \"{address}\",\n]\n"));
    run(dir.path(), "--policy p.toml hello.wat").is(
        125,
        "",
        &format!(
            "wave: cannot listen on {address}: Address already in use (os error 98)\n  where: net.listen[0] (p.toml:4)\n  \
             fix:   choose an address of this host and a free port; ports below 1024 require privileges\n"
        ),
    );
}

/// What is said about an import that is not listed is valid, wherever the list stands.
#[test]
fn an_import_that_is_not_listed_comes_with_the_line_that_lists_it() {
    let cases = [
        (
            "version = 1\n[wasi]\nfunctions = [\n    \"fd_write\", # output\n]\n",
            "add \"args_get\", \"args_sizes_get\", after p.toml:4",
            "version = 1\n[wasi]\nfunctions = [\n    \"fd_write\", # output\n\"args_get\", \"args_sizes_get\",\n]\n",
        ),
        (
            "version = 1\n[wasi]\nfunctions = [\"fd_write\"]\n",
            "write functions = [\"fd_write\", \"args_get\", \"args_sizes_get\"] in p.toml:3",
            "version = 1\n[wasi]\nfunctions = [\"fd_write\", \"args_get\", \"args_sizes_get\"]\n",
        ),
    ];
    for (text, way, fixed) in cases {
        let dir = place(&[("p.toml", text)]);
        let said = run(dir.path(), "--policy p.toml args.wat a");
        assert_eq!(said.status.code(), Some(125));
        let fix = format!("  fix:   to allow this, {way}; `wave policy gen args.wat` lists all imports\n");
        assert!(said.stderr.ends_with(&fix), "{said:?}");
        fs::write(dir.path().join("p.toml"), fixed).unwrap();
        run(dir.path(), "--policy p.toml args.wat a").is(0, "a\n", "");
    }
    let dir = place(&[("p.toml", "version = 1\n# all of it\nextends = \"compute\"\n")]);
    let said = policy(dir.path(), ["check", "p.toml", "echo.wat"]).stderr;
    assert!(said.contains("to allow this, write extends = \"server\" in p.toml:3; "), "{said}");
}

/// `check` tells everything that is wrong, by line, and ends with 1; a run tells the first.
#[test]
fn t122_check_tells_every_problem() {
    let text = "version = 1\nsandbx = \"off\"\n\n[[fs]]\nhost = \"a\"\naccess = \"r\"\n\n[[fs]]\nhost = \"b\"\nguest = \"./a/\"\n\
                access = \"ro\"\n\n[env]\npass = [\"A\", \"B\", \"A\"]\n\n[env.set]\nB = \"1\"\n\n[net]\n\
                listen = [\"127.0.0.1:80\", \"127.0.0.1:0\", \"127.0.0.1:0\", \"127.0.0.1:80\"]\n";
    let dir = place(&[("p.toml", text)]);
    let said = policy(dir.path(), ["check", "p.toml"]);
    assert_eq!((said.status.code(), &*said.stdout), (Some(1), ""));
    is_snapshot("check.txt", &said.stderr);
    let first = run(dir.path(), "--policy p.toml hello.wat");
    assert_eq!(first.status.code(), Some(125));
    assert!(said.stderr.starts_with(&first.stderr) && first.stderr.matches("wave: ").count() == 1, "{first:?}");

    // Mistakes against TOML come by themselves: what follows from them would mislead.
    fs::write(dir.path().join("p.toml"), "version = 1\nargs = [\"a\"\nsandbx = 1\n[x\n").unwrap();
    let said = policy(dir.path(), ["check", "p.toml"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(said.stderr.matches("  fix:   the file must be TOML").count() >= 2, "{said:?}");
    assert!(!said.stderr.contains("unknown key"), "{said:?}");
}

/// Values, directories, pin, imports and every row of `[os]` at once; what is no mistake is a note.
#[test]
fn check_compares_everything_with_host_and_module() {
    let dir = place(&[("data/note", ""), ("data/sub/note", "")]);
    let rule = |host: &str, access: &str| format!("[[fs]]\nhost = \"{host}\"\naccess = \"{access}\"\n");
    let made = policy(dir.path(), ["gen", "args.wat"]).stdout;
    let start = made.find("[os]").expect("a derived part");
    let os = made[start..].replace("brk = \"brk\"\n", "break = \"brk\"\n").replace("\"write where", "\"write when");
    let zeros = "0".repeat(64);
    let text = format!(
        "version = 1\n[module]\nblake3 = \"{zeros}\"\n[wasi]\nfunctions = [\"args_get\", \"fd_write\", \"sock_send\"]\n{}{}{}{}{os}",
        rule("data", "rw"),
        rule("data/sub", "append"),
        rule("data/sub/../none", "ro"),
        rule("data/note", "rw"),
    );
    fs::write(dir.path().join("p.toml"), &text).unwrap();
    let said = policy(dir.path(), ["check", "p.toml", "args.wat"]);
    assert_eq!((said.status.code(), &*said.stdout), (Some(1), ""));
    let found = blake3::hash(&fs::read(dir.path().join("args.wat")).unwrap()).to_hex();
    is_snapshot("check_module.txt", &said.stderr.replace(found.as_str(), "BLAKE3"));
    // Directories of another host are notes; a run is on this one.
    fs::write(dir.path().join("p.toml"), format!("version = 1\n{}", rule("none", "ro"))).unwrap();
    policy(dir.path(), ["check", "p.toml"]).is(
        0,
        "",
        "wave: note: `none` cannot be granted on this host: No such file or directory (os error 2)\n  where: fs[0] (p.toml:2)\n",
    );
    assert_eq!(run(dir.path(), "--policy p.toml hello.wat").status.code(), Some(125));
}

/// Large files end soon, also where each line is wrong; of many problems a hundred are told and the rest is counted (T122).
#[test]
fn t122_large_policies_end_soon_in_every_command() {
    let start = Instant::now();
    let dir = place(&[]);
    let many = |line: &dyn Fn(usize) -> String| (0..100_000).map(line).collect::<String>();
    let policies = [
        format!("version = 1\n[env.set]\n{}", many(&|index| format!("N{index} = \"{index}\"\n"))),
        format!(
            "version = 1\n[net]\nlisten = [{}]\n",
            many(&|index| format!("\"127.0.{}.1:{}\",\n", index / 1000, 2000 + index % 1000))
        ),
        format!("version = 1\nargs = [{}]\n", many(&|index| format!("\"{index}\",\n"))),
    ];
    for text in &policies {
        fs::write(dir.path().join("p.toml"), text).unwrap();
        policy(dir.path(), ["check", "p.toml", "hello.wat"]).is(0, "", "");
        for args in [
            &["policy", "show", "p.toml"][..],
            &["policy", "show", "--resolved", "p.toml"],
            &["policy", "fmt", "p.toml"],
        ] {
            let said = wave(dir.path(), [], args);
            assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""), "{args:?}");
        }
        let said = wave(dir.path(), [], ["why", "--policy", "p.toml", "--env", "N99999"]);
        assert_eq!(said.status.code(), Some(i32::from(!said.stdout.contains("env.set.N99999"))));
        let said = run(dir.path(), "--policy p.toml --dry-run hello.wat");
        assert_eq!(said.status.code(), Some(0));
    }
    let wrong = [
        many(&|index| format!("key{index} = 1\n")),
        many(&|_| "version = 1\n".to_owned()),
        format!("[[fs]]\n{}", many(&|_| "[[fs]]\nhost = \".\"\naccess = \"ro\"\n".to_owned())),
        format!("[env]\npass = [{}]\n", many(&|_| "\"A\",\n".to_owned())),
        format!("[net]\naccept_from = [{}]\n", many(&|_| "\"10.0.0.1/8\",\n".to_owned())),
    ];
    for text in wrong {
        fs::write(dir.path().join("p.toml"), format!("version = 1\n{text}")).unwrap();
        let said = policy(dir.path(), ["check", "p.toml"]);
        assert_eq!((said.status.code(), &*said.stdout), (Some(1), ""));
        assert!((1..=101).contains(&said.stderr.matches("wave: ").count()), "{}", said.stderr);
        for args in [&["run", "--policy", "p.toml", "hello.wat"][..], &["why", "--policy", "p.toml", "--env", "A"]] {
            let said = wave(dir.path(), [], args);
            assert_eq!((said.status.code(), said.stderr.matches("wave: ").count()), (Some(125), 1), "{args:?}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

/// Control characters and those that reorder text, in every name that a policy can hold, reach no output as they are (T75).
#[test]
fn t75_hostile_names_of_a_policy_are_escaped_in_every_output() {
    let dir = place(&[]);
    let name = "x\u{1b}[2J\u{202e}\nwave: fine\r";
    fs::create_dir(dir.path().join(name)).unwrap();
    let quoted = r#""x\u001b[2J\u202e\nwave: fine\r""#;
    let text = format!(
        "version = 1\nargs = [{quoted}]\n[[fs]]\nhost = {quoted}\nguest = {quoted}\naccess = \"ro\"\n[[fs]]\nhost = \".\"\n\
         guest = \"/\"\naccess = \"ro\"\n[env.set]\n{quoted} = {quoted}\n"
    );
    fs::write(dir.path().join("p.toml"), &text).unwrap();
    let wider = text.replacen(
        "host = \".\"\nguest = \"/\"\naccess = \"ro\"",
        "host = \".\"\nguest = \"/\"\naccess = \"rw\"",
        1,
    );
    fs::write(dir.path().join("overlap.toml"), wider).unwrap();
    fs::write(
        dir.path().join("missing.toml"),
        text.replacen(&format!("host = {quoted}"), &format!("host = {}", quoted.replace('x', "y")), 1),
    )
    .unwrap();
    fs::write(dir.path().join("same.toml"), text.replacen("guest = \"/\"", &format!("guest = {quoted}"), 1)).unwrap();
    fs::write(dir.path().join("pass.toml"), format!("version = 1\n[env]\npass = [{quoted}]\n")).unwrap();
    let mut shown = 0;
    for file in ["p.toml", "overlap.toml", "missing.toml", "same.toml", "pass.toml"] {
        for args in [
            &["policy", "check", file, "hello.wat"][..],
            &["policy", "show", file],
            &["policy", "show", "--resolved", file],
            &["run", "--policy", file, "--dry-run", "hello.wat"],
            &["run", "--policy", file, "--report", "hello.wat"],
            &["run", "--policy", file, "--report=json", "hello.wat"],
            &["why", "--policy", file, "--path", name, "--op", "read"],
            &["why", "--policy", file, "--path", name, "--op", "write", "--format", "json"],
            &["why", "--policy", file, "--env", name],
        ] {
            let said = wave(dir.path(), [], args);
            let code = said.status.code();
            assert!(matches!(code, Some(0 | 1 | 125)), "{args:?}: {said:?}");
            for text in [&said.stdout, &said.stderr] {
                let harmful = |c: char| c != '\n' && wave_policy::harmful(c);
                assert!(!text.contains(harmful), "{args:?}: {text:?}");
                // The name's own line break begins no line.
                assert!(!text.lines().any(|line| line.starts_with("wave: fine")), "{args:?}: {text:?}");
                shown += usize::from(text.to_lowercase().contains("1b"));
            }
        }
    }
    assert!(shown > 20, "{shown}");
}

/// Nothing in the environment and nothing inside a module changes what a run may do (T75, T101).
#[test]
fn t101_environment_and_module_change_nothing() {
    let text = "version = 1\n[[fs]]\nhost = \"data\"\nguest = \"/d\"\naccess = \"ro\"\n[limits]\ntimeout = \"20s\"\n";
    let dir = place(&[("p.toml", text), ("data/note", "")]);
    let names = [
        "WAVE_SANDBOX",
        "WAVE_POLICY",
        "WAVE_DIR",
        "WAVE_ENV",
        "WAVE_OPTIONS",
        "WAVE_CONFIG",
        "WAVE_LOG",
        "WAVE_TIMEOUT",
        "WAVE_BLESS",
        "RUST_LOG",
        "RUST_BACKTRACE",
        "RUST_MIN_STACK",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "HOME",
        "PWD",
        "OLDPWD",
        "TMPDIR",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "CLAP_LOG",
        "NO_COLOR",
        "COLUMNS",
        "TZ",
        "LANG",
        "LC_ALL",
        "SHELL",
        "USER",
        "CI",
        "DEBUG",
        "PATH",
    ];
    let config = dir.path().join("wave");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("config.toml"), "version = 1\nsandbox = \"off\"\n").unwrap();
    let with = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
        command.args(args).current_dir(dir.path()).env_clear().envs(variables.iter().copied());
        let out = command.output().expect("wave starts");
        (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let here = dir.path().to_str().expect("UTF-8");
    for args in [
        &["run", "--policy", "p.toml", "--dry-run", "hello.wat"][..],
        &["run", "--dry-run", "hello.wat"],
        &["run", "--policy", "p.toml", "hello.wat"],
        &["policy", "show", "--resolved", "p.toml"],
        &["why", "--policy", "p.toml", "--path", "/d/note", "--op", "write"],
    ] {
        let plain = with(&[], args);
        for value in ["off", "1", here, "p.toml", "--sandbox off", "::/::rw"] {
            let all: Vec<_> = names.iter().map(|name| (*name, value)).collect();
            assert_eq!(with(&all, args), plain, "{args:?} with {value}");
        }
    }
    // The positive control: what the file names is taken from there.
    fs::write(dir.path().join("tz.toml"), "version = 1\n[env]\npass = [\"TZ\"]\n").unwrap();
    let args = ["run", "--policy", "tz.toml", "--dry-run", "hello.wat"];
    assert!(with(&[("TZ", "here")], &args).1.contains("\"TZ=here\""));

    // Sections of a module, and files beside it.
    let (_module_dir, module) = wat(WRITE_NEW);
    let plain = wat::parse_file(&module).unwrap();
    let mut sections = plain.clone();
    let body = "version = 1\nsandbox = \"off\"\n[[fs]]\nhost = \"/\"\naccess = \"rw\"\n";
    for name in ["wave", "wave.policy", "policy", "wave-policy", ".policy.toml", "producers_", "target_features_"] {
        let body = [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), body.as_bytes()].concat();
        sections.extend([0, u8::try_from(body.len()).unwrap()]);
        sections.extend(body);
    }
    for (name, bytes) in [("a/m.wasm", &plain), ("b/m.wasm", &sections)] {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    for name in ["m.toml", "m.wasm.toml", "policy.toml", "wave.toml", ".wave.toml", "m.policy.toml"] {
        fs::write(dir.path().join("b").join(name), body).unwrap();
    }
    let same = |before: &[&str], after: &[&str]| {
        let in_a: Vec<_> = before.iter().chain(&["a/m.wasm"]).chain(after).copied().collect();
        let in_b: Vec<_> = before.iter().chain(&["b/m.wasm"]).chain(after).copied().collect();
        let (a, b) = (with(&[], &in_a), with(&[], &in_b));
        let pins = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with("blake3 = "));
            lines.map(|line| line.replace("b/m.wasm", "a/m.wasm") + "\n").collect::<String>()
        };
        assert_eq!((a.0, pins(&a.1), pins(&a.2)), (b.0, pins(&b.1), pins(&b.2)), "{before:?}");
        a
    };
    same(&["run", "--policy", "p.toml", "--dry-run"], &[]);
    same(&["run", "--dry-run"], &[]);
    same(&["policy", "gen"], &[]);
    // The grant is read-only, and without one there is no directory.
    assert_eq!(same(&["run", "--policy", "p.toml", "--trace=fs"], &[]).0, Some(76));
    assert_eq!(same(&["run"], &[]).0, Some(8));
    assert_eq!(wave_test_support::tree(&dir.path().join("data")), ["note: "]);
}
