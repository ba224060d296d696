//! T112: how a run ended can be told from outside, and a run that was ended never looks like success.

use std::collections::BTreeMap;

use wave_test_support::{Mode, Wave, wat};

/// T112: exit code and first words of the message for each kind of ending.
#[test]
fn are_distinct() {
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    let raise = r#"(import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))"#;
    let start = |imports: &str, body: &str| {
        format!(r#"(module {imports} (memory (export "memory") 17) (func (export "_start") {body}))"#)
    };
    let runs = [
        ("returned", start("", ""), vec![], 0, ""),
        ("exit 0", start(exit, "(call $exit (i32.const 0))"), vec![], 0, ""),
        ("exit 3", start(exit, "(call $exit (i32.const 3))"), vec![], 3, ""),
        ("trap", start("", "unreachable"), vec![], 134, "wave: trap: unreachable\n"),
        (
            "time",
            start("", "(loop $l (br $l))"),
            vec![("--timeout", "200ms")],
            124,
            "wave: time limit of 200ms reached\n",
        ),
        ("memory", start("", ""), vec![("--max-memory", "1M")], 137, "wave: module needs 1114112 bytes of memory"),
        ("raised", start(raise, "(drop (call $raise (i32.const 9)))"), vec![], 137, "wave: the guest raised signal 9"),
        ("import", start(r#"(import "env" "system" (func (param i32)))"#, ""), vec![], 126, "wave: "),
        ("invalid", "(module (func (export \"_start\") (drop)))".to_owned(), vec![], 126, "wave: invalid module"),
        ("no entry", "(module)".to_owned(), vec![], 126, "wave: the module exports no function `_start`"),
        ("grant", start("", ""), vec![("--dir", "/no/such/directory")], 125, "wave: cannot preopen"),
        ("usage", start("", ""), vec![("--max-stack", "1")], 2, "wave: "),
    ];
    let mut messages = BTreeMap::new();
    for (name, module, flags, code, message) in runs {
        let (_dir, path) = wat(&module);
        let wave = flags.iter().fold(Mode::Normal.strict(), |wave, (flag, value)| wave.flag(flag, value));
        let run = wave.run(path, [""; 0]);
        assert_eq!((run.status.code(), &*run.stdout), (Some(code), ""), "{name}: {run:?}");
        assert!(run.stderr.starts_with(message), "{name}: {run:?}");
        assert_eq!(run.stderr.is_empty(), message.is_empty(), "{name}: the guest's own end is said by its code alone");
        if code != 0 && !message.is_empty() {
            let first = run.stderr.lines().next().unwrap().to_owned();
            assert_eq!(messages.insert(first, name), None, "{name}");
        }
    }
    // A module that is not there.
    assert_eq!(Wave::strict().run("/no/such.wasm", [""; 0]).status.code(), Some(127));
}
