use super::*;
use crate::file::{Derived, Directory, Limits, PolicyFile};
use crate::{Access, ConnectTarget, Protocol, Resolver};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

const HOSTS: [&str; 16] = [
    "/", "/a", "/a/b", "//a/./b/", "/../a/c", ".", "..", "../..", "../../d", "a", "./a//b", "a/b/c/", "../x", "a/../b",
    "/a/../b", "b",
];
const FUNCTIONS: [&str; 4] = ["fd_read", "fd_write", "path_open", "sock_accept"];
const NAMES: [&str; 2] = ["X", "Y"];
const LISTEN: [&str; 9] = [
    "127.0.0.1:80",
    "0.0.0.0:80",
    "[::]:80",
    "[::1]:80",
    "[::ffff:127.0.0.1]:80",
    "127.0.0.1:81",
    "127.0.0.1:0",
    "0.0.0.0:0",
    "[::]:0",
];
const NETWORKS: [&str; 11] = [
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.128.0.0/9",
    "10.1.2.3",
    "10.1.2.3/32",
    "0.0.0.0/0",
    "::/0",
    "::/1",
    "8000::/1",
    "::1",
    "::ffff:10.0.0.0/104",
];
const CONNECT: [&str; 8] = [
    "0.0.0.0/0:443",
    "10.0.0.0/8:443",
    "10.1.0.0/16:443",
    "10.1.0.0/16:1-65535",
    "11.0.0.0/8:443",
    "[::1]:80",
    "db.example:443",
    "db.example:1-65535",
];
const CALLS: [&str; 5] = ["x", "x where a == 1", "x where a == 1, b == 2", "x where b == 2", "y"];
const RIGHTS: [&str; 4] = ["", "read_file", "read_dir read_file", "write_file"];
const STEPS: [u64; 3] = [1, 1_000, 1_000_000];

fn connection(text: &str) -> ConnectTarget {
    ConnectTarget::parse(text, Protocol::Tcp).expect("a grant")
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

prop_compose! {
    fn directories()(list in vec((select(&HOSTS[..]), 0..3_usize, 0..4_usize), 0..5)) -> Vec<Directory> {
        let accesses = [Access::ReadOnly, Access::Append, Access::ReadWrite];
        list.into_iter()
            .map(|(host, access, name)| Directory {
                host: host.to_owned(),
                guest: ["/one", "/two", "/three", host][name].to_owned(),
                access: accesses[access],
            })
            .collect()
    }
}

prop_compose! {
    fn limits()(
        timeout in of(1..4_u64), memory in of(select(vec![1_u64 << 16, 4 << 30, 8 << 30])),
        stack in of(select(vec![1_u64 << 20, 8 << 20, 16 << 20])), files in of(select(vec![64_u32, 1024, 4096])),
        bytes in of(select(vec![0_u64, u64::from(u32::MAX), u64::MAX])), writes in of(0..3_u64),
    ) -> Limits {
        Limits {
            timeout: timeout.map(Duration::from_secs),
            max_memory: memory,
            max_stack: stack,
            max_open_files: files,
            max_call_bytes: bytes,
            max_writes: writes,
            ..Limits::default()
        }
    }
}

prop_compose! {
    fn derived()(
        manual in any::<bool>(),
        rows in vec((0..3_usize, 0..5_usize), 0..4),
        rights in of(select(&RIGHTS[..])),
    ) -> Derived {
        let mut all = BTreeMap::new();
        for (id, call) in rows {
            all.insert(format!("os.{}", ["always.x", "grant.x", "always.y"][id]), CALLS[call].to_owned());
        }
        all.extend(rights.map(|rights| ("os.landlock.ro".to_owned(), rights.to_owned())));
        Derived { resolver: if manual { Resolver::Manual } else { Resolver::Kernel }, rows: all }
    }
}

prop_compose! {
    fn policies()(
        sandbox in of(select(vec![Level::Strict, Level::Standard, Level::Off])),
        args in of(vec(select(&["", "a", "b c"][..]), 0..3)),
        (deterministic, cwd) in (of(any::<bool>()), of(select(&["/d", "/e"][..]))),
        unknown_imports in of(select(&Stub::ALL[..])),
        pin in of(select(&["a", "b"][..])),
        functions in of(vec(select(&FUNCTIONS[..]), 0..5)),
        fs in directories(),
        (pass, set) in (of(vec(select(&NAMES[..]), 0..3)), of(vec((select(&NAMES[..]), select(&["1", "2"][..])), 0..3))),
        (listen, accept, connect) in
            (of(vec(select(&LISTEN[..]), 0..4)), of(vec(select(&NETWORKS[..]), 0..4)), of(vec(select(&CONNECT[..]), 0..4))),
        (clock, seed) in (of(select(&STEPS[..])), of(0..3_u64)),
        limits in limits(),
        os in of(derived()),
    ) -> Values {
        Values {
            sandbox,
            args: args.as_deref().map(owned),
            deterministic,
            cwd: cwd.map(str::to_owned),
            unknown_imports,
            blake3: pin.map(|digit| digit.repeat(64)),
            functions: functions.as_deref().map(owned),
            fs,
            env_pass: pass.as_deref().map(owned),
            env_set: set.map(|set| set.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()),
            listen: listen.map(|list| list.iter().map(|text| text.parse().expect("an address")).collect()),
            accept_from: accept.as_deref().map(owned),
            connect: connect.map(|list| list.iter().map(|text| connection(text)).collect()),
            clock_resolution: clock.map(Duration::from_nanos),
            random_seed: seed,
            limits,
            os,
        }
    }
}

/// What may be asked of a policy, independently of how policies are compared.
#[derive(Debug)]
enum Question {
    /// May the sandbox be at least this loose?
    Level(u8),
    RealTimeAndChance,
    /// May a program import what nobody provides, and does a call of it return?
    UnknownImports {
        returns: bool,
    },
    AnyModule,
    Import(&'static str),
    /// Beneath this path: 1 read, 2 add, 3 change.
    Reach(Vec<String>, u8),
    /// Is the program told this variable, 1 from the policy or 2 from the operator?
    Told(&'static str, u8),
    Listen(SocketAddr),
    Accept(IpAddr),
    Connect(SocketAddr),
    /// May it connect to what this name leads to?
    ConnectHost(&'static str, u16),
    /// May it tell apart two moments this far apart, in nanoseconds?
    Clock(u64),
    /// May this limit reach this much?
    Limit(&'static str, u128),
    AnyCall,
    /// Is the row there, for this call with these conditions met?
    Call(&'static str, &'static str, &'static [&'static str]),
    Right(&'static str),
}

impl Question {
    /// The key that a change which answers it otherwise has.
    fn key(&self) -> String {
        match self {
            Self::Level(_) => "sandbox",
            Self::RealTimeAndChance => "deterministic",
            Self::UnknownImports { .. } => "unknown_imports",
            Self::AnyModule => "module.blake3",
            Self::Import(_) => "wasi.functions",
            Self::Reach(..) => "fs",
            Self::Told(..) => "env",
            Self::Listen(_) => "net.listen",
            Self::Accept(_) => "net.accept_from",
            Self::Connect(_) | Self::ConnectHost(..) => "net.connect",
            Self::Clock(_) => "clock.resolution",
            Self::Limit(name, _) => return format!("limits.{name}"),
            Self::AnyCall | Self::Call(..) | Self::Right(_) => "os",
        }
        .to_owned()
    }
}

fn questions() -> Vec<Question> {
    let mut all = vec![Question::RealTimeAndChance, Question::AnyModule, Question::AnyCall];
    all.extend([false, true].map(|returns| Question::UnknownImports { returns }));
    all.extend((0..3).map(Question::Level));
    all.extend(FUNCTIONS.iter().chain(&["fd_close", "proc_exit"]).copied().map(Question::Import));
    let paths = HOSTS.iter().map(|host| place(host));
    let deeper = HOSTS.iter().map(|host| place(host)).map(|mut path| {
        path.push("deeper".to_owned());
        path
    });
    for path in paths.chain(deeper) {
        all.extend((1..=3).map(|access| Question::Reach(path.clone(), access)));
    }
    all.extend(NAMES.iter().flat_map(|name| [1, 2].map(|reach| Question::Told(name, reach))));
    // IPv4 addresses are asked for as such; a mapped one is no other.
    let sockets = LISTEN.iter().chain(&["127.0.0.2:80", "[::2]:80"]).filter(|text| !text.contains("ffff"));
    all.extend(sockets.map(|text| Question::Listen(text.parse().expect("an address"))));
    let peers = ["10.0.0.1", "10.200.0.1", "10.1.2.3", "11.0.0.1", "1.2.3.4", "::1", "100::1", "fe80::1"];
    all.extend(peers.map(|text| Question::Accept(text.parse().expect("an address"))));
    let remotes =
        ["10.1.2.3:443", "10.1.2.3:80", "10.200.0.1:443", "11.0.0.1:443", "8.8.8.8:443", "8.8.8.8:80", "[::1]:80"];
    all.extend(remotes.map(|text| Question::Connect(text.parse().expect("an address"))));
    all.extend(
        [("db.example", 443), ("db.example", 80), ("example", 443)]
            .map(|(name, port)| Question::ConnectHost(name, port)),
    );
    all.extend([1, 1_000, 1_000_000].map(Question::Clock));
    for (name, _) in Limits::default().numbers() {
        let sizes = [0, 1, 2, 3, 64, 1024, 4096, 1 << 16, 1 << 20, 8 << 20, 16 << 20, u128::from(u32::MAX), 4 << 30];
        let times = [1, 2, 3, 4].map(|seconds| seconds * 1_000_000_000);
        all.extend(sizes.into_iter().chain(times).chain([1 << 100]).map(|size| Question::Limit(name, size)));
    }
    for id in ["os.always.x", "os.grant.x", "os.always.y"] {
        for met in [&[][..], &["a == 1"], &["b == 2"], &["a == 1", "b == 2"]] {
            all.extend(["x", "y"].map(|call| Question::Call(id, call, met)));
        }
    }
    all.extend(["read_file", "read_dir", "write_file"].map(Question::Right));
    all
}

/// A path from the root, if the policy lay in `/p/q/r/s`.
fn place(host: &str) -> Vec<String> {
    if host.trim_start_matches(['/', '.']).contains("..") {
        return vec![host.to_owned()];
    }
    let mut path = if host.starts_with('/') { Vec::new() } else { owned(&["p", "q", "r", "s"]) };
    for name in host.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(path.pop()),
            name => path.push(name.to_owned()),
        }
    }
    path
}

fn allows(values: &Values, question: &Question) -> bool {
    match question {
        Question::Level(level) => match values.sandbox {
            None | Some(Level::Strict) => *level == 0,
            Some(Level::Standard) => *level <= 1,
            Some(Level::Off) => true,
        },
        Question::RealTimeAndChance => values.deterministic != Some(true),
        Question::UnknownImports { returns: false } => values.unknown_imports.is_some(),
        Question::UnknownImports { returns: true } => values.unknown_imports == Some(Stub::Zero),
        Question::AnyModule => values.blake3.is_none(),
        Question::Import(name) => values.functions.as_ref().is_none_or(|list| list.iter().any(|other| other == name)),
        Question::Reach(path, access) => values.fs.iter().any(|directory| {
            let most = match directory.access {
                Access::ReadOnly => 1,
                Access::Append => 2,
                Access::ReadWrite => 3,
            };
            path.starts_with(&place(&directory.host)) && *access <= most
        }),
        Question::Told(name, reach) => {
            let set = values.env_set.as_ref().is_some_and(|set| set.contains_key(*name));
            let passed = values.env_pass.iter().flatten().any(|other| other == name);
            if *reach == 1 { set || passed } else { passed && !set }
        }
        Question::Listen(address) => values.listen.iter().flatten().any(|socket| {
            let same = socket.ip().to_canonical() == address.ip().to_canonical();
            let all = socket.ip().is_unspecified() && (socket.is_ipv6() || address.is_ipv4()) && address.port() != 0;
            socket.port() == address.port() && (same || all)
        }),
        Question::Accept(peer) => {
            values.accept_from.as_ref().is_none_or(|list| list.iter().any(|text| in_network(text, *peer)))
        }
        Question::Connect(remote) => {
            values.connect.iter().flatten().filter_map(ConnectTarget::addresses).any(|grant| {
                let (network, ports) = (grant.network.to_ipv4_mapped(), grant.ports.first..=grant.ports.last);
                let text = network.map_or("::1/128".to_owned(), |v4| format!("{v4}/{}", grant.prefix_bits - 96));
                // The internet does not contain the private network.
                let is_private = remote.to_string().starts_with("10.");
                let is_apart = is_private && grant.prefix_bits < 104;
                ports.contains(&remote.port()) && !is_apart && in_network(&text, remote.ip())
            })
        }
        Question::ConnectHost(name, port) => {
            let mut hosts = values.connect.iter().flatten().filter_map(ConnectTarget::host);
            hosts.any(|grant| grant.name.as_str() == *name && (grant.ports.first..=grant.ports.last).contains(port))
        }
        Question::Clock(step) => {
            values.deterministic != Some(true)
                && values.clock_resolution.is_none_or(|own| own <= Duration::from_nanos(*step))
        }
        Question::Limit(name, size) => most(&values.limits, name).is_none_or(|most| *size <= most),
        Question::AnyCall => values.os.is_none(),
        Question::Call(id, call, met) => values.os.as_ref().is_none_or(|os| {
            os.rows.get(*id).is_some_and(|row| {
                let (own, when) = row.split_once(" where ").unwrap_or((row, ""));
                own == *call && when.split(", ").all(|part| part.is_empty() || met.contains(&part))
            })
        }),
        Question::Right(right) => {
            let rights = |os: &Derived| os.rows.get("os.landlock.ro").is_some_and(|row| row.contains(right));
            values.os.as_ref().is_none_or(rights)
        }
    }
}

fn in_network(text: &str, peer: IpAddr) -> bool {
    let bits = |ip: IpAddr| -> String {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        ip.octets().iter().map(|octet| format!("{octet:08b}")).collect()
    };
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().expect("an address");
    let length = match (length, address) {
        ("", _) => 128,
        (length, IpAddr::V4(_)) => 96 + length.parse::<usize>().expect("a number"),
        (length, IpAddr::V6(_)) => length.parse().expect("a number"),
    };
    bits(address)[..length] == bits(peer)[..length]
}

/// The limits as `wave run --help` has them.
fn most(limits: &Limits, name: &str) -> Option<u128> {
    let wide = |size: Option<u64>| size.map(u128::from);
    match name {
        "timeout" => limits.timeout.map(|time| time.as_nanos()),
        "max-memory" => wide(limits.max_memory.map_or(Some(4 << 30), |size| Some(size.min(4 << 30)))),
        "max-stack" => Some(limits.max_stack.unwrap_or(8 << 20).into()),
        "compile-timeout" => Some(120_000_000_000),
        "compile-memory" => Some(4 << 30),
        "max-open-files" => Some(limits.max_open_files.unwrap_or(1024).into()),
        "max-writes" => wide(limits.max_writes),
        "max-call-bytes" => wide(limits.max_call_bytes.filter(|bytes| *bytes < u64::from(u32::MAX))),
        "max-iovecs" => Some(1024),
        "max-subscriptions" => Some(4096),
        "max-connections" => Some(4096),
        _ => None,
    }
}

/// A change without its words, which say from where to where.
fn plain(change: &Change, reversed: bool) -> (Effect, String, String, Side, Side) {
    let Change { effect, key, subject, old, new, .. } = change.clone();
    let effect = match (effect, reversed) {
        (Effect::Widens, true) => Effect::Narrows,
        (Effect::Narrows, true) => Effect::Widens,
        (effect, _) => effect,
    };
    if reversed { (effect, key, subject, new, old) } else { (effect, key, subject, old, new) }
}

/// A policy that permits no less.
fn loosened(mut values: Values, how: usize) -> Values {
    match how {
        0 => values.sandbox = Some(Level::Off),
        1 => values.deterministic = None,
        2 => values.blake3 = None,
        3 => values.functions = None,
        4 => values.functions.iter_mut().for_each(|list| list.push("fd_close".to_owned())),
        5 => values.fs.iter_mut().for_each(|directory| directory.access = Access::ReadWrite),
        6..=9 => {
            let host = HOSTS[how * 2 - 7].to_owned();
            values.fs.push(Directory { guest: format!("/{how}"), host, access: Access::Append });
        }
        10 => values.env_pass.get_or_insert_default().push("Z".to_owned()),
        11 => drop(values.env_set.get_or_insert_default().insert("W".to_owned(), "1".to_owned())),
        12 => values.listen.get_or_insert_default().push(LISTEN[2].parse().expect("an address")),
        13 => values.accept_from = None,
        14 => values.accept_from.iter_mut().for_each(|list| list.push("::1".to_owned())),
        15 => values.clock_resolution = None,
        16 => values.limits = Limits { max_open_files: Some(8192), max_stack: Some(32 << 20), ..Limits::default() },
        17 => values.os = None,
        18 => values.unknown_imports = Some(values.unknown_imports.map_or(Stub::Trap, |_| Stub::Zero)),
        _ => {
            let rows = values.os.iter_mut().flat_map(|os| os.rows.values_mut());
            rows.for_each(|row| *row = row.split(" where ").next().unwrap_or_default().to_owned());
            values.os.iter_mut().for_each(|os| drop(os.rows.insert("os.always.z".to_owned(), "z".to_owned())));
        }
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_policy_differs_in_nothing_from_itself(values in policies()) {
        prop_assert_eq!(diff(&values, &values), []);
    }

    #[test]
    fn what_widens_in_one_direction_narrows_in_the_other(a in policies(), b in policies()) {
        let mut there: Vec<_> = diff(&a, &b).iter().map(|change| plain(change, false)).collect();
        let mut back: Vec<_> = diff(&b, &a).iter().map(|change| plain(change, true)).collect();
        there.sort();
        back.sort();
        prop_assert_eq!(there, back);
    }

    /// In each area something became possible exactly if a question is answered with yes that was answered with no.
    #[test]
    fn what_is_said_is_what_is_decided(a in policies(), b in policies()) {
        let changes = diff(&a, &b);
        let mut decided = BTreeSet::new();
        for question in questions() {
            match (allows(&a, &question), allows(&b, &question)) {
                (false, true) => drop(decided.insert((Effect::Widens, question.key()))),
                (true, false) => drop(decided.insert((Effect::Narrows, question.key()))),
                _ => {}
            }
        }
        // That a run is deterministic, or no longer, says all there is to say of its clocks.
        if a.deterministic == Some(true) || b.deterministic == Some(true) {
            decided.retain(|(_, key)| key != "clock.resolution");
        }
        let said = changes.iter().filter(|change| change.effect != Effect::Neutral);
        let said: BTreeSet<_> = said.map(|change| (change.effect, change.key.clone())).collect();
        prop_assert_eq!(said, decided, "{:#?}", changes);
    }

    #[test]
    fn loosening_never_narrows(values in policies(), steps in vec(0..20_usize, 0..8)) {
        let mut policies = vec![values];
        for step in steps {
            policies.push(loosened(policies.last().expect("one").clone(), step));
        }
        let (first, last) = (&policies[0], policies.last().expect("one"));
        let narrowing = |old: &Values, new: &Values| -> Vec<Change> {
            diff(old, new).into_iter().filter(|change| change.effect == Effect::Narrows).collect()
        };
        prop_assert_eq!(narrowing(first, last), []);
        for pair in policies.windows(2) {
            prop_assert_eq!(narrowing(&pair[0], &pair[1]), []);
        }
    }

    #[test]
    fn a_difference_names_a_rule_of_the_policy_it_is_in(a in policies(), b in policies()) {
        for change in diff(&a, &b) {
            prop_assert!(!change.text.is_empty() && change.old != change.new, "{:?}", change);
            for (side, values) in [(&change.old, &a), (&change.new, &b)] {
                let Some(id) = &side.id else { continue };
                let number = id.rsplit_once('[').and_then(|(_, rest)| rest.trim_end_matches(']').parse::<usize>().ok());
                let length = match id.split('[').next().expect("a part") {
                    "fs" => values.fs.len(),
                    "wasi.functions" => values.functions.as_ref().map_or(0, Vec::len),
                    "env.pass" => values.env_pass.as_ref().map_or(0, Vec::len),
                    "net.listen" => values.listen.as_ref().map_or(0, Vec::len),
                    "net.accept_from" if number.is_some() => values.accept_from.as_ref().map_or(0, Vec::len),
                    _ => continue,
                };
                prop_assert!(number.is_some_and(|number| number < length), "{id}: {:?}", change);
            }
        }
    }
}

fn said(old: &str, new: &str) -> Vec<String> {
    let values = |text: &str| PolicyFile::parse(&format!("version = 1\n{text}")).expect(text).resolved().expect(text);
    diff(&values(old), &values(new)).iter().map(|change| format!("{} {}", change.effect.mark(), change.text)).collect()
}

fn fs(grants: &[(&str, &str, &str)]) -> String {
    let mut text = String::new();
    for (host, guest, access) in grants {
        write!(text, "[[fs]]\nhost = \"{host}\"\nguest = \"{guest}\"\naccess = \"{access}\"\n").expect("strings grow");
    }
    text
}

#[test]
fn directories_are_compared_by_what_can_be_reached() {
    let outer = ("data", "/data", "rw");
    let cases: [(&[_], &[_], &[&str]); 13] = [
        (&[], &[outer], &["+ may read and write under data"]),
        (&[outer], &[], &["- may no longer read and write under data"]),
        (&[("data", "/d", "ro")], &[("data", "/d", "append")], &["+ may add files under data"]),
        (&[("data", "/d", "append")], &[("data", "/d", "rw")], &["+ may remove, truncate and overwrite under data"]),
        (&[("./data/", "/data", "rw")], &[outer], &[]),
        (&[outer], &[("data", "/d", "rw")], &["~ data is called /d, was called /data"]),
        (
            &[outer],
            &[("data", "/d", "ro")],
            &["- may no longer write under data", "~ data is called /d, was called /data"],
        ),
        (&[outer], &[outer, ("data/x", "/x", "rw")], &["~ data/x is also granted by itself, as /x"]),
        (
            &[("data/x", "/x", "ro")],
            &[("data/x", "/x", "ro"), outer],
            &["+ may read and write under data", "+ may write under data/x"],
        ),
        (
            &[("data", "/data", "ro"), ("data/x", "/x", "ro")],
            &[outer, ("data/x", "/x", "ro")],
            &["+ may write under data"],
        ),
        (&[("..", "/u", "rw")], &[("..", "/u", "rw"), ("../../x", "/x", "ro")], &["+ may read under ../../x"]),
        // A link may stand where a name does, so `a/..` is not where it starts.
        (&[("b", "/b", "ro")], &[("a/../b", "/b", "ro")], &["+ may read under a/../b", "- may no longer read under b"]),
        (
            &[("/", "/", "rw")],
            &[("a/../b", "/b", "rw")],
            &["- may no longer read and write under /", "~ a/../b is also granted by itself, as /b"],
        ),
    ];
    for (old, new, expected) in &cases[..12] {
        assert_eq!(said(&fs(old), &fs(new)), *expected, "{old:?} {new:?}");
    }
    let (old, new, _) = &cases[12];
    let both = [*old, *new].concat();
    assert_eq!(said(&fs(old), &fs(&both)), ["~ a/../b is also granted by itself, as /b"]);
}

#[test]
fn every_area_has_its_words() {
    let cases: [(&str, &str, &[&str]); 39] = [
        ("", "sandbox = \"strict\"", &[]),
        ("", "sandbox = \"off\"", &["+ the sandbox is off, was strict"]),
        ("args = [\"a\"]", "args = [\"b\", \"c d\"]", &["~ the first arguments are \"b\" \"c d\", were \"a\""]),
        ("deterministic = true", "", &["+ sees real clocks and random numbers"]),
        ("deterministic = true", "[clock]\nresolution = \"1s\"", &["+ sees real clocks and random numbers"]),
        ("deterministic = true\n[random]\nseed = 1", "[random]\nseed = 1", &["+ sees real clocks"]),
        ("", "[random]\nseed = 1", &["~ random numbers are those of the seed 1"]),
        ("[random]\nseed = 1", "[random]\nseed = 0x2", &["~ random numbers are those of the seed 2, were of 1"]),
        ("[random]\nseed = 1", "", &["~ random numbers are no longer those of the seed 1"]),
        ("[random]\nseed = 1_0", "[random]\nseed = 10", &[]),
        (
            "",
            "unknown_imports = \"trap\"",
            &["+ functions that nobody provides may be imported, and trap if they are called"],
        ),
        (
            "unknown_imports = \"trap\"",
            "unknown_imports = \"zero\"",
            &["+ functions that nobody provides may be imported, and return zeros"],
        ),
        ("unknown_imports = \"zero\"", "", &["- functions that nobody provides may no longer be imported"]),
        ("", "deterministic = true", &["- sees the same clocks and random numbers in every run"]),
        (
            "extends = \"server\"",
            "extends = \"cli\"",
            &[
                "- may no longer import sock_accept",
                "- may no longer import sock_recv",
                "- may no longer import sock_send",
                "- may no longer import sock_shutdown",
            ],
        ),
        ("extends = \"compute\"", "extends = \"compute\"\n[wasi]\nfunctions = []\n", &["- "; 18]),
        ("[env]\npass = [\"K\"]", "[env.set]\nK = \"v\"", &["- is told K by the policy, no longer the operator's"]),
        ("[env.set]\nK = \"v\"", "[env]\npass = [\"K\"]", &["+ is told the operator's variable K"]),
        ("[env.set]\nK = \"v\"", "[env.set]\nK = \"w\"", &["~ is told another K"]),
        ("[env.set]\nK = \"v\"", "", &["- is no longer told the variable K"]),
        ("", "[env.set]\nK = \"v\"", &["+ is told the variable K"]),
        ("", "[net]\nlisten = [\"127.0.0.1:80\"]", &["+ may listen at 127.0.0.1:80"]),
        (
            "[net]\nlisten = [\"0.0.0.0:80\"]",
            "[net]\nlisten = [\"127.0.0.1:80\"]",
            &["- may no longer listen at 0.0.0.0:80", "~ "],
        ),
        ("[net]\naccept_from = [\"10.0.0.0/8\"]", "", &["+ may accept connections from everyone"]),
        ("", "[net]\naccept_from = [\"10.0.0.0/8\", \"::1\"]", &["- may accept connections only from ::1, 10.0.0.0/8"]),
        (
            "[net]\naccept_from = [\"10.0.0.0/8\"]",
            "[net]\naccept_from = [\"10.0.0.0/9\", \"10.128.0.0/9\"]",
            &["~ "; 3],
        ),
        (
            "[net]\naccept_from = [\"10.0.0.0/9\"]",
            "[net]\naccept_from = [\"10.0.0.0/8\"]",
            &[
                "~ no longer names 10.0.0.0/9, whose connections are still accepted",
                "+ may accept connections from 10.0.0.0/8",
            ],
        ),
        ("", "[net]\nconnect = [\"10.0.0.1:443\"]", &["+ may connect to 10.0.0.1:443"]),
        ("[net]\nconnect = [\"10.0.0.1:443\"]", "", &["- may no longer connect to 10.0.0.1:443"]),
        (
            "[net]\nconnect = [\"10.1.0.0/16:443\"]",
            "[net]\nconnect = [\"10.0.0.0/8:443\"]",
            &["+ may connect to 10.0.0.0/8:443", "~ no longer names 10.1.0.0/16:443, to which it may still connect"],
        ),
        (
            "[net]\nconnect = [\"11.0.0.0/8:80\"]",
            "[net]\nconnect = [\"11.0.0.0/8:80-81\"]",
            &["~ no longer names 11.0.0.0/8:80", "+ may connect to 11.0.0.0/8:80-81"],
        ),
        // The internet does not contain the private network.
        (
            "[net]\nconnect = [\"0.0.0.0/0:443\"]",
            "[net]\nconnect = [\"0.0.0.0/0:443\", \"10.0.0.0/8:443\"]",
            &["+ may connect to 10.0.0.0/8:443"],
        ),
        ("[clock]\nresolution = \"1ms\"", "", &["+ clocks move in steps of 1ns, was 1ms"]),
        (
            "[limits]\ntimeout = \"5s\"",
            "[limits]\ntimeout = \"20s\"",
            &["+ the limit timeout is raised to 20s, was 5s"],
        ),
        ("[limits]\ntimeout = \"5s\"", "", &["+ the limit timeout is dropped, was 5s"]),
        ("", "[limits]\nmax-stack = \"1M\"", &["- the limit max-stack is lowered to 1M, was 8M"]),
        ("", "[limits]\nmax-output = 100", &["- the limit max-output is 100, there was none"]),
        (
            "[os]\nresolver = \"kernel\"",
            "",
            &["+ any system call that follows from the module is permitted, unchecked"],
        ),
        (
            "[os]\nresolver = \"kernel\"\n[os.always]\nw = \"write where fd == STDERR\"",
            "[os]\nresolver = \"manual\"\n[os.always]\nw = \"write\"",
            &[
                "~ paths are resolved by wave, was the kernel",
                "+ the kernel permits write, was: write where fd == STDERR",
            ],
        ),
    ];
    for (old, new, expected) in cases {
        let said = said(old, new);
        let all = said.iter().zip(expected).all(|(said, expected)| said.starts_with(expected));
        assert!(all && said.len() == expected.len(), "{old:?} {new:?}: {said:#?}");
    }
    let pin = |digit: &str| format!("[module]\nblake3 = \"{}\"", digit.repeat(64));
    assert_eq!(said(&pin("a"), ""), ["+ any module may be run"]);
    assert_eq!(said("", &pin("a")), [format!("- only the module {} may be run", "a".repeat(64))]);
    let [a, b] = ["a", "b"].map(|digit| digit.repeat(64));
    assert_eq!(said(&pin("a"), &pin("b")), [format!("~ it is for the module {b}, was for {a}")]);
    let all: Vec<_> = crate::all_functions().iter().map(|function| format!("\"{}\"", function.name)).collect();
    assert_eq!(said("", &format!("[wasi]\nfunctions = [{}]", all.join(", "))), [""; 0], "no list is every function");
}

#[test]
fn a_hundred_thousand_rules_are_compared_soon() {
    let deep = "a/".repeat(1000);
    let values = |shift: usize| Values {
        fs: (0..100_000)
            .map(|index| Directory {
                host: match index % 3 {
                    0 => format!("/srv/{}", index + shift),
                    1 => format!("{}x", "../".repeat((index + shift) % 500)),
                    _ if index < 30_000 => format!("{deep}{}", index + shift),
                    _ => format!("{}/{}", index % 300, index + shift),
                },
                guest: format!("/{index}"),
                access: if index % 2 == 0 { Access::ReadOnly } else { Access::ReadWrite },
            })
            .collect(),
        env_pass: Some((0..100_000).map(|index| format!("N{}", index + shift)).collect()),
        accept_from: Some(
            (0..100_000).map(|index| format!("10.{}.{}.0/24", index % 251, (index + shift) % 256)).collect(),
        ),
        listen: Some((0..60_000).map(|index| ([127, 0, 0, 1], index + 1).into()).collect()),
        ..Values::default()
    };
    let (old, new) = (values(0), values(7));
    let start = Instant::now();
    assert!(diff(&old, &new).len() > 100_000);
    assert_eq!(diff(&old, &old), []);
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}
