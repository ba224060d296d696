//! The closed schema: what each key of a policy file may hold, and what it is for.
//!
//! The reader, its messages and the JSON Schema all follow from the tables of keys.

use super::keys::ROOT;
use super::problem::{nearest, shown};
use crate::limits::{self, Kind};
use crate::{Access, ConnectTarget, Level, Protocol, Resolver, Stub, all_functions, parse_duration, parse_size};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use toml::de::DeValue;

/// The version of the format that this build reads.
pub(crate) const VERSION: u64 = 1;

/// The largest seed of random numbers, and amount of fuel: what every reader of TOML takes for a number.
pub const MOST_NUMBER: u64 = i64::MAX as u64;

/// The kernel takes no longer path: `PATH_MAX`, less the zero at its end.
const MOST_PATH_BYTES: usize = 4095;

/// One key.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) ty: Ty,
    pub(crate) required: bool,
}

/// What a key may hold.
pub(crate) enum Ty {
    Version,
    Bool,
    /// Text without NUL, which no argument, variable or path can hold.
    Text,
    /// Like text, and not empty.
    Path,
    Word(&'static [&'static str]),
    Size,
    Time,
    Count,
    /// A number up to [`MOST_NUMBER`].
    Number,
    Hash,
    Address,
    Connection,
    Network,
    /// Name of an environment variable.
    Variable,
    Function,
    List(&'static Ty),
    /// Networks. An empty list is refused: it would not be clear whether it means all peers or none.
    Networks,
    /// A table with these keys and no others.
    Table(&'static [Field]),
    /// An array of such tables.
    Tables(&'static [Field]),
    /// A table whose keys are names of variables.
    Variables,
    /// A table whose keys are ids of rules.
    Rules,
}

const fn field(name: &'static str, ty: Ty, about: &'static str) -> Field {
    Field { name, about, ty, required: false }
}

const fn required(name: &'static str, ty: Ty, about: &'static str) -> Field {
    Field { name, about, ty, required: true }
}

const ACCESS: &[&str] = &[Access::ReadOnly.as_str(), Access::ReadWrite.as_str(), Access::Append.as_str()];
const RESOLVER: &[&str] = &[Resolver::Kernel.as_str(), Resolver::Manual.as_str()];
pub(super) const STUB: &[&str] = &[Stub::Trap.as_str(), Stub::Zero.as_str()];
pub(super) const LEVEL: &[&str] = &[Level::Strict.as_str(), Level::Standard.as_str(), Level::Off.as_str()];

pub(super) const VERSION_KEY: Field = required("version", Ty::Version, "Version of the format");
pub(super) const EXTENDS_KEY: Field =
    field("extends", Ty::Word(&["compute", "cli", "server"]), "Built-in profile; a key of this file replaces its key");

pub(super) static FS: &[Field] = &[
    required("host", Ty::Path, "Directory or file on the host; a relative path starts where this file is"),
    field("guest", Ty::Path, "What the program calls it; as `host` is written if not given"),
    required("access", Ty::Word(ACCESS), "What may be done there"),
];

/// The keys of `[limits]`.
pub(crate) static LIMITS: [Field; limits::LIMITS.len()] = {
    let mut fields = [const { field("", Ty::Count, "") }; limits::LIMITS.len()];
    let mut index = 0;
    while index < fields.len() {
        let limit = &limits::LIMITS[index];
        let ty = match limit.kind {
            Kind::Time => Ty::Time,
            Kind::Size => Ty::Size,
            Kind::Count => Ty::Count,
            Kind::Units => Ty::Number,
        };
        fields[index] = field(limit.name, ty, limit.about);
        index += 1;
    }
    fields
};

pub(super) static OS: &[Field] = &[
    required("resolver", Ty::Word(RESOLVER), "Who resolves paths: manual on kernels before 6.2"),
    field("always", Ty::Rules, "System calls of every run of this module"),
    field("grant", Ty::Rules, "System calls that come with a directory"),
    field("writable_grant", Ty::Rules, "System calls that come with a directory that may change"),
    field("listener", Ty::Rules, "System calls that come with a listening socket"),
    field("connection", Ty::Rules, "System calls that come with a connection that the program may make"),
    field("landlock", Ty::Table(LANDLOCK), "Landlock rights of a directory, by its access"),
];

static LANDLOCK: &[Field] = &[
    field("ro", Ty::List(&Ty::Text), "Rights with `ro`"),
    field("append", Ty::List(&Ty::Text), "Rights with `append`"),
    field("rw", Ty::List(&Ty::Text), "Rights with `rw`"),
];

/// What is wrong with a value, and what to write.
pub(crate) type Wrong = (String, Fix);

/// What to write. To find the nearest name takes longer than to read a value, so it is looked for only if it is printed.
pub(crate) enum Fix {
    /// This.
    Text(String),
    /// The key that is nearest to this one.
    Key(String, &'static [Field]),
    /// The word that is nearest to this one.
    Word(String, &'static [&'static str]),
    /// The WASI function that is nearest to this one.
    Function(String),
}

impl Fix {
    /// In words.
    pub(crate) fn in_words(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Key(name, fields) => match nearest(&name, fields.iter().map(|field| field.name)) {
                Some(near) => format!("write `{near}`"),
                None => {
                    let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
                    format!("the keys here are {}", names.join(", "))
                }
            },
            Self::Word(text, words) => match nearest(&text, words.iter().copied()) {
                Some(near) => format!("write \"{near}\""),
                None => format!("write one of \"{}\"", words.join("\", \"")),
            },
            Self::Function(text) => match nearest(&text, all_functions().iter().map(|function| function.name)) {
                Some(near) => format!("write \"{near}\""),
                None => "`docs/syscalls.md` lists them".to_owned(),
            },
        }
    }
}

impl<T: Into<String>> From<T> for Fix {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl Ty {
    /// What one writes for it.
    fn expected(&self) -> String {
        match self {
            Self::Version => format!("the number {VERSION}"),
            Self::Bool => "true or false".into(),
            Self::Text => "text in quotes".into(),
            Self::Path => format!("a path in quotes, of {MOST_PATH_BYTES} bytes at most"),
            Self::Word(words) => format!("one of \"{}\"", words.join("\", \"")),
            Self::Size => "a size such as \"64M\", or a number of bytes".into(),
            Self::Time => "a time such as \"5s\" or \"300ms\"".into(),
            Self::Count => "a number from 0 to 4294967295".into(),
            Self::Number => format!("a number from 0 to {MOST_NUMBER}"),
            Self::Hash => "64 hexadecimal digits in quotes".into(),
            Self::Address => "an address with a port such as \"127.0.0.1:8080\"".into(),
            Self::Connection => {
                "a network or a host with ports, such as \"192.0.2.0/24:443\" or \"db.example:5432\"".into()
            }
            Self::Network => "an address or network such as \"10.0.0.0/8\"".into(),
            Self::Variable => "the name of a variable in quotes".into(),
            Self::Function => "the name of a WASI function in quotes".into(),
            Self::List(_) | Self::Networks => "a list in brackets".into(),
            Self::Table(_) | Self::Variables | Self::Rules => "a table".into(),
            Self::Tables(_) => "tables with a heading in two brackets, such as [[fs]]".into(),
        }
    }

    /// The message for a value of another kind.
    pub(crate) fn unexpected(&self, found: &DeValue<'_>) -> Wrong {
        (format!("{} is not what belongs here", kind(found)), format!("write {}", self.expected()).into())
    }

    /// Checks a single value; lists and tables are their reader's business.
    pub(crate) fn check(&self, value: &DeValue<'_>) -> Result<(), Wrong> {
        if let (Self::Version | Self::Size | Self::Count | Self::Number, Some(number)) = (self, integer(value)) {
            return match self {
                Self::Version if number != VERSION => Err((
                    format!("version {number} of the format is unknown"),
                    format!("write version = {VERSION}, or use a newer wave").into(),
                )),
                Self::Count if u32::try_from(number).is_err() => Err(self.unexpected(value)),
                Self::Number if number > MOST_NUMBER => Err(self.unexpected(value)),
                _ => Ok(()),
            };
        }
        if let (Self::Bool, DeValue::Boolean(_)) = (self, value) {
            return Ok(());
        }
        let text = value.as_str().filter(|_| self.is_text());
        let Some(text) = text else { return Err(self.unexpected(value)) };
        self.check_text(text).map_err(|what| match what {
            Some((what, fix)) => (what, fix),
            None => {
                (format!("`{}` is not what belongs here", shown(text)), format!("write {}", self.expected()).into())
            }
        })
    }

    const fn is_text(&self) -> bool {
        match self {
            Self::Version | Self::Bool | Self::Count | Self::Number | Self::List(_) | Self::Networks => false,
            Self::Table(_) | Self::Tables(_) | Self::Variables | Self::Rules => false,
            Self::Text | Self::Path | Self::Word(_) | Self::Size | Self::Time | Self::Hash => true,
            Self::Address | Self::Connection | Self::Network | Self::Variable | Self::Function => true,
        }
    }

    fn check_text(&self, text: &str) -> Result<(), Option<Wrong>> {
        let holds = match self {
            Self::Text => !text.contains('\0'),
            Self::Path => !text.is_empty() && text.len() <= MOST_PATH_BYTES && !text.contains('\0'),
            Self::Size => parse_size(text).is_ok(),
            Self::Time => parse_duration(text).is_ok(),
            Self::Hash => is_hash(text),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Network => is_network(text),
            Self::Connection => {
                let expected = || format!("write {}", self.expected()).into();
                return ConnectTarget::parse(text, Protocol::Tcp).map(drop).map_err(|what| Some((what, expected())));
            }
            Self::Variable => is_variable(text),
            Self::Word(words) => {
                let unknown = || (format!("unknown word `{}`", shown(text)), Fix::Word(text.to_owned(), words));
                return if words.contains(&text) { Ok(()) } else { Err(Some(unknown())) };
            }
            Self::Function => {
                let is_known = all_functions().iter().any(|function| function.name == text);
                let unknown = || (format!("unknown WASI function `{}`", shown(text)), Fix::Function(text.to_owned()));
                return if is_known { Ok(()) } else { Err(Some(unknown())) };
            }
            _ => false,
        };
        if holds { Ok(()) } else { Err(None) }
    }

    fn schema(&self) -> Value {
        match self {
            Self::Version => json!({"const": VERSION}),
            Self::Bool => json!({"type": "boolean"}),
            Self::Text => json!({"type": "string"}),
            Self::Path => json!({"type": "string", "minLength": 1, "maxLength": MOST_PATH_BYTES}),
            Self::Word(words) => json!({"enum": words}),
            Self::Size => json!({"anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": "^[0-9]+([KkMmGg]([Ii]?[Bb])?)?$"}
            ]}),
            Self::Time => json!({"type": "string", "pattern": "^[0-9.]+(ns|us|ms|s|m|h)?$"}),
            Self::Count => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
            Self::Number => json!({"type": "integer", "minimum": 0, "maximum": MOST_NUMBER}),
            Self::Hash => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
            Self::Address => json!({"type": "string", "pattern": ":[0-9]+$"}),
            Self::Connection => json!({
                "type": "string", "pattern": "^(([0-9.]+|\\[[0-9a-fA-F.:]+\\])(/[0-9]+)?|[0-9A-Za-z_.-]+):[0-9]+(-[0-9]+)?$"
            }),
            Self::Network => json!({"type": "string", "pattern": "^[0-9a-fA-F.:]+(/[0-9]+)?$"}),
            Self::Variable => json!({"type": "string", "pattern": "^[^=]+$"}),
            Self::Function => {
                json!({"enum": all_functions().iter().map(|function| function.name).collect::<Vec<_>>()})
            }
            Self::List(ty) => json!({"type": "array", "items": ty.schema()}),
            Self::Networks => json!({"type": "array", "items": Self::Network.schema(), "minItems": 1}),
            Self::Table(fields) => object(fields),
            Self::Tables(fields) => json!({"type": "array", "items": object(fields)}),
            Self::Variables => json!({
                "type": "object",
                "propertyNames": {"pattern": "^[^=]+$"},
                "additionalProperties": {"type": "string"}
            }),
            Self::Rules => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        }
    }
}

pub(crate) fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "this number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let width = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| {
        bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|b| b <= width)
    })
}

/// The format as JSON Schema, for editors.
pub fn json_schema() -> String {
    let mut schema = object(ROOT);
    if let Some(map) = schema.as_object_mut() {
        map.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".into(), json!("Policy of wave"));
    }
    format!("{schema:#}\n")
}

fn object(fields: &[Field]) -> Value {
    let described = |field: &Field| {
        let mut value = field.ty.schema();
        if let Some(map) = value.as_object_mut() {
            map.insert("description".into(), json!(field.about));
        }
        (field.name.to_owned(), value)
    };
    let required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": fields.iter().map(described).collect::<serde_json::Map<_, _>>()
    })
}
