//! Containers of a user namespace: made by root, and by an ordinary user.

use std::fs;
use std::process::Command;

use serde_json::json;
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

/// An ordinary user maps itself alone, and has no cgroup.
#[test]
fn an_ordinary_user_runs_a_container() {
    for user in User::available() {
        if *user == User::Root || !user.has_user_namespaces() {
            continue;
        }
        let place = place_for_programs();
        let program = copy_program(env!("CARGO_BIN_EXE_wave").as_ref(), place.path());
        let dir = place.path().join("bundle");
        fs::create_dir_all(dir.join("rootfs")).unwrap();
        let (_dir, module) = wat(EXIT);
        fs::copy(module, dir.join("rootfs/app.wasm")).unwrap();
        let (uid, gid) = match user {
            User::Own => (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw()),
            _ => (NOBODY, NOBODY),
        };
        let map = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
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
                    { "type": "user" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" },
                    { "type": "mount" }, { "type": "network" },
                ],
                "uidMappings": map(uid), "gidMappings": map(gid),
            },
        });
        fs::write(dir.join("config.json"), config.to_string()).unwrap();
        wave_test_support::open_to_all(&dir);
        for path in ["rootfs", "config.json"] {
            nix::unistd::chown(&dir.join(path), Some(uid.into()), Some(gid.into())).ok();
        }
        let mut command = Command::new(program);
        command.args(["oci", "--root"]).arg(dir.join("state")).args(["run", "c"]).current_dir(&dir);
        user.runs(&mut command);
        let (code, out, error) = show(&command.output().unwrap());
        assert_eq!((code, out.as_str(), error.as_str()), (42, "", ""), "{user:?}");
    }
}
