//! What the command line grants: directories and device nodes, checked before anything is loaded.

use crate::failure::Failure;
use crate::flag;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use wave_policy::Access;

/// A granted directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirGrant {
    /// Where it is on the host.
    pub host: PathBuf,
    /// What the guest calls it.
    pub guest: String,
    /// What the guest may do there.
    pub access: Access,
    /// What granted it, a flag or a rule, for messages.
    pub place: String,
}

impl DirGrant {
    /// Reads `HOST[::GUEST[::ro|rw|append]]` and checks that the directory is there.
    ///
    /// # Errors
    /// 2 for a grant of another form, 125 for a directory that is not there.
    pub fn parse(flag: &str) -> Result<Self, Failure> {
        let flag::Parts { host, guest, access } = flag::parse(flag)?;
        Self { host: host.into(), guest: guest.to_owned(), access, place: format!("--dir {flag}") }.checked()
    }

    /// The grant, if the directory is there.
    ///
    /// # Errors
    /// 125 if not.
    pub fn checked(self) -> Result<Self, Failure> {
        let grant = self;
        match std::fs::metadata(&grant.host) {
            Ok(metadata) if metadata.is_dir() => Ok(grant),
            Ok(_) => Err(grant
                .unusable("not a directory")
                .fix("make a directory of what the program may use, and grant that")),
            Err(error) => Err(grant.missing(&error)),
        }
    }

    /// Why the directory cannot be granted on this host.
    pub fn problem_here(&self) -> Option<String> {
        match std::fs::metadata(&self.host) {
            Ok(metadata) if metadata.is_dir() => None,
            Ok(_) => Some("not a directory".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The refusal of a directory that cannot be used.
    pub fn unusable(&self, reason: &str) -> Failure {
        Failure::refused(format!("cannot preopen `{}`: {reason}", self.host.display())).at(self.place.clone())
    }

    /// The refusal of a directory that is not there, with the way to it.
    pub fn missing(&self, error: &std::io::Error) -> Failure {
        if error.kind() != std::io::ErrorKind::NotFound {
            return self.unusable(&error.to_string()).fix("check the permissions of the path");
        }
        let absolute = std::path::absolute(&self.host).unwrap_or_else(|_| self.host.clone());
        let parent = absolute.ancestors().skip(1).find(|parent| parent.exists()).unwrap_or(Path::new("/"));
        self.unusable("no such directory").fix(format!(
            "create it, or drop the {} if the guest can do without it; the nearest existing parent is `{}`",
            if self.place.starts_with("--") { "flag" } else { "rule" },
            parent.display()
        ))
    }
}

/// A grant that lies beneath another one with more access.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The narrower one, by its number.
    pub inner: usize,
    /// The wider one around it.
    pub outer: usize,
}

impl Overlap {
    /// What is wrong, and how to fix it.
    pub fn explain(&self, grants: &[DirGrant]) -> Option<(String, &'static str)> {
        let (inner, outer) = (grants.get(self.inner)?, grants.get(self.outer)?);
        let what = format!(
            "`{}` would be {}, but it lies in `{}`, which is {}",
            inner.host.display(),
            inner.access,
            outer.host.display(),
            outer.access
        );
        Some((what, "grant the outer directory with no more access than what is inside it"))
    }
}

/// The grants that lie beneath another one with more access: the kernel's rules add up along a path, and the guest could
/// reach the same files through the other grant anyway (T28). Each is there once, with the next wider one around it.
///
/// # Errors
/// 125 for a directory that is not there.
pub fn overlaps(grants: &[DirGrant]) -> Result<Vec<Overlap>, Failure> {
    let place = |grant: &DirGrant| std::fs::canonicalize(&grant.host).map_err(|error| grant.missing(&error));
    Ok(overlaps_at(grants, &grants.iter().map(place).collect::<Result<Vec<_>, _>>()?))
}

/// The same, where those that are not there count as they are written beneath what is there.
pub fn overlaps_as_written(grants: &[DirGrant]) -> Vec<Overlap> {
    let mut tree = Tree::default();
    let mut is_there: HashMap<usize, bool> = HashMap::new();
    let place = |grant: &DirGrant| {
        let whole = std::path::absolute(&grant.host).unwrap_or_else(|_| grant.host.clone());
        let (mut around, mut node) = (PathBuf::new(), Tree::TOP);
        // Downwards, so that each directory is asked for once, and nothing in one that is not there.
        for component in whole.components() {
            let next = around.join(component);
            node = tree.below(node, component.as_os_str());
            if !*is_there.entry(node).or_insert_with(|| next.exists()) {
                break;
            }
            around = next;
        }
        let real = |rest| Some(std::fs::canonicalize(&around).ok()?.join(rest));
        whole.strip_prefix(&around).ok().and_then(real).unwrap_or_else(|| whole.clone())
    };
    overlaps_at(grants, &grants.iter().map(place).collect::<Vec<_>>())
}

/// Numbers for paths, so that deep ones take no longer than their length.
#[derive(Default)]
struct Tree(HashMap<(usize, OsString), usize>);

impl Tree {
    /// The number of no component.
    const TOP: usize = 0;

    fn below(&mut self, node: usize, component: &OsStr) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry((node, component.to_owned())).or_insert(next)
    }
}

fn overlaps_at(grants: &[DirGrant], places: &[PathBuf]) -> Vec<Overlap> {
    // By place, so that many grants take no longer than each of them.
    let mut tree = Tree::default();
    let mut widest: HashMap<usize, (usize, u8)> = HashMap::new();
    for ((index, grant), place) in grants.iter().enumerate().zip(places) {
        let node = place.iter().fold(Tree::TOP, |node, component| tree.below(node, component));
        let entry = widest.entry(node).or_insert((index, rank(grant.access)));
        if rank(grant.access) > entry.1 {
            *entry = (index, rank(grant.access));
        }
    }
    let mut wider = |(inner, (grant, inside)): (usize, (&DirGrant, &PathBuf))| {
        let (mut node, mut nearest) = (Tree::TOP, None);
        for component in inside {
            node = tree.below(node, component);
            nearest = widest.get(&node).filter(|(_, outer)| rank(grant.access) < *outer).or(nearest);
        }
        nearest.map(|(outer, _)| Overlap { inner, outer: *outer })
    };
    grants.iter().zip(places).enumerate().filter_map(&mut wider).collect()
}

/// How much an access allows.
pub const fn rank(access: Access) -> u8 {
    match access {
        Access::ReadOnly => 0,
        Access::Append => 1,
        Access::ReadWrite => 2,
    }
}

/// Refuses [`overlaps`].
///
/// # Errors
/// 2 for such a pair; 125 if a policy file has it, or a directory is not there.
pub fn refuse_overlap(grants: &[DirGrant]) -> Result<(), Failure> {
    let found = overlaps(grants)?;
    let first = found.first().and_then(|overlap| Some((grants.get(overlap.inner)?, overlap.explain(grants)?)));
    let Some((inner, (what, fix))) = first else { return Ok(()) };
    let refuse = if inner.place.starts_with("--") { Failure::usage } else { Failure::refused };
    Err(refuse(what).at(inner.place.clone()).fix(fix))
}

/// The number of a device node.
///
/// # Errors
/// 125 if there is no character device of that name.
pub fn device(path: &Path) -> Result<(PathBuf, u64), Failure> {
    let refuse = |reason: String| {
        Failure::refused(format!("cannot grant the device `{}`: {reason}", path.display()))
            .at(format!("--device {}", path.display()))
            .fix("name a character device, such as /dev/urandom")
    };
    let found = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    match found.file_type().is_char_device() {
        true => Ok((path.to_owned(), found.rdev())),
        false => Err(refuse("it is no character device".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_name_host_guest_and_access() {
        let grant = DirGrant::parse("/::/srv::ro").unwrap();
        assert_eq!((grant.host.as_path(), &*grant.guest, grant.access), (Path::new("/"), "/srv", Access::ReadOnly));
        assert_eq!(DirGrant::parse("/").unwrap().access, Access::ReadWrite);
        for (flag, code) in [
            ("/::/a::x", 2),
            ("/::/a::ro::b", 2),
            ("", 2),
            ("::/a", 2),
            ("/proc/nowhere", 125),
            ("/proc/nowhere:/a", 2),
        ] {
            assert_eq!(DirGrant::parse(flag).unwrap_err().code(), code, "{flag}");
        }
    }

    #[test]
    fn t28_a_grant_inside_one_with_more_access_is_refused() {
        let overlap = |flags: &[&str]| {
            let grants: Vec<_> = flags.iter().map(|flag| DirGrant::parse(flag).unwrap()).collect();
            refuse_overlap(&grants).err().map(|failure| failure.code())
        };
        assert_eq!(overlap(&["/usr::/a::rw", "/usr/bin::/b::ro"]), Some(2));
        assert_eq!(overlap(&["/usr/bin::/b::append", "/usr/lib/..::/a::rw"]), Some(2));
        assert_eq!(overlap(&["/usr::/a::rw", "/usr::/b::ro"]), Some(2));
        assert_eq!(overlap(&["/usr::/a::ro", "/usr/bin::/b::rw", "/etc::/c::rw"]), None);
        assert_eq!(overlap(&["/usr::/a::rw", "/usr/bin::/b::rw"]), None);
    }

    #[test]
    fn devices_are_character_devices() {
        assert_ne!(device(Path::new("/dev/null")).unwrap().1, 0);
        assert_eq!(device(Path::new("/usr")).unwrap_err().code(), 125);
    }
}
