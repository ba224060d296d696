//! Directories: a grant covers everything under it, under any name.

use super::{Diff, Effect, Side};
use crate::Access;
use crate::file::Directory;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

/// Compares, for each directory that either policy names, what may be done under it through any grant.
///
/// That is enough: what may be done with a path is what may be done under the innermost of these directories that contains it.
pub(super) fn compare(diff: &mut Diff<'_>) {
    let policies = [&diff.old.fs, &diff.new.fs];
    let mut granted: BTreeMap<HostPath<'_>, [Own<'_>; 2]> = BTreeMap::new();
    for (policy, directories) in policies.into_iter().enumerate() {
        for (index, directory) in directories.iter().enumerate() {
            if let Some(own) = granted.entry(HostPath::new(&directory.host)).or_default().get_mut(policy) {
                own.add(index, directory);
            }
        }
    }
    // What contains a directory comes before it, and nothing that neither contains comes between.
    let mut around: Vec<(&HostPath<'_>, [Cover; 2])> = Vec::new();
    for (path, own) in &granted {
        while around.pop_if(|(outer, _)| !outer.contains(path)).is_some() {}
        let outer = around.last().map_or([Cover::default(); 2], |(_, cover)| *cover);
        let [old, new] = own;
        let cover = [outer[0].or(old.cover), outer[1].or(new.cover)];
        judge(diff, path, own, cover, outer);
        around.push((path, cover));
    }
}

fn judge(diff: &mut Diff<'_>, path: &HostPath<'_>, [old, new]: &[Own<'_>; 2], cover: [Cover; 2], outer: [Cover; 2]) {
    let [was, is] = cover.map(|cover| cover.access());
    let Some(effect) = Effect::of(rank(was), rank(is)) else {
        if old.names != new.names {
            rename(diff, path, [old, new], cover);
        }
        return;
    };
    // The grant itself did not change; the change of the directory around it is listed already.
    let is_said = outer.map(|cover| cover.access()) == [was, is] && old.names == new.names;
    if !is_said {
        let path = path.to_string();
        let text = match effect {
            Effect::Widens => format!("may {} under {path}", verb(was, is)),
            _ => format!("may no longer {} under {path}", verb(is, was)),
        };
        let [old, new] = cover.map(Cover::side);
        diff.add(effect, "fs", &path, old, new, text);
    }
    if !old.names.is_empty() && !new.names.is_empty() && old.called() != new.called() {
        rename(diff, path, [old, new], cover);
    }
}

/// What can be reached is the same, under another name or by another grant.
fn rename(diff: &mut Diff<'_>, path: &HostPath<'_>, own: [&Own<'_>; 2], cover: [Cover; 2]) {
    let [old, new] = own.map(Own::called);
    let path = path.to_string();
    let text = match (old.as_str(), new.as_str()) {
        ("", is) => format!("{path} is also granted by itself, as {is}"),
        (was, "") => format!("{path} is no longer granted by itself, as {was}; what it lies in is"),
        (was, is) if was != is => format!("{path} is called {is}, was called {was}"),
        _ => format!("{path} is granted with another access, which adds nothing to what it lies in"),
    };
    let side = |own: &Own<'_>, cover: Cover| Side {
        value: (!own.names.is_empty()).then(|| own.in_full()),
        id: own.cover.0.or(cover.0).map(|(_, index)| format!("fs[{index}]")),
    };
    let [old, new] = [side(own[0], cover[0]), side(own[1], cover[1])];
    diff.add(Effect::Neutral, "fs", &path, old, new, text);
}

/// The grants of one directory in one policy.
#[derive(Default)]
struct Own<'v> {
    /// What the program calls it, and what may be done under that name.
    names: BTreeSet<(&'v str, &'static str)>,
    cover: Cover,
}

impl<'v> Own<'v> {
    fn add(&mut self, index: usize, directory: &'v Directory) {
        self.names.insert((&directory.guest, directory.access.as_str()));
        self.cover = self.cover.or(Cover(Some((directory.access, index))));
    }

    fn called(&self) -> String {
        self.names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    fn in_full(&self) -> String {
        self.names.iter().map(|(name, access)| format!("{access} as {name}")).collect::<Vec<_>>().join(", ")
    }
}

/// What may be done, and by which grant.
#[derive(Clone, Copy, Default)]
struct Cover(Option<(Access, usize)>);

impl Cover {
    fn access(self) -> Option<Access> {
        self.0.map(|(access, _)| access)
    }

    fn or(self, other: Self) -> Self {
        if rank(other.access()) > rank(self.access()) { other } else { self }
    }

    fn side(self) -> Side {
        self.0.map_or_else(Side::default, |(access, index)| Side::new(access.as_str(), format!("fs[{index}]")))
    }
}

const fn rank(access: Option<Access>) -> u8 {
    match access {
        None => 0,
        Some(Access::ReadOnly) => 1,
        Some(Access::Append) => 2,
        Some(Access::ReadWrite) => 3,
    }
}

/// What the wider access allows and the narrower one does not.
const fn verb(narrow: Option<Access>, wide: Option<Access>) -> &'static str {
    match (narrow, wide) {
        (None, Some(Access::ReadWrite)) => "read and write",
        (None, Some(Access::Append)) => "read, and add files,",
        (Some(Access::ReadOnly), Some(Access::Append)) => "add files",
        (Some(Access::Append), _) => "remove, truncate and overwrite",
        (Some(_), _) => "write",
        (None, _) => "read",
    }
}

/// The host of a grant, without what makes no difference. Ordered so that directories come before what is in them.
struct HostPath<'v> {
    start: Start,
    /// Names with what is between them.
    rest: &'v str,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Start {
    Root,
    /// `..` follows a name. If the name is a link, the path can lead anywhere, so it is compared with equal paths only.
    Uncertain {
        is_absolute: bool,
    },
    /// From the directory of the policy, this often up.
    Up(Reverse<usize>),
}

impl<'v> HostPath<'v> {
    fn new(host: &'v str) -> Self {
        let mut rest = host;
        let mut upwards = 0;
        loop {
            rest = rest.trim_start_matches('/');
            let (first, behind) = rest.split_once('/').unwrap_or((rest, ""));
            match first {
                "." => {}
                ".." => upwards += 1,
                _ => break,
            }
            rest = behind;
        }
        let start = if host.starts_with('/') { Start::Root } else { Start::Up(Reverse(upwards)) };
        match rest.split('/').any(|name| name == "..") {
            true => Self { start: Start::Uncertain { is_absolute: host.starts_with('/') }, rest: host },
            false => Self { start, rest },
        }
    }

    fn names(&self) -> impl Iterator<Item = &'v str> {
        names(self.rest)
    }

    fn contains(&self, other: &Self) -> bool {
        let has_names = self.names().next().is_some();
        let is_prefix = || {
            let (own, others) = without_common(self.rest, other.rest);
            let mut others = names(others);
            names(own).all(|name| others.next() == Some(name))
        };
        match (self.start, other.start) {
            (Start::Root, _) if !has_names => true,
            (Start::Root, Start::Root) => is_prefix(),
            (Start::Up(own), Start::Up(others)) if has_names => own == others && is_prefix(),
            (Start::Up(Reverse(own)), Start::Up(Reverse(others))) => others <= own,
            _ => false,
        }
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !matches!(*name, "" | "."))
}

/// Two paths without the names they have in common at the start, as far as they are written alike: most of what a comparison
/// of long paths would read.
fn without_common<'a, 'b>(a: &'a str, b: &'b str) -> (&'a str, &'b str) {
    let alike = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let whole = a.as_bytes().get(..alike).and_then(|bytes| bytes.iter().rposition(|byte| *byte == b'/')).unwrap_or(0);
    (a.get(whole..).unwrap_or(a), b.get(whole..).unwrap_or(b))
}

impl std::fmt::Display for HostPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.names().collect::<Vec<_>>().join("/");
        match self.start {
            Start::Uncertain { is_absolute: false } => f.write_str(&names),
            Start::Up(Reverse(upwards)) => {
                let up = vec![".."; upwards].join("/");
                let between = if up.is_empty() || names.is_empty() { "" } else { "/" };
                let here = if up.is_empty() && names.is_empty() { "." } else { "" };
                write!(f, "{up}{between}{names}{here}")
            }
            _ => write!(f, "/{names}"),
        }
    }
}

impl Ord for HostPath<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.start.cmp(&other.start).then_with(|| {
            let (own, others) = without_common(self.rest, other.rest);
            names(own).cmp(names(others))
        })
    }
}

impl PartialOrd for HostPath<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for HostPath<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for HostPath<'_> {}
