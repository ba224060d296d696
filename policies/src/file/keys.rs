//! The table of keys: every key with one value, a list or a table of variables is one row.
//!
//! The struct, the reader, the writer, the schema and the merging of a file with its profile follow from the rows. Directories,
//! limits and the derived part have a form of their own.

use super::schema::{self, Field, Ty};
use super::write::{Writer, quote};
use super::{Derived, Directory};
use crate::limits::{Kind, Limits};
use crate::{ConnectTarget, Level, Protocol, Stub, parse_duration};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// A key, and how its value is stored.
pub struct Key {
    /// The table it is in. Empty: it is at the top.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// The flag of `wave run` that sets it, too, and wins; such a key is a setting of the run. Empty: there is none.
    pub flag: &'static str,
    read: fn(&mut Values, &DeValue<'_>),
    write: fn(&Values, &mut Writer<'_>, &Key) -> fmt::Result,
    fill: fn(&mut Values, &Values),
    is_said: fn(&Values) -> bool,
}

/// A type that the value of a key has.
trait Stored: Sized {
    /// Reads a value that the schema has accepted.
    fn read(value: &DeValue<'_>) -> Option<Self>;

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result;
}

const REQUIRED: bool = true;
const OPTIONAL: bool = false;

macro_rules! keys {
    (
        top {
            $(
                $(#[$top_doc:meta])* $top_field:ident: $top_type:ty, $top_name:literal $(flag $top_flag:literal)?, $top_ty:expr,
                $top_about:literal;
            )*
        }
        $($section:literal, $section_about:literal $(: $section_ty:expr)? => {
            $(
                $(#[$doc:meta])* $field:ident: $type:ty, $name:literal $(flag $flag:literal)?, $required:expr, $ty:expr,
                $about:literal;
            )*
        })*
    ) => {
        /// The values of a policy. `None` if it does not set one.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Values {
            $($(#[$top_doc])* pub $top_field: Option<$top_type>,)*
            $($($(#[$doc])* pub $field: Option<$type>,)*)*
            /// Directories.
            pub fs: Vec<Directory>,
            /// Limits.
            pub limits: Limits,
            /// The derived part: rules of the kernel layers.
            pub os: Option<Derived>,
        }

        /// Every key that is a row, in the order of the schema.
        pub static KEYS: &[Key] = &[
            $(keys!(@key "", $top_name, concat!($($top_flag)?), $top_field),)*
            $($(keys!(@key $section, $name, concat!($($flag)?), $field),)*)*
        ];

        /// Every key at the top of a file.
        pub(super) static ROOT: &[Field] = &[
            schema::VERSION_KEY,
            schema::EXTENDS_KEY,
            $(Field { name: $top_name, about: $top_about, ty: $top_ty, required: OPTIONAL },)*
            $(Field {
                name: $section,
                about: $section_about,
                ty: keys!(@section [$($section_ty)?] [
                    $(Field { name: $name, about: $about, ty: $ty, required: $required }),*
                ]),
                required: OPTIONAL,
            },)*
        ];
    };
    (@key $section:literal, $name:literal, $flag:expr, $field:ident) => {
        Key {
            section: $section,
            name: $name,
            flag: $flag,
            read: |values, value| values.$field = Stored::read(value),
            write: |values, out, key| values.$field.as_ref().map_or(Ok(()), |value| value.write(out, key)),
            fill: |values, under| {
                if values.$field.is_none() {
                    values.$field.clone_from(&under.$field);
                }
            },
            is_said: |values| values.$field.is_some(),
        }
    };
    (@section [] $fields:tt) => { Ty::Table(&$fields) };
    (@section [$ty:expr] []) => { $ty };
}

keys! {
    top {
        /// Which kernel layers must hold.
        sandbox: Level, "sandbox", Ty::Word(schema::LEVEL),
            "Which kernel layers must hold before the program runs; strict if not given";
        /// First arguments of the program.
        args: Vec<String>, "args", Ty::List(&Ty::Text),
            "First arguments of the program; those of the command line follow";
        /// Where the program starts.
        cwd: String, "cwd" flag "--cwd", Ty::Text,
            "Where the program starts: an absolute path of its own, inside a directory that it may reach";
        /// The same clocks, random numbers and NaNs in every run.
        deterministic: bool, "deterministic" flag "--deterministic", Ty::Bool,
            "The same clocks, random numbers and NaNs in every run";
        /// What stands for imported functions that nobody provides. `None`: a module that has such imports is refused.
        unknown_imports: Stub, "unknown_imports" flag "--unknown-imports", Ty::Word(schema::STUB),
            "What stands for imported functions that nobody provides; without it, a module that has such imports is refused";
    }
    "module", "Which module this is for" => {
        /// BLAKE3 of the file, module or compiled, in lowercase hexadecimal.
        blake3: String, "blake3", REQUIRED, Ty::Hash,
            "BLAKE3 of the file, module or compiled, in hexadecimal; another file is refused";
    }
    "wasi", "What a module may import" => {
        /// The WASI functions a module may import.
        functions: Vec<String>, "functions", REQUIRED, Ty::List(&Ty::Function),
            "A module that imports another WASI function is refused";
    }
    "fs", "Directories and single files the program may reach; none if there is no such table": Ty::Tables(schema::FS) => {}
    "env", "Environment of the program; empty if not given" => {
        /// Variables that are passed on.
        env_pass: Vec<String>, "pass", OPTIONAL, Ty::List(&Ty::Variable),
            "Variables that are passed on; one that is not set is a refusal";
        /// Variables and their values.
        env_set: BTreeMap<String, String>, "set", OPTIONAL, Ty::Variables,
            "Variables and their values";
    }
    "net", "Sockets of the program; none if not given" => {
        /// Where the program listens.
        listen: Vec<SocketAddr>, "listen", OPTIONAL, Ty::List(&Ty::Address),
            "Listening TCP sockets, ADDRESS:PORT; they follow the directories";
        /// Peers whose connections it may accept, `ADDRESS[/BITS]`. `None`: all; an empty list, which no file has: none.
        accept_from: Vec<String>, "accept_from", OPTIONAL, Ty::Networks,
            "Accept from these, ADDRESS[/BITS]; from everywhere if not given";
        /// Where the program may connect to by TCP.
        connect: Vec<ConnectTarget>, "connect", OPTIONAL, Ty::List(&Ty::Connection),
            "TCP connections the program may make, ADDRESS[/BITS]:PORT[-PORT] or HOST:PORT[-PORT]; an address of IPv6 is in brackets";
    }
    "clock", "Clocks" => {
        /// Steps of the clocks.
        clock_resolution: Duration, "resolution" flag "--clock-resolution", REQUIRED, Ty::Time,
            "Clocks move only in steps of this length";
    }
    "random", "Random numbers; those of the kernel if not given" => {
        /// Where random numbers begin, [`MOST_NUMBER`](super::MOST_NUMBER) at most. `None`: with the kernel, or the one sequence of a deterministic run.
        random_seed: u64, "seed" flag "--random-seed", REQUIRED, Ty::Number,
            "They are those of this number, the same in each run, and no secret";
    }
    "limits", "How much the program may use; names as the flags of `wave run`": Ty::Table(&schema::LIMITS) => {}
    "os", "What follows for the kernel layers: written by `wave policy gen`": Ty::Table(schema::OS) => {}
}

impl Key {
    /// Its id, `random.seed` for example.
    pub fn id(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }

    /// Whether the values have it.
    pub fn is_said(&self, values: &Values) -> bool {
        (self.is_said)(values)
    }

    /// Whether both values have it, and the same; or neither has it.
    pub fn is_same(&self, a: &Values, b: &Values) -> bool {
        let [a, b] = [a, b].map(|values| {
            let mut alone = Values::default();
            (self.fill)(&mut alone, values);
            alone
        });
        a == b
    }

    /// Its flag with its value, as it is typed.
    pub fn as_flag(&self, values: &Values) -> String {
        let mut out = Writer::new(&|_| None);
        let written = self.write(values, &mut out).map(|()| out.text());
        let value =
            written.ok().and_then(|text| Some(text.trim_end().rsplit_once(" = ")?.1.trim_matches('"').to_owned()));
        match value.filter(|value| value != "true") {
            Some(value) => format!("{} {value}", self.flag),
            None => self.flag.to_owned(),
        }
    }

    /// Sets it from the file, if the file has it.
    pub(super) fn read(&self, values: &mut Values, root: &DeTable<'_>) {
        let table = match self.section {
            "" => Some(root),
            section => root.get(section).and_then(|value| value.get_ref().as_table()),
        };
        if let Some(value) = table.and_then(|table| table.get(self.name)) {
            (self.read)(values, value.get_ref());
        }
    }

    /// Writes it, if the values have it.
    pub(super) fn write(&self, values: &Values, out: &mut Writer<'_>) -> fmt::Result {
        (self.write)(values, out, self)
    }
}

impl Values {
    /// The settings of a run alone: the keys that have a flag.
    #[must_use]
    pub fn settings(&self) -> Self {
        let mut settings = Self::default();
        KEYS.iter().filter(|key| !key.flag.is_empty()).for_each(|key| (key.fill)(&mut settings, self));
        settings.deterministic = settings.deterministic.filter(|is| *is);
        settings
    }

    /// These values, and those of the others where these have none. The directories are one value.
    #[must_use]
    pub fn over(mut self, under: Self) -> Self {
        KEYS.iter().for_each(|key| (key.fill)(&mut self, &under));
        Self {
            fs: if self.fs.is_empty() { under.fs } else { self.fs },
            limits: self.limits.over(&under.limits),
            os: self.os.or(under.os),
            ..self
        }
    }
}

impl Stored for Level {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.key(key, &quote(self.as_str()))
    }
}

impl Stored for Stub {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.key(key, &quote(self.as_str()))
    }
}

impl Stored for bool {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.key(key, &self.to_string())
    }
}

impl Stored for String {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.key(key, &quote(self))
    }
}

impl Stored for u64 {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        schema::integer(value)
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.key(key, &self.to_string())
    }
}

impl Stored for Duration {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        parse_duration(value.as_str()?).ok()
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.key(key, &quote(Kind::Time.text(self.as_nanos())))
    }
}

impl Stored for Vec<String> {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        let items = value.as_array()?.iter().filter_map(|item| item.get_ref().as_str());
        Some(items.map(str::to_owned).collect())
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.list(key, self)
    }
}

impl Stored for Vec<SocketAddr> {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        let items = value.as_array()?.iter().filter_map(|item| item.get_ref().as_str());
        Some(items.filter_map(|text| text.parse().ok()).collect())
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.list(key, &self.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}

impl Stored for Vec<ConnectTarget> {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        let items = value.as_array()?.iter().filter_map(|item| item.get_ref().as_str());
        Some(items.filter_map(|text| ConnectTarget::parse(text, Protocol::Tcp).ok()).collect())
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.list(key, &self.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}

impl Stored for BTreeMap<String, String> {
    fn read(value: &DeValue<'_>) -> Option<Self> {
        let pairs = value.as_table()?.iter();
        Some(
            pairs
                .filter_map(|(name, value)| Some((name.get_ref().to_string(), String::read(value.get_ref())?)))
                .collect(),
        )
    }

    fn write(&self, out: &mut Writer<'_>, key: &Key) -> fmt::Result {
        out.table(&key.id(), self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::PolicyFile;

    #[test]
    fn settings_are_the_keys_that_have_a_flag() {
        let full = PolicyFile::parse(include_str!("full.toml")).unwrap().values;
        let settings = Values { deterministic: Some(true), ..full }.settings();
        let flags = KEYS.iter().filter(|key| key.is_said(&settings)).map(|key| key.as_flag(&settings));
        assert_eq!(
            flags.collect::<Vec<_>>(),
            ["--cwd /data", "--deterministic", "--unknown-imports trap", "--clock-resolution 1ms", "--random-seed 7"]
        );
        // Not to be deterministic is what a run is anyway.
        let off = Values { deterministic: Some(false), ..Values::default() };
        assert_eq!(off.settings(), Values::default());
        let same = |a: &Values, b: &Values| KEYS.iter().all(|key| key.is_same(a, b));
        assert!(same(&settings, &settings) && !same(&settings, &Values::default()));
    }

    #[test]
    fn each_row_reads_writes_and_fills_its_own_field() {
        let full = PolicyFile::parse(include_str!("full.toml")).unwrap().values;
        for key in KEYS {
            assert!(key.is_said(&full), "{}", key.id());
            let mut one = Values::default();
            (key.fill)(&mut one, &full);
            assert!(KEYS.iter().all(|other| other.is_said(&one) == (other.id() == key.id())), "{}", key.id());
            let text = one.write(None, |_| None).unwrap();
            assert_eq!(PolicyFile::parse(&text).unwrap().values, one, "{text}");
        }
        assert_eq!(Values::default().over(full.clone()), full);
        assert_eq!(full.clone().over(Values::default()), full);
    }
}
