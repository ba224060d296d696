//! From text to values: first the schema, which leaves nothing unknown, then the values.

use super::keys::{KEYS, ROOT};
use super::problem::{Problem, Problems, shown};
use super::schema::{self, Field, Fix, Ty};
use super::{Derived, Directory, PolicyFile, Profile, Values};
use crate::limits::{Kind, LIMITS, Limits};
use crate::{parse_duration, parse_size};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

type Table<'a> = DeTable<'a>;
type Cell<'a> = Spanned<DeValue<'a>>;

/// A text with more mistakes against TOML than a person reads is no policy; they are not all collected.
const MOST_SYNTAX_BYTES: usize = 1 << 20;

/// Keys, commas and opening brackets of a file: five for a directory, so that 100,000 have room. Each can take a kilobyte.
const MOST_PARTS: usize = 1 << 19;

/// Words, signs and spaces of a file.
const MOST_TOKENS: usize = 1 << 22;

/// Reads a file. Of its problems, as many are described as are asked for: to describe one takes a look at the whole file.
pub(super) fn read(source: &str, described: usize) -> Result<PolicyFile, Problems> {
    let mut check = Check { spans: BTreeMap::new(), found: Vec::new(), more: 0, described };
    if let Some((at, wrong)) = too_many(source) {
        check.refuse(&(at..at + 1), "", wrong);
        return Err(check.problems(source));
    }
    let document = match DeTable::parse(source) {
        Ok(document) => document,
        Err(first) => {
            let all = described > 1 && source.len() <= MOST_SYNTAX_BYTES;
            let errors = if all { DeTable::parse_recoverable(source).1 } else { vec![first] };
            for error in errors {
                let what = error.message().lines().next().unwrap_or_default().to_owned();
                let wrong = (what, "the file must be TOML, https://toml.io".into());
                check.refuse(&error.span().unwrap_or(0..0), "", wrong);
            }
            return Err(check.problems(source));
        }
    };
    let table = document.get_ref();
    check.table(table, ROOT, "", &(0..0));
    check.guests(table);
    check.repetitions(table);
    if !check.found.is_empty() {
        return Err(check.problems(source));
    }
    let newlines = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
    Ok(PolicyFile {
        values: values(table),
        profile: text(table, "extends").and_then(|name| Profile::of(&name)),
        source: source.to_owned(),
        spans: check.spans,
        lines: std::iter::once(0).chain(newlines).collect(),
    })
}

/// What takes more memory once it is read than anybody wants to give to a policy, and where that begins. Looks at each byte once
/// and keeps nothing.
fn too_many(source: &str) -> Option<(usize, schema::Wrong)> {
    let (mut tokens, mut parts) = (0_usize, 0_usize);
    for token in Source::new(source).lex() {
        tokens += 1;
        let is_part = matches!(
            token.kind(),
            TokenKind::Equals | TokenKind::Comma | TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket
        );
        parts += usize::from(is_part);
        let what = match (parts > MOST_PARTS, tokens > MOST_TOKENS) {
            (true, _) => format!("more than {MOST_PARTS} keys, commas and opening brackets"),
            (_, true) => format!("more than {MOST_TOKENS} words, signs and spaces"),
            _ => continue,
        };
        return Some((token.span().start(), (what, "grant fewer things by one policy: a directory for many".into())));
    }
    None
}

/// Where something is wrong, in which rule, and what.
type Found = (Range<usize>, String, schema::Wrong);

/// Checks a document against the schema.
struct Check {
    spans: BTreeMap<String, Range<usize>>,
    /// What is wrong, and what was too much to keep.
    found: Vec<Found>,
    more: usize,
    described: usize,
}

impl Check {
    fn refuse(&mut self, span: &Range<usize>, id: &str, wrong: schema::Wrong) {
        self.found.push((span.clone(), id.to_owned(), wrong));
        if self.found.len() > 2 * self.described {
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        self.found.sort_by_key(|(span, ..)| span.start);
        self.more += self.found.len().saturating_sub(self.described);
        self.found.truncate(self.described);
    }

    fn problems(mut self, source: &str) -> Problems {
        self.keep_first();
        let problem = |(span, id, (what, fix)): Found| Problem::new(source, &span, &id, what, fix.in_words());
        Problems { first: self.found.into_iter().map(problem).collect(), more: self.more }
    }

    fn table(&mut self, table: &Table<'_>, fields: &'static [Field], id: &str, span: &Range<usize>) {
        let mut is_known = true;
        for (key, value) in table {
            let name: &str = key.get_ref();
            match fields.iter().find(|field| field.name == name) {
                Some(field) => self.value(value, &field.ty, &join(id, name)),
                None => {
                    is_known = false;
                    self.refuse(
                        &key.span(),
                        id,
                        (format!("unknown key `{}`", shown(name)), Fix::Key(name.to_owned(), fields)),
                    );
                }
            }
        }
        // A key that is missing is one that is misspelt, more often than not.
        let required = fields.iter().filter(|field| field.required && is_known);
        for field in required.filter(|field| !table.contains_key(field.name)) {
            let fix = format!("add `{}`: {}", field.name, field.about);
            self.refuse(span, id, (format!("`{}` is missing", field.name), fix.into()));
        }
    }

    fn value(&mut self, value: &Cell<'_>, ty: &'static Ty, id: &str) {
        let span = value.span();
        self.spans.insert(id.to_owned(), span.clone());
        match (ty, value.get_ref()) {
            (Ty::List(item), DeValue::Array(list)) => {
                for (index, value) in list.iter().enumerate() {
                    self.value(value, item, &format!("{id}[{index}]"));
                }
            }
            (Ty::Networks, DeValue::Array(list)) => {
                if list.is_empty() {
                    let what = "an empty list leaves open whether nobody may connect or everybody".to_owned();
                    self.refuse(&span, id, (what, "leave out the key for everybody, or list networks".into()));
                }
                for (index, value) in list.iter().enumerate() {
                    self.value(value, &Ty::Network, &format!("{id}[{index}]"));
                }
            }
            (Ty::Tables(fields), DeValue::Array(list)) => {
                for (index, value) in list.iter().enumerate() {
                    let id = format!("{id}[{index}]");
                    let DeValue::Table(table) = value.get_ref() else {
                        self.refuse(&value.span(), &id, ty.unexpected(value.get_ref()));
                        continue;
                    };
                    self.spans.insert(id.clone(), value.span());
                    self.table(table, fields, &id, &value.span());
                }
            }
            (Ty::Table(fields), DeValue::Table(table)) => self.table(table, fields, id, &span),
            (Ty::Variables | Ty::Rules, DeValue::Table(table)) => {
                for (key, value) in table {
                    let name: &str = key.get_ref();
                    let id = join(id, name);
                    if !schema::is_variable(name) {
                        let what = format!("`{}` cannot be a name here", shown(name));
                        let wrong = (what, "leave out `=` and NUL".into());
                        self.refuse(&key.span(), &id, wrong);
                    }
                    self.value(value, &Ty::Text, &id);
                }
            }
            (ty, value) => {
                if let Err(wrong) = ty.check(value) {
                    self.refuse(&span, id, wrong);
                }
            }
        }
    }

    /// A variable has one value, and one socket listens at an address.
    fn repetitions(&mut self, table: &Table<'_>) {
        let within = |section: &str, key: &str| table.get(section)?.get_ref().as_table()?.get(key);
        let list = |section, key| within(section, key).and_then(|value| value.get_ref().as_array());
        let set = within("env", "set").and_then(|value| value.get_ref().as_table());
        let leave_out = || "leave out one of them".into();
        let mut names = BTreeMap::new();
        for (index, value) in list("env", "pass").into_iter().flat_map(|list| list.iter()).enumerate() {
            let Some(name) = value.get_ref().as_str() else { continue };
            let id = format!("env.pass[{index}]");
            if let Some(first) = names.insert(name, index) {
                self.refuse(
                    &value.span(),
                    &id,
                    (format!("`{}` is env.pass[{first}] already", shown(name)), leave_out()),
                );
            } else if set.is_some_and(|set| set.contains_key(name)) {
                self.refuse(&value.span(), &id, (format!("`{}` has a value in `[env.set]`", shown(name)), leave_out()));
            }
        }
        let mut addresses = BTreeMap::new();
        for (index, value) in list("net", "listen").into_iter().flat_map(|list| list.iter()).enumerate() {
            let address = value.get_ref().as_str().and_then(|text| text.parse::<SocketAddr>().ok());
            // The kernel chooses another port for each 0.
            let Some(address) = address.filter(|address| address.port() != 0) else { continue };
            if let Some(first) = addresses.insert(address, index) {
                let wrong = (format!("`{address}` is net.listen[{first}] already"), leave_out());
                self.refuse(&value.span(), &format!("net.listen[{index}]"), wrong);
            }
        }
    }

    /// Two directories of one name would leave open which of them a path means.
    fn guests(&mut self, table: &Table<'_>) {
        let mut seen = BTreeMap::new();
        let Some(list) = table.get("fs").and_then(|fs| fs.get_ref().as_array()) else { return };
        for (index, value) in list.iter().enumerate() {
            let Some(directory) = value.get_ref().as_table() else { continue };
            let Some(named) = directory.get("guest").or_else(|| directory.get("host")) else { continue };
            let Some(guest) = named.get_ref().as_str() else { continue };
            match seen.get(as_matched(guest)) {
                None => drop(seen.insert(as_matched(guest).to_owned(), index)),
                Some(first) => {
                    let what = format!("`{}` is the name of fs[{first}] already", shown(guest));
                    let wrong = (what, "give each directory a name of its own by `guest`".into());
                    self.refuse(&named.span(), &format!("fs[{index}]"), wrong);
                }
            }
        }
    }
}

/// A name of a directory as wasi-libc compares it with paths: `/data`, `data/` and `./data` are one.
fn as_matched(guest: &str) -> &str {
    let mut name = guest;
    while let Some(rest) = name.strip_prefix('/').or_else(|| name.strip_prefix("./")) {
        name = rest;
    }
    if name == "." { "" } else { name.trim_end_matches('/') }
}

fn join(id: &str, name: &str) -> String {
    if id.is_empty() { name.to_owned() } else { format!("{id}.{name}") }
}

/// The values of a document that the schema has accepted.
fn values(root: &Table<'_>) -> Values {
    let within = |section: &str| root.get(section).and_then(|value| value.get_ref().as_table());
    let none = Table::new();
    let mut values = Values {
        fs: directories(root),
        limits: limits(within("limits").unwrap_or(&none)),
        os: within("os").map(os),
        ..Values::default()
    };
    KEYS.iter().for_each(|key| key.read(&mut values, root));
    values
}

fn directories(root: &Table<'_>) -> Vec<Directory> {
    let list = root.get("fs").and_then(|value| value.get_ref().as_array());
    let tables = list.into_iter().flat_map(|list| list.iter()).filter_map(|value| value.get_ref().as_table());
    let directory = |table: &Table<'_>| {
        let host = text(table, "host")?;
        let guest = text(table, "guest").unwrap_or_else(|| host.clone());
        Some(Directory { guest, host, access: text(table, "access")?.parse().ok()? })
    };
    tables.filter_map(directory).collect()
}

fn limits(table: &Table<'_>) -> Limits {
    let mut limits = Limits::default();
    for limit in LIMITS {
        let value = match limit.kind {
            Kind::Time => time(table, limit.name).map(|time| time.as_nanos()),
            Kind::Size | Kind::Count | Kind::Units => size(table, limit.name).map(u128::from),
        };
        limit.set(&mut limits, value);
    }
    limits
}

fn os(table: &Table<'_>) -> Derived {
    let mut rows = BTreeMap::new();
    for group in Derived::GROUPS {
        let rules = table.get(group).and_then(|value| value.get_ref().as_table());
        for (id, rule) in rules.map(pairs).unwrap_or_default() {
            rows.insert(format!("os.{group}.{id}"), rule);
        }
    }
    let landlock = table.get("landlock").and_then(|value| value.get_ref().as_table());
    for (access, _) in landlock.into_iter().flatten() {
        let rights = landlock.and_then(|table| texts(table, access.get_ref())).unwrap_or_default();
        rows.insert(format!("os.landlock.{}", access.get_ref()), rights.join(" "));
    }
    Derived::read(text(table, "resolver").as_deref(), rows)
}

fn text(table: &Table<'_>, key: &str) -> Option<String> {
    table.get(key)?.get_ref().as_str().map(str::to_owned)
}

fn texts(table: &Table<'_>, key: &str) -> Option<Vec<String>> {
    let list = table.get(key)?.get_ref().as_array()?;
    Some(list.iter().filter_map(|value| value.get_ref().as_str()).map(str::to_owned).collect())
}

fn pairs(table: &Table<'_>) -> BTreeMap<String, String> {
    let pair = |(key, value): (&Spanned<toml::de::DeString<'_>>, &Cell<'_>)| {
        Some((key.get_ref().to_string(), value.get_ref().as_str()?.to_owned()))
    };
    table.iter().filter_map(pair).collect()
}

fn size(table: &Table<'_>, key: &str) -> Option<u64> {
    let value = table.get(key)?.get_ref();
    schema::integer(value).or_else(|| parse_size(value.as_str()?).ok())
}

fn time(table: &Table<'_>, key: &str) -> Option<Duration> {
    parse_duration(table.get(key)?.get_ref().as_str()?).ok()
}
