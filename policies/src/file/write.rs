//! From values to text, in the order of the schema.

use super::keys::{KEYS, Key, ROOT};
use super::{Derived, Directory, PolicyFile, Profile, Values};
use crate::limits::Limits;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

impl Values {
    /// The values as a policy file. `note` gives the comment behind an id, for example its origin.
    ///
    /// # Errors
    /// Never: strings grow.
    pub fn write(&self, profile: Option<Profile>, note: impl Fn(&str) -> Option<String>) -> Result<String, fmt::Error> {
        let mut out = Writer::new(&note);
        out.out.push_str("version = 1\n");
        if let Some(profile) = profile {
            out.row("extends", "extends", &quote(profile.name()))?;
        }
        for field in ROOT {
            match field.name {
                "fs" => out.directories(&self.fs)?,
                "limits" => out.limits(&self.limits)?,
                "os" => self.os.as_ref().map_or(Ok(()), |os| out.os(os))?,
                name => {
                    let keys =
                        KEYS.iter().filter(|key| if key.section.is_empty() { key.name } else { key.section } == name);
                    for key in keys {
                        key.write(self, &mut out)?;
                    }
                }
            }
        }
        Ok(out.out)
    }
}

impl PolicyFile {
    /// The file as it was read, in words of its own; see [`super::format`] for one that keeps its comments.
    ///
    /// # Errors
    /// Never: strings grow.
    pub fn write(&self) -> Result<String, fmt::Error> {
        self.values.write(self.profile, |_| None)
    }
}

pub(super) struct Writer<'n> {
    out: String,
    /// The table whose heading was written last.
    section: &'static str,
    note: &'n dyn Fn(&str) -> Option<String>,
}

impl<'n> Writer<'n> {
    pub(super) fn new(note: &'n dyn Fn(&str) -> Option<String>) -> Self {
        Self { out: String::new(), section: "", note }
    }

    /// What was written.
    pub(super) fn text(self) -> String {
        self.out
    }

    fn heading(&mut self, heading: &str) -> fmt::Result {
        writeln!(self.out, "\n{heading}")
    }

    fn row(&mut self, id: &str, key: &str, value: &str) -> fmt::Result {
        write!(self.out, "{key} = {value}")?;
        self.note(id)
    }

    /// The heading of the table of a key, unless it is written already.
    fn enter(&mut self, key: &Key) -> fmt::Result {
        if self.section == key.section {
            return Ok(());
        }
        self.section = key.section;
        self.heading(&format!("[{}]", key.section))
    }

    /// A key with one value.
    pub(super) fn key(&mut self, key: &Key, value: &str) -> fmt::Result {
        self.enter(key)?;
        self.row(&key.id(), key.name, value)
    }

    /// A key with a list.
    pub(super) fn list(&mut self, key: &Key, items: &[String]) -> fmt::Result {
        self.enter(key)?;
        let (id, name) = (key.id(), key.name);
        match items {
            [] => self.row(&id, name, "[]"),
            [one] => self.row(&format!("{id}[0]"), name, &format!("[{}]", quote(one))),
            items => {
                writeln!(self.out, "{name} = [")?;
                for (index, item) in items.iter().enumerate() {
                    write!(self.out, "    {},", quote(item))?;
                    self.note(&format!("{id}[{index}]"))?;
                }
                writeln!(self.out, "]")
            }
        }
    }

    /// A table of texts.
    pub(super) fn table(&mut self, id: &str, texts: &BTreeMap<String, String>) -> fmt::Result {
        self.heading(&format!("[{id}]"))?;
        texts.iter().try_for_each(|(name, text)| self.row(&format!("{id}.{name}"), &key(name), &quote(text)))
    }

    fn directories(&mut self, directories: &[Directory]) -> fmt::Result {
        for (index, directory) in directories.iter().enumerate() {
            self.heading("[[fs]]")?;
            self.row(&format!("fs[{index}]"), "host", &quote(&directory.host))?;
            self.row("", "guest", &quote(&directory.guest))?;
            self.row("", "access", &quote(directory.access.as_str()))?;
        }
        Ok(())
    }

    fn limits(&mut self, limits: &Limits) -> fmt::Result {
        let rows = limits.rows();
        if !rows.is_empty() {
            self.heading("[limits]")?;
        }
        rows.iter().try_for_each(|(name, value)| self.row(&format!("limits.{name}"), name, &number_or_text(value)))
    }

    fn note(&mut self, id: &str) -> fmt::Result {
        match (self.note)(id).filter(|_| !id.is_empty()) {
            Some(note) => writeln!(self.out, " # {}", crate::clean(&note)),
            None => writeln!(self.out),
        }
    }

    fn os(&mut self, os: &Derived) -> fmt::Result {
        self.heading("[os]")?;
        self.row("os.resolver", "resolver", &quote(os.resolver.as_str()))?;
        for group in Derived::GROUPS {
            let prefix = format!("os.{group}.");
            let rows = os.rows.iter().filter_map(|(id, rule)| Some((id, id.strip_prefix(&prefix)?, rule)));
            for (index, (id, name, rule)) in rows.enumerate() {
                if index == 0 {
                    self.heading(&format!("[os.{group}]"))?;
                }
                self.row(id, &key(name), &quote(rule))?;
            }
        }
        let rights = ["ro", "append", "rw"].map(|access| (access, os.rows.get(&format!("os.landlock.{access}"))));
        if rights.iter().any(|(_, rights)| rights.is_some()) {
            self.heading("[os.landlock]")?;
        }
        for (access, rights) in rights {
            let Some(rights) = rights else { continue };
            let words: Vec<_> = rights.split_whitespace().map(quote).collect();
            self.row(&format!("os.landlock.{access}"), access, &format!("[{}]", words.join(", ")))?;
        }
        Ok(())
    }
}

/// A TOML string with exactly this text.
pub(super) fn quote(text: impl AsRef<str>) -> String {
    let mut out = String::from('"');
    for c in text.as_ref().chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // So that neither a terminal nor a reviewer is led astray.
            c if c != ' ' && crate::clean(c.encode_utf8(&mut [0; 4])) != *c.encode_utf8(&mut [0; 4]) => {
                out.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quote(name) }
}

/// A value with a unit is a text in TOML, and so is a number of more than the 63 bits of its integers.
fn number_or_text(value: &str) -> String {
    if value.parse::<i64>().is_ok() { value.to_owned() } else { quote(value) }
}
