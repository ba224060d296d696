//! Compiled programs as files: they run as the module does, and no other code, processor, version or policy gets in with them
//! (T59).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use wave_contract::artifact::Artifact;
use wave_contract::image::TrapTable;
use wave_test_support::{Outcome, finish};

/// Prints a line, and ends with a number that it computes.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\09\00\00\00compiled\0a")
  (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (call $exit (call $twice (i32.load8_u (i32.const 4))))))"#;

const PRINTED: (&str, i32) = ("compiled\n", 18);

const PRINTED_BY_THE_MODULE: (&str, Option<i32>) = (PRINTED.0, Some(PRINTED.1));

struct Program {
    dir: TempDir,
}

impl Program {
    /// The program, compiled with these flags.
    fn compiled(flags: &[&str]) -> Self {
        let program = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        fs::write(program.module(), wat::parse_str(PROGRAM).expect("a module")).expect("own directory");
        let outcome = program.wave(&[&["compile", "-o", "app.wave"], flags, &["app.wasm"]].concat());
        outcome.is(0, "", "");
        program
    }

    fn module(&self) -> PathBuf {
        self.dir.path().join("app.wasm")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("app.wave")
    }

    fn wave(&self, args: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
        command.args(args).current_dir(self.dir.path()).env("XDG_CACHE_HOME", self.dir.path().join("caches"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().expect("wave starts"))
    }

    fn run(&self, flags: &[&str]) -> Outcome {
        self.wave(&[&["--sandbox", "strict", "run"], flags, &["app.wave"]].concat())
    }

    /// Changes the file, which says itself that it is whole.
    fn change(&self, change: impl FnOnce(&mut Artifact)) {
        let mut artifact = Artifact::read(&fs::read(self.file()).expect("own file")).expect("an artifact");
        change(&mut artifact);
        fs::write(self.file(), artifact.to_bytes().expect("memory")).expect("own file");
    }

    #[track_caller]
    fn refuses(&self, code: i32, message: &str) {
        let outcome = self.run(&[]);
        assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(code), ""), "{outcome:?}");
        assert!(outcome.stderr.contains(message), "{outcome:?}");
    }
}

#[test]
fn it_runs_as_the_module_does() {
    let program = Program::compiled(&[]);
    fs::rename(program.module(), program.dir.path().join("moved")).expect("own directory");
    for sandbox in ["strict", "standard", "off"] {
        let outcome = program.wave(&["--sandbox", sandbox, "run", "app.wave"]);
        assert_eq!((&*outcome.stdout, outcome.status.code()), (PRINTED.0, Some(PRINTED.1)), "{outcome:?}");
    }
    let outcome = program.run(&["--report", "--no-cache"]);
    let verified = outcome.stderr.lines().find(|line| line.trim_start().starts_with("verifier"));
    assert!(verified.is_some_and(|line| line.contains("applied") && line.contains("functions")), "{outcome:?}");

    // Where a module is asked for, the one in it is meant, and it is said that its code is another matter.
    let [of_module, of_program] = ["moved", "app.wave"].map(|file| program.wave(&["inspect", file]));
    assert_eq!((of_program.status.code(), &of_program.stdout), (Some(0), &of_module.stdout));
    assert_eq!(of_module.stderr, "");
    assert!(
        of_program.stderr.contains("`app.wave` is a compiled file: this describes the module in it"),
        "{of_program:?}"
    );
    let [of_module, of_program] = ["moved", "app.wave"].map(|file| {
        let audit = program.wave(&["audit", "--format", "json", file]).stdout;
        serde_json::from_str::<serde_json::Value>(&audit).expect("JSON")
    });
    let whole = fs::read(program.file()).expect("own file");
    assert_eq!(of_module["compiled_file"], serde_json::Value::Null);
    assert_eq!(of_program["compiled_file"], true);
    assert_eq!(of_program["blake3"], blake3::hash(&whole).to_hex().as_str());
    assert_eq!(of_program["size_bytes"], whole.len());
    for same in ["module", "areas", "grants", "powers", "facts", "score"] {
        assert_eq!(of_program[same], of_module[same], "{same}");
    }
    let of_program = program.wave(&["audit", "app.wave"]).stdout;
    assert!(of_program.contains("by whoever built the file"), "{of_program}");
    let verified = program.wave(&["verify", "app.wave"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(verified.stdout.starts_with("verified:       yes\n") && !verified.stdout.contains("compiling"));
    let verified = program.wave(&["verify", "--format", "json", "app.wave"]);
    let report: serde_json::Value = serde_json::from_str(&verified.stdout).expect("JSON");
    assert_eq!((&report["verified"], &report["milliseconds"]["compiling"]), (&true.into(), &serde_json::Value::Null));
}

/// T59: a policy is about a file, whatever module is in it.
#[test]
fn t59_a_policy_is_about_the_file() {
    let program = Program::compiled(&[]);
    let policy = program.wave(&["policy", "gen", "app.wave"]);
    assert_eq!(policy.status.code(), Some(0), "{policy:?}");
    fs::write(program.dir.path().join("app.toml"), &policy.stdout).expect("own directory");
    assert!(policy.stdout.contains("blake3"), "{policy:?}");
    program.run(&["--policy", "app.toml"]).is(PRINTED.1, PRINTED.0, "");
    // Other code for the same module.
    let other = PROGRAM.replace("(i32.const 2)))", "(i32.const 3)))");
    fs::write(program.dir.path().join("other.wat"), other).expect("own directory");
    program.wave(&["compile", "-o", "other.wave", "other.wat"]).is(0, "", "");
    let other = fs::read(program.dir.path().join("other.wave")).expect("own file");
    program.change(|artifact| artifact.image = Artifact::read(&other).expect("an artifact").image);
    program.change(|artifact| artifact.origin.seed = Artifact::read(&other).expect("an artifact").origin.seed);
    program.run(&[]).is(27, PRINTED.0, "");
    let outcome = program.run(&["--policy", "app.toml"]);
    assert_eq!((&*outcome.stdout, outcome.status.code()), ("", Some(125)));
    assert!(outcome.stderr.contains("is not the module of this policy: its BLAKE3 is"), "{outcome:?}");

    // What is learnt is learnt of the file that was run.
    let learn = ["--sandbox", "strict", "learn", "-o", "learnt.toml"];
    let learnt = program.wave(&[&learn[..], &["app.wave"]].concat());
    assert_eq!((&*learnt.stdout, learnt.status.code()), (PRINTED.0, Some(27)), "{learnt:?}");
    let text = fs::read_to_string(program.dir.path().join("learnt.toml")).expect("own file");
    let hash = blake3::hash(&fs::read(program.file()).expect("own file")).to_hex();
    assert!(text.contains(&format!("blake3 = \"{hash}\"")), "{text}");
    program.run(&["--policy", "learnt.toml"]).is(27, PRINTED.0, "");
    let refused = program.wave(&[&learn[..], &["app.wasm"]].concat());
    assert_eq!((&*refused.stdout, refused.status.code()), ("", Some(125)), "{refused:?}");
    assert!(refused.stderr.contains("the policy is for another module"), "{refused:?}");
    fs::remove_file(program.dir.path().join("learnt.toml")).expect("own file");
    let learnt = program.wave(&[&learn[..], &["app.wasm"]].concat());
    assert_eq!((&*learnt.stdout, learnt.status.code()), PRINTED_BY_THE_MODULE, "{learnt:?}");
    let refused = program.wave(&[&learn[..], &["app.wave"]].concat());
    assert_eq!((&*refused.stdout, refused.status.code()), ("", Some(125)), "{refused:?}");
    assert!(refused.stderr.contains("the pin names a module, and this is a compiled file of it"), "{refused:?}");
}

/// T59: code of anybody is verified, or does not run.
#[test]
fn t59_a_compiled_file_does_not_run_unverified() {
    let program = Program::compiled(&[]);
    let off = |flags: &[&str], file| program.wave(&[&["--sandbox", "off", "run"], flags, &[file]].concat());
    let refused = off(&["--no-verify"], "app.wave");
    assert_eq!((&*refused.stdout, refused.status.code()), ("", Some(125)), "{refused:?}");
    assert!(refused.stderr.contains("must be verified"), "{refused:?}");
    for outcome in [off(&[], "app.wave"), off(&["--no-verify"], "app.wasm")] {
        assert_eq!((&*outcome.stdout, outcome.status.code()), PRINTED_BY_THE_MODULE, "{outcome:?}");
    }
}

/// T59: who wrote the file does not matter, its code is proved.
#[test]
fn t59_foreign_code_is_refused() {
    let program = Program::compiled(&[]);
    let whole = fs::read(program.file()).expect("own file");
    let function = |artifact: &Artifact, index: usize| artifact.image.functions[index].start as usize;
    // `syscall` where a function begins.
    program.change(|artifact| {
        let start = function(artifact, 2);
        artifact.image.text[start..start + 2].copy_from_slice(&[0x0f, 0x05]);
    });
    program.refuses(125, "the verifier refuses the compiled code: function 2, offset 0x");
    let refused = program.wave(&["verify", "app.wave"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.starts_with("verified:       no\n") && refused.stdout.contains("syscall"), "{refused:?}");

    // A module whose function finds two of its arguments on the stack, and has to take them away.
    fs::write(program.file(), &whole).expect("own file");
    let many = "(param i64 i64 i64 i64 i64 i64 i64 i64) (result i32) (i32.const 9)";
    let call = format!("(call $twice {})", "(i64.const 4) ".repeat(8));
    let other = PROGRAM
        .replace("(param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))", many)
        .replace("(call $twice (i32.load8_u (i32.const 4)))", &call);
    let other = wat::parse_str(other).expect("a module");
    program.change(|artifact| {
        artifact.origin.module = *blake3::hash(&other).as_bytes();
        artifact.module = other;
    });
    program.refuses(125, "the verifier refuses the compiled code: function 2, offset 0x");

    fs::write(program.file(), &whole).expect("own file");
    program.run(&[]).is(PRINTED.1, PRINTED.0, "");
}

/// T59: what was made for somewhere else is refused, and it is said why.
#[test]
fn t59_what_does_not_fit_is_refused() {
    let program = Program::compiled(&[]);
    let whole = fs::read(program.file()).expect("own file");
    let refused = |code: i32, message: &str, change: &dyn Fn(&mut Artifact)| {
        fs::write(program.file(), &whole).expect("own file");
        program.change(change);
        program.refuses(code, message);
    };
    refused(125, "the artifact was compiled by wave 9.9.9, and this is wave", &|artifact| {
        artifact.origin.wave = "9.9.9".to_owned();
    });
    refused(125, "the artifact was compiled for a processor with has_avx1024", &|artifact| {
        artifact.image.processor += " has_avx1024";
    });
    refused(125, "the artifact was compiled for a processor with aarch64-apple-darwin", &|artifact| {
        artifact.image.processor = artifact.image.processor.replace("x86_64-unknown-linux-gnu", "aarch64-apple-darwin");
    });
    refused(125, "something else is at the addresses that it was compiled for", &|artifact| artifact.origin.seed += 1);
    refused(126, "the module in the artifact does not match its hash", &|artifact| artifact.origin.module[0] ^= 1);
    refused(126, "not a WebAssembly module", &|artifact| {
        artifact.module = b"#!/bin/sh\n".to_vec();
        artifact.origin.module = *blake3::hash(&artifact.module).as_bytes();
    });

    fs::write(program.file(), &whole).expect("own file");
    let outcome = program.run(&["--deterministic"]);
    assert_eq!(outcome.status.code(), Some(125));
    assert!(outcome.stderr.contains("compiled without --deterministic"), "{outcome:?}");
    let deterministic = Program::compiled(&["--deterministic"]);
    deterministic.run(&["--deterministic"]).is(PRINTED.1, PRINTED.0, "");
    deterministic.refuses(125, "compiled with --deterministic");
}

#[test]
fn t59_fuel_needs_code_that_counts_it() {
    let plain = Program::compiled(&[]);
    // Also once its code is in the cache.
    for _ in 0..2 {
        let refused = plain.run(&["--fuel", "1000"]);
        assert_eq!((refused.status.code(), &*refused.stdout), (Some(125), ""), "{refused:?}");
        assert!(refused.stderr.contains("compiled without --fuel: its code counts none"), "{refused:?}");
        assert!(refused.stderr.contains("fix:   compile it again: wave compile --fuel -o"), "{refused:?}");
        plain.run(&[]).is(PRINTED.1, PRINTED.0, "");
    }
    let counting = Program::compiled(&["--fuel"]);
    for _ in 0..2 {
        counting.run(&["--fuel", "1000"]).is(PRINTED.1, PRINTED.0, "");
        let ended = counting.run(&["--fuel", "5"]);
        assert_eq!((ended.status.code(), &*ended.stdout), (Some(124), ""), "{ended:?}");
        // Without a limit it runs as any other.
        counting.run(&[]).is(PRINTED.1, PRINTED.0, "");
    }
}

/// T59: damage is said as such.
#[test]
fn t59_damage_is_refused() {
    let program = Program::compiled(&[]);
    let whole = fs::read(program.file()).expect("own file");
    for at in (8..whole.len()).step_by(whole.len() / 50) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(program.file(), &damaged).expect("own file");
        program.refuses(126, "the artifact is damaged");
        fs::write(program.file(), &whole[..at]).expect("own file");
        program.refuses(126, "the artifact is damaged");
    }
    let mut other = whole.clone();
    other[4] = 9;
    fs::write(program.file(), &other).expect("own file");
    program.refuses(126, "the artifact has format 9, and this program knows format 6");
}

/// T59: files of somebody who knows the format end a run in a documented way.
#[test]
fn t59_no_file_confuses_it() {
    let program = Program::compiled(&[]);
    let whole = fs::read(program.file()).expect("own file");
    let body = whole.len() - blake3::OUT_LEN;
    let mut state = 59_u64;
    let mut random = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % limit
    };
    let mut ended = [0; 3];
    for _ in 0..400 {
        let mut forged = whole[..body].to_vec();
        for _ in 0..=random(3) {
            let at = 8 + random(body - 8);
            forged[at] = [0, 1, 0x7f, 0x80, 0xff, forged[at] ^ 1 << random(8)][random(6)];
        }
        let hash = blake3::hash(&forged);
        forged.extend_from_slice(hash.as_bytes());
        fs::write(program.file(), &forged).expect("own file");
        let outcome = program.wave(&["--sandbox", "strict", "run", "--timeout", "10s", "app.wave"]);
        match outcome.status.code() {
            Some(125) => ended[0] += 1,
            Some(126) => ended[1] += 1,
            // The guest ran: to a number, a trap or the limit.
            Some(_) => ended[2] += 1,
            None => panic!("{outcome:?}"),
        }
        assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    }
    assert!(ended.iter().all(|count| *count > 0), "{ended:?}");
}

/// T57: a fault that no table speaks of ends the process. It is the fault of the code, and so it says.
#[test]
fn t57_a_fault_without_a_trap_is_the_codes() {
    let program = Program::compiled(&[]);
    let divides = PROGRAM.replace("(i32.mul (local.get 0) (i32.const 2))", "(i32.div_u (i32.const 1) (local.get 0))");
    let divides = divides.replace("(i32.load8_u (i32.const 4))", "(i32.const 0)");
    fs::write(program.module(), wat::parse_str(divides).expect("a module")).expect("own directory");
    program.wave(&["compile", "-o", "app.wave", "app.wasm"]).is(0, "", "");
    let trapped = program.run(&[]);
    assert_eq!((trapped.status.code(), &*trapped.stdout), (Some(134), PRINTED.0), "{trapped:?}");
    program.change(|artifact| artifact.image.traps = TrapTable::default());
    let ended = program.run(&[]);
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(128 + 8), PRINTED.0), "{ended:?}");
    assert!(ended.stderr.starts_with("wave: the compiled code faults in a way that its"), "{ended:?}");
}

#[test]
fn what_cannot_be_compiled_is_said() {
    let program = Program::compiled(&[]);
    let outcome = program.wave(&["compile", "-o", "missing/app.wave", "app.wasm"]);
    assert_eq!(outcome.status.code(), Some(125));
    assert!(outcome.stderr.starts_with("wave: cannot write the program"), "{outcome:?}");
    let outcome = program.wave(&["compile", "app.wasm"]);
    assert_eq!(outcome.status.code(), Some(2), "it has no purpose: {outcome:?}");
    fs::write(program.dir.path().join("bad.wasm"), b"\0asm\x01\0\0\0\x01").expect("own directory");
    let outcome = program.wave(&["compile", "-o", "bad.wave", "bad.wasm"]);
    assert_eq!(outcome.status.code(), Some(126), "{outcome:?}");
    assert!(!Path::new(&program.dir.path().join("bad.wave")).exists());
    // It takes far longer than a millisecond.
    let many = format!("(module (func (export \"_start\")) {})", "(func)".repeat(100_000));
    fs::write(program.dir.path().join("many.wasm"), wat::parse_str(many).expect("a module")).expect("own directory");
    for (flag, least, enough, what) in [
        ("--compile-memory", "1K", "1G", "compiling takes more than 1024 bytes of memory"),
        ("--compile-timeout", "1ms", "10m", "compiling takes more than 1ms of processor time"),
    ] {
        let outcome = program.wave(&["compile", flag, least, "-o", "bad.wave", "many.wasm"]);
        assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
        assert!(outcome.stderr.contains(what) && outcome.stderr.contains(&format!("raise {flag}")), "{outcome:?}");
        assert!(!Path::new(&program.dir.path().join("bad.wave")).exists());
        let outcome = program.wave(&["compile", flag, enough, "-o", "good.wave", "many.wasm"]);
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    }
    let unknown = r#"(module (import "env" "f" (func)) (func (export "_start")))"#;
    fs::write(program.dir.path().join("unknown.wat"), unknown).expect("own directory");
    // What is imported is decided by the run.
    program.wave(&["compile", "-o", "unknown.wave", "unknown.wat"]).is(0, "", "");
    let outcome = program.wave(&["run", "unknown.wave"]);
    assert_eq!(outcome.status.code(), Some(126), "{outcome:?}");
    assert!(outcome.stderr.contains("unknown import `env` `f`"), "{outcome:?}");
    assert_eq!(program.wave(&["run", "--unknown-imports", "zero", "unknown.wave"]).status.code(), Some(0));
}
