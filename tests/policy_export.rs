//! `wave policy export`: the same filter in the words of other tools.
//!
//! Long outputs are files in `tests/policy_export/`; `WAVE_BLESS=1` writes them anew.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{Outcome, as_root, not_run, source, writable_dir};
use wave_policy::{FilesystemGrant, Policy, Surface, all_shapes};
use wave_sandbox::{GrowableRange, SealPlan, SystemCall, call_name, evaluate, filter};

const ALLOW: u32 = 0x7fff_0000;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;

const RANGE: GrowableRange = GrowableRange { base: 0x1000_0000, len_bytes: 4 << 30 };

fn wave(dir: &Path, args: &[&str]) -> Outcome {
    let out = Command::new(env!("CARGO_BIN_EXE_wave")).args(args).current_dir(dir).output().expect("wave starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Outcome { status: out.status, stdout: text(out.stdout), stderr: text(out.stderr) }
}

fn export(dir: &Path, format: &str, file: &str) -> String {
    let said = wave(dir, &["policy", "export", "--format", format, file]);
    assert_eq!(said.status.code(), Some(0), "{}", said.stderr);
    said.stdout
}

fn is_snapshot(name: &str, text: &str) {
    let path = source("tests/policy_export").join(name);
    if std::env::var_os("WAVE_BLESS").is_some() {
        fs::write(&path, text).expect("the source can be written");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "{}", path.display());
}

/// A policy as `wave policy gen` writes it for a module of this shape, with its grants filled in.
fn policy_of(dir: &Path, shape: &wave_policy::Shape) -> String {
    let imports: String = shape
        .functions
        .iter()
        .fold(String::new(), |all, name| all + &format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func))"));
    let most = if shape.growable { "" } else { "1" };
    fs::write(dir.join("m.wat"), format!("(module {imports} (memory 1 {most}))")).unwrap();
    let mut text = wave(dir, &["policy", "gen", "m.wat"]).stdout;
    if let Some(access) = shape.grant {
        let grant = format!("[[fs]]\nhost = \"/srv\"\naccess = \"{access}\"\n\n[os]\n");
        text = text.replace("[os]\n", &grant);
    }
    if shape.listener {
        text = text.replace("[os]\n", "[net]\nlisten = [\"127.0.0.1:80\"]\n\n[os]\n");
    }
    text
}

/// What a profile answers: the OCI semantics, in which entries are alternatives and the arguments of one all hold.
/// Source: runtime-spec 1.0.2, `config-linux.md`.
fn oci_verdict(profile: &Value, call: &str, arguments: &[u64; 6]) -> u32 {
    let holds = |arg: &Value| {
        let number = |key: &str| arg[key].as_u64().expect("a number");
        let found = arguments[usize::try_from(number("index")).expect("small")];
        match arg["op"].as_str().expect("an operator") {
            "SCMP_CMP_EQ" => found == number("value"),
            "SCMP_CMP_LE" => found <= number("value"),
            "SCMP_CMP_MASKED_EQ" => found & number("value") == number("valueTwo"),
            other => panic!("{other}"),
        }
    };
    let matching = profile["syscalls"].as_array().expect("entries").iter().filter(|entry| {
        let names = entry["names"].as_array().expect("names");
        names.iter().any(|name| name == call) && entry["args"].as_array().expect("arguments").iter().all(holds)
    });
    let verdicts: BTreeSet<_> = matching
        .map(|entry| match entry["action"].as_str().expect("an action") {
            "SCMP_ACT_ALLOW" => ALLOW,
            "SCMP_ACT_ERRNO" => ERRNO | u32::try_from(entry["errnoRet"].as_u64().expect("a number")).expect("small"),
            other => panic!("{other}"),
        })
        .collect();
    assert!(verdicts.len() <= 1, "{call}: {verdicts:?}");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_KILL_PROCESS");
    // Both end the process: ours by a signal that says which call it was.
    verdicts.into_iter().next().unwrap_or(TRAP)
}

/// T84, T85: for every shape, call and boundary of an argument, the exported profile answers as the filter does. The one call
/// whose conditions hold addresses is compared at those addresses, and is looser elsewhere as documented.
#[test]
fn t84_the_oci_profile_answers_as_the_filter() {
    let dir = writable_dir();
    for shape in all_shapes() {
        fs::write(dir.path().join("p.toml"), policy_of(dir.path(), shape)).unwrap();
        let profile: Value = serde_json::from_str(&export(dir.path(), "oci-seccomp", "p.toml")).expect("JSON");
        assert_eq!(profile["architectures"], json!(["SCMP_ARCH_X86_64"]));
        let growable = if shape.growable { &[RANGE][..] } else { &[] };
        let policy = shape.policy();
        let program = filter(&SealPlan { growable, ..SealPlan::new(&policy) }).expect("the table compiles");
        let mut values: BTreeSet<u64> = [0, 1, 2, 3, 4, 7, 0x22, 0x100, 0x200, 0x1000, 0x4000, u64::MAX].into();
        for entry in profile["syscalls"].as_array().expect("entries") {
            // A runtime reads two conditions on one argument as alternatives, so there must be none.
            let args = entry["args"].as_array().expect("arguments");
            let indices: BTreeSet<_> = args.iter().map(|arg| arg["index"].as_u64()).collect();
            assert_eq!(indices.len(), args.len(), "{entry}");
            for arg in args {
                let [value, two] = ["value", "valueTwo"].map(|key| arg[key].as_u64().expect("a number"));
                values.extend([
                    value,
                    two,
                    value.wrapping_add(1),
                    value.wrapping_sub(1),
                    !value,
                    value | 1 << 32,
                    value << 32,
                ]);
            }
        }
        values.extend([RANGE.base, RANGE.len_bytes]);
        let mut permitted = 0;
        for number in 0..1024_u32 {
            let Some(name) = call_name(number as usize) else { continue };
            let compared: BTreeSet<usize> = profile["syscalls"]
                .as_array()
                .expect("entries")
                .iter()
                .filter(|entry| entry["names"][0] == name)
                .flat_map(|entry| entry["args"].as_array().expect("arguments"))
                .map(|arg| usize::try_from(arg["index"].as_u64().expect("a number")).expect("small"))
                .collect();
            let mut tries = vec![[0_u64; 6], [u64::MAX; 6]];
            if name == "mprotect" {
                tries = vec![[RANGE.base, RANGE.len_bytes, 0, 0, 0, 0]];
            }
            for argument in compared {
                let with = |tried: &[u64; 6], value| {
                    let mut tried = *tried;
                    tried[argument] = value;
                    tried
                };
                tries = tries.iter().flat_map(|tried| values.iter().map(move |value| with(tried, *value))).collect();
            }
            for arguments in tries {
                let ours = evaluate(&program, &SystemCall::new(number, arguments)).expect("a program the kernel takes");
                assert_eq!(oci_verdict(&profile, name, &arguments), ours, "{}: {name} {arguments:x?}", shape.name);
                permitted += usize::from(ours == ALLOW);
            }
        }
        assert!(permitted > 4, "{}", shape.name);
    }
}

/// A runtime takes the profile and loads it; what it then refuses is the start of the container's program, as documented.
#[test]
fn container_runtimes_take_the_oci_profile() {
    let dir = writable_dir();
    let shape = all_shapes().iter().find(|shape| shape.name == "files-rw").expect("a shape");
    fs::write(dir.path().join("p.toml"), policy_of(dir.path(), shape)).unwrap();
    let profile: Value = serde_json::from_str(&export(dir.path(), "oci-seccomp", "p.toml")).expect("JSON");
    let has = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    if !as_root() || !has("runc") {
        return not_run("install runc, and run as root");
    }
    let bundle = dir.path().join("bundle");
    let shared: Vec<_> =
        ["/usr", "/bin", "/lib", "/lib64"].into_iter().filter(|path| Path::new(path).exists()).collect();
    for path in shared.iter().chain(&["/proc"]) {
        fs::create_dir_all(bundle.join("rootfs").join(path.trim_start_matches('/'))).unwrap();
    }
    let bound = shared.iter().map(
        |path| json!({ "destination": path, "type": "bind", "source": path, "options": ["bind", "ro", "nosuid"] }),
    );
    let proc = json!({ "destination": "/proc", "type": "proc", "source": "proc" });
    let mounts: Vec<_> = std::iter::once(proc).chain(bound).collect();
    let run = |seccomp: &Value, id: &str| {
        let namespaces: Vec<_> = ["pid", "mount", "ipc", "uts", "network"].map(|name| json!({ "type": name })).into();
        let config = json!({
            "ociVersion": "1.0.2",
            "process": { "user": { "uid": 65534, "gid": 65534 }, "args": ["/bin/echo", "ran"],
                         "env": [], "cwd": "/", "noNewPrivileges": true },
            "root": { "path": "rootfs", "readonly": true },
            "mounts": mounts,
            "linux": { "namespaces": namespaces, "seccomp": seccomp },
        });
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        let state = dir.path().join("state");
        let mut command = Command::new("runc");
        command.arg("--root").arg(&state).args(["run", "--bundle"]).arg(&bundle).arg(id);
        let out = command.output().expect("runc starts");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let cleaned = Command::new("runc").arg("--root").arg(&state).args(["delete", "--force", id]).output();
        cleaned.expect("runc starts");
        (out.status.success(), said, String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let id = format!("wave-test-{}", std::process::id());
    let mut permissive = profile.clone();
    permissive["defaultAction"] = "SCMP_ACT_ALLOW".into();
    permissive["syscalls"] = json!([]);
    let (ran, said, errors) = run(&permissive, &id);
    assert_eq!((ran, &*said), (true, "ran\n"), "the control: {errors}");
    // The same entries with another default show that each of them is understood.
    let mut logged = profile.clone();
    logged["defaultAction"] = "SCMP_ACT_LOG".into();
    let (ran, said, errors) = run(&logged, &id);
    assert_eq!((ran, &*said), (true, "ran\n"), "every entry is taken: {errors}");
    let (ran, said, _) = run(&profile, &id);
    assert_eq!((ran, &*said), (false, ""), "execve is none of the calls");
}

#[test]
fn listings_are_written_for_people() {
    let dir = writable_dir();
    for name in ["compute", "files-rw"] {
        let shape = all_shapes().iter().find(|shape| shape.name == name).expect("a shape");
        fs::write(dir.path().join("p.toml"), policy_of(dir.path(), shape)).unwrap();
        for (format, ending) in [("oci-seccomp", "json"), ("seccomp-bpf", "bpf"), ("landlock", "landlock")] {
            is_snapshot(&format!("{name}.{ending}"), &export(dir.path(), format, "p.toml"));
        }
    }
}

/// A line for each instruction of the program that a run of this policy gets, and each of its rules is named.
#[test]
fn the_listing_is_the_program() {
    let dir = writable_dir();
    for shape in all_shapes() {
        fs::write(dir.path().join("p.toml"), policy_of(dir.path(), shape)).unwrap();
        let text = export(dir.path(), "seccomp-bpf", "p.toml");
        let growable = if shape.growable { &[RANGE][..] } else { &[] };
        let grants = shape.grant.map(|access| FilesystemGrant { host: "/srv".into(), access });
        let imports = shape.functions.iter().map(|name| ("wasi_snapshot_preview1", name));
        let policy =
            Policy { surface: Surface::from_imports(imports), grants: grants.into_iter().collect(), ..shape.policy() };
        let program = filter(&SealPlan { growable, ..SealPlan::new(&policy) }).expect("the table compiles");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), program.len(), "{}", shape.name);
        assert!(!text.contains(".word"), "every instruction has a name");
        for rule in policy.rules(shape.growable) {
            let named = lines.iter().any(|line| line.split([' ', ',']).any(|word| word == rule.id));
            assert!(named, "{}: {}", shape.name, rule.id);
        }
    }
}

#[test]
fn a_policy_that_does_not_say_which_calls_is_refused() {
    let dir = writable_dir();
    let shape = &all_shapes()[1];
    let text = policy_of(dir.path(), shape);
    let fix = "  where: p.toml\n  fix:   take `[wasi]` and `[os]` from `wave policy gen MODULE`\n";
    for (text, what) in [
        (
            "version = 1\n".to_owned(),
            "the system calls of a module are known from `[os]` and `wasi.functions`, and one is missing",
        ),
        (
            text.replace("\nbrk = \"brk\"\n", "\n"),
            "`[os]` is not what follows from `wasi.functions`: `os.always.brk` is missing",
        ),
    ] {
        fs::write(dir.path().join("p.toml"), text).unwrap();
        for format in ["oci-seccomp", "seccomp-bpf", "landlock"] {
            let said = wave(dir.path(), &["policy", "export", "--format", format, "p.toml"]);
            said.is(125, "", &format!("wave: {what}\n{fix}"));
        }
    }
    fs::write(dir.path().join("p.toml"), text).unwrap();
    export(dir.path(), "landlock", "p.toml");
}

/// T123: a run gives no directory to a module that cannot use one, and the exports say the same.
#[test]
fn a_grant_without_use_is_in_no_export() {
    let dir = writable_dir();
    let compute = policy_of(dir.path(), &all_shapes()[0]);
    let files = policy_of(dir.path(), all_shapes().iter().find(|shape| shape.name == "files-ro").expect("a shape"));
    let grant = "[[fs]]\nhost = \"/srv\"\naccess = \"ro\"\n\n[os]\n";
    fs::write(dir.path().join("p.toml"), compute.replace("[os]\n", grant)).unwrap();
    assert!(export(dir.path(), "landlock", "p.toml").contains("# No rule: nothing can be opened.\n"));
    fs::write(dir.path().join("p.toml"), files).unwrap();
    let text = export(dir.path(), "landlock", "p.toml");
    assert!(text.ends_with("fs[0] path_beneath \"/srv\": read_file, read_dir\n"), "{text}");
}
