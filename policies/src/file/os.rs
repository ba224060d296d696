//! The derived part: what the imports of a module mean for the kernel layers, by what is granted.

use crate::{Access, FilesystemGrant, Need, Policy, Resolver, Surface, SyscallRule};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

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
    pub(super) const GROUPS: [&str; 4] = ["always", "grant", "writable_grant", "listener"];

    pub(super) fn read(resolver: Option<&str>, rows: BTreeMap<String, String>) -> Self {
        let named = Resolver::ALL.into_iter().find(|other| resolver == Some(other.as_str()));
        let resolver = named.unwrap_or_default();
        Self { resolver, rows }
    }

    /// Derives it. `growable`: some linear memory can grow. The rules are those of [`Policy::rules`], as the filter has them.
    pub fn of(surface: &Surface, growable: bool, resolver: Resolver) -> Self {
        let grant = |access| FilesystemGrant { host: "/".into(), access };
        let rules = |grants: Vec<FilesystemGrant>, listeners: Vec<SocketAddr>| -> BTreeSet<&'static str> {
            let policy = Policy { surface: surface.known(), grants, listeners, resolver, ..Policy::default() };
            policy.rules(growable).map(|rule| rule.id).collect()
        };
        let always = rules(Vec::new(), Vec::new());
        let readable = rules(vec![grant(Access::ReadOnly)], Vec::new());
        let writable = rules(vec![grant(Access::ReadWrite)], Vec::new());
        let listening = rules(Vec::new(), vec![([127, 0, 0, 1], 1).into()]);
        let groups = [always.clone(), &readable - &always, &writable - &readable, &listening - &always];
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

fn in_words(rule: &SyscallRule) -> String {
    match rule.when {
        "" => rule.call.to_owned(),
        when => format!("{} where {when}", rule.call),
    }
}
