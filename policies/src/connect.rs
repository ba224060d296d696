//! What a program may connect to, as it is typed.

use crate::{ConnectPorts, Protocol, clean};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A network and the ports there that a program may connect to.
///
/// ```
/// use wave_policy::{ConnectGrant, Protocol};
///
/// let grant = ConnectGrant::parse("10.1.0.0/16:5432", Protocol::Tcp)?;
/// assert_eq!((grant.prefix_bits, grant.ports.first), (96 + 16, 5432));
/// assert_eq!(grant.to_string(), "10.1.0.0/16:5432");
/// assert!(ConnectGrant::parse("10.1.0.0:5432", Protocol::Tcp).is_ok());
/// assert!(ConnectGrant::parse("10.1.0.1/16:5432", Protocol::Tcp).is_err());
/// assert!(ConnectGrant::parse("10.1.0.0/16", Protocol::Tcp).is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectGrant {
    /// The first address, one of IPv4 as `::ffff:a.b.c.d`.
    pub network: Ipv6Addr,
    /// How many bits the addresses have in common, 96 more for a network of IPv4.
    pub prefix_bits: u8,
    /// The ports and the protocol.
    pub ports: ConnectPorts,
}

impl ConnectGrant {
    /// Parses `ADDRESS[/BITS]:PORT[-PORT]`. An address of IPv6 is in brackets.
    ///
    /// # Errors
    /// What is wrong. Text that can mean two things is an error, and so is a grant of nothing (T47).
    pub fn parse(text: &str, protocol: Protocol) -> Result<Self, String> {
        let (network, ports) = text
            .rsplit_once(':')
            .filter(|(network, _)| !network.starts_with('[') || network.contains(']'))
            .ok_or_else(|| format!("`{}` has no port", clean(text)))?;
        let (address, bits) = network.split_once('/').map_or((network, None), |(address, bits)| (address, Some(bits)));
        let address = parse_address(address)?;
        let (network, prefix_bits) = network_of(address, bits, text)?;
        if prefix_bits == 128 && address.is_unspecified() {
            return Err(format!("`{address}` is no address of a host; `/0` after it means all addresses"));
        }
        let (first, last) = ports_of(ports)?;
        Ok(Self { network, prefix_bits, ports: ConnectPorts { protocol, first, last } })
    }

    /// Whether it allows all that the other one allows. A wide network allows nothing of a special range, such as a private network, that
    /// lies inside it.
    ///
    /// ```
    /// use wave_policy::{ConnectGrant, Protocol};
    ///
    /// let [wide, public, private] = ["0.0.0.0/0:443", "11.0.0.0/8:443", "10.0.0.0/8:443"]
    ///     .map(|text| ConnectGrant::parse(text, Protocol::Tcp).unwrap());
    /// assert!(wide.covers(&public) && !wide.covers(&private) && !public.covers(&wide));
    /// ```
    pub fn covers(&self, other: &Self) -> bool {
        let special =
            SPECIAL.iter().filter(|(first, bits)| other.prefix_bits >= *bits && other.starts_with(*first, *bits));
        self.ports.contain(other.ports)
            && other.prefix_bits >= self.prefix_bits
            && other.starts_with(self.network.to_bits(), self.prefix_bits)
            && special.map(|(_, bits)| *bits).max().is_none_or(|bits| self.prefix_bits >= bits)
    }

    /// The addresses alone, as [`parse_network`] reads them.
    pub fn addresses(&self) -> String {
        match (self.network.to_ipv4_mapped(), self.prefix_bits.checked_sub(96)) {
            (Some(address), Some(bits)) => format!("{address}/{bits}"),
            _ => format!("{}/{}", self.network, self.prefix_bits),
        }
    }

    fn starts_with(&self, first: u128, bits: u8) -> bool {
        (self.network.to_bits() ^ first) & !behind(bits) == 0
    }
}

/// The ranges of which a wider network allows nothing, by their first address and their bits. They are the monitor's, which a test of the
/// engine compares with these.
const SPECIAL: [(u128, u8); 25] = [
    (0xffff_0000_0000, 104),     // 0.0.0.0/8
    (0xffff_0a00_0000, 104),     // 10.0.0.0/8
    (0xffff_6440_0000, 106),     // 100.64.0.0/10
    (0xffff_7f00_0000, 104),     // 127.0.0.0/8
    (0xffff_a83f_8110, 128),     // 168.63.129.16
    (0xffff_a9fe_0000, 112),     // 169.254.0.0/16
    (0xffff_ac10_0000, 108),     // 172.16.0.0/12
    (0xffff_c000_0000, 120),     // 192.0.0.0/24
    (0xffff_c0a8_0000, 112),     // 192.168.0.0/16
    (0xffff_c612_0000, 111),     // 198.18.0.0/15
    (0xffff_e000_0000, 100),     // 224.0.0.0/4
    (0xffff_f000_0000, 100),     // 240.0.0.0/4
    (0xffff_ffff_ffff, 128),     // 255.255.255.255
    (0xffff_0000_0000, 96),      // all of IPv4
    (1, 128),                    // ::1
    (0, 96),                     // ::/96
    (0xffff_0000_0000_0000, 96), // ::ffff:0:0:0/96
    (0, 8),                      // ::/8
    (0x64_ff9b_0001 << 80, 48),  // 64:ff9b:1::/48
    (0x0100 << 112, 64),         // 100::/64
    (0x2001 << 112, 23),         // 2001::/23
    (0xfc00 << 112, 7),          // fc00::/7
    (0xfe80 << 112, 10),         // fe80::/10
    (0xfec0 << 112, 10),         // fec0::/10
    (0xff00 << 112, 8),          // ff00::/8
];

/// Parses `ADDRESS[/BITS]`, an address of IPv6 without brackets. Returns the first address, one of IPv4 as `::ffff:a.b.c.d`, and how many
/// bits the addresses have in common, 96 more for a network of IPv4.
///
/// # Errors
/// What is wrong. Text that can mean two things is an error (T47).
pub fn parse_network(text: &str) -> Result<(Ipv6Addr, u8), String> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address = address.parse().map_err(|_| format!("`{}` is not an IPv4 or IPv6 address", clean(address)))?;
    network_of(address, bits, text)
}

/// The first and the last of `PORT[-PORT]`.
pub(crate) fn ports_of(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = number(first).zip(number(last)).filter(|(first, last)| (1..=*last).contains(first));
    ports.ok_or_else(|| "a port is from 1 to 65535, and the first of a range is not above the last".to_owned())
}

fn network_of(address: IpAddr, bits: Option<&str>, text: &str) -> Result<(Ipv6Addr, u8), String> {
    let (network, offset, width) = match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), 96, 32),
        IpAddr::V6(address) => (address, 0, 128),
    };
    let bits = bits.map_or(Some(width), number).filter(|bits| *bits <= width);
    let bits = bits.ok_or_else(|| format!("the number of bits must be from 0 to {width}"))?;
    let prefix_bits = offset + bits;
    if network.to_bits() & behind(prefix_bits) != 0 {
        return Err(format!("`{}` has bits set after the first {bits}", clean(text)));
    }
    Ok((network, prefix_bits))
}

/// The bits of an address after the first ones.
fn behind(prefix_bits: u8) -> u128 {
    u128::MAX.checked_shr(prefix_bits.into()).unwrap_or(0)
}

/// The form that is parsed, without what says nothing.
impl fmt::Display for ConnectGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.network.to_ipv4_mapped(), self.prefix_bits.checked_sub(96)) {
            (Some(address), Some(32)) => write!(f, "{address}")?,
            (Some(address), Some(bits)) => write!(f, "{address}/{bits}")?,
            _ if self.prefix_bits == 128 => write!(f, "[{}]", self.network)?,
            _ => write!(f, "[{}]/{}", self.network, self.prefix_bits)?,
        }
        let ConnectPorts { first, last, .. } = self.ports;
        if first == last { write!(f, ":{first}") } else { write!(f, ":{first}-{last}") }
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    let address = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(text) => text.parse().map(IpAddr::V6).ok(),
        None => text.parse().map(IpAddr::V4).ok(),
    };
    address.ok_or_else(|| match text.parse::<Ipv6Addr>() {
        Ok(_) => format!("an address of IPv6 is in brackets: `[{}]`", clean(text)),
        Err(_) => format!("`{}` is neither an IPv4 address nor an IPv6 address in brackets", clean(text)),
    })
}

/// Digits alone: neither a sign nor zeros in front, which some read as octal.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_reads_back_as_it_is_written() {
        for text in [
            "10.0.0.1:80",
            "10.0.0.0/8:80-90",
            "0.0.0.0/0:443",
            "0.0.0.0/1:443",
            "255.255.255.255:1-65535",
            "[::1]:80",
            "[::]/0:443",
            "[2001:db8::]/32:1-2",
            "[64:ff9b::]/96:53",
        ] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let grant = ConnectGrant::parse(text, protocol).unwrap();
                assert_eq!((grant.to_string().as_str(), grant.ports.protocol), (text, protocol));
            }
        }
        let short = [
            ("10.0.0.1/32:80-80", "10.0.0.1:80"),
            ("[::1]/128:1", "[::1]:1"),
            ("[::ffff:10.0.0.0]/104:1", "10.0.0.0/8:1"),
            ("[::ffff:10.0.0.1]:1", "10.0.0.1:1"),
        ];
        for (long, short) in short {
            assert_eq!(ConnectGrant::parse(long, Protocol::Tcp).unwrap().to_string(), short);
        }
    }

    #[test]
    fn t47_what_can_mean_two_things_or_nothing_is_refused() {
        for (text, what) in [
            ("", "`` has no port"),
            ("10.0.0.1", "`10.0.0.1` has no port"),
            ("10.0.0.0/8", "`10.0.0.0/8` has no port"),
            ("[::1]", "`[::1]` has no port"),
            ("::1", "is neither"),
            ("::1:80", "an address of IPv6 is in brackets: `[::1]`"),
            ("::/0:80", "an address of IPv6 is in brackets: `[::]`"),
            ("[::1/128]:80", "is neither"),
            ("[10.0.0.1]:80", "is neither"),
            ("[fe80::1%eth0]:80", "is neither"),
            ("host:80", "`host` is neither"),
            ("*:80", "is neither"),
            (":80", "is neither"),
            ("10.0.0:80", "is neither"),
            ("010.0.0.1:80", "is neither"),
            (" 10.0.0.1:80", "is neither"),
            ("10.0.0.1/8:80", "has bits set after the first 8"),
            ("[2001:db8::1]/32:80", "has bits set after the first 32"),
            ("10.0.0.0/33:80", "from 0 to 32"),
            ("10.0.0.0/:80", "from 0 to 32"),
            ("10.0.0.0/+8:80", "from 0 to 32"),
            ("10.0.0.0/08:80", "from 0 to 32"),
            ("[::]/129:80", "from 0 to 128"),
            ("0.0.0.0:80", "`0.0.0.0` is no address of a host"),
            ("[::]:80", "`::` is no address of a host"),
            ("10.0.0.1:", "a port is from 1"),
            ("10.0.0.1:0", "a port is from 1"),
            ("10.0.0.1:0-80", "a port is from 1"),
            ("10.0.0.1:080", "a port is from 1"),
            ("10.0.0.1:+80", "a port is from 1"),
            ("10.0.0.1:65536", "a port is from 1"),
            ("10.0.0.1:81-80", "a port is from 1"),
            ("10.0.0.1:80-", "a port is from 1"),
            ("10.0.0.1:80-81-82", "a port is from 1"),
            ("10.0.0.1:80 ", "a port is from 1"),
            ("10.0.0.1:http", "a port is from 1"),
        ] {
            let refused = ConnectGrant::parse(text, Protocol::Tcp).unwrap_err();
            assert!(refused.contains(what), "{text}: {refused}");
        }
    }
}
