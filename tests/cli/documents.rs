//! Documents that name tests name tests that exist; documents that are made from data say what the data say.

mod charts;

use std::fs;
use std::path::{Path, PathBuf};

use wave_sandbox::{Demand, LayerName};

/// The numbers `docs/threats.md` answers for.
fn covered() -> impl Iterator<Item = u32> {
    let kernel = (77..=94).chain(96..=101).chain(122..=125);
    (1..=45).chain([47, 57, 58, 59, 62]).chain(64..=72).chain([75]).chain(kernel).chain(105..=116).chain([129, 130])
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
            // The tests of the seal and the attacks on it have harnesses of their own.
            assert!(["#[test]", "CASES", "attack("].iter().any(|mark| text.contains(mark)), "{file} has no test");
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

/// The reference names the layers that `strict` requires, and those it goes without.
#[test]
fn the_reference_names_the_required_layers() {
    let reference = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md"))
        .expect("the reference")
        .replace('\n', " ");
    let sentence = |start: &str, end: &str| {
        let rest = reference.split(start).nth(1).unwrap_or_else(|| panic!("no sentence starts with {start}"));
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

/// The list of features is the table. `WAVE_BLESS=1` writes it anew.
#[test]
fn the_document_on_webassembly_has_the_table_of_features() {
    use std::fmt::Write;
    use wave_engine::features::{FEATURES, Support};
    let path = "docs/webassembly.md";
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the document");
    let (before, rest) = text.split_once("<!-- features -->\n").expect("the start of the block");
    let (_, after) = rest.split_once("<!-- end -->\n").expect("its end");
    let mut block = "\n| feature | what it is | defined in | supported |\n|---|---|---|---|\n".to_owned();
    for feature in FEATURES {
        let supported = match feature.support {
            Support::Yes => "yes".to_owned(),
            Support::No { why, fix } => format!("no: {why}. To do: {fix}"),
        };
        writeln!(block, "| `{}` | {} | {} | {supported} |", feature.name, feature.title, feature.origin).expect("text");
    }
    is_committed(path, &format!("{before}<!-- features -->\n{block}\n<!-- end -->\n{after}"));
}

/// Where people write Markdown files.
const DIRECTORIES: [&str; 11] = [
    "",
    "benches",
    "clients/python",
    "clients/rust",
    "docs",
    "examples",
    "examples/agent",
    "examples/weval",
    "fuzz",
    "proofs",
    "proofs/oracle",
];

/// The Markdown files of this repository that people write, by their paths.
fn written_documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_directory = |name: &str| {
        let entries = fs::read_dir(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let files = DIRECTORIES.into_iter().flat_map(in_directory);
    let files: Vec<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect();
    assert!(files.len() > 15, "{files:?}");
    files
}

/// The names by which GitHub and others link to the headings of a document.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let name = |heading: &str| {
        let plain = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        plain.to_lowercase().replace(' ', "-")
    };
    headings.map(name).collect()
}

/// A link leads to a file or a directory that is there, and to a heading that is in it.
#[test]
fn each_link_leads_somewhere() {
    let mut count = 0;
    for document in written_documents() {
        let text = fs::read_to_string(&document).expect("a document");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.clone() } else { document.with_file_name(path) };
            assert!(target.exists(), "{}: {link}", document.display());
            let has_heading =
                || anchors(&fs::read_to_string(&target).expect("a document")).contains(&anchor.to_owned());
            assert!(anchor.is_empty() || has_heading(), "{}: {link}", document.display());
            count += 1;
        }
    }
    assert!(count > 80, "{count} links");
}

/// Lines of text wrap at 100 characters. Tables, code and what is generated do not.
#[test]
fn lines_of_text_wrap() {
    for document in written_documents() {
        let text = fs::read_to_string(&document).expect("a document");
        if ["layers.md", "syscalls.md"].iter().any(|name| document.ends_with(name)) {
            continue;
        }
        let mut in_code = false;
        for (number, line) in (1..).zip(text.lines()) {
            in_code ^= line.trim_start().starts_with("```");
            let is_text = !in_code && !line.starts_with('|') && !line.starts_with("Exposure ");
            assert!(!is_text || line.chars().count() <= 100, "{}:{number}: {line}", document.display());
        }
    }
}

/// The picture of the house has an arrow for each dependency between crates of the workspace, and no other.
#[test]
fn the_picture_of_the_house_has_the_arrows_of_the_manifests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let picture = read("docs/pictures/house.dot");
    let statements = picture.lines().flat_map(|line| line.split(';')).filter_map(|part| part.split_once(" -> "));
    let mut drawn: Vec<_> = statements.map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned())).collect();

    // `wave-engine = { path = "engine" }` names the directory of a crate, and the command lies in the root.
    let manifest = read("Cargo.toml");
    let member = |line: &str| {
        let (name, rest) = line.strip_prefix("wave-")?.split_once(" = { path = \"")?;
        Some((name.to_owned(), rest.split('"').next()?.to_owned()))
    };
    let crates: Vec<_> = manifest.lines().filter_map(member).collect();
    let mut declared = Vec::new();
    for (name, directory) in crates.iter().chain([&("wave".to_owned(), ".".to_owned())]) {
        // A crate for tests alone is no room of the house.
        if directory.starts_with("tests/") {
            continue;
        }
        let text = read(&format!("{directory}/Cargo.toml"));
        // Those of one platform too, and not those of tests.
        let is_ours =
            |title: &str| title == "dependencies]" || title.starts_with("target.") && title.ends_with(".dependencies]");
        let sections = text.split("\n[").filter(|section| section.lines().next().is_some_and(is_ours));
        let on = sections.flat_map(str::lines).filter_map(|line| line.strip_prefix("wave-")?.split(['.', ' ']).next());
        declared.extend(on.map(|other| (name.clone(), other.to_owned())));
    }
    drawn.sort();
    declared.sort();
    assert!(declared.len() > 20, "{declared:?}");
    assert_eq!(drawn, declared, "change docs/pictures/house.dot, and run docs/pictures/make");
    let svg = read("docs/pictures/house.svg");
    for (from, to) in drawn {
        assert!(svg.contains(&format!("<title>{from}&#45;&gt;{to}</title>")), "{from} -> {to}: run docs/pictures/make");
    }
}
