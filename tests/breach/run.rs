//! One attempt: a child that seals itself in some setup, acts as the attacker, and is looked at afterwards.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getppid, pipe};
use wave_policy::{Access, FilesystemGrant, Identity, Level, Policy, Surface};
use wave_sandbox::{AddressRange, DENIED, Grant, GrowableRange, LayerName, SealPlan, seal};

use crate::cage::User;
use crate::maps;
use crate::probe::{End, Evidence, Probe, errno_name};
use crate::raw::{EXECUTED, NO_EFFECT, call};
use crate::scene::{Host, PAGE, SECRET, Scene, VALUE};

/// What the policy is made for; the filter is another one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A module without imports or grants.
    Compute,
    /// All WASI functions, a grant to read and one to write.
    Files,
    /// As `Files`, and a listener, which was bound in the network of the host.
    Listener,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::Compute, Self::Files, Self::Listener];
}

/// Layers as the table shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Descriptors,
    Limits,
    Namespaces,
    Identity,
    NoNewPrivs,
    NotDumpable,
    NoNewCode,
    FinalPages,
    Landlock,
    Seccomp,
}

impl Column {
    pub const ALL: [Self; 10] = [
        Self::Descriptors,
        Self::Limits,
        Self::Namespaces,
        Self::Identity,
        Self::NoNewPrivs,
        Self::NotDumpable,
        Self::NoNewCode,
        Self::FinalPages,
        Self::Landlock,
        Self::Seccomp,
    ];

    pub fn layers(self) -> &'static [LayerName] {
        match self {
            Self::Descriptors => &[LayerName::Descriptors],
            Self::Limits => &[LayerName::Limits],
            Self::Namespaces => &[LayerName::Namespaces],
            Self::Identity => &[LayerName::Identity, LayerName::Capabilities, LayerName::Bounding],
            Self::NoNewPrivs => &[LayerName::NoNewPrivs],
            Self::NotDumpable => &[LayerName::NotDumpable],
            Self::NoNewCode => &[LayerName::NoNewCode],
            Self::FinalPages => &[LayerName::FinalPages],
            Self::Landlock => &[LayerName::Landlock],
            Self::Seccomp => &[LayerName::Seccomp],
        }
    }

    pub fn title(self) -> &'static str {
        self.layers()[0].as_str()
    }
}

/// Which layers are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// None: the positive control.
    Bare,
    /// All that `strict` has.
    Strict,
    /// All that `standard` has.
    Standard,
    /// All of `strict` but these.
    Without(Column),
    /// Nothing but these, and what the kernel demands for them.
    Alone(Column),
}

impl Setup {
    fn leaves_out(self, column: Column, user: User) -> bool {
        match self {
            Self::Bare | Self::Strict | Self::Standard => false,
            Self::Without(left_out) => column == left_out,
            // Without CAP_SYS_ADMIN, the kernel takes neither ruleset nor filter from a process that has not set it.
            Self::Alone(Column::Landlock | Column::Seccomp) if user == User::Ordinary => {
                column != Column::NoNewPrivs && self != Self::Alone(column)
            }
            Self::Alone(kept) => column != kept,
        }
    }
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// As [`End::text`] has it, or `signal …`, or `refused …` when the seal itself failed.
    pub end: String,
    /// A page was writable and executable when the process ended. Only looked at for attacks on memory.
    pub writable_code: bool,
}

const REFUSED: i32 = 125;

/// Makes one attempt.
pub fn attempt(host: &mut Host, probe: &Probe, shape: Shape, setup: Setup, user: User) -> Outcome {
    let scanned = probe.section == crate::attacks::MEMORY;
    let (messages, stderr) = pipe().expect("a pipe");
    let (report, reporter) = pipe().expect("a pipe");
    let (go, start) = pipe().expect("a pipe");
    // SAFETY: this process has one thread.
    let child = match unsafe { fork() }.expect("a process") {
        ForkResult::Child => {
            drop((messages, report, start));
            let attempt = Attempt { host, probe, shape, setup, user, stderr, go };
            if probe.victims { attempt.among_victims(reporter) } else { attempt.attack((-1, -1)) }
        }
        ForkResult::Parent { child } => child,
    };
    drop((stderr, reporter, go));
    let scan = scanned.then(|| maps::Scan::of(child));
    File::from(start).write_all(b"x").expect("a waiting child");
    let writable_code = scan.is_some_and(maps::Scan::until_exit);
    let mut message = String::new();
    File::from(messages).read_to_string(&mut message).expect("text");
    let status = waitpid(child, None).expect("own child");
    let mut told = Vec::new();
    File::from(report).read_to_end(&mut told).expect("own pipe");
    let (status, hit) = if probe.victims { from_guardian(&told) } else { (status_code(status), false) };
    // Orphans come to process 1.
    while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {}

    let core = host.core_dumped();
    let files = host.files_changed();
    let packet = host.packet_arrived();
    let renamed = restore_hostname();
    let seen = match probe.evidence {
        Evidence::Call | Evidence::Executed => true,
        Evidence::Tree => files,
        Evidence::Packet => packet,
        Evidence::Hit => hit,
        Evidence::Hostname => renamed,
        Evidence::Core => core,
    };
    let end = describe(status, &message, probe.evidence, seen);
    let harm = files || packet || hit || renamed;
    assert!(end == End::Done.text() || !harm, "{}: {end}, yet the host was changed", probe.name);
    Outcome { end, writable_code }
}

/// A wait status as a shell has it.
fn status_code(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        other => panic!("{other:?}"),
    }
}

fn describe(status: i32, message: &str, evidence: Evidence, seen: bool) -> String {
    let first = message.lines().next().unwrap_or_default();
    if status == DENIED {
        let denied = first.strip_prefix("wave: denied system call ");
        let name = denied.and_then(|rest| rest.split(" (").next());
        return name.map_or_else(|| format!("killed in silence: {message}"), |name| format!("159 {name}"));
    }
    let is_core = evidence == Evidence::Core && [libc::SIGSEGV, libc::SIGILL].contains(&(status - 128));
    match status {
        _ if message.contains("panicked") => panic!("{message}"),
        _ if is_core => if seen { End::Done } else { End::NoEffect }.text(),
        0 if evidence == Evidence::Executed => End::NoEffect.text(),
        EXECUTED if evidence == Evidence::Executed => End::Done.text(),
        0 if seen => End::Done.text(),
        0 | NO_EFFECT => End::NoEffect.text(),
        REFUSED => format!("refused {first}"),
        129..=192 => format!("signal {:?}", Signal::try_from(status - 128).expect("a signal")),
        errno => errno_name(errno),
    }
}

fn from_guardian(told: &[u8]) -> (i32, bool) {
    let [status, hit] = told else { panic!("the other processes ended early: {told:?}") };
    (i32::from(*status), *hit == 1)
}

/// The name that the cage started with, once an attack has changed it.
fn restore_hostname() -> bool {
    let name = nix::unistd::gethostname().expect("own name");
    let is_changed = name == CHANGED_NAME;
    if is_changed {
        call!(libc::SYS_sethostname, c"wave".as_ptr(), 4).expect("own namespace");
    }
    is_changed
}

/// An attempt that takes longer hangs.
const HANG_SECONDS: u32 = 60;

/// What attackers want the host to be called.
pub const CHANGED_NAME: &str = "breached";

struct Attempt<'a> {
    host: &'a Host,
    probe: &'a Probe,
    shape: Shape,
    setup: Setup,
    user: User,
    stderr: OwnedFd,
    go: OwnedFd,
}

impl Attempt<'_> {
    /// A parent and a sibling of the same user, and what they noticed.
    fn among_victims(self, reporter: OwnedFd) -> ! {
        nix::unistd::alarm::set(2 * HANG_SECONDS);
        self.become_user();
        VALUE.store(SECRET, Ordering::Relaxed);
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTERM);
        // SAFETY: this process has one thread.
        let sibling = match unsafe { fork() }.expect("a process") {
            ForkResult::Child => {
                drop((self.stderr, reporter));
                loop {
                    nix::unistd::pause();
                }
            }
            ForkResult::Parent { child } => child,
        };
        mask.thread_block().expect("own mask");
        // SAFETY: as above.
        let attacker = match unsafe { fork() }.expect("a process") {
            ForkResult::Child => {
                drop(reporter);
                mask.thread_unblock().expect("own mask");
                VALUE.store(0, Ordering::Relaxed);
                self.attack((getppid().as_raw(), sibling.as_raw()))
            }
            ForkResult::Parent { child } => child,
        };
        drop(self.stderr);
        let status = status_code(waitpid(attacker, None).expect("own child"));
        let mut pending = 0_u64;
        call!(libc::SYS_rt_sigpending, &raw mut pending, 8).expect("own signals");
        kill(sibling, Signal::SIGKILL).expect("own child");
        // The first signal that ends a process is the one it reports.
        let end = waitpid(sibling, None).expect("own child");
        let hit =
            pending & (1 << (libc::SIGTERM - 1)) != 0 || matches!(end, WaitStatus::Signaled(_, Signal::SIGTERM, _));
        let told = [u8::try_from(status).expect("a status"), u8::from(hit)];
        File::from(reporter).write_all(&told).expect("the harness listens");
        wave_sandbox::exit(0)
    }

    fn become_user(&self) {
        if self.probe.own_mounts {
            unshare(CloneFlags::CLONE_NEWNS).expect("the cage may");
        }
        self.user.become_it();
    }

    fn attack(self, others: (i32, i32)) -> ! {
        let mut byte = [0];
        let go = File::from(self.go.try_clone().expect("a descriptor"));
        let _ = (&go).read(&mut byte).expect("the harness starts it");
        // An action that waits must not wait for ever. None of them does.
        nix::unistd::alarm::set(HANG_SECONDS);
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            // SAFETY: the default action runs no code. The runtime's own handler makes calls that the filter refuses.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        let null = File::options().read(true).write(true).open("/dev/null").expect("a device");
        for (fd, number) in [(null.as_fd(), 0), (null.as_fd(), 1), (self.stderr.as_fd(), 2)] {
            call!(libc::SYS_dup2, fd.as_raw_fd(), number).expect("own descriptors");
        }
        std::env::set_current_dir(self.host.work_dir()).expect("own directory");
        let (_, hard) = getrlimit(Resource::RLIMIT_CORE).expect("own limit");
        setrlimit(Resource::RLIMIT_CORE, hard, hard).expect("own limit");
        if !self.probe.victims {
            self.become_user();
        }
        let scene = self.host.enter(self.shape == Shape::Listener, others);
        self.seal(&scene);
        let status = match (self.probe.act)(&scene) {
            Ok(()) => 0,
            Err(errno) => errno,
        };
        wave_sandbox::exit(status)
    }

    fn seal(&self, scene: &Scene) {
        let has_files = self.shape != Shape::Compute;
        let policy = self.policy(has_files);
        let columns = Column::ALL.into_iter().filter(|column| self.setup.leaves_out(*column, self.user));
        let left_out: Vec<_> = columns.flat_map(|column| column.layers().iter().copied()).collect();
        // SAFETY: the scene keeps them open.
        let [ro, rw] = [scene.ro, scene.rw].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
        let grants = [Grant { fd: ro, access: Access::ReadOnly }, Grant { fd: rw, access: Access::ReadWrite }];
        let has_namespaces = policy.level != Level::Off && !self.setup.leaves_out(Column::Namespaces, self.user);
        let code = AddressRange { start: scene.code as u64, len_bytes: PAGE as u64 };
        let [terminal, other] = scene.terminal;
        let kept = [scene.listener, scene.pidfd, terminal, other].map(|fd| fd.max(0));
        let plan = SealPlan {
            grants: if has_files { &grants } else { &[] },
            growable: &[GrowableRange { base: scene.memory as u64, len_bytes: 16 * PAGE as u64 }],
            guest_code: Some(code),
            final_pages: &[code],
            namespaces: has_namespaces.then(wave_sandbox::leave_namespaces),
            keep_fds: &kept,
            left_out: &left_out,
            ..SealPlan::new(&policy)
        };
        if let Err(error) = seal(&plan) {
            eprintln!("{}", error.layer);
            wave_sandbox::exit(REFUSED);
        }
    }

    fn policy(&self, has_files: bool) -> Policy {
        let level = match self.setup {
            Setup::Bare => Level::Off,
            Setup::Standard => Level::Standard,
            Setup::Strict | Setup::Without(_) | Setup::Alone(_) => Level::Strict,
        };
        let names = has_files.then(wave_policy::all_functions).into_iter().flatten().map(|function| function.name);
        let grant = |host: &str, access| FilesystemGrant { host: host.into(), access };
        let identity = Identity { uid: crate::scene::IDENTITY, gid: crate::scene::IDENTITY };
        Policy {
            level,
            surface: Surface::from_imports(names.map(|name| ("wasi_snapshot_preview1", name))),
            grants: if has_files {
                vec![grant("ro", Access::ReadOnly), grant("rw", Access::ReadWrite)]
            } else {
                Vec::new()
            },
            listeners: if self.shape == Shape::Listener { vec![([127, 0, 0, 1], 1).into()] } else { Vec::new() },
            identity: (self.user == User::Root).then_some(identity),
            ..Policy::default()
        }
    }
}
