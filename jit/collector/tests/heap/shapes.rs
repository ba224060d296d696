//! Graphs that are hard to mark.

use wave_collector::{ELEMENTS, Kind, MODULE};

use crate::machine::{Fault, Machine};
use crate::model::Model;

fn model(module: &[u8], most_pages: u32, fuel: Option<u64>) -> Result<Model, Fault> {
    Ok(Model::new(Machine::new(module, most_pages, fuel)?))
}

fn body(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Allocates an object that is kept by this root and others.
fn add(model: &mut Model, shape: usize, words: &[u32], roots: &[u32]) -> Result<u32, Fault> {
    model.machine.set_candidates([words, roots].concat());
    model.allocate(shape, body(words), false)?.ok_or_else(|| "no memory".to_owned())
}

/// A list whose elements have a reference, too. The mark stack has no room for as many: with the tail in the second field, every element
/// waits on it until the end of the list was found.
pub fn long_list(module: &[u8], elements: u32, tail_first: bool, fuel: Option<u64>) -> Result<(), Fault> {
    let mut model = model(module, 2048, fuel)?;
    let node = model.add_type(Kind::Struct { bytes: 16, references: vec![4, 8] }, vec![])?;
    let element = model.add_type(Kind::Struct { bytes: 8, references: vec![4] }, vec![])?;
    let mut list = 0;
    for index in 0..elements {
        let element = add(&mut model, element, &[2 * index + 1], &[list])?;
        let (first, second) = if tail_first { (list, element) } else { (element, list) };
        list = add(&mut model, node, &[first, second, index], &[])?;
    }
    // Twice, because the marks of the first must not count in the second.
    for _ in 0..2 {
        model.machine.set_candidates(vec![list]);
        model.collect()?;
        if model.objects.len() != 2 * elements as usize {
            return Err(format!("{} objects are left", model.objects.len()));
        }
    }
    model.machine.set_candidates(vec![]);
    model.collect()?;
    model.objects.is_empty().then_some(()).ok_or_else(|| "objects without roots".to_owned())
}

/// Arrays of arrays, wide and deep, and a struct with references in the last word of its bitmap.
pub fn wide(module: &[u8], elements: u32, fuel: Option<u64>) -> Result<(), Fault> {
    let mut model = model(module, 2048, fuel)?;
    let array = model.add_type(Kind::References, vec![])?;
    let cell =
        model.add_type(Kind::Struct { bytes: 4 * 100, references: vec![4 * 31, 4 * 32, 4 * 64, 4 * 99] }, vec![])?;
    let root = add(&mut model, array, &[vec![elements], vec![0; elements as usize]].concat(), &[])?;
    let mut last = root;
    for index in 0..elements {
        let small = add(&mut model, array, &[3, last, 5, 0], &[root])?;
        let mut words = vec![small; 99];
        words[30] = 0;
        let target = if index % 100 == 0 { add(&mut model, cell, &words, &[root])? } else { small };
        model.set(root, ELEMENTS + 4 * index, target);
        if index % 3 == 0 {
            last = target;
        }
    }
    let expected = model.objects.len();
    model.machine.set_candidates(vec![root]);
    model.collect()?;
    if model.objects.len() != expected {
        return Err(format!("{} objects of {expected} are left", model.objects.len()));
    }
    // A window that is lost loses what only it refers to.
    model.set(root, 4 + 4 * elements, 0);
    model.collect()
}

/// Rings without a root are freed, and one with a root is not.
pub fn rings(module: &[u8], length: u32, fuel: Option<u64>) -> Result<(), Fault> {
    let mut model = model(module, 1024, fuel)?;
    let node = model.add_type(Kind::Struct { bytes: 8, references: vec![4] }, vec![])?;
    let mut kept = 0;
    for ring in 0..3 {
        let first = add(&mut model, node, &[0], &[kept])?;
        let mut last = first;
        for _ in 1..length {
            last = add(&mut model, node, &[last], &[kept])?;
        }
        model.set(first, 4, last);
        if ring == 1 {
            kept = last;
        }
    }
    model.machine.set_candidates(vec![kept]);
    model.collect()?;
    let left = model.objects.len();
    (left == length as usize).then_some(()).ok_or_else(|| format!("{left} objects are left"))
}

/// More roots than the buffer has room for.
pub fn many_roots(module: &[u8], count: u32, fuel: Option<u64>) -> Result<(), Fault> {
    let mut model = model(module, 1024, fuel)?;
    let node = model.add_type(Kind::Struct { bytes: 8, references: vec![4] }, vec![])?;
    let mut roots = Vec::new();
    for _ in 0..count {
        let garbage = add(&mut model, node, &[0], &[])?;
        model.machine.set_candidates(Vec::new());
        roots.push(add(&mut model, node, &[garbage], &[])?);
        model.set(roots[roots.len() - 1], 4, 0);
    }
    model.machine.set_candidates(roots.clone());
    model.collect()?;
    let left = model.objects.len();
    (left == roots.len()).then_some(()).ok_or_else(|| format!("{left} objects are left"))
}

#[test]
fn roots_come_in_several_buffers() {
    for count in [1, 4031, 4032, 4033, 8064, 20_000] {
        many_roots(MODULE, count, None).unwrap_or_else(|fault| panic!("{count} roots: {fault}"));
    }
}

#[test]
fn a_list_of_a_million_elements_is_marked_whole() {
    for tail_first in [true, false] {
        long_list(MODULE, 1_000_000, tail_first, None)
            .unwrap_or_else(|fault| panic!("tail first {tail_first}: {fault}"));
    }
}

#[test]
fn an_array_of_a_million_references_is_marked_whole() {
    wide(MODULE, 1_000_000, None).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn rings_are_garbage() {
    rings(MODULE, 100_000, None).unwrap_or_else(|fault| panic!("{fault}"));
}
