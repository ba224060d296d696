//! `docs/wasi-0.2.md` says what each function can call of the host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str = "<!-- written by WAVE_BLESS=1 cargo test -p wave-adapter --test documents -->\n";

#[test]
fn the_document_has_what_each_function_calls() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../../docs/wasi-0.2.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (before, rest) = text.split_once(BEGIN).expect("the table begins");
    let (_, after) = rest.split_once("\n\n").expect("the table ends");
    let written = format!("{before}{BEGIN}{}\n{after}", table(&root.join("src")));
    if std::env::var_os("WAVE_BLESS").is_some() {
        std::fs::write(&path, &written).unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    assert_eq!(text, written, "WAVE_BLESS=1 cargo test -p wave-adapter --test documents");
}

/// A row for the functions of each interface that can call the same functions of the host.
fn table(source: &Path) -> String {
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut exports: Vec<(String, String)> = Vec::new();
    let mut host: BTreeSet<String> = BTreeSet::new();
    for name in ["imports", "abi", "handles", "cli", "clocks", "random", "io", "filesystem", "sockets"] {
        let path = source.join(name).with_extension("wat");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let code: String =
            text.lines().map(|line| line.split(";;").next().unwrap_or_default().to_owned() + "\n").collect();
        for field in code.split("\n(") {
            let mut words = field.split([' ', '\n', '(', ')']).filter(|word| !word.is_empty());
            if field.starts_with("import \"wasi_snapshot_preview1\"") || field.starts_with("import \"wave_net\"") {
                host.extend(words.find(|word| word.starts_with('$')).map(str::to_owned));
            } else if words.next() == Some("func") {
                let function = words.next().unwrap_or_else(|| panic!("{field}")).to_owned();
                assert!(function.starts_with('$'), "{function} has no name");
                let callees = field.split("call $").skip(1).filter_map(|rest| rest.split([' ', '\n', ')']).next());
                calls.insert(function.clone(), callees.map(|callee| format!("${callee}")).collect());
                let names = field.split("(export \"").skip(1).filter_map(|rest| rest.split('"').next());
                exports.extend(names.map(|name| (name.to_owned(), function.clone())));
            }
        }
    }
    let mut rows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (export, function) in &exports {
        let mut reached = BTreeSet::from([function.clone()]);
        let mut work = vec![function.clone()];
        while let Some(function) = work.pop() {
            for callee in calls.get(&function).into_iter().flatten() {
                if reached.insert(callee.clone()) {
                    work.push(callee.clone());
                }
            }
        }
        let used: Vec<_> = reached.intersection(&host).map(|name| format!("`{}`", &name[1..])).collect();
        let (interface, function) = export.split_once("@0.2#").unwrap_or_else(|| panic!("{export}"));
        rows.entry((interface.to_owned(), used.join(", "))).or_default().push(format!("`{function}`"));
    }
    // The parse sees what the module has, and each function of the host is of use.
    assert_eq!(exports.len(), include_str!("functions.txt").lines().filter(|line| !line.starts_with('#')).count());
    let used: BTreeSet<_> = calls.values().flatten().filter(|callee| host.contains(*callee)).cloned().collect();
    assert_eq!(used, host, "an import that nothing calls");

    let mut table = "| interface | functions | can call |\n|---|---|---|\n".to_owned();
    for ((interface, used), functions) in &rows {
        let used = if used.is_empty() { "nothing" } else { used };
        writeln!(table, "| `{interface}` | {} | {used} |", functions.join(", "))
            .unwrap_or_else(|error| panic!("{error}"));
    }
    table
}
