//! `wave audit`: what it prints for modules of each kind, in each format, and that a hostile module gets nowhere by it.
//!
//! `tests/audit` has the reports; `WAVE_BLESS=1 cargo test --workspace --test policies audit` writes them anew.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wave_test_support::{source, wat};

const FORMATS: [(&str, &str); 5] =
    [("text", "txt"), ("json", "json"), ("markdown", "md"), ("html", "html"), ("sarif", "sarif")];

fn audit(module: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    // Relative, so that a report does not depend on where the repository is.
    let module = module.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(module);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("audit").args(flags).arg(module);
    command.stdin(Stdio::null()).output().expect("wave starts")
}

/// What is said on standard error of a module that cannot run.
const CANNOT_RUN: &str = "wave: the module cannot run: the report says why\n";

/// The report of a module, which can run or not: the exit code says what the report says.
fn report(module: &Path, format: &str) -> String {
    let output = audit(module, &["--format", format]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let expected = if runs(module) { (Some(0), "") } else { (Some(1), CANNOT_RUN) };
    assert_eq!((output.status.code(), &*stderr), expected);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Whether a module can run, as its report says.
fn runs(module: &Path) -> bool {
    let report: Value = serde_json::from_slice(&audit(module, &["--format", "json"]).stdout).expect("JSON");
    report["facts"].as_array().expect("facts").iter().all(|fact| fact["level"] != "error")
}

fn json(module: &Path) -> Value {
    serde_json::from_str(&report(module, "json")).expect("JSON")
}

/// Compares the reports of a module with the committed ones.
fn is_snapshot(module: &str, formats: &[&str]) {
    let path = source(module);
    let name = path.file_stem().expect("a name").to_str().expect("UTF-8");
    for (format, ending) in FORMATS.iter().filter(|(format, _)| formats.contains(format)) {
        let found = report(&path, format);
        let snapshot = source(&format!("tests/audit/{name}.{ending}"));
        if std::env::var_os("WAVE_BLESS").is_some() {
            fs::write(&snapshot, &found).expect("own repository can be written");
        }
        let expected = fs::read_to_string(&snapshot).unwrap_or_default();
        let line = expected.lines().zip(found.lines()).position(|(old, new)| old != new);
        assert!(expected == found, "{} differs, first in line {:?}", snapshot.display(), line.map(|line| line + 1));
    }
}

const ALL: [&str; 5] = ["text", "json", "markdown", "html", "sarif"];

#[test]
fn a_module_that_only_computes() {
    is_snapshot("tests/audit/compute.wat", &["text", "json"]);
}

#[test]
fn a_module_that_prints() {
    is_snapshot("examples/hello.wat", &["text"]);
}

#[test]
fn a_module_that_works_on_files() {
    is_snapshot("tests/audit/files.wat", &ALL);
}

#[test]
fn a_server() {
    is_snapshot("examples/echo.wat", &["text", "markdown"]);
}

#[test]
fn a_component() {
    is_snapshot("tests/audit/component.wasm", &ALL);
    let report = json(&source("tests/audit/component.wasm"));
    assert!(runs(&source("tests/audit/component.wasm")));
    let imports = ["wasi:filesystem/types@0.2.3", "wasi:sockets/tcp@0.2.3", "host-call"];
    assert_eq!(report["component"]["imports"], serde_json::json!(imports));
    assert_eq!(report["component"]["exports"], serde_json::json!(["wasi:cli/run@0.2.3"]));
    assert_eq!(report["module"]["kind"], "module", "system calls are derived from the module that it becomes");
    assert_ne!(report["grants"], serde_json::json!([]));
}

/// A component with the type `stream<u8>`, and an import of an interface with nothing in it.
const ASYNC: &[u8] = b"\0asm\x0d\0\x01\0\x07\x06\x02\x42\0\x66\x01\x7d\x0a\x0a\x01\0\x05a:b/c\x05\0";

#[test]
fn a_component_that_cannot_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("async.wasm");
    fs::write(&path, ASYNC).unwrap();
    assert!(!runs(&path));
    let report = json(&path);
    assert_eq!(report["module"]["kind"], "component");
    assert_eq!(report["module"]["imports"][0]["name"], "a:b/c");
    assert_eq!(report["grants"], serde_json::json!([]), "no system calls are derived");
    let fact = report["facts"][0]["text"].as_str().expect("a text");
    assert!(fact.starts_with("it cannot run: the component uses the type `stream` (async)"), "{fact}");
    let policy = dir.path().join("policy.toml");
    fs::write(&policy, "version = 1\n").unwrap();
    let under = |path: &Path| audit(path, &["--policy", policy.to_str().unwrap()]).status.code();
    assert_eq!((under(&path), under(&source("tests/audit/component.wasm"))), (Some(2), Some(0)));
}

/// The committed component is these bytes: two interfaces and a function are imported, one interface is exported.
#[test]
fn the_component_is_what_it_is_said_to_be() {
    let name = |name: &str| [&[0, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    let section = |id: u8, body: &[u8]| [&[id, u8::try_from(body.len()).unwrap()], body].concat();
    let bytes = [
        b"\0asm\x0d\0\x01\0".to_vec(),
        // Types: an empty instance, and a function without parameters and results.
        section(7, &[2, 0x42, 0, 0x40, 0, 1, 0]),
        section(
            10,
            &[
                vec![3],
                name("wasi:filesystem/types@0.2.3"),
                vec![5, 0],
                name("wasi:sockets/tcp@0.2.3"),
                vec![5, 0],
                name("host-call"),
                vec![1, 1],
            ]
            .concat(),
        ),
        section(11, &[vec![1], name("wasi:cli/run@0.2.3"), vec![5, 0, 0]].concat()),
    ]
    .concat();
    let path = source("tests/audit/component.wasm");
    if std::env::var_os("WAVE_BLESS").is_some() && fs::read(&path).ok().as_ref() != Some(&bytes) {
        fs::write(&path, &bytes).expect("own repository can be written");
    }
    assert_eq!(fs::read(&path).expect("the component"), bytes);
}

/// T75: nothing a module says of itself controls a terminal, a page, a table or a log.
#[test]
fn t75_hostile_names_are_harmless_in_every_format() {
    is_snapshot("tests/audit/hostile.wat", &ALL);
    let module = source("tests/audit/hostile.wat");
    for format in ALL {
        let text = report(&module, format);
        let controls: Vec<_> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(controls.is_empty() && !text.contains('\u{202e}'), "{format}: {controls:?}");
        assert!(!text.lines().any(|line| line.starts_with("::")), "{format}");
    }
    let html = report(&module, "html");
    assert!(!html.contains("<script") && !html.contains("<img") && html.contains("&lt;script&gt;"));
    // JSON means what the module says, to the byte.
    let report = json(&module);
    assert_eq!(report["module"]["name"], "\u{1b}]0;owned\u{7}<script>alert(1)</script>");
    assert_eq!(report["module"]["imports"][2]["module"], "\u{1b}[2J");
    // A name that only begins like a function of WASI is none.
    assert_eq!(report["areas"][0]["functions"].as_array().map(Vec::len), Some(1));
}

/// What SARIF 2.1.0 requires of each object, and that every result leads to its rule.
#[test]
fn sarif_has_what_its_schema_requires() {
    for module in ["tests/audit/hostile.wat", "tests/audit/files.wat", "tests/audit/component.wasm"] {
        let output = audit(&source(module), &["--format", "sarif", "--threshold", "0.1"]);
        assert_eq!(output.status.code(), Some(1));
        let log: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(log["version"], "2.1.0");
        let [run] = log["runs"].as_array().expect("runs").as_slice() else { panic!("one run") };
        let driver = &run["tool"]["driver"];
        assert!(driver["name"].is_string());
        assert_eq!(driver["informationUri"], "man:wave-audit(1)");
        let rules = driver["rules"].as_array().expect("rules");
        let levels = ["none", "note", "warning", "error"];
        let is_level = |value: &Value| value.as_str().is_some_and(|level| levels.contains(&level));
        for rule in rules {
            assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string(), "{rule}");
            assert!(is_level(&rule["defaultConfiguration"]["level"]), "{rule}");
            assert!(rule["fullDescription"]["text"].as_str().is_some_and(|text| text.ends_with('.')), "{rule}");
            assert!(rule["help"]["text"].is_string() && rule["help"]["markdown"].is_string(), "{rule}");
            assert_eq!(rule["helpUri"], driver["informationUri"]);
        }
        let results = run["results"].as_array().expect("results");
        assert!(results.len() > 1);
        for result in results {
            assert!(result["message"]["text"].is_string() && is_level(&result["level"]), "{result}");
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("a rule")).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            let location = &result["locations"][0]["physicalLocation"]["artifactLocation"];
            assert_eq!((&location["uri"], &location["index"]), (&Value::from(module), &Value::from(0)));
        }
        assert_eq!((&results[0]["ruleId"], &results[0]["level"]), (&"exposure".into(), &"error".into()));
        assert_eq!(run["artifacts"][0]["location"]["uri"], module);
    }
}

#[test]
fn the_threshold_decides_the_exit_code() {
    let hello = source("examples/hello.wat");
    let score = json(&hello)["score"]["value"].as_f64().expect("a score");
    let below = format!("{:.1}", score - 0.1);
    for (threshold, code, said) in [
        (format!("{score:.1}"), 0, String::new()),
        ("10".to_owned(), 0, String::new()),
        (below.clone(), 1, format!("wave: the exposure score {score:.1} is above the threshold {below}\n")),
    ] {
        let output = audit(&hello, &["--threshold", &threshold]);
        assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(code), &*said));
        assert!(output.stdout.starts_with(b"Audit of `") || output.stdout.starts_with(b"Audit of examples/hello.wat"));
    }
    assert_eq!(audit(&hello, &["--threshold", "10.5"]).status.code(), Some(2));
}

#[test]
fn the_score_is_the_sum_of_its_lines() {
    for module in
        ["tests/audit/files.wat", "examples/echo.wat", "tests/audit/component.wasm", "tests/audit/compute.wat"]
    {
        let score = &json(&source(module))["score"];
        let tenths = |value: &Value| (value.as_f64().expect("points") * 10.0).round();
        let sum: f64 = score["lines"].as_array().expect("lines").iter().map(|line| tenths(&line["points"])).sum();
        assert!((sum - tenths(&score["value"])).abs() < 0.5, "{module}");
        assert!(score["warning"].as_str().is_some_and(|warning| warning.contains("no proof")));
    }
}

/// What is no module, or only a part of one, is refused with a message; the whole is not.
#[test]
fn broken_files_are_refused() {
    let missing = audit(Path::new("tests/audit/no-such-module.wasm"), &[]);
    assert_eq!(missing.status.code(), Some(127));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("part.wasm");
    let files = wat::parse_file(source("tests/audit/files.wat")).unwrap();
    let component = fs::read(source("tests/audit/component.wasm")).unwrap();
    for whole in [files, component] {
        let mut refused = 0;
        for len in 0..=whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            let output = audit(&path, &["--format", "json"]);
            match output.status.code() {
                // A file that ends between two sections is a whole one with less in it, but perhaps without its bodies.
                Some(0 | 1) => assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok()),
                Some(126) => {
                    assert!(output.stdout.is_empty() && output.stderr.starts_with(b"wave: "));
                    refused += 1;
                }
                other => panic!("{len} bytes: {other:?}"),
            }
        }
        assert!(refused > whole.len() / 2 && audit(&path, &[]).status.code() == Some(0));
    }
    for (bytes, what) in [
        (&b"\0asm\x01\0\0\0\x02\x05\x01\x01a\x01b"[..], "unexpected end"),
        (b"\0asm\x01\0\0\0\x02\x07\x01\x01a\x01b\0\x09", "type 9 is not the type of a function"),
        (b"\0asm\x01\0\0\0\x07\x05\x01\x01a\0\x09", "an export names function 9"),
        (b"\0asm\x01\0\0\0\x7e\0", "section"),
        (b"\0asm\x0d\0\x01\0\x7e\0", "unknown section 126"),
        (b"\0asm\x0d\0\x01\0\x0a\xff\xff\xff\xff\x0f", "unexpected end"),
        (b"\0asm\x0d\0\x01\0\x0a\x05\xff\xff\xff\xff\x0f", "unexpected end"),
    ] {
        fs::write(&path, bytes).unwrap();
        let output = audit(&path, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(126) && said.contains(what), "{what}: {said}");
    }
}

/// A module of 10^5 imports and exports, text that nests deeply and one huge type that every import names.
#[test]
fn large_declarations_are_read_and_shortened() {
    let mut text = String::from("(module (type $t (func (param");
    text += &" i32".repeat(900);
    text += ")))";
    for i in 0..100_000 {
        text += &format!("(import \"env\" \"f{i}\" (func (type $t)))");
    }
    for i in 0..100_000 {
        text += &format!("(export \"e{i}\" (func {i}))");
    }
    let binary = wat::parse_str(text + ")").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.wasm");
    fs::write(&path, binary).unwrap();
    for (format, most_bytes) in [("text", 100_000), ("markdown", 100_000), ("html", 200_000), ("sarif", 50_000)] {
        let (report, taken) = timed(&path, format);
        assert!(report.len() < most_bytes, "{format}: {} bytes", report.len());
        assert!(taken < Duration::from_secs(60), "{format}: {taken:?}");
    }
    let all: Value = serde_json::from_str(&timed(&path, "json").0).unwrap();
    let count = |list: &str| all["module"][list].as_array().map(Vec::len);
    assert_eq!((count("imports"), count("exports")), (Some(100_000), Some(100_000)));
    assert_eq!(all["facts"][0]["count"], 100_000, "all of them are unknown");

    let (_dir, deep) = wat(&"(module ".repeat(100_000));
    assert_eq!(audit(&deep, &[]).status.code(), Some(126));
}

fn timed(path: &Path, format: &str) -> (String, Duration) {
    let start = Instant::now();
    let report = report(path, format);
    (report, start.elapsed())
}

/// A module that is invalid where its bodies begin is reported, and 100 MB behind that cost no more than a hash.
#[test]
fn large_modules_are_fast() {
    let mut module = b"\0asm\x01\0\0\0\x0a".to_vec();
    let mut len: u32 = 100 << 20;
    while len >= 0x80 {
        module.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
        len >>= 7;
    }
    module.push(u8::try_from(len).unwrap());
    // As many bodies as it likes, and no body.
    module.resize(module.len() + (100 << 20), 0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.wasm");
    fs::write(&path, module).unwrap();
    let (report, taken) = timed(&path, "text");
    assert!(report.contains("of which code 104857"), "{report}");
    assert!(report.contains("error  not valid, so it cannot run: "), "{report}");
    // A second is the promise of a release build on an idle machine.
    assert!(taken < Duration::from_secs(60), "{taken:?}");
}

/// Under a policy, what it gives no effect does not count; more grants never make a lower score.
#[test]
fn a_policy_decides_what_counts() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("p.toml");
    let module = source("tests/audit/files.wat");
    let under = |text: &str| {
        fs::write(&policy, format!("version = 1\n{text}")).unwrap();
        let output = audit(&module, &["--format", "json", "--policy", policy.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let grant = |access: &str| format!("[[fs]]\nhost = \"/\"\nguest = \"/d\"\naccess = \"{access}\"\n");
    let score = |report: &Value| report["score"]["value"].as_f64().expect("a score");
    let all = score(&json(&module));
    let reports = ["", &grant("ro"), &grant("append"), &grant("rw")].map(under);
    let scores = reports.each_ref().map(score);
    assert!(scores.is_sorted() && scores[0] < scores[1] && scores[3] <= all, "{scores:?} of {all}");
    assert_eq!(reports[3]["granted"]["read_write"], 1);
    let without = reports[0]["granted"]["without_effect"].as_array().expect("functions");
    assert!(without.contains(&"path_open".into()), "{without:?}");
    // The lines that are there are those of the usual score, each with the same points.
    let usual = json(&module);
    for line in reports[1]["score"]["lines"].as_array().expect("lines") {
        let same = |other: &&Value| (&other["id"], &other["points"]) == (&line["id"], &line["points"]);
        assert!(usual["score"]["lines"].as_array().expect("lines").iter().find(same).is_some(), "{line}");
    }
    let limited = under("[limits]\nmax-memory = \"64K\"\n");
    assert!(score(&limited) < scores[0], "memory that cannot grow: {limited}");
    // Text says under which policy; the threshold is that of its score.
    fs::write(&policy, "version = 1\n").unwrap();
    let flags = ["--policy", policy.to_str().unwrap(), "--threshold", &format!("{:.1}", scores[0])];
    let output = audit(&module, &flags);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("This is the score under"), "{output:?}");

    for (text, code, said) in [
        (
            "[module]\nblake3 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n",
            125,
            "is not the module",
        ),
        ("[wasi]\nfunctions = []\n", 125, "which the policy does not allow"),
        ("sandbox = \"off\"\n", 125, "no layer of the kernel is applied"),
        ("nothing = 1\n", 125, "nothing"),
    ] {
        fs::write(&policy, format!("version = 1\n{text}")).unwrap();
        let output = audit(&module, &["--policy", policy.to_str().unwrap()]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && message.contains(said), "{text}: {message}");
    }
}

/// A writable directory that takes no further call is not said to be of no use to a module that creates files.
#[test]
fn what_takes_no_further_call_is_not_said_to_be_useless() {
    let calls = ["path_open", "fd_read", "fd_prestat_get", "fd_prestat_dir_name", "fd_close"];
    let ty = |name: &str| match name {
        "path_open" => "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
        "fd_close" => "(param i32) (result i32)",
        "fd_prestat_get" => "(param i32 i32) (result i32)",
        "fd_prestat_dir_name" => "(param i32 i32 i32) (result i32)",
        _ => "(param i32 i32 i32 i32) (result i32)",
    };
    let import = |name: &&str| format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func {}))", ty(name));
    let (_dir, creates) = wat(&format!("(module {} (memory 1))", calls.iter().map(import).collect::<String>()));
    let text = report(&creates, "text");
    let (none, no_more) = ("no function it imports can use it", "no calls beyond those above");
    let of = |report: &str, grant: &str| {
        let report: Value = serde_json::from_str(report).expect("JSON");
        let gains = report["grants"].as_array().expect("grants").clone();
        gains.into_iter().find(|gain| gain["grant"] == grant).expect("the grant")["is_used"].clone()
    };
    assert!(text.contains(no_more), "{text}");
    assert_eq!(text.matches(none).count(), 2, "the listening socket and the connection alone: {text}");
    let document = report(&creates, "json");
    assert_eq!(of(&document, "a writable directory"), true);
    assert_eq!(of(&document, "a listening socket"), false);
    assert_eq!(of(&report(&source("examples/hello.wat"), "json"), "a writable directory"), false);
}
