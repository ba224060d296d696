//! Sockets: a listener is given or there is none, and who may connect is the operator's choice.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};
use wave_test_support::{cannot_run, finish, source};

/// The echo server on a port of its own choice; what else `wave` is told.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(listen: &str, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
        command.args(["--sandbox", "strict", "run", "--timeout", "60s", "--tcplisten", listen]).args(more);
        command.arg(source("examples/echo.wat"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("wave starts");
        let mut line = String::new();
        let mut stderr = BufReader::with_capacity(1, child.stderr.take().expect("stderr is piped"));
        stderr.read_line(&mut line).expect("stderr can be read");
        child.stderr = Some(stderr.into_inner());
        let address = line.trim().strip_prefix("wave: listening on ").unwrap_or_else(|| panic!("{line}"));
        Self { child, address: address.parse().expect("an address") }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the kernel takes the connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("sockets have timeouts");
        stream
    }

    #[track_caller]
    fn ends_well(self) {
        finish(self.child).is(0, "", "");
    }
}

fn echo(mut stream: &TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).expect("the connection is open");
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).expect("an answer of the same length");
    String::from_utf8(answer).expect("the same text")
}

#[test]
fn a_granted_listener_serves_one_connection_after_the_other() {
    let server = Server::start("127.0.0.1:0", &[]);
    for text in ["hello", "a second one", "and a third"] {
        let stream = server.connect();
        assert_eq!(echo(&stream, text), text);
        assert_eq!(echo(&stream, "more"), "more");
    }
    let last = server.connect();
    assert_eq!(echo(&last, "q"), "q");
    let mut rest = Vec::new();
    (&last).read_to_end(&mut rest).expect("the connection was shut down in order");
    assert_eq!(rest, b"");
    server.ends_well();
}

#[test]
fn a_listener_follows_the_directories_and_ipv6_works() {
    let dir = tempfile::tempdir().unwrap();
    let grant = format!("{}::/a::ro", dir.path().display());
    let mut addresses = vec!["127.0.0.1:0"];
    match TcpListener::bind("[::1]:0") {
        Ok(_) => addresses.push("[::1]:0"),
        Err(error) => cannot_run(&format!("there is no IPv6: {error}")),
    }
    for address in addresses {
        let server = Server::start(address, &["--dir", &grant]);
        assert_eq!(echo(&server.connect(), "q"), "q");
        server.ends_well();
    }
}

#[test]
fn t41_connections_from_elsewhere_are_closed_and_the_next_one_is_served() {
    let server = Server::start("127.0.0.1:0", &["--accept-from", "127.0.0.2", "--accept-from", "10.0.0.0/8"]);
    for _ in 0..3 {
        let mut refused = server.connect();
        let answer = refused.write_all(b"q").and_then(|()| refused.read(&mut [0; 8]));
        // Closed with data unread is a reset; either way the guest never had it.
        assert!(matches!(answer, Ok(0)) || answer.is_err_and(|e| e.kind() != ErrorKind::WouldBlock));
    }
    // The positive control comes from the other address of this host.
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("sockets can be made");
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 2], 0))).expect("all of 127.0.0.0/8 is this host");
    rustix::net::connect(&socket, &server.address).expect("the kernel takes the connection");
    assert_eq!(echo(&TcpStream::from(socket), "q"), "q");
    server.ends_well();
}

#[test]
fn listenfd_takes_what_a_service_manager_passes_on() {
    // A shell is the service manager: it keeps its process id through `exec`, and has the socket as descriptor 3.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let start = |flag: &str| {
        let mut command = Command::new("sh");
        let line = format!(
            "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" --sandbox strict run {flag} --timeout 60s \"$1\" 3<&0 </dev/null"
        );
        command.args(["-c", &line, env!("CARGO_BIN_EXE_wave")]).arg(source("examples/echo.wat"));
        let socket = listener.try_clone().expect("descriptors can be doubled");
        command.stdin(std::os::fd::OwnedFd::from(socket)).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("sh starts")
    };

    let unasked = finish(start(""));
    assert_eq!((unasked.status.code(), &*unasked.stderr), (Some(8), ""), "T101: the environment grants nothing");

    let served = start("--listenfd");
    let stream = TcpStream::connect(address).unwrap();
    assert_eq!(echo(&stream, "q"), "q");
    finish(served).is(0, "", "");
}

#[test]
fn listenfd_refuses_what_is_no_listening_socket() {
    let run = |variables: &str, descriptor: std::os::fd::OwnedFd| {
        let mut command = Command::new("sh");
        let line = format!("export {variables}; exec \"$0\" run --listenfd \"$1\" 3<&0 </dev/null");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_wave")]).arg(source("examples/hello.wat"));
        command.stdin(descriptor).stdout(Stdio::piped()).stderr(Stdio::piped());
        let outcome = finish(command.spawn().expect("sh starts"));
        (outcome.status.code(), outcome.stdout, outcome.stderr.lines().next().unwrap_or_default().to_owned())
    };
    let tcp = || std::os::fd::OwnedFd::from(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let udp = || std::os::fd::OwnedFd::from(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let file = || std::os::fd::OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let refused = |variables: &str, descriptor, start: &str| {
        let (code, stdout, message) = run(variables, descriptor);
        assert_eq!((code, &*stdout), (Some(125), ""), "{message}");
        assert!(message.starts_with(&format!("wave: {start}")), "{message}");
    };
    refused("LISTEN_FDS=1 LISTEN_PID=$$", udp(), "socket 0 cannot be used: it is no stream");
    refused("LISTEN_FDS=1 LISTEN_PID=$$", file(), "socket 0 cannot be used: ");
    // Descriptor 4 is none, or one that `wave` opened by itself.
    refused("LISTEN_FDS=2 LISTEN_PID=$$", tcp(), "socket 1 ");
    refused("LISTEN_FDS=1 LISTEN_PID=1", tcp(), "no sockets were passed on");
    refused("LISTEN_FDS=-1 LISTEN_PID=$$", tcp(), "no sockets were passed on");
    refused("LISTEN_FDS=1 LISTEN_FDS_FIRST_FD=2 LISTEN_PID=$$", tcp(), "no sockets were passed on");
    for variables in ["LISTEN_FDS=1 LISTEN_PID=$$", "LISTEN_FDS=1 LISTEN_PID=", "LISTEN_FDS=1 LISTEN_FDS_FIRST_FD=3"] {
        let (code, stdout, message) = run(variables, tcp());
        assert_eq!((code, &*stdout), (Some(0), "Hello from inside the sandbox!\n"), "{variables} {message}");
    }
}

#[test]
fn what_cannot_be_listened_on_is_refused_before_the_guest() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
        command.arg("run").args(flags).arg(Path::new("examples/hello.wat")).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env_remove("LISTEN_FDS");
        let output = command.output().expect("wave starts");
        assert_eq!(output.stdout, b"", "no guest ran");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, message) = run(&["--tcplisten", &address]);
    assert_eq!(code, Some(125));
    assert!(message.starts_with(&format!("wave: cannot listen on {address}: ")), "{message}");
    assert_eq!(run(&["--listenfd"]).0, Some(125));
    for (flag, value) in [("--tcplisten", "localhost:80"), ("--tcplisten", ":80"), ("--accept-from", "10.0.0.0/8")] {
        assert_eq!(run(&[flag, value]).0, Some(2), "T47 {value}");
    }
    assert_eq!(run(&["--tcplisten", "127.0.0.1:0", "--accept-from", "10.0.0.1/8"]).0, Some(2), "T47");
}
