//! A host of their own for containers: mounts, network, processes and `/run` that nobody else uses, so that whatever is left shows.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{
    Outcome, SYS_ADMIN, WALL_LIMIT, as_root, cannot_run, finish, has_capability, has_program, open_to_all, wave,
};
use nix::sched::{CloneFlags, setns, unshare};
use tempfile::TempDir;

/// Everything that podman and containerd change on a host, apart from control groups. Their stores are in `/dev/shm`, too.
const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWIPC);

/// What process 1 does. It collects orphans while it reads, and ends with the tests, as does everything else in the namespaces.
const INIT: &str = "
mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /dev/shm &&
mkdir -p /dev/shm/home /run/netns /run/containers && ip link set lo up && echo ready && read end";

/// What podman makes once and keeps: its addresses, and the directory that its mounts of networks are in.
const STAYS: [&str; 2] = ["/run/containers/networks", "/run/mount"];

/// Directories where states of containers are. They stay, and nothing in them.
const EMPTY: [&str; 6] = [
    "/run/wave-oci",
    "/run/containerd",
    "/run/containerd/fifo",
    "/run/containerd/runc",
    "/run/containerd/runc/default",
    "/run/containerd/s",
];

/// The namespaces with their process 1.
pub struct Scene {
    init: Child,
    cgroup: Cgroup,
    before: BTreeSet<String>,
    place: TempDir,
}

impl Scene {
    /// `None`, said on stderr, where no such namespaces can be had or a program is missing.
    pub fn new(programs: &[(&str, &str)]) -> Option<Self> {
        if !as_root() || !has_capability(SYS_ADMIN) {
            cannot_run("containers with namespaces and control groups need root with CAP_SYS_ADMIN");
            return None;
        }
        let has = |(name, package): &(&str, &str)| has_program(&mut Command::new(name), package);
        // It knows its version by another flag, and looks no further.
        if !programs.iter().all(has) || !has_program(Command::new("ip").arg("-V"), "iproute2") {
            return None;
        }
        let cgroup = match Cgroup::new() {
            Ok(cgroup) => cgroup,
            Err(error) => {
                cannot_run(&format!("no control groups can be made: {error}"));
                return None;
            }
        };
        let init = match start_init() {
            Ok(init) => init,
            Err(why) => {
                cannot_run(&format!("the kernel makes no namespaces: {why}"));
                return None;
            }
        };
        let place = tempfile::tempdir().expect("a temporary directory can be made");
        open_to_all(place.path());
        let mut scene = Self { init, cgroup, before: BTreeSet::new(), place };
        std::os::unix::fs::symlink(wave(), scene.runtime()).expect("own directory");
        scene.before = scene.look();
        Some(scene)
    }

    /// The link by which callers find the runtime.
    pub fn runtime(&self) -> PathBuf {
        self.path("wave-oci")
    }

    /// A path in a directory that is the same inside and outside, which every user may write.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The control group for containers, as callers name it.
    pub fn cgroup(&self) -> String {
        format!("/{}", self.cgroup.0)
    }

    /// Does something on a thread inside.
    pub fn inside<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            unshare(CloneFlags::CLONE_FS).expect("a thread may have a working directory of its own");
            let process = self.init.id();
            for (name, kind) in [
                ("ipc", CloneFlags::CLONE_NEWIPC),
                ("net", CloneFlags::CLONE_NEWNET),
                ("pid", CloneFlags::CLONE_NEWPID),
                ("mnt", CloneFlags::CLONE_NEWNS),
            ] {
                let file = fs::File::open(format!("/proc/{process}/ns/{name}")).expect("process 1 lives");
                setns(file, kind).expect("root enters the namespaces of its child");
            }
            action()
        };
        thread::scope(|scope| scope.spawn(enter).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A program to start inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir("/")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_RUNTIME_DIR")
            .env("HOME", "/dev/shm/home");
        command.env("CONTAINERS_CONF", self.path("containers.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command inside; its id is one outside.
    pub fn spawn(&self, command: &mut Command) -> Child {
        self.inside(|| command.spawn()).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Runs a command inside to its end.
    pub fn run(&self, command: &mut Command) -> Outcome {
        finish(self.spawn(command))
    }

    /// The id outside of a process in one of the containers, by its id inside.
    pub fn outside(&self, within: u32) -> Option<u32> {
        let within = within.to_string();
        let is_it = |process: &u32| {
            let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
            let status = read("status");
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            ids.and_then(|ids| ids.split_whitespace().nth(1)) == Some(&within)
                && read("cgroup").contains(&self.cgroup.0)
        };
        numbers(Path::new("/proc")).find(is_it)
    }

    /// The ids outside of all processes of a program in here.
    pub fn named(&self, program: &str) -> Vec<u32> {
        let namespace = |process: u32| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        let name = |process: u32| fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        let own = namespace(self.init.id());
        numbers(Path::new("/proc"))
            .filter(|&process| namespace(process) == own && name(process).trim() == program)
            .collect()
    }

    /// The control group of a process, by its id outside, in the hierarchy that has a controller.
    pub fn group(&self, process: u32, controller: &str) -> PathBuf {
        let hierarchies = hierarchies();
        let has = |hierarchy: &&Hierarchy| hierarchy.options.split(',').any(|option| option == controller);
        let first = hierarchies.iter().find(has);
        // Version 2 has no name there.
        let name = first.map_or("", |_| controller);
        let hierarchy = first.or(hierarchies.iter().find(|one| one.is_second)).expect("there is one");
        let text = fs::read_to_string(format!("/proc/{process}/cgroup")).expect("a process that lives");
        let group = text.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|one| one == name).then_some(path)
        });
        let group = group.unwrap_or_else(|| panic!("no {controller} in {text}"));
        assert!(group.starts_with(&self.cgroup()), "{group} is not below {}", self.cgroup());
        hierarchy.root.join(group.trim_start_matches('/'))
    }

    /// What there is: processes, mounts, control groups, links of the network, and files in `/run`.
    fn look(&self) -> BTreeSet<String> {
        let root = PathBuf::from(format!("/proc/{}/root", self.init.id()));
        let mut found: BTreeSet<String> = processes(&root.join("proc")).collect();
        found.extend(mounts(self.init.id()));
        found.extend(links(&root));
        for hierarchy in hierarchies() {
            let mut groups = Vec::new();
            walk(&hierarchy.root.join(&self.cgroup.0), &mut groups);
            // podman puts its monitors there, and leaves the empty group.
            let groups =
                groups.iter().filter(|path| path.is_dir() && !path.ends_with(format!("{}/conmon", self.cgroup.0)));
            found.extend(groups.map(|path| format!("control group {}", path.display())));
        }
        let mut files = Vec::new();
        walk(&root.join("run"), &mut files);
        let files = files.iter().map(|path| Path::new("/").join(path.strip_prefix(&root).expect("it was found there")));
        found.extend(files.filter(|path| !stays(path)).map(|path| format!("file {}", path.display())));
        found
    }

    /// What is there that was not at the beginning.
    pub fn new_since_start(&self) -> Vec<String> {
        self.look().difference(&self.before).cloned().collect()
    }

    /// The same; waits a while for what callers clean up in the background.
    pub fn left(&self) -> Vec<String> {
        self.left_of(|_| true)
    }

    /// The same, of some kind.
    pub fn left_of(&self, counts: impl Fn(&String) -> bool) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left: Vec<_> = self.new_since_start().into_iter().filter(&counts).collect();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asserts that nothing is left.
    #[track_caller]
    pub fn is_clean(&self) {
        assert_eq!(self.left(), [""; 0]);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.init.kill().expect("own child");
        // It ends after all others. Those that a failed test has not waited for stay until this process ends.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !std::thread::panicking() && self.init.try_wait().expect("own child").is_none() {
            assert!(Instant::now() < deadline, "the namespaces do not end");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A control group above those of all containers, named from the root of each hierarchy.
struct Cgroup(String);

impl Cgroup {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let cgroup = Self(format!("wave-test-{}-{number}", std::process::id()));
        let hierarchies = hierarchies();
        if hierarchies.is_empty() {
            return Err(io::Error::new(ErrorKind::NotFound, "none are mounted"));
        }
        for hierarchy in hierarchies {
            match fs::create_dir(hierarchy.root.join(&cgroup.0)) {
                // The same one can be mounted twice.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => made?,
            }
        }
        Ok(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for hierarchy in hierarchies() {
            let mut groups = vec![hierarchy.root.join(&self.0)];
            walk(&groups[0].clone(), &mut groups);
            // The last of its processes may be ending.
            let deadline = Instant::now() + Duration::from_secs(10);
            for group in groups.iter().rev().filter(|path| path.is_dir()) {
                while fs::remove_dir(group).is_err() && group.exists() && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

/// Waits until something is there; panics past the wall limit.
#[track_caller]
pub fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WALL_LIMIT;
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {WALL_LIMIT:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Process 1 of new namespaces, when it is ready.
fn start_init() -> Result<Child, String> {
    let start = || {
        unshare(NAMESPACES | CloneFlags::CLONE_FS).map_err(|error| error.to_string())?;
        let mut command = Command::new("bash");
        command.args(["-c", INIT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command.current_dir("/").spawn().map_err(|error| error.to_string())
    };
    let mut init = thread::spawn(start).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let mut line = String::new();
    BufReader::new(init.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("a pipe");
    if line == "ready\n" { Ok(init) } else { Err(format!("bash: {:?}", init.wait())) }
}

/// One tree of control groups.
struct Hierarchy {
    root: PathBuf,
    /// The controllers among them.
    options: String,
    is_second: bool,
}

/// Those that are mounted.
fn hierarchies() -> Vec<Hierarchy> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("procfs is there");
    let of = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let kind = after.next().filter(|kind| matches!(*kind, "cgroup" | "cgroup2"))?;
        let root = PathBuf::from(before.split(' ').nth(4).expect("the mount point"));
        Some(Hierarchy { root, options: after.nth(1).expect("options").to_owned(), is_second: kind == "cgroup2" })
    };
    text.lines().filter_map(of).collect()
}

fn stays(path: &Path) -> bool {
    EMPTY.iter().any(|empty| path == Path::new(empty)) || STAYS.iter().any(|stays| path.starts_with(stays))
}

/// All processes but the first, with what they are.
fn processes(proc: &Path) -> impl Iterator<Item = String> + '_ {
    numbers(proc).filter(|number| *number != 1).filter_map(move |number| {
        let line = fs::read(proc.join(format!("{number}/cmdline"))).ok()?;
        let status = fs::read_to_string(proc.join(format!("{number}/status"))).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        Some(format!("process {number} {} {line}", status.lines().next().unwrap_or_default()))
    })
}

fn numbers(proc: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(proc).expect("procfs is there");
    entries.filter_map(|entry| entry.expect("procfs lists").file_name().to_str()?.parse().ok())
}

fn mounts(process: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{process}/mountinfo")).expect("process 1 lives");
    let points = text.lines().map(|line| line.split(' ').nth(4).expect("the mount point"));
    // podman makes these two once, as places for others.
    let own = |point: &str| point == "/run/netns" || point == "/dev/shm/store/overlay";
    points.filter(|point| !own(point)).map(|point| format!("mount {point}")).collect()
}

/// The network's links, which `/proc/net/dev` of a process inside lists.
fn links(root: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join("proc/1/net/dev")).expect("process 1 mounted it");
    text.lines().skip(2).filter_map(|line| Some(format!("link {}", line.split_once(':')?.0.trim()))).collect()
}

/// Everything beneath a directory; what goes away meanwhile is not there.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        found.push(entry.path());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), found);
        }
    }
}
