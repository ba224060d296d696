//! Real code that was changed, and what is said of it: refused or accepted within the budget, never a panic (T71, T72).

use super::script::{self, Script};
use super::{MEMORY, MEMORY_PER_BYTE, PROGRAMS, STEPS, STEPS_PER_BYTE, memory};
use std::collections::HashMap;
use std::sync::LazyLock;
use wave_contract::context::Addressing;
use wave_contract::image::{CodeImage, CodeRange};
use wave_contract::offsets::{OffsetTable, OffsetValue};
use wave_contract::trap::TrapCode;
use wave_contract::types::SignatureId;
use wave_verifier::{Report, Terms, Verified, VerifyError, verify};

/// How much a function can grow.
const ROOM: u32 = 64;

/// What a script changes.
#[derive(Clone)]
pub struct Input {
    pub module: Vec<u8>,
    pub terms: Terms,
    pub image: CodeImage,
}

static INPUTS: LazyLock<Vec<Input>> = LazyLock::new(|| {
    let input = |program: &super::Compiled| Input {
        module: program.bytes.clone(),
        terms: program.terms.clone(),
        image: with_room(&program.image),
    };
    PROGRAMS.iter().map(input).collect()
});

/// The same code with nothing behind each function for a while. Calls are found by where they lead.
fn with_room(image: &CodeImage) -> CodeImage {
    let mut roomy = image.clone();
    let mut ranges: Vec<&mut CodeRange> = roomy.functions.iter_mut().collect();
    ranges.extend(roomy.entries.iter_mut().map(|entry| &mut entry.code));
    ranges.sort_unstable_by_key(|range| range.start);
    let mut end = 0_u32;
    let mut moved: HashMap<u32, u32> = HashMap::new();
    let mut old = Vec::new();
    for range in ranges {
        old.push(*range);
        moved.insert(range.start, end);
        range.start = end;
        end = (end + range.len + ROOM).next_multiple_of(16);
    }
    roomy.text = vec![0xcc; end as usize];
    (roomy.traps, roomy.sources) = (OffsetTable::default(), OffsetTable::default());
    for range in old {
        let start = moved[&range.start];
        let mut code = image.text[range.start as usize..][..range.len as usize].to_vec();
        for at in 0..code.len().saturating_sub(4) {
            let (0xe8 | 0xe9, Some(relative)) = (code[at], code[at + 1..].first_chunk()) else { continue };
            let next = i64::try_from(at).expect("a small function") + 5;
            let target = i64::from(range.start) + next + i64::from(i32::from_le_bytes(*relative));
            if let Some(target) = u32::try_from(target).ok().and_then(|target| moved.get(&target)) {
                let relative = i32::try_from(i64::from(*target) - i64::from(start) - next).expect("a small text");
                code[at + 1..at + 5].copy_from_slice(&relative.to_le_bytes());
            }
        }
        roomy.text[start as usize..][..code.len()].copy_from_slice(&code);
        entries(&image.traps, range).for_each(|(at, code)| roomy.traps.push(start + at, code));
        entries(&image.sources, range).for_each(|(at, position)| roomy.sources.push(start + at, position));
    }
    roomy
}

/// What a table says of a range: from its start on.
fn entries<T: OffsetValue>(table: &OffsetTable<T>, range: CodeRange) -> impl Iterator<Item = (u32, T)> {
    table.iter().filter(move |(at, _)| range.contains(*at)).map(move |(at, value)| (at - range.start, value))
}

/// One of the programs, as it was compiled.
pub fn pristine(number: usize) -> Option<&'static Input> {
    INPUTS.get(number)
}

/// One of the programs, changed: its first byte says which, what follows how.
pub fn changed(script: &[u8]) -> Option<Input> {
    let mut script = Script(script);
    let mut input = script.pick(&INPUTS)?.clone();
    while !script.0.is_empty() && edit(&mut input, &mut script).is_some() {}
    Some(input)
}

/// A range of a function or an entry thunk.
fn range<'a>(image: &'a mut CodeImage, script: &mut Script<'_>) -> Option<&'a mut CodeRange> {
    let functions = image.functions.len();
    match script.below(functions + image.entries.len())? {
        at if at < functions => image.functions.get_mut(at),
        at => image.entries.get_mut(at - functions).map(|entry| &mut entry.code),
    }
}

fn edit(input: &mut Input, script: &mut Script<'_>) -> Option<()> {
    let Input { module, terms, image } = input;
    match script.byte()? {
        // Half of all changes are of code.
        0..128 => {
            let range = *range(image, script)?;
            let start = range.start as usize;
            let mut code = image.text.get(start..start + range.len as usize)?.to_vec();
            script::change(&mut code, script)?;
            place(image, range, &code)?;
        }
        // All of it is new.
        128..136 => {
            let len = script.word()?;
            let range = *range(image, script)?;
            place(image, range, script.take(len.into()))?;
        }
        136..152 => {
            let range = *range(image, script)?;
            let at = range.start.checked_add(script.below(range.len as usize + 1)?.try_into().ok()?)?;
            let code = script.byte()?;
            let code = TrapCode::ALL.get(usize::from(code)).map_or(code, |code| *code as u8);
            image.traps = with_entry(&image.traps, at, Some(code));
        }
        152..160 => {
            let (at, _) = *script.pick(&image.traps.iter().collect::<Vec<_>>())?;
            image.traps = with_entry(&image.traps, at, None);
        }
        160..176 => {
            let range = *range(image, script)?;
            let at = range.start.checked_add(script.below(range.len as usize + 1)?.try_into().ok()?)?;
            image.sources = with_entry(&image.sources, at, Some(script.byte()?.into()));
        }
        176..192 => {
            let range = range(image, script)?;
            let by = i32::from(script.byte()?.cast_signed());
            match by % 2 {
                0 => range.len = range.len.wrapping_add_signed(by / 2),
                _ => range.start = range.start.wrapping_add_signed(by),
            }
        }
        192..196 => *range(image, script)? = *range(&mut image.clone(), script)?,
        196..200 => range(image, script)?.len = u32::from_le_bytes(script.array()?),
        200..208 => {
            let (one, other) = (script.below(image.entries.len())?, script.below(image.entries.len())?);
            image.entries[one].signature = match script.byte()? {
                0 => image.entries[other].signature,
                number => SignatureId(number.into()),
            };
        }
        208..216 => {
            let (one, other) = (script.below(image.entries.len())?, script.below(image.entries.len())?);
            image.entries.swap(one, other);
        }
        216..220 => drop(image.entries.remove(script.below(image.entries.len())?)),
        220..224 => drop(image.functions.remove(script.below(image.functions.len())?)),
        224..232 => {
            let at = script.below(terms.host_imports.len())?;
            terms.host_imports[at] ^= true;
        }
        232..236 => terms.signatures.get_mut(script.byte()? as usize)?.exact = SignatureId(script.byte()?.into()),
        236..246 => {
            place_object(&mut terms.addressing, script);
            image.addressing = terms.addressing.clone();
        }
        _ => script::change(module, script)?,
    }
    Some(())
}

/// Puts code in a place; the tables speak of what they spoke of, counted from its start.
fn place(image: &mut CodeImage, range: CodeRange, code: &[u8]) -> Option<()> {
    let mut start = range.start as usize;
    let starts = image.functions.iter().chain(image.entries.iter().map(|entry| &entry.code)).map(|range| range.start);
    let next = starts.filter(|start| *start > range.start).min().map_or(image.text.len(), |start| start as usize);
    if start + code.len() > next {
        start = image.text.len().next_multiple_of(16);
        image.text.resize(start, 0xcc);
    }
    let end = start + code.len();
    image.text.resize(image.text.len().max(end), 0xcc);
    image.text[start..end].copy_from_slice(code);
    let new = CodeRange { start: start.try_into().ok()?, len: code.len().try_into().ok()? };
    let ranges = image.functions.iter_mut().chain(image.entries.iter_mut().map(|entry| &mut entry.code));
    ranges.filter(|own| **own == range).for_each(|own| *own = new);
    image.traps = moved(&image.traps, range, new);
    image.sources = moved(&image.sources, range, new);
    Some(())
}

fn moved<T: OffsetValue>(table: &OffsetTable<T>, old: CodeRange, new: CodeRange) -> OffsetTable<T> {
    let mut all: Vec<_> = table.iter().filter(|(at, _)| !old.contains(*at)).collect();
    all.extend(entries(table, old).filter(|(at, _)| *at < new.len).map(|(at, value)| (new.start + at, value)));
    ordered(all)
}

/// A table with this at an offset, or nothing.
fn with_entry<T: OffsetValue>(table: &OffsetTable<T>, at: u32, value: Option<T>) -> OffsetTable<T> {
    let mut all: Vec<_> = table.iter().filter(|(own, _)| *own != at).collect();
    all.extend(value.map(|value| (at, value)));
    ordered(all)
}

fn ordered<T: OffsetValue>(mut entries: Vec<(u32, T)>) -> OffsetTable<T> {
    entries.sort_unstable_by_key(|(at, _)| *at);
    let mut table = OffsetTable::default();
    entries.into_iter().for_each(|(at, value)| table.push(at, value));
    table
}

/// An object is somewhere else: at any address.
fn place_object(addressing: &mut Addressing, script: &mut Script<'_>) -> Option<()> {
    let kind = script.byte()?;
    let address = match kind >> 4 {
        0..=7 => u64::from_le_bytes(script.array()?),
        8..=11 => u64::MAX - u64::from(script.word()?),
        _ => 0x1000 * u64::from(script.word()?),
    };
    let Addressing::Fixed(fixed) = addressing else {
        *addressing = Addressing::Fixed(PROGRAMS[0].terms.addressing.fixed()?.clone());
        return Some(());
    };
    match kind % 8 {
        0 => fixed.context = address,
        1 => fixed.results = address,
        2 => fixed.memories.first_mut()?.base = address,
        3 => fixed.memories.first_mut()?.descriptor = address,
        4 => *fixed.tables.first_mut()? = address,
        5 => *fixed.globals.first_mut()? = address,
        6 => drop(fixed.tables.pop()),
        _ => *addressing = Addressing::Arg,
    }
    Some(())
}

/// What came out of it.
pub type Outcome = Result<(Verified<CodeImage>, Report), VerifyError>;

/// Verifies, and looks at how: within the budget, in little memory.
pub fn check(input: &Input) -> Outcome {
    let Input { module, terms, image } = input.clone();
    let size = module.len() + image.text.len() + 8 * image.functions.len();
    let (outcome, memory) = memory::most_during(|| verify(image, &module, terms, 1));
    assert!(memory <= MEMORY_PER_BYTE * size + MEMORY, "{memory} bytes were taken for {size}");
    if let Ok((verified, report)) = &outcome {
        assert!(report.steps <= STEPS_PER_BYTE * report.bytes + STEPS * report.functions, "{report:?}");
        assert!(verified.is_proved() && *verified.terms() == input.terms);
        assert_eq!(verified.code().text, input.image.text);
    }
    outcome
}

/// As [`check`]; and threads that take functions in another order find the same.
pub fn check_order(input: &Input) -> Outcome {
    let Input { module, terms, image } = input.clone();
    let outcome = check(input);
    let text = |outcome: &Outcome| match outcome {
        Ok((_, report)) => format!("{report:?}"),
        Err(VerifyError::Refused(refusals)) => refusals.iter().map(|refusal| format!("{refusal:?}\n")).collect(),
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(text(&verify(image, &module, terms, 2)), text(&outcome));
    outcome
}
