//! What a call left in memory beyond its predicted bytes.

use super::Model;
use crate::answer::{Check, Event, u32_at, u64_at};
use crate::tree::{Body, Ino};
use std::collections::BTreeSet;

impl Model {
    /// Checks what a call left in memory beyond its predicted bytes.
    pub fn verify(&mut self, check: &Check, memory: &[u8]) -> Result<(), String> {
        match check {
            Check::Inode { at, ino } => {
                let host = u64_at(memory, *at);
                let before = *self.seen.entry(*ino).or_insert(host);
                if before == host { Ok(()) } else { Err(format!("inode {host} of {ino} was {before}")) }
            }
            Check::Written(range) => {
                let untouched = memory[range.clone()].iter().all(|byte| *byte == 0xaa);
                if untouched { Err(format!("{range:?} was not written")) } else { Ok(()) }
            }
            Check::AtMost { at, max } => {
                let value = u64::from(u32_at(memory, *at));
                if value <= *max { Ok(()) } else { Err(format!("{value} is above {max}")) }
            }
            Check::Entries { buf, len, used, dir, cookie } => {
                let used = u32_at(memory, *used) as usize;
                self.verify_entries(&memory[*buf..][..used], used < *len, *dir, *cookie)
            }
            Check::Events { at, count, expected } => {
                let count = u32_at(memory, *count) as usize;
                if count == 0 || count > expected.len() {
                    return Err(format!("{count} events of {}", expected.len()));
                }
                verify_events(&memory[*at..][..count * 32], expected)
            }
        }
    }

    pub fn verify_entries(&mut self, mut bytes: &[u8], complete: bool, dir: Ino, cookie: u64) -> Result<(), String> {
        let (mut found, mut next) = (BTreeSet::new(), cookie);
        let own = self.tree.dir(dir).cloned().unwrap_or_default();
        while let Some((head, rest)) = bytes.split_at_checked(24) {
            next += 1;
            let name_len = u32_at(head, 16) as usize;
            let Some((name, rest)) = rest.split_at_checked(name_len) else { break };
            bytes = rest;
            let ino = match name {
                b"." | b".." => dir,
                _ => *own.names.get(name).ok_or_else(|| format!("no entry {}", name.escape_ascii()))?,
            };
            let kind = match &self.tree.node(ino).body {
                Body::File(_) => 4,
                Body::Dir(_) => 3,
                Body::Link(_) => 7,
                Body::Fifo { .. } => 0,
            };
            if (u64_at(head, 0), head[20], &head[21..]) != (next, kind, &[0, 0, 0]) {
                return Err(format!("entry {}: {head:?}", name.escape_ascii()));
            }
            let host = u64_at(head, 8);
            if *self.seen.entry(ino).or_insert(host) != host {
                return Err(format!("inode of entry {}", name.escape_ascii()));
            }
            let order = self.orders.entry((dir, own.version)).or_default();
            let known = order.entry(next - 1).or_insert_with(|| name.to_vec());
            if known != name {
                return Err(format!("entry {} was {}", name.escape_ascii(), known.escape_ascii()));
            }
            if !found.insert(name) {
                return Err(format!("two entries {}", name.escape_ascii()));
            }
        }
        let left = (own.names.len() as u64 + 2).saturating_sub(cookie);
        if complete && found.len() as u64 != left {
            return Err(format!("{} entries of {left}", found.len()));
        }
        Ok(())
    }
}

fn verify_events(mut bytes: &[u8], expected: &[Event]) -> Result<(), String> {
    // In the order of the subscriptions, some left out.
    for event in expected {
        let Some(one) = bytes.get(..32) else { break };
        let same = u64_at(one, 0) == event.userdata
            && u16::from_le_bytes([one[8], one[9]]) == event.error
            && one[10] == event.kind
            && event.bytes.is_none_or(|bytes| u64_at(one, 16) == bytes);
        if same && one[11..16] == [0; 5] && one[25..32] == [0; 7] && one[24] <= 1 {
            bytes = &bytes[32..];
        } else if event.error != 0 {
            return Err(format!("no event for {event:?} but {one:?}"));
        }
    }
    if bytes.is_empty() { Ok(()) } else { Err(format!("event {:?} of nobody among {expected:?}", &bytes[..32])) }
}
