//! Many containers, and what removes them.

use std::thread;

use wave_test_support::containers::podman::Podman;
use wave_test_support::containers::scene::until;

const MANY: usize = 50;

#[test]
fn fifty_run_at_once() {
    let Some(podman) = Podman::new() else { return };
    thread::scope(|scope| {
        for first in 0..4 {
            let podman = &podman;
            scope.spawn(move || {
                for number in (first..MANY).step_by(4) {
                    podman.start(&format!("c{number}"), &["--network=none"], &["/wait.wasm"]);
                }
            });
        }
    });
    let running = || podman.does(&["ps", "--quiet"]).lines().count();
    assert_eq!(running(), MANY);
    for number in 0..MANY {
        podman.has_printed(&format!("c{number}"), "ready");
    }
    podman.does(&["stop", "--time", "600", "--all"]);
    until("all stop", || (running() == 0).then_some(()));
    for number in 0..MANY {
        assert_eq!(podman.exit_code(&format!("c{number}")), 143, "c{number}");
    }
    podman.ends();
}

/// What these tests take for left behind is seen: a container that nobody has removed.
#[test]
fn what_is_left_is_seen() {
    let Some(podman) = Podman::new() else { return };
    podman.start("left", &[], &["/wait.wasm"]);
    podman.has_printed("left", "ready");
    let left = podman.scene.new_since_start();
    for kind in ["process ", "mount ", "control group ", "link ", "file /run/"] {
        assert!(left.iter().any(|line| line.starts_with(kind)), "no {kind}in {left:#?}");
    }
    podman.ends();
}
