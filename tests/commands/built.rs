//! Programs of our own with exceptions, which the C and C++ compiler in a package of PyPI builds. Expected is what Wasmtime 50 gave.

use std::path::PathBuf;
use std::process::Command;

use wave_test_support::packages::package;
use wave_test_support::{Wave, lock, scratch, source};

/// A program that `tests/commands/build` makes, or `None`, said on stderr.
#[track_caller]
fn built(name: &str) -> Option<PathBuf> {
    let compiler = package("ziglang", "0.17.1")?;
    let _guard = lock("commands.lock");
    let out = scratch().join("commands");
    let build = Command::new("bash").arg(source("tests/commands/build")).args([&compiler, &out]).output();
    let build = build.expect("bash starts");
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    Some(out.join(name))
}

/// What a run says of an exception that nobody catches, without the places in the code.
fn frames(stderr: &str) -> Vec<&str> {
    stderr.lines().map(|line| line.split(" (0x").next().expect("one part")).collect()
}

/// C++: destructors on the way, handlers by type, in order; thrown again, nested, kept and thrown later, out of constructors.
#[test]
fn cpp_throws_and_catches() {
    let Some(program) = built("exceptions.wasm") else { return };
    Wave::strict().run(&program, [""; 0]).is(0, include_str!("programs/exceptions.txt"), "");
}

#[test]
fn an_exception_of_cpp_that_nobody_catches_is_a_trap() {
    let Some(program) = built("exceptions.wasm") else { return };
    let outcome = Wave::strict().run(&program, ["2"]);
    assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(134), "nobody catches 2\n"), "{outcome:?}");
    let expected = [
        "wave: trap: uncaught exception with tag `0`",
        "  at _Unwind_RaiseException",
        "  at __cxa_throw",
        "  at (anonymous namespace)::raise(int)",
        "  at (anonymous namespace)::deep(int, int)",
        "  at (anonymous namespace)::deep(int, int)",
        "  at (anonymous namespace)::deep(int, int)",
        "  at main",
        "  at __main_void",
        "  at _start",
    ];
    assert_eq!(frames(&outcome.stderr), expected);
}

/// C: `setjmp` and `longjmp`.
#[test]
fn c_jumps_back_through_frames() {
    const OUTPUT: &str = "outer 0\ninner 702\nouter 8\nouter 1\nouter 13\n10000000000\n";
    let Some(program) = built("longjmp.wasm") else { return };
    Wave::strict().run(&program, [""; 0]).is(0, OUTPUT, "");
    // To a function that has returned.
    let outcome = Wave::strict().run(&program, ["3"]);
    assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(134), OUTPUT), "{outcome:?}");
    let expected = ["wave: trap: uncaught exception with tag `0`", "  at __wasm_longjmp", "  at main"];
    assert_eq!(frames(&outcome.stderr)[..3], expected);
}
