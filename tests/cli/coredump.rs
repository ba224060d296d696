//! `--coredump`: the memory of a program that has trapped, as debuggers read it. It changes nothing about how the run ends.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use wasmparser::{
    CoreDumpInstancesSection, CoreDumpModulesSection, CoreDumpSection, CoreDumpStackSection, DataKind, Operator,
    Parser, Payload, Validator, WasmFeatures,
};
use wave_test_support::{Wave, wat};

/// What a core dump says.
#[derive(Debug, Default)]
struct Dump {
    name: String,
    modules: Vec<String>,
    /// Memories and globals of each instance.
    instances: Vec<(Vec<u32>, Vec<u32>)>,
    /// Function and offset in its body.
    frames: Vec<(u32, u32)>,
    /// Pages of each memory.
    memories: Vec<u64>,
    globals: Vec<String>,
    /// Bytes of each memory by their offsets.
    data: BTreeMap<(u32, u64), Vec<u8>>,
}

impl Dump {
    /// Reads a dump, which is a valid module.
    fn read(bytes: &[u8]) -> Self {
        Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).expect("a valid module");
        let mut dump = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            dump.add(payload.expect("a module"));
        }
        dump
    }

    fn add(&mut self, payload: Payload<'_>) {
        match payload {
            Payload::CustomSection(section) => {
                let reader = wasmparser::BinaryReader::new(section.data(), section.data_offset());
                match section.name() {
                    "core" => self.name = CoreDumpSection::new(reader).expect("a name").name.to_owned(),
                    "coremodules" => {
                        let modules = CoreDumpModulesSection::new(reader).expect("modules").modules;
                        self.modules = modules.into_iter().map(str::to_owned).collect();
                    }
                    "coreinstances" => {
                        let instances = CoreDumpInstancesSection::new(reader).expect("instances").instances;
                        assert!(instances.iter().all(|instance| instance.module_index == 0));
                        self.instances =
                            instances.into_iter().map(|instance| (instance.memories, instance.globals)).collect();
                    }
                    "corestack" => {
                        let stack = CoreDumpStackSection::new(reader).expect("a stack");
                        assert_eq!(stack.name, "main");
                        let frames = stack.frames.iter();
                        self.frames = frames
                            .map(|frame| {
                                assert!(frame.instanceidx == 0 && frame.locals.is_empty() && frame.stack.is_empty());
                                (frame.funcidx, frame.codeoffset)
                            })
                            .collect();
                    }
                    other => panic!("a section {other}"),
                }
            }
            Payload::MemorySection(section) => {
                self.memories = section.into_iter().map(|memory| memory.expect("a memory").initial).collect();
            }
            Payload::GlobalSection(section) => {
                let value = |global: wasmparser::Global<'_>| {
                    assert!(!global.ty.mutable);
                    let mut operators = global.init_expr.get_operators_reader();
                    format!("{:?}", operators.read().expect("a constant"))
                };
                self.globals = section.into_iter().map(|global| value(global.expect("a global"))).collect();
            }
            Payload::DataSection(section) => {
                for segment in section {
                    let segment = segment.expect("a segment");
                    let DataKind::Active { memory_index, offset_expr } = segment.kind else { panic!("active") };
                    let offset = match offset_expr.get_operators_reader().read() {
                        Ok(Operator::I32Const { value }) => value.cast_unsigned().into(),
                        Ok(Operator::I64Const { value }) => value.cast_unsigned(),
                        other => panic!("{other:?}"),
                    };
                    let before = self.data.insert((memory_index, offset), segment.data.to_vec());
                    assert_eq!(before, None);
                }
            }
            _ => {}
        }
    }
}

/// Where each operator of a module's functions is: the body's number, the offset in it, and the operator.
fn operators(module: &[u8]) -> Vec<(u32, u32, String)> {
    let bodies = Parser::new(0).parse_all(module).filter_map(|payload| match payload.expect("a module") {
        Payload::CodeSectionEntry(body) => Some(body),
        _ => None,
    });
    let mut found = Vec::new();
    for (number, body) in (0..).zip(bodies) {
        let start = body.range().start;
        for operator in body.get_operators_reader().expect("operators").into_iter_with_offsets() {
            let (operator, at) = operator.expect("an operator");
            found.push((number, u32::try_from(at - start).expect("a short body"), format!("{operator:?}")));
        }
    }
    found
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("core");
    (dir, path)
}

fn with(wave: Wave, core: &Path) -> Wave {
    wave.flag("--coredump", core.to_str().expect("UTF-8"))
}

const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory $first 2 9)
  (memory $second 1)
  (global $number (mut i32) (i32.const 1))
  (global $long i64 (i64.const -2))
  (global $float f32 (f32.const nan:0x200001))
  (global $double f64 (f64.const 0.5))
  (global $vector v128 (v128.const i64x2 1 2))
  (global $function funcref (ref.func $exit))
  (global $host (mut externref) (ref.null extern))
  (data (memory $first) (i32.const 100) "\00hello\00")
  (func $leaf (param i32) (result i32)
    (i32.store8 $second (i32.const 65535) (i32.const 7))
    (global.set $number (i32.const -5))
    (drop (memory.grow $first (i32.const 3)))
    (i32.store $first (i32.const 262144) (i32.const 0x01020304))
    (i32.div_u (i32.const 1) (local.get 0)))
  (func $middle (local i64) (nop) (drop (call $leaf (i32.const 0))))
  (func $_start (export "_start") (call $middle)))"#;

/// Compiled and cached, at each level: the dump says what the program had and where it was.
#[test]
fn a_core_dump_has_memories_globals_and_the_stack() {
    let (dir, core) = place();
    let module = wat::parse_str(PROGRAM).expect("a module");
    let path = dir.path().join("program.wasm");
    fs::write(&path, &module).expect("own directory");
    let calls = operators(&module);
    let offset = |body: u32, name: &str| {
        let found = calls.iter().find(|(number, _, operator)| *number == body && operator.starts_with(name));
        found.map(|(_, at, _)| (body + 1, *at)).expect("it is there")
    };
    let frames = [offset(0, "I32DivU"), offset(1, "Call"), offset(2, "Call")];
    for level in ["strict", "standard", "off"] {
        for flags in [&["--no-cache"][..], &[], &[]] {
            let wave = flags.iter().fold(Wave::strict().flag("--sandbox", level), |wave, flag| wave.switch(flag));
            let run = with(wave, &core).run(&path, [""; 0]);
            assert_eq!(run.status.code(), Some(134), "{run:?}");
            assert!(run.stderr.contains("wave: trap: integer divide by zero\n  at leaf ("), "{run:?}");
            assert!(!run.stderr.contains("core dump"), "{run:?}");
            let dump = Dump::read(&fs::read(&core).expect("a dump"));
            let name = path.to_str().expect("UTF-8");
            assert_eq!((&*dump.name, &*dump.modules), (name, &[name.to_owned()][..]));
            assert_eq!(dump.instances, [(vec![0, 1], (0..7).collect())]);
            assert_eq!(dump.frames, frames, "{calls:?}");
            assert_eq!(dump.memories, [5, 1]);
            let globals = dump.globals.iter().map(String::as_str).collect::<Vec<_>>();
            assert_eq!(globals[..2], ["I32Const { value: -5 }", "I64Const { value: -2 }"]);
            assert!(globals[2].contains("2141192193") && globals[3].starts_with("F64Const"), "{globals:?}");
            assert!(globals[4].contains("[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]"), "{globals:?}");
            assert!(globals[5..].iter().all(|value| value.starts_with("RefNull")), "{globals:?}");
            let data = [((0, 101), b"hello".to_vec()), ((0, 262_144), vec![4, 3, 2, 1]), ((1, 65_535), vec![7])];
            assert_eq!(dump.data, BTreeMap::from(data));
        }
    }
    let mode = fs::metadata(&core).expect("a dump").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the memory of a program is its user's alone");
}

#[test]
fn what_does_not_trap_leaves_no_dump() {
    let (_dir, core) = place();
    fs::write(&core, "of an earlier run").expect("own directory");
    let (_module_dir, module) = wat(r#"(module (memory 1) (func (export "_start")))"#);
    with(Wave::strict(), &core).run(&module, [""; 0]).is(0, "", "");
    assert_eq!(fs::read(&core).expect("it is there"), b"");
    let (_module_dir, module) = wat(r#"(module (func (export "_start") (loop (br 0))))"#);
    let run = with(Wave::strict().flag("--fuel", "100"), &core).run(&module, [""; 0]);
    assert_eq!((run.status.code(), fs::read(&core).expect("it is there").len()), (Some(124), 0), "{run:?}");
}

/// A large memory takes the room of what is in it.
#[test]
fn zeros_take_no_room() {
    let (_dir, core) = place();
    let (_module_dir, module) = wat(r#"(module (memory 16000) (func $f (export "_start")
             (i32.store8 (i32.const 0) (i32.const 1))
             (i32.store8 (i32.const 1048575999) (i32.const 2))
             (unreachable)))"#);
    let run = with(Wave::strict(), &core).run(&module, [""; 0]);
    run.is_trap("unreachable", &["f"]);
    let bytes = fs::read(&core).expect("a dump");
    assert!(bytes.len() < 1000, "{} bytes", bytes.len());
    let dump = Dump::read(&bytes);
    assert_eq!((dump.memories, dump.data.len()), (vec![16_000], 2));
    assert_eq!(dump.data[&(0, 1_048_575_999)], [2]);
}

/// A memory without a zero is in it whole.
#[test]
fn a_full_memory_is_dumped_whole() {
    let (_dir, core) = place();
    let (_module_dir, module) = wat(r#"(module (memory 100) (func $f (export "_start")
             (memory.fill (i32.const 0) (i32.const 9) (i32.const 6553600)) (unreachable)))"#);
    with(Wave::strict(), &core).run(&module, [""; 0]).is_trap("unreachable", &["f"]);
    let dump = Dump::read(&fs::read(&core).expect("a dump"));
    assert_eq!(dump.data.values().map(Vec::len).sum::<usize>(), 6_553_600);
    assert!(dump.data.values().flatten().all(|byte| *byte == 9));
}

/// T75, T113: names that are no text, and a stack that is exhausted.
#[test]
fn hostile_programs_have_readable_dumps() {
    let (dir, core) = place();
    let path = dir.path().join(OsStr::from_bytes(b"a\xff\x1b[2J\n.wat"));
    fs::write(&path, r#"(module $"\1b\n" (func $"\00\1b" (export "_start") (call 0)))"#).expect("own directory");
    let run = with(Wave::strict(), &core).run(&path, [""; 0]);
    assert_eq!(run.status.code(), Some(134), "{run:?}");
    let dump = Dump::read(&fs::read(&core).expect("a dump"));
    assert!(dump.name.ends_with("a\u{fffd}\u{1b}[2J\n.wat"), "{:?}", dump.name);
    assert_eq!(dump.frames.len(), 64);
    assert!(dump.frames.iter().all(|(function, _)| *function == 0));
    assert!(dump.memories.is_empty() && dump.globals.is_empty() && dump.data.is_empty());
}

/// A place that takes no more is said. The exit code is still the program's.
#[test]
fn a_dump_that_cannot_be_written_keeps_the_end_of_the_program() {
    let (_module_dir, module) = wat(r#"(module (memory 100) (func $f (export "_start")
             (memory.fill (i32.const 0) (i32.const 9) (i32.const 6553600)) (unreachable)))"#);
    let says = |wave: Wave, what: &str| {
        let run = wave.run(&module, [""; 0]);
        run.is_trap("unreachable", &["f"]);
        assert!(run.stderr.contains(&format!("wave: the core dump is not whole: {what}")), "{run:?}");
    };
    says(Wave::strict().flag("--coredump", "/dev/full"), "No space left on device");
    let (_dir, core) = place();
    says(with(Wave::strict(), &core).flag("--max-file-size", "100K"), "File too large");
    assert_eq!(fs::metadata(&core).expect("a part").len(), 102_400);
    // A reader that goes away, and one that reads nothing until the time is over.
    says(Wave::strict().flag("--coredump", "fd:7").by_shell("exec \"$@\" 7> >(head -c 10 >/dev/null)"), "Broken pipe");
    let stuck = Wave::strict().flag("--coredump", "fd:7").flag("--timeout", "1s");
    says(stuck.by_shell("exec \"$@\" 7> >(exec sleep 5)"), "timed out");
}

#[test]
fn a_dump_goes_to_a_pipe_and_into_outcomes() {
    let (dir, core) = place();
    let (_module_dir, module) = wat(r#"(module (memory 1) (func $f (export "_start") unreachable))"#);
    let outcome = dir.path().join("outcome.json");
    let wave = Wave::strict().flag("--coredump", "fd:7").flag("--outcome", outcome.to_str().expect("UTF-8"));
    let run = wave
        .by_shell(&format!("\"$@\" 7> >(cat >'{}'); code=$?; wait; exit $code", core.display()))
        .run(&module, [""; 0]);
    run.is_trap("unreachable", &["f"]);
    assert_eq!(Dump::read(&fs::read(&core).expect("a dump")).frames, [(0, 1)]);
    assert!(fs::read_to_string(&outcome).expect("an outcome").contains(r#""kind":"trapped""#));
}
