//! The table of limits. Each limit is one row. All code that reads, writes, prints or compares limits goes through the rows.
//!
//! A new limit is a row here and the code that enforces it.
//!
//! ```
//! use wave_policy::limits::{LIMITS, Limits};
//!
//! let mut limits = Limits { max_entries: Some(100), ..Limits::default() };
//! let row = LIMITS.iter().find(|limit| limit.name == "max-entries").unwrap();
//! assert_eq!((row.get(&limits), row.default()), (Some(100), None));
//! row.set(&mut limits, Some(7));
//! assert_eq!(limits.max_entries, Some(7));
//! ```

use crate::file::MOST_NUMBER;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Maximum linear memory in bytes: a 32-bit address reaches no further.
pub const MEMORY_BYTES: u64 = 4 << 30;

/// The stack of a program in bytes, by default.
pub const STACK_BYTES: u64 = 8 << 20;

/// The processor time that compiling may take, by default. Reading files that do not end may take as long by the clock.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(120);

/// How much memory compiling may take in bytes, by default.
pub const COMPILE_MEMORY_BYTES: u64 = 4 << 30;

/// One limit.
#[derive(Debug)]
pub struct Limit {
    /// Its key in `[limits]` of a policy, and its flag.
    pub name: &'static str,
    /// What a value is.
    pub kind: Kind,
    /// What it bounds. The description in the schema, and the start of the flag's help.
    pub about: &'static str,
    /// What the flag's help adds to that.
    pub detail: &'static str,
    /// What the program gets at the limit. Part of the flag's help.
    pub at_limit: &'static str,
    /// What a number of it counts, for `--dry-run`. `None` for what has a line of its own there.
    pub counts: Option<&'static str>,
    /// The values that are possible; others are refused.
    pub range: RangeInclusive<u128>,
    /// A value of this size or more is no limit: the default applies.
    pub ceiling: Option<u128>,
    get: fn(&Limits) -> Option<u128>,
    set: fn(&mut Limits, Option<u128>),
}

/// What the value of a limit is. Values of all kinds are numbers of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nanoseconds, written as `5s` or `300ms`.
    Time,
    /// Bytes, written as a number or as `64M`.
    Size,
    /// A number of things, 32 bits.
    Count,
    /// A number of units of fuel, as large as a policy file can have it.
    Units,
}

/// An amount of fuel, which is what operators of WebAssembly cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuel(pub u64);

/// The row that the others complete.
const ROW: Limit = Limit {
    name: "",
    kind: Kind::Count,
    about: "",
    detail: "",
    at_limit: "",
    counts: None,
    range: 0..=u128::MAX,
    ceiling: None,
    get: |_| None,
    set: |_, _| (),
};

/// A value of one of the kinds.
trait Amount: Sized {
    const KIND: Kind;
    fn number(self) -> u128;
    /// `None` if the type cannot represent it.
    fn of(number: u128) -> Option<Self>;
}

impl Amount for Duration {
    const KIND: Kind = Kind::Time;

    fn number(self) -> u128 {
        self.as_nanos()
    }

    fn of(number: u128) -> Option<Self> {
        let seconds = u64::try_from(number / 1_000_000_000).ok()?;
        Some(Self::new(seconds, u32::try_from(number % 1_000_000_000).ok()?))
    }
}

impl Amount for u64 {
    const KIND: Kind = Kind::Size;

    fn number(self) -> u128 {
        self.into()
    }

    fn of(number: u128) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Amount for u32 {
    const KIND: Kind = Kind::Count;

    fn number(self) -> u128 {
        self.into()
    }

    fn of(number: u128) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Amount for Fuel {
    const KIND: Kind = Kind::Units;

    fn number(self) -> u128 {
        self.0.into()
    }

    fn of(number: u128) -> Option<Self> {
        number.try_into().ok().map(Self)
    }
}

macro_rules! limits {
    ($($field:ident: $ty:ty = $default:expr, $name:literal, $about:literal { $($row:tt)* })*) => {
        /// Limits, named as the flags of `wave run`. Sizes are in bytes.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = concat!($about, ".")] pub $field: Option<$ty>,)*
        }

        impl Limits {
            /// The limits of a run that sets none.
            pub const USUAL: Self = Self { $($field: $default,)* };
        }

        /// Every limit, in the order of the schema and of the help.
        pub static LIMITS: &[Limit] = &[$(Limit {
            name: $name,
            kind: <$ty as Amount>::KIND,
            about: $about,
            get: |limits| limits.$field.map(Amount::number),
            set: |limits, number| limits.$field = number.and_then(Amount::of),
            $($row)*
            ..ROW
        }),*];
    };
}

limits! {
    timeout: Duration = None, "timeout", "Stop the program after this time" {
        detail: ": 5s, 300ms, 2m",
        at_limit: "Exit code 124",
    }
    cpu_time: Duration = None, "cpu-time", "Stop the program after this processor time" {
        detail: ", its own and that of its hostcalls",
        at_limit: "Exit code 124",
    }
    fuel: Fuel = None, "fuel", "Stop the program after this many units of fuel" {
        detail: ": an operator of WebAssembly is one unit, whatever time it takes. The same program, input and budget \
                 end at the same place",
        at_limit: "Exit code 124",
        counts: Some("units of fuel"),
        range: 0..=MOST_NUMBER as u128,
    }
    max_memory: u64 = Some(MEMORY_BYTES), "max-memory", "Maximum linear memory" {
        detail: ", of all memories of the module together",
        at_limit: "A module that declares more initially exits with 137; `memory.grow` beyond it fails",
        ceiling: Some(MEMORY_BYTES as u128),
    }
    max_stack: u64 = Some(STACK_BYTES), "max-stack", "Stack of the program" {
        detail: ", of which the last 256 KiB are reserved for hostcalls",
        at_limit: "Beyond: a trap, exit code 134",
        // Half of the smallest stack is reserved for hostcalls. A stack larger than the largest is no limit.
        range: 512 << 10..=4 << 30,
    }
    max_rss: u64 = None, "max-rss", "Maximum memory of the whole process, as a control group counts it" {
        detail: ": the compiler, the heap of wave and cached files are in it",
        at_limit: "Exit code 137. Without a control group of its own, a run gets RLIMIT_DATA instead, and says so",
        // More than any machine has; the numbers of the kernel have a sign.
        range: 1..=1 << 60,
    }
    compile_timeout: Duration = Some(COMPILE_TIMEOUT), "compile-timeout", "Stop compiling after this processor time" {
        detail: ", of all threads together",
        at_limit: "Exit code 125. Not with `--sandbox off`",
    }
    compile_memory: u64 = Some(COMPILE_MEMORY_BYTES), "compile-memory", "Maximum memory for compiling" {
        detail: ", the module itself included",
        at_limit: "Beyond: exit code 125. Not with `--sandbox off`",
    }
    max_open_files: u32 = Some(1024), "max-open-files", "Maximum number of open descriptors" {
        detail: ", up to the host's own limit (ulimit -Hn)",
        at_limit: "Beyond: EMFILE",
        counts: Some("open files"),
    }
    max_file_size: u64 = None, "max-file-size", "Maximum size of a file" {
        at_limit: "Beyond: EFBIG",
        counts: Some("bytes in a file"),
    }
    max_writes: u64 = None, "max-writes", "Maximum bytes written to files, in total" {
        detail: "; each new name counts as 4K plus its length",
        at_limit: "Beyond: a short write, then ENOSPC",
        counts: Some("bytes written to files"),
    }
    max_entries: u32 = None, "max-entries", "Maximum number of new files, directories and links, in total" {
        at_limit: "Beyond: ENOSPC",
        counts: Some("new names"),
    }
    max_output: u64 = None, "max-output", "Maximum bytes written to standard output and error, in total" {
        detail: "; as many again may be printed about the program",
        at_limit: "Beyond: a short write, then ENOSPC",
        counts: Some("bytes of output"),
    }
    max_call_bytes: u64 = None, "max-call-bytes", "Maximum bytes that one call reads or writes" {
        detail: ", at least 1",
        at_limit: "more is a short count, or E2BIG for random bytes and directory listings",
        counts: Some("bytes in a call"),
        // A call moves no more than a guest can name.
        ceiling: Some(u32::MAX as u128),
    }
    max_iovecs: u32 = Some(1024), "max-iovecs", "Maximum buffers of one call" {
        detail: ", 1 to 1024 (the kernel's limit)",
        at_limit: "more is a short count",
        counts: Some("buffers in a call"),
    }
    max_subscriptions: u32 = Some(4096), "max-subscriptions", "Maximum subscriptions of one poll" {
        at_limit: "Beyond: EINVAL",
        counts: Some("subscriptions in a poll"),
    }
    max_connections: u32 = Some(4096), "max-connections", "Maximum number of connections that the program makes, in total" {
        at_limit: "Beyond: EMFILE",
        counts: Some("connections"),
    }
}

impl Limit {
    /// Its value, in the unit of its kind. `None` if it is not set.
    pub fn get(&self, limits: &Limits) -> Option<u128> {
        (self.get)(limits)
    }

    /// Sets its value, in the unit of its kind. A value that its type cannot represent is no limit.
    pub fn set(&self, limits: &mut Limits, value: Option<u128>) {
        (self.set)(limits, value);
    }

    /// Its default. `None`: no limit.
    pub fn default(&self) -> Option<u128> {
        self.get(&Limits::USUAL)
    }

    /// The help of its flag.
    pub fn help(&self) -> String {
        // What continues the sentence starts with a small letter.
        let joint = if self.at_limit.starts_with(char::is_lowercase) { "; " } else { ". " };
        // A default that is the ceiling too is no limit that anybody set.
        let default = self.default().filter(|_| self.ceiling.is_none());
        let default = default.map_or_else(String::new, |value| format!(" [default: {}]", self.kind.text(value)));
        format!("{}{}{joint}{}{default}", self.about, self.detail, self.at_limit)
    }
}

impl Kind {
    /// Reads a value as it is typed: `64M`, `5s`, `1024`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(self, text: &str) -> Result<u128, String> {
        match self {
            Self::Time => crate::parse_duration(text).map(Amount::number),
            Self::Size => crate::parse_size(text).map(Amount::number),
            Self::Count => text.parse::<u32>().map(Amount::number).map_err(|error| error.to_string()),
            Self::Units => text.parse::<u64>().map(Amount::number).map_err(|error| error.to_string()),
        }
    }

    /// A value as it is typed, in the largest unit that leaves no rest.
    pub fn text(self, value: u128) -> String {
        let units: &[(&str, u128)] = match self {
            Self::Time => &[
                ("h", 3_600_000_000_000),
                ("m", 60_000_000_000),
                ("s", 1_000_000_000),
                ("ms", 1_000_000),
                ("us", 1_000),
                ("ns", 1),
            ],
            Self::Size => &[("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)],
            Self::Count | Self::Units => &[],
        };
        let (unit, length) = match units.iter().find(|(_, length)| value > 0 && value.is_multiple_of(*length)) {
            Some((unit, length)) => (*unit, *length),
            None => (units.last().filter(|(_, length)| *length == 1).map_or("", |(unit, _)| *unit), 1),
        };
        format!("{}{unit}", value / length)
    }
}

/// The table of all limits, as `docs/cli.md` has it.
pub fn limits_markdown() -> String {
    let row = |limit: &Limit| {
        let default = limit.default().map_or_else(|| "none".to_owned(), |value| limit.kind.text(value));
        let Limit { name, about, detail, at_limit, .. } = limit;
        format!("| {about}{detail} | `--{name}` | {default} | {at_limit} |\n")
    };
    LIMITS
        .iter()
        .map(row)
        .fold("| limit | flag | default | at the limit |\n|---|---|---|---|\n".to_owned(), |all, row| all + &row)
}

/// A limit has a value that is not possible.
#[derive(Debug)]
pub struct Impossible {
    /// The limit.
    pub limit: &'static Limit,
    /// Its value.
    pub value: u128,
}

impl Impossible {
    /// What to choose instead.
    pub fn fix(&self) -> String {
        let [least, most] = [self.limit.range.start(), self.limit.range.end()].map(|end| self.limit.kind.text(*end));
        format!("choose between {least} and {most}")
    }
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} of {} is not possible", self.limit.name, self.limit.kind.text(self.value))
    }
}

impl Limits {
    /// These limits, and where there is none, that of the others.
    #[must_use]
    pub fn over(&self, under: &Self) -> Self {
        self.with(|limit| limit.get(self).or_else(|| limit.get(under)))
    }

    /// The limits a run has with these: the usual ones where there is none, and none that exceeds what is possible at all.
    #[must_use]
    pub fn in_force(&self) -> Self {
        self.with(|limit| {
            let within = |value: &u128| limit.ceiling.is_none_or(|ceiling| *value < ceiling);
            limit.get(self).filter(within).or_else(|| limit.default())
        })
    }

    /// Those that are not what a run has anyway.
    #[must_use]
    pub fn chosen(&self) -> Self {
        let own = self.in_force();
        self.with(|limit| limit.get(&own).filter(|value| Some(*value) != limit.default()))
    }

    /// Maximum linear memory in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.max_memory.unwrap_or(MEMORY_BYTES).min(MEMORY_BYTES)
    }

    /// The stack of the program in bytes.
    pub fn stack_bytes(&self) -> u64 {
        self.max_stack.unwrap_or(STACK_BYTES)
    }

    /// How long compiling may take.
    pub fn compile_timeout(&self) -> Duration {
        self.compile_timeout.unwrap_or(COMPILE_TIMEOUT)
    }

    /// How much memory compiling may take in bytes.
    pub fn compile_memory_bytes(&self) -> u64 {
        self.compile_memory.unwrap_or(COMPILE_MEMORY_BYTES)
    }

    /// The first limit with a value that is not possible.
    pub fn impossible(&self) -> Option<Impossible> {
        LIMITS.iter().find_map(|limit| {
            let value = limit.get(self).filter(|value| !limit.range.contains(value))?;
            Some(Impossible { limit, value })
        })
    }

    /// Each limit by its name, in the unit of its kind.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, Option<u128>)> {
        LIMITS.iter().map(|limit| (limit.name, limit.get(self)))
    }

    /// The names of those that are larger than the limit the others have.
    pub fn beyond(&self, others: &Self) -> Vec<&'static str> {
        let is_larger = |limit: &&Limit| limit.get(self).zip(limit.get(others)).is_some_and(|(own, other)| own > other);
        LIMITS.iter().filter(is_larger).map(|limit| limit.name).collect()
    }

    /// The limits there are, by their names, as they are typed: times first.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let (times, others): (Vec<&Limit>, Vec<_>) = LIMITS.iter().partition(|limit| limit.kind == Kind::Time);
        let row = |limit: &Limit| Some((limit.name, limit.kind.text(limit.get(self)?)));
        times.into_iter().chain(others).filter_map(row).collect()
    }

    fn with(&self, value: impl Fn(&Limit) -> Option<u128>) -> Self {
        let mut limits = self.clone();
        LIMITS.iter().for_each(|limit| limit.set(&mut limits, value(limit)));
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_about_its_own_field() {
        let mut limits = Limits::default();
        for (index, limit) in (1_u128..).zip(LIMITS) {
            limit.set(&mut limits, Some(index));
        }
        assert!((1_u128..).zip(LIMITS).all(|(index, limit)| limit.get(&limits) == Some(index)));
        // The derived text names the fields in the order of the rows.
        let fields = format!("{limits:?}");
        let names: Vec<_> = LIMITS.iter().map(|limit| limit.name.replace('-', "_")).collect();
        let mut rest = fields.as_str();
        for name in names {
            let at = rest.find(&format!(" {name}: ")).unwrap_or_else(|| panic!("{name} in {rest}"));
            rest = &rest[at + 1..];
        }
    }

    #[test]
    fn defaults_are_possible_and_no_name_is_there_twice() {
        assert!(Limits::USUAL.impossible().is_none());
        assert_eq!(Limits::USUAL.in_force(), Limits::USUAL);
        assert_eq!(Limits::USUAL.chosen(), Limits::default());
        for (index, limit) in LIMITS.iter().enumerate() {
            assert!(LIMITS.iter().skip(index + 1).all(|other| other.name != limit.name), "{}", limit.name);
            assert!(!limit.about.is_empty() && !limit.at_limit.is_empty(), "{}", limit.name);
        }
    }

    #[test]
    fn the_reference_in_the_tree_is_the_one_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
        let text = std::fs::read_to_string(path).unwrap();
        let start = text.find("| limit | flag |").unwrap();
        let end = start + text[start..].find("\n\n").unwrap() + 1;
        if std::env::var_os("WAVE_BLESS").is_some() {
            std::fs::write(path, format!("{}{}{}", &text[..start], limits_markdown(), &text[end..])).unwrap();
        } else {
            assert_eq!(text[start..end], limits_markdown(), "WAVE_BLESS=1 writes it");
        }
    }

    #[test]
    fn a_value_reads_back_as_it_is_written() {
        for kind in [Kind::Time, Kind::Size, Kind::Count, Kind::Units] {
            for value in [1, 999, 1000, 1024, 60_000_000, 1 << 20, 3 << 30] {
                assert_eq!(kind.parse(&kind.text(value)), Ok(value), "{kind:?} {value}");
            }
        }
        assert_eq!([Kind::Time, Kind::Size, Kind::Count].map(|kind| kind.text(0)), ["0ns", "0", "0"]);
        assert_eq!(Kind::Size.text(u64::MAX.into()), u64::MAX.to_string());
        assert!(Kind::Count.parse("4294967296").is_err());
        assert_eq!(Kind::Units.parse("4294967296"), Ok(1 << 32));
    }

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        let stack = |bytes| Limits { max_stack: Some(bytes), ..Limits::default() }.impossible();
        assert!(stack(512 << 10).is_none() && stack(4 << 30).is_none());
        for bytes in [0, (512 << 10) - 1, (4 << 30) + 1] {
            assert_eq!(stack(bytes).map(|impossible| impossible.fix()), Some("choose between 512K and 4G".to_owned()));
        }
    }
}
