//! Sizes, pages, and memory that is refused.

use wave_collector::{CLASSES, Kind, MODULE, PAGE_BYTES, PAGE_TABLE, class_of};

use crate::machine::{Fault, Machine};
use crate::model::{Model, room};

/// A heap of at most `most_pages` pages with one type, arrays of bytes.
fn arrays(module: &[u8], most_pages: u32) -> Result<Model, Fault> {
    let mut model = Model::new(Machine::new(module, most_pages, None)?);
    model.add_type(Kind::Array { log2: 0 }, vec![])?;
    Ok(model)
}

/// An array of `bytes` bytes in all. One that fills its cell would be kept by a reference to what lies behind it.
fn add(model: &mut Model, bytes: u32) -> Result<Option<u32>, Fault> {
    let mut body = (bytes - 8).to_le_bytes().to_vec();
    body.resize(bytes as usize - 4, 0xa5);
    model.allocate(0, body, false)
}

/// Keeps what is allocated as roots until there is no memory, and returns them.
fn fill(model: &mut Model, bytes: u32, roots: &mut Vec<u32>) -> Result<u32, Fault> {
    let before = roots.len();
    loop {
        model.machine.set_candidates(roots.clone());
        match add(model, bytes)? {
            Some(at) => roots.push(at),
            None => return Ok((roots.len() - before) as u32),
        }
    }
}

fn ok<T>(result: Result<T, Fault>) -> T {
    result.unwrap_or_else(|fault| panic!("{fault}"))
}

#[test]
fn code_and_collector_agree_on_the_classes() {
    let mut model = ok(arrays(MODULE, 4096));
    let descriptor = model.types[0].at;
    let mut seen = std::collections::BTreeSet::new();
    for bytes in 4..=70_000 {
        // One at a time: what is checked is where it lies.
        let at = ok(model.machine.allocate(descriptor, bytes));
        let entry = model.machine.word(PAGE_TABLE + 4 * (at / PAGE_BYTES));
        let expected = match class_of(bytes) {
            Some(class) => 1 | class.index << 8 | class.bytes << 16,
            None if bytes > 32768 => 2 | (room(bytes) / PAGE_BYTES) << 8,
            None => 1 | (entry >> 8 & 0xff) << 8 | room(bytes) << 16,
        };
        assert_eq!(entry, expected, "{bytes} bytes");
        assert!(entry & 7 == 2 || (at % PAGE_BYTES).is_multiple_of(entry >> 16), "{bytes} bytes at {at:#x}");
        if entry & 7 == 1 {
            seen.insert(entry >> 8 & 0xff);
        }
    }
    assert_eq!(seen, (0..44).collect());
    assert_eq!(class_of(2048).map(|class| class.index), Some(CLASSES - 1));
}

#[test]
fn refused_growth_is_no_memory_until_something_is_dropped() {
    for bytes in [20, 700, 5000, 40_000, 190_000] {
        let mut model = ok(arrays(MODULE, 64));
        let mut roots = Vec::new();
        let count = ok(fill(&mut model, bytes, &mut roots));
        let pages = model.machine.pages();
        let fits = match room(bytes) {
            room if room < PAGE_BYTES => (pages - 10) * (PAGE_BYTES / room),
            room => (pages - 10) / (room / PAGE_BYTES),
        };
        assert_eq!(count, fits, "{bytes} bytes in {pages} pages");
        // Another attempt fails again, and changes nothing.
        let before = model.machine.collections();
        assert_eq!(ok(add(&mut model, bytes)), None, "{bytes} bytes");
        assert_eq!(model.machine.collections(), before + 1, "one collection for one attempt");
        // Every second one is dropped, and there is room for as many.
        let mut odd = false;
        roots.retain(|_| {
            odd = !odd;
            odd
        });
        let dropped = count - roots.len() as u32;
        assert_eq!(ok(fill(&mut model, bytes, &mut roots)), dropped, "{bytes} bytes");
        assert_eq!(model.machine.pages(), pages);
    }
}

#[test]
fn sizes_near_four_gibibytes_do_not_overflow() {
    let mut model = ok(arrays(MODULE, 256));
    let kept = ok(add(&mut model, 100)).expect("there is room");
    model.machine.set_candidates(vec![kept]);
    let descriptor = model.types[0].at;
    let sizes =
        [u32::MAX, u32::MAX - 1, u32::MAX - 7, 0xffff_0001, 0xffff_0000, 0xfffe_ffff, 0xfff5_0000, 0x8000_0000, 0];
    for bytes in sizes {
        assert_eq!(ok(model.machine.allocate(descriptor, bytes)), 0, "{bytes:#x} bytes");
    }
    ok(model.collect());
    assert_eq!(model.objects.len(), 1);
    // As much as there is.
    let all = ok(add(&mut model, (256 - 11) * PAGE_BYTES)).expect("there is room");
    model.machine.set_candidates(vec![kept, all]);
    assert_eq!(ok(add(&mut model, PAGE_BYTES)), None);
}

#[test]
fn free_pages_serve_any_size() {
    let mut model = ok(arrays(MODULE, 64));
    let mut roots = Vec::new();
    // The pages of small cells become one large object, and small cells again, and cells of another size.
    for bytes in [13, 50 * PAGE_BYTES - 1, 13, 3000, 20 * PAGE_BYTES - 1, 100] {
        roots.clear();
        assert!(ok(fill(&mut model, bytes, &mut roots)) > 0, "{bytes} bytes");
        let used: u32 = roots.iter().map(|_| room(bytes)).sum();
        assert!(used > 30 * PAGE_BYTES, "{bytes} bytes: {used} in all");
    }
    assert!(model.machine.pages() <= 64);
}

#[test]
fn a_large_object_takes_the_first_run_that_is_long_enough() {
    let mut model = ok(arrays(MODULE, 1024));
    let mut roots = Vec::new();
    for pages in [3, 1, 2, 1, 4, 1, 3, 1] {
        model.machine.set_candidates(roots.clone());
        roots.push(ok(add(&mut model, pages * PAGE_BYTES - 1)).expect("there is room"));
    }
    // Holes of 3, 2, 4 and 3 pages.
    let (holes, kept): (Vec<_>, Vec<_>) = roots.iter().enumerate().partition(|(index, _)| index % 2 == 0);
    let holes: Vec<u32> = holes.into_iter().map(|(_, at)| *at).collect();
    let kept: Vec<u32> = kept.into_iter().map(|(_, at)| *at).collect();
    model.machine.set_candidates(kept);
    ok(model.collect());
    let before = model.machine.pages();
    let mut place = |pages: u32| ok(add(&mut model, pages * PAGE_BYTES - 1)).expect("there is room");
    assert_eq!(place(4), holes[2]);
    assert_eq!(place(3), holes[0]);
    assert_eq!(place(2), holes[1]);
    assert_eq!(place(3), holes[3]);
    // None is left, so the heap grows.
    assert_eq!(place(2), before * PAGE_BYTES);
}

/// The end of an array may be all that is left of the reference to it. So what begins there keeps it, too.
#[test]
fn an_array_that_fills_its_cell_is_kept_by_its_end() {
    for (bytes, kept) in [(24, 2), (23, 1), (2 * PAGE_BYTES, 2), (2 * PAGE_BYTES - 1, 1)] {
        let mut model = ok(arrays(MODULE, 64));
        let first = ok(add(&mut model, bytes)).expect("there is room");
        let second = ok(add(&mut model, bytes)).expect("there is room");
        assert_eq!(second, first + room(bytes));
        model.machine.set_candidates(vec![second]);
        ok(model.collect());
        assert_eq!(model.objects.len(), kept, "{bytes} bytes");
        model.machine.set_candidates(vec![second + 8]);
        ok(model.collect());
        assert_eq!(model.objects.keys().copied().collect::<Vec<_>>(), [second], "{bytes} bytes");
    }
}

#[test]
fn pages_of_others_stay_as_they_are() {
    let mut model = ok(arrays(MODULE, 1024));
    let mut foreign = Vec::new();
    let mut roots = Vec::new();
    for round in 0..40 {
        let page = model.machine.grow(1 + round % 3).expect("there is room");
        // It looks like objects with marks.
        let bytes = vec![0x91; PAGE_BYTES as usize];
        model.machine.set_bytes(page * PAGE_BYTES, &bytes);
        foreign.push(page);
        model
            .machine
            .set_candidates(foreign.iter().map(|page| page * PAGE_BYTES + 24).chain(roots.iter().copied()).collect());
        for bytes in [16, 1000, 9000, 100_000] {
            let at = ok(add(&mut model, bytes)).expect("there is room");
            if round % 2 == 0 {
                roots.push(at);
            }
        }
        // One run across the foreign page would be a large object.
        let at = ok(add(&mut model, 5 * PAGE_BYTES)).expect("there is room");
        assert!(foreign.iter().all(|page| *page < at / PAGE_BYTES || *page >= at / PAGE_BYTES + 5));
        ok(model.collect());
        for page in &foreign {
            assert!(model.machine.bytes(page * PAGE_BYTES, PAGE_BYTES as usize).iter().all(|byte| *byte == 0x91));
            assert_eq!(model.machine.word(PAGE_TABLE + 4 * page), 0);
        }
    }
}

#[test]
fn garbage_stays_within_the_threshold() {
    let mut model = ok(arrays(MODULE, 65536));
    for _ in 0..1_500_000 {
        assert!(ok(add(&mut model, 64)).is_some());
    }
    // 96 MB in all: 64 pages between two collections, and those of the runtime.
    assert!(model.machine.pages() <= 9 + 64 + 1, "{} pages", model.machine.pages());
    assert_eq!(u64::from(model.machine.collections()), 1_500_000 * 64 / (64 * u64::from(PAGE_BYTES)));
}
