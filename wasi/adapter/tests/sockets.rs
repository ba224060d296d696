//! wasi:sockets: there is no network.

mod script;

use script::{FILL, Rig};
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
fn sockets_are_denied() {
    for name in CREATE {
        for family in [0, 1] {
            let mut rig = Rig::new();
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

#[test]
fn names_are_not_looked_up() {
    let mut rig = Rig::new();
    let network = rig.get(NETWORK, &[]);
    for name in ["example.com", "", "::1", &"a".repeat(0x9000)] {
        let len = rig.put(TEXT, name);
        rig.set_guest(OUT, &[FILL; 8]);
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

#[test]
fn no_error_comes_from_the_network() {
    let mut rig = Rig::new();
    // A handle of kind 5, as a stream makes it.
    rig.set_own(0x2_1000 + 32 * 40, &5_u32.to_le_bytes());
    rig.call(ERROR_CODE, &[40, OUT]);
    assert_eq!(rig.guest(OUT, 2), [0, FILL]);
    rig.traps(ERROR_CODE, &[41, OUT]);
}
