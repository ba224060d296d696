//! Programs of several languages, with what Wasmtime 49 printed.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use wave_test_support::components::built;
use wave_test_support::{Wave, assert_tree, c_example, fill, tree, writable_dir};

const NONE: [&str; 0] = [];

/// A run of a program that takes long to compile.
fn large() -> Wave {
    Wave::strict().flag("--compile-timeout", "600s")
}

/// CPython 3.14 from componentize-py: arguments, variables, standard input, files, directories, a sleep, random bytes, refusals.
#[test]
fn python_uses_each_part_of_the_system() {
    let Some(program) = built("python.wasm") else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("work/in.txt", "a line\n"), ("secret", "not granted\n")]);
    symlink("../secret", dir.path().join("work/out")).unwrap();
    let run = large().dir(&dir.path().join("work"), "/work", "rw").env("A=1").stdin(b"one\ntwo");
    let outcome = run.run(&program, ["x"]);
    let stdout = "\
arguments ['x']
variables [('A', '1')]
{\"lines\": [\"one\", \"two\"]}
['in.txt', 'out', 'out.txt'] 16
/work/none FileNotFoundError
/work/../etc/passwd PermissionError
/etc/passwd FileNotFoundError
/work/out PermissionError
slept True True
random True True
network PermissionError
";
    outcome.is(0, stdout, "");
    let files = ["secret: not granted\\n", "work/", "work/in.txt: a line\\n", "work/out -> ../secret"];
    let written = "work/out.txt: A LINE\\nappended\\n";
    assert_tree(dir.path(), &[&files[..], &[written]].concat());
    // An exit code that is not 0 is an error of `run`, which is 1.
    let outcome = large().dir(&dir.path().join("work"), "/work", "rw").run(&program, ["x", "3"]);
    assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(1), ""), "{outcome:?}");
}

/// CPython's sockets: a connection that is granted, and one that is not; without a grant, none.
#[test]
fn python_connects_to_what_is_granted() {
    let Some(program) = built("connect.wasm") else { return };
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let peer = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = peer.accept().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        stream.write_all(text.to_uppercase().as_bytes()).unwrap();
    });
    let connected = large().flag("--connect", &format!("127.0.0.1:{port}")).run(&program, [&port]);
    connected.is(0, "127.0.0.1 True\n120000 True\n127.0.0.2 PermissionError\n", "");
    large().run(&program, [&port]).is(0, "127.0.0.1 PermissionError\n127.0.0.2 PermissionError\n", "");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody else has come");
}

/// SpiderMonkey from componentize-js.
#[test]
fn javascript_computes() {
    let Some(program) = built("javascript.wasm") else { return };
    let stdout = "\
{\"arguments\":[\"one\",\"2\"],\"variables\":[[\"A\",\"1\"]]}
2 3 5 7 11 13 17 19 23 29 31 37 1267650600228229401496703205376n äöß 1970-01-01T00:00:00.000Z
cemnnoopt 0.30000000000000004 [12, 34]
true true
TypeError
";
    large().env("A=1").run(&program, ["one", "2"]).is(0, stdout, "");
}

/// A program of JavaScript with a library of Python, in one component.
#[test]
fn two_languages_work_as_one() {
    let Some(program) = built("composed.wasm") else { return };
    large().run(&program, ["ä", "b", "ä", "c", "b", "ä"]).is(0, "b 2\nc 1\nä 3\n", "");
    large().run(&program, NONE).is(0, "", "");
}

#[test]
fn rust_copies_and_lists() {
    let Some(program) = built("rust.wasm") else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("data/a", "hello\n"), ("data/sub/b", ""), ("secret", "not granted\n")]);
    symlink("a", dir.path().join("data/link")).unwrap();
    symlink("../secret", dir.path().join("data/out")).unwrap();
    let data = dir.path().join("data");
    let run = |access: &str, words: &[&str]| Wave::strict().dir(&data, "/", access).run(&program, words);
    run("ro", &["list", "/"]).is(0, "a file 6\nlink link 1\nout link 9\nsub directory 0\n", "");
    run("rw", &["copy", "/link", "/new"]).is(0, "6 bytes\n", "");
    let before = tree(dir.path());
    assert!(before.contains(&"data/new: hello\\n".to_owned()), "{before:?}");
    run("rw", &["list", "/none"]).is(1, "", "No such file or directory (os error 44)\n");
    for from in ["/../secret", "/out"] {
        run("rw", &["copy", from, "/x"]).is(1, "", "Operation not permitted (os error 63)\n");
    }
    // What is granted for reading alone.
    let refused = run("ro", &["copy", "/a", "/x"]);
    assert_eq!((refused.status.code(), &*refused.stdout), (Some(1), ""), "{refused:?}");
    // The one code that `exit` has for what is not good.
    run("ro", &["x"]).is(1, "", "what?\n");
    Wave::strict().stdin(b"x\ny").run(&program, ["lines"]).is(0, "1 x\n2 y\n", "");
    assert_eq!(tree(dir.path()), before);
}

/// Each C program of the gallery does as a component what it does as a module. Two things differ by the specification: an exit code that is
/// not 0 is 1, and there is an error `not-permitted`, and none that is called `notcapable`.
#[test]
fn programs_of_c_do_as_components_what_they_do_as_modules() {
    let Some(components) = built("c") else { return };
    let cases: &[(&str, &[&str], &[u8])] = &[
        ("args_env", &["x", "", "two words"], b""),
        ("cat", &["/d/note", "/d/inside"], b""),
        ("cat", &["/d/outside"], b""),
        ("cat", &["/d/../secret"], b""),
        ("cat", &["/d/none", "/etc/passwd"], b""),
        ("cat", &[], b"some text\nand more"),
        ("cp", &["/d/note", "/d/copy"], b""),
        ("cp", &["/d/note"], b""),
        ("ls", &["/d"], b""),
        ("ls", &["/d/note"], b""),
        ("mkdir", &["/d/new", "/d/new/below"], b""),
        ("mkdir", &["/d/note/x"], b""),
        ("rename", &["/d/note", "/d/sub/note"], b""),
        ("rename", &["/d/none", "/d/x"], b""),
        ("stat", &["/d/none"], b""),
        ("symlink", &["note", "/d/link"], b""),
        ("sleep", &["20"], b""),
        ("raise", &["--handle"], b""),
    ];
    for (name, arguments, stdin) in cases {
        let Some(module) = c_example(name) else { return };
        let ran = |program: &Path| {
            let dir = writable_dir();
            fill(dir.path(), &[("d/note", "granted\n"), ("d/sub/x", ""), ("secret", "not granted\n")]);
            symlink("note", dir.path().join("d/inside")).unwrap();
            symlink("../secret", dir.path().join("d/outside")).unwrap();
            let run = Wave::strict().dir(&dir.path().join("d"), "/d", "rw").env("A=1").stdin(stdin);
            let outcome = run.run(program, *arguments);
            let stderr = outcome.stderr.replace("Capabilities insufficient", "Operation not permitted");
            (outcome.status.code().map(|code| code.min(1)), outcome.stdout, stderr, tree(dir.path()))
        };
        let component = components.join(name).with_extension("wasm");
        assert!(fs::exists(&component).unwrap(), "{}", component.display());
        assert_eq!(ran(&component), ran(&module), "{name} {arguments:?}");
    }
}
