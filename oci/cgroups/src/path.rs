//! Where in the hierarchies the cgroup of a container lies.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// The checked `cgroupsPath` of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPath {
    /// Without a leading slash.
    pub(crate) inner: PathBuf,
    pub(crate) absolute: bool,
    pub(crate) unit: Option<String>,
}

impl CgroupPath {
    /// Reads `linux.cgroupsPath` of a container with the name `id`.
    ///
    /// Without `systemd`, `/A/B` begins at the mount point of each hierarchy, and `A/B` at the caller's own cgroup: in it on cgroup v1,
    /// beside it on v2, where a cgroup with processes can have no children that are limited. No path is the same as the path `ID`.
    ///
    /// With `systemd`, `SLICE:PREFIX:NAME` is where systemd would put the scope: `a-b.slice:p:n` is `/a.slice/a-b.slice/p-n.scope`. No
    /// path is the same as `system.slice:wave:ID`.
    ///
    /// ```
    /// use wave_cgroups::CgroupPath;
    /// let path = CgroupPath::parse(Some("a-b.slice:wave:web"), "web", true)?;
    /// assert_eq!(path.to_string(), "/a.slice/a-b.slice/wave-web.scope");
    /// assert!(CgroupPath::parse(Some("/a/../b"), "web", false).is_err());
    /// # Ok::<(), wave_cgroups::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Path`] if the path is of another form, names the root, or leaves the place where it begins.
    pub fn parse(cgroups_path: Option<&str>, id: &str, systemd: bool) -> Result<Self, Error> {
        match cgroups_path.filter(|path| !path.is_empty()) {
            Some(path) if systemd => Self::of_unit(path, path.split(':').collect()),
            None if systemd => Self::of_unit(id, vec!["system.slice", "wave", id]),
            Some(path) if looks_like_unit(path) => Err(refuse(path, "it names a unit of systemd")),
            path => Self::of_directory(path.unwrap_or(id)),
        }
    }

    fn of_directory(path: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for part in &parts {
            check_part(path, part)?;
        }
        if parts.is_empty() {
            return Err(refuse(path, "it is the root of the hierarchy"));
        }
        Ok(Self { inner: parts.iter().collect(), absolute: path.starts_with('/'), unit: None })
    }

    fn of_unit(path: &str, parts: Vec<&str>) -> Result<Self, Error> {
        let [slice, prefix, name] = parts[..] else {
            return Err(refuse(path, "it is not SLICE:PREFIX:NAME"));
        };
        let unit = match (prefix, name) {
            (_, "") => return Err(refuse(path, "the name is empty")),
            (_, slice) if slice.ends_with(".slice") => slice.to_owned(),
            ("", name) => format!("{name}.scope"),
            (prefix, name) => format!("{prefix}-{name}.scope"),
        };
        if unit.contains('/') {
            return Err(refuse(path, "the name of a unit has no slash"));
        }
        check_part(path, &unit)?;
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        Ok(Self { inner: slice_directory(path, slice)?.join(&unit), absolute: true, unit: Some(unit) })
    }

    /// The path below the place where it begins.
    pub fn inner(&self) -> &Path {
        &self.inner
    }
}

impl std::fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.absolute { "/" } else { "" }, self.inner.display())
    }
}

/// `a-b-c.slice` lies in `a-b.slice`, and that in `a.slice`.
///
/// Source: systemd.slice(5).
fn slice_directory(path: &str, slice: &str) -> Result<PathBuf, Error> {
    let name = slice.strip_suffix(".slice").ok_or_else(|| refuse(path, "the slice does not end in `.slice`"))?;
    if name == "-" {
        return Ok(PathBuf::new());
    }
    let mut directory = PathBuf::new();
    let mut prefix = String::new();
    for part in name.split('-') {
        if part.is_empty() || part.contains('/') {
            return Err(refuse(path, "the name of the slice is not one that systemd accepts"));
        }
        prefix = if prefix.is_empty() { part.to_owned() } else { format!("{prefix}-{part}") };
        check_part(path, &format!("{prefix}.slice"))?;
        directory.push(format!("{prefix}.slice"));
    }
    Ok(directory)
}

/// A caller that names units to a runtime that was not told of systemd would get a directory of that name somewhere.
fn looks_like_unit(path: &str) -> bool {
    matches!(path.split(':').collect::<Vec<_>>()[..], [slice, _, _] if slice.ends_with(".slice") && !slice.contains('/'))
}

fn check_part(path: &str, part: &str) -> Result<(), Error> {
    match part {
        "." | ".." => Err(refuse(path, "`.` and `..` are not allowed")),
        part if part.len() > 255 => Err(refuse(path, "a name in it is longer than 255 bytes")),
        part if part.chars().any(char::is_control) => Err(refuse(path, "it has a control character")),
        _ => Ok(()),
    }
}

fn refuse(path: &str, why: &'static str) -> Error {
    Error::Path { path: path.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str, systemd: bool) -> String {
        CgroupPath::parse(Some(path).filter(|path| !path.is_empty()), "id", systemd).unwrap().to_string()
    }

    #[test]
    fn directories() {
        assert_eq!(parsed("/libpod_parent//libpod-1/", false), "/libpod_parent/libpod-1");
        assert_eq!(parsed("a/b", false), "a/b");
        assert_eq!(parsed("", false), "id");
        assert_eq!(parsed("/a:b:c", false), "/a:b:c");
    }

    #[test]
    fn units() {
        assert_eq!(parsed("a-b-c.slice:p:n", true), "/a.slice/a-b.slice/a-b-c.slice/p-n.scope");
        assert_eq!(parsed("-.slice:p:n", true), "/p-n.scope");
        assert_eq!(parsed(":p:n", true), "/system.slice/p-n.scope");
        assert_eq!(parsed("a.slice::n", true), "/a.slice/n.scope");
        assert_eq!(parsed("a.slice:p:a-b.slice", true), "/a.slice/a-b.slice");
        assert_eq!(parsed("", true), "/system.slice/wave-id.scope");
    }

    #[test]
    fn refuses_what_leaves_or_is_no_path() {
        let long = "x".repeat(256);
        for path in ["/", "//", "/..", "a/../../b", "./a", "/a\n/b", &long, "a.slice:p:n"] {
            assert!(CgroupPath::parse(Some(path), "id", false).is_err(), "{path}");
        }
        for path in [
            "/a/b",
            "a.slice:p",
            "a:p:n",
            "../a.slice:p:n",
            "a--b.slice:p:n",
            "a.slice:p:n/../..",
            "a.slice:p:",
            "a.slice:p:n:m",
        ] {
            assert!(CgroupPath::parse(Some(path), "id", true).is_err(), "{path}");
        }
        assert!(CgroupPath::parse(None, "..", false).is_err());
    }
}
