//! A tracer by ptrace(2): which system calls a process makes, with their arguments, once it is sealed.
//!
//! Nothing is read from the process's memory, so it may be of another user and not dumpable: it is traced before it is.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sys::ptrace::{self, Event, Options};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use wave_test_support::Outcome;

/// A run that takes longer hangs; its process is killed.
const WALL_LIMIT: Duration = Duration::from_secs(120);

/// One system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub number: usize,
    pub arguments: [u64; 6],
    /// What the kernel answered; `None` for a call that did not return.
    pub result: Option<i64>,
}

/// What a process did.
#[derive(Debug, Default)]
pub struct Process {
    /// The calls after the last filter was put in force, in order; all of them if none was.
    pub calls: Vec<Call>,
    /// How many filters were, those included under which it was started.
    pub filters: usize,
    /// The calls before that: what the process prepared.
    pub before: Vec<Call>,
}

/// What came of a traced run.
#[derive(Debug)]
pub struct Trace {
    pub outcome: Outcome,
    /// The process that was started.
    pub main: Process,
    /// Processes and threads that it started and that these did, in the order in which they came; none unless they were to be
    /// followed.
    pub children: Vec<Process>,
}

/// What is done with the process while it runs; returns what it printed on standard output and error.
pub type Attend = Box<dyn FnOnce(Live) -> (String, String) + Send>;

/// The other ends of a running process.
pub struct Live {
    pub id: u32,
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

impl Live {
    /// Closes its standard input and collects what it prints, to the end.
    pub fn read_to_end(self) -> (String, String) {
        let Self { stdin, stdout, stderr, .. } = self;
        drop(stdin);
        let stderr = thread::spawn(|| text(stderr));
        (text(stdout), stderr.join().expect("the reader does not panic"))
    }
}

/// Everything that can be read, as text.
pub fn text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("pipes can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A run to be traced, and the kernel it finds.
pub struct Tracer {
    command: Command,
    vdso: bool,
    heap: bool,
    children: bool,
    attend: Attend,
}

impl Tracer {
    pub fn new(command: Command) -> Self {
        Self { command, vdso: true, heap: true, children: false, attend: Box::new(Live::read_to_end) }
    }

    /// The kernel maps no vDSO, as with `vdso=0` and in some virtual machines: clocks are system calls.
    pub fn without_vdso(mut self) -> Self {
        self.vdso = false;
        self
    }

    /// `brk` fails, as when another mapping is in its way.
    pub fn without_heap(mut self) -> Self {
        self.heap = false;
        self
    }

    /// Traces the processes and threads that it starts as well.
    pub fn with_children(mut self) -> Self {
        self.children = true;
        self
    }

    /// Does something else while it runs than to read what it prints.
    pub fn attended(mut self, attend: impl FnOnce(Live) -> (String, String) + Send + 'static) -> Self {
        self.attend = Box::new(attend);
        self
    }

    /// Runs it to its end.
    #[allow(clippy::zombie_processes, reason = "`follow` waits for it, as its tracer")]
    pub fn trace(self) -> Trace {
        let Self { mut command, vdso, heap, children, attend } = self;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: between fork and exec these make system calls and nothing else.
        unsafe {
            command.pre_exec(move || {
                if !heap {
                    refuse_brk()?;
                }
                Ok(ptrace::traceme()?)
            })
        };
        // This thread is the tracer: it starts the process and makes every request.
        let mut child = command.spawn().expect("the program starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        let stopped = waitpid(pid, None).expect("own child can be awaited");
        assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGTRAP), "it stops at its exec");
        let mut options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACEEXEC;
        if children {
            options |= Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
        }
        ptrace::setoptions(pid, options).expect("own tracee has options");
        if !vdso {
            hide_vdso(pid);
        }
        let live = Live {
            id: child.id(),
            stdin: child.stdin.take().expect("stdin is piped"),
            stdout: child.stdout.take().expect("stdout is piped"),
            stderr: child.stderr.take().expect("stderr is piped"),
        };
        let attendant = thread::spawn(move || attend(live));
        let (done, ended) = channel();
        let watchdog = thread::spawn(move || watch(pid, &ended));
        let (status, main, children) = follow(pid, vdso, &done);
        assert!(watchdog.join().expect("the watchdog does not panic"), "still running after {WALL_LIMIT:?}");
        let (stdout, stderr) = attendant.join().expect("the attendant does not panic");
        Trace { outcome: Outcome { status, stdout, stderr }, main, children }
    }
}

/// Kills a process that does not end; whether it ended by itself. `ended` says something as soon as it is reaped, so the number
/// is still its own.
fn watch(pid: Pid, ended: &Receiver<()>) -> bool {
    let in_time = ended.recv_timeout(WALL_LIMIT) != Err(RecvTimeoutError::Timeout);
    if !in_time {
        kill(pid, Signal::SIGKILL).expect("own child can be killed");
    }
    in_time
}

/// Runs the process and, if the options say so, those it starts, from call to call until all have ended.
fn follow(main: Pid, vdso: bool, done: &Sender<()>) -> (ExitStatus, Process, Vec<Process>) {
    let mut running = HashMap::from([(main, Process::default())]);
    let mut order = Vec::new();
    let mut ended: HashMap<Pid, Process> = HashMap::new();
    let mut status = None;
    resume(main, None);
    while !running.is_empty() {
        // Those that this thread traces, and none of other tests.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let event = waitpid(None::<Pid>, Some(flags)).expect("own tracees can be awaited");
        let pid = event.pid().expect("every event has a process");
        // One that was just started may report before what started it does, and may even have ended by then.
        let started = started(event);
        for new in [Some(pid), started].into_iter().flatten() {
            if !running.contains_key(&new) && !ended.contains_key(&new) {
                running.insert(new, Process::default());
                order.push(new);
            }
        }
        let filters = running.get(&pid).map_or(0, |process| process.filters);
        if let Some(process) = started.and_then(|new| running.get_mut(&new).or(ended.get_mut(&new))) {
            process.filters += filters;
        }
        let process = running.get_mut(&pid).expect("it runs");
        let deliver = match event {
            WaitStatus::PtraceSyscall(_) => {
                process.note(pid);
                None
            }
            WaitStatus::PtraceEvent(_, _, event) => {
                if event == Event::PTRACE_EVENT_EXEC as i32 && !vdso {
                    hide_vdso(pid);
                }
                None
            }
            // A process that was just started, or one that already stopped: it goes on.
            WaitStatus::Stopped(_, Signal::SIGSTOP) if ptrace::getsiginfo(pid).is_err() || pid != main => None,
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                if pid == main {
                    status = Some(exit_status(event));
                    // The watchdog may have gone already, after its time.
                    done.send(()).ok();
                }
                ended.insert(pid, running.remove(&pid).expect("it ran"));
                continue;
            }
            other => panic!("{other:?}"),
        };
        resume(pid, deliver);
    }
    let children = order.iter().filter_map(|pid| ended.remove(pid)).collect();
    (status.expect("it ended"), ended.remove(&main).expect("it ended"), children)
}

/// The process or thread whose start an event reports; it has the filters of the one that started it.
fn started(event: WaitStatus) -> Option<Pid> {
    let starts =
        [Event::PTRACE_EVENT_FORK, Event::PTRACE_EVENT_VFORK, Event::PTRACE_EVENT_CLONE].map(|start| start as i32);
    match event {
        WaitStatus::PtraceEvent(pid, _, event) if starts.contains(&event) => {
            let id = ptrace::getevent(pid).expect("a tracee at a start tells what it started");
            Some(Pid::from_raw(i32::try_from(id).expect("a process id")))
        }
        _ => None,
    }
}

/// A process that was killed meanwhile is reported as ended next.
fn resume(pid: Pid, deliver: Option<Signal>) {
    ptrace::syscall(pid, deliver)
        .or_else(|errno| if errno == nix::Error::ESRCH { Ok(()) } else { Err(errno) })
        .expect("own tracee goes on");
}

fn exit_status(event: WaitStatus) -> ExitStatus {
    match event {
        WaitStatus::Exited(_, code) => ExitStatus::from_raw(code << 8),
        WaitStatus::Signaled(_, signal, _) => ExitStatus::from_raw(signal as i32),
        other => panic!("{other:?} is no end"),
    }
}

impl Process {
    /// Notes a call as it begins, and its result as it ends.
    fn note(&mut self, pid: Pid) {
        let info = match ptrace::syscall_info(pid) {
            // It was killed.
            Err(nix::Error::ESRCH) => return,
            info => info.expect("a tracee in a call can be asked (Linux 5.3)"),
        };
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: `op` says which member of the union the kernel filled.
                let entry = unsafe { info.u.entry };
                let number = usize::try_from(entry.nr).expect("addresses have 64 bits");
                self.calls.push(Call { number, arguments: entry.args, result: None });
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                // SAFETY: as above.
                let result = unsafe { info.u.exit.sval };
                let Some(call) = self.calls.last_mut() else { return };
                call.result = Some(result);
                let installs =
                    wave_sandbox::call_name(call.number) == Some("seccomp") && call.arguments[0] == SET_MODE_FILTER;
                if installs && result == 0 {
                    self.filters += 1;
                    self.before.append(&mut self.calls);
                }
            }
            other => panic!("operation {other}"),
        }
    }
}

const SET_MODE_FILTER: u64 = libc::SECCOMP_SET_MODE_FILTER as u64;

/// A soft limit of 0 on data stops `brk`; the hard limit, which is not lowered, counts for other mappings (`may_expand_vm`,
/// `mm/mmap.c`: made for programs that want the heap to be elsewhere).
fn refuse_brk() -> std::io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
    Ok(setrlimit(Resource::RLIMIT_DATA, 0, hard)?)
}

/// Makes a program that is about to start find no vDSO: neither by the auxiliary vector on its stack, nor, where it asks the
/// kernel for that vector, at the address that is in it.
///
/// Source: getauxval(3), vdso(7). The stack begins with the number of arguments, their addresses, null, the addresses of the
/// variables, null, and the vector.
fn hide_vdso(pid: Pid) {
    const AT_NULL: i64 = 0;
    const AT_IGNORE: i64 = 1;
    const AT_SYSINFO_EHDR: i64 = 33;
    let word = |at: u64| ptrace::read(pid, at as ptrace::AddressType).expect("a stack can be read");
    let store = |at: u64, word: i64| {
        ptrace::write(pid, at as ptrace::AddressType, word).expect("a stopped program can be written")
    };
    let mut at = ptrace::getregs(pid).expect("a stopped tracee has registers").rsp;
    at += 8 + 8 * (word(at).cast_unsigned() + 1);
    while word(at) != 0 {
        at += 8;
    }
    at += 8;
    while word(at) != AT_SYSINFO_EHDR {
        assert_ne!(word(at), AT_NULL, "there is no vDSO to hide: clocks are system calls on this kernel anyway");
        at += 16;
    }
    store(at, AT_IGNORE);
    // The program's own copy of the first page: without its magic number it is no ELF image.
    let image = word(at + 8).cast_unsigned();
    store(image, word(image) & !0xffff_ffff);
}
