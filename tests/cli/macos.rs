//! `tests/macos.sh`, which somebody with a Mac runs: what of it is not about macOS is run here, so that it is right.

use std::process::{Command, Stdio};

use wave_test_support::{finish, source, wave};

/// Every check of the script, which ends with a word on all of them.
fn checks(program: &std::path::Path) -> (Option<i32>, String) {
    let mut script = Command::new("bash");
    script.arg(source("tests/macos.sh")).env("WAVE", program).env_remove("WASI_TESTSUITE");
    script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let outcome = finish(script.spawn().expect("bash starts"));
    (outcome.status.code(), outcome.stdout)
}

#[test]
fn the_script_for_macs_passes_here_where_it_can() {
    let (code, printed) = checks(wave());
    assert!(printed.ends_with("\n23 passed, 0 failed\n"), "{printed}");
    assert_eq!(code, Some(0));
    assert!(printed.contains("NOT RUN: not a Mac: "), "{printed}");
}

/// With another program in the place of `wave`, every check fails that asks for more than a failure.
#[test]
fn the_script_notices_a_program_that_does_nothing() {
    let (code, printed) = checks("/bin/true".as_ref());
    assert!(printed.contains("FAILED  hello: it does not print: Hello from inside the sandbox!"), "{printed}");
    let failed = printed.lines().filter(|line| line.starts_with("FAILED")).count();
    assert!(printed.ends_with(&format!(" passed, {failed} failed\n")), "{printed}");
    assert!(failed >= 20, "{printed}");
    assert_eq!(code, Some(1));
}
