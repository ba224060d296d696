//! Rootless podman: an ordinary user with ids of its own to map, without a cgroup and without a network.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use wave_test_support::containers::guests;
use wave_test_support::containers::podman::configuration;
use wave_test_support::containers::scene::{Scene, until};
use wave_test_support::{Outcome, c_example, cannot_run, wave};

const ID: u32 = 4321;

/// Makes the user, which exists in this mount namespace alone.
const PREPARE: &str = r#"
set -e
mkdir -p /dev/shm/etc /dev/shm/user /run/user/4321
for file in passwd group subuid subgid; do
  cp "/etc/$file" "/dev/shm/etc/$file"
  mount --bind "/dev/shm/etc/$file" "/etc/$file"
done
echo 'tester:x:4321:4321::/dev/shm/user:/bin/sh' >>/etc/passwd
echo 'tester:x:4321:' >>/etc/group
echo 'tester:100000:65536' >>/etc/subuid
echo 'tester:100000:65536' >>/etc/subgid
cp "$1" /dev/shm/user/wave-oci
cp "$2" /dev/shm/user/guests.tar
chmod 755 /dev/shm/user/wave-oci
printf '%s' "$3" >/dev/shm/user/containers.conf
chown -R 4321:4321 /dev/shm/user /run/user/4321
chmod 700 /run/user/4321
"#;

/// podman of the user.
fn podman(scene: &Scene, args: &[&str]) -> Outcome {
    let mut command = scene.command("setpriv");
    command.args(["--reuid", "4321", "--regid", "4321", "--clear-groups", "podman", "--storage-driver", "vfs"]);
    command.args(args).env("HOME", "/dev/shm/user").env("XDG_RUNTIME_DIR", "/run/user/4321");
    command.env("CONTAINERS_CONF", "/dev/shm/user/containers.conf").current_dir("/dev/shm/user");
    scene.run(&mut command)
}

/// Runs a guest to its end.
fn run(scene: &Scene, flags: &[&str], guest: &[&str]) -> (Option<i32>, String) {
    let run = podman(scene, &[&["run", "--rm", "--network=none"], flags, &["guests"], guest].concat());
    (run.status.code(), run.stdout)
}

#[test]
fn an_ordinary_user_runs_containers() {
    if Command::new("newuidmap").output().is_err() {
        cannot_run("install uidmap");
        return;
    }
    let Some(scene) = Scene::new(&[("podman", "podman"), ("conmon", "conmon")]) else { return };
    if c_example("cp").is_none() {
        return;
    }
    let mut prepare = scene.command("sh");
    prepare.args(["-c", PREPARE, "sh"]).arg(wave()).arg(guests::archive());
    scene.run(prepare.arg(configuration(Path::new("/dev/shm/user/wave-oci"), ""))).is(0, "", "");
    let info = podman(&scene, &["info", "--format", "{{.Host.Security.Rootless}}"]);
    assert_eq!((info.status.code(), &*info.stdout), (Some(0), "true\n"), "{info:?}");
    let imported = podman(&scene, &["import", "-q", "/dev/shm/user/guests.tar", "guests"]);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");

    assert_eq!(run(&scene, &[], &["/hello.wasm"]), (Some(0), "hello\n".to_owned()));
    assert_eq!(run(&scene, &[], &["/fail.wasm"]), (Some(42), "again\n".to_owned()));

    // What root of the container makes is the user's outside.
    let data = scene.path("data");
    fs::create_dir(&data).expect("own directory");
    fs::write(data.join("in"), "of the host\n").expect("own directory");
    for path in [&data, &data.join("in")] {
        std::os::unix::fs::chown(path, Some(ID), Some(ID)).expect("root may");
    }
    for (access, code, copy) in [("ro", 1, None), ("rw", 0, Some(ID))] {
        let flag = format!("--volume={}:/data:{access}", data.display());
        assert_eq!(run(&scene, &[&flag], &["/cp.wasm", "/data/in", "/data/copy"]), (Some(code), String::new()));
        assert_eq!(fs::metadata(data.join("copy")).ok().map(|copy| copy.uid()), copy, "{access}");
    }

    let started = podman(&scene, &["run", "--detach", "--name", "wait", "--network=none", "guests", "/wait.wasm"]);
    assert_eq!(started.status.code(), Some(0), "{started:?}");
    until("its line", || (podman(&scene, &["logs", "wait"]).stdout == "ready\n").then_some(()));
    let process = podman(&scene, &["inspect", "--format", "{{.State.Pid}}", "wait"]).stdout;
    let status = scene.run(scene.command("cat").arg(format!("/proc/{}/status", process.trim()))).stdout;
    assert!(status.contains("\nUid:\t4321\t4321\t4321\t4321\n"), "{status}");
    let stopped = podman(&scene, &["stop", "wait"]);
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    assert_eq!(podman(&scene, &["inspect", "--format", "{{.State.ExitCode}}", "wait"]).stdout, "143\n");
    let removed = podman(&scene, &["rm", "--force", "--all"]);
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");

    scene.run(scene.command("ls").arg("/run/user/4321/wave-oci")).is(0, "", "");
    assert!(scene.named("wave-oci").is_empty());
}
