//! Properties that are applied, and those that are refused by name. Source: config.md, config-linux.md.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use crate::bundle::{Bundle, EXIT, LOOP};

#[test]
fn arguments_and_environment_are_those_of_the_configuration() {
    let Some(mut bundle) = Bundle::with_tools(&["args_env"]) else { return };
    bundle.args(&["/args_env.wasm", "one", "two words"]);
    bundle.set("/process/env", json!(["A=b", "EMPTY="]));
    let (code, out, error) = bundle.run();
    assert_eq!((code, error.as_str()), (0, ""));
    for word in ["one", "two words", "A=b", "EMPTY="] {
        assert!(out.contains(word), "{out}");
    }
    assert!(!out.contains("PATH="), "{out}");
}

#[test]
fn the_module_is_found_by_path_and_from_the_working_directory() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    fs::create_dir_all(bundle.rootfs().join("opt/bin")).unwrap();
    fs::rename(bundle.rootfs().join("app.wasm"), bundle.rootfs().join("opt/bin/app.wasm")).unwrap();
    bundle.args(&["app.wasm"]).set("/process/env", json!(["PATH=/bin:/opt/bin"]));
    assert_eq!(bundle.run().0, 42);
    bundle.args(&["bin/app.wasm"]).set("/process/cwd", json!("/opt"));
    assert_eq!(bundle.run().0, 42);
    bundle.args(&["./app.wasm"]);
    assert_eq!(bundle.run().0, 127);
    // As runc does.
    bundle.args(&["/opt/bin/app.wasm"]).set("/process/cwd", json!("/new/directory"));
    assert_eq!(bundle.run().0, 42);
    assert!(bundle.rootfs().join("new/directory").is_dir());
}

#[test]
fn each_property_that_is_not_applied_is_refused_by_name() {
    let cases = [
        ("/process/apparmorProfile", json!("docker-default"), "`process.apparmorProfile` is not supported"),
        ("/process/selinuxLabel", json!("a:b:c"), "`process.selinuxLabel` is not supported"),
        ("/process/scheduler", json!({ "policy": "SCHED_FIFO" }), "`process.scheduler` is not supported"),
        ("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_RT" }), "`process.ioPriority` is not supported"),
        ("/process/execCPUAffinity", json!({ "initial": "0" }), "`process.execCPUAffinity` is not supported"),
        ("/process/args", json!([]), "no process.args"),
        ("/process/cwd", json!("relative"), "process.cwd \"relative\" is not supported"),
        ("/process/rlimits", json!([{ "type": "RLIMIT_X", "soft": 1, "hard": 1 }]), "RLIMIT_X"),
        (
            "/process/rlimits",
            json!([{ "type": "RLIMIT_CPU", "soft": 1, "hard": 1 }, { "type": "RLIMIT_CPU", "soft": 1, "hard": 1 }]),
            "RLIMIT_CPU is there twice",
        ),
        ("/process/terminal", json!(true), "process.terminal needs a socket"),
        ("/linux/mountLabel", json!("x"), "`linux.mountLabel` is not supported"),
        ("/linux/intelRdt", json!({ "closID": "x" }), "`linux.intelRdt` is not supported"),
        ("/linux/personality", json!({ "domain": "LINUX32" }), "`linux.personality` is not supported"),
        ("/linux/timeOffsets", json!({ "monotonic": { "secs": 1 } }), "`linux.timeOffsets` is not supported"),
        ("/linux/netDevices", json!({ "eth0": {} }), "`linux.netDevices` is not supported"),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND" }), "`linux.memoryPolicy` is not supported"),
        ("/linux/sysctl", json!({ "kernel.panic": "1" }), "linux.sysctl kernel.panic is not supported"),
        ("/linux/sysctl", json!({ "net/../kernel/panic": "1" }), "is not supported"),
        ("/linux/rootfsPropagation", json!("sideways"), "linux.rootfsPropagation"),
        ("/linux/namespaces", json!([{ "type": "pid" }]), "without a mount namespace of its own"),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "mount" }]), "is there twice"),
        (
            "/linux/namespaces",
            json!([{ "type": "mount" }, { "type": "time" }]),
            "the namespace \"time\" is not supported",
        ),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "network", "path": "x" }]), "the relative path x"),
        (
            "/linux/namespaces",
            json!([{ "type": "mount" }, { "type": "network", "path": "/proc/self/ns/ipc" }]),
            "cannot join the network namespace",
        ),
        ("/linux/namespaces", json!([{ "type": "mount", "path": "/proc/self/ns/mnt" }]), "the path of the namespace"),
        ("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_NOTIFY" }), "linux.seccomp.defaultAction"),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x" }),
            "linux.seccomp.listenerPath",
        ),
        ("/linux/cgroupsPath", json!("/a/../b"), "cgroup"),
        ("/linux/resources", json!({ "unknown": 1 }), "unknown"),
        ("/annotations", json!({ "": "x" }), "an annotation has no name"),
        ("/annotations", json!({ "dev.wave.nope": "x" }), "the annotation dev.wave.nope is not supported"),
        ("/annotations", json!({ "dev.wave.tcplisten": "x" }), "\"x\" is no address with a port"),
        ("/ociVersion", json!("2.0.0"), "ociVersion \"2.0.0\" is not supported"),
        ("/root", json!(null), "no root"),
        ("/process", json!(null), "no process"),
        ("/hostname", json!(7), "invalid configuration"),
    ];
    for (pointer, value, text) in cases {
        let Some(mut bundle) = Bundle::new(EXIT) else { return };
        bundle.set(pointer, value);
        // A terminal without a socket is the caller's mistake.
        let code = if pointer == "/process/terminal" { 2 } else { 125 };
        bundle.is_refused_with(code, &["create", "c"], text);
        assert!(!bundle.path("state/c").exists(), "{pointer}");
    }
    // A property that no version of the specification knows is ignored.
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    bundle.set("/linux/notYetKnown", json!({ "x": 1 })).set("/process/personal", json!(1));
    bundle.set("/annotations", json!({ "org.example": "x" }));
    assert_eq!(bundle.run().0, 42);
}

#[test]
fn user_groups_and_mask_are_those_of_the_configuration() {
    let Some(mut bundle) = Bundle::with_tools(&["mkdir"]) else { return };
    let dir = bundle.path("out");
    fs::create_dir(&dir).unwrap();
    nix::unistd::chown(&dir, Some(1234.into()), Some(5678.into())).unwrap();
    bundle.mount("bind", dir.to_str().unwrap(), "/out", &["bind"]).args(&["/mkdir.wasm", "/out/new"]);
    bundle.set("/process/user", json!({ "uid": 1234, "gid": 4321, "umask": 0o027, "additionalGids": [77] }));
    bundle.must(&["create", "c"]);
    bundle.must(&["start", "c"]);
    bundle.wait_for("stopped");
    bundle.must(&["delete", "c"]);
    let made = fs::metadata(dir.join("new")).unwrap();
    assert_eq!((made.uid(), made.gid(), made.mode() & 0o777), (1234, 4321, 0o750));
}

#[test]
fn the_process_has_groups_capabilities_and_limits_as_configured_and_not_more() {
    let Some(mut bundle) = Bundle::new(LOOP) else { return };
    let status = |bundle: &Bundle| {
        bundle.must(&["create", "--pid-file", "pid", "c"]);
        bundle.must(&["start", "c"]);
        let pid = fs::read_to_string(bundle.path("pid")).unwrap();
        let mut text = String::new();
        // It is running before it is sealed.
        for _ in 0..6_000 {
            text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            if text.contains("Seccomp:\t2") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let adj = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        bundle.must(&["delete", "--force", "c"]);
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        };
        let fields = [
            "Uid:",
            "Gid:",
            "Groups:",
            "CapInh:",
            "CapPrm:",
            "CapEff:",
            "CapBnd:",
            "CapAmb:",
            "NoNewPrivs:",
            "Seccomp:",
        ];
        (fields.map(field), adj.trim().to_owned(), limits)
    };
    bundle.set("/process/user", json!({ "uid": 1234, "gid": 4321, "additionalGids": [77, 78] }));
    bundle.set("/process/oomScoreAdj", json!(321));
    bundle.set("/process/rlimits", json!([{ "type": "RLIMIT_CPU", "soft": 100, "hard": 200 }]));
    let all = json!(["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_KILL"]);
    bundle.set(
        "/process/capabilities",
        json!({ "effective": all, "permitted": all, "bounding": all, "inheritable": all, "ambient": all }),
    );
    let none = "0000000000000000";
    let (fields, adj, limits) = status(&bundle);
    let user = ["1234 1234 1234 1234", "4321 4321 4321 4321", "77 78", none, none, none, none, none, "1", "2"];
    assert_eq!(fields, user, "another user than root has no capabilities");
    assert_eq!(adj, "321");
    let cpu = limits.lines().find(|line| line.starts_with("Max cpu time")).unwrap();
    assert_eq!(cpu.split_ascii_whitespace().collect::<Vec<_>>()[3..5], ["100", "200"]);
    bundle.set("/process/user", json!({ "uid": 0, "gid": 0 }));
    // CAP_DAC_OVERRIDE and CAP_FOWNER: bits 1 and 3.
    let files = "000000000000000a";
    let root = ["0 0 0 0", "0 0 0 0", "", none, files, files, none, none, "1", "2"];
    assert_eq!(status(&bundle).0, root);
    bundle.set("/process/capabilities", json!({}));
    let root = ["0 0 0 0", "0 0 0 0", "", none, none, none, none, none, "1", "2"];
    assert_eq!(status(&bundle).0, root);
}

#[test]
fn each_namespace_is_new_joined_or_that_of_the_runtime() {
    let Some(mut bundle) = Bundle::new(LOOP) else { return };
    const FILES: [(&str, &str); 6] =
        [("pid", "pid"), ("ipc", "ipc"), ("uts", "uts"), ("mount", "mnt"), ("network", "net"), ("cgroup", "cgroup")];
    let of = |pid: &str, file: &str| fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
    let inside = |bundle: &Bundle| {
        bundle.must(&["create", "--pid-file", "pid", "c"]);
        let pid = fs::read_to_string(bundle.path("pid")).unwrap();
        let found = FILES.map(|(_, file)| of(&pid, file));
        bundle.must(&["delete", "--force", "c"]);
        found
    };
    let list: Vec<_> = FILES.iter().map(|(kind, _)| json!({ "type": kind })).collect();
    bundle.set("/linux/namespaces", json!(list)).set("/hostname", json!("inner")).set("/domainname", json!("domain"));
    let found = inside(&bundle);
    for ((kind, file), found) in FILES.iter().zip(found) {
        assert_ne!(found, of("self", file), "{kind}");
    }
    // Without an entry, those of the runtime; network, ipc and uts are left all the same, as in every sealed run.
    bundle.config["hostname"] = json!(null);
    bundle.config["domainname"] = json!(null);
    bundle.set("/linux/namespaces", json!([{ "type": "mount" }]));
    let found = inside(&bundle);
    for ((kind, file), found) in FILES.iter().zip(found) {
        let stays = ["pid", "cgroup"].contains(kind);
        assert_eq!(found == of("self", file), stays, "{kind}");
    }
    // One that is joined is that of the process with this number: a container that waits.
    let Some(other) = Bundle::new(LOOP) else { return };
    other.must(&["create", "--pid-file", "pid", "c"]);
    let pid = fs::read_to_string(other.path("pid")).unwrap();
    let path = format!("/proc/{pid}/ns/pid");
    bundle.set("/linux/namespaces", json!([{ "type": "mount" }, { "type": "pid", "path": path }]));
    assert_eq!(inside(&bundle)[0], of(&pid, "pid"));
    other.must(&["delete", "--force", "c"]);
}

#[test]
fn a_memory_limit_kills() {
    let text = r#"(module (memory (export "memory") 1) (func (export "_start") (local $at i32)
        (drop (memory.grow (i32.const 8000)))
        (loop $next
            (i32.store8 (local.get $at) (i32.const 1))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 500000000))))))"#;
    let Some(mut bundle) = Bundle::new(text) else { return };
    let limit = json!({ "memory": { "limit": 64 << 20, "swap": 64 << 20 } });
    bundle.set("/linux/resources", limit);
    let (code, _, _) = bundle.run();
    assert_eq!(code, 137);
    bundle.set("/linux/resources", json!({ "memory": { "limit": 1 << 30 } }));
    assert_eq!(bundle.run().0, 0);
}

#[test]
fn sysctls_are_those_of_the_container() {
    let Some(mut bundle) = Bundle::new(LOOP) else { return };
    let before = fs::read_to_string("/proc/sys/kernel/msgmax").unwrap();
    bundle.set("/linux/sysctl", json!({ "kernel.msgmax": "4321", "net.ipv4.ip_forward": "1" }));
    bundle.must(&["create", "c"]);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/msgmax").unwrap(), before);
    bundle.must(&["delete", "--force", "c"]);
    bundle.set("/linux/sysctl", json!({ "net.nothing.such": "1" }));
    bundle.is_refused(&["create", "c"], "cannot set a kernel parameter");
    bundle.is_clean();
}

#[test]
fn features_name_what_is_applied() {
    let Some(bundle) = Bundle::new(EXIT) else { return };
    let features: serde_json::Value = serde_json::from_str(&bundle.must(&["features"])).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["annotations"]["dev.wave.sandbox"], "strict");
    let options: Vec<_> =
        features["mountOptions"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for option in options {
        let Some(mut bundle) = Bundle::new(EXIT) else { return };
        bundle.mount("tmpfs", "tmpfs", "/t", &[option]);
        if !option.contains("bind") && option != "remount" {
            assert_eq!(bundle.run(), (42, String::new(), String::new()), "{option}");
        }
    }
}
