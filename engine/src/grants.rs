//! Granted directories, files and device nodes, checked before anything is loaded.

use crate::failure::Failure;
use rustix::fs::{Mode, OFlags};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use wave_policy::Access;
use wave_wasi::SingleFile;

/// What a grant is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GrantKind {
    /// A directory tree or a single file: what the path leads to.
    #[default]
    Any,
    /// A directory tree.
    Directory,
    /// A single file. The guest finds it in a directory that has nothing but granted files.
    File,
}

/// A granted directory, or a single file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryGrant {
    /// Its path on the host.
    pub host: PathBuf,
    /// Its path in the guest.
    pub guest: String,
    /// What the guest may do there.
    pub access: Access,
    /// Which of both it has to be.
    pub kind: GrantKind,
    /// The flag or the policy rule that granted it, for messages.
    pub place: String,
}

impl DirectoryGrant {
    /// Grants a directory or a file, which does not have to exist yet.
    pub fn new(host: impl Into<PathBuf>, guest: impl Into<String>, access: Access) -> Self {
        let host = host.into();
        let place = format!("the grant of `{}`", host.display());
        Self { host, guest: guest.into(), access, kind: GrantKind::Any, place }
    }

    /// Grants a single file, as [`new`](Self::new). A directory is refused.
    pub fn file(host: impl Into<PathBuf>, guest: impl Into<String>, access: Access) -> Self {
        Self { kind: GrantKind::File, ..Self::new(host, guest, access) }
    }

    /// Returns the grant, with its kind, if the directory or file exists.
    ///
    /// # Errors
    /// 125 if it does not, or if it is of another kind. 2 for a file whose path in the guest has no name at its end.
    pub fn checked(self) -> Result<Self, Failure> {
        let found = std::fs::metadata(&self.host).map_err(|error| self.missing(&error))?;
        let kind = self.kind_of(&found).map_err(|(what, fix)| self.unusable(what).fix(fix))?;
        let grant = Self { kind, ..self };
        if kind == GrantKind::File && grant.name_in_directory().is_none() {
            return Err(Failure::usage(format!("`{}` is no name for a file", grant.guest))
                .at(grant.place)
                .fix("give the file a path in the program that ends in a name: HOST::/etc/NAME::ro"));
        }
        Ok(grant)
    }

    /// What kind of grant an object can be, or why it can be none, and what helps.
    fn kind_of(&self, found: &std::fs::Metadata) -> Result<GrantKind, (&'static str, &'static str)> {
        let kind = found.file_type();
        match self.kind {
            GrantKind::Any | GrantKind::Directory if kind.is_dir() => Ok(GrantKind::Directory),
            GrantKind::Directory => {
                Err(("not a directory", "make a directory of what the program may use, and grant that"))
            }
            GrantKind::File if kind.is_dir() => Err(("a directory, not a file", "grant it by --dir")),
            GrantKind::Any | GrantKind::File if kind.is_file() || kind.is_fifo() => Ok(GrantKind::File),
            // Which devices are allowed, the builder knows.
            GrantKind::Any | GrantKind::File if kind.is_char_device() => Ok(GrantKind::File),
            GrantKind::Any | GrantKind::File => {
                Err(("neither a directory nor a file", "no run is given a socket or a disk"))
            }
        }
    }

    /// Whether it is a single file, as far as it is known on this host.
    pub fn is_file(&self) -> bool {
        match self.kind {
            GrantKind::File => true,
            GrantKind::Directory => false,
            GrantKind::Any => std::fs::metadata(&self.host).is_ok_and(|found| !found.is_dir()),
        }
    }

    /// The guest's directory of a single file, and the name in it. `None` if the path ends in no name.
    pub fn name_in_directory(&self) -> Option<(&str, &str)> {
        let name = self.guest.rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."))?;
        let directory = self.guest.get(..self.guest.len() - name.len())?;
        Some(match (directory.trim_end_matches('/'), directory) {
            ("", "") => (".", name),
            ("", _) => ("/", name),
            (directory, _) => (directory, name),
        })
    }

    /// Why it cannot be granted on this host.
    pub fn problem_here(&self) -> Option<String> {
        match std::fs::metadata(&self.host) {
            Ok(found) => self.kind_of(&found).err().map(|(what, _)| what.to_owned()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The failure for a directory or file that cannot be used.
    pub fn unusable(&self, reason: &str) -> Failure {
        Failure::refused(format!("cannot preopen `{}`: {reason}", self.host.display())).at(self.place.clone())
    }

    /// The failure for a directory or file that does not exist. It names the nearest existing parent.
    pub fn missing(&self, error: &std::io::Error) -> Failure {
        if error.kind() != std::io::ErrorKind::NotFound {
            return self.unusable(&error.to_string()).fix("check the permissions of the path");
        }
        let absolute = std::path::absolute(&self.host).unwrap_or_else(|_| self.host.clone());
        let parent = absolute.ancestors().skip(1).find(|parent| parent.exists()).unwrap_or(Path::new("/"));
        let what = if self.kind == GrantKind::File { "no such file" } else { "no such directory" };
        self.unusable(what).fix(format!(
            "create it, or drop the {} if the guest can do without it; the nearest existing parent is `{}`",
            if self.place.starts_with("--") { "flag" } else { "rule" },
            parent.display()
        ))
    }
}

/// A grant inside another grant that allows more access.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Index of the inner grant.
    pub inner: usize,
    /// Index of the outer grant.
    pub outer: usize,
}

impl Overlap {
    /// What is wrong, and how to fix it.
    pub fn explain(&self, grants: &[DirectoryGrant]) -> Option<(String, &'static str)> {
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

/// Finds the grants inside another grant that allows more access. The narrower grant would have no effect: Landlock
/// rules add up along a path, and the guest could reach the same files through the outer grant (T28). Each such grant
/// is listed once, with the innermost grant around it that allows more.
///
/// # Errors
/// 125 if a directory does not exist.
pub fn overlaps(grants: &[DirectoryGrant]) -> Result<Vec<Overlap>, Failure> {
    let place = |grant: &DirectoryGrant| std::fs::canonicalize(&grant.host).map_err(|error| grant.missing(&error));
    Ok(overlaps_at(grants, &grants.iter().map(place).collect::<Result<Vec<_>, _>>()?))
}

/// As [`overlaps`], but directories do not have to exist. The missing part of a path is taken as it is written.
pub fn overlaps_as_written(grants: &[DirectoryGrant]) -> Vec<Overlap> {
    let place = |grant: &DirectoryGrant| {
        let whole = std::path::absolute(&grant.host).unwrap_or_else(|_| grant.host.clone());
        let around = part_that_is_there(&whole);
        let real = |rest| Some(std::fs::canonicalize(around).ok()?.join(rest));
        whole.strip_prefix(around).ok().and_then(real).unwrap_or_else(|| whole.clone())
    };
    overlaps_at(grants, &grants.iter().map(place).collect::<Vec<_>>())
}

/// The longest prefix of a path that exists. If a prefix does not exist, no longer one does, so a binary search finds
/// it. A path of a thousand `..` therefore takes few lookups.
fn part_that_is_there(whole: &Path) -> &Path {
    // Linux accepts no longer paths (PATH_MAX).
    const MOST_BYTES: usize = 4095;
    // Drop a trailing `/` or `/.`.
    let whole = whole.components().as_path();
    let mut components = whole.components();
    let mut starts = Vec::new();
    while components.next().is_some() {
        let rest = components.as_path().as_os_str().len();
        let start = whole.as_os_str().as_bytes().get(..whole.as_os_str().len() - rest).unwrap_or_default();
        if start.len() > MOST_BYTES {
            break;
        }
        let trimmed = start.strip_suffix(b"/").filter(|rest| !rest.is_empty()).unwrap_or(start);
        starts.push(Path::new(OsStr::from_bytes(trimmed)));
    }
    let count = starts.partition_point(|start| start.exists());
    count.checked_sub(1).and_then(|last| starts.get(last)).copied().unwrap_or(Path::new(""))
}

/// A granted directory on the way to another. `wider` has, for each access from the narrowest on, the innermost grant
/// so far that allows more.
struct Around<'a> {
    place: &'a Path,
    wider: [Option<usize>; 3],
}

fn overlaps_at(grants: &[DirectoryGrant], places: &[PathBuf]) -> Vec<Overlap> {
    // Sorted by path, a directory follows those that contain it, so one pass with a stack is enough.
    let mut order: Vec<_> = grants.iter().zip(places).enumerate().collect();
    order.sort_by_key(|(_, (_, place))| *place);
    let mut around: Vec<Around<'_>> = Vec::new();
    let mut overlaps = Vec::new();
    for same in order.chunk_by(|(_, (_, a)), (_, (_, b))| a == b) {
        let Some((_, (_, place))) = same.first() else { continue };
        while around.pop_if(|outer| !place.starts_with(outer.place)).is_some() {}
        let mut wider = around.last().map_or([None; 3], |outer| outer.wider);
        // The first of those with the most access.
        let widest = same.iter().map(|(index, (grant, _))| (std::cmp::Reverse(grant.access), *index)).min();
        if let Some((std::cmp::Reverse(most), index)) = widest {
            wider.iter_mut().take(most as usize).for_each(|wider| *wider = Some(index));
        }
        let outer = |grant: &DirectoryGrant| wider.get(grant.access as usize).copied().flatten();
        overlaps.extend(
            same.iter().filter_map(|(inner, (grant, _))| Some(Overlap { inner: *inner, outer: outer(grant)? })),
        );
        around.push(Around { place, wider });
    }
    overlaps.sort_by_key(|overlap| overlap.inner);
    overlaps
}

/// Refuses grants with [`overlaps`].
///
/// # Errors
/// 2 if a flag adds the inner grant. 125 if a policy file does, or if a directory does not exist.
pub fn refuse_overlap(grants: &[DirectoryGrant]) -> Result<(), Failure> {
    let found = overlaps(grants)?;
    let first = found.first().and_then(|overlap| Some((grants.get(overlap.inner)?, overlap.explain(grants)?)));
    let Some((inner, (what, fix))) = first else { return Ok(()) };
    let refuse = if inner.place.starts_with("--") { Failure::usage } else { Failure::refused };
    Err(refuse(what).at(inner.place.clone()).fix(fix))
}

/// Refuses names of single files that another grant takes away, or whose other meaning a file would take away: programs look up
/// a path in the directory with the longest name that it begins with.
///
/// # Errors
/// 2 if a flag adds the file, 125 if a policy file does.
pub fn refuse_taken_names(grants: &[DirectoryGrant]) -> Result<(), Failure> {
    match taken_names(grants).into_iter().next().and_then(|taken| Some((grants.get(taken.file)?, taken.what))) {
        None => Ok(()),
        Some((file, what)) => {
            let refuse = if file.place.starts_with("--") { Failure::usage } else { Failure::refused };
            Err(refuse(what).at(file.place.clone()).fix(OTHER_NAME))
        }
    }
}

/// What helps against a [`TakenName`].
pub const OTHER_NAME: &str = "give the file a path in a directory of its own, for example HOST::/files/NAME::ro";

/// A single file whose name cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct TakenName {
    /// Index of the grant.
    pub file: usize,
    /// Why.
    pub what: String,
}

/// The single files with [taken names](refuse_taken_names).
pub fn taken_names(grants: &[DirectoryGrant]) -> Vec<TakenName> {
    let names: Vec<_> = grants.iter().map(|grant| (rooted(&grant.guest), grant.is_file())).collect();
    let mut files: HashMap<&Path, usize> = HashMap::new();
    let mut directories: HashMap<&Path, usize> = HashMap::new();
    let mut taken = Vec::new();
    for (index, (name, is_file)) in names.iter().enumerate() {
        let known = if *is_file { &mut files } else { &mut directories };
        if known.insert(name, index).is_some() && *is_file {
            taken.push(TakenName { file: index, what: format!("two files are called `{}`", name.display()) });
        }
    }
    for (name, index) in &files {
        let same = directories.get(*name).map(|_| format!("`{}` is a file and a directory", name.display()));
        let inside = name.parent().filter(|parent| directories.contains_key(parent)).map(|parent| {
            format!("`{}` would be in `{}`, which is a granted directory", name.display(), parent.display())
        });
        taken.extend(same.or(inside).map(|what| TakenName { file: *index, what }));
    }
    for (name, _) in &names {
        let around = name.ancestors().skip(1).find_map(|parent| Some((parent, *files.get(parent)?)));
        if let Some((parent, file)) = around {
            let what = format!("`{}` is a file, and `{}` would be in it", parent.display(), name.display());
            taken.push(TakenName { file, what });
        }
    }
    taken.sort_by(|one, other| (one.file, &one.what).cmp(&(other.file, &other.what)));
    taken.dedup_by_key(|taken| taken.file);
    taken
}

/// A guest name as wasi-libc compares it: `data`, `./data` and `/data` are one.
pub(crate) fn rooted(guest: &str) -> PathBuf {
    let parts = Path::new(guest).components().filter(|part| matches!(part, Component::Normal(_)));
    Path::new("/").join(parts.collect::<PathBuf>())
}

/// The descriptors that a run begins with after the standard streams: the index of a granted directory, and `None` for each
/// directory of single files.
pub fn first_descriptors(grants: &[DirectoryGrant]) -> Vec<Option<usize>> {
    let directories = grants.iter().enumerate().filter(|(_, grant)| !grant.is_file()).map(|(index, _)| Some(index));
    let files = grants.iter().filter(|grant| grant.is_file()).filter_map(DirectoryGrant::name_in_directory);
    let lists: BTreeSet<_> = files.map(|(directory, _)| rooted(directory)).collect();
    directories.chain(lists.iter().map(|_| None)).collect()
}

/// Opens a single file and the directory that it is in. Links in its path are followed now, and never again.
///
/// # Errors
/// The system's error.
pub(crate) fn open_file(grant: &DirectoryGrant) -> std::io::Result<(OwnedFd, SingleFile)> {
    let real = std::fs::canonicalize(&grant.host)?;
    let no_name = || std::io::Error::from(std::io::ErrorKind::IsADirectory);
    let (parent, host_name) = real.parent().zip(real.file_name()).ok_or_else(no_name)?;
    let (_, guest_name) = grant.name_in_directory().ok_or_else(no_name)?;
    let handle = crate::platform::HANDLE;
    let parent = rustix::fs::open(parent, handle | OFlags::DIRECTORY, Mode::empty())?;
    let file = rustix::fs::openat(&parent, host_name, handle, Mode::empty())?;
    let (host_name, guest_name) = (host_name.as_bytes().to_vec(), guest_name.as_bytes().to_vec());
    Ok((parent, SingleFile { file, host_name, guest_name }))
}

/// Refuses a device that is granted as a single file, unless it is one of those that the guest may open.
///
/// # Errors
/// 125 for another device.
pub fn refuse_devices(grants: &[DirectoryGrant], devices: &[(PathBuf, u64)]) -> Result<(), Failure> {
    let files = grants.iter().filter(|grant| grant.kind == GrantKind::File);
    for grant in files {
        let found = std::fs::metadata(&grant.host).map_err(|error| grant.missing(&error))?;
        let is_device = found.file_type().is_char_device();
        if is_device && !devices.iter().any(|(_, number)| *number == found.rdev()) {
            let host = grant.host.display();
            return Err(grant.unusable("a device").fix(format!("to let the program use it, add --device {host}")));
        }
    }
    Ok(())
}

/// Looks up the number of a device node.
///
/// # Errors
/// 125 if the path is not a character device.
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

    fn grant(flag: &str) -> DirectoryGrant {
        let parts: Vec<_> = flag.split("::").collect();
        let (guest, access) = (parts[1].to_owned(), parts[2].parse().unwrap());
        DirectoryGrant { place: format!("--dir {flag}"), ..DirectoryGrant::new(parts[0], guest, access) }
    }

    #[test]
    fn t28_a_grant_inside_one_with_more_access_is_refused() {
        let overlap = |flags: &[&str]| {
            let grants: Vec<_> = flags.iter().map(|flag| grant(flag)).collect();
            refuse_overlap(&grants).err().map(|failure| failure.code())
        };
        assert_eq!(overlap(&["/usr::/a::rw", "/usr/bin::/b::ro"]), Some(2));
        assert_eq!(overlap(&["/usr/bin::/b::append", "/usr/lib/..::/a::rw"]), Some(2));
        assert_eq!(overlap(&["/usr::/a::rw", "/usr::/b::ro"]), Some(2));
        assert_eq!(overlap(&["/usr::/a::ro", "/usr/bin::/b::rw", "/etc::/c::rw"]), None);
        assert_eq!(overlap(&["/usr::/a::rw", "/usr/bin::/b::rw"]), None);
    }

    /// Compares with the definition: for each grant, the innermost one around it that allows more, and of several the first.
    #[test]
    fn t28_the_innermost_wider_grant_is_found() {
        let names = ["/", "/a", "/a/b", "/a/b/c", "/a.b", "/a/b.c", "/ab", "/x/y", "/x"];
        let accesses = [Access::ReadOnly, Access::Append, Access::ReadWrite];
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(bits >> 33).unwrap() % below
        };
        for round in 0..500 {
            let grant = |_| {
                let (host, access) = (PathBuf::from(names[random(names.len())]), accesses[random(3)]);
                DirectoryGrant::new(host, "", access)
            };
            let grants: Vec<_> = (0..round % 8).map(grant).collect();
            let places: Vec<_> = grants.iter().map(|grant| grant.host.clone()).collect();
            let outer = |inner: &DirectoryGrant| {
                let wider = grants
                    .iter()
                    .enumerate()
                    .filter(|(_, outer)| inner.host.starts_with(&outer.host) && outer.access > inner.access);
                let key = |(index, outer): &(usize, &DirectoryGrant)| {
                    let depth = outer.host.components().count();
                    (depth, outer.access, std::cmp::Reverse(*index))
                };
                wider.max_by_key(key).map(|(index, _)| index)
            };
            let expected: Vec<_> = grants
                .iter()
                .enumerate()
                .filter_map(|(inner, grant)| Some(Overlap { inner, outer: outer(grant)? }))
                .collect();
            assert_eq!(overlaps_at(&grants, &places), expected, "{grants:?}");
        }
    }

    #[test]
    fn the_part_of_a_path_that_is_there_is_found() {
        let part = |path: &str| part_that_is_there(Path::new(path)).to_owned();
        assert_eq!(part("/usr/no-such/x"), Path::new("/usr"));
        assert_eq!(part("/no-such/../usr"), Path::new("/"));
        assert_eq!(part("/usr//./bin/"), Path::new("/usr//./bin"));
        assert_eq!(part("/dev/null/x"), Path::new("/dev/null"));
        assert_eq!(part("/"), Path::new("/"));
        let climbs = format!("/usr{}", "/..".repeat(3000));
        assert!((4000..4096).contains(&part(&climbs).as_os_str().len()));
    }

    #[test]
    fn devices_are_character_devices() {
        assert_ne!(device(Path::new("/dev/null")).unwrap().1, 0);
        assert_eq!(device(Path::new("/usr")).unwrap_err().code(), 125);
    }
}
