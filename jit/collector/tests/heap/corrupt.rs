//! A heap with nonsense in it: a collection ends, or traps, within a bounded time.

use wave_collector::{FREE_LISTS, IMMORTAL_CHAIN, Kind, MODULE, PAGE_BYTES, PAGE_TABLE};

use crate::machine::Machine;
use crate::model::Model;
use crate::random::Random;

/// Instructions for each word of the heap.
const STEPS: u64 = 100;
/// The immortal objects of the heaps below. Where an immortal object ends is nobody's knowledge but its type's, so each may cost a whole
/// heap.
const IMMORTAL: u64 = 20;
/// What a collection of a heap of `pages` pages may use.
fn bound(pages: u32) -> u64 {
    STEPS * u64::from(pages) * u64::from(PAGE_BYTES / 4) * (IMMORTAL + 1)
}

/// A heap of about 3 MB with lists, arrays and immortal objects, all reachable.
fn heap() -> Model {
    let mut model = Model::new(Machine::new(MODULE, 256, Some(u64::MAX)).expect("the collector instantiates"));
    let node = model.add_type(Kind::Struct { bytes: 16, references: vec![4, 8] }, vec![]).expect("there is room");
    let array = model.add_type(Kind::References, vec![]).expect("there is room");
    let wide = (1..100).map(|word| 4 * word).collect();
    let wide = model.add_type(Kind::Struct { bytes: 400, references: wide }, vec![]).expect("there is room");
    let mut last = 0_u32;
    for index in 0..20_000_u32 {
        let (shape, words) = match index % 100 {
            0 => (array, [vec![200], vec![last; 200]].concat()),
            1 if index % 500 == 1 => (array, [vec![20_000], vec![last; 20_000]].concat()),
            2 => (wide, vec![last; 99]),
            _ => (node, vec![last, 0, index]),
        };
        let body = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        model.machine.set_candidates(vec![last]);
        last = model.allocate(shape, body, false).expect("honest so far").expect("there is room");
        if index % 1000 == 0 {
            let body = [last, last, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
            model.add_immortal(node, body).expect("there is room");
        }
    }
    model.machine.set_candidates(vec![last]);
    model
}

/// Collects, allocates and collects again. Returns how many of these trapped.
fn collect(machine: &mut Machine, what: &str) -> u32 {
    let mut traps = 0;
    for step in 0..4 {
        let before = machine.fuel();
        let result = match step {
            1 => machine.allocate(0x90000, 24).map(|_| ()),
            2 => machine.allocate(0x90000, 100_000).map(|_| ()),
            _ => machine.collect(),
        };
        let used = before - machine.fuel();
        assert!(used < bound(machine.pages()), "{what}: step {step} uses {used}: {result:?}");
        traps += u32::from(result.is_err());
    }
    traps
}

#[test]
fn an_honest_heap_takes_far_less_than_the_bound() {
    let mut model = heap();
    let before = model.machine.fuel();
    model.collect().expect("the heap is as it should be");
    let used = before - model.machine.fuel();
    let bound = bound(model.machine.pages()) / IMMORTAL;
    assert!(used < bound, "{used} of {bound}");
}

#[test]
fn random_words_anywhere_do_not_hang() {
    let mut random = Random(17);
    let mut traps = 0;
    let honest = heap();
    let whole = honest.machine.bytes(0, (honest.machine.pages() * PAGE_BYTES) as usize).to_vec();
    for round in 0..150 {
        let mut machine = Machine::new(MODULE, 256, Some(u64::MAX)).expect("the collector instantiates");
        machine.grow(honest.machine.pages() - 9).expect("there is room");
        machine.set_bytes(0, &whole);
        machine.set_candidates(honest.machine.candidates().to_vec());
        let count = 1 << random.below(16);
        for _ in 0..count {
            let at = match random.below(10) {
                // The state, the chain and the free lists; the page table; descriptors and immortal objects; anything.
                0 => IMMORTAL_CHAIN + random.below(FREE_LISTS + 112 - IMMORTAL_CHAIN),
                1 => PAGE_TABLE + random.below(4 * machine.pages()),
                2 => 9 * PAGE_BYTES + random.below(1000),
                _ => random.below(machine.pages() * PAGE_BYTES - 4),
            } & !3;
            let word = match random.below(6) {
                0 => random.word(),
                1 => u32::MAX,
                2 => random.below(16),
                // A byte or a cell of the heap.
                3 => random.below(machine.pages() * PAGE_BYTES),
                4 => random.below(machine.pages() * PAGE_BYTES) & !7,
                _ => machine.word(random.below(machine.pages() * PAGE_BYTES - 4) & !3),
            };
            machine.set_word(at, word);
        }
        traps += collect(&mut machine, &format!("round {round}"));
    }
    println!("{traps} traps");
}

#[test]
fn lengths_and_sizes_that_lie_are_bounded() {
    // Each array has 2^32 - 1 elements, each struct a bitmap of as many words, and the types are as deep.
    for (what, offset) in [("kind", 0), ("size", 4), ("depth", 8), ("bitmap", 12)] {
        for word in [2, 3, 1 << 16, 1 << 27, 1 << 30, u32::MAX] {
            let mut model = heap();
            for shape in model.types.clone() {
                model.machine.set_word(shape.at + offset, word);
            }
            collect(&mut model.machine, &format!("{what} {word:#x}"));
        }
    }
    for length in [1 << 29, (1 << 30) - 2, 1 << 30, u32::MAX - 2, u32::MAX] {
        let mut model = heap();
        let arrays: Vec<u32> =
            model.objects.iter().filter(|(_, object)| object.shape == 1).map(|(at, _)| *at).collect();
        for at in arrays {
            model.machine.set_word(at + 4, length);
        }
        assert_eq!(collect(&mut model.machine, &format!("length {length:#x}")), 0, "an object ends with its cell");
    }
}

#[test]
fn a_chain_that_is_a_circle_ends() {
    let mut model = heap();
    let first = model.machine.word(IMMORTAL_CHAIN);
    model.machine.set_word(first, first);
    assert_eq!(collect(&mut model.machine, "the chain"), 0);
}
