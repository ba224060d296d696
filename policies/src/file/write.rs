//! From values to text, in the order of the schema.

use super::{Derived, Limits, PolicyFile, Profile, Values};
use crate::Resolver;
use crate::limits::Kind;
use std::fmt::{self, Write};

impl Values {
    /// The values as a policy file. `note` says of an id what stands behind it as a comment, where it comes from for example.
    ///
    /// # Errors
    /// Never: strings grow.
    pub fn write(&self, profile: Option<Profile>, note: impl Fn(&str) -> Option<String>) -> Result<String, fmt::Error> {
        let mut out = Writer { out: "version = 1\n".to_owned(), note };
        if let Some(profile) = profile {
            out.row("extends", "extends", &quote(profile.name()))?;
        }
        if let Some(level) = self.sandbox {
            out.row("sandbox", "sandbox", &quote(level.as_str()))?;
        }
        if let Some(args) = &self.args {
            out.list("args", "args", args)?;
        }
        if let Some(deterministic) = self.deterministic {
            out.row("deterministic", "deterministic", if deterministic { "true" } else { "false" })?;
        }
        if let Some(hash) = &self.blake3 {
            out.heading("[module]")?;
            out.row("module.blake3", "blake3", &quote(hash))?;
        }
        if let Some(functions) = &self.functions {
            out.heading("[wasi]")?;
            out.list("wasi.functions", "functions", functions)?;
        }
        for (index, directory) in self.fs.iter().enumerate() {
            out.heading("[[fs]]")?;
            out.row(&format!("fs[{index}]"), "host", &quote(&directory.host))?;
            out.row("", "guest", &quote(&directory.guest))?;
            out.row("", "access", &quote(directory.access.as_str()))?;
        }
        if let Some(pass) = &self.env_pass {
            out.heading("[env]")?;
            out.list("env.pass", "pass", pass)?;
        }
        if let Some(set) = &self.env_set {
            out.heading("[env.set]")?;
            for (name, value) in set {
                out.row(&format!("env.set.{name}"), &key(name), &quote(value))?;
            }
        }
        if self.listen.is_some() || self.accept_from.is_some() {
            out.heading("[net]")?;
        }
        if let Some(listen) = &self.listen {
            let listen: Vec<_> = listen.iter().map(ToString::to_string).collect();
            out.list("net.listen", "listen", &listen)?;
        }
        if let Some(networks) = &self.accept_from {
            out.list("net.accept_from", "accept_from", networks)?;
        }
        if let Some(resolution) = self.clock_resolution {
            out.heading("[clock]")?;
            out.row("clock.resolution", "resolution", &quote(Kind::Time.text(resolution.as_nanos())))?;
        }
        if let Some(seed) = self.random_seed {
            out.heading("[random]")?;
            out.row("random.seed", "seed", &seed.to_string())?;
        }
        if self.limits != Limits::default() {
            out.heading("[limits]")?;
            for (name, value) in self.limits.rows() {
                out.row(&format!("limits.{name}"), name, &number_or_text(&value))?;
            }
        }
        if let Some(os) = &self.os {
            out.os(os)?;
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

struct Writer<N> {
    out: String,
    note: N,
}

impl<N: Fn(&str) -> Option<String>> Writer<N> {
    fn heading(&mut self, heading: &str) -> fmt::Result {
        writeln!(self.out, "\n{heading}")
    }

    fn row(&mut self, id: &str, key: &str, value: &str) -> fmt::Result {
        write!(self.out, "{key} = {value}")?;
        self.note(id)
    }

    fn list(&mut self, id: &str, key: &str, items: &[String]) -> fmt::Result {
        match items {
            [] => self.row(id, key, "[]"),
            [one] => self.row(&format!("{id}[0]"), key, &format!("[{}]", quote(one))),
            items => {
                writeln!(self.out, "{key} = [")?;
                for (index, item) in items.iter().enumerate() {
                    write!(self.out, "    {},", quote(item))?;
                    self.note(&format!("{id}[{index}]"))?;
                }
                writeln!(self.out, "]")
            }
        }
    }

    fn note(&mut self, id: &str) -> fmt::Result {
        match (self.note)(id).filter(|_| !id.is_empty()) {
            Some(note) => writeln!(self.out, " # {}", crate::clean(&note)),
            None => writeln!(self.out),
        }
    }

    fn os(&mut self, os: &Derived) -> fmt::Result {
        self.heading("[os]")?;
        let resolver = match os.resolver {
            Resolver::Kernel => "kernel",
            Resolver::Manual => "manual",
        };
        self.row("os.resolver", "resolver", &quote(resolver))?;
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

/// A string of TOML that holds exactly this text.
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
