//! Reading and writing.

use super::Model;
use crate::answer::{After, Broken, Predicted, WAITS, any_of, counted, gather, scatter, total, u32_at};
use crate::table::{Desc, Object};
use crate::tree::{Body, Ino};
use crate::{FILE_MAX_BYTES, MEMORY_BYTES};
use wave_monitor::{Access, Errno, IOV_MAX, Kind, Rights};

impl Model {
    /// The buffers of a list: where and how long.
    pub fn buffers(&self, broken: &mut Broken, memory: &[u8], list: u32, count: u32) -> Vec<(usize, usize)> {
        broken.array(list, count, 8);
        if u64::from(list) + u64::from(count) * 8 > MEMORY_BYTES as u64 {
            return Vec::new();
        }
        let mut buffers = Vec::new();
        let mut left = self.limits.call_bytes as usize;
        let list = memory[list as usize..][..count as usize * 8].chunks(8);
        for one in list.take(IOV_MAX.min(self.limits.iovecs as usize)) {
            let (ptr, len) = (u32_at(one, 0), u32_at(one, 4));
            if broken.range(ptr, len) {
                let len = left.min(len as usize);
                left -= len;
                buffers.push((ptr as usize, len));
            }
        }
        buffers
    }

    pub fn read(&mut self, memory: &[u8], fd: u32, iovs: u32, count: u32, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        let buffers = self.buffers(&mut broken, memory, iovs, count);
        let desc = self.desc(&mut broken, fd, Rights::FD_READ).cloned();
        broken.end()?;
        let desc = desc.expect("open");
        let want = total(&buffers);
        match desc.object {
            Object::Node(ino) => match &self.tree.node(ino).body {
                Body::File(content) => {
                    let start = usize::try_from(desc.position).unwrap_or(usize::MAX).min(content.len());
                    let data = content[start..content.len().min(start + want)].to_vec();
                    self.table.open.get_mut(&fd).expect("open").position += data.len() as u64;
                    let mut after = scatter(&buffers, &data).u32(out, data.len() as u32);
                    if desc.position.saturating_add(want as u64) > self.position_max.min(1 << 62) {
                        after = after.or(Err(Errno::INVAL.into())).or(Err(Errno::OVERFLOW.into()));
                    }
                    Ok(after)
                }
                Body::Fifo { .. } => Ok(self.read_fifo(&desc, ino, &buffers, out)),
                Body::Dir(_) | Body::Link(_) => panic!("a directory cannot be read"),
            },
            Object::Stream { .. } => Ok(self.read_stream(fd, &buffers, false, out)),
            Object::Listener { .. } if want == 0 => {
                let nothing = After::default().u32(out, 0);
                Ok(nothing.or(Err(Errno::INVAL.into())).or(Err(Errno::AGAIN.into())))
            }
            Object::Listener { .. } => Err(any_of([Errno::INVAL, Errno::AGAIN])),
            Object::Stderr => panic!("standard error cannot be read"),
        }
    }

    pub fn read_fifo(&mut self, desc: &Desc, ino: Ino, buffers: &[(usize, usize)], out: u32) -> After {
        let (_, writers) = self.table.ends(ino);
        let want = total(buffers);
        let Body::Fifo { queue, vague } = &mut self.tree.nodes[ino].body else { unreachable!("a FIFO") };
        if *vague {
            let after = buffers.iter().fold(After::default(), |after, (at, len)| after.loosely(*at, *len));
            return after.loosely(out as usize, 4).or(WAITS).or(Err(Errno::AGAIN.into()));
        }
        if queue.is_empty() {
            let nothing = After::default().u32(out, 0);
            return match (want, writers, desc.waits()) {
                (0, _, true) => nothing,
                (_, 0, true) if desc.before_writer => After::only(WAITS),
                (_, 0, true) => nothing,
                (0, _, false) | (_, 0, false) => nothing.or(Err(Errno::AGAIN.into())),
                (_, _, true) => After::only(WAITS),
                (_, _, false) => After::only(Err(Errno::AGAIN.into())),
            };
        }
        let data: Vec<u8> = queue.drain(..want.min(queue.len())).collect();
        scatter(buffers, &data).u32(out, data.len() as u32)
    }

    pub fn read_at(&mut self, memory: &[u8], fd: u32, iovs: u32, count: u32, offset: u64, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        let buffers = self.buffers(&mut broken, memory, iovs, count);
        let desc = self.positioned(&mut broken, fd, Rights::FD_READ.union(Rights::FD_SEEK));
        broken.unless(offset < 1 << 63, Errno::INVAL);
        let ino = desc.and_then(Desc::node);
        broken.end()?;
        let Body::File(content) = &self.tree.node(ino.expect("a file")).body else { panic!("no file") };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let data = &content[start..content.len().min(start + total(&buffers))];
        let mut after = scatter(&buffers, data).u32(out, data.len() as u32);
        if offset + total(&buffers) as u64 > self.position_max.min(1 << 62) {
            after = after.or(Err(Errno::INVAL.into())).or(Err(Errno::OVERFLOW.into()));
        }
        Ok(after)
    }

    pub fn write_at(&mut self, memory: &[u8], fd: u32, iovs: u32, count: u32, offset: u64, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        let buffers = self.buffers(&mut broken, memory, iovs, count);
        let desc = self.positioned(&mut broken, fd, Rights::FD_WRITE.union(Rights::FD_SEEK)).cloned();
        broken.unless(offset < 1 << 63, Errno::INVAL);
        if let Some(desc) = &desc {
            broken.unless(desc.access != Access::Append, Errno::NOTCAPABLE);
        }
        broken.unless(offset < self.limits.file_size_bytes, Errno::FBIG);
        if let Some(desc) = &desc {
            broken.unless(self.budget(desc) > 0, Errno::NOSPC);
        }
        broken.end()?;
        let desc = desc.expect("open");
        let mut data = gather(memory, &buffers);
        let most = self.budget(&desc).min(self.limits.file_size_bytes - offset);
        data.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        let (_, written) = self.store(&desc, offset, &data)?;
        self.charge(&desc, written);
        Ok(After::default().u32(out, written))
    }

    /// What may still be written to where a descriptor leads.
    pub fn budget(&self, desc: &Desc) -> u64 {
        match &desc.object {
            Object::Stderr => self.limits.output_bytes,
            Object::Node(_) if desc.stdio => self.limits.output_bytes,
            Object::Node(_) => self.limits.written_bytes,
            Object::Stream { .. } | Object::Listener { .. } => u64::MAX,
        }
    }

    pub fn charge(&mut self, desc: &Desc, written: u32) {
        let left = self.budget(desc).saturating_sub(written.into());
        match &desc.object {
            Object::Stderr => self.limits.output_bytes = left,
            Object::Node(_) if desc.stdio => self.limits.output_bytes = left,
            Object::Node(_) => self.limits.written_bytes = left,
            Object::Stream { .. } | Object::Listener { .. } => {}
        }
    }

    pub fn write(&mut self, memory: &[u8], fd: u32, iovs: u32, count: u32, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        let buffers = self.buffers(&mut broken, memory, iovs, count);
        let desc = self.desc(&mut broken, fd, Rights::FD_WRITE).cloned();
        if let Some(desc) = &desc {
            broken.unless(self.budget(desc) > 0, Errno::NOSPC);
        }
        broken.end()?;
        let desc = desc.expect("open");
        let mut data = gather(memory, &buffers);
        data.truncate(usize::try_from(self.budget(&desc)).unwrap_or(usize::MAX));
        if desc.kind != Kind::RegularFile && !desc.waits() {
            data.truncate(4096);
        }
        let all = After::default().u32(out, data.len() as u32);
        match desc.object {
            Object::Node(ino) if desc.kind == Kind::Pipe => return self.write_fifo(&desc, ino, &data, out),
            Object::Node(_) => {
                let (position, written) = self.store(&desc, desc.position, &data)?;
                self.table.open.get_mut(&fd).expect("open").position = position;
                self.charge(&desc, written);
                return Ok(After::default().u32(out, written));
            }
            Object::Stream { no_more_out: true, .. } if data.is_empty() => return Ok(all.or(Err(Errno::PIPE.into()))),
            Object::Stream { no_more_out: true, .. } => return Err(Errno::PIPE.into()),
            // More than the other end is sure to have room for.
            Object::Stderr | Object::Stream { .. } if data.len() > 32_768 => {
                return Ok(counted(out, data.len()).or(WAITS));
            }
            Object::Stderr | Object::Stream { .. } => {}
            Object::Listener { .. } => panic!("a listener cannot be written"),
        }
        self.charge(&desc, data.len() as u32);
        Ok(all)
    }

    /// Writes to a file; returns the position after it and the count.
    pub fn store(&mut self, desc: &Desc, position: u64, data: &[u8]) -> Result<(u64, u32), Broken> {
        let ino = desc.node().expect("a file");
        if data.is_empty() {
            return Ok((position, 0));
        }
        let start = if desc.appends() { self.size(ino) } else { position };
        if position.saturating_add(data.len() as u64) >= 1 << 63 {
            return Err(any_of([Errno::FBIG, Errno::INVAL, Errno::OVERFLOW]));
        }
        if start >= FILE_MAX_BYTES {
            return Err(Errno::FBIG.into());
        }
        let start = start as usize;
        let data = &data[..data.len().min(FILE_MAX_BYTES as usize - start)];
        let end = start + data.len();
        let content = self.tree.file_mut(ino);
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(data);
        Ok((end as u64, data.len() as u32))
    }

    pub fn write_fifo(&mut self, desc: &Desc, ino: Ino, data: &[u8], out: u32) -> Predicted {
        let (readers, _) = self.table.ends(ino);
        let Body::Fifo { queue, vague } = &mut self.tree.nodes[ino].body else { unreachable!("a FIFO") };
        if data.is_empty() {
            let after = After::default().u32(out, 0);
            return Ok(if desc.waits() { after } else { after.or(Err(Errno::AGAIN.into())) });
        }
        if readers == 0 {
            return Err(Errno::PIPE.into());
        }
        // How much fits depends on how earlier writes fell on pages.
        if *vague || queue.len() + data.len() > 4096 {
            *vague = true;
            self.tree.node_mut(ino).modified = None;
            let after = counted(out, data.len());
            return Ok(if desc.waits() { after.or(WAITS) } else { after.or(Err(Errno::AGAIN.into())) });
        }
        queue.extend(data);
        self.tree.node_mut(ino).modified = None;
        self.charge(desc, data.len() as u32);
        Ok(After::default().u32(out, data.len() as u32))
    }
}
