//! Policies of real programs, each example and CPython: what `wave policy gen` writes is right as it is, it works once its paths
//! are filled in, and each line of its derived part counts.
//!
//! That each rule behind such a line is needed in the filter, too, shows `tests/escapes/surface`.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::Value;
use tempfile::TempDir;
use wave_policy::file::{Derived, PolicyFile};
use wave_test_support::cpython::cpython;
use wave_test_support::{Outcome, Wave, c_example, fill, finish, source, tree, wat, writable_dir};

/// What `gen` leaves to be filled in.
const FILES: &str = "# [[fs]]\n# host = \"data\"\n# guest = \"/data\"\n# access = \"ro\"\n";
const SOCKETS: &str = "# [net]\n# listen = [\"127.0.0.1:8080\"]\n";

/// A program, and what it does with a directory `/data` in which there is a file `note`, or as a server.
struct Program {
    module: PathBuf,
    args: Vec<&'static str>,
    /// Prints the same in every run.
    repeats: bool,
    /// Waits for connections.
    serves: bool,
    timeout: &'static str,
}

impl Program {
    fn new(module: PathBuf, args: &[&'static str]) -> Self {
        Self { module, args: args.to_vec(), repeats: true, serves: false, timeout: "60s" }
    }

    fn name(&self) -> String {
        self.module.file_name().expect("modules have names").display().to_string()
    }

    /// What `wave policy gen` writes.
    fn generated(&self) -> String {
        let made = policy(["gen".as_ref(), self.module.as_os_str()]);
        assert_eq!((made.status.code(), &*made.stderr), (Some(0), ""), "{}", self.name());
        made.stdout
    }

    /// That, with the paths filled in.
    fn filled(&self) -> String {
        let files = FILES.replace("# ", "").replace("\"ro\"", "\"rw\"");
        let sockets = SOCKETS.replace("# ", "").replace("8080", "0");
        let text = self.generated().replace(FILES, &files);
        if self.serves { text.replace(SOCKETS, &sockets) } else { text }
    }

    /// A run with other grants, beside a directory that it may change.
    fn run(&self, host: &Path, grants: impl FnOnce(Wave, &Path) -> Wave) -> Outcome {
        let child = grants(Wave::strict(), host).flag("--timeout", self.timeout).spawn(&self.module, &self.args);
        if self.serves { served(child) } else { finish(child) }
    }
}

/// Has a server send back one line, which tells it to end; the address it chose is not in what it said.
fn served(mut child: Child) -> Outcome {
    let mut said = String::new();
    let mut stderr = BufReader::with_capacity(1, child.stderr.take().expect("stderr is piped"));
    stderr.read_line(&mut said).expect("stderr can be read");
    child.stderr = Some(stderr.into_inner());
    let Some(address) = said.trim().strip_prefix("wave: listening on ") else {
        let mut outcome = finish(child);
        outcome.stderr.insert_str(0, &said);
        return outcome;
    };
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"q\n").expect("the connection is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it ends the connection in order");
    assert_eq!(answer, "q\n");
    finish(child)
}

/// Every program of `examples/` that can be built here, and CPython if it is there.
fn programs() -> Vec<Program> {
    let texts = ["hello", "args", "exit", "trap", "echo", "show"];
    let mut all: Vec<_> =
        texts.map(|name| Program::new(source(&format!("examples/{name}.wat")), &["a", "b"])).into_iter().collect();
    // `exit` takes a code.
    all[2].args = vec!["7"];
    all[4].serves = true;
    all[5].args = vec!["note"];
    let built: [(&str, &[&str]); 13] = [
        ("cat", &["/data/note"]),
        ("cp", &["/data/note", "/data/copy"]),
        ("ls", &["/data"]),
        ("mkdir", &["/data/new"]),
        ("rename", &["/data/note", "/data/moved"]),
        ("stat", &["/data/none"]),
        ("symlink", &["note", "/data/link"]),
        ("args_env", &["a", "b"]),
        ("clock", &[]),
        ("random", &[]),
        ("raise", &["6"]),
        ("sleep", &["1"]),
        ("loop", &[]),
    ];
    for (name, args) in built {
        all.extend(c_example(name).map(|module| Program::new(module, args)));
    }
    let script = "import os, sqlite3; os.rename('/data/note', '/data/moved'); print(open('/data/moved').read()); \
                  sqlite3.connect('/data/x.db').execute('create table t(n)'); print(sorted(os.listdir('/data')))";
    all.extend(cpython().map(|module| Program::new(module.clone(), &["-c", script])));
    for program in &mut all {
        let name = program.name();
        program.repeats = !["clock.wasm", "random.wasm", "loop.wasm"].contains(&&*name);
        if name == "loop.wasm" {
            program.timeout = "1s";
        }
    }
    all
}

/// The list above is that of the directory.
#[test]
fn every_example_is_here() {
    let Some(_) = c_example("cat") else { return };
    let listed = fs::read_dir(source("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut in_tree: Vec<_> = listed
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat" || extension == "c"))
        .map(|path| path.file_stem().unwrap().display().to_string())
        .collect();
    let here = programs().into_iter().filter(|program| !program.name().starts_with("python"));
    let mut here: Vec<_> = here.map(|program| program.module.file_stem().unwrap().display().to_string()).collect();
    in_tree.sort();
    here.sort();
    assert_eq!(here, in_tree);
}

/// `wave policy`.
fn policy<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Outcome {
    let out = Command::new(env!("CARGO_BIN_EXE_wave")).arg("policy").args(args).output().expect("wave starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("messages are UTF-8");
    Outcome { status: out.status, stdout: text(&out.stdout), stderr: text(&out.stderr) }
}

/// `wave policy check`.
fn check(file: &Path, module: &Path) -> Outcome {
    policy([OsStr::new("check"), file.as_os_str(), module.as_os_str()])
}

/// A directory with `data/note` in it, and a policy.
fn place(text: &str) -> (TempDir, PathBuf) {
    let dir = writable_dir();
    fill(dir.path(), &[("data/note", "granted\n"), ("p.toml", text)]);
    let file = dir.path().join("p.toml");
    (dir, file)
}

/// The lines of the derived part, headings included, by the id of what they say.
fn derived_lines(text: &str) -> Vec<(String, &str)> {
    let mut heading = "";
    let mut lines = Vec::new();
    for line in text.lines().skip_while(|line| *line != "[os]").filter(|line| !line.is_empty()) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => {
                heading = name;
                lines.push((format!("[{name}]"), line));
            }
            None => {
                let (key, _) = line.split_once(" = ").expect("a row");
                lines.push((format!("{heading}.{key}"), line));
            }
        }
    }
    lines
}

/// A policy without one line.
fn without(text: &str, line: &str) -> String {
    let cut = text.replacen(&format!("\n{line}\n"), "\n", 1);
    assert_eq!(cut.len() + line.len() + 1, text.len(), "one line less");
    cut
}

/// The derived part of a policy, if it is well-formed.
fn derived(text: &str) -> Option<Derived> {
    PolicyFile::parse(text).ok()?.resolved().ok()?.os
}

#[test]
fn gen_is_a_fixed_point_of_check_and_of_fmt() {
    let texts = ["(module)", "(module (memory 1 1))", "(module (memory 1 2))"].map(wat);
    let more = texts.iter().map(|(_, path)| Program::new(path.clone(), &[]));
    for program in programs().into_iter().chain(more) {
        for text in [program.generated(), program.filled()] {
            let (_dir, file) = place(&text);
            check(&file, &program.module).is(0, "", "");
            policy(["fmt".as_ref(), "--check".as_ref(), file.as_os_str()]).is(0, "", "");
        }
    }
}

/// gen → fill the paths → run does what the same grants by flags do, to the host as well.
#[test]
fn a_generated_policy_with_its_paths_filled_runs_every_program() {
    for program in programs() {
        let (by_policy, file) = place(&program.filled());
        let one = program.run(by_policy.path(), |wave, _| wave.flag("--policy", file.to_str().expect("UTF-8")));
        let (by_flags, _) = place("");
        let other = program.run(by_flags.path(), |wave, host| {
            if program.serves {
                return wave.flag("--tcplisten", "127.0.0.1:0");
            }
            wave.dir(&host.join("data"), "/data", "rw")
        });
        let name = program.name();
        assert_eq!(one.status.code(), other.status.code(), "{name}: {one:?} {other:?}");
        assert_ne!(one.status.code(), Some(125), "{name}: {one:?}");
        if program.repeats {
            assert_eq!((&one.stdout, &one.stderr), (&other.stdout, &other.stderr), "{name}");
        }
        assert_eq!(tree(&by_policy.path().join("data")), tree(&by_flags.path().join("data")), "{name}");
    }
}

/// What `check` compares is compared here for each line of each program; with the command itself, for two of them, below.
#[test]
fn every_line_of_every_derived_part_counts() {
    for program in programs() {
        let text = program.generated();
        let full = derived(&text).expect("a derived part");
        let lines = derived_lines(&text);
        assert!(lines.len() > 6, "{}: {lines:?}", program.name());
        for (id, line) in lines {
            let cut = derived(&without(&text, line)).map(|cut| cut.difference(&full));
            // Without a heading, rows are out of place; without `resolver` it is no derived part.
            let is_row = id.matches('.').count() == 2;
            match cut {
                Some(None) => panic!("{} without `{id}` is still accepted", program.name()),
                Some(Some((_, what))) => {
                    assert!(!is_row || what == format!("`{id}` is missing"), "{}: {what}", program.name());
                }
                None => assert!(!is_row, "{} without `{id}` is malformed", program.name()),
            }
        }
    }
}

/// Without any line, `check` says which, and `run` refuses before the program has done anything.
#[test]
fn a_program_does_not_run_without_a_line_of_its_derived_part() {
    let programs = programs().into_iter().filter(|program| ["cp.wasm", "echo.wat"].contains(&&*program.name()));
    for program in programs {
        let text = program.filled();
        for (id, line) in derived_lines(&text) {
            let (dir, file) = place(&without(&text, line));
            let name = program.name();
            let checked = check(&file, &program.module);
            assert_eq!((checked.status.code(), &*checked.stdout), (Some(1), ""), "{name} without `{id}`");
            let named = checked.stderr.starts_with(&format!("wave: `[os]` is out of date: `{id}` is missing\n"));
            assert!(named || id.matches('.').count() < 2, "{name} without `{id}`: {}", checked.stderr);

            let run = program.run(dir.path(), |wave, _| wave.flag("--policy", file.to_str().expect("UTF-8")));
            assert_eq!((run.status.code(), &*run.stdout), (Some(125), ""), "{name} without `{id}`: {run:?}");
            // `check` goes on to what else is wrong.
            let first = !run.stderr.is_empty() && checked.stderr.starts_with(&run.stderr);
            assert!(first, "{name} without `{id}`: {}{}", checked.stderr, run.stderr);
            assert_eq!(tree(&dir.path().join("data")), ["note: granted\\n"], "{name} without `{id}` did something");
        }
        // The neighbor with all lines.
        let (dir, file) = place(&text);
        check(&file, &program.module).is(0, "", "");
        let run = program.run(dir.path(), |wave, _| wave.flag("--policy", file.to_str().expect("UTF-8")));
        assert_eq!(run.status.code(), Some(0), "{run:?}");
        let copied = tree(&dir.path().join("data")).contains(&"copy: granted\\n".to_owned());
        assert_eq!(copied, program.name() == "cp.wasm");
    }
}

/// What the gallery grants, in the place of suggestions.
const CP_FILES: &str = r#"[[fs]]
host = "in"
guest = "/in"
access = "ro"

[[fs]]
host = "out"
guest = "/out"
access = "rw"

[limits]
max-file-size = "100M"
max-writes = "1G"
"#;
const PYTHON_FILES: &str = r#"[[fs]]
host = "src"
guest = "/src"
access = "ro"

[[fs]]
host = "out"
guest = "/out"
access = "rw"

[limits]
timeout = "30s"
max-memory = "512M"
"#;

/// The programs of `docs/policies.md` that are here, by their names in it, with their policies.
fn gallery() -> Vec<(&'static str, PathBuf, String)> {
    let ls = FILES.replace("# ", "").replace("data", "docs");
    let echo = SOCKETS.replace("# ", "").replace("8080", "7777") + "accept_from = [\"127.0.0.0/8\"]\n";
    let mut all = vec![("hello", source("examples/hello.wat"), (FILES, String::new()))];
    all.extend(c_example("ls").map(|module| ("ls", module, (FILES, ls))));
    all.extend(c_example("cp").map(|module| ("cp", module, (FILES, CP_FILES.to_owned()))));
    all.push(("echo", source("examples/echo.wat"), (SOCKETS, echo)));
    all.extend(cpython().map(|module| ("python", module.clone(), (FILES, PYTHON_FILES.to_owned()))));
    let fill = |(name, module, (suggested, granted)): (_, PathBuf, (&str, String))| {
        let text = Program::new(module.clone(), &[]).generated().replace(suggested, &granted);
        (name, module, text)
    };
    all.into_iter().map(fill).collect()
}

/// The score, its lines from the most on, and the policy.
fn shown(module: &Path, policy: &str) -> String {
    let mut audit = Command::new(env!("CARGO_BIN_EXE_wave"));
    let audit = audit.args(["audit", "--format", "json"]).arg(module).output().expect("wave starts");
    let audit: Value = serde_json::from_slice(&audit.stdout).expect("it is JSON");
    let mut lines: Vec<_> = audit["score"]["lines"].as_array().expect("a list").iter().collect();
    lines.sort_by(|a, b| b["points"].as_f64().partial_cmp(&a["points"].as_f64()).expect("numbers"));
    let lines: Vec<_> =
        lines.iter().map(|line| format!("{} {}", line["id"].as_str().expect("text"), line["points"])).collect();
    // What a compiler built here has another hash elsewhere.
    let pin = policy.lines().find(|line| line.starts_with("blake3")).expect("a pin");
    let is_built =
        module.extension().is_some_and(|extension| extension == "wasm") && !module.ends_with("python-3.12.0.wasm");
    let policy = if is_built { policy.replace(&format!("[module]\n{pin}\n\n"), "") } else { policy.to_owned() };
    format!("Exposure {} of 10: {}.\n\n```toml\n{policy}```\n", audit["score"]["value"], lines.join(", "))
}

/// The blocks of the gallery are what the commands write, and each policy in it is a right one. `WAVE_BLESS=1` writes them anew.
#[test]
fn the_gallery_is_what_the_commands_say() {
    let document = source("docs/policies.md");
    let mut text = fs::read_to_string(&document).expect("a document");
    for (name, module, policy_text) in gallery() {
        let (dir, file) = place(&policy_text);
        for host in policy_text.lines().filter_map(|line| line.strip_prefix("host = \"")?.strip_suffix('"')) {
            fs::create_dir_all(dir.path().join(host)).expect("own directory can be written");
        }
        check(&file, &module).is(0, "", "");
        policy(["fmt".as_ref(), "--check".as_ref(), file.as_os_str()]).is(0, "", "");

        let mark = format!("<!-- policy {name} -->\n");
        let start = text.find(&mark).expect("a place in the document") + mark.len();
        let end = start + text[start..].find("<!-- end -->\n").expect("its end");
        let right = shown(&module, &policy_text);
        if std::env::var_os("WAVE_BLESS").is_some() {
            text.replace_range(start..end, &right);
        } else {
            assert_eq!(text[start..end], right, "`{name}` in docs/policies.md; WAVE_BLESS=1 writes it anew");
        }
    }
    if std::env::var_os("WAVE_BLESS").is_some() {
        fs::write(&document, text).expect("the source can be written");
    }
}
