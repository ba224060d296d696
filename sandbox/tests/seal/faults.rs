//! Makes each step fail in turn: no guest code runs, and the error names the layer (T97).

use crate::Case;
use crate::child::REFUSED;
use crate::run::{User, expect, run};
use wave_sandbox::LayerName;

pub const CASES: &[Case] = &[
    ("faults::every_step_can_fail", every_step),
    ("faults::strict_refuses", strict_refuses),
    ("faults::standard_runs_without_and_reports_it", standard_runs_without),
    ("faults::missing_optional_layers_are_reported", missing_optional_layers_are_reported),
];

const CAPBSET_DROP: &str = "break=157:24";
const SECUREBITS: &str = "break=157:28";
const NO_NEW_PRIVS: &str = "break=157:38";
const DUMPABLE: &str = "break=157:4";

/// Steps that every level requires.
const REQUIRED: &[(&str, &str)] =
    &[("break=262", "single_thread"), ("break=436", "descriptors"), ("break=13", "seccomp"), ("break=317", "seccomp")];

/// Steps that only `strict` requires.
const STRICT: &[(&str, &str)] = &[
    ("break=117", "identity"),
    ("break=119", "identity"),
    ("break=126", "capabilities"),
    (DUMPABLE, "not_dumpable"),
    ("break=444", "landlock"),
    ("break=446", "landlock"),
];

/// Steps that happen only with the privileges of root.
const OF_ROOT: &[(&str, &str)] = &[("break=116", "identity"), (CAPBSET_DROP, "bounding"), (SECUREBITS, "bounding")];

/// Layers that no level requires.
const OPTIONAL: &[&str] = &["allocator", "wiped", "limits", "namespaces", "no_new_code", "final_pages"];

/// Makes every layer fail by the hook of the tests: it is required, or missing in the report.
fn every_step(user: User) {
    let plan = ["code=1", "title=x", "namespaces=1", "print=1", "functions=fd_write"];
    expect(user, &plan, 0);
    for layer in LayerName::ALL.map(LayerName::as_str) {
        // The compiler's process and the verifier are not part of this seal.
        if ["compiler", "verifier"].contains(&layer) || layer == "bounding" && user != User::Root {
            continue;
        }
        let fault = format!("fail={layer}");
        for (level, refuses) in [
            ("level=strict", !OPTIONAL.contains(&layer)),
            ("level=standard", ["single_thread", "descriptors", "seccomp"].contains(&layer)),
        ] {
            let outcome = run(user, &[&plan[..], &[&fault, level]].concat());
            if refuses {
                assert_eq!(outcome.status, REFUSED, "{layer} {level}: {outcome:?}");
                assert!(outcome.stderr.starts_with(&format!("{layer} | ")), "{layer} {level}: {outcome:?}");
            } else {
                let state = if OPTIONAL.contains(&layer) { "unavailable" } else { "waived" };
                assert_eq!(outcome.status, 0, "{layer} {level}: {outcome:?}");
                assert!(is(state, layer, &outcome.stderr), "{layer} {level}: {outcome:?}");
            }
        }
    }
}

fn steps(user: User) -> Vec<(&'static str, &'static str)> {
    if user == User::Root { [STRICT, OF_ROOT].concat() } else { STRICT.to_vec() }
}

fn strict_refuses(user: User) {
    expect(user, &[], 0);
    for (fault, layer) in REQUIRED.iter().copied().chain(steps(user)).chain([(NO_NEW_PRIVS, "no_new_privs")]) {
        let outcome = expect(user, &[fault, "print=1"], REFUSED);
        assert!(outcome.stderr.starts_with(&format!("{layer} | ")), "{fault}: {outcome:?}");
    }
}

fn standard_runs_without(user: User) {
    for (fault, layer) in REQUIRED {
        let outcome = expect(user, &["level=standard", fault], REFUSED);
        assert!(outcome.stderr.starts_with(&format!("{layer} | ")), "{fault}: {outcome:?}");
    }
    for (fault, layer) in steps(user) {
        let outcome = expect(user, &["level=standard", fault, "print=1"], 0);
        assert!(is("waived", layer, &outcome.stderr), "{fault}: {outcome:?}");
    }
}

fn missing_optional_layers_are_reported(user: User) {
    for (fault, layer) in [("break=302", "limits"), ("break=157:65", "no_new_code")] {
        let outcome = expect(user, &[fault, "print=1"], 0);
        assert!(is("unavailable", layer, &outcome.stderr), "{fault}: {outcome:?}");
    }
}

fn is(state: &str, layer: &str, report: &str) -> bool {
    report.contains(&format!(r#"{{"name":"{layer}","state":"{state}""#))
}
