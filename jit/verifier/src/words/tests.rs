//! The tree beside a plain map, to which the same happens.

#![allow(clippy::cast_possible_truncation, reason = "all numbers are small")]

use super::*;
use crate::value::Entry;
use std::collections::BTreeMap;

/// A small generator of numbers, always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % end
    }

    /// An offset: near the start of the frame, far down, or above it.
    fn at(&mut self) -> i32 {
        let start = [0, 0, 0, -4096, -(1 << 30), i32::MIN, i32::MAX - 7 - 256][self.below(7) as usize];
        let at: i32 = start + 8 * self.below(24) as i32;
        if start == 0 { -at + 64 } else { at }
    }

    fn value(&mut self) -> Value {
        match self.below(6) {
            0 => Value::exactly(self.below(3)),
            1 | 2 => Value::U32,
            3 => Value::Status,
            4 => Value::CalleeOffset(Entry::Made(self.below(2) as u32)),
            _ => Value::Saved(crate::value::Gpr::RBX),
        }
    }
}

type Map = BTreeMap<i32, Value>;

fn all(words: &Words, map: &Map, context: &str) {
    words.check().unwrap_or_else(|what| panic!("{context}: {what}"));
    assert_eq!(words.all(), map.iter().map(|(at, value)| (*at, *value)).collect::<Vec<_>>(), "{context}");
    for (at, value) in map {
        assert_eq!(words.get(*at), *value, "{context}: {at}");
        assert_eq!(words.get(at ^ 4), Value::Any, "{context}: {at}");
        assert_eq!(words.get(at.wrapping_sub(8)), *map.get(&at.wrapping_sub(8)).unwrap_or(&Value::Any));
    }
}

#[test]
fn it_is_a_map() {
    let (mut joins, mut implied) = ([0; 2], [0; 2]);
    for seed in 0..3_000 {
        let mut random = Random(seed);
        // Three maps that are copied to each other and joined.
        let mut both: [(Words, Map); 3] = Default::default();
        for step in 0..120 {
            let (one, other) = (random.below(3) as usize, random.below(3) as usize);
            let context = format!("seed {seed}, step {step}");
            let (words, map) = &mut both[one];
            match random.below(24) {
                0..=11 => {
                    let (at, value) = (random.at(), random.value());
                    words.set(at, value);
                    words.set(at + 4, value);
                    map.insert(at, value);
                }
                12 | 13 => {
                    let at = random.at();
                    words.set(at, Value::Any);
                    map.remove(&at);
                }
                14..=16 => {
                    let from = i64::from(random.at()) + random.below(9) as i64 - 4;
                    let before = match random.below(3) {
                        0 => i64::from(random.at()),
                        _ => from + random.below(64) as i64,
                    };
                    words.clear(from, before);
                    map.retain(|at, _| i64::from(*at) >= before || i64::from(*at) + 8 <= from || from >= before);
                }
                17 => {
                    let is_stale = |value| value == Value::Status || value == Value::CalleeOffset(Entry::Made(1));
                    words.forget(&is_stale, &mut 0);
                    map.retain(|_, value| !is_stale(*value));
                }
                18..=20 => {
                    let (from, known) = both[other].clone();
                    both[one].0.copy_from(&from);
                    both[one].1 = known;
                }
                _ => {
                    let (from, known) = both[other].clone();
                    let (words, map) = &mut both[one];
                    let before = map.clone();
                    map.iter_mut().for_each(|(at, value)| *value = value.join(*known.get(at).unwrap_or(&Value::Any)));
                    map.retain(|_, value| *value != Value::Any);
                    let implies = known.iter().all(|(at, of)| before.get(at).unwrap_or(&Value::Any).implies(*of));
                    assert_eq!(words.implies(&from, &mut 0), implies, "{context}");
                    implied[usize::from(implies)] += 1;
                    assert_eq!(words.join(&from, &mut 0), *map != before, "{context}");
                    joins[usize::from(*map != before)] += 1;
                }
            }
            let (words, map) = &both[one];
            all(words, map, &context);
            let (other_words, other_map) = &both[other];
            all(other_words, other_map, &context);
            assert_eq!(words == other_words, map == other_map, "{context}");
        }
    }
    assert!(joins.into_iter().chain(implied).all(|count| count > 1_000), "{joins:?} {implied:?}");
}

/// States that differ in few words share the rest: whatever else is known costs nothing.
#[test]
fn what_is_shared_is_not_looked_at() {
    let mut whole = Words::default();
    (0..100_000).for_each(|word| whole.set(-8 * word, Value::U32));
    assert!(whole.take_made() <= 2 * 100_000);
    let mut changed = Words::default();
    changed.copy_from(&whole);
    assert_eq!(changed.take_made(), 0);
    changed.set(-8 * 50_000, Value::Status);
    let path = changed.take_made();
    assert!((2..=20).contains(&path), "{path}");
    let mut visited = 0;
    assert!(!changed.implies(&whole, &mut visited));
    let mut joined = whole.clone();
    assert!(joined.join(&changed, &mut visited));
    changed.forget(&|value| value == Value::Status, &mut visited);
    assert!(visited <= 6 * path, "{visited} nodes, {path} on the way");
    assert_eq!(joined.get(-8 * 50_000), Value::Any);
    assert_eq!(joined, changed);
    // What was made is counted, for the limit on memory.
    assert!((1..=visited).contains(&(joined.take_made() + changed.take_made())));
}
