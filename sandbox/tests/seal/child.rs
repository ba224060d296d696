//! The child: prepares what its arguments say, seals, performs one action and exits with its errno (0: success).
//!
//! Arguments are `key=value`:
//! `level`, `role` (compiler or broker), `ports` (of TCP, to which a broker connects, comma-separated), `functions` (comma-separated), `grant` (path:access, may repeat), `growable`, `listener` and
//! `manual` (any value; the last is the manual resolver), `seconds` (of processor time), `before` (a change of the process before the seal, may repeat), `kernel` (a faked one, see `kernel.rs`),
//! `profile` (a container's seccomp profile, as JSON), `break` (a system call number that fails with EPERM; with `:n` only if its first argument is n), `without` and `fail` (a
//! layer, may repeat), `leave_out` and `leave_out_of_guest` (a rule of a filter), `code` (a page of native code counts as the guest's), `title`, and the action: `worker` (see
//! `worker.rs`), `broker` and `connect_as_broker` (see `broker.rs`), `call` (a system call, see [`value`]), `call_from_code`, `int80`, `print`, `probe`, `hold`, `allocate`,
//! `spin`, `time`, `sweep`, `failing` (see `failing.rs`), or `connect` (a port of this host, to be reached from the listener).

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _, IntoRawFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};
use wave_policy::{ConnectPorts, FilesystemGrant, Identity, Policy, ProcessLimits, Protocol, Resolver, Role, Surface};
use wave_sandbox::{
    AddressRange, Grant, GrowableRange, LayerName, OuterFilter, Report, SealPlan, SeccompProfile, seal,
};

pub const REFUSED: i32 = 125;
const ANY_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// The interval of the signal of `before=timer`.
const TIMER: Duration = Duration::from_millis(300);
pub const GROWABLE_BYTES: u64 = 0x10_0000;

struct Args<'a>(&'a [String]);

impl<'a> Args<'a> {
    fn all(&self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |arg| arg.strip_prefix(key)?.strip_prefix('='))
    }

    fn get(&self, key: &'a str) -> Option<&'a str> {
        self.all(key).next()
    }
}

pub fn main(args: &[String]) -> ! {
    let args = Args(args);
    if let Some(how) = args.get("failing") {
        crate::failing::child(how);
    }
    if args.get("allocate").is_some() {
        allocate_before();
    }
    wave_sandbox::prepare_allocator();
    let opened: Vec<(FilesystemGrant, File)> = args.all("grant").map(open_grant).collect();
    let grants: Vec<Grant<'_>> =
        opened.iter().map(|(grant, file)| Grant { fd: file.as_fd(), access: grant.access }).collect();
    let policy = policy(&args, opened.iter().map(|(grant, _)| grant.clone()).collect());
    let memory = reserve();
    let growable = [GrowableRange { base: memory, len_bytes: GROWABLE_BYTES }];
    let growable = if args.get("growable").is_some() { &growable[..] } else { &[] };
    let forgotten = args.all("before").any(|what| what == "forget_grants");
    let listener = args.get("listener").map(|_| TcpListener::bind(ANY_PORT).expect("a free port"));
    let sockets: Vec<_> = listener.iter().map(|listener| listener.as_raw_fd()).collect();
    let code = native_code();
    let code_range = args.get("code").map(|_| AddressRange { start: code, len_bytes: CODE_BYTES });
    let named = |key: &str| -> Vec<_> {
        LayerName::ALL.into_iter().filter(|layer| args.all(key).any(|name| name == layer.as_str())).collect()
    };
    let (left_out, failing) = (named("without"), named("fail"));
    let outer = args.get("profile").map(outer_filter);
    let plan = SealPlan {
        grants: if forgotten { &[] } else { &grants },
        growable,
        guest_code: code_range,
        final_pages: code_range.as_slice(),
        namespaces: args.get("namespaces").map(|_| wave_sandbox::leave_namespaces()),
        title: args.get("title"),
        keep_fds: &sockets,
        outer_filter: outer.as_ref(),
        left_out: &left_out,
        failing: &failing,
        ..SealPlan::new(&policy)
    };
    if let Some(range) = args.get("sweep") {
        crate::sweep::child(range, &plan);
    }
    if args.get("probe").is_some() {
        eprintln!("{}", serde_json::to_string(&wave_sandbox::probe()).expect("a probe is JSON"));
    }
    args.all("before").for_each(change_state);
    args.get("kernel").into_iter().for_each(crate::kernel::pretend);
    args.get("break").into_iter().for_each(break_call);
    if let Some(action) = args.get("worker") {
        crate::worker::child(action, policy.level);
    }
    for (key, role) in [("leave_out", Role::Broker), ("leave_out_of_guest", Role::Guest)] {
        args.all(key).for_each(|rule| wave_sandbox::narrower::leave_out_rule(role, rule));
    }
    if let Some(action) = args.get("broker") {
        crate::broker::child(action, &policy);
    }

    let start = Instant::now();
    let sealed = match seal(&plan) {
        Ok(sealed) => sealed,
        Err(error) => {
            eprintln!("{} | {error} | {:?} | {}", error.layer, error.cause, error.fix());
            wave_sandbox::exit(REFUSED);
        }
    };
    let elapsed = start.elapsed();
    if args.get("time").is_some() {
        eprintln!("{}", elapsed.as_micros());
    }
    if let Some(port) = args.get("connect_as_broker") {
        wave_sandbox::exit(crate::broker::connect(port.parse().expect("a port")).err().unwrap_or(0));
    }
    if let Some(port) = args.get("connect") {
        let listener = listener.as_ref().expect("a listener").as_raw_fd();
        wave_sandbox::exit(connect_by_fast_open(listener, port.parse().expect("a port")).err().unwrap_or(0));
    }
    act(&args, sealed.report(), Addresses { memory, code }, &grants)
}

/// Where the child's memory and code lie.
#[derive(Clone, Copy)]
struct Addresses {
    memory: u64,
    code: u64,
}

fn act(args: &Args<'_>, report: &Report, addresses: Addresses, grants: &[Grant<'_>]) -> ! {
    let values = |text: &str| -> Vec<i64> { text.split(',').map(|text| value(text, addresses, grants)).collect() };
    if let Some(call) = args.get("call") {
        wave_sandbox::exit(raw(&values(call)).err().unwrap_or(0));
    }
    if args.get("spin").is_some() {
        loop {
            std::hint::spin_loop();
        }
    }
    if let Some(call) = args.get("call_from_code") {
        wave_sandbox::exit(raw_at(addresses.code, &values(call)).err().unwrap_or(0));
    }
    if let Some(call) = args.get("int80") {
        wave_sandbox::exit(raw_at(addresses.code + INT80, &values(call)).err().unwrap_or(0));
    }
    if args.get("print").is_some() {
        eprintln!("{}", serde_json::to_string(report).expect("a report is JSON"));
    }
    if args.get("hold").is_some() {
        eprintln!("{}", serde_json::to_string(report).expect("a report is JSON"));
        // Blocks until the parent closes the pipe.
        let mut byte = 0_u8;
        wave_sandbox::exit(raw(&[libc::SYS_read, 0, (&raw mut byte) as i64, 1]).err().unwrap_or(0));
    }
    if args.get("allocate").is_some() {
        allocate();
    }
    wave_sandbox::exit(0)
}

/// A number, `s:text` (a C string), `g0` (descriptor of the first grant), `m` (start of the growable memory; `m+n`),
/// `c` (the page of native code), `pid` or `ppid`.
fn value(text: &str, addresses: Addresses, grants: &[Grant<'_>]) -> i64 {
    if let Some(text) = text.strip_prefix("s:") {
        return std::ffi::CString::new(text).expect("no NUL").into_raw() as i64;
    }
    if let Some(index) = text.strip_prefix('g') {
        return grants[index.parse::<usize>().expect("an index")].fd.as_raw_fd().into();
    }
    if let Some(offset) = text.strip_prefix('m') {
        let offset = offset.strip_prefix('+').map_or(0, |n| n.parse::<u64>().expect("an offset"));
        return (addresses.memory + offset).cast_signed();
    }
    if text == "c" {
        return addresses.code.cast_signed();
    }
    if text == "ppid" {
        return std::os::unix::process::parent_id().into();
    }
    if text == "pid" {
        return std::process::id().into();
    }
    text.parse().expect("a number")
}

/// A system call with up to six arguments; the errno on failure.
pub fn raw(values: &[i64]) -> Result<i64, i32> {
    let at = |index: usize| values.get(index).copied().unwrap_or(0);
    // SAFETY: this is what the tests are for: native code that makes any call. Pointers are leaked C strings or
    // live buffers of the caller.
    let rc = unsafe { libc::syscall(at(0), at(1), at(2), at(3), at(4), at(5), at(6)) };
    if rc == -1 { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(rc) }
}

/// Turns a listener into a socket that is not connected, and sends data to a port of this host from it: the kernel
/// connects for that, by neither `connect` nor `sendto`.
fn connect_by_fast_open(listener: RawFd, port: u16) -> Result<i64, i32> {
    raw(&[libc::SYS_shutdown, listener.into(), libc::SHUT_RDWR.into()])?;
    let mut data = *b"out";
    let mut to = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).expect("a small number"),
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    };
    let mut piece = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: integers and pointers, for which all zeros is "nothing there".
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut to).cast();
    message.msg_namelen = u32::try_from(size_of_val(&to)).expect("a small number");
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    raw(&[libc::SYS_sendmsg, listener.into(), (&raw const message) as i64, libc::MSG_FASTOPEN.into()])
}

/// As [`raw`], by code at an address.
fn raw_at(address: u64, values: &[i64]) -> Result<i64, i32> {
    let at = |index: usize| values.get(index).copied().unwrap_or(0);
    type Call = extern "C" fn(i64, i64, i64, i64, i64, i64) -> i64;
    // SAFETY: `native_code` put functions of this type there.
    let call: Call = unsafe { std::mem::transmute(address) };
    let rc = call(at(0), at(1), at(2), at(3), at(4), at(5));
    if (-4095..0).contains(&rc) { Err(i32::try_from(-rc).expect("an errno")) } else { Ok(rc) }
}

const CODE_BYTES: u64 = 4096;

/// Where the call by `int 0x80` lies in the page of native code.
const INT80: u64 = 64;

/// A page with two functions: a system call of up to five arguments by `syscall`, and one without by `int 0x80`.
fn native_code() -> u64 {
    const BY_SYSCALL: &[u8] = b"\x48\x89\xf8\x48\x89\xf7\x48\x89\xd6\x48\x89\xca\x4d\x89\xc2\x4d\x89\xc8\x0f\x05\xc3";
    const BY_INT80: &[u8] = b"\x89\xf8\xcd\x80\x48\x98\xc3";
    let len = usize::try_from(CODE_BYTES).expect("a page");
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping that nothing else uses, and texts shorter than its halves.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        let page = at.cast::<u8>();
        page.copy_from_nonoverlapping(BY_SYSCALL.as_ptr(), BY_SYSCALL.len());
        page.add(usize::try_from(INT80).expect("small")).copy_from_nonoverlapping(BY_INT80.as_ptr(), BY_INT80.len());
        assert_eq!(libc::mprotect(at, len, libc::PROT_READ | libc::PROT_EXEC), 0);
        at as u64
    }
}

fn outer_filter(profile: &str) -> OuterFilter {
    let profile: SeccompProfile = serde_json::from_str(profile).expect("a profile");
    profile.compile().expect("the profile has a filter")
}

fn open_grant(text: &str) -> (FilesystemGrant, File) {
    let (host, access) = text.rsplit_once(':').expect("path:access");
    let file = File::options().read(true).custom_flags(libc::O_PATH).open(host).expect("a granted path");
    (FilesystemGrant { host: host.into(), access: access.parse().expect("an access") }, file)
}

fn ports(args: &Args<'_>) -> impl Iterator<Item = u16> {
    args.get("ports").into_iter().flat_map(|list| list.split(',')).map(|port| port.parse().expect("a port"))
}

fn policy(args: &Args<'_>, grants: Vec<FilesystemGrant>) -> Policy {
    let functions = args.get("functions").unwrap_or_default().split(',').filter(|name| !name.is_empty());
    Policy {
        level: args.get("level").unwrap_or("strict").parse().expect("a level"),
        role: match args.get("role") {
            Some("compiler") => Role::Compiler,
            Some("broker") => Role::Broker,
            _ => Role::Guest,
        },
        connections: ports(args)
            .map(|port| ConnectPorts { protocol: Protocol::Tcp, first: port, last: port })
            .collect(),
        surface: Surface::from_imports(functions.map(|name| ("wasi_snapshot_preview1", name))),
        grants,
        listeners: args.get("listener").map(|_| ANY_PORT.into()).into_iter().collect(),
        identity: args.get("uid").map(|uid| {
            let uid = uid.parse().expect("a user id");
            Identity { uid, gid: uid }
        }),
        limits: ProcessLimits {
            processor_seconds: args.get("seconds").map(|seconds| seconds.parse().expect("a number")),
            ..ProcessLimits::default()
        },
        resolver: if args.get("manual").is_some() { Resolver::Manual } else { Resolver::Kernel },
        ..Policy::default()
    }
}

/// Address space without access, as for a linear memory.
fn reserve() -> u64 {
    let length = usize::try_from(2 * GROWABLE_BYTES).expect("a small length");
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping that nothing else uses.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED);
    at as u64
}

fn change_state(what: &str) {
    match what {
        "thread" => drop(std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_secs(60)))),
        "joined_thread" => std::thread::spawn(|| ()).join().expect("a thread"),
        "timer" => {
            let time = libc::timeval { tv_sec: 0, tv_usec: TIMER.as_micros().try_into().expect("a short time") };
            let timer = libc::itimerval { it_interval: time, it_value: time };
            // SAFETY: the kernel reads a live local and stores nothing.
            let rc = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
            assert_eq!(rc, 0);
        }
        "leak" => {
            for target in [7, 50, 200] {
                let fd = File::open("/").expect("root directory").into_raw_fd();
                assert_eq!(raw(&[libc::SYS_dup2, fd.into(), target]), Ok(target));
            }
        }
        "blocked_sigsys" => {
            let mut mask = nix::sys::signal::SigSet::empty();
            mask.add(nix::sys::signal::Signal::SIGSYS);
            mask.thread_block().expect("a valid mask");
        }
        "blocked_signals" => nix::sys::signal::SigSet::all().thread_block().expect("a valid mask"),
        "user_namespace" => {
            let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).expect("user namespaces are on");
            std::fs::write("/proc/self/setgroups", "deny").expect("setgroups");
            std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).expect("uid_map");
            std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).expect("gid_map");
        }
        "forget_grants" => {}
        other => panic!("unknown change {other}"),
    }
}

/// From here on a system call fails with EPERM, as under an outer sandbox.
fn break_call(text: &str) {
    let (number, first) = text.split_once(':').map_or((text, None), |(number, first)| (number, Some(first)));
    let rules = first.map(|first| {
        let value = first.parse().expect("a number");
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).expect("argument 0");
        SeccompRule::new(vec![condition]).expect("one condition")
    });
    let number = number.parse().expect("a number");
    let rules = [(number, rules.into_iter().collect())].into();
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, seccompiler::TargetArch::x86_64);
    let program: seccompiler::BpfProgram = filter.expect("a filter").try_into().expect("a program");
    seccompiler::apply_filter(&program).expect("no_new_privs is free");
}

/// Blocks from before the seal: what glibc got from `mmap`, and what a thread took from memory of its own.
static BEFORE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

fn allocate_before() {
    let blocks = || (3..26).map(|power| vec![7_u8; 1 << power]).collect::<Vec<_>>();
    let of_thread = std::thread::spawn(blocks).join().expect("a thread");
    BEFORE.lock().expect("one thread").extend(blocks().into_iter().chain(of_thread));
}

/// Takes and gives back memory in all sizes, from bytes to 64 MiB, including blocks from before the seal. Each block keeps its
/// contents meanwhile.
fn allocate() {
    let all = |block: &[u8], byte| assert!(block.iter().all(|other| *other == byte), "{} bytes of {byte}", block.len());
    let mut before = std::mem::take(&mut *BEFORE.lock().expect("one thread"));
    for (number, block) in before.iter_mut().enumerate() {
        let len = block.len();
        match number % 3 {
            0 => block.resize(len * 3, 7),
            1 => {
                block.truncate(len / 2);
                block.shrink_to_fit();
            }
            _ => {}
        }
    }
    let others: Vec<_> = (3..26).map(|power| vec![9_u8; 1 << power]).collect();
    before.iter().for_each(|block| all(block, 7));
    drop(before);
    others.iter().for_each(|block| all(block, 9));
    drop(others);

    // A page's alignment, zeroes where they are asked for, and growth without end through all sizes.
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    let pages: Vec<Box<Page>> = (0..9).map(|_| Box::new(Page([5; 4096]))).collect();
    assert!(pages.iter().all(|page| (&raw const **page).addr().is_multiple_of(4096)));
    all(&vec![0_u8; 12345], 0);
    let mut grown = Vec::new();
    for byte in 0..1_000_000_u32 {
        grown.push(byte);
    }
    assert!(grown.iter().copied().eq(0..1_000_000));
    pages.iter().for_each(|page| all(&page.0, 5));

    let mut kept = Vec::new();
    for round in 0..4_usize {
        for power in 3..26 {
            let mut block = vec![1_u8; 1 << power];
            block.resize((1 << power) * 2, 2);
            let (first, second) = block.split_at(1 << power);
            all(first, 1);
            all(second, 2);
            if (power + round) % 3 == 0 {
                kept.push(block);
            }
        }
        kept.drain(..kept.len() / 2);
    }
    drop(kept);
}
