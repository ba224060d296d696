//! Damaged modules: whatever the bytes are, the compiler answers with an image or an error, and a run ends in a way that is
//! documented. The mutants are the same in every run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wave_compiler::{CompileError, CompileOptions, ImportLinkage, Module};
use wave_contract::artifact::CodeSettings;
use wave_contract::context::Addressing;
use wave_contract::types::SignatureRegistry;
use wave_test_support::{Wave, c_example, finish, source};

/// Processes that compile; each has mutants of its own.
const BATCHES: u64 = 4;
/// Mutants of each small module in a batch.
const SMALL: u64 = 60;
/// Mutants of each C program in a batch; they take longer.
const LARGE: u64 = 15;
/// Valid mutants that are run.
const RUNS: usize = 100;

/// Set in the processes that compile: which batch.
const BATCH: &str = "WAVE_TEST_BATCH";

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("smaller than limit")
    }

    fn byte(&mut self) -> u8 {
        // Limits of LEB128 and of the types, single bits, or anything.
        const NOTABLE: [u8; 8] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff];
        match self.below(2) {
            0 => NOTABLE[self.below(NOTABLE.len())],
            _ => self.next().to_le_bytes()[0],
        }
    }
}

/// The module with one to three damages.
fn mutant(module: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = module.to_vec();
    for _ in 0..=random.below(3) {
        // The first eight bytes are magic and version; damaging them finds nothing new.
        let at = 8 + random.below(bytes.len() - 8);
        let len = 1 + random.below(8);
        let end = (at + len).min(bytes.len());
        match random.below(6) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.byte(),
            3 if bytes.len() > 64 => drop(bytes.drain(at..end)),
            4 => drop(bytes.splice(at..at, (0..len).map(|_| random.byte()).collect::<Vec<_>>())),
            _ => {
                let from = 8 + random.below(bytes.len() - (end - at) - 8);
                bytes.copy_within(from..from + (end - at), at);
            }
        }
    }
    bytes
}

/// The modules that are damaged: every text in the repository's examples, probes and benchmark guests.
fn small_modules() -> Vec<Vec<u8>> {
    let harness = fs::read_to_string(source("benches/guests/harness.wat")).unwrap();
    let mut paths: Vec<_> = ["examples", "tests/probes", "benches/guests"]
        .iter()
        .flat_map(|dir| fs::read_dir(source(dir)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "wat") && !path.ends_with("harness.wat"))
        .collect();
    paths.sort();
    let text = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let kernel = path.parent().unwrap().ends_with("guests");
        if kernel { harness.replace("  ;; KERNEL\n", &text) } else { text }
    };
    paths.iter().map(|path| wat::parse_str(text(path)).unwrap()).collect()
}

/// C programs, if they can be built here.
fn large_modules() -> Vec<Vec<u8>> {
    ["cat", "ls", "clock"].iter().filter_map(|name| c_example(name)).map(|path| fs::read(path).unwrap()).collect()
}

/// Compiles with every check that Cranelift has.
fn compile(bytes: &[u8]) -> Result<(), CompileError> {
    let module = Module::parse(bytes)?;
    let mut registry = SignatureRegistry::default();
    let signatures = registry.intern_module(module.info());
    let imports = vec![ImportLinkage::Host; module.info().imported_functions as usize];
    module
        .compile(&CompileOptions {
            addressing: Addressing::Arg,
            signatures: &signatures,
            imports: &imports,
            threads: 1,
            verify_ir: true,
            settings: CodeSettings::default(),
        })
        .map(drop)
}

/// Where a batch keeps the mutant it is at, so that one that ends the process can be looked at.
fn current(batch: u64) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mutant-{batch}.wasm"))
}

/// Compiles the mutants of one batch and prints how many were valid and how many not.
fn compile_batch(batch: u64) {
    let mut random = Random::new(batch);
    let (mut valid, mut invalid) = (0, 0);
    for (modules, count) in [(small_modules(), SMALL), (large_modules(), LARGE)] {
        for module in modules {
            for _ in 0..count {
                let bytes = mutant(&module, &mut random);
                fs::write(current(batch), &bytes).unwrap();
                match compile(&bytes) {
                    Ok(()) => valid += 1,
                    Err(CompileError::Codegen { function, message }) => panic!("function {function}: {message}"),
                    Err(_) => invalid += 1,
                }
            }
        }
    }
    println!("\nvalid {valid} invalid {invalid}");
}

#[test]
fn mutants_are_compiled_or_refused() {
    if let Some(batch) = std::env::var_os(BATCH) {
        return compile_batch(batch.to_str().unwrap().parse().unwrap());
    }
    let (mut valid, mut invalid) = (0, 0);
    for batch in 0..BATCHES {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "damaged::mutants_are_compiled_or_refused", "--nocapture"])
            .env(BATCH, batch.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = finish(command.spawn().unwrap());
        assert!(run.status.success(), "at {}: {run:#?}", current(batch).display());
        let counts = run.stdout.lines().find_map(|line| line.strip_prefix("valid ")?.split_once(" invalid "));
        let (some, others) = counts.unwrap_or_else(|| panic!("{run:#?}"));
        valid += some.parse::<u64>().unwrap();
        invalid += others.parse::<u64>().unwrap();
        fs::remove_file(current(batch)).unwrap();
    }
    // Otherwise the damage is too light or too heavy to show anything.
    assert!(valid > 200 && invalid > 200, "valid {valid}, invalid {invalid}");
}

#[test]
fn valid_mutants_run_to_a_documented_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mutant.wasm");
    // What ends with a code of its own choice could not be told from a failure of ours.
    let modules: Vec<_> = small_modules().into_iter().filter(|bytes| !contains(bytes, b"proc_exit")).collect();
    let mut random = Random::new(BATCHES);
    let mut runs = 0;
    while runs < RUNS {
        let bytes = mutant(&modules[runs % modules.len()], &mut random);
        if compile(&bytes).is_err() {
            continue;
        }
        runs += 1;
        fs::write(&path, &bytes).unwrap();
        let run = Wave::strict().flag("--timeout", "1s").flag("--max-memory", "64M").run(&path, ["one", "two"]);
        // 159 is left out on purpose: no module may make `wave` do what its own filter forbids.
        let documented = matches!(run.status.code(), Some(0 | 124 | 125 | 126 | 134 | 137));
        assert!(documented && !run.stderr.contains("panicked"), "mutant {runs} of {}: {run:?}", dir.keep().display());
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
