//! Containers of a user namespace: made by root, and by an ordinary user.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use wave_test_support::user::{NOBODY, User};
use wave_test_support::{copy_program, place_for_programs, wat};

use crate::bundle::{Bundle, EXIT, show};

#[test]
fn root_of_a_user_namespace_is_another_user_outside() {
    let Some(mut bundle) = Bundle::with_tools(&["mkdir"]) else { return };
    let dir = bundle.path("out");
    fs::create_dir(&dir).unwrap();
    nix::unistd::chown(&dir, Some(100_000.into()), Some(100_000.into())).unwrap();
    nix::unistd::chown(&bundle.rootfs(), Some(100_000.into()), Some(100_000.into())).unwrap();
    fs::set_permissions(bundle.path("."), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    bundle.mount("bind", dir.to_str().unwrap(), "/out", &["bind"]).args(&["/mkdir.wasm", "/out/new"]);
    bundle.is_refused(&["create", "c"], "no linux.uidMappings and linux.gidMappings");
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
    let made = std::os::unix::fs::MetadataExt::uid(&fs::metadata(dir.join("new")).unwrap());
    assert_eq!(made, 100_000);
}

/// A bundle of an ordinary user, without a cgroup.
struct Own {
    user: User,
    _place: TempDir,
    program: PathBuf,
    dir: PathBuf,
    config: Value,
}

impl Own {
    /// For each ordinary user who gets user namespaces.
    fn all() -> impl Iterator<Item = Self> {
        let users = User::available().iter().copied();
        users.filter(|user| *user != User::Root && user.has_user_namespaces()).map(Self::of)
    }

    fn of(user: User) -> Self {
        let place = place_for_programs();
        let program = copy_program(env!("CARGO_BIN_EXE_wave").as_ref(), place.path());
        let dir = place.path().join("bundle");
        fs::create_dir_all(dir.join("rootfs")).unwrap();
        let (_dir, module) = wat(EXIT);
        fs::copy(module, dir.join("rootfs/app.wasm")).unwrap();
        let config = json!({
            "ociVersion": "1.2.0",
            "process": { "user": {}, "args": ["/app.wasm"], "cwd": "/" },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] },
            ],
            "linux": {
                "namespaces": [
                    { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "network" },
                ],
            },
        });
        Self { user, _place: place, program, dir, config }
    }

    fn ids(&self) -> (u32, u32) {
        match self.user {
            User::Own => (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw()),
            _ => (NOBODY, NOBODY),
        }
    }

    /// Runs the container, by a command that starts the runtime.
    fn run(&self, before: &[&str]) -> (i32, String, String) {
        fs::write(self.dir.join("config.json"), self.config.to_string()).unwrap();
        wave_test_support::open_to_all(&self.dir);
        let (uid, gid) = self.ids();
        for path in ["rootfs", "config.json"] {
            nix::unistd::chown(&self.dir.join(path), Some(uid.into()), Some(gid.into())).ok();
        }
        let program = self.program.to_str().unwrap();
        let mut words = before.iter().copied().chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["oci", "--root"]).arg(self.dir.join("state")).args(["run", "c"]);
        command.current_dir(&self.dir);
        self.user.runs(&mut command);
        let output = command.output().unwrap();
        let left: Vec<_> = fs::read_dir(self.dir.join("state")).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        show(&output)
    }
}

/// An ordinary user maps itself alone, and has no cgroup.
#[test]
fn an_ordinary_user_runs_a_container() {
    for mut own in Own::all() {
        let (uid, gid) = own.ids();
        let map = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
        own.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
        own.config["linux"]["uidMappings"] = map(uid);
        own.config["linux"]["gidMappings"] = map(gid);
        assert_eq!(own.run(&[]), (42, String::new(), String::new()), "{:?}", own.user);
    }
}

/// As rootless podman calls the runtime: as root of a user namespace, which the configuration does not name. Outside of one, the same user
/// is refused. Hooks are processes of the runtime's PID namespace also there, where it cannot be entered again.
#[test]
fn root_of_a_given_user_namespace_runs_a_container() {
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
    for mut own in Own::all() {
        let seen = own.dir.join("rootfs/seen");
        let hook = json!([{
            "path": "/bin/sh",
            "args": ["sh", "-c", format!("readlink /proc/self/ns/pid >> {}", seen.display())],
        }]);
        own.config["hooks"] = json!({ "createRuntime": hook, "poststop": hook });
        own.config["linux"]["resources"] = json!({});
        let (code, out, error) = own.run(&[]);
        assert_eq!((code, out.as_str()), (125, ""));
        assert!(error.contains("cannot make a pid namespace"), "{error}");
        fs::remove_file(&seen).ok();
        let inside = own.run(&["unshare", "--user", "--map-root-user"]);
        assert_eq!(inside, (42, String::new(), String::new()), "{:?}", own.user);
        let expected = format!("{0}\n{0}\n", namespace.display());
        assert_eq!(fs::read_to_string(seen).unwrap(), expected);
    }
}
