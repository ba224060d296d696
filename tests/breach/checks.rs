//! What must hold of the results.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cage::User;
use crate::probe::{End, Kind, Probe};
use crate::results::{Results, matrix_shape, shapes};
use crate::run::{Column, Setup, Shape};
use crate::sweep;

/// Runs all checks, and prints and counts those that fail.
pub fn all(probes: &[Probe], user: User, results: &Results) -> u32 {
    let mut failed = 0;
    let mut check = |name: &str, body: &dyn Fn()| {
        let ok = catch_unwind(AssertUnwindSafe(body)).is_ok();
        if !ok || !name.starts_with("attack ") {
            println!("test {name} ({user:?}) ... {}", if ok { "ok" } else { "FAILED" });
        }
        failed += u32::from(!ok);
    };
    for probe in probes.iter().filter(|probe| results.has(probe)) {
        check(&format!("attack {} | {}", probe.section, probe.name), &|| {
            ends_as_written(probe, user, results);
            is_held_by_two(probe, user, results);
        });
    }
    if results.sockets.is_empty() {
        return failed;
    }
    check("scanner_sees_pages_that_are_writable_and_executable", &|| {
        let t58 = probes.iter().filter(|probe| probe.t.contains("T58") && !probe.name.contains("twice"));
        t58.for_each(|probe| assert!(results.of(probe, Shape::Files, Setup::Bare).writable_code, "{}", probe.name));
    });
    check("no_socket_of_any_family", &|| no_socket_of_any_family(results));
    failed
}

/// The control, the whole seal in each shape, and the standard level.
fn ends_as_written(probe: &Probe, user: User, results: &Results) {
    let at = user as usize;
    let is_available = results.is_available(probe);
    if is_available {
        let control = results.control(probe);
        // An ordinary user's cage is a user namespace with one id, and the kernel says first that the id is not there.
        let is_unmapped = control == "EINVAL" && !nix::unistd::geteuid().is_root();
        let control = if is_unmapped && probe.control[0] == End::Done { "EPERM" } else { control };
        assert_eq!(control, probe.control[at].text(), "without a seal");
    } else {
        println!("NOT ON THIS KERNEL: {} ({})", probe.name, results.control(probe));
    }
    for &shape in shapes(probe) {
        let found = results.of(probe, shape, Setup::Strict);
        let expected = probe.sealed[at][shape as usize];
        if is_available || matches!(expected, End::Denied(_)) {
            assert_eq!(found.end, expected.text(), "sealed, {shape:?}");
        }
        assert!(!found.writable_code, "a page is writable and executable");
    }
    let standard = results.of(probe, matrix_shape(probe), Setup::Standard);
    let expected = probe.standard.unwrap_or(probe.sealed[at][matrix_shape(probe) as usize]);
    if is_available || matches!(expected, End::Denied(_)) {
        assert_eq!(standard.end, expected.text(), "at the level standard");
    }
    assert!(!standard.writable_code, "a page is writable and executable");
    for column in Column::ALL {
        let without = &results.of(probe, matrix_shape(probe), Setup::Without(column)).end;
        // The kernel takes no ruleset from a process without privileges that has not set it.
        let is_refused = column == Column::NoNewPrivs;
        assert_eq!(without == "refused landlock", is_refused, "without {column:?}: {without}");
        let alone = &results.of(probe, matrix_shape(probe), Setup::Alone(column)).end;
        assert!(!alone.starts_with("refused"), "{column:?} alone: {alone}");
    }
}

/// Whether two layers should hold this attack: no layer may be the only barrier for a write to the host, another program or the
/// network.
pub fn needs_two(probe: &Probe) -> bool {
    let is_open = probe.sealed[0][matrix_shape(probe) as usize] == End::Done;
    matches!(probe.kind, Kind::Write | Kind::Exec | Kind::Network) && !is_open
}

/// Attacks that need two layers and have one in a run that root starts: why.
pub const BY_ONE: &[(&[&str], &str)] = &[
    (
        &["write to a file outside that is the process's own"],
        "File permissions hold no owner back. A run that root starts owns nothing but its writable grants, unless `--user` names \
         somebody who does.",
    ),
    (
        &["mode of a file outside that is the process's own"],
        "File permissions hold no owner back, as above, and Landlock knows nothing of metadata.",
    ),
    (
        &["times of a file outside", "times of a file of the read-only grant"],
        "The filter has the call with a writable grant, and Landlock knows nothing of metadata.",
    ),
    (
        &["write to a descriptor the parent leaked", "write to a connected socket the parent leaked"],
        "What is open is judged by nobody. All of `wave`'s own descriptors close on `execve` besides.",
    ),
    (
        &["connect to a Unix socket of the host by its path"],
        "Landlock judges such paths from ABI 9 on; a network namespace does not end them; the socket of this attack is open to everybody, \
         or its mode would be a second layer.",
    ),
    (
        &[
            "send with the first packet of TCP by the granted listener",
            "send so by the granted listener (`sendto`)",
            "send so by the granted listener (`sendmmsg`)",
        ],
        "The listener stays in the network of the host, and Landlock does not judge a connection that is made by sending.",
    ),
    (
        &[
            "a file in memory, written and mapped executable",
            "a file in memory, mapped twice",
            "a file of the grant, mapped executable",
            "run a program from memory",
        ],
        "`no_new_code` refuses memory that becomes executable, not files that are mapped so, and Landlock judges no file without \
         a path and no mapping.",
    ),
];

/// T30, T38, T80, T81: a second layer stands behind the first, or it is said why not.
fn is_held_by_two(probe: &Probe, user: User, results: &Results) {
    let is_possible = probe.control[user as usize] == probe.control[0] && results.is_available(probe);
    if !needs_two(probe) || !is_possible {
        return;
    }
    let layers = results.stopped_by(probe);
    match user {
        User::Root => {
            let is_listed = BY_ONE.iter().any(|(names, _)| names.contains(&probe.name));
            assert_eq!(layers.len() < 2, is_listed, "held by {layers:?}, listed among those of one layer: {is_listed}");
            assert!(!layers.is_empty());
        }
        // Files outside are the user's own, and there are no namespaces: the document lists what one layer holds.
        User::Ordinary => {
            let is_open = probe.sealed[1][matrix_shape(probe) as usize] == End::Done;
            assert_eq!(layers.is_empty(), is_open, "held by {layers:?}");
        }
    }
}

/// T38, T43.
fn no_socket_of_any_family(results: &Results) {
    assert_eq!(results.sockets.len(), sweep::SHAPES.len() * sweep::COUNT);
    let exist = results.sockets.iter().filter(|line| line.contains(" true: ")).count();
    // Internet, Unix and netlink at least, or the sweep shows nothing.
    assert!(exist >= sweep::SHAPES.len() * 6, "only {exist} can be made without a seal");
    for line in &results.sockets {
        assert!(line.ends_with(": 159 socket"), "{line}");
    }
}
