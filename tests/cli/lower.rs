//! `wave lower`, from the command line. What components are lowered to is tested in jit/lower.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use wave_test_support::{Outcome, finish, writable_dir};

/// A component that exports `run` of `wasi:cli/run@0.2.0`, which returns no error.
const COMMAND: &str = "0061736d0d00010001240061736d010000000105016000017f030201000707010372756e00000a0601040041000b\
                       0204010000000708026a000040000000060901000001000372756e0806010000000001050a010101000372756e01\
                       000b18010012776173693a636c692f72756e40302e322e30050000";
/// A component with the type `stream`.
const STREAM: &str = "0061736d0d00010007040166017d";

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).expect("a digit")).expect("below 16");
    hexadecimal.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn wave(dir: &Path, words: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(words).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("wave starts"))
}

#[test]
fn a_component_becomes_a_module_for_every_other_command() {
    let dir = writable_dir();
    fs::write(dir.path().join("app.wasm"), bytes(COMMAND)).unwrap();
    for level in ["off", "standard", "strict"] {
        wave(dir.path(), &["--sandbox", level, "lower", "-o", &format!("{level}.wasm"), "app.wasm"]).is(0, "", "");
    }
    let module = fs::read(dir.path().join("strict.wasm")).unwrap();
    assert!(module.starts_with(b"\0asm\x01\0\0\0"));
    assert!(
        ["off", "standard"].iter().all(|level| fs::read(dir.path().join(format!("{level}.wasm"))).unwrap() == module)
    );
    wave(dir.path(), &["compile", "-o", "app.wave", "strict.wasm"]).is(0, "", "");
    for file in ["strict.wasm", "app.wasm"] {
        let inspected = wave(dir.path(), &["inspect", file]);
        assert!(inspected.stdout.contains("  wasi_snapshot_preview1 proc_exit (i32) -> ()\n"), "{}", inspected.stdout);
        assert!(inspected.stdout.contains("  _start () -> ()\n"), "{}", inspected.stdout);
        let verified = wave(dir.path(), &["verify", file]);
        assert!(verified.stdout.contains("verified:       yes\n"), "{}", verified.stdout);
        wave(dir.path(), &["run", file]).is(0, "", "");
    }
    wave(dir.path(), &["run", "app.wave"]).is(0, "", "");
}

#[test]
fn interfaces_of_wasi_can_be_kept() {
    let dir = writable_dir();
    fs::write(dir.path().join("app.wasm"), bytes(COMMAND)).unwrap();
    wave(dir.path(), &["lower", "--keep-interfaces", "-o", "kept.wasm", "app.wasm"]).is(0, "", "");
    let inspected = wave(dir.path(), &["inspect", "kept.wasm"]);
    assert!(inspected.stdout.contains("  wasi:cli/exit@0.2 exit (i32) -> ()\n"), "{}", inspected.stdout);
    assert!(!inspected.stdout.contains("wasi_snapshot_preview1"), "{}", inspected.stdout);
    let run = wave(dir.path(), &["run", "kept.wasm"]);
    assert_eq!(run.status.code(), Some(126));
    assert!(run.stderr.starts_with("wave: unknown import `wasi:cli/exit@0.2` `exit`\n"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_lowered_is_126_with_the_reason() {
    let dir = writable_dir();
    let component = bytes(COMMAND);
    for (name, contents) in [
        ("stream.wasm", &*bytes(STREAM)),
        ("module.wasm", b"\0asm\x01\0\0\0"),
        ("text.wat", b"(module)"),
        ("cut.wasm", &component[..40]),
    ] {
        fs::write(dir.path().join(name), contents).unwrap();
    }
    let refused = |name: &str, message: &str| {
        wave(dir.path(), &["lower", "-o", "out.wasm", name]).is(126, "", message);
        assert!(!dir.path().join("out.wasm").exists(), "nothing is written for {name}");
    };
    refused(
        "stream.wasm",
        "wave: the component uses the type `stream` (async), which wave does not lower\n  where: stream.wasm\n  \
         fix:   docs/lowering.md lists what is supported\n",
    );
    refused("cut.wasm", "wave: invalid component: unexpected end-of-file\n  where: cut.wasm:0x28\n");
    refused(
        "module.wasm",
        "wave: this is no component\n  where: module.wasm\n  fix:   `wave run` runs core modules as they are\n",
    );
    refused(
        "text.wat",
        "wave: this is no component\n  where: text.wat\n  fix:   `wave run` runs core modules as they are\n",
    );
    fs::write(dir.path().join("app.wasm"), component).unwrap();
    let unwritable = wave(dir.path(), &["lower", "-o", "none/out.wasm", "app.wasm"]);
    assert_eq!(unwritable.status.code(), Some(125));
    assert!(unwritable.stderr.starts_with("wave: cannot write the module: "), "{}", unwritable.stderr);
    let missing = wave(dir.path(), &["lower", "-o", "out.wasm", "none.wasm"]);
    assert_eq!(missing.status.code(), Some(127), "{}", missing.stderr);
    assert_eq!(wave(dir.path(), &["lower", "app.wasm"]).status.code(), Some(2), "without -o");
}
