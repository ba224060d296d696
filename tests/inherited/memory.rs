//! Floating-point modes, personality, and how memory is laid out.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::Start;

/// A library that rounds down and flushes subnormal numbers to zero, as code made with -ffast-math does for a whole process, and a
/// program that shows it.
fn library() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str| dir.path().join(name);
    fs::write(
        file("modes.c"),
        "__attribute__((constructor)) static void modes(void) {
           unsigned mxcsr = 0xbfc0; unsigned short control = 0x47f;
           __asm__ volatile(\"ldmxcsr %0\\n fldcw %1\" : : \"m\"(mxcsr), \"m\"(control)); }\n",
    )
    .expect("own directory");
    fs::write(
        file("shows.c"),
        "int main(void) { volatile double least = 4.9406564584124654e-324, half = 0.5, one = 1, tiny = 1e-30;
           return (least + least == 0) + 2 * (one + tiny - one != 0 || one - tiny == one ? 0 : 1); }\n",
    )
    .expect("own directory");
    for (name, flags) in [("modes", &["-shared", "-fPIC"][..]), ("shows", &[])] {
        let mut cc = Command::new("cc");
        cc.args(flags).arg("-o").arg(file(name)).arg(file(name).with_extension("c"));
        assert!(cc.status().expect("Rust links by cc").success());
    }
    let library = file("modes");
    let mut shows = Command::new(file("shows"));
    assert_eq!(shows.status().expect("it runs").code(), Some(0));
    assert_eq!(
        shows.env("LD_PRELOAD", &library).status().expect("it runs").code(),
        Some(3),
        "the library has its effect"
    );
    (dir, library)
}

/// A guest computes as WebAssembly says, whatever modes the process was started with.
#[test]
fn t129_floating_point_is_as_specified() {
    let (dir, library) = library();
    let module = dir.path().join("computes.wat");
    // 1: subnormal numbers are zero. 2: rounding is not to nearest. 4, 8: the same in single precision.
    fs::write(
        &module,
        r#"(module
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (func $wrong (param $least f64) (param $one f64) (param $tiny f64)
                 (param $least32 f32) (param $one32 f32) (param $tiny32 f32) (result i32)
               (i32.add
                 (i32.add
                   (f64.eq (f64.add (local.get $least) (local.get $least)) (f64.const 0))
                   (i32.shl (f64.ne (f64.sub (local.get $one) (local.get $tiny)) (local.get $one)) (i32.const 1)))
                 (i32.add
                   (i32.shl (f32.eq (f32.add (local.get $least32) (local.get $least32)) (f32.const 0)) (i32.const 2))
                   (i32.shl (f32.ne (f32.sub (local.get $one32) (local.get $tiny32)) (local.get $one32))
                     (i32.const 3)))))
             (func (export "_start")
               (call $exit (call $wrong (f64.const 0x0.0000000000001p-1022) (f64.const 1) (f64.const 1e-30)
                 (f32.const 0x0.000002p-126) (f32.const 1) (f32.const 1e-30)))))"#,
    )
    .expect("own directory");
    for level in ["strict", "off"] {
        let start = Start::directly().env("LD_PRELOAD", library.to_str().expect("UTF-8"));
        start.args(&["--sandbox", level, "run", module.to_str().expect("UTF-8")]).end().is(
            0,
            "",
            &if level == "off" { off() } else { String::new() },
        );
    }
}

/// What a run says at the level off.
fn off() -> String {
    let run = Start::directly().args(&["--sandbox", "off", "run"]).guest("hello").end();
    run.is_hello("off");
    run.stderr
}

/// The layout of memory is the kernel's usual one, random addresses included, whatever personality the parent has.
#[test]
fn t129_the_personality_of_the_parent_does_not_count() {
    // ADDR_NO_RANDOMIZE, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT, READ_IMPLIES_EXEC, STICKY_TIMEOUTS, UNAME26, PER_LINUX32.
    for personality in [0x0004_0000, 0x0010_0000, 0x0020_0000, 0x0040_0000, 0x0400_0000, 0x0002_0000, 0x8, 0x0474_0008]
    {
        let script = format!("assert libc.personality({personality:#x}) != -1");
        // At this level the process stays readable for its user.
        let mut talk = Start::after(&script).args(&["--sandbox", "off", "run"]).talk();
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", talk.child.id())).expect("own child");
        assert_eq!(read("personality").trim(), "00000000", "{personality:#x}");
        let maps = read("maps");
        let first = maps.lines().next().expect("mappings");
        assert!(!first.starts_with("00000000-"), "{personality:#x}: {first}");
        let both = maps.lines().find(|line| line.contains(" rwx"));
        assert_eq!(both, None, "{personality:#x}");
        talk.answers();
        talk.ends();
        Start::after(&script).args(&["run"]).guest("hello").end().is_hello(&script);
    }
}

/// A program that is executed again is told the same.
#[test]
fn t129_starting_again_keeps_arguments_environment_and_streams() {
    let module = crate::guest("echo");
    let module = module.to_str().expect("UTF-8");
    let start = Start::directly().env("GLIBC_TUNABLES", "glibc.malloc.perturb=0").env("X", "its value");
    let run = start.args(&["--sandbox", "strict", "run", "--env", "X", "--dry-run", module, "one", ""]).end();
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    for part in ["X=its value", "one", "strict"] {
        assert!(run.stdout.contains(part), "{part}: {run:?}");
    }
    let mut talk = Start::directly().env("GLIBC_TUNABLES", "").args(&["run"]).talk();
    talk.answers();
    talk.ends();
}
