//! From text to values: first the schema, which leaves nothing unknown, then the values.

use super::problem::{Problem, nearest};
use super::schema::{self, Field, ROOT, Ty};
use super::{Derived, Directory, Limits, PolicyFile, Profile, Values};
use crate::{parse_duration, parse_size};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Table<'a> = DeTable<'a>;
type Cell<'a> = Spanned<DeValue<'a>>;

pub(super) fn read(source: &str) -> Result<PolicyFile, Problem> {
    let document = DeTable::parse(source).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let what = error.message().lines().next().unwrap_or_default().to_owned();
        Problem::new(source, &span, "", what, "the file must be TOML, https://toml.io".to_owned())
    })?;
    let table = document.get_ref();
    let mut check = Check { source, spans: BTreeMap::new(), problems: Vec::new() };
    check.table(table, ROOT, "", &(0..0));
    check.guests(table);
    check.problems.sort_by_key(|(at, _)| *at);
    if let Some((_, problem)) = check.problems.into_iter().next() {
        return Err(problem);
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

/// Holds a document to the schema.
struct Check<'s> {
    source: &'s str,
    spans: BTreeMap<String, Range<usize>>,
    problems: Vec<(usize, Problem)>,
}

impl Check<'_> {
    fn refuse(&mut self, span: &Range<usize>, id: &str, (what, fix): schema::Wrong) {
        // Only the first is shown; it is enough to keep the first of each kind of place.
        if self.problems.iter().all(|(at, _)| span.start < *at) {
            self.problems.push((span.start, Problem::new(self.source, span, id, what, fix)));
        }
    }

    fn table(&mut self, table: &Table<'_>, fields: &'static [Field], id: &str, span: &Range<usize>) {
        let mut is_known = true;
        for (key, value) in table {
            let name: &str = key.get_ref();
            match fields.iter().find(|field| field.name == name) {
                Some(field) => self.value(value, &field.ty, &join(id, name)),
                None => {
                    is_known = false;
                    let fix = match nearest(name, fields.iter().map(|field| field.name)) {
                        Some(near) => format!("write `{near}`"),
                        None => {
                            let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
                            format!("the keys here are {}", names.join(", "))
                        }
                    };
                    self.refuse(&key.span(), id, (format!("unknown key `{name}`"), fix));
                }
            }
        }
        // A key that is missing is one that is misspelt, more often than not.
        let required = fields.iter().filter(|field| field.required && is_known);
        for field in required.filter(|field| !table.contains_key(field.name)) {
            let fix = format!("add `{}`: {}", field.name, field.about);
            self.refuse(span, id, (format!("`{}` is missing", field.name), fix));
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
                        let wrong = (format!("`{name}` cannot be a name here"), "leave out `=` and NUL".to_owned());
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

    /// Two directories of one name would leave open which of them a path means.
    fn guests(&mut self, table: &Table<'_>) {
        let mut seen = BTreeMap::new();
        let Some(list) = table.get("fs").and_then(|fs| fs.get_ref().as_array()) else { return };
        for (index, value) in list.iter().enumerate() {
            let Some(directory) = value.get_ref().as_table() else { continue };
            let Some(named) = directory.get("guest").or_else(|| directory.get("host")) else { continue };
            let Some(guest) = named.get_ref().as_str() else { continue };
            match seen.get(guest) {
                None => drop(seen.insert(guest.to_owned(), index)),
                Some(first) => {
                    let what = format!("`{guest}` is the name of fs[{first}] already");
                    let wrong = (what, "give each directory a name of its own by `guest`".to_owned());
                    self.refuse(&named.span(), &format!("fs[{index}]"), wrong);
                }
            }
        }
    }
}

fn join(id: &str, name: &str) -> String {
    if id.is_empty() { name.to_owned() } else { format!("{id}.{name}") }
}

/// The values of a document that the schema has accepted.
fn values(root: &Table<'_>) -> Values {
    let within = |section: &str| root.get(section).and_then(|value| value.get_ref().as_table());
    let none = Table::new();
    let env = within("env").unwrap_or(&none);
    let net = within("net").unwrap_or(&none);
    Values {
        sandbox: text(root, "sandbox").and_then(|word| word.parse().ok()),
        args: texts(root, "args"),
        deterministic: root.get("deterministic").and_then(|value| value.get_ref().as_bool()),
        blake3: within("module").and_then(|module| text(module, "blake3")),
        functions: within("wasi").and_then(|wasi| texts(wasi, "functions")),
        fs: directories(root),
        env_pass: texts(env, "pass"),
        env_set: env.get("set").and_then(|value| value.get_ref().as_table()).map(pairs),
        listen: texts(net, "listen").map(|list| list.iter().filter_map(|text| text.parse().ok()).collect()),
        accept_from: texts(net, "accept_from"),
        clock_resolution: within("clock").and_then(|clock| time(clock, "resolution")),
        limits: limits(within("limits").unwrap_or(&none)),
        os: within("os").map(os),
    }
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
    let count = |key: &str| size(table, key).and_then(|number| u32::try_from(number).ok());
    Limits {
        timeout: time(table, "timeout"),
        max_memory: size(table, "max-memory"),
        max_stack: size(table, "max-stack"),
        compile_timeout: time(table, "compile-timeout"),
        compile_memory: size(table, "compile-memory"),
        max_open_files: count("max-open-files"),
        max_file_size: size(table, "max-file-size"),
        max_writes: size(table, "max-writes"),
        max_output: size(table, "max-output"),
        max_call_bytes: size(table, "max-call-bytes"),
        max_iovecs: count("max-iovecs"),
        max_subscriptions: count("max-subscriptions"),
    }
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
