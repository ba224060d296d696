//! wasi:sockets: TCP sockets that connect, if the host gives connections. There is nothing else.

mod script;

use script::{FILL, PATH, PATH2, RESULTS, Rig, Step, step, word};
use wasmi::TrapCode;

const OUT: u64 = 0x200;
const TEXT: u64 = 0x1003;

const CREATE: [&str; 2] =
    ["wasi:sockets/tcp-create-socket@0.2#create-tcp-socket", "wasi:sockets/udp-create-socket@0.2#create-udp-socket"];
const RESOLVE: &str = "wasi:sockets/ip-name-lookup@0.2#resolve-addresses";
const NETWORK: &str = "wasi:sockets/instance-network@0.2#instance-network";
const DROP_NETWORK: &str = "wasi:sockets/network@0.2#[resource-drop]network";
const ERROR_CODE: &str = "wasi:sockets/network@0.2#network-error-code";

/// Functions of WASI 0.2.0 to 0.2.12, and their flat types: `i` is i32, `l` is i64.
const FUNCTIONS: [(&str, &str, &str); 59] = [
    ("wasi:sockets/network@0.2#[resource-drop]network", "i", ""),
    ("wasi:sockets/network@0.2#network-error-code", "ii", ""),
    ("wasi:sockets/instance-network@0.2#instance-network", "", "i"),
    ("wasi:sockets/ip-name-lookup@0.2#[resource-drop]resolve-address-stream", "i", ""),
    ("wasi:sockets/ip-name-lookup@0.2#[method]resolve-address-stream.resolve-next-address", "ii", ""),
    ("wasi:sockets/ip-name-lookup@0.2#[method]resolve-address-stream.subscribe", "i", "i"),
    ("wasi:sockets/ip-name-lookup@0.2#resolve-addresses", "iiii", ""),
    ("wasi:sockets/tcp@0.2#[resource-drop]tcp-socket", "i", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.start-bind", "iiiiiiiiiiiiiii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.finish-bind", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.start-connect", "iiiiiiiiiiiiiii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.finish-connect", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.start-listen", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.finish-listen", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.accept", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.local-address", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.remote-address", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.is-listening", "i", "i"),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.address-family", "i", "i"),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.set-listen-backlog-size", "ili", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-enabled", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-enabled", "iii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-idle-time", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-idle-time", "ili", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-interval", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-interval", "ili", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-count", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-count", "iii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.hop-limit", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.set-hop-limit", "iii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.receive-buffer-size", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.set-receive-buffer-size", "ili", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.send-buffer-size", "ii", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.set-send-buffer-size", "ili", ""),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.subscribe", "i", "i"),
    ("wasi:sockets/tcp@0.2#[method]tcp-socket.shutdown", "iii", ""),
    ("wasi:sockets/tcp-create-socket@0.2#create-tcp-socket", "ii", ""),
    ("wasi:sockets/udp@0.2#[resource-drop]udp-socket", "i", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.start-bind", "iiiiiiiiiiiiiii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.finish-bind", "ii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.stream", "iiiiiiiiiiiiiii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.local-address", "ii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.remote-address", "ii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.address-family", "i", "i"),
    ("wasi:sockets/udp@0.2#[method]udp-socket.unicast-hop-limit", "ii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.set-unicast-hop-limit", "iii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.receive-buffer-size", "ii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.set-receive-buffer-size", "ili", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.send-buffer-size", "ii", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.set-send-buffer-size", "ili", ""),
    ("wasi:sockets/udp@0.2#[method]udp-socket.subscribe", "i", "i"),
    ("wasi:sockets/udp@0.2#[resource-drop]incoming-datagram-stream", "i", ""),
    ("wasi:sockets/udp@0.2#[method]incoming-datagram-stream.receive", "ili", ""),
    ("wasi:sockets/udp@0.2#[method]incoming-datagram-stream.subscribe", "i", "i"),
    ("wasi:sockets/udp@0.2#[resource-drop]outgoing-datagram-stream", "i", ""),
    ("wasi:sockets/udp@0.2#[method]outgoing-datagram-stream.check-send", "ii", ""),
    ("wasi:sockets/udp@0.2#[method]outgoing-datagram-stream.send", "iiii", ""),
    ("wasi:sockets/udp@0.2#[method]outgoing-datagram-stream.subscribe", "i", "i"),
    ("wasi:sockets/udp-create-socket@0.2#create-udp-socket", "ii", ""),
];

const ACCESS_DENIED: u8 = 1;
const NOT_SUPPORTED: u8 = 2;
const INVALID_ARGUMENT: u8 = 3;
const CONCURRENCY_CONFLICT: u8 = 6;
const NOT_IN_PROGRESS: u8 = 7;
const WOULD_BLOCK: u8 = 8;
const INVALID_STATE: u8 = 9;
const ADDRESS_IN_USE: u8 = 12;
const PERMANENT_RESOLVER_FAILURE: u8 = 20;

/// An error, and nothing after it.
fn is_refused(rig: &Rig, code: u8) {
    let expected = [1, FILL, FILL, FILL, code, FILL, FILL, FILL];
    assert_eq!(rig.guest(OUT, 8), expected);
}

#[test]
fn every_function_is_there_with_its_type() {
    script::check_functions("wasi:sockets/", &FUNCTIONS);
}

#[test]
fn udp_sockets_are_denied_and_tcp_sockets_without_connections() {
    for (name, asked) in [(CREATE[0], true), (CREATE[1], false)] {
        for family in [0, 1] {
            let mut rig = Rig::new();
            rig.expect(asked.then(|| is_there_a_network().answers(NOTCAPABLE)));
            rig.call(name, &[family, OUT]);
            is_refused(&rig, ACCESS_DENIED);
        }
        for family in [2, 0xffff_ffff] {
            Rig::new().traps(name, &[family, OUT]);
        }
        for off in [1, 2, 3] {
            Rig::new().traps(name, &[0, OUT + off]);
        }
    }
}

/// A lookup, and how many addresses the host has.
fn resolves(name: &str, addresses: &[(u8, &[u8])]) -> Step {
    let mut bytes = Vec::new();
    for (family, address) in addresses {
        bytes.extend([*family, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(*address);
        bytes.resize(bytes.len().next_multiple_of(24), 0);
    }
    let step = step("resolve", [PATH, name.len() as u64, PATH2, 16, RESULTS + 0x20]).sees(PATH, name);
    step.writes(PATH2, bytes).writes(RESULTS + 0x20, word(addresses.len() as u64))
}

#[test]
fn a_name_has_the_addresses_that_the_host_has() {
    const NEXT: &str = "wasi:sockets/ip-name-lookup@0.2#[method]resolve-address-stream.resolve-next-address";
    const SUBSCRIBE: &str = "wasi:sockets/ip-name-lookup@0.2#[method]resolve-address-stream.subscribe";
    const DROP: &str = "wasi:sockets/ip-name-lookup@0.2#[resource-drop]resolve-address-stream";
    let v6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xdc, 0xba, 0x98];
    let mut rig = Rig::new();
    let network = rig.get(NETWORK, &[]);
    let len = rig.put(TEXT, "db.example");
    let lookup = |rig: &mut Rig, addresses: &[(u8, &[u8])]| {
        rig.expect([resolves("db.example", addresses)]);
        rig.set_guest(OUT, &[FILL; 8]);
        rig.call(RESOLVE, &[network, TEXT, len, OUT]);
        assert_eq!(rig.guest(OUT, 4), [0, FILL, FILL, FILL]);
        rig.guest_word(OUT + 4)
    };
    let next = |rig: &mut Rig, stream: u64| {
        rig.set_guest(OUT, &[FILL; 24]);
        rig.call(NEXT, &[stream, OUT]);
        rig.guest(OUT, 24).to_vec()
    };
    let stream = lookup(&mut rig, &[(4, &[192, 0, 2, 1]), (6, &v6), (4, &[192, 0, 2, 2])]);
    let pollable = rig.get(SUBSCRIBE, &[stream]);
    assert_eq!(rig.get("wasi:io/poll@0.2#[method]pollable.ready", &[pollable]), 1);
    assert_eq!(next(&mut rig, stream)[..12], [0, FILL, 1, FILL, 0, FILL, 192, 0, 2, 1, FILL, FILL]);
    // An address of IPv6 is numbers of 16 bits.
    let six =
        [&[0, FILL, 1, FILL, 1, FILL, 0x01, 0x20, 0xb8, 0x0d][..], &[0; 8], &[0xdc, 0xfe, 0x98, 0xba], &[FILL; 2]];
    assert_eq!(next(&mut rig, stream), six.concat());
    assert_eq!(next(&mut rig, stream)[..12], [0, FILL, 1, FILL, 0, FILL, 192, 0, 2, 2, FILL, FILL]);
    for _ in 0..2 {
        assert_eq!(next(&mut rig, stream)[..6], [0, FILL, 0, FILL, FILL, FILL], "no address is left");
    }
    rig.call("wasi:io/poll@0.2#[resource-drop]pollable", &[pollable]);
    rig.call(DROP, &[stream]);

    // Streams are apart, and what was not read is freed: all entries can be used again and again.
    for _ in 0..3000 {
        let all: Vec<(u8, &[u8])> = vec![(6, &v6); 16];
        let (one, other) = (lookup(&mut rig, &[(4, &[192, 0, 2, 7])]), lookup(&mut rig, &all));
        assert_eq!(next(&mut rig, other)[4], 1);
        assert_eq!(next(&mut rig, one)[4..10], [0, FILL, 192, 0, 2, 7]);
        rig.call(DROP, &[other]);
        rig.call(DROP, &[one]);
    }

    // The entries of addresses are no handles, and a stream is dropped after its pollables.
    let stream = lookup(&mut rig, &[(4, &[192, 0, 2, 1])]);
    rig.traps(NEXT, &[stream + 1, OUT]);
    let (mut rig, network) = (Rig::new(), 1);
    assert_eq!(rig.get(NETWORK, &[]), network);
    rig.put(TEXT, "db.example");
    let stream = lookup(&mut rig, &[]);
    rig.get(SUBSCRIBE, &[stream]);
    rig.traps(DROP, &[stream]);
    let mut rig = Rig::new();
    assert_eq!(rig.get(NETWORK, &[]), network);
    rig.put(TEXT, "db.example");
    let stream = lookup(&mut rig, &[]);
    rig.traps(NEXT, &[stream, OUT + 1]);
}

#[test]
fn names_that_the_host_refuses_are_not_resolved() {
    let mut rig = Rig::new();
    let network = rig.get(NETWORK, &[]);
    let long = "a".repeat(0x9000);
    for name in ["example.com", "", "::1", &long] {
        let len = rig.put(TEXT, name);
        rig.set_guest(OUT, &[FILL; 8]);
        // No name that long is looked at.
        let lookup = step("resolve", [PATH, len, PATH2, 16, RESULTS + 0x20]).sees(PATH, name).answers(NOTCAPABLE);
        rig.expect((name != long).then_some(lookup));
        rig.call(RESOLVE, &[network, TEXT, len, OUT]);
        is_refused(&rig, PERMANENT_RESOLVER_FAILURE);
    }
    // The name is a string in memory, the result is aligned, the network is one.
    let len = rig.put(TEXT, b"a\xff");
    rig.traps(RESOLVE, &[network, TEXT, len, OUT]);
    let mut rig = Rig::new();
    let network = rig.get(NETWORK, &[]);
    rig.traps_by(RESOLVE, &[network, 0x3_ffff, 2, OUT], TrapCode::MemoryOutOfBounds);
    let mut rig = Rig::new();
    let network = rig.get(NETWORK, &[]);
    rig.traps(RESOLVE, &[network, TEXT, 0, OUT + 2]);
    for wrong in [0, 1, 8192, 0xffff_ffff] {
        Rig::new().traps(RESOLVE, &[wrong, TEXT, 0, OUT]);
    }
}

#[test]
fn a_network_is_a_handle() {
    let mut rig = Rig::new();
    let networks = [rig.get(NETWORK, &[]), rig.get(NETWORK, &[])];
    assert_ne!(networks[0], networks[1]);
    for network in networks {
        rig.call(DROP_NETWORK, &[network]);
    }
    rig.traps(DROP_NETWORK, &[networks[0]]);
    let mut rig = Rig::new();
    let network = rig.get(NETWORK, &[]);
    rig.traps("wasi:filesystem/types@0.2#[resource-drop]descriptor", &[network]);
}

/// All others take a handle that was never given out: whatever it is, it is not one.
#[test]
fn functions_of_sockets_trap() {
    let others = FUNCTIONS
        .into_iter()
        .filter(|(name, ..)| !CREATE.contains(name) && ![RESOLVE, NETWORK, DROP_NETWORK, ERROR_CODE].contains(name));
    let mut count = 0;
    for (name, params, _) in others {
        for handle in [0, 1, 2, 8191, 0xffff_ffff] {
            let mut rig = Rig::new();
            assert_eq!(rig.get(NETWORK, &[]), 1);
            let mut arguments = vec![0; params.len()];
            arguments[0] = handle;
            rig.traps(name, &arguments);
        }
        count += 1;
    }
    assert_eq!(count, 53);
}

/// Errors of the host, and what they are called here.
const ERRORS: [(u16, u8); 20] = [
    (2, ACCESS_DENIED),
    (3, 12),
    (4, 11),
    (5, NOT_SUPPORTED),
    (6, WOULD_BLOCK),
    (13, 16),
    (14, 14),
    (15, 15),
    (23, 13),
    (28, INVALID_ARGUMENT),
    (33, 10),
    (38, 13),
    (40, 13),
    (41, 10),
    (42, 4),
    (48, 4),
    (53, INVALID_STATE),
    (58, NOT_SUPPORTED),
    (63, ACCESS_DENIED),
    (NOTCAPABLE, ACCESS_DENIED),
];
const TIMEDOUT: (u16, u8) = (73, 5);

#[test]
fn an_error_of_a_connection_has_a_code_and_no_other_has() {
    let all = ERRORS.into_iter().chain([TIMEDOUT]);
    for errno in 0..=76_u16 {
        let code = all.clone().find(|(other, _)| *other == errno).map_or(0, |(_, code)| code);
        let is_of_connections = code == 5 || code >= 13;
        let mut rig = Rig::new();
        // A handle of kind 5, as a stream makes it.
        rig.set_own(0x2_1000 + 32 * 40, &5_u32.to_le_bytes());
        rig.set_own(0x2_1000 + 32 * 40 + 24, &u32::from(errno).to_le_bytes());
        rig.call(ERROR_CODE, &[40, OUT]);
        assert_eq!(rig.guest(OUT, 2), if is_of_connections { [1, code] } else { [0, FILL] }, "{errno}");
        rig.traps(ERROR_CODE, &[41, OUT]);
    }
}

const NOTCAPABLE: u16 = 76;
const AGAIN: u16 = 6;
const BADF: u16 = 8;
const FD: u64 = 7;

fn method(name: &str) -> String {
    format!("wasi:sockets/tcp@0.2#[method]tcp-socket.{name}")
}

fn is_there_a_network() -> Step {
    step("address", [0xffff_ffff, 0, RESULTS])
}

/// A new socket of this family, and a network.
fn socket(rig: &mut Rig, family: u64) -> (u64, u64) {
    rig.expect([is_there_a_network().answers(BADF)]);
    rig.call(CREATE[0], &[family, OUT]);
    assert_eq!(rig.guest(OUT, 4), [0, FILL, FILL, FILL]);
    (rig.guest_word(OUT + 4), rig.get(NETWORK, &[]))
}

/// The arguments of start-connect and start-bind for 127.0.0.1:80.
fn loopback(socket: u64, network: u64) -> Vec<u64> {
    [[socket, network, 0, 80, 127, 0, 0, 1].as_slice(), &[0; 6], &[OUT]].concat()
}

/// The 24 bytes of an address: a call to connect there, which is answered with a descriptor.
fn connects(family: u8, port: u16, address: &[u8]) -> Step {
    let mut bytes = vec![family, 0];
    bytes.extend(port.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(address);
    bytes.resize(24, 0);
    step("tcp_connect", [RESULTS, RESULTS + 0x20]).sees(RESULTS, bytes).writes(RESULTS + 0x20, word(FD))
}

/// `result<_, error-code>`
fn state(rig: &mut Rig, name: &str, arguments: &[u64]) -> u8 {
    rig.set_guest(OUT, &[FILL; 2]);
    rig.call(&method(name), arguments);
    match rig.guest(OUT, 2)[..] {
        [0, FILL] => 0,
        [1, code] => code,
        ref other => panic!("{name}: {other:?}"),
    }
}

/// The error of a larger result, with the code at 4.
fn refusal(rig: &mut Rig, name: &str, socket: u64) -> u8 {
    rig.set_guest(OUT, &[FILL; 8]);
    rig.call(&method(name), &[socket, OUT]);
    let bytes = rig.guest(OUT, 8);
    assert_eq!((&bytes[..4], &bytes[5..]), (&[1, FILL, FILL, FILL][..], &[FILL; 3][..]), "{name}");
    bytes[4]
}

fn begin(rig: &mut Rig, socket: u64, network: u64) {
    rig.expect([connects(4, 80, &[127, 0, 0, 1])]);
    assert_eq!(state(rig, "start-connect", &loopback(socket, network)), 0);
}

#[test]
fn a_socket_connects_and_has_streams_and_addresses() {
    let mut rig = Rig::new();
    let (socket, network) = socket(&mut rig, 0);
    let pollable = rig.get(&method("subscribe"), &[socket]);
    let ready = "wasi:io/poll@0.2#[method]pollable.ready";
    assert_eq!(rig.get(ready, &[pollable]), 1, "nothing is under way");
    begin(&mut rig, socket, network);
    assert_eq!(state(&mut rig, "start-connect", &loopback(socket, network)), CONCURRENCY_CONFLICT);
    assert_eq!(state(&mut rig, "start-bind", &loopback(socket, network)), INVALID_STATE);

    rig.expect([step("poll_oneoff", [0x200, 0x260, 2, 0x2a0]).writes(0x2a0, word(0))]);
    assert_eq!(rig.get(ready, &[pollable]), 0);
    rig.expect([step("tcp_status", [FD]).answers(AGAIN)]);
    assert_eq!(refusal(&mut rig, "finish-connect", socket), WOULD_BLOCK);
    assert_eq!(refusal(&mut rig, "remote-address", socket), INVALID_STATE);

    rig.expect([step("tcp_status", [FD])]);
    rig.set_guest(OUT, &[FILL; 12]);
    rig.call(&method("finish-connect"), &[socket, OUT]);
    assert_eq!(rig.guest(OUT, 4), [0, FILL, FILL, FILL]);
    let (input, output) = (rig.guest_word(OUT + 4), rig.guest_word(OUT + 8));
    assert_eq!(rig.get(ready, &[pollable]), 1);
    rig.call("wasi:io/poll@0.2#[resource-drop]pollable", &[pollable]);
    assert_eq!(refusal(&mut rig, "finish-connect", socket), NOT_IN_PROGRESS);
    assert_eq!(state(&mut rig, "start-connect", &loopback(socket, network)), INVALID_STATE);

    let address = [&[4, 0, 0x90, 0x1f, 0, 0, 0, 0, 127, 0, 0, 1][..], &[0; 12]].concat();
    for (name, which) in [("local-address", 0), ("remote-address", 1)] {
        rig.expect([step("address", [FD, which, RESULTS]).writes(RESULTS, address.clone())]);
        rig.set_guest(OUT, &[FILL; 16]);
        rig.call(&method(name), &[socket, OUT]);
        let expected = [0, FILL, FILL, FILL, 0, FILL, FILL, FILL, 0x90, 0x1f, 127, 0, 0, 1, FILL, FILL];
        assert_eq!(rig.guest(OUT, 16), expected, "{name}");
    }

    // The streams read and write the descriptor.
    rig.expect([step("fd_read", [FD, RESULTS, 1, RESULTS + 8]).writes(RESULTS + 8, word(2)).writes(0x1000, *b"hi")]);
    rig.call("wasi:io/streams@0.2#[method]input-stream.blocking-read", &[input, 2, OUT]);
    let text = rig.guest_word(OUT + 4);
    assert_eq!(rig.guest(text, 2), b"hi");
    rig.expect([step("fd_write", [FD, RESULTS, 1, RESULTS + 8]).sees(0x1000, *b"yes").writes(RESULTS + 8, word(3))]);
    rig.put(TEXT, "yes");
    rig.call("wasi:io/streams@0.2#[method]output-stream.blocking-write-and-flush", &[output, TEXT, 3, OUT]);

    for (how, bits) in [(0, 1), (1, 2), (2, 3)] {
        rig.expect([step("sock_shutdown", [FD, bits])]);
        assert_eq!(state(&mut rig, "shutdown", &[socket, how, OUT]), 0);
    }
    rig.expect([step("sock_shutdown", [FD, 1]).answers(53)]);
    assert_eq!(state(&mut rig, "shutdown", &[socket, 0, OUT]), INVALID_STATE);

    // Whoever is the last closes it.
    rig.call("wasi:io/streams@0.2#[resource-drop]input-stream", &[input]);
    rig.call("wasi:io/streams@0.2#[resource-drop]output-stream", &[output]);
    rig.expect([step("fd_close", [FD])]);
    rig.call("wasi:sockets/tcp@0.2#[resource-drop]tcp-socket", &[socket]);
    rig.traps(&method("is-listening"), &[socket]);
}

#[test]
fn a_socket_is_dropped_after_its_streams() {
    let mut rig = Rig::new();
    let (socket, network) = socket(&mut rig, 0);
    begin(&mut rig, socket, network);
    rig.expect([step("tcp_status", [FD])]);
    rig.call(&method("finish-connect"), &[socket, OUT]);
    rig.traps("wasi:sockets/tcp@0.2#[resource-drop]tcp-socket", &[socket]);
}

#[test]
fn an_address_of_ipv6_has_the_high_byte_first() {
    let mut rig = Rig::new();
    let (socket, network) = socket(&mut rig, 1);
    assert_eq!(rig.get(&method("address-family"), &[socket]), 1);
    let bytes = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56];
    rig.expect([connects(6, 443, &bytes)]);
    let groups = [0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456];
    let arguments = |scope| [&[socket, network, 1, 443, 9][..], &groups, &[scope, OUT]].concat();
    assert_eq!(state(&mut rig, "start-connect", &arguments(0)), 0);
    rig.expect([step("address", [FD, 0, RESULTS]).writes(RESULTS, [&[6, 0, 1, 2, 0, 0, 0, 0][..], &bytes].concat())]);
    rig.call(&method("local-address"), &[socket, OUT]);
    let read = |at: u64, len| rig.guest(OUT + at, len);
    assert_eq!(
        (read(0, 1), read(4, 1), read(8, 2), read(12, 4), read(32, 4)),
        (vec![0], vec![1], vec![1, 2], vec![0; 4], vec![0; 4])
    );
    let expected: Vec<u8> = groups.iter().flat_map(|group| u16::try_from(*group).unwrap().to_le_bytes()).collect();
    assert_eq!(read(16, 16), expected);

    // The scope is the host's to refuse.
    let mut rig = Rig::new();
    let (_, _) = self::socket(&mut rig, 1);
    rig.expect([step("tcp_connect", [RESULTS, RESULTS + 0x20]).sees(RESULTS + 4, word(3)).answers(28)]);
    assert_eq!(state(&mut rig, "start-connect", &arguments(3)), INVALID_ARGUMENT);
}

#[test]
fn what_is_no_remote_address_is_not_asked_for() {
    let v4 = |port: u64, address: [u64; 4]| [&[0, port][..], &address, &[0; 6]].concat();
    let v6 = |port: u64, groups: [u64; 8]| [&[1, port, 0][..], &groups, &[0]].concat();
    let any = [1, 0, 0, 0, 0, 0, 0, 1];
    for (family, address) in [
        (0, v4(0, [127, 0, 0, 1])),
        (0, v4(0x1_0000, [127, 0, 0, 1])),
        (0, v4(80, [0, 0, 0, 0])),
        (0, v4(80, [224, 0, 0, 1])),
        (0, v4(80, [239, 255, 255, 255])),
        (0, v4(80, [255, 255, 255, 255])),
        (0, v6(80, any)),
        (1, v4(80, [127, 0, 0, 1])),
        (1, v6(0, any)),
        (1, v6(80, [0; 8])),
        (1, v6(80, [0xff02, 0, 0, 0, 0, 0, 0, 1])),
        (1, v6(80, [0, 0, 0, 0, 0, 0xffff, 0x7f00, 1])),
    ] {
        let mut rig = Rig::new();
        let (socket, network) = socket(&mut rig, family);
        let arguments = [&[socket, network][..], &address, &[OUT]].concat();
        assert_eq!(state(&mut rig, "start-connect", &arguments), INVALID_ARGUMENT, "{address:?}");
        // Nothing has begun.
        assert_eq!(refusal(&mut rig, "finish-connect", socket), NOT_IN_PROGRESS);
    }
    // Their neighbours are.
    for (family, address, bytes) in [
        (0, v4(80, [223, 255, 255, 255]), vec![223, 255, 255, 255]),
        (0, v4(80, [0, 0, 0, 1]), vec![0, 0, 0, 1]),
        (0, v4(80, [240, 0, 0, 1]), vec![240, 0, 0, 1]),
        (1, v6(80, [0xfeff, 0, 0, 0, 0, 0, 0, 0]), vec![0xfe, 0xff]),
        (1, v6(80, [0, 0, 0, 0, 0, 0, 0, 1]), [&[0; 15][..], &[1]].concat()),
        (1, v6(80, [0, 0, 0, 0, 0, 0xfffe, 0, 1]), [&[0; 10][..], &[0xff, 0xfe, 0, 0, 0, 1]].concat()),
        (1, v6(80, [0, 0, 0, 1, 0, 0xffff, 0, 1]), [&[0; 7][..], &[1, 0, 0, 0xff, 0xff, 0, 0, 0, 1]].concat()),
    ] {
        let mut rig = Rig::new();
        let (socket, network) = socket(&mut rig, family);
        rig.expect([connects(if family == 0 { 4 } else { 6 }, 80, &bytes)]);
        let arguments = [&[socket, network][..], &address, &[OUT]].concat();
        assert_eq!(state(&mut rig, "start-connect", &arguments), 0, "{address:?}");
    }
    for name in ["start-connect", "start-bind"] {
        let mut rig = Rig::new();
        let (socket, network) = socket(&mut rig, 0);
        rig.traps(&method(name), &[&[socket, network, 2][..], &[0; 11], &[OUT]].concat());
        let mut rig = Rig::new();
        let (socket, _) = self::socket(&mut rig, 0);
        rig.traps(&method(name), &loopback(socket, socket));
    }
}

#[test]
fn a_refused_address_leaves_the_socket_as_it_was() {
    for (errno, code) in [(NOTCAPABLE, ACCESS_DENIED), (33, 10)] {
        let mut rig = Rig::new();
        let (socket, network) = socket(&mut rig, 0);
        rig.expect([connects(4, 80, &[127, 0, 0, 1]).answers(errno)]);
        assert_eq!(state(&mut rig, "start-connect", &loopback(socket, network)), code);
        assert_eq!(refusal(&mut rig, "finish-connect", socket), NOT_IN_PROGRESS);
        begin(&mut rig, socket, network);
    }
}

#[test]
fn finish_connect_says_why_it_failed_and_the_socket_is_of_no_more_use() {
    for (errno, code) in ERRORS.into_iter().chain([TIMEDOUT, (29, 0)]) {
        let at_once = ![28, 33, NOTCAPABLE].contains(&errno);
        let later = errno != AGAIN;
        for at_once in [at_once.then_some(true), later.then_some(false)].into_iter().flatten() {
            let mut rig = Rig::new();
            let (socket, network) = socket(&mut rig, 0);
            if at_once {
                rig.expect([connects(4, 80, &[127, 0, 0, 1]).answers(errno)]);
                assert_eq!(state(&mut rig, "start-connect", &loopback(socket, network)), 0);
                assert_eq!(state(&mut rig, "start-connect", &loopback(socket, network)), CONCURRENCY_CONFLICT);
            } else {
                begin(&mut rig, socket, network);
                rig.expect([step("tcp_status", [FD]).answers(errno), step("fd_close", [FD])]);
            }
            assert_eq!(refusal(&mut rig, "finish-connect", socket), code, "{errno}");
            assert_eq!(refusal(&mut rig, "finish-connect", socket), NOT_IN_PROGRESS);
            assert_eq!(refusal(&mut rig, "local-address", socket), INVALID_STATE);
            assert_eq!(state(&mut rig, "start-connect", &loopback(socket, network)), INVALID_STATE);
            let pollable = rig.get(&method("subscribe"), &[socket]);
            rig.call("wasi:io/poll@0.2#[method]pollable.block", &[pollable]);
            rig.call("wasi:io/poll@0.2#[resource-drop]pollable", &[pollable]);
            rig.call("wasi:sockets/tcp@0.2#[resource-drop]tcp-socket", &[socket]);
        }
    }
}

/// The 24 bytes of an address of IPv4.
fn bytes_of_v4(address: [u8; 4], port: u16) -> Vec<u8> {
    let [low, high] = port.to_le_bytes();
    [&[4, 0, low, high, 0, 0, 0, 0][..], &address, &[0; 12]].concat()
}

/// The host has these listeners, from descriptor 5 on, and is asked about so many of them; for all, until there are no more.
fn listeners(addresses: &[Vec<u8>], up_to: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, address) in (0..).zip(&addresses[..up_to]) {
        steps.push(step("tcp_listener", [index, RESULTS + 0x20]).writes(RESULTS + 0x20, word(5 + index)));
        steps.push(step("address", [5 + index, 0, RESULTS + 0x40]).writes(RESULTS + 0x40, address.clone()));
    }
    if up_to == addresses.len() {
        steps.push(step("tcp_listener", [addresses.len() as u64, RESULTS + 0x20]).answers(44));
    }
    steps
}

fn bind_to(socket: u64, network: u64, address: [u64; 4], port: u64) -> Vec<u64> {
    [&[socket, network, 0, port][..], &address, &[0; 6], &[OUT]].concat()
}

#[test]
fn t42_a_socket_is_bound_to_a_listener_of_the_host_and_to_no_other_address() {
    let given = [
        bytes_of_v4([127, 0, 0, 1], 80),
        bytes_of_v4([127, 0, 0, 1], 81),
        bytes_of_v4([0, 0, 0, 0], 82),
        [&[6, 0, 83, 0, 0, 0, 0, 0][..], &[0; 15], &[1]].concat(),
    ];
    // The right address and port; any port of the right address; the wildcard, as it was given.
    for (address, port, found) in [
        ([127, 0, 0, 1], 80, Some(0)),
        ([127, 0, 0, 1], 81, Some(1)),
        ([127, 0, 0, 1], 0, Some(0)),
        ([0, 0, 0, 0], 82, Some(2)),
        ([0, 0, 0, 0], 0, Some(2)),
        ([127, 0, 0, 1], 82, None),
        ([127, 0, 0, 1], 83, None),
        ([127, 0, 0, 2], 0, None),
        ([0, 0, 0, 0], 80, None),
    ] {
        let mut rig = Rig::new();
        let (socket, network) = socket(&mut rig, 0);
        rig.expect(listeners(&given, found.map_or(given.len(), |found| found + 1)));
        let result = state(&mut rig, "start-bind", &bind_to(socket, network, address, port));
        assert_eq!(result, if found.is_some() { 0 } else { ACCESS_DENIED }, "{address:?}:{port}");
        // Nothing has begun that did not, and it is of use for another address.
        let again = state(&mut rig, "finish-bind", &[socket, OUT]);
        assert_eq!(again, if found.is_some() { 0 } else { NOT_IN_PROGRESS });
        if let Some(found) = found {
            rig.expect([step("address", [5 + found as u64, 0, RESULTS]).writes(RESULTS, given[found].clone())]);
            rig.call(&method("local-address"), &[socket, OUT]);
            assert_eq!(rig.guest(OUT, 1), [0]);
        }
    }
    let groups = [0, 0, 0, 0, 0, 0, 0, 1];
    for (scope, found) in [(0, true), (3, false)] {
        let mut rig = Rig::new();
        let (socket, network) = socket(&mut rig, 1);
        rig.expect(listeners(&given, 4).into_iter().take(if found { 8 } else { 9 }));
        let arguments = [&[socket, network, 1, 83, 0][..], &groups, &[scope, OUT]].concat();
        assert_eq!(state(&mut rig, "start-bind", &arguments), if found { 0 } else { ACCESS_DENIED });
    }
    // What no socket can be bound to is not looked for.
    for (family, address) in [
        (0, [&[0, 80][..], &[224, 0, 0, 1], &[0; 6]].concat()),
        (0, [&[0, 80][..], &[255, 255, 255, 255], &[0; 6]].concat()),
        (0, [&[1, 80, 0][..], &groups, &[0]].concat()),
        (1, [&[0, 80][..], &[127, 0, 0, 1], &[0; 6]].concat()),
        (1, vec![1, 80, 0, 0xff02, 0, 0, 0, 0, 0, 0, 1, 0]),
        (1, vec![1, 80, 0, 0, 0, 0, 0, 0, 0xffff, 0x7f00, 1, 0]),
    ] {
        let mut rig = Rig::new();
        let (socket, network) = socket(&mut rig, family);
        let arguments = [&[socket, network][..], &address, &[OUT]].concat();
        assert_eq!(state(&mut rig, "start-bind", &arguments), INVALID_ARGUMENT, "{address:?}");
    }
}

#[test]
fn a_listener_is_of_one_socket_at_a_time_and_stays_open() {
    let given = [bytes_of_v4([127, 0, 0, 1], 80), bytes_of_v4([127, 0, 0, 1], 81)];
    let mut rig = Rig::new();
    let (first, network) = socket(&mut rig, 0);
    rig.expect(listeners(&given, 1));
    assert_eq!(state(&mut rig, "start-bind", &loopback(first, network)), 0);
    let (second, _) = socket(&mut rig, 0);
    rig.expect(listeners(&given, 2));
    assert_eq!(state(&mut rig, "start-bind", &loopback(second, network)), ADDRESS_IN_USE);
    // Any port is one that is free.
    rig.expect(listeners(&given, 2).into_iter().take(4));
    assert_eq!(state(&mut rig, "start-bind", &bind_to(second, network, [127, 0, 0, 1], 0)), 0);
    // It is not closed.
    rig.call("wasi:sockets/tcp@0.2#[resource-drop]tcp-socket", &[first]);
    let (third, _) = socket(&mut rig, 0);
    rig.expect(listeners(&given, 1));
    assert_eq!(state(&mut rig, "start-bind", &loopback(third, network)), 0);
}

#[test]
fn a_socket_listens_and_accepts() {
    let given = [bytes_of_v4([127, 0, 0, 1], 80), bytes_of_v4([127, 0, 0, 1], 81)];
    let mut rig = Rig::new();
    let (socket, network) = socket(&mut rig, 0);
    // Who subscribes early waits for what comes later.
    let pollable = rig.get(&method("subscribe"), &[socket]);
    let ready = "wasi:io/poll@0.2#[method]pollable.ready";
    let of = |name: &str, rig: &mut Rig| state(rig, name, &[socket, OUT]);

    rig.expect(listeners(&given, 1));
    assert_eq!(state(&mut rig, "start-bind", &loopback(socket, network)), 0);
    assert_eq!(state(&mut rig, "start-bind", &loopback(socket, network)), CONCURRENCY_CONFLICT);
    assert_eq!(of("start-listen", &mut rig), INVALID_STATE);
    assert_eq!(refusal(&mut rig, "local-address", socket), INVALID_STATE);
    assert_eq!((of("finish-bind", &mut rig), of("finish-bind", &mut rig)), (0, NOT_IN_PROGRESS));
    assert_eq!(state(&mut rig, "start-bind", &loopback(socket, network)), INVALID_STATE);
    assert_eq!(state(&mut rig, "start-connect", &loopback(socket, network)), ACCESS_DENIED);
    assert_eq!(refusal(&mut rig, "accept", socket), INVALID_STATE);
    assert_eq!((of("finish-listen", &mut rig), of("start-listen", &mut rig)), (NOT_IN_PROGRESS, 0));
    assert_eq!(of("start-listen", &mut rig), CONCURRENCY_CONFLICT);
    assert_eq!((rig.get(&method("is-listening"), &[socket]), rig.get(ready, &[pollable])), (0, 1));
    rig.expect([step("fd_fdstat_set_flags", [5, 4])]);
    assert_eq!(of("finish-listen", &mut rig), 0);
    assert_eq!((of("finish-listen", &mut rig), of("start-listen", &mut rig)), (NOT_IN_PROGRESS, INVALID_STATE));
    assert_eq!(state(&mut rig, "start-connect", &loopback(socket, network)), INVALID_STATE);
    assert_eq!(rig.get(&method("is-listening"), &[socket]), 1);
    assert_eq!(state(&mut rig, "set-listen-backlog-size", &[socket, 32, OUT]), NOT_SUPPORTED);
    assert_eq!(refusal(&mut rig, "remote-address", socket), INVALID_STATE);
    assert_eq!(state(&mut rig, "shutdown", &[socket, 2, OUT]), INVALID_STATE);

    // To be read (1), not written.
    let subscription = [&1_u64.to_le_bytes()[..], &1_u64.to_le_bytes(), &5_u64.to_le_bytes()].concat();
    let poll = || step("poll_oneoff", [0x200, 0x260, 2, 0x2a0]).sees(0x200, subscription.clone());
    rig.expect([poll().writes(0x2a0, word(0))]);
    assert_eq!(rig.get(ready, &[pollable]), 0);
    rig.expect([step("sock_accept", [5, 0, RESULTS + 0x20]).answers(AGAIN)]);
    assert_eq!(refusal(&mut rig, "accept", socket), WOULD_BLOCK);

    rig.expect([step("sock_accept", [5, 0, RESULTS + 0x20]).writes(RESULTS + 0x20, word(FD))]);
    rig.set_guest(OUT, &[FILL; 16]);
    rig.call(&method("accept"), &[socket, OUT]);
    assert_eq!(rig.guest(OUT, 4), [0, FILL, FILL, FILL]);
    let [accepted, input, output] = [4, 8, 12].map(|at| rig.guest_word(OUT + at));
    assert_eq!(rig.get(&method("address-family"), &[accepted]), 0);
    assert_eq!(rig.get(&method("is-listening"), &[accepted]), 0);
    assert_eq!(state(&mut rig, "set-listen-backlog-size", &[accepted, 32, OUT]), INVALID_STATE);
    rig.expect([step("address", [FD, 1, RESULTS]).writes(RESULTS, bytes_of_v4([127, 0, 0, 1], 4000))]);
    rig.call(&method("remote-address"), &[accepted, OUT]);
    assert_eq!(rig.guest(OUT, 1), [0]);
    rig.expect([step("fd_read", [FD, RESULTS, 1, RESULTS + 8]).writes(RESULTS + 8, word(2)).writes(0x1000, *b"hi")]);
    rig.call("wasi:io/streams@0.2#[method]input-stream.blocking-read", &[input, 2, OUT]);
    rig.expect([step("sock_shutdown", [FD, 3])]);
    assert_eq!(state(&mut rig, "shutdown", &[accepted, 2, OUT]), 0);

    // The connection is closed, its listener is not.
    rig.call("wasi:io/streams@0.2#[resource-drop]input-stream", &[input]);
    rig.call("wasi:io/streams@0.2#[resource-drop]output-stream", &[output]);
    rig.expect([step("fd_close", [FD])]);
    rig.call("wasi:sockets/tcp@0.2#[resource-drop]tcp-socket", &[accepted]);
    rig.call("wasi:io/poll@0.2#[resource-drop]pollable", &[pollable]);
    rig.call("wasi:sockets/tcp@0.2#[resource-drop]tcp-socket", &[socket]);
}

#[test]
fn a_new_socket_is_neither_bound_nor_listening_and_has_no_options() {
    let mut rig = Rig::new();
    let (socket, _) = socket(&mut rig, 0);
    assert_eq!(rig.get(&method("is-listening"), &[socket]), 0);
    assert_eq!(rig.get(&method("address-family"), &[socket]), 0);
    for (name, code) in [
        ("finish-bind", NOT_IN_PROGRESS),
        ("finish-listen", NOT_IN_PROGRESS),
        ("start-listen", INVALID_STATE),
        ("keep-alive-enabled", NOT_SUPPORTED),
        ("hop-limit", NOT_SUPPORTED),
    ] {
        assert_eq!(state(&mut rig, name, &[socket, OUT]), code, "{name}");
    }
    for (name, code) in [
        ("finish-connect", NOT_IN_PROGRESS),
        ("accept", INVALID_STATE),
        ("local-address", INVALID_STATE),
        ("remote-address", INVALID_STATE),
        ("keep-alive-count", NOT_SUPPORTED),
    ] {
        assert_eq!(refusal(&mut rig, name, socket), code, "{name}");
    }
    for name in ["keep-alive-idle-time", "keep-alive-interval", "receive-buffer-size", "send-buffer-size"] {
        rig.set_guest(OUT, &[FILL; 16]);
        rig.call(&method(name), &[socket, OUT]);
        assert_eq!((rig.guest(OUT, 2), rig.guest(OUT + 8, 2)), (vec![1, FILL], vec![NOT_SUPPORTED, FILL]), "{name}");
    }
    let setters = [
        "set-keep-alive-enabled",
        "set-keep-alive-idle-time",
        "set-keep-alive-interval",
        "set-keep-alive-count",
        "set-hop-limit",
        "set-receive-buffer-size",
        "set-send-buffer-size",
    ];
    for (value, code) in [(1, 0), (u64::MAX, 0), (0, INVALID_ARGUMENT)] {
        assert_eq!(state(&mut rig, "set-listen-backlog-size", &[socket, value, OUT]), code);
    }
    for name in setters {
        assert_eq!(state(&mut rig, name, &[socket, 1, OUT]), NOT_SUPPORTED, "{name}");
    }
    assert_eq!(state(&mut rig, "shutdown", &[socket, 2, OUT]), INVALID_STATE);
    rig.call("wasi:sockets/tcp@0.2#[resource-drop]tcp-socket", &[socket]);
    let mut rig = Rig::new();
    let (socket, _) = self::socket(&mut rig, 0);
    rig.traps(&method("shutdown"), &[socket, 3, OUT]);
}
