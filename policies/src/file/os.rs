//! The derived part: what the imports of a module mean for the kernel layers, by what is granted.

use crate::{Access, ConnectPorts, FilesystemGrant, Need, Policy, Protocol, Resolver, Surface, SyscallRule};
use std::collections::{BTreeMap, BTreeSet};

/// What the filter and Landlock come to for one module. It depends on the module alone, so filling in paths leaves it valid;
/// which groups apply depends on the grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Who resolves paths; the rules differ.
    pub resolver: Resolver,
    /// Ids such as `os.grant.openat2` with the rule in words.
    pub rows: BTreeMap<String, String>,
}

impl Derived {
    /// The groups of system calls, by what brings them.
    pub(super) const GROUPS: [&str; 5] = ["always", "grant", "writable_grant", "listener", "connection"];

    pub(super) fn read(resolver: Option<&str>, rows: BTreeMap<String, String>) -> Self {
        let named = Resolver::ALL.into_iter().find(|other| resolver == Some(other.as_str()));
        let resolver = named.unwrap_or_default();
        Self { resolver, rows }
    }

    /// Whether it is for a module that asks for connections.
    pub fn asks_for_connections(&self) -> bool {
        self.rows.keys().any(|id| id.starts_with("os.connection."))
    }

    /// Derives it. `growable`: some linear memory can grow. The rules are those of [`Policy::rules`], as the filter has them.
    pub fn of(surface: &Surface, growable: bool, resolver: Resolver) -> Self {
        let with = |change: fn(&mut Policy)| -> BTreeSet<&'static str> {
            let mut policy = Policy { surface: surface.known(), resolver, ..Policy::default() };
            change(&mut policy);
            policy.rules(growable).map(|rule| rule.id).collect()
        };
        let always = with(|_| ());
        let readable = with(|policy| policy.grants = granted(Access::ReadOnly));
        let writable = with(|policy| policy.grants = granted(Access::ReadWrite));
        let listening = with(|policy| policy.listeners = vec![([127, 0, 0, 1], 1).into()]);
        let connecting = with(|policy| policy.connections = vec![SOME_PORT]);
        let groups =
            [always.clone(), &readable - &always, &writable - &readable, &listening - &always, &connecting - &always];
        let mut rows = BTreeMap::new();
        for (group, ids) in Self::GROUPS.iter().zip(groups) {
            let rules = crate::all_rules().iter().filter(|rule| ids.contains(rule.id));
            rows.extend(rules.map(|rule| (format!("os.{group}.{}", rule.id), in_words(rule))));
        }
        let is_needed = |need: &[Need]| surface.functions().any(|function| need.contains(&function.need));
        if is_needed(&[Need::Grant, Need::WritableGrant]) {
            for access in Access::ALL {
                rows.insert(format!("os.landlock.{access}"), access.landlock_rights().join(" "));
            }
        }
        Self { resolver, rows }
    }

    /// The first row in which a file differs from what is derived, in words; with its id if the file has it.
    pub fn difference(&self, derived: &Self) -> Option<(String, String)> {
        self.differences(derived).into_iter().next()
    }

    /// All of them. Where another resolver is derived for, that alone: its rows are others, unless no function takes paths.
    pub fn differences(&self, derived: &Self) -> Vec<(String, String)> {
        if self.resolver != derived.resolver && self.rows != derived.rows {
            return vec![("os.resolver".into(), "this run resolves paths in another way".into())];
        }
        let written = self.rows.iter().filter_map(|(id, rule)| match derived.rows.get(id) {
            None => Some((id.clone(), format!("`{id}` does not follow from the module"))),
            Some(right) if right != rule => Some((id.clone(), format!("`{id}` must be \"{right}\""))),
            Some(_) => None,
        });
        let missing = derived.rows.keys().filter(|id| !self.rows.contains_key(*id));
        written.chain(missing.map(|id| ("os".into(), format!("`{id}` is missing")))).collect()
    }
}

/// A port, whichever: the rules are the same for all.
const SOME_PORT: ConnectPorts = ConnectPorts { protocol: Protocol::Tcp, first: 1, last: 1 };

fn granted(access: Access) -> Vec<FilesystemGrant> {
    vec![FilesystemGrant { host: "/".into(), access }]
}

fn in_words(rule: &SyscallRule) -> String {
    match rule.when {
        "" => rule.call.to_owned(),
        when => format!("{} where {when}", rule.call),
    }
}
