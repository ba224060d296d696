//! Who resolves paths: the kernel, or `wave` where something around it hides `openat2` (T88).

use std::fs;
use std::process::Command;

use wave_test_support::around::{ENOSYS, EPERM, OPENAT2, hiding};
use wave_test_support::{assert_tree, c_example, fill, has_program, source, writable_dir};

fn wave_inside(errno: Option<&str>, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = match errno {
        Some(errno) => hiding(OPENAT2, errno, env!("CARGO_BIN_EXE_wave").as_ref()),
        None => Command::new(env!("CARGO_BIN_EXE_wave")),
    };
    let output = command.args(["--sandbox", "strict", "run"]).args(args).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn t88_without_openat2_the_manual_resolver_takes_over() {
    let Some(cat) = c_example("cat").filter(|_| has_program(&mut Command::new("python3"), "python3")) else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("outer/inner", "")]);
    fs::remove_file(dir.path().join("outer/inner")).unwrap();
    fs::create_dir(dir.path().join("outer/inner")).unwrap();
    fs::write(dir.path().join("outer/inner/text"), "found\n").unwrap();
    std::os::unix::fs::symlink("outer/inner", dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("out")).unwrap();
    let grant = format!("{}::/::ro", dir.path().display());
    let cat = cat.display().to_string();
    for errno in [None, Some(ENOSYS), Some(EPERM)] {
        for path in ["/outer/inner/text", "/link/text", "/outer/../link/../inner/text"] {
            let seen = wave_inside(errno, &["--dir", &grant, &cat, path]);
            assert_eq!(seen, (Some(0), "found\n".into(), String::new()), "{errno:?} {path}");
        }
        for path in ["/out", "/outer/../../etc/passwd", "/link/../../../etc/passwd"] {
            let (code, stdout, _) = wave_inside(errno, &["--dir", &grant, &cat, path]);
            assert_eq!((code, &*stdout), (Some(1), ""), "{errno:?} {path}");
        }
        let who = wave_inside(errno, &["--dry-run", &cat]).1.contains("resolver: manual\n");
        assert_eq!(who, errno.is_some(), "the plan says so");
    }
    assert_tree(
        dir.path(),
        &["link -> outer/inner", "out -> /etc/passwd", "outer/", "outer/inner/", "outer/inner/text: found\\n"],
    );
}

#[test]
fn the_manual_resolver_can_be_asked_for() {
    let module = source("examples/hello.wat").display().to_string();
    let (code, plan, _) = wave_inside(None, &["--resolver", "manual", "--dry-run", &module]);
    assert_eq!((code, plan.contains("resolver: manual\n")), (Some(0), true));
}
