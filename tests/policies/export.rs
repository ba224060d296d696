//! `wave policy export`: the same filter in the words of other tools.
//!
//! Long outputs are files in `tests/policy_export/`; `WAVE_BLESS=1` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use wave_policy::{Access, FilesystemGrant, Needed, Policy, Role, Shape, Surface, all_shapes, all_starts};
use wave_sandbox::{GrowableRange, SealPlan, SystemCall, call_name, evaluate, filter};
use wave_test_support::around::permitting;
use wave_test_support::seatbelt::{Filter, Profile};
use wave_test_support::user::User;
use wave_test_support::{
    Outcome, as_root, assert_tree, cannot_run, copy_program, example, fill, finish, give_to_guest, has_capability,
    has_program, open_to_all, place_for_programs, source, writable_dir,
};

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
    // Another user's runtime would make a user namespace of its own, which is not what is tested.
    if !as_root() || !has_capability(wave_test_support::SYS_ADMIN) {
        return cannot_run("only root with CAP_SYS_ADMIN starts containers without a user namespace");
    }
    if !has_program(&mut Command::new("runc"), "runc") {
        return;
    }
    let bundle = dir.path().join("bundle");
    let shared: Vec<_> =
        ["/usr", "/bin", "/lib", "/lib64"].into_iter().filter(|path| Path::new(path).exists()).collect();
    for path in shared.iter().chain(&["/proc", "/dev"]) {
        fs::create_dir_all(bundle.join("rootfs").join(path.trim_start_matches('/'))).unwrap();
    }
    let bound = shared.iter().map(
        |path| json!({ "destination": path, "type": "bind", "source": path, "options": ["bind", "ro", "nosuid"] }),
    );
    let proc = json!({ "destination": "/proc", "type": "proc", "source": "proc" });
    // Temporary files may lie where no device is opened.
    let dev = json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] });
    let mounts: Vec<_> = [proc, dev].into_iter().chain(bound).collect();
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
        for (format, ending) in [
            ("oci-seccomp", "json"),
            ("seccomp-bpf", "bpf"),
            ("landlock", "landlock"),
            ("systemd", "conf"),
            ("seatbelt", "sb"),
        ] {
            is_snapshot(&format!("{name}.{ending}"), &export(dir.path(), format, "p.toml"));
        }
    }
}

/// Every shape has the profile that follows from its grant and its listener, and nothing else changes.
#[test]
fn the_profile_of_each_shape_follows_from_its_grants() {
    let dir = writable_dir();
    let mut seen = BTreeSet::new();
    for shape in all_shapes() {
        fs::write(dir.path().join("p.toml"), policy_of(dir.path(), shape)).unwrap();
        let text = export(dir.path(), "seatbelt", "p.toml");
        Profile::read(&text).expect("the grammar");
        let (base, rest) = text.split_once("(allow file-read-metadata").expect("the way to the program");
        let is_granted = rest.contains("\"/srv\"");
        let listens = rest.contains("(allow network-bind network-inbound (local tcp \"localhost:80\"))");
        assert_eq!((is_granted, listens), (shape.grant.is_some(), shape.listener), "{}", shape.name);
        seen.insert((shape.grant.map(|access| access.to_string()), shape.listener, base.to_owned(), text.clone()));
    }
    let bases: BTreeSet<_> = seen.iter().map(|(_, _, base, _)| base).collect();
    assert_eq!(bases.len(), 1);
    let inputs: BTreeSet<_> = seen.iter().map(|(grant, listener, ..)| (grant, listener)).collect();
    assert_eq!(seen.len(), inputs.len(), "grant and listener decide on the profile: {seen:#?}");
    let all = seen.iter().map(|(grant, listener, _, text)| {
        let listener = if *listener { " and a listener" } else { "" };
        format!("; {}{listener}\n{text}", grant.as_deref().unwrap_or("nothing"))
    });
    // `tests/macos.sh` reads them.
    is_snapshot("shapes.sb", &all.collect::<Vec<_>>().join("\n"));
}

/// The profiles of the five programs of `docs/policies.md` name no path that their policies do not.
#[test]
fn the_profiles_of_the_gallery_have_nothing_that_is_not_granted() {
    let dir = writable_dir();
    let document = fs::read_to_string(source("docs/policies.md")).expect("it is there");
    let policies: Vec<_> = document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let policies: Vec<_> = policies.into_iter().filter(|text| text.contains("[os]")).collect();
    assert_eq!(policies.len(), 5);
    let of_a_start: BTreeSet<_> = paths(&profile_of(dir.path(), policies[0])).collect();
    let mut granted = Vec::new();
    for text in policies {
        let profile = profile_of(dir.path(), text);
        let values = |key: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            lines.map(|value| value.trim_matches('"').to_owned()).collect::<Vec<_>>()
        };
        let hosts: Vec<_> = values("host").iter().map(|host| dir.path().join(host)).collect();
        let writable = values("access").iter().filter(|access| *access == "rw").count();
        for path in paths(&profile).filter(|path| !of_a_start.contains(path)) {
            assert!(hosts.iter().any(|host| host.starts_with(&path)), "{path:?}: {hosts:?}");
        }
        assert!(hosts.iter().all(|host| profile.allows("file-read-data", &host.join("below"))));
        assert_eq!(profile.filters("file-write-data").count(), writable);
        let listens = !values("listen").is_empty();
        assert_eq!(profile.filters("network-inbound").count(), usize::from(listens));
        granted.push((hosts.len(), writable, listens));
    }
    assert_eq!(granted, [(0, 0, false), (1, 0, false), (2, 1, false), (0, 0, true), (2, 1, false)]);
}

fn profile_of(dir: &Path, policy: &str) -> Profile {
    fs::write(dir.join("p.toml"), policy).unwrap();
    Profile::read(&export(dir, "seatbelt", "p.toml")).expect("the grammar")
}

/// Every path of a profile.
fn paths(profile: &Profile) -> impl Iterator<Item = PathBuf> {
    let filters = profile.0.iter().flat_map(|rule| &rule.filters);
    filters.filter_map(|filter| match filter {
        Filter::Literal(path) | Filter::Subpath(path) => Some(path.into()),
        _ => None,
    })
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
        (text.replace("\nbrk = \"brk\"\n", "\n"), "`[os]` does not match `wasi.functions`: `os.always.brk` is missing"),
    ] {
        fs::write(dir.path().join("p.toml"), text).unwrap();
        for format in ["oci-seccomp", "seccomp-bpf", "landlock", "systemd"] {
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

/// Nothing is exported of a policy that nothing enforces.
#[test]
fn a_policy_without_a_sandbox_is_not_exported() {
    let dir = writable_dir();
    let text = policy_of(dir.path(), &all_shapes()[0]);
    let off = text.replace("sandbox = \"strict\"", "sandbox = \"off\"");
    fs::write(dir.path().join("p.toml"), off).unwrap();
    for format in ["oci-seccomp", "seccomp-bpf", "landlock", "systemd"] {
        let said = wave(dir.path(), &["policy", "export", "--format", format, "p.toml"]);
        let what = "wave: no layer of the kernel is applied under this policy: sandbox = \"off\"\n  \
                    where: p.toml:3\n  fix:   write sandbox = \"strict\" to export what it would apply\n";
        said.is(125, "", what);
    }
    fs::write(dir.path().join("p.toml"), text).unwrap();
    export(dir.path(), "systemd", "p.toml");
}

/// The values of a setting, in order.
fn settings<'a>(unit: &'a str, setting: &str) -> Vec<&'a str> {
    let start = format!("{setting}=");
    unit.lines().filter_map(|line| line.strip_prefix(&*start)).collect()
}

/// The calls that a drop-in permits.
fn permitted(unit: &str) -> BTreeSet<&str> {
    settings(unit, "SystemCallFilter").into_iter().flat_map(str::split_whitespace).collect()
}

/// What systemd says of a unit with a drop-in: its warnings, and the exposure in tenths.
fn systemd(dir: &Path, drop_in: &str) -> (String, u64) {
    let unit = dir.join("wave-test.service");
    let user = if drop_in.contains("\nDynamicUser=yes\n") { "" } else { "User=wave-test\nGroup=wave-test\n" };
    fs::write(&unit, format!("[Unit]\nDescription=A program\n[Service]\nExecStart=/bin/true\n{user}")).unwrap();
    let beside = dir.join("wave-test.service.d");
    fs::create_dir_all(&beside).unwrap();
    fs::write(beside.join("wave.conf"), drop_in).unwrap();
    let out = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let warnings = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    let mut command = Command::new("systemd-analyze");
    let out = command.args(["security", "--offline=true", "--no-pager"]).arg(&unit).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let level = text.split_once("Overall exposure level for wave-test.service: ").expect("a result").1;
    let (whole, tenths) = level.split_once(' ').expect("a number and a word").0.split_once('.').expect("a decimal");
    (warnings, whole.parse::<u64>().unwrap() * 10 + tenths.parse::<u64>().unwrap())
}

fn has_systemd() -> bool {
    has_program(&mut Command::new("systemd-analyze"), "systemd")
}

/// systemd takes every line of a drop-in, and what it does not like of it is known. Of the exposure, 0.4 is for the calls that
/// lower privileges and limits, 0.1 each for the host's root directory, pages of code and what ProtectClock= brings. With
/// openat2 there is no RestrictSUIDSGID=; a server has the host's network.
#[test]
fn systemd_takes_the_drop_in_and_finds_little_exposed() {
    if !has_systemd() {
        return;
    }
    let dir = writable_dir();
    for (shape, most) in all_shapes().iter().zip([5, 5, 7, 7, 15]) {
        fs::write(dir.path().join("p.toml"), policy_of(dir.path(), shape)).unwrap();
        let unit = export(dir.path(), "systemd", "p.toml");
        let (warnings, exposed) = systemd(dir.path(), &unit);
        assert_eq!(warnings, "", "{}", shape.name);
        assert!(exposed <= most, "{}: {exposed} tenths", shape.name);
    }
    let (warnings, exposed) = systemd(dir.path(), "[Service]\nSystemCallFilter=no_such_call\n");
    assert!(warnings.contains("no_such_call") && exposed > 50, "the control: {warnings} {exposed}");
}

/// Directories with names that mean something in a unit are the directories that systemd reads.
#[test]
fn systemd_reads_the_paths_that_were_granted() {
    if !has_systemd() {
        return;
    }
    let dir = writable_dir();
    let shape = all_shapes().iter().find(|shape| shape.name == "files-ro").expect("a shape");
    let text = policy_of(dir.path(), shape);
    let plain = ["/srv/a b", "/srv/%h", "/srv/a\"b", "/srv/a\\n", "/srv/a:b", "/srv/$HOME;#'", "/srv/\u{e9}"];
    let beneath_home = ["/home/x", "/home/a b:c%n\"\\"];
    let grants: String = plain
        .iter()
        .chain(&beneath_home)
        .enumerate()
        .map(|(index, host)| format!("[[fs]]\nhost = {host:?}\nguest = \"/{index}\"\naccess = \"ro\"\n\n"))
        .collect();
    let text = text.replace("[[fs]]\nhost = \"/srv\"\naccess = \"ro\"\n\n", &grants).replace("\\u{e9}", "\u{e9}");
    fs::write(dir.path().join("p.toml"), text).unwrap();
    let unit = export(dir.path(), "systemd", "p.toml");
    assert_eq!(settings(&unit, "ProtectHome"), ["tmpfs"]);
    assert_eq!(systemd(dir.path(), &unit).0, "");
    let mut command = Command::new("systemd-analyze");
    let command = command.args(["verify", "--man=no"]).arg(dir.path().join("wave-test.service"));
    let out = command.env("SYSTEMD_LOG_LEVEL", "debug").output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_default().to_owned();
    assert_eq!(line("ReadOnlyPaths: "), plain.join(" "));
    let bound: Vec<_> = beneath_home.iter().map(|path| format!("{path}:{path}:rbind")).collect();
    let seen: Vec<_> = said.lines().filter_map(|line| line.trim().strip_prefix("BindReadOnlyPaths: ")).collect();
    assert_eq!(seen.join(" "), bound.join(" "));
}

/// A path that a unit cannot hold is an error that names its rule, and nothing is printed.
#[test]
fn a_path_that_no_unit_can_hold_is_refused() {
    let dir = writable_dir();
    let shape = all_shapes().iter().find(|shape| shape.name == "files-ro").expect("a shape");
    let text = policy_of(dir.path(), shape);
    for (host, what) in [
        ("/srv/a\\nExecStart=/bin/sh", "`/srv/a\\u{a}ExecStart=/bin/sh` contains the character \\u{a}"),
        ("/srv/../etc", "`/srv/../etc` leads through `..`, which systemd ignores"),
    ] {
        fs::write(dir.path().join("p.toml"), text.replace("\"/srv\"", &format!("\"{host}\""))).unwrap();
        let said = wave(dir.path(), &["policy", "export", "--format", "systemd", "p.toml"]);
        let fix = "rename the directory on the host, or bind-mount it under another path";
        let what =
            format!("wave: fs[0] cannot be written in a unit of systemd: {what}\n  where: p.toml\n  fix:   {fix}\n");
        said.is(125, "", &what);
    }
    fs::write(dir.path().join("p.toml"), text).unwrap();
    assert_eq!(settings(&export(dir.path(), "systemd", "p.toml"), "ReadOnlyPaths"), ["\"/srv\""]);
}

/// What a policy says of network, limits and identity stands in its drop-in.
#[test]
fn a_drop_in_follows_from_its_policy() {
    let dir = writable_dir();
    let shape = |name: &str| all_shapes().iter().find(|shape| shape.name == name).expect("a shape");
    let unit = |text: String| {
        fs::write(dir.path().join("p.toml"), text).unwrap();
        export(dir.path(), "systemd", "p.toml")
    };
    let compute = unit(policy_of(dir.path(), shape("compute")));
    for (setting, value) in [
        ("DynamicUser", "yes"),
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("PrivateNetwork", "yes"),
        ("IPAddressDeny", "any"),
        ("RestrictSUIDSGID", "yes"),
        ("PrivateTmp", "yes"),
        ("ProtectHome", "yes"),
        ("SystemCallErrorNumber", "EPERM"),
    ] {
        assert_eq!(settings(&compute, setting), [value], "{setting}");
    }
    for absent in ["RuntimeMaxSec", "LimitFSIZE", "SocketBindAllow", "IPAddressAllow", "ReadOnlyPaths"] {
        assert!(settings(&compute, absent).is_empty(), "{absent}");
    }
    assert!(!permitted(&compute).contains("socket"));

    let server = policy_of(dir.path(), shape("server"));
    let net = |net: &str| server.replace("listen = [\"127.0.0.1:80\"]", net);
    let low = unit(net("listen = [\"127.0.0.1:80\"]"));
    assert_eq!(settings(&low, "AmbientCapabilities"), ["CAP_NET_BIND_SERVICE"]);
    assert!(settings(&low, "PrivateUsers").is_empty());
    assert_eq!(settings(&low, "IPAddressAllow"), ["localhost"]);
    let text = net("listen = [\"0.0.0.0:8080\", \"[::]:0\"]\naccept_from = [\"10.0.0.0/8\", \"::/0\"]");
    let text =
        text.replace("[os]\n", "[limits]\ntimeout = \"5s\"\ncompile-timeout = \"7s\"\nmax-file-size = 4096\n\n[os]\n");
    let both = unit(text);
    assert_eq!(settings(&both, "AmbientCapabilities"), [""]);
    assert_eq!(settings(&both, "RestrictAddressFamilies"), ["AF_INET AF_INET6"]);
    assert_eq!(settings(&both, "SocketBindDeny"), ["any"]);
    assert_eq!(settings(&both, "SocketBindAllow"), ["ipv4:tcp:8080", "ipv6:tcp"]);
    assert_eq!(settings(&both, "IPAddressAllow"), ["10.0.0.0/8", "::/0", "0.0.0.0/0"]);
    assert_eq!(settings(&both, "RuntimeMaxSec"), ["23"]);
    assert_eq!(settings(&both, "LimitFSIZE"), ["4096"]);
    let open = unit(net("listen = [\"0.0.0.0:8080\"]"));
    assert!(settings(&open, "IPAddressDeny").is_empty());

    let files = unit(policy_of(dir.path(), shape("files-rw")));
    assert!(settings(&files, "DynamicUser").is_empty());
    assert_eq!(settings(&files, "RestrictSUIDSGID"), ["no"], "it would take openat2 away");
    assert_eq!(settings(&files, "ReadWritePaths"), ["\"/srv\""]);
    let manual = wave(dir.path(), &["policy", "gen", "--resolver", "manual", "m.wat"]).stdout;
    let relative = manual.replace("[os]\n", "[[fs]]\nhost = \"data\"\naccess = \"ro\"\n\n[os]\n");
    let files = unit(relative);
    assert_eq!(settings(&files, "RestrictSUIDSGID"), ["yes"]);
    assert!(!permitted(&files).contains("openat2"));
    let host = std::path::absolute(dir.path().join("data")).unwrap();
    let (setting, home) =
        if host.starts_with("/home") { ("BindReadOnlyPaths", "tmpfs") } else { ("ReadOnlyPaths", "yes") };
    assert_eq!(settings(&files, setting), [format!("\"{}\"", host.display())]);
    assert_eq!(settings(&files, "ProtectHome"), [home]);
    let is_dynamic = !host.starts_with("/tmp") && !host.starts_with("/var/tmp");
    assert_eq!(!settings(&files, "DynamicUser").is_empty(), is_dynamic);
}

/// Every call of the table is one of the kernel's, and the drop-in has those of its run and no others.
/// A program that connects is in the network of the host, by the addresses of its grants, and the calls of its broker are permitted.
#[test]
fn a_drop_in_has_the_connections_of_its_policy() {
    let dir = tempfile::tempdir().unwrap();
    let module = |import: &str| format!("(module (import {import} (func)) (memory 1 1))");
    for (import, asks) in [("\"wave_net\" \"tcp_connect\"", true), ("\"wasi_snapshot_preview1\" \"fd_read\"", false)] {
        fs::write(dir.path().join("m.wat"), module(import)).unwrap();
        let generated = wave(dir.path(), &["policy", "gen", "m.wat"]).stdout;
        for (connect, families) in [("", ""), ("\"10.1.0.0/16:80\", \"[2001:db8::]/32:1-2\"", "AF_INET AF_INET6")] {
            let granted = asks && !connect.is_empty();
            fs::write(dir.path().join("p.toml"), format!("{generated}\n[net]\nconnect = [{connect}]\n")).unwrap();
            let unit = export(dir.path(), "systemd", "p.toml");
            let only = |setting| settings(&unit, setting).join(" ");
            assert_eq!(only("PrivateNetwork"), if granted { "no" } else { "yes" });
            assert_eq!(only("RestrictAddressFamilies"), if granted { families } else { "none" });
            assert_eq!(only("IPAddressDeny"), "any");
            assert_eq!(only("IPAddressAllow"), if granted { "10.1.0.0/16 2001:db8::/32" } else { "" });
            let calls = permitted(&unit);
            assert_eq!(["socket", "connect", "getpeername"].map(|call| calls.contains(call)), [granted; 3], "{unit}");
        }
    }
}

/// A unit allows addresses, and a name has others each time.
#[test]
fn no_drop_in_is_written_for_a_policy_with_names() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.wat"), "(module (import \"wave_net\" \"tcp_connect\" (func)) (memory 1 1))").unwrap();
    let generated = wave(dir.path(), &["policy", "gen", "m.wat"]).stdout;
    fs::write(dir.path().join("p.toml"), format!("{generated}\n[net]\nconnect = [\"db.example:80\"]\n")).unwrap();
    let said = wave(dir.path(), &["policy", "export", "--format", "systemd", "p.toml"]);
    assert_eq!((said.status.code(), &*said.stdout), (Some(125), ""), "{}", said.stderr);
    assert!(said.stderr.contains("those of `db.example` are looked up at each start"), "{}", said.stderr);
}

#[test]
fn the_call_list_is_that_of_the_table() {
    let dir = writable_dir();
    let known: BTreeSet<_> = (0..1024).filter_map(call_name).collect();
    for start in all_starts() {
        assert!(start.calls.iter().all(|call| known.contains(call)), "{}", start.name);
    }
    for shape in all_shapes() {
        fs::write(dir.path().join("p.toml"), policy_of(dir.path(), shape)).unwrap();
        let unit = export(dir.path(), "systemd", "p.toml");
        let starts = all_starts().iter().filter(|start| match start.needed {
            Needed::Every => true,
            Needed::Listener => shape.listener,
            Needed::Late => false,
        });
        let compiler = Policy { role: Role::Compiler, ..Policy::default() };
        let policy = shape.policy();
        let rules = policy.rules(shape.growable).chain(compiler.rules(false)).map(|rule| rule.call);
        let expected: BTreeSet<_> = starts.flat_map(|start| start.calls).copied().chain(rules).collect();
        assert_eq!(permitted(&unit), expected, "{}", shape.name);
    }
}

/// Parameters of the functions in [`all_shapes`]: `i` is an i32, `l` an i64. All but `proc_exit` return an errno.
const PARAMETERS: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_time_get", "ili"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "illi"),
    ("fd_allocate", "ill"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "il"),
    ("fd_filestat_set_times", "illi"),
    ("fd_pread", "iiili"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiili"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiili"),
    ("fd_renumber", "ii"),
    ("fd_seek", "ilii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiilli"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiillii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("random_get", "ii"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// A program of a shape: it calls some of its functions in turn and exits with the first errno that is not 0. At address 0
/// stand names, at 64 a buffer of 16 bytes at 128, results from 32 on.
fn program(shape: &Shape) -> String {
    let word = |kind| if kind == 'l' { " i64" } else { " i32" };
    let import = |name: &&str| {
        let (_, parameters) = PARAMETERS.iter().find(|(other, _)| other == name).expect("parameters of each function");
        let parameters: String = parameters.chars().map(word).collect();
        let result = if *name == "proc_exit" { "" } else { "(result i32)" };
        format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param{parameters}) {result}))\n")
    };
    let imports: String = shape.functions.iter().map(import).collect();
    let call = |function: &str, arguments: &[&str]| {
        let (_, kinds) = PARAMETERS.iter().find(|(other, _)| *other == function).expect("parameters of each function");
        let argument = |(kind, text): (char, &&str)| match text.parse::<i64>() {
            Ok(number) => format!(" ({}.const {number})", word(kind).trim()),
            Err(_) => format!(" (i32.load (i32.const {}))", text.trim_start_matches('*')),
        };
        let arguments: String = kinds.chars().zip(arguments).map(argument).collect();
        format!("(if (local.tee $errno (call ${function}{arguments})) (then (call $proc_exit (local.get $errno))))\n")
    };
    let write = call("fd_write", &["1", "64", "1", "40"]);
    let calls: String = match shape.name {
        "compute" => String::new(),
        "stdio" => {
            let first = [call("clock_time_get", &["0", "0", "48"]), call("random_get", &["96", "8"])];
            [first.concat(), call("fd_read", &["0", "64", "1", "40"]), write].concat()
        }
        "files-ro" => {
            let open = call("path_open", &["3", "0", "0", "2", "0", "2", "0", "0", "32"]);
            [open, call("fd_read", &["*32", "64", "1", "40"]), write].concat()
        }
        "files-rw" => {
            let open = call("path_open", &["3", "0", "0", "2", "0", "2", "0", "0", "32"]);
            // fd_datasync, fd_write
            let make = call("path_open", &["3", "0", "2", "3", "1", "65", "0", "0", "36"]);
            let both = [call("fd_write", &["*36", "64", "1", "40"]), call("fd_datasync", &["*36"])];
            let read = call("fd_read", &["*32", "64", "1", "40"]);
            let rename = call("path_rename", &["3", "2", "3", "3", "5", "3"]);
            [open, read, make, both.concat(), rename, write].concat()
        }
        "server" => {
            let accept = call("sock_accept", &["3", "0", "32"]);
            let receive = call("sock_recv", &["*32", "64", "1", "0", "40", "44"]);
            [accept, receive, call("sock_send", &["*32", "64", "1", "0", "40"]), write].concat()
        }
        other => panic!("{other}: a program for it"),
    };
    let most = if shape.growable { "" } else { "1" };
    let grow = if shape.growable { "(drop (memory.grow (i32.const 1)))" } else { "" };
    format!(
        "(module {imports}(memory (export \"memory\") 1 {most})\n\
         (data (i32.const 0) \"inoutnew\") (data (i32.const 64) \"\\80\\00\\00\\00\\03\\00\\00\\00\")\n\
         (func (export \"_start\") (local $errno i32)\n{grow}\n{calls}))\n"
    )
}

/// `wave` and a program of a shape with its policy, where every user can reach them.
struct Place {
    dir: TempDir,
    shape: &'static Shape,
    calls: BTreeSet<String>,
}

impl Place {
    fn new(shape: &'static Shape) -> Self {
        let dir = place_for_programs();
        open_to_all(dir.path());
        fill(dir.path(), &[("m.wat", &program(shape))]);
        let mut text = wave(dir.path(), &["policy", "gen", "m.wat"]).stdout;
        if let Some(access) = shape.grant {
            let grant = format!("[[fs]]\nhost = \"granted\"\naccess = \"{access}\"\n\n[os]\n");
            text = text.replace("[os]\n", &grant);
        }
        if shape.listener {
            text = text.replace("[os]\n", "[net]\nlisten = [\"127.0.0.1:0\"]\n\n[os]\n");
        }
        fill(dir.path(), &[("p.toml", &text)]);
        let unit = export(dir.path(), "systemd", "p.toml");
        let calls = permitted(&unit).into_iter().map(str::to_owned).collect();
        Self { dir, shape, calls }
    }

    /// The granted directory, as it is before a run.
    fn granted(&self) -> PathBuf {
        let granted = self.dir.path().join("granted");
        if granted.exists() {
            fs::remove_dir_all(&granted).unwrap();
        }
        fs::create_dir(&granted).unwrap();
        give_to_guest(&granted);
        fill(&granted, &[("in", "yes")]);
        granted
    }

    /// Runs the program where nothing but the exported calls is permitted, and of those not these.
    fn run(&self, user: User, program: &Path, before: &[&str], without: &[&str]) -> Outcome {
        let calls = self.calls.iter().map(String::as_str).filter(|call| !without.contains(call));
        let number = |call| (0..1024).find(|number| call_name(*number) == Some(call)).expect("a call of the kernel");
        let calls: Vec<_> = calls.map(number).collect();
        let mut command = permitting(&calls, program);
        user.runs(&mut command);
        let policy = self.dir.path().join("p.toml");
        command.args(before).args(["run", "--policy"]).arg(policy).arg(self.dir.path().join("m.wat"));
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        // A run that is refused does not read.
        child.stdin.take().expect("stdin is piped").write_all(b"yes").ok();
        if self.shape.listener {
            let mut stderr = BufReader::with_capacity(1, child.stderr.take().expect("stderr is piped"));
            let mut line = String::new();
            stderr.read_line(&mut line).expect("stderr can be read");
            child.stderr = Some(stderr.into_inner());
            let Some(address) = line.trim().strip_prefix("wave: listening on ") else {
                let mut outcome = finish(child);
                outcome.stderr.insert_str(0, &line);
                return outcome;
            };
            let mut stream = TcpStream::connect(address).expect("the program listens");
            stream.write_all(b"yes").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "yes");
        }
        finish(child)
    }

    /// Asserts the directory after a run that did all it can, or nothing.
    fn left(&self, ran: bool) {
        match (self.shape.grant, ran) {
            (Some(Access::ReadWrite), true) => assert_tree(&self.dir.path().join("granted"), &["in: yes", "new: yes"]),
            _ => assert_tree(&self.dir.path().join("granted"), &["in: yes"]),
        }
    }
}

/// T88: beneath the exported list of calls a run does what it does without, as root and as an ordinary user; and without a call
/// that a layer of the seal takes, it does not start.
#[test]
fn t88_a_run_works_beneath_its_exported_calls() {
    let users: Vec<_> = User::with_python().collect();
    for shape in all_shapes() {
        let place = Place::new(shape);
        let wave = place.dir.path().join("wave");
        for user in &users {
            place.granted();
            let text = if shape.functions.is_empty() { "" } else { "yes" };
            let outcome = place.run(**user, &wave, &[], &[]);
            assert_eq!(outcome.stderr, "", "{} as {user:?}", shape.name);
            outcome.is(0, text, "");
            place.left(true);
            for (call, layer) in [("seccomp", "seccomp"), ("landlock_create_ruleset", "landlock")] {
                place.granted();
                let outcome = place.run(**user, &wave, &[], &[call]);
                let seen = (outcome.status.code(), &*outcome.stdout);
                assert_eq!(seen, (Some(125), ""), "{} without {call}: {outcome:?}", shape.name);
                assert!(outcome.stderr.contains(layer), "{} without {call}: {}", shape.name, outcome.stderr);
                place.left(false);
            }
        }
    }
}

/// T88: what the seal refuses ends the program with status 159 also where the filter around it would fail the call; and where
/// only that one lacks it, the program sees an error.
#[test]
fn t88_a_refused_call_stays_refused_beneath_the_exported_calls() {
    let shape = all_shapes().iter().find(|shape| shape.name == "files-rw").expect("a shape");
    let place = Place::new(shape);
    let narrowed = copy_program(&example("narrowed"), place.dir.path());
    for user in User::with_python() {
        for without in [&[][..], &["fdatasync"]] {
            let granted = place.granted();
            let outcome = place.run(*user, &narrowed, &["guest", "fdatasync"], without);
            assert_eq!(outcome.status.code(), Some(159), "{outcome:?}");
            assert!(outcome.stderr.contains("fdatasync"), "{outcome:?}");
            assert_tree(&granted, &["in: yes", "out: yes"]);
        }
        let granted = place.granted();
        let wave = place.dir.path().join("wave");
        place.run(*user, &wave, &[], &["fdatasync"]).is(63, "", "");
        assert_tree(&granted, &["in: yes", "out: yes"]);
    }
}
