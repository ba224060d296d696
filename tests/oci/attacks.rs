//! What a hostile image and a hostile neighbor try.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use wave_test_support::tree;

use crate::bundle::{Bundle, EXIT};

/// Links of the image at every place where the runtime creates or mounts something. Nothing outside of the image changes.
#[test]
fn links_of_the_image_do_not_lead_out() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    let outside = bundle.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "host").unwrap();
    let up = outside.to_str().unwrap();
    for name in ["dev", "proc", "etc", "data", "t"] {
        symlink(up, bundle.rootfs().join(name)).unwrap();
    }
    symlink("../../../../../../../../etc", bundle.rootfs().join("climb")).unwrap();
    bundle.mount("bind", "/etc", "/etc/sub", &["bind", "ro"]);
    bundle.mount("tmpfs", "tmpfs", "/t/sub", &[]);
    bundle.mount("bind", "/etc/hostname", "/climb/wave-test-file", &["bind", "ro"]);
    bundle.set("/process/cwd", json!("/data/cwd"));
    let before = tree(&outside);
    // The links lead to a path inside the image that does not exist, so nothing can be mounted there.
    let output = bundle.call(&["create", "c"]);
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(tree(&outside), before);
    assert!(!std::path::Path::new("/etc/wave-test-file").exists());
    bundle.is_clean();
    // With a directory of that name in the image, everything is made there.
    fs::create_dir_all(bundle.rootfs().join(up.trim_start_matches('/'))).unwrap();
    fs::create_dir(bundle.rootfs().join("etc2")).unwrap();
    fs::remove_file(bundle.rootfs().join("climb")).unwrap();
    symlink("../../../../etc2", bundle.rootfs().join("climb")).unwrap();
    assert_eq!(bundle.run(), (42, String::new(), String::new()));
    assert_eq!(tree(&outside), before);
}

/// A module that the image names through procfs would be a file that the runtime has open.
#[test]
fn no_path_of_procfs_leads_to_what_the_runtime_has_open() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    for link in ["/proc/self/exe", "/proc/self/root/etc/hostname", "/proc/1/root/app.wasm", "/proc/self/cwd/app.wasm"] {
        fs::remove_file(bundle.rootfs().join("link")).ok();
        symlink(link, bundle.rootfs().join("link")).unwrap();
        bundle.args(&["/link"]);
        let output = bundle.call(&["create", "c"]);
        assert_eq!(output.status.code(), Some(126), "{link}");
        bundle.is_clean();
    }
    for descriptor in 0..64 {
        bundle.args(&[&format!("/proc/self/fd/{descriptor}")]);
        let output = bundle.call(&["create", "c"]);
        assert!(matches!(output.status.code(), Some(126 | 127)), "{descriptor}");
    }
    bundle.args(&["/app.wasm"]);
    assert_eq!(bundle.run().0, 42);
}

/// What shows the kernel is read-only, whatever the configuration says, and a program reaches none of it.
#[test]
fn the_kernel_is_neither_read_nor_written() {
    let Some(mut bundle) = Bundle::with_tools(&["ls", "cat", "cp"]) else { return };
    bundle.config["mounts"][0]["options"] = json!(["rw"]);
    bundle.mount("sysfs", "sysfs", "/sys", &["rw"]).mount("cgroup", "cgroup", "/sys/fs/cgroup", &["rw"]);
    bundle.set("/process/capabilities", json!({ "effective": ["CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"] }));
    // With version 1, a directory of hierarchies.
    let has_v2 = fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap();
    let cgroup = if has_v2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/pids" };
    for args in [
        &["/cat.wasm", "/proc/version"][..],
        &["/ls.wasm", "/sys"],
        &["/ls.wasm", cgroup],
        &["/cat.wasm", "/proc/self/environ"],
        &["/cp.wasm", "/ls.wasm", "/proc/sys/kernel/core_pattern"],
    ] {
        bundle.args(args);
        let (code, out, error) = bundle.run();
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}");
        let denied = ["Capabilities insufficient", "Read-only file system"].iter().any(|why| error.contains(why));
        assert!(denied, "{args:?}: {error}");
    }
    bundle.must(&["create", "--pid-file", "pid", "c"]);
    let pid = fs::read_to_string(bundle.path("pid")).unwrap();
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let kernel: Vec<_> = mounts
        .lines()
        .filter(|line| ["/proc ", "/sys ", "/sys/fs/cgroup "].iter().any(|path| line.contains(&format!(" {path}"))))
        .collect();
    assert_eq!(kernel.len(), 3, "{mounts}");
    assert!(
        kernel.iter().all(|line| line.split(' ').nth(5).is_some_and(|options| options.starts_with("ro"))),
        "{kernel:?}"
    );
    bundle.must(&["delete", "--force", "c"]);
}

/// A device node in a directory of the host is no device of the container, even one that the container may use.
#[test]
fn devices_in_a_volume_are_not_devices() {
    let Some(mut bundle) = Bundle::with_tools(&["cat"]) else { return };
    let dir = bundle.path("data");
    fs::create_dir(&dir).unwrap();
    let (node, mode) = (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::from_bits_truncate(0o666));
    nix::sys::stat::mknod(&dir.join("null"), node, mode, nix::sys::stat::makedev(1, 3)).unwrap();
    bundle.mount("bind", dir.to_str().unwrap(), "/data", &["rbind"]).args(&["/cat.wasm", "/data/null"]);
    let (code, _, error) = bundle.run();
    assert_ne!(code, 0);
    assert!(error.contains("Permission denied"), "{error}");
    bundle.config["mounts"][2]["options"] = json!(["rbind", "dev"]);
    assert_eq!(bundle.run(), (0, String::new(), String::new()));
}

/// An image may carry the annotation that names a policy. What the message says of the file is whether it is a policy.
#[test]
fn a_file_that_is_no_policy_is_not_quoted() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    let secret = bundle.path("secret");
    fs::write(&secret, "password = \"hunter2\"\n").unwrap();
    bundle.set("/annotations", json!({ "dev.wave.policy": secret.to_str().unwrap() }));
    let output = bundle.call(&["create", "c"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125));
    assert!(
        error.contains("it is no valid policy") && !error.contains("hunter2") && !error.contains("password"),
        "{error}"
    );
    assert!(!fs::read_to_string(bundle.path("log.json")).unwrap().contains("hunter2"));
}

/// A policy narrows what the configuration gives, and cannot widen it.
#[test]
fn a_policy_narrows() {
    let Some(mut bundle) = Bundle::with_tools(&["ls", "cat"]) else { return };
    fs::create_dir(bundle.rootfs().join("in")).unwrap();
    fs::write(bundle.rootfs().join("in/file"), "text\n").unwrap();
    let policy = bundle.path("policy.toml");
    bundle.set("/annotations", json!({ "dev.wave.policy": policy.to_str().unwrap() }));
    fs::write(&policy, "version = 1\n[[fs]]\nhost = \"/in\"\nguest = \"/in\"\naccess = \"ro\"\n").unwrap();
    bundle.args(&["/cat.wasm", "/in/file"]);
    assert_eq!(bundle.run(), (0, "text\n".to_owned(), String::new()));
    bundle.args(&["/ls.wasm", "/"]);
    assert_ne!(bundle.run().0, 0);
    for (text, why) in [
        ("version = 1\nsandbox = \"off\"\n", "sets `sandbox`"),
        ("version = 1\nargs = [\"x\"]\n", "sets `args`"),
        ("version = 1\n[env]\npass = [\"HOME\"]\n", "sets `env.pass`"),
    ] {
        fs::write(&policy, text).unwrap();
        bundle.is_refused(&["create", "c"], why);
        bundle.is_clean();
    }
    // Its directories are those of the container: the host's are not there.
    fs::write(&policy, "version = 1\n[[fs]]\nhost = \"/usr/bin\"\nguest = \"/usr\"\naccess = \"ro\"\n").unwrap();
    bundle.is_refused(&["create", "c"], "no such directory");
}

/// A policy of the image narrows too, what the configuration gives or what the operator's policy does, and widens neither.
#[test]
fn a_policy_in_the_image_narrows() {
    let Some(mut bundle) = Bundle::with_tools(&["ls", "cat"]) else { return };
    for dir in ["in", "out", "etc"] {
        fs::create_dir(bundle.rootfs().join(dir)).unwrap();
        fs::write(bundle.rootfs().join(dir).join("file"), format!("{dir}\n")).unwrap();
    }
    symlink("/out", bundle.rootfs().join("in/link")).unwrap();
    let (inside, operator) = (bundle.rootfs().join("etc/policy.toml"), bundle.path("policy.toml"));
    let grants = |host: &str, access: &str| {
        format!("version = 1\n[[fs]]\nhost = \"{host}\"\nguest = \"{host}\"\naccess = \"{access}\"\n")
    };
    let image = "/annotations/dev.wave.image-policy";
    bundle.set("/annotations", json!({}));
    bundle.set(image, json!("/etc/policy.toml"));
    bundle.args(&["/cat.wasm", "/in/file"]);
    bundle.is_refused(&["create", "c"], "No such file or directory");
    fs::write(&inside, grants("/in", "ro")).unwrap();
    assert_eq!(bundle.run(), (0, "in\n".to_owned(), String::new()));
    bundle.args(&["/cat.wasm", "/out/file"]);
    assert_ne!(bundle.run().0, 0);
    bundle.set(image, json!(""));
    assert_eq!(bundle.run(), (0, "out\n".to_owned(), String::new()), "an empty annotation names none");
    bundle.set(image, json!("/etc/policy.toml"));
    for (text, why) in [
        ("version = 1\nsandbox = \"off\"\n", "sets `sandbox`"),
        ("version = 1\nargs = [\"x\"]\n", "sets `args`"),
        ("version = 1\n[env]\npass = [\"HOME\"]\n", "sets `env.pass`"),
        ("version = 1\n[env]\nset = { A = \"b\" }\n", "it does more than narrow the configuration: "),
        ("version = 1\n[net]\nlisten = [\"0.0.0.0:80\"]\n", "it does more than narrow the configuration: "),
        ("version = 1\nunknown_imports = \"trap\"\n", "it does more than narrow the configuration: "),
        ("version = 1\n[limits]\nmax-open-files = 1000000\n", "it does more than narrow the configuration: "),
        ("version = 1\n[limits]\nmax-rss = \"1G\"\n", "the cgroup is made before the image is read"),
        ("password = \"hunter2\"\n", "it is no valid policy"),
    ] {
        fs::write(&inside, text).unwrap();
        bundle.is_refused(&["create", "c"], why);
        assert!(!fs::read_to_string(bundle.path("log.json")).unwrap().contains("hunter2"));
        bundle.is_clean();
    }
    // Under a root that is read-only, it gives no more than that.
    bundle.set("/root/readonly", json!(true));
    fs::write(&inside, grants("/in", "rw")).unwrap();
    bundle.is_refused(&["create", "c"], "may write under /in");
    bundle.set("/root/readonly", json!(false));
    // The operator's decides what can be given: directories by their names, because the image has links.
    bundle.set("/annotations/dev.wave.policy", json!(operator.to_str().unwrap()));
    bundle.args(&["/cat.wasm", "/in/file"]);
    fs::write(&operator, grants("/in", "ro") + "[limits]\ntimeout = \"1h\"\n").unwrap();
    for (text, why) in [
        (grants("/in", "rw") + "[limits]\ntimeout = \"1h\"\n", "may write under /in"),
        (grants("/in", "ro"), "it does more than narrow the operator's policy: "),
        (
            format!("{}[limits]\ntimeout = \"1h\"\n[random]\nseed = 1\n", grants("/in", "ro")),
            "it does more than narrow the operator's policy: ",
        ),
        (
            grants("/in/link", "ro") + "[limits]\ntimeout = \"1h\"\n",
            "it grants `/in/link`, which the operator's policy does not",
        ),
        (
            grants("/out", "ro") + "[limits]\ntimeout = \"1h\"\n",
            "it grants `/out`, which the operator's policy does not",
        ),
    ] {
        fs::write(&inside, text).unwrap();
        bundle.is_refused(&["create", "c"], why);
        bundle.is_clean();
    }
    fs::write(&inside, grants("/in", "ro") + "[limits]\ntimeout = \"1m\"\n").unwrap();
    assert_eq!(bundle.run(), (0, "in\n".to_owned(), String::new()));
    // The policy is looked up in the container: no link leads to a file of the host.
    fs::write(bundle.path("host.toml"), grants("/in", "ro") + "[limits]\ntimeout = \"1m\"\n").unwrap();
    fs::remove_file(&inside).unwrap();
    symlink(bundle.path("host.toml"), &inside).unwrap();
    bundle.is_refused(&["create", "c"], "No such file or directory");
}

#[test]
fn a_policy_limits_time() {
    let Some(mut bundle) = Bundle::new(crate::bundle::LOOP) else { return };
    let policy = bundle.path("policy.toml");
    fs::write(&policy, "version = 1\n[limits]\ntimeout = \"100ms\"\n").unwrap();
    bundle.set("/annotations", json!({ "dev.wave.policy": policy.to_str().unwrap() }));
    let (code, _, error) = bundle.run();
    assert_eq!(code, 124);
    assert!(error.contains("time limit of 100ms reached"), "{error}");
}

/// Its limit on memory becomes that of the cgroup, where `linux.resources` has no lower one. Nobody raises it later.
#[test]
fn a_policy_limits_memory() {
    const FILLS: &str = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1280)
        (func (export "_start")
          (memory.fill (i32.const 0) (i32.const 1) (i32.const 83886080))
          (call $exit (i32.const 42))))"#;
    let Some(mut bundle) = Bundle::new(FILLS) else { return };
    let policy = bundle.path("policy.toml");
    bundle.set("/annotations", json!({ "dev.wave.policy": policy.to_str().unwrap() }));
    let limit = |limit: &str| fs::write(&policy, format!("version = 1\n[limits]\nmax-rss = \"{limit}\"\n")).unwrap();
    limit("512M");
    assert_eq!(bundle.run().0, 42);
    limit("48M");
    assert_eq!(bundle.run().0, 137);
    bundle.set("/linux/resources/memory/limit", json!(1_u64 << 30));
    assert_eq!(bundle.run().0, 137, "the policy narrows");
    limit("512M");
    bundle.set("/linux/resources/memory/limit", json!(48 << 20));
    assert_eq!(bundle.run().0, 137, "the policy does not widen");
    bundle.must(&["create", "c"]);
    let error = bundle.call(&["update", "--memory=-1", "c"]);
    let text = String::from_utf8_lossy(&error.stderr).into_owned();
    assert_eq!(error.status.code(), Some(125), "{text}");
    assert!(text.contains("the policy of the container gives it 536870912 bytes of memory"), "{text}");
    bundle.must(&["update", "--memory=402653184", "--memory-swap=402653184", "c"]);
    bundle.must(&["delete", "--force", "c"]);
    bundle.set("/linux/resources", json!({}));
    bundle.is_refused(&["--cgroup-manager", "disabled", "create", "c"], "it has no cgroup");
    bundle.is_clean();
}

/// Callers die. Whatever they leave, `delete --force` removes.
#[test]
fn a_create_that_was_killed_leaves_nothing_that_cannot_be_deleted() {
    let Some(bundle) = Bundle::new(EXIT) else { return };
    bundle.write();
    for round in 0..40_u32 {
        let mut create = bundle.command(&["create", "c"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 700));
        create.kill().unwrap();
        create.wait().unwrap();
        bundle.must(&["delete", "--force", "c"]);
        // The process sees that its maker is gone.
        bundle.is_clean();
    }
    assert_eq!(bundle.run().0, 42);
}
