//! Which cgroup hierarchies this host has, and where.

use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use crate::error::Error;
use crate::files;
use crate::path::CgroupPath;
use crate::resources::Resources;

/// Controllers that do nothing unless there is a limit.
const RARE: [&str; 3] = ["hugetlb", "misc", "rdma"];

/// The cgroup file systems that are mounted.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(crate) hierarchies: Vec<Hierarchy>,
    /// Whether systemd runs here.
    systemd: bool,
}

/// One mounted hierarchy.
#[derive(Clone, Debug)]
pub(crate) struct Hierarchy {
    pub(crate) mount: PathBuf,
    /// The cgroup at the mount point: not `/` in a container without a cgroup namespace.
    root: PathBuf,
    /// The cgroup of this process.
    own: PathBuf,
    pub(crate) version: Version,
    /// Of v1. Those of v2 change, and are read when they are needed.
    pub(crate) controllers: Vec<String>,
}

/// Of the cgroup interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Version {
    V1,
    V2,
}

/// What kind of host this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Controllers in cgroup v1 alone.
    V1,
    /// cgroup v2 alone.
    V2,
    /// Controllers in cgroup v1, and cgroup v2 beside it, with the rest of the controllers or with none.
    Hybrid,
}

impl Layout {
    /// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be read, [`Error::NotMounted`] if no cgroup file system is mounted.
    pub fn detect() -> Result<Self, Error> {
        Self::detect_in(Path::new("/"))
    }

    /// As [`Self::detect`], for a tree of files under `root` that looks like a host.
    ///
    /// # Errors
    /// As [`Self::detect`].
    pub fn detect_in(root: &Path) -> Result<Self, Error> {
        let read = |path: &str| {
            let path = root.join(path);
            files::read_whole(&path).map_err(Error::io("read", &path))
        };
        let mounts: Vec<Mount> = read("proc/self/mountinfo")?.lines().filter_map(Mount::parse).collect();
        let own = read("proc/self/cgroup")?;
        let hierarchies: Vec<_> = own.lines().filter_map(|line| Hierarchy::find(root, line, &mounts)).collect();
        match hierarchies.is_empty() {
            true => Err(Error::NotMounted),
            // As sd_booted(3) finds out.
            false => Ok(Self { hierarchies, systemd: root.join("run/systemd/system").is_dir() }),
        }
    }

    /// The hierarchy with this controller alone: that of v1, or else cgroup v2, which may lack it.
    #[must_use]
    pub fn only(mut self, controller: &str) -> Self {
        let of_v1 = |hierarchy: &Hierarchy| hierarchy.controllers.iter().any(|name| name == controller);
        match self.hierarchies.iter().any(of_v1) {
            true => self.hierarchies.retain(of_v1),
            false => self.hierarchies.retain(|hierarchy| hierarchy.version == Version::V2),
        }
        self
    }

    /// Without the hierarchies in which being a member means nothing for these resources: cgroup v2 beside v1, if it has no controller that
    /// they limit, devices of v1 without rules, and the one of systemd where systemd does not run.
    #[must_use]
    pub fn without_unused(mut self, resources: &Resources) -> Self {
        let Resources { hugepage_limits, rdma, unified, devices, .. } = resources;
        let limits_rare = !hugepage_limits.is_empty() || !rdma.is_empty() || !unified.is_empty();
        let is_rare = |controllers: String| controllers.split(' ').all(|name| name.is_empty() || RARE.contains(&name));
        let is_unused_v1 = |controllers: &[String]| match controllers {
            [only] => only == "devices" && devices.is_empty() || only == "name=systemd" && !self.systemd,
            _ => false,
        };
        let is_unused = |hierarchy: &Hierarchy| match hierarchy.version {
            Version::V1 => is_unused_v1(&hierarchy.controllers),
            Version::V2 => {
                let offered = || files::read(&hierarchy.mount.join("cgroup.controllers"));
                !limits_rare && offered().is_ok_and(is_rare)
            }
        };
        let used = |hierarchy: &Hierarchy| hierarchy.version == Version::V1 && !is_unused(hierarchy);
        // A container needs a cgroup to be found by.
        if self.hierarchies.iter().any(used) {
            self.hierarchies.retain(|hierarchy| !is_unused(hierarchy));
        }
        self
    }

    /// What kind of host this is.
    pub fn kind(&self) -> Kind {
        let has = |version| self.hierarchies.iter().any(|hierarchy| hierarchy.version == version);
        match (has(Version::V1), has(Version::V2)) {
            (true, true) => Kind::Hybrid,
            (true, false) => Kind::V1,
            (false, _) => Kind::V2,
        }
    }

    /// Whether systemd runs here, so that units have to be asked from it.
    pub fn systemd_runs(&self) -> bool {
        self.systemd
    }
}

impl Hierarchy {
    /// The hierarchy of one line of `/proc/self/cgroup`, `NUMBER:CONTROLLERS:PATH`, if it is mounted.
    fn find(host: &Path, line: &str, mounts: &[Mount]) -> Option<Self> {
        let [_, names, own] = line.splitn(3, ':').collect::<Vec<_>>().try_into().ok()?;
        let controllers: Vec<String> = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let of_this = |mount: &&Mount| match controllers.is_empty() {
            true => mount.kind == "cgroup2",
            false => mount.kind == "cgroup" && controllers.iter().all(|name| mount.options.contains(name)),
        };
        let all = || mounts.iter().filter(of_this);
        // A part of a hierarchy can be mounted too: the first mount that shows this process is the one.
        let mount = all().find(|mount| Path::new(own).starts_with(&mount.root)).or_else(|| all().next())?;
        Some(Self {
            mount: host.join(mount.point.strip_prefix("/").ok()?),
            root: mount.root.clone(),
            own: own.into(),
            version: if controllers.is_empty() { Version::V2 } else { Version::V1 },
            controllers,
        })
    }

    /// The directory of `path` in this hierarchy.
    pub(crate) fn directory(&self, path: &CgroupPath) -> Result<PathBuf, Error> {
        if path.absolute {
            return Ok(self.mount.join(&path.inner));
        }
        Ok(self.mount.join(self.beginning()?).join(&path.inner))
    }

    /// Where relative paths begin, below the mount point.
    fn beginning(&self) -> Result<&Path, Error> {
        let own = self.own.strip_prefix(&self.root).map_err(|_| Error::OwnUnseen(self.mount.clone()))?;
        if own.components().any(|part| part == Component::ParentDir) {
            return Err(Error::OwnUnseen(self.mount.clone()));
        }
        Ok(match self.version {
            Version::V1 => own,
            // This process is in its cgroup, so that no controller can be enabled for children.
            Version::V2 => own.parent().unwrap_or(own),
        })
    }
}

/// A line of mountinfo.
struct Mount {
    root: PathBuf,
    point: PathBuf,
    kind: String,
    options: Vec<String>,
}

impl Mount {
    /// Source: proc_pid_mountinfo(5).
    fn parse(line: &str) -> Option<Self> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let (root, point) = (unescape(front.next()?), unescape(front.next()?));
        let mut back = back.split(' ');
        let (kind, options) = (back.next()?.to_owned(), back.nth(1)?);
        Some(Self { root, point, kind, options: options.split(',').map(str::to_owned).collect() })
    }
}

/// White space and backslashes are written as `\` and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => (bytes.push(byte), rest = &more[3..]).1,
            None => (bytes.push(*first), rest = more).1,
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn host(mountinfo: &str, cgroup: &str) -> (tempfile::TempDir, Result<Layout, Error>) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::write(root.path().join("proc/self/mountinfo"), mountinfo).unwrap();
        fs::write(root.path().join("proc/self/cgroup"), cgroup).unwrap();
        let layout = Layout::detect_in(root.path());
        (root, layout)
    }

    fn directories(root: &tempfile::TempDir, layout: &Layout, path: &str) -> Vec<String> {
        let path = CgroupPath::parse(Some(path), "id", false).unwrap();
        let below = |directory: PathBuf| format!("/{}", directory.strip_prefix(root.path()).unwrap().display());
        layout.hierarchies.iter().map(|hierarchy| below(hierarchy.directory(&path).unwrap())).collect()
    }

    #[test]
    fn hybrid_with_controllers_mounted_together() {
        let (root, layout) = host(
            "30 23 0:28 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw\n\
             31 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n\
             32 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
             33 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            "2:cpu,cpuacct:/own\n1:name=systemd:/\n0::/a/b\n9:rdma:/\n",
        );
        let layout = layout.unwrap();
        assert_eq!(layout.kind(), Kind::Hybrid);
        assert!(!layout.systemd_runs());
        assert_eq!(layout.hierarchies[0].controllers, ["cpu", "cpuacct"]);
        let controllers = |name| layout.clone().only(name).hierarchies.into_iter().map(|one| one.controllers);
        assert_eq!(controllers("cpuacct").collect::<Vec<_>>(), [["cpu", "cpuacct"]]);
        assert_eq!(controllers("memory").collect::<Vec<_>>(), [[""; 0]]);
        let at = "/sys/fs/cgroup";
        assert_eq!(
            directories(&root, &layout, "/x/y"),
            [format!("{at}/cpu,cpuacct/x/y"), format!("{at}/systemd/x/y"), format!("{at}/unified/x/y")]
        );
        assert_eq!(
            directories(&root, &layout, "x"),
            [format!("{at}/cpu,cpuacct/own/x"), format!("{at}/systemd/x"), format!("{at}/unified/a/x")]
        );
    }

    #[test]
    fn v2_alone() {
        let (root, layout) = host("30 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n");
        let layout = layout.unwrap();
        assert_eq!(layout.kind(), Kind::V2);
        assert_eq!(directories(&root, &layout, "x"), ["/sys/fs/cgroup/x"]);
    }

    #[test]
    fn mount_of_a_part() {
        let (root, layout) = host(
            "31 30 0:29 /docker/other /mnt/a rw - cgroup cgroup rw,cpu\n\
             31 30 0:29 /docker/1 /mnt/b\\040c rw - cgroup cgroup rw,cpu\n",
            "2:cpu:/docker/1/own\n",
        );
        let layout = layout.unwrap();
        assert_eq!(layout.kind(), Kind::V1);
        assert_eq!(directories(&root, &layout, "x"), ["/mnt/b c/own/x"]);
        assert_eq!(directories(&root, &layout, "/x"), ["/mnt/b c/x"]);
    }

    #[test]
    fn own_cgroup_that_is_not_seen() {
        for (mount, own) in [("/docker/2", "/docker/1"), ("/", "/../../x")] {
            let (_root, layout) =
                host(&format!("31 30 0:29 {mount} /c rw - cgroup cgroup rw,cpu\n"), &format!("2:cpu:{own}\n"));
            let layout = layout.unwrap();
            let relative = CgroupPath::parse(Some("x"), "id", false).unwrap();
            assert!(matches!(layout.hierarchies[0].directory(&relative), Err(Error::OwnUnseen(_))), "{mount} {own}");
        }
    }

    #[test]
    fn nothing_mounted() {
        let (_root, layout) = host("30 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "0::/\n");
        assert!(matches!(layout, Err(Error::NotMounted)));
    }
}
