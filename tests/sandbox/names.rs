//! Hosts that are granted by name: looked up once at the start, by a name server that may be hostile.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use wave_test_support::user::User;
use wave_test_support::{Outcome, Wave, place_for_programs, wave};

const NOTCAPABLE: i32 = 76;

/// Looks a name up, connects to its first address, and prints what it reads; exits with the first error.
const CLIENT: &str = r#"(module
  (import "wave_net" "resolve" (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
  (import "wave_net" "tcp_connect" (func $tcp_connect (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 256) "NAME")
  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func (export "_start")
    (call $must (call $resolve (i32.const 256) (i32.const LEN) (i32.const 64) (i32.const 2) (i32.const 32)))
    (i32.store16 (i32.const 66) (i32.const PORT))
    (call $must (call $tcp_connect (i32.const 64) (i32.const 36)))
    (i64.store (i32.const 40) (i64.const 0x40_0000_0400))
    (call $must (call $fd_read (i32.load (i32.const 36)) (i32.const 40) (i32.const 1) (i32.const 48)))
    (i32.store (i32.const 44) (i32.load (i32.const 48)))
    (call $must (call $fd_write (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 52)))))"#;

/// What a name server says.
#[derive(Clone, Debug)]
enum Says {
    Addresses(Vec<IpAddr>),
    NoSuchName,
    Nothing,
    /// First an answer with another number, one to another question and what is no answer, with this address; then the truth.
    Forged(IpAddr, IpAddr),
    /// By UDP that it does not fit, by TCP this address.
    OnlyByTcp(IpAddr),
    /// By TCP the length of a message, and then a byte now and then.
    Trickle,
    Around,
    Huge,
}

/// A name server on loopback. It ends with the test.
struct Server(SocketAddr);

impl Server {
    fn start(says: Says) -> Self {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = udp.local_addr().expect("it is bound");
        let tcp = TcpListener::bind(address).expect("the same port");
        let by_tcp = says.clone();
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.expect("a connection");
                let mut len = [0; 2];
                stream.read_exact(&mut len).expect("a length");
                let mut question = vec![0; usize::from(u16::from_be_bytes(len))];
                stream.read_exact(&mut question).expect("a question");
                let Says::OnlyByTcp(address) = by_tcp else {
                    stream.write_all(&[0, 200]).expect("somebody reads");
                    while stream.write_all(&[0]).is_ok() {
                        thread::sleep(Duration::from_millis(300));
                    }
                    continue;
                };
                let reply = reply(&question, &[address], 0, 0);
                let len = u16::try_from(reply.len()).expect("it fits").to_be_bytes();
                stream.write_all(&[&len[..], &reply].concat()).expect("somebody reads");
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((len, from)) = udp.recv_from(&mut buffer) {
                for reply in replies(&says, &buffer[..len]) {
                    udp.send_to(&reply, from).expect("loopback");
                }
            }
        });
        Self(address)
    }
}

const NO_SUCH_NAME: u16 = 3;
const TRUNCATED: u16 = 1 << 9;

fn replies(says: &Says, question: &[u8]) -> Vec<Vec<u8>> {
    match says {
        Says::Addresses(addresses) => vec![reply(question, addresses, 0, 0)],
        Says::NoSuchName => vec![reply(question, &[], NO_SUCH_NAME, 0)],
        Says::Nothing => vec![],
        Says::Forged(forged, address) => {
            let mut another = reply(question, &[*forged], 0, 0);
            another[0] ^= 1;
            let mut other_name = reply(question, &[*forged], 0, 0);
            other_name[13] ^= 1;
            let no_answer = [&question[..2], &[0, 0], &reply(question, &[*forged], 0, 0)[4..]].concat();
            vec![another, other_name, no_answer, vec![], vec![0xc0; 512], reply(question, &[*address], 0, 0)]
        }
        Says::OnlyByTcp(_) | Says::Trickle => vec![reply(question, &[], TRUNCATED, 0)],
        Says::Around => {
            // The name is an alias of itself.
            let mut bytes = reply(question, &[], 0, 1);
            bytes.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
            vec![bytes]
        }
        Says::Huge => vec![reply(question, &[], 0, 60_000)],
    }
}

/// An answer to a question: those of the addresses that it asks for, and a count of records that are not there.
fn reply(question: &[u8], addresses: &[IpAddr], flags: u16, missing: u16) -> Vec<u8> {
    let is_ipv4 = question[question.len() - 3] == 1;
    let found: Vec<_> = addresses.iter().filter(|address| address.is_ipv4() == is_ipv4).collect();
    let mut bytes = question[..2].to_vec();
    let records = u16::try_from(found.len()).expect("a few") + missing;
    for number in [0x8180 | flags, 1, records, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(&question[12..]);
    for address in found {
        let (kind, octets) = match address {
            IpAddr::V4(address) => (1, address.octets().to_vec()),
            IpAddr::V6(address) => (28, address.octets().to_vec()),
        };
        bytes.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(octets.len()).expect("16")]);
        bytes.extend(octets);
    }
    bytes
}

/// Runs the client with these grants, by this server.
fn run(user: User, server: &Server, name: &str, port: u16, connect: &[&str]) -> Outcome {
    let place = place_for_programs();
    let module = place.path().join("client.wat");
    let text = CLIENT.replace("NAME", name).replace("LEN", &name.len().to_string()).replace("PORT", &port.to_string());
    std::fs::write(&module, text).expect("own directory");
    wave_test_support::readable_by_all(&module);
    let mut command = Command::new(place.path().join(wave().file_name().expect("it has a name")));
    user.runs(&mut command);
    command.args(["--sandbox", "strict", "run", "--timeout", "60s"]).current_dir(place.path());
    let wave = Wave::program(command).flag("--dns", &server.0.to_string());
    let wave = connect.iter().fold(wave, |wave, grant| wave.flag("--connect", grant));
    wave.run(&module, [""; 0])
}

/// The run did not start, because of this.
#[track_caller]
fn is_refused(outcome: &Outcome, what: &str) {
    assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(125), ""), "{outcome:?}");
    assert!(outcome.stderr.contains(what) && outcome.stderr.contains("\n  fix:"), "{what}: {outcome:?}");
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// Somebody on loopback who says good day to everybody.
fn peer() -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            stream.expect("a connection").write_all(b"good day\n").expect("the other side reads");
        }
    });
    port
}

#[test]
fn t46_a_name_stands_for_the_addresses_that_a_server_has() {
    let port = peer();
    let (name, address) = (format!("DB.example.:{port}"), format!("127.0.0.1:{port}"));
    for says in [
        Says::Addresses(vec![LOOPBACK]),
        Says::OnlyByTcp(LOOPBACK),
        Says::Forged(Ipv4Addr::new(127, 0, 0, 2).into(), LOOPBACK),
    ] {
        let server = Server::start(says.clone());
        for user in User::available() {
            for asked in ["db.example", "db.EXAMPLE", "db.example.", "127.0.0.1"] {
                run(*user, &server, asked, port, &[&name, &address]).is(0, "good day\n", "");
            }
            // Other names are neither looked up nor found, and a name is no grant of another port.
            for other in ["example", "a.db.example", "db.example.com", "localhost", ""] {
                run(*user, &server, other, port, &[&name, &address]).is(NOTCAPABLE, "", "");
            }
            let other_port = format!("127.0.0.1:{}", port ^ 1);
            let name = format!("db.example:{}", port ^ 1);
            run(*user, &server, "db.example", port, &[&name, &other_port]).is(NOTCAPABLE, "", "");
        }
    }
}

/// DNS rebinding: a name of somebody else leads to this host, to its network, or to the metadata of a cloud.
#[test]
fn t46_a_name_does_not_lead_into_a_special_range() {
    let port = peer();
    let grant = format!("db.example:{port}");
    for (address, can_be_granted) in [
        ("127.0.0.1", true),
        ("169.254.169.254", true),
        ("168.63.129.16", true),
        ("10.0.0.1", true),
        ("192.168.1.1", true),
        ("172.16.0.1", true),
        ("100.64.0.1", true),
        ("::1", true),
        ("fe80::1", true),
        ("fd00:ec2::254", true),
        ("::ffff:127.0.0.1", true),
        ("0.0.0.0", false),
        ("::", false),
        ("255.255.255.255", false),
        ("224.0.0.1", false),
        ("64:ff9b::7f00:1", false),
        ("::7f00:1", false),
    ] {
        let bad: IpAddr = address.parse().expect("an address");
        // Together with one that is allowed, it is refused as well.
        for addresses in [vec![bad], vec![PUBLIC, bad]] {
            let server = Server::start(Says::Addresses(addresses));
            let outcome = run(User::available()[0], &server, "db.example", port, &[&grant, "0.0.0.0/0:1-65535"]);
            is_refused(&outcome, &format!("`db.example` leads to {address}, which is no public address"));
            let fix = if can_be_granted { "grant the address too" } else { "no program may connect there" };
            assert!(outcome.stderr.contains(fix), "{address}: {outcome:?}");
        }
    }
    // The neighbors: a public address, and one that is granted. It is no grant of another one.
    for user in User::available() {
        let server =
            Server::start(Says::Addresses(vec![PUBLIC, Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 1).into()]));
        run(*user, &server, "other.example", port, &[&grant]).is(NOTCAPABLE, "", "");
        let server = Server::start(Says::Addresses(vec![LOOPBACK]));
        run(*user, &server, "db.example", port, &[&grant, "127.0.0.0/8:1-65535"]).is(0, "good day\n", "");
    }
}

#[test]
fn t46_what_a_hostile_server_says_ends_the_start_in_time() {
    let many = (0..17).map(|last| Ipv4Addr::new(203, 0, 113, last).into()).collect();
    for (says, what) in [
        (Says::NoSuchName, "cannot look up `db.example`: there is no such name"),
        (Says::Addresses(vec![]), "cannot look up `db.example`: it has no address"),
        (Says::Addresses(many), "17 addresses, more than 16"),
        (Says::Around, "a name that is an alias more than 8 times"),
        (Says::Huge, "an answer with 60000 records, more than 128"),
        (Says::Trickle, "no answer in time"),
        (Says::Nothing, "no answer in time"),
    ] {
        let server = Server::start(says.clone());
        let started = Instant::now();
        is_refused(&run(User::available()[0], &server, "db.example", 1, &["db.example:1"]), what);
        assert!(started.elapsed() < Duration::from_secs(25), "{says:?}: {:?}", started.elapsed());
    }
}
