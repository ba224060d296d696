//! The official suite of WASI preview 1, <https://github.com/WebAssembly/wasi-testsuite>, branch `prod/testsuite-base`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Outcome, cannot_run};

/// One program, with what the file beside it says about how it is run and how it ends. What that leaves out has the default
/// of the suite's `doc/specification.md`.
pub struct Program {
    /// The module.
    pub path: PathBuf,
    /// What is granted as `/`.
    pub root: Option<PathBuf>,
    /// `NAME=VALUE`.
    pub env: Vec<String>,
    /// Arguments after the name.
    pub args: Vec<String>,
    exit_code: i64,
    stdout: Option<String>,
    stderr: Option<String>,
}

/// The programs of one language, or `None`, said on standard error, where `WASI_TESTSUITE` names no checkout.
pub fn programs(language: &str) -> Option<Vec<Program>> {
    let Some(checkout) = std::env::var_os("WASI_TESTSUITE") else {
        // No failure in CI: not every machine reaches it.
        cannot_run(
            "git clone --branch prod/testsuite-base https://github.com/WebAssembly/wasi-testsuite, and set \
             WASI_TESTSUITE to it",
        );
        return None;
    };
    let dir = Path::new(&checkout).join("tests").join(language).join("testsuite/wasm32-wasip1");
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let paths = entries.map(|entry| entry.expect("a listing").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "wasm")).collect();
    paths.sort();
    Some(paths.into_iter().map(Program::new).collect())
}

impl Program {
    fn new(path: PathBuf) -> Self {
        let manifest = match fs::read(path.with_extension("json")) {
            Ok(text) => serde_json::from_slice(&text).expect("manifests are JSON"),
            Err(_) => Value::Object(serde_json::Map::new()),
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let env = manifest["env"].as_object().into_iter().flatten();
        let args = manifest["args"].as_array().into_iter().flatten();
        Self {
            root: manifest["root"].as_str().map(|name| path.with_file_name(name)),
            env: env.map(|(name, value)| format!("{name}={}", value.as_str().expect("variables are text"))).collect(),
            args: args.map(|arg| text(arg).expect("arguments are text")).collect(),
            exit_code: manifest["exit_code"].as_i64().unwrap_or(0),
            stdout: text(&manifest["stdout"]),
            stderr: text(&manifest["stderr"]),
            path,
        }
    }

    /// What is wrong with a run of it, or `None`.
    pub fn differs(&self, run: &Outcome) -> Option<String> {
        let right = run.status.code().map(i64::from) == Some(self.exit_code)
            && self.stdout.as_ref().is_none_or(|text| *text == run.stdout)
            && self.stderr.as_ref().is_none_or(|text| *text == run.stderr);
        (!right).then(|| format!("{}, stdout {:?}, stderr {:?}", run.status, run.stdout, run.stderr))
    }
}
