//! Directories and the `path_*` calls.

use super::Model;
use crate::answer::{After, Broken, Check, Path, Predicted, any_of, overlap, strip_end};
use crate::calls::{Call, Text};
use crate::table::{APPEND, Desc, Object};
use crate::tree::{Body, Ino, Place};
use wave_monitor::{Access, Errno, Kind, Rights};

impl Model {
    pub fn readdir(&mut self, fd: u32, buf: u32, len: u32, cookie: u64, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        broken.range(buf, len);
        broken.unless(len <= self.limits.call_bytes, Errno::TOOBIG);
        let ino = self.directory(&mut broken, fd, Rights::FD_READDIR).and_then(Desc::node);
        broken.end()?;
        let ino = ino.expect("a directory");
        let dir = self.tree.dir(ino).expect("a directory");
        let listing = &mut self.table.open.get_mut(&fd).expect("open").listing;
        if cookie == 0 || listing.is_none() {
            *listing = Some(dir.version);
        }
        if *listing != Some(dir.version) {
            // It may show what has changed since it started.
            let after = After::default().loosely(buf as usize, len as usize).loosely(out as usize, 4);
            let check = Check::AtMost { at: out as usize, max: len.into() };
            return Ok(after.check(check).or(Err(Errno::INVAL.into())));
        }
        if dir.dead {
            return Ok(After::default().u32(out, 0));
        }
        let rest = self.rest_of_listing(ino, cookie);
        let used = rest.map_or(len as usize, |rest| rest.min(len as usize));
        let after = After::default().loosely(buf as usize, used);
        let after = match rest {
            Some(_) => after.u32(out, used as u32),
            None => after.loosely(out as usize, 4).check(Check::AtMost { at: out as usize, max: len.into() }),
        };
        let check = Check::Entries { buf: buf as usize, len: len as usize, used: out as usize, dir: ino, cookie };
        Ok(if overlap(buf, used, out) { after } else { after.check(check) })
    }

    /// How many bytes the entries from a cookie on take, if that is known.
    fn rest_of_listing(&self, ino: Ino, cookie: u64) -> Option<usize> {
        let dir = self.tree.dir(ino).expect("a directory");
        let count = dir.names.len() as u64 + 2;
        if cookie == 0 {
            return Some(25 + 26 + dir.names.keys().map(|name| 24 + name.len()).sum::<usize>());
        }
        let order = self.orders.get(&(ino, dir.version));
        (cookie..count).map(|at| Some(24 + order?.get(&at)?.len())).sum()
    }

    /// The directory that holds the last component.
    pub fn parent(&self, fd: u32, path: Path<'_>) -> Result<Ino, Errno> {
        let base = self.table.get(fd)?.node().expect("a directory");
        match self.tree.walk(base, strip_end(path.parent), true)? {
            Place::There { ino, .. } if self.tree.is_dir(ino) => Ok(ino),
            Place::There { .. } => Err(Errno::NOTDIR),
            Place::Free { .. } => Err(Errno::NOENT),
        }
    }

    /// What has the name, not followed.
    pub fn look(&self, dir: Ino, name: &[u8]) -> Result<Option<Ino>, Errno> {
        Ok(match self.tree.walk(dir, name, false)? {
            Place::There { ino, .. } => Some(ino),
            Place::Free { .. } => None,
        })
    }

    /// As [`look`](Self::look), and in a dead directory nothing can be made.
    pub fn free_name(&self, dir: Ino, name: &[u8]) -> Result<(), Errno> {
        if self.look(dir, name)?.is_some() { Err(Errno::EXIST) } else { Ok(()) }
    }

    /// Whether a name may be made.
    pub fn has_room(&self, text_bytes: usize) -> bool {
        self.limits.entries > 0 && 4096 + text_bytes as u64 <= self.limits.written_bytes
    }

    /// Counts a name that is made.
    pub fn new_name(&mut self, text_bytes: usize) -> Result<(), Errno> {
        if !self.has_room(text_bytes) {
            return Err(Errno::NOSPC);
        }
        self.limits.entries -= 1;
        self.limits.written_bytes -= 4096 + text_bytes as u64;
        Ok(())
    }

    pub fn require_directory(&self, dir: Ino, name: &[u8]) -> Result<(), Errno> {
        let found = self.look(dir, name)?.ok_or(Errno::NOENT)?;
        if self.tree.is_dir(found) { Ok(()) } else { Err(Errno::NOTDIR) }
    }

    pub fn mkdir(&mut self, memory: &[u8], fd: u32, path: Text) -> Predicted {
        let mut broken = Broken::default();
        self.directory(&mut broken, fd, Rights::PATH_CREATE_DIRECTORY);
        let path = broken.path(memory, path);
        broken.end()?;
        let path = path.expect("checked");
        let dir = self.parent(fd, path)?;
        path.named(Errno::EXIST, Errno::EXIST)?;
        self.free_name(dir, path.last)?;
        self.new_name(path.last.len())?;
        self.tree.make(dir, path.last, Body::Dir(crate::tree::Dir::default()));
        Ok(After::default())
    }

    pub fn rmdir(&mut self, memory: &[u8], fd: u32, path: Text) -> Predicted {
        let mut broken = Broken::default();
        self.directory(&mut broken, fd, Rights::PATH_REMOVE_DIRECTORY);
        let path = broken.path(memory, path);
        broken.end()?;
        let path = path.expect("checked");
        let dir = self.parent(fd, path)?;
        path.named(Errno::INVAL, Errno::NOTEMPTY)?;
        let found = self.look(dir, path.last)?.ok_or(Errno::NOENT)?;
        let inner = self.tree.dir(found).ok_or(Errno::NOTDIR)?;
        if !inner.names.is_empty() {
            return Err(Errno::NOTEMPTY.into());
        }
        self.tree.leave_for_good(dir, path.last);
        Ok(After::default())
    }

    pub fn unlink(&mut self, memory: &[u8], fd: u32, path: Text) -> Predicted {
        let mut broken = Broken::default();
        self.directory(&mut broken, fd, Rights::PATH_UNLINK_FILE);
        let path = broken.path(memory, path);
        broken.end()?;
        let path = path.expect("checked");
        let dir = self.parent(fd, path)?;
        path.named(Errno::ISDIR, Errno::ISDIR)?;
        let found = self.look(dir, path.last)?.ok_or(Errno::NOENT)?;
        match (self.tree.is_dir(found), path.slash) {
            (true, _) => Err(Errno::ISDIR.into()),
            (false, true) => Err(Errno::NOTDIR.into()),
            (false, false) => {
                self.tree.leave(dir, path.last);
                Ok(After::default())
            }
        }
    }

    pub fn symlink(&mut self, memory: &[u8], target: Text, fd: u32, path: Text) -> Predicted {
        let mut broken = Broken::default();
        self.directory(&mut broken, fd, Rights::PATH_SYMLINK);
        let path = broken.path(memory, path);
        let target = broken.text(memory, target);
        broken.end()?;
        let path = path.expect("checked");
        let dir = self.parent(fd, path)?;
        path.named(Errno::EXIST, Errno::EXIST)?;
        self.free_name(dir, path.last)?;
        if path.slash {
            return Err(Errno::NOENT.into());
        }
        let target = target.expect("checked");
        self.new_name(path.last.len() + target.len())?;
        self.tree.make(dir, path.last, Body::Link(target.to_vec()));
        Ok(After::default())
    }

    pub fn readlink(&self, memory: &[u8], fd: u32, path: Text, buf: u32, len: u32, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        broken.range(buf, len);
        self.directory(&mut broken, fd, Rights::PATH_READLINK);
        let path = broken.path(memory, path);
        broken.end()?;
        let path = path.expect("checked");
        let dir = self.parent(fd, path)?;
        if path.slash {
            self.find(fd, path, false)?;
            return Err(Errno::INVAL.into());
        }
        path.named(Errno::INVAL, Errno::INVAL)?;
        let found = self.look(dir, path.last)?.ok_or(Errno::NOENT)?;
        match &self.tree.node(found).body {
            Body::Link(text) => {
                let part = &text[..text.len().min(len as usize)];
                Ok(After::default().store(buf, part).u32(out, part.len() as u32))
            }
            _ => Err(Errno::INVAL.into()),
        }
    }

    pub fn link(&mut self, memory: &[u8], old_fd: u32, lookup: u32, old: Text, new_fd: u32, new: Text) -> Predicted {
        let mut broken = Broken::default();
        self.directory(&mut broken, old_fd, Rights::PATH_LINK_SOURCE);
        self.directory(&mut broken, new_fd, Rights::PATH_LINK_TARGET);
        broken.unless(lookup == 0, Errno::INVAL);
        let old = broken.path(memory, old);
        let new = broken.path(memory, new);
        broken.end()?;
        let (old, new) = (old.expect("checked"), new.expect("checked"));
        let (from, to) = (self.parent(old_fd, old), self.parent(new_fd, new));
        let mut broken = Broken::default();
        let from = broken.check(from);
        let found = match (from, old.named(Errno::PERM, Errno::PERM)) {
            (Some(from), Ok(())) if !old.slash => self.look(from, old.last).and_then(|found| found.ok_or(Errno::NOENT)),
            _ => self.find(old_fd, old, false),
        };
        let found = broken.check(found);
        broken.check(to.as_ref().map_err(|errno| *errno));
        broken.end()?;
        let to = to?;
        let mut broken = Broken::default();
        broken.check(new.named(Errno::EXIST, Errno::EXIST).and_then(|()| self.free_name(to, new.last)));
        broken.unless(!new.slash, Errno::NOENT);
        if let Some(found) = found {
            broken.unless(!self.tree.is_dir(found), Errno::PERM);
        }
        broken.unless(self.has_room(new.last.len()), Errno::NOSPC);
        broken.end()?;
        self.new_name(new.last.len())?;
        self.tree.enter(to, new.last, found.expect("checked"));
        Ok(After::default())
    }

    pub fn rename(&mut self, memory: &[u8], old_fd: u32, old: Text, new_fd: u32, new: Text) -> Predicted {
        let mut broken = Broken::default();
        self.directory(&mut broken, old_fd, Rights::PATH_RENAME_SOURCE);
        self.directory(&mut broken, new_fd, Rights::PATH_RENAME_TARGET);
        let old = broken.path(memory, old);
        let new = broken.path(memory, new);
        broken.end()?;
        let (old, new) = (old.expect("checked"), new.expect("checked"));
        let (from, to) = (self.parent(old_fd, old), self.parent(new_fd, new));
        let mut broken = Broken::default();
        broken.check(from);
        broken.check(to);
        broken.end()?;
        let (from, to) = (from?, to?);
        old.named(Errno::BUSY, Errno::BUSY)?;
        new.named(Errno::BUSY, Errno::BUSY)?;
        if old.slash || new.slash {
            self.require_directory(from, old.last)?;
        }
        let mut broken = Broken::default();
        let found = broken.check(self.look(from, old.last).and_then(|found| found.ok_or(Errno::NOENT)));
        let replaced = broken.check(self.look(to, new.last));
        broken.end()?;
        let (found, replaced) = (found.expect("checked"), replaced.expect("checked"));
        let moves_directory = self.tree.is_dir(found);
        if moves_directory && self.tree.is_beneath(to, found) {
            return Err(Errno::INVAL.into());
        }
        if let Some(replaced) = replaced {
            if self.tree.is_dir(replaced) && self.tree.is_beneath(from, replaced) {
                return Err(Errno::NOTEMPTY.into());
            }
            if replaced == found {
                return Ok(After::default());
            }
            match (moves_directory, self.tree.dir(replaced)) {
                (true, None) => return Err(Errno::NOTDIR.into()),
                (false, Some(_)) => return Err(Errno::ISDIR.into()),
                (true, Some(dir)) if !dir.names.is_empty() => return Err(Errno::NOTEMPTY.into()),
                _ => self.tree.leave_for_good(to, new.last),
            }
        }
        self.tree.leave(from, old.last);
        self.tree.enter(to, new.last, found);
        Ok(After::default())
    }

    /// Where a whole path leads. A slash after a link asks for what it leads to, unless that is outside.
    fn place(&self, base: Ino, path: Path<'_>, follow: bool, create: bool) -> Result<Place, Errno> {
        let place = self.tree.walk_to(base, path.whole, follow, create)?;
        match place {
            Place::There { ino, .. } if path.slash && matches!(self.tree.node(ino).body, Body::Link(_)) => {
                let with_slash = [path.whole, b"/"].concat();
                let found = self.tree.walk(base, &with_slash, false);
                found.map_err(|errno| if errno == Errno::NOTCAPABLE { Errno::NOTDIR } else { errno })
            }
            place => Ok(place),
        }
    }

    /// What a whole path leads to.
    pub fn find(&self, fd: u32, path: Path<'_>, follow: bool) -> Result<Ino, Errno> {
        let base = self.table.get(fd)?.node().expect("a directory");
        match self.place(base, path, follow, false)? {
            Place::There { ino, slash } if (slash || path.slash) && !self.tree.is_dir(ino) => Err(Errno::NOTDIR),
            Place::There { ino, .. } => Ok(ino),
            Place::Free { .. } => Err(Errno::NOENT),
        }
    }

    pub fn stat_at(&self, memory: &[u8], fd: u32, lookup: u32, path: Text, out: u32, old: bool) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, if old { 56 } else { 64 });
        broken.known(lookup, 1);
        self.directory(&mut broken, fd, Rights::PATH_FILESTAT_GET);
        let path = broken.path(memory, path);
        broken.end()?;
        Ok(self.filestat(self.find(fd, path.expect("checked"), lookup == 1)?, out, old))
    }

    pub fn set_times_at(
        &mut self,
        memory: &[u8],
        fd: u32,
        lookup: u32,
        path: Text,
        mtim: u64,
        flags: u32,
    ) -> Predicted {
        let mut broken = Broken::default();
        broken.known(lookup, 1);
        broken.times(flags);
        self.directory(&mut broken, fd, Rights::PATH_FILESTAT_SET_TIMES);
        let path = broken.path(memory, path);
        broken.end()?;
        let found = self.find(fd, path.expect("checked"), lookup == 1);
        // Linux does not look at the name when there is nothing to set.
        if flags == 0
            && let Err(errno) = found
        {
            return Ok(After::default().or(Err(errno.into())));
        }
        self.modify_time(found?, mtim, flags);
        Ok(After::default())
    }

    pub fn open(&mut self, memory: &[u8], call: &Call) -> Predicted {
        const CREAT: u32 = 1;
        const DIRECTORY: u32 = 2;
        const EXCL: u32 = 4;
        const TRUNC: u32 = 8;
        let Call::PathOpen { fd, lookup, path, oflags, base, inheriting, fdflags, out } = *call else { unreachable!() };
        let is = |flag| oflags & flag != 0;

        let mut broken = Broken::default();
        broken.range(out, 4);
        broken.known(lookup, 1);
        broken.known(oflags, 15);
        broken.known(fdflags, 31);
        let (base, inheriting) = (broken.rights(base), broken.rights(inheriting));
        let (read, write) = (base.contains(Rights::FD_READ), base.contains(Rights::FD_WRITE));
        let mut needed = Rights::PATH_OPEN;
        if is(CREAT) {
            needed = needed.union(Rights::PATH_CREATE_FILE);
        }
        if is(TRUNC) {
            needed = needed.union(Rights::PATH_FILESTAT_SET_SIZE);
        }
        let dir = self.directory(&mut broken, fd, needed).cloned();
        if let Some(dir) = &dir {
            let mode = base.intersection(Rights::FD_READ.union(Rights::FD_WRITE));
            broken.unless(dir.inheriting.contains(mode), Errno::NOTCAPABLE);
            let appends = fdflags & u32::from(APPEND) != 0;
            broken.unless(!write || dir.access != Access::Append || appends, Errno::NOTCAPABLE);
        }
        let path = broken.path(memory, path);
        broken.unless(!self.table.is_full(), Errno::MFILE);
        broken.unless(!is(CREAT) || !is(DIRECTORY), Errno::INVAL);
        broken.end()?;
        let (dir, path) = (dir.expect("open"), path.expect("checked"));
        if is(CREAT) && path.slash {
            self.parent(fd, path)?;
            let dots = if is(EXCL) { Errno::EXIST } else { Errno::ISDIR };
            path.named(dots, dots)?;
            return Err(Errno::ISDIR.into());
        }

        let follow = lookup == 1 && !(is(CREAT) && is(EXCL));
        let place = self.place(dir.node().expect("a directory"), path, follow, is(CREAT));
        if let Err(errno) = place
            && is(CREAT)
            && !self.has_room(path.last.len())
        {
            return Err(any_of([errno, Errno::NOSPC, Errno::NOTDIR]));
        }
        let ino = match place? {
            Place::Free { .. } if !is(CREAT) => return Err(Errno::NOENT.into()),
            Place::Free { dir, name } => {
                // Counted under the name that was given, links followed or not.
                self.new_name(path.last.len())?;
                self.tree.make(dir, &name, Body::File(Vec::new()))
            }
            Place::There { .. } if is(CREAT) && is(EXCL) => return Err(Errno::EXIST.into()),
            Place::There { ino, slash: true } if !self.tree.is_dir(ino) => return Err(Errno::NOTDIR.into()),
            Place::There { ino, .. } => ino,
        };
        let demands_directory = is(DIRECTORY) || path.slash;
        let kind = match &self.tree.node(ino).body {
            Body::Dir(_) if is(CREAT) || is(TRUNC) || write => return Err(Errno::ISDIR.into()),
            Body::Dir(_) => Kind::Directory,
            Body::Link(_) if demands_directory => return Err(any_of([Errno::LOOP, Errno::NOTDIR])),
            Body::Link(_) => return Err(Errno::LOOP.into()),
            _ if demands_directory => return Err(Errno::NOTDIR.into()),
            Body::Fifo { .. } if write && !read && self.table.ends(ino).0 == 0 => return Err(Errno::NXIO.into()),
            Body::Fifo { .. } => Kind::Pipe,
            Body::File(_) => Kind::RegularFile,
        };
        if is(TRUNC) && kind == Kind::RegularFile {
            self.tree.file_mut(ino).clear();
        }
        let mut desc = Desc::new(Object::Node(ino), kind, dir.access, base.intersection(dir.inheriting));
        if kind == Kind::Directory {
            desc.inheriting = inheriting.intersection(dir.inheriting).intersection(dir.access.ceiling());
        }
        desc.flags = fdflags as u16;
        (desc.readable, desc.writable) = (read || !write, write);
        if kind == Kind::Pipe && write {
            self.table.writer_came(ino);
        }
        desc.before_writer = kind == Kind::Pipe && !write && self.table.ends(ino).1 == 0;
        let opened = self.table.insert(desc);
        Ok(After::default().u32(out, opened))
    }
}
