//! Granted files. The guest finds them in a *list*: a preopen that is a map from names to granted files. No directory of
//! the host is behind it, so it has no other name, and no name in it can be made, moved or removed.
//!
//! Only the functions here act on a list by a path. All others treat it as a directory without the right.

use crate::entries::{Entry, EntryOrigin};
use crate::opens::{Inherited, Mode, Wanted, admit_creation, admit_mode, needed_on_directory};
use crate::{
    Access, Admitted, Errno, FdFlags, GuestPath, HostFd, Kind, Last, LookupFlags, Monitor, OFlags, OpenRequest,
    Performed, Rights, Rule, Target,
};

/// A granted file, as the embedder describes it.
#[derive(Debug, Clone)]
pub struct GrantedFile {
    /// Its name in the list: one component, neither `.` nor `..`.
    pub name: Vec<u8>,
    /// The host's object.
    pub host: HostFd,
    /// What the guest may do with it.
    pub access: Access,
}

/// The granted files of one directory of the guest.
#[derive(Debug)]
pub(crate) struct List {
    grant: u16,
    files: Vec<Listed>,
}

/// A granted file, and the number of its grant.
#[derive(Debug)]
struct Listed {
    file: GrantedFile,
    grant: u16,
}

/// What a path under a list leads to.
#[derive(Debug)]
pub enum ListItem {
    /// The list itself, by `.`.
    List(Target),
    /// A granted file.
    File(Target),
}

/// Open a granted file, or a list again.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenListed {
    /// What is opened. It exists already.
    pub item: ListItem,
    /// Whether the file is truncated.
    pub truncate: bool,
    /// Append and synchronization.
    pub fdflags: FdFlags,
    /// Open for reading, as in [`Open`](crate::Open).
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    grant: Inherited,
}

/// Query the attributes of a granted file, or of a list.
#[derive(Debug)]
#[non_exhaustive]
pub struct StatListed {
    /// What is asked about.
    pub item: ListItem,
}

/// List the names of a list.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadList {
    /// The list.
    pub on: Target,
    /// Start of the listing. The guest can pass any value.
    pub cookie: u64,
}

/// What a name in a list is.
enum Found<'l> {
    List,
    File(&'l Listed),
}

impl Monitor {
    /// Grants files under the name of their directory. Returns the number of the list's descriptor. In the order of grants
    /// ([`grant_of`](Self::grant_of)), the list comes first, then its files.
    ///
    /// # Errors
    /// [`Errno::MFILE`] at the limit, and after 65 536 grants. [`Errno::INVAL`] for a name that is not one component, and for
    /// one that is there twice.
    pub fn grant_list(&mut self, host: HostFd, name: Vec<u8>, files: Vec<GrantedFile>) -> Result<u32, Errno> {
        self.check_room()?;
        let is_name =
            |file: &GrantedFile| GuestPath::parse(&file.name).is_ok_and(|path| path.single() == Some(&*file.name));
        let mut names: Vec<_> = files.iter().map(|file| &*file.name).collect();
        names.sort_unstable();
        if !files.iter().all(is_name) || names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Err(Errno::INVAL);
        }
        let access = files.iter().map(|file| file.access).max().unwrap_or(Access::ReadOnly);
        let grant = self.add_grant(name)?;
        let mut listed = Vec::with_capacity(files.len());
        for file in files {
            listed.push(Listed { grant: self.add_grant(file.name.clone())?, file });
        }
        listed.sort_unstable_by(|one, other| one.file.name.cmp(&other.file.name));
        self.lists.push(List { grant, files: listed });
        let entry = Entry::new(host, Kind::List, access, EntryOrigin::Preopen(grant), Rights::ALL);
        Ok(self.insert(entry.inheriting(Rights::LIST.union(Rights::REGULAR_FILE))))
    }

    /// Whether a descriptor is a list. The embedder asks this after a denial, and then for a decision of this module.
    #[cold]
    #[must_use]
    pub fn is_list(&self, fd: u32) -> bool {
        self.entry(fd).is_ok_and(|entry| entry.kind() == Kind::List)
    }

    /// The grant that a path under a descriptor goes back to: as [`grant_of`](Self::grant_of), but that of the file in a list.
    #[must_use]
    pub fn grant_at(&self, fd: u32, path: &[u8]) -> Option<usize> {
        let entry = self.entry(fd).ok()?;
        let path = GuestPath::parse(path).ok().filter(|_| entry.kind() == Kind::List);
        match path.and_then(|path| self.find(entry, &path).ok()) {
            Some(Found::File(listed)) => Some(listed.grant.into()),
            _ => self.grant_of(fd),
        }
    }

    /// `path_open` under a list. Rights are needed as in [`admit_open`](Self::admit_open), and the access is that of the file.
    ///
    /// # Errors
    /// As [`admit_open`](Self::admit_open). What is not in the list is [`Errno::NOENT`], or [`Errno::NOTCAPABLE`] if it would
    /// be made. A file is [`Errno::NOTDIR`] where a directory is asked for, and [`Errno::EXIST`] with `EXCL`; the list
    /// itself is [`Errno::ISDIR`] for a change.
    pub fn admit_open_listed(&self, request: OpenRequest<'_>) -> Result<Admitted<OpenListed>, Errno> {
        let wanted = Wanted::of(&request)?;
        let list = self.list_entry(request.fd, Rights::PATH_OPEN)?;
        let path = GuestPath::parse(request.path)?;
        self.check_room()?;
        let creates = wanted.oflags.contains(OFlags::CREAT);
        let found = self.find(list, &path).map_err(|absent| {
            let makes = absent == Errno::NOENT && creates;
            if makes { Errno::NOTCAPABLE.because(Rule::Listed) } else { absent }
        })?;
        let may = list.inherited();
        let (item, origin, access, mode) = match found {
            Found::File(Listed { file, grant }) => {
                let mode = admit_listed(file.access, list.base(), may, &wanted)?;
                (ListItem::File(Target::new(file.host)), EntryOrigin::Beneath(*grant), file.access, mode)
            }
            Found::List => {
                let mode = admit_list_again(&wanted)?;
                (ListItem::List(list.target()), list.origin().beneath(), list.access(), mode)
            }
        };
        Ok(Admitted::new(OpenListed {
            item,
            truncate: wanted.oflags.contains(OFlags::TRUNC),
            fdflags: wanted.fdflags,
            read: mode.read,
            write: mode.write,
            grant: wanted.inherited(origin, access, may),
        }))
    }

    /// Enters what was opened into the table and returns its number. A list has the number of the host's object that the
    /// effect has.
    ///
    /// This cannot fail: `admit_open_listed` checked that there is room.
    #[inline(never)]
    pub fn install_listed(&mut self, open: Performed<OpenListed>, host: HostFd, kind: Kind) -> u32 {
        let OpenListed { grant, fdflags, item, .. } = open.into_effect();
        let (host, kind) = match item {
            ListItem::List(list) => (list.host(), Kind::List),
            ListItem::File(_) => (host, kind),
        };
        self.insert(grant.entry(host, kind, fdflags))
    }

    /// `path_filestat_get` under a list: needs `PATH_FILESTAT_GET`.
    ///
    /// # Errors
    /// As [`admit_stat_at`](Self::admit_stat_at), and [`Errno::NOENT`] for what is not in the list.
    pub fn admit_stat_listed(&self, fd: u32, lookup: u32, path: &[u8]) -> Result<Admitted<StatListed>, Errno> {
        LookupFlags::from_guest(lookup)?;
        let list = self.list_entry(fd, Rights::PATH_FILESTAT_GET)?;
        let item = match self.find(list, &GuestPath::parse(path)?)? {
            Found::File(Listed { file, .. }) => ListItem::File(Target::new(file.host)),
            Found::List => ListItem::List(list.target()),
        };
        Ok(Admitted::new(StatListed { item }))
    }

    /// `fd_readdir` of a list into a buffer of `len` bytes: needs `FD_READDIR`.
    ///
    /// # Errors
    /// As [`admit_readdir`](Self::admit_readdir).
    pub fn admit_read_list(&self, fd: u32, cookie: u64, len: u32) -> Result<Admitted<ReadList>, Errno> {
        let list = self.list_entry(fd, Rights::FD_READDIR)?;
        self.limits().admit_whole(len)?;
        Ok(Admitted::new(ReadList { on: list.target(), cookie }))
    }

    fn list_entry(&self, fd: u32, rights: Rights) -> Result<&Entry, Errno> {
        let entry = self.entry(fd)?;
        if entry.kind() != Kind::List {
            return Err(Errno::NOTDIR);
        }
        entry.require(rights)?;
        Ok(entry)
    }

    /// What a path leads to: the list by `.`, a file by its name alone. Behind a file nothing follows, and nothing else is there.
    fn find(&self, list: &Entry, path: &GuestPath<'_>) -> Result<Found<'_>, Errno> {
        if path.parent().is_empty() && path.last() == Last::Dot {
            return Ok(Found::List);
        }
        let first = path.whole().split(|byte| *byte == b'/').next().unwrap_or_default();
        let found = list.grant().and_then(|grant| self.listed(grant, first)).ok_or(Errno::NOENT)?;
        if path.single().is_none() || path.demands_directory() {
            return Err(Errno::NOTDIR);
        }
        Ok(Found::File(found))
    }

    /// The file with a name in the list of a grant. Both are in order: lists as they were granted, names by their bytes.
    fn listed(&self, grant: u16, name: &[u8]) -> Option<&Listed> {
        let list = self.lists.binary_search_by_key(&grant, |list| list.grant).ok()?;
        let files = &self.lists.get(list)?.files;
        let at = files.binary_search_by(|listed| (*listed.file.name).cmp(name)).ok()?;
        files.get(at)
    }
}

/// Decides on the open of a granted file: the list needs the rights for it, `has` and `may`, and so does the file's access.
#[inline(never)]
pub(crate) fn admit_listed(access: Access, has: Rights, may: Rights, wanted: &Wanted) -> Result<Mode, Errno> {
    admit_creation(wanted.oflags)?;
    let missing = needed_on_directory(wanted.oflags).without(has.intersection(access.ceiling()));
    if missing != Rights::NONE {
        return Err(Errno::NOTCAPABLE.because(access.refusal(Rights::LIST, missing)));
    }
    let mode = admit_mode(access, may.intersection(access.ceiling()), wanted.base, wanted.fdflags)?;
    if wanted.oflags.contains(OFlags::DIRECTORY) {
        return Err(Errno::NOTDIR);
    }
    if wanted.oflags.contains(OFlags::CREAT) && wanted.oflags.contains(OFlags::EXCL) {
        return Err(Errno::EXIST);
    }
    Ok(mode)
}

/// Decides on the open of a list by `.`: only for reading.
fn admit_list_again(wanted: &Wanted) -> Result<Mode, Errno> {
    admit_creation(wanted.oflags)?;
    let changes = [OFlags::CREAT, OFlags::TRUNC].iter().any(|flag| wanted.oflags.contains(*flag));
    match changes || wanted.base.contains(Rights::FD_WRITE) {
        true if wanted.oflags.contains(OFlags::CREAT) && wanted.oflags.contains(OFlags::EXCL) => Err(Errno::EXIST),
        true => Err(Errno::ISDIR),
        false => Ok(Mode { read: true, write: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    const CREAT: u32 = 1;
    const DIRECTORY: u32 = 2;
    const EXCL: u32 = 4;
    const TRUNC: u32 = 8;
    const READ: Rights = Rights::FD_READ;
    const WRITE: Rights = Rights::FD_WRITE;

    fn monitor() -> Monitor {
        let mut monitor = Monitor::new(Limits::default());
        monitor.grant_directory(HostFd::new(0), b"/data".to_vec(), Access::ReadWrite).unwrap();
        let file = |name: &str, host, access| GrantedFile { name: name.into(), host: HostFd::new(host), access };
        let files = vec![
            file("hosts", 11, Access::ReadOnly),
            file("log", 12, Access::Append),
            file("state", 13, Access::ReadWrite),
        ];
        assert_eq!(monitor.grant_list(HostFd::new(10), b"/etc".to_vec(), files), Ok(4));
        monitor
    }

    fn request(path: &str, oflags: u32, base: Rights, fdflags: u32) -> OpenRequest<'_> {
        let (base, inheriting) = (base.bits(), Rights::ALL.bits());
        OpenRequest { fd: 4, lookup: 0, path: path.as_bytes(), oflags, base, inheriting, fdflags }
    }

    fn open(monitor: &Monitor, path: &str, oflags: u32, base: Rights, fdflags: u32) -> Result<u32, Errno> {
        let open = monitor.admit_open_listed(request(path, oflags, base, fdflags))?;
        match &open.item {
            ListItem::List(on) | ListItem::File(on) => Ok(on.host().index()),
        }
    }

    #[test]
    fn a_list_has_its_files_and_nothing_else() {
        let monitor = monitor();
        let stat = |path: &str| {
            let stat = monitor.admit_stat_listed(4, 0, path.as_bytes())?;
            match &stat.item {
                ListItem::List(on) | ListItem::File(on) => Ok(on.host().index()),
            }
        };
        for (path, expected) in [
            ("hosts", Ok(11)),
            ("./log", Ok(12)),
            (".//state", Ok(13)),
            (".", Ok(10)),
            ("./", Ok(10)),
            ("hosts/", Err(Errno::NOTDIR)),
            ("hosts/.", Err(Errno::NOTDIR)),
            ("hosts/..", Err(Errno::NOTDIR)),
            ("hosts/../log", Err(Errno::NOTDIR)),
            ("passwd", Err(Errno::NOENT)),
            ("passwd/..", Err(Errno::NOENT)),
            ("Hosts", Err(Errno::NOENT)),
            ("host", Err(Errno::NOENT)),
            ("hosts2", Err(Errno::NOENT)),
            ("..", Err(Errno::NOTCAPABLE)),
            ("../etc/hosts", Err(Errno::NOTCAPABLE)),
            ("/etc/hosts", Err(Errno::NOTCAPABLE)),
            ("hosts\0", Err(Errno::INVAL)),
            ("", Err(Errno::NOENT)),
        ] {
            assert_eq!(stat(path), expected, "{path:?}");
            assert_eq!(open(&monitor, path, 0, READ, 0), expected, "{path:?}");
        }
        assert_eq!(monitor.admit_stat_listed(3, 0, b"hosts").err(), Some(Errno::NOTDIR), "no list");
        assert_eq!(monitor.admit_stat_at(4, 0, b"hosts").err(), Some(Errno::NOTCAPABLE), "no directory");
    }

    #[test]
    fn t21_each_file_has_its_own_access() {
        let monitor = monitor();
        let denied = Err(Errno::NOTCAPABLE);
        for (path, oflags, base, fdflags, expected) in [
            ("hosts", 0, WRITE, 0, denied),
            ("hosts", 0, WRITE, 1, denied),
            ("hosts", TRUNC, READ, 0, denied),
            ("hosts", CREAT, READ, 0, denied),
            ("log", 0, READ, 0, Ok(12)),
            ("log", 0, WRITE, 0, denied),
            ("log", 0, WRITE, 1, Ok(12)),
            ("log", CREAT, WRITE, 1, Ok(12)),
            ("log", TRUNC, WRITE, 1, denied),
            ("state", CREAT | TRUNC, WRITE, 0, Ok(13)),
            ("state", CREAT | EXCL, WRITE, 0, Err(Errno::EXIST)),
            ("state", DIRECTORY, READ, 0, Err(Errno::NOTDIR)),
            ("state", CREAT | DIRECTORY, READ, 0, Err(Errno::INVAL)),
            ("new", CREAT, WRITE, 0, denied),
            (".", DIRECTORY, READ, 0, Ok(10)),
            (".", 0, WRITE, 0, Err(Errno::ISDIR)),
            (".", TRUNC, READ, 0, Err(Errno::ISDIR)),
            (".", CREAT, READ, 0, Err(Errno::ISDIR)),
            (".", CREAT | EXCL, READ, 0, Err(Errno::EXIST)),
        ] {
            assert_eq!(open(&monitor, path, oflags, base, fdflags), expected, "{path} {oflags} {base:?} {fdflags}");
        }
        let rule =
            |path, oflags| monitor.admit_open_listed(request(path, oflags, WRITE, 0)).map(drop).map_err(Errno::rule);
        assert_eq!(rule("hosts", 0), Err(Rule::ReadOnly));
        assert_eq!(rule("log", TRUNC), Err(Rule::AppendOnly));
        assert_eq!(rule("new", CREAT), Err(Rule::Listed));
    }

    #[test]
    fn an_open_file_has_the_rights_of_its_access_and_a_grant_of_its_own() {
        let mut monitor = monitor();
        let mut opened = |path: &str, base, kind| {
            let open = monitor.admit_open_listed(request(path, 0, base, 1)).unwrap();
            let fd = monitor.install_listed(open.performed(), HostFd::new(20), kind);
            (fd, monitor.fdstat(fd).unwrap(), monitor.grant_of(fd))
        };
        let all_but_write = Rights::ALL.without(WRITE);
        let (_, hosts, grant) = opened("hosts", all_but_write, Kind::RegularFile);
        assert_eq!((hosts.base.intersection(Rights::MUTATING), grant), (Rights::NONE, Some(2)));
        let (log, stat, grant) = opened("log", Rights::ALL, Kind::RegularFile);
        assert_eq!((stat.base.intersection(Rights::MUTATING), grant), (WRITE, Some(3)));
        let (state, stat, grant) = opened("state", Rights::ALL, Kind::RegularFile);
        assert_eq!((stat.base, stat.inheriting, grant), (Rights::REGULAR_FILE, Rights::NONE, Some(4)));
        let (again, stat, grant) = opened(".", Rights::ALL.without(WRITE), Kind::RegularFile);
        assert_eq!((stat.base, grant), (Rights::LIST, Some(1)));
        assert!(monitor.admit_write_at(state, 0).is_ok() && monitor.admit_write_at(log, 0).is_err());
        assert_eq!(monitor.admit_set_flags(log, FdFlags::empty()).err(), Some(Errno::NOTCAPABLE));
        assert!(monitor.is_list(again) && !monitor.is_list(state) && !monitor.is_list(3));
        let grants = [("log", Some(3)), ("none", Some(1)), (".", Some(1)), ("log/..", Some(1))];
        assert!(grants.iter().all(|(path, grant)| monitor.grant_at(again, path.as_bytes()) == *grant));
        assert_eq!((monitor.grant_at(3, b"log"), monitor.preopen_name(4)), (Some(0), Ok(&b"/etc"[..])));
    }

    #[test]
    fn t22_rights_that_were_dropped_from_a_list_are_gone() {
        let mut monitor = monitor();
        let base = monitor.fdstat(4).unwrap().base;
        assert_eq!(base, Rights::LIST);
        monitor.set_rights(4, base.without(Rights::PATH_FILESTAT_SET_SIZE).bits(), READ.bits()).unwrap();
        assert_eq!(open(&monitor, "state", 0, READ, 0), Ok(13));
        assert_eq!(open(&monitor, "state", TRUNC, READ, 0), Err(Errno::NOTCAPABLE));
        assert_eq!(open(&monitor, "state", 0, WRITE, 0), Err(Errno::NOTCAPABLE));
        monitor.set_rights(4, 0, 0).unwrap();
        assert_eq!(open(&monitor, "state", 0, READ, 0), Err(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_stat_listed(4, 0, b"state").err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_read_list(4, 0, 9).err(), Some(Errno::NOTCAPABLE));
    }

    #[test]
    fn t22_names_of_a_list_cannot_be_made_moved_or_removed() {
        let monitor = monitor();
        let times = crate::NewTimes::from_guest(0, 0, 0).unwrap();
        let denials = [
            monitor.admit_create_directory(4, b"d").map(drop),
            monitor.admit_remove_directory(4, b"state").map(drop),
            monitor.admit_unlink(4, b"state").map(drop),
            monitor.admit_readlink(4, b"state").map(drop),
            monitor.admit_set_times_at(4, 0, b"state", times).map(drop),
            monitor.admit_symlink(b"x", 4, b"l").map(drop),
            monitor.admit_rename(4, b"state", 4, b"new").map(drop),
            monitor.admit_rename(4, b"state", 3, b"new").map(drop),
            monitor.admit_rename(3, b"new", 4, b"state").map(drop),
            monitor.admit_link(4, 0, b"state", 3, b"new").map(drop),
            monitor.admit_link(3, 0, b"new", 4, b"state").map(drop),
            monitor.admit_open(request("state", 0, READ, 0)).map(drop),
            monitor.admit_readdir(4, 0, 9).map(drop),
        ];
        for (at, denial) in denials.into_iter().enumerate() {
            assert_eq!(denial.map_err(Errno::rule), Err(Rule::Listed), "{at}");
        }
        assert_eq!(monitor.admit_read(4).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_sync(4).err(), Some(Errno::INVAL));
        assert!(monitor.admit_stat(4).is_ok() && monitor.admit_read_list(4, 0, 9).is_ok());
    }

    #[test]
    fn names_that_are_no_single_component_or_there_twice_are_refused() {
        let list = |names: &[&str]| {
            let file = |name: &&str| {
                let name = name.as_bytes().to_vec();
                GrantedFile { name, host: HostFd::new(0), access: Access::ReadOnly }
            };
            let files = names.iter().map(file).collect();
            Monitor::new(Limits::default()).grant_list(HostFd::new(1), b"/".to_vec(), files)
        };
        assert_eq!(list(&["a", "b", "...", "a b"]), Ok(3));
        for names in [&["a", "a"][..], &["."], &[".."], &["a/b"], &["a/"], &["/a"], &["./a"], &[""], &["a\0"]] {
            assert_eq!(list(names), Err(Errno::INVAL), "{names:?}");
        }
        let mut full = Monitor::new(Limits { open_files: 0, ..Limits::default() });
        assert_eq!(full.grant_list(HostFd::new(0), b"/".to_vec(), Vec::new()), Err(Errno::MFILE));
    }
}
