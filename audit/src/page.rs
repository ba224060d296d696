//! The report as a page, for every format that people read. Text from the module is always a [`Span::Name`], so that
//! each format escapes it in one place.

use super::capabilities::Answer;
use super::facts::Level;
use super::granted::Granted;
use super::grants::Gain;
use super::module::{Item, Kind, Memory};
use super::report::Audit;
use super::score::{WARNING, decimal};

/// Maximum rows in a list of imports or exports, and maximum names in a cell.
const LISTED: usize = 100;

/// Maximum characters of a name that are printed.
const NAME_CHARS: usize = 120;

/// A report for people.
pub struct Page {
    /// The audited file.
    pub file: Span,
    /// The score in tenths.
    pub tenths: u32,
    /// Everything, from top to bottom.
    pub blocks: Vec<Block>,
}

/// A piece of a page.
pub enum Block {
    Heading(&'static str),
    Paragraph(Cell),
    /// A table with a head and rows of as many cells. The head may be empty.
    Table(&'static [&'static str], Vec<Vec<Cell>>),
}

/// A line of text.
pub type Cell = Vec<Span>;

/// A piece of text in one style.
pub enum Span {
    /// Text of `wave`, which is not escaped.
    Text(String),
    /// A name from the module, or of a system call. It can contain any characters.
    Name(String),
    /// The severity of a fact.
    Mark(Level),
}

/// Splits text of `wave` into text and names. Names are between backticks.
fn words(text: &str) -> Cell {
    let pieces = text.split('`').enumerate().filter(|(_, piece)| !piece.is_empty());
    pieces.map(|(i, piece)| if i % 2 == 0 { Span::Text(piece.into()) } else { Span::Name(piece.into()) }).collect()
}

fn name(name: &str) -> Span {
    match name.chars().count() {
        0 => Span::Text("(empty)".to_owned()),
        count if count > NAME_CHARS => {
            Span::Name(name.chars().take(NAME_CHARS).chain(format!("… ({count} characters)").chars()).collect())
        }
        _ => Span::Name(name.to_owned()),
    }
}

/// Names separated by commas, up to a maximum, and the number of further ones.
fn names<'n>(all: impl ExactSizeIterator<Item = &'n str>, count: usize) -> Cell {
    let mut cell = Cell::new();
    let mut left = count;
    for each in all.take(LISTED) {
        if !cell.is_empty() {
            cell.push(Span::Text(", ".to_owned()));
        }
        cell.push(name(each));
        left = left.saturating_sub(1);
    }
    if left > 0 {
        cell.push(Span::Text(format!(" and {left} more")));
    }
    cell
}

/// Builds the page of a report.
pub fn page(audit: &Audit) -> Page {
    let mut blocks = Vec::new();
    what_it_is(audit, &mut blocks);
    score(audit, &mut blocks);
    facts(audit, &mut blocks);
    surface(audit, &mut blocks);
    grants(audit, &mut blocks);
    powers(audit, &mut blocks);
    lists(audit, &mut blocks);
    Page { file: name(&audit.file), tenths: audit.score.tenths, blocks }
}

fn what_it_is(audit: &Audit, blocks: &mut Vec<Block>) {
    let module = &audit.module;
    let mut rows = Vec::new();
    let mut row = |title: &str, cell: Cell| rows.push(vec![words(title), cell]);
    row(
        "kind",
        words(match module.kind {
            Kind::Module if audit.component.is_none() => "WebAssembly module",
            Kind::Module => "WebAssembly component, which runs as one module",
            Kind::Component => "WebAssembly component",
        }),
    );
    row("file", vec![name(&audit.file)]);
    if audit.compiled_file {
        row("compiled", words("by whoever built the file: its code can do anything that the module in it could do"));
    }
    if let Some(own) = &module.name {
        row("own name", vec![name(own)]);
    }
    row("size", words(&format!("{} bytes, of which code {}", audit.size_bytes, module.code_bytes)));
    row("BLAKE3", vec![name(&audit.blake3)]);
    let made: Vec<_> = module.producers.iter().map(|p| format!("{} {} {}", p.role, p.name, p.version)).collect();
    match made.is_empty() {
        true => row("built by", words("unknown")),
        false => row("claims to be built by", names(made.iter().map(|line| line.trim_end()), made.len())),
    }
    if !module.target_features.is_empty() {
        row("built for", names(module.target_features.iter().map(String::as_str), module.target_features.len()));
    }
    if let Some(component) = &audit.component {
        row("inside", words(&format!("{} modules, {} components", component.modules, component.components)));
        for (title, list) in [("interfaces", &component.imports), ("exports", &component.exports)] {
            if !list.is_empty() {
                row(title, names(list.iter().map(String::as_str), list.len()));
            }
        }
    }
    match module.kind {
        Kind::Component => {
            let (modules, components) = (module.nested_modules, module.nested_components);
            row("inside", words(&format!("{modules} modules, {components} components; they are not read")));
        }
        Kind::Module => {
            match audit.uses.as_deref() {
                None => {}
                Some([]) => row("uses", words("nothing beyond WebAssembly 1.0")),
                Some(features) => row("uses", names(features.iter().copied(), features.len())),
            }
            row("functions", words(&format!("{} and {} globals of its own", module.functions, module.globals)));
            row("memory", listed(&module.memories, memory));
            row(
                "tables",
                listed(&module.tables, |table| {
                    format!("{} of {}", range(table.min, table.max, "elements"), table.element)
                }),
            );
            let (data, element) = (module.data_segments, module.element_segments);
            row("segments", words(&format!("{data} data, {element} element")));
        }
    }
    row("imports", words(&module.imports.len().to_string()));
    row("exports", words(&module.exports.len().to_string()));
    blocks.push(Block::Heading("What it is"));
    blocks.push(Block::Table(&[], rows));
}

fn listed<T>(items: &[T], describe: impl Fn(&T) -> String) -> Cell {
    let mut lines: Vec<_> = items.iter().take(3).map(describe).collect();
    if items.len() > lines.len() {
        lines.push(format!("{} more", items.len() - lines.len()));
    }
    words(&if lines.is_empty() { "none".to_owned() } else { lines.join("; ") })
}

fn memory(memory: &Memory) -> String {
    let imported = if memory.imported { ", imported" } else { "" };
    let odd = [(memory.shared, ", shared"), (memory.wide, ", 64-bit"), (memory.custom_pages, ", of another size")];
    let odd: String = odd.iter().filter(|(holds, _)| *holds).map(|(_, text)| *text).collect();
    let unit = if memory.custom_pages { "pages" } else { "pages of 64 KiB" };
    range(memory.min_pages, memory.max_pages, unit) + imported + &odd
}

fn range(min: u64, max: Option<u64>, unit: &str) -> String {
    match max {
        Some(max) if max == min => format!("{min} {unit}"),
        Some(max) => format!("{min} to {max} {unit}"),
        None => format!("{min} {unit}, no maximum"),
    }
}

fn score(audit: &Audit, blocks: &mut Vec<Block>) {
    let points = |tenths: u32| words(&decimal(tenths));
    let mut lines: Vec<_> = audit.score.lines.iter().collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.tenths));
    let mut rows: Vec<_> = lines
        .iter()
        .map(|line| {
            let mut why = words(line.reason);
            if !line.because.is_empty() {
                why.push(Span::Text(": ".to_owned()));
                why.extend(names(line.because.iter().map(String::as_str), line.because.len()));
            }
            vec![points(line.tenths), words(line.id), why]
        })
        .collect();
    rows.push(vec![points(audit.score.tenths), words("of 10.0"), words("all lines together")]);
    blocks.push(Block::Heading("Exposure score"));
    blocks.push(Block::Paragraph(words(WARNING)));
    if let Some(granted) = &audit.granted {
        blocks.push(Block::Paragraph(policy_paragraph(granted)));
    }
    blocks.push(Block::Table(&["points", "for", "why"], rows));
}

/// Describes what a policy grants and which imports therefore do not count.
fn policy_paragraph(granted: &Granted) -> Cell {
    let Granted { policy, read_only, append, read_write, listeners, connections, max_memory, without_effect } = granted;
    let mut cell = words("This is the score under ");
    cell.push(name(policy));
    let memory = max_memory.map_or_else(|| "no limit on memory".to_owned(), |most| format!("{most} bytes of memory"));
    cell.extend(words(&format!(
        ": {read_only} read-only, {append} append-only and {read_write} writable directories, {listeners} listening sockets, {connections} networks to connect to, {memory}. \
         Without effect, and not counted: "
    )));
    match without_effect.len() {
        0 => cell.extend(words("nothing")),
        count => cell.extend(names(without_effect.iter().copied(), count)),
    }
    cell.extend(words("."));
    cell
}

fn facts(audit: &Audit, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading("Notable facts"));
    if audit.facts.is_empty() {
        blocks.push(Block::Paragraph(words("None.")));
        return;
    }
    let row = |fact: &super::facts::Fact| {
        let mut text = words(&fact.text);
        if fact.count > 0 {
            text.push(Span::Text(": ".to_owned()));
            text.extend(names(fact.names.iter().map(String::as_str), fact.count));
        }
        vec![vec![Span::Mark(fact.level)], text]
    };
    blocks.push(Block::Table(&[], audit.facts.iter().map(row).collect()));
}

fn surface(audit: &Audit, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading("What it can ask for"));
    let component = audit.module.kind == Kind::Component;
    if audit.areas.is_empty() {
        blocks.push(Block::Paragraph(words("Nothing: it imports no function of WASI, and can only compute.")));
        return;
    }
    let mut rows = Vec::new();
    for area in &audit.areas {
        let mut needs: Vec<_> = area.functions.iter().map(|asked| asked.needs).collect();
        needs.sort_unstable_by_key(|need| (*need != "nothing", *need));
        needs.dedup();
        for (i, need) in needs.iter().enumerate() {
            let asked: Vec<_> = area.functions.iter().filter(|asked| asked.needs == *need).map(|a| &*a.name).collect();
            let mut row = vec![words(if i == 0 { area.area } else { "" })];
            if !component {
                row.push(words(need));
            }
            let count = asked.len();
            row.push(names(asked.into_iter(), count));
            rows.push(row);
        }
    }
    if component {
        blocks.push(Block::Table(&["area", "interfaces"], rows));
    } else {
        let text = "Functions of WASI by area. Without the grant they need, they are refused before any system call.";
        blocks.push(Block::Paragraph(words(text)));
        blocks.push(Block::Table(&["area", "needs", "functions"], rows));
    }
}

fn grants(audit: &Audit, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading("What that means for the kernel"));
    if audit.module.kind == Kind::Component {
        let text =
            "System calls are not derived for a component that cannot run: no reviewed table has its interfaces.";
        return blocks.push(Block::Paragraph(words(text)));
    }
    let text = "The system calls that the filter allows, and what native code could get from each if the program broke out. \
                Each grant adds to the calls of every run; any other call ends the process.";
    blocks.push(Block::Paragraph(words(text)));
    let mut rows = Vec::new();
    for gain in &audit.grants {
        let mut title = words(gain.grant);
        if !gain.flag.is_empty() {
            title.push(Span::Text(": ".to_owned()));
            title.push(name(gain.flag));
        }
        let mut title = Some(title);
        let mut first = || title.take().unwrap_or_default();
        for call in &gain.calls {
            let effects: Vec<_> = call.rules.iter().map(|rule| effect(rule.when, rule.effect)).collect();
            rows.push(vec![first(), vec![name(call.call)], effects.into_iter().flatten().collect()]);
        }
        if gain.calls.is_empty() {
            let why = match gain.is_used {
                true => "no calls beyond those above; with this grant they reach more",
                false => "no function it imports can use it",
            };
            rows.push(vec![first(), words("no more"), words(why)]);
        }
        if !gain.landlock.is_empty() {
            rows.push(vec![first(), words("Landlock"), landlock(gain)]);
        }
    }
    blocks.push(Block::Table(&["granted", "system call", "what it gives"], rows));
}

fn effect(when: &str, effect: &str) -> Cell {
    let mut cell = Cell::new();
    if !when.is_empty() {
        cell.extend([Span::Text("if ".to_owned()), name(when), Span::Text(": ".to_owned())]);
    }
    cell.extend(words(effect));
    cell.push(Span::Text(". ".to_owned()));
    cell
}

fn landlock(gain: &Gain) -> Cell {
    let mut cell = words("rights under the directory: ");
    cell.extend(names(gain.landlock.iter().copied(), gain.landlock.len()));
    cell
}

fn powers(audit: &Audit, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading("What it cannot do"));
    if audit.powers.is_empty() {
        return blocks.push(Block::Paragraph(words("Not derived for components.")));
    }
    let text = "This holds under `--sandbox strict`, even for native code: the filter allows none of the system calls it would need.";
    blocks.push(Block::Paragraph(words(text)));
    let row = |verdict: &super::capabilities::Verdict| {
        let answer = match verdict.answer {
            Answer::Never => "never".to_owned(),
            Answer::Granted => format!("only with {}", verdict.with.join(", ")),
            Answer::Always => "it can".to_owned(),
        };
        vec![words(verdict.what), words(&answer)]
    };
    blocks.push(Block::Table(&[], audit.powers.iter().map(row).collect()));
}

fn lists(audit: &Audit, blocks: &mut Vec<Block>) {
    let imports = audit.module.imports.iter().map(|import| {
        let both = [import.module.as_deref(), Some(&*import.name)];
        (both.into_iter().flatten().map(name).collect::<Vec<_>>(), import.item, &import.ty)
    });
    let exports = audit.module.exports.iter().map(|export| (vec![name(&export.name)], export.item, &export.ty));
    list("Imports", imports, blocks);
    list("Exports", exports, blocks);
}

fn list<'t>(
    title: &'static str,
    items: impl ExactSizeIterator<Item = (Cell, Item, &'t std::sync::Arc<str>)>,
    blocks: &mut Vec<Block>,
) {
    let count = items.len();
    blocks.push(Block::Heading(title));
    if count == 0 {
        return blocks.push(Block::Paragraph(words("None.")));
    }
    let row = |(names, item, ty): (Cell, Item, &std::sync::Arc<str>)| {
        let mut cell = Cell::new();
        for name in names {
            if !cell.is_empty() {
                cell.push(Span::Text(" ".to_owned()));
            }
            cell.push(name);
        }
        let kind = match item {
            Item::Function => "function",
            Item::Table => "table",
            Item::Memory => "memory",
            Item::Global => "global",
            Item::Tag => "tag",
            Item::Interface => "interface",
            Item::Other => "other",
        };
        vec![cell, words(kind), if ty.is_empty() { Cell::new() } else { vec![Span::Name(ty.to_string())] }]
    };
    blocks.push(Block::Table(&["name", "kind", "type"], items.take(LISTED).map(row).collect()));
    if count > LISTED {
        let text = format!("{} more are not listed here; --format json has all.", count - LISTED);
        blocks.push(Block::Paragraph(words(&text)));
    }
}
