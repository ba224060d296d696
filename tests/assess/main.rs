//! The probes of WASI 0.2 on the real `wave`, under `--sandbox strict`: each row of `probes.txt` says what comes of it. `run` beside this
//! runs the same on other runtimes, for docs/wasi-0.2-security.md.

mod scene;

use scene::{Listener, Scene};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use wave_test_support::components::write_component;
use wave_test_support::{Outcome, finish, source, wave, writable_dir};

/// Of `wasi:filesystem`, then of `wasi:sockets`: the names of their error codes, in order.
const FILES: &str = "access would-block already bad-descriptor busy deadlock quota exist file-too-large illegal-byte-sequence in-progress \
    interrupted invalid io is-directory loop too-many-links message-size name-too-long no-device no-entry no-lock insufficient-memory \
    insufficient-space not-directory not-empty not-recoverable unsupported no-tty no-such-device overflow not-permitted pipe read-only \
    invalid-seek text-file-busy cross-device";
const SOCKETS: &str = "unknown access-denied not-supported invalid-argument out-of-memory timeout concurrency-conflict not-in-progress \
    would-block invalid-state new-socket-limit address-not-bindable address-in-use remote-unreachable connection-refused connection-reset \
    connection-aborted datagram-too-large name-unresolvable temporary-resolver-failure permanent-resolver-failure";

/// A row of `probes.txt`.
/// The most memory that the process of a probe may have had.
const MOST_BYTES: u64 = 256 << 20;

struct Probe {
    area: String,
    name: String,
    options: Vec<String>,
    expected: String,
}

impl Probe {
    fn all() -> Vec<Self> {
        let text = read("probes.txt");
        let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        rows.map(|row| {
            let parts: Vec<&str> = row.split('|').map(str::trim).collect();
            let [path, options, expected, _specification] = parts[..] else { panic!("four columns: {row}") };
            let (area, name) = path.split_once('/').expect("an area and a name");
            let options = options.split(' ').map(str::to_owned).collect();
            Self { area: area.to_owned(), name: name.to_owned(), options, expected: expected.to_owned() }
        })
        .collect()
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|each| each == option)
    }

    /// The text of its component: see `world.wat`.
    fn text(&self, port: u16) -> String {
        let area = read(&format!("{}.wat", self.area));
        let own = format!("(export \"{}\")", self.name);
        let mut blocks: Vec<&str> = area.split("\n\n").collect();
        blocks.retain(|block| !block.contains("(export \"") || block.contains(&own));
        assert!(blocks.iter().any(|block| block.contains(&own)), "{}/{} is there", self.area, self.name);
        // Helpers that nothing calls would import what the probe does not use.
        loop {
            let program = blocks.join("\n\n");
            let before = blocks.len();
            blocks
                .retain(|block| block.contains(&own) || helper(block).is_none_or(|name| mentions(&program, name) > 1));
            if blocks.len() == before {
                break;
            }
        }
        let program = blocks.join("\n\n");
        let world = read("world.wat");
        let used = |line: &&str| {
            line.split_once(" ;; if ").is_none_or(|(_, name)| mentions(&program, &format!("${name}")) > 0)
        };
        let world: Vec<&str> = world.lines().filter(used).collect();
        world.join("\n").replace("PROGRAM", &program).replace("PROBE", &self.name).replace("PORT", &port.to_string())
    }

    /// Whatever a probe asks for, the process has had little memory, as the kernel counts it.
    fn assert_bounded(&self, place: &TempDir) {
        let outcome = fs::read(place.path().join("outcome.json")).expect("it is written at every end");
        let outcome: serde_json::Value = serde_json::from_slice(&outcome).expect("it is JSON");
        let bytes = outcome["memory"]["process_bytes"].as_u64().expect("it is in the schema");
        assert!(bytes <= MOST_BYTES, "{}/{}: {bytes} bytes", self.area, self.name);
    }

    /// What comes of it, in the words of the table.
    fn outcome(&self) -> String {
        let listener = Listener::new();
        let place = writable_dir();
        let component = write_component(&self.text(listener.port()), place.path(), "probe.wasm");
        let scene = Scene::new(self.name.starts_with("full-"));
        let first = self.run(&component, &place, &scene);
        let mut words = self.words(&first);
        if self.has("twice") {
            assert!(first.status.success(), "{}/{}: {first:?}", self.area, self.name);
            let second = self.run(&component, &place, &scene);
            words =
                if first.stdout == second.stdout { "the same in both runs" } else { "differs between runs" }.to_owned();
        }
        scene.assert_nothing_outside();
        listener.assert_not_reached();
        self.assert_bounded(&place);
        words
    }

    fn run(&self, component: &Path, place: &TempDir, scene: &Scene) -> Outcome {
        let mut command = Command::new(wave());
        command
            .args(["--sandbox", "strict", "run", "--outcome", "outcome.json"])
            .current_dir(place.path())
            .env("ASSESS_SECRET", "1");
        if self.has("grant") {
            command.arg("--dir").arg(format!("{}::/::rw", scene.grant().display()));
        }
        command.arg(component).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.has("zeros") {
            command.stdin(File::open("/dev/zero").expect("every host has it"));
        }
        if self.has("closed") {
            let (reader, writer) = std::io::pipe().expect("a pipe can be made");
            drop(reader);
            let mut child = command.stdout(writer).spawn().expect("wave starts");
            child.stdout = Some(std::process::ChildStdout::from(std::os::fd::OwnedFd::from(
                File::open("/dev/null").expect("it is there"),
            )));
            return finish(child);
        }
        let swapping = self.has("race").then(|| scene.swap());
        let outcome = finish(command.spawn().expect("wave starts"));
        drop(swapping);
        outcome
    }

    fn words(&self, outcome: &Outcome) -> String {
        let names: Vec<&str> =
            if self.area == "sockets" { SOCKETS } else { FILES }.split(' ').filter(|name| !name.is_empty()).collect();
        let mut words: Vec<&str> = Vec::new();
        let mut printed = outcome.stdout.split_ascii_whitespace();
        while let Some(word) = printed.next() {
            words.push(if word == "error" && self.area != "io" {
                let code: usize = printed.next().and_then(|code| code.parse().ok()).expect("a code follows");
                names[code]
            } else {
                word
            });
        }
        let mut parts = vec![words.join(" ")];
        match outcome.status.code() {
            _ if self.has("stderr") => parts = vec![outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ")],
            code if self.has("status") => parts.push(format!("status {}", code.expect("no signal"))),
            Some(0) => {}
            Some(134) if outcome.stderr.contains("wave: trap: ") => parts.push("trap".to_owned()),
            code => parts.push(format!("status {code:?}: {}", outcome.stderr)),
        }
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() { "ended".to_owned() } else { parts.join("; ") }
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(source("tests/assess").join(name)).expect("kept in the tree")
}

/// The function that a block of helpers defines.
fn helper(block: &str) -> Option<&str> {
    let line = block.lines().find_map(|line| line.strip_prefix("    (func $"))?;
    let end = line.find([' ', ')']).unwrap_or(line.len());
    let start = line.as_ptr() as usize - block.as_ptr() as usize - 1;
    Some(&block[start..start + 1 + end])
}

/// How often a text mentions a name.
fn mentions(text: &str, name: &str) -> usize {
    text.matches(&format!("{name} ")).count() + text.matches(&format!("{name})")).count()
}

/// `*` stands for any number, `<N` for one below N, `A/B` for either.
fn agrees(seen: &str, expected: &str) -> bool {
    let (seen, expected): (Vec<&str>, Vec<&str>) = (seen.split(' ').collect(), expected.split(' ').collect());
    seen.len() == expected.len()
        && seen.iter().zip(&expected).all(|(seen, expected)| match (*expected, expected.strip_prefix('<')) {
            ("*", _) => seen.parse::<u64>().is_ok(),
            (_, Some(bound)) => seen.parse::<u64>().is_ok_and(|seen| seen < bound.parse().expect("a number")),
            (expected, None) => expected.split('/').any(|expected| *seen == expected),
        })
}

/// Runs all probes of an area, and says what is not as it should be of all of them.
#[track_caller]
fn area(area: &str) {
    let probes: Vec<Probe> = Probe::all().into_iter().filter(|probe| probe.area == area).collect();
    assert!(!probes.is_empty());
    let wrong: Vec<String> = probes
        .iter()
        .filter_map(|probe| {
            let seen = probe.outcome();
            (!agrees(&seen, &probe.expected))
                .then(|| format!("{area}/{}: {seen:?}, not {:?}", probe.name, probe.expected))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// T112, T113, T115.
#[test]
fn cli() {
    area("cli");
}

/// T116, T117.
#[test]
fn random() {
    area("random");
}

/// T114.
#[test]
fn clocks() {
    area("clocks");
}

/// T107, T109, T117, T120.
#[test]
fn io() {
    area("io");
}

/// T1, T4, T120.
#[test]
fn abi() {
    area("abi");
}

/// T12, T14 to T17, T23, T25 to T27, T107, T118.
#[test]
fn filesystem() {
    area("filesystem");
}

/// T38, T42.
#[test]
fn sockets() {
    area("sockets");
}
