//! The hosts file, and the file that names the servers: `hosts(5)`, `resolv.conf(5)`.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// What is behind this is not read.
const MOST_BYTES: u64 = 1 << 20;

/// As many servers as the C library takes.
const MOST_SERVERS: usize = 3;

const PORT: u16 = 53;

/// The addresses that a hosts file has for a name, in their order, each once.
pub fn addresses(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in lines(text) {
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        let is_it = |word: &str| word.strip_suffix('.').unwrap_or(word).eq_ignore_ascii_case(name);
        if words.any(is_it) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// The first servers of a `resolv.conf`. One that is no address, or has a zone, is passed over.
pub fn servers(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next());
        address.and_then(|address| address.parse::<IpAddr>().ok())
    };
    lines(text).filter_map(server).take(MOST_SERVERS).map(|address| SocketAddr::new(address, PORT)).collect()
}

/// The text of a file, nothing if there is none.
///
/// # Errors
/// Those of opening and reading.
pub fn read(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines, without comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_addresses_of_its_lines() {
        let text = "127.0.0.1 localhost\n# 192.0.2.9 db\n\n192.0.2.1\tdb.example DB # db2\n::1 localhost ip6-localhost\n\
                    192.0.2.1 db\nnonsense db\n10.1 db\nfe80::1%eth0 db\n192.0.2.2 db. \n";
        let found = |name| addresses(text, name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(found("db"), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(found("db.example"), ["192.0.2.1"]);
        for none in ["db2", "example", "192.0.2.1", "", "#"] {
            assert_eq!(found(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn the_first_three_servers_count() {
        let text = "; nameserver 192.0.2.9\nsearch example\nnameserver 192.0.2.1 # x\nnameserver fe80::1%eth0\n\
                    nameserver ::1\nnameservers 192.0.2.8\nnameserver\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
        let found: Vec<_> = servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53", "192.0.2.3:53"]);
        assert!(servers("").is_empty());
    }
}
