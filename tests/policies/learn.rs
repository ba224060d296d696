//! `wave learn`: the policy it writes is enough for the same run, and for no more; later runs add to it and say so; nothing that
//! the program does shows in it as anything but data.
//!
//! Whole policies are files in `tests/learn/`; `WAVE_BLESS=1` writes them anew. How long a run took is left out of them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wave_test_support::user::{NOBODY, User};
use wave_test_support::{
    Outcome, as_root, assert_tree, c_example, cannot_run, fill, finish, give_to_guest, open_to_all, source,
    wait_until_gone, writable_dir,
};

const WAVE: &str = env!("CARGO_BIN_EXE_wave");
const REFUSED: &str = "Capabilities insufficient";

/// `wave` in a directory, with everything as it is typed, and one variable in its environment.
fn wave(dir: &Path, line: &[&str]) -> Outcome {
    wave_as(User::Own, dir, line)
}

fn wave_as(user: User, dir: &Path, line: &[&str]) -> Outcome {
    let mut command = command(WAVE, dir);
    command.args(line);
    user.runs(&mut command);
    finish(command.spawn().expect("wave starts"))
}

fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).env_clear().env("KNOWN", "from outside");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What `learn` says itself, and what it would say without that.
fn split(stderr: &str) -> (String, String) {
    let (own, rest): (Vec<_>, Vec<_>) = stderr.lines().partition(|line| line.starts_with("wave: learn: "));
    let join = |lines: Vec<&str>| lines.into_iter().map(|line| format!("{line}\n")).collect();
    (join(own), join(rest))
}

/// A directory that the policy is written to, with `in`, which the program may read, and `out`, which it may write.
fn scene(files: &[(&str, &str)]) -> TempDir {
    let dir = writable_dir();
    for name in ["in", "out"] {
        fs::create_dir(dir.path().join(name)).expect("own directory can be written");
        give_to_guest(&dir.path().join(name));
    }
    fill(dir.path(), files);
    for (name, _) in files {
        give_to_guest(&dir.path().join(name));
    }
    dir
}

fn policy(dir: &TempDir) -> String {
    fs::read_to_string(dir.path().join("p.toml")).expect("the policy is written")
}

/// Learns from a run in one place, runs under the policy in another, equal one: what can be seen must be the same.
/// The policy is in order, and the module's.
#[track_caller]
fn learns(files: &[(&str, &str)], flags: &[&str], module: &Path, args: &[&str]) -> TempDir {
    learns_as(User::Own, files, flags, module, args)
}

#[track_caller]
fn learns_as(user: User, files: &[(&str, &str)], flags: &[&str], module: &Path, args: &[&str]) -> TempDir {
    let (first, second) = (scene(files), scene(files));
    if user == User::Nobody {
        for scene in [&first, &second] {
            give_all(scene.path());
        }
    }
    let module = module.to_str().expect("paths of tests are UTF-8");
    let learn = [&["learn", "-o", "p.toml"][..], flags, &[module], args].concat();
    let learnt = wave_as(user, first.path(), &learn);
    let text = policy(&first);
    fs::write(second.path().join("p.toml"), &text).expect("own directory can be written");
    let run = wave_as(user, second.path(), &[&["run", "--policy", "p.toml", module][..], args].concat());
    let (_, stderr) = split(&learnt.stderr);
    assert_eq!(learnt.status.code(), run.status.code(), "{learnt:?}\n{run:?}\n{text}");
    assert_eq!(learnt.stdout, run.stdout, "{text}");
    // Where a run is when its time is up differs; and only the second has lines of a policy to name.
    let differs = |line: &&str| line.starts_with("  at ") || line.starts_with("  where: ");
    let stable = |text: &str| text.lines().filter(|line| !differs(line)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(stable(&stderr), stable(&run.stderr), "{text}");
    assert_eq!(wave_test_support::tree(&first.path().join("in")), wave_test_support::tree(&second.path().join("in")));
    assert_eq!(wave_test_support::tree(&first.path().join("out")), wave_test_support::tree(&second.path().join("out")));
    wave(first.path(), &["policy", "fmt", "--check", "p.toml"]).is(0, "", "");
    wave(first.path(), &["policy", "check", "p.toml", module]).is(0, "", "");
    first
}

fn give_all(dir: &Path) {
    let owner = Some(NOBODY);
    std::os::unix::fs::lchown(dir, owner, owner).expect("root can give files away");
    for entry in fs::read_dir(dir).expect("own directory can be listed") {
        let path = entry.expect("own directory can be listed").path();
        if path.is_dir() {
            give_all(&path);
        } else {
            std::os::unix::fs::lchown(&path, owner, owner).expect("root can give files away");
        }
    }
}

/// The policy without how long the run took.
fn stable(policy: &str) -> String {
    let lines = policy.lines().filter(|line| !line.starts_with("# timeout = "));
    lines.map(|line| format!("{line}\n")).collect()
}

fn is_snapshot(name: &str, text: &str) {
    let path = source(&format!("tests/learn/{name}.toml"));
    if std::env::var_os("WAVE_BLESS").is_some() {
        fs::write(&path, stable(text)).expect("the source can be written");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), stable(text), "{}", path.display());
}

/// Each `[[fs]]` of a policy: guest path and access.
fn directories(policy: &str) -> Vec<(String, String)> {
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches(['=', ' ', '"']).to_owned());
    let guests = policy.lines().filter_map(|line| value(line, "guest"));
    guests.zip(policy.lines().filter_map(|line| value(line, "access"))).collect()
}

fn is_granted(policy: &str, expected: &[(&str, &str)]) {
    let found = directories(policy);
    let found: Vec<_> = found.iter().map(|(guest, access)| (&**guest, &**access)).collect();
    assert_eq!(found, expected, "{policy}");
}

fn guest(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("guest.wat");
    fs::write(&path, text).expect("own directory can be written");
    path
}

#[test]
fn text_examples_run_as_before_under_what_they_were_seen_to_use() {
    let example = |name: &str| source("examples").join(name);
    is_snapshot("hello", &policy(&learns(&[], &["--dir", "in::/in"], &example("hello.wat"), &[])));
    is_snapshot("args", &policy(&learns(&[], &["--env", "A=b"], &example("args.wat"), &["one", "two words"])));
    is_snapshot("exit", &policy(&learns(&[], &[], &example("exit.wat"), &["42"])));
    is_snapshot("trap", &policy(&learns(&[], &[], &example("trap.wat"), &[])));
}

/// Directories that every example gets: more than any of them needs.
const GENEROUS: [&str; 4] = ["--dir", "in::/in::rw", "--dir", "out::/out::rw"];
const FILES: [(&str, &str); 2] = [("in/a", "bytes\n"), ("out/b", "old")];
const NO_DIRECTORY: &[(&str, &str)] = &[];

#[test]
fn c_examples_run_as_before_under_what_they_were_seen_to_use() {
    let ro: &[_] = &[("/in", "ro")];
    let rw: &[_] = &[("/out", "rw")];
    let append: &[_] = &[("/out", "append")];
    // The name, its arguments, and the directories that are left of the two that may be written.
    for (name, args, expected) in [
        ("args_env", &["x"][..], NO_DIRECTORY),
        ("cat", &["/in/a"], ro),
        ("cat", &["/in/none"], ro),
        ("cat", &["/etc/passwd"], NO_DIRECTORY),
        ("cat", &["/in/../out/b"], ro),
        ("cp", &["/in/a", "/out/new"], &[("/in", "ro"), ("/out", "rw")]),
        ("ls", &["/in"], ro),
        ("mkdir", &["/out/new", "/out/new/below"], append),
        ("mkdir", &["/out/b/x"], append),
        ("rename", &["/out/b", "/out/c"], rw),
        ("rename", &["/out/b", "/etc/x"], NO_DIRECTORY),
        ("rename", &["/in/a", "/out/c"], &[("/in", "rw"), ("/out", "rw")]),
        ("stat", &["/in/none"], ro),
        ("symlink", &["b", "/out/link"], rw),
        // What is denied all the same needs no more than reading.
        ("symlink", &["/etc/passwd", "/out/link"], &[("/out", "ro")]),
        ("random", &["16"], NO_DIRECTORY),
        ("clock", &[], NO_DIRECTORY),
        ("sleep", &["20"], NO_DIRECTORY),
        ("raise", &["--handle"], NO_DIRECTORY),
        ("raise", &[], NO_DIRECTORY),
    ] {
        let Some(module) = c_example(name) else { return };
        // So that what is random, or the time, can be compared.
        let flags = [&GENEROUS[..], &["--deterministic", "--env", "KNOWN", "--env", "A=b c"]].concat();
        let learnt = learns(&FILES, &flags, &module, args);
        is_granted(&policy(&learnt), expected);
        let reads_environment = name == "args_env";
        assert_eq!(policy(&learnt).contains("pass = [\"KNOWN\"]"), reads_environment, "{name}");
    }
}

/// C programs find single files, and what they used of them is learnt as files.
#[test]
fn single_files_are_learnt_as_such() {
    let flags = ["--file", "in/a::/files/a::rw", "--file", "out/b::files/b::rw", "--dir", "in::/in::rw"];
    for (name, args, expected) in [
        ("cat", &["/files/a"][..], &[("/files/a", "ro")][..]),
        ("cat", &["files/b"], &[("files/b", "ro")]),
        ("cp", &["/in/a", "/files/b"], &[("files/b", "rw")]),
    ] {
        let Some(module) = c_example(name) else { return };
        let learnt = learns(&FILES, &[&flags[..], &["--deterministic"]].concat(), &module, args);
        let text = policy(&learnt);
        let found = directories(&text);
        let found = found.iter().map(|(guest, access)| (&**guest, &**access)).filter(|(guest, _)| *guest != "/in");
        assert_eq!(found.collect::<Vec<_>>(), expected, "{name} {args:?}: {text}");
    }
}

/// Where a program starts is a key of the policy, and no directory of its own. Later runs under the policy learn into it.
#[test]
fn where_a_program_starts_is_learnt() {
    let Some(cat) = c_example("cat") else { return };
    let dir = learns(&[("in/sub/file", "text\n")], &["--dir", "in::/data::ro", "--cwd", "/data/sub"], &cat, &["file"]);
    let learnt = policy(&dir);
    assert!(learnt.contains("\ncwd = \"/data/sub\"\n"), "{learnt}");
    is_granted(&learnt, &[("/data", "ro")]);
    assert!(learnt.contains("sub/file") && !learnt.contains("PWD"), "{learnt}");
    let again = ["learn", "--policy", "p.toml", "-o", "p.toml", cat.to_str().expect("UTF-8"), "file"];
    let said = wave(dir.path(), &again);
    assert_eq!((said.status.code(), &*said.stdout), (Some(0), "text\n"), "{}", said.stderr);
    is_granted(&policy(&dir), &[("/data", "ro")]);
    let elsewhere =
        ["learn", "--policy", "p.toml", "--cwd", "/data", "-o", "p.toml", cat.to_str().expect("UTF-8"), "sub/file"];
    let said = wave(dir.path(), &elsewhere);
    assert_eq!(said.status.code(), Some(125), "{}", said.stderr);
    assert!(said.stderr.contains("the run has another cwd"), "{}", said.stderr);
    // A program that does not look is only told.
    let exit = guest(dir.path(), r#"(module (func (export "_start")))"#);
    let line = ["learn", "-o", "q.toml", "--dir", "in::/data::ro", "--cwd", "/data/sub", exit.to_str().expect("UTF-8")];
    assert_eq!(wave(dir.path(), &line).status.code(), Some(0));
    let unused = fs::read_to_string(dir.path().join("q.toml")).expect("the policy is written");
    assert!(!unused.contains("cwd"), "{unused}");
    is_granted(&unused, &[]);
}

#[test]
fn a_run_that_its_time_limit_ends_is_learnt_with_the_limit() {
    let Some(endless) = c_example("loop") else { return };
    let learnt = policy(&learns(&[], &["--timeout", "300ms"], &endless, &[]));
    assert!(learnt.contains("\n# The last run ended at its time limit.\n"), "{learnt}");
    assert!(learnt.contains("\ntimeout = \"300ms\" # at most: "), "{learnt}");
}

#[test]
fn an_ordinary_user_learns_the_same() {
    let Some(cp) = c_example("cp") else { return };
    for user in User::available() {
        let learnt = learns_as(*user, &FILES, &GENEROUS, &cp, &["/in/a", "/out/new"]);
        is_granted(&policy(&learnt), &[("/in", "ro"), ("/out", "rw")]);
    }
}

#[test]
fn a_learnt_policy_refuses_what_was_not_seen() {
    let Some(cp) = c_example("cp") else { return };
    let learnt = learns(&FILES, &GENEROUS, &cp, &["/in/a", "/out/new"]);
    let (dir, cp) = (learnt.path(), cp.to_str().expect("UTF-8"));
    // The run it is for, once more; then one that writes where only reading was seen.
    wave(dir, &["run", "--policy", "p.toml", cp, "/in/a", "/out/again"]).is(0, "", "");
    let other = ["/out/b", "/in/new"];
    let refused = format!("cp: /in/new: {REFUSED}\n");
    wave(dir, &[&["run", "--policy", "p.toml", cp][..], &other].concat()).is(1, "", &refused);
    assert_tree(&dir.join("in"), &["a: bytes\\n"]);
    // The same run is possible with what was granted for learning.
    wave(dir, &[&["run"][..], &GENEROUS, &[cp], &other].concat()).is(0, "", "");
    assert_tree(&dir.join("in"), &["a: bytes\\n", "new: old"]);
}

#[test]
fn learning_grants_no_more_than_the_flags() {
    let Some(cp) = c_example("cp") else { return };
    let dir = scene(&FILES);
    let flags = ["--dir", "in::/in::ro", "--dir", "out::/out::ro"];
    let line = [&["learn", "-o", "p.toml"][..], &flags, &[cp.to_str().unwrap(), "/in/a", "/out/new"]].concat();
    let said = format!(
        "cp: /out/new: {REFUSED}\nwave: learn: 1 calls were denied and stay denied; `wave run --trace` shows what would allow \
         them\nwave: learn: wrote p.toml (runs: 1)\n"
    );
    wave(dir.path(), &line).is(1, "", &said);
    assert_tree(&dir.path().join("out"), &["b: old"]);
    is_granted(&policy(&dir), &[("/in", "ro"), ("/out", "ro")]);
    assert!(policy(&dir).contains("# The last run ended with exit code 1.\n"));
}

#[test]
fn limits_that_were_granted_bound_those_that_are_learnt() {
    let flags = ["--max-memory", "96K", "--max-open-files", "20", "--max-writes", "1M", "--max-stack", "1M"];
    let learnt = policy(&learns(&[], &flags, &source("examples/hello.wat"), &[]));
    for row in ["max-memory = \"96K\" #", "max-open-files = 20 #", "max-writes = \"1M\"\n", "max-stack = \"1M\"\n"] {
        assert!(learnt.contains(row), "{row}\n{learnt}");
    }
}

/// Same layers, same filter: observing takes no right.
#[test]
fn an_observed_run_is_sealed_as_any_other() {
    let dir = scene(&[]);
    let hello = source("examples/hello.wat");
    let hello = hello.to_str().unwrap();
    let flags = ["--report", "--dir", "in::/in::ro"];
    let layers = |outcome: &Outcome| -> Vec<String> {
        let of =
            ["landlock", "seccomp", "descriptors", "capabilities", "single_thread", "no_new_privs", "not_dumpable"];
        let lines = outcome.stderr.lines().map(str::trim);
        let lines = lines.filter(|line| of.iter().any(|layer| line.starts_with(layer)));
        // How many instructions a comparison takes depends on the addresses of this run.
        let without = |line: &str| {
            line.split(", ").filter(|part| !part.ends_with(" instructions")).collect::<Vec<_>>().join(", ")
        };
        lines.map(without).collect()
    };
    let run = wave(dir.path(), &[&["run"][..], &flags, &[hello]].concat());
    let learn = wave(dir.path(), &[&["learn", "-o", "p.toml"][..], &flags, &[hello]].concat());
    assert_eq!(layers(&run), layers(&learn));
    assert_eq!(layers(&run).len(), 7, "{run:?}");
}

#[test]
fn t101_runs_add_up_and_what_gets_wider_is_said() {
    let Some(cp) = c_example("cp") else { return };
    let cp = cp.to_str().unwrap();
    let dir = scene(&[("in/a", "1"), ("out/b", "2")]);
    let learn = |args: &[&str]| {
        let line = [&["learn", "-o", "p.toml", "--env", "A=b"][..], &GENEROUS, &[cp], args].concat();
        let learnt = wave(dir.path(), &line);
        assert_eq!(learnt.status.code(), Some(0), "{learnt:?}");
        split(&learnt.stderr).0
    };
    assert_eq!(learn(&["/in/a", "/in/x"]), "wave: learn: wrote p.toml (runs: 1)\n");
    is_granted(&policy(&dir), &[("/in", "rw")]);
    assert!(policy(&dir).contains("# Granted, not used, left out: \"directory out as /out\"\n"));
    let wider = "wave: learn: wider: fs[1] out as /out: ro\nwave: learn: wrote p.toml (runs: 2)\n";
    assert_eq!(learn(&["/out/b", "/in/x"]), wider);
    is_granted(&policy(&dir), &[("/in", "rw"), ("/out", "ro")]);
    assert!(!policy(&dir).contains("out as /out"));
    let wider = "wave: learn: wider: fs[1] ro -> rw (1 changes)\nwave: learn: wrote p.toml (runs: 3)\n";
    assert_eq!(learn(&["/in/a", "/out/y"]), wider);
    // What is allowed already is only counted.
    assert_eq!(learn(&["/in/a", "/out/y"]), "wave: learn: wrote p.toml (runs: 4)\n");
    let text = policy(&dir);
    assert!(text.contains("    \"path_open\", # 8 calls\n"), "{text}");
    assert!(text.contains("#   \"a\": reads 3\n#   \"x\": changes 2\n"), "{text}");
    wave(dir.path(), &["policy", "fmt", "--check", "p.toml"]).is(0, "", "");
    wave(dir.path(), &["policy", "check", "p.toml", cp]).is(0, "", "");
    // A limit that somebody lowered.
    let tight =
        text.replace("max-open-files = 64", "max-open-files = 3").replace("max-memory = \"1M\"", "max-memory = \"2M\"");
    fs::write(dir.path().join("p.toml"), tight).unwrap();
    let said = learn(&["/in/a", "/out/y"]);
    assert_eq!(
        said,
        "wave: learn: wider: limits.max-open-files 3 -> 64 (7 used)\nwave: learn: wrote p.toml (runs: 5)\n"
    );
    assert!(policy(&dir).contains("max-memory = \"2M\" #"));
}

#[test]
fn a_file_that_is_not_understood_stays_as_it_is() {
    let dir = scene(&[]);
    let hello = source("examples/hello.wat");
    let other = source("examples/args.wat");
    let line = |module: &Path, more: &[&str]| {
        let module = module.to_str().unwrap().to_owned();
        wave(dir.path(), &[&["learn", "-o", "p.toml"][..], more, &[&module]].concat())
    };
    let learnt = line(&hello, &[]);
    learnt.is(0, "Hello from inside the sandbox!\n", "wave: learn: wrote p.toml (runs: 1)\n");
    let learnt = policy(&dir);

    let refused = |text: &str, module: &Path, more: &[&str], message: &str| {
        fs::write(dir.path().join("p.toml"), text).unwrap();
        let run = line(module, more);
        assert_eq!((run.status.code(), &*run.stdout), (Some(125), ""), "{run:?}");
        assert!(run.stderr.starts_with(message), "{}", run.stderr);
        assert_eq!(policy(&dir), text);
    };
    let commented = learnt.replace("[limits]", "# As large as the build machine allows.\n[limits]");
    let message = "wave: `# As large as the build machine allows.` is not a comment of `wave learn`, and would be lost\n  where: p.toml:11\n";
    refused(&commented, &hello, &[], message);
    refused("version = 1\nfiles = 1\n", &hello, &[], "wave: unknown key `files`\n");
    refused("not a policy", &hello, &[], "wave: ");
    let message = "wave: the policy is for another module: its BLAKE3 is not ";
    refused(&learnt, &other, &[], message);
    let deterministic = "wave: the run is deterministic where the policy is not, or the reverse\n";
    refused(&learnt, &hello, &["--deterministic"], deterministic);
    let seed = "wave: the random numbers of the run have another seed, or only one has any\n";
    refused(&learnt, &hello, &["--random-seed", "7"], seed);
    let elsewhere = learnt.clone() + "\n[[fs]]\nhost = \"in\"\nguest = \"/d\"\naccess = \"ro\"\n";
    refused(&elsewhere, &hello, &["--dir", "out::/d"], "wave: `/d` is another directory in this run\n");

    // The same module, or one that is told to be accepted.
    fs::write(dir.path().join("p.toml"), &elsewhere).unwrap();
    assert_eq!(line(&hello, &["--dir", "in::/d"]).status.code(), Some(0));
    let run = line(&other, &["--new-module"]);
    let said = "wave: learn: wider: wasi.functions: args_get\nwave: learn: wider: wasi.functions: args_sizes_get\n";
    assert!(run.stderr.starts_with(said), "{}", run.stderr);
    wave(dir.path(), &["policy", "check", "p.toml", other.to_str().unwrap()]).is(0, "", "");
}

#[test]
fn a_program_cannot_write_its_own_policy() {
    let dir = scene(&[]);
    let hello = source("examples/hello.wat");
    let learn =
        |output: &str, grant: &str| wave(dir.path(), &["learn", "-o", output, "--dir", grant, hello.to_str().unwrap()]);
    for grant in ["out::/out", "out::/out::append", ".::/"] {
        let host = grant.split("::").next().unwrap();
        let message = format!(
            "wave: the program could write its own policy: `{host}` is granted\n  where: -o out/p.toml\n  fix:   write the policy to \
             another directory, or grant this one ::ro\n"
        );
        learn("out/p.toml", grant).is(125, "", &message);
    }
    std::os::unix::fs::symlink("out", dir.path().join("link")).unwrap();
    assert_eq!(learn("link/p.toml", "out::/out").status.code(), Some(125));
    assert_tree(&dir.path().join("out"), &[]);
    assert_eq!(learn("out/p.toml", "out::/out::ro").status.code(), Some(0));
}

#[test]
fn what_does_not_run_leaves_no_policy() {
    let dir = scene(&[]);
    let module = guest(dir.path(), "(module (memory (export \"memory\") 64) (func (export \"_start\")))");
    let module = module.to_str().unwrap();
    for (line, code) in [
        (&["--max-memory", "1M", module][..], 137),
        (&["none.wasm"], 127),
        (&["--invoke", "none", module], 126),
        (&["--dir", "none", module], 125),
        (&["--listenfd", module], 2),
    ] {
        let run = wave(dir.path(), &[&["learn", "-o", "p.toml"][..], line].concat());
        assert_eq!(run.status.code(), Some(code), "{run:?}");
        assert!(!dir.path().join("p.toml").exists(), "{line:?}");
    }
    assert_eq!(wave(dir.path(), &["learn", "-o", "p.toml", module]).status.code(), Some(0));
    assert!(policy(&dir).contains("max-memory = \"8M\" # at most: 4194304 bytes\n"));
    assert_tree(
        dir.path(),
        &wave_test_support::tree(dir.path())
            .iter()
            .map(String::as_str)
            .filter(|l| !l.contains(".tmp"))
            .collect::<Vec<_>>(),
    );
}

/// Memory that grows after the last hostcall, without one.
#[test]
fn memory_counts_to_the_end() {
    let dir = scene(&[]);
    let text =
        "(module (memory (export \"memory\") 1 200) (func (export \"_start\") (drop (memory.grow (i32.const 99)))))";
    let module = guest(dir.path(), text);
    learns(&[], &[], &module, &[]);
    let learnt = policy(&learns(&[], &[], &module, &[]));
    assert!(learnt.contains("max-memory = \"13M\" # at most: 6553600 bytes\n"), "{learnt}");
}

/// One call of `path_open` beneath descriptor 3, then one byte is written.
fn opens(oflags: u32, rights: u64, fdflags: u32) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "log")
  (data (i32.const 200) "\64\00\00\00\01\00\00\00")
  (func (export "_start") (local $errno i32)
    (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 3) (i32.const {oflags})
      (i64.const {rights}) (i64.const 0) (i32.const {fdflags}) (i32.const 64)))
    (if (local.get $errno) (then (call $exit (local.get $errno))))
    (call $exit (call $write (i32.load (i32.const 64)) (i32.const 200) (i32.const 1) (i32.const 72)))))"#
    )
}

#[test]
fn access_is_the_least_that_gives_the_same_answers() {
    const READ: u64 = 2;
    const WRITE: u64 = 64;
    const NOTCAPABLE: i32 = 76;
    for (call, access, narrower) in [
        (opens(0, READ, 0), "ro", None),
        (opens(1, WRITE, 1), "append", Some("ro")),
        (opens(0, WRITE, 1), "append", Some("ro")),
        (opens(1, READ, 0), "append", Some("ro")),
        (opens(0, WRITE, 0), "rw", Some("append")),
        (opens(8, READ, 0), "rw", Some("append")),
    ] {
        let files = [("out/log", "x")];
        let dir = scene(&[]);
        let module = guest(dir.path(), &call);
        let learnt = learns(&files, &["--dir", "out::/out::rw"], &module, &[]);
        is_granted(&policy(&learnt), &[("/out", access)]);
        // With less, it would be refused.
        if let Some(narrower) = narrower {
            let text = policy(&learnt).replace(&format!("access = \"{access}\""), &format!("access = \"{narrower}\""));
            fs::write(learnt.path().join("p.toml"), text).unwrap();
            let run = wave(learnt.path(), &["run", "--policy", "p.toml", module.to_str().unwrap()]);
            assert_eq!(run.status.code(), Some(NOTCAPABLE), "{run:?}");
        }
    }
}

/// Descriptor 4 by its number, as no library does: the one before it must stay.
#[test]
fn numbers_of_directories_stay_where_a_program_may_count_on_them() {
    let dir = scene(&[]);
    let module =
        guest(dir.path(), &opens(0, 2, 0).replace("(i32.const 3) (i32.const 0)", "(i32.const 4) (i32.const 0)"));
    let flags = ["--dir", "in::/in", "--dir", "out::/out", "--dir", "more::/more"];
    let learnt = learns(&[("out/log", "x"), ("more/x", "")], &flags, &module, &[]);
    is_granted(&policy(&learnt), &[("/in", "ro"), ("/out", "ro")]);
    let kept = "# \"/in\": 0 calls, 0 that append or create, 0 that change\n#   kept: not used, but what comes after it would get another number\n";
    assert!(policy(&learnt).contains(kept), "{}", policy(&learnt));
    // Another run, where the directory has another number, cannot be added.
    let module = module.to_str().unwrap();
    let before = policy(&learnt);
    let flags = ["--dir", "more::/more", "--dir", "out::/out"];
    let run = wave(learnt.path(), &[&["learn", "-o", "p.toml"][..], &flags, &[module]].concat());
    assert_eq!(run.status.code(), Some(125), "{run:?}");
    assert!(run.stderr.contains("the program finds what it is given by its number"), "{run:?}");
    assert_eq!(policy(&learnt), before);
}

/// T28: with less than the directory around it, the inner one would be refused.
#[test]
fn t28_a_directory_in_a_wider_one_gets_as_much() {
    let Some(cp) = c_example("cp") else { return };
    let files = [("out/in", ""), ("in/a", "1"), ("in/deep/b", "2")];
    let flags = ["--dir", "in::/in::rw", "--dir", "in/deep::/deep::rw"];
    let learnt = learns(&files[1..], &flags, &cp, &["/deep/b", "/in/new"]);
    is_granted(&policy(&learnt), &[("/in", "rw"), ("/deep", "rw")]);
    assert!(policy(&learnt).contains("#   kept: ro would do, but it lies in a directory that is rw\n"));
    let learnt = learns(&files[1..], &flags, &cp, &["/in/a", "/deep/new"]);
    is_granted(&policy(&learnt), &[("/in", "ro"), ("/deep", "rw")]);
}

/// Looks up names that are made to look like something else, then more names than are told apart.
const NAMES: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "\0a[[fs]]\0ahost = \22/\22\0aaccess = \22rw\22\0a#")
  (data (i32.const 200) "\1b[2J\e2\80\ae")
  (data (i32.const 300) "\ff\fe")
  (data (i32.const 400) "00000000")
  (func (export "_start") (local $left i32) (local $at i32) (local $digit i32)
    (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 34) (i32.const 1024)))
    (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 200) (i32.const 7) (i32.const 1024)))
    (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 300) (i32.const 2) (i32.const 1024)))
    (local.set $left (i32.const 100010))
    (loop $next
      (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 400) (i32.const 8) (i32.const 1024)))
      (local.set $at (i32.const 407))
      (block $counted
        (loop $carry
          (local.set $digit (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
          (i32.store8 (local.get $at) (local.get $digit))
          (br_if $counted (i32.le_u (local.get $digit) (i32.const 57)))
          (i32.store8 (local.get $at) (i32.const 48))
          (local.set $at (i32.sub (local.get $at) (i32.const 1)))
          (br $carry)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left)))))"#;

#[test]
fn t75_hostile_paths_are_comments_and_their_number_is_bounded() {
    let dir = scene(&[]);
    let module = guest(dir.path(), NAMES);
    let start = Instant::now();
    let learnt = learns(&[], &["--dir", "in::/in::ro"], &module, &[]);
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
    let text = policy(&learnt);
    is_granted(&text, &[("/in", "ro")]);
    assert!(text.len() < 16 << 10, "{}", text.len());
    assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')));
    assert!(text.contains("#   \"\\n[[fs]]\\nhost = \\\"/\\\"\\naccess = \\\"rw\\\"\\n#\": lookups 1\n"), "{text}");
    assert!(text.contains("#   \"\\u001b[2J\\u202e\": lookups 1\n"), "{text}");
    // What is no UTF-8 is no path. 100,000 are told apart, 100 are listed, and how many names the rest are is not known.
    assert!(text.contains("#   paths that are not listed: 99913 or more\n"), "{text}");
    assert!(text.contains("# \"/in\": 100013 calls, 0 that append or create, 0 that change\n"), "{text}");
    // A second run of the same adds up.
    let run = wave(learnt.path(), &["learn", "-o", "p.toml", "--dir", "in::/in::ro", module.to_str().unwrap()]);
    run.is(0, "", "wave: learn: wrote p.toml (runs: 2)\n");
    assert!(policy(&learnt).contains("# \"/in\": 200026 calls"));
}

/// The echo server, learning.
struct Server {
    child: Child,
    stream: TcpStream,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Server {
    fn start(dir: &Path, line: &[&str]) -> Self {
        // What the tests ignore, as in the background of a shell, `wave` would ignore, too.
        let mut child =
            command("/usr/bin/env", dir).args(["--default-signal", WAVE]).args(line).spawn().expect("wave starts");
        let mut stderr = BufReader::with_capacity(1, child.stderr.take().expect("stderr is piped"));
        let address = loop {
            let mut said = String::new();
            assert_ne!(stderr.read_line(&mut said).expect("stderr can be read"), 0, "no address");
            if let Some(address) = said.trim().strip_prefix("wave: listening on ") {
                break address.to_owned();
            }
        };
        let mut stream = TcpStream::connect(&address).expect("the kernel takes the connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("sockets have timeouts");
        stream.write_all(b"hello").expect("the connection is open");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"hello");
        Self { child, stream, stderr }
    }

    fn ends(self) -> Outcome {
        let Self { mut child, stderr, .. } = self;
        child.stderr = Some(stderr.into_inner());
        finish(child)
    }

    /// Asks it to end, and waits.
    fn stop(mut self) -> Outcome {
        self.stream.write_all(b"q\n").expect("the connection is open");
        self.ends()
    }
}

#[test]
fn a_server_is_learnt_with_its_sockets() {
    let dir = scene(&[]);
    let echo = source("examples/echo.wat");
    let echo = echo.to_str().unwrap();
    let network = ["--tcplisten", "127.0.0.1:0", "--accept-from", "127.0.0.0/8", "--timeout", "60s"];
    let line = [&["learn", "-o", "p.toml", "--dir", "in::/in"][..], &network, &[echo]].concat();
    let learnt = Server::start(dir.path(), &line).stop();
    assert_eq!(learnt.status.code(), Some(0), "{learnt:?}");
    let text = policy(&dir);
    assert!(text.contains("[net]\nlisten = [\"127.0.0.1:0\"]\naccept_from = [\"127.0.0.0/8\"]\n"), "{text}");
    // The server looks through its descriptors, and counts the directory.
    is_granted(&text, &[("/in", "ro")]);
    let run = Server::start(dir.path(), &["run", "--policy", "p.toml", echo]).stop();
    assert_eq!((run.status.code(), run.stdout), (learnt.status.code(), learnt.stdout));
    // Without the policy's socket there is none.
    let none = wave(dir.path(), &["run", echo]);
    assert_ne!(none.status.code(), Some(0));
}

/// Grants under which a connection was made stay, and others are named as not used.
#[test]
fn connections_are_learnt_by_their_grants() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let [low, high] = port.to_le_bytes();
    let dir = scene(&[]);
    let client = format!(
        "(module (import \"wave_net\" \"tcp_connect\" (func $connect (param i32 i32) (result i32)))
           (memory (export \"memory\") 1) (data (i32.const 0) \"\\04\\00\\{low:02x}\\{high:02x}\\00\\00\\00\\00\\7f\\00\\00\\01\")
           (func (export \"_start\") (if (call $connect (i32.const 0) (i32.const 32)) (then (unreachable)))))"
    );
    fs::write(dir.path().join("client.wat"), client).unwrap();
    let (used, unused) = (format!("127.0.0.0/8:{port}"), "192.0.2.1:443");
    let line = ["learn", "-o", "p.toml", "--connect", &used, "--connect", unused, "client.wat"];
    let learnt = wave(dir.path(), &line);
    assert_eq!(learnt.status.code(), Some(0), "{learnt:?}");
    let text = policy(&dir);
    assert!(text.contains(&format!("[net]\nconnect = [\"{used}\"]\n")), "{text}");
    assert!(text.contains(&format!("--connect {unused}")) && text.contains("[os.connection]"), "{text}");
    assert_eq!(wave(dir.path(), &["run", "--policy", "p.toml", "client.wat"]).status.code(), Some(0));
}

/// A signal ends the run, and what was seen until then is written; nothing goes on.
#[test]
fn a_run_that_a_signal_ends_is_learnt_and_no_process_stays() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let echo = source("examples/echo.wat");
    let start = |dir: &TempDir| {
        let line = ["learn", "-o", "p.toml", "--tcplisten", "127.0.0.1:0", echo.to_str().unwrap()];
        let server = Server::start(dir.path(), &line);
        let parent = Pid::from_raw(i32::try_from(server.child.id()).unwrap());
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let child: u32 = children.trim().parse().expect("one process");
        (server, parent, child)
    };
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let dir = scene(&[]);
        let (server, parent, child) = start(&dir);
        kill(parent, signal).unwrap();
        let ended = server.ends();
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        wait_until_gone(child);
        let text = policy(&dir);
        assert!(text.contains("# The last run ended by a signal from outside, in the middle.\n"), "{text}");
        assert!(
            text.contains("    \"sock_accept\", # 1 call\n") && text.contains("listen = [\"127.0.0.1:0\"]"),
            "{text}"
        );
    }
    let dir = scene(&[]);
    let (mut server, parent, child) = start(&dir);
    kill(parent, Signal::SIGKILL).unwrap();
    server.child.wait().unwrap();
    wait_until_gone(child);
    assert!(!dir.path().join("p.toml").exists());
}

/// Says that it runs, and waits until standard input ends.
const WAITS: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\01\00\00\00")
  (data (i32.const 16) "!")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

#[test]
fn a_file_that_changes_during_the_run_stays_as_it_is_then() {
    let dir = scene(&[("waits.wat", WAITS)]);
    let path = dir.path().join("p.toml");
    // What is done while the program runs.
    let learn = |meanwhile: &dyn Fn()| {
        let mut command = command(WAVE, dir.path());
        let mut child =
            command.args(["learn", "-o", "p.toml", "waits.wat"]).stdin(Stdio::piped()).spawn().expect("wave starts");
        let mut said = [0];
        child.stdout.as_mut().expect("stdout is piped").read_exact(&mut said).expect("it says that it runs");
        meanwhile();
        drop(child.stdin.take());
        finish(child)
    };
    let somebody_writes = || fs::write(&path, "somebody's").expect("own directory can be written");
    // Not there before, and there after.
    let run = learn(&somebody_writes);
    assert_eq!(run.status.code(), Some(125), "{run:?}");
    assert!(run.stderr.contains("the policy was changed during the run, and is not overwritten"), "{run:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
    // There before, and another one after.
    fs::remove_file(&path).unwrap();
    assert_eq!(learn(&|| ()).status.code(), Some(0));
    assert_eq!(learn(&somebody_writes).status.code(), Some(125));
    let module = format!("waits.wat: {}", WAITS.escape_default());
    assert_tree(dir.path(), &["in/", "out/", "p.toml: somebody\\'s", &module]);
}

/// Started as root, a run becomes the owner of what it may write, and reads as that one.
#[test]
fn who_the_run_was_is_said_where_the_policy_leaves_it_nothing_to_write() {
    if !as_root() {
        return cannot_run("only root becomes another user");
    }
    let Some(cat) = c_example("cat") else { return };
    let cat = cat.to_str().unwrap();
    let dir = scene(&[("in/a", "private\n")]);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(dir.path().join("in/a"), private).unwrap();
    let learnt = wave(dir.path(), &["learn", "-o", "p.toml", "--dir", "in::/in::rw", cat, "/in/a"]);
    let said = "wave: learn: also needed on the command line: --user 1000:1000\nwave: learn: wrote p.toml (runs: 1)\n";
    learnt.is(0, "private\n", said);
    is_granted(&policy(&dir), &[("/in", "ro")]);
    assert!(policy(&dir).contains("# Needed on the command line, too: \"--user 1000:1000\"\n"));
    wave(dir.path(), &["run", "--policy", "p.toml", "--user", "1000:1000", cat, "/in/a"]).is(0, "private\n", "");
    let other = wave(dir.path(), &["run", "--policy", "p.toml", cat, "/in/a"]);
    other.is(1, "", "cat: /in/a: Permission denied\n");
}

#[test]
fn a_path_of_the_host_is_the_same_wherever_the_run_starts() {
    let Some(cat) = c_example("cat") else { return };
    let cat = cat.to_str().unwrap();
    let dir = scene(&[("in/a", "here\n")]);
    open_to_all(dir.path());
    let outer = tempfile::tempdir().unwrap();
    open_to_all(outer.path());
    let output = dir.path().join("p.toml");
    let grant = |host: &Path| format!("{}::/d::ro", host.display());
    let (inside, outside) = (grant(&dir.path().join("in")), format!("{}::/o::ro", outer.path().display()));
    let line = ["learn", "-o", output.to_str().unwrap(), "--dir", &inside, "--dir", &outside, cat, "/d/a", "/o/none"];
    assert_eq!(wave(outer.path(), &line).status.code(), Some(1));
    let text = policy(&dir);
    assert!(text.contains("host = \"in\"\n"), "{text}");
    let outer = fs::canonicalize(outer.path()).unwrap();
    assert!(text.contains(&format!("host = \"{}\"\n", outer.display())), "{text}");
    wave(&outer, &["run", "--policy", output.to_str().unwrap(), cat, "/d/a"]).is(0, "here\n", "");
}
