//! Documents that name tests name tests that exist; documents that are made from data say what the data say.

use std::fs;
use std::path::Path;

use wave_sandbox::{Demand, LayerName};

/// The numbers `docs/threats.md` answers for.
fn covered() -> impl Iterator<Item = u32> {
    let kernel = (77..=94).chain(96..=101).chain(122..=125);
    (1..=38)
        .chain(40..=45)
        .chain([47, 57, 58, 59, 62])
        .chain(64..=72)
        .chain([75])
        .chain(kernel)
        .chain(105..=116)
        .chain([129, 130])
}

#[test]
fn each_requirement_has_a_test_or_a_caveat() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let table = read("docs/threats.md");
    let caveats = read("CAVEATS.md");
    for number in covered() {
        let start = format!("| T{number} |");
        let rows: Vec<_> = table.lines().filter(|line| line.starts_with(&start)).collect();
        let [row] = *rows else { panic!("T{number} has {} rows", rows.len()) };
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, _, requirement, layer, shown, _] = *cells else { panic!("{row}") };
        assert!(!requirement.is_empty() && !layer.is_empty(), "{row}");

        // Every other piece between backticks is a reference.
        let references: Vec<_> = shown.split('`').skip(1).step_by(2).collect();
        let is_caveat = shown.contains("CAVEATS");
        assert!(is_caveat || !references.is_empty(), "{row}");
        assert!(!is_caveat || caveats.contains(&format!("T{number})")), "T{number} is not in CAVEATS.md");
        for reference in references {
            let (file, function) = reference.split_once("::").unwrap_or((reference, ""));
            let text = read(file);
            let is_there = text.contains(&format!("fn {function}("));
            assert!(function.is_empty() || is_there, "{reference}");
            // The tests of the seal and the attacks on it have harnesses of their own; `#[path` takes those of another file.
            assert!(
                ["#[test]", "CASES", "#[path", "attack("].iter().any(|mark| text.contains(mark)),
                "{file} has no test"
            );
        }
    }
}

/// What a process inherits: each row says what becomes of it, and names tests that exist.
#[test]
fn t129_each_inherited_thing_is_decided() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let table = read("docs/inherited.md");
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what |"));
    let mut count = 0;
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, what, decision, shown, _] = *cells else { panic!("{row}") };
        let decisions = [
            "set",
            "checked",
            "kept",
            "sealed",
            "documented",
            "lowered",
            "any",
            "not the time limit",
            "no trap",
            "nothing",
        ];
        assert!(!what.is_empty() && decisions.iter().any(|word| decision.starts_with(word)), "{row}");
        for reference in shown.split('`').skip(1).step_by(2) {
            let (file, function) = reference.split_once("::").unwrap_or((reference, ""));
            assert!(function.is_empty() || read(file).contains(&format!("fn {function}(")), "{reference}");
            assert!(root.join(file).is_file(), "{reference}");
        }
        count += 1;
    }
    assert!(count > 40, "{count} rows");
}

/// The README names the layers that `strict` requires, and those it goes without.
#[test]
fn the_readme_names_the_required_layers() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
        .expect("the README")
        .replace('\n', " ");
    let sentence = |start: &str, end: &str| {
        let rest = readme.split(start).nth(1).unwrap_or_else(|| panic!("no sentence starts with {start}"));
        let sentence = rest.split(end).next().unwrap_or_default();
        let names = sentence.split('`').skip(1).step_by(2).map(str::to_owned);
        names.filter(|name| LayerName::ALL.iter().any(|layer| layer.as_str() == name)).collect::<Vec<_>>()
    };
    // `bounding` is required where the process has the capability that it takes.
    let is_required = |layer: &LayerName| *layer != LayerName::Bounding && layer.demand() != Demand::Nobody;
    let (required, optional): (Vec<_>, Vec<_>) = LayerName::ALL.into_iter().partition(is_required);
    let names = |layers: Vec<LayerName>| layers.iter().map(|layer| layer.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(sentence("Required are ", ". Optional"), names(required));
    assert_eq!(sentence("Optional are ", ": a run"), names(optional));
}

/// The review of the system calls is the table itself in words. `WAVE_BLESS=1` writes the file anew.
#[test]
fn the_document_on_system_calls_is_what_the_table_says() {
    is_committed("docs/syscalls.md", &wave_policy::syscalls_markdown());
}

/// Compares a generated document with the file, or writes it if `WAVE_BLESS` is set, which CI never does.
fn is_committed(path: &str, generated: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("WAVE_BLESS").is_some() {
        return fs::write(&file, generated).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let differs = committed.lines().zip(generated.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or_else(|| committed.lines().count().min(generated.lines().count())) + 1;
    assert!(
        committed == generated,
        "{path} differs from its source from line {line} on; write it anew with\n  \
         WAVE_BLESS=1 cargo test --workspace --test cli documents\nand look at what changed"
    );
}
