//! Connections that a program makes: those that are granted, and no other one reaches anybody.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use tempfile::TempDir;
use wave_test_support::user::User;
use wave_test_support::{Outcome, Wave, cannot_run, finish, place_for_programs, wave};

const CONNREFUSED: i32 = 14;
const INVAL: i32 = 28;
const MFILE: i32 = 33;
const NOENT: i32 = 44;
const NOTCAPABLE: i32 = 76;

/// Connects as often as it is told, prints what it reads each time, and exits with the first error.
const CLIENT: &str = r#"(module
  (import "wave_net" "tcp_connect" (func $tcp_connect (param i32 i32) (result i32)))
  (import "wave_net" "tcp_status" (func $tcp_status (param i32) (result i32)))
  (import "wave_net" "address" (func $address (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "REMOTE")
  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func $once (local $fd i32) (local $errno i32)
    (call $must (call $tcp_connect (i32.const 0) (i32.const 32)))
    (local.set $fd (i32.load (i32.const 32)))
    (loop $again
      (local.set $errno (call $tcp_status (local.get $fd)))
      (br_if $again (i32.eq (local.get $errno) (i32.const 6))))
    (call $must (local.get $errno))
    ;; The peer is who was asked for.
    (call $must (call $address (local.get $fd) (i32.const 1) (i32.const 128)))
    (if (i64.ne (i64.load (i32.const 128)) (i64.load (i32.const 0))) (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 136)) (i64.load (i32.const 8))) (then (unreachable)))
    (i64.store (i32.const 40) (i64.const 0x40_0000_0100))
    (call $must (call $fd_read (local.get $fd) (i32.const 40) (i32.const 1) (i32.const 48)))
    (i32.store (i32.const 44) (i32.load (i32.const 48)))
    (call $must (call $fd_write (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 52))))
  (func (export "_start") (local $left i32)
    (local.set $left (i32.const TIMES))
    (loop $next
      (call $once)
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;

/// Accepts one connection on its first listener, and sends there the address of the listener and that of the peer.
const SERVER: &str = r#"(module
  (import "wave_net" "tcp_listener" (func $tcp_listener (param i32 i32) (result i32)))
  (import "wave_net" "address" (func $address (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func (export "_start")
    (call $must (call $tcp_listener (i32.const 0) (i32.const 0)))
    (call $must (call $address (i32.load (i32.const 0)) (i32.const 0) (i32.const 64)))
    (call $must (call $sock_accept (i32.load (i32.const 0)) (i32.const 0) (i32.const 4)))
    (call $must (call $address (i32.load (i32.const 4)) (i32.const 1) (i32.const 88)))
    (i64.store (i32.const 16) (i64.const 0x30_0000_0040))
    (call $must (call $fd_write (i32.load (i32.const 4)) (i32.const 16) (i32.const 1) (i32.const 24)))))"#;

/// The address as a guest writes it.
fn in_memory(remote: SocketAddr) -> String {
    let (family, address) = match remote {
        SocketAddr::V4(remote) => (4, [&remote.ip().octets()[..], &[0; 12]].concat()),
        SocketAddr::V6(remote) => (6, remote.ip().octets().to_vec()),
    };
    let [low, high] = remote.port().to_le_bytes();
    [family, 0, low, high, 0, 0, 0, 0].iter().chain(&address).map(|byte| format!("\\{byte:02x}")).collect()
}

/// A program that connects, in a place where every user may run it.
struct Client {
    place: TempDir,
    module: PathBuf,
}

impl Client {
    fn new(remote: SocketAddr, times: u32) -> Self {
        Self::of(&CLIENT.replace("REMOTE", &in_memory(remote)).replace("TIMES", &times.to_string()))
    }

    fn of(text: &str) -> Self {
        let place = place_for_programs();
        let module = place.path().join("client.wat");
        std::fs::write(&module, text).expect("own directory");
        wave_test_support::readable_by_all(&module);
        Self { place, module }
    }

    fn wave(&self, user: User) -> Wave {
        let mut command = Command::new(self.place.path().join(wave().file_name().expect("it has a name")));
        user.runs(&mut command);
        command.args(["--sandbox", "strict", "run", "--timeout", "60s"]).current_dir(self.place.path());
        Wave::program(command)
    }

    fn run(&self, user: User, connect: &[&str]) -> Outcome {
        let wave = connect.iter().fold(self.wave(user), |wave, grant| wave.flag("--connect", grant));
        wave.run(&self.module, [""; 0])
    }
}

/// Somebody to connect to, who says good day.
struct Peer {
    listener: TcpListener,
}

impl Peer {
    fn at(address: impl Into<std::net::IpAddr>) -> Option<Self> {
        match TcpListener::bind((address.into(), 0)) {
            Ok(listener) => Some(Self { listener }),
            Err(error) => {
                cannot_run(&format!("there is no such address here: {error}"));
                None
            }
        }
    }

    fn loopback() -> Self {
        Self::at(Ipv4Addr::LOCALHOST).expect("loopback")
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// Serves so many while something runs.
    fn serve<T>(&self, times: usize, run: impl FnOnce() -> T) -> T {
        let listener = self.listener.try_clone().expect("own socket");
        // Nobody waits for it, so that a test in which nobody comes fails.
        thread::spawn(move || {
            for stream in listener.incoming().take(times) {
                stream.expect("a connection").write_all(b"good day\n").expect("the other side reads");
            }
        });
        run()
    }

    /// That nobody has come.
    #[track_caller]
    fn has_seen_nobody(&self) {
        self.listener.set_nonblocking(true).expect("own socket");
        let found = self.listener.accept();
        self.listener.set_nonblocking(false).expect("own socket");
        assert_eq!(found.map(|(_, from)| from).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    }
}

#[test]
fn a_module_finds_its_listener_and_who_has_connected() {
    for user in User::available() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            if TcpListener::bind(address).is_err() {
                cannot_run(&format!("there is no {address} here"));
                continue;
            }
            let server = Client::of(SERVER);
            let mut child = server.wave(*user).flag("--listen", address).spawn(&server.module, [""; 0]);
            let mut stderr = BufReader::with_capacity(1, child.stderr.take().expect("it is piped"));
            let mut line = String::new();
            stderr.read_line(&mut line).expect("text");
            child.stderr = Some(stderr.into_inner());
            let address = line.trim().strip_prefix("wave: listening on ").unwrap_or_else(|| panic!("{line}"));
            let address: SocketAddr = address.parse().expect("an address");
            let mut stream = TcpStream::connect(address).expect("it listens");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).expect("the addresses");
            finish(child).is(0, "", "");
            let text: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            assert_eq!(text, in_memory(address) + &in_memory(stream.local_addr().expect("it is connected")));
        }
        // Without one, there is none.
        let server = Client::of(SERVER);
        assert_eq!(server.run(*user, &[]).status.code(), Some(NOENT));
    }
}

#[test]
fn t38_a_program_connects_to_what_is_granted_and_to_nothing_else() {
    let (peer, other) = (Peer::loopback(), Peer::loopback());
    let address = peer.address();
    let client = Client::new(address, 1);
    let other_port = other.address().to_string();
    for user in User::available() {
        for grant in
            [format!("{address}"), format!("127.0.0.0/8:{0}-{0}", address.port()), "127.0.0.0/8:1-65535".to_owned()]
        {
            peer.serve(1, || client.run(*user, &[&other_port, &grant])).is(0, "good day\n", "");
        }
        let refused = [
            other_port.clone(),
            format!("127.0.0.2:{}", address.port()),
            format!("127.0.0.0/32:{}", address.port()),
            format!("[::1]:{}", address.port()),
        ];
        for grant in &refused {
            client.run(*user, &[grant]).is(NOTCAPABLE, "", "");
        }
        client.run(*user, &[]).is(NOTCAPABLE, "", "");
    }
    peer.has_seen_nobody();
    other.has_seen_nobody();
}

/// T39: the whole internet is not this host, and no network that is private.
#[test]
fn t39_a_wide_grant_does_not_reach_this_host() {
    let peer = Peer::loopback();
    let client = Client::new(peer.address(), 1);
    for user in User::available() {
        for wide in ["0.0.0.0/0:1-65535", "126.0.0.0/7:1-65535", "[::]/0:1-65535", "[::ffff:0:0]/96:1-65535"] {
            client.run(*user, &[wide]).is(NOTCAPABLE, "", "");
        }
    }
    peer.has_seen_nobody();
}

#[test]
fn t40_an_address_of_ipv4_has_one_form() {
    let peer = Peer::loopback();
    let port = peer.address().port();
    let grants = ["127.0.0.1:1-65535", "[::7f00:1]:1-65535", "[64:ff9b::7f00:1]:1-65535"];
    for user in User::available() {
        let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port));
        Client::new(mapped, 1).run(*user, &grants).is(INVAL, "", "");
        // Each meaning needs a grant.
        let compatible: SocketAddr = format!("[::7f00:1]:{port}").parse().expect("an address");
        for alone in grants {
            Client::new(compatible, 1).run(*user, &[alone]).is(NOTCAPABLE, "", "");
        }
        // Never granted: what the kernel takes for this host.
        for unspecified in ["0.0.0.0", "[::]"] {
            let remote = format!("{unspecified}:{port}").parse().expect("an address");
            Client::new(remote, 1)
                .run(*user, &["127.0.0.0/8:1-65535", "[::]/0:1-65535", "[::1]:1-65535"])
                .is(NOTCAPABLE, "", "");
        }
    }
    peer.has_seen_nobody();
}

#[test]
fn ipv6_works() {
    let Some(peer) = Peer::at(Ipv6Addr::LOCALHOST) else { return };
    let client = Client::new(peer.address(), 1);
    for user in User::available() {
        peer.serve(1, || client.run(*user, &[&peer.address().to_string()])).is(0, "good day\n", "");
        client.run(*user, &["[::]/0:1-65535"]).is(NOTCAPABLE, "", "");
    }
    peer.has_seen_nobody();
}

/// T47: nothing runs under a grant that can mean two things.
#[test]
fn t47_unclear_grants_are_refused_before_the_guest() {
    let client = Client::new(Peer::loopback().address(), 1);
    for wrong in
        ["local host:80", "::1:80", "127.0.0.1", "127.0.0.1/8:80", "127.0.0.1:0", "127.0.0.1:2-1", "0.0.0.0:80", ""]
    {
        let outcome = client.run(User::available()[0], &[wrong]);
        assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(2), ""), "{wrong}: {outcome:?}");
    }
}

#[test]
fn how_a_connection_fails_is_said() {
    let address = Peer::loopback().address();
    for user in User::available() {
        // Nobody listens there any more.
        Client::new(address, 1).run(*user, &[&address.to_string()]).is(CONNREFUSED, "", "");
    }
}

/// T107: another process counts, so the limit holds for a program that was taken over.
#[test]
fn t107_connections_are_limited_in_total() {
    let peer = Peer::loopback();
    let address = peer.address();
    for user in User::available() {
        let run = |times, most: &str| {
            let client = Client::new(address, times);
            let wave = client.wave(*user).flag("--connect", &address.to_string()).flag("--max-connections", most);
            wave.run(&client.module, [""; 0])
        };
        peer.serve(2, || run(2, "2")).is(0, "good day\ngood day\n", "");
        peer.serve(2, || run(3, "2")).is(MFILE, "good day\ngood day\n", "");
        run(1, "0").is(MFILE, "", "");
    }
    peer.has_seen_nobody();
}

/// T123: a module that asks for no connections gets no process that makes them.
#[test]
fn t123_a_grant_that_cannot_be_used_is_none() {
    let (_place, module) = wave_test_support::wat("(module (memory (export \"memory\") 1) (func (export \"_start\")))");
    let note = "wave: note: the module asks for no connections: it cannot connect to 127.0.0.1:80\n";
    Wave::strict().flag("--connect", "127.0.0.1:80").run(&module, [""; 0]).is(0, "", note);
    let report = Wave::strict().flag("--connect", "127.0.0.1:80").switch("--report").run(&module, [""; 0]);
    assert!(!report.stderr.contains("  broker ") && report.stderr.contains("connection to 127.0.0.1:80"), "{report:?}");
}

#[test]
fn a_report_has_the_layers_of_the_broker() {
    let peer = Peer::loopback();
    let client = Client::new(peer.address(), 1);
    for user in User::available() {
        let wave = client.wave(*user).flag("--connect", &peer.address().to_string()).switch("--report");
        let outcome = peer.serve(1, || wave.run(&client.module, [""; 0]));
        let line = outcome.stderr.lines().find(|line| line.trim_start().starts_with("broker "));
        let line = line.unwrap_or_else(|| panic!("{outcome:?}"));
        assert!(line.contains("required  applied") && line.contains("any other call ends the process"), "{line}");
        assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(0), "good day\n"));
    }
}

#[test]
fn a_policy_says_the_same() {
    let (peer, other) = (Peer::loopback(), Peer::loopback());
    for user in User::available() {
        let client = Client::new(peer.address(), 1);
        let generated = client_policy(&client);
        let file = client.place.path().join("policy.toml");
        for (grant, code, stdout) in [(peer.address(), 0, "good day\n"), (other.address(), NOTCAPABLE, "")] {
            std::fs::write(&file, format!("{generated}\n[net]\nconnect = [\"{grant}\"]\n")).expect("own directory");
            wave_test_support::readable_by_all(&file);
            let run =
                || client.wave(*user).flag("--policy", file.to_str().expect("UTF-8")).run(&client.module, [""; 0]);
            let outcome = if code == 0 { peer.serve(1, run) } else { run() };
            outcome.is(code, stdout, "");
        }
        // A flag adds to it, and that is said.
        let wave = client.wave(*user).flag("--policy", file.to_str().expect("UTF-8"));
        let wave = wave.flag("--connect", &peer.address().to_string());
        let outcome = peer.serve(1, || wave.run(&client.module, [""; 0]));
        let beyond = format!("--connect {} beyond the policy", peer.address());
        assert!(outcome.stderr.contains(&beyond) && outcome.stdout == "good day\n", "{outcome:?}");
    }
    peer.has_seen_nobody();
    other.has_seen_nobody();
}

fn client_policy(client: &Client) -> String {
    let output = Command::new(wave()).args(["policy", "gen"]).arg(&client.module).output().expect("wave runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_trace_names_the_address_and_what_would_allow_it() {
    let peer = Peer::loopback();
    let client = Client::new(peer.address(), 1);
    let outcome = client.wave(User::available()[0]).switch("--trace=net").run(&client.module, [""; 0]);
    let expected = format!(
        "wave: tcp_connect(remote={0}) = NOTCAPABLE, denied: no rule admits a connection to the address\n  to allow: --connect {0}\n",
        peer.address()
    );
    outcome.is(NOTCAPABLE, "", &expected);
}
