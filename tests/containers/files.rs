//! Volumes, users and what may be written.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use wave_test_support::containers::podman::{Podman, volume};
use wave_test_support::cpython::cpython;
use wave_test_support::{assert_tree, c_example, fill, open_to_all};

/// podman with two directories of the host: one with a file, one that is empty.
fn with_directories() -> Option<(Podman, PathBuf, PathBuf)> {
    let podman = Podman::new()?;
    c_example("cp")?;
    let (data, out) = (podman.scene.path("data"), podman.scene.path("out"));
    for dir in [&data, &out] {
        fs::create_dir(dir).expect("own directory");
        open_to_all(dir);
    }
    fill(&data, &[("in", "of the host\n")]);
    Some((podman, data, out))
}

#[test]
fn volumes_are_read_only_or_not() {
    let Some((podman, data, out)) = with_directories() else { return };
    let (data_flag, out_flag) = (volume(&data, "/data", "ro"), volume(&out, "/out", "rw"));
    let flags = [&*data_flag, &out_flag];
    podman.run(&flags, &["/cat.wasm", "/data/in"]).is(0, "of the host\n", "");
    podman.run(&flags, &["/cp.wasm", "/data/in", "/out/copy"]).is(0, "", "");
    let refused = podman.run(&flags, &["/cp.wasm", "/data/in", "/data/copy"]);
    assert_eq!((refused.status.code(), &*refused.stdout), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.starts_with("cp: /data/copy: "), "{refused:?}");
    assert_tree(&data, &["in: of the host\\n"]);
    assert_tree(&out, &["copy: of the host\\n"]);
    podman.ends();
}

#[test]
fn a_single_file_is_a_volume() {
    let Some((podman, data, out)) = with_directories() else { return };
    let (from, to) = (volume(&data.join("in"), "/etc/in", "ro"), volume(&out, "/out", "rw"));
    podman.run(&[&from, &to], &["/cp.wasm", "/etc/in", "/out/copy"]).is(0, "", "");
    let refused = podman.run(&[&from, &to], &["/cp.wasm", "/out/copy", "/etc/in"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_tree(&data, &["in: of the host\\n"]);
    assert_tree(&out, &["copy: of the host\\n"]);
    podman.ends();
}

#[test]
fn the_root_can_be_read_only() {
    let Some((podman, data, _)) = with_directories() else { return };
    let data = volume(&data, "/data", "ro");
    let copy = ["/cp.wasm", "/data/in", "/copy"];
    let refused = podman.run(&[&data, "--read-only"], &copy);
    assert_eq!((refused.status.code(), &*refused.stdout), (Some(1), ""), "{refused:?}");
    // podman mounts an empty directory there.
    podman.run(&[&data, "--read-only"], &["/cp.wasm", "/data/in", "/tmp/copy"]).is(0, "", "");

    podman.start("writes", &[&data], &copy);
    assert_eq!(podman.exit_code("writes"), 0);
    assert!(podman.does(&["diff", "writes"]).lines().any(|line| line == "A /copy"));
    podman.ends();
}

#[test]
fn files_belong_to_the_user() {
    let Some((podman, data, out)) = with_directories() else { return };
    let (data, out_flag) = (volume(&data, "/data", "ro"), volume(&out, "/out", "rw"));
    podman.run(&[&data, &out_flag, "--user", "1000:1001"], &["/cp.wasm", "/data/in", "/out/copy"]).is(0, "", "");
    let copy = fs::metadata(out.join("copy")).expect("it was made");
    assert_eq!((copy.uid(), copy.gid()), (1000, 1001));

    // What only another user may write stays as it is.
    fs::set_permissions(&out, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("own directory");
    let refused = podman.run(&[&data, &out_flag, "--user", "1000:1001"], &["/cp.wasm", "/data/in", "/out/other"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_tree(&out, &["copy: of the host\\n"]);
    podman.ends();
}

#[test]
fn the_environment_is_the_containers() {
    let Some(podman) = Podman::new() else { return };
    if c_example("args_env").is_none() {
        return;
    }
    let run = podman.run(&["-e", "COLOR=blue", "-e", "EMPTY="], &["/args_env.wasm", "one two", ""]);
    assert_eq!((run.status.code(), &*run.stderr), (Some(0), ""), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines[..3], ["argv[0] = /args_env.wasm", "argv[1] = one two", "argv[2] = "]);
    for variable in ["COLOR=blue", "EMPTY=", "container=podman"] {
        assert!(lines.contains(&variable), "{variable}: {lines:?}");
    }
    // Of the caller's own environment, which has HOME, nothing comes through.
    assert!(!lines.iter().any(|line| line.contains("/dev/shm/home") || line.starts_with("_OCI")), "{lines:?}");
    podman.ends();
}

#[test]
fn cpython_with_two_volumes() {
    let Some((podman, data, out)) = with_directories() else { return };
    let Some(python) = cpython() else { return };
    let script = "
import sys
text = open('/data/in').read()
print(sys.platform, text.strip(), sys.argv[1])
try:
    open('/data/made', 'w')
except OSError as error:
    print(type(error).__name__)
open('/out/made', 'w').write(text.upper())
sys.exit(7)
";
    fill(&data, &[("script.py", script)]);
    let volumes = [volume(&data, "/data", "ro"), volume(&out, "/out", "rw"), volume(python, "/python.wasm", "ro")];
    let flags: Vec<_> = volumes.iter().map(|flag| &**flag).collect();
    let run = podman.run(&flags, &["/python.wasm", "/data/script.py", "argument"]);
    run.is(7, "wasi of the host argument\nOSError\n", "");
    assert_tree(&out, &["made: OF THE HOST\\n"]);
    assert!(!data.join("made").exists());
    podman.ends();
}
