//! `--cwd`: where a program starts. What finds it there is in docs/cli.md; `cat` here is C with wasi-libc.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use wave_test_support::{Outcome, Wave, c_example, open_to_all, readable_by_all};

/// A directory with `sub/note`, and a link that leads out.
fn data() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(dir.path().join("sub")).expect("own directory");
    fs::write(dir.path().join("sub/note"), "a note\n").expect("own directory");
    fs::write(dir.path().join("note"), "another\n").expect("own directory");
    symlink("/etc", dir.path().join("out")).expect("own directory");
    symlink("sub", dir.path().join("in")).expect("own directory");
    readable_by_all(dir.path());
    dir
}

/// Prints a file by `cat`, or nothing where C cannot be built.
fn cat(wave: Wave, file: &str) -> Option<Outcome> {
    Some(wave.run(c_example("cat")?, [file]))
}

#[test]
fn relative_paths_start_there_and_absolute_ones_are_the_same() {
    let data = data();
    let start = |cwd: &str| Wave::strict().dir(data.path(), "/data", "ro").flag("--cwd", cwd);
    for (cwd, file, expected) in [
        ("/data/sub", "note", "a note\n"),
        ("/data/sub", "./note", "a note\n"),
        ("/data/sub", "/data/note", "another\n"),
        ("/data", "note", "another\n"),
        ("/data", "sub/note", "a note\n"),
    ] {
        let Some(printed) = cat(start(cwd), file) else { return };
        printed.is(0, expected, "");
    }
    // It gives nothing that the grant does not give: the way up and the link lead nowhere.
    for file in ["../note", "../out/passwd", "/etc/passwd"] {
        let Some(printed) = cat(start("/data/sub"), file) else { return };
        assert_ne!(printed.status.code(), Some(0), "{file}: {printed:?}");
        assert_eq!(printed.stdout, "", "{file}");
    }
    // The control: without the flag, nothing is called `note`.
    let Some(printed) = cat(Wave::strict().dir(data.path(), "/data", "ro"), "note") else { return };
    assert_ne!(printed.status.code(), Some(0), "{printed:?}");
}

#[test]
fn the_plan_has_the_directory_once_more_and_pwd() {
    let data = data();
    let policy = data.path().join("p.toml");
    let text = "version = 1\ncwd = \"/data/sub\"\n[[fs]]\nhost = \".\"\nguest = \"/data\"\naccess = \"append\"\n[env.set]\nPWD = \"/x\"\n";
    fs::write(&policy, text).expect("own directory");
    let plan = |wave: Wave| {
        let printed = wave.switch("--dry-run").run("m.wasm", [""; 0]);
        assert_eq!(printed.status.code(), Some(0), "{printed:?}");
        printed.stdout
    };
    let by_policy = || Wave::strict().flag("--policy", policy.to_str().expect("UTF-8"));
    let real = data.path().canonicalize().expect("it is there");
    let printed = plan(by_policy());
    assert!(printed.contains("env:      \"PWD=/data/sub\"\n"), "{printed}");
    assert!(printed.contains(&format!("fs[1]:    append {}/sub as .\n", real.display())), "{printed}");
    assert!(printed.contains("starts:   at /data/sub\n"), "{printed}");
    // A flag wins, and no variable wins over it; nothing of it goes beyond the policy.
    let printed = plan(by_policy().flag("--cwd", "/data").env("PWD=/y"));
    assert!(printed.contains("env:      \"PWD=/data\"\n") && !printed.contains("--cwd /data beyond"), "{printed}");
    let printed = plan(Wave::strict().dir(data.path(), "/", "ro").flag("--cwd", "/sub"));
    assert!(printed.contains("PWD=/sub") && !printed.contains("fs[1]"), "{printed}");
}

#[test]
fn where_a_directory_is_called_root_only_pwd_says_it() {
    let data = data();
    let wave = || Wave::strict().dir(data.path(), "/", "ro").flag("--cwd", "/sub");
    let note = "wave: note: a directory is called `/`, so programs with wasi-libc (C, Rust, Python) start there; PWD is `/sub`\n";
    for (file, expected) in [("note", "another\n"), ("/sub/note", "a note\n"), ("/note", "another\n")] {
        let Some(printed) = cat(wave(), file) else { return };
        printed.is(0, expected, note);
    }
}

#[test]
fn what_no_grant_leads_to_is_refused() {
    let data = data();
    open_to_all(data.path());
    for (cwd, code, said) in [
        ("data", 2, "is no absolute path of the program"),
        ("/data/../etc", 2, "is no absolute path of the program"),
        ("/database", 125, "is in no granted directory"),
        ("/etc", 125, "is in no granted directory"),
        ("/data/missing", 125, "No such file or directory"),
        ("/data/note", 125, "not a directory"),
        // A program of an earlier run may have made these.
        ("/data/out", 125, "there is a link on the way"),
        ("/data/out/ssl", 125, ""),
        ("/data/in", 125, "there is a link on the way"),
    ] {
        let wave = Wave::strict().dir(data.path(), "/data", "rw").flag("--cwd", cwd);
        let printed = wave.run(Path::new("m.wasm"), [""; 0]);
        assert_eq!((printed.status.code(), &*printed.stdout), (Some(code), ""), "{cwd}: {printed:?}");
        assert!(printed.stderr.contains(said), "{cwd}: {}", printed.stderr);
        assert!(printed.stderr.contains(&format!("  where: --cwd {cwd}\n")), "{cwd}: {}", printed.stderr);
    }
}
