//! The network, and sockets of the host.

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SYS_socket,
};

use crate::probe::Kind::{Network, Other, Permitted};
use crate::probe::{End, Evidence, Probe, attack};
use crate::raw::call;
use crate::scene::{INET, NAME_LEN, Scene};

const IPPROTO_MPTCP: i32 = 262;

pub fn attacks() -> Vec<Probe> {
    let mut all = making();
    all.extend(reaching());
    all.extend(by_the_listener());
    all
}

fn making() -> Vec<Probe> {
    vec![
        attack(Other, "T38", "a TCP socket", "socket", |_| socket(AF_INET, SOCK_STREAM, 0)),
        attack(Other, "T38", "a UDP socket", "socket", |_| socket(AF_INET, SOCK_DGRAM, 0)),
        attack(Other, "T38", "a TCP socket of IPv6", "socket", |_| socket(AF_INET6, SOCK_STREAM, 0)).where_available(),
        attack(Other, "T43", "a multipath TCP socket", "socket", |_| socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP))
            .where_available(),
        attack(Other, "T43", "an SCTP socket", "socket", |_| socket(AF_INET, SOCK_STREAM, libc::IPPROTO_SCTP))
            .where_available(),
        attack(Other, "T43", "a raw socket", "socket", |_| socket(AF_INET, SOCK_RAW, libc::IPPROTO_ICMP)).needs_root(),
        attack(Other, "T43", "a packet socket", "socket", |_| socket(AF_PACKET, SOCK_RAW, 0)).needs_root(),
        attack(Other, "T43", "a netlink socket", "socket", |_| socket(AF_NETLINK, SOCK_RAW, 0)),
        attack(Other, "T43", "a socket to the hypervisor (vsock)", "socket", |_| socket(AF_VSOCK, SOCK_STREAM, 0))
            .where_available(),
        attack(Other, "T43", "a socket of the kernel's ciphers", "socket", |_| {
            socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)
        })
        .where_available(),
        attack(Other, "T44", "a Unix socket", "socket", |_| socket(AF_UNIX, SOCK_STREAM, 0)),
        attack(Other, "T44", "a pair of sockets", "socketpair", |_| {
            let mut pair = [0_i32; 2];
            call!(libc::SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair.as_mut_ptr()).map(drop)
        }),
    ]
}

fn reaching() -> Vec<Probe> {
    vec![
        attack(Network, "T38", "connect by TCP", "socket", |s| {
            let fd = call!(SYS_socket, AF_INET, SOCK_STREAM, 0)?;
            connect(fd, &s.addresses.tcp, 16)
        })
        .seen_by(Evidence::Packet),
        attack(Network, "T43", "connect by multipath TCP", "socket", |s| {
            let fd = call!(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_MPTCP)?;
            connect(fd, &s.addresses.tcp, 16)
        })
        .seen_by(Evidence::Packet)
        .where_available(),
        attack(Network, "T43", "send with the first packet of TCP (fast open)", "socket", |s| {
            let fd = call!(SYS_socket, AF_INET, SOCK_STREAM, 0)?;
            let to = &raw const s.addresses.tcp;
            call!(libc::SYS_sendto, fd, c"x".as_ptr(), 1, libc::MSG_FASTOPEN, to, 16).map(drop)
        })
        .seen_by(Evidence::Packet),
        attack(Network, "T38", "send by UDP", "socket", |s| {
            let fd = call!(SYS_socket, AF_INET, SOCK_DGRAM, 0)?;
            let to = &raw const s.addresses.udp;
            call!(libc::SYS_sendto, fd, c"x".as_ptr(), 1, 0, to, 16).map(drop)
        })
        .seen_by(Evidence::Packet),
        attack(Network, "T44", "connect to a Unix socket of the host by its name", "socket", |s| {
            let fd = call!(SYS_socket, AF_UNIX, SOCK_STREAM, 0)?;
            connect(fd, &s.addresses.name, NAME_LEN)
        })
        .seen_by(Evidence::Packet),
        attack(Network, "T44", "connect to a Unix socket of the host by its path", "socket", |s| {
            let fd = call!(SYS_socket, AF_UNIX, SOCK_STREAM, 0)?;
            connect(fd, &s.addresses.path, size_of::<libc::sockaddr_un>())
        })
        .seen_by(Evidence::Packet),
        attack(Other, "T42", "listen on a port", "socket", |_| {
            let fd = call!(SYS_socket, AF_INET, SOCK_STREAM, 0)?;
            let any = libc::sockaddr_in {
                sin_family: INET,
                sin_port: 0,
                sin_addr: libc::in_addr { s_addr: 0 },
                sin_zero: [0; 8],
            };
            call!(libc::SYS_bind, fd, &raw const any, 16)?;
            call!(libc::SYS_listen, fd, 1).map(drop)
        }),
        attack(Other, "T42", "listen without an address", "socket", |_| {
            let fd = call!(SYS_socket, AF_INET, SOCK_STREAM, 0)?;
            call!(libc::SYS_listen, fd, 1).map(drop)
        }),
    ]
}

/// With the socket of a run that grants a listener.
fn by_the_listener() -> Vec<Probe> {
    let all = vec![
        attack(Permitted, "T42", "accept on the granted listener", "accept4", |s| {
            call!(libc::SYS_accept4, s.listener, 0, 0, 0).map(drop)
        })
        .reached(libc::EAGAIN)
        .with_listener(End::Errno(libc::EAGAIN)),
        attack(Network, "T42", "connect the granted listener", "shutdown", |s| {
            call!(libc::SYS_shutdown, s.listener, libc::SHUT_RD)?;
            connect(s.listener.into(), &s.addresses.tcp, 16)
        })
        .seen_by(Evidence::Packet)
        .always(End::Denied("connect")),
        attack(Network, "T43", "send with the first packet of TCP by the granted listener", "sendmsg", |s| {
            call!(libc::SYS_shutdown, s.listener, libc::SHUT_RD)?;
            let message = to(s);
            begun(call!(libc::SYS_sendmsg, s.listener, &raw const message, libc::MSG_FASTOPEN))
        })
        .seen_by(Evidence::Packet),
        attack(Network, "T43", "send so by the granted listener (`sendto`)", "sendto", |s| {
            call!(libc::SYS_shutdown, s.listener, libc::SHUT_RD)?;
            let to = &raw const s.addresses.tcp;
            begun(call!(libc::SYS_sendto, s.listener, c"x".as_ptr(), 1, libc::MSG_FASTOPEN, to, 16))
        })
        .seen_by(Evidence::Packet),
        attack(Network, "T43", "send so by the granted listener (`sendmmsg`)", "sendmmsg", |s| {
            call!(libc::SYS_shutdown, s.listener, libc::SHUT_RD)?;
            let messages = libc::mmsghdr { msg_hdr: to(s), msg_len: 0 };
            begun(call!(libc::SYS_sendmmsg, s.listener, &raw const messages, 1, libc::MSG_FASTOPEN))
        })
        .seen_by(Evidence::Packet),
        attack(Other, "T42", "listen again on another port", "listen", |s| {
            call!(libc::SYS_shutdown, s.listener, libc::SHUT_RD)?;
            call!(libc::SYS_listen, s.listener, 1).map(drop)
        }),
        attack(Other, "T45", "a socket option", "setsockopt", |s| {
            let one = 1_i32;
            call!(libc::SYS_setsockopt, s.listener, libc::SOL_SOCKET, libc::SO_KEEPALIVE, &raw const one, 4).map(drop)
        }),
    ];
    all.into_iter().map(Probe::on_the_listener).collect()
}

fn to(s: &Scene) -> libc::msghdr {
    // SAFETY: all zeroes is a message without parts.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw const s.addresses.tcp).cast_mut().cast();
    message.msg_namelen = 16;
    message
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<(), i32> {
    call!(SYS_socket, family, kind, protocol).map(drop)
}

fn connect<T>(fd: i64, to: &T, len: usize) -> Result<(), i32> {
    begun(call!(libc::SYS_connect, fd, std::ptr::from_ref(to), len))
}

/// A socket that does not wait goes on connecting by itself.
fn begun(result: Result<i64, i32>) -> Result<(), i32> {
    if result == Err(libc::EINPROGRESS) { Ok(()) } else { result.map(drop) }
}
