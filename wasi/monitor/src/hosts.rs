//! Decides which names of hosts a guest may look up. Each stands for the addresses that were found for it before the guest ran, so that
//! nothing is asked of anybody.
//!
//! Names are whole names (T46): no part of a name matches, and none that is longer. Upper and lower case are the same, and so is a name
//! with a dot at its end. No other form of a name is known: what is not ASCII is written as `xn--`.

use crate::{Errno, IpBytes, Monitor, Rule};

/// A host by its name, and its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHost {
    name: Vec<u8>,
    addresses: Vec<IpBytes>,
}

impl KnownHost {
    /// A name without a dot at its end, and its addresses, those of IPv4 as `::ffff:a.b.c.d`.
    #[must_use]
    pub const fn new(name: Vec<u8>, addresses: Vec<IpBytes>) -> Self {
        Self { name, addresses }
    }
}

impl Monitor {
    /// Lets the guest look up these names. Without a call it may look up none.
    pub fn set_hosts(&mut self, hosts: Vec<KnownHost>) {
        self.hosts = hosts;
    }

    /// The addresses of a name. That the guest knows them does not mean that it may connect to them.
    ///
    /// # Errors
    /// [`Errno::NOTCAPABLE`] if it may not look up the name.
    pub fn admit_resolve(&self, name: &[u8]) -> Result<&[IpBytes], Errno> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let known = self.hosts.iter().find(|host| host.name.eq_ignore_ascii_case(name));
        known.map(|host| host.addresses.as_slice()).ok_or(Errno::NOTCAPABLE.because(Rule::Name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn monitor() -> Monitor {
        let mut monitor = Monitor::new(Limits::default());
        monitor.set_hosts(vec![
            KnownHost::new(b"db.example".to_vec(), vec![[1; 16], [2; 16]]),
            KnownHost::new(b"xn--bcher-kva.example".to_vec(), vec![[3; 16]]),
        ]);
        monitor
    }

    #[test]
    fn t46_a_name_is_known_in_each_case_and_with_a_dot_behind() {
        let monitor = monitor();
        for name in ["db.example", "DB.Example", "db.example.", "DB.EXAMPLE."] {
            assert_eq!(monitor.admit_resolve(name.as_bytes()), Ok(&[[1; 16], [2; 16]][..]), "{name}");
        }
        assert_eq!(monitor.admit_resolve(b"XN--bcher-KVA.example"), Ok(&[[3; 16]][..]));
    }

    #[test]
    fn t46_no_other_name_is_known() {
        let monitor = monitor();
        for name in [
            "",
            ".",
            "db",
            "example",
            "b.example",
            "a.db.example",
            "db.example.com",
            "db.example..",
            ".db.example",
            "db.example ",
            "db.example\0",
            "db\u{ff0e}example",
            "db.exampl\u{435}",
            "b\u{fc}cher.example",
            "127.0.0.1",
        ] {
            let refused = monitor.admit_resolve(name.as_bytes());
            assert_eq!(refused.map_err(Errno::rule), Err(Rule::Name), "{name}");
        }
        assert!(Monitor::new(Limits::default()).admit_resolve(b"db.example").is_err());
    }
}
