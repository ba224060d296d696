//! The manual in `docs/man`: a page for each subcommand, generated from the definition of the command line.

use crate::args::Cli;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// A quote, as `clap_mangen` defines it.
const QUOTE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Every page, by its file name.
fn pages() -> BTreeMap<String, String> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = BTreeMap::new();
    add(&mut pages, &command, "");
    pages
}

fn add(pages: &mut BTreeMap<String, String>, command: &Command, parent: &str) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.insert(format!("{name}.1"), page(command, &name, parent));
    command.get_subcommands().for_each(|below| add(pages, below, &name));
}

fn page(command: &Command, name: &str, parent: &str) -> String {
    let manual = Man::new(command.clone().display_name(name.to_owned()));
    let mut parts = Vec::new();
    manual.render_name_section(&mut parts).unwrap();
    manual.render_synopsis_section(&mut parts).unwrap();
    manual.render_description_section(&mut parts).unwrap();
    manual.render_options_section(&mut parts).unwrap();
    if command.has_subcommands() {
        manual.render_subcommands_section(&mut parts).unwrap();
    }
    let version = concat!("wave ", env!("CARGO_PKG_VERSION"));
    // A generated page has no date.
    let mut page = format!("{QUOTE}.TH {} 1 \"\" \"{version}\" \"User Commands\"\n", name.to_uppercase());
    // Each part defines the quote, and has breaks around a blank line, which mandoc minds.
    let parts = String::from_utf8(parts).unwrap().replace(QUOTE, "").replace(".br\n\n.br\n", ".sp\n");
    page += &parts.replace(" \n", "\n");
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (notes, codes) = notes.split_once("Exit codes: ").unwrap_or((&notes, ""));
    for (title, text) in [("NOTES", notes), ("EXIT STATUS", codes)] {
        if !text.trim().is_empty() {
            writeln!(page, ".SH {title}\n{}", escaped(text.trim())).unwrap();
        }
    }
    let others: Vec<_> = command.get_subcommands().filter_map(Command::get_display_name).collect();
    let others = [parent].into_iter().filter(|parent| !parent.is_empty()).chain(others);
    let others: Vec<_> = others.map(|name| format!(".BR {} (1)", escaped(name))).collect();
    if !others.is_empty() {
        writeln!(page, ".SH SEE ALSO\n{}", others.join(",\n")).unwrap();
    }
    page
}

/// Text as `roff` takes it; no line of it starts with a dot or an apostrophe.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('-', "\\-").replace('…', "...")
}

/// `WAVE_BLESS=1` writes the pages.
#[test]
fn each_subcommand_has_its_page() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    let pages = pages();
    assert!(["wave.1", "wave-run.1", "wave-policy-gen.1"].iter().all(|name| pages.contains_key(*name)));
    let read = || fs::read_dir(&dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    if std::env::var_os("WAVE_BLESS").is_some() {
        read().for_each(|old| fs::remove_file(old).unwrap());
        fs::create_dir_all(&dir).unwrap();
        pages.iter().for_each(|(name, text)| fs::write(dir.join(name), text).unwrap());
    }
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let committed: BTreeMap<_, _> =
        read().map(|path| (path.file_name().unwrap().display().to_string(), text(&path))).collect();
    for (name, right) in &pages {
        assert_eq!(committed.get(name), Some(right), "docs/man/{name}: WAVE_BLESS=1 cargo test -p wave --lib manual");
    }
    assert!(committed.keys().eq(pages.keys()), "pages of nothing: {:?}", committed.keys());
}
