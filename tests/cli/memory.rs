//! `--max-rss`: the memory of the whole process is bounded, the end by it has a name, and nothing is left behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wave_cgroups::{Cgroup, CgroupPath, Layout, Resources};
use wave_test_support::{Outcome, Wave, as_root, cannot_run, wat};

/// A program that fills memory without end, 1 MiB at a time. It says so by a trap if memory does not grow.
const GROWS: &str = r#"(module (memory 1)
    (func $grows (export "_start")
      (loop $again
        (if (i32.lt_s (memory.grow (i32.const 16)) (i32.const 0)) (then unreachable))
        (memory.fill (i32.mul (i32.sub (memory.size) (i32.const 16)) (i32.const 65536)) (i32.const 1) (i32.const 1048576))
        (br $again))))"#;

/// A program that fills 20 MiB and ends.
const FILLS: &str = r#"(module (memory 320)
    (func (export "_start") (memory.fill (i32.const 0) (i32.const 1) (i32.const 20971520))))"#;

/// A program that exits as a run does that has reached its limit.
const FAKES: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 137))))"#;

/// A program that never ends.
const SPINS: &str = r#"(module (func (export "_start") (loop (br 0))))"#;

const REACHED: &str = "wave: memory limit of 64M reached\n  where: --max-rss\n";

/// A control group under which runs make theirs. Dropping it checks that they have removed them.
struct Parent {
    name: String,
    group: Cgroup,
}

impl Parent {
    /// Nothing if this user may not create one, or there is no controller for memory.
    fn new(name: &str) -> Option<Self> {
        let name = format!("/wave-test-{}-{name}", std::process::id());
        let layout = Layout::detect().ok()?.only("memory");
        let path = CgroupPath::parse(Some(&name), "id", false).expect("a path");
        let bounded: Resources = serde_json::from_value(json!({"memory": {"limit": 1_i64 << 40}})).expect("resources");
        match Cgroup::create(&layout, &path, &bounded) {
            Ok(group) => Some(Self { name, group }),
            Err(error) => {
                assert!(!as_root() || !error.is_permission() || fs::metadata("/sys/fs/cgroup").is_err(), "{error}");
                cannot_run(&format!("no control group: {error}"));
                None
            }
        }
    }

    fn strict(&self, limit: &str) -> Wave {
        Wave::strict().flag("--cgroup", &self.name).flag("--max-rss", limit)
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let inside = |path: &Path| fs::read_dir(path).expect("it is there").filter_map(Result::ok);
        let left: Vec<_> =
            self.group.paths().flat_map(inside).map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        self.group.kill_all().and_then(|()| self.group.delete()).expect("a group of ours");
        assert!(left.is_empty() || std::thread::panicking(), "{left:?}");
    }
}

fn run(wave: Wave, text: &str) -> Outcome {
    let (_dir, module) = wat(text);
    wave.run(module, [""; 0])
}

/// How the run ended, and its exit code.
fn outcome(wave: Wave, text: &str) -> (i32, Value) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("outcome.json");
    let printed = run(wave.flag("--outcome", file.to_str().expect("UTF-8")), text);
    let value: Value = serde_json::from_str(&fs::read_to_string(file).expect("an outcome")).expect("JSON");
    assert_eq!(Some(value["exit_code"].clone()), printed.status.code().map(Value::from), "{}", printed.stderr);
    (printed.status.code().expect("an exit code"), value["ending"].clone())
}

#[test]
fn the_limit_ends_a_run_with_its_name() {
    let Some(parent) = Parent::new("ends") else { return };
    run(parent.strict("64M"), GROWS).is(137, "", REACHED);
    run(parent.strict("64M"), FILLS).is(0, "", "");
    run(parent.strict("64M"), FAKES).is(137, "", "");
    // So small that the process does not come to load the program.
    run(parent.strict("64K"), FILLS).is(137, "", &REACHED.replace("64M", "64K"));
}

#[test]
fn the_outcome_tells_the_limit_from_what_looks_like_it() {
    let Some(parent) = Parent::new("outcome") else { return };
    assert_eq!(outcome(parent.strict("64M"), GROWS), (137, json!({"kind": "memory_limit", "limit_bytes": 64 << 20})));
    assert_eq!(outcome(parent.strict("64M"), FAKES), (137, json!({"kind": "exited", "code": 137})));
    assert_eq!(outcome(parent.strict("64M"), FILLS), (0, json!({"kind": "exited", "code": 0})));
    let nowhere = Wave::strict().flag("--cgroup", "/..").flag("--max-rss", "64M");
    let (code, ending) = outcome(nowhere, FILLS);
    assert_eq!((code, &ending["kind"], &ending["place"]), (125, &json!("refused"), &json!("--cgroup /..")));
}

#[test]
fn a_policy_has_the_limit_too() {
    let Some(parent) = Parent::new("policy") else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("p.toml"), "version = 1\n[limits]\nmax-rss = \"64M\"\n").expect("own directory");
    let wave = || Wave::strict().current_dir(dir.path()).flag("--policy", "p.toml").flag("--cgroup", &parent.name);
    run(wave(), GROWS).is(137, "", &REACHED.replace("--max-rss", "limits.max-rss (p.toml:3)"));
    run(wave().flag("--max-rss", "32M"), GROWS).is(137, "", &REACHED.replace("64M", "32M"));
    assert_eq!(outcome(wave(), GROWS), (137, json!({"kind": "memory_limit", "limit_bytes": 64 << 20})));
    let shown = run(wave().switch("--dry-run"), GROWS);
    assert!(shown.stdout.contains("process:  67108864 bytes"), "{}", shown.stdout);
}

/// An image is unpacked under the bound, too: here for a plan, which compiles nothing.
#[test]
fn an_image_is_unpacked_within_the_limit() {
    let Some(parent) = Parent::new("image") else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    // A custom section of 80 MiB of zeros, which packs well.
    let zeros = 80 << 20;
    let mut module = b"\0asm\x01\0\0\0\0\x82\x80\x80\x28\x01x".to_vec();
    module.resize(module.len() + zeros, 0);
    fs::write(dir.path().join("large.wasm"), module).expect("own directory");
    let mut pack = Command::new(wave_test_support::wave());
    let packed = pack.current_dir(dir.path()).args(["pack", "--format", "image", "-o", "out", "large.wasm"]).output();
    let packed = packed.expect("wave starts");
    assert!(packed.status.success(), "{packed:?}");
    let plan = |limit: &str| {
        let wave = parent.strict(limit).current_dir(dir.path()).switch("--dry-run");
        wave.run("oci:out", [""; 0])
    };
    plan("32M").is(137, "", &REACHED.replace("64M", "32M"));
    let said = plan("1G");
    assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""));
}

#[test]
fn signals_that_ask_for_an_end_leave_nothing_either() {
    let Some(parent) = Parent::new("signals") else { return };
    let (_dir, module) = wat(SPINS);
    let mut child = parent.strict("64M").command(module).stdout(Stdio::null()).spawn().expect("wave starts");
    while parent.group.pids().expect("a group of ours").is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill starts");
    assert!(sent.success());
    assert_eq!(child.wait().expect("our child").code(), Some(143));
}

#[test]
fn a_parent_is_for_a_limit_and_named_from_the_root() {
    let said = run(Wave::strict().flag("--cgroup", "/x"), FILLS);
    said.is(2, "", "wave: a control group without a limit\n  where: --cgroup /x\n  fix:   add --max-rss, or drop it\n");
    let said = run(Wave::strict().flag("--max-rss", "1M").flag("--cgroup", "/sys/fs/cgroup/memory"), FILLS);
    assert_eq!(said.status.code(), Some(2), "{}", said.stderr);
    assert!(said.stderr.contains("without /sys/fs/cgroup\n"), "{}", said.stderr);
}

/// An ordinary user has no control group, unless somebody has delegated one.
#[test]
fn without_a_control_group_the_other_bound_is_named() {
    if as_root() {
        return cannot_run("root may create control groups");
    }
    let said = run(Wave::strict().flag("--max-rss", "128M"), GROWS);
    if said.stderr == REACHED.replace("64M", "128M") {
        return cannot_run("this user may create control groups");
    }
    let note = "wave: note: no control group can be created for --max-rss: ";
    assert!(said.stderr.starts_with(note) && said.stderr.contains("RLIMIT_DATA"), "{}", said.stderr);
    said.is_trap("unreachable", &["grows"]);
    let said = run(Wave::strict().flag("--max-rss", "128M"), FILLS);
    assert_eq!(said.status.code(), Some(0), "{}", said.stderr);
    let said = run(Wave::strict().flag("--max-rss", "16M"), FILLS);
    assert_eq!(said.status.code(), Some(125), "{}", said.stderr);
}
