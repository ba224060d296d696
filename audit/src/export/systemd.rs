//! A drop-in for a systemd unit that runs `wave run`. It confines `wave` before its seal, and is a second layer after it.
//!
//! Sources: systemd.exec(5), systemd.resource-control(5), systemd.syntax(7), systemd.unit(5).

use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wave_engine::Failure;
use wave_engine::SPARE_FILES;
use wave_engine::parse_network;
use wave_engine::policy::PolicyDocument;
use wave_policy::file::{Limits, Values};
use wave_policy::{Access, ConnectGrant, ConnectTarget, Needed, Policy, Role, all_starts, clean, harmful};

/// Time for the parts of a run that the policy does not limit: reading, the seal, the end.
const SLACK: Duration = Duration::from_secs(10);

/// The first port that any process may bind by default.
const FIRST_FREE_PORT: u16 = 1024;

/// Directories that `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// Directories that `PrivateTmp=` replaces.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Maximum columns of a line.
const WIDTH: usize = 116;

/// Writes the drop-in.
///
/// # Errors
/// 125 for a directory whose path cannot be written in a unit.
pub(super) fn drop_in(policy: &Policy, growable: bool, loaded: &PolicyDocument) -> Result<String, Failure> {
    let place = loaded.path().display().to_string();
    let directories = directories(policy, loaded).map_err(|failure| failure.at(place))?;
    let values = &loaded.values;
    // `wave` binds and opens what it is granted before it knows whether the module can use it.
    let listen = values.listen.as_deref().unwrap_or_default();
    let connect = values.connect.as_deref().filter(|_| !policy.connections.is_empty()).unwrap_or_default();
    if let Some(host) = connect.iter().find_map(ConnectTarget::host) {
        let what = format!("a unit allows addresses, and those of `{}` are looked up at each start", host.name);
        return Err(Failure::refused(what)
            .at(loaded.origin("net.connect").unwrap_or_else(|| loaded.path().display().to_string()))
            .fix("name addresses in `connect` to export the policy"));
    }
    let mut unit = Unit::default();
    unit.head(&directories);
    unit.identity(policy, growable, &directories, listen);
    unit.files(policy, growable, &directories);
    let connect: Vec<_> = connect.iter().filter_map(ConnectTarget::addresses).collect();
    unit.network(values, listen, &connect);
    unit.kernel();
    unit.limits(values);
    unit.environment(values);
    unit.calls(policy, growable, !listen.is_empty());
    Ok(unit.text)
}

/// A directory as `wave` uses it.
struct Directory {
    host: PathBuf,
    quoted: String,
    writable: bool,
}

fn directories(policy: &Policy, loaded: &PolicyDocument) -> Result<Vec<Directory>, Failure> {
    // `wave` opens directories that the module cannot use, but never writes to them.
    let is_used = !policy.grants.is_empty();
    let absolute = |(index, grant): (usize, wave_engine::DirectoryGrant)| {
        let unclear = |what: String| {
            Failure::refused(format!("fs[{index}] cannot be written in a unit of systemd: {what}"))
                .fix("rename the directory on the host, or bind-mount it under another path")
        };
        let host = std::path::absolute(&grant.host).map_err(|error| unclear(error.to_string()))?;
        let quoted = quoted(&host).map_err(unclear)?;
        Ok(Directory { host, quoted, writable: is_used && grant.access != Access::ReadOnly })
    };
    loaded.directories().enumerate().map(absolute).collect()
}

/// Quotes a path as one word of a setting. Inside double quotes, only `%` and the backslash are special, and the colon
/// of a bind is not.
///
/// # Errors
/// The reason why the path cannot be written in a unit.
fn quoted(path: &Path) -> Result<String, String> {
    const MAX_BYTES: usize = 4095;
    let text = path.to_str().ok_or("it is not valid UTF-8")?;
    if let Some(bad) = text.chars().find(|c| harmful(*c)) {
        return Err(format!("`{}` contains the character {}", clean(text), bad.escape_unicode()));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(format!("`{text}` leads through `..`, which systemd ignores"));
    }
    if text.len() > MAX_BYTES {
        return Err(format!("its path has more than {MAX_BYTES} bytes"));
    }
    let mut word = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => word.extend(['\\', c]),
            '%' => word.push_str("%%"),
            c => word.push(c),
        }
    }
    word.push('"');
    Ok(word)
}

/// Whether one of two paths is inside the other, or they are equal.
fn overlaps(path: &Path, other: &str) -> bool {
    path.starts_with(other) || Path::new(other).starts_with(path)
}

fn is_in_home(path: &Path) -> bool {
    HOMES.iter().any(|home| path.starts_with(home))
}

/// Whether the program's filter allows `openat2`. Settings of systemd that check the flags of an open deny `openat2`,
/// because its flags are in memory.
fn resolves_by_openat2(policy: &Policy, growable: bool) -> bool {
    policy.rules(growable).any(|rule| rule.call == "openat2")
}

/// The text of the drop-in while it is written.
#[derive(Default)]
struct Unit {
    text: String,
}

impl Unit {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A comment, broken into lines.
    fn comment(&mut self, text: &str) {
        self.wrapped("#", text.split(' '));
    }

    /// A list setting. systemd joins its lines.
    fn list<'a>(&mut self, setting: &str, words: impl IntoIterator<Item = &'a str>) {
        self.wrapped(setting, words);
    }

    fn wrapped<'a>(&mut self, start: &str, words: impl IntoIterator<Item = &'a str>) {
        let (mut line, mut is_empty) = (start.to_owned(), true);
        for word in words {
            if !is_empty && line.len() + 1 + word.len() > WIDTH {
                self.line(&std::mem::replace(&mut line, start.to_owned()));
                is_empty = true;
            }
            if !(is_empty && start.ends_with('=')) {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        if !is_empty {
            self.line(&line);
        }
    }

    fn head(&mut self, directories: &[Directory]) {
        self.comment(
            "The sandbox around `wave` before its seal, and a second layer after it. Generated by `wave policy export`.",
        );
        self.line("#");
        self.comment("Put it into /etc/systemd/system/NAME.service.d/wave.conf, for a unit with");
        self.line("#   ExecStart=/usr/bin/wave run --policy F MODULE");
        let hidden: Vec<_> = HOMES
            .iter()
            .filter(|_| protect_home(directories) != "no")
            .chain(TEMPORARY.iter().filter(|_| has_private_tmp(directories)))
            .copied()
            .collect();
        let place = if hidden.is_empty() {
            String::new()
        } else {
            format!(" `wave`, F and MODULE cannot be under {}, which the unit cannot see.", hidden.join(", "))
        };
        self.comment(&format!(
            "where F is that policy. A flag that allows more than the policy needs more settings here.{place} A call that is not listed fails \
             with EPERM; one that `wave` refuses the program ends it with status 159, as without this file."
        ));
        self.line("\n[Service]");
    }

    fn identity(&mut self, policy: &Policy, growable: bool, directories: &[Directory], listen: &[SocketAddr]) {
        let mut reasons = Vec::new();
        if directories.iter().any(|directory| directory.writable) {
            reasons.push("the owner of what is granted for writing");
        }
        if resolves_by_openat2(policy, growable) {
            reasons.push(
                "not DynamicUser=yes, which takes openat2 away (RestrictSUIDSGID=): for that, generate the policy with \
                 `wave policy gen --resolver manual`",
            );
        }
        if !has_private_tmp(directories) {
            reasons.push("not DynamicUser=yes, which has a /tmp of its own");
        }
        if reasons.is_empty() {
            self.comment("A new user for each start, who owns nothing: nothing is granted for writing.");
            self.line("DynamicUser=yes");
        } else {
            self.comment(&format!(
                "Set User= and Group= in the unit: {}. Never set root: `wave` refuses to run as root without \
                 capabilities.",
                reasons.join("; ")
            ));
        }
        self.line("NoNewPrivileges=yes");
        let low = listen.iter().any(|address| (1..FIRST_FREE_PORT).contains(&address.port()));
        if low {
            self.comment(
                "To bind a port below 1024. `wave` gives the capability up when it seals itself. PrivateUsers= would take it away \
                 before; sockets of the service manager (`--listenfd`) need neither.",
            );
            self.line("CapabilityBoundingSet=CAP_NET_BIND_SERVICE");
            self.line("AmbientCapabilities=CAP_NET_BIND_SERVICE");
        } else {
            self.line("CapabilityBoundingSet=");
            self.line("AmbientCapabilities=");
            self.line("PrivateUsers=yes");
        }
        self.line("KeyringMode=private");
        self.line("RemoveIPC=yes");
    }

    fn files(&mut self, policy: &Policy, growable: bool, directories: &[Directory]) {
        self.line("");
        self.comment(
            "Files. RootDirectory= is not set: `wave` and its libraries are where the host has them. What is granted may be opened \
             by the rights of the user alone; Landlock narrows that when `wave` seals itself.",
        );
        self.line("ProtectSystem=strict");
        let home = protect_home(directories);
        match home {
            "tmpfs" => self.comment("Empty, except for what is granted."),
            "no" => self.comment("A granted directory contains home directories."),
            _ => {}
        }
        self.line(&format!("ProtectHome={home}"));
        let private_tmp = has_private_tmp(directories);
        if !private_tmp {
            self.comment("A directory that is granted lies there.");
        }
        self.line(if private_tmp { "PrivateTmp=yes" } else { "PrivateTmp=no" });
        for directory in directories {
            let setting = match (home == "tmpfs" && is_in_home(&directory.host), directory.writable) {
                (false, false) => "ReadOnlyPaths",
                (false, true) => "ReadWritePaths",
                (true, false) => "BindReadOnlyPaths",
                (true, true) => "BindPaths",
            };
            self.line(&format!("{setting}={}", directory.quoted));
        }
        self.line("PrivateMounts=yes");
        self.line("PrivateDevices=yes");
        self.line("DevicePolicy=closed");
        self.comment("`wave` reads only its own entries in /proc.");
        self.line("ProtectProc=invisible");
        self.line("ProcSubset=pid");
        if resolves_by_openat2(policy, growable) {
            self.comment("It takes away openat2, by which the kernel resolves the paths of the program.");
            self.line("RestrictSUIDSGID=no");
        } else {
            self.line("RestrictSUIDSGID=yes");
        }
        if directories.iter().any(|directory| directory.writable) {
            self.comment("Files that the program creates are private to its user; choose another mask if others have to read them.");
        }
        self.line("UMask=0077");
    }

    fn network(&mut self, values: &Values, listen: &[SocketAddr], connect: &[&ConnectGrant]) {
        self.line("");
        if listen.is_empty() && connect.is_empty() {
            self.comment("Network: none.");
            self.line("PrivateNetwork=yes");
            self.line("RestrictAddressFamilies=none");
            self.line("IPAddressDeny=any");
            self.line("SocketBindDeny=any");
            return;
        }
        let what = match (listen.is_empty(), connect.is_empty()) {
            (false, true) => "accepts connections from others",
            (true, _) => "connects to others",
            (false, false) => "accepts connections from others, and connects to others",
        };
        self.comment(&format!("Network: the program {what}, so the network is the host's."));
        self.line("PrivateNetwork=no");
        let is_ipv4 = |grant: &&ConnectGrant| grant.network.to_ipv4_mapped().is_some() && grant.prefix_bits >= 96;
        let families = listen.iter().map(SocketAddr::is_ipv4).chain(connect.iter().map(is_ipv4));
        let families: BTreeSet<_> = families.map(|is_ipv4| if is_ipv4 { "AF_INET" } else { "AF_INET6" }).collect();
        self.list("RestrictAddressFamilies=", families);
        self.line("SocketBindDeny=any");
        let sockets: BTreeSet<_> = listen
            .iter()
            .map(|address| {
                let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
                let port = address.port();
                if port == 0 { format!("{family}:tcp") } else { format!("{family}:tcp:{port}") }
            })
            .collect();
        for socket in sockets {
            self.line(&format!("SocketBindAllow={socket}"));
        }
        let is_loopback = listen.iter().all(|address| address.ip().is_loopback());
        let peers: Vec<_> = match &values.accept_from {
            _ if listen.is_empty() => Vec::new(),
            Some(networks) => networks.iter().flat_map(|network| address_ranges(network)).collect(),
            None if is_loopback => {
                self.comment("It listens on addresses of the loopback interface alone.");
                vec!["localhost".to_owned()]
            }
            None => {
                self.comment("IPAddressDeny= is not set: the policy lets anyone connect (`net.accept_from`).");
                return;
            }
        };
        self.line("IPAddressDeny=any");
        let remotes = connect.iter().map(|grant| grant.addresses());
        for network in peers.into_iter().chain(remotes) {
            self.line(&format!("IPAddressAllow={network}"));
        }
    }

    fn kernel(&mut self) {
        self.line("");
        self.comment("The rest of the kernel.");
        self.comment(
            "The code of a module is written and then made executable; after the seal, `wave` refuses that itself.",
        );
        self.line("MemoryDenyWriteExecute=no");
        for setting in [
            "LockPersonality",
            "PrivateIPC",
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "RestrictNamespaces",
            "RestrictRealtime",
        ] {
            self.line(&format!("{setting}=yes"));
        }
    }

    fn limits(&mut self, values: &Values) {
        let limits = values.limits.over(&Limits::USUAL);
        self.line("");
        match limits.max_rss {
            Some(bytes) => {
                self.comment("Limits.");
                self.line(&format!("MemoryMax={bytes}"));
            }
            None => self.comment(
                "Limits. No MemoryMax= follows from the policy: the heap of `wave` and the memory of the compiler are not in its numbers.",
            ),
        }
        self.line("LimitCORE=0");
        if let Some(files) = limits.max_open_files {
            self.line(&format!("LimitNOFILE={}", u64::from(files) + SPARE_FILES));
        }
        if let Some(bytes) = limits.max_file_size {
            self.line(&format!("LimitFSIZE={bytes}"));
        }
        if let Some(timeout) = limits.timeout {
            let compiling = limits.compile_timeout.unwrap_or_default();
            let total = timeout.saturating_add(compiling).saturating_add(SLACK);
            self.comment("The time limits of the policy, and some time for the rest.");
            self.line(&format!("RuntimeMaxSec={}", total.as_secs() + 1));
        }
    }

    fn environment(&mut self, values: &Values) {
        let names: Vec<_> = values.env_pass.iter().flatten().map(|name| clean(name)).collect();
        if !names.is_empty() {
            self.line("");
            self.comment(&format!(
                "The unit has to set (Environment=) what the policy passes on: {}.",
                names.join(", ")
            ));
        }
    }

    fn calls(&mut self, policy: &Policy, growable: bool, listens: bool) {
        self.line("");
        self.comment(
            "System calls: what `wave` does from execve on, and what is left of it after the seal. Some belong to @privileged and \
             @resources: they give rights up and lower limits.",
        );
        self.line("SystemCallArchitectures=native");
        self.line("SystemCallErrorNumber=EPERM");
        let mut seen = BTreeSet::new();
        let compiler = Policy { role: Role::Compiler, ..Policy::default() };
        let starts = all_starts().iter().filter(|start| match start.needed {
            Needed::Every => true,
            Needed::Listener => listens,
            Needed::Late => false,
        });
        let mut groups: Vec<(&str, Vec<&str>)> = starts.map(|start| (start.reason, start.calls.to_vec())).collect();
        let calls = |policy: &Policy, growable| policy.rules(growable).map(|rule| rule.call).collect();
        groups.push(("the process that compiles the module, in its seal", calls(&compiler, false)));
        if !policy.connections.is_empty() {
            let broker = Policy { role: Role::Broker, ..Policy::default() };
            groups.push(("the process that makes connections, in its seal", calls(&broker, false)));
        }
        groups.push(("the program, in its seal", calls(policy, growable)));
        for (reason, calls) in groups {
            let calls: BTreeSet<_> = calls.into_iter().filter(|call| seen.insert(*call)).collect();
            if !calls.is_empty() {
                self.comment(&format!("For {reason}:"));
                self.list("SystemCallFilter=", calls);
            }
        }
        for late in all_starts().iter().filter(|start| start.needed == Needed::Late) {
            self.comment(&format!("For {}; `wave` does without:", late.reason));
            self.line(&format!("#SystemCallFilter={}", late.calls.join(" ")));
        }
    }
}

/// The value of `ProtectHome=`.
fn protect_home(directories: &[Directory]) -> &'static str {
    let is_above = |path: &Path| HOMES.iter().any(|home| Path::new(home) != path && Path::new(home).starts_with(path));
    match () {
        () if directories.iter().any(|directory| is_above(&directory.host)) => "no",
        () if directories.iter().any(|directory| is_in_home(&directory.host)) => "tmpfs",
        () => "yes",
    }
}

fn has_private_tmp(directories: &[Directory]) -> bool {
    !directories.iter().any(|directory| TEMPORARY.iter().any(|tmp| overlaps(&directory.host, tmp)))
}

/// Converts a network to systemd's form, where IPv4 is not a part of IPv6.
fn address_ranges(network: &str) -> Vec<String> {
    const IPV4_MAPPED: u128 = 0xffff << 32;
    // Networks were checked when the policy was read.
    let Ok(rule) = parse_network(network) else { return Vec::new() };
    let text = rule.to_string();
    let parts = text.split_once('/').and_then(|(address, bits)| {
        Some((address.parse::<Ipv6Addr>().ok()?.to_bits(), bits.parse::<u32>().ok().filter(|bits| *bits < 96)?))
    });
    let holds_ipv4 = parts.is_some_and(|(address, bits)| {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        (address ^ IPV4_MAPPED) & mask == 0
    });
    let ipv4 = holds_ipv4.then(|| "0.0.0.0/0".to_owned());
    [text].into_iter().chain(ipv4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word_each_or_an_error() {
        let quoted = |path: &str| quoted(Path::new(path));
        for (path, right) in [
            ("/srv/data", r#""/srv/data""#),
            ("/a b", r#""/a b""#),
            ("/a\"b", r#""/a\"b""#),
            ("/a\\", r#""/a\\""#),
            ("/%h/%%", r#""/%%h/%%%%""#),
            ("/a:b;#$'c", r#""/a:b;#$'c""#),
            ("/-+@!/é", r#""/-+@!/é""#),
            ("/...", r#""/...""#),
        ] {
            assert_eq!(quoted(path).as_deref(), Ok(right));
        }
        for (path, what) in [
            ("/a\nExecStart=/bin/sh", "`/a\\u{a}ExecStart=/bin/sh` contains the character \\u{a}"),
            ("/a\tb", "`/a\\u{9}b` contains the character \\u{9}"),
            ("/\u{202e}a", "`/\\u{202e}a` contains the character \\u{202e}"),
            ("/a/../etc", "`/a/../etc` leads through `..`, which systemd ignores"),
        ] {
            assert_eq!(quoted(path), Err(what.to_owned()));
        }
        let [longest, longer] = [4094, 4095].map(|len| format!("/{}", "a".repeat(len)));
        assert!(quoted(&longest).is_ok());
        assert_eq!(quoted(&longer), Err("its path has more than 4095 bytes".to_owned()));
    }

    #[test]
    fn ipv4_is_no_part_of_ipv6_there() {
        for (network, right) in [
            ("10.0.0.0/8", &["10.0.0.0/8"][..]),
            ("::ffff:10.0.0.0/104", &["10.0.0.0/8"]),
            ("0.0.0.0/0", &["0.0.0.0/0"]),
            ("fd00::/8", &["fd00::/8"]),
            ("::/0", &["::/0", "0.0.0.0/0"]),
            ("::/80", &["::/80", "0.0.0.0/0"]),
            ("::1", &["::1/128"]),
        ] {
            assert_eq!(address_ranges(network), right, "{network}");
        }
    }

    #[test]
    fn what_is_granted_stays_in_sight() {
        let with = |hosts: &[&str]| {
            let directory =
                |host: &&str| Directory { host: PathBuf::from(host), quoted: String::new(), writable: false };
            let directories: Vec<_> = hosts.iter().map(directory).collect();
            (protect_home(&directories), has_private_tmp(&directories))
        };
        assert_eq!(with(&[]), ("yes", true));
        assert_eq!(with(&["/srv", "/homes", "/tmpfiles"]), ("yes", true));
        assert_eq!(with(&["/home/a"]), ("tmpfs", true));
        assert_eq!(with(&["/root", "/srv"]), ("tmpfs", true));
        assert_eq!(with(&["/run/user/1"]), ("tmpfs", true));
        assert_eq!(with(&["/run"]), ("no", true));
        assert_eq!(with(&["/tmp/a"]), ("yes", false));
        assert_eq!(with(&["/var"]), ("yes", false));
        assert_eq!(with(&["/"]), ("no", false));
    }
}
