//! What a program may connect to: addresses, or a host by its name.

use crate::connect::ports_of;
use crate::{ConnectGrant, ConnectPorts, Protocol, clean};
use std::fmt;

/// The longest name of a host, without a dot at its end (RFC 1035, 2.3.4).
const MOST_NAME_BYTES: usize = 253;

const MOST_LABEL_BYTES: usize = 63;

/// The name of a host, in lower case and without a dot at its end.
///
/// ```
/// use wave_policy::HostName;
///
/// assert_eq!(HostName::parse("DB.Example.")?.as_str(), "db.example");
/// assert!(HostName::parse("10.0.0.1").is_err() && HostName::parse("bücher.example").is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Parses a name: labels of ASCII letters, digits, `-` and `_`, the last of which is no number, because some would read an address.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("`{}` is no name of a host: {what}", clean(text)));
        let name = text.strip_suffix('.').unwrap_or(text);
        if !name.is_ascii() {
            return wrong("write what is not ASCII in its `xn--` form");
        }
        if name.len() > MOST_NAME_BYTES {
            return wrong("it is longer than 253 bytes");
        }
        let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        for label in name.split('.') {
            match label.len() {
                0 => return wrong("a part of it is empty"),
                1..=MOST_LABEL_BYTES => {}
                _ => return wrong("a part of it is longer than 63 bytes"),
            }
            if !label.bytes().all(is_of_label) {
                return wrong("it has letters, digits, `-`, `_` and dots");
            }
            if label.starts_with('-') || label.ends_with('-') {
                return wrong("a part of it begins or ends with `-`");
            }
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        if is_number(last) {
            return wrong("its last part is a number, as that of an address");
        }
        Ok(Self(name.to_ascii_lowercase()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the C library would read it as a part of an address.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// A host by its name, and the ports there that a program may connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostGrant {
    /// The host.
    pub name: HostName,
    /// The ports and the protocol.
    pub ports: ConnectPorts,
}

/// What a program may connect to.
///
/// ```
/// use wave_policy::{ConnectTarget, Protocol};
///
/// let [address, name] = ["10.0.0.1:80", "DB.example.:5432"].map(|text| ConnectTarget::parse(text, Protocol::Tcp));
/// assert!(matches!(address?, ConnectTarget::Addresses(_)));
/// assert_eq!(name?.to_string(), "db.example:5432");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectTarget {
    /// Addresses.
    Addresses(ConnectGrant),
    /// A host. Which addresses it has is looked up when a run starts.
    Host(HostGrant),
}

impl ConnectTarget {
    /// Parses `ADDRESS[/BITS]:PORT[-PORT]` or `HOST:PORT[-PORT]`.
    ///
    /// # Errors
    /// What is wrong. Text that can mean two things is an error, and so is a grant of nothing (T47).
    pub fn parse(text: &str, protocol: Protocol) -> Result<Self, String> {
        match text.rsplit_once(':') {
            Some((host, ports)) if is_like_a_name(host) => {
                let name = HostName::parse(host)?;
                let (first, last) = ports_of(ports)?;
                Ok(Self::Host(HostGrant { name, ports: ConnectPorts { protocol, first, last } }))
            }
            _ => ConnectGrant::parse(text, protocol).map(Self::Addresses),
        }
    }

    /// The ports and the protocol.
    pub const fn ports(&self) -> ConnectPorts {
        match self {
            Self::Addresses(grant) => grant.ports,
            Self::Host(grant) => grant.ports,
        }
    }

    /// The addresses, if it is some.
    pub const fn addresses(&self) -> Option<&ConnectGrant> {
        match self {
            Self::Addresses(grant) => Some(grant),
            Self::Host(_) => None,
        }
    }

    /// The host, if it is one.
    pub const fn host(&self) -> Option<&HostGrant> {
        match self {
            Self::Addresses(_) => None,
            Self::Host(grant) => Some(grant),
        }
    }

    /// Whether it allows all that the other one allows, whatever names lead to. So no address covers a name, and no name an address.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Addresses(own), Self::Addresses(other)) => own.covers(other),
            (Self::Host(own), Self::Host(other)) => own.name == other.name && own.ports.contain(other.ports),
            _ => false,
        }
    }
}

impl fmt::Display for ConnectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(grant) => grant.fmt(f),
            Self::Host(HostGrant { name, ports }) => {
                write!(f, "{name}:{}", ports.first)?;
                if ports.last == ports.first { Ok(()) } else { write!(f, "-{}", ports.last) }
            }
        }
    }
}

/// Whether it can only be meant as a name: it is no address in any form that somebody reads.
fn is_like_a_name(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    !host.is_empty() && !host.contains(['[', ']', ':', '/']) && !is_number(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> ConnectTarget {
        ConnectTarget::parse(text, Protocol::Tcp).unwrap()
    }

    #[test]
    fn t46_a_name_has_one_form() {
        for (text, form) in [
            ("localhost:80", "localhost:80"),
            ("DB.Example:5432", "db.example:5432"),
            ("db.example.:1-65535", "db.example:1-65535"),
            ("xn--bcher-kva.example:443-443", "xn--bcher-kva.example:443"),
            ("_service.db.example:1", "_service.db.example:1"),
            ("10.example:80", "10.example:80"),
            ("0xcafe.example:80", "0xcafe.example:80"),
        ] {
            assert!(target(text).host().is_some(), "{text}");
            assert_eq!(target(text).to_string(), form);
            assert_eq!(target(form), target(text));
        }
        let long = ["a"; 126].join(".");
        assert_eq!(target(&format!("{long}a:1")).to_string(), format!("{long}a:1"));
    }

    #[test]
    fn t47_what_is_no_name_is_refused() {
        let (label, name) = ("a".repeat(64), ["a"; 128].join("."));
        for (text, what) in [
            ("db.example", "has no port"),
            ("db.example:", "a port is from 1"),
            ("db.example:0", "a port is from 1"),
            ("db.example:90-80", "a port is from 1"),
            (":80", "is neither"),
            (".:80", "is neither"),
            ("..:80", "is neither"),
            ("db..example:80", "a part of it is empty"),
            (".example:80", "a part of it is empty"),
            ("db.example..:80", "is neither"),
            ("*:80", "it has letters"),
            ("*.example:80", "it has letters"),
            ("db example:80", "it has letters"),
            ("user@db.example:80", "it has letters"),
            ("db.example%eth0:80", "it has letters"),
            ("http://db.example:80", "is neither"),
            ("bücher.example:80", "in its `xn--` form"),
            ("db\u{200b}.example:80", "in its `xn--` form"),
            ("-db.example:80", "begins or ends with `-`"),
            ("db-.example:80", "begins or ends with `-`"),
            (&format!("{label}:80"), "longer than 63"),
            (&format!("{name}:80"), "longer than 253"),
            // What inet_aton(3) takes for an address.
            ("127.1:80", "is neither"),
            ("2130706433:80", "is neither"),
            ("0x7f000001:80", "is neither"),
            ("0x7f.1:80", "is neither"),
            ("127.0.0.0x1:80", "is neither"),
            ("127.0.0.1.:80", "is neither"),
            ("db.example/24:80", "is neither"),
            ("[db.example]:80", "is neither"),
        ] {
            let refused = ConnectTarget::parse(text, Protocol::Tcp).unwrap_err();
            assert!(refused.contains(what), "{text}: {refused}");
        }
    }

    #[test]
    fn a_name_covers_itself_and_no_address() {
        let name = target("db.example:80-90");
        assert!(name.covers(&target("DB.example.:85")) && name.covers(&name));
        for other in ["db.example:79-85", "db.example:85-91", "example:85", "a.db.example:85", "192.0.2.1:85"] {
            assert!(!name.covers(&target(other)) && !target(other).covers(&name), "{other}");
        }
        assert!(!name.covers(&ConnectTarget::parse("db.example:85", Protocol::Udp).unwrap()));
    }
}
