//! What the kernel reports of a sealed process to another process; the seal's report must say the same (T124).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;

use caps::Capability;
use serde_json::Value;

use crate::Case;
use crate::run::{NOBODY, User, expect, has, kernel_has, open_to_all, run, start};
use wave_sandbox::LayerName;
use wave_test_support::outside::{Outside, own, unused_ids};

pub const CASES: &[Case] = &[
    ("status::strict", strict),
    ("status::standard_applies_the_same_here", standard),
    ("status::off_applies_nothing", off),
    ("status::each_layer_left_out_is_missing_outside", left_out),
    ("status::arguments_and_environment_are_wiped", wiped),
    ("status::descriptors", descriptors),
    ("status::root_becomes_the_named_user", named_user),
    ("status::root_of_a_user_namespace", user_namespace),
    ("status::namespaces_on_request", namespaces),
    ("status::the_probe_agrees_with_the_seal", probe),
];

/// A child that has sealed and waits.
struct Held {
    status: BTreeMap<String, String>,
    limits: String,
    descriptors: BTreeSet<String>,
    owner: u32,
    report: Value,
}

fn hold(user: User, args: &[&str]) -> Held {
    let mut child = start(user, &[&["hold=1", "functions=fd_read", "code=1", "title=seal test"], args].concat());
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().expect("a pipe")).read_line(&mut line).expect("a report");
    let proc = format!("/proc/{}", child.id());
    let read =
        |name: &str| fs::read_to_string(format!("{proc}/{name}")).unwrap_or_else(|e| panic!("{name}: {e}: {line}"));
    let text = read("status");
    let status = text.lines().filter_map(|line| line.split_once(':'));
    let held = Held {
        status: status.map(|(key, value)| (key.to_owned(), value.trim().replace('\t', " "))).collect(),
        limits: read("limits"),
        descriptors: names(&format!("{proc}/fd")),
        owner: fs::metadata(format!("{proc}/status")).expect("a file of proc").uid(),
        report: serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")),
    };
    drop(child.stdin.take());
    assert!(child.wait().expect("the child ends").success());
    held
}

/// Empty if this process may not read the directory: an ordinary user may not if the process is not dumpable.
fn names(dir: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

impl Held {
    fn is(&self, key: &str, value: &str) {
        assert_eq!(self.status.get(key).map(String::as_str), Some(value), "{key} of {:#?}", self.status);
    }

    fn layer(&self, name: &str) -> (&str, &str) {
        let layers = self.report["layers"].as_array().expect("layers");
        let layer = layers.iter().find(|layer| layer["name"] == name).unwrap_or_else(|| panic!("layer {name}"));
        let text = layer["detail"].as_str().or(layer["reason"].as_str()).unwrap_or_default();
        (layer["state"].as_str().expect("a state"), text)
    }

    fn applied(&self, name: &str) -> &str {
        let (state, detail) = self.layer(name);
        assert_eq!(state, "applied", "{name}: {detail}");
        detail
    }

    /// The numbers of a status line, such as the four user ids.
    fn ids(&self, key: &str) -> Vec<u32> {
        self.status[key].split_whitespace().map(|id| id.parse().expect("an id")).collect()
    }
}

fn strict(user: User) {
    let held = hold(user, &[]);
    check(user, &held);
    assert_eq!(held.report["level"], "strict");
}

fn standard(user: User) {
    check(user, &hold(user, &["level=standard"]));
}

const EMPTY_SET: &str = "0000000000000000";

fn check(user: User, held: &Held) {
    for name in ["single_thread", "allocator", "descriptors", "limits", "identity", "capabilities"] {
        held.applied(name);
    }
    for name in ["no_new_privs", "not_dumpable", "wiped", "landlock", "seccomp"] {
        held.applied(name);
    }
    for (name, facility) in [("no_new_code", "mdwe"), ("final_pages", "mseal")] {
        let state = if kernel_has(facility) { "applied" } else { "unavailable" };
        assert_eq!(held.layer(name).0, state, "{name}");
    }
    held.is("Threads", "1");
    held.is("NoNewPrivs", "1");
    held.is("Seccomp", "2");
    let filters: u32 = own("Seccomp_filters").parse().expect("a number");
    held.is("Seccomp_filters", &(filters + 1).to_string());
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        held.is(set, EMPTY_SET);
    }
    // Root owns the files of a process that is not dumpable.
    assert_eq!(held.owner, 0);
    for name in ["Max core file size", "Max processes", "Max locked memory", "Max msgqueue size"] {
        let line = held.limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
        assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"], "{name}");
    }
    let (users, groups) = (held.ids("Uid"), held.ids("Gid"));
    assert!(users.iter().all(|id| *id == users[0]) && groups.iter().all(|id| *id == groups[0]));
    assert!(held.applied("identity").starts_with(&format!("uid {}, gid {},", users[0], groups[0])));
    match user {
        User::Root => {
            held.applied("bounding");
            held.is("CapBnd", EMPTY_SET);
            held.is("Groups", "");
            assert!(unused_ids().contains(&users[0]), "{users:?}");
            assert_eq!(users[0], groups[0]);
        }
        User::Nobody => assert_eq!((users[0], groups[0]), (NOBODY, NOBODY)),
        User::Own => assert_eq!(users[0], nix::unistd::getuid().as_raw()),
    }
    if user != User::Root {
        assert_eq!(held.layer("bounding").0, "unavailable");
        assert_ne!(held.status["CapBnd"], EMPTY_SET);
    }
}

fn off(user: User) {
    let held = hold(user, &["level=off"]);
    for key in ["NoNewPrivs", "Seccomp", "Seccomp_filters"] {
        held.is(key, &own(key));
    }
    let layers = held.report["layers"].as_array().expect("layers");
    assert!(layers.len() == 17 && layers.iter().all(|layer| layer["state"] == "not_requested"), "{layers:?}");
}

/// T124: the report of a seal, and of seals without one layer each, against what is seen from here.
fn left_out(user: User) {
    let disagreements = |without: &[&str]| {
        // The step for namespaces comes before the seal, so no hook leaves it out.
        let namespaces = if without == ["without=namespaces"] { "" } else { "namespaces=1" };
        let plan = ["hold=1", "functions=fd_read", "code=1", "title=x", namespaces, "before=leak", "level=standard"];
        let mut child = start(user, &[&plan[..], without].concat());
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().expect("a pipe")).read_line(&mut line).expect("a report");
        let report: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let found = Outside::of(child.id(), user == User::Root).disagreements(&report);
        drop(child.stdin.take());
        assert!(child.wait().expect("the child ends").success());
        (found, report)
    };
    let (found, _) = disagreements(&[]);
    assert_eq!(found, [""; 0]);
    for layer in LayerName::ALL {
        let (found, report) = disagreements(&[&format!("without={layer}")]);
        assert_eq!(found, [""; 0], "without {layer}");
        let layers = report["layers"].as_array().expect("layers");
        let entry = layers.iter().find(|entry| entry["name"] == layer.as_str()).expect("every layer");
        // Without CAP_SETPCAP there is no step to leave out.
        let expected = if layer == LayerName::Bounding && user != User::Root { "unavailable" } else { "not_requested" };
        assert_eq!(entry["state"], expected, "{layer}");
    }
}

/// T105. An ordinary user cannot read the environment of a process that is not dumpable at all.
fn wiped(user: User) {
    let read = |args: &[&str]| {
        let mut child = start(user, &[&["hold=1", "functions=fd_read"], args].concat());
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().expect("a pipe")).read_line(&mut line).expect("a report");
        let file = |name: &str| fs::read(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
        let found = [file("cmdline"), file("environ")].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        drop(child.stdin.take());
        assert!(child.wait().expect("the child ends").success());
        found
    };
    let [arguments, environment] = read(&[]);
    assert!(arguments.contains("functions=fd_read"), "{arguments:?}");
    assert_eq!(environment.contains("PATH="), has(Capability::CAP_SYS_PTRACE), "{environment:?}");
    let [arguments, environment] = read(&["title=wave run app.wasm"]);
    assert_eq!(arguments.trim_end_matches('\0'), "wave run app.wasm");
    assert_eq!(environment.trim_end_matches('\0'), "");
}

fn descriptors(user: User) {
    let dir = open_to_all();
    let grant = format!("grant={}:ro", dir.path().display());
    let unsealed = hold(user, &["level=off", "before=leak", &grant]);
    let sealed = hold(user, &["before=leak", &grant]);
    if has(Capability::CAP_SYS_PTRACE) {
        assert!(unsealed.descriptors.contains("200"), "{:?}", unsealed.descriptors);
        let expected = ["0", "1", "2", "3"].map(str::to_owned).into();
        assert_eq!(sealed.descriptors, expected);
    }
    assert_eq!(sealed.applied("descriptors"), "4 kept: 0, 1, 2, 1 grants, 0 others");
}

fn named_user(user: User) {
    if user == User::Root {
        assert_eq!(hold(user, &["uid=12345"]).ids("Uid"), [12345; 4]);
    } else {
        let outcome = expect(user, &["uid=12345"], crate::child::REFUSED);
        assert!(outcome.stderr.starts_with("identity | "), "{outcome:?}");
    }
    for level in ["level=strict", "level=standard"] {
        let refused = expect(user, &["uid=0", level], crate::child::REFUSED);
        assert!(refused.stderr.starts_with("identity | "), "{refused:?}");
    }
}

fn user_namespace(user: User) {
    if run(user, &["level=off", "before=user_namespace"]).status != 0 {
        return println!("NOT RUN: status::root_of_a_user_namespace: {user:?} gets none");
    }
    if user == User::Root {
        // User 0 outside, too: real root, with nobody else to become.
        let outcome = expect(user, &["before=user_namespace"], crate::child::REFUSED);
        assert!(outcome.stderr.starts_with("identity | "), "{outcome:?}");
        assert!(outcome.stderr.contains("no unused user"), "{outcome:?}");
    } else {
        let held = hold(user, &["before=user_namespace"]);
        assert!(held.applied("identity").contains("uid 0, gid 0, root of a user namespace"));
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"] {
            held.is(set, EMPTY_SET);
        }
    }
}

fn namespaces(user: User) {
    assert_eq!(hold(user, &[]).layer("namespaces").0, "not_requested");
    let (state, text) = {
        let held = hold(user, &["namespaces=1"]);
        let (state, text) = held.layer("namespaces");
        (state.to_owned(), text.to_owned())
    };
    if user == User::Root && has(Capability::CAP_SYS_ADMIN) {
        assert_eq!((state.as_str(), text.as_str()), ("applied", "network, ipc, uts"));
    } else {
        assert_eq!(state, "unavailable");
    }
}

fn probe(user: User) {
    let outcome = expect(user, &["level=off", "probe=1"], 0);
    let probe: Value = serde_json::from_str(&outcome.stderr).expect("JSON");
    let entry = |name: &str| {
        let entries = probe.as_array().expect("entries");
        entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    let held = hold(user, &[]);
    for (name, layer) in [("landlock", "landlock"), ("seccomp", "seccomp"), ("close_range", "descriptors")] {
        assert_eq!(entry(name)["presence"], "present", "{name}");
        held.applied(layer);
    }
    let abi = |text: &str| text.split([' ', ',', ':']).nth(1).map(str::to_owned);
    assert_eq!(abi(entry("landlock")["detail"].as_str().expect("text")), abi(held.applied("landlock")));
    let setpcap = entry("CAP_SETPCAP")["presence"] == "present";
    assert_eq!(setpcap, held.layer("bounding").0 == "applied");
}
