//! Bundles, and the runtime that is called with them.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;
use wave_test_support::{as_root, c_example, cannot_run, has_capability, wat};

const CAP_SYS_ADMIN: u32 = 21;

/// A program that ends at once with 42.
pub const EXIT: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 42))))"#;

/// A program that never ends.
pub const LOOP: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#;

/// A bundle with a runtime of its own.
pub struct Bundle {
    dir: TempDir,
    pub config: Value,
    /// A command that starts the runtime.
    pub before: &'static [&'static str],
}

impl Bundle {
    /// A bundle whose `/app.wasm` is a module text. `None` if this user cannot make containers; that is said.
    pub fn new(text: &str) -> Option<Self> {
        let (_dir, module) = wat(text);
        Self::with(&[("app.wasm", &module)])
    }

    /// A bundle with programs built from C.
    pub fn with_tools(names: &[&str]) -> Option<Self> {
        let tools: Option<Vec<_>> = names.iter().map(|name| c_example(name)).collect();
        let files: Vec<_> = names.iter().map(|name| format!("{name}.wasm")).collect();
        let tools = tools?;
        let pairs: Vec<_> = files.iter().zip(&tools).map(|(name, path)| (name.as_str(), path.as_path())).collect();
        Self::with(&pairs)
    }

    fn with(files: &[(&str, &Path)]) -> Option<Self> {
        if !can_make_containers() {
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let bundle = Self { config: config(), dir, before: &[] };
        fs::create_dir(bundle.rootfs()).expect("new");
        for (name, path) in files {
            fs::copy(path, bundle.rootfs().join(name)).expect("copied");
        }
        Some(bundle)
    }

    /// The root file system, seen from the host.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// A path in the bundle.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets a property, given as a JSON pointer, with the objects on the way.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut place = &mut self.config;
        for key in pointer.split('/').skip(1) {
            if place.is_null() {
                *place = json!({});
            }
            place = &mut place[key];
        }
        *place = value;
        self
    }

    /// Sets the words of the program.
    pub fn args(&mut self, args: &[&str]) -> &mut Self {
        self.set("/process/args", json!(args))
    }

    /// Adds a mount.
    pub fn mount(&mut self, kind: &str, source: &str, destination: &str, options: &[&str]) -> &mut Self {
        let mount = json!({ "type": kind, "source": source, "destination": destination, "options": options });
        self.config["mounts"].as_array_mut().expect("a list").push(mount);
        self
    }

    /// Calls the runtime, with the configuration as it is now.
    pub fn call(&self, args: &[&str]) -> Output {
        self.write();
        // No pipes: the process of a container has them, too, and they would be open as long as it lives.
        let [mut out, mut error] = [0; 2].map(|_| tempfile::tempfile().expect("a temporary file"));
        let clone = |file: &File| file.try_clone().expect("a descriptor is left");
        let status = self.command(args).stdout(clone(&out)).stderr(clone(&error)).status().expect("started");
        let read = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("readable");
            bytes
        };
        Output { status, stdout: read(&mut out), stderr: read(&mut error) }
    }

    /// Writes the configuration as it is now, at once: a runtime may be reading it.
    pub fn write(&self) {
        fs::write(self.path("new.json"), self.config.to_string()).expect("written");
        fs::rename(self.path("new.json"), self.path("config.json")).expect("replaced");
    }

    /// A call of the runtime.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.started(env!("CARGO_BIN_EXE_wave"));
        command.args(["oci", "--root"]).arg(self.path("state")).args(["--log-format", "json", "--log"]);
        command.arg(self.path("log.json")).args(args).current_dir(self.dir.path());
        command
    }

    /// A call of a program, as the runtime is called.
    pub fn started(&self, program: &str) -> Command {
        let mut words = self.before.iter().copied().chain([program]);
        let mut command = Command::new(words.next().expect("the program is one"));
        command.args(words);
        command
    }

    /// Runs the container; its exit code, standard output and standard error.
    #[track_caller]
    pub fn run(&self) -> (i32, String, String) {
        let output = self.call(&["run", "c"]);
        self.is_clean();
        show(&output)
    }

    /// Calls the runtime, which must succeed. Returns its standard output.
    #[track_caller]
    pub fn must(&self, args: &[&str]) -> String {
        let (code, out, error) = show(&self.call(args));
        assert_eq!((code, error.as_str()), (0, ""), "{args:?}");
        out
    }

    /// Calls the runtime, which must refuse with this text on standard error and in the log. Nothing is left.
    #[track_caller]
    pub fn is_refused(&self, args: &[&str], text: &str) {
        self.is_refused_with(125, args, text);
    }

    /// As [`is_refused`](Self::is_refused), with this exit code.
    #[track_caller]
    pub fn is_refused_with(&self, expected: i32, args: &[&str], text: &str) {
        fs::remove_file(self.path("log.json")).ok();
        let (code, out, error) = show(&self.call(args));
        assert_eq!((code, out.as_str()), (expected, ""), "{error}");
        assert!(error.contains(text), "`{text}` is not in: {error}");
        let log = fs::read_to_string(self.path("log.json")).expect("a log");
        let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["level"], "error", "{log}");
        assert!(last["msg"].as_str().expect("a text").contains(text), "{log}");
    }

    /// The status of the container.
    #[track_caller]
    pub fn status(&self) -> String {
        let state: Value = serde_json::from_str(&self.must(&["state", "c"])).expect("JSON");
        state["status"].as_str().expect("a text").to_owned()
    }

    /// Waits until the container has a status.
    #[track_caller]
    pub fn wait_for(&self, status: &str) {
        for _ in 0..6_000 {
            if self.status() == status {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("not {status}, but {}", self.status());
    }

    /// Nothing of a container is left: no state, no cgroup, no mount.
    #[track_caller]
    pub fn is_clean(&self) {
        let left: Vec<_> = fs::read_dir(self.path("state")).map_or_else(|_| Vec::new(), |dir| dir.flatten().collect());
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.cgroups(), [""; 0]);
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("readable");
        assert!(!mounts.contains(self.dir.path().to_str().expect("UTF-8")), "{mounts}");
    }

    /// The directories of the container's cgroup.
    pub fn cgroups(&self) -> Vec<String> {
        let path = self.config["linux"]["cgroupsPath"].as_str().expect("set");
        cgroup_mounts().iter().map(|mount| format!("{mount}{path}")).filter(|path| Path::new(path).exists()).collect()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // A test that fails leaves no container.
        drop(self.command(&["delete", "--force", "c"]).output());
    }
}

/// Whether this user and this host make namespaces and cgroups; if not, that is said.
fn can_make_containers() -> bool {
    static CAN: LazyLock<Result<(), String>> = LazyLock::new(|| {
        if !as_root() || !has_capability(CAP_SYS_ADMIN) {
            return Err("making namespaces and cgroups takes root".to_owned());
        }
        let mut command = Command::new("unshare");
        let output = command.args(["--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "true"]).output();
        match &output {
            Ok(found) if found.status.success() => {}
            _ => return Err(format!("no namespaces can be made here: {output:?}")),
        }
        let probe = format!("/wave-test/probe-{}", std::process::id());
        let made: Vec<_> = cgroup_mounts()
            .iter()
            .map(|mount| format!("{mount}{probe}"))
            .map(|path| {
                let made = fs::create_dir_all(&path).map_err(|error| format!("{path}: {error}"));
                fs::remove_dir(&path).ok();
                made
            })
            .collect();
        match made.is_empty() {
            true => Err("no cgroup file system is mounted".to_owned()),
            false => made.into_iter().collect(),
        }
    });
    CAN.as_ref().map_err(|why| cannot_run(why)).is_ok()
}

/// Where cgroup file systems are mounted.
fn cgroup_mounts() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("readable");
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.filter(|fields| fields[2].starts_with("cgroup")).map(|fields| fields[1].to_owned()).collect()
}

/// Exit code, standard output and standard error.
pub fn show(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn config() -> Value {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let cgroup = format!("/wave-test/{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    json!({
        "ociVersion": "1.2.0",
        "process": { "user": { "uid": 0, "gid": 0 }, "args": ["/app.wasm"], "env": ["A=b"], "cwd": "/" },
        "root": { "path": "rootfs" },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"] },
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "network" },
            ],
        },
    })
}
