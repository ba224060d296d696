//! Standard streams and terminals.

use std::io::Write;
use std::process::Stdio;

use wave_test_support::containers::podman::Podman;
use wave_test_support::{c_example, finish};

#[test]
fn standard_input_comes_through() {
    let Some(podman) = Podman::new() else { return };
    if c_example("cat").is_none() {
        return;
    }
    let mut command = podman.run_command(&["--rm", "-i"], &["/cat.wasm"]);
    let mut child = podman.scene.spawn(command.stdin(Stdio::piped()));
    let mut input = child.stdin.take().expect("stdin is piped");
    input.write_all(b"to the container\n").expect("it reads");
    drop(input);
    finish(child).is(0, "to the container\n", "");
    podman.ends();
}

#[test]
fn a_terminal_is_made() {
    let Some(podman) = Podman::new() else { return };
    // A terminal ends lines so, and has one stream for both.
    podman.run(&["-t"], &["/both.wasm"]).is(0, "out\r\nerr\r\n", "");
    podman.ends();
}
