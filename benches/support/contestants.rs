//! One C program, built natively and for WASI, and everything that can run it.

use super::{directory, machine, run, source, version, wasmtime, wave};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::SystemTime;

/// A program in both forms.
pub struct Guest {
    pub native: PathBuf,
    pub module: PathBuf,
}

impl Guest {
    /// Builds `benches/guests/NAME.c` and `more` with the same compiler and the same flags for both, unless that was done.
    ///
    /// `WASI_CC` and `WASI_SYSROOT` say where the compiler and WASI's C library are, as for `examples/build.sh`.
    pub fn build(name: &str, more: &[PathBuf], flags: &[&str]) -> Self {
        let dir = directory(name);
        let program = Path::new(name).file_name().expect("a program has a name");
        let guest = Self { native: dir.join(program), module: dir.join(program).with_extension("wasm") };
        let sources = sources(name, more);
        thread::scope(|scope| {
            scope.spawn(|| build(&guest.module, &sources, flags, &for_wasi()));
            build(&guest.native, &sources, flags, &["-lm".to_owned()]);
        });
        guest
    }

    /// Builds the module once more, with the vector instructions of WebAssembly. The native form has those of each x86-64 processor.
    pub fn with_vectors(&self, name: &str, more: &[PathBuf], flags: &[&str]) -> PathBuf {
        let sources = sources(name, more);
        let module = self.module.with_extension("vectors.wasm");
        let target: Vec<_> = for_wasi().into_iter().chain(["-msimd128".to_owned()]).collect();
        build(&module, &sources, flags, &target);
        module
    }
}

fn sources(name: &str, more: &[PathBuf]) -> Vec<PathBuf> {
    [&[source(&format!("{name}.c"))], more].concat()
}

fn for_wasi() -> Vec<String> {
    let sysroot = std::env::var("WASI_SYSROOT").unwrap_or_else(|_| "/usr".to_owned());
    vec!["--target=wasm32-wasi".to_owned(), format!("--sysroot={sysroot}")]
}

fn build(program: &Path, sources: &[PathBuf], flags: &[&str], target: &[String]) {
    let changed = |path: &Path| path.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let built = changed(program);
    // The flags are in these files, or a source includes them.
    let recipes = [
        "support/contestants.rs",
        "hostcalls.rs",
        "support/sqlite.rs",
        "programs.rs",
        "guests/timing.h",
        "guests/programs/bench.h",
    ];
    let recipes = recipes.map(|file| Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(file));
    if sources.iter().chain(&recipes).all(|source| changed(source) < built) {
        return;
    }
    let compiler = std::env::var("WASI_CC").unwrap_or_else(|_| "clang".to_owned());
    assert!(present(&compiler), "no `{compiler}`: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32");
    run(Command::new(compiler).args(["-std=gnu11", "-O2", "-o"]).arg(program).args(sources).args(flags).args(target));
}

/// Something that runs a guest.
pub struct Contestant {
    pub name: &'static str,
    pub version: String,
    program: PathBuf,
    /// What comes before the guest's own arguments.
    before: Vec<OsString>,
}

impl Contestant {
    /// The native form of a guest, with arguments of its own.
    pub fn native(name: &'static str, guest: &Guest, before: &[&str]) -> Self {
        let before = before.iter().map(OsString::from).collect();
        contestant(name, "clang -O2".to_owned(), guest.native.clone(), before)
    }

    /// A run of the guest, which may use the directory `work` and calls it `.`.
    pub fn command(&self, work: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(work).args(&self.before);
        command
    }
}

/// What is compared with if it is on the PATH: name, and arguments before and after the module.
const OTHERS: [(&str, &[&str], &[&str]); 2] =
    [("wasmer", &["run", "--dir", "."], &["--"]), ("iwasm", &["--dir=."], &[])];

/// Says which of those are not there.
pub fn print_absent() {
    for (name, ..) in OTHERS.iter().filter(|(name, ..)| !present(name)) {
        println!("`{name}` is not on the PATH and not compared with.");
    }
}

/// Who is compared, on which machine, how often.
pub fn print_who(contestants: &[Contestant], rounds: usize) {
    let versions: Vec<_> = contestants.iter().map(|one| format!("{}: {}", one.name, one.version)).collect();
    println!("{}\n{}, {rounds} rounds\n", versions.join("; "), machine());
}

/// The guest itself, wave twice, Wasmtime, and those on the PATH.
///
/// Wasmtime gets what it compiled beforehand, so that it does not compile in every run.
pub fn contestants(guest: &Guest) -> Vec<Contestant> {
    let mut all = vec![
        Contestant::native("native", guest, &[]),
        sandboxed("wave, off", "off", &guest.module),
        sandboxed("wave, strict", "strict", &guest.module),
        precompiled("Wasmtime", &guest.module),
    ];
    for (name, before, after) in OTHERS.iter().filter(|(name, ..)| present(name)) {
        let mut before = with(before.iter().map(OsString::from).collect(), &guest.module);
        before.extend(after.iter().map(OsString::from));
        all.push(contestant(name, version(Path::new(name)), name.into(), before));
    }
    all
}

/// wave and Wasmtime with a module that has vector instructions.
pub fn contestants_with_vectors(module: &Path) -> [Contestant; 2] {
    [sandboxed("wave, strict, vectors", "strict", module), precompiled("Wasmtime, vectors", module)]
}

fn sandboxed(name: &'static str, sandbox: &str, module: &Path) -> Contestant {
    let before = ["--sandbox", sandbox, "run", "--dir", "."].map(OsString::from).to_vec();
    contestant(name, version(&wave()), wave(), with(before, module))
}

fn precompiled(name: &'static str, module: &Path) -> Contestant {
    let compiled = module.with_extension("cwasm");
    run(Command::new(wasmtime()).args(["compile", "-C", "cache=n", "-o"]).arg(&compiled).arg(module));
    let before = ["run", "-C", "cache=n", "--allow-precompiled", "--dir", "."].map(OsString::from).to_vec();
    contestant(name, version(&wasmtime()), wasmtime(), with(before, &compiled))
}

fn contestant(name: &'static str, version: String, program: PathBuf, before: Vec<OsString>) -> Contestant {
    Contestant { name, version, program, before }
}

fn with(mut args: Vec<OsString>, module: &Path) -> Vec<OsString> {
    args.push(module.into());
    args
}

fn present(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
