//! File systems. Source: config.md, "Mounts"; config-linux.md, "Devices", "Masked Paths", "Readonly Paths".

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::bundle::Bundle;

/// A bundle with tools and a directory of the host with one file.
fn bundle(tools: &[&str]) -> Option<(Bundle, String)> {
    let bundle = Bundle::with_tools(tools)?;
    let dir = bundle.path("data");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "text\n").unwrap();
    let dir = dir.to_str().unwrap().to_owned();
    Some((bundle, dir))
}

#[test]
fn a_volume_can_be_read_and_written_as_its_options_say() {
    let Some((mut bundle, dir)) = bundle(&["cp", "cat"]) else { return };
    bundle.mount("bind", &dir, "/ro", &["rbind", "ro"]).mount("bind", &dir, "/rw", &["rbind"]);
    bundle.args(&["/cat.wasm", "/ro/file"]);
    assert_eq!(bundle.run(), (0, "text\n".to_owned(), String::new()));
    bundle.args(&["/cp.wasm", "/ro/file", "/ro/copy"]);
    let (code, _, error) = bundle.run();
    assert_ne!(code, 0);
    assert!(error.contains("Read-only file system"), "{error}");
    assert!(!bundle.path("data/copy").exists());
    bundle.args(&["/cp.wasm", "/ro/file", "/rw/copy"]);
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(bundle.path("data/copy")).unwrap(), "text\n");
    // Below a root that is read-only, each is as its options say.
    bundle.set("/root/readonly", json!(true)).args(&["/cp.wasm", "/ro/file", "/rw/again"]);
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
    bundle.args(&["/cp.wasm", "/ro/file", "/ro/again"]);
    assert_ne!(bundle.run().0, 0);
    bundle.args(&["/cp.wasm", "/ro/file", "/new"]);
    assert_ne!(bundle.run().0, 0);
    let mut left: Vec<_> = fs::read_dir(bundle.path("data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["again", "copy", "file"]);
}

#[test]
fn mounts_below_a_read_only_mount_are_read_only() {
    let Some((mut bundle, dir)) = bundle(&["cp", "mkdir"]) else { return };
    // Inside the container: the second mount lies below the first one's source only if it is mounted there first.
    bundle.mount("tmpfs", "tmpfs", "/top", &[]).mount("tmpfs", "tmpfs", "/top/below", &[]);
    bundle.mount("bind", &dir, "/data", &["rbind", "rro"]);
    bundle.args(&["/mkdir.wasm", "/data/new"]);
    assert_ne!(bundle.run().0, 0);
    bundle.args(&["/mkdir.wasm", "/top/below/new"]);
    assert_eq!(bundle.run().0, 0);
    bundle.mount("", "", "/top/below", &["remount", "ro"]);
    assert_ne!(bundle.run().0, 0, "mounted again, read-only");
}

#[test]
fn a_file_can_be_mounted() {
    let Some((mut bundle, dir)) = bundle(&["cat"]) else { return };
    bundle.mount("bind", &format!("{dir}/file"), "/etc/one", &["bind", "ro"]).args(&["/cat.wasm", "/etc/one"]);
    assert_eq!(bundle.run(), (0, "text\n".to_owned(), String::new()));
}

#[test]
fn mounts_are_made_in_their_order_and_relative_ones_from_the_root() {
    let Some((mut bundle, dir)) = bundle(&["ls"]) else { return };
    bundle.mount("bind", &dir, "a", &["bind"]).mount("tmpfs", "tmpfs", "/a", &[]).args(&["/ls.wasm", "/a"]);
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
}

#[test]
fn a_tmpfs_gets_what_the_image_has_if_asked() {
    let Some((mut bundle, _)) = bundle(&["ls", "cat"]) else { return };
    fs::create_dir_all(bundle.rootfs().join("tmp/sub")).unwrap();
    fs::write(bundle.rootfs().join("tmp/sub/file"), "image\n").unwrap();
    bundle.mount("tmpfs", "tmpfs", "/tmp", &["tmpcopyup", "mode=1777"]).args(&["/cat.wasm", "/tmp/sub/file"]);
    assert_eq!(bundle.run(), (0, "image\n".to_owned(), String::new()));
    bundle.config["mounts"][2]["options"] = json!(["mode=1777"]);
    bundle.args(&["/ls.wasm", "/tmp"]);
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
}

#[test]
fn devices_are_there_and_named_ones_too() {
    let Some((mut bundle, _)) = bundle(&["ls"]) else { return };
    bundle.args(&["/ls.wasm", "/dev"]);
    let (code, out, _) = bundle.run();
    let names: Vec<_> = out.lines().collect();
    let expected = ["fd@", "full", "null", "ptmx@", "random", "stderr@", "stdin@", "stdout@", "tty", "urandom", "zero"];
    assert_eq!((code, names), (0, expected.to_vec()));
    bundle.set(
        "/linux/devices",
        json!([{ "type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 0o640 }]),
    );
    assert!(bundle.run().1.contains("mine"));
    // One that differs from a file that is there.
    fs::create_dir(bundle.rootfs().join("d")).unwrap();
    fs::write(bundle.rootfs().join("d/mine"), "").unwrap();
    bundle.set("/linux/devices", json!([{ "type": "c", "path": "/d/mine", "major": 1, "minor": 3 }]));
    bundle.is_refused(&["create", "c"], "cannot create the device `/d/mine`");
    bundle.is_clean();
}

#[test]
fn masked_paths_are_empty_and_read_only_paths_stay() {
    let Some((mut bundle, dir)) = bundle(&["ls", "cat", "cp"]) else { return };
    bundle.mount("bind", &dir, "/data", &["bind"]).mount("bind", &dir, "/other", &["bind"]);
    bundle.set("/linux/maskedPaths", json!(["/data", "/other/file", "/none"]));
    bundle.args(&["/ls.wasm", "/data"]);
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
    bundle.args(&["/cat.wasm", "/other/file"]);
    assert_eq!(bundle.run().1, "");
    bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!(["/other", "/none"]));
    bundle.args(&["/cp.wasm", "/data/file", "/other/copy"]);
    assert_ne!(bundle.run().0, 0);
    bundle.args(&["/cp.wasm", "/other/file", "/data/copy"]);
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
}

#[test]
fn what_cannot_be_mounted_is_refused() {
    for (kind, source, destination, options, text) in [
        ("bind", "/no/such/source", "/x", &["bind"][..], "cannot mount `/no/such/source`"),
        ("ext4", "/dev/sda", "/x", &[], "the file system \"ext4\" is not supported"),
        ("tmpfs", "tmpfs", "/x", &["nonsense=1"], "cannot mount `tmpfs`"),
        ("bind", "/etc", "/x", &["bind", "idmap"], "the option \"idmap\" is not supported"),
        ("bind", "/etc", "/app.wasm", &["bind"], "cannot attach a mount"),
    ] {
        let Some((mut bundle, _)) = bundle(&["ls"]) else { return };
        fs::write(bundle.rootfs().join("app.wasm"), "").unwrap();
        bundle.mount(kind, source, destination, options);
        bundle.is_refused(&["create", "c"], text);
        bundle.is_clean();
    }
}

/// With the capabilities that podman gives it, root of a container writes to a directory of another user, as it does in any other
/// container.
#[test]
fn root_writes_to_directories_of_others_with_the_capability_alone() {
    let Some((mut bundle, dir)) = bundle(&["mkdir"]) else { return };
    nix::unistd::chown(dir.as_str(), Some(1234.into()), Some(1234.into())).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    bundle.mount("bind", &dir, "/data", &["bind"]).args(&["/mkdir.wasm", "/data/new"]);
    assert_ne!(bundle.run().0, 0);
    bundle.set("/process/capabilities", json!({ "effective": ["CAP_DAC_OVERRIDE"] }));
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
}
