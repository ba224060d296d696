//! A broker: which connections it makes, what ends it, and what it can do once it is taken over.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use wave_policy::{BROKER_FD, ConnectPorts, Policy, Protocol, Role, Surface};
use wave_sandbox::{Broker, BrokerClient, BrokerRequest, SealPlan, seal};

use crate::Case;
use crate::child::{REFUSED, raw};
use crate::run::{User, expect, start};

pub const CASES: &[Case] = &[
    ("broker::every_number", every_number),
    ("broker::calls_that_break_out", calls_that_break_out),
    ("broker::every_rule_is_needed", every_rule_is_needed),
    ("broker::taken_over_it_connects_to_its_ports_alone", taken_over_it_connects_to_its_ports_alone),
    ("broker::what_is_allowed_is_connected", what_is_allowed_is_connected),
    ("broker::what_is_not_allowed_is_refused", what_is_not_allowed_is_refused),
    ("broker::a_request_that_is_none_ends_it", a_request_that_is_none_ends_it),
    ("broker::descriptors_sent_to_it_are_closed", descriptors_sent_to_it_are_closed),
    ("broker::a_sealed_guest_gets_what_is_allowed", a_sealed_guest_gets_what_is_allowed),
    ("broker::a_guest_that_was_taken_over_gets_no_more", a_guest_that_was_taken_over_gets_no_more),
    ("broker::every_rule_for_asking_is_needed", every_rule_for_asking_is_needed),
    ("broker::it_dies_with_its_process", it_dies_with_its_process),
    ("broker::without_it_there_is_an_error", without_it_there_is_an_error),
    ("broker::a_missing_layer_is_a_refusal_there", a_missing_layer_is_a_refusal_there),
];

const DENIED: i32 = wave_sandbox::DENIED;

/// A listener on each loopback address, which greets everyone.
struct Peers {
    v4: u16,
    v6: Option<u16>,
}

const GREETING: &[u8] = b"good day";

impl Peers {
    fn start() -> Self {
        let greet = |address: SocketAddr| {
            let listener = TcpListener::bind(address).ok()?;
            let port = listener.local_addr().expect("it is bound").port();
            // It ends with the tests.
            thread::spawn(move || {
                for stream in listener.incoming() {
                    // A connection that is closed at once is one that nobody reads from.
                    drop(stream.and_then(|mut stream| stream.write_all(GREETING)));
                }
            });
            Some(port)
        };
        let v4 = greet((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        Self { v4, v6: greet((Ipv6Addr::LOCALHOST, 0).into()) }
    }
}

/// The calls a broker may make when all arguments are 0, and how they end.
const PERMITTED: &[(i64, i32)] = &[
    // The filter's self-test.
    (libc::SYS_getppid, libc::EKEYREJECTED),
    (libc::SYS_exit_group, 0),
];

fn every_number(user: User) {
    let outcome = expect(user, &["role=broker", "sweep=1024"], 0);
    let lines = outcome.stdout.lines().map(|line| line.split_once(' ').expect("a number and a status"));
    let mut found: BTreeMap<i64, i32> =
        lines.map(|(number, status)| (number.parse().expect("a number"), status.parse().expect("a status"))).collect();
    for (number, harmless) in crate::sweep::PAST_ANY_FILTER {
        assert_eq!(found.remove(&number).unwrap_or(harmless), harmless, "{number}");
    }
    assert_eq!(found, PERMITTED.iter().copied().collect());
}

/// What it is, the call, and how it ends: denied, or with an errno.
const ATTEMPTS: &[(&str, &str, i32)] = &[
    // SOCK_STREAM with SOCK_CLOEXEC and SOCK_NONBLOCK is 526337.
    ("socket, tcp", "call=41,2,526337,6", 0),
    ("socket, tcp over IPv6", "call=41,10,526337,6", 0),
    ("socket, tcp that blocks", "call=41,2,524289,6", DENIED),
    ("socket, udp", "call=41,2,526338,17", DENIED),
    ("socket, raw", "call=41,2,526339,6", DENIED),
    ("socket, mptcp", "call=41,2,526337,262", DENIED),
    ("socket, sctp", "call=41,2,526337,132", DENIED),
    ("socket, unix", "call=41,1,526337,0", DENIED),
    ("socket, netlink", "call=41,16,526339,0", DENIED),
    ("socket, packet", "call=41,17,526339,0", DENIED),
    ("socketpair", "call=53,1,1,0,m", DENIED),
    ("connect, the number of its socket", "call=42,3,0,0", libc::EBADF),
    ("connect, its channel", "call=42,0,0,0", DENIED),
    ("close, its socket", "call=3,3", libc::EBADF),
    ("close, its channel", "call=3,0", DENIED),
    ("bind", "call=49,3,0,0", DENIED),
    ("listen", "call=50,3,1", DENIED),
    ("accept4", "call=288,3,0,0,0", DENIED),
    ("recvfrom, its channel", "call=45,0,m,1,32,0,0", libc::ENOTSOCK),
    ("recvfrom, with a place for the address", "call=45,0,m,1,32,m,m", DENIED),
    ("recvfrom, its socket", "call=45,3,m,1,32,0,0", DENIED),
    ("sendmsg, its channel", "call=46,0,0,16384", libc::ENOTSOCK),
    ("sendmsg, with MSG_FASTOPEN", "call=46,0,0,536887296", DENIED),
    ("sendmsg, its socket", "call=46,3,0,16384", DENIED),
    ("sendto", "call=44,3,m,1,0,m,16", DENIED),
    ("sendmmsg", "call=307,3,m,1,0", DENIED),
    ("recvmsg", "call=47,0,0,0", DENIED),
    ("read", "call=0,0,m,1", DENIED),
    ("write, standard output", "call=1,1,s:x,1", DENIED),
    ("write, standard error", "call=1,2,s:x,1", 0),
    ("setsockopt", "call=54,3,1,1,m,4", DENIED),
    ("open", "call=2,s:/etc/passwd,0", DENIED),
    ("openat", "call=257,-100,s:/etc/passwd,0", DENIED),
    ("openat2", "call=437,-100,s:/etc/passwd,s:00000000,0", DENIED),
    ("execve", "call=59,s:/bin/true,0,0", DENIED),
    ("fork", "call=57", DENIED),
    ("clone", "call=56,17,0,0,0", DENIED),
    ("clone3", "call=435,0,0", DENIED),
    ("ptrace", "call=101,0", DENIED),
    ("kill, the process that started it", "call=62,ppid,0", DENIED),
    ("prctl, outlive the parent", "call=157,1,0", DENIED),
    ("dup2", "call=33,2,0", DENIED),
    ("fcntl", "call=72,0,1,0", DENIED),
    ("ioctl", "call=16,0,21531,m", DENIED),
    ("mmap, executable", "call=9,0,4096,5,34,-1,0", DENIED),
    ("mmap", "call=9,0,4096,3,34,-1,0", DENIED),
    ("brk", "call=12,0", DENIED),
    ("mprotect", "call=10,m,4096,3", DENIED),
    ("io_uring_setup", "call=425,1,m", DENIED),
    ("unshare", "call=272,0", DENIED),
];

fn calls_that_break_out(user: User) {
    for (what, call, status) in ATTEMPTS {
        let outcome = expect(user, &["role=broker", "ports=1", call], *status);
        let denied = outcome.stderr.starts_with("wave: denied system call ");
        assert_eq!(denied, *status == DENIED, "{what}: {outcome:?}");
    }
}

/// T85: without any of its rules, a broker with an honest guest ends at the call.
fn every_rule_is_needed(user: User) {
    let peers = Peers::start();
    // Twice the same, so that the second request comes after the first has been done with.
    let ports = format!("ports={0},{0}", peers.v4);
    let policy = Policy { role: Role::Broker, ..Policy::default() };
    for rule in policy.rules(false) {
        let (left_out, denied) =
            (format!("leave_out={}", rule.id), format!("wave: denied system call {} (", rule.call));
        match rule.id {
            // Its last words, and its end after bytes that are no request.
            "write_message" => {
                let outcome = expect(user, &["role=broker", &left_out, "call=53,1,1,0,m"], 128 + libc::SIGSYS);
                assert_eq!(outcome.stderr, "");
            }
            "exit_group" => {
                let outcome = expect(user, &["broker=malformed", &ports, &left_out], 0);
                assert!(
                    outcome.stdout.starts_with("signal 31\n") && outcome.stderr.starts_with(&denied),
                    "{outcome:?}"
                );
            }
            // Nobody is told that it is sealed.
            "send_answer" => {
                let outcome = expect(user, &["broker=connect", &ports, &left_out], REFUSED);
                assert_eq!(outcome.stdout, "it made a system call that is refused to it\n");
                assert!(outcome.stderr.starts_with(&denied), "{outcome:?}");
            }
            id => {
                let outcome = expect(user, &["broker=connect", &ports, &left_out], 0);
                assert!(outcome.stderr.starts_with(&denied), "{id}: {outcome:?}");
                assert!(outcome.stdout.ends_with(": Broken pipe (os error 32)\n"), "{id}: {outcome:?}");
            }
        }
    }
}

/// Native code in a broker: the filter lets it connect, and Landlock holds the ports.
fn taken_over_it_connects_to_its_ports_alone(user: User) {
    let (peers, others) = (Peers::start(), Peers::start());
    if !landlock_has_ports() {
        wave_test_support::not_run("Landlock of this kernel knows no ports");
        return;
    }
    let ports = format!("ports={},{}", peers.v4, peers.v6.unwrap_or(1));
    let connect = |port: u16| format!("connect_as_broker={port}");
    expect(user, &["role=broker", &ports, &connect(peers.v4)], 0);
    expect(user, &["role=broker", &ports, &connect(others.v4)], libc::EACCES);
    expect(user, &["role=broker", "ports=1", &connect(peers.v4)], libc::EACCES);
    // The control: without Landlock the other port is reached.
    expect(user, &["role=broker", &ports, "without=landlock", &connect(others.v4)], 0);
    // A guest's process of the same policy has no such call.
    expect(user, &[&ports, &connect(peers.v4)], DENIED);
}

/// Connects to a port of this host, by the calls of a broker. The errno if that fails at once.
pub fn connect(port: u16) -> Result<i64, i32> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let socket = raw(&[libc::SYS_socket, libc::AF_INET.into(), kind.into(), libc::IPPROTO_TCP.into()])?;
    let to = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).expect("a small number"),
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    };
    match raw(&[libc::SYS_connect, socket, (&raw const to) as i64, size_of_val(&to) as i64]) {
        Err(libc::EINPROGRESS) => Ok(0),
        outcome => outcome,
    }
}

fn with_broker(user: User, action: &str, ports: &[u16]) -> String {
    let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let outcome = expect(user, &[&format!("broker={action}"), &format!("ports={ports}")], 0);
    assert_eq!(outcome.stderr, "", "{action}");
    outcome.stdout
}

fn what_is_allowed_is_connected(user: User) {
    let peers = Peers::start();
    let ports = [Some(peers.v4), peers.v6].into_iter().flatten().collect::<Vec<_>>();
    let said = with_broker(user, "connect", &ports);
    let (layers, said) = said.split_once('\n').expect("lines");
    assert!(layers.contains("any other call ends the process; uid "), "{layers}");
    if landlock_has_ports() {
        let count = if ports.len() == 1 { "1 port" } else { "2 ports" };
        assert!(layers.contains(&format!(", TCP but to {count}, ")), "{layers}");
    }
    let expected: String = ports.iter().map(|port| format!("{port}: good day\n")).collect();
    assert_eq!(said, expected);
    // A port where nobody listens: the connection fails, by whichever call, and the broker goes on.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port").local_addr().expect("bound").port();
    let said = with_broker(user, "connect", &[free, peers.v4]);
    assert!(
        said.ends_with(&format!("\n{free}: Connection refused (os error 111)\n{}: good day\n", peers.v4)),
        "{said}"
    );
}

fn what_is_not_allowed_is_refused(user: User) {
    let (peers, others) = (Peers::start(), Peers::start());
    let said = with_broker(user, "others", &[peers.v4, others.v4]);
    let refused = "Permission denied (os error 13)";
    assert_eq!(said, format!("{0}: {refused}\n{1}: good day\n{0}: {refused}\n", peers.v4, others.v4));
    // The broker of the child has three connections to give.
    let said = with_broker(user, "many", &[peers.v4]);
    let (made, full) = (format!("{}: good day\n", peers.v4), "Too many open files (os error 24)");
    assert_eq!(said, format!("{}{1}: {full}\n{1}: {full}\n", made.repeat(3), peers.v4));
    assert_eq!(with_broker(user, "scope", &[peers.v4]), format!("invalid input\n{made}"));
    assert_eq!(with_broker(user, "flood", &[peers.v4]), format!("2000 refused\n{made}"));
}

fn a_request_that_is_none_ends_it(user: User) {
    let peers = Peers::start();
    for action in ["malformed", "short", "long", "huge", "no_bytes"] {
        let status = if action == "no_bytes" { 0 } else { 65 };
        let said = with_broker(user, action, &[peers.v4]);
        assert_eq!(said, format!("exit status {status}\n{}: Broken pipe (os error 32)\n", peers.v4), "{action}");
    }
}

fn descriptors_sent_to_it_are_closed(user: User) {
    let peers = Peers::start();
    let said = with_broker(user, "pass", &[peers.v4]);
    assert_eq!(said, format!("closed\n{}: good day\n", peers.v4));
}

/// A guest's process: sealed, and started by root in a network namespace where nothing is.
fn sealed_guest(user: User, action: &str, ports: &[u16], status: i32) -> (String, String) {
    let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let outcome = expect(user, &[&format!("broker=sealed:{action}"), &format!("ports={ports}")], status);
    (outcome.stdout, outcome.stderr)
}

fn a_sealed_guest_gets_what_is_allowed(user: User) {
    let (peers, others) = (Peers::start(), Peers::start());
    let (said, errors) = sealed_guest(user, "honest", &[peers.v4, others.v4], 0);
    let expected = format!("{}: EACCES\n{1}: good day, from 127.0.0.1:{1}\n", peers.v4, others.v4);
    assert_eq!((&*said, &*errors), (&*expected, ""));
}

/// What native code does in a guest's process, and the call at which it ends. `None`: it is allowed, and is of no use.
const TAKEN_OVER: &[(&str, Option<&str>)] = &[
    ("ask_for_others", None),
    ("send_nonsense", None),
    ("socket", Some("socket")),
    ("connect", Some("connect")),
    ("bind", Some("bind")),
    ("send_to_address", Some("sendto")),
    ("fast_open", Some("sendto")),
    ("send_descriptor", Some("sendmsg")),
    ("peek", Some("recvmsg")),
    ("option", Some("getsockopt")),
    ("set_option", Some("setsockopt")),
    ("dup", Some("dup2")),
];

fn a_guest_that_was_taken_over_gets_no_more(user: User) {
    let (peers, others) = (Peers::start(), Peers::start());
    for (action, denied) in TAKEN_OVER {
        let (said, errors) = sealed_guest(user, action, &[others.v4, peers.v4], denied.map_or(0, |_| DENIED));
        let greeted = format!("{0}: good day, from 127.0.0.1:{0}\n", peers.v4);
        let after = match *action {
            "send_nonsense" => format!("{}: EPIPE\n", peers.v4),
            "ask_for_others" => format!("refused\n{greeted}"),
            _ => String::new(),
        };
        assert_eq!(said, format!("{greeted}{after}"), "{action}: {errors}");
        match denied {
            Some(call) => {
                let start = format!("wave: denied system call {call} (");
                assert!(errors.starts_with(&start), "{action}: {errors}");
            }
            None => assert_eq!(errors, "", "{action}"),
        }
    }
}

/// T85: without any of the rules for asking a broker, a guest's process ends at the call.
fn every_rule_for_asking_is_needed(user: User) {
    let peers = Peers::start();
    let ports = format!("ports={0},{0}", peers.v4);
    let asking = asking(&[peers.v4]);
    let plain = Policy { connections: Vec::new(), ..asking.clone() };
    let of_plain: Vec<_> = plain.rules(false).map(|rule| rule.id).collect();
    let rules: Vec<_> = asking.rules(false).filter(|rule| !of_plain.contains(&rule.id)).collect();
    assert_eq!(rules.len(), 6);
    for rule in rules {
        let left_out = format!("leave_out_of_guest={}", rule.id);
        let outcome = expect(user, &["broker=sealed:twice", &ports, &left_out], DENIED);
        let denied = format!("wave: denied system call {} (", rule.call);
        assert!(outcome.stderr.starts_with(&denied), "{}: {outcome:?}", rule.id);
    }
    expect(user, &["broker=sealed:twice", &ports], 0);
}

/// The policy of a guest that reads and writes, and asks for connections.
fn asking(ports: &[u16]) -> Policy {
    Policy {
        surface: Surface::of_functions(["fd_read", "fd_write"]).with_connections(true),
        connections: ports
            .iter()
            .map(|port| ConnectPorts { protocol: Protocol::Tcp, first: *port, last: *port })
            .collect(),
        ..Policy::default()
    }
}

/// Starts a broker that allows the last port, seals this process and acts in it.
fn sealed_child(action: &str, policy: &Policy) -> ! {
    let ports: Vec<u16> = policy.connections.iter().map(|rule| rule.first).collect();
    let (other, allowed) = (ports[0], ports[ports.len() - 1]);
    let decide = |request: &BrokerRequest| {
        let BrokerRequest::ConnectTcp(remote) = request;
        *remote == SocketAddr::from((Ipv4Addr::LOCALHOST, allowed))
    };
    let mut broker = Broker::start(policy, MOST, decide).expect("a process");
    broker.sealed().expect("every layer");
    let client = broker.into_client().expect("a free number");
    let policy = asking(&ports);
    // From here on, no address of this host can be reached from this process.
    let namespaces = Some(wave_sandbox::leave_namespaces());
    let plan = SealPlan { namespaces, keep_fds: &[BROKER_FD], ..SealPlan::new(&policy) };
    seal(&plan).expect("every layer");
    match action {
        "honest" => {
            sealed_greeting(&client, other);
            sealed_greeting(&client, allowed);
        }
        "twice" => (0..2).for_each(|_| sealed_greeting(&client, allowed)),
        _ => {
            sealed_greeting(&client, allowed);
            take_over(action, &client, other);
            if ["ask_for_others", "send_nonsense"].contains(&action) {
                sealed_greeting(&client, allowed);
            }
        }
    }
    wave_sandbox::exit(0)
}

/// Connects to a port of this host, waits, reads what the other side says, and prints it with the address of the other side: by calls
/// that a sealed process may make.
fn sealed_greeting(client: &BrokerClient, port: u16) {
    let read = || -> io::Result<String> {
        let socket = client.connect_tcp((Ipv4Addr::LOCALHOST, port).into())?;
        let mut text = Vec::new();
        loop {
            let mut event = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            raw(&[libc::SYS_ppoll, (&raw mut event) as i64, 1, 0, 0]).expect("an event");
            rustix::net::sockopt::socket_error(&socket)??;
            let mut bytes = [0; 64];
            match rustix::io::read(&socket, &mut bytes)? {
                0 => break,
                len => text.extend_from_slice(&bytes[..len]),
            }
        }
        let peer = SocketAddr::try_from(rustix::net::getpeername(&socket)?.expect("it is connected"))?;
        let own = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
        assert_eq!(own.ip(), peer.ip());
        Ok(format!("{}, from {peer}", String::from_utf8_lossy(&text)))
    };
    println!(
        "{port}: {}",
        read().unwrap_or_else(|error| {
            let number = error.raw_os_error().expect("an error of the kernel's");
            format!("{:?}", nix::errno::Errno::from_raw(number))
        })
    );
}

/// What native code tries. The addresses are of this host, and nothing listens at port 1.
fn take_over(action: &str, client: &BrokerClient, other: u16) {
    let channel = i64::from(BROKER_FD);
    let address = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).expect("a small number"),
        sin_port: other.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    };
    let (to, len) = ((&raw const address) as i64, size_of_val(&address) as i64);
    let mut number = 0_i32;
    let mut size = 4_u32;
    let (value, size) = ((&raw mut number) as i64, (&raw mut size) as i64);
    let no_signal = i64::from(libc::MSG_NOSIGNAL);
    let outcome = match action {
        "ask_for_others" => {
            let others: [SocketAddr; 5] = [
                (Ipv4Addr::LOCALHOST, other).into(),
                (Ipv4Addr::LOCALHOST, 0).into(),
                (Ipv4Addr::new(169, 254, 169, 254), 80).into(),
                (Ipv6Addr::LOCALHOST, other).into(),
                (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), other).into(),
            ];
            let is_refused = |to: &SocketAddr| {
                client.connect_tcp(*to).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
            };
            println!("{}", if others.iter().all(is_refused) { "refused" } else { "connected" });
            Ok(0)
        }
        "send_nonsense" => raw(&[libc::SYS_sendto, channel, value, 4, no_signal, 0, 0]),
        "socket" => raw(&[libc::SYS_socket, libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0]),
        "connect" => raw(&[libc::SYS_connect, channel, to, len]),
        "bind" => raw(&[libc::SYS_bind, channel, to, len]),
        "send_to_address" => raw(&[libc::SYS_sendto, channel, value, 4, no_signal, to, len]),
        "fast_open" => raw(&[libc::SYS_sendto, channel, value, 4, no_signal | i64::from(libc::MSG_FASTOPEN), 0, 0]),
        "send_descriptor" => raw(&[libc::SYS_sendmsg, channel, value, no_signal]),
        "peek" => raw(&[libc::SYS_recvmsg, channel, value, libc::MSG_PEEK.into()]),
        "option" => raw(&[libc::SYS_getsockopt, channel, 1, libc::SO_PEERCRED.into(), value, size]),
        "set_option" => raw(&[libc::SYS_setsockopt, channel, 1, libc::SO_MARK.into(), value, 4]),
        "dup" => raw(&[libc::SYS_dup2, 2, channel]),
        other => panic!("unknown action {other}"),
    };
    outcome.expect("a call that is permitted");
}

fn it_dies_with_its_process(user: User) {
    let peers = Peers::start();
    for end in [Signal::SIGKILL, Signal::SIGCONT] {
        let mut child = start(user, &["broker=hold", &format!("ports={}", peers.v4)]);
        let mut broker = String::new();
        let mut said = io::BufReader::new(child.stdout.take().expect("a pipe"));
        io::BufRead::read_line(&mut said, &mut broker).expect("a number");
        let broker = format!("/proc/{}", broker.trim());
        assert!(Path::new(&broker).exists());
        if end == Signal::SIGKILL {
            child.kill().expect("own child");
        } else {
            // It ends by itself once its standard input is closed.
            drop(child.stdin.take());
        }
        child.wait().expect("own child");
        // Whoever is its parent now waits for it at some time.
        let is_there = || {
            let status = std::fs::read_to_string(format!("{broker}/status")).unwrap_or_default();
            status.contains("State:") && !status.contains("State:\tZ")
        };
        while is_there() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn without_it_there_is_an_error(user: User) {
    let peers = Peers::start();
    let said = with_broker(user, "killed", &[peers.v4]);
    assert_eq!(said, format!("signal 9\n{}: Broken pipe (os error 32)\n", peers.v4));
    let outcome = expect(user, &["broker=connect", "before=thread", "ports=1"], REFUSED);
    assert_eq!(outcome.stdout, "cannot start a process: the process has 2 threads, the seal covers one\n");
}

fn a_missing_layer_is_a_refusal_there(user: User) {
    let peers = Peers::start();
    let ports = format!("ports={}", peers.v4);
    let outcome = expect(user, &["broker=connect", &ports, "break=444"], REFUSED);
    assert!(outcome.stdout.starts_with("cannot apply the layer `landlock`: "), "{outcome:?}");
    let outcome = expect(user, &["broker=connect", &ports, "break=444", "level=standard"], 0);
    assert!(outcome.stdout.contains("; no landlock: ") && outcome.stdout.ends_with(": good day\n"), "{outcome:?}");
}

/// Most connections of the broker of a child.
const MOST: u64 = 3;

/// Starts a broker that allows the last port of the policy, or all of them, asks it for something, and prints the result.
pub fn child(action: &str, policy: &Policy) -> ! {
    if let Some(action) = action.strip_prefix("sealed:") {
        sealed_child(action, policy);
    }
    let ports: Vec<u16> = policy.connections.iter().map(|rule| rule.first).collect();
    let allowed = match action {
        "others" => ports[ports.len() - 1..].to_vec(),
        _ => ports.clone(),
    };
    let decide = |request: &BrokerRequest| {
        let BrokerRequest::ConnectTcp(remote) = request;
        allowed.contains(&remote.port())
    };
    let started = Broker::start(policy, MOST, decide);
    let sealed = started.and_then(|mut broker| broker.sealed().map(|detail| (broker, detail)));
    let (broker, detail) = match sealed {
        Ok(ready) => ready,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            println!("{error}{}", source.unwrap_or_default());
            wave_sandbox::exit(REFUSED);
        }
    };
    let client = broker.into_client().expect("a free number");
    assert_eq!(client.descriptor(), BROKER_FD);
    let ask = |port: u16| println!("{port}: {}", greeting(&client, port).unwrap_or_else(|error| error.to_string()));
    match action {
        "connect" => {
            println!("{detail}");
            ports.iter().for_each(|port| ask(*port));
        }
        "others" => [0, 1, 0].iter().for_each(|index| ask(ports[*index])),
        "many" => (0..MOST + 2).for_each(|_| ask(ports[0])),
        "scope" => {
            let remote = std::net::SocketAddrV6::new(Ipv6Addr::LOCALHOST, ports[0], 0, 1);
            let error = client.connect_tcp(remote.into()).expect_err("no request has a scope");
            println!("{}", if error.kind() == io::ErrorKind::InvalidInput { "invalid input" } else { "another error" });
            ask(ports[0]);
        }
        "flood" => {
            let is_refused = |_: &i32| greeting(&client, 1).is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
            println!("{} refused", (0..2000).filter(is_refused).count());
            ask(ports[0]);
        }
        "malformed" => end_by(&[9; 24]),
        "short" => end_by(&[1; 23]),
        "long" => end_by(&[1; 25]),
        "huge" => end_by(&[0; 100_000]),
        "no_bytes" => end_by(&[]),
        "pass" => pass(&client, ports[0]),
        "hold" => {
            println!("{}", own_child());
            drop(io::stdin().read(&mut [0]));
        }
        "killed" => {
            kill(own_child(), Signal::SIGKILL).expect("own child");
            println!("{}", ended());
        }
        other => panic!("unknown action {other}"),
    }
    if ["malformed", "short", "long", "huge", "no_bytes", "killed"].contains(&action) {
        ask(ports[0]);
    }
    wave_sandbox::exit(0)
}

/// Connects, and reads what the other side says.
fn greeting(client: &BrokerClient, port: u16) -> io::Result<String> {
    let connect = |address: SocketAddr| -> io::Result<String> {
        let mut stream = TcpStream::from(client.connect_tcp(address)?);
        // What a guest does by poll: it waits for the outcome.
        stream.set_nonblocking(false)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    match connect((Ipv4Addr::LOCALHOST, port).into()) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            connect((Ipv6Addr::LOCALHOST, port).into()).map_err(|_| error)
        }
        outcome => outcome,
    }
}

fn landlock_has_ports() -> bool {
    const VERSION: i64 = 1;
    raw(&[libc::SYS_landlock_create_ruleset, 0, 0, VERSION]).is_ok_and(|abi| abi >= 4)
}

/// Sends what is no request, and prints how the broker ended.
fn end_by(bytes: &[u8]) {
    rustix::net::send(channel(), bytes, SendFlags::NOSIGNAL).expect("the broker listens");
    println!("{}", ended());
}

/// Sends a request together with the end of a pipe, which nobody holds afterwards.
fn pass(client: &BrokerClient, port: u16) {
    let (mut read, write) = io::pipe().expect("a pipe");
    let mut request = [0; 24];
    request[..4].copy_from_slice(&[1, 4, port.to_le_bytes()[0], port.to_le_bytes()[1]]);
    request[8..12].copy_from_slice(&Ipv4Addr::LOCALHOST.octets());
    let descriptors = [write.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    rustix::net::sendmsg(channel(), &[IoSlice::new(&request)], &mut ancillary, SendFlags::NOSIGNAL).expect("sent");
    drop(write);
    let mut answer = [1; 4];
    rustix::net::recv(channel(), &mut answer[..], RecvFlags::empty()).expect("an answer");
    assert_eq!(answer, [0; 4]);
    assert_eq!(read.read(&mut [0]).expect("a pipe"), 0);
    println!("closed");
    println!("{port}: {}", greeting(client, port).expect("as before"));
}

fn channel() -> BorrowedFd<'static> {
    // SAFETY: the child has a client, which holds this descriptor, and never closes it.
    unsafe { BorrowedFd::borrow_raw(BROKER_FD) }
}

/// The one child of this process.
fn own_child() -> Pid {
    let children = format!("/proc/self/task/{}/children", std::process::id());
    let children = std::fs::read_to_string(children).expect("/proc is mounted");
    Pid::from_raw(children.trim().parse().expect("one child"))
}

/// How the broker ended.
fn ended() -> String {
    match waitpid(None, None).expect("a child") {
        WaitStatus::Exited(_, status) => format!("exit status {status}"),
        WaitStatus::Signaled(_, signal, _) => format!("signal {}", signal as i32),
        other => format!("{other:?}"),
    }
}
