//! Messages for invalid command lines. They name what `wave` has instead of the flags of other tools.
//!
//! The advice has the form of a flag, with nothing in it that was typed, and the narrowest grant first (T130).

use crate::args;
use crate::style;
use crate::text::{clean, fail, note_painted, out, out_painted};
use crate::version;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;
use wave_engine::Failure;

/// What `wave` prints without arguments.
pub const FIRST_STEPS: &str = "\
wave runs WebAssembly programs that nobody trusts.

  wave app.wasm                         run a program: it gets no file, no variable, no network
  wave --dir data::/data::ro app.wasm   run it with a directory that it may read
  wave learn -o app.toml app.wasm       run it and write what it used as a policy
  wave run --policy app.toml app.wasm   run it under that policy
  wave audit app.wasm                   see what it could do, without running it

`wave --help` lists all commands, `wave doctor` says what works on this host.
";

const DIRECTORY: &str =
    "a directory is granted by --dir HOST::GUEST::ro, the one of the host first; ::append or ::rw lets it be written";
const VARIABLE: &str =
    "each variable is given by --env NAME=VALUE, or passed on by --env NAME; nothing is inherited otherwise";
const NETWORK: &str = "a program may connect by --connect HOST:PORT, whose names are looked up at the start, and accept connections by --tcplisten \
                       ADDRESS:PORT, from some networks only by --accept-from ADDRESS/BITS";
const TIME: &str = "time is limited by --timeout TIME, such as 5s; executed operators, by --fuel N";
const MEMORY: &str = "memory is limited by --max-memory SIZE, the stack by --max-stack SIZE";
const FEATURES: &str = "the features are fixed, `wave --version --verbose` lists them; leave it out";
const WASI: &str =
    "WASI preview 1 is always there; what a program may reach is granted by --dir, --env and --tcplisten; leave it out";
const COMPILER: &str = "all code is compiled in one way and verified; leave it out";
const ENTRY: &str = "another function than `_start` is called by --invoke FUNCTION; arguments follow the module";
const SEEING: &str = "what a run does is shown by --trace, what held it by --report";
const ONE: &str = "a run has one module and no other; leave it out";
const CONTAINER: &str = "a run is a process and no container: it has this process's streams, is gone when it ends, and keeps nothing; leave it out";
const PRIVILEGES: &str =
    "a run has no capabilities, whatever is asked; started as root, it becomes a user that --user UID:GID can name";
const PERMISSIONS: &str = "a program starts no processes, threads or libraries; directories, variables and listeners are granted one by \
                           one, by --dir, --env and --tcplisten";
const PROCESSOR: &str = "wave limits time by --timeout TIME, processor time by --cpu-time TIME; a share of the processor is the service manager's to limit";

/// Flags of Wasmtime, Wasmer, WasmEdge, iwasm, Docker, Podman, Node.js and Deno, and what there is instead.
const FLAGS: [(&[&str], &str); 29] = [
    (&["-d", "-v", "--mapdir", "--map-dir", "--volume", "--mount", "--preopen", "--bind", "--map-dirs"], DIRECTORY),
    (&["--allow-read", "--allow-fs-read"], "a directory is granted for reading by --dir HOST::GUEST::ro"),
    (
        &["--allow-write", "--allow-fs-write"],
        "a directory is granted by --dir HOST::GUEST::append for adding to it, or ::rw for changing it",
    ),
    (&["--read-only"], "a directory is granted for reading by --dir HOST::GUEST::ro; none is there otherwise"),
    (&["--tmpfs"], "a run has no files of its own: make a directory, grant it, and remove it afterwards"),
    (
        &["-w", "--workdir", "--chdir", "--working-dir"],
        "a program starts at --cwd GUEST, inside a directory that --dir grants; or call one `.`, as in --dir HOST::.::ro",
    ),
    (
        &["-e", "--inherit-env", "--forward-host-env", "--env-inherit", "--environment", "--allow-env", "--env-host"],
        VARIABLE,
    ),
    (&["--env-all", "--env-merge", "--unsetenv", "--clear-env"], VARIABLE),
    (
        &[
            "-p",
            "-P",
            "--net",
            "--network",
            "--inherit-network",
            "--enable-network",
            "--addr-pool",
            "--allow-resolve",
            "--ns-lookup-pool",
            "--publish",
            "--publish-all",
            "--expose",
            "--add-host",
            "--hostname",
            "--allow-ip-name-lookup",
            "--http",
            "--https-only",
            "--addr",
            "--socket",
            "--tcp",
            "--udp",
            "--allow-net",
            "--allow-inet",
            "--port",
        ],
        NETWORK,
    ),
    (
        &["--listen-fd", "--listenfds", "--tcp-listen", "--tcp-listener"],
        "sockets are given by --tcplisten ADDRESS:PORT, or by --listenfd",
    ),
    (
        &[
            "--gas-limit",
            "--gas",
            "--metering",
            "--time-limit",
            "--wasm-timeout",
            "--epoch-deadline",
            "--max-instructions",
        ],
        TIME,
    ),
    (
        &[
            "--enable-gas-measuring",
            "--enable-instruction-count",
            "--enable-time-measuring",
            "--enable-all-statistics",
            "--statistics",
        ],
        TIME,
    ),
    (
        &[
            "-m",
            "--memory",
            "--memory-limit",
            "--memory-page-limit",
            "--max-memory-size",
            "--memory-reservation",
            "--heap-size",
            "--stack-size",
            "--max-wasm-stack",
            "--max-stack-size",
            "--max-old-space-size",
            "--shm-size",
            "--gc-heap-size",
            "--shared-heap-size",
            "--memory-swap",
        ],
        MEMORY,
    ),
    (
        &["--cpus", "--cpu-shares", "--cpu-quota", "--cpuset-cpus", "--nice", "--blkio-weight", "--cpu-period"],
        PROCESSOR,
    ),
    (
        &["--ulimit", "--pids-limit", "--max-threads", "--storage-opt"],
        "each limit has its flag: `wave run --help` lists them",
    ),
    (&["-W", "--wasm", "--wasm-features", "--component-model", "--features"], FEATURES),
    (
        &["-S", "--wasi", "--wasi-modules", "--wasi-version", "--wasi-common", "--experimental-wasi-unstable-preview1"],
        WASI,
    ),
    (
        &[
            "-O",
            "-C",
            "--optimize",
            "--codegen",
            "--opt-level",
            "--compiler",
            "--backend",
            "--engine",
            "--singlepass",
            "--cranelift",
            "--llvm",
            "--v8",
            "--jsc",
            "--interp",
            "--interpreter",
            "--force-interpreter",
            "--jit",
            "--fast-jit",
            "--llvm-jit",
            "--multi-tier-jit",
            "--llvm-jit-size-level",
            "--llvm-jit-opt-level",
            "--aot",
            "--target",
            "--run-mode",
            "--tiering",
            "--static",
            "--native",
        ],
        COMPILER,
    ),
    (&["-f", "--function", "--entrypoint", "--reactor", "--entry", "--call", "--repl"], ENTRY),
    (&["--program-name", "--arg0"], "the name is given by --argv0 NAME"),
    (&["--args", "--arg"], "what follows the module are the program's arguments: wave run MODULE ARGS"),
    (
        &[
            "-D",
            "-g",
            "--debug",
            "--verbose",
            "--log",
            "--log-level",
            "--log-file",
            "--logging",
            "--trace-level",
            "--debug-info",
            "--native-unwind-info",
            "--inspect",
            "--inspect-brk",
            "-vv",
        ],
        SEEING,
    ),
    (&["--preload", "--link", "--module", "--use", "--include-webc", "--package", "--import", "--require", "-r"], ONE),
    (
        &["--config", "--cache", "--cache-dir", "--disable-cache", "--no-cache-dir"],
        "compiled code is cached unless --no-cache is given; there is no configuration file, a policy is given by --policy FILE",
    ),
    (&["--allow-precompiled", "--precompiled"], "a .wave file is run as it is: its code is verified each time"),
    (
        &[
            "-i",
            "-t",
            "-it",
            "-ti",
            "--interactive",
            "--tty",
            "--detach",
            "--rm",
            "--name",
            "--restart",
            "--pull",
            "--platform",
            "--init",
            "--runtime",
            "--cidfile",
            "--label",
            "-l",
            "--annotation",
            "--pod",
            "--replace",
        ],
        CONTAINER,
    ),
    (
        &[
            "-u",
            "--privileged",
            "--cap-add",
            "--cap-drop",
            "--security-opt",
            "--userns",
            "--group-add",
            "--uid",
            "--gid",
            "--seccomp",
        ],
        PRIVILEGES,
    ),
    (&["--seed", "--random"], "random numbers are the same in each run by --random-seed N, which makes them no secret"),
    (
        &["--nan-canonicalization", "--enable-nan-canonicalization", "--relaxed-simd-deterministic", "--reproducible"],
        "runs are the same each time by --deterministic",
    ),
];

/// Flags with the same prefix.
const FAMILIES: [(&str, &str); 7] = [
    ("--allow-", PERMISSIONS),
    ("--permission", PERMISSIONS),
    ("--deny-", PERMISSIONS),
    ("--unknown-imports-", "stubs stand for imports that nobody provides by --unknown-imports trap, or zero"),
    ("--trap-unknown-imports", "stubs stand for imports that nobody provides by --unknown-imports trap, or zero"),
    ("--enable-", FEATURES),
    ("--disable-", FEATURES),
];

/// Commands of others.
const COMMANDS: [(&[&str], &str); 10] = [
    (&["exec", "start", "create", "wasm", "wasix"], "wave run MODULE"),
    (&["build", "aot", "wasmedgec", "compiler"], "wave compile -o FILE MODULE"),
    (&["validate", "objdump", "info", "explore", "dump"], "wave inspect MODULE"),
    (&["scan", "review", "sbom"], "wave audit MODULE"),
    (&["serve", "http", "hub"], "wave run --tcplisten ADDRESS:PORT MODULE, for a program that accepts connections"),
    (&["self-check", "diagnose", "features"], "wave doctor"),
    (&["config", "settings", "init", "new"], "wave policy gen MODULE writes a policy; there is no other configuration"),
    (&["clean", "prune", "gc"], "wave cache clear"),
    (&["test", "spec"], "wave wast FILE, for scripts of the specification"),
    (&["version"], "wave --version"),
];

/// What to use in place of a flag that `wave run` does not have.
fn in_place_of(flag: &str) -> Option<&'static str> {
    let known = FLAGS.iter().find(|(flags, _)| flags.contains(&flag)).map(|(_, advice)| *advice);
    known.or_else(|| FAMILIES.iter().find(|(start, _)| flag.starts_with(start)).map(|(_, advice)| *advice))
}

/// The failure of a module that is not there; names a command if the word for it is more likely one.
pub fn or_command(failure: Failure, word: Option<&str>) -> Failure {
    let command = word.filter(|_| failure.code() == 127).and_then(|word| Some((word, command_for(word)?)));
    match command {
        Some((word, command)) => failure.fix(format!("`{word}` is no command, either; use {command}")),
        None => failure,
    }
}

/// The command that was probably meant by an unknown word.
fn command_for(word: &str) -> Option<String> {
    let foreign = COMMANDS.iter().find(|(words, _)| words.contains(&word)).map(|(_, advice)| (*advice).to_owned());
    foreign.or_else(|| wave_policy::file::nearest(word, args::commands()).map(|command| format!("wave {command}")))
}

/// Prints what is wrong with a command line, or the help it asks for. Returns the exit code.
pub fn explain(mut error: clap::Error, args: &[OsString]) -> i32 {
    let code = error.exit_code();
    if error.kind() == ErrorKind::DisplayVersion && args.iter().any(|word| word == "--verbose") {
        out(&version::verbose());
        return code;
    }
    if !error.use_stderr() {
        out_painted(&error.render().to_string(), style::help);
        return code;
    }
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
        && flag.starts_with('-')
        && let Some(failure) = unknown_flag(flag, args)
    {
        fail(&failure);
        return code;
    }
    // Values that were typed are quoted in one line, without control characters.
    let values: Vec<_> = error.context().filter_map(|(kind, value)| Some((kind, cleaned(value)?))).collect();
    for (kind, value) in values {
        error.insert(kind, value);
    }
    // `-- --flag` would be taken for the module.
    error.remove(ContextKind::Suggested);
    note_painted(&error.render().to_string(), style::failure);
    code
}

fn cleaned(value: &ContextValue) -> Option<ContextValue> {
    Some(match value {
        ContextValue::String(text) => ContextValue::String(clean(text).into_owned()),
        ContextValue::Strings(texts) => {
            ContextValue::Strings(texts.iter().map(|text| clean(text).into_owned()).collect())
        }
        _ => return None,
    })
}

/// What there is instead of a flag of others; `None` where the usual message is as good.
fn unknown_flag(flag: &str, args: &[OsString]) -> Option<Failure> {
    let mut words = args.iter().skip(1).map(|word| word.to_string_lossy());
    let command = words.find(|word| args::is_command(word))?;
    let what = Failure::usage(format!("`wave {command}` has no flag {flag}"));
    let runs = matches!(&*command, "run" | "learn");
    if !runs {
        return in_place_of(flag)
            .filter(|advice| *advice == COMPILER && command == "compile")
            .map(|advice| what.fix(advice));
    }
    let near = wave_policy::file::nearest(flag, args::flags_of_run()).filter(|_| flag.starts_with("--"));
    match (in_place_of(flag), near) {
        (Some(advice), _) => Some(what.fix(advice)),
        (None, Some(near)) => Some(what.fix(format!("{near} is probably meant; `wave {command} --help` lists all"))),
        (None, None) => Some(what.fix(format!(
            "`wave {command} --help` lists all; flags of the program follow the module: wave {command} MODULE {}",
            clean(flag)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_of_others_is_one_of_ours_or_named_twice() {
        let flags: Vec<_> = FLAGS.iter().flat_map(|(flags, _)| *flags).collect();
        for (index, flag) in flags.iter().enumerate() {
            assert!(!args::flags_of_run().any(|ours| ours == **flag), "{flag}");
            assert!(!flags.iter().skip(index + 1).any(|other| other == flag), "{flag}");
        }
        let words: Vec<_> = COMMANDS.iter().flat_map(|(words, _)| *words).collect();
        assert!(words.iter().all(|word| !args::is_command(word)));
    }

    /// T130: each flag that advice names is there, and no advice has a grant that is wider than reading in it, nor a weaker level.
    #[test]
    fn t130_advice_names_flags_that_are_there_and_the_narrowest_grant_first() {
        let ours: Vec<&str> = args::flags_of_run().collect();
        let texts = FLAGS.iter().map(|(_, advice)| advice).chain(FAMILIES.iter().map(|(_, advice)| advice));
        for advice in texts {
            for word in advice.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
                assert!(
                    !word.starts_with("--")
                        || ours.contains(&word)
                        || ["--help", "--version", "--verbose"].contains(&word),
                    "{word}: {advice}"
                );
            }
            assert!(!advice.contains("--sandbox") && !advice.contains("--no-verify"), "{advice}");
            for (at, _) in advice.match_indices("--dir HOST") {
                let rest = &advice[at..];
                assert!(
                    ["::ro", "::append"].iter().any(|access| {
                        rest.split([' ', ';', ',']).nth(1).is_some_and(|grant| grant.ends_with(access))
                    }),
                    "{advice}"
                );
            }
        }
    }

    #[test]
    fn commands_are_found_by_what_they_are_called_elsewhere_or_nearly() {
        assert_eq!(command_for("isnpect").as_deref(), Some("wave inspect"));
        assert_eq!(command_for("adit").as_deref(), Some("wave audit"));
        assert_eq!(command_for("exec").as_deref(), Some("wave run MODULE"));
        assert_eq!(command_for("hello"), None);
    }
}
