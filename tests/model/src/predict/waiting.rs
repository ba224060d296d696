//! `poll_oneoff` and sockets.

use super::Model;
use crate::answer::{After, Broken, Check, Event, Predicted, WAITS, counted, overlap, scatter, total, u32_at, u64_at};
use crate::table::{Desc, NONBLOCK, Object};
use wave_monitor::{Access, Errno, Kind, Rights};

impl Model {
    pub fn poll(&self, memory: &[u8], input: u32, output: u32, count: u32, out: u32, old: bool) -> Predicted {
        let size = if old { 56 } else { 48 };
        let mut broken = Broken::default();
        broken.range(out, 4);
        broken.array(input, count, size);
        broken.array(output, count, 32);
        broken.unless((1..=self.limits.subscriptions).contains(&count), Errno::INVAL);
        let mut expected = Vec::new();
        if broken.0.is_empty() {
            let input = &memory[input as usize..][..count as usize * size as usize];
            for one in input.chunks(size as usize) {
                match self.subscription(one, old) {
                    Some(event) => expected.push(event),
                    None => broken.unless(false, Errno::INVAL),
                }
            }
        }
        broken.end()?;
        let at_once = expected.iter().any(|event| event.at_once);
        let events = count as usize * 32;
        let mut after = After::default().loosely(output as usize, events).loosely(out as usize, 4);
        if !overlap(output, events, out) {
            let at = out as usize;
            after = after.check(Check::Events { at: output as usize, count: at, expected });
        }
        Ok(if at_once { after } else { after.or(WAITS) })
    }

    pub fn subscription(&self, one: &[u8], old: bool) -> Option<Event> {
        let (userdata, kind) = (u64_at(one, 0), one[8]);
        let event = |error, bytes, at_once| Event { userdata, kind, error, bytes, at_once };
        match kind {
            0 => {
                let clock = if old { 24 } else { 16 };
                let (id, timeout) = (u32_at(one, clock), u64_at(one, clock + 8));
                let flags = u16::from_le_bytes([one[clock + 24], one[clock + 25]]);
                if id > 3 || flags > 1 {
                    return None;
                }
                Some(if id > 1 {
                    event(Errno::NOTSUP.raw(), Some(0), true)
                } else {
                    event(0, Some(0), timeout < 100_000)
                })
            }
            1 | 2 => {
                let right = if kind == 1 { Rights::FD_READ } else { Rights::FD_WRITE };
                Some(match self.table.get(u32_at(one, 16)) {
                    Err(errno) => event(errno.raw(), Some(0), true),
                    Ok(desc) if !desc.base.contains(right.union(Rights::POLL_FD_READWRITE)) => {
                        event(Errno::NOTCAPABLE.raw(), Some(0), true)
                    }
                    Ok(desc) if desc.kind == Kind::RegularFile => {
                        let size = desc.node().map_or(0, |ino| self.size(ino));
                        let bytes = if kind == 1 { size.saturating_sub(desc.position) } else { 1 };
                        event(0, Some(bytes), true)
                    }
                    Ok(_) => event(0, None, false),
                })
            }
            _ => None,
        }
    }

    pub fn accept(&mut self, fd: u32, flags: u32, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        broken.known(flags, u32::from(NONBLOCK));
        let desc = self.desc(&mut broken, fd, Rights::SOCK_ACCEPT).cloned();
        match &desc {
            Some(Desc { object: Object::Stream { .. }, .. }) => broken.unless(false, Errno::INVAL),
            Some(Desc { object: Object::Listener { .. }, .. }) | None => {}
            Some(_) => broken.unless(false, Errno::NOTSOCK),
        }
        broken.unless(!self.table.is_full(), Errno::MFILE);
        broken.end()?;
        let desc = desc.expect("open");
        let Some(Desc { object: Object::Listener { waiting }, .. }) = self.table.open.get_mut(&fd) else {
            unreachable!("checked")
        };
        if *waiting == 0 {
            return if desc.waits() { Ok(After::only(WAITS)) } else { Err(Errno::AGAIN.into()) };
        }
        *waiting -= 1;
        let object = Object::Stream { queue: Vec::new(), no_more_in: false, no_more_out: false };
        let mut accepted = Desc::new(object, Kind::Stream, Access::ReadWrite, Rights::ALL);
        accepted.flags = flags as u16;
        let opened = self.table.insert(accepted);
        Ok(After::default().u32(out, opened))
    }

    pub fn connected(&self, broken: &mut Broken, fd: u32, rights: Rights) -> Option<Desc> {
        let desc = self.desc(broken, fd, rights)?;
        broken.unless(desc.kind != Kind::Listener, Errno::NOTCONN);
        broken.unless(matches!(desc.kind, Kind::Listener | Kind::Stream), Errno::NOTSOCK);
        Some(desc.clone())
    }

    #[expect(clippy::too_many_arguments, reason = "the interface has this many")]
    pub fn receive(
        &mut self,
        m: &[u8],
        fd: u32,
        list: u32,
        count: u32,
        flags: u32,
        out: u32,
        out_flags: u32,
    ) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        broken.range(out_flags, 2);
        broken.known(flags, 3);
        let buffers = self.buffers(&mut broken, m, list, count);
        self.connected(&mut broken, fd, Rights::FD_READ);
        broken.end()?;
        let after = self.read_stream(fd, &buffers, flags & 1 != 0, out);
        Ok(if after.fails { after } else { after.store(out_flags, &[0, 0]) })
    }

    pub fn read_stream(&mut self, fd: u32, buffers: &[(usize, usize)], peek: bool, out: u32) -> After {
        let desc = self.table.open.get_mut(&fd).expect("open");
        let waits = desc.waits();
        let Object::Stream { queue, no_more_in, .. } = &mut desc.object else { unreachable!("a stream") };
        let want = total(buffers);
        let nothing = After::default().u32(out, 0);
        if queue.is_empty() && !*no_more_in {
            // Nothing asked for may be nothing to wait for.
            return match (want, waits) {
                (0, true) => nothing.or(WAITS),
                (0, false) => nothing.or(Err(Errno::AGAIN.into())),
                (_, true) => After::only(WAITS),
                (_, false) => After::only(Err(Errno::AGAIN.into())),
            };
        }
        let data: Vec<u8> = queue[..want.min(queue.len())].to_vec();
        if !peek {
            queue.drain(..data.len());
        }
        scatter(buffers, &data).u32(out, data.len() as u32)
    }

    pub fn send(&mut self, memory: &[u8], fd: u32, list: u32, count: u32, flags: u32, out: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.range(out, 4);
        broken.known(flags, 0);
        let buffers = self.buffers(&mut broken, memory, list, count);
        let desc = self.connected(&mut broken, fd, Rights::FD_WRITE);
        broken.end()?;
        let len = total(&buffers);
        match desc.expect("open").object {
            Object::Stream { no_more_out: true, .. } => Err(Errno::PIPE.into()),
            _ if len > 32_768 => Ok(counted(out, len).or(WAITS).or(Err(Errno::AGAIN.into()))),
            _ => Ok(After::default().u32(out, len as u32)),
        }
    }

    pub fn shutdown(&mut self, fd: u32, how: u32) -> Predicted {
        let mut broken = Broken::default();
        broken.known(how, 3);
        broken.unless(how != 0, Errno::INVAL);
        self.connected(&mut broken, fd, Rights::SOCK_SHUTDOWN);
        broken.end()?;
        let desc = self.table.open.get_mut(&fd).expect("open");
        let Object::Stream { no_more_in, no_more_out, .. } = &mut desc.object else { unreachable!("a stream") };
        *no_more_in |= how & 1 != 0;
        *no_more_out |= how & 2 != 0;
        Ok(After::default())
    }
}
