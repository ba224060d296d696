//! The `fd_*` calls that move no data.

use super::Model;
use crate::FILE_MAX_BYTES;
use crate::answer::{After, Broken, Check, Predicted};
use crate::table::{APPEND, Desc, NONBLOCK};
use crate::tree::{Body, Ino};
use wave_monitor::{Access, Errno, Kind, Rights};

impl Model {
    /// The descriptor, if it has the rights.
    pub fn desc(&self, broken: &mut Broken, fd: u32, rights: Rights) -> Option<&Desc> {
        let desc = broken.check(self.table.get(fd))?;
        broken.unless(desc.base.contains(rights), Errno::NOTCAPABLE);
        Some(desc)
    }

    pub fn positioned(&self, broken: &mut Broken, fd: u32, rights: Rights) -> Option<&Desc> {
        let desc = self.desc(broken, fd, rights)?;
        broken.unless(matches!(desc.kind, Kind::RegularFile | Kind::Directory), Errno::SPIPE);
        Some(desc)
    }

    pub fn directory(&self, broken: &mut Broken, fd: u32, rights: Rights) -> Option<&Desc> {
        let desc = self.desc(broken, fd, rights)?;
        broken.unless(desc.kind == Kind::Directory, Errno::NOTDIR);
        Some(desc)
    }

    pub fn sync(&self, fd: u32, rights: Rights) -> Predicted {
        let mut broken = Broken::default();
        let desc = self.desc(&mut broken, fd, rights);
        broken.unless(desc.is_none_or(|desc| matches!(desc.kind, Kind::RegularFile | Kind::Directory)), Errno::INVAL);
        broken.end()?;
        Ok(After::default())
    }

    pub fn advise(&self, fd: u32, offset: u64, len: u64, advice: u32) -> Predicted {
        let mut broken = Broken::default();
        self.desc(&mut broken, fd, Rights::FD_ADVISE);
        broken.unless(advice <= 5, Errno::INVAL);
        broken.unless(offset.checked_add(len).is_some_and(|end| end < 1 << 63), Errno::INVAL);
        broken.end()?;
        Ok(After::default())
    }

    pub fn allocate(&mut self, fd: u32, offset: u64, len: u64) -> Predicted {
        let mut broken = Broken::default();
        let desc = self.desc(&mut broken, fd, Rights::FD_ALLOCATE);
        broken.unless(len > 0, Errno::INVAL);
        broken.unless(offset.checked_add(len).is_some_and(|end| end < 1 << 63), Errno::INVAL);
        broken.unless(offset.saturating_add(len) <= self.limits.file_size_bytes, Errno::FBIG);
        broken.unless(len <= self.limits.written_bytes, Errno::NOSPC);
        let file = desc.map(|desc| (desc.node(), desc.writable));
        broken.end()?;
        let (Some(ino), writable) = file.expect("open") else { panic!("only files have the right") };
        let end = offset + len;
        let mut broken = Broken::default();
        broken.unless(writable, Errno::BADF);
        broken.unless(end <= FILE_MAX_BYTES, Errno::FBIG);
        // Some file systems note a modification before they refuse.
        self.tree.node_mut(ino).modified = None;
        broken.end()?;
        let content = self.tree.file_mut(ino);
        if end as usize > content.len() {
            content.resize(end as usize, 0);
        }
        self.limits.written_bytes -= len;
        Ok(After::default())
    }

    pub fn close(&mut self, fd: u32) -> Predicted {
        let closed = self.table.open.remove(&fd).ok_or(Errno::BADF)?;
        self.closed(&closed);
        Ok(After::default())
    }

    /// A FIFO that nobody has open forgets what is in it.
    pub fn closed(&mut self, desc: &Desc) {
        if let Some(ino) = desc.node()
            && self.table.ends(ino) == (0, 0)
            && matches!(self.tree.node(ino).body, Body::Fifo { .. })
        {
            self.tree.nodes[ino].body = Body::Fifo { queue: Vec::new(), vague: false };
        }
    }

    pub fn renumber(&mut self, from: u32, to: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.check(self.table.get(from));
        broken.check(self.table.get(to));
        broken.end()?;
        if from != to {
            let moved = self.table.open.remove(&from).expect("open");
            let closed = self.table.open.insert(to, moved).expect("open");
            self.closed(&closed);
        }
        Ok(After::default())
    }

    pub fn fdstat(&self, fd: u32, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 24);
        let desc = broken.check(self.table.get(fd)).cloned();
        broken.end()?;
        let desc = desc.expect("open");
        let mut bytes = [0; 24];
        bytes[0] = file_type(desc.kind);
        bytes[2..4].copy_from_slice(&desc.flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&desc.base.bits().to_le_bytes());
        bytes[16..].copy_from_slice(&desc.inheriting.bits().to_le_bytes());
        Ok(After::default().store(out, &bytes))
    }

    pub fn set_flags(&mut self, fd: u32, flags: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.known(flags, 0x1f);
        if let Some(desc) = self.desc(&mut broken, fd, Rights::FD_FDSTAT_SET_FLAGS) {
            let changed = u32::from(desc.flags) ^ flags;
            broken.known(changed, u32::from(APPEND | NONBLOCK));
            if changed & u32::from(APPEND) != 0 {
                broken.unless(!desc.stdio && desc.kind == Kind::RegularFile, Errno::NOTSUP);
                broken.unless(desc.access != Access::Append || !desc.appends(), Errno::NOTCAPABLE);
            }
        }
        broken.end()?;
        self.table.open.get_mut(&fd).expect("open").flags = flags as u16;
        Ok(After::default())
    }

    pub fn set_rights(&mut self, fd: u32, base: u64, inheriting: u64) -> Predicted {
        let mut broken = Broken::default();
        let (base, inheriting) = (broken.rights(base), broken.rights(inheriting));
        if let Some(desc) = broken.check(self.table.get(fd)) {
            let less = desc.base.contains(base) && desc.inheriting.contains(inheriting);
            broken.unless(less, Errno::NOTCAPABLE);
        }
        broken.end()?;
        let desc = self.table.open.get_mut(&fd).expect("open");
        (desc.base, desc.inheriting) = (base, inheriting);
        Ok(After::default())
    }

    pub fn set_size(&mut self, fd: u32, size: u64) -> Predicted {
        let mut broken = Broken::default();
        let file = self.desc(&mut broken, fd, Rights::FD_FILESTAT_SET_SIZE).map(|desc| (desc.node(), desc.writable));
        broken.unless(size < 1 << 63, Errno::INVAL);
        broken.unless(size <= self.limits.file_size_bytes, Errno::FBIG);
        broken.end()?;
        let (Some(ino), writable) = file.expect("open") else { panic!("only files have the right") };
        let mut broken = Broken::default();
        broken.unless(writable, Errno::INVAL);
        broken.unless(size <= FILE_MAX_BYTES, Errno::FBIG);
        let growth = size.saturating_sub(self.tree.file_mut(ino).len() as u64);
        broken.unless(growth <= self.limits.written_bytes, Errno::NOSPC);
        broken.end()?;
        self.limits.written_bytes -= growth;
        self.tree.file_mut(ino).resize(size as usize, 0);
        Ok(After::default())
    }

    pub fn set_times(&mut self, fd: u32, mtim: u64, flags: u32) -> Predicted {
        let mut broken = Broken::default();
        let ino = self.desc(&mut broken, fd, Rights::FD_FILESTAT_SET_TIMES).map(Desc::node);
        broken.times(flags);
        broken.end()?;
        if let Some(Some(ino)) = ino {
            self.modify_time(ino, mtim, flags);
        }
        Ok(After::default())
    }

    pub fn modify_time(&mut self, ino: Ino, mtim: u64, flags: u32) {
        match flags & 12 {
            // Some file systems cannot store a later year.
            4 => self.tree.node_mut(ino).modified = Some(mtim).filter(|time| *time < 8_000_000_000_000_000_000),
            8 => self.tree.node_mut(ino).modified = None,
            _ => {}
        }
    }

    pub fn prestat(&self, fd: u32, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 8);
        let name = self.preopen(&mut broken, fd);
        broken.end()?;
        Ok(After::default().u32(out, 0).u32(out + 4, name.len() as u32))
    }

    pub fn prestat_name(&self, fd: u32, buf: u32, len: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(buf, len);
        let name = self.preopen(&mut broken, fd);
        broken.unless(len as usize >= name.len(), Errno::NAMETOOLONG);
        broken.end()?;
        Ok(After::default().store(buf, name.as_bytes()))
    }

    pub fn preopen(&self, broken: &mut Broken, fd: u32) -> &'static str {
        let name = self.table.get(fd).and_then(|desc| desc.preopen.ok_or(Errno::BADF));
        broken.check(name).unwrap_or_default()
    }

    pub fn seek(&mut self, fd: u32, offset: u64, whence: u32, out: u32, old: bool) -> Predicted {
        // The older snapshot counts current, end, set.
        let whence = if old { [1, 2, 0].get(whence as usize).copied().unwrap_or(9) } else { whence };
        let delta = offset.cast_signed();
        if whence == 1 && delta == 0 {
            return self.tell(fd, out);
        }
        let mut broken = Broken::default();
        broken.range(out, 8);
        broken.unless(whence <= 2, Errno::INVAL);
        let desc = self.positioned(&mut broken, fd, Rights::FD_SEEK).cloned();
        broken.unless(whence != 0 || delta >= 0, Errno::INVAL);
        broken.end()?;
        let desc = desc.expect("open");
        let Some(ino) = desc.node() else { panic!("only files have the right") };
        let from = match whence {
            0 => 0,
            1 => i128::from(desc.position),
            _ => i128::from(self.size(ino)),
        };
        let to = u64::try_from(from + i128::from(delta)).map_err(|_| Errno::INVAL)?;
        if to > self.position_max {
            return Err(Errno::INVAL.into());
        }
        self.table.open.get_mut(&fd).expect("open").position = to;
        Ok(After::default().u64(out, to))
    }

    pub fn tell(&self, fd: u32, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 8);
        let desc = self.positioned(&mut broken, fd, Rights::NONE);
        if let Some(desc) = desc {
            let either = desc.base.intersection(Rights::FD_TELL.union(Rights::FD_SEEK)) != Rights::NONE;
            broken.unless(either, Errno::NOTCAPABLE);
        }
        let position = desc.map_or(0, |desc| desc.position);
        broken.end()?;
        Ok(After::default().u64(out, position))
    }

    pub fn size(&self, ino: Ino) -> u64 {
        match &self.tree.node(ino).body {
            Body::File(content) => content.len() as u64,
            Body::Link(text) => text.len() as u64,
            Body::Dir(_) | Body::Fifo { .. } => 0,
        }
    }

    pub fn stat(&self, fd: u32, out: u32, old: bool) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, if old { 56 } else { 64 });
        let desc = self.desc(&mut broken, fd, Rights::FD_FILESTAT_GET).cloned();
        broken.end()?;
        let desc = desc.expect("open");
        Ok(match desc.node() {
            Some(ino) => self.filestat(ino, out, old),
            None => {
                let at = if old { 16 } else { 24 };
                let after = After::default().unknown(out, if old { 56 } else { 64 }).store(out + 16, &[0; 8]);
                after.store(out + 16, &[file_type(desc.kind)]).loosely((out + at) as usize + 4, 4)
            }
        })
    }

    /// `$filestat`, where it is known.
    pub fn filestat(&self, ino: Ino, out: u32, old: bool) -> After {
        let node = self.tree.node(ino);
        let (kind, size, links) = match &node.body {
            Body::File(content) => (4, Some(content.len() as u64), Some(node.links)),
            Body::Link(text) => (7, Some(text.len() as u64), Some(node.links)),
            Body::Fifo { .. } => (0, Some(0), Some(node.links)),
            Body::Dir(_) => (3, None, None),
        };
        let mut after = After::default().unknown(out, 8).unknown(out + 8, 8);
        after = after.check(Check::Inode { at: out as usize + 8, ino }).u64(out + 16, kind);
        let rest = if old {
            after = match links {
                Some(links) => after.u32(out + 20, links as u32),
                None => after.loosely(out as usize + 20, 4),
            };
            out + 24
        } else {
            after = match links {
                Some(links) => after.u64(out + 24, links),
                None => after.loosely(out as usize + 24, 8),
            };
            out + 32
        };
        after = match size {
            Some(size) => after.u64(rest, size),
            None => after.unknown(rest, 8),
        };
        after = after.unknown(rest + 8, 8);
        after = match node.modified {
            Some(time) => after.u64(rest + 16, time),
            None => after.unknown(rest + 16, 8),
        };
        after.unknown(rest + 24, 8)
    }

    pub fn random(&self, buf: u32, len: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(buf, len);
        broken.unless(len <= self.limits.call_bytes, Errno::TOOBIG);
        broken.end()?;
        Ok(After::default().unknown(buf, len as usize))
    }
}

pub const fn file_type(kind: Kind) -> u8 {
    match kind {
        Kind::RegularFile => 4,
        Kind::Directory => 3,
        Kind::Listener | Kind::Stream => 6,
        _ => 0,
    }
}
