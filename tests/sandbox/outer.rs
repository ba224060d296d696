//! `wave` inside of another sandbox: one whose filter hides calls, or a user namespace (T88, T90). As root, each run is made as root
//! and as an ordinary user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use wave_test_support::around::{ENOSYS, EPERM, OPENAT2, hiding};
use wave_test_support::user::User;
use wave_test_support::{assert_tree, fill, open_to_all, place_for_programs};

/// Runs the rest on a kernel whose Landlock says it has the ABI of the first argument (seccomp_unotify(2)).
const OLDER: &str = r#"
import ctypes, fcntl, os, select, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
numbers, done = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    os.close(done[1])
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x7fc00000), (0x06, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    listener = libc.syscall(317, 1, 8, program)
    assert listener >= 0
    os.write(numbers[1], struct.pack("i", listener))
    os.read(done[0], 1)
    os.execv(sys.argv[2], sys.argv[2:])
listener = libc.syscall(438, os.pidfd_open(child), *struct.unpack("i", os.read(numbers[0], 4)), 0)
assert listener >= 0
os.close(done[1])
poll = select.poll()
poll.register(listener, select.POLLIN)
while poll.poll()[0][1] & select.POLLIN:
    asked = bytearray(80)
    fcntl.ioctl(listener, 0xc0502100, asked)
    attributes, _, flags = struct.unpack_from("QQQ", asked, 32)
    is_version = attributes == 0 and flags == 1
    answer = (int(sys.argv[1]), 0, 0) if is_version else (0, 0, 1)
    fcntl.ioctl(listener, 0xc0182101, bytearray(asked[:8] + struct.pack("qiI", *answer)))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

/// Prints what is in `text` of the first granted directory; exits with the error number if that fails.
const GUEST: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "text")
  (data (i32.const 16) "\80\00\00\00\40\00\00\00")
  (func (export "_start") (local $errno i32)
    (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)))
    (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
    (if (call $fd_read (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 20))
      (then (call $proc_exit (i32.const 99))))
    (if (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 40))
      (then (call $proc_exit (i32.const 98))))))"#;

/// Opens `sub/text` of the first granted directory for reading, and cuts it.
const CUTS: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "sub/text")
  (func (export "_start")
    (call $proc_exit (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 8)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)))))"#;

const LANDLOCK: &str = "444,445,446";

#[derive(Clone, Copy, Debug)]
enum Outer {
    Nothing,
    Hides {
        calls: &'static str,
        errno: &'static str,
    },
    UserNamespace,
    /// One with Landlock of this ABI.
    Kernel(&'static str),
    /// What this command makes of it.
    By(&'static [&'static str]),
}

/// A copy of `wave`, a module and a directory to grant, where every user can reach them.
struct Place {
    dir: TempDir,
}

struct Seen {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        let dir = place_for_programs();
        open_to_all(dir.path());
        fill(dir.path(), &[("guest.wat", GUEST), ("cuts.wat", CUTS)]);
        fs::create_dir(dir.path().join("granted")).unwrap();
        open_to_all(&dir.path().join("granted"));
        fill(&dir.path().join("granted"), &[("text", "granted\n")]);
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, user: User, outer: Outer, level: &str) -> Seen {
        let seen = self.wave(user, outer, level, &["--report=json"], "ro", "guest.wat");
        assert_tree(&self.path("granted"), &["text: granted\\n"]);
        seen
    }

    fn wave(&self, user: User, outer: Outer, level: &str, flags: &[&str], access: &str, module: &str) -> Seen {
        let grant = format!("{}::/::{access}", self.path("granted").display());
        let module = self.path(module).display().to_string();
        self.start(user, outer, &[&["--sandbox", level, "run", "--dir", &grant], flags, &[&module]].concat())
    }

    fn start(&self, user: User, outer: Outer, args: &[&str]) -> Seen {
        let wave = self.path("wave");
        let mut command = match outer {
            Outer::Nothing => Command::new(wave),
            Outer::Hides { calls, errno } => hiding(calls, errno, &wave),
            Outer::Kernel(abi) => with(Command::new("python3"), &["-c", OLDER, abi], &wave),
            Outer::By(args) => {
                let (program, args) = args.split_first().expect("a command");
                with(Command::new(program), args, &wave)
            }
            Outer::UserNamespace => with(Command::new("unshare"), &["--user", "--map-root-user"], &wave),
        };
        user.runs(&mut command);
        let output = command.args(args).current_dir("/").output().expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Seen { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

fn with(mut command: Command, args: &[&str], program: &Path) -> Command {
    command.args(args).arg(program);
    command
}

impl Seen {
    /// State and text of each layer of a run in which the guest did its work.
    #[track_caller]
    fn worked(&self) -> impl Fn(&str) -> (String, String) + use<> {
        assert_eq!((self.code, &*self.stdout), (Some(0), "granted\n"), "{}", self.stderr);
        let report: Value = serde_json::from_str(&self.stderr).unwrap_or_else(|e| panic!("{e}: {}", self.stderr));
        move |name| {
            let layers = report["layers"].as_array().expect("layers");
            let layer = layers.iter().find(|layer| layer["name"] == name).unwrap_or_else(|| panic!("layer {name}"));
            let text = layer["detail"].as_str().or(layer["reason"].as_str()).unwrap_or_default();
            (layer["state"].as_str().expect("a state").to_owned(), text.to_owned())
        }
    }

    #[track_caller]
    fn is_refused(&self, message: &str) {
        assert_eq!((self.code, &*self.stdout, &*self.stderr), (Some(125), "", message));
    }
}

fn owned(state: &str, text: &str) -> (String, String) {
    (state.to_owned(), text.to_owned())
}

#[test]
fn t88_where_a_filter_hides_landlock_strict_refuses_and_standard_says_so() {
    let place = Place::new();
    for &user in User::with_python() {
        let usual = place.run(user, Outer::Nothing, "strict").worked()("landlock");
        assert_eq!(usual.0, "applied", "the control");
        for errno in [ENOSYS, EPERM] {
            let outer = Outer::Hides { calls: LANDLOCK, errno };
            place.run(user, outer, "strict").is_refused(
                "wave: cannot compile the module in a sealed process: cannot apply the layer `landlock`: the kernel has Landlock ABI 0, this level needs 3\n  \
                 where: --sandbox\n  \
                 fix:   use Linux 6.2 or newer with `landlock` in lsm=; --sandbox standard runs without\n",
            );
            let standard = place.run(user, outer, "standard").worked();
            let missing = owned("waived", "the kernel has Landlock ABI 0, this level needs 1");
            assert_eq!(standard("landlock"), missing, "{user:?}");
            for layer in ["seccomp", "no_new_privs", "capabilities", "identity"] {
                assert_eq!(standard(layer).0, "applied", "{user:?} {layer}");
            }
        }
    }
}

#[test]
fn t88_where_a_filter_hides_openat2_strict_runs_with_every_layer() {
    let place = Place::new();
    for &user in User::with_python() {
        let usual = place.run(user, Outer::Nothing, "strict").worked();
        for errno in [ENOSYS, EPERM] {
            for level in ["strict", "standard"] {
                let inside = place.run(user, Outer::Hides { calls: OPENAT2, errno }, level).worked();
                for layer in ["landlock", "capabilities", "no_new_privs", "not_dumpable", "no_new_code"] {
                    assert_eq!(inside(layer), usual(layer), "{user:?} {layer}");
                }
                assert_eq!(inside("seccomp").0, "applied");
            }
        }
    }
}

/// In a namespace that maps one id, an ordinary user is root of the namespace alone and runs; root is root outside, too, has
/// nobody to become, and is refused.
#[test]
fn t88_in_a_user_namespace_the_layers_are_the_same() {
    let place = Place::new();
    for &user in User::available().iter().filter(|user| user.has_user_namespaces()) {
        let usual = place.run(user, Outer::Nothing, "strict").worked();
        let (level, identity) = if user == User::Root {
            place.run(user, Outer::UserNamespace, "strict").is_refused(
                "wave: cannot compile the module in a sealed process: cannot apply the layer `identity`: the process is root, and there is no unused user to \
                 become\n  where: --sandbox\n  fix:   start it as an ordinary user, or in a namespace that maps more \
                 than root; --sandbox standard runs without\n",
            );
            ("standard", ("waived", "the process is root, and there is no unused user to become"))
        } else {
            let detail = "uid 0, gid 0, root of a user namespace that maps no other id, nobody's root outside; ";
            ("strict", ("applied", detail))
        };
        let inside = place.run(user, Outer::UserNamespace, level).worked();
        let (state, text) = inside("identity");
        assert!(state == identity.0 && text.starts_with(identity.1), "{user:?}: {state}: {text}");
        for layer in ["landlock", "capabilities", "no_new_privs", "not_dumpable", "no_new_code"] {
            assert_eq!(inside(layer), usual(layer), "{user:?} {layer}");
        }
        assert_eq!(inside("seccomp").0, "applied", "{user:?}");
        // Root of a namespace may empty its bounding set.
        assert_eq!(inside("bounding"), owned("applied", "bounding set empty, securebits locked"), "{user:?}");
    }
}

/// Below ABI 3 strict refuses. Standard takes the manual resolver, whose opens the filter can see, and an honest program may
/// still cut what it opens for reading.
#[test]
fn t91_on_older_kernels_the_filter_holds_truncation() {
    for &user in User::with_python() {
        for abi in ["1", "2", "3"] {
            let place = Place::new();
            fs::create_dir(place.path("granted/sub")).unwrap();
            open_to_all(&place.path("granted/sub"));
            fill(&place.path("granted/sub"), &[("text", "cut this")]);
            let outer = Outer::Kernel(abi);
            let older = abi != "3";
            let run = |level: &str, flag: &str, access: &str, module: &str| {
                place.wave(user, outer, level, &[flag], access, module)
            };

            let strict = run("strict", "--report", "ro", "guest.wat");
            if older {
                strict.is_refused(&format!(
                    "wave: cannot compile the module in a sealed process: cannot apply the layer `landlock`: the \
                     kernel has Landlock ABI {abi}, this level needs \
                     3\n  where: --sandbox\n  fix:   use Linux 6.2 or newer with `landlock` in lsm=; --sandbox standard \
                     runs without\n"
                ));
            } else {
                assert_eq!((strict.code, &*strict.stdout), (Some(0), "granted\n"), "{}", strict.stderr);
            }
            let doctor = place.start(user, outer, &["doctor"]);
            assert_eq!(doctor.code, Some(i32::from(older)), "{}", doctor.stdout);
            for level in 1..=9 {
                let mark = if level <= abi.parse().unwrap() { "yes" } else { "no" };
                let is_line = |line: &str| {
                    line.starts_with(&format!("  ABI {level} (")) && line.contains(&format!("): {mark}, "))
                };
                assert_eq!(doctor.stdout.lines().filter(|line| is_line(line)).count(), 1, "{level}: {}", doctor.stdout);
            }
            let plan = run("standard", "--dry-run", "ro", "guest.wat");
            assert_eq!(plan.stdout.contains("resolver: manual\n"), older, "{}", plan.stdout);

            let standard = run("standard", "--report=json", "ro", "guest.wat").worked();
            let (state, text) = standard("landlock");
            assert!(state == "applied" && text.starts_with(&format!("ABI {abi}: ")), "{state}: {text}");
            assert_eq!(text.contains(", not truncation,"), older);
            assert_eq!(standard("seccomp").1.contains(", O_TRUNC needs write access,"), older);

            assert_eq!(run("standard", "--report", "ro", "cuts.wat").code, Some(76), "NOTCAPABLE");
            assert_tree(&place.path("granted"), &["sub/", "sub/text: cut this", "text: granted\\n"]);
            assert_eq!(run("standard", "--report", "rw", "cuts.wat").code, Some(0));
            assert_tree(&place.path("granted"), &["sub/", "sub/text: ", "text: granted\\n"]);
        }
    }
}

/// T97: whichever step of a seal fails, nothing of the guest runs, the start function included, and the message names the layer.
#[test]
fn t97_a_step_that_fails_is_named_and_nothing_runs() {
    const STARTS: &str = r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 16) "\20\00\00\00\03\00\00\00ran")
      (data (i32.const 32) "ran")
      (func $start (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 40))))
      (start $start)
      (func (export "_start")))"#;
    let place = Place::new();
    fill(place.dir.path(), &[("guest.wat", STARTS)]);
    for &user in User::with_python() {
        let runs = place.run(user, Outer::Nothing, "strict");
        assert_eq!((runs.code, &*runs.stdout), (Some(0), "ran"), "the control: {}", runs.stderr);
        let prctl = if user == User::Root { "bounding" } else { "capabilities" };
        for (calls, layer) in [
            ("436", "descriptors"),
            ("119", "identity"),
            ("126", "capabilities"),
            ("157", prctl),
            (LANDLOCK, "landlock"),
            ("317", "seccomp"),
        ] {
            let stopped = place.run(user, Outer::Hides { calls, errno: EPERM }, "strict");
            assert_eq!((stopped.code, &*stopped.stdout), (Some(125), ""), "{layer}: {}", stopped.stderr);
            let named = format!("cannot apply the layer `{layer}`");
            assert!(stopped.stderr.contains(&named), "{layer}: {}", stopped.stderr);
        }
    }
}

/// A container whose user has a number of its own and the group 0, and no capability: that group is one as any other.
const GROUP_0: Outer = Outer::By(&["unshare", "--user", "--map-user=1000", "--map-group=0"]);
const GROUP_0_OF_THE_HOST: Outer =
    Outer::By(&["setpriv", "--reuid=1000", "--regid=0", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);

#[test]
fn a_user_in_group_0_runs_under_strict() {
    let place = Place::new();
    for &user in User::available() {
        let usual = place.run(user, Outer::Nothing, "strict").worked();
        let outers = if user == User::Root { &[GROUP_0, GROUP_0_OF_THE_HOST][..] } else { &[GROUP_0] };
        for outer in outers {
            let inside = place.run(user, *outer, "strict").worked();
            let (state, text) = inside("identity");
            let kept = "uid 1000, gid 0, the user's own; group 0 kept for want of CAP_SETGID; ";
            assert!(state == "applied" && text.starts_with(kept), "{user:?}: {state}: {text}");
            for layer in [
                "landlock",
                "capabilities",
                "no_new_privs",
                "not_dumpable",
                "no_new_code",
                "descriptors",
                "final_pages",
            ] {
                assert_eq!(inside(layer), usual(layer), "{user:?} {layer}");
            }
            let doctor = place.start(user, *outer, &["doctor"]);
            assert_eq!(doctor.code, Some(0), "{}", doctor.stdout);
            assert!(
                doctor
                    .stdout
                    .contains("CAP_SETGID            no   not held [leaving all groups]\n    without: the run keeps"),
                "{}",
                doctor.stdout
            );
        }
    }
}

/// Root without capabilities has nobody to become. The message names what is missing, and no flag that was not typed.
#[test]
fn root_without_capabilities_is_told_which_one_is_missing() {
    let place = Place::new();
    for &user in User::available() {
        for (outer, missing) in [
            (Outer::By(&["setpriv", "--inh-caps=-all", "--bounding-set=-all"]), "CAP_SETUID and CAP_SETGID"),
            (Outer::By(&["setpriv", "--inh-caps=-setuid", "--bounding-set=-setuid"]), "CAP_SETUID"),
            (Outer::By(&["setpriv", "--inh-caps=-setgid", "--bounding-set=-setgid"]), "CAP_SETGID"),
        ] {
            if user != User::Root {
                // The neighbor: an ordinary user has none of them anyway. Taking something from the bounding set takes one.
                let inside = place.run(user, Outer::By(&["setpriv", "--inh-caps=-all"]), "strict").worked();
                assert_eq!(inside("identity").0, "applied");
                continue;
            }
            let refused = place.run(user, outer, "strict");
            refused.is_refused(&format!(
                "wave: cannot compile the module in a sealed process: cannot apply the layer `identity`: the process is root \
                 without {missing}, so it cannot become another user\n  where: --sandbox\n  fix:   start it as an ordinary user, in a \
                 container by --user UID:GID of podman or docker, or give it CAP_SETUID and CAP_SETGID, which are gone before the \
                 program runs\n"
            ));
            let doctor = place.start(user, outer, &["doctor"]);
            assert_eq!(doctor.code, Some(1), "{}", doctor.stdout);
            let line = format!(
                "identity              NO   the process is root without {missing}, so it cannot become another user"
            );
            assert!(doctor.stdout.contains(&line), "{}", doctor.stdout);
            assert!(
                doctor
                    .stdout
                    .contains("\nwave runs here under standard and off; it refuses strict, for want of: identity; "),
                "{}",
                doctor.stdout
            );
        }
    }
}

/// Root of a user namespace is nobody's root outside; without capabilities it stays that.
#[test]
fn root_of_a_namespace_runs_without_capabilities() {
    const BARE: Outer =
        Outer::By(&["unshare", "--user", "--map-root-user", "setpriv", "--inh-caps=-all", "--bounding-set=-all"]);
    let place = Place::new();
    for &user in User::available().iter().filter(|user| **user != User::Root) {
        let (state, text) = place.run(user, BARE, "strict").worked()("identity");
        assert!(
            state == "applied" && text.starts_with("uid 0, gid 0, root of a user namespace without"),
            "{state}: {text}"
        );
    }
}

/// Without CAP_KILL, root may not end a process of another user: the compiler, which is one. It becomes that user for the moment.
#[test]
fn root_without_cap_kill_ends_the_compiler() {
    let place = Place::new();
    let outer = Outer::By(&["setpriv", "--inh-caps=-kill", "--bounding-set=-kill"]);
    for &user in User::available().iter().filter(|user| **user == User::Root) {
        assert_eq!(place.run(user, outer, "strict").worked()("identity").0, "applied");
        // While it is busy, too: a module that it would compile for long.
        let body = "(i32.add (i32.const 1) ".repeat(20_000) + "(i32.const 1)" + &")".repeat(20_000);
        fs::write(place.path("slow.wat"), format!("(module (func (export \"_start\") (drop {body})))")).unwrap();
        let late = place.wave(user, outer, "strict", &["--compile-timeout", "1ms"], "ro", "slow.wat");
        assert_eq!((late.code, &*late.stdout), (Some(125), ""), "{}", late.stderr);
        assert!(late.stderr.starts_with("wave: compiling takes more than 1ms of processor time\n"), "{}", late.stderr);
    }
}

/// Where /proc is not mounted, threads are counted by another call, and what cannot be seen is not reported as there.
#[test]
fn without_proc_strict_runs_or_says_what_to_mount() {
    const HIDDEN: &str = "mount -t tmpfs none /proc && exec \"$@\"";
    let place = Place::new();
    for &user in User::available() {
        if user == User::Own {
            // Root of a namespace whose ids cannot be read.
            let outer = Outer::By(&["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", HIDDEN, "sh"]);
            let refused = place.run(user, outer, "strict");
            assert_eq!((refused.code, &*refused.stdout), (Some(125), ""), "{}", refused.stderr);
            assert!(refused.stderr.contains("\n  fix:   mount /proc, so that"), "{}", refused.stderr);
            continue;
        }
        let outer = match user {
            User::Root => Outer::By(&["unshare", "--mount", "sh", "-c", HIDDEN, "sh"]),
            _ => Outer::By(&[
                "unshare",
                "--mount",
                "sh",
                "-c",
                HIDDEN,
                "sh",
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ]),
        };
        // The namespace of mounts takes root; the program is started as the user.
        let inside = place.run(User::Root, outer, "strict").worked();
        let usual = place.run(user, Outer::Nothing, "strict").worked();
        for layer in
            ["single_thread", "landlock", "capabilities", "bounding", "no_new_privs", "descriptors", "final_pages"]
        {
            if layer == "bounding" && user != User::Root {
                continue;
            }
            assert_eq!(inside(layer), usual(layer), "{user:?} {layer}");
        }
        assert_eq!(inside("identity").0, "applied");
        if user == User::Root {
            assert_eq!(inside("namespaces"), owned("unavailable", "the namespaces cannot be seen: no /proc"));
        }
    }
}

/// What an outer filter answers in the kernel's place was not done, and is not reported as done.
#[test]
fn t124_a_step_that_was_only_answered_is_not_reported() {
    const DONE: &str = "0";
    let place = Place::new();
    for &user in User::available() {
        let usual = place.run(user, Outer::Nothing, "strict").worked();
        assert_eq!(usual("final_pages").0, "applied", "the control");
        let faked = |calls| place.run(user, Outer::Hides { calls, errno: DONE }, "strict");
        // close_range, landlock_restrict_self
        for (calls, layer, why) in [
            ("436", "descriptors", "an inherited descriptor is still there afterwards"),
            ("446", "landlock", "the self-test reached"),
        ] {
            let refused = faked(calls);
            assert_eq!((refused.code, &*refused.stdout), (Some(125), ""), "{layer}: {}", refused.stderr);
            let said = format!("cannot apply the layer `{layer}`: {why}");
            assert!(refused.stderr.contains(&said), "{layer}: {}", refused.stderr);
        }
        // mseal, unshare
        let pages = owned("unavailable", "the way to other pages is still there afterwards");
        assert_eq!(faked("462").worked()("final_pages"), pages);
        let namespaces = owned("unavailable", "a namespace of the host is still there afterwards");
        assert_eq!(faked("272").worked()("namespaces"), namespaces);
        if user == User::Root {
            // setresuid
            let refused = faked("117");
            assert_eq!((refused.code, &*refused.stdout), (Some(125), ""), "{}", refused.stderr);
            let said = "the layer `identity`: another user or group id is still there afterwards";
            assert!(refused.stderr.contains(said), "{}", refused.stderr);
        }
    }
}
